//! The links of a page, each once and in one spelling.

use std::collections::HashSet;
use std::sync::LazyLock;

use scraper::{Html, Selector};
use url::Url;

static BASE: LazyLock<Selector> = LazyLock::new(|| Selector::parse("base[href]").expect("a fixed selector"));
static LINKS: LazyLock<Selector> = LazyLock::new(|| {
    Selector::parse("a[href], area[href], iframe[src], frame[src]").expect("a fixed selector")
});

/// What the links of a page lead to, each thing once, in the order of the page.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Links {
    pub(crate) urls: Vec<Url>,
    /// `mailto:`, `javascript:` and the like.
    pub(crate) not_http: Vec<String>,
    /// What is written there is no URL at all.
    pub(crate) broken: Vec<String>,
}

impl Links {
    /// Reads the page that came from `page`.
    pub(crate) fn of(html: &str, page: &Url) -> Self {
        let document = Html::parse_document(html);
        let base = document.select(&BASE).next().and_then(|base| base.attr("href"));
        let base = base.and_then(|href| page.join(href).ok()).unwrap_or_else(|| page.clone());
        let mut seen = HashSet::new();
        let mut links = Links::default();
        for element in document.select(&LINKS) {
            let Some(href) = element.attr("href").or_else(|| element.attr("src")).map(str::trim) else {
                continue;
            };
            match resolve(&base, href) {
                Ok(url) if !seen.insert(url.to_string()) => {}
                Ok(url) if is_http(&url) => links.urls.push(url),
                Ok(url) => links.not_http.push(url.to_string()),
                Err(_) if seen.insert(href.to_owned()) => links.broken.push(href.to_owned()),
                Err(_) => {}
            }
        }
        links
    }
}

/// The URL that `href` means on a page with this base, in the one spelling that the crawl knows it by: dot
/// segments resolved, host in lower case, no default port (all of which is `Url`'s doing), no fragment, which
/// never reaches a server.
pub(crate) fn resolve(base: &Url, href: &str) -> Result<Url, url::ParseError> {
    base.join(href).map(normal)
}

/// The one spelling of a URL.
pub(crate) fn normal(mut url: Url) -> Url {
    url.set_fragment(None);
    url
}

pub(crate) fn is_http(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(html: &str) -> Links {
        Links::of(html, &Url::parse("http://loom.test/warp/1").unwrap())
    }

    fn urls(html: &str) -> Vec<String> {
        links(html).urls.iter().map(Url::to_string).collect()
    }

    #[test]
    fn spellings_of_one_page_are_one_link() {
        let html = "<a href=2>, <a href='#x'>, <a href=2#a>, <a href=/warp/./2>, <a href=../warp/2#b>,
            <a href='HTTP://LOOM.test:80/weft/../warp/2'>, <a href=' 2 '>, <a href='/warp/1#top'>";
        assert_eq!(urls(html), ["http://loom.test/warp/2", "http://loom.test/warp/1"]);
    }

    #[test]
    fn a_query_makes_another_page() {
        assert_eq!(urls("<a href='?day=1'><a href='?day=2'>").len(), 2);
    }

    #[test]
    fn links_are_resolved_against_the_base_of_the_page() {
        let html = "<base href='/weft/'><a href=3><area href=../4><iframe src=//other.test/5></iframe>";
        assert_eq!(urls(html), ["http://loom.test/weft/3", "http://loom.test/4", "http://other.test/5"]);
    }

    #[test]
    fn what_is_not_http_or_no_url_is_told_apart() {
        let links = links("<a href=mailto:a@b.test><a href='javascript:void(0)'><a href='http://[::'><a>");
        assert_eq!(links.not_http, ["mailto:a@b.test", "javascript:void(0)"]);
        assert_eq!((links.broken, links.urls), (vec!["http://[::".to_owned()], vec![]));
    }
}

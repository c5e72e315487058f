//! Text of the site, made harmless.

use crate::Report;
use crate::show::columns::clipped;
use crate::show::visible::visible;

/// Characters of a URL that are shown; the link leads to all of it.
pub(super) const SHOWN: usize = 200;

/// A text that means itself in HTML, also in an attribute. Control characters are shown as escapes.
pub(in crate::show) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}

impl Report {
    /// A URL that can be clicked on, if following it only opens a page, which `javascript:` does not. It is
    /// shown without the origin where the crawl began.
    pub(super) fn html_link(&self, url: &str) -> String {
        linked(url, &clipped(self.short(url), SHOWN))
    }
}

pub(super) fn linked(url: &str, shown: &str) -> String {
    let shown = escaped(shown);
    match ["http://", "https://", "file://"].iter().any(|scheme| url.starts_with(scheme)) {
        true => format!("<a href=\"{}\">{shown}</a>", escaped(url)),
        false => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_and_quotes_mean_themselves() {
        let hostile = "\"'><script>&amp;\u{202e}";
        assert_eq!(escaped(hostile), "&quot;&#39;&gt;&lt;script&gt;&amp;amp;\\u{202e}");
    }

    #[test]
    fn only_what_opens_a_page_is_a_link() {
        for url in ["javascript:alert(1)", "JavaScript:x", "data:text/html,x", "vbscript:x", " http://x", "x"]
        {
            assert!(!linked(url, url).contains("href"), "{url}");
        }
        assert_eq!(linked("http://a/?b&c", "<"), "<a href=\"http://a/?b&amp;c\">&lt;</a>");
    }
}

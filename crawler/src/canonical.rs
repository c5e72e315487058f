//! One spelling for each page.

use url::{Position, Url};

/// How URLs that mean one page are told to be one.
///
/// Always, because it changes no meaning: the fragment goes (it never reaches a server), the host is in lower
/// case and without a final dot, default ports go, dot segments are resolved, and a user name and a password
/// go, which have no place in a report. The rest is the site's own business: `/x?` is not `/x`, `%7e` is
/// asked for as it is written, and what is more must be asked for:
///
/// ```
/// use selvedge_crawl::{Canonical, TrailingSlash};
///
/// let one = Canonical::new().trailing_slash(TrailingSlash::Remove).sort_query(true).drop_parameter("utm_*");
/// let url = one.of("HTTP://Loom.test:80/a/./b/?y=2&utm_source=x&x=1#top".parse()?);
/// assert_eq!(url.as_str(), "http://loom.test/a/b?x=1&y=2");
/// # Ok::<(), url::ParseError>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a spelling does nothing until a builder is given it"]
pub struct Canonical {
    slash: TrailingSlash,
    index: Option<String>,
    sort: bool,
    drop_query: bool,
    parameters: Vec<String>,
}

/// What becomes of a slash at the end of a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrailingSlash {
    /// It stays as it is written: `/a` and `/a/` are two pages.
    #[default]
    Keep,
    /// It goes, but for the path `/`.
    Remove,
    /// It is added to a path whose last part has no dot in it.
    Add,
}

impl Canonical {
    /// The rules that change no meaning.
    pub fn new() -> Self {
        Canonical::default()
    }

    /// Says what becomes of a slash at the end of a path.
    pub fn trailing_slash(mut self, slash: TrailingSlash) -> Self {
        self.slash = slash;
        self
    }

    /// Drops a last part of this name, such as `index.html`: `/a/index.html` and `/a/` are one page.
    pub fn index_name(mut self, name: impl Into<String>) -> Self {
        self.index = Some(name.into());
        self
    }

    /// Orders the query's parameters by name; those of one name stay in their order.
    pub fn sort_query(mut self, sort: bool) -> Self {
        self.sort = sort;
        self
    }

    /// Drops the query.
    pub fn drop_query(mut self, drop: bool) -> Self {
        self.drop_query = drop;
        self
    }

    /// Drops the query's parameters of this name; one that ends in `*` stands for all that begin so.
    pub fn drop_parameter(mut self, name: impl Into<String>) -> Self {
        self.parameters.push(name.into());
        self
    }

    /// The one spelling of `url`.
    pub fn of(&self, mut url: Url) -> Url {
        url.set_fragment(None);
        if url.cannot_be_a_base() {
            return url;
        }
        // Neither fails for a URL that has a host, and one that has none has nothing to lose.
        let _ = (url.set_username(""), url.set_password(None));
        if let Some(host) = url.host_str().and_then(|host| host.strip_suffix('.')).map(str::to_owned)
            && !host.is_empty()
        {
            let _ = url.set_host(Some(&host));
        }
        self.path(&mut url);
        self.query(&mut url);
        url
    }

    fn path(&self, url: &mut Url) {
        // The standard has this in its path percent-encode set; the parser does not yet.
        let mut path = url.path().replace('^', "%5E");
        if let Some(index) = &self.index
            && let Some(folder) = path.strip_suffix(index.as_str())
            && folder.ends_with('/')
        {
            path.truncate(folder.len());
        }
        match self.slash {
            TrailingSlash::Remove => path.truncate(path.trim_end_matches('/').len().max(1)),
            TrailingSlash::Add => {
                let last = path.rsplit('/').next().unwrap_or_default();
                if !last.is_empty() && !last.contains('.') {
                    path.push('/');
                }
            }
            TrailingSlash::Keep => {}
        }
        if path != url.path() {
            url.set_path(&path);
        }
    }

    fn query(&self, url: &mut Url) {
        let Some(query) = url.query() else { return };
        // As it is written, an empty one included, unless it was asked for.
        if !(self.drop_query || self.sort) && self.parameters.is_empty() {
            return;
        }
        let query = query.to_owned();
        let mut parts: Vec<&str> = match self.drop_query {
            true => Vec::new(),
            false => query.split('&').filter(|part| !self.drops(part)).collect(),
        };
        if self.sort {
            parts.sort_by_key(|part| name(part));
        }
        let query = parts.join("&");
        url.set_query(if query.is_empty() { None } else { Some(&query) });
    }

    fn drops(&self, part: &str) -> bool {
        let name = name(part);
        self.parameters.iter().any(|dropped| match dropped.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == dropped,
        })
    }
}

fn name(part: &str) -> &str {
    part.split('=').next().unwrap_or_default()
}

/// The origin of a URL: scheme, host name and port. robots.txt, cookies and credentials belong to one.
pub(super) fn origin(url: &Url) -> &str {
    &url[..Position::BeforePath]
}

/// The origin of everything that is read from the disk.
pub(super) const LOCAL: &str = "file://";

/// Whether a server is asked for it.
pub(super) fn is_http(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
}

/// Whether it is a file on this machine.
pub(super) fn is_file(url: &Url) -> bool {
    url.scheme() == "file"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rules: &Canonical, url: &str) -> String {
        rules.of(Url::parse(url).unwrap()).into()
    }

    #[test]
    fn spellings_of_one_page_are_one() {
        let rules = Canonical::new();
        for url in [
            "HTTP://LOOM.test:80/~me/./a/../b%2F",
            "http://loom.test./~me/b%2F#x",
            "http://me:secret@loom.test/~me/b%2F",
        ] {
            assert_eq!(of(&rules, url), "http://loom.test/~me/b%2F", "{url}");
        }
    }

    #[test]
    fn what_may_mean_two_pages_stays_two() {
        let rules = Canonical::new();
        for url in [
            "http://loom.test/a/",
            "http://loom.test/a",
            "http://loom.test/A",
            "http://loom.test/a?x=1&a=2",
            "https://loom.test/a",
            "http://loom.test/a//",
            "http://loom.test/a%20%",
            "http://loom.test/x?",
            "http://loom.test/%7Eme/%62%2f?a=%41",
            "http://[::1]:8080/a",
        ] {
            assert_eq!(of(&rules, url), url);
        }
    }

    #[test]
    fn rules_that_were_asked_for_apply() {
        let index = Canonical::new().index_name("index.html").trailing_slash(TrailingSlash::Add);
        assert_eq!(of(&index, "http://a.test/x/index.html"), "http://a.test/x/");
        assert_eq!(of(&index, "http://a.test/x"), "http://a.test/x/");
        assert_eq!(of(&index, "http://a.test/x.html"), "http://a.test/x.html");
        let bare = Canonical::new().drop_query(true).trailing_slash(TrailingSlash::Remove);
        assert_eq!(of(&bare, "http://a.test/x//?y"), "http://a.test/x");
        assert_eq!(of(&bare, "http://a.test/?y"), "http://a.test/");
        let drop = Canonical::new().drop_parameter("utm_*").drop_parameter("id");
        assert_eq!(of(&drop, "http://a.test/?utm_a=1&id=3&idx=4&b"), "http://a.test/?idx=4&b");
    }
}

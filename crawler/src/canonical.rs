//! The canonical form of a URL, by which pages are told apart.

use url::{Position, Url};

/// Rules by which different URLs are recognised as one page.
///
/// Some hold always, since they change no meaning: the fragment is dropped (it never reaches a server), the
/// host is in lower case and without a final dot, default ports are dropped, dot segments are resolved, and a
/// user name and a password are dropped, which must not appear in a report. Everything else may matter to the
/// site: `/x?` is not `/x`, and `%7e` is requested as it is written. Further rules are opt-in:
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
#[must_use = "rules do nothing until a builder is given them"]
pub struct Canonical {
    slash: TrailingSlash,
    index: Option<String>,
    sort: bool,
    drop_query: bool,
    parameters: Vec<String>,
}

/// How a slash at the end of a path is treated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrailingSlash {
    /// Kept as it is written: `/a` and `/a/` are two pages.
    #[default]
    Keep,
    /// Removed, except from the path `/`.
    Remove,
    /// Added to a path whose last segment contains no dot.
    Add,
}

impl Canonical {
    /// Creates the rules that change no meaning.
    pub fn new() -> Self {
        Canonical::default()
    }

    /// Sets how a slash at the end of a path is treated.
    pub fn trailing_slash(mut self, slash: TrailingSlash) -> Self {
        self.slash = slash;
        self
    }

    /// Drops a last segment of this name, such as `index.html`: `/a/index.html` and `/a/` are one page.
    pub fn index_name(mut self, name: impl Into<String>) -> Self {
        self.index = Some(name.into());
        self
    }

    /// Sorts the query's parameters by name. Parameters of the same name keep their order.
    pub fn sort_query(mut self, sort: bool) -> Self {
        self.sort = sort;
        self
    }

    /// Drops the query.
    pub fn drop_query(mut self, drop: bool) -> Self {
        self.drop_query = drop;
        self
    }

    /// Drops the query's parameters of this name, or with this beginning if it ends in `*`.
    pub fn drop_parameter(mut self, name: impl Into<String>) -> Self {
        self.parameters.push(name.into());
        self
    }

    /// Returns the canonical form of `url`.
    pub fn of(&self, mut url: Url) -> Url {
        url.set_fragment(None);
        if url.cannot_be_a_base() {
            return url;
        }
        let mut url = with_bare_host(url);
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
        // Kept as it is written, even if it is empty, unless a rule is about it.
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

/// A URL without a user and a password, and without a final dot of its host.
pub(super) fn with_bare_host(mut url: Url) -> Url {
    // Neither fails for a URL that has a host, and one that has none has nothing to lose.
    let _ = (url.set_username(""), url.set_password(None));
    let host = url.host_str().and_then(|host| host.strip_suffix('.')).filter(|host| !host.is_empty());
    if let Some(host) = host.map(str::to_owned) {
        let _ = url.set_host(Some(&host));
    }
    url
}

/// The origin of a URL in its canonical form: scheme, host name and port. robots.txt, cookies and credentials
/// belong to one.
pub(super) fn origin(url: &Url) -> &str {
    &url[..Position::BeforePath]
}

/// The origin of everything that is read from the disk.
pub(super) const LOCAL: &str = "file://";

/// Whether a URL is requested from a server.
pub(super) fn is_http(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
}

/// Whether a URL is a file on this machine.
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

//! Cookies of one crawl: each for the origin that set it, and for no other.
//!
//! Enough of RFC 6265 for sites that set a cookie on the way and want to see it again. The attributes
//! `Domain` and `SameSite` widen or narrow what goes to other hosts, to which nothing goes here; `Secure`
//! follows from the origin.

use std::collections::HashMap;

use selvedge::sync::Mutex;
use url::Url;

use super::canonical::origin;

/// Cookies that are kept of one origin, and the longest that is.
const COOKIES: usize = 50;
const LONGEST: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Cookies {
    by_origin: Mutex<HashMap<String, Jar>>,
}

/// The cookies of one origin.
#[derive(Debug, Default)]
struct Jar {
    cookies: Vec<Cookie>,
    /// Counts the changes.
    version: u32,
}

#[derive(Debug, PartialEq)]
struct Cookie {
    name: String,
    value: String,
    path: String,
}

impl Cookies {
    /// Keeps what an answer sets.
    pub(super) fn keep<'a>(&self, url: &Url, set: impl Iterator<Item = &'a str>) {
        for text in set.filter(|text| text.len() <= LONGEST) {
            let Some((cookie, lives)) = parse(text, url) else { continue };
            let mut origins = self.by_origin.lock();
            let jar = origins.entry(origin(url).to_owned()).or_default();
            let same = |other: &Cookie| other.name == cookie.name && other.path == cookie.path;
            match jar.cookies.iter().position(same) {
                Some(at) if lives && jar.cookies[at] == cookie => continue,
                Some(at) => drop(jar.cookies.remove(at)),
                None if !lives || jar.cookies.len() >= COOKIES => continue,
                None => {}
            }
            if lives {
                jar.cookies.push(cookie);
            }
            jar.version += 1;
        }
    }

    /// The value of the header for a request, if there is anything to say.
    pub(super) fn header(&self, url: &Url) -> Option<String> {
        let origins = self.by_origin.lock();
        let jar = origins.get(origin(url))?;
        let cookies = jar.cookies.iter().filter(|cookie| is_below(url.path(), &cookie.path));
        let pairs: Vec<String> =
            cookies.map(|Cookie { name, value, .. }| format!("{name}={value}")).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    /// How often the cookies of an origin have changed.
    pub(super) fn version(&self, url: &Url) -> u32 {
        self.by_origin.lock().get(origin(url)).map_or(0, |jar| jar.version)
    }
}

/// A cookie, and whether it is to be kept; otherwise it takes back the one of its name.
fn parse(text: &str, url: &Url) -> Option<(Cookie, bool)> {
    let mut parts = text.split(';').map(str::trim);
    let (name, value) = parts.next()?.split_once('=')?;
    let folder = url.path().rsplit_once('/').map_or("/", |(folder, _)| folder);
    let mut cookie =
        Cookie { name: name.trim().to_owned(), value: value.trim().to_owned(), path: folder.to_owned() };
    let mut lives = true;
    for part in parts {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        match key.trim().to_ascii_lowercase().as_str() {
            "path" if value.trim().starts_with('/') => {
                cookie.path = value.trim().trim_end_matches('/').to_owned();
            }
            "max-age" => lives = value.trim().parse::<i64>().map_or(lives, |seconds| seconds > 0),
            // In this century, a date of the last one says that it is to go.
            "expires" => {
                lives &= !value.contains("-19") && !value.contains(" 19") && !value.contains(" 2000 ")
            }
            _ => {}
        }
    }
    (!cookie.name.is_empty()).then_some((cookie, lives))
}

/// Whether a path is the folder, or below it. A folder has no slash at its end.
fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn a_cookie_goes_to_its_origin_and_below_its_path() {
        let cookies = Cookies::default();
        cookies.keep(&url("http://a.test/x/y"), ["a=1", "b=2; Path=/", "c=3; path=/z/"].into_iter());
        assert_eq!(cookies.header(&url("http://a.test/x/other")).as_deref(), Some("a=1; b=2"));
        assert_eq!(cookies.header(&url("http://a.test/z")).as_deref(), Some("b=2; c=3"));
        assert_eq!(cookies.header(&url("http://a.test/xy")).as_deref(), Some("b=2"));
        for other in ["https://a.test/x/", "http://b.test/x/", "http://a.test:81/x/"] {
            assert_eq!(cookies.header(&url(other)), None);
        }
    }

    #[test]
    fn a_version_counts_changes_and_a_cookie_can_be_taken_back() {
        let cookies = Cookies::default();
        let start = url("http://a.test/");
        cookies.keep(&start, ["a=1"].into_iter());
        cookies.keep(&start, ["a=1; HttpOnly", "no cookie", "=x"].into_iter());
        assert_eq!(cookies.version(&start), 1);
        cookies.keep(&start, ["a=2; Max-Age=9"].into_iter());
        assert_eq!((cookies.version(&start), cookies.header(&start).as_deref()), (2, Some("a=2")));
        cookies.keep(&start, ["a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT"].into_iter());
        assert_eq!((cookies.version(&start), cookies.header(&start)), (3, None));
    }

    #[test]
    fn an_origin_that_sets_cookies_without_end_is_kept_within_bounds() {
        let cookies = Cookies::default();
        let start = url("http://a.test/");
        let many: Vec<String> = (0..1_000).map(|n| format!("c{n}=1")).collect();
        cookies.keep(&start, many.iter().map(String::as_str));
        cookies.keep(&start, [format!("long={}", "x".repeat(LONGEST)).as_str()].into_iter());
        assert_eq!(cookies.header(&start).unwrap().matches('=').count(), COOKIES);
    }
}

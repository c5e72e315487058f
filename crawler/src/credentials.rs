//! Headers and credentials by origin. A header is for one origin (a scheme, a host and a port), and so are
//! a user name and a password in a URL: no link, redirect or page of another origin receives them.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use percent_encoding::percent_decode_str;
use selvedge::sync::RwLock;
use url::Url;

use super::canonical::{origin, with_bare_host};

/// A header that the user has set.
#[derive(Clone)]
pub(super) struct Header {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) to: To,
}

/// The origins that a header is sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum To {
    /// The origins of the pages that the crawl begins at.
    Start,
    /// One origin, as [`origin`] spells it.
    Origin(String),
    /// The text was not an origin; the builder refuses it.
    Nobody,
    Everybody,
}

impl To {
    pub(super) fn origin(text: &str) -> Self {
        match Url::parse(text) {
            Ok(url) if super::canonical::is_http(&url) => To::Origin(origin(&with_bare_host(url)).to_owned()),
            _ => To::Nobody,
        }
    }
}

impl Header {
    /// The header of a user name and a password (RFC 7617).
    pub(super) fn basic(user: &str, password: &str, to: To) -> Self {
        Header { name: "Authorization".to_owned(), value: basic(user.as_bytes(), password.as_bytes()), to }
    }

    /// Whether it can be sent: its name is a token (RFC 9110), and its value is one line.
    pub(super) fn is_sendable(&self) -> bool {
        let in_name = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        !self.name.is_empty()
            && self.name.bytes().all(in_name)
            && self.value.bytes().all(|byte| byte == b'\t' || (byte >= 32 && byte != 127))
    }
}

fn basic(user: &[u8], password: &[u8]) -> String {
    format!("Basic {}", BASE64_STANDARD.encode([user, b":", password].concat()))
}

impl fmt::Debug for Header {
    /// Omits the value, which may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {:?}", self.name, self.to)
    }
}

/// The headers of one crawl, by origin.
#[derive(Default)]
pub(super) struct Credentials {
    /// The origins that the crawl begins at.
    home: RwLock<BTreeSet<String>>,
    /// `Authorization` headers from URLs, by origin. The first URL of an origin wins, so that a page cannot
    /// replace the user's credentials.
    logins: RwLock<HashMap<String, String>>,
}

impl Credentials {
    /// Adds the origin of a start.
    pub(super) fn begin_at(&self, start: &Url) {
        self.note(start);
        self.home.write().insert(origin(&with_bare_host(start.clone())).to_owned());
    }

    /// Records the user name and the password of a URL, if it has any.
    pub(super) fn note(&self, url: &Url) {
        if url.username().is_empty() && url.password().is_none() {
            return;
        }
        let bytes = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
        let login = basic(&bytes(url.username()), &bytes(url.password().unwrap_or_default()));
        let origin = origin(&with_bare_host(url.clone())).to_owned();
        self.logins.write().entry(origin).or_insert(login);
    }

    /// The headers of a request to `url`.
    pub(super) fn headers_for(&self, given: &[Header], url: &Url) -> Vec<(String, String)> {
        let origin = origin(url);
        let is_for = |header: &&Header| match &header.to {
            To::Everybody => true,
            To::Origin(theirs) => theirs == origin,
            To::Start => self.home.read().contains(origin),
            To::Nobody => false,
        };
        let headers = given.iter().filter(is_for);
        let mut headers: Vec<_> = headers.map(|header| (header.name.clone(), header.value.clone())).collect();
        let is_login = |(name, _): &(String, String)| name.eq_ignore_ascii_case("authorization");
        if let Some(login) = self.logins.read().get(origin)
            && !headers.iter().any(is_login)
        {
            headers.push(("Authorization".to_owned(), login.clone()));
        }
        headers
    }
}

/// A text that may be or contain a URL, without a user and a password: what is shown of a link that is no URL
/// or has another scheme, and of a link's text.
pub(crate) fn without_login(text: &str) -> String {
    let is_slash = |c: char| matches!(c, '/' | '\\');
    let (mut shown, mut rest) = (String::new(), text);
    while let Some(at) = authority(rest) {
        let (before, after) = rest.split_at(at);
        let end = after.find(|c: char| is_slash(c) || matches!(c, '?' | '#')).unwrap_or(after.len());
        shown.push_str(before);
        match after[..end].rfind('@') {
            Some(at) => shown.extend(["***", &after[at..end]]),
            None => shown.push_str(&after[..end]),
        }
        rest = &after[end..];
    }
    shown + rest
}

/// Where the first authority of a text begins: after two slashes, or after one of the schemes for which
/// browsers need none.
fn authority(text: &str) -> Option<usize> {
    let is_slash = |c: char| matches!(c, '/' | '\\');
    let after_slashes = |at: usize| text.len() - text[at..].trim_start_matches(is_slash).len();
    // Where the run of letters and digits begins that may be a scheme.
    let mut word = 0;
    for (at, c) in text.char_indices() {
        let is_lenient =
            || ["http", "https", "ftp"].iter().any(|name| text[word..at].eq_ignore_ascii_case(name));
        match c {
            '/' | '\\' if after_slashes(at) - at >= 2 => return Some(after_slashes(at)),
            ':' if is_lenient() => return Some(after_slashes(at + 1)),
            c if c.is_ascii_alphanumeric() => {}
            c => word = at + c.len_utf8(),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_and_a_password_are_hidden_wherever_an_authority_may_stand() {
        for (text, shown) in [
            ("http://me:secret@a.test/x@y", "http://***@a.test/x@y"),
            ("HTTP:me:secret@[", "HTTP:***@["),
            ("//me:sec@ret@a.test", "//***@a.test"),
            ("ftp://secret@a.test?q=@", "ftp://***@a.test?q=@"),
            ("mailto:me@a.test", "mailto:me@a.test"),
            ("/me@a.test", "/me@a.test"),
            ("http://a.test/me@b", "http://a.test/me@b"),
            ("view-source:http://me:secret@a.test/", "view-source:http://***@a.test/"),
            ("feed:https:me:secret@a.test", "feed:https:***@a.test"),
            ("javascript:go('//me:secret@a.test/x@y')", "javascript:go('//***@a.test/x@y')"),
            ("(see:http:/me:secret@a.test)", "(see:http:/***@a.test)"),
            ("http://a.test/ é//secret@b", "http://a.test/ é//***@b"),
        ] {
            assert_eq!(without_login(text), shown);
        }
    }

    #[test]
    fn what_the_user_said_holds_before_what_stands_in_a_url_and_the_first_url_before_others() {
        let url = |text| Url::parse(text).unwrap();
        let credentials = Credentials::default();
        credentials.begin_at(&url("http://me:a%40b@a.test/"));
        credentials.note(&url("http://other:x@a.test/"));
        let plain = [("Authorization".to_owned(), "Basic bWU6YUBi".to_owned())];
        assert_eq!(credentials.headers_for(&[], &url("http://a.test/x")), plain);
        let given = [Header { name: "authorization".into(), value: "Bearer x".into(), to: To::Start }];
        assert_eq!(credentials.headers_for(&given, &url("http://a.test/x"))[0].1, "Bearer x");
        assert!(credentials.headers_for(&given, &url("https://a.test/x")).is_empty());
        credentials.note(&url("http://you:b@b.test./"));
        assert_eq!(credentials.headers_for(&[], &url("http://b.test/")).len(), 1);
        let other = [Header::basic("me", "x", To::origin("https://B.test.:443/some/path"))];
        assert_eq!(credentials.headers_for(&other, &url("https://b.test/")).len(), 1);
        assert!(credentials.headers_for(&other, &url("http://c.test/")).is_empty());
    }
}

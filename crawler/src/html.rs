//! The links of a page: each URL once, in its canonical form.
//!
//! Links come from [`elements`](super::elements), as they are written; here they are resolved against the
//! page's base URL (WHATWG URL) and sorted into what is fetched, what has another scheme, and what is no URL.

use std::borrow::Cow;
use std::collections::HashSet;

use encoding_rs::{Encoding, ISO_2022_JP, UTF_8};
use url::Url;

use super::attributes::{link_header, relation_kind};
use super::canonical::{Canonical, is_file, is_http};
use super::credentials::without_login;
use super::elements::{Raw, Read, State};
use super::fragments::part_of;

/// Characters of a link's text that are kept.
pub(super) const TEXT: usize = 80;

/// How deep a document may stand in the `srcdoc` of another's frame.
const FRAMES: usize = 4;

/// What a page leads to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Links {
    /// Each URL once, in the order of the page.
    pub(super) found: Vec<Found>,
    /// URLs of other schemes: `mailto:`, `javascript:` and the like.
    pub(super) not_http: Vec<String>,
    /// Texts that are no URL, or whose scheme is a slip of `http`.
    pub(super) broken: Vec<String>,
    /// URLs that contain a user name or a password.
    pub(super) logins: Vec<Url>,
    /// Links to parts of pages, if parts are checked: the URL and the part.
    pub(super) parts_wanted: Vec<(Url, String)>,
    /// Hashes of this page's own parts, sorted.
    pub(super) parts: Vec<u64>,
    /// Whether something was added that may repeat a URL.
    pub(super) is_joined: bool,
}

/// One link.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    pub(super) url: Url,
    pub(super) text: String,
    pub(super) kind: Kind,
    /// A part of it is meant, and looked for wherever it is.
    pub(super) has_part: bool,
}

/// What is at the other end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// A page, or any other resource that a reader visits.
    Page,
    /// A part of the page without links of its own, such as an image or a script.
    Asset,
    /// A style sheet: a part of the page that names further ones.
    Sheet,
}

impl Links {
    /// Reads the page at `page`.
    pub(super) fn of(html: &str, page: &Url, encoding: &'static Encoding, rules: &Reading<'_>) -> Self {
        let mut links = Links::of_frame(html, page, encoding, rules, FRAMES);
        links.drop_repeated();
        links
    }

    /// Reads a page, and the documents in its frames up to `depth` levels down.
    fn of_frame(
        html: &str,
        page: &Url,
        encoding: &'static Encoding,
        rules: &Reading<'_>,
        depth: usize,
    ) -> Self {
        let read = Read::of(html, rules.is_xml, rules.fragments);
        let base = read.base.as_deref().and_then(|href| match rules.root.zip(rooted(href)) {
            Some((root, path)) => root.join(&format!("./{path}")).ok(),
            None => page.join(href).ok(),
        });
        // URLs are not resolved against these schemes (HTML 4.2.3), nor against a base that is no URL.
        let base = base.filter(|base| !matches!(base.scheme(), "data" | "javascript"));
        let base = base.as_ref().unwrap_or(page);
        let mut links = Resolver { base, encoding, rules }.resolve_all(read.raw);
        links.parts = read.parts;
        for frame in read.frames.iter().filter(|_| depth > 0) {
            // A `srcdoc` is HTML in UTF-8 whatever is around it, and its parts are not the page's.
            let rules = Reading { is_xml: false, fragments: false, ..*rules };
            links.extend(Links::of_frame(frame, base, UTF_8, &rules, depth - 1));
        }
        links
    }

    /// Reads the style sheet at `sheet`.
    pub(super) fn of_sheet(css: &str, sheet: &Url, rules: &Reading<'_>) -> Self {
        let mut state = State::default();
        state.add_sheet(css);
        Resolver { base: sheet, encoding: UTF_8, rules }.resolve_all(state.into_raw())
    }

    /// Reads the `Link` headers of the answer from `url` (RFC 8288).
    pub(super) fn of_headers<'a>(
        values: impl Iterator<Item = &'a str>,
        url: &Url,
        rules: &Reading<'_>,
    ) -> Self {
        let links = values.flat_map(link_header);
        let raw = links.filter_map(|(href, rel)| {
            let (kind, word) = relation_kind(&rel)?;
            Some(Raw { href, text: format!("({word})"), kind })
        });
        Resolver { base: url, encoding: UTF_8, rules }.resolve_all(raw.collect())
    }

    /// Adds what else belongs to the same page.
    pub(super) fn extend(&mut self, other: Links) {
        self.is_joined |= !other.found.is_empty();
        self.found.extend(other.found);
        self.not_http.extend(other.not_http);
        self.broken.extend(other.broken);
        self.logins.extend(other.logins);
        self.parts_wanted.extend(other.parts_wanted);
    }

    /// Keeps the first link of each URL, after what was added has been read on its own.
    pub(super) fn drop_repeated(&mut self) {
        if std::mem::take(&mut self.is_joined) {
            let mut seen: HashSet<(Url, Kind)> = HashSet::new();
            self.found.retain(|found| seen.insert((found.url.clone(), found.kind)));
        }
    }
}

/// How a page is read.
#[derive(Clone, Copy)]
pub(super) struct Reading<'a> {
    pub(super) canonical: &'a Canonical,
    /// Whether its parts, and links to parts, are collected.
    pub(super) fragments: bool,
    /// Whether the page is a file, so that it may link to others. A page from a server has no business with
    /// them.
    pub(super) files: bool,
    /// Where a link that begins with a slash starts, if not at the host.
    pub(super) root: Option<&'a Url>,
    /// Whether it is XHTML.
    pub(super) is_xml: bool,
}

struct Resolver<'a> {
    base: &'a Url,
    encoding: &'static Encoding,
    rules: &'a Reading<'a>,
}

impl Resolver<'_> {
    fn resolve_all(&self, raw: Vec<Raw>) -> Links {
        let mut seen: HashSet<(String, Kind)> = HashSet::new();
        let mut links = Links::default();
        for Raw { href, text, kind } in raw {
            match self.resolve(&href, &mut links) {
                Ok(url) if !seen.insert((url.to_string(), kind)) => {}
                Ok(url) if is_http(&url) || (self.rules.files && is_file(&url)) => {
                    links.found.push(Found { url, text: clipped(&text), kind, has_part: false });
                }
                Ok(url) if is_typo(url.scheme()) => links.broken.push(without_login(&href)),
                // A `data:` URL is part of the page.
                Ok(url) if kind != Kind::Page && url.scheme() == "data" => {}
                Ok(url) => links.not_http.push(without_login(url.as_str())),
                Err(_) if seen.insert((href.clone(), kind)) => links.broken.push(without_login(&href)),
                Err(_) => {}
            }
        }
        links
    }

    /// Resolves a link. The parser strips the white space around it that HTML allows, and no other: a
    /// no-break space is part of the URL.
    fn resolve(&self, href: &str, links: &mut Links) -> Result<Url, url::ParseError> {
        let encode: &dyn Fn(&str) -> Cow<'_, [u8]> = &|text| encoded(text, self.encoding);
        let options = Url::options().base_url(Some(self.base));
        // The query is in the page's encoding, and the rest in UTF-8.
        let options = if self.encoding == UTF_8 { options } else { options.encoding_override(Some(encode)) };
        let url = match self.rules.root.filter(|_| is_file(self.base)).zip(rooted(href)) {
            // With a dot, since a colon in a path is none behind a scheme.
            Some((root, path)) => options.base_url(Some(root)).parse(&format!("./{path}"))?,
            None => options.parse(href)?,
        };
        if is_http(&url) && !(url.username().is_empty() && url.password().is_none()) {
            links.logins.push(url.clone());
        }
        let part = url.fragment().filter(|_| self.rules.fragments).and_then(part_of).map(str::to_owned);
        let url = self.rules.canonical.of(url);
        if let Some(part) = part {
            links.parts_wanted.push((url.clone(), part));
        }
        Ok(url)
    }
}

/// The path of a link that begins with one slash.
fn rooted(href: &str) -> Option<&str> {
    let path = href.trim_matches(|c| c <= ' ').strip_prefix('/');
    path.filter(|path| !path.starts_with('/'))
}

/// A query in the page's encoding; a character that it lacks is a number, as in a form (WHATWG URL,
/// "percent-encode after encoding").
fn encoded<'a>(query: &'a str, encoding: &'static Encoding) -> Cow<'a, [u8]> {
    let (bytes, _, has_unmappable) = encoding.encode(query);
    // The shifts of this encoding span characters, so they cannot be encoded one by one.
    if !has_unmappable || encoding == ISO_2022_JP {
        return bytes;
    }
    let mut out = Vec::new();
    for (at, c) in query.char_indices() {
        let (bytes, _, is_unmappable) = encoding.encode(&query[at..at + c.len_utf8()]);
        match is_unmappable {
            true => out.extend(format!("%26%23{}%3B", u32::from(c)).into_bytes()),
            false => out.extend_from_slice(&bytes),
        }
    }
    out.into()
}

/// True if a scheme is one edit away from `http` or `https`.
pub(super) fn is_typo(scheme: &str) -> bool {
    ["http", "https"].iter().any(|meant| {
        let (a, b) = (scheme.as_bytes(), meant.as_bytes());
        let front = a.iter().zip(b).take_while(|(a, b)| a == b).count();
        let back = a[front..].iter().rev().zip(b[front..].iter().rev()).take_while(|(a, b)| a == b).count();
        let (a, b) = (&a[front..a.len() - back], &b[front..b.len() - back]);
        // One letter inserted, missing or replaced, or two neighbours swapped.
        a.len().max(b.len()) == 1 || (a.len() == 2 && b.len() == 2 && a[0] == b[1] && a[1] == b[0])
    })
}

/// The text of a link on one line, cut after [`TEXT`] characters. A password in a URL is hidden, as
/// everywhere.
fn clipped(text: &str) -> String {
    let mut out = String::new();
    for word in text.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        match word.contains('@') {
            true => out.push_str(&without_login(word)),
            false => out.push_str(word),
        }
        if out.len() > 4 * TEXT {
            break;
        }
    }
    match out.char_indices().nth(TEXT) {
        Some((end, _)) => format!("{}…", &out[..end]),
        None => out,
    }
}

#[cfg(test)]
#[path = "html_tests.rs"]
mod tests;

//! The links of a page, each once and in one spelling.
//!
//! Only the tokens are looked at, as a browser's tokenizer makes them, not the tree: for links that is the
//! same but for pages whose tree a browser would mend by moving them, and takes a fraction of the time.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashSet;

use encoding_rs::{Encoding, UTF_8};
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer};
use url::Url;

use super::canonical::{Canonical, is_file, is_http};
use super::credentials::without_login;
use super::css::{self, Named};
use super::fragments::{hash, part_of};

/// Characters of a link's text that are kept.
const TEXT: usize = 80;

/// What a page leads to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Links {
    /// Each URL once, in the order of the page.
    pub(super) found: Vec<Found>,
    /// `mailto:`, `javascript:` and the like.
    pub(super) not_http: Vec<String>,
    /// What is written there is no URL at all.
    pub(super) broken: Vec<String>,
    /// URLs with a user and a password in them.
    pub(super) logins: Vec<Url>,
    /// Links to parts of pages, if they were asked for: the URL and the part.
    pub(super) parts_wanted: Vec<(Url, String)>,
    /// The parts of this page, sorted.
    pub(super) parts: Vec<u64>,
}

/// One link.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    pub(super) url: Url,
    pub(super) text: String,
    pub(super) kind: Kind,
}

/// What is at the other end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// A page, or whatever else stands for itself.
    Page,
    /// A picture, a script: part of the page, and with no links of its own.
    Asset,
    /// A style sheet: part of the page, and it names others.
    Sheet,
}

impl Links {
    /// Reads the page that came from `page`.
    pub(super) fn of(html: &str, page: &Url, encoding: &'static Encoding, rules: &Reading<'_>) -> Self {
        let state = State { parts: rules.fragments.then(Vec::new), ..State::default() };
        let reader = Reader { state: RefCell::new(state) };
        let tokenizer = Tokenizer::new(reader, Default::default());
        let input = BufferQueue::default();
        input.push_back(StrTendril::from_slice(html));
        // It stops at each script, for somebody who would run it.
        while !input.is_empty() {
            let _ = tokenizer.feed(&input);
        }
        tokenizer.end();
        let state = tokenizer.sink.state.into_inner();
        let base = state.base.as_deref().map(str::trim).and_then(|href| match rules.root.zip(rooted(href)) {
            Some((root, path)) => root.join(&format!("./{path}")).ok(),
            None => page.join(href).ok(),
        });
        // As the standard has it: nothing can be said relative to those.
        let base = base.filter(|base| !matches!(base.scheme(), "data" | "javascript"));
        let resolver = Resolver { base: base.as_ref().unwrap_or(page), encoding, rules };
        let mut links = resolver.resolve_all(state.raw);
        links.parts = state.parts.unwrap_or_default();
        links.parts.sort_unstable();
        links.parts.dedup();
        links
    }

    /// Reads the style sheet that came from `sheet`.
    pub(super) fn of_sheet(css: &str, sheet: &Url, rules: &Reading<'_>) -> Self {
        let mut state = State::default();
        state.add_css(css);
        Resolver { base: sheet, encoding: UTF_8, rules }.resolve_all(state.raw)
    }
}

/// How a page is read.
pub(super) struct Reading<'a> {
    pub(super) canonical: &'a Canonical,
    /// Whether its parts, and links to parts, are wanted.
    pub(super) fragments: bool,
    /// Whether the page is a file, so that it may link to others. A page from a server has no business with
    /// them.
    pub(super) files: bool,
    /// Where a link that begins with a slash starts, if not at the host.
    pub(super) root: Option<&'a Url>,
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
            match self.resolve(href.trim(), &mut links) {
                Ok(url) if !seen.insert((url.to_string(), kind)) => {}
                Ok(url) if is_http(&url) || (self.rules.files && is_file(&url)) => {
                    links.found.push(Found { url, text: clipped(&text), kind });
                }
                Ok(url) if is_typo(url.scheme()) => links.broken.push(without_login(&href)),
                // Data is there as soon as the page is.
                Ok(url) if kind != Kind::Page && url.scheme() == "data" => {}
                Ok(url) => links.not_http.push(without_login(url.as_str())),
                Err(_) if seen.insert((href.clone(), kind)) => links.broken.push(without_login(&href)),
                Err(_) => {}
            }
        }
        links
    }

    /// A query is encoded as the page is; everything else is UTF-8.
    fn resolve(&self, href: &str, links: &mut Links) -> Result<Url, url::ParseError> {
        let encode: &dyn Fn(&str) -> Cow<'_, [u8]> = &|text| self.encoding.encode(text).0;
        let options = Url::options().base_url(Some(self.base));
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
    href.strip_prefix('/').filter(|path| !path.starts_with('/'))
}

/// True if a scheme is one slip of the hand from `http` or `https`.
fn is_typo(scheme: &str) -> bool {
    ["http", "https"].iter().any(|meant| {
        let (a, b) = (scheme.as_bytes(), meant.as_bytes());
        let front = a.iter().zip(b).take_while(|(a, b)| a == b).count();
        let back = a[front..].iter().rev().zip(b[front..].iter().rev()).take_while(|(a, b)| a == b).count();
        let (a, b) = (&a[front..a.len() - back], &b[front..b.len() - back]);
        // A letter too many, too few or wrong, or two that have changed places.
        a.len().max(b.len()) == 1 || (a.len() == 2 && b.len() == 2 && a[0] == b[1] && a[1] == b[0])
    })
}

/// A text in one line, not too long.
fn clipped(text: &str) -> String {
    let mut out = String::new();
    for word in text.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
        if out.len() > 4 * TEXT {
            break;
        }
    }
    match out.char_indices().nth(TEXT) {
        Some((end, _)) => format!("{}…", &out[..end]),
        None => out,
    }
}

/// A link as it is written.
#[derive(Debug)]
struct Raw {
    href: String,
    text: String,
    kind: Kind,
}

/// Collects links from tokens.
struct Reader {
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    base: Option<String>,
    raw: Vec<Raw>,
    /// The link whose text is being read.
    open: Option<usize>,
    /// The style sheet that is being read.
    style: Option<String>,
    /// The parts of the page, if they are wanted.
    parts: Option<Vec<u64>>,
}

impl TokenSink for Reader {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut state = self.state.borrow_mut();
        match token {
            Token::TagToken(tag) if tag.kind == TagKind::StartTag => {
                state.start(&tag);
                return raw_text(&tag);
            }
            Token::TagToken(tag) if &*tag.name == "a" => state.open = None,
            Token::TagToken(tag) if &*tag.name == "style" => {
                let css = state.style.take().unwrap_or_default();
                state.add_css(&css);
            }
            Token::CharacterTokens(text) => state.say(&text),
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

impl State {
    fn start(&mut self, tag: &Tag) {
        let of = |name: &str| attribute(tag, name);
        if let Some(parts) = &mut self.parts {
            let name = of("name").filter(|_| &*tag.name == "a");
            parts.extend(of("id").iter().chain(&name).map(|part| hash(part.as_bytes())));
        }
        match &*tag.name {
            "base" if self.base.is_none() => self.base = of("href"),
            "a" => self.open = of("href").map(|href| self.push(href, String::new(), Kind::Page)),
            "area" => self.add(of("href"), of("alt"), Kind::Page),
            "iframe" | "frame" => self.add(of("src"), of("title"), Kind::Page),
            "img" => {
                self.say(&of("alt").unwrap_or_default());
                self.add(of("src"), of("alt"), Kind::Asset);
            }
            "script" | "source" | "video" | "audio" | "embed" | "track" => {
                self.add(of("src"), None, Kind::Asset)
            }
            "input" if of("type").is_some_and(|of| of.eq_ignore_ascii_case("image")) => {
                self.add(of("src"), of("alt"), Kind::Asset);
            }
            "object" => self.add(of("data"), None, Kind::Asset),
            // Of a drawing. What begins with `#` is in the page itself.
            "image" | "use" | "feimage" => {
                let href = of("href").or_else(|| of("xlink:href"));
                self.add(href.filter(|href| !href.starts_with('#')), None, Kind::Asset);
            }
            "link" => {
                if let Some((kind, rel)) = relation(tag) {
                    self.add(of("href"), Some(format!("({rel})")), kind);
                }
            }
            "meta" => self.add(refresh(tag), Some("(refresh)".to_owned()), Kind::Page),
            "style" => self.style = Some(String::new()),
            _ => {}
        }
        self.parts(tag);
    }

    /// What several elements may be shown with.
    fn parts(&mut self, tag: &Tag) {
        let of = |name: &str| attribute(tag, name);
        if matches!(&*tag.name, "img" | "source") {
            for url in of("srcset").iter().flat_map(|set| sources(set)) {
                self.push(url.to_owned(), String::new(), Kind::Asset);
            }
        }
        self.add(of("poster").filter(|_| &*tag.name == "video"), None, Kind::Asset);
        let has_background = matches!(&*tag.name, "body" | "table" | "td" | "th");
        self.add(of("background").filter(|_| has_background), None, Kind::Asset);
        if let Some(css) = of("style") {
            self.add_css(&css);
        }
    }

    fn add_css(&mut self, css: &str) {
        for Named { url, is_sheet } in css::urls(css).into_iter().filter(|named| !named.url.starts_with('#'))
        {
            self.push(url, "(css)".to_owned(), if is_sheet { Kind::Sheet } else { Kind::Asset });
        }
    }

    fn add(&mut self, href: Option<String>, text: Option<String>, kind: Kind) {
        if let Some(href) = href {
            self.push(href, text.unwrap_or_default(), kind);
        }
    }

    fn push(&mut self, href: String, text: String, kind: Kind) -> usize {
        self.raw.push(Raw { href, text, kind });
        self.raw.len() - 1
    }

    fn say(&mut self, text: &str) {
        if let Some(style) = &mut self.style {
            style.push_str(text);
        }
        if let Some(open) = self.open
            && self.raw[open].text.len() < 4 * TEXT
        {
            self.raw[open].text.push_str(text);
        }
    }
}

/// What follows some start tags is not markup.
fn raw_text(tag: &Tag) -> TokenSinkResult<()> {
    match &*tag.name {
        _ if tag.self_closing => TokenSinkResult::Continue,
        "script" => TokenSinkResult::RawData(RawKind::ScriptData),
        "style" | "xmp" | "iframe" | "noembed" | "noframes" => TokenSinkResult::RawData(RawKind::Rawtext),
        "textarea" | "title" => TokenSinkResult::RawData(RawKind::Rcdata),
        "plaintext" => TokenSinkResult::Plaintext,
        _ => TokenSinkResult::Continue,
    }
}

fn attribute(tag: &Tag, name: &str) -> Option<String> {
    tag.attrs.iter().find(|attribute| &*attribute.name.local == name).map(|found| found.value.to_string())
}

/// The URLs in a `srcset`, as the standard splits it: a comma ends a candidate only at its end, or after its
/// width.
fn sources(set: &str) -> Vec<&str> {
    let mut rest = set;
    let mut urls = Vec::new();
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == ',');
        let end = rest.find(|c: char| c.is_ascii_whitespace()).unwrap_or(rest.len());
        if end == 0 {
            return urls;
        }
        let (url, after) = rest.split_at(end);
        let bare = url.trim_end_matches(',');
        urls.push(bare);
        rest = match bare.len() < url.len() {
            true => after,
            false => after.split_once(',').map_or("", |(_, rest)| rest),
        };
    }
}

/// What a `<link>` leads to, and in which relation; `None` if it is no more than a hint.
fn relation(tag: &Tag) -> Option<(Kind, String)> {
    let rel = attribute(tag, "rel")?.to_ascii_lowercase();
    let kind_of = |word: &str| match word {
        "stylesheet" => Some(Kind::Sheet),
        "icon" | "apple-touch-icon" | "mask-icon" | "manifest" | "modulepreload" | "preload" => {
            Some(Kind::Asset)
        }
        "canonical" | "next" | "prev" | "previous" | "first" | "last" | "up" | "start" | "contents"
        | "index" | "alternate" | "license" | "search" | "author" | "help" | "shortlink" | "amphtml"
        | "privacy-policy" | "terms-of-service" => Some(Kind::Page),
        _ => None,
    };
    let kinds = rel.split_ascii_whitespace().filter_map(|word| Some((kind_of(word)?, word)));
    // Of an alternate style sheet the sheet is what it is.
    let (kind, word) = kinds.max_by_key(|(kind, _)| *kind == Kind::Sheet)?;
    Some((kind, word.to_owned()))
}

/// Where a page sends its reader by itself.
fn refresh(tag: &Tag) -> Option<String> {
    attribute(tag, "http-equiv").filter(|name| name.eq_ignore_ascii_case("refresh"))?;
    refresh_target(&attribute(tag, "content")?)
}

/// The URL in a refresh, in an element or in a header.
pub(super) fn refresh_target(content: &str) -> Option<String> {
    let (_, rest) = content.split_once([';', ','])?;
    let rest = rest.trim();
    let url = match rest.get(..3).filter(|word| word.eq_ignore_ascii_case("url")) {
        Some(_) => rest[3..].trim_start().strip_prefix('=')?.trim(),
        None => rest,
    };
    Some(url.trim_matches(['"', '\'']).to_owned())
}

#[cfg(test)]
#[path = "html_tests.rs"]
mod tests;

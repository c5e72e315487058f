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

use super::canonical::{Canonical, is_http};
use super::credentials::without_login;

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
}

/// One link.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    pub(super) url: Url,
    pub(super) text: String,
    /// A picture, a script, a style sheet: part of the page, and with no links of its own.
    pub(super) is_asset: bool,
}

impl Links {
    /// Reads the page that came from `page`.
    pub(super) fn of(html: &str, page: &Url, encoding: &'static Encoding, canonical: &Canonical) -> Self {
        let reader = Reader::default();
        let tokenizer = Tokenizer::new(reader, Default::default());
        let input = BufferQueue::default();
        input.push_back(StrTendril::from_slice(html));
        // It stops at each script, for somebody who would run it.
        while !input.is_empty() {
            let _ = tokenizer.feed(&input);
        }
        tokenizer.end();
        let state = tokenizer.sink.state.into_inner();
        let base = state.base.as_deref().and_then(|href| page.join(href.trim()).ok());
        let resolver = Resolver { base: base.as_ref().unwrap_or(page), encoding, canonical };
        resolver.resolve_all(state.raw)
    }
}

struct Resolver<'a> {
    base: &'a Url,
    encoding: &'static Encoding,
    canonical: &'a Canonical,
}

impl Resolver<'_> {
    fn resolve_all(&self, raw: Vec<Raw>) -> Links {
        let mut seen: HashSet<(String, bool)> = HashSet::new();
        let mut links = Links::default();
        for Raw { href, text, is_asset } in raw {
            match self.resolve(href.trim(), &mut links.logins) {
                Ok(url) if !seen.insert((url.to_string(), is_asset)) => {}
                Ok(url) if is_http(&url) => {
                    links.found.push(Found { url, text: clipped(&text), is_asset });
                }
                Ok(url) => links.not_http.push(without_login(url.as_str())),
                Err(_) if seen.insert((href.clone(), is_asset)) => links.broken.push(without_login(&href)),
                Err(_) => {}
            }
        }
        links
    }

    /// A query is encoded as the page is; everything else is UTF-8.
    fn resolve(&self, href: &str, logins: &mut Vec<Url>) -> Result<Url, url::ParseError> {
        let encode: &dyn Fn(&str) -> Cow<'_, [u8]> = &|text| self.encoding.encode(text).0;
        let options = Url::options().base_url(Some(self.base));
        let options = if self.encoding == UTF_8 { options } else { options.encoding_override(Some(encode)) };
        let url = options.parse(href)?;
        if is_http(&url) && !(url.username().is_empty() && url.password().is_none()) {
            logins.push(url.clone());
        }
        Ok(self.canonical.of(url))
    }
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
    is_asset: bool,
}

/// Collects links from tokens.
#[derive(Default)]
struct Reader {
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    base: Option<String>,
    raw: Vec<Raw>,
    /// The link whose text is being read.
    open: Option<usize>,
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
            Token::CharacterTokens(text) => state.say(&text),
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

impl State {
    fn start(&mut self, tag: &Tag) {
        let of = |name: &str| attribute(tag, name);
        match &*tag.name {
            "base" if self.base.is_none() => self.base = of("href"),
            "a" => {
                self.open = of("href").map(|href| self.push(href, String::new(), false));
            }
            "area" => self.add(of("href"), of("alt"), false),
            "iframe" | "frame" => self.add(of("src"), of("title"), false),
            "img" => {
                self.say(&of("alt").unwrap_or_default());
                self.add(of("src"), of("alt"), true);
            }
            "script" | "source" | "video" | "audio" | "embed" => self.add(of("src"), None, true),
            "link" => self.add(of("href").filter(|_| is_part(tag)), None, true),
            "meta" => self.add(refresh(tag), Some("(refresh)".to_owned()), false),
            _ => {}
        }
    }

    fn add(&mut self, href: Option<String>, text: Option<String>, is_asset: bool) {
        if let Some(href) = href {
            self.push(href, text.unwrap_or_default(), is_asset);
        }
    }

    fn push(&mut self, href: String, text: String, is_asset: bool) -> usize {
        self.raw.push(Raw { href, text, is_asset });
        self.raw.len() - 1
    }

    fn say(&mut self, text: &str) {
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

/// Whether a `<link>` names something that the page is shown with.
fn is_part(tag: &Tag) -> bool {
    let rel = attribute(tag, "rel").unwrap_or_default().to_ascii_lowercase();
    rel.split_whitespace().any(|word| matches!(word, "stylesheet" | "icon" | "manifest" | "modulepreload"))
}

/// Where a page sends its reader by itself.
fn refresh(tag: &Tag) -> Option<String> {
    attribute(tag, "http-equiv").filter(|name| name.eq_ignore_ascii_case("refresh"))?;
    let content = attribute(tag, "content")?;
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

//! The links of a page as they are written, element by element (WHATWG HTML).
//!
//! The tokenizer is a browser's; the tree is not built, which takes a fraction of the time. Links are the
//! same except on pages whose markup a browser repairs by moving elements. What the tree would decide and
//! links depend on is tracked here: templates, drawings, and which start tags are followed by text.

use std::cell::RefCell;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer};

use super::attributes::{refresh, relation, sources};
use super::css::{self, Named};
use super::fragments::hash;
use super::html::{Kind, TEXT};

/// Attributes of a drawing whose value is CSS and may name a file.
const PAINTED: [&str; 10] = [
    "fill",
    "stroke",
    "filter",
    "clip-path",
    "mask",
    "marker",
    "marker-start",
    "marker-mid",
    "marker-end",
    "cursor",
];

/// Bytes of a page that are copied for the tokenizer at a time.
const PIECE: usize = 32 << 10;

/// A link as it is written.
#[derive(Debug)]
pub(super) struct Raw {
    pub(super) href: String,
    pub(super) text: String,
    pub(super) kind: Kind,
}

/// What is written on a page.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// The first `<base>` with an `href`.
    pub(super) base: Option<String>,
    pub(super) raw: Vec<Raw>,
    /// Documents in `srcdoc` attributes.
    pub(super) frames: Vec<String>,
    /// Hashes of the page's parts, sorted; empty unless they were asked for.
    pub(super) parts: Vec<u64>,
}

impl Read {
    /// Reads a page, which is XHTML if `is_xml`, and its parts if `fragments`.
    pub(super) fn of(html: &str, is_xml: bool, fragments: bool) -> Self {
        let state = State { is_xml, fragments, ..State::default() };
        let tokenizer = Tokenizer::new(Reader { state: RefCell::new(state) }, Default::default());
        let input = BufferQueue::default();
        // In pieces, since the tokenizer is fed a copy.
        for piece in pieces(html) {
            input.push_back(StrTendril::from_slice(piece));
            // It returns after each script, so that a browser could run it.
            while !input.is_empty() {
                let _ = tokenizer.feed(&input);
            }
        }
        tokenizer.end();
        let mut state = tokenizer.sink.state.into_inner();
        // The end of the page ends the element, too.
        state.end("style");
        let mut read = state.read;
        read.parts.sort_unstable();
        read.parts.dedup();
        read
    }
}

/// Collects links from tokens.
struct Reader {
    state: RefCell<State>,
}

/// What has been read, and where the reader stands.
#[derive(Default)]
pub(super) struct State {
    read: Read,
    is_xml: bool,
    fragments: bool,
    /// The link whose text is being read.
    open: Option<usize>,
    /// The style sheet that is being read.
    style: Option<String>,
    /// How many `<svg>` are open.
    drawings: usize,
    /// The open elements whose contents are not part of the page, by name.
    inert: Vec<&'static str>,
}

impl TokenSink for Reader {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut state = self.state.borrow_mut();
        match token {
            Token::TagToken(tag) if tag.kind == TagKind::StartTag => {
                state.start(&tag);
                return state.raw_text(&tag);
            }
            Token::TagToken(tag) => state.end(&tag.name),
            Token::CharacterTokens(text) => state.say(&text),
            _ => {}
        }
        TokenSinkResult::Continue
    }

    fn adjusted_current_node_present_but_not_in_html_namespace(&self) -> bool {
        self.state.borrow().is_foreign()
    }
}

impl State {
    /// Whether XML's rules hold: `/>` closes, CDATA is text, and no element has raw text.
    fn is_foreign(&self) -> bool {
        self.is_xml || self.drawings > 0
    }

    fn start(&mut self, tag: &Tag) {
        let was_inert = !self.inert.is_empty();
        self.inert.extend(self.inert_name(tag));
        if was_inert {
            return;
        }
        self.add_parts(tag);
        self.add_links(tag);
        self.add_images(tag);
        self.add_styles(tag);
        if &*tag.name == "svg" && !tag.self_closing {
            self.drawings += 1;
        }
    }

    /// The name of an element whose contents are not part of the page, unless they are raw text, which the
    /// tokenizer sees to. A template that is a shadow tree is shown.
    fn inert_name(&self, tag: &Tag) -> Option<&'static str> {
        let is_foreign = self.is_foreign();
        match &*tag.name {
            _ if is_foreign && tag.self_closing => None,
            "template" if attribute(tag, "shadowrootmode").is_some() && self.inert.is_empty() => None,
            "template" => Some("template"),
            "script" if is_foreign => Some("script"),
            "iframe" if self.is_xml => Some("iframe"),
            "noscript" if self.is_xml => Some("noscript"),
            _ => None,
        }
    }

    fn end(&mut self, name: &str) {
        if self.inert.last().is_some_and(|inert| *inert == name) {
            self.inert.pop();
            return;
        }
        match name {
            _ if !self.inert.is_empty() => {}
            "a" => self.open = None,
            "svg" => self.drawings = self.drawings.saturating_sub(1),
            "style" => {
                let css = self.style.take().unwrap_or_default();
                self.add_sheet(&css);
            }
            _ => {}
        }
    }

    fn add_parts(&mut self, tag: &Tag) {
        if self.fragments {
            let name = attribute(tag, "name").filter(|_| &*tag.name == "a");
            let parts = attribute(tag, "id").into_iter().chain(name).filter(|part| !part.is_empty());
            self.read.parts.extend(parts.map(|part| hash(part.as_bytes())));
        }
    }

    fn add_links(&mut self, tag: &Tag) {
        let of = |name: &str| attribute(tag, name);
        match &*tag.name {
            "base" if self.read.base.is_none() => self.read.base = of("href"),
            // An empty link is a link to the page, or to its base.
            "a" => {
                let href = of("href").or_else(|| of("xlink:href").filter(|_| self.drawings > 0));
                self.open = href.map(|href| self.push(href, String::new(), Kind::Page));
            }
            "area" => {
                if let Some(href) = of("href") {
                    self.push(href, of("alt").unwrap_or_default(), Kind::Page);
                }
            }
            "iframe" if of("srcdoc").is_some() => self.read.frames.extend(of("srcdoc")),
            "iframe" | "frame" => self.add(of("src"), of("title"), Kind::Page),
            "link" => {
                if let Some((kind, rel)) = relation(tag) {
                    self.add(of("href"), Some(format!("({rel})")), kind);
                }
                for url in of("imagesrcset").iter().flat_map(|set| sources(set)) {
                    self.push(url.to_owned(), String::new(), Kind::Asset);
                }
            }
            "meta" => self.add_meta(tag),
            "q" | "blockquote" | "ins" | "del" => self.add_source(of("cite"), "(cite)"),
            _ => {}
        }
        if matches!(&*tag.name, "img" | "iframe" | "frame") {
            self.add_source(of("longdesc"), "(longdesc)");
        }
    }

    /// Adds a URL that is often a sentence instead, which is then no link.
    fn add_source(&mut self, url: Option<String>, text: &str) {
        let url = url.filter(|url| !url.trim_ascii().contains(|c: char| c.is_ascii_whitespace()));
        self.add(url, Some(text.to_owned()), Kind::Page);
    }

    /// Adds where a page sends its reader, and what it is presented with elsewhere (Open Graph).
    fn add_meta(&mut self, tag: &Tag) {
        self.add(refresh(tag), Some("(refresh)".to_owned()), Kind::Page);
        let name = attribute(tag, "property").or_else(|| attribute(tag, "name")).unwrap_or_default();
        let (kind, name) = match name.to_ascii_lowercase().as_str() {
            "og:url" => (Kind::Page, "(og:url)"),
            "og:image" | "og:image:url" | "og:image:secure_url" => (Kind::Asset, "(og:image)"),
            "og:video" | "og:video:url" | "og:video:secure_url" => (Kind::Asset, "(og:video)"),
            "og:audio" | "og:audio:url" | "og:audio:secure_url" => (Kind::Asset, "(og:audio)"),
            "twitter:image" | "twitter:image:src" => (Kind::Asset, "(twitter:image)"),
            _ => return,
        };
        self.add(attribute(tag, "content"), Some(name.to_owned()), kind);
    }

    /// Adds what the page is shown with: images, films, scripts.
    fn add_images(&mut self, tag: &Tag) {
        let of = |name: &str| attribute(tag, name);
        match &*tag.name {
            "img" => {
                self.say(&of("alt").unwrap_or_default());
                self.add(of("src"), of("alt"), Kind::Asset);
            }
            // Of any other type it is data, and nothing is loaded.
            "script" if is_script(&of("type").unwrap_or_default()) => {
                self.add(of("src").or_else(|| self.drawn(tag)), None, Kind::Asset);
            }
            "source" | "video" | "audio" | "embed" | "track" => self.add(of("src"), None, Kind::Asset),
            "input" if of("type").is_some_and(|of| of.eq_ignore_ascii_case("image")) => {
                self.add(of("src"), of("alt"), Kind::Asset);
            }
            "object" => self.add(of("data"), None, Kind::Asset),
            // Outside of a drawing, the parser takes it for an `img`.
            "image" if self.drawings == 0 => self.add(of("src"), of("alt"), Kind::Asset),
            "image" | "use" | "feimage" => self.add(self.drawn(tag), None, Kind::Asset),
            _ => {}
        }
        if matches!(&*tag.name, "img" | "source") {
            for url in of("srcset").iter().flat_map(|set| sources(set)) {
                self.push(url.to_owned(), String::new(), Kind::Asset);
            }
        }
        self.add(of("poster").filter(|_| &*tag.name == "video"), None, Kind::Asset);
        let has_background =
            matches!(&*tag.name, "body" | "table" | "thead" | "tbody" | "tfoot" | "tr" | "td" | "th");
        self.add(of("background").filter(|_| has_background), None, Kind::Asset);
    }

    /// What an element of a drawing refers to, unless it is in the page itself.
    fn drawn(&self, tag: &Tag) -> Option<String> {
        let href = attribute(tag, "href").or_else(|| attribute(tag, "xlink:href"));
        href.filter(|href| self.drawings > 0 && !href.starts_with('#'))
    }

    fn add_styles(&mut self, tag: &Tag) {
        let is_css = attribute(tag, "type").is_none_or(|mime| is_css(&mime));
        if &*tag.name == "style" && is_css && !(self.is_foreign() && tag.self_closing) {
            self.style = Some(String::new());
        }
        if let Some(css) = attribute(tag, "style") {
            self.add_css(css::urls_of_declarations(&css));
        }
        if self.drawings > 0 {
            for css in PAINTED.iter().filter_map(|name| attribute(tag, name)) {
                self.add_css(css::urls_of_declarations(&css));
            }
        }
    }

    pub(super) fn add_sheet(&mut self, css: &str) {
        self.add_css(css::urls(css));
    }

    fn add_css(&mut self, named: Vec<Named>) {
        for Named { url, is_sheet } in named.into_iter().filter(|named| !named.url.starts_with('#')) {
            self.add(Some(url), Some("(css)".to_owned()), if is_sheet { Kind::Sheet } else { Kind::Asset });
        }
    }

    pub(super) fn into_raw(self) -> Vec<Raw> {
        self.read.raw
    }

    /// Adds a URL that loads nothing if it is empty.
    fn add(&mut self, href: Option<String>, text: Option<String>, kind: Kind) {
        if let Some(href) = href.filter(|href| !href.trim_ascii().is_empty()) {
            self.push(href, text.unwrap_or_default(), kind);
        }
    }

    fn push(&mut self, href: String, text: String, kind: Kind) -> usize {
        self.read.raw.push(Raw { href, text, kind });
        self.read.raw.len() - 1
    }

    fn say(&mut self, text: &str) {
        if !self.inert.is_empty() {
            return;
        }
        if let Some(style) = &mut self.style {
            style.push_str(text);
        }
        if let Some(open) = self.open
            && self.read.raw[open].text.len() < 4 * TEXT
        {
            self.read.raw[open].text.push_str(text);
        }
    }

    /// Switches the tokenizer where a start tag is followed by text rather than markup. A `/` before the `>`
    /// does not change that in HTML.
    fn raw_text(&self, tag: &Tag) -> TokenSinkResult<()> {
        match &*tag.name {
            _ if self.is_foreign() => TokenSinkResult::Continue,
            "script" => TokenSinkResult::RawData(RawKind::ScriptData),
            "style" | "xmp" | "iframe" | "noembed" | "noframes" => TokenSinkResult::RawData(RawKind::Rawtext),
            "textarea" | "title" => TokenSinkResult::RawData(RawKind::Rcdata),
            "plaintext" => TokenSinkResult::Plaintext,
            _ => TokenSinkResult::Continue,
        }
    }
}

/// Whether a script of this type is run (HTML 4.12.1.1): one of JavaScript, or a module.
fn is_script(mime: &str) -> bool {
    let mime = mime.trim_ascii().to_ascii_lowercase();
    let names = ["javascript", "ecmascript", "jscript", "livescript"];
    mime.is_empty() || mime == "module" || names.iter().any(|name| mime.contains(name))
}

/// Whether a style of this type is CSS.
pub(super) fn is_css(mime: &str) -> bool {
    let mime = mime.split(';').next().unwrap_or_default().trim_ascii();
    mime.is_empty() || mime.eq_ignore_ascii_case("text/css")
}

pub(super) fn attribute(tag: &Tag, name: &str) -> Option<String> {
    tag.attrs.iter().find(|attribute| &*attribute.name.local == name).map(|found| found.value.to_string())
}

/// A text in pieces of at most [`PIECE`] bytes.
fn pieces(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let mut end = text.len().min(PIECE);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let (piece, rest) = text.split_at(end);
        text = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

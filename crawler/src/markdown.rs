//! Markdown as HTML, with the links and the anchors that it has where it is shown.
//!
//! The HTML is read by the same code as any page, so elements of HTML inside the Markdown count too. Two
//! things that GitHub adds to the standard are added here: an `id` for each heading, and links for bare
//! URLs.

use std::collections::HashMap;

use pulldown_cmark::{CowStr, Event, LinkType, Options, Parser, Tag, TagEnd, TextMergeStream, html};
use regex::Regex;
use selvedge::sync::lazy_static;

/// True if a media type is that of Markdown.
pub(super) fn is_markdown(mime: &str) -> bool {
    mime.eq_ignore_ascii_case("text/markdown") || mime.eq_ignore_ascii_case("text/x-markdown")
}

/// Renders a page of Markdown.
pub(super) fn to_html(markdown: &str) -> String {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_HEADING_ATTRIBUTES
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS
        | Options::ENABLE_PLUSES_DELIMITED_METADATA_BLOCKS
        | Options::ENABLE_GFM;
    let mut events: Vec<Event<'_>> = Vec::new();
    let mut slugs = Slugs::default();
    // The heading that is being read, and its text; links and code that are open, in which a URL is no link.
    let (mut heading, mut text, mut literal) = (None, String::new(), 0_usize);
    for event in TextMergeStream::new(Parser::new_ext(markdown, options)) {
        match &event {
            Event::Start(Tag::Heading { .. }) => {
                heading = Some(events.len());
                text.clear();
            }
            Event::End(TagEnd::Heading(_)) => {
                if let Some(Event::Start(Tag::Heading { id, .. })) =
                    heading.take().and_then(|at| events.get_mut(at))
                {
                    // An id that is written there counts, and takes the place of the heading's own.
                    id.get_or_insert_with(|| slugs.of(&text).into());
                }
            }
            Event::Start(Tag::Link { .. } | Tag::Image { .. } | Tag::CodeBlock(_)) => literal += 1,
            Event::End(TagEnd::Link | TagEnd::Image | TagEnd::CodeBlock) => literal -= 1,
            Event::Text(piece) | Event::Code(piece) if heading.is_some() => text.push_str(piece),
            _ => {}
        }
        match event {
            Event::Text(piece) if literal == 0 => push_linked(&mut events, piece),
            other => events.push(other),
        }
    }
    let mut out = String::with_capacity(markdown.len() * 3 / 2);
    html::push_html(&mut out, events.into_iter());
    out
}

/// Pushes a text with a link in the place of each bare URL in it, by the rules of GitHub's flavour.
fn push_linked<'a>(events: &mut Vec<Event<'a>>, text: CowStr<'a>) {
    lazy_static! {
        static ref URL: Regex = Regex::new(r"(?i)(?:https?://|www\.)[^\s<]+").expect("a fixed pattern");
    }
    if !text.contains("://") && !text.contains("www.") {
        events.push(Event::Text(text));
        return;
    }
    let mut from = 0;
    for found in URL.find_iter(&text) {
        let before = text[..found.start()].chars().next_back();
        if before.is_some_and(|c| !(c.is_whitespace() || "*_~(\"'".contains(c))) {
            continue;
        }
        let url = without_trailing(found.as_str());
        let to = if url.get(..4).is_some_and(|www| www.eq_ignore_ascii_case("www.")) {
            format!("http://{url}")
        } else {
            url.to_owned()
        };
        events.push(Event::Text(text[from..found.start()].to_owned().into()));
        events.push(Event::Start(Tag::Link {
            link_type: LinkType::Autolink,
            dest_url: to.into(),
            title: "".into(),
            id: "".into(),
        }));
        events.push(Event::Text(url.to_owned().into()));
        events.push(Event::End(TagEnd::Link));
        from = found.start() + url.len();
    }
    events.push(Event::Text(text[from..].to_owned().into()));
}

/// A URL without the punctuation that ends its sentence, and without a parenthesis that was opened before it.
fn without_trailing(mut url: &str) -> &str {
    loop {
        let is_unbalanced = || url.matches(')').count() > url.matches('(').count();
        match url.chars().next_back() {
            Some('?' | '!' | '.' | ',' | ':' | ';' | '*' | '_' | '~' | '\'' | '"') => {
                url = &url[..url.len() - 1];
            }
            Some(')') if is_unbalanced() => url = &url[..url.len() - 1],
            _ => return url,
        }
    }
}

/// The anchors that headings have been given on one page.
#[derive(Default)]
struct Slugs {
    /// How often each has been asked for.
    given: HashMap<String, usize>,
}

impl Slugs {
    /// The anchor of a heading, as GitHub makes it: lower case, without punctuation, a dash for each space,
    /// and a number behind one that is taken.
    fn of(&mut self, text: &str) -> String {
        lazy_static! {
            static ref DROPPED: Regex =
                Regex::new(r"[^\p{Alphabetic}\p{M}\p{Nd}\p{Nl}\p{Pc}\- ]").expect("a fixed pattern");
        }
        let slug = DROPPED.replace_all(text.trim(), "").to_lowercase().replace(' ', "-");
        let mut unique = slug.clone();
        while self.given.contains_key(&unique) {
            let count = self.given.entry(slug.clone()).or_default();
            *count += 1;
            unique = format!("{slug}-{count}");
        }
        self.given.insert(unique.clone(), 0);
        unique
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_have_the_anchors_that_github_gives_them() {
        let mut slugs = Slugs::default();
        for (heading, slug) in [
            ("What's new in 1.2?", "whats-new-in-12"),
            ("A `code` & more", "a-code--more"),
            ("Über Straße", "über-straße"),
            ("snake_case-and dash", "snake_case-and-dash"),
            ("Same", "same"),
            ("Same", "same-1"),
            ("same", "same-2"),
            ("Same 1", "same-1-1"),
            ("日本語 text", "日本語-text"),
            ("🎉 Party", "-party"),
        ] {
            assert_eq!(slugs.of(&heading.replace('`', "")), slug, "{heading}");
        }
    }

    #[test]
    fn a_heading_with_markup_or_an_id_of_its_own_has_one_anchor() {
        let html = to_html("# A *b* `c` [d](e)\n\n## F {#own}\n\n## F\n");
        assert!(html.contains("<h1 id=\"a-b-c-d\">"), "{html}");
        assert!(html.contains("<h2 id=\"own\">") && html.contains("<h2 id=\"f\">"), "{html}");
    }

    #[test]
    fn bare_urls_are_links_without_the_punctuation_around_them() {
        let html = to_html(
            "See https://a.test/x_y (or www.b.test/c(d)), and `https://no.test` xhttps://no.test. https://e.test.",
        );
        for url in ["https://a.test/x_y\"", "http://www.b.test/c(d)\"", "https://e.test\""] {
            assert!(html.contains(&format!("href=\"{url}")), "{url}: {html}");
        }
        assert!(!html.contains("href=\"https://no.test"), "{html}");
    }

    #[test]
    fn front_matter_is_no_heading_and_code_has_no_links() {
        let html = to_html("---\ntitle: x\n---\n\n```\n[a](b) https://no.test\n```\n<a name=here></a>\n");
        assert!(!html.contains("<h2") && !html.contains("href") && html.contains("name=here"), "{html}");
    }
}

//! Attributes and headers that hold more than one URL, or more than a URL.

use html5ever::tokenizer::Tag;

use super::elements::{attribute, is_css};
use super::html::Kind;

/// The URLs in a `srcset` (HTML 4.8.4.2.1). A comma belongs to a URL unless it ends it, and to a descriptor
/// if it is in parentheses.
pub(super) fn sources(set: &str) -> Vec<&str> {
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
        rest = if bare.len() < url.len() { after } else { after_descriptors(after) };
    }
}

/// What follows the comma that ends a candidate's descriptors.
fn after_descriptors(text: &str) -> &str {
    let mut is_inside = false;
    for (at, c) in text.char_indices() {
        match c {
            '(' => is_inside = true,
            ')' => is_inside = false,
            ',' if !is_inside => return &text[at + 1..],
            _ => {}
        }
    }
    ""
}

/// What a `<link>` leads to, and its relation; `None` if the relation is a hint that loads nothing.
pub(super) fn relation(tag: &Tag) -> Option<(Kind, String)> {
    let (kind, word) = relation_kind(&attribute(tag, "rel")?)?;
    // A sheet in another language is not loaded.
    let is_loaded = kind != Kind::Sheet || attribute(tag, "type").is_none_or(|mime| is_css(&mime));
    is_loaded.then_some((kind, word))
}

/// What a list of relations leads to, and the relation that says so.
pub(super) fn relation_kind(rel: &str) -> Option<(Kind, String)> {
    let rel = rel.to_ascii_lowercase();
    let kind_of = |word: &str| match word {
        "stylesheet" => Some(Kind::Sheet),
        "icon"
        | "apple-touch-icon"
        | "apple-touch-icon-precomposed"
        | "mask-icon"
        | "manifest"
        | "modulepreload"
        | "preload"
        | "prefetch" => Some(Kind::Asset),
        "canonical" | "next" | "prev" | "previous" | "first" | "last" | "up" | "start" | "contents"
        | "index" | "alternate" | "license" | "search" | "author" | "help" | "me" | "shortlink"
        | "amphtml" | "privacy-policy" | "terms-of-service" => Some(Kind::Page),
        _ => None,
    };
    let kinds = rel.split_ascii_whitespace().filter_map(|word| Some((kind_of(word)?, word)));
    // An alternate style sheet is a style sheet, and an alternate icon an icon.
    let (kind, word) = kinds.max_by_key(|(kind, _)| match kind {
        Kind::Page => 0,
        Kind::Asset => 1,
        Kind::Sheet => 2,
    })?;
    Some((kind, word.to_owned()))
}

/// Where a page sends its reader.
pub(super) fn refresh(tag: &Tag) -> Option<String> {
    attribute(tag, "http-equiv").filter(|name| name.eq_ignore_ascii_case("refresh"))?;
    refresh_target(&attribute(tag, "content")?)
}

/// The URL in a refresh, which an element or a header holds (HTML, "shared declarative refresh steps");
/// `None` if there is none, which means the page itself.
pub(super) fn refresh_target(content: &str) -> Option<String> {
    let space = |c: char| c.is_ascii_whitespace();
    let time = content.trim_start_matches(space);
    // Without a time it is no refresh.
    let rest = time.trim_start_matches(|c: char| c.is_ascii_digit());
    let after = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let is_refresh = rest.len() < time.len() || rest.starts_with('.');
    let is_ended = after.is_empty() || after.starts_with(|c: char| matches!(c, ';' | ',') || space(c));
    if !is_refresh || !is_ended {
        return None;
    }
    let after = after.trim_start_matches(space);
    let url = after.strip_prefix([';', ',']).unwrap_or(after).trim_start_matches(space);
    // `url=` may be missing, and a URL may begin with these letters.
    let named = url.get(..3).filter(|word| word.eq_ignore_ascii_case("url"));
    let named = named.and_then(|_| url[3..].trim_start_matches(space).strip_prefix('='));
    let url = named.map_or(url, |value| value.trim_start_matches(space));
    let url = match url.chars().next() {
        Some(quote @ ('"' | '\'')) => url[1..].split(quote).next().unwrap_or_default(),
        _ => url,
    };
    (!url.trim_ascii().is_empty()).then(|| url.to_owned())
}

/// The targets of a `Link` header and their relations (RFC 8288 section 3). A link that is about another
/// resource than the one asked for (`anchor`) is left out.
pub(super) fn link_header(value: &str) -> Vec<(String, String)> {
    let mut links = Vec::new();
    let mut rest = value;
    while let Some((_, after)) = rest.split_once('<') {
        let Some((target, after)) = after.split_once('>') else { break };
        let (parameters, next) = split_unquoted(after, ',');
        rest = next;
        let (mut rel, mut is_ours, mut left) = (None, true, parameters);
        while !left.is_empty() {
            let (parameter, next) = split_unquoted(left, ';');
            left = next;
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match name.trim().to_ascii_lowercase().as_str() {
                // The first counts.
                "rel" if rel.is_none() => rel = Some(value.trim().trim_matches('"').to_owned()),
                "anchor" => is_ours = false,
                _ => {}
            }
        }
        links.extend(rel.filter(|_| is_ours).map(|rel| (target.to_owned(), rel)));
    }
    links
}

/// Splits a text at the first `separator` that is not in a quoted string.
fn split_unquoted(text: &str, separator: char) -> (&str, &str) {
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            c if c == separator && !is_quoted => return (&text[..at], &text[at + c.len_utf8()..]),
            _ => {}
        }
    }
    (text, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_header_is_split_at_commas_that_are_in_no_string_and_no_url() {
        let value = "</a,b>; rel=next; title=\"x, <y>; rel=up\", </c>;anchor=\"/d\";rel=prev,\
                     </e>; REL=\"canonical license\"; rel=help, </f>, <broken";
        let links = link_header(value);
        let of = |target: &str, rel: &str| (target.to_owned(), rel.to_owned());
        assert_eq!(links, [of("/a,b", "next"), of("/e", "canonical license")]);
    }

    #[test]
    fn a_refresh_without_a_time_or_a_url_leads_nowhere() {
        for content in ["", "url=/a", "x;url=/a", "5", "5;", "5; url=", "-1;url=/a", "5x;url=/a"] {
            assert_eq!(refresh_target(content), None, "{content:?}");
        }
        for content in ["5;/a", " .5 , URL = '/a' x", "5 url=\"/a\"", "5.1.2;url='/a"] {
            assert_eq!(refresh_target(content).as_deref(), Some("/a"), "{content:?}");
        }
        assert_eq!(refresh_target("0;url/a").as_deref(), Some("url/a"));
    }
}

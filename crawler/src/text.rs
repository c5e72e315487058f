//! The bytes of a page or a sheet as text, decoded as browsers do (HTML 13.2.3.2, CSS Syntax 3 section 3.2).

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252, X_USER_DEFINED};

/// How far into a page its own word on its encoding is looked for.
const PRESCAN: usize = 1024;

/// How far if the page is not UTF-8: a parser that comes to a late declaration begins again with it.
const LATE: usize = 64 << 10;

/// What a sheet that declares its encoding begins with.
const CHARSET: &[u8] = b"@charset \"";

/// The text of a page, and its encoding. In this order: the byte order mark, the header, the page's own
/// declaration, UTF-8 if the page is valid UTF-8, and windows-1252, which most of the old web is in. Bytes
/// that do not fit are replaced, and a label that is unknown counts as none.
pub(super) fn decode<'b>(body: &'b [u8], content_type: Option<&str>) -> (Cow<'b, str>, &'static Encoding) {
    let prescan = |body: &[u8]| {
        let within = |length: usize| declared(&body[..body.len().min(length)]);
        within(PRESCAN).or_else(|| std::str::from_utf8(body).err().and_then(|_| within(LATE)))
    };
    decode_with(body, content_type, prescan)
}

/// The text of a style sheet. Its declaration is an exact sequence of bytes.
pub(super) fn decode_sheet<'b>(body: &'b [u8], content_type: Option<&str>) -> Cow<'b, str> {
    let declared = |body: &[u8]| {
        let rest = body.strip_prefix(CHARSET)?;
        let label = &rest[..rest.windows(2).take(PRESCAN).position(|end| end == b"\";")?];
        Encoding::for_label(label).map(Encoding::output_encoding)
    };
    decode_with(body, content_type, declared).0
}

fn decode_with<'b>(
    body: &'b [u8],
    content_type: Option<&str>,
    declared: impl Fn(&[u8]) -> Option<&'static Encoding>,
) -> (Cow<'b, str>, &'static Encoding) {
    let named = || content_type.and_then(charset).or_else(|| declared(body));
    let encoding = match Encoding::for_bom(body) {
        Some((encoding, _)) => encoding,
        None => {
            named().unwrap_or_else(|| if std::str::from_utf8(body).is_ok() { UTF_8 } else { WINDOWS_1252 })
        }
    };
    let (text, encoding, _) = encoding.decode(body);
    (text, encoding)
}

/// The `charset` in a `Content-Type`, or in a text of that form.
fn charset(text: &str) -> Option<&'static Encoding> {
    let at = text.to_ascii_lowercase().find("charset")? + "charset".len();
    let label = text[at..].trim_start().strip_prefix('=')?.trim_start();
    let label = label.trim_start_matches(['"', '\'']);
    let end = label.find(['"', '\'', ';', ' ', '>', '/']).unwrap_or(label.len());
    Encoding::for_label(&label.as_bytes()[..end])
}

/// The encoding in the XML declaration or in a `<meta>` (HTML, "prescan a byte stream"). A declaration that
/// can be read as ASCII is not in UTF-16, whatever it says.
fn declared(head: &[u8]) -> Option<&'static Encoding> {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    if let Some(declaration) = head.strip_prefix("<?xml").and_then(|rest| rest.split_once("?>")) {
        let attributes = attributes(declaration.0);
        if let Some((_, label)) = attributes.iter().find(|(name, _)| name == "encoding") {
            return Encoding::for_label(label.as_bytes()).map(Encoding::output_encoding);
        }
    }
    let mut rest = &head[..];
    while let Some((_, tag)) = rest.split_once('<') {
        rest = match tag.strip_prefix("!--") {
            // The dashes that begin a comment may end it, as in `<!-->`.
            Some(_) => tag[1..].split_once("-->").map_or("", |(_, rest)| rest),
            None => tag,
        };
        let attributes_of_meta =
            tag.strip_prefix("meta").filter(|rest| rest.starts_with([' ', '\t', '\n', '\r', '/']));
        if let Some(encoding) = attributes_of_meta.and_then(|rest| of_meta(&attributes(rest))) {
            return Some(encoding);
        }
    }
    None
}

/// The encoding that a `<meta>` with these attributes declares: in its `charset`, or in its `content` if it
/// stands for the header.
fn of_meta(attributes: &[(String, String)]) -> Option<&'static Encoding> {
    let of = |name: &str| attributes.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
    let is_pragma = of("http-equiv") == Some("content-type");
    let encoding = match of("charset") {
        Some(label) => Encoding::for_label(label.as_bytes()),
        None => of("content").filter(|_| is_pragma).and_then(charset),
    }?;
    Some(if encoding == X_USER_DEFINED { WINDOWS_1252 } else { encoding.output_encoding() })
}

/// The attributes up to the end of a tag.
fn attributes(text: &str) -> Vec<(String, String)> {
    let is_gap = |c: char| c.is_ascii_whitespace() || c == '/';
    let mut attributes = Vec::new();
    let mut rest = text.trim_start_matches(is_gap);
    while !rest.is_empty() && !rest.starts_with('>') {
        // Whatever it is, the first character belongs to the name.
        let first = rest.chars().next().map_or(0, char::len_utf8);
        let end = rest[first..].find(|c: char| is_gap(c) || matches!(c, '=' | '>'));
        let (name, after) = rest.split_at(end.map_or(rest.len(), |at| first + at));
        rest = after.trim_start_matches(|c: char| c.is_ascii_whitespace());
        let mut value = "";
        if let Some(after) = rest.strip_prefix('=') {
            let after = after.trim_start_matches(|c: char| c.is_ascii_whitespace());
            (value, rest) = match after.chars().next() {
                Some(quote @ ('"' | '\'')) => after[1..].split_once(quote).unwrap_or((&after[1..], "")),
                _ => after.split_at(
                    after.find(|c: char| c.is_ascii_whitespace() || c == '>').unwrap_or(after.len()),
                ),
            };
        }
        attributes.push((name.to_owned(), value.to_owned()));
        rest = rest.trim_start_matches(is_gap);
    }
    attributes
}

/// What an HTML document without a type begins with (MIME Sniffing 7.1), in lower case.
const HTML: [&str; 17] = [
    "<!doctype html",
    "<html",
    "<head",
    "<script",
    "<iframe",
    "<h1",
    "<div",
    "<font",
    "<table",
    "<a",
    "<style",
    "<title",
    "<b",
    "<body",
    "<br",
    "<p",
    "<!--",
];

/// Whether the beginning of a body of no known type says that it is HTML.
pub(super) fn is_html(body: &[u8]) -> bool {
    let body = body.trim_ascii_start();
    let begins = |pattern: &str| {
        let length = pattern.len();
        let tag_ends = matches!(body.get(length), Some(b' ' | b'>'));
        body.get(..length).is_some_and(|begin| begin.eq_ignore_ascii_case(pattern.as_bytes()))
            && (tag_ends || pattern == "<!--")
    };
    HTML.iter().any(|pattern| begins(pattern))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_beats_the_page_and_a_mark_beats_both() {
        let page = b"<meta charset=utf-8>\xE9";
        assert_eq!(decode(page, Some("text/html; charset=iso-8859-1")).0, "<meta charset=utf-8>\u{e9}");
        assert_eq!(decode(page, Some("text/html")).0, "<meta charset=utf-8>\u{fffd}");
        assert_eq!(decode(b"\xEF\xBB\xBFa", Some("text/html; charset=utf-16")).0, "a");
    }

    #[test]
    fn a_label_that_is_unknown_counts_as_none() {
        assert_eq!(decode("é".as_bytes(), Some("text/html; charset=loom")).0, "é");
        assert_eq!(decode(b"\xE9", Some("text/html; charset=")).0, "é");
        assert_eq!(decode(b"\x82\xA0", Some("text/html; charset=\"Shift_JIS\"")).0, "あ");
    }

    #[test]
    fn a_page_that_says_so_in_ascii_is_not_in_utf_16() {
        assert_eq!(decode(b"<meta charset='utf-16'>a", None).0, "<meta charset='utf-16'>a");
    }

    #[test]
    fn only_a_meta_that_is_meant_so_declares_an_encoding() {
        for (head, expected) in [
            ("<meta charset=koi8-r>", Some("KOI8-R")),
            ("<META/CHARSET = 'KOI8-R' >", Some("KOI8-R")),
            ("<!--> <meta charset=koi8-r>", Some("KOI8-R")),
            ("<meta http-equiv=Content-Type content='text/html;charset=koi8-r'>", Some("KOI8-R")),
            ("<?xml version='1.0' encoding=\"koi8-r\"?>", Some("KOI8-R")),
            ("<!-- <meta charset=koi8-r> -->", None),
            ("<meta content='text/html;charset=koi8-r'>", None),
            ("<metal charset=koi8-r>", None),
            ("<meta charset", None),
            ("<meta charset=", None),
            ("<meta é=", None),
            ("<meta é<", None),
        ] {
            assert_eq!(declared(head.as_bytes()).map(Encoding::name), expected, "{head}");
        }
    }

    #[test]
    fn a_late_declaration_counts_where_the_page_is_not_utf_8() {
        let late = |text: &[u8]| [&[b' '; 3_000][..], b"<meta charset=koi8-r>", text].concat();
        assert_eq!(decode(&late(b"\xC1"), None).1.name(), "KOI8-R");
        assert_eq!(decode(&late("é".as_bytes()), None).1, UTF_8);
    }

    #[test]
    fn a_sheet_declares_its_encoding_in_exactly_one_way() {
        assert_eq!(decode_sheet(b"@charset \"koi8-r\";\xC1", None), "@charset \"koi8-r\";а");
        assert_eq!(decode_sheet(b"@CHARSET 'koi8-r';\xC1", None), "@CHARSET 'koi8-r';Á");
    }

    #[test]
    fn html_is_known_by_what_it_begins_with() {
        for html in ["<!DOCTYPE HTML>", " \n<html>", "<a href=x>", "<!--x", "<p>"] {
            assert!(is_html(html.as_bytes()), "{html}");
        }
        for other in ["", "<", "<address>", "text <p>", "<?xml?>", "\u{89}PNG"] {
            assert!(!is_html(other.as_bytes()), "{other}");
        }
    }
}

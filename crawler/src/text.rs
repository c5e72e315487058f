//! Bytes of a page to text, as browsers do it.

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

/// Where a page's own word on its encoding is looked for.
const PRESCAN: usize = 1024;

/// The text of a page, and its encoding: what it begins with (a byte order mark), what the header says, what
/// the page says, UTF-8 if it is that, and else what most of the old web is in. What does not fit is
/// replaced; a name that nobody knows counts as none.
pub(super) fn decode(body: &[u8], content_type: Option<&str>) -> (String, &'static Encoding) {
    let named = || content_type.and_then(charset).or_else(|| declared(&body[..body.len().min(PRESCAN)]));
    let encoding = match Encoding::for_bom(body) {
        Some((encoding, _)) => encoding,
        None => {
            named().unwrap_or_else(|| if std::str::from_utf8(body).is_ok() { UTF_8 } else { WINDOWS_1252 })
        }
    };
    let (text, encoding, _) = encoding.decode(body);
    (text.into_owned(), encoding)
}

/// The `charset` in a `Content-Type`, or in anything that looks like one.
fn charset(text: &str) -> Option<&'static Encoding> {
    let at = text.to_ascii_lowercase().find("charset")? + "charset".len();
    let label = text[at..].trim_start().strip_prefix('=')?.trim_start();
    let label = label.trim_start_matches(['"', '\'']);
    let end = label.find(['"', '\'', ';', ' ', '>', '/']).unwrap_or(label.len());
    Encoding::for_label(&label.as_bytes()[..end])
}

/// The encoding in the page's `<meta>`. A page that says it in ASCII is not in UTF-16, whatever it says.
fn declared(head: &[u8]) -> Option<&'static Encoding> {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let encoding = head.split("<meta").skip(1).find_map(|rest| charset(rest.split('>').next()?))?;
    Some(encoding.output_encoding())
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
    fn a_name_that_nobody_knows_counts_as_none() {
        assert_eq!(decode("é".as_bytes(), Some("text/html; charset=loom")).0, "é");
        assert_eq!(decode(b"\xE9", Some("text/html; charset=")).0, "é");
        assert_eq!(decode(b"\x82\xA0", Some("text/html; charset=\"Shift_JIS\"")).0, "あ");
    }

    #[test]
    fn a_page_that_says_so_in_ascii_is_not_in_utf_16() {
        assert_eq!(decode(b"<meta charset='utf-16'>a", None).0, "<meta charset='utf-16'>a");
    }
}

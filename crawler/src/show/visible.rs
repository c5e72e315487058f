//! Text of strangers, where it is shown.

use std::borrow::Cow;

/// A text in which characters that a terminal or a reader would obey are visible instead: control characters,
/// line ends, and marks that turn the direction of writing.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_obeyed) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match is_obeyed(c) {
            true => shown.extend(c.escape_unicode()),
            false => shown.push(c),
        }
    }
    shown.into()
}

/// True of a character that a terminal or a reader would obey.
pub(crate) fn is_obeyed(c: char) -> bool {
    // The last are line and paragraph separators, and what changes the direction of the text after them.
    c.is_control()
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}')
}

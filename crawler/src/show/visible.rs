//! Text that a site sent, made safe to show.

use std::borrow::Cow;

/// A text in which every character that a terminal or a reader would obey, or not see, is written as an
/// escape: control characters, line ends, marks that change the direction of writing, and characters without
/// a glyph.
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

/// True of a character that a terminal or a reader would obey, or not see.
pub(crate) fn is_obeyed(c: char) -> bool {
    c.is_control() || is_format(c)
}

/// Characters that change how others are shown and are not shown themselves: of the general category Cf, with
/// the separators of lines and paragraphs, fillers, and selectors in the tag planes.
fn is_format(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            // Zero-width characters and marks of direction.
            | '\u{200b}'..='\u{200f}'
            // Separators, embeddings and overrides.
            | '\u{2028}'..='\u{202e}'
            // Word joiner, invisible operators, isolates, shapes.
            | '\u{2060}'..='\u{206f}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

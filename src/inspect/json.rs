//! JSON by hand: a report and a trace are a few kinds of objects, and are only written.
//!
//! A dependency on `serde` would be the sixth of this crate, and for types that a program reads in one place.
//! Their fields are public, so a program that wants another format writes them itself.

use std::fmt::{self, Display, Write};
use std::time::Duration;

/// A string with quotation marks.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for char in self.0.chars() {
            match char {
                '"' | '\\' => write!(f, "\\{char}")?,
                // The other characters that JSON does not allow in a string.
                '\0'..='\x1f' => write!(f, "\\u{:04x}", u32::from(char))?,
                char => f.write_char(char)?,
            }
        }
        f.write_char('"')
    }
}

/// What `Display` writes, as a string.
pub(super) struct Text<T>(pub(super) T);

impl<T: Display> Display for Text<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Quoted(&self.0.to_string()).fmt(f)
    }
}

/// The value, or `null`.
pub(super) struct Maybe<T>(pub(super) Option<T>);

impl<T: Display> Display for Maybe<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("null"),
        }
    }
}

/// Elements between brackets.
pub(super) struct List<I>(pub(super) I);

impl<I: Iterator<Item: Display> + Clone> Display for List<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('[')?;
        for (place, item) in self.0.clone().enumerate() {
            write!(f, "{}{item}", if place == 0 { "" } else { "," })?;
        }
        f.write_char(']')
    }
}

/// Numbers with their names.
pub(super) struct Figures<'a>(pub(super) &'a [(&'static str, usize)]);

impl Display for Figures<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('{')?;
        for (place, (name, value)) in self.0.iter().enumerate() {
            write!(f, "{}{}:{value}", if place == 0 { "" } else { "," }, Quoted(name))?;
        }
        f.write_char('}')
    }
}

/// A time in seconds, to the nanosecond.
pub(super) struct Seconds(pub(super) Duration);

impl Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}", self.0.as_secs(), self.0.subsec_nanos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_is_escaped_that_json_does_not_allow() {
        assert_eq!(Quoted("a\"b\\c\n\u{1}ü").to_string(), r#""a\"b\\c\u000a\u0001ü""#);
        assert_eq!(Seconds(Duration::new(2, 70)).to_string(), "2.000000070");
        assert_eq!(List([1, 2].iter()).to_string(), "[1,2]");
        assert_eq!(Maybe(None::<u32>).to_string(), "null");
    }
}

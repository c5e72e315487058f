//! Colors for the text report.

use std::env;
use std::io::{self, IsTerminal};

/// When to use colors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const BOLD: &str = "1";

impl Color {
    /// Whether to color standard output: in automatic mode, if it is a terminal and `NO_COLOR` is unset or
    /// empty.
    pub(crate) fn is_on(self) -> bool {
        match self {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && io::stdout().is_terminal()
            }
        }
    }
}

/// Colors the headings of a report.
pub(crate) fn painted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 256);
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end_matches('\n');
        match color_of(bare) {
            Some(color) => out.push_str(&format!("\x1b[{color}m{bare}\x1b[0m{}", &line[bare.len()..])),
            None => out.push_str(line),
        }
    }
    out
}

/// The color of a line. Only headings begin at the margin.
fn color_of(line: &str) -> Option<&'static str> {
    let begins = |words: &[&str]| words.iter().any(|word| line.starts_with(word));
    let doubtful = ["Uncertain", "Moved", "PARTIAL", "The pattern", "No longer ignored", "Nothing to ignore"];
    match () {
        () if line.is_empty() || line.starts_with(' ') => None,
        () if begins(&["Dead links", "NOT LOOKED AT", "INSECURE"]) => Some(RED),
        () if begins(&doubtful) => Some(YELLOW),
        () if begins(&["No dead links"]) => Some(GREEN),
        () => Some(BOLD),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_are_painted_and_the_text_is_the_same_without_the_colors() {
        let text = "Crawled x\n\nDead links: 1\n  404  /a\nNo dead links\n";
        let painted = painted(text);
        assert!(painted.contains("\x1b[31mDead links: 1\x1b[0m\n  404  /a\n\x1b[32mNo"), "{painted:?}");
        let mut bare = painted;
        for code in ["0", "1", "31", "32"] {
            bare = bare.replace(&format!("\x1b[{code}m"), "");
        }
        assert_eq!(bare, text);
    }
}

//! Weaves edits into a file: a function with edits gets a version of its body for each, and a switch between
//! them.
//!
//! One build then holds them all, and an environment variable says which is on.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::lists::Edit;

/// The variable that the switch reads, and what turns the woven text into a program. std's cell in models
/// too: it never changes once it is set, so no schedule depends on it.
pub(crate) const VARIABLE: &str = "SELVEDGE_BREAK";
pub(crate) const SWITCH: &str = r#"
/// Which breaking edit is on in this process.
pub(crate) fn broken() -> usize {
    static EDIT: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
    let read = || std::env::var("SELVEDGE_BREAK").ok()?.parse().ok();
    *EDIT.get_or_init(|| read().unwrap_or(usize::MAX))
}
"#;

/// A file with edits in it.
pub(crate) struct Woven {
    pub(crate) text: String,
    /// The lines of each edit's own version.
    versions: Vec<(Range<usize>, usize)>,
    /// The lines of each switch, with the edits in it.
    switches: Vec<(Range<usize>, Vec<usize>)>,
}

impl Woven {
    /// Edits that stand outside of functions are left out.
    pub(crate) fn new(source: &str, edits: &BTreeMap<usize, &Edit>) -> Self {
        let mut woven = Woven { text: String::new(), versions: Vec::new(), switches: Vec::new() };
        let mut copied = 0;
        for body in bodies(source) {
            let inside = |edit: &Edit| source[body.clone()].contains(&edit.old);
            let here: Vec<usize> = edits.iter().filter(|(_, edit)| inside(edit)).map(|(id, _)| *id).collect();
            if here.is_empty() {
                continue;
            }
            woven.text += &source[copied..body.start];
            let begin = woven.line();
            woven.text += " match crate::broken() {\n";
            for id in &here {
                let edited = source[body.clone()].replacen(&edits[id].old, &edits[id].new, 1);
                let begin = woven.line();
                woven.text += &format!("{id} => {{{edited}\n}}\n");
                woven.versions.push((begin..woven.line(), *id));
            }
            woven.text += &format!("_ => {{{}\n}}\n}}\n", &source[body.clone()]);
            woven.switches.push((begin..woven.line(), here));
            copied = body.end;
        }
        woven.text += &source[copied..];
        woven
    }

    /// The edits that are in the text.
    pub(crate) fn edits(&self) -> impl Iterator<Item = usize> + '_ {
        self.versions.iter().map(|(_, id)| *id)
    }

    /// Which edits an error at a line is about: the one whose version it is in; else those of the switch
    /// around it; else all of the file.
    pub(crate) fn guilty(&self, line: usize) -> BTreeSet<usize> {
        let version = self.versions.iter().find(|(lines, _)| lines.contains(&line));
        let switch = self.switches.iter().find(|(lines, _)| lines.contains(&line));
        match (version, switch) {
            (Some((_, id)), _) => BTreeSet::from([*id]),
            (None, Some((_, ids))) => ids.iter().copied().collect(),
            (None, None) => self.edits().collect(),
        }
    }

    /// The last line so far, counted from 1.
    fn line(&self) -> usize {
        self.text.matches('\n').count() + 1
    }
}

/// What stands between the braces of each function, outermost ones only; none of a `const fn`.
fn bodies(source: &str) -> Vec<Range<usize>> {
    let code = blanked(source);
    let (mut bodies, mut at) = (Vec::new(), 0);
    while let Some(found) = code[at..].find("fn ") {
        let start = at + found;
        at = start + 3;
        let named = code[at..].starts_with(|c: char| c.is_alphabetic() || c == '_');
        let whole_word = !code[..start].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let constant =
            ["const", "const unsafe"].iter().any(|before| code[..start].trim_end().ends_with(before));
        if !named || !whole_word || constant {
            continue;
        }
        if let Some(body) = body(&code, at) {
            at = body.end;
            bodies.push(body);
        }
    }
    bodies
}

/// The body of the function whose name begins at `from`, if it has one.
fn body(code: &str, from: usize) -> Option<Range<usize>> {
    let (mut brackets, mut braces, mut begin) = (0, 0, 0);
    for (at, c) in code[from..].bytes().enumerate().map(|(at, c)| (from + at, c)) {
        match c {
            b'(' | b'[' => brackets += 1,
            b')' | b']' => brackets -= 1,
            b';' if brackets == 0 && braces == 0 => return None,
            b'{' => {
                if braces == 0 {
                    begin = at + 1;
                }
                braces += 1;
            }
            b'}' => {
                braces -= 1;
                if braces == 0 {
                    return Some(begin..at);
                }
            }
            _ => {}
        }
    }
    None
}

/// The source with blanks for comments, strings and characters, so that every brace in it is one.
fn blanked(source: &str) -> String {
    let mut code = source.as_bytes().to_vec();
    let mut at = 0;
    while at < code.len() {
        let rest = &source[at..];
        let length = quoted(rest);
        // Not in the middle of a letter of several bytes.
        let next = at + length.max(rest.chars().next().map_or(1, char::len_utf8));
        if length > 0 || next > at + 1 {
            code[at..next].iter_mut().filter(|c| **c != b'\n').for_each(|c| *c = b' ');
        }
        at = next;
    }
    String::from_utf8(code).expect("letters are replaced whole")
}

/// How long the comment, string or character is that a text begins with; 0 if it begins with none.
fn quoted(text: &str) -> usize {
    let to = |end: &str, from: usize| text[from..].find(end).map_or(text.len(), |at| from + at + end.len());
    let hashes = text.strip_prefix('r').map(|rest| rest.len() - rest.trim_start_matches('#').len());
    match text.as_bytes() {
        [b'/', b'/', ..] => text.find('\n').unwrap_or(text.len()),
        [b'/', b'*', ..] => to("*/", 2),
        [b'"', ..] => escaped(text, '"'),
        [b'\'', b'\\', ..] => escaped(text, '\''),
        // A lifetime has no second quote.
        [b'\'', ..] if text.chars().nth(2) == Some('\'') => {
            text.char_indices().nth(3).map_or(text.len(), |(at, _)| at)
        }
        [b'r', ..] if hashes.is_some_and(|hashes| text[1 + hashes..].starts_with('"')) => {
            let hashes = hashes.unwrap_or(0);
            to(&format!("\"{}", "#".repeat(hashes)), hashes + 2)
        }
        _ => 0,
    }
}

/// The length of what ends with the first `end` after the first letter that is not escaped.
fn escaped(text: &str, end: char) -> usize {
    let mut letters = text.char_indices().skip(1);
    while let Some((at, c)) = letters.next() {
        match c {
            '\\' => drop(letters.next()),
            c if c == end => return at + 1,
            _ => {}
        }
    }
    text.len()
}

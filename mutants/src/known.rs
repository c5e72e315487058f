//! The lists that are kept: mutants that were argued equivalent, and mutants that somebody wrote by hand.

use std::fs;
use std::path::Path;

use crate::find::Mutant;
use crate::tree::{self, Source};

/// A file and two lines, as `equivalent.txt` has them.
#[derive(PartialEq, Eq)]
struct Entry {
    file: String,
    shown: [String; 2],
}

pub(crate) struct Known {
    equivalent: Vec<Entry>,
    pub(crate) by_hand: Vec<Mutant>,
}

impl Known {
    pub(crate) fn read(root: &Path, sources: &[Source]) -> Self {
        let read = |name: &str| fs::read_to_string(root.join("mutants").join(name)).unwrap_or_default();
        let by_hand = read("by-hand.txt");
        let by_hand = by_hand.split("\n== ").skip(1).map(|entry| hand(entry, sources));
        let equivalent = read("equivalent.txt");
        let equivalent = equivalent.split("\n\n").filter(|entry| entry.contains("\n+ ")).map(argument);
        Known { by_hand: by_hand.collect(), equivalent: equivalent.collect() }
    }

    /// Whether somebody argued that nobody can tell this mutant from the original.
    pub(crate) fn argues(&self, mutant: &Mutant) -> bool {
        self.equivalent.iter().any(|entry| entry.file == mutant.file && entry.shown == mutant.shown)
    }

    /// Arguments about mutants that there no longer are.
    pub(crate) fn stale(&self, mutants: &[Mutant]) -> Vec<String> {
        let is = |entry: &&Entry| {
            mutants.iter().any(|mutant| entry.file == mutant.file && entry.shown == mutant.shown)
        };
        let stale = self.equivalent.iter().filter(|entry| !is(entry));
        stale.map(|entry| format!("{}: {}", entry.file, entry.shown[1])).collect()
    }
}

/// `file`, `- old`, `+ new`, and then the reason, which must be there.
fn argument(entry: &str) -> Entry {
    let mut lines = entry.trim_start().lines();
    let mut next = |start: &str| {
        let line = lines.next().and_then(|line| line.strip_prefix(start));
        line.unwrap_or_else(|| panic!("equivalent.txt: a line with `{start}` is missing in\n{entry}"))
            .to_owned()
    };
    let (file, old, new) = (next(""), next("- "), next("+ "));
    assert!(!next("").is_empty(), "equivalent.txt: no reason for\n{entry}");
    Entry { file, shown: [old, new] }
}

/// The form of `loom-tests/breaks`, without models.
fn hand(entry: &str, sources: &[Source]) -> Mutant {
    let parts = || {
        let (head, rest) = entry.split_once("\n<<<<\n")?;
        let (old, rest) = rest.split_once("\n----\n")?;
        let new = rest
            .strip_prefix(">>>>")
            .map_or_else(|| rest.split_once("\n>>>>").map(|(new, _)| new), |_| Some(""))?;
        let file = head.lines().find_map(|line| line.strip_prefix("file "))?;
        Some((file, old, new))
    };
    let (file, old, new) = parts().unwrap_or_else(|| panic!("by-hand.txt: {entry}"));
    let source = sources.iter().find(|source| source.file == file);
    tree::by_hand(source.unwrap_or_else(|| panic!("by-hand.txt: no file {file}")), old, new)
}

//! No name of the facade lacks a litmus program.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Names without a program, and why.
const EXCUSED: [&str; 21] = [
    // What explores, and what it says; `tests/sync.rs` and `loom-tests/tests/sync.rs` are about it.
    "check",
    "check_within",
    "find_failure",
    "sample",
    "find_failure_in",
    "replay",
    "token",
    "ReplayError",
    "message",
    "schedule",
    "Failure",
    "Policy",
    "IS_MODEL",
    // On the model side only: its implementation, and a system that refuses threads.
    "Atomic",
    "Integer",
    "Primitive",
    "force",
    "refuse_threads_after",
    // The anchor of the estimated time, which only the crate and `loom-tests/tests/estimate.rs` see.
    "replace",
    "time_at",
    // loom itself.
    "loom",
];

/// Returns the text of every file in a folder.
fn text(folder: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // The package may be a copy of the manifest beside the source.
    let root = if root.join(folder).exists() { root } else { Path::new(file!()).ancestors().nth(3).unwrap() };
    let mut paths: Vec<_> =
        fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().filter(|path| path.is_file()).map(|path| fs::read_to_string(path).unwrap()).collect()
}

fn words(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').collect()
}

/// Returns the names that `pub use` and `pub fn` declare in a source file.
fn names(source: &str) -> BTreeSet<&str> {
    let after = |mark: &'static str| source.split(mark).skip(1);
    let used = after("pub use ").flat_map(|rest| {
        let rest = rest.split(';').next().unwrap();
        // The leaves: the names in braces, or the last segment of the path.
        let leaves = rest
            .split_once('{')
            .map_or_else(|| rest.rsplit("::").next().unwrap(), |(_, leaves)| leaves.trim_end_matches('}'));
        leaves.split(',').map(|leaf| leaf.rsplit("::").next().unwrap().trim())
    });
    let functions = after("pub fn ").map(|rest| rest.split(['(', '<']).next().unwrap());
    used.chain(functions).filter(|name| !name.is_empty()).collect()
}

#[test]
fn every_name_of_the_door_is_in_a_litmus_program() {
    let facade = text("src/sync") + &text("src/sync/model");
    let programs = text("tests/litmus");
    let known = words(&programs);
    let lacking: Vec<_> = names(&facade)
        .into_iter()
        .filter(|name| !EXCUSED.contains(name) && !name.contains("__") && !known.contains(name))
        .collect();
    assert!(lacking.is_empty(), "no litmus program is about {lacking:?}");
}

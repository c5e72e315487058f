//! Looks for code of ours that rustc 1.95.0 and 1.96.0 compile wrongly (rust-lang/rust#158206).
//!
//! Their pass `SimplifyComparisonIntegral` rewrites `b = x == constant; switch on b` to `switch on x`, and
//! deletes the comparison although `b` may still be read between the two. It happens where an inlined
//! function compares, uses the answer as data without a branch, and returns it to a caller that branches on
//! it. No test finds that dependably: what is read is undefined, and may be right by chance. The compiler's
//! own dump does. This program reads what `rustc -Zdump-mir=SimplifyComparisonIntegral` has written
//! (`.ci/scan` makes it), and reports each local whose comparison is in a function's text before the pass and
//! not after it, and which is read all the same.
//!
//! Fixed in 1.96.1. The control, `control.rs`, has the fault: a scan that does not find it there proves
//! nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

const BEFORE: &str = ".SimplifyComparisonIntegral.before.mir";
const AFTER: &str = ".SimplifyComparisonIntegral.after.mir";

fn main() -> ExitCode {
    let Some(folder) = env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: mir-scan FOLDER\nFOLDER holds what rustc dumped");
        return ExitCode::from(2);
    };
    let (mut functions, mut victims) = (0, 0);
    for before in dumps(&folder) {
        let name = before.to_string_lossy().replace(BEFORE, "");
        let after = format!("{name}{AFTER}");
        functions += 1;
        for local in lost(&read(&before), &read(Path::new(&after))) {
            victims += 1;
            println!("{name}: the comparison {local} was deleted and is still read");
        }
    }
    println!("{functions} functions, {victims} comparisons lost");
    match (functions, victims) {
        // An empty folder is a scan that did not happen.
        (0, _) => ExitCode::from(2),
        (_, 0) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// The functions' texts before the pass.
fn dumps(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let paths = entries.map(|entry| entry.expect("the folder is readable").path());
    let mut before: Vec<PathBuf> = paths.filter(|path| path.to_string_lossy().ends_with(BEFORE)).collect();
    before.sort();
    before
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The locals that a function assigns less often after the pass than before, and reads.
fn lost<'a>(before: &'a str, after: &str) -> Vec<&'a str> {
    let kept: BTreeSet<&str> = assigned(after).collect();
    let deleted: BTreeSet<&str> = assigned(before).filter(|local| !kept.contains(local)).collect();
    deleted.into_iter().filter(|local| is_read(after, local)).collect()
}

/// The locals that a function assigns as a whole, as in `_3 = Eq(copy _2, const 0_usize);`.
fn assigned(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.lines().filter_map(|line| Some(line.trim_start().split_once(" = ")?.0));
    targets.filter(|target| target.starts_with('_') && target[1..].bytes().all(|byte| byte.is_ascii_digit()))
}

/// True if a statement or a terminator names the local, other than to say when its storage begins or ends.
fn is_read(text: &str, local: &str) -> bool {
    let statements = text.lines().map(str::trim_start).filter(|line| {
        let declares = ["debug ", "let ", "StorageLive(", "StorageDead("];
        !declares.iter().any(|word| line.starts_with(word))
    });
    statements.into_iter().any(|line| mentions(line, local))
}

/// True if the local's name is in the line, and not only the beginning of another's.
fn mentions(line: &str, local: &str) -> bool {
    line.match_indices(local).any(|(at, _)| {
        let next = line[at + local.len()..].bytes().next();
        let last = line[..at].bytes().next_back();
        !next.is_some_and(|byte| byte.is_ascii_digit())
            && !last.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}

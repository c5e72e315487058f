//! The cells of each section under criterion, ours beside the rivals'.
//!
//! `cargo bench -p selvedge-benches --bench sections -- queue` measures one section, and without a name all.
//! The bench `ratios` measures the same cells interleaved.

use criterion::Criterion;
use selvedge_benches::{GROWTH, SECTIONS, under_criterion};

fn main() {
    selvedge_benches::serve();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut criterion = Criterion::default().configure_from_args();
    let is_named = |section: &&&str| arguments.iter().any(|argument| argument == **section);
    let named: Vec<&str> = SECTIONS.iter().chain([&GROWTH]).filter(is_named).copied().collect();
    // What else is named is a filter of criterion's, over all sections.
    let sections = if named.is_empty() { &SECTIONS[..] } else { &named[..] };
    for section in sections {
        under_criterion(&mut criterion, section);
    }
    criterion.final_summary();
}

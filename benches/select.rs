//! Selections: over ready queues, and asleep.
//!
//! The cells are in `cells/select.rs`; the bench `ratios` measures the same ones interleaved.

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    selvedge_benches::under_criterion(&mut criterion, "select");
    criterion.final_summary();
}

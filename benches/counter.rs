//! Counters: alone, and everybody at once.
//!
//! The cells are in `cells/counter.rs`; the bench `ratios` measures the same ones interleaved.

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    selvedge_benches::under_criterion(&mut criterion, "counter");
    criterion.final_summary();
}

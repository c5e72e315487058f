//! Batchers: items through batches, and group commit to a file.
//!
//! The cells are in `cells/batch.rs`; the bench `ratios` measures the same ones interleaved.

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    selvedge_benches::under_criterion(&mut criterion, "batch");
    criterion.final_summary();
}

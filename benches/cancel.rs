//! Cancel tokens: what they cost while nobody cancels, and what cancelling costs.
//!
//! The cells are in `cells/cancel.rs`; the bench `ratios` measures the same ones interleaved.

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    selvedge_benches::under_criterion(&mut criterion, "cancel");
    criterion.final_summary();
}

//! Rate limiters: granted and refused, one and keyed.
//!
//! The cells are in `cells/limiter.rs`; the bench `ratios` measures the same ones interleaved.

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    selvedge_benches::under_criterion(&mut criterion, "limiter");
    criterion.final_summary();
}

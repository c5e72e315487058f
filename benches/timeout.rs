//! Time-outs: running a function under a limit.
//!
//! The cells are in `cells/timeout.rs`; the bench `ratios` measures the same ones interleaved.

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    selvedge_benches::under_criterion(&mut criterion, "timeout");
    criterion.final_summary();
}

//! From cancel to running: threads that sleep, and when they are on a processor again.
//!
//! The cells are in `cells/wakeup.rs`; the bench `ratios` measures the same ones interleaved.

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    selvedge_benches::under_criterion(&mut criterion, "wakeup");
    criterion.final_summary();
}

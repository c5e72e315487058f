//! Monitors, beside a mutex and a condvar by hand.
//!
//! The cells are in `cells/monitor.rs`; the bench `ratios` measures the same ones interleaved.

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    selvedge_benches::under_criterion(&mut criterion, "monitor");
    criterion.final_summary();
}

//! Semaphores: alone, taking turns, and crowded.
//!
//! The cells are in `cells/semaphore.rs`; the bench `ratios` measures the same ones interleaved.

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    selvedge_benches::under_criterion(&mut criterion, "semaphore");
    criterion.final_summary();
}

//! Single flight: alone, a key each, and one key for all.
//!
//! The cells are in `cells/flight.rs`; the bench `ratios` measures the same ones interleaved.

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    selvedge_benches::under_criterion(&mut criterion, "flight");
    criterion.final_summary();
}

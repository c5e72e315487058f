//! Maps: reads and writes in four mixtures, and a pass over a million entries.
//!
//! The cells are in `cells/map.rs`; the bench `ratios` measures the same ones interleaved.

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    selvedge_benches::under_criterion(&mut criterion, "map");
    criterion.final_summary();
}

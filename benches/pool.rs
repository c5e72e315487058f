//! Pools: bursts of empty tasks, results, tasks that spawn tasks.
//!
//! The cells are in `cells/pool.rs`; the bench `ratios` measures the same ones interleaved.

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    selvedge_benches::under_criterion(&mut criterion, "pool");
    criterion.final_summary();
}

//! Queues: topologies and capacities, batches, taking turns.
//!
//! The cells are in `cells/queue.rs`; the bench `ratios` measures the same ones interleaved.

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    selvedge_benches::under_criterion(&mut criterion, "queue");
    criterion.final_summary();
}

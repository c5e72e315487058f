//! Streams: stages on one thread, parallel maps, latency.
//!
//! The cells are in `cells/pipeline.rs`; the bench `ratios` measures the same ones interleaved.

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    selvedge_benches::under_criterion(&mut criterion, "pipeline");
    criterion.final_summary();
}

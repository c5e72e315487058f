//! The crawler: pages per second beside wget's spider and a small Python crawler, where these are installed.
//!
//! The cells are in `cells/crawl.rs`; the bench `ratios` measures the same ones interleaved.

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    selvedge_benches::under_criterion(&mut criterion, "crawl");
    criterion.final_summary();
}

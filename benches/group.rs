//! Scopes: spawning tasks that borrow, and joining them.
//!
//! The cells are in `cells/group.rs`; the bench `ratios` measures the same ones interleaved.

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    selvedge_benches::under_criterion(&mut criterion, "group");
    criterion.final_summary();
}

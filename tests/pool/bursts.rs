//! Bursts with a moment's quiet between them, at the speed of an optimised build: what the quiet does to the
//! workers must not cost the next burst its tasks.
//!
//! `cargo test --release --test pool_burst` matters as much as the ordinary one: rust-lang/rust#158206, by
//! which the compiler deletes a comparison, showed only there (see `Staff::may_look_out`).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::common::{eventually, within_a_minute};
use selvedge::{Latch, Pool};

const BURST: usize = 20_000;

#[test]
fn burst_after_burst_is_run_by_one_worker() {
    within_a_minute(|| bursts(&Pool::builder().workers(1).queue(BURST).build().unwrap()));
}

#[test]
fn burst_after_burst_is_run_by_two_workers() {
    within_a_minute(|| bursts(&Pool::builder().workers(2).queue(BURST).build().unwrap()));
}

#[test]
fn burst_after_burst_is_run_by_a_pool_that_grows() {
    within_a_minute(|| bursts(&Pool::builder().workers(0..=3).queue(BURST).build().unwrap()));
}

fn bursts(pool: &Pool) {
    let runs = Arc::new(AtomicUsize::new(0));
    for round in 1..=20 {
        for _ in 0..BURST {
            let runs = Arc::clone(&runs);
            let task = move || {
                runs.fetch_add(1, Relaxed);
            };
            pool.execute(task).unwrap();
        }
        eventually("the burst has run", || runs.load(Relaxed) == round * BURST);
        let stats = pool.stats();
        assert_eq!(stats.queued, 0);
        assert!(stats.idle <= stats.workers, "{stats:?}");
    }
}

/// A tree of tasks on the workers' own local queues, in a queue that it does not fill.
#[test]
fn tree_of_tasks_is_run_to_its_last_leaf() {
    within_a_minute(|| {
        let pool = Arc::new(Pool::builder().workers(2).queue(1 << 14).build().unwrap());
        for round in 1..=10 {
            let runs = Arc::new(AtomicUsize::new(0));
            grow(&pool, &runs, 12);
            eventually("the tree has run", || runs.load(Relaxed) == (1 << 12) - 1);
            eventually("the last leaf is counted", || pool.stats().completed == round * ((1 << 12) - 1));
        }
    });
}

fn grow(pool: &Arc<Pool>, runs: &Arc<AtomicUsize>, levels: u32) {
    let (inner, counted) = (Arc::clone(pool), Arc::clone(runs));
    let node = move || {
        if levels > 1 {
            grow(&inner, &counted, levels - 1);
            grow(&inner, &counted, levels - 1);
        }
        drop(inner);
        counted.fetch_add(1, Relaxed);
    };
    pool.execute(node).unwrap();
}

/// What workers keep for themselves counts toward the queue's bound.
#[test]
fn queue_and_desks_together_hold_no_more_than_the_bound() {
    within_a_minute(|| {
        let pool = Arc::new(Pool::builder().workers(2).queue(256).build().unwrap());
        let [both, full, goes_on] = [2, 2, 1].map(|count| Arc::new(Latch::new(count)));
        for _ in 0..2 {
            let inner = Arc::clone(&pool);
            let [both, full, goes_on] = [&both, &full, &goes_on].map(Arc::clone);
            let fills = move || {
                // Not before the other worker is taken too: it would run what this one submits, the queue
                // would never be full, and both would wait for good. That was the hang that this test once
                // had, of its own making: the pool was idle and empty while it stood.
                both.count_down();
                both.wait();
                while inner.try_execute(|| ()).is_ok() {}
                drop(inner);
                full.count_down();
                goes_on.wait();
            };
            pool.execute(fills).unwrap();
        }
        full.wait();
        while pool.try_execute(|| ()).is_ok() {}
        let queued = pool.stats().queued;
        assert!((256 - 64..=256).contains(&queued), "{queued} tasks in a queue of 256");
        assert!(pool.stats().peak_queued <= 256);
        goes_on.count_down();
        eventually("all have run", || pool.stats().completed == queued + 2);
    });
}

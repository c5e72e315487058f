//! Batchers: items that nobody waits for, and group commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::AcqRel};
use std::time::Duration;

use crate::rivals::batches::{Batching, ByHand, Multistream, UnderItsLock};
use crate::rivals::commits::{self, Leader, Log, OneEach, Replies};
use crate::{Cell, team};

pub(crate) fn all() -> Vec<Cell> {
    vec![
        adding("1 thread, batches of 100", 1, 100),
        adding("1 thread, batches of 1,000", 1, 1_000),
        adding("2 threads, batches of 1,000", 2, 1_000),
        adding("8 threads, batches of 1,000", 8, 1_000),
        committing("1 thread", 1),
        committing("8 threads", 8),
        committing("16 threads", 16),
    ]
}

fn adding(name: &str, threads: usize, most: usize) -> Cell {
    Cell::new("batch", name, "item")
        .with("selvedge", move |n| add::<selvedge::Batcher<u64>>(threads, most, n))
        .with("channel + recv_deadline", move |n| add::<ByHand>(threads, most, n))
        .with("multistream-batch", move |n| add::<Multistream>(threads, most, n))
        .with("under its lock", move |n| add::<UnderItsLock>(threads, most, n))
}

/// Until the last item has been processed.
fn add<B: Batching>(threads: usize, most: usize, total: u64) -> Duration {
    let (batcher, adding) = (Arc::new(B::new(most)), AtomicUsize::new(threads));
    team::split(total, threads, move |count| {
        for item in 0..count {
            batcher.add(item);
        }
        if adding.fetch_sub(1, AcqRel) == 1 {
            batcher.finish();
        }
    })
}

fn committing(name: &str, threads: usize) -> Cell {
    Cell::new("group commit", format!("commit, {name}"), "record on disk")
        .with("selvedge", move |n| commit::<selvedge::Batcher<commits::Record>>(threads, n))
        .with("one fsync each", move |n| commit::<OneEach>(threads, n))
        .with("channel + reply", move |n| commit::<Replies>(threads, n))
        .with("leader and followers", move |n| commit::<Leader>(threads, n))
}

fn commit<L: Log>(threads: usize, total: u64) -> Duration {
    let log = L::new(commits::file());
    team::split(total, threads, move |count| {
        for record in 0..count {
            log.commit([record as u8; 100]);
        }
    })
}

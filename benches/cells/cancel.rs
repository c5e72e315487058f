//! Cancel tokens.

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering::Acquire};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use selvedge::CancelToken;
use tokio_util::sync::CancellationToken;

use crate::Cell;

/// Children of the parent that is cancelled.
const CHILDREN: u64 = 1_000;

pub(crate) fn all() -> Vec<Cell> {
    vec![look(), create_and_cancel(), child(), clone(), many_children(), callback()]
}

fn repeat<R>(total: u64, mut step: impl FnMut() -> R) -> Duration {
    let start = Instant::now();
    for _ in 0..total {
        black_box(step());
    }
    start.elapsed()
}

fn look() -> Cell {
    let (ours, theirs, flag) = (CancelToken::new(), CancellationToken::new(), AtomicBool::new(false));
    Cell::new("cancel", "is_cancelled", "call")
        .with("selvedge", move |n| repeat(n, || black_box(&ours).is_cancelled()))
        .with("tokio-util", move |n| repeat(n, || black_box(&theirs).is_cancelled()))
        .with("AtomicBool", move |n| repeat(n, || black_box(&flag).load(Acquire)))
}

fn create_and_cancel() -> Cell {
    Cell::new("cancel", "create and cancel", "token")
        .with("selvedge", |n| repeat(n, || CancelToken::new().cancel()))
        .with("tokio-util", |n| repeat(n, || CancellationToken::new().cancel()))
}

fn child() -> Cell {
    let (ours, theirs) = (CancelToken::new(), CancellationToken::new());
    Cell::new("cancel", "child, create and drop", "child")
        .with("selvedge", move |n| repeat(n, || drop(black_box(ours.child()))))
        .with("tokio-util", move |n| repeat(n, || drop(black_box(theirs.child_token()))))
}

fn clone() -> Cell {
    let (ours, theirs) = (CancelToken::new(), CancellationToken::new());
    Cell::new("cancel", "clone and drop", "clone")
        .with("selvedge", move |n| repeat(n, || drop(black_box(ours.clone()))))
        .with("tokio-util", move |n| repeat(n, || drop(black_box(theirs.clone()))))
}

fn many_children() -> Cell {
    Cell::new("cancel", "cancel a parent of 1,000", "child")
        .with("selvedge", |n| family(n, CHILDREN, CancelToken::new, CancelToken::child, CancelToken::cancel))
        .with("tokio-util", |n| {
            let (new, child) = (CancellationToken::new, CancellationToken::child_token);
            family(n, CHILDREN, new, child, CancellationToken::cancel)
        })
}

/// Cancels `total` children, so many at a time. Only the cancelling is timed.
pub(crate) fn family<T>(
    total: u64,
    children: u64,
    new: fn() -> T,
    child: fn(&T) -> T,
    cancel: fn(&T),
) -> Duration {
    let mut taken = Duration::ZERO;
    let mut left = total;
    while left > 0 {
        let count = left.min(children);
        left -= count;
        let parent = new();
        let family: Vec<T> = (0..count).map(|_| child(&parent)).collect();
        let start = Instant::now();
        cancel(&parent);
        taken += start.elapsed();
        drop(family);
    }
    taken
}

/// A callback that never runs, beside a future that is polled once: what a runtime registers.
fn callback() -> Cell {
    let (ours, theirs) = (CancelToken::new(), CancellationToken::new());
    Cell::new("cancel", "on_cancel, register and drop", "callback")
        .with("selvedge", move |n| {
            repeat(n, || {
                let word = black_box(1_u64);
                drop(ours.on_cancel(move || assert_eq!(black_box(word), 1)));
            })
        })
        .with("tokio-util", move |n| {
            repeat(n, || {
                let cancelled = pin!(theirs.cancelled());
                assert!(cancelled.poll(&mut Context::from_waker(Waker::noop())).is_pending());
            })
        })
}

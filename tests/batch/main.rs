//! The batcher from outside: by size, weight, age, flush and close; each item once; every failure told.

#[path = "../common/mod.rs"]
mod common;

mod back_pressure;
mod building;
mod ending;
mod flushing;
mod handing_over;
mod inside_the_handler;
mod panicking;
mod random;
mod retrying;
mod tickets;
mod under_load;

use std::collections::HashSet;
use std::convert::Infallible;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use common::{HOUR, eventually, figure, until_figure, within_a_minute};
use selvedge::batch::{Batch, BatchError, BuildError, Builder, Reason, Report};
use selvedge::error::{TryError, WaitError};
use selvedge::retry::{self, Again};
use selvedge::{Batcher, CancelToken, Clock, Latch, group};

/// A batch as the handler saw it.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    items: Vec<u32>,
    reason: Reason,
}

fn seen(items: impl Into<Vec<u32>>, reason: Reason) -> Seen {
    Seen { items: items.into(), reason }
}

/// A handler that tells what it was given.
fn telling() -> (impl Fn(&mut Batch<u32>) + Send + Sync, Receiver<Seen>) {
    let (tell, told) = channel();
    let handler = move |batch: &mut Batch<u32>| {
        tell.send(Seen { items: batch.to_vec(), reason: batch.reason() }).unwrap();
    };
    (handler, told)
}

/// Nothing but size, flush and close hands a batch over.
fn ageless() -> Builder<u32> {
    Batcher::builder().max_age(Duration::MAX)
}

/// A policy without pauses.
fn at_once(attempts: usize) -> retry::Policy {
    retry::policy().attempts(attempts).first(Duration::ZERO)
}

/// A batcher of one item a batch whose handler waits for the first latch to open, after it has opened the
/// second.
fn gated(backlog: usize) -> (Arc<Batcher<u32>>, Arc<Latch>, Arc<Latch>) {
    let (gate, inside) = (Arc::new(Latch::new(1)), Arc::new(Latch::new(1)));
    let handler = {
        let (gate, inside) = (Arc::clone(&gate), Arc::clone(&inside));
        move |_: &mut Batch<u32>| {
            if !inside.is_open() {
                inside.count_down();
            }
            gate.wait();
        }
    };
    let batcher = ageless().max_items(1).backlog(backlog).build(handler).unwrap();
    (Arc::new(batcher), gate, inside)
}

/// Waits until the batcher's threads sleep, so that the clock may be advanced.
fn until_idle<R>(batcher: &Batcher<u32, R>, threads: usize) {
    until_figure(batcher, "idle", threads);
}

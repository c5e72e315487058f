//! The state that a batcher's threads and callers share, and how they wait for each other.
//!
//! One mutex orders everything here and in the child modules, one for each side. None of the caller's code
//! runs under it.
//!
//! # Waiters
//! | list | waiter | waits for | woken by |
//! |---|---|---|---|
//! | `idle` | a thread without a batch | a batch to take | an add or a flush (one thread); close (all) |
//! | `adders` | a caller with an item | room | a thread that takes a batch |
//! | `watchers` | a flush or a close | the end of batches, or of threads | a thread that ends one |
//! | `pausing` | a thread before a retry | its time | abort |
//!
//! # No missed wake-up
//! The threads have two kinds of duty: to take each ready batch, and to watch the age of the open one. Each
//! time a duty arises, one idle thread is woken. A woken thread takes a ready batch, or sleeps until the open
//! one is due; so it fulfils one duty. A batch that is filled while a thread watches its age turns one duty
//! into the other: that thread or another is woken to take it. So while a thread is idle, a thread has been
//! woken for every duty; and if none is idle, the thread that ends a batch looks for the next.

mod adding;
mod ending;
mod taking;

use std::mem;

use super::backlog::{Backlog, Limits};
use super::failure::BatchError;
use super::handlers::Handlers;
use super::report::{Hook, Stats};
use super::ticket::{self, DropLater};
use crate::clock::Clock;
use crate::inspect::Began;
use crate::panics;
use crate::retry::{self, Again};
use crate::sync::{Arc, Mutex};
use crate::wait::context;
use crate::wait::{Turns, WaitList, look};

pub(super) type Weigh<T> = Box<dyn Fn(&T) -> usize + Send + Sync>;

/// Which errors are retried, and when.
pub(super) struct Retry {
    pub(super) policy: retry::Policy,
    pub(super) worth: Box<dyn Fn(&BatchError) -> Again + Send + Sync>,
}

pub(super) struct Shared<T, R> {
    pub(super) state: Mutex<State<T, R>>,
    pub(super) limits: Limits,
    pub(super) weigh: Option<Weigh<T>>,
    pub(super) retry: Option<Retry>,
    pub(super) hook: Option<Hook<T>>,
    pub(super) clock: Clock,
    pub(super) handlers: Arc<Handlers>,
    /// See [`ticket::drop_unclaimed_later`].
    pub(super) drop_later: DropLater<T, R>,
}

pub(super) struct State<T, R> {
    pub(super) backlog: Backlog<T, R>,
    pub(super) in_flight: Vec<InFlight>,
    pub(super) closed: bool,
    pub(super) aborted: bool,
    /// Threads that have not left.
    pub(super) threads: usize,
    /// Items that threads took back for an abort.
    pub(super) returned: Vec<T>,
    pub(super) stats: Stats,
    pub(super) errors: Vec<BatchError>,
    pub(super) idle: WaitList,
    pub(super) adders: WaitList,
    /// Callers that have waited for room too long: while there are any, no other caller opens a batch.
    pub(super) turns: Turns,
    pub(super) watchers: WaitList,
    pub(super) pausing: WaitList,
}

/// A batch that a thread processes.
pub(super) struct InFlight {
    /// The number of the batch.
    pub(super) number: u64,
    /// The index of the thread.
    pub(super) thread: usize,
    pub(super) began: Option<Began>,
}

impl<T, R> Drop for State<T, R> {
    /// Drops what no report has taken, on the last thread that leaves.
    fn drop(&mut self) {
        // Contained: the last owner may be a thread of the batcher.
        panics::discard_each(mem::take(&mut self.errors));
        panics::discard_each(mem::take(&mut self.returned));
    }
}

impl<T, R> Shared<T, R> {
    pub(super) fn new(
        limits: Limits,
        weigh: Option<Weigh<T>>,
        retry: Option<Retry>,
        hook: Option<Hook<T>>,
        clock: Clock,
    ) -> Arc<Self>
    where
        T: 'static,
        R: 'static,
    {
        let state = State {
            backlog: Backlog::new(),
            in_flight: Vec::new(),
            closed: false,
            aborted: false,
            threads: 0,
            returned: Vec::new(),
            stats: Stats::default(),
            errors: Vec::new(),
            idle: WaitList::new(),
            adders: WaitList::new(),
            turns: Turns::new(),
            watchers: WaitList::new(),
            pausing: WaitList::new(),
        };
        let handlers = Arc::default();
        // Chosen here, where the types are known to be `'static`.
        let drop_later = ticket::drop_unclaimed_later;
        Arc::new(Shared { state: Mutex::new(state), limits, weigh, retry, hook, clock, handlers, drop_later })
    }

    /// Identifies the batcher among those that a thread can be inside.
    pub(super) fn address(self: &Arc<Self>) -> usize {
        Arc::as_ptr(self).addr()
    }

    /// True on the batcher's threads, and on threads that work for them.
    pub(super) fn is_inside(self: &Arc<Self>) -> bool {
        context::is_inside(self.address())
    }

    pub(super) fn stats(&self) -> Stats {
        // Copied under one lock, so that the figures are of one moment.
        look(&self.state, |state| state.stats)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    pub(super) fn describe(&self, out: &mut std::fmt::DebugStruct<'_, '_>) {
        // `Debug` never blocks: without the lock, the figures are left out.
        if let Some(state) = self.state.try_lock() {
            out.field("items", &state.stats.waiting)
                .field("batches", &state.backlog.len())
                .field("in_flight", &state.in_flight.len())
                .field("idle", &state.idle.len())
                .field("adding", &state.adders.len())
                .field("watching", &state.watchers.len())
                .field("pausing", &state.pausing.len())
                .field("closed", &state.closed);
        }
    }
}

/// The name of a batcher's thread.
pub(super) fn thread_name(batcher: &str, thread: usize) -> String {
    format!("{batcher}-{thread}")
}

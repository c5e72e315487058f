//! A batcher: collects items and processes them in batches.

mod backlog;
mod builder;
mod failure;
mod handler_result;
mod handlers;
mod items;
mod job;
mod report;
mod shared;
mod ticket;

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

pub use builder::{BuildError, Builder};
pub use failure::{BatchError, Failed};
pub use handler_result::HandlerResult;
pub use items::{Batch, Reason};
pub use report::{Report, Stats};
pub use ticket::{Ticket, TicketResult};

use crate::error::{Partial, Rejected, TryError, WaitError};
use crate::inspect::Listed;
use crate::panics;
use crate::sync::{Arc, Mutex, thread};
use crate::until::Until;
use crate::wait::cache;
use shared::Shared;

/// Collects items and passes them to a handler in batches, where one call per item would be too expensive: an
/// `fsync`, a database transaction, a request to a server.
///
/// A batch is handed over when it has [`max_items`](Builder::max_items), when another item would exceed
/// [`max_weight`](Builder::max_weight), when its *oldest* item has waited for [`max_age`](Builder::max_age),
/// and on [`flush`](Batcher::flush) and [`close`](Batcher::close). Each accepted item is in exactly one
/// batch; no batch is empty; every accepted item is processed or handed back. The handler runs on the
/// batcher's own thread with no lock held, so adding continues while it works, and blocks only when the
/// backlog is full.
///
/// # Examples
/// ```
/// use selvedge::Batcher;
/// use selvedge::batch::Batch;
/// use std::time::Duration;
///
/// let batcher = Batcher::builder()
///     .max_items(5)
///     .max_age(Duration::from_secs(1))
///     .build(|batch: &mut Batch<String>| println!("processing {} items", batch.len()))?;
/// for n in 0..12 {
///     batcher.add(format!("item-{n}"))?;
/// }
/// let report = batcher.close();            // 5 and 5 were processed before, the last 2 are now
/// assert_eq!((report.stats.processed, report.stats.batches), (12, 3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Group commit: each writer returns once its own record is on disk. Writers that arrive while the disk is
/// busy share the next `fsync`.
/// ```
/// use selvedge::Batcher;
/// use selvedge::batch::Batch;
/// use std::{io::{self, Seek, Write}, time::Duration};
///
/// # let path = std::env::temp_dir().join(format!("selvedge-doc-{}", std::process::id()));
/// let mut file = std::fs::File::create(&path)?;
/// let log = Batcher::builder().max_age(Duration::ZERO).build(
///     move |records: &mut Batch<&'static str>| -> io::Result<u64> {
///         for record in records.iter() {
///             file.write_all(record.as_bytes())?;
///         }
///         file.sync_data()?;
///         file.stream_position()                     // every record's ticket gets a clone of this
///     },
/// )?;
/// std::thread::scope(|s| {
///     for record in ["one\n", "two\n", "three\n"] {
///         let log = &log;
///         s.spawn(move || {
///             let end = log.submit(record).unwrap().join().unwrap();
///             assert!(end >= record.len() as u64);   // it is on disk now
///         });
///     }
/// });
/// # drop(log);
/// assert_eq!(std::fs::read_to_string(&path)?.len(), 14);
/// # std::fs::remove_file(path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Blocking
/// `add` and `submit` block while the [backlog](Builder::backlog) is full; a thread that takes a batch wakes
/// them. [`Ticket::join`] waits for the end of one batch, `flush` for the end of everything that was added
/// before it, `close` and drop for everything. `try_add`, `try_submit` and `stats` never block.
///
/// Inside the handler (and on threads that it waits for in a scope) none of these deadlocks. `add` succeeds
/// while there is room, and otherwise fails with [`WaitError::WouldDeadlock`], because the calling thread
/// would have to make the room. So do `flush` and a wait for a ticket. `close`, `abort` and drop return
/// without waiting.
/// # Cancellation
/// An add that gives up returns its item. A flush or a wait for a ticket that gives up removes nothing from a
/// batch. [`abort`](Batcher::abort) takes back every item that no handler is processing. A result that exists
/// when the limit of a join passes is a success.
///
/// # Panics
/// A panic of the handler affects its batch only: the batch's tickets get the panic as
/// [`BatchError::Panicked`], items without a ticket go to the [hook](Builder::on_error), and the
/// [report](Batcher::close) contains the panic. The next batch is processed normally. A batch that panicked
/// is not retried. A panic in [`weigh`](Builder::weigh) propagates to the caller of `add`.
///
/// # Fairness
/// Items are batched in the order in which they are accepted. Callers that wait for room are woken first
/// come, first served. A caller that arrives at the right moment may overtake them, and a light item may find
/// room where a heavy one waits, within a bound: while a caller waits that has lost 32 times, no other caller
/// opens a batch.
///
/// # Ordering
/// What a thread did before it added an item is visible to the handler. What the handler did is visible after
/// [`Ticket::join`], `flush` and `close`. With one batch in flight, the handler sees what it did for earlier
/// batches.
///
/// # Proof
/// Models in `loom-tests/tests/batch.rs`, among them `size_age_and_close_put_each_item_into_one_batch`,
/// `a_later_item_does_not_prolong_the_age`, `each_ticket_gets_the_result_of_its_own_batch` and
/// `an_adder_that_has_lost_too_often_gets_in`. They assume that the operating system starts every thread that
/// `build` asks for.
///
/// # Cost
/// An add is an uncontended lock and a push. The clock is read once a batch, and at most two threads are
/// woken per batch. The tickets of a batch share one allocation. Bench `batch`, 2 cores: 13 to 20 ns an item
/// with 1 to 8 threads, 2.2 to 4.1 times faster than a channel and `recv_deadline` by hand, and 1.5 to 4.5
/// times faster than a list whose batches are processed under its lock; group commit with 8 and 16 threads,
/// 36 and 19 µs a record, 4.2 and 8.0 times faster than one `fsync` each. Memory: backlog and batches in
/// flight times the maximum of items.
///
/// The handler has a thread of its own. A group commit therefore costs two wake-ups that it would not if a
/// waiter ran the handler. But then a waiter could not leave when its limit passes, an add could take as long
/// as a batch, and a panic would hit a caller that happened to be there.
///
/// # Instead
/// Use [`BoundedQueue::pop_many`](crate::BoundedQueue::pop_many) if your own thread takes what is there, with
/// no age and no results. Use a [`BufWriter`](std::io::BufWriter) for the bytes of one thread.
pub struct Batcher<T, R = ()> {
    shared: Arc<Shared<T, R>>,
    name: String,
    threads: Mutex<Vec<thread::JoinHandle<()>>>,
    /// Lists the batcher in [`inspect`](crate::inspect) while the handle exists.
    _listed: Option<Listed>,
}

impl<T: Send + 'static> Batcher<T> {
    /// Returns a builder with the default configuration.
    pub fn builder() -> Builder<T> {
        Builder::new()
    }
}

impl<T, R> Batcher<T, R> {
    /// Adds an item without a ticket, waiting for room as long as it takes.
    ///
    /// # Errors
    /// With the item: [`WaitError::Closed`]; [`WaitError::InsufficientCapacity`] if it is heavier than a
    /// batch may be; [`WaitError::WouldDeadlock`] inside the handler if there is no room.
    #[inline]
    #[track_caller]
    pub fn add(&self, item: T) -> Result<(), Rejected<T, WaitError>> {
        self.add_until(item, Until::forever())
    }

    /// Adds an item if there is room.
    ///
    /// # Errors
    /// With the item: [`TryError::WouldBlock`], [`TryError::Closed`] or [`TryError::InsufficientCapacity`].
    #[inline]
    pub fn try_add(&self, item: T) -> Result<(), Rejected<T, TryError>> {
        self.shared.try_add(item, false).map(drop)
    }

    /// Like [`add`](Batcher::add), waiting for room until `limit` at most.
    ///
    /// # Errors
    /// With the item: any [`WaitError`].
    #[inline]
    #[track_caller]
    pub fn add_until<'a>(&self, item: T, limit: impl Into<Until<'a>>) -> Result<(), Rejected<T, WaitError>> {
        self.shared.add(item, false, limit.into()).map(drop)
    }

    /// Adds an item and returns a ticket for its result. Waits for room as long as it takes, but not for the
    /// result.
    ///
    /// # Errors
    /// As [`add`](Batcher::add).
    #[inline]
    #[track_caller]
    pub fn submit(&self, item: T) -> Result<Ticket<T, R>, Rejected<T, WaitError>> {
        self.submit_until(item, Until::forever())
    }

    /// Like [`submit`](Batcher::submit), without waiting.
    ///
    /// # Errors
    /// As [`try_add`](Batcher::try_add).
    pub fn try_submit(&self, item: T) -> Result<Ticket<T, R>, Rejected<T, TryError>> {
        self.shared.try_add(item, true).map(|ticket| ticket.expect("one was asked for"))
    }

    /// Like [`submit`](Batcher::submit), waiting for room until `limit` at most. The wait for the result is
    /// the ticket's, with a limit of its own.
    ///
    /// # Errors
    /// As [`add_until`](Batcher::add_until).
    #[track_caller]
    pub fn submit_until<'a>(
        &self,
        item: T,
        limit: impl Into<Until<'a>>,
    ) -> Result<Ticket<T, R>, Rejected<T, WaitError>> {
        self.shared.add(item, true, limit.into()).map(|ticket| ticket.expect("one was asked for"))
    }

    /// Hands over everything added so far, without waiting for more items, and waits until all of it has been
    /// processed or has failed. Items that other threads add meanwhile are not waited for.
    ///
    /// Failures are reported to the tickets, the [hook](Builder::on_error) and the [report](Batcher::close).
    ///
    /// # Errors
    /// [`WaitError::WouldDeadlock`] inside the handler, or if all handlers wait for the calling thread, while
    /// something is left to process. The items are handed over nevertheless.
    #[track_caller]
    pub fn flush(&self) -> Result<(), WaitError> {
        self.flush_until(Until::forever())
    }

    /// Like [`flush`](Batcher::flush), waiting until `limit` at most. The items are handed over in any case,
    /// unless the limit's token was cancelled before the call.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`], [`WaitError::Cancelled`], or as [`flush`](Batcher::flush).
    #[track_caller]
    pub fn flush_until<'a>(&self, limit: impl Into<Until<'a>>) -> Result<(), WaitError> {
        self.shared.flush(limit.into())
    }

    /// Refuses further items, waits until the accepted ones have been processed or have failed, with all
    /// their retries, and joins the threads. Callers that wait for room are refused.
    ///
    /// Several threads may call it, repeatedly. If it is called from inside the handler, or if a handler
    /// waits for the calling thread, it closes the batcher without waiting, and the report names the threads
    /// that still work.
    #[track_caller]
    pub fn close(&self) -> Report<T> {
        // An unlimited wait fails only with `WouldDeadlock`, and the report says which threads still work.
        self.close_until(Until::forever()).unwrap_or_else(Partial::into_value)
    }

    /// Like [`close`](Batcher::close), waiting until `limit` at most. The batcher stays closed, and its
    /// threads process what was accepted.
    ///
    /// # Errors
    /// With a report that names the threads that still work: [`WaitError::TimedOut`],
    /// [`WaitError::Cancelled`], or [`WaitError::WouldDeadlock`] if a handler waits for the calling thread.
    #[allow(clippy::result_large_err, reason = "a batcher ends once")]
    #[track_caller]
    pub fn close_until<'a>(&self, limit: impl Into<Until<'a>>) -> Result<Report<T>, Partial<Report<T>>> {
        // Closed even if the wait below ends early.
        self.shared.close();
        self.finish(Vec::new(), limit.into())
    }

    /// Refuses further items, takes back those that no handler is processing, waits for the running handlers,
    /// and joins the threads. A batch that waits for a retry, or whose handler fails from then on, is taken
    /// back too. Tickets of items that were taken back get [`BatchError::Cancelled`].
    ///
    /// Inside the handler it returns at once, as [`close`](Batcher::close) does.
    #[track_caller]
    pub fn abort(&self) -> Report<T> {
        self.abort_until(Until::forever()).unwrap_or_else(Partial::into_value)
    }

    /// Like [`abort`](Batcher::abort), waiting for the running handlers until `limit` at most.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`] or [`WaitError::Cancelled`], with a report of the items that were taken back
    /// and the threads that still work.
    #[allow(clippy::result_large_err, reason = "a batcher ends once")]
    #[track_caller]
    pub fn abort_until<'a>(&self, limit: impl Into<Until<'a>>) -> Result<Report<T>, Partial<Report<T>>> {
        // Taken back under the lock; the tickets are settled and the items collected without it.
        let batches = self.shared.abort();
        let items =
            batches.into_iter().flat_map(|batch| job::cancel_unstarted(&self.shared, batch)).collect();
        self.finish(items, limit.into())
    }

    /// Waits for the threads to leave, joins them, and reports. The batcher is closed.
    #[allow(clippy::result_large_err, reason = "a batcher ends once")]
    fn finish(&self, unprocessed: Vec<T>, limit: Until<'_>) -> Result<Report<T>, Partial<Report<T>>> {
        let inside = self.shared.is_inside();
        // From inside the handler, the wait would be for the calling thread itself.
        let waited = if inside { Ok(()) } else { self.shared.wait_for_threads(limit) };
        let mut running = Vec::new();
        if waited.is_ok() && !inside {
            // Of several closers, one gets the handles; the others have nothing to join.
            let threads = std::mem::take(&mut *self.threads.lock());
            // They have run the caller's last code, so this waits only for the operating system.
            threads.into_iter().for_each(cache::join);
        } else {
            running = self.shared.running(&self.name);
        }
        let report = self.shared.report(unprocessed, running);
        match waited {
            Ok(()) => Ok(report),
            Err(error) => Err(Partial::new(report, error)),
        }
    }

    /// Returns true once the batcher is closed to new items.
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed()
    }

    /// Returns a snapshot of the batcher's figures.
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }
}

impl<T, R> Drop for Batcher<T, R> {
    /// Closes the batcher as [`Batcher::close`] does.
    fn drop(&mut self) {
        // The errors' drops are contained; the items' drops propagate, since they are the owner's.
        let report = self.close();
        panics::discard_each(report.errors);
        panics::drop_each(report.unprocessed);
    }
}

impl<T, R> fmt::Debug for Batcher<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Batcher");
        out.field("name", &self.name);
        self.shared.describe(&mut out);
        out.finish_non_exhaustive()
    }
}

impl<T, R> UnwindSafe for Batcher<T, R> {}
impl<T, R> RefUnwindSafe for Batcher<T, R> {}

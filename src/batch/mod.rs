//! Collecting items, and processing them many at a time.

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

/// Collects items and hands them to a handler many at a time: where a call for each would be too dear, such
/// as an `fsync`, a database transaction, or a request to a server.
///
/// A batch is handed over when it has [`max_items`](Builder::max_items), when another item would make it
/// heavier than [`max_weight`](Builder::max_weight), when its *oldest* item has waited for
/// [`max_age`](Builder::max_age), however many have come since, and on [`flush`](Batcher::flush) and
/// [`close`](Batcher::close). Each item that was accepted is in exactly one batch; no batch is empty; what
/// was accepted is processed, or given back. The handler runs on the batcher's own thread with no lock held,
/// so adding goes on while it works, and waits only when too much has gathered.
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
/// Group commit: each writer returns when its own record is on disk, and those that come while the disk is
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
/// `add` and `submit` wait while the [backlog](Builder::backlog) is full; a thread that takes a batch calls
/// those who wait. [`Ticket::join`] waits for the end of one batch, `flush` for the end of all that was added
/// before it, `close` and drop for everything. `try_add`, `try_submit` and `stats` never wait.
///
/// From inside the handler (and on threads that it waits for in a scope) nothing of this deadlocks: `add`
/// succeeds while there is room and fails with [`WaitError::WouldDeadlock`] when there is none, because the
/// room would be made by the thread that asks; so do `flush` and a wait for a ticket; `close`, `abort` and
/// drop return without waiting.
///
/// # Cancellation
/// An add that gives up gives its item back. A wait for a ticket or a flush that gives up takes nothing out
/// of a batch. [`abort`](Batcher::abort) takes back what no handler works on.
///
/// # Panics
/// A handler that panics takes its batch with it, and nothing else: the tickets of that batch get the panic
/// as [`BatchError::Panicked`], items without a ticket go to the [hook](Builder::on_error), the
/// [report](Batcher::close) has the panic, and the next batch is handed over as if nothing had happened. It
/// is not retried. A panic in [`weigh`](Builder::weigh) is the adder's.
///
/// # Fairness
/// Items are batched in the order in which they are accepted. Who waits for room is called first come, first
/// served; one that comes by at the right moment may be faster, and a light item may find room where a heavy
/// one waits, but not for ever: while a caller waits that has lost 32 times, nobody else opens a batch.
///
/// # Ordering
/// What was done before an item was added is visible to the handler, and what the handler did is visible
/// after [`Ticket::join`], `flush` and `close`. With one batch in flight, the handler sees what it did for
/// earlier batches.
///
/// # Proof
/// Models in `loom-tests/tests/batch.rs`. They assume that the operating system starts every thread that
/// `build` asked for.
///
/// # Cost
/// An add is an uncontended lock and a push; the clock is read once a batch, and a thread is called at most
/// twice a batch. A ticket allocates nothing of its own: the tickets of one batch share an allocation. The
/// handler has a thread of its own, so a group commit costs two wake-ups that it would not if a waiter ran
/// the handler itself; but then a waiter could not leave when its limit passes, an add could take as long as
/// a batch, and a panic would land on somebody who only happened to be there. Bench `batch` has both. Memory:
/// backlog and batches in flight times the most items.
///
/// # Instead
/// [`BoundedQueue::pop_many`](crate::BoundedQueue::pop_many) if a thread of yours takes what is there, and
/// there is no age and nobody to answer. A [`BufWriter`](std::io::BufWriter) for bytes of one thread.
pub struct Batcher<T, R = ()> {
    shared: Arc<Shared<T, R>>,
    name: String,
    threads: Mutex<Vec<thread::JoinHandle<()>>>,
    /// In the list that [`inspect`](crate::inspect) shows, as long as there is a handle.
    _listed: Option<Listed>,
}

impl<T: Send + 'static> Batcher<T> {
    /// Starts describing a batcher.
    pub fn builder() -> Builder<T> {
        Builder::new()
    }
}

impl<T, R> Batcher<T, R> {
    /// Adds an item whose result nobody waits for; waits for room as long as it takes.
    ///
    /// # Errors
    /// With the item: [`WaitError::Closed`]; [`WaitError::InsufficientCapacity`] if it is heavier than a
    /// batch may be; [`WaitError::WouldDeadlock`] inside the handler, if there is no room.
    #[inline]
    #[track_caller]
    pub fn add(&self, item: T) -> Result<(), Rejected<T, WaitError>> {
        self.add_until(item, Until::forever())
    }

    /// Adds an item if there is room now.
    ///
    /// # Errors
    /// With the item: [`TryError::WouldBlock`], [`TryError::Closed`] or [`TryError::InsufficientCapacity`].
    #[inline]
    pub fn try_add(&self, item: T) -> Result<(), Rejected<T, TryError>> {
        self.shared.try_add(item, false).map(drop)
    }

    /// Like [`add`](Batcher::add), and waits for room at most until `limit`.
    ///
    /// # Errors
    /// With the item: each [`WaitError`].
    #[inline]
    #[track_caller]
    pub fn add_until<'a>(&self, item: T, limit: impl Into<Until<'a>>) -> Result<(), Rejected<T, WaitError>> {
        self.shared.add(item, false, limit.into()).map(drop)
    }

    /// Adds an item and returns a ticket for its result; waits for room as long as it takes, not for the
    /// result.
    ///
    /// # Errors
    /// As [`add`](Batcher::add).
    #[inline]
    #[track_caller]
    pub fn submit(&self, item: T) -> Result<Ticket<T, R>, Rejected<T, WaitError>> {
        self.submit_until(item, Until::forever())
    }

    /// Like [`submit`](Batcher::submit), if there is room now.
    ///
    /// # Errors
    /// As [`try_add`](Batcher::try_add).
    pub fn try_submit(&self, item: T) -> Result<Ticket<T, R>, Rejected<T, TryError>> {
        self.shared.try_add(item, true).map(|ticket| ticket.expect("one was asked for"))
    }

    /// Like [`submit`](Batcher::submit), and waits for room at most until `limit`. The wait for the result is
    /// the ticket's, and has a limit of its own.
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

    /// Hands over what has been added, without waiting for more to come, and waits until all of it has been
    /// processed or has failed. What others add meanwhile is not waited for.
    ///
    /// Whether it failed is known to the tickets, the [hook](Builder::on_error) and the
    /// [report](Batcher::close).
    ///
    /// # Errors
    /// [`WaitError::WouldDeadlock`] inside the handler, or where all handlers wait for this thread, if
    /// something is left to be processed; it is handed over all the same.
    #[track_caller]
    pub fn flush(&self) -> Result<(), WaitError> {
        self.flush_until(Until::forever())
    }

    /// Like [`flush`](Batcher::flush), and waits at most until `limit`. What has been added is handed over in
    /// any case, unless the limit's token was cancelled before the call.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`], [`WaitError::Cancelled`], or as [`flush`](Batcher::flush).
    #[track_caller]
    pub fn flush_until<'a>(&self, limit: impl Into<Until<'a>>) -> Result<(), WaitError> {
        self.shared.flush(limit.into())
    }

    /// Takes no more items, waits until those that were accepted have been processed or have failed, with all
    /// their retries, and joins the threads. Who waits for room is refused.
    ///
    /// Any thread may call it, and more than one, again and again. From inside the handler, or where one
    /// waits for this thread, it closes the batcher and does not wait for that; the report names the threads
    /// that still work.
    #[track_caller]
    pub fn close(&self) -> Report<T> {
        // A forever limit does not end.
        self.close_until(Until::forever()).unwrap_or_else(Partial::into_value)
    }

    /// Like [`close`](Batcher::close), and waits at most until `limit`. The batcher stays closed, and its
    /// threads go on with what was accepted.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`], [`WaitError::Cancelled`], or [`WaitError::WouldDeadlock`] if a handler waits
    /// for this thread, with a report that names the threads which still work.
    #[allow(clippy::result_large_err, reason = "a batcher ends once")]
    #[track_caller]
    pub fn close_until<'a>(&self, limit: impl Into<Until<'a>>) -> Result<Report<T>, Partial<Report<T>>> {
        self.shared.close();
        self.finish(Vec::new(), limit.into())
    }

    /// Takes no more items, takes back those that no handler works on, waits for the handlers that run, and
    /// joins the threads. A batch that waits for a retry, or whose handler fails from then on, is taken back
    /// too. Tickets of what was taken back get [`BatchError::Cancelled`].
    ///
    /// From inside the handler it returns at once, as [`close`](Batcher::close) does.
    #[track_caller]
    pub fn abort(&self) -> Report<T> {
        self.abort_until(Until::forever()).unwrap_or_else(Partial::into_value)
    }

    /// Like [`abort`](Batcher::abort), and waits for the handlers that run at most until `limit`.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`] or [`WaitError::Cancelled`], with a report of what was taken back, and of the
    /// threads which still work.
    #[allow(clippy::result_large_err, reason = "a batcher ends once")]
    #[track_caller]
    pub fn abort_until<'a>(&self, limit: impl Into<Until<'a>>) -> Result<Report<T>, Partial<Report<T>>> {
        let batches = self.shared.abort();
        let items = batches.into_iter().flat_map(|batch| job::unbegun(&self.shared, batch)).collect();
        self.finish(items, limit.into())
    }

    /// Waits for the threads, joins them, and says how it went. The batcher is closed.
    #[allow(clippy::result_large_err, reason = "a batcher ends once")]
    fn finish(&self, unprocessed: Vec<T>, limit: Until<'_>) -> Result<Report<T>, Partial<Report<T>>> {
        let inside = self.shared.is_inside();
        // From inside, one would wait for oneself.
        let waited = if inside { Ok(()) } else { self.shared.wait_for_threads(limit) };
        let mut running = Vec::new();
        if waited.is_ok() && !inside {
            let threads = std::mem::take(&mut *self.threads.lock());
            // They are past the caller's code; this waits for the system only.
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

    /// True once the batcher was closed: it takes no more items.
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed()
    }

    /// What the batcher does and has done.
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }
}

impl<T, R> Drop for Batcher<T, R> {
    /// Closes the batcher as [`Batcher::close`] does.
    fn drop(&mut self) {
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

//! The configuration of a batcher.

use std::error::Error;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Duration;
use std::{fmt, io};

use super::Batcher;
use super::backlog::Limits;
use super::failure::{BatchError, Failed};
use super::handler_result::HandlerResult;
use super::items::Batch;
use super::job;
use super::report::{Hook, Inspected};
use super::shared::{Retry, Shared, Weigh, thread_name};
use crate::clock::Clock;
use crate::inspect::{self, Inspect};
use crate::retry::{self, Again};
use crate::sync::{Arc, Mutex, thread};

/// Configures a [`Batcher`]; made by [`Batcher::builder`].
#[must_use = "a builder starts no thread until `build` is called"]
pub struct Builder<T> {
    name: String,
    limits: Limits,
    weigh: Option<Weigh<T>>,
    retry: Option<Retry>,
    hook: Option<Hook<T>>,
    clock: Clock,
}

/// Why a batcher could not be built.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// `max_items(0)` or `max_weight(0)`: nothing would fit into a batch.
    NoSize,
    /// `backlog(0)`: no item could be handed over.
    NoBacklog,
    /// `build_concurrent(0, ..)`: no thread would process a batch.
    NoneInFlight,
    /// The operating system refused a thread. The threads that had started have been stopped.
    Spawn(io::Error),
}

impl<T: Send + 'static> Builder<T> {
    pub(super) fn new() -> Self {
        let limits = Limits { items: 1_000, weight: usize::MAX, age: Duration::from_millis(10), batches: 2 };
        Builder {
            name: "batch".into(),
            limits,
            weigh: None,
            retry: None,
            hook: None,
            clock: Clock::current(),
        }
    }

    /// Names the batcher. Its threads are called `name-0`, `name-1` and so on. Defaults to `batch`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The maximum of items in a batch; a batch that reaches it is handed over at once. Defaults to 1,000.
    pub fn max_items(mut self, items: usize) -> Self {
        self.limits.items = items;
        self
    }

    /// How long the oldest item of a batch may wait for further ones. Defaults to 10 ms. Later items do not
    /// prolong it.
    ///
    /// With [`Duration::ZERO`], a free thread takes what is there at once, and items that arrive while no
    /// thread is free form the next batch. This is what a group commit needs. With [`Duration::MAX`], only a
    /// full batch is handed over, or one that is flushed or closed.
    pub fn max_age(mut self, age: Duration) -> Self {
        self.limits.age = age;
        self
    }

    /// The maximum of the items' [weights](Builder::weigh) in a batch. Defaults to no limit.
    ///
    /// No batch is ever heavier. An item that does not fit into the open batch opens another. An item that is
    /// heavier than the maximum by itself is refused with
    /// [`InsufficientCapacity`](crate::error::WaitError::InsufficientCapacity). To process it alone instead,
    /// weigh it as the maximum.
    pub fn max_weight(mut self, weight: usize) -> Self {
        self.limits.weight = weight;
        self
    }

    /// The weight of an item, for example its length in bytes. Defaults to 1. Called once an item, by the
    /// thread that adds it; a panic propagates to that thread.
    ///
    /// ```
    /// use selvedge::Batcher;
    /// use selvedge::batch::Batch;
    ///
    /// let batcher = Batcher::builder()
    ///     .max_weight(10)
    ///     .weigh(|line: &String| line.len().min(10)) // a longer one goes alone
    ///     .build(|lines: &mut Batch<String>| assert!(lines.len() == 1 || lines.weight() <= 10))?;
    /// for line in ["short", "shorter", "longer than all the others"] {
    ///     batcher.add(line.to_owned())?;
    /// }
    /// assert!(batcher.close().is_clean());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn weigh(mut self, weigh: impl Fn(&T) -> usize + Send + Sync + 'static) -> Self {
        self.weigh = Some(Box::new(weigh));
        self
    }

    /// How many batches may wait for a thread, including the open one. Defaults to 2. When there are as many,
    /// adding blocks. So at most `batches` times [`max_items`](Builder::max_items) items are waiting, and as
    /// many as that for each batch in flight are being processed.
    pub fn backlog(mut self, batches: usize) -> Self {
        self.limits.batches = batches;
        self
    }

    /// Repeats an attempt that returned an error, as often and after such pauses as `policy` says. Without a
    /// policy there is one attempt.
    ///
    /// If the handler returns one result for the batch, all items are retried together. If it returns a
    /// result for each item, those that failed are retried. The batcher's thread waits, on the batcher's
    /// clock, so that the order of batches is kept. Not retried are a panic and items that the handler
    /// [took](Batch::take). The policy's budget is that of one batch, from its first attempt.
    ///
    /// ```
    /// use selvedge::batch::Batch;
    /// use selvedge::{Batcher, retry};
    /// use std::time::Duration;
    ///
    /// let batcher = Batcher::builder()
    ///     .max_items(2)
    ///     .retry(retry::policy().attempts(3).first(Duration::from_millis(1)))
    ///     .build(|batch: &mut Batch<&str>| match batch.attempt() {
    ///         3 => Ok(()),
    ///         _ => Err("not yet"),
    ///     })?;
    /// batcher.add("a")?;
    /// let b = batcher.submit("b")?;
    /// assert!(b.join().is_ok());
    /// assert_eq!(batcher.stats().retries, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn retry(self, policy: retry::Policy) -> Self {
        self.retry_if(policy, |_| true)
    }

    /// Like [`retry`](Builder::retry), and asks `worth` about each error whether another attempt could help.
    /// It returns a `bool` or an [`Again`]. If it panics, the batcher gives up.
    ///
    /// If the handler returns a result for each item, `worth` is asked for each that failed, and the longest
    /// pause applies to all that are retried.
    ///
    /// ```
    /// use selvedge::batch::{Batch, BatchError};
    /// use selvedge::{Batcher, retry};
    /// use std::io;
    ///
    /// let is_passing = |error: &BatchError| match error.downcast_ref::<io::Error>() {
    ///     Some(error) => error.kind() != io::ErrorKind::StorageFull,
    ///     None => false,
    /// };
    /// let batcher = Batcher::builder()
    ///     .max_items(1)
    ///     .retry_if(retry::policy().attempts(5), is_passing)
    ///     .build(|_: &mut Batch<u32>| Err::<(), _>(io::Error::from(io::ErrorKind::StorageFull)))?;
    /// assert!(batcher.submit(1)?.join().is_err());
    /// assert_eq!(batcher.stats().retries, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn retry_if<A: Into<Again>>(
        mut self,
        policy: retry::Policy,
        worth: impl Fn(&BatchError) -> A + Send + Sync + 'static,
    ) -> Self {
        self.retry = Some(Retry { policy, worth: Box::new(move |error| worth(error).into()) });
        self
    }

    /// Sets a hook for items of a failed batch that have no ticket, or whose ticket was dropped. Defaults to
    /// none: such items are dropped, and the [report](super::Report) says why and how many.
    ///
    /// The hook runs on the batcher's thread, or on the thread that drops the ticket of a failed item. If it
    /// panics, the panic hook reports that and it goes no further. Items that the handler took are not passed
    /// to it.
    pub fn on_error(mut self, hook: impl Fn(Failed<Vec<T>>) + Send + Sync + 'static) -> Self {
        self.hook = Some(Hook::new(hook));
        self
    }

    /// The clock of ages and pauses. Defaults to the system's.
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// Starts the batcher with one thread: it processes one batch after another, in the order in which the
    /// items were added.
    ///
    /// The handler may return `()`, `Result<R, E>`, or `Vec<Result<R, E>>`; see [`HandlerResult`].
    ///
    /// # Errors
    /// A [`BuildError`] that says which number is wrong, or why the operating system refused a thread.
    pub fn build<V: HandlerResult>(
        self,
        handler: impl FnMut(&mut Batch<T>) -> V + Send + 'static,
    ) -> Result<Batcher<T, V::Value>, BuildError> {
        self.start([handler].into_iter())
    }

    /// Starts the batcher with `in_flight` threads, which process as many batches at once. Batches are
    /// started in the order in which the items were added, and may end in any order.
    ///
    /// # Errors
    /// A [`BuildError`] that says which number is wrong, or why the operating system refused a thread.
    pub fn build_concurrent<V: HandlerResult>(
        self,
        in_flight: usize,
        handler: impl Fn(&mut Batch<T>) -> V + Send + Sync + 'static,
    ) -> Result<Batcher<T, V::Value>, BuildError> {
        // Shared: an `Fn` may run on all threads at once.
        let handler = Arc::new(handler);
        self.start((0..in_flight).map(|_| {
            let handler = Arc::clone(&handler);
            move |batch: &mut Batch<T>| handler(batch)
        }))
    }

    /// Starts a thread for each handler.
    fn start<V: HandlerResult, F: FnMut(&mut Batch<T>) -> V + Send + 'static>(
        self,
        handlers: impl ExactSizeIterator<Item = F>,
    ) -> Result<Batcher<T, V::Value>, BuildError> {
        let Limits { items, weight, batches, .. } = self.limits;
        // Checked before any thread starts, so that there is nothing to undo.
        if items == 0 || weight == 0 {
            return Err(BuildError::NoSize);
        }
        if batches == 0 {
            return Err(BuildError::NoBacklog);
        }
        if handlers.len() == 0 {
            return Err(BuildError::NoneInFlight);
        }
        let shared = Shared::new(self.limits, self.weigh, self.retry, self.hook, self.clock);
        // Dropping the batcher on an early return stops the threads that have started.
        let inspected = || Arc::new(Inspected { shared: Arc::clone(&shared), name: self.name.clone() });
        let listed = inspect::list(|| inspected() as Arc<dyn Inspect>);
        let batcher = Batcher { shared, name: self.name, threads: Mutex::new(Vec::new()), _listed: listed };
        for (index, handler) in handlers.enumerate() {
            let shared = Arc::clone(&batcher.shared);
            // Counted before the spawn: a close that comes first must wait for this thread.
            shared.thread_starts();
            let clock = Clock::current();
            let thread = thread::Builder::new().name(thread_name(&batcher.name, index));
            let work = move || {
                // The handler reads the clock of the thread that built the batcher.
                let _clock = clock.enter();
                job::work(&shared, index, handler)
            };
            match thread.spawn(work) {
                Ok(thread) => batcher.threads.lock().push(thread),
                Err(error) => {
                    // It was counted, and will not leave by itself.
                    batcher.shared.thread_leaves();
                    return Err(BuildError::Spawn(error));
                }
            }
        }
        Ok(batcher)
    }
}

impl<T> fmt::Debug for Builder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("name", &self.name)
            .field("limits", &self.limits)
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildError::NoSize => {
                f.write_str("a batch of 0 items, or of weight 0, would never hold one: allow at least 1")
            }
            BuildError::NoBacklog => {
                f.write_str("a backlog of 0 batches would never hand one over: ask for at least 1")
            }
            BuildError::NoneInFlight => {
                f.write_str("with 0 batches in flight none would be processed: ask for at least 1")
            }
            BuildError::Spawn(error) => write!(f, "a batcher's thread could not be started: {error}"),
        }
    }
}

impl Error for BuildError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            BuildError::Spawn(error) => Some(error),
            _ => None,
        }
    }
}

impl<T> UnwindSafe for Builder<T> {}
impl<T> RefUnwindSafe for Builder<T> {}

//! What a batcher is made of.

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
use super::shared::{Policy, Shared, Weigh, thread_name};
use crate::clock::Clock;
use crate::inspect::{self, Inspect};
use crate::sync::{Arc, Mutex, thread};

/// Describes a [`Batcher`] before it is built; made by [`Batcher::builder`].
#[must_use = "a builder starts no thread until `build` is called"]
pub struct Builder<T> {
    name: String,
    limits: Limits,
    weigh: Option<Weigh<T>>,
    retry: Option<Policy>,
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
    /// `build_concurrent(0, ..)`: nobody would process anything.
    NoneInFlight,
    /// The operating system refused a thread. Those that had started were stopped again.
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

    /// Names the batcher. Its threads are called `name-0`, `name-1` and so on; without it, `batch-0`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The most items in a batch; one that has so many is handed over at once. Without it, 1,000.
    pub fn max_items(mut self, items: usize) -> Self {
        self.limits.items = items;
        self
    }

    /// How long the oldest item of a batch may wait for others to come; without it, 10 ms. What comes later
    /// does not prolong it.
    ///
    /// [`Duration::ZERO`] is not to wait for others at all: a free thread takes what is there, and what comes
    /// while none is free makes the next batch. This is what a group commit wants. With [`Duration::MAX`]
    /// only a full batch is handed over, or one that is flushed or closed.
    pub fn max_age(mut self, age: Duration) -> Self {
        self.limits.age = age;
        self
    }

    /// The most that the items of a batch may [weigh](Builder::weigh) together; without it, there is no such
    /// limit.
    ///
    /// No batch is ever heavier. An item that does not fit into the open batch begins another; one that is
    /// heavier than this by itself is refused with
    /// [`Impossible`](crate::error::WaitError::InsufficientCapacity). To let it go alone instead, weigh it as
    /// this much at most.
    pub fn max_weight(mut self, weight: usize) -> Self {
        self.limits.weight = weight;
        self
    }

    /// What an item weighs, say its length in bytes; without it, 1. Called once an item, by the thread that
    /// adds it; a panic of it is the adder's.
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

    /// How many batches may wait for a thread, the open one included; without it, 2. When there are so many,
    /// who adds waits. So at most so many times [`max_items`](Builder::max_items) are waiting, and as many
    /// again for each batch in flight are being processed.
    pub fn backlog(mut self, batches: usize) -> Self {
        self.limits.batches = batches;
        self
    }

    /// What to do when the handler has returned an error: the policy is told how many attempts there were and
    /// the error, and says how long to wait before the next; `None` gives up. Without a policy there is one
    /// attempt.
    ///
    /// A handler that returns one result for all has all items retried together; one that returns a result
    /// for each has those retried that failed, the policy asked for each, and the longest of the pauses
    /// waited for. The batcher's thread waits, on the batcher's clock, so that the order of the batches is
    /// kept. A panic is not retried, nor are items that the handler [took](Batch::take). A policy that panics
    /// gives up.
    ///
    /// ```
    /// use selvedge::Batcher;
    /// use selvedge::batch::Batch;
    /// use std::time::Duration;
    ///
    /// let batcher = Batcher::builder()
    ///     .max_items(2)
    ///     .retry(|attempts, _error| (attempts < 3).then(|| Duration::from_millis(1) * attempts as u32))
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
    pub fn retry(
        mut self,
        policy: impl Fn(usize, &BatchError) -> Option<Duration> + Send + Sync + 'static,
    ) -> Self {
        self.retry = Some(Box::new(policy));
        self
    }

    /// Called with the items of a batch that failed and have no ticket, or whose ticket was dropped. Without
    /// it, such items are dropped; the [report](super::Report) tells why and how many.
    ///
    /// It runs on the batcher's thread, or where a ticket is dropped whose item has failed. If it panics
    /// itself, that ends with the message of the panic hook. Where the handler has taken the items, there are
    /// none in it.
    pub fn on_error(mut self, hook: impl Fn(Failed<Vec<T>>) + Send + Sync + 'static) -> Self {
        self.hook = Some(Hook::new(hook));
        self
    }

    /// The clock that ages and pauses are measured on; without it, the system's.
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// Starts the batcher, with one thread: one batch after the other, in the order in which the items were
    /// added.
    ///
    /// The handler may return `()`, `Result<R, E>`, or `Vec<Result<R, E>>`; [`HandlerResult`] says what each
    /// means.
    ///
    /// # Errors
    /// A [`BuildError`] says which number is wrong, or what the operating system said.
    pub fn build<V: HandlerResult>(
        self,
        handler: impl FnMut(&mut Batch<T>) -> V + Send + 'static,
    ) -> Result<Batcher<T, V::Value>, BuildError> {
        self.start([handler].into_iter())
    }

    /// Starts the batcher with `in_flight` threads: so many batches are processed at once, begun in the order
    /// in which the items were added, and ended in any.
    ///
    /// # Errors
    /// A [`BuildError`] says which number is wrong, or what the operating system said.
    pub fn build_concurrent<V: HandlerResult>(
        self,
        in_flight: usize,
        handler: impl Fn(&mut Batch<T>) -> V + Send + Sync + 'static,
    ) -> Result<Batcher<T, V::Value>, BuildError> {
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
        // Dropped on an early return, which stops the threads that have started.
        let inspected = || Arc::new(Inspected { shared: Arc::clone(&shared), name: self.name.clone() });
        let listed = inspect::list(|| inspected() as Arc<dyn Inspect>);
        let batcher = Batcher { shared, name: self.name, threads: Mutex::new(Vec::new()), _listed: listed };
        for (index, handler) in handlers.enumerate() {
            let shared = Arc::clone(&batcher.shared);
            shared.thread_starts();
            let clock = Clock::current();
            let thread = thread::Builder::new().name(thread_name(&batcher.name, index));
            let work = move || {
                let _clock = clock.enter();
                job::work(&shared, index, handler)
            };
            match thread.spawn(work) {
                Ok(thread) => batcher.threads.lock().push(thread),
                Err(error) => {
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

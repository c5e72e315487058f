//! One token, and every sleeper below it wakes.

mod cause;
mod guards;
mod node;
mod watchers;

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

pub use cause::Cause;
pub use guards::{CallbackGuard, DropGuard};

use crate::clock::Clock;
use crate::error::{Cancelled, WaitError};
use crate::panics;
use crate::sync::{Arc, weak};
use crate::until::Until;
use crate::wait::{Outcome, Waiter};
use guards::Watch;
use node::{Node, Watcher};

/// Tells any number of threads to stop, wherever in this crate they sleep.
///
/// Pass a `&CancelToken` as the limit of any call that waits: when the token is cancelled, the call returns
/// [`Cancelled`](WaitError::Cancelled), and whatever it was handed comes back. Clones are the same token.
/// [`child`](CancelToken::child) makes one below it: cancelling the parent cancels the child, never the other
/// way round, and a child that is dropped leaves nothing behind in its parent.
///
/// # Examples
/// ```
/// use selvedge::CancelToken;
///
/// let stop = CancelToken::new();
/// let request = stop.child();
/// request.cancel();
/// assert!(request.is_cancelled() && !stop.is_cancelled());
/// ```
///
/// Stop a worker that sleeps, and say why:
/// ```
/// use selvedge::{CancelToken, error::WaitError, queue::BoundedQueue};
///
/// let stop = CancelToken::new();
/// let jobs = BoundedQueue::<u32>::new(8);
/// std::thread::scope(|s| {
///     let worker = s.spawn(|| loop {
///         if let Err(error) = jobs.pop_until(&stop) {
///             return error;
///         }
///     });
///     stop.cancel_because("the disk is full");
///     assert_eq!(worker.join().unwrap(), WaitError::Cancelled);
/// });
/// assert_eq!(stop.cause().unwrap().to_string(), "the disk is full");
/// ```
///
/// # Blocking
/// Only [`wait`](CancelToken::wait), [`wait_until`](CancelToken::wait_until) and
/// [`sleep`](CancelToken::sleep) block.
///
/// # Cancellation
/// It is final and happens once; the first cause stays. Everybody who waits on the token, and every child
/// that it had, has been told by the time the call that cancelled it returns; until then the token may be
/// seen cancelled and a child not yet. A second canceller does not wait for the first. A token that is seen
/// cancelled has a [`done`](CancelToken::done) that is disconnected, and the other way round.
///
/// # Panics
/// A panic of a callback is passed on to whoever cancelled, after everybody else has been told; of several
/// the first. At a deadline nobody asked for the callback, so its panic ends with the panic hook's message;
/// on a manual clock it goes to whoever advances it. A callback that is never called is dropped with its
/// guard, or with the last token, and there its captures may panic.
///
/// # Ordering
/// What a thread did before it cancelled is visible to who sees the token cancelled.
///
/// # Proof
/// Models in `loom-tests/tests/cancel.rs`: cancel between check and sleep; a parent cancelled while a child
/// is made, and while one is dropped; a callback registered while cancelling. They assume that
/// crossbeam's receiver is disconnected by dropping its sender.
///
/// # Cost
/// [`is_cancelled`](CancelToken::is_cancelled) is a load, and a look at the clock if there is a deadline.
/// Bench `cancel`.
///
/// # Instead
/// A single flag that nobody sleeps on is an `AtomicBool`. A single consumer that should stop is often served
/// better by closing its queue.
#[derive(Clone)]
pub struct CancelToken {
    node: weak::Arc<Node>,
}

impl CancelToken {
    /// Makes a token on this thread's clock: the system's, but in a
    /// [`ManualClock::scope`](crate::ManualClock::scope).
    pub fn new() -> Self {
        CancelToken::with_clock(Clock::current())
    }

    /// Makes a token on `clock`, which its children have too.
    pub fn with_clock(clock: impl Into<Clock>) -> Self {
        CancelToken { node: Node::root(clock.into()) }
    }

    /// Makes a token that is cancelled with this one. If this one is cancelled already, so is the child.
    #[must_use = "a child that is dropped is forgotten"]
    pub fn child(&self) -> Self {
        CancelToken { node: Node::child(&self.node, None) }
    }

    /// A child that its parent knows of only once somebody must be told of its end: half the price where
    /// nobody ever must.
    pub(crate) fn loose_child(&self) -> Self {
        CancelToken { node: Node::loose_child(&self.node) }
    }

    /// Makes a child that is also cancelled when `limit` passes, with the cause
    /// [`Cause::DeadlinePassed`]. Its deadline is never later than this token's.
    ///
    /// A token in `limit` counts as well: if it is cancelled, the child is, with its cause, and its deadline
    /// bounds the child's. A token without a deadline may be on any clock.
    ///
    /// # Panics
    /// If `limit` has a deadline, its own or its token's, on another clock than this token.
    #[must_use = "a child that is dropped is forgotten"]
    #[track_caller]
    pub fn child_until<'a>(&self, limit: impl Into<Until<'a>>) -> Self {
        let limit = limit.into().on_clock(self.clock()).start();
        let theirs = limit.token().and_then(|token| Some((token.clock(), token.deadline()?)));
        let own = limit.deadline().map(|at| (limit.clock(), at));
        for (clock, _) in own.iter().chain(&theirs) {
            assert!(
                clock.is_same(self.clock()),
                "the limit has a deadline on another clock ({clock:?}) than the token ({:?}): a deadline is kept on one",
                self.clock(),
            );
        }
        let deadline = own.into_iter().chain(theirs).map(|(_, at)| at).min();
        let child = CancelToken { node: Node::child(&self.node, deadline) };
        if let Some(other) = limit.token() {
            Node::follow_also(&child.node, &other.node);
        }
        child
    }

    /// Cancels the token and its children.
    ///
    /// Takes locks and allocates, so it must not be called from a signal handler, which may have interrupted
    /// a thread that holds one of those locks. Let a thread wait for the signal and cancel from there; the
    /// [guide](crate::guide::signals) has the recipe.
    pub fn cancel(&self) {
        self.cancel_for(Cause::Requested);
    }

    /// Cancels the token and its children, and leaves the reason in [`cause`](CancelToken::cause).
    pub fn cancel_because(&self, error: impl Into<Box<dyn Error + Send + Sync>>) {
        self.cancel_for(Cause::Error(Arc::from(error.into())));
    }

    /// Cancels for a reason that another token had.
    pub(crate) fn cancel_for(&self, cause: Cause) {
        if let Some(payload) = Node::cancel(&self.node, cause) {
            panics::resume(payload);
        }
    }

    /// True if the token was cancelled or its deadline has passed.
    #[inline]
    pub fn is_cancelled(&self) -> bool {
        Node::is_cancelled(&self.node)
    }

    /// Asks whether to go on, in a form for `?`.
    ///
    /// # Errors
    /// [`Cancelled`] if the token was cancelled or its deadline has passed.
    #[inline]
    pub fn check(&self) -> Result<(), Cancelled> {
        Node::check(&self.node)
    }

    /// Why the token was cancelled; `None` while it is not.
    pub fn cause(&self) -> Option<Cause> {
        Node::cause(&self.node)
    }

    /// The instant at which the token cancels itself, on its [`clock`](CancelToken::clock).
    pub fn deadline(&self) -> Option<Instant> {
        self.node.deadline
    }

    /// The clock that deadlines of this token, and of calls that it limits, are read on.
    pub fn clock(&self) -> &Clock {
        &self.node.clock
    }

    /// Waits until the token is cancelled.
    ///
    /// # Blocking
    /// Until somebody cancels the token, or its deadline passes; for ever if nobody does.
    pub fn wait(&self) {
        // A forever limit has no end of its own.
        let _ = self.wait_until(Until::forever());
    }

    /// Waits until the token is cancelled, at most until `limit`.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`] or [`WaitError::Cancelled`] if the limit's time or *its* token came first.
    /// If this token is cancelled as well by then, the call succeeds.
    pub fn wait_until<'a>(&self, limit: impl Into<Until<'a>>) -> Result<(), WaitError> {
        if self.is_cancelled() {
            return Ok(());
        }
        let limit = limit.into();
        limit.check_token()?;
        let limit = limit.start();
        let waiter = Waiter::new();
        let _watch = self.end_wait(&waiter, Ok(()));
        // This token's own deadline: on a manual clock, what `end_wait` did brings it.
        let result = limit.sleep_before(&waiter, self.clock(), self.deadline());
        if self.is_cancelled() { Ok(()) } else { result }
    }

    /// Sleeps for `duration` of the token's clock.
    ///
    /// # Errors
    /// [`Cancelled`] as soon as the token is, or if it was before.
    pub fn sleep(&self, duration: Duration) -> Result<(), Cancelled> {
        self.check()?;
        if duration.is_zero() {
            return Ok(());
        }
        match Until::from((self, duration)).start().sleep(&Waiter::new()) {
            Err(WaitError::TimedOut) => Ok(()),
            _ => Err(Cancelled),
        }
    }

    /// Calls `f` once when the token is cancelled: on the canceller's thread, or at a deadline on the thread
    /// that found it passed or on the crate's alarm thread. At once, on this thread, if it is cancelled
    /// already.
    ///
    /// Keep it short: the crate has one alarm thread, and a callback that blocks there makes every later
    /// deadline with a callback wait. No lock is held while `f` runs, so it may use this token and anything
    /// else. Dropping the guard takes the callback back; it does not wait for one that runs.
    ///
    /// If the operating system refuses the alarm thread, a deadline's callbacks are late: the thread is asked
    /// for again whenever an alarm is set or taken back, a thread sleeps in this crate, or another thread
    /// could be started.
    pub fn on_cancel(&self, f: impl FnOnce() + Send + 'static) -> CallbackGuard {
        CallbackGuard::new(&self.node, Box::new(f))
    }

    /// Makes a guard that cancels the token when dropped: for a scope whose end, however it comes, should
    /// stop what it started.
    pub fn drop_guard(&self) -> DropGuard {
        DropGuard::new(self.clone())
    }

    /// A channel that is disconnected when the token is cancelled, for crossbeam's `select!`.
    ///
    /// It never receives a message. A token with a deadline, on the system's clock, gets an alarm on the
    /// crate's alarm thread with the first call. If the operating system refuses that thread, the channel may
    /// be disconnected late, like the callbacks of [`on_cancel`](CancelToken::on_cancel).
    ///
    /// ```
    /// use crossbeam_channel::{never, select};
    /// use selvedge::CancelToken;
    ///
    /// let stop = CancelToken::new();
    /// stop.cancel();
    /// let jobs = never::<u32>();
    /// select! {
    ///     recv(jobs) -> job => unreachable!("{job:?}"),
    ///     recv(stop.done()) -> _ => println!("stopped"),
    /// }
    /// ```
    ///
    /// In a model, do not wait on it: crossbeam's channels know nothing of loom.
    pub fn done(&self) -> &Receiver<Infallible> {
        Node::done(&self.node)
    }

    /// Ends the wait in `slot` with `outcome` when the token is cancelled: now, if it is.
    pub(crate) fn end_wait(&self, waiter: &Waiter, outcome: Outcome) -> Option<Watch<'_>> {
        match Node::watch(&self.node, Watcher::Waiter(waiter.clone(), outcome)) {
            Ok(key) => Some(Watch::new(&self.node, key)),
            Err(_) => {
                drop(waiter.end(outcome));
                None
            }
        }
    }
}

impl Default for CancelToken {
    fn default() -> Self {
        CancelToken::new()
    }
}

impl fmt::Debug for CancelToken {
    /// Never waits, and looks at no clock: a deadline that passed unseen is not noticed here either.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("CancelToken");
        out.field("cancelled", &self.node.looks_cancelled());
        if let Some(deadline) = self.deadline() {
            out.field("deadline", &deadline);
        }
        if let Some(watchers) = self.node.watchers() {
            out.field("watchers", &watchers);
        }
        out.finish_non_exhaustive()
    }
}

impl UnwindSafe for CancelToken {}
impl RefUnwindSafe for CancelToken {}

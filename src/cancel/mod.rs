//! Cancellation tokens that wake every sleeping thread.

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
use crate::wait::sleeps::{Subject, TokenOf};
use crate::wait::{Outcome, Waiter};
pub(crate) use guards::Watch;
use node::{Node, Watcher};

/// Tells any number of threads to stop, wherever in this crate they sleep.
///
/// Pass a `&CancelToken` as the limit of any call that waits. When the token is cancelled, the call fails
/// with [`Cancelled`](WaitError::Cancelled) and returns what it was given. Clones share one token.
/// [`child`](CancelToken::child) makes a token below it: cancelling the parent cancels the child, but not the
/// reverse, and a dropped child leaves nothing behind in its parent.
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
/// Stop a sleeping worker, and say why:
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
/// A cancellation is final and happens once; the first cause is kept. When the call that cancels the token
/// returns, every thread that waits on the token, every callback and every child has been notified. Before
/// that, the token may already appear cancelled and a child not yet. A second canceller does not wait for the
/// first. A token that appears cancelled has a [`done`](CancelToken::done) channel that is disconnected, and
/// vice versa.
///
/// # Panics
/// A panic of a callback resumes in the call that cancelled the token, after everything else has been
/// notified; of several panics, the first. At a deadline no call asked for the callback, so its panic ends
/// with the panic hook's message; on a manual clock it resumes in the call that advances the clock. A
/// callback that is never called is dropped with its guard or with the last clone of the token, and its
/// captures may panic there.
///
/// # Ordering
/// Everything that a thread did before it cancelled the token is visible to a thread that sees it cancelled.
///
/// # Proof
/// Models in `loom-tests/tests/cancel.rs`, among them `cancelling_between_check_and_sleep_is_not_missed`,
/// `a_cancellation_publishes`, `a_child_made_while_its_parent_is_cancelled_is_cancelled`,
/// `a_child_dropped_while_its_parent_is_cancelled_is_forgotten` and
/// `a_callback_registered_while_cancelling_runs_once`. They assume that dropping a crossbeam sender
/// disconnects its receiver.
///
/// # Cost
/// [`is_cancelled`](CancelToken::is_cancelled) is a load, and reads the clock if there is a deadline; it
/// takes a fifth of the time of tokio-util's. Creating and cancelling a token takes 34 to 46 ns, and
/// cancelling a parent 12 to 14 ns for each child that nothing watches: 1.4 and 1.7 to 1.9 times as fast as
/// there. Making and dropping a child takes 63 to 69 ns, 0.8 to 1.2 times as fast as there, which varies with
/// the build of the bench. A callback that is registered and removed takes 29 ns, a third of its instructions
/// for its box; a future there, which is polled once, 27. Waking one sleeper takes as long as with a
/// bare condvar. Waking eight takes 1.0 to 1.2 times as long as with std's, which wakes all that wait for the
/// same thing by one system call: here each sleeper waits for several things at once, by a condvar of its own
/// (benches `cancel` and `wakeup`, 2-core virtual machine).
///
/// # Instead
/// An `AtomicBool` for a flag that no thread sleeps on. For a single consumer, closing its queue is often
/// better.
#[derive(Clone)]
pub struct CancelToken {
    node: weak::Arc<Node>,
}

impl CancelToken {
    /// Makes a token on this thread's clock: the system's, or that of a
    /// [`ManualClock::scope`](crate::ManualClock::scope).
    #[track_caller]
    pub fn new() -> Self {
        CancelToken::with_clock(Clock::current())
    }

    /// Makes a token on `clock`. Its children use the same clock.
    #[track_caller]
    pub fn with_clock(clock: impl Into<Clock>) -> Self {
        CancelToken { node: Node::root(clock.into(), None) }
    }

    /// Makes a token that is cancelled with this one. The child of a cancelled token is cancelled from the
    /// start.
    #[must_use = "a child that is dropped is forgotten"]
    #[track_caller]
    pub fn child(&self) -> Self {
        CancelToken { node: Node::child(&self.node, None) }
    }

    /// Makes a token on `clock` that is cancelled at `deadline`.
    #[track_caller]
    pub(crate) fn ending_at(clock: &Clock, deadline: Instant) -> Self {
        CancelToken { node: Node::root(clock.clone(), Some(deadline)) }
    }

    /// Makes a child that joins its parent's list only when something must be notified of its end. That
    /// halves its cost if nothing ever must. The deadline is on this token's clock.
    #[track_caller]
    pub(crate) fn loose_child(&self, deadline: Option<Instant>) -> Self {
        CancelToken { node: Node::loose_child(&self.node, deadline) }
    }

    /// Makes a child that is also cancelled when `limit` ends, with the cause [`Cause::DeadlinePassed`]. Its
    /// deadline is never later than this token's.
    ///
    /// A token in `limit` applies as well: cancelling it cancels the child, with its cause, and its deadline
    /// bounds the child's. A token without a deadline may be on any clock.
    ///
    /// # Panics
    /// If `limit` has a deadline, its own or that of its token, on a clock other than this token's.
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
        // Both deadlines are on this token's clock, so they can be compared.
        let deadline = own.into_iter().chain(theirs).map(|(_, at)| at).min();
        let child = CancelToken { node: Node::child(&self.node, deadline) };
        if let Some(other) = limit.token() {
            // The child is complete before it follows: if `other` is already cancelled, this cancels the
            // child.
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

    /// Cancels the token and its children, and stores the error as their [`cause`](CancelToken::cause).
    pub fn cancel_because(&self, error: impl Into<Box<dyn Error + Send + Sync>>) {
        self.cancel_for(Cause::Error(Arc::from(error.into())));
    }

    /// Cancels the token with a given cause.
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

    /// Fails if the token is cancelled, for use with `?`.
    ///
    /// # Errors
    /// [`Cancelled`] if the token was cancelled or its deadline has passed.
    #[inline]
    pub fn check(&self) -> Result<(), Cancelled> {
        Node::check(&self.node)
    }

    /// Returns the cause of the cancellation; `None` if the token is not cancelled.
    pub fn cause(&self) -> Option<Cause> {
        Node::cause(&self.node)
    }

    /// Returns the instant at which the token is cancelled by itself, on its [`clock`](CancelToken::clock).
    pub fn deadline(&self) -> Option<Instant> {
        self.node.deadline
    }

    /// Returns the clock that measures the deadlines of this token and of the calls that it limits.
    pub fn clock(&self) -> &Clock {
        &self.node.clock
    }

    /// Waits until the token is cancelled.
    ///
    /// # Blocking
    /// Until the token is cancelled or its deadline passes; forever if neither happens.
    #[track_caller]
    pub fn wait(&self) {
        // An unlimited wait ends only with the token.
        let _ = self.wait_until(Until::forever());
    }

    /// Waits until the token is cancelled, at most until `limit`.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`] or [`WaitError::Cancelled`] if the time or the token of *the limit* ended the
    /// wait first. If this token is cancelled as well by then, the call succeeds.
    #[track_caller]
    pub fn wait_until<'a>(&self, limit: impl Into<Until<'a>>) -> Result<(), WaitError> {
        if self.is_cancelled() {
            return Ok(());
        }
        let limit = limit.into();
        limit.check_token()?;
        let limit = limit.start_for(Subject::new("CancelToken::wait", &*self.node));
        let waiter = Waiter::new();
        // Registered before the sleep. If the token was cancelled since the check above, this ends the waiter
        // at once, so the cancellation is not missed.
        let _watch = self.end_wait(&waiter, Ok(()));
        // Until the token is cancelled, which ends the waiter that `end_wait` registered. The token's own
        // deadline also ends the sleep; on a manual clock, the alarm that `end_wait` has set does.
        let result = limit.sleep_before(&waiter, self.clock(), self.deadline());
        // Tie: if the limit and this token ended together, the condition of the wait holds, and wins.
        if self.is_cancelled() { Ok(()) } else { result }
    }

    /// Sleeps for `duration` of the token's clock.
    ///
    /// # Errors
    /// [`Cancelled`] as soon as the token is cancelled, or at once if it already was.
    #[track_caller]
    pub fn sleep(&self, duration: Duration) -> Result<(), Cancelled> {
        self.check()?;
        if duration.is_zero() {
            return Ok(());
        }
        // Nothing grants this waiter: it ends by its time, which is success, or by the token.
        let subject = Subject::new("CancelToken::sleep", &*self.node);
        match Until::from((self, duration)).start_for(subject).sleep(&Waiter::new()) {
            Err(WaitError::TimedOut) => Ok(()),
            _ => Err(Cancelled),
        }
    }

    /// Calls `f` once when the token is cancelled: on the thread that cancels it, or for a deadline on a
    /// thread that finds the deadline passed or on the crate's alarm thread. If the token is already
    /// cancelled, `f` runs at once on this thread.
    ///
    /// Keep `f` short: the crate has one alarm thread, and a callback that blocks it delays every later
    /// deadline with a callback. No lock is held while `f` runs, so `f` may use this token and anything else.
    /// Dropping the guard removes the callback; it does not wait for a callback that is running.
    ///
    /// If the operating system refuses the alarm thread, callbacks of deadlines are late. The thread is
    /// requested again whenever an alarm is set or removed, a thread sleeps in this crate, or another thread
    /// could be started.
    pub fn on_cancel(&self, f: impl FnOnce() + Send + 'static) -> CallbackGuard {
        CallbackGuard::new(&self.node, Box::new(f))
    }

    /// Makes a guard that cancels the token when it is dropped: for a scope whose end, by any path, should
    /// stop what it started.
    pub fn drop_guard(&self) -> DropGuard {
        DropGuard::new(self.clone())
    }

    /// Returns a channel that is disconnected when the token is cancelled, for crossbeam's `select!`.
    ///
    /// It never receives a message. For a token with a deadline on the system's clock, the first call sets an
    /// alarm on the crate's alarm thread. If the operating system refuses that thread, the channel may be
    /// disconnected late, like the callbacks of [`on_cancel`](CancelToken::on_cancel).
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
    /// Do not wait on it in a model: loom does not see crossbeam's channels.
    pub fn done(&self) -> &Receiver<Infallible> {
        Node::done(&self.node)
    }

    /// The address of the token, which its clones share, and where it was made.
    pub(crate) fn identity(&self) -> TokenOf {
        (std::ptr::from_ref(&*self.node).addr(), self.node.made_at)
    }

    /// Ends `waiter` with `outcome` when the token is cancelled, or at once if it already is.
    pub(crate) fn end_wait(&self, waiter: &Waiter, outcome: Outcome) -> Option<Watch<'_>> {
        match Node::watch(&self.node, Watcher::Waiter(waiter.clone(), outcome)) {
            Ok(key) => Some(Watch::new(&self.node, key)),
            Err(_) => {
                // This thread owns the waiter and does not sleep yet, so the notification wakes no thread.
                drop(waiter.end(outcome));
                None
            }
        }
    }
}

impl Default for CancelToken {
    #[track_caller]
    fn default() -> Self {
        CancelToken::new()
    }
}

impl fmt::Debug for CancelToken {
    /// Never blocks and reads no clock, so a deadline that has passed unnoticed is not shown as a
    /// cancellation.
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

//! A state, its lock, and threads that wait until the state is as they want it.
//!
//! # Who looks at the conditions
//! A condvar wakes a waiter so that it can look again. With one condvar and waiters that want different
//! things that is either a wake-up for everybody, or one that may go to a waiter which cannot use it. Here
//! whoever unlocks looks: it makes the waiters' attempts for them, in their order, until none can go on, and
//! wakes those that could, with the result in their hands. A waiter that cannot go on costs a call of its
//! closure (nanoseconds) instead of a wake-up (30 to 45 µs), and there is nothing to notify, so nothing to
//! forget. The idea is abseil's `Mutex::Await`; that the unlocking thread makes the attempt itself, and not
//! only the test for it, is Oyama's and flat combining's.
//!
//! # Invariants
//! 1. *Nobody who can go on sleeps.* While the lock is free, no attempt of a waiter in the list would
//!    succeed. It holds because a waiter enters the list in the critical section in which its attempt failed,
//!    and because every unlock that may have changed the state first makes the attempts, until a round over
//!    the list brings nothing ([`Inner::settle`]).
//! 2. *First come, first served among those that can.* From 1: a newcomer whose attempt succeeds has
//!    overtaken nobody that could have gone on, so there is nothing to queue for. After a success the round
//!    begins again at the front, since what it changed may let an earlier waiter go on.
//! 3. *An attempt that succeeded is never lost.* Its result is written before the waiter's [`Waiter`] is
//!    ended, under the lock; a waiter whose limit ended first takes the lock, and finds either its entry,
//!    which it removes, or its result, which is then what the call returns.
//!
//! One mutex orders everything here, but for the waiter's own.
#[allow(unsafe_code)]
mod borrowed;
#[forbid(unsafe_code)]
mod guard;
#[forbid(unsafe_code)]
mod held;

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

pub use guard::MonitorGuard;

use crate::error::WaitError;
use crate::panics::{self, Payload};
use crate::sync::Mutex;
use crate::until::Until;
use borrowed::{Attempt, Waiting};
use held::Held;

/// Guards a state and lets threads wait until it is as they want it, without a condition variable to notify.
///
/// Lock it to look at the state or to change it. To wait for something, pass a closure that does what you
/// want if the state allows it and returns `None` if it does not yet: [`wait`](Monitor::wait) returns once it
/// has succeeded. Whoever unlocks sees to it that every waiter that can go on does, so a wake-up cannot be
/// forgotten, cannot go to a waiter that has no use for it, and is not swallowed by one that gives up.
///
/// It is what to build a blocking type of your own on: every wait takes an [`Until`], so it can be cancelled,
/// has deadlines, and runs on a manual clock; and it works in [`model::check`](crate::sync::model::check).
///
/// # Examples
/// ```
/// use std::{collections::VecDeque, time::Duration};
/// use selvedge::{CancelToken, Monitor, error::WaitError};
///
/// let stop = CancelToken::new();
/// let jobs = Monitor::new(VecDeque::from(["first"]));
/// assert_eq!(jobs.wait(|jobs| jobs.pop_front()), "first");
/// let none = jobs.wait_until((&stop, Duration::from_millis(1)), |jobs| jobs.pop_front());
/// assert_eq!(none, Err(WaitError::TimedOut));
/// ```
///
/// A gate that opens and closes, with waiters for either:
/// ```
/// use selvedge::Monitor;
///
/// let open = Monitor::new(false);
/// std::thread::scope(|s| {
///     let closes = s.spawn(|| {
///         open.wait(|open| open.then_some(())); // until it is open
///         *open.lock() = false;                 // wakes those that wait for this
///     });
///     *open.lock() = true;
///     open.wait(|open| (!*open).then_some(())); // until it is closed again
///     closes.join().unwrap();
/// });
/// ```
/// The [guide](crate::guide::monitor) builds a priority queue on it.
///
/// # Blocking
/// [`lock`](Monitor::lock) waits for the lock. [`wait`](Monitor::wait) and
/// [`wait_until`](Monitor::wait_until) wait until the closure has succeeded, which the thread that makes it
/// possible sees to when it unlocks. `try_lock` and `Debug` never wait.
///
/// # The closure
/// It runs under the lock, on the waiting thread first and then on any thread that unlocks, so it and its
/// result are [`Send`], it should be quick, and it must not block. It may be called any number of times. If
/// it returns `None` it must leave the state as it was: others are not asked again on account of it. What it
/// asks for must depend on the state alone: when something else changes, nobody looks.
///
/// # Cancellation
/// A token that was cancelled before the call makes the call fail before the closure is tried. If the closure
/// succeeds and the limit passes at the same time, success wins: what it took from the state is never lost. A
/// waiter that gives up leaves no trace.
///
/// # Panics
/// If a closure panics, its own `wait` does, on the waiting thread, also where another thread made the
/// attempt. The state stays as the closure left it; there is no poisoning. [`lock`](Monitor::lock) and
/// [`wait`](Monitor::wait) panic on a thread that has this monitor locked, which would wait for itself;
/// [`wait_until`](Monitor::wait_until) returns [`WouldDeadlock`](WaitError::WouldDeadlock) there.
///
/// # Fairness
/// Of the waiters that can go on, the one that came first does. A newcomer goes on at once only if it can and
/// no earlier waiter could. A waiter whose condition keeps being undone by others may starve, as it would
/// with any lock: put what it needs, such as its turn, into the state.
///
/// # Ordering
/// What was done before an unlock is visible to whoever locks next, and to the waiters that it let go on.
///
/// # Proof
/// Models in `loom-tests/tests/monitor.rs`: a change reaches the waiter that can use it, also behind others
/// that cannot; a waiter that gives up takes nothing with it; a change of state lets all go on that can;
/// limits and success tie with nothing lost; a panic lands on its waiter; re-entry is told.
///
/// # Cost
/// With nobody waiting, a lock and an unlock, and a note of the thread's own that it holds the lock: 0.6 of
/// the speed of a bare parking_lot mutex. With waiters, each unlock calls their closures, once each and again
/// after each success. Threads that take turns go 3 (two of them) to 8 times (eight) as fast as with a mutex
/// and a condvar that notifies all, and a change that none of a hundred waiters can use is 7 times as cheap
/// (bench `monitor`, 2-core virtual machine, parking_lot). A wait that sleeps allocates once.
///
/// # Instead
/// `std::sync::Mutex` and `Condvar` if there is one condition, nothing to cancel, and closures that cannot be
/// `Send`. If what you build is a queue, a semaphore or a latch, this crate has them.
pub struct Monitor<S> {
    inner: Mutex<Inner<S>>,
}

/// What the lock guards.
pub(super) struct Inner<S> {
    waiting: Waiting<S>,
    state: S,
}

/// A waiter's closure, and what came of it.
struct Pending<F, R> {
    attempt: F,
    outcome: Option<Result<R, Payload>>,
}

impl<S> Monitor<S> {
    /// Makes a monitor of `state`, with nobody waiting.
    pub fn new(state: S) -> Self {
        Monitor { inner: Mutex::new(Inner { waiting: Waiting::new(), state }) }
    }

    /// Takes the state out.
    pub fn into_inner(self) -> S {
        self.inner.into_inner().state
    }

    /// Locks the state. When the guard is dropped, every waiter that can go on does.
    ///
    /// # Panics
    /// If this thread has the monitor locked already.
    #[track_caller]
    pub fn lock(&self) -> MonitorGuard<'_, S> {
        match self.enter() {
            Some(guard) => guard,
            None => panic!("{REENTERED}"),
        }
    }

    /// Locks the state if that needs no waiting; `None` if it is locked, by this thread or another.
    pub fn try_lock(&self) -> Option<MonitorGuard<'_, S>> {
        let inner = self.inner.try_lock()?;
        Some(MonitorGuard::new(inner, Held::new(self.address())))
    }

    /// Waits until `attempt` succeeds, and returns what it returned. See [the closure](Monitor#the-closure).
    ///
    /// # Panics
    /// If `attempt` does, and if this thread has the monitor locked.
    #[track_caller]
    pub fn wait<R: Send>(&self, attempt: impl FnMut(&mut S) -> Option<R> + Send) -> R {
        match self.wait_until(Until::forever(), attempt) {
            Ok(result) => result,
            // Of the ways in which a wait ends, the others need a limit or a close.
            Err(_) => panic!("{REENTERED}"),
        }
    }

    /// Waits until `attempt` succeeds, at most until `limit`, and returns what it returned. See
    /// [the closure](Monitor#the-closure).
    ///
    /// # Errors
    /// [`WaitError::TimedOut`] or [`WaitError::Cancelled`] by the limit; [`WaitError::WouldDeadlock`] if this
    /// thread has the monitor locked. `attempt` has changed nothing then.
    ///
    /// # Panics
    /// If `attempt` does.
    pub fn wait_until<'a, R: Send>(
        &self,
        limit: impl Into<Until<'a>>,
        attempt: impl FnMut(&mut S) -> Option<R> + Send,
    ) -> Result<R, WaitError> {
        let limit = limit.into();
        // A token that was cancelled before the call takes nothing, though it could.
        limit.check_token()?;
        let mut guard = self.enter().ok_or(WaitError::WouldDeadlock)?;
        let mut pending = Pending { attempt, outcome: None };
        let ended = if pending.attempt(&mut guard) {
            // By invariant 2 this has overtaken nobody.
            drop(guard);
            Ok(())
        } else {
            self.sleep(guard, limit, &mut pending)
        };
        // A success and an end of the limit may tie; then the result is there, and wins (invariant 3).
        match (pending.outcome, ended) {
            (Some(Ok(result)), _) => Ok(result),
            (Some(Err(payload)), _) => panics::resume(payload),
            (None, ended) => Err(ended.expect_err("a waiter is granted after its result was written")),
        }
    }

    /// Waits until somebody has made the attempt for this thread.
    #[cold]
    fn sleep(
        &self,
        guard: MonitorGuard<'_, S>,
        limit: Until<'_>,
        pending: &mut dyn Attempt<S>,
    ) -> Result<(), WaitError> {
        let limit = limit.start();
        if let Err(ended) = limit.check() {
            // The attempt failed and changed nothing, so nobody need be asked.
            guard.unlock_unchanged();
            return Err(ended);
        }
        borrowed::wait(self, guard, pending, |waiter| {
            // Whoever unlocks ends the waiter, under the lock that this thread held from its attempt until it
            // was in the list: no change of the state can fall between (invariant 1).
            limit.look_out(|| waiter.has_ended());
            limit.sleep(waiter)
        })
    }

    /// Locks, unless this thread has locked it already.
    #[inline]
    fn enter(&self) -> Option<MonitorGuard<'_, S>> {
        let inner = match self.inner.try_lock() {
            Some(inner) => inner,
            // Only a lock that is taken can be this thread's own.
            None if held::is_held(self.address()) => return None,
            None => self.inner.lock(),
        };
        Some(MonitorGuard::new(inner, Held::new(self.address())))
    }

    fn address(&self) -> usize {
        (&raw const *self).addr()
    }
}

const REENTERED: &str = "this thread has this Monitor locked, and would wait for itself: drop the guard first, and do \
                         not call the monitor from a closure that waits for it";

impl<S, F, R> Attempt<S> for Pending<F, R>
where
    F: FnMut(&mut S) -> Option<R> + Send,
    R: Send,
{
    fn attempt(&mut self, state: &mut S) -> bool {
        // The panic is the waiter's, on whichever thread this runs, and comes when the lock is free.
        let attempt = panics::catch(|| (self.attempt)(state));
        self.outcome = attempt.transpose();
        self.outcome.is_some()
    }
}

impl<S: Default> Default for Monitor<S> {
    fn default() -> Self {
        Monitor::new(S::default())
    }
}

impl<S> From<S> for Monitor<S> {
    fn from(state: S) -> Self {
        Monitor::new(state)
    }
}

impl<S: fmt::Debug> fmt::Debug for Monitor<S> {
    /// Never waits: what another thread has locked is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Monitor");
        match self.inner.try_lock() {
            Some(inner) => out.field("state", &&inner.state).field("waiting", &inner.waiting.len()).finish(),
            None => out.finish_non_exhaustive(),
        }
    }
}

// There is no poisoning, as with parking_lot's locks: the state is what the closure or the guard's holder
// left, and our own part is whole at every unlock.
impl<S> UnwindSafe for Monitor<S> {}
impl<S> RefUnwindSafe for Monitor<S> {}

//! A state, its lock, and threads that wait until the state meets their condition.
//!
//! # Which thread evaluates the conditions
//! A condvar wakes a waiter so that the waiter can evaluate its condition. With one condvar and several
//! conditions, either all waiters are woken, or one that may have no use for the wake-up. Here the unlocking
//! thread evaluates them: it makes the attempts of the waiters in their order until no further attempt
//! succeeds, and wakes those that succeeded, each with its result. A waiter that cannot continue costs a call
//! of its closure (nanoseconds) instead of a wake-up (30 to 45 µs). There is nothing to notify, so nothing to
//! forget. The idea is that of abseil's `Mutex::Await`. That the unlocking thread makes the attempt itself,
//! instead of only testing for it, comes from Oyama's locks and from flat combining.
//!
//! # Invariants
//! 1. *No waiter that can continue sleeps.* While the lock is free, no attempt of a listed waiter would
//!    succeed: a waiter joins the list in the critical section in which its attempt failed, and each unlock
//!    that may have changed the state makes the attempts first, until a pass over the list succeeds nowhere
//!    ([`Inner::settle`]).
//! 2. *First come, first served among those that can continue.* By invariant 1, a newcomer whose attempt
//!    succeeds overtakes no waiter that could have continued, so it need not queue. After a success the pass
//!    starts again at the front, since the change may let an earlier waiter continue.
//! 3. *A successful attempt is never lost.* Its result is written under the lock before the [`Waiter`] is
//!    ended. A waiter whose limit ended it first takes the lock, and finds either its entry, which it
//!    removes, or its result, which the call then returns.
//!
//! One mutex orders everything here except the waiter's own outcome.
#[allow(unsafe_code)]
mod borrowed;
#[forbid(unsafe_code)]
mod guard;
#[forbid(unsafe_code)]
mod held;
#[forbid(unsafe_code)]
mod watch;

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

pub use guard::MonitorGuard;
pub(crate) use watch::Version;

use crate::error::WaitError;
use crate::panics::{self, Payload};
use crate::sync::Mutex;
use crate::until::Until;
use crate::wait::WaitList;
use crate::wait::sleeps::Subject;
use borrowed::{Attempt, Waiting};
use held::Held;

/// Guards a state and lets threads wait for a condition on it, without a condition variable to notify.
///
/// Lock it to read or change the state. To wait for something, pass a closure that does what you want if the
/// state allows it and returns `None` if it does not yet: [`wait`](Monitor::wait) returns once the closure
/// has succeeded. Each unlock lets every waiter continue that can. So a wake-up cannot be forgotten, cannot
/// go to a waiter that has no use for it, and is not swallowed by a waiter that gives up.
///
/// It is the base for blocking types of your own: each wait takes an [`Until`], so it can be cancelled, has
/// deadlines and follows a manual clock; and it works in [`model::check`](crate::sync::model::check).
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
/// A gate that opens and closes, with waiters for both:
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
/// [`wait_until`](Monitor::wait_until) block until the closure has succeeded; the thread whose unlock makes
/// that possible wakes them. `try_lock` and `Debug` never block.
///
/// # The closure
/// It runs under the lock, first on the waiting thread and then on any thread that unlocks. So it and its
/// result are [`Send`], it should be quick, and it must not block. It may be called any number of times. If
/// it returns `None` it must leave the state unchanged: the other waiters are not tried again because of it.
/// Its condition must depend on the state alone: a change of anything else does not cause another attempt.
///
/// # Cancellation
/// A token that was cancelled before the call makes the call fail before the closure is tried. If the closure
/// succeeds while the limit ends, success wins: what the closure took from the state is never lost. A waiter
/// that gives up leaves nothing behind.
///
/// # Panics
/// A panic of a closure is resumed by its own `wait`, on the waiting thread, even if another thread made the
/// attempt. The state stays as the closure left it; there is no poisoning. [`lock`](Monitor::lock) and
/// [`wait`](Monitor::wait) panic on a thread that has this monitor locked and so would wait for itself;
/// [`wait_until`](Monitor::wait_until) returns [`WouldDeadlock`](WaitError::WouldDeadlock) there.
///
/// # Fairness
/// Of the waiters that can continue, the first one does. A newcomer continues at once only if it can and no
/// earlier waiter could. A waiter whose condition is undone by others again and again may starve, as with any
/// lock; to prevent that, make its turn part of the state.
///
/// # Ordering
/// Everything before an unlock happens before the next lock, and before the return of the waits that it ends.
///
/// # Proof
/// Models in `loom-tests/tests/monitor.rs`: a change reaches the waiter that can use it, also behind others
/// that cannot; a waiter that gives up takes nothing with it; a change lets every waiter continue that can;
/// limits and success tie with nothing lost; a panic reaches its waiter; re-entry is refused.
///
/// # Cost
/// Without waiters, a lock and an unlock and an entry in a list of the thread: 0.6 of the speed of a bare
/// parking_lot mutex. With waiters, each unlock calls their closures once, and again after each success.
/// Threads that take turns run 3 times (two threads) to 8 times (eight) as fast as with a mutex and a condvar
/// that notifies all, and a change that none of a hundred waiters can use is 7 times as cheap (bench
/// `monitor`, 2-core virtual machine, parking_lot). A wait that sleeps allocates once.
///
/// # Instead
/// `std::sync::Mutex` and `Condvar` if there is one condition, nothing to cancel, and closures that cannot be
/// `Send`. For a queue, a semaphore or a latch, use the types of this crate.
pub struct Monitor<S> {
    inner: Mutex<Inner<S>>,
}

/// What the lock guards.
pub(super) struct Inner<S> {
    waiting: Waiting<S>,
    /// Selections, which make their attempts themselves.
    watching: WaitList,
    version: Version,
    state: S,
}

/// A waiter's closure and its result.
struct Pending<F, R> {
    attempt: F,
    outcome: Option<Result<R, Payload>>,
}

impl<S> Monitor<S> {
    /// Makes a monitor that guards `state`.
    pub fn new(state: S) -> Self {
        Monitor {
            inner: Mutex::new(Inner {
                waiting: Waiting::new(),
                watching: WaitList::new(),
                version: Version::FIRST,
                state,
            }),
        }
    }

    /// Returns the state.
    pub fn into_inner(self) -> S {
        self.inner.into_inner().state
    }

    /// Locks the state. When the guard is dropped, every waiter that can continue does.
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

    /// Locks the state if the lock is free; `None` if this thread or another has it locked.
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
            // All other errors need a limit or a close.
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
    #[track_caller]
    pub fn wait_until<'a, R: Send>(
        &self,
        limit: impl Into<Until<'a>>,
        attempt: impl FnMut(&mut S) -> Option<R> + Send,
    ) -> Result<R, WaitError> {
        let limit = limit.into();
        // A token that was cancelled before the call wins, even if the attempt could succeed.
        limit.check_token()?;
        let mut guard = self.enter().ok_or(WaitError::WouldDeadlock)?;
        let mut pending = Pending { attempt, outcome: None };
        let ended = if pending.attempt(&mut guard) {
            // No queueing: by invariant 2 this has overtaken no waiter.
            drop(guard);
            Ok(())
        } else {
            self.sleep(guard, limit, &mut pending)
        };
        // Tie: if the attempt succeeded while the limit ended, the result is there, and wins (invariant 3).
        match (pending.outcome, ended) {
            (Some(Ok(result)), _) => Ok(result),
            (Some(Err(payload)), _) => panics::resume(payload),
            (None, ended) => Err(ended.expect_err("a waiter is granted after its result was written")),
        }
    }

    /// Waits until another thread has made the attempt for this one.
    #[cold]
    #[track_caller]
    fn sleep(
        &self,
        guard: MonitorGuard<'_, S>,
        limit: Until<'_>,
        pending: &mut dyn Attempt<S>,
    ) -> Result<(), WaitError> {
        let limit = limit.start_for(Subject::new("Monitor::wait", self));
        if let Err(ended) = limit.check() {
            // The attempt failed and changed nothing, so no waiter has to be tried.
            guard.unlock_unchanged();
            return Err(ended);
        }
        borrowed::wait(self, guard, pending, |waiter| {
            // Waits until an unlocking thread ends the waiter. It does so under the lock, which this thread
            // held from its failed attempt until it was in the list, so no change falls in between (invariant
            // 1).
            limit.spin(|| waiter.has_ended());
            limit.sleep(waiter)
        })
    }

    /// Locks, unless this thread has locked it already.
    #[inline]
    fn enter(&self) -> Option<MonitorGuard<'_, S>> {
        let inner = match self.inner.try_lock() {
            Some(inner) => inner,
            // Checked only now: if the lock is free, this thread cannot hold it.
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
        // Caught: the panic belongs to the waiter, which resumes it on its own thread without the lock.
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
    /// Never blocks: leaves out the state if another thread has it locked.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Monitor");
        match self.inner.try_lock() {
            Some(inner) => out.field("state", &&inner.state).field("waiting", &inner.waiting.len()).finish(),
            None => out.finish_non_exhaustive(),
        }
    }
}

// There is no poisoning, as with parking_lot's locks: the state is what the closure or the guard's holder
// left, and the list of waiters is consistent at every unlock.
impl<S> UnwindSafe for Monitor<S> {}
impl<S> RefUnwindSafe for Monitor<S> {}

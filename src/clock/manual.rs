//! The clock that a test advances: its alarms, and the threads that sleep until one of them.
//!
//! One mutex, [`Manual::state`], orders everything here. Waiters are ended under it or after it, never the
//! reverse, since a waiter's lock is the innermost one. Callbacks are the caller's code and run after
//! unlocking.
//!
//! # Invariants
//! 1. With the lock free and no `advance` running, every alarm in the list is later than `now`.
//! 2. What a waiter in `counting` waits for does not hold. It can come to hold only when a thread goes to
//!    sleep, or when the clock no longer knows a thread; each of them ends such waits in its own critical
//!    section.
//!
//! The threads that the clock knows are the child module's concern.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

mod threads;

use super::{Alarm, Clock};
use crate::panics::FirstPanic;
use crate::sync::{Arc, Mutex, time};
use crate::wait::{Outcome, WaitList, Waiter};
use threads::{Awaited, Known};
pub(crate) use threads::{Sleeper, forget_this_thread, known_by};

/// A clock that stands still until it is [advanced](ManualClock::advance).
///
/// It starts at the time of its creation. Clones are the same clock. In a model (see [`sync`](crate::sync)) a
/// thread that advances it does so at every point that the schedule allows, so deadlines race everything
/// else.
///
/// # Examples
/// ```
/// use selvedge::{CancelToken, Clock};
/// use std::time::Duration;
///
/// let clock = Clock::manual();
/// let token = CancelToken::with_clock(&clock).child_until(Duration::from_secs(60));
/// clock.advance(Duration::from_secs(59));
/// assert!(!token.is_cancelled());
/// clock.advance(Duration::from_secs(1));
/// assert!(token.is_cancelled());
/// ```
///
/// # Blocking
/// Only [`wait_for_sleepers`](ManualClock::wait_for_sleepers), [`settle`](ManualClock::settle) and their
/// limited forms block.
/// [`advance`](ManualClock::advance) runs callbacks, which take as long as they take.
///
/// # Panics
/// [`advance`](ManualClock::advance) panics if the time would overflow, and passes on the first panic of a
/// callback once every due alarm has fired.
///
/// # Proof
/// The models in `loom-tests/tests/clock.rs`; `advancing_between_check_and_sleep_is_not_missed` and
/// `a_deadline_wakes_sleepers_of_token_and_child` in `loom-tests/tests/cancel.rs`; and
/// `a_panicking_callback_keeps_no_sleeper_from_its_deadline` in `loom-tests/tests/panics.rs`.
#[derive(Clone)]
pub struct ManualClock {
    clock: Clock,
    manual: Arc<Manual>,
}

pub(crate) struct Manual {
    state: Mutex<State>,
}

/// The instant of an alarm and a serial number. The number tells alarms of one instant apart, and an alarm
/// that has fired from a later one.
pub(super) type Key = (Instant, u64);

struct State {
    now: Instant,
    /// In the order in which they fire.
    alarms: BTreeMap<Key, Action>,
    next_serial: u64,
    /// The threads that the clock knows, by their keys.
    threads: BTreeMap<u64, Known>,
    /// The waiters in [`ManualClock::wait_for_sleepers`] and [`ManualClock::settle`].
    counting: WaitList<Awaited>,
}

/// What an alarm does.
pub(super) enum Action {
    Waiter(Waiter, Outcome),
    Call(Box<dyn FnOnce() + Send>),
}

impl Manual {
    pub(super) fn now(&self) -> Instant {
        self.state.lock().now
    }

    /// Sets an alarm. If its time has passed, calls its callback instead and returns `None`.
    pub(super) fn set(self: &Arc<Self>, at: Instant, action: Action) -> Option<Alarm> {
        let mut state = self.state.lock();
        // Compared and inserted in one critical section. `advance` writes the time in a critical section of
        // its own and looks at the alarms afterwards: it either finds this alarm, or its time is seen here.
        // Tie: an alarm for exactly `now` is due.
        if state.now >= at {
            // Unlocked, since the callback may use this clock.
            drop(state);
            if let Action::Call(callback) = action {
                callback();
            }
            return None;
        }
        let key = (at, state.serial());
        state.alarms.insert(key, action);
        drop(state);
        Some(Alarm::Manual { clock: Arc::clone(self), key })
    }

    /// Removes an alarm, unless it has fired.
    pub(super) fn remove(&self, key: Key) {
        let mut state = self.state.lock();
        // Tie with `advance`: the thread that takes the alarm out of the list under the lock has it. If that
        // is `advance`, the alarm fires although its owner drops it.
        let action = state.alarms.remove(&key);
        // Unlocked before the callback, the caller's code, is dropped.
        drop(state);
        drop(action);
    }
}

impl ManualClock {
    pub(super) fn new() -> Self {
        let now = time::now();
        let (alarms, threads) = (BTreeMap::new(), BTreeMap::new());
        let state = State { now, alarms, next_serial: 0, threads, counting: WaitList::new() };
        let manual = Arc::new(Manual { state: Mutex::new(state) });
        ManualClock { clock: Clock { manual: Some(Arc::clone(&manual)) }, manual }
    }

    /// The clock to pass to tokens and builders.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The current time.
    pub fn now(&self) -> Instant {
        self.manual.now()
    }

    /// Calls `f` with this clock in place of the system's, for code under test that takes neither a token nor
    /// a clock.
    ///
    /// ```
    /// use std::time::Duration;
    /// use selvedge::{BoundedQueue, Clock, error::WaitError};
    ///
    /// // The code under test.
    /// fn next(jobs: &BoundedQueue<u32>) -> Result<u32, WaitError> {
    ///     jobs.pop_until(Duration::from_secs(5))
    /// }
    ///
    /// let (clock, jobs) = (Clock::manual(), BoundedQueue::new(1));
    /// std::thread::scope(|s| {
    ///     let late = s.spawn(|| clock.scope(|| next(&jobs)));
    ///     clock.wait_for_sleepers(1);
    ///     clock.advance(Duration::from_secs(5));
    ///     assert_eq!(late.join().unwrap(), Err(WaitError::TimedOut));
    /// });
    /// ```
    ///
    /// # What reads it
    /// Every bare time in a limit (a `Duration`, an `Instant`), and every token, limiter, ticker, pool and
    /// batcher that is made without a clock. This holds on this thread while `f` runs, and on the threads
    /// that the crate uses for it: the helpers of a scope, a group, a
    /// [`timeout::run`](crate::timeout::run) and a pipeline while they work for this thread, and the threads
    /// of a pool or batcher that is *built* in `f`, for as long as they live. Scopes nest: the innermost one
    /// applies.
    ///
    /// # What does not
    /// - A thread that is started in another way (`std::thread`, rayon) is not known to belong to `f`. It
    ///   calls [`scope`](ManualClock::scope) itself.
    /// - A pool that was built outside of `f` reads the clock that it was built with, also for tasks that `f`
    ///   submits.
    /// - A clock that is named, as in `(&clock, time)` or [`CancelToken::with_clock`](crate::CancelToken),
    ///   stays that clock. A time together with a token is read on the token's clock.
    /// - `Instant::now` is unchanged: ask [`Clock::current`].
    /// - The limits of [`wait_for_sleepers_until`](ManualClock::wait_for_sleepers_until) and
    ///   [`settle_until`](ManualClock::settle_until) are on the system's clock here too, since this clock
    ///   stands still until those calls return.
    pub fn scope<R>(&self, f: impl FnOnce() -> R) -> R {
        // A guard, so that the thread reads its former clock again also if `f` panics.
        let _entered = self.clock.enter();
        f()
    }

    /// Lets `duration` pass. Every wait whose deadline has passed then ends, the earliest first, and tokens
    /// with such a deadline are cancelled before this returns. The threads that were woken may not have run
    /// yet: [`settle`](ManualClock::settle) waits for what they do.
    ///
    /// # Panics
    /// If the time would not fit into an [`Instant`]. A callback's panic is passed on after every due alarm
    /// has fired; of several, the first.
    #[track_caller]
    pub fn advance(&self, duration: Duration) {
        // The time is written before any alarm is taken. An alarm that is set from here on, by a callback or
        // by another thread, sees the new time in `Manual::set`.
        let target = {
            let mut state = self.manual.state.lock();
            state.now = state
                .now
                .checked_add(duration)
                .unwrap_or_else(|| panic!("{duration:?} from now is past the end of time"));
            state.now
        };
        let mut panicked = FirstPanic::new();
        // One alarm at a time, each fired with the lock free: callbacks are the caller's code.
        while let Some(action) = self.take_due(target) {
            match action {
                // A waiter that ended first, by a grant or a cancellation, keeps its outcome.
                Action::Waiter(waiter, outcome) => drop(waiter.end(outcome)),
                // A callback's panic must not keep a later alarm from its waiter.
                Action::Call(callback) => {
                    panicked.call(callback);
                }
            }
        }
        panicked.resume();
    }

    /// Takes the earliest alarm that is due out of the list.
    fn take_due(&self, now: Instant) -> Option<Action> {
        let mut state = self.manual.state.lock();
        // Tie: an alarm for exactly `now` is due, as in `Manual::set`.
        let (&key, _) = state.alarms.first_key_value().filter(|((at, _), _)| *at <= now)?;
        state.alarms.remove(&key)
    }
}

impl State {
    fn serial(&mut self) -> u64 {
        let serial = self.next_serial;
        self.next_serial += 1;
        serial
    }
}

impl From<&ManualClock> for Clock {
    fn from(manual: &ManualClock) -> Self {
        manual.clock.clone()
    }
}

impl From<ManualClock> for Clock {
    fn from(manual: ManualClock) -> Self {
        manual.clock
    }
}

impl fmt::Debug for Manual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Manual")
    }
}

impl fmt::Debug for ManualClock {
    /// Never waits: fields that another thread has locked are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("ManualClock");
        if let Some(state) = self.manual.state.try_lock() {
            out.field("now", &state.now)
                .field("alarms", &state.alarms.len())
                .field("counting", &state.counting.len());
        }
        out.finish_non_exhaustive()
    }
}

// As for `Clock`: callbacks run with the lock free.
impl UnwindSafe for ManualClock {}
impl RefUnwindSafe for ManualClock {}

//! The source of time: the system's clock, or a clock that a test advances.
//!
//! Every deadline in the crate is measured on a [`Clock`]. A token passes its clock to its children and to
//! every call that it limits. A test that builds its tokens on a [`ManualClock`] therefore decides when a
//! deadline passes, and needs no sleep:
//!
//! ```
//! use std::time::Duration;
//! use selvedge::{CancelToken, Clock, error::WaitError, queue::BoundedQueue};
//!
//! let clock = Clock::manual();
//! let token = CancelToken::with_clock(&clock);
//! let queue = BoundedQueue::<u32>::new(1);
//!
//! std::thread::scope(|s| {
//!     let late = s.spawn(|| queue.pop_until((&token, Duration::from_secs(3600))));
//!     clock.wait_for_sleepers(1);             // until the thread sleeps in `pop_until`
//!     clock.advance(Duration::from_secs(3600));
//!     assert_eq!(late.join().unwrap(), Err(WaitError::TimedOut));
//! });
//! ```
//!
//! Code under test that has no token, and limits its waits by a bare time, reads a manual clock too if it is
//! called in a [`ManualClock::scope`].

mod epoch;
mod manual;

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

pub(crate) use epoch::Epoch;
pub use manual::ManualClock;
use manual::{Action, Key, Manual};
pub(crate) use manual::{Sleeper, forget_this_thread, known_by};

use crate::panics;
use crate::sync::{Arc, time};
use crate::wait::{Outcome, Waiter, context};

/// A source of time; a clone reads the same one.
///
/// # Examples
/// ```
/// use selvedge::Clock;
/// use std::time::Duration;
///
/// let manual = Clock::manual();
/// let (clock, start) = (Clock::from(&manual), manual.now());
/// manual.advance(Duration::from_secs(60));
/// assert_eq!(clock.now() - start, Duration::from_secs(60));
/// ```
///
/// # Blocking
/// Reading the system's clock never blocks. Reading a manual clock takes a lock that is held for a few
/// instructions.
///
/// # Cost
/// Reading the system's clock takes about 25 ns, reading a manual one a lock. No call in this crate reads a
/// clock before it has found that it must wait, except a call on a token that has a deadline, and that of a
/// limiter, which reads the processor's counter instead where it can.
///
/// # Instead
/// `Instant::now()` where no test needs to decide the time.
#[derive(Clone, Default)]
pub struct Clock {
    /// `None` is the system's clock.
    manual: Option<Arc<Manual>>,
}

/// An alarm that is set; dropping it removes it.
#[derive(Debug)]
#[must_use = "an alarm that is dropped does not fire"]
pub(crate) enum Alarm {
    System { _alarm: time::Alarm },
    Manual { clock: Arc<Manual>, key: Key },
}

impl Clock {
    /// The operating system's monotonic clock.
    pub const fn system() -> Self {
        Clock { manual: None }
    }

    /// The clock that this thread reads where no other is named: the manual clock of the innermost
    /// [`ManualClock::scope`], or the system's clock outside of any.
    ///
    /// A bare time in an [`Until`](crate::Until) is read on it. Tokens, limiters, tickers, pools and batchers
    /// are made on it. Code that a test may put on a manual clock asks this clock for the time.
    pub fn current() -> Self {
        let current = context::with(|context| context.with_clocks(|clocks| clocks.last().cloned()));
        // The system's clock also in a thread whose context is already destroyed.
        current.flatten().unwrap_or_default()
    }

    /// Makes this thread read this clock until the guard is dropped. `None`, at no cost, if the thread reads
    /// it already. Guards are dropped in the reverse of the order in which they were made.
    pub(crate) fn enter(&self) -> Option<Entered> {
        if self.is_same(&Clock::current()) {
            return None;
        }
        context::with(|context| context.with_clocks(|clocks| clocks.push(self.clone())));
        if let Some(manual) = &self.manual {
            manual.know_this_thread();
        }
        Some(Entered(()))
    }

    /// A new clock that stands still until it is advanced.
    pub fn manual() -> ManualClock {
        ManualClock::new()
    }

    /// The current time.
    pub fn now(&self) -> Instant {
        match &self.manual {
            None => time::now(),
            Some(manual) => manual.now(),
        }
    }

    /// The instant `duration` from now; `None` if no `Instant` is that far away, which means forever.
    pub fn after(&self, duration: Duration) -> Option<Instant> {
        self.now().checked_add(duration)
    }

    pub(crate) fn is_system(&self) -> bool {
        self.manual.is_none()
    }

    pub(crate) fn is_same(&self, other: &Clock) -> bool {
        match (&self.manual, &other.manual) {
            (None, None) => true,
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }

    /// Ends the waiter's wait with `outcome` at `at`, if this is a manual clock. On the system's clock the
    /// waiter wakes by itself.
    pub(crate) fn end_at(&self, at: Instant, waiter: &Waiter, outcome: Outcome) -> Option<Alarm> {
        let manual = self.manual.as_ref()?;
        let alarm = manual.set(at, Action::Waiter(waiter.clone(), outcome));
        // The instant has passed. `end` is called with no lock held, and the wake finds no sleeper, since the
        // calling thread is the one that is about to sleep: it reads the outcome instead.
        if alarm.is_none() {
            drop(waiter.end(outcome));
        }
        alarm
    }

    /// Tells a manual clock that the thread is about to sleep on `waiter`, with a deadline on this clock or
    /// without.
    pub(crate) fn count_sleeper(&self, waiter: &Waiter, has_deadline: bool) -> Option<Sleeper> {
        Some(self.manual.as_ref()?.count_sleeper(waiter, has_deadline))
    }

    /// Calls `callback` at `at`, on the thread that advances the clock, or on the crate's alarm thread. Calls
    /// it at once, on this thread, if a manual clock has passed the instant.
    pub(crate) fn call_at(&self, at: Instant, callback: impl FnOnce() + Send + 'static) -> Option<Alarm> {
        match &self.manual {
            None => {
                // Contained: the alarm thread has no caller to pass a panic to, and other alarms depend on
                // it.
                let contained = Box::new(move || {
                    panics::contain(callback);
                });
                Some(Alarm::System { _alarm: time::schedule(at, contained) })
            }
            Some(manual) => manual.set(at, Action::Call(Box::new(callback))),
        }
    }
}

/// See [`Clock::enter`].
#[must_use = "dropping it makes the thread read its former clock again"]
pub(crate) struct Entered(());

impl Drop for Entered {
    fn drop(&mut self) {
        // Dropped outside `with_clocks`: this may be the last reference to the clock, and dropping its alarms
        // drops the caller's callbacks, which may read the thread's clock.
        let clock = context::with(|context| context.with_clocks(Vec::pop)).flatten();
        // Unless it is the clock of an outer scope as well.
        let is_left = |left: &Clock| {
            let others = context::with(|context| {
                context.with_clocks(|clocks| clocks.iter().any(|other| other.is_same(left)))
            });
            others == Some(false)
        };
        if let Some(Clock { manual: Some(manual) }) = clock.as_ref().filter(|clock| is_left(clock)) {
            manual.forget_this_thread();
        }
        drop(clock);
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        // `time::Alarm` removes itself.
        let Alarm::Manual { clock, key } = self else { return };
        clock.remove(*key);
    }
}

impl From<&Clock> for Clock {
    fn from(clock: &Clock) -> Self {
        clock.clone()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_system() { "Clock::system" } else { "Clock::manual" })
    }
}

// Callbacks run with the lock free, so a panic of one leaves no state half changed.
impl UnwindSafe for Clock {}
impl RefUnwindSafe for Clock {}

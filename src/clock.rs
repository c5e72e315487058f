//! Where time comes from: the system, or your test.
//!
//! Every deadline in the crate is measured on a [`Clock`], and a token hands its clock to its children and to
//! every call that the token limits. So a test that builds its tokens on a [`ManualClock`] decides itself
//! when a deadline passes, and needs no sleep:
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
//! Code under test that has no token, and waits for so and so long, reads a manual clock too, if it is called
//! in a [`ManualClock::scope`].

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

use crate::error::{TryError, WaitError};
use crate::panics::{self, FirstPanic};
use crate::sync::{Arc, Mutex, time};
use crate::until::Until;
use crate::wait::{Outcome, WaitList, WaitPoint, Waiter, context};

static SYSTEM: Clock = Clock::system();

/// A source of time; a clone reads the same one.
///
/// # Cost
/// Reading the system's clock is about 30 ns, a manual one a lock. No call in this crate reads a clock before
/// it has found that it must wait, except those on a token that has a deadline.
#[derive(Clone, Default)]
pub struct Clock {
    /// `None` is the system's clock.
    manual: Option<Arc<Manual>>,
}

/// A clock that stands still until it is told to [`advance`](ManualClock::advance).
///
/// It starts at the moment of its creation. Clones are the same clock. In a model (see
/// [`sync`](crate::sync)) a thread that advances it does so at every point that the schedule allows, so
/// deadlines race everything else.
#[derive(Clone)]
pub struct ManualClock {
    clock: Clock,
    manual: Arc<Manual>,
}

/// One mutex orders everything here.
pub(crate) struct Manual {
    state: Mutex<State>,
}

struct State {
    now: Instant,
    /// In the order in which they ring. The serial number keeps those at one instant apart, and an alarm
    /// that has rung from another that came after it.
    alarms: BTreeMap<(Instant, u64), Action>,
    next_serial: u64,
    /// Where threads sleep with a deadline on this clock, once each. One whose wait has ended sleeps no more,
    /// though it may take its time to come and strike itself off.
    sleepers: BTreeMap<u64, Waiter>,
    /// Who waits for sleepers, and for how many.
    counting: WaitList<usize>,
}

/// What an alarm does.
enum Action {
    Waiter(Waiter, Outcome),
    Call(Box<dyn FnOnce() + Send>),
}

/// An alarm that was set; dropping it takes it back.
#[derive(Debug)]
#[must_use = "an alarm that is dropped does not ring"]
pub(crate) enum Alarm {
    System { _alarm: time::Alarm },
    Manual { clock: Arc<Manual>, key: (Instant, u64) },
}

/// A thread that is counted among the sleepers, until dropped; or until its wait ends.
#[derive(Debug)]
#[must_use = "a sleeper that is dropped is not counted"]
pub(crate) struct Sleeper {
    clock: Arc<Manual>,
    key: u64,
}

/// Where threads wait for sleepers.
struct Sleepers<'a> {
    clock: &'a Manual,
    count: usize,
}

impl Clock {
    /// The operating system's monotonic clock.
    pub const fn system() -> Self {
        Clock { manual: None }
    }

    /// The clock that this thread reads where no other is named: the system's, but in a
    /// [`ManualClock::scope`] that one.
    ///
    /// A bare time in an [`Until`] is read on it, and tokens, limiters, tickers, pools and batchers are made
    /// on it. So it is also the one to ask for the time in code that a test may put on a clock of its own.
    pub fn current() -> Self {
        let current = context::with(|context| context.with_clocks(|clocks| clocks.last().cloned()));
        current.flatten().unwrap_or_default()
    }

    /// Lets this thread read this clock until the guard is dropped; costs nothing if it does anyway. Guards
    /// are dropped in the reverse of the order in which they were made.
    pub(crate) fn enter(&self) -> Option<Entered> {
        if self.is_same(&Clock::current()) {
            return None;
        }
        context::with(|context| context.with_clocks(|clocks| clocks.push(self.clone())));
        Some(Entered(()))
    }

    /// A new clock that stands still until it is told to advance.
    pub fn manual() -> ManualClock {
        let now = time::now();
        let (alarms, sleepers) = (BTreeMap::new(), BTreeMap::new());
        let state = State { now, alarms, next_serial: 0, sleepers, counting: WaitList::new() };
        let manual = Arc::new(Manual { state: Mutex::new(state) });
        ManualClock { clock: Clock { manual: Some(Arc::clone(&manual)) }, manual }
    }

    /// The time now.
    pub fn now(&self) -> Instant {
        match &self.manual {
            None => time::now(),
            Some(manual) => manual.state.lock().now,
        }
    }

    /// The instant `duration` from now; `None` if it is too far away to be one, which means for ever.
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

    /// Ends the wait in `slot` with `outcome` at `at`, if this is a manual clock. On the system's clock the
    /// sleeper wakes by itself.
    pub(crate) fn end_at(&self, at: Instant, waiter: &Waiter, outcome: Outcome) -> Option<Alarm> {
        let manual = self.manual.as_ref()?;
        let alarm = manual.set(at, Action::Waiter(waiter.clone(), outcome));
        if alarm.is_none() {
            drop(waiter.end(outcome));
        }
        alarm
    }

    /// Counts the thread that is about to sleep in `slot` with a deadline on this clock, if it is a manual
    /// one.
    pub(crate) fn count_sleeper(&self, waiter: &Waiter) -> Option<Sleeper> {
        self.manual.as_ref()?.count_sleeper(waiter)
    }

    /// Calls `callback` at `at`: on the thread that advances the clock, or on the crate's alarm thread. At
    /// once, on this thread, if the instant has passed.
    pub(crate) fn call_at(&self, at: Instant, callback: impl FnOnce() + Send + 'static) -> Option<Alarm> {
        match &self.manual {
            None => {
                // Nobody waits for the alarm thread who could be told, and it rings the alarms of others.
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
#[must_use = "dropping it lets the thread read its former clock again"]
pub(crate) struct Entered(());

impl Drop for Entered {
    fn drop(&mut self) {
        // Dropped when the list is free again: it may be the last reference, and alarms are the caller's.
        let clock = context::with(|context| context.with_clocks(Vec::pop));
        drop(clock);
    }
}

impl Manual {
    /// Sets an alarm; if its time has come, calls its callback instead and returns `None`.
    ///
    /// The look at the time and the entry into the list are one critical section, as are the two halves of
    /// `advance`, so no alarm falls between them.
    fn set(self: &Arc<Self>, at: Instant, ring: Action) -> Option<Alarm> {
        let mut state = self.state.lock();
        if state.now >= at {
            drop(state);
            if let Action::Call(callback) = ring {
                callback();
            }
            return None;
        }
        let key = (at, state.serial());
        state.alarms.insert(key, ring);
        drop(state);
        Some(Alarm::Manual { clock: Arc::clone(self), key })
    }

    fn count_sleeper(self: &Arc<Self>, waiter: &Waiter) -> Option<Sleeper> {
        let mut state = self.state.lock();
        // Who waits for sleepers with a deadline on this same clock would be woken by itself.
        if state.counting.contains(waiter) {
            return None;
        }
        let key = state.serial();
        state.sleepers.insert(key, waiter.clone());
        let asleep = if state.counting.is_empty() { 0 } else { state.asleep() };
        let wakes = state.counting.end_where(|count| (*count <= asleep).then_some(Ok(())));
        drop(state);
        drop(wakes);
        Some(Sleeper { clock: Arc::clone(self), key })
    }
}

impl ManualClock {
    /// The clock to hand to tokens and builders.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The time now.
    pub fn now(&self) -> Instant {
        self.manual.state.lock().now
    }

    /// Calls `f`, with this clock in the place of the system's: for code under test that is given no token
    /// and no clock.
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
    /// batcher that is made without a clock: on this thread while `f` runs, and on the threads that the crate
    /// uses for it. Those are the helpers of a scope, a group, a [`timeout::run`](crate::timeout::run) and a
    /// pipeline, while they work for this thread, and the threads of a pool and of a batcher that are *built*
    /// in `f`, for as long as they live. Scopes nest: the innermost holds.
    ///
    /// # What does not
    /// A thread that is started otherwise (`std::thread`, rayon) is not known to belong to `f`: let it call
    /// [`scope`](ManualClock::scope) itself. A pool that was built outside reads the clock that it was built
    /// with, whoever submits. A clock that is named, as in `(&clock, time)` or
    /// [`CancelToken::with_clock`](crate::CancelToken), is that one, and a time together with a token is read
    /// on the token's. Nothing changes what `Instant::now` says: ask [`Clock::current`]. The limit of
    /// [`wait_for_sleepers_until`](ManualClock::wait_for_sleepers_until) is on the system's clock here too,
    /// because this one stands still until it returns.
    pub fn scope<R>(&self, f: impl FnOnce() -> R) -> R {
        let _entered = self.clock.enter();
        f()
    }

    /// Lets `duration` pass: every wait whose deadline has come by then ends, the earliest first, and tokens
    /// with such a deadline are cancelled before this returns.
    ///
    /// # Panics
    /// If the time would not fit into an [`Instant`]. A callback's panic is passed on, after everything that
    /// was due has rung; of several, the first.
    #[track_caller]
    pub fn advance(&self, duration: Duration) {
        let target = {
            let mut state = self.manual.state.lock();
            state.now = state
                .now
                .checked_add(duration)
                .unwrap_or_else(|| panic!("{duration:?} from now is past the end of time"));
            state.now
        };
        let mut panicked = FirstPanic::new();
        while let Some(ring) = self.take_due(target) {
            match ring {
                Action::Waiter(waiter, outcome) => drop(waiter.end(outcome)),
                // A sleeper that is late by this call must not sleep on because of somebody else's callback.
                Action::Call(callback) => {
                    panicked.call(callback);
                }
            }
        }
        panicked.resume();
    }

    /// Waits until at least `count` threads sleep with a deadline on this clock: the point at which a test
    /// may advance it and know who is late.
    ///
    /// Each thread counts once, however many deadlines end its sleep: the limit's time, its token's deadline,
    /// a token's that it waits for, a tick. It counts from when nothing but its sleep is left to do until its
    /// wait ends, not until it is awake: one that was cancelled, granted or timed out does not count, and one
    /// that then sleeps again does. Threads that wait without a deadline do not count, nor do those in this
    /// call.
    ///
    /// # Blocking
    /// Without limit: it ends only when the threads come.
    ///
    /// # Proof
    /// The model `a_sleeper_that_was_cancelled_is_not_counted` in `loom-tests/tests/clock.rs`.
    pub fn wait_for_sleepers(&self, count: usize) {
        // A forever limit does not end.
        let _ = self.wait_for_sleepers_until(count, Until::forever());
    }

    /// Like [`wait_for_sleepers`](ManualClock::wait_for_sleepers), and waits at most until `limit`, so that a
    /// test whose threads do not come fails instead of hanging.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`] or [`WaitError::Cancelled`].
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use selvedge::{Clock, error::WaitError};
    ///
    /// let clock = Clock::manual();
    /// let patience = Duration::from_millis(1); // of the system's clock
    /// assert_eq!(clock.wait_for_sleepers_until(1, patience), Err(WaitError::TimedOut));
    /// ```
    pub fn wait_for_sleepers_until<'a>(
        &self,
        count: usize,
        limit: impl Into<Until<'a>>,
    ) -> Result<(), WaitError> {
        let sleepers = Sleepers { clock: &self.manual, count };
        limit.into().on_clock(&SYSTEM).retry(&sleepers, || {
            let enough = sleepers.are_enough(&self.manual.state.lock());
            if enough { Ok(()) } else { Err(TryError::WouldBlock) }
        })
    }

    /// Takes out the earliest alarm that is due.
    fn take_due(&self, now: Instant) -> Option<Action> {
        let mut state = self.manual.state.lock();
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

    /// Threads that sleep now.
    fn asleep(&self) -> usize {
        self.sleepers.values().filter(|waiter| waiter.outcome().is_none()).count()
    }
}

impl Sleepers<'_> {
    fn are_enough(&self, state: &State) -> bool {
        state.asleep() >= self.count
    }
}

impl WaitPoint for Sleepers<'_> {
    fn looks_ready(&self) -> bool {
        self.clock.state.try_lock().is_some_and(|state| self.are_enough(&state))
    }

    fn join(&self, waiter: &Waiter) -> bool {
        let mut state = self.clock.state.lock();
        // Only a sleeper that comes can make them enough; it comes under this lock, and counts then for those
        // here.
        let must_wait = !self.are_enough(&state);
        if must_wait {
            state.counting.join_with(waiter, self.count);
        }
        must_wait
    }

    fn leave(&self, waiter: &Waiter) {
        self.clock.state.lock().counting.leave(waiter);
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.clock.state.lock().sleepers.remove(&self.key);
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        let Alarm::Manual { clock, key } = self else { return };
        let mut state = clock.state.lock();
        // Gone if it has rung.
        let ring = state.alarms.remove(key);
        drop(state);
        drop(ring);
    }
}

impl From<&Clock> for Clock {
    fn from(clock: &Clock) -> Self {
        clock.clone()
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

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_system() { "Clock::system" } else { "Clock::manual" })
    }
}

impl fmt::Debug for Manual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Manual")
    }
}

impl fmt::Debug for ManualClock {
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

impl UnwindSafe for Clock {}
impl RefUnwindSafe for Clock {}
impl UnwindSafe for ManualClock {}
impl RefUnwindSafe for ManualClock {}

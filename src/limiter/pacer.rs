//! Debounce and throttle: a burst of values becomes its latest one, at a time that the clock decides.
//!
//! One value under one mutex, and no thread of its own: the thread that wants the value sleeps until it is
//! due. None of the caller's code runs under the lock.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::error::{Closed, Rejected, TryError, WaitError};
use crate::panics::Held;
use crate::sync::Mutex;
use crate::until::Until;
use crate::wait::sleeps::Subject;
use crate::wait::{WaitList, Waiter};

/// Turns a burst of events into one: to save when the typing stops, to reload when the files have settled, to
/// redraw at most 30 times a second.
///
/// Threads [`push`](Pacer::push) values, and others take the latest one when it is due:
///
/// | made by | a value is due |
/// |---|---|
/// | [`debounce(quiet)`](Pacer::debounce) | when nothing has been pushed for `quiet` |
/// | … [`within(longest)`](Pacer::within) | and at the latest `longest` after the first push since the last value |
/// | [`throttle(period)`](Pacer::throttle) | at once, but not before `period` has passed since the last value was taken |
///
/// Of the values that are pushed before one is due, the last is taken and the others are dropped. The last
/// value of a burst is never lost: also if nothing follows it, it is due, and [`close`](Pacer::close) makes
/// it due at once.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use selvedge::{Clock, error::TryError, limiter::Pacer};
///
/// let clock = Clock::manual();
/// let edits = Pacer::debounce(Duration::from_secs(2)).with_clock(&clock);
/// for text in ["s", "se", "selvedge"] {
///     edits.push(text)?;
///     clock.advance(Duration::from_secs(1));
///     assert_eq!(edits.try_next(), Err(TryError::WouldBlock));
/// }
/// clock.advance(Duration::from_secs(1));
/// assert_eq!(edits.next(), Ok("selvedge")); // saved once
/// # Ok::<(), selvedge::error::Rejected<&str, selvedge::error::Closed>>(())
/// ```
///
/// Draws at most 30 times a second, each time what is newest:
/// ```
/// use std::time::Duration;
/// use selvedge::limiter::Pacer;
///
/// let frames = Pacer::throttle(Duration::from_secs(1) / 30);
/// std::thread::scope(|s| {
///     s.spawn(|| {
///         (1..=1_000).for_each(|frame| _ = frames.push(frame));
///         frames.close();
///     });
///     let drawn: Vec<u32> = std::iter::from_fn(|| frames.next().ok()).collect();
///     assert_eq!(drawn.last(), Some(&1_000));
/// });
/// ```
///
/// # Blocking
/// [`next`](Pacer::next) and [`next_until`](Pacer::next_until) block until a value is due: the clock wakes
/// them, or a push if there was none, or `close`. Nothing else blocks.
///
/// # Cancellation
/// A call that gives up takes nothing. If the value is due when the limit ends, the first of the two holds.
///
/// # Panics
/// The drop of a value that a push replaces may panic, and does so in that push, whose own value is in.
///
/// # Fairness
/// Any of several threads that wait takes the value. Usually there is one.
///
/// # Ordering
/// What a thread did before it pushed a value is visible to the thread that takes it.
///
/// # Proof
/// Models in `loom-tests/tests/limiter.rs`: `a_push_wakes_the_thread_that_waits_for_a_value`,
/// `closing_makes_the_last_value_due`.
///
/// # Cost
/// A push is a lock and a read of the clock; it wakes a thread only if there was no value. No thread and no
/// timer.
///
/// # Instead
/// A [`RateLimiter`](super::RateLimiter) where every event must be handled, only not too fast. A
/// [`Batcher`](crate::Batcher) where the values of a burst are processed together instead of the last alone.
/// A [`Ticker`](super::Ticker) for work at a fixed period, with or without events.
pub struct Pacer<T = ()> {
    clock: Clock,
    quiet: Duration,
    period: Duration,
    longest: Option<Duration>,
    state: Mutex<PacerState<T>>,
}

struct PacerState<T> {
    pending: Option<Pending<T>>,
    /// When the last value was taken.
    taken: Option<Instant>,
    closed: bool,
    /// The threads that wait for a value, whether there is one or not.
    waiting: WaitList,
}

struct Pending<T> {
    value: Held<T>,
    /// The first push since the last value was taken, and the latest.
    first: Instant,
    last: Instant,
}

/// What a thread finds.
enum Look<T> {
    Due(T),
    /// Nothing is due before that time; `None` if no time brings it.
    Wait(Option<Instant>),
    Closed,
}

impl<T> Pacer<T> {
    /// Makes a pacer whose values are due when nothing has been pushed for `quiet`, on
    /// [this thread's clock](Clock::current). With [`Duration::ZERO`], they are due at once.
    ///
    /// Values that never stop coming are never due, unless there is a [`within`](Pacer::within).
    pub fn debounce(quiet: Duration) -> Self {
        Pacer::make(quiet, Duration::ZERO)
    }

    /// Makes a pacer whose values are due at once, but not before `period` has passed since the last value
    /// was taken, on [this thread's clock](Clock::current).
    pub fn throttle(period: Duration) -> Self {
        Pacer::make(Duration::ZERO, period)
    }

    fn make(quiet: Duration, period: Duration) -> Self {
        let state = PacerState { pending: None, taken: None, closed: false, waiting: WaitList::new() };
        Pacer { clock: Clock::current(), quiet, period, longest: None, state: Mutex::new(state) }
    }

    /// The same pacer, whose values are due at the latest `longest` after the first push since the last
    /// value.
    #[must_use = "this pacer has the bound, not the one it was made from"]
    pub fn within(self, longest: Duration) -> Self {
        Pacer { longest: Some(longest), ..self }
    }

    /// The same pacer on `clock`, empty.
    #[must_use = "this pacer is on the clock, not the one it was made from"]
    pub fn with_clock(self, clock: impl Into<Clock>) -> Self {
        let Pacer { quiet, period, longest, .. } = self;
        Pacer { clock: clock.into(), longest, ..Pacer::make(quiet, period) }
    }

    /// Puts a value in, in place of one that is not due yet. Never blocks.
    ///
    /// # Errors
    /// [`Closed`], with the value.
    ///
    /// # Panics
    /// If the drop of the replaced value panics. The new one is in.
    pub fn push(&self, value: T) -> Result<(), Rejected<T, Closed>> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Rejected::new(value, Closed));
        }
        let now = self.clock.now();
        let before = state.pending.take();
        let first = before.as_ref().map_or(now, |before| before.first);
        state.pending = Some(Pending { value: Held::new(value), first, last: now });
        // Only the first value wakes: with one there, the waiters sleep until it is due, and a later push can
        // only make that later. All, since any of them may give up; there is seldom more than one.
        let wakes = if before.is_none() { state.waiting.take_all() } else { Vec::new() };
        drop(state);
        drop(wakes);
        // With no lock held: it is the caller's.
        drop(before);
        Ok(())
    }

    /// Takes the latest value, if it is due.
    ///
    /// # Errors
    /// [`TryError::WouldBlock`], or [`TryError::Closed`] if it is closed and nothing is left.
    pub fn try_next(&self) -> Result<T, TryError> {
        match self.look(&mut self.state.lock()) {
            Look::Due(value) => Ok(value),
            Look::Wait(_) => Err(TryError::WouldBlock),
            Look::Closed => Err(TryError::Closed),
        }
    }

    /// Waits until a value is due, and takes the latest.
    ///
    /// # Errors
    /// [`Closed`] if it is closed and nothing is left.
    #[track_caller]
    pub fn next(&self) -> Result<T, Closed> {
        // A forever limit does not end, and a pacer has no owner that a cycle could lead to.
        self.next_until(Until::forever()).map_err(|_| Closed)
    }

    /// Like [`next`](Pacer::next), waiting until `limit` at most.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`], [`WaitError::Cancelled`] or [`WaitError::Closed`].
    #[track_caller]
    pub fn next_until<'a>(&self, limit: impl Into<Until<'a>>) -> Result<T, WaitError> {
        let limit = limit.into();
        // Tie: a token that was cancelled before the call wins over a value that is due.
        limit.check_token()?;
        let limit = limit.on_clock(&self.clock).start_for(Subject::new("Pacer::next", self));
        loop {
            let waiter = Waiter::new();
            let at = {
                let mut state = self.state.lock();
                match self.look(&mut state) {
                    Look::Due(value) => return Ok(value),
                    Look::Closed => return Err(WaitError::Closed),
                    Look::Wait(at) => {
                        // No missed wake-up: the first push after a value was taken, and a close, take the
                        // waiters out under the lock of this look.
                        state.waiting.join(&waiter);
                        at
                    }
                }
            };
            // Until the value that is there is due, or one comes. A value that has been replaced meanwhile is
            // due later, and another thread may have taken it: the next look finds out.
            let ended = limit.sleep_to(&waiter, &self.clock, at);
            self.state.lock().waiting.leave(&waiter);
            ended?;
        }
    }

    /// Refuses further values. One that is there is due at once. Returns true if this call closed it.
    pub fn close(&self) -> bool {
        let mut state = self.state.lock();
        let closes = !std::mem::replace(&mut state.closed, true);
        // All: one of them takes the value, and the others learn that no more will come.
        let wakes = state.waiting.take_all();
        drop(state);
        drop(wakes);
        closes
    }

    /// True once it is closed.
    pub fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    fn look(&self, state: &mut PacerState<T>) -> Look<T> {
        let Some(pending) = &state.pending else {
            return if state.closed { Look::Closed } else { Look::Wait(None) };
        };
        let now = self.clock.now();
        let due = if state.closed { Some(now) } else { self.due(pending, state.taken) };
        // Tie: a value that is due exactly now is taken.
        if due.is_none_or(|due| now < due) {
            return Look::Wait(due);
        }
        state.taken = Some(now);
        state.pending.take().map_or(Look::Wait(None), |pending| Look::Due(pending.value.into_inner()))
    }

    /// When a value is due; `None` if that is too far away to be an `Instant`.
    fn due(&self, pending: &Pending<T>, taken: Option<Instant>) -> Option<Instant> {
        let quiet = pending.last.checked_add(self.quiet);
        let longest = self.longest.and_then(|longest| pending.first.checked_add(longest));
        let settled = [quiet, longest].into_iter().flatten().min()?;
        match taken {
            Some(taken) => Some(settled.max(taken.checked_add(self.period)?)),
            None => Some(settled),
        }
    }
}

impl<T> fmt::Debug for Pacer<T> {
    /// Never waits: fields that another thread has locked are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Pacer");
        out.field("quiet", &self.quiet).field("period", &self.period).field("longest", &self.longest);
        if let Some(state) = self.state.try_lock() {
            out.field("pending", &state.pending.is_some())
                .field("waiting", &state.waiting.len())
                .field("closed", &state.closed);
        }
        out.finish_non_exhaustive()
    }
}

// A value is only moved in and out, with the state consistent at every unlock.
impl<T> UnwindSafe for Pacer<T> {}
impl<T> RefUnwindSafe for Pacer<T> {}

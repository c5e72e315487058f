//! A limit whose clock has started: how long a sleep may last, and who else ends it.

use std::time::Instant;

use crate::cancel::CancelToken;
use crate::clock::{Alarm, Clock, Sleeper};
use crate::error::WaitError;
use crate::wait::{Outcome, WaitPoint, Waiter, graph, spin_within};

/// A limit whose clock has started.
#[derive(Debug)]
pub(crate) struct Limit<'a> {
    pub(super) token: Option<&'a CancelToken>,
    pub(super) deadline: Option<Instant>,
    pub(super) clock: Source<'a>,
    /// The token is no limit.
    pub(super) looks_again: bool,
}

/// The clock that a limit is read on.
#[derive(Debug)]
pub(super) enum Source<'a> {
    Named(&'a Clock),
    /// That of the thread that the limit started on.
    Current(Clock),
}

/// A time that a waiter waits for as for other things.
pub(crate) struct Timed {
    pub(crate) waiter: Waiter,
    pub(crate) clock: Clock,
    pub(crate) at: Instant,
}

const TIMED_OUT: Outcome = Err(WaitError::TimedOut);

impl Source<'_> {
    pub(super) fn get(&self) -> &Clock {
        match self {
            Source::Named(clock) => clock,
            Source::Current(clock) => clock,
        }
    }
}

impl<'a> Limit<'a> {
    /// When the limit's own time passes, on its clock.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    pub(crate) fn clock(&self) -> &Clock {
        self.clock.get()
    }

    pub(crate) fn token(&self) -> Option<&'a CancelToken> {
        self.token
    }

    /// Writes down what this thread is about to wait for, unless the limit may end the wait.
    pub(super) fn enter_graph(
        &self,
        waiter: &Waiter,
        point: &(impl WaitPoint + ?Sized),
    ) -> Option<graph::Edge> {
        if self.is_unlimited() { graph::enter(|| point.awaited(), waiter, !point.must_stay()) } else { None }
    }

    /// True if nothing will ever end the wait but what is waited for.
    pub(crate) fn is_unlimited(&self) -> bool {
        self.deadline.is_none() && (self.token.is_none() || self.looks_again)
    }

    /// Sleeps until the waiter is granted or the limit ends its wait.
    ///
    /// The limit's token and clock are told of the waiter before the sleep and forget it afterwards. Each of
    /// them ends the waiter on the spot if its own end has come, so there is no moment at which an end could
    /// be missed.
    pub(crate) fn sleep(&self, waiter: &Waiter) -> Result<(), WaitError> {
        self.sleep_within(waiter, self.deadline, [], None)
    }

    /// Like [`Limit::sleep`], and also wakes at `at` of `clock`, as if timed out. On a manual clock somebody
    /// else must see to that.
    pub(crate) fn sleep_before(
        &self,
        waiter: &Waiter,
        clock: &Clock,
        at: Option<Instant>,
    ) -> Result<(), WaitError> {
        let system = at.filter(|_| clock.is_system()).map(|at| (at, TIMED_OUT));
        self.sleep_within(waiter, self.deadline, at.map(|_| clock), system)
    }

    /// Like [`Limit::sleep`], and also wakes at `at` of `clock`, as if granted: what is waited for is that
    /// time. If the limit passes at the same instant, that is success.
    pub(crate) fn sleep_to(
        &self,
        waiter: &Waiter,
        clock: &Clock,
        at: Option<Instant>,
    ) -> Result<(), WaitError> {
        let timed = at.map(|at| Timed { waiter: waiter.clone(), clock: clock.clone(), at });
        self.sleep_among(waiter, timed.as_slice())
    }

    /// Like [`Limit::sleep`], and also wakes at each of these times, as if granted. If the limit passes at
    /// the same instant as one of them, that is success.
    pub(crate) fn sleep_among(&self, waiter: &Waiter, times: &[Timed]) -> Result<(), WaitError> {
        let _alarms: Vec<Alarm> =
            times.iter().filter_map(|timed| timed.clock.end_at(timed.at, &timed.waiter, Ok(()))).collect();
        // What can never come first needs no alarm.
        let never_first =
            |own: &Instant| times.iter().any(|timed| timed.clock.is_same(self.clock()) && timed.at <= *own);
        let deadline = self.deadline.filter(|own| !never_first(own));
        let system = times.iter().filter(|timed| timed.clock.is_system()).map(|timed| timed.at).min();
        let clocks = times.iter().map(|timed| &timed.clock);
        self.sleep_within(waiter, deadline, clocks, system.map(|at| (at, Ok(()))))
    }

    /// True if the limit's own time, or its token's, is sure to pass before `at` of `clock`; `None` is never.
    pub(crate) fn ends_before(&self, clock: &Clock, at: Option<Instant>) -> bool {
        let own = self.deadline.filter(|_| self.clock().is_same(clock));
        let token = self.token.filter(|token| token.clock().is_same(clock));
        let end = earliest(own, token.and_then(CancelToken::deadline));
        end.is_some_and(|end| at.is_none_or(|at| end < at))
    }

    /// Sleeps with `clocks` counting this thread besides the limit's own, and at the latest until an instant
    /// of the system's clock, as it says for that case.
    fn sleep_within<'c>(
        &self,
        waiter: &Waiter,
        deadline: Option<Instant>,
        clocks: impl IntoIterator<Item = &'c Clock>,
        also: Option<(Instant, Outcome)>,
    ) -> Result<(), WaitError> {
        let _watch = self.token.map(|token| token.end_wait(waiter, Err(WaitError::Cancelled)));
        let _alarm = deadline.and_then(|at| self.clock().end_at(at, waiter, TIMED_OUT));
        // Last, so that a thread that is counted has nothing left to do but sleep.
        let _counted = self.count_sleeper(waiter, clocks);
        let deadline = deadline.filter(|_| self.clock().is_system());
        let token_deadline =
            self.token.and_then(|token| token.deadline().filter(|_| token.clock().is_system()));
        let late = earliest(deadline, token_deadline).map(|at| (at, TIMED_OUT));
        // In a tie, what is not the limit.
        let latest = match (also, late) {
            (Some(also), Some(late)) if late.0 < also.0 => Some(late),
            (also, late) => also.or(late),
        };
        match waiter.sleep(latest) {
            Err(WaitError::TimedOut) => Err(self.late()),
            ended => ended,
        }
    }

    /// Counts this thread once on each manual clock that has a deadline for its sleep: the limit's, its
    /// token's, and `also`.
    fn count_sleeper<'c>(
        &self,
        waiter: &Waiter,
        also: impl IntoIterator<Item = &'c Clock>,
    ) -> Vec<(Clock, Sleeper)> {
        let own = self.deadline.map(|_| self.clock());
        let token = self.token.filter(|token| token.deadline().is_some()).map(CancelToken::clock);
        let clocks = own.into_iter().chain(token).cloned().chain(also.into_iter().cloned());
        // The system's clock counts nobody, so nothing is allocated for it.
        let mut counted: Vec<(Clock, Sleeper)> = Vec::new();
        for clock in clocks {
            if counted.iter().any(|(other, _)| other.is_same(&clock)) {
                continue;
            }
            if let Some(sleeper) = clock.count_sleeper(waiter) {
                counted.push((clock, sleeper));
            }
        }
        counted
    }

    /// Looks out for `ready` a few microseconds at most, and not beyond the limit; says whether it came true.
    pub(crate) fn look_out(&self, ready: impl FnMut() -> bool) -> bool {
        spin_within(ready, |now| self.is_over(now))
    }

    /// True if the limit has passed at `now` of the system's clock.
    fn is_over(&self, now: Instant) -> bool {
        let now = || if self.clock().is_system() { now } else { self.clock().now() };
        self.token.is_some_and(CancelToken::is_cancelled) || self.deadline.is_some_and(|at| now() >= at)
    }

    /// Whether the limit has passed. Reads the clock only if there is a deadline.
    pub(crate) fn check(&self) -> Result<(), WaitError> {
        if let Some(token) = self.token {
            token.check()?;
        }
        match self.deadline {
            Some(at) if self.clock().now() >= at => Err(WaitError::TimedOut),
            _ => Ok(()),
        }
    }

    /// Whose time it was that passed. `check` cancels a token whose deadline has come.
    fn late(&self) -> WaitError {
        match self.token.map(CancelToken::check) {
            Some(Err(cancelled)) => cancelled.into(),
            _ => WaitError::TimedOut,
        }
    }
}

fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (either, None) | (None, either) => either,
    }
}

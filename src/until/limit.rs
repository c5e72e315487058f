//! A limit whose time has started, and the sleep that it ends.

use std::cell::Cell;
use std::panic::Location;
use std::time::Instant;

use crate::cancel::CancelToken;
use crate::clock::{self, Alarm, Clock, Sleeper};
use crate::error::WaitError;
use crate::sync::Arc;
use crate::wait::graph::{self, Awaited};
use crate::wait::sleeps::{self, Planned, Subject};
use crate::wait::{Outcome, Waiter, spin_within, timeline};

/// A limit whose time has started.
pub(crate) struct Limit<'a> {
    pub(super) token: Option<&'a CancelToken>,
    pub(super) deadline: Option<Instant>,
    pub(super) clock: Source<'a>,
    /// The token does not end the wait for good: see [`Until::woken_by`](super::Until::woken_by).
    pub(super) looks_again: bool,
    /// The object of the wait and the location of the call, for [`inspect`](crate::inspect).
    pub(super) subject: Option<(Subject, &'static Location<'static>)>,
    /// What the sleep waits for, if only certain threads can bring it; see
    /// [`enter_graph`](Limit::enter_graph).
    pub(super) awaited: Option<Arc<dyn Awaited>>,
    /// When the thread last read the system's clock while it looked out: the beginning of its sleep, without
    /// reading the clock again.
    pub(super) looked_at: Cell<Option<Instant>>,
}

/// The clock of a limit.
#[derive(Debug)]
pub(super) enum Source<'a> {
    Named(&'a Clock),
    /// The clock of the thread on which the limit started.
    Current(Clock),
}

/// A time that is one of the conditions of a wait.
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
    /// The limit's own deadline, on its clock.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    pub(crate) fn clock(&self) -> &Clock {
        self.clock.get()
    }

    pub(crate) fn token(&self) -> Option<&'a CancelToken> {
        self.token
    }

    /// Sets the subject of the sleeps within this limit. Without a subject they are not in the register of
    /// sleeps.
    pub(crate) fn describe(&mut self, subject: Option<(Subject, &'static Location<'static>)>) {
        self.subject = subject;
    }

    /// Enters this thread into the register of sleeps, if the sleep has a subject. It ends at `also` at the
    /// latest, besides the limit's own ends.
    fn enter_register(&self, waiter: &Waiter, also: Option<Instant>) -> Option<sleeps::Entered> {
        let (subject, at) = self.subject?;
        let own = self.deadline.map(|at| (at, self.clock()));
        let token = self.token.and_then(|token| Some((token.deadline()?, token.clock())));
        let first = own.into_iter().chain(token).min_by_key(|(at, _)| *at);
        let limited = first.map(|(at, clock)| (at, (!clock.is_system()).then(|| clock.now())));
        let deadline = match (limited, also) {
            // Times of different clocks cannot be compared: the limit is the one that the caller knows.
            (Some((at, None)), Some(also)) => Some((at.min(also), None)),
            (limited, also) => limited.or(also.map(|at| (at, None))),
        };
        let (token, awaited) = (self.token.map(CancelToken::identity), self.awaited.as_ref());
        let (since, waiter) = (self.looked_at.take(), waiter.address());
        sleeps::enter(Planned { subject, at, deadline, token, awaited, since, waiter })
    }

    /// Asks what the thread waits for, for the register of sleeps and for the wait-for graph, and adds an
    /// edge to the graph, unless the limit may end the wait.
    pub(crate) fn enter_graph(
        &mut self,
        waiter: &Waiter,
        refusable: bool,
        awaited: impl FnOnce() -> Option<Arc<dyn Awaited>>,
    ) -> Option<graph::Edge> {
        // A wait that a time or a token ends cannot deadlock for good.
        let has_edge = self.is_unlimited() && graph::is_owing();
        // A limited wait may hang all the same, until somebody uses its token: the register has it too.
        if has_edge || (sleeps::is_kept() && self.subject.is_some()) {
            self.awaited = awaited();
        }
        let awaited = self.awaited.as_ref().filter(|_| has_edge)?;
        Some(graph::enter(Arc::clone(awaited), waiter, refusable))
    }

    /// True if only the condition can end the wait.
    pub(crate) fn is_unlimited(&self) -> bool {
        self.deadline.is_none() && (self.token.is_none() || self.looks_again)
    }

    /// Sleeps until `waiter` is granted or the limit ends it.
    ///
    /// The waiter is registered with the limit's token and clock during the sleep. Each of them ends the
    /// waiter at once if its own end has already come, so no end is missed between the check and the sleep.
    pub(crate) fn sleep(&self, waiter: &Waiter) -> Result<(), WaitError> {
        self.sleep_within(waiter, self.deadline, [], None)
    }

    /// Like [`Limit::sleep`], and also fails with `TimedOut` at `at` of `clock`. On a manual clock the caller
    /// must have registered the waiter for that time.
    pub(crate) fn sleep_before(
        &self,
        waiter: &Waiter,
        clock: &Clock,
        at: Option<Instant>,
    ) -> Result<(), WaitError> {
        let system = at.filter(|_| clock.is_system()).map(|at| (at, TIMED_OUT));
        self.sleep_within(waiter, self.deadline, at.map(|_| clock), system)
    }

    /// Like [`Limit::sleep`], and also succeeds at `at` of `clock`: that time is the condition. If the limit
    /// ends at the same instant, that is success.
    pub(crate) fn sleep_to(
        &self,
        waiter: &Waiter,
        clock: &Clock,
        at: Option<Instant>,
    ) -> Result<(), WaitError> {
        let timed = at.map(|at| Timed { waiter: waiter.clone(), clock: clock.clone(), at });
        self.sleep_among(waiter, timed.as_slice())
    }

    /// Like [`Limit::sleep`], and also succeeds at each of these times. If the limit ends at the same instant
    /// as one of them, that is success.
    pub(crate) fn sleep_among(&self, waiter: &Waiter, times: &[Timed]) -> Result<(), WaitError> {
        let _alarms: Vec<Alarm> =
            times.iter().filter_map(|timed| timed.clock.end_at(timed.at, &timed.waiter, Ok(()))).collect();
        // A deadline that cannot come first needs no alarm.
        let never_first =
            |own: &Instant| times.iter().any(|timed| timed.clock.is_same(self.clock()) && timed.at <= *own);
        let deadline = self.deadline.filter(|own| !never_first(own));
        let system = times.iter().filter(|timed| timed.clock.is_system()).map(|timed| timed.at).min();
        let clocks = times.iter().map(|timed| &timed.clock);
        self.sleep_within(waiter, deadline, clocks, system.map(|at| (at, Ok(()))))
    }

    /// Ends the limit at `at` of its clock, if it would end later.
    pub(crate) fn end_by(&mut self, at: Option<Instant>) {
        self.deadline = earliest(self.deadline, at);
    }

    /// True if the limit or its token is sure to end before `at` of `clock`; `None` means never.
    pub(crate) fn ends_before(&self, clock: &Clock, at: Option<Instant>) -> bool {
        self.end_on(clock).is_some_and(|end| at.is_none_or(|at| end < at))
    }

    /// True if the limit or its token is sure to end at `at` of `clock` or before; `None` means never.
    pub(crate) fn ends_by(&self, clock: &Clock, at: Option<Instant>) -> bool {
        self.end_on(clock).is_some_and(|end| at.is_none_or(|at| end <= at))
    }

    /// The first deadline that `clock` measures: the limit's or its token's.
    fn end_on(&self, clock: &Clock) -> Option<Instant> {
        let own = self.deadline.filter(|_| self.clock().is_same(clock));
        let token = self.token.filter(|token| token.clock().is_same(clock));
        earliest(own, token.and_then(CancelToken::deadline))
    }

    /// Sleeps until `waiter` ends, or until `also`, an instant of the system's clock with the outcome for it.
    /// The `clocks` have deadlines for this sleep, in addition to the limit's own.
    fn sleep_within<'c>(
        &self,
        waiter: &Waiter,
        deadline: Option<Instant>,
        clocks: impl IntoIterator<Item = &'c Clock>,
        also: Option<(Instant, Outcome)>,
    ) -> Result<(), WaitError> {
        // From here on a cancellation ends the waiter; one that came before does so in this call. The same
        // holds for the alarm, so neither can fall between the caller's check and the sleep.
        let _watch = self.token.map(|token| token.end_wait(waiter, Err(WaitError::Cancelled)));
        let _alarm = deadline.and_then(|at| self.clock().end_at(at, waiter, TIMED_OUT));
        // Deadlines of the system's clock end the sleep itself, without an alarm. On a manual clock,
        // `advance` ends the waiter.
        let deadline = deadline.filter(|_| self.clock().is_system());
        let token_deadline =
            self.token.and_then(|token| token.deadline().filter(|_| token.clock().is_system()));
        let late = earliest(deadline, token_deadline).map(|at| (at, TIMED_OUT));
        // Tie: the condition wins over the limit.
        let latest = match (also, late) {
            (Some(also), Some(late)) if late.0 < also.0 => Some(late),
            (also, late) => also.or(late),
        };
        let _entered = self.enter_register(waiter, also.map(|(at, _)| at));
        // A thread without work is in no report, but in a timeline.
        let _idle = if self.subject.is_none() { timeline::idle(waiter.address()) } else { None };
        // Counted last, so that a counted thread has nothing left to do but sleep: a test advances the clock
        // as soon as it has counted the sleepers that it expects.
        match waiter.sleep(latest, || self.count_sleeper(waiter, clocks)) {
            // Tie: if the token is cancelled by now, the call reports that.
            Err(WaitError::TimedOut) => Err(self.late()),
            ended => ended,
        }
    }

    /// Tells the manual clocks that this thread sleeps, each once: those that have a deadline for its sleep,
    /// which are the limit's, the token's and `also`, and those that know the thread.
    fn count_sleeper<'c>(&self, waiter: &Waiter, also: impl IntoIterator<Item = &'c Clock>) -> Vec<Sleeper> {
        let token = self.token.map(|token| (token.clock(), token.deadline().is_some()));
        let also = also.into_iter().map(|clock| (clock, true));
        let limits = [(self.clock(), self.deadline.is_some())].into_iter().chain(token).chain(also);
        // Those with a deadline first, since a clock is told only once.
        let (with, without): (Vec<_>, Vec<_>) =
            limits.filter(|(clock, _)| !clock.is_system()).partition(|(_, has_deadline)| *has_deadline);
        let known = clock::known_by();
        let clocks = with.into_iter().chain(without).chain(known.iter().map(|clock| (clock, false)));
        // The system's clock counts no sleepers, so nothing is allocated for it.
        let mut counted: Vec<Sleeper> = Vec::new();
        for (clock, has_deadline) in clocks {
            // Once per clock, since a test waits for a number of threads, not of deadlines.
            if !counted.iter().any(|sleeper| sleeper.is_on(clock)) {
                counted.extend(clock.count_sleeper(waiter, has_deadline));
            }
        }
        counted
    }

    /// Spins until `ready`, for a few microseconds and not beyond the limit. Returns whether it became true.
    pub(crate) fn spin(&self, ready: impl FnMut() -> bool) -> bool {
        // One from an earlier round would be too early.
        self.looked_at.set(None);
        spin_within(ready, |now| {
            self.looked_at.set(Some(now));
            self.is_over(now)
        })
    }

    /// True if the limit has ended at `now` of the system's clock.
    fn is_over(&self, now: Instant) -> bool {
        // The caller has just read the system's clock.
        let now = || if self.clock().is_system() { now } else { self.clock().now() };
        self.token.is_some_and(CancelToken::is_cancelled) || self.deadline.is_some_and(|at| now() >= at)
    }

    /// Fails if the limit has ended. Reads the clock only if there is a deadline.
    pub(crate) fn check(&self) -> Result<(), WaitError> {
        if let Some(token) = self.token {
            token.check()?;
        }
        match self.deadline {
            Some(at) if self.clock().now() >= at => Err(WaitError::TimedOut),
            _ => Ok(()),
        }
    }

    /// The error for a deadline that passed: the limit's own or the token's. `check` cancels a token whose
    /// deadline has passed.
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

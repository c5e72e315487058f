//! The threads that a manual clock knows, and the calls that wait for them.
//!
//! A thread becomes known when it enters a scope of the clock, or sleeps in a wait whose limit the clock
//! measures, and stays known until it leaves the scope or ends. From then on the clock sees every sleep of it
//! in this crate, on whichever clock: all sleeps are in one place, [`Limit::sleep`](crate::until::Limit).
//!
//! | `waiter` | its outcome | the thread |
//! |---|---|---|
//! | `None` | | runs, or blocks outside of this crate |
//! | `Some` | none | sleeps |
//! | `Some` | written | was woken, and has not run yet |
//!
//! # Settled
//! *If all known threads sleep at the moment of a look, nothing happens until a thread that is not known
//! acts, or the system's time ends a sleep.* The look takes the clock's lock, and looks at one waiter after
//! the other. Suppose that a waiter is ended after its look and before the end of the last one, by a known
//! thread. The first such thread runs then, but its own look has found it asleep, or will: if it was before,
//! then another waiter was ended earlier, against the assumption; if it is later, then the thread would have
//! had to go to sleep meanwhile, which takes the lock. So the look finds it running, or its waiter ended.

use std::cell::RefCell;
use std::mem;

use super::{Manual, ManualClock, State};
use crate::clock::Clock;
use crate::error::{TryError, WaitError};
use crate::panics;
use crate::sync::{Arc, thread_local};
use crate::until::Until;
use crate::wait::{WaitPoint, Waiter, Wake};

static SYSTEM: Clock = Clock::system();

thread_local! {
    /// The clocks that know this thread. Unlike the crate's [context](crate::wait::context) it has a
    /// destructor: the end of the thread is what it is for. Afterwards no clock sees the thread's sleeps.
    static KNOWN_BY: RefCell<Vec<Membership>> = const { RefCell::new(Vec::new()) };
}

/// What a clock knows about a thread.
#[derive(Default)]
pub(super) struct Known {
    /// That of its sleep, until it runs again.
    waiter: Option<Waiter>,
    /// The sleep has a deadline on this clock.
    has_deadline: bool,
}

/// What a waiter in `counting` waits for.
#[derive(Clone, Copy)]
pub(super) enum Awaited {
    /// So many threads that sleep with a deadline on the clock.
    Sleepers(usize),
    /// All known threads sleep, but for the one with that key, which waits for that.
    Settled(Option<u64>),
}

/// A thread is known to a clock until this is dropped.
struct Membership {
    clock: Arc<Manual>,
    key: u64,
}

/// A thread that sleeps, until this is dropped.
#[derive(Debug)]
#[must_use = "a sleeper that is dropped is not counted"]
pub(crate) struct Sleeper {
    clock: Arc<Manual>,
    key: u64,
    /// The thread stays known when it is awake.
    stays: bool,
}

/// The wait point of threads that wait for others.
struct Others<'a> {
    clock: &'a Manual,
    awaited: Awaited,
}

/// The clocks that know this thread; almost always none, which does not allocate.
pub(crate) fn known_by() -> Vec<Clock> {
    let clocks = |known: &RefCell<Vec<Membership>>| {
        let clock = |membership: &Membership| Clock { manual: Some(Arc::clone(&membership.clock)) };
        known.borrow().iter().map(clock).collect()
    };
    KNOWN_BY.try_with(clocks).unwrap_or_default()
}

/// Makes all clocks forget this thread, which works for others from now on.
pub(crate) fn forget_this_thread() {
    // Dropped outside of the list, since the last reference to a clock may drop the caller's callbacks.
    drop(KNOWN_BY.try_with(|known| mem::take(&mut *known.borrow_mut())));
}

impl Manual {
    /// Makes this thread known. Returns its key, `None` in a thread that is about to end.
    pub(in crate::clock) fn know_this_thread(self: &Arc<Self>) -> Option<u64> {
        let (key, dead) = KNOWN_BY
            .try_with(|known| {
                let mut known = known.borrow_mut();
                if let Some(membership) = known.iter().find(|membership| membership.is_of(self)) {
                    return (membership.key, Vec::new());
                }
                // A thread may outlive many clocks.
                let dead: Vec<Membership> = known.extract_if(.., |membership| membership.is_dead()).collect();
                let key = {
                    let mut state = self.state.lock();
                    let key = state.serial();
                    state.threads.insert(key, Known::default());
                    key
                };
                known.push(Membership { clock: Arc::clone(self), key });
                (key, dead)
            })
            .ok()?;
        drop(dead);
        Some(key)
    }

    /// Forgets this thread.
    pub(in crate::clock) fn forget_this_thread(self: &Arc<Self>) {
        let of_this = |known: &RefCell<Vec<Membership>>| {
            let mut known = known.borrow_mut();
            let place = known.iter().position(|membership| membership.is_of(self))?;
            Some(known.swap_remove(place))
        };
        drop(KNOWN_BY.try_with(of_this));
    }

    /// This thread is about to sleep, with a deadline on this clock or without.
    pub(in crate::clock) fn count_sleeper(self: &Arc<Self>, waiter: &Waiter, has_deadline: bool) -> Sleeper {
        let known = self.know_this_thread();
        let mut state = self.state.lock();
        let key = known.unwrap_or_else(|| state.serial());
        // A thread that waits for sleepers, with a limit on this same clock, would end its own wait.
        let has_deadline = has_deadline && !state.counting.contains(waiter);
        state.threads.insert(key, Known { waiter: Some(waiter.clone()), has_deadline });
        // Inserted and looked at in one critical section: a thread that joins `counting` later sees this
        // sleeper in its own look.
        let wakes = state.end_those_who_waited();
        // Unlocked first, so that no woken thread runs into the held lock.
        drop(state);
        drop(wakes);
        Sleeper { clock: Arc::clone(self), key, stays: known.is_some() }
    }
}

impl State {
    /// Ends the waits in `counting` that have come true. All of them, since each waits for something else.
    fn end_those_who_waited(&mut self) -> Vec<Wake> {
        if self.counting.is_empty() {
            return Vec::new();
        }
        let threads = &self.threads;
        self.counting.end_where(|awaited| awaited.holds(threads.iter()).then_some(Ok(())))
    }
}

impl Known {
    fn sleeps(&self) -> bool {
        // Not once its wait has ended: the thread is about to run.
        self.waiter.as_ref().is_some_and(|waiter| waiter.outcome().is_none())
    }
}

impl Awaited {
    fn holds<'a>(self, mut threads: impl Iterator<Item = (&'a u64, &'a Known)>) -> bool {
        match self {
            Awaited::Sleepers(count) => {
                threads.filter(|(_, thread)| thread.has_deadline && thread.sleeps()).count() >= count
            }
            Awaited::Settled(caller) => threads.all(|(key, thread)| Some(*key) == caller || thread.sleeps()),
        }
    }
}

impl ManualClock {
    /// Waits until at least `count` threads sleep with a deadline on this clock. After that, a test that
    /// advances the clock knows which waits end.
    ///
    /// Each thread counts once, however many deadlines can end its sleep: the limit's time, its token's
    /// deadline, the deadline of a token that it waits for, a tick. It counts from the moment at which only
    /// its sleep is left to do until its wait ends, not until it is awake: a thread that was cancelled,
    /// granted or timed out does not count, and one that then sleeps again does. Threads that wait without a
    /// deadline do not count, nor do threads in this call.
    ///
    /// # Blocking
    /// Without a limit: the call returns only once the threads sleep.
    ///
    /// # Proof
    /// The models `a_sleeper_that_was_cancelled_is_not_counted` and
    /// `each_sleeper_counts_once_whatever_ends_its_sleep` in `loom-tests/tests/clock.rs`.
    pub fn wait_for_sleepers(&self, count: usize) {
        // Never an error: a forever limit does not end, and no thread owns the sleepers, so no cycle is
        // found.
        let _ = self.wait_for_sleepers_until(count, Until::forever());
    }

    /// Like [`wait_for_sleepers`](ManualClock::wait_for_sleepers), but waits at most until `limit`, so that a
    /// test whose threads do not sleep fails instead of hanging.
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
        self.wait_for(Awaited::Sleepers(count), limit.into())
    }

    /// Waits until every thread that this clock knows sleeps, so that a test can look at what an
    /// [`advance`](ManualClock::advance) has caused: the threads that it woke have done their work, and so
    /// have those that they woke in turn.
    ///
    /// ```
    /// use std::time::Duration;
    /// use selvedge::{CancelToken, Clock, Counter, Latch};
    ///
    /// let (clock, stop) = (Clock::manual(), CancelToken::new());
    /// let (beats, known) = (Counter::new(), Latch::new(1));
    /// std::thread::scope(|s| {
    ///     s.spawn(|| clock.scope(|| {
    ///         known.count_down();
    ///         while Latch::new(1).wait_until(Duration::from_secs(60)).is_err() && !stop.is_cancelled() {
    ///             beats.add(1);
    ///         }
    ///     }));
    ///     known.wait();
    ///     clock.settle();                          // it sleeps for the first time
    ///     for minutes in 1..=5 {
    ///         clock.advance(Duration::from_secs(60));
    ///         clock.settle();                      // it has beaten, and sleeps again
    ///         assert_eq!(beats.get(), minutes);
    ///     }
    ///     stop.cancel();
    ///     clock.advance(Duration::from_secs(60));
    /// });
    /// ```
    ///
    /// # What it sees
    /// A thread is *known* from the moment at which it enters a [`scope`](ManualClock::scope) of the clock,
    /// or first sleeps in a call whose time or token is on the clock, until it leaves the scope or ends. One
    /// of the crate's helpers is known until it has done its task. Of a known thread, the clock sees every
    /// sleep in this crate, also one without a deadline or on another clock, and that it was woken, as soon
    /// as another thread has ended its wait. The calling thread does not count.
    ///
    /// # What it does not see
    /// - A thread that is not known yet: one that was just started, a task that no thread has begun. Wait for
    ///   its first sleep with [`wait_for_sleepers`](ManualClock::wait_for_sleepers), or for its entry into a
    ///   scope as above. The idle workers of a pool that is built in a scope are known once they have
    ///   started.
    /// - What threads that are not known do meanwhile and afterwards, and sleeps that end at a time of the
    ///   system's clock.
    /// - That a known thread blocks outside of this crate: in a lock or a channel of std, a read, a
    ///   `JoinHandle::join`. It counts as running, and this call waits for it.
    ///
    /// # Blocking
    /// Without a limit: the call returns only once the known threads sleep; at once if there are none.
    ///
    /// # Proof
    /// The models `what_an_advance_caused_has_happened_when_the_clock_has_settled`,
    /// `a_thread_that_ends_no_longer_keeps_the_clock_from_settling` and
    /// `a_known_thread_settles_in_a_sleep_on_another_clock` in `loom-tests/tests/clock.rs`.
    pub fn settle(&self) {
        // Never an error, as in `wait_for_sleepers`.
        let _ = self.settle_until(Until::forever());
    }

    /// Like [`settle`](ManualClock::settle), but waits at most until `limit`, so that a test whose threads do
    /// not sleep fails instead of hanging.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`] or [`WaitError::Cancelled`].
    pub fn settle_until<'a>(&self, limit: impl Into<Until<'a>>) -> Result<(), WaitError> {
        let this = |known: &RefCell<Vec<Membership>>| {
            known.borrow().iter().find(|membership| membership.is_of(&self.manual)).map(|own| own.key)
        };
        self.wait_for(Awaited::Settled(KNOWN_BY.try_with(this).unwrap_or(None)), limit.into())
    }

    fn wait_for(&self, awaited: Awaited, limit: Until<'_>) -> Result<(), WaitError> {
        let others = Others { clock: &self.manual, awaited };
        // On the system's clock: in a `scope`, a bare time on this clock would never pass.
        limit.on_clock(&SYSTEM).retry(&others, || {
            let holds = others.hold(&self.manual.state.lock());
            if holds { Ok(()) } else { Err(TryError::WouldBlock) }
        })
    }
}

impl Others<'_> {
    fn hold(&self, state: &State) -> bool {
        self.awaited.holds(state.threads.iter())
    }
}

impl WaitPoint for Others<'_> {
    fn looks_ready(&self) -> bool {
        self.clock.state.try_lock().is_some_and(|state| self.hold(&state))
    }

    fn join(&self, waiter: &Waiter) -> bool {
        let mut state = self.clock.state.lock();
        // Waits for other threads to go to sleep or to be forgotten. Both happen under this lock, and end the
        // waits in the list that they make true, so none falls between this look and the list.
        let must_wait = !self.hold(&state);
        if must_wait {
            state.counting.join_with(waiter, self.awaited);
        }
        must_wait
    }

    fn leave(&self, waiter: &Waiter) {
        self.clock.state.lock().counting.leave(waiter);
    }
}

impl Membership {
    fn is_of(&self, clock: &Arc<Manual>) -> bool {
        Arc::ptr_eq(&self.clock, clock)
    }

    /// True if only threads that the clock knows have references to it: nobody can advance it any more.
    fn is_dead(&self) -> bool {
        let known = self.clock.state.try_lock().map(|state| state.threads.len());
        known.is_some_and(|known| known >= Arc::strong_count(&self.clock))
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        // Contained: the locals of a model's threads are dropped outside of it if it fails, where loom
        // panics.
        panics::contain(|| {
            let mut state = self.clock.state.lock();
            state.threads.remove(&self.key);
            // A thread that ran is one less to wait for.
            let wakes = state.end_those_who_waited();
            drop(state);
            drop(wakes);
        });
    }
}

impl Sleeper {
    /// True if it sleeps on that clock.
    pub(crate) fn is_on(&self, clock: &Clock) -> bool {
        clock.manual.as_ref().is_some_and(|clock| Arc::ptr_eq(&self.clock, clock))
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let mut state = self.clock.state.lock();
        // Wakes nobody: a thread that runs makes no wait come true.
        if self.stays {
            state.threads.insert(self.key, Known::default());
        } else {
            state.threads.remove(&self.key);
        }
    }
}

//! How a thread waits for the first of several things.
//!
//! A selection waits as every call here does: it makes an attempt, and where that would block it joins a wait
//! list in the critical section in which it found that it must wait, sleeps, and makes another attempt. The
//! difference is that the attempt goes round the arms, and that one [`Waiter`] stands in the lists of all.
//!
//! # Invariants
//! 1. *One arm takes effect.* Attempts are made one after another while the thread stands in no list, and the
//!    first that succeeds is the last. An arm that is *handed* what it waits for (a permit, an item by
//!    rendezvous) is handed it by whoever ends the waiter, and a waiter is ended once.
//! 2. *No wake-up is swallowed.* The waiter remembers through which arm it was ended. That arm is
//!    [claimed](RawArm::claim) before all others and before the limit is looked at: either it takes effect,
//!    or somebody else has taken what the wake-up was for. So a selection never takes one thing and leaves
//!    another lying that it was woken for, while a thread that needs it sleeps. An end that comes later than
//!    the first finds the waiter ended, and goes to the next in that list.
//! 3. *Nothing falls between the look and the sleep.* Each arm joins its list in a critical section in which
//!    it was found not to be ready. If one is ready by then, the selection withdraws: it ends its own waiter.
//!    If somebody came first, invariant 2 holds for that arm.
//!
//! # Why not
//! *An attempt that is made by whoever ends the wait*, for every arm: then a queue would hand its items over,
//! and each push would wait until the one it was handed to is awake. See `wait/turns.rs`.
//!
//! *A look-out before the lists are joined*, as in a wait for one thing: two threads that each look out for
//! the other's entry in a list would meet only after both have given up. So the look-out comes afterwards,
//! and is for the end of the waiter.

use std::time::Instant;

use super::order::Pick;
use crate::clock::Clock;
use crate::error::WaitError;
use crate::sync::Arc;
use crate::until::{Limit, Timed, Until};
use crate::wait::graph::{self, Awaited, Needs};
use crate::wait::{Outcome, Waiter};

/// What the engine asks of an arm. All of it is called on the thread that waits.
pub trait RawArm {
    /// Does the operation if it need not wait for that, and keeps what came of it.
    fn attempt(&mut self) -> bool;

    /// Joins the list of those who wait for the operation, unless an attempt might succeed by now: both
    /// found in one critical section. Says whether it joined.
    fn join(&mut self, waiter: &Waiter) -> bool;

    /// Like [`join`](RawArm::join), for one who makes no attempt when the wait has ended.
    fn join_to_ask(&mut self, waiter: &Waiter) -> bool {
        self.join(waiter)
    }

    /// Leaves the list.
    fn leave(&mut self, waiter: &Waiter);

    /// The wait was ended so through this arm: takes what was handed over, or makes an attempt. False if
    /// others were faster.
    fn claim(&mut self, _ended: Outcome) -> bool {
        self.attempt()
    }

    /// The wait was ended through this arm by somebody who thinks that it will be claimed, and it will not
    /// be: gives back what was handed over, or tells the next in the list.
    fn pass_on(&mut self, _ended: Outcome) {}

    /// A claim was in vain. Where others could be faster for ever, the arm takes a turn when it has lost too
    /// often.
    fn lose(&mut self) {}

    /// The selection is over: the arm gives up its turn.
    fn rest(&mut self) {}

    /// The instant at which an attempt will succeed, if the arm waits for one.
    fn instant(&self) -> Option<(Clock, Instant)> {
        None
    }

    /// Does what would otherwise be waited for, if it falls to this thread: runs a task that only it can run.
    /// Says whether an attempt is worth while.
    fn help(&mut self) -> bool {
        false
    }

    /// What this thread would wait for, if only certain threads can provide it.
    fn awaited(&self) -> Option<Arc<dyn Awaited>> {
        None
    }

    /// Takes effect as one that would wait for ever. Called only if there is something
    /// [awaited](Self::awaited).
    fn refuse(&mut self) {}
}

/// Arms in the order in which they are written.
pub(super) trait Arms {
    fn len(&self) -> usize;

    /// `None` if it was removed.
    fn get(&mut self, at: usize) -> Option<&mut dyn RawArm>;
}

/// How a sleep ended that the limit did not end.
enum Woken {
    /// Through this arm, so.
    By(usize, Outcome),
    /// This arm was found ready before the sleep.
    Ready(usize),
    /// By the time that some arm waits for.
    Somehow,
    /// None of the arms could ever take effect.
    Never,
}

/// The first arm that takes effect without a wait.
#[inline]
pub(super) fn attempt_each<A: Arms + ?Sized>(arms: &mut A, pick: Pick) -> Option<usize> {
    pick.order(arms.len()).find(|at| arms.get(*at).is_some_and(RawArm::attempt))
}

/// Waits until an arm takes effect, and says which.
#[inline]
pub(super) fn wait<A: Arms + ?Sized>(
    arms: &mut A,
    pick: Pick,
    limit: Until<'_>,
    waiter: &mut Option<Waiter>,
) -> Result<usize, WaitError> {
    // A token that was cancelled before the call takes nothing, though there is an arm that is ready.
    limit.check_token()?;
    match attempt_each(arms, pick) {
        Some(at) => Ok(at),
        None => wait_slowly(arms, pick, limit, waiter.get_or_insert_with(Waiter::new)),
    }
}

/// The rest of [`wait`], after the first attempts have failed.
#[cold]
fn wait_slowly<A: Arms + ?Sized>(
    arms: &mut A,
    pick: Pick,
    limit: Until<'_>,
    waiter: &mut Waiter,
) -> Result<usize, WaitError> {
    let limit = limit.start();
    let resting = Resting(arms);
    let arms = &mut *resting.0;
    loop {
        // After the attempts, so that no wake-up is swallowed; and in every round, because others may be
        // faster each time.
        limit.check()?;
        if let Some(at) = help_each(arms, pick) {
            return Ok(at);
        }
        match sleep(arms, pick, &limit, waiter, |arm, waiter| arm.join(waiter))? {
            Woken::By(at, ended) if claim(arms, at, ended) => return Ok(at),
            Woken::Never => return Ok(refuse(arms)),
            Woken::By(..) | Woken::Ready(_) | Woken::Somehow => {}
        }
        if let Some(at) = attempt_each(arms, pick) {
            return Ok(at);
        }
    }
}

/// Waits until an attempt of some arm is worth while, and makes none.
pub(super) fn wait_ready<A: Arms + ?Sized>(
    arms: &mut A,
    pick: Pick,
    limit: Until<'_>,
    waiter: &mut Option<Waiter>,
) -> Result<usize, WaitError> {
    limit.check_token()?;
    let limit = limit.start();
    let waiter = waiter.get_or_insert_with(Waiter::new);
    loop {
        match sleep(arms, pick, &limit, waiter, |arm, waiter| arm.join_to_ask(waiter))? {
            Woken::Ready(at) => return Ok(at),
            Woken::By(at, ended) => {
                // The caller may do something else first, or nothing.
                arm(arms, at).pass_on(ended);
                return Ok(at);
            }
            Woken::Somehow => limit.check()?,
            Woken::Never => return Err(WaitError::WouldDeadlock),
        }
    }
}

type Join = fn(&mut (dyn RawArm + '_), &Waiter) -> bool;

/// Joins the lists of all arms, sleeps, and leaves them.
fn sleep<A: Arms + ?Sized>(
    arms: &mut A,
    pick: Pick,
    limit: &Limit<'_>,
    waiter: &mut Waiter,
    join: Join,
) -> Result<Woken, WaitError> {
    waiter.renew();
    let mut joined = Joined { arms, waiter };
    let woken = match joined.join_each(pick, join) {
        Some(ready) if joined.waiter.withdraw() => return Ok(Woken::Ready(ready)),
        // Ended through an arm that it had joined before.
        Some(_) => Ok(()),
        None => {
            let times = joined.times();
            let _edge =
                limit.is_unlimited().then(|| graph::enter(|| awaited(joined.arms), joined.waiter, true));
            // Whoever makes an arm ready ends the waiter, which stands in that arm's list.
            limit.spin(|| joined.waiter.has_ended());
            limit.sleep_among(joined.waiter, &times)
        }
    };
    match (woken, joined.waiter.ended_by()) {
        (Ok(()), Some(at)) => Ok(Woken::By(at, Ok(()))),
        (Ok(()), None) => Ok(Woken::Somehow),
        // A limit says neither of these: the thing that was waited for does, and the wait-for graph.
        (Err(WaitError::Closed | WaitError::InsufficientCapacity), Some(at)) => Ok(Woken::By(at, woken)),
        (Err(WaitError::WouldDeadlock), _) => Ok(Woken::Never),
        (Err(ended), _) => Err(ended),
    }
}

/// A waiter that may stand in the lists of the arms, and leaves them when this is dropped.
struct Joined<'a, A: Arms + ?Sized> {
    arms: &'a mut A,
    waiter: &'a mut Waiter,
}

impl<A: Arms + ?Sized> Joined<'_, A> {
    /// Joins one list after another, up to an arm that is ready.
    fn join_each(&mut self, pick: Pick, join: Join) -> Option<usize> {
        pick.order(self.arms.len()).find(|&at| {
            let Some(arm) = self.arms.get(at) else { return false };
            self.waiter.stand_for(at);
            !join(arm, self.waiter)
        })
    }

    /// The instants that arms wait for.
    fn times(&mut self) -> Vec<Timed> {
        let len = self.arms.len();
        let timed = |at| {
            let (clock, instant) = self.arms.get(at)?.instant()?;
            self.waiter.stand_for(at);
            Some(Timed { waiter: self.waiter.clone(), clock, at: instant })
        };
        (0..len).filter_map(timed).collect()
    }
}

impl<A: Arms + ?Sized> Drop for Joined<'_, A> {
    fn drop(&mut self) {
        // An arm whose list it did not join finds nothing to leave.
        for at in 0..self.arms.len() {
            if let Some(arm) = self.arms.get(at) {
                self.waiter.stand_for(at);
                arm.leave(self.waiter);
            }
        }
    }
}

/// Lets every arm give up its turn when the wait is over.
struct Resting<'a, A: Arms + ?Sized>(&'a mut A);

impl<A: Arms + ?Sized> Drop for Resting<'_, A> {
    fn drop(&mut self) {
        for at in 0..self.0.len() {
            if let Some(arm) = self.0.get(at) {
                arm.rest();
            }
        }
    }
}

fn arm<A: Arms + ?Sized>(arms: &mut A, at: usize) -> &mut dyn RawArm {
    arms.get(at).expect("an arm that the waiter stands for is there")
}

/// Before any other arm, and before the limit is looked at (invariant 2).
fn claim<A: Arms + ?Sized>(arms: &mut A, at: usize, ended: Outcome) -> bool {
    let arm = arm(arms, at);
    let claimed = arm.claim(ended);
    if !claimed {
        arm.lose();
    }
    claimed
}

fn help_each<A: Arms + ?Sized>(arms: &mut A, pick: Pick) -> Option<usize> {
    for at in 0..arms.len() {
        if arms.get(at).is_some_and(RawArm::help)
            && let Some(ready) = attempt_each(arms, pick)
        {
            return Some(ready);
        }
    }
    None
}

/// What a thread waits for that waits for any of the arms; `None` if others may bring one of them.
fn awaited<A: Arms + ?Sized>(arms: &mut A) -> Option<Arc<dyn Awaited>> {
    let mut any = Vec::new();
    for at in 0..arms.len() {
        if let Some(arm) = arms.get(at) {
            any.push(arm.awaited()?);
        }
    }
    if any.is_empty() { None } else { Some(Arc::new(AnyOf(any))) }
}

/// For the wait-for graph: any one of these is enough.
struct AnyOf(Vec<Arc<dyn Awaited>>);

impl Awaited for AnyOf {
    fn providers(&self, threads: &mut Vec<usize>) -> Needs {
        for awaited in &self.0 {
            let before = threads.len();
            // One that needs all of several threads has no place in a list of those of which one is enough.
            // It is taken for one that may come: better no alarm than a false one.
            match awaited.providers(threads) {
                Needs::One if threads.len() > before => {}
                Needs::All if threads.len() == before + 1 => {}
                _ => return Needs::Nobody,
            }
        }
        Needs::One
    }
}

/// Lets the first arm take effect that is told.
fn refuse<A: Arms + ?Sized>(arms: &mut A) -> usize {
    let at = (0..arms.len()).find(|at| arms.get(*at).is_some()).expect("there is an arm that is awaited");
    arm(arms, at).refuse();
    at
}

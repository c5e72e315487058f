//! How a thread waits for the first of several operations.
//!
//! A selection waits like every other call of this crate: it makes an attempt; if the attempt would block, it
//! joins a wait list in the critical section in which it finds that it must wait; it sleeps, and then makes
//! another attempt. The differences are that the attempt goes through all arms, and that one [`Waiter`] is in
//! the lists of all arms.
//!
//! # Invariants
//! 1. *One arm takes effect.* Attempts are made one after another while the thread is in no list, and the
//!    first one that succeeds is the last. Some arms are *handed* what they wait for (a permit, an item by
//!    rendezvous). The thread that ends the waiter hands it over, and a waiter is ended once.
//! 2. *No wake-up is lost.* The waiter records the arm through which it was ended. That arm is
//!    [claimed](RawArm::claim) before all other arms and before the limit is checked. Either it takes effect,
//!    or another thread has taken what the wake-up was for. Thus a selection never takes one thing and leaves
//!    another for which it was woken while a second thread sleeps for it. A thread that tries to end the
//!    waiter again finds it ended, and goes to the next waiter in its list.
//! 3. *No event falls between the check and the sleep.* Each arm joins its list in a critical section in
//!    which it was found not to be ready. If a later arm is ready, the selection withdraws: it ends its own
//!    waiter. If another thread has ended the waiter first, invariant 2 holds for the arm that it came
//!    through.
//!
//! # Why not
//! *Let the waking thread make the attempt*, for every arm: a queue would then hand over its items, and each
//! push would depend on the woken thread's being scheduled. See `wait/turns.rs`.
//!
//! *Spin before joining the lists*, as in a wait for one thing: two selections that each spin until the other
//! is in a list would meet only after both have stopped spinning. The selection therefore joins first, and
//! spins on the end of its waiter.

use std::time::Instant;

use super::order::Pick;
use crate::clock::Clock;
use crate::error::WaitError;
use crate::sync::Arc;
use crate::until::{Limit, Timed, Until};
use crate::wait::graph::{Awaited, Needs};
use crate::wait::{Outcome, Waiter};

/// The interface between the engine and an arm. All methods are called on the waiting thread.
pub trait RawArm {
    /// Performs the operation if it need not wait, and stores the result.
    fn attempt(&mut self) -> bool;

    /// Like [`attempt`](RawArm::attempt), but may fail without having taken a lock, if the object looks as if
    /// the attempt would be in vain. What happened before this call is seen.
    #[inline]
    fn attempt_if_likely(&mut self) -> bool {
        self.attempt()
    }

    /// Joins the wait list of the operation, unless an attempt could now succeed; check and join are one
    /// critical section. Returns whether it joined.
    fn join(&mut self, waiter: &Waiter) -> bool;

    /// Like [`join`](RawArm::join), for a selection that makes no attempt after the wait.
    fn join_to_ask(&mut self, waiter: &Waiter) -> bool {
        self.join(waiter)
    }

    /// Leaves the list.
    fn leave(&mut self, waiter: &Waiter);

    /// The wait was ended through this arm, with this outcome: takes what was handed over, or makes an
    /// attempt. Returns false if another thread was faster.
    fn claim(&mut self, _ended: Outcome) -> bool {
        self.attempt()
    }

    /// The wait was ended through this arm, and the arm will not be claimed: returns what was handed over, or
    /// wakes the next waiter in the list.
    fn pass_on(&mut self, _ended: Outcome) {}

    /// A claim failed. An arm that others could overtake forever takes a turn when it has lost too often.
    fn lose(&mut self) {}

    /// The selection has ended: the arm gives up its turn.
    fn rest(&mut self) {}

    /// Returns the instant at which an attempt will succeed, if the arm waits for one.
    fn instant(&self) -> Option<(Clock, Instant)> {
        None
    }

    /// Runs the awaited task if only this thread can run it. Returns whether an attempt is worthwhile.
    fn help(&mut self) -> bool {
        false
    }

    /// Returns what this thread would wait for, if only certain threads can provide it.
    fn awaited(&self) -> Option<Arc<dyn Awaited>> {
        None
    }

    /// Takes effect as an arm that would wait forever. Called only if there is something
    /// [awaited](Self::awaited).
    fn refuse(&mut self) {}
}

/// The arms, in the order in which they were written.
pub(super) trait Arms {
    fn len(&self) -> usize;

    /// Returns `None` if the arm was removed.
    fn get(&mut self, at: usize) -> Option<&mut dyn RawArm>;
}

/// How a sleep ended, unless the limit ended it.
enum Woken {
    /// Through this arm, with this outcome.
    By(usize, Outcome),
    /// This arm was ready before the sleep.
    Ready(usize),
    /// By an instant that some arm waits for. The attempt finds out which arm.
    Somehow,
    /// No arm could ever take effect.
    Never,
}

/// Returns the first arm that takes effect without waiting. Arms that look as if they would wait are tried
/// last.
#[inline]
pub(super) fn attempt_now<A: Arms + ?Sized>(arms: &mut A, pick: Pick) -> Option<usize> {
    // The look without a lock may be wrong about an arm while other threads change it, so it decides only
    // which arms are tried first.
    attempt_likely(arms, pick).or_else(|| attempt_each(arms, pick))
}

/// Returns the first arm that takes effect without waiting, of those that look ready. An attempt in vain
/// costs a lock, and with many arms most would be in vain.
#[inline]
fn attempt_likely<A: Arms + ?Sized>(arms: &mut A, pick: Pick) -> Option<usize> {
    pick.order(arms.len()).find(|at| arms.get(*at).is_some_and(RawArm::attempt_if_likely))
}

/// Returns the first arm that takes effect without waiting.
#[inline]
fn attempt_each<A: Arms + ?Sized>(arms: &mut A, pick: Pick) -> Option<usize> {
    pick.order(arms.len()).find(|at| arms.get(*at).is_some_and(RawArm::attempt))
}

/// Waits until an arm takes effect, and returns its position.
#[inline]
pub(super) fn wait<A: Arms + ?Sized>(
    arms: &mut A,
    pick: Pick,
    limit: Until<'_>,
    waiter: &mut Option<Waiter>,
) -> Result<usize, WaitError> {
    // Tie: a token that was cancelled before the call wins over an arm that is ready.
    limit.check_token()?;
    match attempt_likely(arms, pick) {
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
    let mut limit = limit.start();
    // Dropped on every way out, panics included, so that no arm keeps a turn that excludes other threads.
    let resting = Resting(arms);
    let arms = &mut *resting.0;
    loop {
        // After the attempts, so that an arm that is ready wins over the limit. In every round, because other
        // threads may be faster each time. The last attempts are with locks; if the wait goes on, each arm
        // looks under its lock when it joins its list.
        if let Err(ended) = limit.check() {
            return attempt_each(arms, pick).ok_or(ended);
        }
        // Before the sleep: no other thread would run the task, so the sleep would not end.
        if let Some(at) = help_each(arms, pick) {
            return Ok(at);
        }
        // Claimed before the other arms and the limit (invariant 2). After a failed claim all arms are tried,
        // and the loop begins again: another thread took what this one was woken for, so its wake-up is used
        // up.
        match sleep(arms, pick, &mut limit, waiter, |arm, waiter| arm.join(waiter))? {
            Woken::By(at, ended) if claim(arms, at, ended) => return Ok(at),
            Woken::Never => return Ok(refuse(arms)),
            Woken::By(..) | Woken::Ready(_) | Woken::Somehow => {}
        }
        if let Some(at) = attempt_likely(arms, pick) {
            return Ok(at);
        }
    }
}

/// Waits until an attempt of some arm is worthwhile, and makes none.
pub(super) fn wait_ready<A: Arms + ?Sized>(
    arms: &mut A,
    pick: Pick,
    limit: Until<'_>,
    waiter: &mut Option<Waiter>,
) -> Result<usize, WaitError> {
    limit.check_token()?;
    let mut limit = limit.start();
    let waiter = waiter.get_or_insert_with(Waiter::new);
    loop {
        match sleep(arms, pick, &mut limit, waiter, |arm, waiter| arm.join_to_ask(waiter))? {
            Woken::Ready(at) => return Ok(at),
            Woken::By(at, ended) => {
                // The caller may do something else first, or nothing, so the wake-up goes to the next waiter.
                // The caller's own attempt may then fail; it waits again.
                arm(arms, at).pass_on(ended);
                return Ok(at);
            }
            // The next round finds the arm whose instant has passed: it does not join then, or ends the
            // waiter at once.
            Woken::Somehow => limit.check()?,
            Woken::Never => return Err(WaitError::WouldDeadlock),
        }
    }
}

type Join = fn(&mut (dyn RawArm + '_), &Waiter) -> bool;

/// Joins the lists of all arms, sleeps, and leaves the lists.
fn sleep<A: Arms + ?Sized>(
    arms: &mut A,
    pick: Pick,
    limit: &mut Limit<'_>,
    waiter: &mut Waiter,
    join: Join,
) -> Result<Woken, WaitError> {
    waiter.renew();
    // Leaves the lists when it is dropped, before any attempt: an attempt that succeeds while the waiter is
    // still in another list would lose a wake-up that comes to it there.
    let mut joined = Joined { arms, waiter };
    let woken = match joined.join_each(pick, join) {
        Some(ready) if joined.waiter.withdraw() => return Ok(Woken::Ready(ready)),
        // Tie between the arm that is ready and another through which the waiter was ended meanwhile: the
        // ended one wins, since its wake-up must not be lost (invariant 2). The outcome is the one that was
        // written: close ends a wait too, and hands nothing over.
        Some(_) => joined.waiter.outcome().expect("a waiter that cannot withdraw has ended"),
        None => {
            let times = joined.times();
            let _edge = limit.enter_graph(joined.waiter, true, || awaited(joined.arms));
            // A thread that makes an arm ready ends the waiter, which is in that arm's list; so no wake-up is
            // missed, whichever arm it concerns.
            limit.spin(|| joined.waiter.has_ended());
            limit.sleep_among(joined.waiter, &times)
        }
    };
    match (woken, joined.waiter.ended_by()) {
        (Ok(()), Some(at)) => Ok(Woken::By(at, Ok(()))),
        (Ok(()), None) => Ok(Woken::Somehow),
        // A limit never returns these errors. They come from the object that was waited for and from the
        // wait-for graph.
        (Err(WaitError::Closed | WaitError::InsufficientCapacity), Some(at)) => Ok(Woken::By(at, woken)),
        (Err(WaitError::WouldDeadlock), _) => Ok(Woken::Never),
        (Err(ended), _) => Err(ended),
    }
}

/// A waiter that may be in the lists of the arms. Dropping this removes it from them.
struct Joined<'a, A: Arms + ?Sized> {
    arms: &'a mut A,
    waiter: &'a mut Waiter,
}

impl<A: Arms + ?Sized> Joined<'_, A> {
    /// Joins the lists one after another until an arm is ready, and returns that arm.
    fn join_each(&mut self, pick: Pick, join: Join) -> Option<usize> {
        pick.order(self.arms.len()).find(|&at| {
            let Some(arm) = self.arms.get(at) else { return false };
            // The entry in this arm's list carries the arm's position, so the ending thread records it.
            self.waiter.stand_for(at);
            // An arm that is ready ends the search; those joined before are left again.
            !join(arm, self.waiter)
        })
    }

    /// Returns the instants that arms wait for.
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
        // All arms, since the joins may have stopped at any of them. An arm whose list was not joined finds
        // nothing to remove.
        for at in 0..self.arms.len() {
            if let Some(arm) = self.arms.get(at) {
                self.waiter.stand_for(at);
                arm.leave(self.waiter);
            }
        }
    }
}

/// Ends the turns of all arms when the wait is over.
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

/// Claims the arm through which the waiter was ended. Called before any other arm and before the limit is
/// checked (invariant 2).
fn claim<A: Arms + ?Sized>(arms: &mut A, at: usize, ended: Outcome) -> bool {
    let arm = arm(arms, at);
    let claimed = arm.claim(ended);
    if !claimed {
        arm.lose();
    }
    claimed
}

/// Runs tasks that only this thread can run, until an arm takes effect.
fn help_each<A: Arms + ?Sized>(arms: &mut A, pick: Pick) -> Option<usize> {
    for at in 0..arms.len() {
        // All arms are tried after each task, because running it may have made any of them ready.
        if arms.get(at).is_some_and(RawArm::help)
            && let Some(ready) = attempt_each(arms, pick)
        {
            return Some(ready);
        }
    }
    None
}

/// Returns what a thread waits for when it waits for any of the arms; `None` if some arm can be ended by any
/// thread.
fn awaited<A: Arms + ?Sized>(arms: &mut A) -> Option<Arc<dyn Awaited>> {
    let mut any = Vec::new();
    for at in 0..arms.len() {
        if let Some(arm) = arms.get(at) {
            any.push(arm.awaited()?);
        }
    }
    if any.is_empty() { None } else { Some(Arc::new(AnyOf(any))) }
}

/// A node of the wait-for graph that needs any one of several others.
struct AnyOf(Vec<Arc<dyn Awaited>>);

impl Awaited for AnyOf {
    fn providers(&self, threads: &mut Vec<usize>) -> Needs {
        for awaited in &self.0 {
            let before = threads.len();
            // The list means "one of these threads", and an arm that needs all of several threads does not
            // fit into it. Such an arm counts as one that may still take effect: a missed cycle is better
            // than a false one.
            match awaited.providers(threads) {
                Needs::One if threads.len() > before => {}
                Needs::All if threads.len() == before + 1 => {}
                _ => return Needs::Nobody,
            }
        }
        Needs::One
    }
}

/// Makes the first arm take effect with the error for a cycle. Any arm would do, since all of them are in the
/// cycle; the first is predictable.
fn refuse<A: Arms + ?Sized>(arms: &mut A) -> usize {
    let at = (0..arms.len()).find(|at| arms.get(*at).is_some()).expect("there is an arm that is awaited");
    arm(arms, at).refuse();
    at
}

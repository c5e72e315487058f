//! Waiting for the first of several things: the macro [`select!`](crate::select!), and [`Select`] for any
//! number of arms.
//!
//! The functions here make the arms, in the macro by their names alone.

#![allow(
    private_interfaces,
    reason = "the traits are sealed: nobody outside can name or call what is private"
)]

#[doc(hidden)]
pub mod among;
mod arm;
mod arms;
mod engine;
mod macros;
mod order;

use std::fmt;

pub use arm::{Arm, arm};
pub use arms::{
    Join, Opens, PopFrom, PushInto, acquire, acquire_many, cancelled, join, monitor, pop, push, push_from,
    tick, wait,
};

use crate::error::{TryError, WaitError};
use crate::until::Until;
use crate::wait::Waiter;
use engine::{Arms, RawArm};
use order::Pick;

/// Waits for the first of any number of operations, does it, and none of the others; may be used again.
///
/// Where the macro [`select!`](crate::select!) has an arm for each line that is written, this has one for
/// each call of [`add`](Select::add): for the queues of a list, say. An arm comes with a function that makes
/// what the wait returns of what the operation brought.
///
/// # Examples
/// ```
/// use selvedge::select::{self, Select};
/// use selvedge::{BoundedQueue, CancelToken};
/// use std::time::Duration;
///
/// let queues: Vec<_> = (0..500).map(|_| BoundedQueue::new(1)).collect();
/// let stop = CancelToken::new();
/// let mut selection = Select::new();
/// for queue in &queues {
///     selection.add(select::pop(queue), |item| item);
/// }
/// queues[321].push("here")?;
/// let (arm, item) = selection.wait_until((&stop, Duration::from_secs(5)))?;
/// assert_eq!((arm, item), (321, Ok("here")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Until all of them are closed, each arm of a closed queue is removed:
/// ```
/// use selvedge::queue::bounded;
/// use selvedge::select::{self, Select};
///
/// let (receivers, threads): (Vec<_>, Vec<_>) = (0..3_u32)
///     .map(|number| {
///         let (sender, receiver) = bounded(1);
///         (receiver, std::thread::spawn(move || sender.push_all([number; 10]).unwrap()))
///     })
///     .unzip();
/// let (mut selection, mut sum) = (Select::new(), 0);
/// receivers.iter().for_each(|receiver| _ = selection.add(select::pop(receiver), Result::ok));
/// while !selection.is_empty() {
///     match selection.wait() {
///         (_, Some(number)) => sum += number,
///         (closed, None) => selection.remove(closed),
///     }
/// }
/// assert_eq!(sum, 10 * (0 + 1 + 2));
/// threads.into_iter().for_each(|thread| thread.join().unwrap());
/// ```
///
/// # Blocking
/// Until an arm takes effect. Nobody else's thread is used, however many arms there are. A worker of a pool
/// that waits here counts as one that sleeps.
///
/// # Cancellation
/// A token that was cancelled before the call makes the call fail with no arm taking effect, though one
/// could. An arm that becomes ready before the limit passes takes effect, however late the thread wakes up. A
/// selection that gives up takes nothing with it: a wake-up that came too late for it goes to the next in
/// that list.
///
/// # Panics
/// The functions of the arms run when the wait is over and nothing is locked, so their panics are the
/// caller's, who has lost what the operation brought.
///
/// # Fairness
/// Of arms that are ready any may take effect, and of two each equally often, so none starves another;
/// [`biased`](Select::biased) prefers those that were added first. Towards others who wait for the same
/// thing, a selection is one who waits: in a queue's list it stands where it joined, and when it was woken 32
/// times in vain for one queue it takes a [turn](crate::BoundedQueue#fairness) there, which ends with the
/// wait. In a semaphore's line it stands anew for each sleep, so one that is woken by other arms again and
/// again does not advance there.
///
/// # Ordering
/// As of the operation that took effect.
///
/// # Proof
/// Models in `loom-tests/tests/select.rs`: a push reaches a selection in either of its lists; a selection
/// that was ended elsewhere passes the wake-up on; two selections over the same queues in opposite order;
/// cancel against grant against close; a permit handed over is never lost; a worker that waits for a task of
/// its own pool runs it; a cycle of selections is told.
///
/// # Cost
/// An arm is an allocation, a wait is none, apart from its first and from the place in each list. Bench
/// `select`. A wait that sleeps joins and leaves the list of each arm.
///
/// # Instead
/// One queue that all send to, if their items are of one kind and none of the senders must be told apart:
/// that is one list instead of many.
pub struct Select<'a, R> {
    arms: Vec<Option<Box<dyn Then<R> + 'a>>>,
    pick: Pick,
    /// Kept for the next wait.
    waiter: Option<Waiter>,
}

/// An arm, and what is made of what it brings.
struct Mapped<A, F> {
    arm: A,
    then: F,
}

trait Then<R> {
    fn arm(&mut self) -> &mut dyn RawArm;

    fn then(&mut self) -> R;
}

impl<A: Arm, F: FnMut(A::Output) -> R, R> Then<R> for Mapped<A, F> {
    fn arm(&mut self) -> &mut dyn RawArm {
        &mut self.arm
    }

    fn then(&mut self) -> R {
        (self.then)(self.arm.output())
    }
}

impl<R> Arms for [Option<Box<dyn Then<R> + '_>>] {
    fn len(&self) -> usize {
        <[_]>::len(self)
    }

    fn get(&mut self, at: usize) -> Option<&mut dyn RawArm> {
        Some(self[at].as_mut()?.arm())
    }
}

impl<'a, R> Select<'a, R> {
    /// Makes a selection without arms.
    pub fn new() -> Self {
        Select { arms: Vec::new(), pick: Pick::Fair, waiter: None }
    }

    /// The same selection, which takes of several ready arms the one that was added first.
    #[must_use = "this selection is biased, not the one it was made from"]
    pub fn biased(self) -> Self {
        Select { pick: Pick::Biased, ..self }
    }

    /// Adds an arm, and says its number: 0 for the first, and so on. `then` is called with what it brings
    /// each time that it takes effect.
    pub fn add<A: Arm + 'a>(&mut self, arm: A, then: impl FnMut(A::Output) -> R + 'a) -> usize {
        self.arms.push(Some(Box::new(Mapped { arm, then })));
        self.arms.len() - 1
    }

    /// Takes out an arm. The numbers of the others stay.
    ///
    /// # Panics
    /// If there is no arm of that number.
    #[track_caller]
    pub fn remove(&mut self, arm: usize) {
        assert!(self.has(arm), "there is no arm {arm} to remove, or it was removed before");
        self.arms[arm] = None;
    }

    /// True if there is no arm, or none any more.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Arms that were added and not removed.
    pub fn len(&self) -> usize {
        self.arms.iter().flatten().count()
    }

    fn has(&self, arm: usize) -> bool {
        self.arms.get(arm).is_some_and(Option::is_some)
    }

    /// Waits until an arm takes effect: its number, and what was made of what it brought.
    ///
    /// # Panics
    /// If there is no arm, since nothing would ever end the wait; and if the function of the arm does.
    #[track_caller]
    pub fn wait(&mut self) -> (usize, R) {
        assert!(!self.is_empty(), "a selection without an arm would wait for ever");
        match self.wait_until(Until::forever()) {
            Ok(selected) => selected,
            Err(_) => unreachable!("a forever limit does not end, and a cycle takes effect as an arm"),
        }
    }

    /// Waits until an arm takes effect, at most until `limit`. Without an arm, that is until `limit`.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`] or [`WaitError::Cancelled`].
    ///
    /// # Panics
    /// If there is neither an arm nor a limit; and if the function of the arm does.
    #[track_caller]
    pub fn wait_until<'l>(&mut self, limit: impl Into<Until<'l>>) -> Result<(usize, R), WaitError> {
        let limit = self.checked(limit.into()).called("Select::wait");
        let at = engine::wait(&mut self.arms[..], self.pick, limit, &mut self.waiter)?;
        Ok((at, self.brought(at)))
    }

    /// Lets an arm take effect that need not wait.
    ///
    /// # Errors
    /// [`TryError::WouldBlock`] if there is none.
    pub fn try_wait(&mut self) -> Result<(usize, R), TryError> {
        let at = engine::attempt_each(&mut self.arms[..], self.pick).ok_or(TryError::WouldBlock)?;
        Ok((at, self.brought(at)))
    }

    /// Waits until an arm could take effect, at most until `limit`, and says its number; none does. By the
    /// time that the caller acts, somebody else may have been faster, so what it does is a `try_` call, and
    /// if that is in vain, another wait.
    ///
    /// This is for operations that cannot be written as an arm's: many items at once, for instance.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`] or [`WaitError::Cancelled`]; [`WaitError::WouldDeadlock`] if each arm waits,
    /// itself or through others, for this thread.
    ///
    /// # Panics
    /// If there is neither an arm nor a limit.
    #[track_caller]
    pub fn ready_until<'l>(&mut self, limit: impl Into<Until<'l>>) -> Result<usize, WaitError> {
        let limit = self.checked(limit.into()).called("Select::ready");
        engine::wait_ready(&mut self.arms[..], self.pick, limit, &mut self.waiter)
    }

    #[track_caller]
    fn checked<'l>(&self, limit: Until<'l>) -> Until<'l> {
        assert!(
            !self.is_empty() || !limit.is_unlimited(),
            "a selection without an arm and without a limit would wait for ever"
        );
        limit
    }

    /// What the arm that has taken effect brought, for the caller.
    fn brought(&mut self, at: usize) -> R {
        self.arms[at].as_mut().expect("an arm that has taken effect is there").then()
    }
}

impl<R> Default for Select<'_, R> {
    fn default() -> Self {
        Select::new()
    }
}

impl<R> fmt::Debug for Select<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Select").field("arms", &self.len()).field("pick", &self.pick).finish_non_exhaustive()
    }
}

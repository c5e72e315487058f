//! Waiting for the first of several operations: the macro [`select!`](crate::select!), and [`Select`] for any
//! number of arms.
//!
//! The functions of this module make the arms. The macro calls them by their names alone.

#![allow(
    private_interfaces,
    reason = "the traits are sealed: code outside cannot name or call the private items"
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
    Join, Opens, PopFrom, PushInto, acquire, acquire_many, cancelled, changed, hear, join, monitor, pop,
    push, push_from, tick, wait,
};

use crate::error::{TryError, WaitError};
use crate::until::Until;
use crate::wait::Waiter;
use engine::{Arms, RawArm};
use order::Pick;

/// Waits for the first of any number of operations and performs that one only; can be reused.
///
/// The macro [`select!`](crate::select!) has an arm for each line of source; this type has one for each call
/// of [`add`](Select::add), for example for each queue of a list. Each arm has a function that converts the
/// operation's result to the result of the wait.
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
/// Receives until all queues are closed. The arm of a closed queue is removed:
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
/// Blocks until an arm takes effect, on the calling thread alone, however many arms there are. A thread that
/// makes an arm ready wakes the selection. A worker of a pool that waits here counts as blocked.
///
/// # Cancellation
/// If the token was cancelled beforehand, the call fails and no arm takes effect, even one that is ready. If
/// an arm becomes ready before the limit passes, it takes effect, however late the thread wakes up. A
/// selection that gives up has taken nothing, and a wake-up that comes too late for it goes to the next
/// waiter in that list.
///
/// # Panics
/// The functions of the arms run after the wait and under no lock. If one panics, the panic reaches the
/// caller, and the operation's result is lost.
///
/// # Fairness
/// Any of several ready arms may take effect, and of any two, each does equally often, so none starves
/// another. [`biased`](Select::biased) prefers the arms that were added first.
///
/// To other threads, a selection is one waiter. In a queue's list it keeps the position at which it joined.
/// If it was woken for one queue 32 times and found nothing, it takes a [turn](crate::BoundedQueue#fairness)
/// there, which ends with the wait. In a semaphore's list it joins again for each sleep, so a selection that
/// other arms wake again and again does not advance there.
///
/// # Ordering
/// That of the operation that took effect, as its own docs state.
///
/// # Proof
/// Models in `loom-tests/tests/select.rs`, among them `a_push_reaches_a_selection_in_either_list`,
/// `a_wake_up_that_comes_to_a_selection_is_not_swallowed`,
/// `two_selections_in_opposite_order_each_get_an_item`, `a_grant_a_cancel_and_a_close_end_one_selection` and
/// `a_permit_that_meets_an_item_is_not_lost`.
///
/// # Cost
/// Bench `select`. Each arm is one allocation. A wait allocates only the first time and when a wait list
/// grows. A wait that sleeps joins and leaves the list of each arm.
///
/// # Instead
/// One queue for all senders, if their items have one type and the senders need not be told apart: that is
/// one list instead of many.
pub struct Select<'a, R> {
    /// By number; `None` once removed.
    arms: Vec<Option<Box<dyn Then<R> + 'a>>>,
    pick: Pick,
    /// Reused by the next wait.
    waiter: Option<Waiter>,
}

/// An arm, and the function that converts its result.
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

    /// `None` for a removed arm: its number stays, and no attempt, join or leave reaches it.
    fn get(&mut self, at: usize) -> Option<&mut dyn RawArm> {
        Some(self[at].as_mut()?.arm())
    }
}

impl<'a, R> Select<'a, R> {
    /// Makes a selection that has no arms.
    pub fn new() -> Self {
        Select { arms: Vec::new(), pick: Pick::Fair, waiter: None }
    }

    /// Returns the same selection, which prefers the ready arm that was added first.
    #[must_use = "this selection is biased, not the one it was made from"]
    pub fn biased(self) -> Self {
        Select { pick: Pick::Biased, ..self }
    }

    /// Adds an arm and returns its number: 0 for the first, and so on. `then` is called with the arm's result
    /// each time the arm takes effect.
    pub fn add<A: Arm + 'a>(&mut self, arm: A, then: impl FnMut(A::Output) -> R + 'a) -> usize {
        self.arms.push(Some(Box::new(Mapped { arm, then })));
        self.arms.len() - 1
    }

    /// Removes an arm. The numbers of the others stay the same.
    ///
    /// # Panics
    /// If there is no arm with this number, or it was removed before.
    #[track_caller]
    pub fn remove(&mut self, arm: usize) {
        assert!(self.has(arm), "there is no arm {arm} to remove, or it was removed before");
        // The entry stays, so that the numbers of the other arms do not change. No list contains the arm: it
        // leaves them at the end of each wait.
        self.arms[arm] = None;
    }

    /// Returns true if there is no arm.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the number of arms that were added and not removed.
    pub fn len(&self) -> usize {
        self.arms.iter().flatten().count()
    }

    fn has(&self, arm: usize) -> bool {
        self.arms.get(arm).is_some_and(Option::is_some)
    }

    /// Waits until an arm takes effect. Returns its number and the result of its function.
    ///
    /// # Panics
    /// If there is no arm, since nothing would ever end the wait; and if the arm's function panics.
    #[track_caller]
    pub fn wait(&mut self) -> (usize, R) {
        assert!(!self.is_empty(), "a selection without an arm would wait forever");
        match self.wait_until(Until::forever()) {
            Ok(selected) => selected,
            // A cycle of the wait-for graph is no error of the wait here, but the result of an arm
            // (`RawArm::refuse`).
            Err(_) => unreachable!("a forever limit does not end, and a cycle takes effect as an arm"),
        }
    }

    /// Waits until an arm takes effect, until `limit` at most. Without an arm, it waits until `limit`.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`] or [`WaitError::Cancelled`].
    ///
    /// # Panics
    /// If there is neither an arm nor a limit; and if the arm's function panics.
    #[track_caller]
    pub fn wait_until<'l>(&mut self, limit: impl Into<Until<'l>>) -> Result<(usize, R), WaitError> {
        let limit = self.checked(limit.into()).called("Select::wait");
        // The engine owns the ties: a cancelled token before arms, ready arms before a limit that has passed.
        let at = engine::wait(&mut self.arms[..], self.pick, limit, &mut self.waiter)?;
        Ok((at, self.brought(at)))
    }

    /// Performs the operation of an arm that need not wait.
    ///
    /// # Errors
    /// [`TryError::WouldBlock`] if every arm would wait.
    pub fn try_wait(&mut self) -> Result<(usize, R), TryError> {
        // No look at a token and no lists: nothing is waited for.
        let at = engine::attempt_now(&mut self.arms[..], self.pick).ok_or(TryError::WouldBlock)?;
        Ok((at, self.brought(at)))
    }

    /// Waits until an arm could take effect, until `limit` at most, and returns its number. No arm takes
    /// effect. Another thread may be faster than the caller, which should therefore make a `try_` call and
    /// wait again if that fails.
    ///
    /// Use it for operations that no arm performs, such as popping many items at once.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`] or [`WaitError::Cancelled`]; [`WaitError::WouldDeadlock`] if each arm waits,
    /// itself or through others, for this thread.
    ///
    /// # Panics
    /// If there is neither an arm nor a limit, since nothing would ever end the wait.
    #[track_caller]
    pub fn ready_until<'l>(&mut self, limit: impl Into<Until<'l>>) -> Result<usize, WaitError> {
        let limit = self.checked(limit.into()).called("Select::ready");
        engine::wait_ready(&mut self.arms[..], self.pick, limit, &mut self.waiter)
    }

    #[track_caller]
    fn checked<'l>(&self, limit: Until<'l>) -> Until<'l> {
        assert!(
            !self.is_empty() || !limit.is_unlimited(),
            "a selection without an arm and without a limit would wait forever"
        );
        limit
    }

    /// Returns the result of the arm that has taken effect, converted by its function.
    fn brought(&mut self, at: usize) -> R {
        // After the wait: this thread is in no list and holds no lock, so the caller's function may do
        // anything.
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

//! The arm that waits for permits of a semaphore.

use crate::error::{TryError, WaitError};
use crate::select::arm::Arm;
use crate::select::engine::RawArm;
use crate::semaphore::{Permit, Semaphore};
use crate::wait::{Outcome, Waiter};

/// Acquires a permit, as [`Semaphore::acquire`] does.
///
/// The result is the permit, or [`WaitError::Closed`] or [`WaitError::InsufficientCapacity`] if there will be
/// none.
///
/// # Fairness
/// The selection joins the semaphore's list anew for each sleep, so it loses its position when another arm
/// wakes it.
///
/// # Ordering
/// As for [`Semaphore::acquire`].
///
/// # Proof
/// Models `a_permit_that_meets_an_item_is_not_lost` and
/// `a_permit_that_comes_while_a_selection_withdraws_is_not_lost` in `loom-tests/tests/select.rs`.
#[inline]
pub fn acquire(semaphore: &Semaphore) -> impl Arm<Output = Result<Permit<'_>, WaitError>> {
    acquire_many(semaphore, 1)
}

/// Acquires `count` permits together, as [`Semaphore::acquire_many`] does. See [`acquire`].
#[inline]
pub fn acquire_many(semaphore: &Semaphore, count: usize) -> impl Arm<Output = Result<Permit<'_>, WaitError>> {
    Acquire { semaphore, count, outcome: None }
}

struct Acquire<'a> {
    semaphore: &'a Semaphore,
    count: usize,
    outcome: Option<Result<Permit<'a>, WaitError>>,
}

impl RawArm for Acquire<'_> {
    fn attempt(&mut self) -> bool {
        self.outcome = match self.semaphore.try_acquire_many(self.count) {
            Err(TryError::WouldBlock) => None,
            tried => Some(tried.map_err(TryError::for_good)),
        };
        self.outcome.is_some()
    }

    fn join(&mut self, waiter: &Waiter) -> bool {
        // If the permits are available now, they are granted to the waiter, which has ended when this
        // returns.
        self.semaphore.join(self.count, waiter)
    }

    fn leave(&mut self, waiter: &Waiter) {
        // Also lets the next waiters have what this one stood before: a smaller request may fit now.
        self.semaphore.give_up(waiter);
    }

    /// The permits were granted when the wait was ended, so no attempt is needed: an attempt could fail while
    /// the permits stay taken.
    fn claim(&mut self, ended: Outcome) -> bool {
        self.outcome = Some(ended.map(|()| self.semaphore.handed_over(self.count)));
        true
    }

    fn pass_on(&mut self, ended: Outcome) {
        // Dropping the permit releases the permits, which go to the next waiters.
        drop(ended.map(|()| self.semaphore.handed_over(self.count)));
    }
}

impl<'a> Arm for Acquire<'a> {
    type Output = Result<Permit<'a>, WaitError>;

    fn output(&mut self) -> Self::Output {
        super::brought(&mut self.outcome)
    }
}

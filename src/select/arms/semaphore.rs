//! Permits of semaphores.

use crate::error::{TryError, WaitError};
use crate::select::arm::Arm;
use crate::select::engine::RawArm;
use crate::semaphore::{Permit, Semaphore};
use crate::wait::{Outcome, Waiter};

/// Takes a permit, as [`Semaphore::acquire`] does.
///
/// Brings the permit, or [`WaitError::Closed`] or [`WaitError::InsufficientCapacity`] if there will be none.
/// The selection stands in the semaphore's line while it sleeps, and anew for each sleep.
#[inline]
pub fn acquire(semaphore: &Semaphore) -> impl Arm<Output = Result<Permit<'_>, WaitError>> {
    acquire_many(semaphore, 1)
}

/// Takes `count` permits together, as [`Semaphore::acquire_many`] does. See [`acquire`].
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
        // If permits are there by now, the waiter has them and is ended when this returns.
        self.semaphore.join(self.count, waiter)
    }

    fn leave(&mut self, waiter: &Waiter) {
        self.semaphore.give_up(waiter);
    }

    /// The permits were handed over with the end, so no attempt is needed, and none may fail.
    fn claim(&mut self, ended: Outcome) -> bool {
        self.outcome = Some(ended.map(|()| self.semaphore.handed_over(self.count)));
        true
    }

    fn pass_on(&mut self, ended: Outcome) {
        drop(ended.map(|()| self.semaphore.handed_over(self.count)));
    }
}

impl<'a> Arm for Acquire<'a> {
    type Output = Result<Permit<'a>, WaitError>;

    fn output(&mut self) -> Self::Output {
        super::brought(&mut self.outcome)
    }
}

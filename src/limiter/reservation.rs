//! Tokens that are reserved now and waited for later, or not at all; and tokens that are given back.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Duration;

use super::RateLimiter;
use super::reservations::Next;
use super::shared::duration;
use crate::error::{TryError, WaitError};
use crate::until::Until;
use crate::wait::Waiter;
use crate::wait::sleeps::Subject;

impl RateLimiter {
    /// Reserves `count` tokens behind all waiters, without waiting for them. The caller learns
    /// [when](Reservation::delay) they come, and may do something else until then.
    ///
    /// # Errors
    /// [`TryError::Closed`], or [`TryError::InsufficientCapacity`] if `count` is above the burst. Never
    /// [`TryError::WouldBlock`].
    pub fn reserve(&self, count: u64) -> Result<Reservation<'_>, TryError> {
        let waiter = self.shared.with_reservations(|reservations, now, wakes| {
            if let Some(refusal) = reservations.refusal(count) {
                return Err(match refusal {
                    WaitError::Closed => TryError::Closed,
                    _ => TryError::InsufficientCapacity,
                });
            }
            // Nothing to wait for, whoever waits, as in `acquire`.
            if count == 0 {
                return Ok(None);
            }
            let waiter = Waiter::new();
            reservations.join(now, count, waiter.clone());
            // Tokens that are there leave the list at once, so that it holds no waiter that does not wait.
            reservations.settle(now, wakes);
            Ok(Some(waiter))
        })?;
        Ok(Reservation { limiter: self, count, waiter })
    }

    /// Returns `count` tokens that were taken and turned out not to be needed: a request that was not sent, a
    /// download that was shorter than announced. The waiters, or later callers, get them.
    ///
    /// The bucket holds no more than the burst: what would exceed it is lost, as if it had never been taken.
    /// The limiter does not know what it has given out, so giving back more than was taken breaks the rate,
    /// by up to a burst.
    ///
    /// ```
    /// use std::time::Duration;
    /// use selvedge::RateLimiter;
    ///
    /// let bytes = RateLimiter::new(1_000, Duration::from_secs(3600));
    /// bytes.try_acquire(800)?;                // at most so many
    /// let received = 300;
    /// bytes.give_back(800 - received);
    /// assert_eq!(bytes.available(), 700);
    /// # Ok::<(), selvedge::error::TryError>(())
    /// ```
    pub fn give_back(&self, count: u64) {
        self.shared.with_reservations(|reservations, now, wakes| reservations.give_back(now, count, wakes));
    }
}

/// Tokens that are reserved, and that nobody else gets: [`RateLimiter::reserve`] makes it.
///
/// It holds its place among the waiters. [`wait`](Reservation::wait) uses the tokens. Dropping it gives them
/// back, whether or not they have come, and the waiters behind it get theirs earlier.
///
/// # Examples
/// Decide by the delay, without joining the line for nothing:
/// ```
/// use std::time::Duration;
/// use selvedge::{Clock, RateLimiter};
///
/// let clock = Clock::manual();
/// let mails = RateLimiter::new(1, Duration::from_secs(60)).with_clock(&clock);
/// mails.reserve(1)?.wait()?;                          // at once
/// let next = mails.reserve(1)?;
/// assert_eq!(next.delay(), Some(Duration::from_secs(60)));
/// drop(next);                                         // too late for this one: given back
/// assert_eq!(mails.delay(1), Some(Duration::from_secs(60)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Blocking
/// [`wait`](Reservation::wait) and [`wait_until`](Reservation::wait_until) block until the tokens have come;
/// the clock wakes them. Dropping never blocks.
///
/// # Cancellation
/// A wait that ends early gives the reservation up, as [`acquire_until`](RateLimiter::acquire_until) does.
///
/// # Fairness
/// It is served in the order of the calls to `reserve` and `acquire`.
///
/// # Proof
/// The model `a_reservation_that_is_dropped_leaves_its_tokens_to_the_next` in
/// `loom-tests/tests/limiter.rs`.
///
/// # Cost
/// One allocation. A drop wakes the waiters behind it.
///
/// # Instead
/// [`RateLimiter::acquire_until`] if the thread has nothing else to do meanwhile; it also refuses at once
/// what would come too late.
#[must_use = "dropping it gives the tokens back"]
pub struct Reservation<'a> {
    limiter: &'a RateLimiter,
    count: u64,
    /// Its place among the waiters; `None` if it has nothing to wait for or to give back.
    waiter: Option<Waiter>,
}

impl Reservation<'_> {
    /// The number of tokens.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The time until the tokens come, zero if they have come; `None` if they never come, because the rate is
    /// 0, the limiter is closed, or its burst has become too small. It changes with the rate, and when a
    /// waiter before it gives up.
    pub fn delay(&self) -> Option<Duration> {
        let Some(waiter) = &self.waiter else { return Some(Duration::ZERO) };
        self.limiter.delay_of(waiter)
    }

    /// Waits for the tokens as long as it takes, and takes them.
    ///
    /// # Errors
    /// [`WaitError::Closed`] and [`WaitError::InsufficientCapacity`] as for
    /// [`acquire`](RateLimiter::acquire).
    #[track_caller]
    pub fn wait(self) -> Result<(), WaitError> {
        self.wait_until(Until::forever())
    }

    /// Waits for the tokens at most until `limit`, and takes them.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`], at once if the tokens would come later than the limit ends;
    /// [`WaitError::Cancelled`]; [`WaitError::Closed`] and [`WaitError::InsufficientCapacity`]. The
    /// reservation is given up.
    #[track_caller]
    pub fn wait_until<'l>(mut self, limit: impl Into<Until<'l>>) -> Result<(), WaitError> {
        let limit = limit.into();
        // Tie: a token that was cancelled before the call wins. The drop gives the tokens back.
        limit.check_token()?;
        let Some(waiter) = self.waiter.take() else { return Ok(()) };
        let shared = &self.limiter.shared;
        let subject = Subject::new("Reservation::wait", &**shared).with("wanted", self.count as usize);
        let limit = limit.on_clock(shared.clock()).start_for(subject);
        match shared.look_again(&waiter, &limit)? {
            None => Ok(()),
            Some((waiter, at)) => {
                shared.with_reservations(|reservations, _, _| shared.list(reservations));
                shared.sleep(waiter, at, &limit)
            }
        }
    }
}

impl RateLimiter {
    fn delay_of(&self, waiter: &Waiter) -> Option<Duration> {
        self.shared.with_reservations(|reservations, now, _| match reservations.find(waiter) {
            Ok(Next::Granted) => Some(Duration::ZERO),
            Ok(Next::SleepTo(at)) => duration(at?.saturating_sub(now)),
            Err(_) => None,
        })
    }
}

impl Drop for Reservation<'_> {
    /// Gives the tokens back.
    fn drop(&mut self) {
        let Some(waiter) = self.waiter.take() else { return };
        self.limiter.shared.with_reservations(|reservations, now, wakes| {
            reservations.cancel(now, &waiter, self.count, wakes);
        });
    }
}

impl fmt::Debug for Reservation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation").field("count", &self.count).finish_non_exhaustive()
    }
}

// As for `RateLimiter`.
impl UnwindSafe for Reservation<'_> {}
impl RefUnwindSafe for Reservation<'_> {}

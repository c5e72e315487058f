//! The state of a limiter, and how a thread waits for its tokens.

use std::panic::Location;
use std::time::{Duration, Instant};

use super::bucket::{Bucket, Nanos};
use super::fast::FastBucket;
use super::reservations::{Next, Reservations, Wakes};
use crate::clock::Clock;
use crate::error::{TryError, WaitError};
use crate::inspect::{self, Inspect, Object};
use crate::sync::{Arc, Mutex, Weak};
use crate::until::Limit;
use crate::wait::Waiter;

/// A waiter and the instant until which it sleeps; `None` is forever.
type Sleep = (Waiter, Option<Instant>);

pub(super) struct Shared {
    /// The bucket while no thread waits and the lock is free, if it fits. The lock owns it otherwise.
    fast: FastBucket,
    pub(super) reservations: Mutex<Reservations>,
    pub(super) origin: Origin,
}

/// What a limiter is called and where it was made, for [`inspect`](crate::inspect).
#[derive(Clone, Copy)]
pub(super) struct Origin {
    pub(super) kind: &'static str,
    pub(super) at: &'static Location<'static>,
}

impl Shared {
    pub(super) fn new(bucket: Bucket, clock: Clock, origin: Origin) -> Self {
        let fast = FastBucket::new(&bucket, clock);
        Shared { fast, reservations: Mutex::new(Reservations::new(bucket)), origin }
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.fast.clock
    }

    /// Takes tokens that are available.
    #[inline]
    pub(super) fn take(&self, count: u64) -> Result<(), TryError> {
        self.fast.take(count).unwrap_or_else(|| self.take_slowly(count))
    }

    #[inline(never)]
    fn take_slowly(&self, count: u64) -> Result<(), TryError> {
        self.with_reservations(|reservations, now, _| reservations.take(now, count))
    }

    #[cold]
    pub(super) fn wait(self: &Arc<Self>, count: u64, limit: &Limit<'_>) -> Result<(), WaitError> {
        let waiter = Waiter::new();
        let at = self.join(count, limit, &waiter)?;
        self.sleep(waiter, at, limit)
    }

    /// Waits for the tokens of a reservation. If the limit ends first, the reservation is given up.
    pub(super) fn sleep(
        &self,
        mut waiter: Waiter,
        mut at: Option<Instant>,
        limit: &Limit<'_>,
    ) -> Result<(), WaitError> {
        // Waits until `at`, which the clock brings, or for a change of that instant. The instant is read, and
        // the waiter that the next change ends is entered, in one critical section, so no change is missed.
        loop {
            // Tie: the waiter's first outcome holds. An error that came before the tokens gives them to the
            // waiters behind, whichever thread notices it first.
            if let Err(ended) = limit.sleep_to(&waiter, self.clock(), at) {
                self.with_reservations(|reservations, now, wakes| reservations.leave(now, &waiter, wakes));
                return Err(ended);
            }
            match self.look_again(&waiter, limit)? {
                None => return Ok(()),
                Some(sleep_on) => (waiter, at) = sleep_on,
            }
        }
    }

    /// Reserves `count` tokens, if they come within the limit. Returns when; `None` is never.
    fn join(
        self: &Arc<Self>,
        count: u64,
        limit: &Limit<'_>,
        waiter: &Waiter,
    ) -> Result<Option<Instant>, WaitError> {
        self.with_reservations(|reservations, now, _| {
            if let Some(refusal) = reservations.refusal(count) {
                return Err(refusal);
            }
            // No second attempt to take: tokens that have come since the first are reserved with an instant
            // that has passed, and `sleep_to` returns at once.
            let at = self.instant(reservations.ready(now, count));
            // Refused before the reservation, so that it delays no later waiter. `check` first, so that a
            // cancelled token is reported as such.
            if limit.ends_before(self.clock(), at) {
                return limit.check().and(Err(WaitError::TimedOut));
            }
            reservations.join(now, count, waiter.clone());
            self.list(reservations);
            Ok(at)
        })
    }

    /// Lists the limiter from now on, since a thread is about to wait: one that makes no thread wait is of no
    /// interest, and may be short-lived.
    pub(super) fn list(self: &Arc<Self>, reservations: &mut Reservations) {
        if reservations.listed.is_none() {
            reservations.listed = inspect::list(|| Arc::new(Arc::downgrade(self)) as Arc<dyn Inspect>);
        }
    }

    /// Looks up a waiter that was woken, or a reservation of which no thread is waiting: `None` if its tokens
    /// have come, otherwise its next sleep.
    pub(super) fn look_again(&self, waiter: &Waiter, limit: &Limit<'_>) -> Result<Option<Sleep>, WaitError> {
        // A new waiter: the old one has ended, and a change after this call must be able to wake the thread
        // again.
        let new = Waiter::new();
        self.with_reservations(|reservations, now, wakes| {
            let Next::SleepTo(ready) = reservations.look_again(waiter, &new)? else { return Ok(None) };
            let at = self.instant(ready);
            // A slower rate may have moved the instant beyond the limit.
            if limit.ends_before(self.clock(), at) {
                reservations.leave(now, &new, wakes);
                return limit.check().and(Err(WaitError::TimedOut));
            }
            Ok(Some((new, at)))
        })
    }

    /// Applies `f` to the reservations as they are now, and wakes the waiters that it returns after
    /// unlocking.
    #[inline]
    pub(super) fn with_reservations<R>(
        &self,
        f: impl FnOnce(&mut Reservations, Nanos, &mut Wakes) -> R,
    ) -> R {
        let mut wakes = Wakes::new();
        let mut reservations = self.reservations.lock();
        self.fast.withdraw(&mut reservations.bucket);
        // Read under the lock, so that calls are served in the order of their times.
        let now = self.clock().now().saturating_duration_since(self.fast.epoch.instant()).as_nanos();
        // First: `f` must not count tokens that waiters already have, nor refuse a waiter whose tokens have
        // come.
        reservations.settle(now, &mut wakes);
        let result = f(&mut reservations, now, &mut wakes);
        if reservations.is_plain() {
            self.fast.publish(&reservations.bucket, now);
        }
        // Unlocked first, since each woken waiter looks again under the lock.
        drop(reservations);
        drop(wakes);
        result
    }

    fn instant(&self, at: Option<Nanos>) -> Option<Instant> {
        self.fast.epoch.instant().checked_add(duration(at?)?)
    }
}

impl Inspect for Weak<Shared> {
    fn object(&self) -> Option<Object> {
        let shared = self.upgrade()?;
        let Origin { kind, at } = shared.origin;
        let figures = shared.with_reservations(|reservations, now, _| {
            let bucket = &reservations.bucket;
            vec![
                ("waiting", reservations.waiting()),
                ("available", bucket.available(bucket.ticks(now)) as usize),
                ("burst", bucket.burst as usize),
            ]
        });
        let address = std::ptr::from_ref(&*shared).addr();
        Some(Object { figures, location: Some(at), ..Object::new(kind, address) })
    }
}

/// `None` if it is too long for a `Duration`, which means forever.
pub(super) fn duration(nanos: Nanos) -> Option<Duration> {
    const SECOND: u128 = 1_000_000_000;
    let seconds = u64::try_from(nanos / SECOND).ok()?;
    Some(Duration::new(seconds, (nanos % SECOND) as u32))
}

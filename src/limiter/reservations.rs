//! The reservations of the waiters, each with the instant at which its tokens come.
//!
//! Tokens are given out in advance. A waiter reserves its tokens behind all waiters before it, so the instant
//! at which they come is known, and it sleeps until then. No other thread has to wake it, no later caller can
//! overtake it, and a newcomer finds too few tokens in the bucket as long as a thread waits. A list of
//! waiters that a timer serves would need a thread for the timer, or one waiter that works for the others.
//!
//! The instants can change. If a waiter gives up, its tokens go to the waiters behind it, which are woken and
//! sleep again until an earlier instant. The same happens if the rate or the burst changes.
//!
//! # Invariants
//! 1. The bucket is charged for all waiters in the list, in the order of the list, and `ready` is the instant
//!    that results from this order.
//! 2. After [`Reservations::settle`], the tokens of no waiter in the list have come. While there is a waiter,
//!    the bucket without the list's reservations is not full.
//! 3. A waiter in the list that ended with an error before its tokens came has given up: its tokens are not
//!    taken, however late that is noticed.
//!
//! The limiter's lock guards all of this, and each call passes a time that was read under it. Wakes are
//! collected and dropped after unlocking.

use std::collections::VecDeque;
use std::time::Duration;

use super::bucket::{Bucket, Nanos, Ticks};
use crate::error::{TryError, WaitError};
use crate::inspect::Listed;
use crate::wait::{Waiter, Wake};

pub(super) struct Reservations {
    pub(super) bucket: Bucket,
    waiting: VecDeque<Reservation>,
    /// Waiters that were refused after they had been woken for a new instant and before they looked again.
    refused: Vec<(Waiter, WaitError)>,
    pub(super) closed: bool,
    /// Lists the limiter in [`inspect`](crate::inspect), once a thread has waited for it.
    pub(super) listed: Option<Listed>,
}

struct Reservation {
    count: u64,
    /// When its tokens come.
    ready: Ticks,
    /// The same in nanoseconds: the waiter sleeps until then; `None` is never.
    at: Option<Nanos>,
    waiter: Waiter,
}

/// The state that a woken waiter finds.
pub(super) enum Next {
    /// The tokens have come.
    Granted,
    /// The tokens come at that time; `None` is never.
    SleepTo(Option<Nanos>),
}

/// The waiters to wake after unlocking.
pub(super) type Wakes = Vec<Wake>;

impl Reservations {
    pub(super) fn new(bucket: Bucket) -> Self {
        Reservations { bucket, waiting: VecDeque::new(), refused: Vec::new(), closed: false, listed: None }
    }

    /// The reason why `count` tokens can never be acquired, if there is one.
    pub(super) fn refusal(&self, count: u64) -> Option<WaitError> {
        match () {
            () if self.closed => Some(WaitError::Closed),
            () if count > self.bucket.burst => Some(WaitError::InsufficientCapacity),
            () => None,
        }
    }

    /// Takes tokens that are available.
    pub(super) fn take(&mut self, now: Nanos, count: u64) -> Result<(), TryError> {
        match self.refusal(count) {
            Some(WaitError::Closed) => Err(TryError::Closed),
            Some(_) => Err(TryError::InsufficientCapacity),
            // Takes nothing, so it overtakes no waiter.
            None if count == 0 => Ok(()),
            // The bucket is charged for the waiters (invariant 1), so this cannot take their tokens.
            None if self.bucket.take(self.bucket.ticks(now), count) => Ok(()),
            None => Err(TryError::WouldBlock),
        }
    }

    /// When the tokens would come for a waiter that joins now; `None` is never.
    pub(super) fn ready(&self, now: Nanos, count: u64) -> Option<Nanos> {
        self.bucket.nanos(self.bucket.ready(self.bucket.ticks(now), count))
    }

    /// Reserves tokens for a waiter.
    pub(super) fn join(&mut self, now: Nanos, count: u64, waiter: Waiter) {
        let ready = self.bucket.reserve(self.bucket.ticks(now), count);
        self.waiting.push_back(Reservation { count, ready, at: self.bucket.nanos(ready), waiter });
    }

    /// Looks up a reservation of which no thread is waiting.
    pub(super) fn find(&self, waiter: &Waiter) -> Result<Next, WaitError> {
        let is_it = |other: &Waiter| other.is(waiter);
        if let Some(reservation) = self.waiting.iter().find(|reservation| is_it(&reservation.waiter)) {
            return Ok(Next::SleepTo(reservation.at));
        }
        match self.refused.iter().find(|(refused, _)| is_it(refused)) {
            Some((_, error)) => Err(*error),
            // It was refused before it was ever woken, or has its tokens.
            None => waiter.outcome().unwrap_or(Ok(())).map(|()| Next::Granted),
        }
    }

    /// Looks up a waiter that was woken without an error. If it must sleep again, `new` replaces it.
    pub(super) fn look_again(&mut self, waiter: &Waiter, new: &Waiter) -> Result<Next, WaitError> {
        // Still in the list: it was woken for a new instant. The instant is read and the new waiter entered
        // in one critical section, so a later change ends the new one.
        if let Some(reservation) = self.waiting.iter_mut().find(|reservation| reservation.waiter.is(waiter)) {
            reservation.waiter = new.clone();
            return Ok(Next::SleepTo(reservation.at));
        }
        // Tie: not in the list and not refused means that its tokens had come before the limiter was closed
        // or the burst lowered, so it has them. A reservation that no thread has waited for has a refusal in
        // its outcome.
        match self.refused.iter().position(|(refused, _)| refused.is(waiter)) {
            Some(place) => Err(self.refused.swap_remove(place).1),
            None => waiter.outcome().unwrap_or(Ok(())).map(|()| Next::Granted),
        }
    }

    /// Removes a waiter that gives up, if it is in the list, and passes its tokens to the waiters behind it.
    pub(super) fn leave(&mut self, now: Nanos, waiter: &Waiter, wakes: &mut Wakes) {
        // Not in the list if another call has noticed already that it gave up.
        if let Some(place) = self.waiting.iter().position(|reservation| reservation.waiter.is(waiter)) {
            self.remove(place, wakes);
            self.settle(now, wakes);
        }
    }

    /// Gives back a reservation of which no thread is waiting, and its tokens also if they have come.
    pub(super) fn cancel(&mut self, now: Nanos, waiter: &Waiter, count: u64, wakes: &mut Wakes) {
        let is_it = |other: &Waiter| other.is(waiter);
        if self.waiting.iter().any(|reservation| is_it(&reservation.waiter)) {
            return self.leave(now, waiter, wakes);
        }
        // Refused: its tokens were given back then.
        if let Some(place) = self.refused.iter().position(|(refused, _)| is_it(refused)) {
            self.refused.swap_remove(place);
        } else if !matches!(waiter.outcome(), Some(Err(_))) {
            self.give_back(now, count, wakes);
        }
    }

    /// Takes tokens back that were taken and not used. The waiters get theirs earlier.
    pub(super) fn give_back(&mut self, now: Nanos, count: u64, wakes: &mut Wakes) {
        self.replan(wakes, |bucket| bucket.refund(bucket.ticks(now), count));
        self.settle(now, wakes);
    }

    /// Removes the waiters whose tokens have come. They have their tokens from now on, whether or not they
    /// are awake.
    pub(super) fn settle(&mut self, now: Nanos, wakes: &mut Wakes) {
        let now = self.bucket.ticks(now);
        while let Some(first) = self.waiting.front()
            && first.ready <= now
        {
            let wake = first.waiter.end(Ok(()));
            // Tie: the first outcome holds. `Ok` is its own instant, or a new one that it has not seen yet;
            // an error means that it gave up before, and its tokens go to the next.
            let gave_up = wake.is_none() && matches!(first.waiter.outcome(), Some(Err(_)));
            wakes.extend(wake);
            if gave_up {
                self.remove(0, wakes);
            } else {
                self.waiting.pop_front();
            }
        }
    }

    fn remove(&mut self, place: usize, wakes: &mut Wakes) {
        if let Some(gone) = self.waiting.remove(place) {
            self.replan(wakes, |bucket| bucket.give_back(gone.count));
        }
    }

    /// Changes the bucket, and reserves again for all waiters in the list, in the same order.
    fn replan(&mut self, wakes: &mut Wakes, change: impl FnOnce(&mut Bucket)) {
        let waiting = self.waiting.iter().map(|reservation| reservation.count);
        waiting.for_each(|count| self.bucket.give_back(count));
        change(&mut self.bucket);
        for reservation in &mut self.waiting {
            // From 0, not from now. A waiter that gave up may be noticed late: then the instants of the
            // waiters behind it are in the past, and counting from now would charge them too much.
            reservation.ready = self.bucket.reserve(0, reservation.count);
            let at = self.bucket.nanos(reservation.ready);
            // Not the ticks: at another rate the same number of them is another instant.
            if at != reservation.at {
                reservation.at = at;
                // Woken to sleep until the new instant, or because it has passed. If the waiter has ended
                // before, it gave up, or was woken for an earlier change and will see this one too.
                wakes.extend(reservation.waiter.end(Ok(())));
            }
        }
    }

    pub(super) fn set_rate(&mut self, now: Nanos, tokens: u64, period: Duration, wakes: &mut Wakes) {
        // Before: tokens that came at the old rate are granted. After: the new rate may make some come now.
        self.settle(now, wakes);
        self.replan(wakes, |bucket| bucket.set_rate(now, tokens, period));
        self.settle(now, wakes);
    }

    pub(super) fn set_burst(&mut self, now: Nanos, burst: u64, wakes: &mut Wakes) {
        // Before: tie, tokens that have come win over the refusal. After: a waiter behind a refused one may
        // have its tokens now.
        self.settle(now, wakes);
        self.refuse(WaitError::InsufficientCapacity, |count| count > burst, wakes);
        self.replan(wakes, |bucket| bucket.set_burst(bucket.ticks(now), burst));
        self.settle(now, wakes);
    }

    /// True if this call closed it.
    pub(super) fn close(&mut self, now: Nanos, wakes: &mut Wakes) -> bool {
        // Tie: a waiter whose tokens have come by now has them, and is not refused.
        self.settle(now, wakes);
        self.refuse(WaitError::Closed, |_| true, wakes);
        !std::mem::replace(&mut self.closed, true)
    }

    /// Ends the waits whose count is `refused`, and returns their tokens.
    fn refuse(&mut self, error: WaitError, refused: impl Fn(u64) -> bool, wakes: &mut Wakes) {
        let (gone, stay): (VecDeque<_>, _) =
            self.waiting.drain(..).partition(|reservation| refused(reservation.count));
        self.waiting = stay;
        for reservation in &gone {
            match reservation.waiter.end(Err(error)) {
                Some(wake) => wakes.push(wake),
                // It was woken for a new instant and will look again, so the error is kept for it. A waiter
                // that gave up does not look again, and an entry for it would stay forever.
                None if reservation.waiter.outcome() == Some(Ok(())) => {
                    self.refused.push((reservation.waiter.clone(), error));
                }
                None => {}
            }
        }
        self.replan(wakes, |bucket| gone.iter().for_each(|reservation| bucket.give_back(reservation.count)));
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// True if the bucket alone decides about the next call: nobody waits, and it is not closed.
    pub(super) fn is_plain(&self) -> bool {
        self.waiting.is_empty() && !self.closed
    }

    pub(super) fn is_idle(&self, now: Nanos) -> bool {
        self.waiting.is_empty() && self.bucket.is_full(self.bucket.ticks(now))
    }
}

//! Who waits for tokens, and until when.
//!
//! Tokens are handed out in advance: who joins the line reserves its tokens behind everybody before it, so
//! the instant at which they come is known, and it sleeps until then. Nobody has to wake it, nobody who comes
//! later can overtake it, and a newcomer finds too little in the bucket as long as somebody waits. What can
//! change is the plan. If somebody gives up, what it reserved goes to those behind it, who are woken to sleep
//! until an earlier instant; the same if the rate or the burst changes.
//!
//! # Invariants
//! 1. The bucket is charged for everybody in the line, in the line's order, and `ready` is the instant that
//!    this order gives.
//! 2. After [`Reservations::settle`] nobody is in the line whose tokens have come by now. As long as somebody
//!    is, the bucket without the line is not full.
//! 3. A waiter in the line that ended with an error before its tokens came has given up: its tokens are not
//!    taken, however late that is noticed.

use std::collections::VecDeque;
use std::time::Duration;

use super::bucket::{Bucket, Nanos, Ticks};
use crate::error::{TryError, WaitError};
use crate::wait::{Waiter, Wake};

pub(super) struct Reservations {
    pub(super) bucket: Bucket,
    waiting: VecDeque<Reservation>,
    /// Who was refused after it had been woken for a new plan and before it came to see it.
    refused: Vec<(Waiter, WaitError)>,
    pub(super) closed: bool,
}

struct Reservation {
    count: u64,
    /// When its tokens come.
    ready: Ticks,
    /// The same on the clock, which is what it sleeps to; `None` is never.
    at: Option<Nanos>,
    waiter: Waiter,
}

/// What a waiter finds that was woken.
pub(super) enum Next {
    /// The tokens have come.
    Granted,
    /// They come then; `None` is never.
    SleepTo(Option<Nanos>),
}

/// Those who are to be woken after unlocking.
pub(super) type Wakes = Vec<Wake>;

impl Reservations {
    pub(super) fn new(bucket: Bucket) -> Self {
        Reservations { bucket, waiting: VecDeque::new(), refused: Vec::new(), closed: false }
    }

    /// Why `count` tokens can never be had, if so.
    pub(super) fn refusal(&self, count: u64) -> Option<WaitError> {
        match () {
            () if self.closed => Some(WaitError::Closed),
            () if count > self.bucket.burst => Some(WaitError::InsufficientCapacity),
            () => None,
        }
    }

    /// Takes tokens that are there.
    pub(super) fn take(&mut self, now: Nanos, count: u64) -> Result<(), TryError> {
        match self.refusal(count) {
            Some(WaitError::Closed) => Err(TryError::Closed),
            Some(_) => Err(TryError::InsufficientCapacity),
            // Nothing to wait for, whoever else waits.
            None if count == 0 => Ok(()),
            None if self.bucket.take(self.bucket.ticks(now), count) => Ok(()),
            None => Err(TryError::WouldBlock),
        }
    }

    /// When the tokens would come for one who joins the line now; `None` is never.
    pub(super) fn ready(&self, now: Nanos, count: u64) -> Option<Nanos> {
        self.bucket.nanos(self.bucket.ready(self.bucket.ticks(now), count))
    }

    /// Reserves tokens for one who waits for them.
    pub(super) fn join(&mut self, now: Nanos, count: u64, waiter: Waiter) {
        let ready = self.bucket.reserve(self.bucket.ticks(now), count);
        self.waiting.push_back(Reservation { count, ready, at: self.bucket.nanos(ready), waiter });
    }

    /// Looks what became of one who was woken without an error; if it must sleep on, that will be in `new`.
    pub(super) fn look_again(&mut self, waiter: &Waiter, new: &Waiter) -> Result<Next, WaitError> {
        if let Some(reservation) = self.waiting.iter_mut().find(|reservation| reservation.waiter.is(waiter)) {
            reservation.waiter = new.clone();
            return Ok(Next::SleepTo(reservation.at));
        }
        match self.refused.iter().position(|(refused, _)| refused.is(waiter)) {
            Some(place) => Err(self.refused.swap_remove(place).1),
            None => Ok(Next::Granted),
        }
    }

    /// Takes one who gave up out of the line, if it is there, for the good of those behind it.
    pub(super) fn leave(&mut self, now: Nanos, waiter: &Waiter, wakes: &mut Wakes) {
        if let Some(place) = self.waiting.iter().position(|reservation| reservation.waiter.is(waiter)) {
            self.remove(place, wakes);
            self.settle(now, wakes);
        }
    }

    /// Takes those whose tokens have come out of the line: they have them, whether they know by now or not.
    pub(super) fn settle(&mut self, now: Nanos, wakes: &mut Wakes) {
        let now = self.bucket.ticks(now);
        while let Some(first) = self.waiting.front()
            && first.ready <= now
        {
            let wake = first.waiter.end(Ok(()));
            // Its time came, or it gave up before, which ever was first.
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

    /// Changes the bucket, and plans anew for everybody in the line.
    fn replan(&mut self, wakes: &mut Wakes, change: impl FnOnce(&mut Bucket)) {
        let waiting = self.waiting.iter().map(|reservation| reservation.count);
        waiting.for_each(|count| self.bucket.give_back(count));
        change(&mut self.bucket);
        for reservation in &mut self.waiting {
            // No clamp to now: see `give_back`.
            reservation.ready = self.bucket.reserve(0, reservation.count);
            let at = self.bucket.nanos(reservation.ready);
            // Not the ticks: at another rate the same number of them is another instant.
            if at != reservation.at {
                reservation.at = at;
                // To sleep until the new instant; or because it has come.
                wakes.extend(reservation.waiter.end(Ok(())));
            }
        }
    }

    pub(super) fn set_rate(&mut self, now: Nanos, tokens: u64, period: Duration, wakes: &mut Wakes) {
        self.settle(now, wakes);
        self.replan(wakes, |bucket| bucket.set_rate(now, tokens, period));
        self.settle(now, wakes);
    }

    pub(super) fn set_burst(&mut self, now: Nanos, burst: u64, wakes: &mut Wakes) {
        self.settle(now, wakes);
        self.refuse(WaitError::InsufficientCapacity, |count| count > burst, wakes);
        self.replan(wakes, |bucket| bucket.set_burst(bucket.ticks(now), burst));
        self.settle(now, wakes);
    }

    /// True if this call closed it.
    pub(super) fn close(&mut self, now: Nanos, wakes: &mut Wakes) -> bool {
        // Whose tokens have come by now has them.
        self.settle(now, wakes);
        self.refuse(WaitError::Closed, |_| true, wakes);
        !std::mem::replace(&mut self.closed, true)
    }

    fn refuse(&mut self, error: WaitError, whom: impl Fn(u64) -> bool, wakes: &mut Wakes) {
        let (gone, stay): (VecDeque<_>, _) =
            self.waiting.drain(..).partition(|reservation| whom(reservation.count));
        self.waiting = stay;
        for reservation in &gone {
            match reservation.waiter.end(Err(error)) {
                Some(wake) => wakes.push(wake),
                // Woken for a new plan, and will look what became of it. If it gave up, it will not.
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

    pub(super) fn is_idle(&self, now: Nanos) -> bool {
        self.waiting.is_empty() && self.bucket.is_full(self.bucket.ticks(now))
    }
}

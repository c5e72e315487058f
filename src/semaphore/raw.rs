//! How permits go out and come back: a word for when nobody waits, a line for when somebody does.
//!
//! # State
//! The word holds the free permits, times two, plus the `SLOW` bit.
//!
//! | `SLOW` | who may change the word | meaning |
//! |---|---|---|
//! | clear | anybody, by compare-and-swap | nobody waits, nothing is owed, not closed |
//! | set | the holder of the lock | somebody waits, or permits are owed, or closed |
//!
//! # Invariants
//! 1. The bit is set and cleared under the lock, and is set whenever the table says so. A fast call that
//!    does not see it has, by its compare-and-swap, changed the word before the bit was set, and whoever set
//!    it looks at the word afterwards: so a permit that comes back while a thread is joining the line is
//!    seen by the one or the other.
//! 2. Free permits + permits out = total + owed. Owed is what a resize could not take at once.
//! 3. With the lock free, the first in line waits for more permits than are free.
//!
//! # Orderings
//! What a permit's holder did is visible to its next. It gives back with release, on either path, and takes
//! with acquire: by the compare-and-swap of the fast path, or by the load in [`serve`](RawSemaphore::serve),
//! after which the waiter's lock brings it to the waiter. Every other change of the word is a relaxed
//! read-modify-write: it continues the release sequences that it finds, and publishes nothing of its own.

use std::fmt;

use crate::error::{TryError, WaitError};
use crate::sync::atomic::AtomicUsize;
use crate::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::sync::{Mutex, MutexGuard};
use crate::until::Until;
use crate::wait::sleeps::Subject;
use crate::wait::{WaitList, Waiter, Wake};

/// Somebody must take the lock.
const SLOW: usize = 1;
/// One free permit.
const ONE: usize = 2;

pub(super) struct RawSemaphore {
    word: AtomicUsize,
    state: Mutex<State>,
}

struct State {
    /// With the number of permits that each waits for.
    waiting: WaitList<usize>,
    total: usize,
    owed: usize,
    closed: bool,
}

impl RawSemaphore {
    pub(super) fn new(permits: usize) -> Self {
        RawSemaphore {
            word: AtomicUsize::new(permits * ONE),
            state: Mutex::new(State { waiting: WaitList::new(), total: permits, owed: 0, closed: false }),
        }
    }

    /// Takes `count` permits if they are free and nobody waits.
    #[inline]
    pub(super) fn try_enter(&self, count: usize) -> Result<(), TryError> {
        if self.take_free(count) { Ok(()) } else { self.why_not(count) }
    }

    #[inline]
    fn take_free(&self, count: usize) -> bool {
        // Relaxed: a guess that the compare-and-swap confirms.
        let mut word = self.word.load(Relaxed);
        while word & SLOW == 0 && word / ONE >= count {
            // Acquire pairs with the release in `leave`: what the last holder did is visible.
            match self.word.compare_exchange_weak(word, word - count * ONE, Acquire, Relaxed) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    #[cold]
    fn why_not(&self, count: usize) -> Result<(), TryError> {
        let state = self.state.lock();
        match state.refusal(count) {
            Some(WaitError::Closed) => Err(TryError::Closed),
            Some(_) => Err(TryError::InsufficientCapacity),
            // Nothing to wait for, whoever else waits.
            None if count == 0 => Ok(()),
            None => Err(TryError::WouldBlock),
        }
    }

    /// Takes `count` permits, and waits for them in line.
    #[inline]
    #[track_caller]
    pub(super) fn enter(&self, count: usize, limit: Until<'_>) -> Result<(), WaitError> {
        limit.check_token()?;
        if self.take_free(count) { Ok(()) } else { self.enter_slowly(count, limit) }
    }

    #[cold]
    #[track_caller]
    fn enter_slowly(&self, count: usize, limit: Until<'_>) -> Result<(), WaitError> {
        let subject = Subject::new("Semaphore::acquire", self);
        let limit = limit.start_for(subject.with("wanted", count).with("available", self.available()));
        if limit.check().is_ok() {
            let looks_free = || self.word.load(Relaxed) & SLOW == 0 && self.available() >= count;
            limit.spin(looks_free);
        }
        let waiter = Waiter::new();
        if !self.join(count, &waiter)? {
            return Ok(());
        }
        // Granted by `serve`, ours or another's; refused by `close` or `resize`; or ended by the limit.
        limit.sleep(&waiter).inspect_err(|_| self.give_up(&waiter))
    }

    /// Puts the waiter in line for `count` permits, and grants it at once if they are there; false if there
    /// is nothing to wait for.
    pub(crate) fn join(&self, count: usize, waiter: &Waiter) -> Result<bool, WaitError> {
        let mut state = self.state.lock();
        if let Some(refused) = state.refusal(count) {
            return Err(refused);
        }
        if count == 0 {
            return Ok(false);
        }
        state.waiting.join_with(waiter, count);
        // From here on nobody changes the word but under this lock; what came back until now is seen by
        // `serve`, what comes back later is brought by its owner to whoever is first in line.
        self.word.fetch_or(SLOW, Relaxed);
        self.serve(state);
        Ok(true)
    }

    /// Leaves the line without permits. Whoever was behind the one that leaves may be served now: the front
    /// of the line may have waited for more than those behind it do.
    pub(crate) fn give_up(&self, waiter: &Waiter) {
        let mut state = self.state.lock();
        state.waiting.leave(waiter);
        self.serve(state);
    }

    /// Gives `count` permits back.
    #[inline]
    pub(super) fn leave(&self, count: usize) {
        let mut word = self.word.load(Relaxed);
        while word & SLOW == 0 {
            // Release: see `take_free`.
            match self.word.compare_exchange_weak(word, word + count * ONE, Release, Relaxed) {
                Ok(_) => return,
                Err(now) => word = now,
            }
        }
        self.leave_slowly(count);
    }

    #[cold]
    fn leave_slowly(&self, count: usize) {
        let mut state = self.state.lock();
        let paid = state.owed.min(count);
        state.owed -= paid;
        // Release for the case that the bit was cleared meanwhile and a fast call takes them.
        self.word.fetch_add((count - paid) * ONE, Release);
        self.serve(state);
    }

    /// Grants permits from the front of the line as far as they go, unlocks, and wakes who got some.
    ///
    /// Only the front is looked at: who comes behind it is not served before it, however little it wants.
    fn serve(&self, mut state: MutexGuard<'_, State>) {
        let mut wakes: Vec<Wake> = Vec::new();
        while let Some(&count) = state.waiting.first() {
            // Acquire: the permits' last holders come before their next. While the line is not empty the
            // bit is set, so between the look and the change nobody else changes the word.
            if self.word.load(Acquire) / ONE < count {
                break;
            }
            // A waiter that has ended gave up: it gets nothing, and finds itself out of the line.
            wakes.extend(state.waiting.grant_first().inspect(|_| {
                self.word.fetch_sub(count * ONE, Relaxed);
            }));
        }
        self.settle(&state);
        drop(state);
        drop(wakes);
    }

    /// Clears or sets the bit as the table at the top says.
    fn settle(&self, state: &State) {
        if state.waiting.is_empty() && state.owed == 0 && !state.closed {
            self.word.fetch_and(!SLOW, Relaxed);
        } else {
            self.word.fetch_or(SLOW, Relaxed);
        }
    }

    pub(super) fn resize(&self, permits: usize) {
        let mut state = self.state.lock();
        // Stops the fast calls, so that the word is ours until `settle`.
        let free = self.word.fetch_or(SLOW, Relaxed) / ONE;
        let out = state.total + state.owed - free;
        state.total = permits;
        state.owed = out.saturating_sub(permits);
        let free_now = permits.saturating_sub(out);
        if free_now >= free {
            self.word.fetch_add((free_now - free) * ONE, Relaxed);
        } else {
            self.word.fetch_sub((free - free_now) * ONE, Relaxed);
        }
        self.refuse_and_serve(state);
    }

    /// Takes `count` permits that are out away for good.
    pub(super) fn forget(&self, count: usize) {
        let mut state = self.state.lock();
        // What is owed is paid by permits that vanish as well as by those that come back.
        let paid = state.owed.min(count);
        state.owed -= paid;
        state.total -= count - paid;
        self.refuse_and_serve(state);
    }

    pub(super) fn close(&self) -> bool {
        let mut state = self.state.lock();
        let closes = !state.closed;
        state.closed = true;
        self.refuse_and_serve(state);
        closes
    }

    /// Sends away from the line who can no longer be served, and serves the others.
    fn refuse_and_serve(&self, mut state: MutexGuard<'_, State>) {
        let State { waiting, total, closed, .. } = &mut *state;
        let wakes = waiting.end_where(|count| refusal(*count, *total, *closed).map(Err));
        self.serve(state);
        drop(wakes);
    }

    pub(super) fn available(&self) -> usize {
        self.word.load(Relaxed) / ONE
    }

    pub(super) fn total(&self) -> usize {
        self.state.lock().total
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    pub(super) fn describe(&self, out: &mut fmt::DebugStruct<'_, '_>) {
        if let Some(state) = self.state.try_lock() {
            out.field("total", &state.total)
                .field("waiting", &state.waiting.len())
                .field("closed", &state.closed);
        }
    }
}

impl State {
    /// Why `count` permits can never be had, if so.
    fn refusal(&self, count: usize) -> Option<WaitError> {
        refusal(count, self.total, self.closed)
    }
}

/// Why `count` of `total` permits can never be had, if so.
fn refusal(count: usize, total: usize, closed: bool) -> Option<WaitError> {
    if closed {
        Some(WaitError::Closed)
    } else if count > total {
        Some(WaitError::InsufficientCapacity)
    } else {
        None
    }
}

//! The protocol of the permits: an atomic word while no thread waits, a list under a lock while threads do.
//!
//! A list alone would take its lock twice for each permit. A word alone cannot say which waiter is next, and
//! lets newcomers overtake.
//!
//! # State
//! The word holds the number of free permits, times two, plus the `SLOW` bit.
//!
//! | `SLOW` | the word is changed by | meaning |
//! |---|---|---|
//! | clear | any thread, by compare-and-swap | no thread waits, no permit is owed, not closed |
//! | set | the holder of the lock | a thread waits, or permits are owed, or closed |
//!
//! # Invariants
//! 1. The bit is set and cleared under the lock, and is set with the lock free exactly as the table says. The
//!    compare-and-swap of a fast call fails once the bit is set, so a fast call changes the word before that,
//!    and the thread that sets the bit reads the word afterwards. A permit that returns while a thread joins
//!    the list is therefore seen either by that thread, or by its own holder, which finds the waiter.
//! 2. Free permits + held permits = total + owed. Owed permits are those that a resize could not remove at
//!    once.
//! 3. With the lock free, the first waiter waits for more permits than are free.
//!
//! # Orderings
//! What a permit's holder did is visible to its next holder. A holder returns it with release, on either
//! path. The next holder takes it with acquire: by the compare-and-swap of the fast path, or by the load in
//! [`serve`](RawSemaphore::serve), after which the waiter's lock passes the visibility on to the waiter.
//! Every other change of the word is a relaxed read-modify-write: it continues the release sequences that it
//! finds, and publishes nothing of its own.

use std::fmt;

use crate::error::{TryError, WaitError};
use crate::sync::atomic::AtomicUsize;
use crate::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::sync::{Mutex, MutexGuard};
use crate::until::Until;
use crate::wait::sleeps::Subject;
use crate::wait::{WaitList, Waiter, Wake};

/// The word is changed only under the lock.
const SLOW: usize = 1;
/// One free permit.
const ONE: usize = 2;

pub(super) struct RawSemaphore {
    word: AtomicUsize,
    state: Mutex<State>,
}

struct State {
    /// Each with the number of permits that it waits for.
    waiting: WaitList<usize>,
    total: usize,
    /// Held permits beyond the total, which are removed as they return.
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

    /// Takes `count` permits if they are free and no thread waits.
    #[inline]
    pub(super) fn try_enter(&self, count: usize) -> Result<(), TryError> {
        if self.take_free(count) { Ok(()) } else { self.why_not(count) }
    }

    #[inline]
    fn take_free(&self, count: usize) -> bool {
        // Relaxed: a guess that the compare-and-swap confirms.
        let mut word = self.word.load(Relaxed);
        while word & SLOW == 0 && word / ONE >= count {
            // Acquire pairs with the releases in `leave` and `leave_slowly`: what the last holders did is
            // visible. Relaxed on failure: the value is only the next guess.
            match self.word.compare_exchange_weak(word, word - count * ONE, Acquire, Relaxed) {
                Ok(_) => return true,
                // Repeated, since a lost race or a spurious failure is no lack of permits.
                Err(now) => word = now,
            }
        }
        // With the bit set, free permits are for the waiters, if there are any: taking them would overtake.
        false
    }

    #[cold]
    fn why_not(&self, count: usize) -> Result<(), TryError> {
        let state = self.state.lock();
        match state.refusal(count) {
            Some(WaitError::Closed) => Err(TryError::Closed),
            Some(_) => Err(TryError::InsufficientCapacity),
            // Takes nothing, so it overtakes no waiter.
            None if count == 0 => Ok(()),
            // Repeated under the lock, where the bit means what the table says. The first attempt may have
            // seen it set by a resize that was under way, with permits free and no waiter.
            None if self.take_free(count) => Ok(()),
            None => Err(TryError::WouldBlock),
        }
    }

    /// Takes `count` permits; waits for them in the list if too few are free.
    #[inline]
    #[track_caller]
    pub(super) fn enter(&self, count: usize, limit: Until<'_>) -> Result<(), WaitError> {
        // Tie: a token that was cancelled before the call wins, even if permits are free.
        limit.check_token()?;
        if self.take_free(count) { Ok(()) } else { self.enter_slowly(count, limit) }
    }

    #[cold]
    #[track_caller]
    fn enter_slowly(&self, count: usize, limit: Until<'_>) -> Result<(), WaitError> {
        let subject = Subject::new("Semaphore::acquire", self);
        let limit = limit.start_for(subject.with("wanted", count).with("available", self.available()));
        if limit.check().is_ok() {
            // Relaxed: a hint. Spins only while no thread waits, since this call could not go first.
            let looks_free = || self.word.load(Relaxed) & SLOW == 0 && self.available() >= count;
            limit.spin(looks_free);
        }
        // Joined whatever the spin saw: `serve` in `join` grants at once if the permits are free.
        let waiter = Waiter::new();
        if !self.join(count, &waiter)? {
            return Ok(());
        }
        // Ended by `serve` (granted) in any thread, by `close`, `resize` or `forget` (refused), or by the
        // limit. All of them write the outcome into the waiter, so one that comes before the sleep is read
        // instead of sleeping. Tie: the first outcome holds; a waiter that was granted returns `Ok` even if
        // its limit has passed by now.
        limit.sleep(&waiter).inspect_err(|_| self.give_up(&waiter))
    }

    /// Puts the waiter into the list for `count` permits, and grants it at once if they are free and it is
    /// the first. False if there is nothing to wait for.
    pub(crate) fn join(&self, count: usize, waiter: &Waiter) -> Result<bool, WaitError> {
        let mut state = self.state.lock();
        if let Some(refused) = state.refusal(count) {
            return Err(refused);
        }
        // Never joins: a waiter for nothing at the front would be granted, but behind others it would wait.
        if count == 0 {
            return Ok(false);
        }
        state.waiting.join_with(waiter, count);
        // From here on the word changes only under this lock. `serve` sees permits that returned before this
        // line; a permit that returns later takes the lock, and finds this waiter in the list. Relaxed: this
        // publishes nothing, and `serve` loads with acquire.
        self.word.fetch_or(SLOW, Relaxed);
        self.serve(state);
        Ok(true)
    }

    /// Removes a waiter that gets no permits.
    pub(crate) fn give_up(&self, waiter: &Waiter) {
        let mut state = self.state.lock();
        // Not in the list if a granter came after the end of the wait: that granter removed it, took no
        // permits for it, and went on to the next. Otherwise the waiters behind it are served in the same
        // critical section: it may have been the first, and may have waited for more permits than they do.
        state.waiting.leave(waiter);
        self.serve(state);
    }

    /// Returns `count` permits.
    #[inline]
    pub(super) fn leave(&self, count: usize) {
        // Relaxed: a guess that the compare-and-swap confirms.
        let mut word = self.word.load(Relaxed);
        while word & SLOW == 0 {
            // Release pairs with the acquires in `take_free` and `serve`. No thread is notified: with the bit
            // clear none waits, and one that joins meanwhile makes this exchange fail.
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
        // A resize that could not remove enough free permits removes these first.
        let paid = state.owed.min(count);
        state.owed -= paid;
        // Release, although the lock is held: once `serve` clears the bit, a fast call takes the permits
        // without the lock.
        self.word.fetch_add((count - paid) * ONE, Release);
        self.serve(state);
    }

    /// Grants permits to the first waiters as far as they last, unlocks, and wakes the granted.
    fn serve(&self, mut state: MutexGuard<'_, State>) {
        let mut wakes: Vec<Wake> = Vec::new();
        // Only the first waiter is considered. Serving a later one because it wants less would let small
        // requests starve a large one.
        while let Some(&count) = state.waiting.first() {
            // Acquire pairs with the releases in `leave` and `leave_slowly`; the waiter's lock passes on what
            // they published. While the list is not empty the bit is set, so no other thread changes the word
            // between this load and the subtraction.
            if self.word.load(Acquire) / ONE < count {
                break;
            }
            // Tie: a waiter that has ended already, by its limit, gets nothing. It is out of the list, and
            // the permits go to the next. Relaxed: the subtraction publishes nothing, and continues the
            // release sequence of the permits that are left.
            wakes.extend(state.waiting.grant_first().inspect(|_| {
                self.word.fetch_sub(count * ONE, Relaxed);
            }));
        }
        self.settle(&state);
        // Unlocked first: a woken thread may return its permits at once, and must not run into the held lock.
        drop(state);
        drop(wakes);
    }

    /// Clears or sets the bit as the table in the module's docs says.
    fn settle(&self, state: &State) {
        // Relaxed: the bit publishes nothing. A fast call that sees it clear changes only the word, and the
        // permits in the word carry their own releases.
        if state.waiting.is_empty() && state.owed == 0 && !state.closed {
            self.word.fetch_and(!SLOW, Relaxed);
        } else {
            self.word.fetch_or(SLOW, Relaxed);
        }
    }

    pub(super) fn resize(&self, permits: usize) {
        let mut state = self.state.lock();
        // Stops the fast calls: until `settle`, only this thread changes the word.
        let free = self.word.fetch_or(SLOW, Relaxed) / ONE;
        // By invariant 2. The held permits stay held; the free ones and the debt make up the difference.
        let out = state.total + state.owed - free;
        state.total = permits;
        state.owed = out.saturating_sub(permits);
        let free_now = permits.saturating_sub(out);
        // Added or subtracted, not stored: a store would end the release sequence of the free permits.
        if free_now >= free {
            self.word.fetch_add((free_now - free) * ONE, Relaxed);
        } else {
            self.word.fetch_sub((free - free_now) * ONE, Relaxed);
        }
        self.refuse_and_serve(state);
    }

    /// Removes `count` held permits from the total.
    pub(super) fn forget(&self, count: usize) {
        let mut state = self.state.lock();
        // A forgotten permit pays what is owed just as a returned one does; only the rest lowers the total.
        let paid = state.owed.min(count);
        state.owed -= paid;
        state.total -= count - paid;
        self.refuse_and_serve(state);
    }

    pub(super) fn close(&self) -> bool {
        let mut state = self.state.lock();
        let closes = !state.closed;
        // Written in the critical section that refuses the waiters, so a thread that joins later sees it. The
        // bit that `settle` sets stops fast calls from here on.
        state.closed = true;
        self.refuse_and_serve(state);
        closes
    }

    /// Ends the waits that can no longer be granted, and serves the others.
    fn refuse_and_serve(&self, mut state: MutexGuard<'_, State>) {
        let State { waiting, total, closed, .. } = &mut *state;
        // Tie: a waiter that was granted before is not in the list any more, and keeps its permits.
        let wakes = waiting.end_where(|count| refusal(*count, *total, *closed).map(Err));
        // The refused waiter may have been the first. Woken after `serve` has unlocked.
        self.serve(state);
        drop(wakes);
    }

    pub(super) fn available(&self) -> usize {
        // Relaxed: a snapshot, on which no access to other memory depends.
        self.word.load(Relaxed) / ONE
    }

    pub(super) fn total(&self) -> usize {
        self.state.lock().total
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    pub(super) fn describe(&self, out: &mut fmt::DebugStruct<'_, '_>) {
        // `try_lock`, since `Debug` must not wait.
        if let Some(state) = self.state.try_lock() {
            out.field("total", &state.total)
                .field("waiting", &state.waiting.len())
                .field("closed", &state.closed);
        }
    }
}

impl State {
    /// The reason why `count` permits can never be granted, if there is one.
    fn refusal(&self, count: usize) -> Option<WaitError> {
        refusal(count, self.total, self.closed)
    }
}

/// The reason why `count` of `total` permits can never be granted, if there is one.
fn refusal(count: usize, total: usize, closed: bool) -> Option<WaitError> {
    if closed {
        Some(WaitError::Closed)
    } else if count > total {
        Some(WaitError::InsufficientCapacity)
    } else {
        None
    }
}

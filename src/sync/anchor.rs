//! The anchor of the [estimate](super::estimate), which one thread publishes and all threads read: a sequence
//! lock without a sequence number. The anchor's own value of the counter takes its place, since the counter
//! never repeats one.
//!
//! | thread | does | so that |
//! |---|---|---|
//! | publisher | stores [`NONE`] | no reader starts with the old anchor from here on |
//! | | release fence | a reader that has read a part of the new anchor sees the `NONE`, or what is stored last |
//! | | stores the parts | |
//! | | stores the counter, release | a reader that sees it sees the parts |
//! | reader | loads the counter, acquire | the parts are those of this anchor or a later one |
//! | | loads the parts | |
//! | | acquire fence | with a part of a later anchor, the second look sees that anchor, or a later one, or `NONE` |
//! | | loads the counter again | the parts are those of this anchor if it is still the same |
//!
//! # Why not
//! - *A lock*: a reader would write to the line that all of them share.
//! - *A pointer to an anchor*: who frees the last one?
//!
//! # Proof
//! Models in `loom-tests/tests/estimate.rs`: `an_estimate_is_of_one_anchor`,
//! `an_anchor_that_was_taken_back_is_not_used`. The processor's counter has no model: a reader passes a
//! function that reads it.

#![cfg_attr(
    not(any(loom, selvedge_loom)),
    expect(unreachable_pub, reason = "public in models, by a hidden name")
)]

use super::atomic::Ordering::{Acquire, Relaxed, Release};
use super::atomic::{AtomicU64, fence};

/// How long an anchor is used, in steps of the counter: 33 to 66 µs at 4 to 2 GHz. An anchor takes 60 ns.
const WINDOW: u64 = 1 << 17;

/// The counter's value of no anchor.
pub(super) const NONE: u64 = u64::MAX;

/// The counter and the time at one moment, and the rate at which time passes from then on.
#[derive(Debug)]
pub struct Anchor {
    /// [`NONE`] while there is no anchor, or one is being written. No two anchors have the same.
    pub(super) counter: AtomicU64,
    /// The time, in nanoseconds.
    pub(super) nanos: AtomicU64,
    /// Nanoseconds in 2^32 steps of the counter.
    pub(super) rate: AtomicU64,
}

impl Anchor {
    /// The time when the counter is what `count` returns; `None` if there is no anchor for that value.
    #[inline]
    pub fn time_at(&self, count: impl FnOnce() -> u64) -> Option<u64> {
        // Acquire, with the release of the thread that published it: what is read below is of this anchor or
        // a later one.
        let counter = self.counter.load(Acquire);
        // Before the processor's counter is read, which a program that is forbidden to does not survive.
        if counter == NONE {
            return None;
        }
        // Relaxed: whether they are of one anchor is checked below.
        let (nanos, rate) = (self.nanos.load(Relaxed), self.rate.load(Relaxed));
        // Wraps to more than a window if another processor's anchor is later than an early read.
        let steps = count().wrapping_sub(counter);
        // With the publisher's fence: if one of the two was of a later anchor, its counter, or `NONE`, is
        // seen here.
        fence(Acquire);
        if steps >= WINDOW || self.counter.load(Relaxed) != counter {
            return None;
        }
        // At most 2^17 · 2^32.
        Some(nanos + ((steps * rate) >> 32))
    }

    /// Takes the anchor back, and publishes the next one, of (`counter`, `nanos`, `rate`), if there is one.
    /// One thread at a time.
    pub fn replace(&self, next: Option<(u64, u64, u64)>) {
        self.counter.store(NONE, Relaxed);
        // A thread that sees what is stored below sees the `NONE` too, or what is stored last.
        fence(Release);
        let Some((counter, nanos, rate)) = next else { return };
        self.nanos.store(nanos, Relaxed);
        self.rate.store(rate, Relaxed);
        // With the acquire of `time_at`.
        self.counter.store(counter, Release);
    }
}

#[cfg(any(loom, selvedge_loom))]
impl Anchor {
    /// For models: no anchor yet.
    #[expect(clippy::new_without_default, reason = "only models make one")]
    pub fn new() -> Self {
        Anchor { counter: AtomicU64::new(NONE), nanos: AtomicU64::new(0), rate: AtomicU64::new(0) }
    }
}

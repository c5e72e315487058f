//! How a task gets into the queue: the submitters' side, under the tail's lock.

use super::{Injector, Tail};
use crate::error::TryError;
use crate::pool::local_queue::LocalQueue;
use crate::pool::raw_job::RawJob;
use crate::pool::worker_counts::Call;
use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::{MutexGuard, sized};
use crate::wait::Turn;

/// Places that a local queue is lent at once: one slow submit in so many.
const LOAN: usize = sized(32, 2);
/// The part of the queue's places that may be lent, so that what is submitted from outside finds most of
/// them.
const LENDABLE: usize = 4;

impl Injector {
    /// Queues what `make` makes, which it is asked for only if there is room. The [`Call`] is the caller's to
    /// answer.
    #[inline]
    pub(in crate::pool) fn try_post(
        &self,
        make: impl FnOnce() -> RawJob,
        turn: Option<Turn>,
    ) -> Result<Option<Call>, TryError> {
        let mut tail = self.tail.lock();
        if tail.closed {
            return Err(TryError::Closed);
        }
        let places = self.capacity - self.borrowed.load(Relaxed);
        if tail.queued.len() + tail.ready_seen >= places && self.recount(&mut tail) >= places {
            return Err(TryError::WouldBlock);
        }
        if !tail.turns.admits(turn) {
            return Err(TryError::WouldBlock);
        }
        Ok(self.push(tail, make()))
    }

    /// Like [`try_post`](Injector::try_post), for a worker, onto its local queue if there is a place.
    #[inline]
    pub(in crate::pool) fn try_keep(
        &self,
        local: &LocalQueue,
        make: impl FnOnce() -> RawJob,
    ) -> Result<Option<Call>, TryError> {
        match local.keep(make) {
            Ok(()) => Ok(None),
            Err(make) => self.keep_slowly(local, make),
        }
    }

    #[cold]
    fn keep_slowly(
        &self,
        local: &LocalQueue,
        make: impl FnOnce() -> RawJob,
    ) -> Result<Option<Call>, TryError> {
        let mut tail = self.tail.lock();
        if tail.closed {
            return Err(TryError::Closed);
        }
        let queued = self.recount(&mut tail);
        let lend = || {
            let borrowed = self.borrowed.load(Relaxed) + LOAN;
            let free = borrowed <= self.capacity / LENDABLE
                && queued + borrowed <= self.capacity
                && tail.turns.admits(None);
            if free {
                self.borrowed.store(borrowed, Relaxed);
            }
            if free { LOAN } else { 0 }
        };
        match local.keep_and_tell(lend, make) {
            Ok(()) => {
                tail.note_peak(queued);
                Ok(self.settle(tail))
            }
            Err(make) => {
                drop(tail);
                self.try_post(make, None)
            }
        }
    }

    /// Queues a raw job though there may be no room; gives it back if the pool is closed.
    pub(in crate::pool) fn post_beyond(&self, raw: RawJob) -> Result<Option<Call>, RawJob> {
        let mut tail = self.tail.lock();
        if tail.closed {
            return Err(raw);
        }
        tail.beyond.push_back(raw);
        self.note_count(&tail);
        let queued = self.recount(&mut tail);
        tail.note_peak(queued);
        Ok(tail.counts.call())
    }

    #[inline]
    fn push(&self, mut tail: MutexGuard<'_, Tail>, raw: RawJob) -> Option<Call> {
        tail.queued.push_back(raw);
        self.note_count(&tail);
        if tail.queued.len() + tail.ready_seen > tail.peak {
            tail.peak = tail.peak.max(self.recount(&mut tail));
        }
        tail.counts.call()
    }
}

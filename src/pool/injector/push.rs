//! Pushing a task: the submitters' side, under the tail's lock.

use super::{Injector, Tail};
use crate::error::TryError;
use crate::pool::local_queue::LocalQueue;
use crate::pool::raw_job::RawJob;
use crate::pool::worker_counts::Notify;
use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::{MutexGuard, sized};
use crate::wait::Turn;

/// Capacity lent to a local queue at once: one submit in 32 takes the slow path.
const LOAN: usize = sized(32, 2);
/// The divisor of the queue's capacity that may be lent, so that submits from outside find most of it free.
const LENDABLE: usize = 4;

impl Injector {
    /// Queues the job that `make` returns; `make` is called only if there is room. The caller performs the
    /// [`Notify`].
    #[inline]
    pub(in crate::pool) fn try_push(
        &self,
        make: impl FnOnce() -> RawJob,
        turn: Option<Turn>,
    ) -> Result<Option<Notify>, TryError> {
        let mut tail = self.tail.lock();
        if tail.closed {
            return Err(TryError::Closed);
        }
        let available = self.capacity - self.borrowed.load(Relaxed);
        // The cached length first: reading the head's count moves its cache line here.
        if tail.queued.len() + tail.ready_seen >= available && self.recount(&mut tail) >= available {
            return Err(TryError::WouldBlock);
        }
        // A submitter with a turn goes first, even if there is room for both.
        if !tail.turns.admits(turn) {
            return Err(TryError::WouldBlock);
        }
        Ok(self.push(tail, make))
    }

    /// Like [`try_push`](Injector::try_push), for a worker: pushes onto its local queue if that has capacity.
    #[inline]
    pub(in crate::pool) fn try_push_local(
        &self,
        local: &LocalQueue,
        make: impl FnOnce() -> RawJob,
    ) -> Result<Option<Notify>, TryError> {
        match local.push(make) {
            Ok(()) => Ok(None),
            Err(make) => self.push_local_slow(local, make),
        }
    }

    #[cold]
    fn push_local_slow(
        &self,
        local: &LocalQueue,
        make: impl FnOnce() -> RawJob,
    ) -> Result<Option<Notify>, TryError> {
        // The tail's lock first, then the local queue's: whether a worker can be notified is decided under
        // the former, and the job is visible before this thread releases it.
        let mut tail = self.tail.lock();
        if tail.closed {
            return Err(TryError::Closed);
        }
        let queued = self.recount(&mut tail);
        // Never lends past the bound, nor while a submitter has a turn.
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
        match local.push_watched(lend, make) {
            Ok(()) => {
                tail.note_peak(queued);
                Ok(self.settle(tail))
            }
            Err(make) => {
                // Unlocked: `try_push` locks the tail itself.
                drop(tail);
                self.try_push(make, None)
            }
        }
    }

    /// Queues a job beyond the bound; returns it if the pool is closed.
    pub(in crate::pool) fn push_beyond(&self, job: RawJob) -> Result<Option<Notify>, RawJob> {
        let mut tail = self.tail.lock();
        if tail.closed {
            return Err(job);
        }
        tail.beyond.push(|| job);
        self.note_count(&tail);
        let queued = self.recount(&mut tail);
        tail.note_peak(queued);
        Ok(tail.counts.notify())
    }

    #[inline]
    fn push(&self, mut tail: MutexGuard<'_, Tail>, make: impl FnOnce() -> RawJob) -> Option<Notify> {
        tail.queued.push(make);
        self.note_count(&tail);
        // Recounted only when the cached length exceeds the peak: the count may be too high.
        if tail.queued.len() + tail.ready_seen > tail.peak {
            tail.peak = tail.peak.max(self.recount(&mut tail));
        }
        tail.counts.notify()
    }
}

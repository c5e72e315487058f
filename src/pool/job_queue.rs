//! Queues of raw jobs, in which each job is made in its place.
//!
//! # In its place
//! A job that is made on the stack is written a word at a time and then copied two words at a time. Such a
//! copy must wait until both words have left the store buffer, about 12 cycles, since no single entry of it
//! holds what is loaded. The compiler does make the job in its place if nothing between the two can unwind
//! and drop it. So [`JobRing::push`] makes the place first. A tree of tasks takes 0.93 of the time (median of
//! nine pairs of runs, 0.75 to 1.14).
//!
//! # In chunks
//! One deque for a burst of 100,000 tasks is 6 MB, which the operating system provides page by page and takes
//! back afterwards: about a fifth of the samples of a profile. In a [`JobQueue`] a burst takes 0.7 of the
//! time that it takes in one deque, with two and with four workers. With one worker it took 0.75 in two runs
//! and 1.9 in a third, for a reason that is not known. A local queue is one [`JobRing`]: with chunks there, a
//! tree of tasks took 1.4 to 1.7 times as long.

use std::collections::VecDeque;
use std::mem;

use super::raw_job::RawJob;
use crate::burst;
use crate::sync::sized;

/// The number of jobs in a chunk: so many that allocating it takes a nanosecond or two of each job's time.
const CHUNK: usize = sized(128, 2);

/// The number of empty chunks that are kept, for 1,024 jobs, so that steady work does not allocate.
const SPARES: usize = sized(8, 1);

/// First in, first out, in one ring. Each element is `Some`, except while it is being pushed.
#[derive(Default)]
pub(super) struct JobRing(VecDeque<Option<RawJob>>);

/// First in, first out, in chunks.
#[derive(Default)]
pub(super) struct JobQueue {
    /// Rings of [`CHUNK`] places, which do not grow. None is empty, except the last one, which serves a short
    /// queue without allocating.
    chunks: VecDeque<JobRing>,
    /// At most [`SPARES`] empty chunks.
    spares: Vec<JobRing>,
    len: usize,
}

impl JobRing {
    pub(super) const fn new() -> Self {
        JobRing(VecDeque::new())
    }

    /// Adds the job that `make` returns.
    #[inline]
    pub(super) fn push(&mut self, make: impl FnOnce() -> RawJob) {
        self.0.push_back(None);
        let place = self.0.back_mut().expect("it was just added");
        // Forgotten, since it is the `None` from above: an assignment would drop it, which the compiler
        // takes for something that can unwind.
        mem::forget(place.replace(make()));
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<RawJob> {
        self.0.pop_front().flatten()
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes out all jobs, and gives the memory back with them.
    pub(super) fn take(&mut self) -> impl Iterator<Item = RawJob> + use<> {
        mem::take(&mut self.0).into_iter().flatten()
    }
}

impl JobQueue {
    pub(super) const fn new() -> Self {
        JobQueue { chunks: VecDeque::new(), spares: Vec::new(), len: 0 }
    }

    /// Adds the job that `make` returns.
    #[inline]
    pub(super) fn push(&mut self, make: impl FnOnce() -> RawJob) {
        if self.chunks.back().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.add_chunk();
        }
        self.chunks.back_mut().expect("there is one with room").push(make);
        self.len += 1;
    }

    #[cold]
    fn add_chunk(&mut self) {
        let chunk = self.spares.pop().unwrap_or_else(|| JobRing(VecDeque::with_capacity(CHUNK)));
        self.chunks.push_back(chunk);
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<RawJob> {
        let chunk = self.chunks.front_mut()?;
        let job = chunk.pop()?;
        self.len -= 1;
        if chunk.is_empty() && self.chunks.len() > 1 {
            self.remove_chunk();
        }
        Some(job)
    }

    #[cold]
    fn remove_chunk(&mut self) {
        let chunk = self.chunks.pop_front();
        if self.spares.len() < SPARES {
            self.spares.extend(chunk);
        }
        burst::give_back(&mut self.chunks);
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes out all jobs.
    pub(super) fn take(&mut self) -> impl Iterator<Item = RawJob> + use<> {
        mem::take(self).chunks.into_iter().flat_map(|mut chunk| chunk.take())
    }
}

#[cfg(all(test, not(any(loom, selvedge_loom))))]
mod tests {
    use super::*;
    use crate::pool::job::PlainJob;
    use crate::sync::Arc;

    fn job(number: usize) -> RawJob {
        RawJob::new(PlainJob { f: || (), name: Arc::<str>::from(number.to_string()) })
    }

    fn number(mut job: RawJob) -> usize {
        job.name().expect("it has one").parse().expect("it is a number")
    }

    #[test]
    fn jobs_come_out_in_order_however_the_length_varies() {
        let mut queue = JobQueue::new();
        let (mut pushed, mut popped) = (0, 0);
        for round in 0..100 {
            for _ in 0..round * 37 % (4 * CHUNK) {
                queue.push(|| job(pushed));
                pushed += 1;
            }
            for _ in 0..round * 53 % (5 * CHUNK) {
                let Some(job) = queue.pop() else { break };
                assert_eq!(number(job), popped);
                popped += 1;
            }
            assert_eq!((queue.len(), queue.is_empty()), (pushed - popped, pushed == popped));
        }
        assert!(popped > 20 * CHUNK, "{popped}");
        (0..3 * CHUNK).for_each(|more| queue.push(|| job(pushed + more)));
        let rest: Vec<_> = queue.take().map(number).collect();
        assert_eq!(rest, (popped..pushed + 3 * CHUNK).collect::<Vec<_>>());
        assert!(queue.pop().is_none() && queue.is_empty());
    }
}

//! A small application's own protocol, built on selvedge and model-checked by the application.
//!
//! A [`Batcher`] collects lines until there are enough of them or somebody flushes; a writer takes batches
//! until it is told to stop, and no line may be lost on the way out. The only thing this crate does
//! differently from one that is never model-checked is to take its locks and threads from
//! [`selvedge::sync`].
//!
//! An ordinary `cargo test` runs the models below on real threads, a hundred times each;
//! `RUSTFLAGS="--cfg loom" cargo test` explores every schedule.

use std::time::Duration;

use selvedge::error::{Closed, Rejected, WaitError};
use selvedge::sync::Mutex;
use selvedge::{BoundedQueue, CancelToken};

/// Collects lines and hands them to a writer in batches.
#[derive(Debug)]
pub struct Batcher {
    open: Mutex<Vec<String>>,
    full: BoundedQueue<Vec<String>>,
    size: usize,
}

impl Batcher {
    /// Makes a batcher for batches of `size` lines, of which one may wait for the writer.
    pub fn new(size: usize) -> Self {
        Batcher { open: Mutex::default(), full: BoundedQueue::new(1), size }
    }

    /// Adds a line; waits while the writer is behind.
    ///
    /// # Errors
    /// The batch that could not be handed over, if the batcher was closed.
    pub fn add(&self, line: impl Into<String>) -> Result<(), Rejected<Vec<String>, Closed>> {
        let batch = {
            let mut open = self.open.lock();
            open.push(line.into());
            if open.len() < self.size {
                return Ok(());
            }
            std::mem::take(&mut *open)
        };
        // Not under the lock: others may add while this one waits for the writer.
        self.full.push(batch)
    }

    /// Closes the batcher and returns the lines that no batch was full enough to take along.
    pub fn close(&self) -> Vec<String> {
        self.full.close();
        std::mem::take(&mut *self.open.lock())
    }

    /// Takes the next batch.
    ///
    /// # Errors
    /// [`WaitError::Closed`] when there will be no more, [`WaitError::Cancelled`] when `stop` was cancelled.
    pub fn next(&self, stop: &CancelToken) -> Result<Vec<String>, WaitError> {
        self.full.pop_until(stop)
    }

    /// Takes the next batch; after `patience` without one, the lines that are there, which may be none.
    ///
    /// # Errors
    /// As [`next`](Batcher::next).
    pub fn next_within(&self, stop: &CancelToken, patience: Duration) -> Result<Vec<String>, WaitError> {
        match self.full.pop_until((stop, patience)) {
            Err(WaitError::TimedOut) => Ok(std::mem::take(&mut *self.open.lock())),
            ended => ended,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use selvedge::sync::{Arc, model, thread};

    /// Every line is in a batch that was taken, or in what `close` returned, or came back in an error.
    #[test]
    fn no_line_is_lost_when_adding_races_closing() {
        model::check(|| {
            let batcher = Arc::new(Batcher::new(1));
            let adder = thread::spawn({
                let batcher = Arc::clone(&batcher);
                move || batcher.add("line").map_or_else(|rejected| rejected.into_value().len(), |()| 0)
            });
            let left = batcher.close().len();
            let came_back = adder.join().unwrap();
            let stop = CancelToken::new();
            let taken = batcher.next(&stop).map_or(0, |batch| batch.len());
            assert_eq!(left + came_back + taken, 1);
        });
    }

    /// A writer that sleeps is woken by the stop of the whole application, and by nothing less.
    #[test]
    fn cancelling_wakes_a_writer_that_has_nothing_to_do() {
        model::check(|| {
            let batcher = Arc::new(Batcher::new(2));
            let stop = CancelToken::new();
            let writer = thread::spawn({
                let (batcher, stop) = (Arc::clone(&batcher), stop.child());
                move || batcher.next(&stop)
            });
            batcher.add("one of two").unwrap();
            stop.cancel();
            assert_eq!(writer.join().unwrap(), Err(WaitError::Cancelled));
            assert_eq!(batcher.close(), ["one of two"]);
        });
    }

    /// A deadline that passes while a batch is handed over loses no line: each is in what the writer took, or
    /// still there.
    #[test]
    fn no_line_is_lost_when_a_deadline_races_a_full_batch() {
        model::check(|| {
            let batcher = Arc::new(Batcher::new(2));
            let adder = thread::spawn({
                let batcher = Arc::clone(&batcher);
                move || ["one", "two"].into_iter().for_each(|line| batcher.add(line).unwrap())
            });
            let stop = CancelToken::new();
            let mut taken = batcher.next_within(&stop, Duration::from_millis(5)).unwrap();
            adder.join().unwrap();
            taken.extend(batcher.full.try_pop().into_iter().flatten());
            taken.extend(batcher.close());
            taken.sort();
            assert_eq!(taken, ["one", "two"]);
        });
    }

    /// More threads than a model can have: eight that add and one that takes, under random schedules.
    #[test]
    fn no_line_of_eight_threads_is_lost() {
        model::sample(500, || {
            let batcher = Arc::new(Batcher::new(3));
            let adders: Vec<_> = (0..8)
                .map(|number| {
                    let batcher = Arc::clone(&batcher);
                    thread::spawn(move || batcher.add(number.to_string()).unwrap())
                })
                .collect();
            let (stop, mut taken) = (CancelToken::new(), Vec::new());
            while taken.len() < 8 {
                taken.extend(batcher.next_within(&stop, Duration::from_millis(5)).unwrap());
            }
            adders.into_iter().for_each(|adder| adder.join().unwrap());
            taken.sort();
            assert_eq!(taken, ["0", "1", "2", "3", "4", "5", "6", "7"]);
        });
    }

    /// The same protocol with a mistake in it (the batch is full at two, and the second adder believes that
    /// the first will hand it over) is found, or this file would prove nothing.
    #[cfg(loom)]
    #[test]
    fn a_planted_mistake_is_found() {
        let failure = model::find_failure(|| {
            let open = Arc::new(Mutex::new(0_u32));
            let queue = Arc::new(BoundedQueue::new(1));
            let adders = [(); 2].map(|()| {
                let (open, queue) = (Arc::clone(&open), Arc::clone(&queue));
                thread::spawn(move || {
                    *open.lock() += 1;
                    // The mistake: between the two locks the other may have come, and both see two.
                    if *open.lock() == 2 {
                        queue.push(()).unwrap();
                    }
                })
            });
            queue.pop().unwrap();
            for adder in adders {
                adder.join().unwrap();
            }
            assert!(queue.try_pop().is_err(), "the batch was handed over twice");
        });
        assert_eq!(failure.unwrap().message(), "the batch was handed over twice");
    }
}

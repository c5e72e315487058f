//! Models of what remains after the caller's code has panicked, with the edits that break each.

use selvedge_loom as selvedge;

use selvedge::batch::{Batch, Batcher};
use selvedge::sync::{model, thread};
use selvedge::{CancelToken, Clock, Pipeline, retry};
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// A payload whose drop panics.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic::resume_unwind(Box::new("the drop of a payload"));
    }
}

/// Runs `f`, which must panic, and leaks the payload.
fn panics<R>(f: impl FnOnce() -> R) {
    match panic::catch_unwind(AssertUnwindSafe(f)) {
        Ok(_) => panic!("it should have panicked"),
        Err(payload) => std::mem::forget(payload),
    }
}

/// A source whose drop panics.
struct Source(std::ops::Range<u32>);

impl Iterator for Source {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        self.0.next()
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        panic::resume_unwind(Box::new("the drop of the source"));
    }
}

/// A cancellation wakes the thread that sleeps on a child, although two callbacks panic before, and their
/// payloads panic when they are dropped.
///
/// Fails if the drop of the second payload unwinds the canceller (edit `panics-second-payload-unwinds`).
#[test]
fn a_second_panicking_callback_delays_no_notification() {
    model::check(|| {
        let token = CancelToken::new();
        for _ in 0..2 {
            token.on_cancel(|| panic::resume_unwind(Box::new(Bomb))).keep();
        }
        let child = token.child();
        let sleeper = thread::spawn(move || child.wait());
        panics(|| token.cancel());
        sleeper.join().unwrap();
    });
}

/// An advance of the clock wakes the thread whose deadline has come, although an earlier callback panics.
///
/// Fails if the panic of the callback ends the advance (edit `panics-callback-ends-the-advance`).
#[test]
fn a_panicking_callback_keeps_no_sleeper_from_its_deadline() {
    model::check(|| {
        let clock = Clock::manual();
        let token = CancelToken::with_clock(&clock).child_until(HOUR);
        token.on_cancel(|| panic::resume_unwind(Box::new(Bomb))).keep();
        let sleeper = thread::spawn({
            let token = CancelToken::with_clock(&clock);
            move || token.sleep(2 * HOUR)
        });
        clock.wait_for_sleepers(1);
        panics(|| clock.advance(2 * HOUR));
        assert_eq!(sleeper.join().unwrap(), Ok(()));
    });
}

/// A worker whose function panics drops the source, which panics too. The worker leaves nevertheless, and the
/// consumer, which waits for that, gets the payload of the function.
///
/// Fails if the drop of the source unwinds the worker (edit `panics-source-unwinds-the-worker`).
#[test]
fn a_worker_leaves_though_the_source_panics_in_its_drop() {
    model::check(|| {
        let stop = CancelToken::new();
        let result = panic::catch_unwind(AssertUnwindSafe(|| {
            let fail = |_: u32| panic::resume_unwind(Box::new(7_u32));
            let outputs = Pipeline::source(Source(0..2)).cancelled_by(&stop).par_map(1, fail).bound(1);
            outputs.collect::<Vec<u32>>()
        }));
        assert_eq!(result.unwrap_err().downcast_ref(), Some(&7_u32));
    });
}

/// Pulls an output to its end; returns whether that panicked.
fn panics_at_the_end(mut output: impl Iterator) -> bool {
    panic::catch_unwind(AssertUnwindSafe(|| while output.next().is_some() {})).is_err()
}

/// Outputs that share an input both find its end, although the input panics when it is dropped.
///
/// Fails if the thread that drops the input unwinds before it wakes the other (edit
/// `panics-shared-source-ends-nobody`).
#[test]
fn shared_outputs_end_though_the_source_panics_in_its_drop() {
    model::check(|| {
        let mut outputs = Pipeline::source(Source(0..0)).fan_out(2).into_iter().map(IntoIterator::into_iter);
        let (mine, theirs) = (outputs.next().unwrap(), outputs.next().unwrap());
        let other = thread::spawn(move || panics_at_the_end(theirs));
        assert!(panics_at_the_end(mine) ^ other.join().unwrap(), "one of the two gets the panic");
    });
}

/// The same for outputs by key.
///
/// Fails if the thread that drops the input unwinds before it wakes the other (edit
/// `panics-routed-source-ends-nobody`).
#[test]
fn routed_outputs_end_though_the_source_panics_in_its_drop() {
    model::check(|| {
        let outputs = Pipeline::source(Source(0..0)).fan_out_by(2, 1, |n| *n);
        let mut outputs = outputs.into_iter().map(IntoIterator::into_iter);
        let (mine, theirs) = (outputs.next().unwrap(), outputs.next().unwrap());
        let other = thread::spawn(move || panics_at_the_end(theirs));
        assert!(panics_at_the_end(mine) ^ other.join().unwrap(), "one of the two gets the panic");
    });
}

/// An error whose drop panics.
#[derive(Debug)]
struct TouchyError;

impl fmt::Display for TouchyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no")
    }
}

impl std::error::Error for TouchyError {}

impl Drop for TouchyError {
    fn drop(&mut self) {
        panic::resume_unwind(Box::new("the drop of an error"));
    }
}

/// A batcher completes a batch that succeeds in its second attempt, although the error of the first panics
/// when it is dropped.
///
/// Fails if that panic unwinds the batcher's thread (edit `panics-error-unwinds-the-batcher`).
#[test]
fn a_retried_batch_ends_though_its_error_panics_in_its_drop() {
    model::check(|| {
        let mut attempts = 0;
        let batcher = Batcher::builder()
            .max_items(1)
            .max_age(Duration::MAX)
            .retry(retry::policy().first(Duration::ZERO))
            .build(move |_: &mut Batch<u32>| {
                attempts += 1;
                if attempts == 1 { Err(TouchyError) } else { Ok(()) }
            })
            .unwrap();
        batcher.add(1).unwrap();
        batcher.flush().unwrap();
        assert_eq!(batcher.close().stats.processed, 1);
    });
}

//! Models of `timeout::run`, each with the edits that break it.

use selvedge_loom as selvedge;

use selvedge::error::{JoinError, WaitError};
use selvedge::sync::atomic::{AtomicUsize, Ordering};
use selvedge::sync::{Arc, model, thread};
use selvedge::timeout::{self, Error, Running};
use selvedge::{CancelToken, Clock, Until};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// Advances `clock` by an hour at some point from now on.
fn advance(clock: &selvedge::ManualClock) -> thread::JoinHandle<()> {
    let clock = clock.clone();
    thread::spawn(move || clock.advance(HOUR))
}

/// The result is returned, or is in the handle of the late function, or the function has not started and
/// comes back: exactly one of the three, whenever the limit passes.
///
/// Fails if a result wakes no waiter (edit `one-shot-keeps-without-waking`).
#[test]
fn a_result_is_returned_or_in_the_handle_or_the_function_comes_back() {
    model::check(|| {
        let clock = Clock::manual();
        let started = Arc::new(AtomicUsize::new(0));
        let advancer = advance(&clock);
        let counts = Arc::clone(&started);
        let result = timeout::run((clock.clock(), HOUR), move |_| {
            counts.fetch_add(1, Ordering::Relaxed);
            7
        });
        match result {
            Ok(value) => assert_eq!(value, 7),
            Err(Error::NotStarted(back)) => {
                assert_eq!(back.error, WaitError::TimedOut);
                assert_eq!(started.load(Ordering::Relaxed), 0, "it has started");
                drop(back);
                assert_eq!(Arc::strong_count(&started), 1, "it is kept by somebody who may start it");
            }
            Err(Error::Late(late)) => {
                assert_eq!((late.error, late.value.join()), (WaitError::TimedOut, Ok(7)));
            }
        }
        advancer.join().unwrap();
    });
}

/// The limit cancels the function's token, even if its deadline is on another clock than the token's.
///
/// Fails if only a deadline on the token's own clock does (edit `timeout-foreign-clock-cancels-nobody`).
#[test]
fn the_limit_wakes_the_function() {
    model::check(|| {
        let (clock, token) = (Clock::manual(), CancelToken::new());
        let deadline = clock.now() + HOUR;
        let advancer = advance(&clock);
        let limit = Until::from((clock.clock(), deadline)).or_cancelled(&token);
        match timeout::run(limit, |token| token.wait()) {
            Ok(()) => unreachable!("only the limit ends it"),
            Err(error) => {
                if let Some(running) = error.into_running() {
                    let _ = running.join();
                }
            }
        }
        advancer.join().unwrap();
    });
}

/// A function that ends because its limit passed is late, never a success, whichever of the function and its
/// caller learns of the limit first.
///
/// Fails if the function's end is not compared with the limit (edit `timeout-late-is-success`).
#[test]
fn what_heeds_the_limit_is_late() {
    model::check(|| {
        let clock = Clock::manual();
        // Before the clock advances: an hour from a later moment would never come.
        let deadline = clock.now() + HOUR;
        let advancer = advance(&clock);
        match timeout::run((clock.clock(), deadline), |token| token.wait()) {
            Ok(()) => panic!("only the limit ends it"),
            Err(error) => {
                assert_eq!(error.reason(), WaitError::TimedOut);
                if let Some(running) = error.into_running() {
                    let _ = running.join();
                }
            }
        }
        advancer.join().unwrap();
    });
}

/// A panic of the function resumes at the call or at the join, with its payload.
///
/// Fails if a function that panicked hands over no payload (edit `timeout-panic-is-kept`).
#[test]
fn a_panic_comes_at_the_call_or_at_the_join() {
    model::check(|| {
        let stop = CancelToken::new();
        let canceller = thread::spawn({
            let stop = stop.clone();
            move || stop.cancel()
        });
        let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let result: Result<(), _> = timeout::run(&stop, |_| std::panic::resume_unwind(Box::new(7_u32)));
            result.or_else(|error| match error.into_running().map(Running::join) {
                Some(Err(JoinError::Panicked(panic))) => panic.resume(),
                Some(other) => panic!("{other:?}"),
                None => Err(()),
            })
        }));
        match told {
            Ok(result) => assert_eq!(result, Err(()), "it has not started"),
            Err(payload) => assert_eq!(payload.downcast_ref(), Some(&7_u32)),
        }
        canceller.join().unwrap();
    });
}

/// The system refuses the thread: the function runs once, on its caller or on a helper that has just become
/// free.
///
/// Fails if the caller does not run it (edit `timeout-refused-is-left`).
#[test]
fn a_function_without_a_thread_runs_on_its_caller() {
    model::check(|| {
        // One thread for both.
        model::refuse_threads_after(1);
        let runs = Arc::new(AtomicUsize::new(0));
        let call = |runs: &Arc<AtomicUsize>| {
            let runs = Arc::clone(runs);
            move || timeout::run(Until::forever(), move |_| runs.fetch_add(1, Ordering::AcqRel)).is_ok()
        };
        let other = thread::spawn(call(&runs));
        assert!(call(&runs)());
        assert!(other.join().unwrap());
        assert_eq!(runs.load(Ordering::Acquire), 2);
    });
}

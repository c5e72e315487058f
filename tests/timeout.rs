//! Functions under a time-out: nothing starts late, nothing is lost unseen, and success wins.

mod common;

use std::error::Error as StdError;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use common::{HOUR, eventually, within_a_minute};
use selvedge::error::{Cancelled, JoinError, WaitError};
use selvedge::timeout::{self, Error, Running};
use selvedge::{CancelToken, Clock, Latch, Pool, Until};

/// Runs `f` under a limit on a clock that is advanced past it as soon as `f` runs and the caller sleeps.
fn run_late<R: Send + 'static>(f: impl FnOnce(&CancelToken) -> R + Send + 'static) -> Option<Running<R>> {
    run_late_error(f).into_running()
}

fn run_late_error<R: Send + 'static>(
    f: impl FnOnce(&CancelToken) -> R + Send + 'static,
) -> Error<impl FnOnce(&CancelToken) -> R + Send + 'static, R> {
    let (clock, started) = (Clock::manual(), Arc::new(Latch::new(1)));
    let tells = Arc::clone(&started);
    thread::scope(|s| {
        s.spawn(|| {
            started.wait();
            clock.wait_for_sleepers(1);
            clock.advance(HOUR);
        });
        let run = move |token: &CancelToken| {
            tells.count_down();
            f(token)
        };
        timeout::run((clock.clock(), HOUR), run).err().expect("it is late")
    })
}

#[test]
fn result_comes_through() {
    within_a_minute(|| {
        assert_eq!(timeout::run(HOUR, |_| 7).unwrap(), 7);
        assert_eq!(timeout::run(Duration::MAX, |_| 7).unwrap(), 7);
        assert_eq!(timeout::run(Until::forever(), |_| 7).unwrap(), 7);
        assert_eq!(timeout::run(&CancelToken::new(), |_| 7).unwrap(), 7);
        assert_eq!(timeout::run(Instant::now() + HOUR, |_| 7).unwrap(), 7);
    });
}

#[test]
fn functions_own_error_comes_through() {
    within_a_minute(|| {
        let result: Result<u8, String> = timeout::run(HOUR, |_| Err("its own".to_owned())).unwrap();
        assert_eq!(result, Err("its own".into()));
    });
}

#[test]
fn functions_panic_comes_through_with_its_payload() {
    within_a_minute(|| {
        let told = catch_unwind(AssertUnwindSafe(|| {
            timeout::run(HOUR, |_| std::panic::resume_unwind(Box::new(7_u32)))
        }));
        assert_eq!(told.unwrap_err().downcast_ref(), Some(&7_u32));
        assert_eq!(timeout::run(HOUR, |_| 1).unwrap(), 1); // the thread lives on
    });
}

#[test]
fn nothing_starts_when_the_limit_has_passed() {
    within_a_minute(|| {
        let ran = Arc::new(AtomicUsize::new(0));
        let (token, late) = (CancelToken::new(), CancelToken::new().child_until(Duration::ZERO));
        token.cancel();
        let limits: [(Until<'_>, WaitError); 6] = [
            (Duration::ZERO.into(), WaitError::TimedOut),
            (Instant::now().into(), WaitError::TimedOut),
            ((&token).into(), WaitError::Cancelled),
            ((&token, HOUR).into(), WaitError::Cancelled),
            ((&token, Duration::ZERO).into(), WaitError::Cancelled),
            ((&late).into(), WaitError::Cancelled),
        ];
        // Many times: a thread that was called all the same would seldom be there before the caller gives up.
        for (limit, reason) in limits.into_iter().cycle().take(3_000) {
            let counts = Arc::clone(&ran);
            let error = timeout::run(limit, move |_| counts.fetch_add(1, SeqCst)).unwrap_err();
            assert_eq!(error.reason(), reason, "{limit:?}");
            let Error::NotStarted(rejected) = error else { panic!("{error:?} has started") };
            assert_eq!((rejected.error, Arc::strong_count(&ran)), (reason, 2), "the closure comes back");
        }
        assert_eq!(ran.load(SeqCst), 0);
    });
}

#[test]
fn token_is_cancelled_at_the_limit_and_wakes_the_function() {
    within_a_minute(|| {
        let (tells, hears) = mpsc::channel();
        let running = run_late(move |token| {
            let woken = token.sleep(HOUR * 9);
            tells.send((woken, token.is_cancelled(), token.cause().unwrap().is_deadline())).unwrap();
            woken
        });
        let (woken, cancelled, by_deadline) = hears.recv().unwrap();
        assert_eq!((woken, cancelled), (Err(Cancelled), true));
        assert!(by_deadline);
        assert_eq!(running.expect("it was late").join(), Ok(Err(Cancelled)));
    });
}

#[test]
fn function_that_ends_because_of_the_limit_is_always_late() {
    within_a_minute(|| {
        for round in 0..200 {
            let limit = Duration::from_micros(round * 10);
            let error = timeout::run(limit, |token| token.sleep(HOUR)).unwrap_err();
            assert_eq!(error.reason(), WaitError::TimedOut, "round {round}");
            if let Some(running) = error.into_running() {
                assert_eq!(running.join(), Ok(Err(Cancelled)));
            }
            // On a clock that stands still until the function sleeps, it has started for certain.
            let error = run_late_error(|token| token.sleep(HOUR * 9));
            assert!(matches!(&error, Error::Late(late) if late.error == WaitError::TimedOut), "{error:?}");
        }
    });
}

#[test]
fn function_that_heeds_the_callers_cancel_is_always_late() {
    within_a_minute(|| {
        for _ in 0..200 {
            let (stop, started) = (CancelToken::new(), Arc::new(Latch::new(1)));
            let error = thread::scope(|s| {
                s.spawn(|| {
                    started.wait();
                    stop.cancel();
                });
                let tells = Arc::clone(&started);
                timeout::run((&stop, HOUR), move |token| {
                    tells.count_down();
                    token.wait();
                })
            });
            let error = error.unwrap_err();
            assert!(matches!(&error, Error::Late(late) if late.error == WaitError::Cancelled), "{error:?}");
            error.into_running().unwrap().join().unwrap();
        }
    });
}

#[test]
fn function_that_ends_at_the_deadlines_instant_is_late_and_a_nanosecond_before_is_not() {
    within_a_minute(|| {
        for (passes, in_time) in [(HOUR - Duration::from_nanos(1), true), (HOUR, false), (HOUR * 2, false)] {
            let clock = Clock::manual();
            let advances = clock.clone();
            let result = timeout::run((clock.clock(), HOUR), move |_| {
                advances.advance(passes);
                7
            });
            assert_eq!(result.is_ok(), in_time, "{passes:?}");
            match result {
                Ok(value) => assert_eq!(value, 7),
                Err(error) => assert_eq!(
                    (error.reason(), error.into_running().unwrap().join()),
                    (WaitError::TimedOut, Ok(7))
                ),
            }
        }
    });
}

#[test]
fn function_that_cancels_its_own_token_is_in_time() {
    within_a_minute(|| {
        let stop = CancelToken::new();
        timeout::run((&stop, HOUR), |token| token.cancel()).unwrap();
        assert!(!stop.is_cancelled());
    });
}

#[test]
fn late_value_is_taken_from_the_error() {
    within_a_minute(|| {
        let gate = Arc::new(Latch::new(1));
        let waits = Arc::clone(&gate);
        let error = run_late_error(move |_| {
            waits.wait();
            "at last"
        });
        let error = error.into_value().unwrap_err();
        assert!(error.to_string().contains("still runs"), "{error}");
        let Error::Late(late) = error else { panic!("it has started") };
        let running = late.value.try_join().unwrap_err();
        gate.count_down();
        eventually("it has ended", || running.is_finished());
        let error: Error<(), _> =
            Error::Late(selvedge::error::Rejected { value: running, error: late.error });
        assert!(error.to_string().contains("ended after"), "{error}");
        assert_eq!(error.into_value().unwrap(), "at last");

        let unstarted = timeout::run(Duration::ZERO, |_| 7).or_else(Error::into_value);
        assert!(matches!(unstarted, Err(Error::NotStarted(_))));
    });
}

#[test]
fn function_on_another_clock_than_its_token_is_told_too() {
    within_a_minute(|| {
        let (clock, token) = (Clock::manual(), CancelToken::new());
        let limit = Until::from((clock.clock(), HOUR)).or_cancelled(&token);
        let started = Arc::new(Latch::new(1));
        let tells = Arc::clone(&started);
        thread::scope(|s| {
            s.spawn(|| {
                started.wait();
                clock.wait_for_sleepers(1);
                clock.advance(HOUR);
            });
            let function = move |token: &CancelToken| {
                tells.count_down();
                token.wait();
            };
            let error = timeout::run(limit, function).unwrap_err();
            assert_eq!(error.reason(), WaitError::TimedOut);
            error.into_running().unwrap().join().unwrap();
        });
        assert!(!token.is_cancelled(), "the caller's own");
    });
}

#[test]
fn callers_token_reaches_the_function() {
    within_a_minute(|| {
        let (stop, started) = (CancelToken::new(), Arc::new(Latch::new(1)));
        thread::scope(|s| {
            s.spawn(|| {
                started.wait();
                stop.cancel_because("enough");
            });
            let tells = Arc::clone(&started);
            let result = timeout::run((&stop, HOUR), move |token| {
                tells.count_down();
                token.wait();
                token.cause().unwrap().to_string()
            });
            let cause = result.or_else(|error| {
                assert_eq!(error.reason(), WaitError::Cancelled);
                error.into_running().map(|late| late.join().unwrap()).ok_or("it has started")
            });
            assert_eq!(cause.unwrap(), "enough");
        });
    });
}

#[test]
fn what_still_runs_is_joined_by_its_handle() {
    within_a_minute(|| {
        let gate = Arc::new(Latch::new(1));
        let waits = Arc::clone(&gate);
        let running = run_late(move |_| {
            waits.wait();
            "side effects and all"
        });
        let running = running.unwrap();
        assert!(!running.is_finished());
        let late = running.join_until(Duration::from_millis(1)).unwrap_err();
        assert_eq!(late.error, WaitError::TimedOut);
        assert!(format!("{:?}", late.value).contains("Running"));
        gate.count_down();
        assert_eq!(late.value.join_until(HOUR).unwrap().unwrap(), "side effects and all");
    });
}

#[test]
fn panic_after_the_limit_comes_at_the_join() {
    within_a_minute(|| {
        let gate = Arc::new(Latch::new(1));
        let waits = Arc::clone(&gate);
        let running = run_late(move |_| -> u8 {
            waits.wait();
            std::panic::resume_unwind(Box::new("late"))
        });
        gate.count_down();
        match running.unwrap().join() {
            Err(JoinError::Panicked(panic)) => assert_eq!(panic.message(), "late"),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn what_nobody_joins_runs_on_and_its_result_is_dropped() {
    within_a_minute(|| {
        let (gate, held) = (Arc::new(Latch::new(1)), Arc::new(()));
        for panics in [false, true] {
            let (waits, held) = (Arc::clone(&gate), Arc::clone(&held));
            let running = run_late(move |_| {
                waits.wait();
                if panics {
                    std::panic::resume_unwind(Box::new("nobody is there"));
                }
                held
            });
            drop(running.unwrap());
        }
        gate.count_down();
        eventually("both have ended", || Arc::strong_count(&held) == 1);
    });
}

#[test]
fn success_at_the_deadline_is_success_or_in_the_handle_and_never_lost() {
    within_a_minute(|| {
        let mut successes = 0;
        for round in 0..500 {
            let clock = Clock::manual();
            let result = thread::scope(|s| {
                s.spawn(|| {
                    for _ in 0..round % 10 {
                        thread::yield_now();
                    }
                    clock.advance(HOUR);
                });
                timeout::run((clock.clock(), HOUR), move |_| round)
            });
            match result {
                Ok(value) => {
                    successes += 1;
                    assert_eq!(value, round);
                }
                Err(Error::Late(late)) => assert_eq!(late.value.join(), Ok(round)),
                Err(Error::NotStarted(back)) => assert_eq!((back.value)(&CancelToken::new()), round),
            }
        }
        assert!(successes > 0, "none of 500");
    });
}

#[test]
fn time_that_passes_while_the_function_returns_loses_nothing() {
    struct AtTheEnd<F: FnMut()>(F);
    impl<F: FnMut()> Drop for AtTheEnd<F> {
        fn drop(&mut self) {
            (self.0)();
        }
    }
    within_a_minute(|| {
        for _ in 0..100 {
            let clock = Clock::manual();
            let advances = clock.clone();
            let result = timeout::run((clock.clock(), HOUR), move |_| {
                let _guard = AtTheEnd(|| advances.advance(HOUR));
                7
            });
            match result {
                Ok(value) => assert_eq!(value, 7),
                Err(error) => assert_eq!(error.into_running().map(Running::join), Some(Ok(7))),
            }
        }
    });
}

#[test]
fn function_that_joins_itself_is_refused() {
    within_a_minute(|| {
        let (sends, own) = mpsc::channel::<Running<()>>();
        let (tells, hears) = mpsc::channel();
        let running = run_late(move |_| {
            let refused = own.recv().unwrap().join_until(HOUR).unwrap_err();
            tells.send(refused.error).unwrap();
        });
        sends.send(running.unwrap()).unwrap();
        assert_eq!(hears.recv(), Ok(WaitError::WouldDeadlock));
    });
}

#[test]
fn time_outs_inside_each_other_end_at_the_first_limit() {
    within_a_minute(|| {
        let inner_stopped = Arc::new(AtomicBool::new(false));
        let (tells, never_started) = (Arc::clone(&inner_stopped), Arc::clone(&inner_stopped));
        let running = run_late(move |outer| {
            let inner = timeout::run((outer, HOUR * 9), move |token| {
                token.wait();
                tells.store(true, SeqCst);
            });
            if let Err(error) = inner {
                assert_eq!(error.reason(), WaitError::Cancelled);
                match error.into_running() {
                    Some(running) => running.join().unwrap(),
                    // The outer limit passed before it could; nor does it now.
                    None => never_started.store(true, SeqCst),
                }
            }
        });
        if let Some(running) = running {
            running.join().unwrap();
        }
        eventually("the inner one was stopped", || inner_stopped.load(SeqCst));
    });
}

#[test]
fn worker_of_a_pool_may_wait_for_a_function_that_submits_to_the_full_pool() {
    within_a_minute(|| {
        let pool = Arc::new(Pool::builder().workers(1).queue(1).build().unwrap());
        let inner = Arc::clone(&pool);
        let task = pool.submit(move || {
            inner.execute(|| ()).unwrap(); // the queue is full
            let again = Arc::clone(&inner);
            timeout::run(HOUR, move |_| again.submit(|| 7).unwrap().join().unwrap()).unwrap()
        });
        assert_eq!(task.unwrap().join().unwrap(), 7);
    });
}

#[test]
fn error_reads_as_a_sentence_and_goes_where_errors_go() {
    within_a_minute(|| {
        fn fails() -> Result<(), Box<dyn StdError>> {
            timeout::run(Duration::ZERO, |_| ())?;
            Ok(())
        }
        fn fails_plainly() -> Result<u8, WaitError> {
            Ok(timeout::run(Duration::ZERO, |_| 1)?)
        }
        let said = fails().unwrap_err().to_string();
        assert!(said.contains("timed out") && said.contains("not started"), "{said}");
        assert_eq!(fails_plainly(), Err(WaitError::TimedOut));
        let gate = Arc::new(Latch::new(1));
        let waits = Arc::clone(&gate);
        let error = timeout::run(Duration::from_millis(20), move |_| waits.wait()).unwrap_err();
        assert!(error.to_string().contains("still runs") || error.to_string().contains("not started"));
        assert!(format!("{error:?}").contains("TimedOut"), "{error:?}");
        gate.count_down();
    });
}

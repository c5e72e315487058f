//! What a scope can do beyond spawning: closers, results, names, all errors, and a limit that does not hang.

#![allow(clippy::unit_arg, reason = "a task that only waits is one expression")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::{HOUR, message, within_a_minute};
use selvedge::error::{JoinError, TryError, WaitError, WouldDeadlock};
use selvedge::group::{Error, Handle, Scope, scope};
use selvedge::{BoundedQueue, CancelToken, Clock, Latch};

/// Runs a scope under a token of its own.
fn run<'env, T, E, F>(body: F) -> Result<T, Error<E>>
where
    E: Send + 'env,
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env, E>) -> Result<T, E>,
{
    scope(&CancelToken::new(), body)
}

/// Keeps a thread awake until `condition` holds: no call of ours, so the limit counts it.
fn spin_until(condition: impl Fn() -> bool) {
    while !condition() {
        std::thread::yield_now();
    }
}

mod limits {
    use super::*;

    #[test]
    fn ten_of_a_hundred_that_wait_for_a_cancel_which_only_the_eleventh_brings_end() {
        within_a_minute(|| {
            let (slept, ran) = (AtomicUsize::new(0), AtomicUsize::new(0));
            let result = run(|g| {
                g.limit(10);
                for n in 0..100 {
                    let (slept, ran) = (&slept, &ran);
                    g.spawn(move |token| {
                        ran.fetch_add(1, SeqCst);
                        if n == 10 {
                            return Err("the eleventh");
                        }
                        match n % 2 {
                            0 => token.wait(),
                            _ => assert!(token.sleep(HOUR).is_err()),
                        }
                        slept.fetch_add(1, SeqCst);
                        Ok(())
                    });
                }
                Ok(())
            });
            assert_eq!(result, Err(Error::Failed("the eleventh")));
            // Ten, and perhaps some that came to it before the cancel.
            assert!(slept.load(SeqCst) >= 10 && ran.load(SeqCst) < 100, "{slept:?} of {ran:?}");
        });
    }

    #[test]
    fn task_that_pops_what_only_a_queued_one_pushes_gets_it_at_a_limit_of_one() {
        within_a_minute(|| {
            let queue = BoundedQueue::new(1);
            let result = run::<_, &str, _>(|g| {
                g.limit(1);
                g.spawn(|_| {
                    assert_eq!(queue.pop(), Ok(7));
                    Ok(())
                });
                g.spawn(|_| queue.push(7).map_err(|_| "closed"));
                Ok(())
            });
            assert_eq!(result, Ok(()));
        });
    }

    #[test]
    fn chain_of_tasks_that_each_wait_for_the_next_ends_at_a_limit_of_one() {
        within_a_minute(|| {
            let latches: Vec<Latch> = (0..20).map(|_| Latch::new(1)).collect();
            let result = run::<_, &str, _>(|g| {
                g.limit(1);
                for n in 0..latches.len() {
                    let latches = &latches;
                    g.spawn(move |_| {
                        if let Some(next) = latches.get(n + 1) {
                            next.wait();
                        }
                        latches[n].count_down();
                        Ok(())
                    });
                }
                Ok(())
            });
            assert_eq!(result, Ok(()));
        });
    }

    #[test]
    fn task_that_joins_a_queued_one_ends_at_a_limit_of_one() {
        within_a_minute(|| {
            let result = run::<_, JoinError, _>(|g| {
                g.limit(1);
                let outer = g.submit(move |_| {
                    let inner = g.submit(|_| Ok(20));
                    Ok(inner.join()? + 1)
                });
                outer.join()
            });
            assert_eq!(result, Ok(21));
        });
    }

    #[test]
    fn queued_task_does_not_start_while_one_is_awake() {
        within_a_minute(|| {
            let (never, third, asleep) = (Latch::new(1), AtomicBool::new(false), Latch::new(1));
            let result = run::<_, &str, _>(|g| {
                g.limit(2);
                g.spawn(|_| {
                    asleep.count_down();
                    never.wait();
                    Ok(())
                });
                g.spawn(|_| {
                    spin_until(|| asleep.is_open());
                    // The first sleeps or is about to; this one is awake all the time.
                    for _ in 0..1000 {
                        std::thread::yield_now();
                    }
                    assert!(!third.load(SeqCst), "started beyond the limit");
                    never.count_down();
                    Ok(())
                });
                g.spawn(|_| {
                    third.store(true, SeqCst);
                    Ok(())
                });
                Ok(())
            });
            assert_eq!((result, third.load(SeqCst)), (Ok(()), true));
        });
    }

    #[test]
    fn naps_count_as_work() {
        within_a_minute(|| {
            let inside = AtomicUsize::new(0);
            let result = run::<_, &str, _>(|g| {
                g.limit(1);
                for _ in 0..5 {
                    g.spawn(|token| {
                        assert_eq!(inside.fetch_add(1, SeqCst), 0, "two at a time");
                        for _ in 0..5 {
                            token.sleep(Duration::from_millis(1)).map_err(|_| "cancelled")?;
                        }
                        inside.fetch_sub(1, SeqCst);
                        Ok(())
                    });
                }
                Ok(())
            });
            assert_eq!(result, Ok(()));
        });
    }

    #[test]
    fn tasks_that_nap_until_a_queued_one_cancels_them_end() {
        within_a_minute(|| {
            let result = run(|g| {
                g.limit(2);
                for _ in 0..2 {
                    g.spawn(|token| {
                        while token.sleep(Duration::from_millis(50)).is_ok() {}
                        Ok(())
                    });
                }
                g.spawn(|_| Err("enough"));
                Ok(())
            });
            assert_eq!(result, Err(Error::Failed("enough")));
        });
    }

    #[test]
    fn task_is_awake_while_those_of_its_own_scope_are() {
        within_a_minute(|| {
            let (met, second) = (AtomicUsize::new(0), AtomicBool::new(false));
            let result = run::<_, &str, _>(|g| {
                g.limit(1);
                g.spawn(|token| {
                    let inner = scope(token, |inner| {
                        for _ in 0..2 {
                            inner.spawn(|_| {
                                // Both run: one of them on a helper, which still does when its owner sleeps.
                                let first = met.fetch_add(1, SeqCst) == 0;
                                spin_until(|| met.load(SeqCst) == 2);
                                for _ in 0..if first { 1000 } else { 0 } {
                                    std::thread::yield_now();
                                }
                                assert!(!second.load(SeqCst), "started beyond the limit");
                                Ok::<_, &str>(())
                            });
                        }
                        Ok(())
                    });
                    inner.map_err(|_| "inner")
                });
                g.spawn(|_| {
                    second.store(true, SeqCst);
                    Ok(())
                });
                Ok(())
            });
            assert_eq!((result, second.load(SeqCst)), (Ok(()), true));
        });
    }

    #[test]
    fn places_of_a_limit_are_free_again_when_tasks_have_ended() {
        within_a_minute(|| {
            let result = run::<_, &str, _>(|g| {
                g.limit(1);
                for _ in 0..100 {
                    assert!(g.try_spawn(|_| Ok(())).is_ok());
                    g.wait().unwrap();
                }
                let gate = Arc::new(Latch::new(1));
                let waits = Arc::clone(&gate);
                assert!(g.try_spawn(move |_| Ok(waits.wait())).is_ok());
                assert_eq!(g.try_spawn(|_| Ok(())).unwrap_err().error, TryError::WouldBlock);
                gate.count_down();
                Ok(())
            });
            assert_eq!(result, Ok(()));
        });
    }
}

mod closers {
    use super::*;

    #[test]
    fn failure_closes_what_the_rest_waits_on_without_the_token() {
        within_a_minute(|| {
            for panics in [false, true] {
                let (queue, full) = (BoundedQueue::<u8>::new(1), BoundedQueue::new(1));
                full.push(0).unwrap();
                let calls = AtomicUsize::new(0);
                let result = catch_unwind(AssertUnwindSafe(|| {
                    run(|g| {
                        g.on_stop(|| queue.close());
                        g.on_stop(|| full.close());
                        g.on_stop(|| calls.fetch_add(1, SeqCst));
                        g.spawn(|_| queue.pop().map(drop).map_err(|_| "closed"));
                        g.spawn(|_| full.push(1).map_err(|_| "closed"));
                        g.spawn(|_| match panics {
                            true => std::panic::resume_unwind(Box::new("panicked")),
                            false => Err("failed"),
                        });
                        Ok(())
                    })
                }));
                match result {
                    Ok(result) => assert_eq!((result, panics), (Err(Error::Failed("failed")), false)),
                    Err(payload) => assert_eq!((message(&*payload), panics), ("panicked".into(), true)),
                }
                assert_eq!(calls.load(SeqCst), 1);
            }
        });
    }

    #[test]
    fn cancel_from_outside_calls_the_closers_too() {
        within_a_minute(|| {
            let (token, queue) = (CancelToken::new(), BoundedQueue::<u8>::new(1));
            let ready = Latch::new(1);
            let result = scope(&token, |g| {
                g.on_stop(|| queue.close());
                g.spawn(|_| {
                    ready.count_down();
                    queue.pop().map(drop).map_err(|_| "closed")
                });
                ready.wait();
                token.cancel();
                Ok(())
            });
            assert_eq!(result, Err(Error::Failed("closed")));
        });
    }

    #[test]
    fn deadline_of_the_token_calls_the_closers_too() {
        within_a_minute(|| {
            let clock = Clock::manual();
            let token = CancelToken::with_clock(&clock).child_until(HOUR);
            let queue = BoundedQueue::<u8>::new(1);
            let result = scope(&token, |g| {
                g.on_stop(|| queue.close());
                g.spawn(|_| queue.pop().map(drop).map_err(|_| "closed"));
                clock.advance(HOUR);
                Ok(())
            });
            assert!(matches!(result, Err(Error::Failed("closed") | Error::Cancelled)), "{result:?}");
            assert!(queue.is_closed());
        });
    }

    #[test]
    fn failing_body_calls_the_closers_before_it_waits() {
        within_a_minute(|| {
            let queue = BoundedQueue::<u8>::new(1);
            let result = run::<(), _, _>(|g| {
                g.on_stop(|| queue.close());
                g.spawn(|_| queue.pop().map(drop).map_err(|_| "later"));
                Err("body")
            });
            assert_eq!(result, Err(Error::Failed("body")));
        });
    }

    #[test]
    fn closer_that_comes_after_the_stop_is_called_at_once() {
        within_a_minute(|| {
            let calls = AtomicUsize::new(0);
            let result = run::<_, &str, _>(|g| {
                g.cancel();
                g.on_stop(|| calls.fetch_add(1, SeqCst));
                assert_eq!(calls.load(SeqCst), 1);
                g.on_stop(|| calls.fetch_add(1, SeqCst));
                assert_eq!(calls.load(SeqCst), 2);
                Ok(())
            });
            assert_eq!((result, calls.load(SeqCst)), (Ok(()), 2));
        });
    }

    #[test]
    fn closer_of_a_scope_that_does_not_stop_is_dropped_uncalled() {
        within_a_minute(|| {
            let held = Arc::new(AtomicUsize::new(0));
            let token = CancelToken::new();
            let result = scope(&token, |g| {
                let counts = Arc::clone(&held);
                g.on_stop(move || counts.fetch_add(1, SeqCst));
                g.spawn(|_| Ok::<_, ()>(()));
                Ok(())
            });
            assert_eq!((result, Arc::strong_count(&held)), (Ok(()), 1));
            token.cancel();
            assert_eq!(held.load(SeqCst), 0);
        });
    }

    #[test]
    fn panic_of_a_closer_is_the_scopes_and_the_other_closers_are_called() {
        within_a_minute(|| {
            let (calls, queue) = (AtomicUsize::new(0), BoundedQueue::<u8>::new(1));
            let result = catch_unwind(AssertUnwindSafe(|| {
                run::<_, &str, _>(|g| {
                    g.on_stop(|| -> () { std::panic::resume_unwind(Box::new("closer")) });
                    g.on_stop(|| calls.fetch_add(1, SeqCst));
                    g.on_stop(|| queue.close());
                    g.spawn(|_| {
                        queue.pop().unwrap_err();
                        Ok(())
                    });
                    g.cancel();
                    Ok(())
                })
            }));
            assert_eq!((message(&*result.unwrap_err()), calls.load(SeqCst)), ("closer".into(), 1));
        });
    }

    #[test]
    fn cancel_that_races_the_end_of_the_scope_leaves_no_closer_running() {
        within_a_minute(|| {
            for _ in 0..300 {
                let token = CancelToken::new();
                let inside = Arc::new(AtomicBool::new(false));
                std::thread::scope(|s| {
                    let cancelling = s.spawn(|| token.cancel());
                    let result = scope(&token, |g| {
                        g.on_stop(|| {
                            inside.store(true, SeqCst);
                            std::thread::yield_now();
                            inside.store(false, SeqCst);
                        });
                        Ok::<_, ()>(())
                    });
                    assert_eq!((result, inside.load(SeqCst)), (Ok(()), false));
                    // By hand: that a scope of std's joins is not seen by ThreadSanitizer.
                    cancelling.join().unwrap();
                });
            }
        });
    }
}

mod results {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_spawning_whatever_order_the_tasks_end_in() {
        within_a_minute(|| {
            let turns: Vec<Latch> = (0..5).map(|_| Latch::new(1)).collect();
            let result = run::<_, JoinError, _>(|g| {
                let handles: Vec<Handle<usize>> = (0..4)
                    .map(|n| {
                        let turns = &turns;
                        g.submit(move |_| {
                            turns[n + 1].wait(); // the last ends first
                            turns[n].count_down();
                            Ok(n)
                        })
                    })
                    .collect();
                turns[4].count_down();
                handles.into_iter().map(Handle::join).collect::<Result<Vec<_>, _>>()
            });
            assert_eq!(result, Ok(vec![0, 1, 2, 3]));
        });
    }

    #[test]
    fn result_may_borrow_and_outlive_the_scope() {
        within_a_minute(|| {
            let words = [String::from("warp"), String::from("weft")];
            let handles: Vec<Handle<&str>> =
                run::<_, (), _>(|g| Ok(words.iter().map(|word| g.submit(move |_| Ok(&word[1..]))).collect()))
                    .unwrap();
            let ends: Result<Vec<&str>, _> = handles.into_iter().map(Handle::join).collect();
            assert_eq!(ends, Ok(vec!["arp", "eft"]));
        });
    }

    #[test]
    fn joiner_of_a_failed_task_finds_the_reason_written_down() {
        within_a_minute(|| {
            for _ in 0..200 {
                let result = run::<(), _, _>(|g| {
                    let handle = g.submit(|_| Err::<u8, _>("task"));
                    assert_eq!(handle.join(), Err(JoinError::Cancelled));
                    assert!(g.token().is_cancelled());
                    Err("body")
                });
                assert_eq!(result, Err(Error::Failed("task")), "the task's came first");
            }
        });
    }

    #[test]
    fn joiner_of_a_task_that_panics_or_never_starts_gets_an_error() {
        within_a_minute(|| {
            let result = catch_unwind(AssertUnwindSafe(|| {
                run::<_, &str, _>(|g| {
                    g.limit(1);
                    let panics =
                        g.submit(|_| -> Result<u8, _> { std::panic::resume_unwind(Box::new("payload")) });
                    let queued = g.submit(|_| Ok(1));
                    assert_eq!(
                        (panics.join(), queued.join()),
                        (Err(JoinError::Cancelled), Err(JoinError::Cancelled))
                    );
                    Ok(())
                })
            }));
            assert_eq!(message(&*result.unwrap_err()), "payload");
        });
    }

    #[test]
    fn join_that_times_out_gives_the_handle_back() {
        within_a_minute(|| {
            let gate = Latch::new(1);
            let result = run::<_, (), _>(|g| {
                let handle = g.submit(|_| {
                    gate.wait();
                    Ok(3)
                });
                let handle = handle.try_join().unwrap_err();
                assert!(!handle.is_finished());
                let late = handle.join_until(Duration::from_millis(1)).unwrap_err();
                assert_eq!(late.error, WaitError::TimedOut);
                let stop = CancelToken::new();
                stop.cancel();
                let late = late.value.join_until(&stop).unwrap_err();
                assert_eq!(late.error, WaitError::Cancelled);
                gate.count_down();
                Ok(late.value.join_until(HOUR).unwrap())
            });
            assert_eq!(result, Ok(Ok(3)));
        });
    }

    #[test]
    fn result_of_a_dropped_handle_is_dropped() {
        within_a_minute(|| {
            let held = Arc::new(());
            let result = run::<_, (), _>(|g| {
                for _ in 0..10 {
                    let held = Arc::clone(&held);
                    drop(g.submit(move |_| Ok(held)));
                }
                Ok(())
            });
            assert_eq!((result, Arc::strong_count(&held)), (Ok(()), 1));
        });
    }

    #[test]
    fn task_that_joins_itself_is_refused() {
        within_a_minute(|| {
            let own: Mutex<Option<Handle<()>>> = Mutex::new(None);
            let placed = Latch::new(1);
            let result = run::<_, WaitError, _>(|g| {
                let handle = g.submit(|_| {
                    placed.wait();
                    let own = own.lock().unwrap().take().unwrap();
                    own.join_until(HOUR).map(drop).map_err(|refused| refused.error)
                });
                *own.lock().unwrap() = Some(handle);
                placed.count_down();
                Ok(())
            });
            assert_eq!(result, Err(Error::Failed(WaitError::WouldDeadlock)));
        });
    }
}

mod waits {
    use super::*;

    #[test]
    fn wait_that_times_out_names_the_running_tasks() {
        within_a_minute(|| {
            let (gate, ready) = (Latch::new(1), Latch::new(2));
            let result = run::<_, &str, _>(|g| {
                g.limit(2);
                let waits = |_: &CancelToken| {
                    ready.count_down();
                    spin_until(|| gate.is_open());
                    Ok(())
                };
                g.spawn_named("reader", waits);
                g.spawn(waits);
                g.spawn_named("writer", |_| Ok(()));
                ready.wait();
                let late = g.wait_until(Duration::from_millis(1)).unwrap_err();
                assert_eq!(late.error, WaitError::TimedOut);
                assert_eq!(late.value.running, ["reader", "task 1"]);
                assert_eq!(late.value.waiting, 1);
                let said = late.value.to_string();
                assert!(said.contains("2 running (reader, task 1), 1 not started"), "{said}");
                gate.count_down();
                g.wait_until(HOUR).unwrap();
                g.wait_until(Duration::ZERO).unwrap();
                Ok(())
            });
            assert_eq!(result, Ok(()));
        });
    }

    #[test]
    fn deadline_of_a_wait_is_kept_on_the_clock_that_it_names() {
        within_a_minute(|| {
            let (clock, started) = (Clock::manual(), Latch::new(1));
            let result = run::<_, &str, _>(|g| {
                g.spawn(|token| {
                    started.count_down();
                    Ok(token.wait())
                });
                started.wait();
                std::thread::scope(|s| {
                    s.spawn(|| {
                        clock.wait_for_sleepers(1);
                        clock.advance(HOUR);
                    });
                    let late = g.wait_until((clock.clock(), HOUR)).unwrap_err();
                    assert_eq!(
                        (late.error, late.value.running),
                        (WaitError::TimedOut, vec!["task 0".into()])
                    );
                });
                g.cancel();
                Ok(())
            });
            assert_eq!(result, Ok(()));
        });
    }

    #[test]
    fn waiting_in_the_body_lets_it_go_on_with_what_the_tasks_have_done() {
        within_a_minute(|| {
            let sum = AtomicUsize::new(0);
            let result = run::<_, (), _>(|g| {
                for round in 1..=3 {
                    for n in 0..100 {
                        let sum = &sum;
                        g.spawn(move |_| {
                            sum.fetch_add(n, SeqCst);
                            Ok(())
                        });
                    }
                    g.wait().unwrap();
                    assert_eq!(sum.load(SeqCst), round * 4950);
                }
                Ok(())
            });
            assert_eq!(result, Ok(()));
        });
    }

    #[test]
    fn task_that_waits_for_its_own_scope_is_refused_at_once() {
        within_a_minute(|| {
            let result = run::<_, WaitError, _>(|g| {
                g.spawn(move |_| g.wait_until(HOUR).map_err(|refused| refused.error));
                Ok(())
            });
            assert_eq!(result, Err(Error::Failed(WaitError::WouldDeadlock)));
            let result = run::<_, Error<WouldDeadlock>, _>(|g| {
                // From within a scope inside the task, too: the task waits for that.
                g.spawn(move |token| {
                    scope(token, |inner| {
                        inner.spawn(move |_| g.wait());
                        Ok(())
                    })
                });
                Ok(())
            });
            assert_eq!(result, Err(Error::Failed(Error::Failed(WouldDeadlock))));
        });
    }
}

mod errors {
    use super::*;

    #[test]
    fn all_errors_are_there_on_request_and_nobody_is_stopped() {
        within_a_minute(|| {
            let ran = AtomicUsize::new(0);
            let result = run::<_, usize, _>(|g| {
                g.keep_going();
                g.limit(1);
                for n in 0..100 {
                    let ran = &ran;
                    g.spawn(move |_| {
                        ran.fetch_add(1, SeqCst);
                        if n % 10 == 3 { Err(n) } else { Ok(()) }
                    });
                }
                g.wait().unwrap();
                Ok(g.take_errors())
            });
            let expected: Vec<usize> = (0..10).map(|n| 10 * n + 3).collect();
            assert_eq!((result, ran.load(SeqCst)), (Ok(expected), 100));
        });
    }

    #[test]
    fn errors_that_nobody_took_end_in_the_first() {
        within_a_minute(|| {
            let result = run::<_, u8, _>(|g| {
                g.keep_going();
                g.limit(1);
                for n in 1..=3 {
                    g.spawn(move |_| Err(n));
                }
                Ok(())
            });
            assert_eq!(result, Err(Error::Failed(1)));
        });
    }

    #[test]
    fn panic_stops_the_rest_though_errors_do_not() {
        within_a_minute(|| {
            let result = catch_unwind(AssertUnwindSafe(|| {
                run::<_, u8, _>(|g| {
                    g.keep_going();
                    g.spawn(|token| Ok(token.wait()));
                    g.spawn(|_| std::panic::resume_unwind(Box::new("payload")));
                    Ok(())
                })
            }));
            assert_eq!(message(&*result.unwrap_err()), "payload");
        });
    }

    #[test]
    fn errors_of_those_who_were_stopped_are_kept_behind_the_first() {
        within_a_minute(|| {
            let ready = Latch::new(3);
            let result = run::<_, &str, _>(|g| {
                for _ in 0..3 {
                    g.spawn(|token| {
                        ready.count_down();
                        token.wait();
                        Err("stopped")
                    });
                }
                ready.wait();
                g.spawn(|_| Err("first"));
                g.wait().unwrap();
                Ok(g.take_errors())
            });
            assert_eq!(result, Ok(vec!["first", "stopped", "stopped", "stopped"]));
        });
    }
}

#[test]
fn ten_thousand_tasks_all_run_with_and_without_a_limit() {
    within_a_minute(|| {
        for limit in [1, 7, usize::MAX] {
            let ran = AtomicUsize::new(0);
            let result = run::<_, (), _>(|g| {
                g.limit(limit);
                for _ in 0..10_000 {
                    g.spawn(|_| {
                        ran.fetch_add(1, SeqCst);
                        Ok(())
                    });
                }
                Ok(())
            });
            assert_eq!((result, ran.load(SeqCst)), (Ok(()), 10_000));
        }
    });
}

#[test]
fn body_may_change_what_it_owns_once_the_scope_has_ended() {
    within_a_minute(|| {
        let mut numbers = vec![1, 2, 3, 4];
        let (left, right) = numbers.split_at_mut(2);
        let result = run::<_, (), _>(|g| {
            g.spawn(|_| Ok(left.iter_mut().for_each(|n| *n += 10)));
            g.spawn(|_| Ok(right.iter_mut().for_each(|n| *n += 20)));
            Ok(())
        });
        numbers.push(5);
        assert_eq!((result, numbers), (Ok(()), vec![11, 12, 23, 24, 5]));
    });
}

#[test]
fn debug_of_a_scope_and_a_handle_never_waits() {
    within_a_minute(|| {
        let result = run::<_, (), _>(|g| {
            let handle = g.submit(|_| Ok(1));
            assert!(format!("{g:?}").contains("running") || format!("{g:?}").contains(".."));
            assert!(format!("{handle:?}").contains("Handle"));
            Ok(())
        });
        assert_eq!(result, Ok(()));
    });
}

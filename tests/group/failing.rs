//! Scopes from outside: the first failure stops the rest, and all have ended when the scope returns.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::{HOUR, message, within_a_minute};
use selvedge::error::{TryError, WaitError};
use selvedge::group::{Error, Scope, scope};
use selvedge::{BoundedQueue, CancelToken, Clock, Latch, Semaphore};

/// Runs a scope under a token of its own.
fn run<'env, T, E, F>(body: F) -> Result<T, Error<E>>
where
    E: Send + 'env,
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env, E>) -> Result<T, E>,
{
    scope(&CancelToken::new(), body)
}

#[test]
fn tasks_borrow_from_the_stack_and_have_ended_when_the_scope_returns() {
    within_a_minute(|| {
        let words = [String::from("warp"), String::from("weft")];
        let total = Mutex::new(0);
        let value = run::<_, &str, _>(|g| {
            for word in &words {
                g.spawn(|_| {
                    *total.lock().unwrap() += word.len();
                    Ok(())
                });
            }
            Ok(words.len())
        });
        assert_eq!((value, *total.lock().unwrap()), (Ok(2), 8));
    });
}

#[test]
fn scope_without_tasks_returns_what_its_body_does() {
    assert_eq!(run::<_, &str, _>(|_| Ok(3)), Ok(3));
    assert_eq!(run::<_, &str, _>(|_| Err::<(), _>("body")), Err(Error::Failed("body")));
}

#[test]
fn first_error_wakes_every_kind_of_sleeper() {
    within_a_minute(|| {
        let (queue, full) = (BoundedQueue::<u8>::new(1), BoundedQueue::new(1));
        full.push(0).unwrap();
        let semaphore = Semaphore::new(1);
        let _held = semaphore.acquire().unwrap();
        let (latch, ready) = (Latch::new(1), Latch::new(5));
        let woken = AtomicUsize::new(0);
        let count = |ended: bool| {
            woken.fetch_add(usize::from(ended), SeqCst);
            Ok(())
        };
        let result = run::<_, &str, _>(|g| {
            g.spawn(|token| {
                ready.count_down();
                count(token.sleep(HOUR).is_err())
            });
            g.spawn(|token| {
                ready.count_down();
                count(queue.pop_until(token) == Err(WaitError::Cancelled))
            });
            g.spawn(|token| {
                ready.count_down();
                count(full.push_until(1, token).is_err())
            });
            g.spawn(|token| {
                ready.count_down();
                count(semaphore.acquire_until(token).is_err())
            });
            g.spawn(|token| {
                ready.count_down();
                count(latch.wait_until(token).is_err())
            });
            g.spawn(|_| {
                ready.wait();
                Err("the disk is full")
            });
            Ok(())
        });
        assert_eq!((result, woken.load(SeqCst)), (Err(Error::Failed("the disk is full")), 5));
    });
}

#[test]
fn later_errors_do_not_replace_the_first() {
    within_a_minute(|| {
        let ready = Latch::new(2);
        let result = run::<_, &str, _>(|g| {
            for _ in 0..2 {
                g.spawn(|token| {
                    ready.count_down();
                    token.wait();
                    Err("later")
                });
            }
            g.spawn(|_| {
                ready.wait();
                Err("first")
            });
            Ok(())
        });
        assert_eq!(result, Err(Error::Failed("first")));
    });
}

#[test]
fn panic_of_a_task_comes_back_with_its_payload_after_all_have_ended() {
    within_a_minute(|| {
        let (ended, ready) = (AtomicUsize::new(0), Latch::new(1));
        let result = catch_unwind(AssertUnwindSafe(|| {
            run::<_, &str, _>(|g| {
                g.spawn(|token| {
                    ready.count_down();
                    token.wait();
                    ended.fetch_add(1, SeqCst);
                    Ok(())
                });
                g.spawn(|_| {
                    ready.wait();
                    std::panic::resume_unwind(Box::new(String::from("payload")))
                });
                Ok(())
            })
        }));
        assert_eq!((message(&*result.unwrap_err()), ended.load(SeqCst)), (String::from("payload"), 1));
    });
}

#[test]
fn panic_of_the_body_cancels_the_tasks_and_waits_for_them() {
    within_a_minute(|| {
        let (ended, ready) = (AtomicUsize::new(0), Latch::new(1));
        let result = catch_unwind(AssertUnwindSafe(|| {
            run::<_, &str, _>(|g| {
                g.spawn(|token| {
                    ready.count_down();
                    token.wait();
                    ended.fetch_add(1, SeqCst);
                    Ok(())
                });
                ready.wait();
                if ended.load(SeqCst) == 0 {
                    std::panic::resume_unwind(Box::new("body"));
                }
                Ok(())
            })
        }));
        assert_eq!((message(&*result.unwrap_err()), ended.load(SeqCst)), (String::from("body"), 1));
    });
}

#[test]
fn tasks_that_have_not_started_by_the_first_failure_never_do() {
    within_a_minute(|| {
        let ran = AtomicUsize::new(0);
        let result = run::<_, &str, _>(|g| {
            g.limit(1);
            g.spawn(|_| Err("first"));
            for _ in 0..50 {
                g.spawn(|_| {
                    ran.fetch_add(1, SeqCst);
                    Ok(())
                });
            }
            Ok(())
        });
        assert_eq!((result, ran.load(SeqCst)), (Err(Error::Failed("first")), 0));
    });
}

#[test]
fn cancelled_callers_token_starts_nothing() {
    within_a_minute(|| {
        let (token, ran) = (CancelToken::new(), AtomicUsize::new(0));
        token.cancel();
        let result = scope(&token, |g| {
            g.spawn(|_| {
                ran.fetch_add(1, SeqCst);
                Ok::<_, ()>(())
            });
            Ok(())
        });
        assert_eq!((result, ran.load(SeqCst)), (Err(Error::Cancelled), 0));
    });
}

#[test]
fn success_wins_over_a_cancel_after_everything_started() {
    within_a_minute(|| {
        let (token, started) = (CancelToken::new(), Latch::new(1));
        let result = scope(&token, |g| {
            g.spawn(|token| {
                started.count_down();
                token.wait();
                Ok::<_, ()>(())
            });
            started.wait();
            token.cancel();
            Ok("done")
        });
        assert_eq!(result, Ok("done"));
    });
}

#[test]
fn scopes_own_cancel_leaves_the_callers_token_alone() {
    within_a_minute(|| {
        let token = CancelToken::new();
        let result = scope(&token, |g| {
            g.spawn(|token| {
                token.wait();
                Ok::<_, ()>(())
            });
            g.cancel();
            assert!(g.token().is_cancelled());
            Ok(())
        });
        assert!(matches!(result, Ok(()) | Err(Error::Cancelled)));
        assert!(!token.is_cancelled());
        assert!(format!("{token:?}").contains("watchers: 0"));
    });
}

#[test]
fn limit_is_never_exceeded_by_a_thousand_tasks() {
    within_a_minute(|| {
        let (inside, most, ran) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        let result = run::<_, &str, _>(|g| {
            g.limit(3);
            for _ in 0..1000 {
                g.spawn(|_| {
                    most.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
                    std::thread::yield_now();
                    inside.fetch_sub(1, SeqCst);
                    ran.fetch_add(1, SeqCst);
                    Ok(())
                });
            }
            Ok(())
        });
        assert_eq!((result, ran.load(SeqCst)), (Ok(()), 1000));
        assert!(most.load(SeqCst) <= 3, "{most:?} at once");
    });
}

#[test]
fn tasks_that_wait_for_each_other_all_have_a_thread() {
    within_a_minute(|| {
        let latch = Latch::new(20);
        let result = run::<_, &str, _>(|g| {
            for _ in 0..20 {
                g.spawn(|_| {
                    latch.count_down();
                    latch.wait();
                    Ok(())
                });
            }
            Ok(())
        });
        assert_eq!(result, Ok(()));
    });
}

#[test]
fn trying_to_spawn_beyond_the_limit_gives_the_closure_back() {
    within_a_minute(|| {
        let (gate, kept) = (Latch::new(1), Arc::new(()));
        let result = run::<_, &str, _>(|g| {
            g.limit(2);
            for _ in 0..2 {
                let waits = g.try_spawn(|_| {
                    gate.wait();
                    Ok(())
                });
                assert!(waits.is_ok());
            }
            let captured = Arc::clone(&kept);
            let rejected = g.try_spawn(move |_| {
                drop(captured);
                Ok(())
            });
            let rejected = rejected.unwrap_err();
            assert_eq!((rejected.error, Arc::strong_count(&kept)), (TryError::WouldBlock, 2));
            drop(rejected.into_value());
            gate.count_down();
            Ok(())
        });
        assert_eq!((result, Arc::strong_count(&kept)), (Ok(()), 1));
    });
}

#[test]
fn trying_to_spawn_without_a_limit_always_spawns() {
    within_a_minute(|| {
        let ran = AtomicUsize::new(0);
        let result = run::<_, &str, _>(|g| {
            for _ in 0..100 {
                let spawned = g.try_spawn(|_| {
                    ran.fetch_add(1, SeqCst);
                    Ok(())
                });
                assert!(spawned.is_ok());
            }
            Ok(())
        });
        assert_eq!((result, ran.load(SeqCst)), (Ok(()), 100));
    });
}

#[test]
fn task_spawns_tasks_that_the_scope_waits_for() {
    fn tree<'scope>(g: &'scope Scope<'scope, '_, ()>, depth: usize, ran: &'scope AtomicUsize) {
        ran.fetch_add(1, SeqCst);
        for _ in 0..if depth == 0 { 0 } else { 2 } {
            g.spawn(move |_| {
                tree(g, depth - 1, ran);
                Ok(())
            });
        }
    }
    within_a_minute(|| {
        let ran = AtomicUsize::new(0);
        let result = scope(&CancelToken::new(), |g| {
            tree(g, 6, &ran);
            Ok(())
        });
        assert_eq!((result, ran.load(SeqCst)), (Ok(()), 127));
    });
}

#[test]
fn what_a_task_captured_is_gone_when_the_scope_returns() {
    within_a_minute(|| {
        for fails in [false, true] {
            let held = Arc::new(());
            let result = run::<_, &str, _>(|g| {
                g.limit(1);
                g.spawn(move |_| if fails { Err("stop") } else { Ok(()) });
                for _ in 0..20 {
                    let held = Arc::clone(&held);
                    g.spawn(move |_| {
                        drop(held);
                        Ok(())
                    });
                }
                Ok(())
            });
            assert_eq!((result.is_err(), Arc::strong_count(&held)), (fails, 1));
        }
    });
}

#[test]
fn capture_whose_drop_panics_neither_hangs_the_scope_nor_kills_a_helper() {
    struct Bad;
    impl Drop for Bad {
        fn drop(&mut self) {
            std::panic::resume_unwind(Box::new("in drop"));
        }
    }
    within_a_minute(|| {
        let ran = AtomicUsize::new(0);
        let result = catch_unwind(AssertUnwindSafe(|| {
            run::<_, &str, _>(|g| {
                for _ in 0..4 {
                    let bad = Bad;
                    g.spawn(|_| {
                        ran.fetch_add(1, SeqCst);
                        drop(bad);
                        Ok(())
                    });
                }
                Ok(())
            })
        }));
        assert!(result.is_err() && ran.load(SeqCst) > 0);
        assert_eq!(run::<_, &str, _>(|_| Ok(1)), Ok(1));
    });
}

#[test]
fn scope_inside_a_scopes_task_has_ended_first() {
    within_a_minute(|| {
        let order = Mutex::new(Vec::new());
        let result = run::<_, &str, _>(|g| {
            g.spawn(|token| {
                let inner = scope(token, |g| {
                    g.spawn(|_| {
                        order.lock().unwrap().push("inner");
                        Ok::<_, &str>(())
                    });
                    Ok(())
                });
                order.lock().unwrap().push("outer");
                inner.map_err(|_| "inner failed")
            });
            Ok(())
        });
        assert_eq!(result, Ok(()));
        assert_eq!(*order.lock().unwrap(), ["inner", "outer"]);
    });
}

#[test]
fn scopes_token_keeps_the_callers_clock_and_deadline() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let token = CancelToken::with_clock(&clock).child_until(HOUR);
        let result = scope(&token, |g| {
            assert_eq!(g.token().deadline(), token.deadline());
            g.spawn(|token| token.sleep(HOUR * 9).map_err(|_| "late"));
            clock.wait_for_sleepers(1);
            clock.advance(HOUR);
            Ok(())
        });
        assert_eq!(result, Err(Error::Failed("late")));
    });
}

#[test]
fn error_reads_like_the_one_inside_and_turns_into_an_io_error() {
    let failed = Error::Failed(std::io::Error::other("no disk"));
    assert_eq!(failed.to_string(), "no disk");
    assert_eq!(std::io::Error::from(failed).to_string(), "no disk");
    let cancelled: std::io::Error = Error::<std::io::Error>::Cancelled.into();
    assert!(cancelled.to_string().contains("cancelled"), "{cancelled}");
}

#[test]
fn limit_can_be_raised_while_tasks_wait_for_it() {
    within_a_minute(|| {
        let latch = Latch::new(3);
        let result = run::<_, &str, _>(|g| {
            g.limit(1);
            for _ in 0..3 {
                g.spawn(|_| {
                    latch.count_down();
                    // Awake: one that slept in a call of ours would let another start.
                    while !latch.is_open() {
                        std::thread::yield_now();
                    }
                    Ok(())
                });
            }
            assert_eq!(latch.wait_until(Duration::from_millis(1)), Err(WaitError::TimedOut));
            g.limit(3);
            Ok(())
        });
        assert_eq!(result, Ok(()));
    });
}

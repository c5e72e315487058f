//! Models of `group::scope`, each with the edits that break it.

use selvedge_loom as selvedge;

use selvedge::sync::atomic::{AtomicUsize, Ordering};
use selvedge::sync::{Mutex, model};
use selvedge::{CancelToken, Latch, group};
use std::panic::{self, AssertUnwindSafe};

/// When the scope returns, every task has ended, and with it all that it borrows.
///
/// Fails if the owner stops waiting when no task is queued (edit `group-finishes-while-running`), if a task
/// counts as ended before it has run (edit `group-ends-a-task-before-it-ran`), or if a task goes to a helper
/// uncounted (edit `group-task-goes-past-the-task-set`).
#[test]
fn every_task_has_ended_when_the_scope_returns() {
    model::check(|| {
        let sum = Mutex::new(0);
        let result = group::scope(&CancelToken::new(), |g| {
            for n in [1, 2] {
                g.spawn({
                    let sum = &sum;
                    move |_| {
                        *sum.lock() += n;
                        Ok(())
                    }
                });
            }
            Ok::<_, ()>("done")
        });
        assert_eq!(result, Ok("done"));
        assert_eq!(sum.into_inner(), 3);
    });
}

/// The end of the last task wakes the owner.
///
/// Fails if it does not (edit `group-end-wakes-nobody`).
#[test]
fn the_last_task_wakes_the_owner() {
    model::check(|| {
        let latch = Latch::new(1);
        let result = group::scope(&CancelToken::new(), |g| {
            g.spawn(|_| {
                latch.wait();
                Ok(())
            });
            // A helper must have the task: this thread is busy here until it runs.
            latch.count_down();
            Ok::<_, ()>(())
        });
        assert_eq!(result, Ok(()));
    });
}

/// Two tasks that wait for each other both get a thread, even while the owner is busy in the body.
///
/// Fails if a helper that arrives does not notify the next one (edit `group-helper-calls-nobody`).
#[test]
fn tasks_that_wait_for_each_other_all_run() {
    model::check(|| {
        let (first, second) = (Latch::new(1), Latch::new(1));
        let result = group::scope(&CancelToken::new(), |g| {
            g.spawn(|_| {
                first.count_down();
                second.wait();
                Ok(())
            });
            g.spawn(|_| {
                first.wait();
                second.count_down();
                Ok(())
            });
            second.wait();
            Ok::<_, ()>(())
        });
        assert_eq!(result, Ok(()));
    });
}

/// An error races a spawn: the scope fails with it, and the task that sleeps on the token is woken or was
/// never started.
///
/// Fails if a failure does not cancel the token (edit `group-failure-does-not-cancel`).
#[test]
fn an_error_that_races_a_spawn_stops_the_rest() {
    model::check(|| {
        let result = group::scope(&CancelToken::new(), |g| {
            g.spawn(|_| Err("first"));
            g.spawn(|token| {
                token.wait();
                Ok(())
            });
            Ok(())
        });
        assert_eq!(result, Err(group::Error::Failed("first")));
    });
}

/// The failure that stopped the others is the one returned, not one that followed from it.
///
/// Fails if a later failure replaces the first (edit `group-last-failure-wins`).
#[test]
fn the_failure_that_came_first_is_returned() {
    model::check(|| {
        let result = group::scope(&CancelToken::new(), |g| {
            g.spawn(|_| Err("cause"));
            g.spawn(|token| {
                token.wait();
                Err("consequence")
            });
            Ok(())
        });
        assert_eq!(result, Err(group::Error::Failed("cause")));
    });
}

/// A panic of a task resumes at the owner with its payload when the others have ended.
///
/// Fails if the payload is dropped (edit `group-panic-is-dropped`).
#[test]
fn a_panic_resumes_at_the_owner_when_all_have_ended() {
    model::check(|| {
        let ended = AtomicUsize::new(0);
        let result = panic::catch_unwind(AssertUnwindSafe(|| {
            group::scope(&CancelToken::new(), |g| {
                g.spawn(|_| panic::resume_unwind(Box::new(7_u32)));
                g.spawn(|token| {
                    token.wait();
                    ended.fetch_add(1, Ordering::Relaxed);
                    Ok(())
                });
                Ok::<_, ()>(())
            })
        }));
        assert_eq!(result.unwrap_err().downcast_ref(), Some(&7_u32));
        assert!(ended.load(Ordering::Relaxed) <= 1);
    });
}

/// With a limit of one, tasks run one at a time, on whichever thread.
///
/// Fails if the limit is not checked when a task is taken (edit `group-limit-ignored`).
#[test]
fn a_limit_of_one_runs_one_at_a_time() {
    model::check(|| {
        let inside = AtomicUsize::new(0);
        let result = group::scope(&CancelToken::new(), |g| {
            g.limit(1);
            for _ in 0..2 {
                g.spawn(|_| {
                    assert_eq!(inside.fetch_add(1, Ordering::AcqRel), 0, "two at a time");
                    inside.fetch_sub(1, Ordering::AcqRel);
                    Ok(())
                });
            }
            Ok::<_, ()>(())
        });
        assert_eq!(result, Ok(()));
    });
}

/// A task that did not start because the caller's token was cancelled is reported.
///
/// Fails if a skipped task counts as run (edit `group-skip-is-silent`).
#[test]
fn a_cancel_from_outside_is_an_error_if_a_task_was_skipped() {
    model::check(|| {
        let ran = AtomicUsize::new(0);
        let stop = CancelToken::new();
        let result = group::scope(&stop, |g| {
            g.spawn(|_| {
                ran.fetch_add(1, Ordering::Relaxed);
                Ok(())
            });
            stop.cancel();
            Ok::<_, ()>(())
        });
        match ran.load(Ordering::Relaxed) {
            0 => assert_eq!(result, Err(group::Error::Cancelled)),
            _ => assert_eq!(result, Ok(())),
        }
    });
}

/// A task that a task spawns is waited for too.
///
/// Fails if the owner stops waiting when no task is queued (edit `group-finishes-while-running`).
#[test]
fn a_nested_spawn_is_waited_for() {
    model::check(|| {
        let ran = AtomicUsize::new(0);
        let result = group::scope(&CancelToken::new(), |g| {
            g.spawn(|_| {
                g.spawn(|_| {
                    ran.fetch_add(1, Ordering::Relaxed);
                    Ok(())
                });
                Ok(())
            });
            Ok::<_, ()>(())
        });
        assert_eq!(result, Ok(()));
        assert_eq!(ran.load(Ordering::Relaxed), 1);
    });
}

/// The body waits for a task, which runs although the helper is parked briefly, after it found the task of an
/// earlier scope taken.
///
/// Fails if a brief parking has no limit (edit `cache-brief-parking-has-no-end`).
#[test]
fn a_task_that_the_body_waits_for_runs_though_the_helper_naps() {
    model::check(|| {
        let token = CancelToken::new();
        // Usually taken back before the helper arrives.
        assert_eq!(group::scope(&token, |g| g.spawn(|_| ())), Ok(()));
        let latch = Latch::new(1);
        let result = group::scope(&token, |g| {
            g.spawn(|_| latch.count_down());
            latch.wait();
        });
        assert_eq!(result, Ok(()));
    });
}

/// The first success of a race is its result, and ends the other tasks: one that waits for its token is
/// woken, and what it brings then is late.
///
/// Fails if the success cancels nobody (edit `first-ok-cancels-nobody`), or if a later success takes its
/// place (edit `first-ok-takes-the-last`).
#[test]
fn the_first_success_wins_and_ends_the_others() {
    model::check(|| {
        let tasks = [1, 2].map(|n| {
            move |stop: &CancelToken| {
                if n == 2 {
                    stop.wait();
                }
                Ok::<_, ()>(n)
            }
        });
        assert_eq!(group::first_ok(&CancelToken::new(), tasks), Ok(1));
    });
}

/// The errors of a race are in the order of its tasks, in whichever order these end.
///
/// Fails if they are in the order in which they came (edit `first-ok-leaves-errors-unsorted`).
#[test]
fn the_errors_of_a_race_are_in_the_order_of_its_tasks() {
    model::check(|| {
        let tasks = [1, 2].map(|n| move |_: &CancelToken| Err::<(), _>(n));
        assert_eq!(group::first_ok(&CancelToken::new(), tasks).unwrap_err().errors, [1, 2]);
    });
}

//! Models of scopes and groups beyond spawning: limits that cannot hang, stop hooks, results and waits.

use selvedge_loom as selvedge;

use selvedge::error::{JoinError, WaitError};
use selvedge::group::{self, Group};
use selvedge::sync::atomic::{AtomicUsize, Ordering};
use selvedge::sync::{Arc, model, thread};
use selvedge::{CancelToken, Clock, Latch};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// With a limit of one, a running task waits for something that only a queued task provides, and gets it even
/// while the owner is busy.
///
/// Fails if a task that goes to sleep requests no helper (edit `group-sleeper-calls-nobody`), or if sleeping
/// tasks count towards the limit (edit `group-sleepers-count`).
#[test]
fn a_task_that_waits_for_a_queued_one_lets_it_start() {
    model::check(|| {
        let (brings, done) = (Latch::new(1), Latch::new(1));
        let result = group::scope(&CancelToken::new(), |g| {
            g.limit(1);
            g.spawn(|_| {
                brings.wait();
                done.count_down();
                Ok(())
            });
            g.spawn(|_| {
                brings.count_down();
                Ok(())
            });
            // The owner takes no task: only helpers run the two.
            done.wait();
            Ok::<_, ()>(())
        });
        assert_eq!(result, Ok(()));
    });
}

/// A failure calls the stop hooks before any task is joined, so a task that waits without the token ends.
///
/// Fails if the hooks are not called (edit `group-closers-are-not-called`).
#[test]
fn a_failure_closes_what_another_task_waits_on() {
    model::check(|| {
        let closed = Latch::new(1);
        let result = group::scope(&CancelToken::new(), |g| {
            g.on_stop(|| closed.count_down());
            g.spawn(|_| Err("failed"));
            g.spawn(|_| {
                closed.wait();
                Ok(())
            });
            Ok(())
        });
        assert_eq!(result, Err(group::Error::Failed("failed")));
    });
}

/// A stop hook that is added while the scope stops is still called.
///
/// Fails if it is only added to the list (edit `group-late-closer-is-kept`).
#[test]
fn a_closer_that_races_the_stop_is_called() {
    model::check(|| {
        let calls = AtomicUsize::new(0);
        let result = group::scope(&CancelToken::new(), |g| {
            g.on_stop(|| calls.fetch_add(1, Ordering::Relaxed));
            g.spawn(|_| Err("failed"));
            g.on_stop(|| calls.fetch_add(1, Ordering::Relaxed));
            Ok(())
        });
        assert_eq!(result, Err(group::Error::Failed("failed")));
        assert_eq!(calls.load(Ordering::Relaxed), 2);
    });
}

/// When the scope returns, no stop hook is running, even if a cancellation from outside was calling one; a
/// hook that was not called by then never is.
///
/// Fails if the end of the scope does not wait for a running hook (edit `group-end-overlooks-a-closer`),
/// leaves the uncalled hooks behind (edit `group-end-leaves-closers`), or does not know of them because the
/// token calls them itself (edit `group-hook-goes-past-the-task-set`).
#[test]
fn no_closer_runs_after_the_scope_has_returned() {
    model::check(|| {
        let stop = CancelToken::new();
        let at_work = Arc::new(AtomicUsize::new(0));
        let canceller = thread::spawn({
            let stop = stop.clone();
            move || stop.cancel()
        });
        let result = group::scope(&stop, |g| {
            let at_work = Arc::clone(&at_work);
            g.on_stop(move || {
                at_work.store(1, Ordering::Release);
                at_work.store(2, Ordering::Release);
            });
            Ok::<_, ()>(())
        });
        let seen = at_work.swap(3, Ordering::AcqRel);
        assert!(result.is_ok() && seen != 1, "it runs");
        assert_eq!(Arc::strong_count(&at_work), 1, "a closer is left");
        canceller.join().unwrap();
        assert_eq!(at_work.load(Ordering::Acquire), 3, "it ran afterwards");
    });
}

/// The joiner of a task gets its result.
///
/// Fails if a result wakes no joiner (edit `one-shot-keeps-without-waking`).
#[test]
fn a_result_wakes_its_joiner() {
    model::check(|| {
        let result = group::scope(&CancelToken::new(), |g| {
            let handle = g.submit(|_| Ok(7));
            Ok::<_, ()>(handle.join())
        });
        assert_eq!(result, Ok(Ok(7)));
    });
}

/// The body joins a task for which the system has no thread, since its only thread waits for that very task:
/// the body runs the task.
///
/// Fails if a joiner leaves its task to other threads (edit `group-joiner-runs-nothing`).
#[test]
fn a_join_runs_the_task_if_no_thread_is_to_be_had() {
    model::check(|| {
        model::refuse_threads_after(1);
        let brought = Latch::new(1);
        let result = group::scope(&CancelToken::new(), |g| {
            g.spawn(|_| {
                brought.wait();
                Ok(())
            });
            let brings = g.submit(|_| {
                brought.count_down();
                Ok(7)
            });
            Ok::<_, ()>(brings.join())
        });
        assert_eq!(result, Ok(Ok(7)));
    });
}

/// As before, but a limit holds the joined task back until the other one sleeps. The joiner learns then that
/// no thread is available.
///
/// Fails if the joiner does not register for that (edit `group-joiner-is-not-told`), or does not check again
/// after registering (edit `group-joiner-looks-once`).
#[test]
fn a_join_under_a_limit_runs_the_task_once_no_thread_is_to_be_had() {
    model::check(|| {
        model::refuse_threads_after(1);
        let (started, brought) = (Latch::new(1), Latch::new(1));
        let result = group::scope(&CancelToken::new(), |g| {
            g.limit(1);
            g.spawn(|_| {
                started.count_down();
                brought.wait();
                Ok(())
            });
            let brings = g.submit(|_| {
                brought.count_down();
                Ok(7)
            });
            // From here on the limit admits the other task.
            started.wait();
            Ok::<_, ()>(brings.join())
        });
        assert_eq!(result, Ok(Ok(7)));
    });
}

/// A thread outside the scope joins a task and runs it: the scope does not return before the task has ended.
///
/// Fails if a task that its joiner runs does not count as running (edit `group-joined-task-is-absent`): it
/// would use memory that the scope's caller has freed.
#[test]
fn a_scope_waits_for_the_joiner_that_runs_its_task() {
    model::check(|| {
        model::refuse_threads_after(0);
        // 0: not begun, 1: begun, 2: ended, 3: the scope has returned.
        let at_work = Arc::new(AtomicUsize::new(0));
        let mut joiner = None;
        let result = group::scope(&CancelToken::new(), |g| {
            let work = Arc::clone(&at_work);
            let handle = g.submit(move |_| {
                work.fetch_add(1, Ordering::AcqRel);
                work.fetch_add(1, Ordering::AcqRel);
                Ok::<_, ()>(7)
            });
            joiner = Some(thread::spawn(move || handle.join()));
            Ok(())
        });
        assert_eq!(result, Ok(()));
        assert_eq!(at_work.swap(3, Ordering::AcqRel), 2, "it has run, once");
        assert_eq!(joiner.unwrap().join().unwrap(), Ok(7));
        assert_eq!(at_work.load(Ordering::Acquire), 3, "it ran afterwards");
    });
}

/// The system refuses a thread for one scope's task, so its owner runs it; then threads are available again,
/// and another scope gets one for its task.
///
/// Fails if the refused thread counts as waking (edit `cache-refused-counts-as-waking`).
#[test]
fn a_thread_that_was_refused_is_not_waited_for() {
    model::check(|| {
        model::refuse_threads_after(0);
        let ran = Arc::new(AtomicUsize::new(0));
        let refused = thread::spawn({
            let ran = Arc::clone(&ran);
            move || {
                group::scope(&CancelToken::new(), |g| {
                    g.spawn(|_| {
                        ran.fetch_add(1, Ordering::AcqRel);
                        Ok::<_, ()>(())
                    });
                    Ok(())
                })
            }
        });
        // The other task arrives before, during or after this.
        ran.fetch_add(0, Ordering::AcqRel);
        model::refuse_threads_after(usize::MAX);
        let done = Latch::new(1);
        let result = group::scope(&CancelToken::new(), |g| {
            g.spawn(|_| {
                done.count_down();
                Ok::<_, ()>(())
            });
            done.wait();
            Ok(())
        });
        assert_eq!(result, Ok(()));
        assert_eq!(refused.join().unwrap(), Ok(()));
        assert_eq!(ran.load(Ordering::Acquire), 1);
    });
}

/// An owner runs a task before the helper that it requested arrives, and takes the request back. The next
/// task, which the owner does not run, still gets a helper: the one that is on its way.
///
/// Fails if the scope still expects that helper (edit `group-taken-back-helper-is-awaited`), or if the helper
/// is forgotten (edit `cache-withdrawal-forgets-the-helper`).
#[test]
fn a_helper_whose_call_was_taken_back_comes_for_the_next_task() {
    model::check(|| {
        let done = Latch::new(1);
        let result = group::scope(&CancelToken::new(), |g| {
            g.spawn(|_| Ok::<_, ()>(()));
            g.wait().unwrap();
            g.spawn(|_| {
                done.count_down();
                Ok(())
            });
            done.wait();
            Ok(())
        });
        assert_eq!(result, Ok(()));
    });
}

/// A group whose tasks get no thread: the waiting thread runs them, each once.
///
/// Fails if a wait without a limit leaves them to helpers (edit `group-wait-runs-nothing`).
#[test]
fn a_group_without_threads_runs_its_tasks_where_it_is_waited_for() {
    model::check(|| {
        model::refuse_threads_after(0);
        let group = Group::<()>::new(&CancelToken::new());
        let runs = Arc::new(AtomicUsize::new(0));
        let spawner = thread::spawn({
            let (spawner, runs) = (group.spawner(), Arc::clone(&runs));
            move || {
                let counts = move |_: &CancelToken| {
                    runs.fetch_add(1, Ordering::AcqRel);
                    Ok(())
                };
                spawner.spawn(counts).is_ok()
            }
        });
        let early = group.wait();
        assert!(spawner.join().unwrap());
        assert_eq!((early, group.wait()), (Ok(()), Ok(())));
        assert_eq!(runs.load(Ordering::Acquire), 1);
    });
}

/// The joiner of a task that fails gets an error, and finds the failure recorded by then.
///
/// Fails if the joiner is not woken (edit `group-failed-task-tells-nobody`), or is woken before the failure
/// is recorded (edit `group-tells-before-it-fails`).
#[test]
fn the_joiner_of_a_failed_task_is_told_after_the_failure() {
    model::check(|| {
        let result = group::scope(&CancelToken::new(), |g| {
            let handle = g.submit(|_| Err::<u8, _>("task"));
            assert_eq!(handle.join(), Err(JoinError::Cancelled));
            Err::<(), _>("body")
        });
        assert_eq!(result, Err(group::Error::Failed("task")));
    });
}

/// A wait with a limit runs no tasks itself. It ends with the last task, or at its limit; then it names the
/// tasks that have not ended, and can be repeated.
///
/// Fails if it ends when no task is left to take (edit `group-limited-wait-ends-early`).
#[test]
fn a_limited_wait_ends_with_the_last_task_or_names_it() {
    model::check(|| {
        let clock = Clock::manual();
        let group = Group::<()>::new(&CancelToken::new());
        let ended = Arc::new(AtomicUsize::new(0));
        let counts = Arc::clone(&ended);
        let spawned = group.spawn_named("only", move |_| {
            counts.fetch_add(1, Ordering::Relaxed);
            Ok(())
        });
        assert!(spawned.is_ok());
        let advancer = thread::spawn({
            let clock = clock.clone();
            move || clock.advance(HOUR)
        });
        match group.wait_until((clock.clock(), HOUR)) {
            Ok(outcome) => assert_eq!((outcome, ended.load(Ordering::Relaxed)), (Ok(()), 1)),
            Err(late) => assert_eq!(late.error, WaitError::TimedOut),
        }
        assert_eq!((group.wait(), ended.load(Ordering::Relaxed)), (Ok(()), 1));
        advancer.join().unwrap();
    });
}

/// A task that another spawns while the owner waits is waited for too.
///
/// Fails if a wait overlooks submitted tasks (edit `group-wait-overlooks-the-submitted`).
#[test]
fn a_wait_misses_no_spawn_that_races_it() {
    model::check(|| {
        let group = Group::<()>::new(&CancelToken::new());
        let ran = Arc::new(AtomicUsize::new(0));
        let (spawner, counts) = (group.spawner(), Arc::clone(&ran));
        let spawned = group.spawn(move |_| {
            let spawned = spawner.spawn(move |_| {
                counts.fetch_add(1, Ordering::Relaxed);
                Ok(())
            });
            spawned.map_err(drop)
        });
        assert!(spawned.is_ok());
        assert_eq!((group.wait(), ran.load(Ordering::Relaxed)), (Ok(()), 1));
    });
}

/// A spawn that races the cancellation is refused or accepted; the wait reports a task that was accepted and
/// did not run.
///
/// Fails if a group that skipped a task counts as complete (edit `group-cancelled-task-is-silent`).
#[test]
fn a_spawn_that_races_the_cancel_runs_or_comes_back_or_is_told() {
    model::check(|| {
        let group = Group::<()>::new(&CancelToken::new());
        let ran = Arc::new(AtomicUsize::new(0));
        let canceller = thread::spawn({
            let token = group.token().clone();
            move || token.cancel()
        });
        let counts = Arc::clone(&ran);
        let spawned = group.spawn(move |_| {
            counts.fetch_add(1, Ordering::Relaxed);
            Ok(())
        });
        let accepted = spawned.is_ok();
        canceller.join().unwrap();
        let outcome = group.wait();
        match ran.load(Ordering::Relaxed) {
            1 => assert!(accepted && outcome.is_ok()),
            _ => assert_eq!(outcome.is_err(), accepted),
        }
    });
}

/// Once a cancel and a wait have returned, no task runs, even if another thread spawned one meanwhile.
///
/// Fails if a task does not check the token before it starts (edit `group-runs-after-the-cancel`). The usual
/// way to write it fails too: `reference::a_wait_that_misses_a_concurrent_run_is_found`.
#[test]
fn no_child_runs_after_the_cancel_and_the_wait() {
    model::check(|| {
        let group = Group::<()>::new(&CancelToken::new());
        let (spawner, waited) = (group.spawner(), Arc::new(AtomicUsize::new(0)));
        let looks = Arc::clone(&waited);
        let other = thread::spawn(move || {
            let child = move |_: &CancelToken| {
                assert_eq!(looks.load(Ordering::Acquire), 0, "it runs after the wait");
                Ok(())
            };
            let _ = spawner.spawn(child);
        });
        group.cancel();
        let _told = group.wait();
        waited.store(1, Ordering::Release);
        other.join().unwrap();
        assert!(group.wait_until(selvedge::Until::forever()).is_ok());
    });
}

/// A dropped group has ended: everything that its tasks held has been dropped.
///
/// Fails if the drop does not wait (edit `group-drop-does-not-wait`).
#[test]
fn a_dropped_group_has_ended() {
    model::check(|| {
        let held = Arc::new(());
        let group = Group::<()>::new(&CancelToken::new());
        let keeps = Arc::clone(&held);
        let spawned = group.spawn(move |token| {
            token.wait();
            drop(keeps);
            Ok(())
        });
        assert!(spawned.is_ok());
        drop(group);
        assert_eq!(Arc::strong_count(&held), 1);
    });
}

/// Joining the cached threads returns once the last of them has left.
///
/// Fails if the last one wakes no joiner (edit `cache-last-one-tells-nobody`), or if a helper does not count
/// while it runs a task (edit `cache-overlooks-those-at-work`).
#[test]
fn joining_the_threads_waits_for_the_last_of_them() {
    model::check(|| {
        let held = Arc::new(());
        let keeps = Arc::clone(&held);
        let group = Group::<()>::new(&CancelToken::new());
        let spawned = group.spawn(move |_| {
            drop(keeps);
            Ok(())
        });
        assert!(spawned.is_ok());
        group::join_threads(selvedge::Until::forever()).unwrap();
        assert_eq!((group::threads().alive, Arc::strong_count(&held)), (0, 1));
        assert_eq!(group.wait(), Ok(()));
    });
}

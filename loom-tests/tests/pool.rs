//! Models of `Pool` and `Task`, each with the edits that break it.

use selvedge_loom as selvedge;

use selvedge::error::JoinError;
use selvedge::sync::atomic::{AtomicUsize, Ordering};
use selvedge::sync::{Arc, Mutex, model, thread};
use selvedge::{CancelToken, Latch, Pool, Task, group};

fn pool(workers: usize, queue: usize) -> Pool {
    Pool::builder().workers(workers).queue(queue).build().unwrap()
}

/// A submit races a shutdown: either the task is refused and its closure comes back, or it runs before the
/// shutdown returns.
///
/// Fails if workers stop at the close although tasks are left (edit `pool-worker-leaves-early`).
#[test]
fn a_submit_that_races_a_shutdown_is_run_or_refused() {
    model::check(|| {
        let pool = Arc::new(pool(1, 1));
        let runs = Arc::new(AtomicUsize::new(0));
        let submitter = thread::spawn({
            let (pool, runs) = (Arc::clone(&pool), Arc::clone(&runs));
            move || {
                let task = move || {
                    runs.fetch_add(1, Ordering::Relaxed);
                };
                pool.execute(task).is_ok()
            }
        });
        let report = pool.shutdown();
        let seen = runs.load(Ordering::Relaxed);
        let accepted = submitter.join().unwrap();
        // A task accepted before the close is done when `shutdown` returns. The count lags only if the
        // submit came after the close, and then it was refused.
        assert_eq!(seen, usize::from(accepted));
        assert_eq!(report.completed, seen);
    });
}

/// The last task ends as the last worker leaves: its joiner is woken.
///
/// Fails if the end of a task wakes no joiner (edit `one-shot-keeps-without-waking`), or wakes it before the
/// result is stored (edit `one-shot-wakes-before-it-keeps`).
#[test]
fn the_end_of_a_task_wakes_its_joiner() {
    model::check(|| {
        let pool = pool(1, 1);
        let task = pool.submit(|| 7).unwrap();
        let closer = thread::spawn(move || pool.shutdown().completed);
        assert_eq!(task.join().unwrap(), 7);
        assert_eq!(closer.join().unwrap(), 1);
    });
}

/// Two threads shut the pool down together: both return, and the workers are joined once.
///
/// Fails if a worker that leaves is still counted (edit `pool-worker-never-leaves`), or if the last one wakes
/// no caller of `shutdown` (edit `pool-last-worker-tells-nobody`).
#[test]
fn two_shutdowns_at_once_both_return() {
    model::check(|| {
        let pool = Arc::new(pool(1, 1));
        let task = pool.submit(|| ()).unwrap();
        let other = thread::spawn({
            let pool = Arc::clone(&pool);
            move || pool.shutdown().completed
        });
        assert_eq!(pool.shutdown().completed, 1);
        assert_eq!(other.join().unwrap(), 1);
        task.join().unwrap();
    });
}

/// A cancel races the worker for a task: it runs once and has a result, or never and is cancelled.
///
/// Fails if a cancel always claims to have come in time (edit `pool-cancel-claims-too-much`).
#[test]
fn a_cancel_that_races_the_start_decides_once() {
    model::check(|| {
        let pool = pool(1, 1);
        let runs = Arc::new(AtomicUsize::new(0));
        let task = pool
            .submit({
                let runs = Arc::clone(&runs);
                move || {
                    runs.fetch_add(1, Ordering::Relaxed);
                }
            })
            .unwrap();
        let revoked = task.cancel();
        match task.join() {
            Ok(()) => assert!(!revoked && runs.load(Ordering::Relaxed) == 1),
            Err(JoinError::Cancelled) => assert!(revoked && runs.load(Ordering::Relaxed) == 0),
            Err(other) => panic!("{other}"),
        }
    });
}

/// An abort races the worker: a task either runs or is handed back, never both.
///
/// Fails if dropping a task that was handed back leaves its handle waiting (edit
/// `pool-unstarted-keeps-its-handle-waiting`).
#[test]
fn an_abort_hands_back_what_nobody_started() {
    model::check(|| {
        let pool = pool(1, 2);
        let tasks = [1, 2].map(|id| pool.submit(move || id).unwrap());
        let report = pool.abort();
        assert_eq!(report.completed + report.unstarted.len(), 2);
        drop(report);
        let results = tasks.map(|task| task.join());
        // First in, first out: the second never ran without the first.
        assert!(results[0].is_ok() || results[1].is_err());
    });
}

/// With one worker and a queue of one, a task that submits two more to its own pool and joins them does not
/// wait for itself. The submits have a token, so the wait-for graph ignores them.
///
/// Fails if a worker waits for room in its own queue (edit `pool-worker-waits-for-room`), or for a task that
/// has not started (edit `pool-worker-waits-for-a-task`).
#[test]
fn a_task_that_submits_and_joins_on_its_own_pool_ends() {
    model::check(|| {
        let pool = Arc::new(pool(1, 1));
        let outer = pool
            .submit({
                let pool = Arc::downgrade(&pool);
                move || {
                    let pool = pool.upgrade().unwrap();
                    let stop = CancelToken::new();
                    let first = pool.submit_until(|| 1, &stop).unwrap();
                    let second = pool.submit_until(|| 2, &stop).unwrap();
                    second.join().unwrap() + first.join().unwrap()
                }
            })
            .unwrap();
        assert_eq!(outer.join().unwrap(), 3);
        pool.shutdown();
    });
}

/// A panic of a task reaches its handle, and the worker runs the next task.
///
/// Fails if the panic is not caught around the closure (edit `pool-panic-is-not-caught`).
#[test]
fn a_panic_goes_to_the_handle_and_the_worker_lives_on() {
    model::check(|| {
        let pool = pool(1, 2);
        let bad = pool.submit(|| std::panic::resume_unwind(Box::new("on purpose"))).unwrap();
        let good = pool.submit(|| 7).unwrap();
        match bad.join() {
            Err(JoinError::Panicked(panic)) => assert_eq!(panic.message(), "on purpose"),
            other => panic!("{other:?}"),
        }
        assert_eq!(good.join().unwrap(), 7);
        assert_eq!(pool.shutdown().panicked, 1);
    });
}

/// Two workers share the queued tasks, and one of the tasks shuts the pool down: no thread hangs.
///
/// Fails if a worker that shuts its own pool down waits for itself (edit `pool-worker-joins-itself`).
#[test]
fn shutting_down_from_inside_a_task_returns() {
    model::check(|| {
        let pool = Arc::new(pool(1, 1));
        let inner = pool
            .submit({
                let pool = Arc::downgrade(&pool);
                move || pool.upgrade().unwrap().shutdown().running.len()
            })
            .unwrap();
        assert_eq!(inner.join().unwrap(), 1);
        assert!(pool.shutdown().running.is_empty());
    });
}

/// A join that is cancelled gives the handle back, and the task goes on to its result.
///
/// Fails if a sleep does not register with its token (edit `sleep-forgets-the-token`).
#[test]
fn a_cancelled_join_gives_the_handle_back() {
    model::check(|| {
        let pool = pool(1, 1);
        let stop = CancelToken::new();
        let gate = CancelToken::new();
        let task = pool
            .submit({
                let (gate, stop) = (gate.clone(), stop.clone());
                move || {
                    stop.cancel();
                    gate.wait();
                }
            })
            .unwrap();
        let task = task.join_until(&stop).unwrap_err().into_value();
        gate.cancel();
        task.join().unwrap();
    });
}

/// A worker that takes a task wakes the submitter that waits for room.
///
/// Fails if it wakes no submitter (edit `pool-room-is-told-to-nobody`), or if the submitter does not check
/// again before it sleeps (edit `pool-room-join-without-looking`).
#[test]
fn a_task_that_is_taken_lets_a_sleeping_submitter_in() {
    model::check(|| {
        let pool = pool(1, 1);
        for _ in 0..3 {
            pool.execute(|| ()).unwrap();
        }
        assert_eq!(pool.shutdown().completed, 3);
    });
}

/// A shutdown wakes the submitter that waits for room, and its closure comes back.
///
/// Fails if it does not (edit `pool-close-forgets-submitters`).
#[test]
fn a_shutdown_wakes_a_sleeping_submitter() {
    model::check(|| {
        let pool = Arc::new(pool(1, 1));
        let (started, gate) = (Arc::new(Latch::new(1)), CancelToken::new());
        pool.execute({
            let (started, gate) = (Arc::clone(&started), gate.clone());
            move || {
                started.count_down();
                gate.wait();
            }
        })
        .unwrap();
        started.wait();
        pool.execute(|| ()).unwrap();
        let submitter = thread::spawn({
            let pool = Arc::clone(&pool);
            move || pool.execute(|| ()).is_err()
        });
        let cancelled = CancelToken::new();
        cancelled.cancel();
        assert!(pool.shutdown_until(&cancelled).is_err());
        assert!(submitter.join().unwrap());
        gate.cancel();
        assert_eq!(pool.shutdown().completed, 2);
    });
}

/// A panic that races the drop of its handle reaches the hook, and only once.
///
/// Fails if the result of a task without a handle is kept for one (edit
/// `one-shot-detached-result-is-kept`).
#[test]
fn a_panic_that_races_the_drop_of_its_handle_reaches_the_hook_once() {
    model::check(|| {
        let told = Arc::new(AtomicUsize::new(0));
        let hook = {
            let told = Arc::clone(&told);
            move |_| _ = told.fetch_add(1, Ordering::Relaxed)
        };
        let pool = Pool::builder().workers(1).queue(1).on_panic(hook).build().unwrap();
        drop(pool.submit(|| std::panic::resume_unwind(Box::new("on purpose"))).unwrap());
        assert_eq!(pool.shutdown().panicked, 1);
        assert_eq!(told.load(Ordering::Relaxed), 1);
    });
}

/// Of two running tasks that join each other, one gets `WouldDeadlock`, and then both end.
///
/// Fails if the cycle is not found (edit `graph-writes-no-edge`).
#[test]
fn of_two_tasks_that_join_each_other_one_is_refused() {
    model::check(|| {
        // The workers start on demand, which leaves fewer schedules than two that exist from the
        // beginning.
        let builder = Pool::builder().workers(0..=2).queue(2).keep_alive(std::time::Duration::MAX);
        let pool = builder.build().unwrap();
        let handles: Arc<Mutex<[Option<Task<bool>>; 2]>> = Arc::default();
        // The tasks wait for this lock until their handles are there.
        let mut places = handles.lock();
        for own in [0, 1] {
            let handles = Arc::clone(&handles);
            let joins = move || {
                let other = handles.lock()[1 - own].take().expect("it was put there");
                matches!(other.join(), Err(JoinError::WouldDeadlock))
            };
            places[own] = Some(pool.submit(joins).unwrap());
        }
        drop(places);
        assert_eq!(pool.shutdown().completed, 2);
    });
}

/// A task of a pool of one worker with a full queue opens a scope, and a helper of that scope submits to the
/// pool. The helper does not wait for room that only the task could make, since the task waits for the
/// helper. The submit has a token, as above.
///
/// Fails if the helper does not count as inside the pool (edit `pool-helper-is-outside`), or if a thread
/// inside the pool waits for room (edit `pool-worker-waits-for-room`).
#[test]
fn a_helper_of_a_tasks_scope_submits_like_the_task() {
    model::check(|| {
        let pool = Arc::new(pool(1, 1));
        let outer = pool
            .submit({
                let pool = Arc::downgrade(&pool);
                move || {
                    let pool = pool.upgrade().unwrap();
                    let result = group::scope(&CancelToken::new(), |g| {
                        g.spawn(|_| {
                            let stop = CancelToken::new();
                            pool.execute_until(|| (), &stop).unwrap();
                            pool.execute_until(|| (), &stop).unwrap();
                            Ok::<_, ()>(())
                        });
                        Ok(())
                    });
                    result.is_ok()
                }
            })
            .unwrap();
        assert!(outer.join().unwrap());
        assert_eq!(pool.shutdown().completed, 3);
    });
}

/// A new result wakes a reader, and the stream ends after the last result.
///
/// Fails if no reader is woken (edit `pool-result-wakes-nobody`).
#[test]
fn a_result_wakes_a_reader() {
    model::check(|| {
        let pool = pool(1, 2);
        let results = pool.results();
        assert_eq!(results.submit(|| 'a').unwrap(), 0);
        assert_eq!(results.submit(|| 'b').unwrap(), 1);
        assert!(matches!(results.next(), Some((0, Ok('a')))));
        assert!(matches!(results.next(), Some((1, Ok('b')))));
        assert!(results.next().is_none());
    });
}

/// Two readers wait for one result: one gets it, and the other gets the end of the stream.
///
/// Fails if the last result wakes its reader alone (edit `pool-last-result-wakes-one`).
#[test]
fn the_last_result_tells_every_reader() {
    model::check(|| {
        let pool = Box::leak(Box::new(pool(1, 1)));
        let results = Arc::new(pool.results());
        results.submit(|| ()).unwrap();
        let other = thread::spawn({
            let results = Arc::clone(&results);
            move || results.next().is_some()
        });
        assert!(results.next().is_some() != other.join().unwrap());
        pool.shutdown();
    });
}

/// Two readers take turns: each result is read once, and both find the end of the stream, even a reader that
/// was held back by the other's turn.
///
/// Fails if the end of a turn wakes no waiter (edit `turn-point-ends-unheard`).
#[test]
fn readers_that_take_turns_both_hear_of_the_end() {
    model::check(|| {
        let pool = Box::leak(Box::new(pool(1, 2)));
        let results = Arc::new(pool.results());
        (0..2).for_each(|_| assert!(results.submit(|| ()).is_ok()));
        let other = thread::spawn({
            let results = Arc::clone(&results);
            move || std::iter::from_fn(|| results.next()).count()
        });
        let own = std::iter::from_fn(|| results.next()).count();
        assert_eq!(own + other.join().unwrap(), 2);
        pool.shutdown();
    });
}

/// An abort races a task of a stream: the task is in the results once, done or cancelled.
///
/// Fails if a task that was taken back is not in them (edit `pool-aborted-result-is-missing`).
#[test]
fn an_aborted_task_is_in_the_results_as_cancelled() {
    model::check(|| {
        let pool = pool(1, 1);
        let results = pool.results();
        results.submit(|| ()).unwrap();
        let report = pool.abort();
        let ran = report.completed == 1;
        drop(report);
        match results.next() {
            Some((0, Ok(()))) => assert!(ran),
            Some((0, Err(JoinError::Cancelled))) => assert!(!ran),
            other => panic!("{other:?}"),
        }
        assert!(results.next().is_none());
    });
}

/// A join inside a join, nested deeper than one stack allows, continues on a thread of its own, and its
/// caller continues afterwards. (In a model, the limit is one task inside another.)
///
/// Fails if the thread that took over the join does not wake its caller (edit
/// `pool-nest-ends-unheard`).
#[test]
fn a_join_too_deep_for_one_stack_ends_on_another() {
    model::check(|| {
        let pool = Arc::new(pool(1, 3));
        let inner = Arc::clone(&pool);
        let root = pool.submit(move || {
            let leaf = inner.submit(|| 1).unwrap();
            let middle = inner.submit(move || leaf.join().unwrap() + 1).unwrap();
            middle.join().unwrap()
        });
        assert_eq!(root.unwrap().join().unwrap(), 2);
        assert_eq!(pool.shutdown().completed, 3);
    });
}

/// A submitter that gives up its turn lets in the submitters that the turn held back although there is room.
///
/// Bounded to one preemption, because the schedule is long: the submitter loses the room that the first task
/// leaves, takes a turn, and is cancelled while the queue has room that only its turn reserves.
///
/// Fails if the end of a turn wakes no waiter (edit `pool-end-of-a-turn-wakes-nobody`).
#[test]
fn a_submitter_that_gives_its_turn_up_lets_the_others_in() {
    model::check_within(1, || {
        let pool = Arc::new(Pool::builder().workers(1).queue(1).build().unwrap());
        let (first, second, stop) = (Arc::new(Latch::new(1)), Arc::new(Latch::new(1)), CancelToken::new());
        let opens = |latch: &Arc<Latch>| {
            let latch = Arc::clone(latch);
            move || latch.count_down()
        };
        pool.execute(opens(&first)).unwrap();
        let submitter = thread::spawn({
            let (pool, stop) = (Arc::clone(&pool), stop.clone());
            move || {
                let _ = pool.execute_until(|| (), &stop); // runs, or comes back
            }
        });
        first.wait();
        // It may take the room that the submitter was woken for.
        if pool.try_execute(opens(&second)).is_ok() {
            stop.cancel();
            second.wait();
        }
        stop.cancel();
        pool.execute(|| ()).unwrap();
        submitter.join().unwrap();
    });
}

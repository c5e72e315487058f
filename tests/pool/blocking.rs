//! Calls from inside a task of the same pool, at one worker and a full queue: none waits for itself.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::common::pools::{busy, occupy, pool};
use crate::common::{HOUR, eventually, within_a_minute};
use selvedge::error::JoinError;
use selvedge::error::WaitError;
use selvedge::{BoundedQueue, CancelToken, Latch, Pool, Semaphore, Task, group};

#[test]
fn task_joins_one_that_nobody_has_started_on_one_worker() {
    within_a_minute(|| {
        let pool = pool(1, 4);
        let inner = Arc::clone(&pool);
        let task = pool.submit(move || {
            let here = thread::current().id();
            let below = inner.submit(move || thread::current().id() == here).unwrap();
            below.join().unwrap()
        });
        assert!(task.unwrap().join().unwrap());
        assert_eq!(pool.shutdown().completed, 2);
    });
}

#[test]
fn waiter_never_runs_a_strangers_task() {
    within_a_minute(|| {
        let (pool, gate) = busy(4);
        let inner = Arc::clone(&pool);
        let order = Arc::new(Mutex::new(Vec::new()));
        let push = |id: u8| {
            let order = Arc::clone(&order);
            move || order.lock().unwrap().push(id)
        };
        let (first, stranger, wanted, last) = (push(1), push(2), push(3), push(4));
        let outer = pool
            .submit(move || {
                first();
                inner.execute(stranger).unwrap();
                inner.submit(wanted).unwrap().join().unwrap();
                last();
            })
            .unwrap();
        gate.count_down();
        outer.join().unwrap();
        pool.shutdown();
        assert_eq!(*order.lock().unwrap(), [1, 3, 4, 2]);
    });
}

#[test]
fn task_that_joins_itself_is_refused() {
    within_a_minute(|| {
        let pool = pool(1, 4);
        let (gives, takes) = channel::<Task<bool>>();
        let (told, hears) = channel();
        let task = pool
            .submit(move || {
                let own = takes.recv().unwrap();
                told.send(matches!(own.join(), Err(JoinError::WouldDeadlock))).unwrap();
                true
            })
            .unwrap();
        gives.send(task).unwrap();
        assert!(hears.recv().unwrap());
    });
}

#[test]
fn task_joined_from_a_task_below_it_on_the_same_stack_is_refused() {
    within_a_minute(|| {
        let pool = pool(1, 4);
        let inner = Arc::clone(&pool);
        let (gives, takes) = channel::<Task<bool>>();
        let (told, hears) = channel();
        let outer = pool
            .submit(move || {
                let outer = takes.recv().unwrap();
                let below = inner.submit(move || matches!(outer.join(), Err(JoinError::WouldDeadlock)));
                told.send(below.unwrap().join().unwrap()).unwrap();
                true
            })
            .unwrap();
        gives.send(outer).unwrap();
        assert!(hears.recv().unwrap());
    });
}

/// Runs `inside` in a task of a pool of one worker whose queue is full meanwhile.
fn in_full_pool<R: Send + 'static>(
    spares: usize,
    inside: impl FnOnce(&Arc<Pool>) -> R + Send + 'static,
) -> R {
    let pool = Arc::new(Pool::builder().name("test").workers(1).spares(spares).queue(1).build().unwrap());
    let (started, full) = (Arc::new(Latch::new(1)), Arc::new(Latch::new(1)));
    let task = pool.submit({
        let (pool, started, full) = (Arc::clone(&pool), Arc::clone(&started), Arc::clone(&full));
        move || {
            started.count_down();
            // Without a call of ours, so that no spare comes for it.
            eventually("the queue is full", || full.is_open());
            inside(&pool)
        }
    });
    let task = task.unwrap();
    started.wait();
    pool.execute(|| ()).unwrap();
    assert!(pool.try_execute(|| ()).is_err());
    full.count_down();
    task.join().unwrap()
}

#[test]
fn task_submits_to_its_full_pool_and_joins() {
    within_a_minute(|| {
        let sum = in_full_pool(0, |pool| {
            let tasks: Vec<_> = (0..10).map(|n| pool.submit(move || n).unwrap()).collect();
            tasks.into_iter().rev().map(|task| task.join().unwrap()).sum::<i32>()
        });
        assert_eq!(sum, 45);
    });
}

#[test]
fn task_executes_on_its_full_pool_in_every_spelling() {
    within_a_minute(|| {
        let ran = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&ran);
        let refused = in_full_pool(0, move |pool| {
            let task = || {
                let count = Arc::clone(&count);
                move || _ = count.fetch_add(1, SeqCst)
            };
            pool.execute(task()).unwrap();
            // With a limit it does not wait either: the closure runs.
            pool.execute_until(task(), Duration::ZERO).unwrap();
            assert_eq!(count.load(SeqCst), 2);
            // Without waiting means in the queue or not at all.
            pool.try_execute(task()).is_err()
        });
        assert!(refused);
        assert_eq!(ran.load(SeqCst), 2);
    });
}

#[test]
fn tasks_that_nest_ten_thousand_deep_on_a_full_queue_do_not_overflow_the_stack() {
    fn descend(pool: &Arc<Pool>, left: usize, done: &Arc<Latch>) {
        match left {
            0 => done.count_down(),
            _ => {
                let (own, done) = (Arc::clone(pool), Arc::clone(done));
                pool.execute(move || descend(&own, left - 1, &done)).unwrap();
            }
        }
    }
    within_a_minute(|| {
        let done = Arc::new(Latch::new(1));
        let waits = Arc::clone(&done);
        in_full_pool(0, move |pool| descend(pool, 10_000, &done));
        waits.wait();
    });
}

#[test]
fn joins_that_nest_ten_thousand_deep_on_one_worker_do_not_overflow_the_stack() {
    within_a_minute(|| {
        let pool = Arc::new(Pool::builder().workers(1).queue(20_000).build().unwrap());
        let inner = Arc::clone(&pool);
        let root = pool.submit(move || {
            let mut last = inner.submit(|| 0).unwrap();
            for _ in 0..10_000 {
                let before = last;
                last = inner.submit(move || before.join().unwrap() + 1).unwrap();
            }
            last.join().unwrap()
        });
        assert_eq!(root.unwrap().join().unwrap(), 10_000);
        assert_eq!(pool.stats().completed, 10_002);
        assert_eq!(pool.stats().peak_workers, 1);
    });
}

#[test]
fn scopes_that_nest_two_thousand_deep_on_one_worker_do_not_overflow_the_stack() {
    fn descend(pool: &Pool, left: usize) -> usize {
        let below = AtomicUsize::new(0);
        let scoped = pool.scope(&CancelToken::new(), |g| {
            if left > 0 {
                g.spawn(|_| {
                    below.store(descend(pool, left - 1), SeqCst);
                    Ok::<(), ()>(())
                });
            }
            Ok(())
        });
        scoped.unwrap();
        below.load(SeqCst) + 1
    }
    within_a_minute(|| {
        let pool = Arc::new(pool(1, 4));
        let inner = Arc::clone(&pool);
        let depth = pool.submit(move || descend(&inner, 2_000)).unwrap().join().unwrap();
        assert_eq!(depth, 2_001);
        assert_eq!(pool.stats().peak_workers, 1);
    });
}

#[test]
fn join_deep_in_a_nest_of_joins_that_closes_a_cycle_is_refused() {
    within_a_minute(|| {
        let pool = Arc::new(Pool::builder().workers(1).queue(1_000).build().unwrap());
        let (give, given) = channel::<Task<()>>();
        let (tell, told) = channel();
        let inner = Arc::clone(&pool);
        let root = pool.submit(move || {
            let given = Mutex::new(given);
            // Runs some stacks further up than the root, which it joins.
            let joins_the_root = move || {
                let root = given.lock().unwrap().recv().unwrap();
                matches!(root.join(), Err(JoinError::WouldDeadlock))
            };
            let mut last = inner.submit(joins_the_root).unwrap();
            for _ in 0..500 {
                let before = last;
                last = inner.submit(move || before.join().unwrap()).unwrap();
            }
            tell.send(last.join().unwrap()).unwrap();
        });
        give.send(root.unwrap()).unwrap();
        assert_eq!(told.recv(), Ok(true));
        assert_eq!(pool.shutdown().completed, 502);
    });
}

/// Spawns a task that adds `n`.
fn add<'scope, 'env: 'scope>(
    scope: &'scope group::Scope<'scope, 'env, ()>,
    sum: &'env AtomicUsize,
    n: usize,
) {
    scope.spawn(move |_| {
        sum.fetch_add(n, SeqCst);
        Ok(())
    });
}

#[test]
fn task_opens_scopes_on_its_full_pool() {
    within_a_minute(|| {
        let sums = in_full_pool(0, |pool| {
            let (sum, token) = (AtomicUsize::new(0), CancelToken::new());
            let on_pool: Result<(), group::Error<()>> = pool.scope(&token, |s| {
                (1..=4).for_each(|n| add(s, &sum, n));
                Ok(())
            });
            let elsewhere: Result<(), group::Error<()>> = group::scope(&token, |s| {
                (1..=4).for_each(|n| add(s, &sum, n));
                Ok(())
            });
            (on_pool, elsewhere, sum.into_inner())
        });
        assert_eq!(sums, (Ok(()), Ok(()), 20));
    });
}

#[test]
fn helper_of_a_tasks_scope_submits_and_joins_like_the_task() {
    within_a_minute(|| {
        let sum = in_full_pool(0, |pool| {
            let sum = AtomicUsize::new(0);
            let result: Result<(), group::Error<()>> = group::scope(&CancelToken::new(), |s| {
                for n in 0..20 {
                    let sum = &sum;
                    s.spawn(move |_| {
                        sum.fetch_add(pool.submit(move || n).unwrap().join().unwrap(), SeqCst);
                        Ok(())
                    });
                }
                Ok(())
            });
            result.unwrap();
            sum.into_inner()
        });
        assert_eq!(sum, 190);
    });
}

#[test]
fn task_shuts_its_full_pool_down() {
    within_a_minute(|| {
        assert_eq!(in_full_pool(0, |pool| pool.shutdown().running), ["test-0"]);
        assert_eq!(in_full_pool(0, |pool| pool.abort().unstarted.len()), 1);
        in_full_pool(0, |pool| drop(Arc::clone(pool)));
    });
}

#[test]
fn join_with_a_limit_that_has_passed_does_not_begin_the_task() {
    within_a_minute(|| {
        let pool = pool(1, 4);
        let inner = Arc::clone(&pool);
        let (token, ran) = (CancelToken::new(), Arc::new(AtomicUsize::new(0)));
        token.cancel();
        let runs = Arc::clone(&ran);
        let errors = pool.submit(move || {
            let task = inner.submit(move || runs.fetch_add(1, SeqCst)).unwrap();
            let late = task.join_until(Duration::ZERO).unwrap_err();
            let cancelled = late.value.join_until((&token, HOUR)).unwrap_err();
            (
                late.error,
                cancelled.error,
                ran.load(SeqCst),
                cancelled.value.join_until(HOUR).unwrap().unwrap(),
            )
        });
        assert_eq!(errors.unwrap().join().unwrap(), (WaitError::TimedOut, WaitError::Cancelled, 0, 0));
    });
}

#[test]
fn tasks_that_join_each_other_in_a_cycle_end_and_one_of_them_is_refused() {
    within_a_minute(|| {
        for size in 2..=4 {
            let pool = pool(size, size);
            let places: Arc<Mutex<Vec<Option<Task<usize>>>>> = Arc::default();
            let mut handles = places.lock().unwrap();
            for own in 0..size {
                let places = Arc::clone(&places);
                let joins = move || {
                    let next = places.lock().unwrap()[(own + 1) % size].take().unwrap();
                    match next.join() {
                        Ok(told) => told,
                        Err(JoinError::WouldDeadlock) => 1,
                        Err(other) => panic!("{other}"),
                    }
                };
                handles.push(Some(pool.submit(joins).unwrap()));
            }
            drop(handles);
            let report = pool.shutdown();
            assert_eq!((report.completed, report.panicked), (size, 0));
        }
    });
}

#[test]
fn cycle_of_joins_with_limits_ends_by_them() {
    within_a_minute(|| {
        let pool = pool(2, 2);
        let places: Arc<Mutex<[Option<Task<bool>>; 2]>> = Arc::default();
        let mut handles = places.lock().unwrap();
        for own in [0, 1] {
            let places = Arc::clone(&places);
            let joins = move || {
                let other = places.lock().unwrap()[1 - own].take().unwrap();
                other.join_until(Duration::from_millis(1)).is_ok()
            };
            handles[own] = Some(pool.submit(joins).unwrap());
        }
        drop(handles);
        assert_eq!(pool.shutdown().completed, 2);
    });
}

#[test]
fn spare_runs_what_a_sleeping_task_waits_for() {
    within_a_minute(|| {
        // The queued task is behind the one that fills the queue, and nobody is free for either.
        let item = in_full_pool(1, |pool| {
            let queue = Arc::new(BoundedQueue::new(1));
            queue.push(0).unwrap();
            let drains = Arc::clone(&queue);
            eventually("a place in the queue", || {
                let drains = Arc::clone(&drains);
                pool.try_execute(move || assert_eq!(drains.pop(), Ok(0))).is_ok() || {
                    // The spare takes what fills it when this sleeps.
                    let _ = queue.push_until(9, Duration::from_micros(100));
                    false
                }
            });
            queue.push(1).unwrap();
            queue.pop().unwrap()
        });
        assert_eq!(item, 1);
    });
}

#[test]
fn sleep_in_every_kind_of_call_is_replaced_by_a_spare() {
    within_a_minute(|| {
        let pool = Arc::new(Pool::builder().workers(1).spares(1).queue(4).build().unwrap());
        let (queue, semaphore) = (Arc::new(BoundedQueue::new(1)), Arc::new(Semaphore::new(1)));
        let (latch, token) = (Arc::new(Latch::new(1)), CancelToken::new());
        let results = pool.results();
        let (pops, takes, waits, stops) =
            (Arc::clone(&queue), Arc::clone(&semaphore), Arc::clone(&latch), token.clone());
        let permit = semaphore.acquire_owned().unwrap();
        results.submit(move || _ = pops.pop().unwrap()).unwrap();
        results.submit(move || queue.push(1).unwrap()).unwrap();
        results.submit(move || drop(takes.acquire().unwrap())).unwrap();
        results.submit(move || drop(permit)).unwrap();
        results.submit(move || waits.wait_until(HOUR).unwrap()).unwrap();
        results.submit(move || latch.count_down()).unwrap();
        results.submit(move || _ = stops.sleep(HOUR).unwrap_err()).unwrap();
        results.submit(move || token.cancel()).unwrap();
        assert!(results.into_iter().all(|(_, ended)| ended.is_ok()));
        assert!(pool.stats().peak_workers <= 2);
    });
}

#[test]
fn sleepers_are_counted_as_blocked_and_no_more_than_the_spares_are_replaced() {
    within_a_minute(|| {
        let pool = Pool::builder().workers(1).spares(2).queue(8).build().unwrap();
        let gates = [(); 3].map(|()| occupy(&pool));
        pool.execute(|| ()).unwrap();
        eventually("three sleep", || pool.stats().blocked == 3);
        let stats = pool.stats();
        assert_eq!((stats.workers, stats.busy, stats.idle, stats.queued), (3, 0, 0, 1));
        gates.iter().for_each(|gate| gate.count_down());
        let report = pool.shutdown();
        assert_eq!((report.completed, pool.stats().peak_workers), (4, 3));
    });
}

#[test]
fn sleeper_that_wakes_goes_on_beside_its_spare_which_then_takes_nothing_more() {
    within_a_minute(|| {
        let pool = Pool::builder().workers(1).spares(1).queue(8).build().unwrap();
        let (first, second) = (occupy(&pool), occupy(&pool));
        let running = Arc::new(AtomicUsize::new(0));
        let most = Arc::new(AtomicUsize::new(0));
        for _ in 0..4 {
            let (running, most) = (Arc::clone(&running), Arc::clone(&most));
            pool.execute(move || {
                most.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
                thread::yield_now();
                running.fetch_sub(1, SeqCst);
            })
            .unwrap();
        }
        first.count_down();
        second.count_down();
        assert_eq!(pool.shutdown().completed, 6);
        // They never sleep, so one at a time.
        assert_eq!(most.load(SeqCst), 1);
    });
}

#[test]
fn two_pools_that_wait_for_each_other_end_with_a_spare() {
    within_a_minute(|| {
        let sum = in_full_pool(1, |pool| {
            let other = Arc::new(Pool::builder().workers(1).queue(1).build().unwrap());
            let back = Arc::clone(pool);
            // Waits for room in the first pool, which a spare makes while its worker sleeps in the join.
            let task = other.submit(move || back.submit(|| 5).unwrap().join().unwrap());
            task.unwrap().join().unwrap()
        });
        assert_eq!(sum, 5);
    });
}

/// Tasks that execute themselves again until told to stop.
fn resubmit_for_ever(pool: &Arc<Pool>, stop: &CancelToken) {
    if !stop.is_cancelled() {
        let (own, stop) = (Arc::clone(pool), stop.clone());
        // Refused once the pool is shut down.
        let _ = pool.execute(move || resubmit_for_ever(&own, &stop));
    }
}

#[test]
fn submit_from_outside_gets_in_while_more_tasks_resubmit_themselves_than_there_are_places() {
    for (workers, queue) in [(1, 1), (1, 8), (1, 64), (2, 8), (2, 1024)] {
        within_a_minute(move || {
            let pool = Arc::new(pool(workers, queue));
            let stop = CancelToken::new();
            let root = pool.submit({
                let (pool, stop) = (Arc::clone(&pool), stop.clone());
                move || {
                    (0..=queue).for_each(|_| {
                        let (own, stop) = (Arc::clone(&pool), stop.clone());
                        let _ = pool.execute(move || resubmit_for_ever(&own, &stop));
                    })
                }
            });
            for number in 0..5 {
                // Accepted, and run.
                assert_eq!(pool.submit(move || number).unwrap().join().unwrap(), number);
            }
            stop.cancel();
            drop(root);
        });
    }
}

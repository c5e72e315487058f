//! Sampled schedules: planted faults among many threads are found within a budget and replayed, and
//! compositions that are too large for all schedules pass.

use selvedge_loom as selvedge;

use std::collections::BTreeSet;
use std::time::Duration;

use selvedge::error::{Closed, WaitError};
use selvedge::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use selvedge::sync::model::{Failure, find_failure_in, replay, sample};
use selvedge::sync::{Arc, Condvar, Mutex, RwLock, thread, time, weak};
use selvedge::{BoundedQueue, CancelToken, Latch, Pipeline, Pool, ShardedMap, SingleFlight, group, select};

/// Asserts that the body fails within so many schedules, and that its token leads to the same table.
#[track_caller]
fn assert_found(schedules: usize, body: impl Fn() + Sync + Send + Clone + 'static) -> Failure {
    let failure = find_failure_in(schedules, body.clone()).expect("a planted fault is found");
    let token = failure.token().expect("a failure has a token");
    println!("{token}: schedule {}\n{}", failure.executions, failure.schedule());
    let again = replay(token, body).unwrap_or_else(|why| panic!("{token}: {why}"));
    assert_eq!((again.schedule(), again.message()), (failure.schedule(), failure.message()));
    failure
}

/// Starts so many threads, and waits for their end.
fn all<T: Send + 'static>(count: usize, f: impl Fn(usize) -> T + Send + Sync + 'static) -> Vec<T> {
    let f = Arc::new(f);
    let threads: Vec<_> = (0..count)
        .map(|number| {
            let f = Arc::clone(&f);
            thread::spawn(move || f(number))
        })
        .collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

/// Two of sixteen threads add in two steps.
///
/// Fails if no thread is preempted (edit `sample-preempts-nobody`), or if the replay has other priorities
/// (edit `sample-forgets-the-seed`).
#[test]
fn lost_addition_of_two_among_sixteen_threads_is_found() {
    let failure = assert_found(300, || {
        let count = Arc::new(AtomicUsize::new(0));
        all(15, {
            let count = Arc::clone(&count);
            move |number| match number {
                3 | 11 => count.store(count.load(SeqCst) + 1, SeqCst),
                _ => _ = count.fetch_add(1, SeqCst),
            }
        });
        assert_eq!(count.load(SeqCst), 15, "an addition is lost");
    });
    assert!(failure.message().contains("an addition is lost"), "{failure:?}");
}

/// Eight philosophers, each of whom takes the left fork first.
///
/// Fails if a thread that cannot take a lock does not block (edit `sample-locks-are-not-waited-for`).
#[test]
fn cycle_of_eight_locks_is_found() {
    let failure = assert_found(2_000, || {
        let forks: Arc<Vec<Mutex<()>>> = Arc::new((0..8).map(|_| Mutex::new(())).collect());
        all(8, move |number| drop((forks[number].lock(), forks[(number + 1) % 8].lock())));
    });
    assert!(failure.message().contains("deadlock"), "{failure:?}");
    let standing = failure.schedule().lines().filter(|line| line.contains(" stands in lock Mutex "));
    assert_eq!(standing.count(), 8, "{}", failure.schedule());
}

/// Twelve threads with different conditions on one condvar, and `notify_one` where `notify_all` is needed.
///
/// Fails if a notify of one wakes all (edit `model-notify-one-wakes-all`).
#[test]
fn notify_of_the_wrong_waiter_among_twelve_is_found() {
    let failure = assert_found(300, || {
        let pair = Arc::new((Mutex::new(0), Condvar::new()));
        all(12, move |number| {
            let mut turn = pair.0.lock();
            pair.1.wait_while(&mut turn, |turn| *turn != number);
            *turn += 1;
            pair.1.notify_one();
        });
    });
    assert!(failure.message().contains("deadlock"), "{failure:?}");
}

/// One of ten receivers times out in the moment in which it is handed an item.
///
/// Fails if a deadline passes only when nobody can run (edit `sample-time-is-patient`).
#[test]
fn deadline_tie_among_ten_receivers_is_found() {
    let failure = assert_found(2_000, || {
        let pair = Arc::new((Mutex::new(0), Condvar::new()));
        let received = all(10, move |number| {
            let (state, more) = &*pair;
            let mut state = state.lock();
            if number % 2 == 0 {
                *state += 1;
                more.notify_one();
                return 0;
            }
            let deadline = time::now() + Duration::from_secs(1);
            while *state == 0 {
                // The mistake: after a time-out, the item is not looked at.
                if more.wait_until(&mut state, deadline).timed_out() {
                    assert_eq!(*state, 0, "an item is there, and a receiver gives up");
                    return 0;
                }
            }
            *state -= 1;
            1
        });
        assert!(received.iter().sum::<usize>() <= 5);
    });
    assert!(failure.message().contains("gives up"), "{failure:?}");
}

/// A panic of one of many threads ends the schedule, and one that is joined does not.
///
/// Fails if the panic of a thread is not passed on (edit `sample-loses-panics`).
#[test]
fn panic_of_one_among_sixteen_threads_is_the_failure() {
    let failure = assert_found(10, || {
        all(15, |number| assert_ne!(number, 9, "on purpose"));
    });
    assert!(failure.message().contains("on purpose"), "{failure:?}");
    sample(20, || {
        selvedge::sync::model::join_panics();
        let panics = thread::spawn(|| panic!("to be joined"));
        assert!(panics.join().is_err());
    });
}

/// A handle that keeps itself alive is a leak here too.
///
/// Fails if a handle is not tracked (edit `model-weak-leaks-unseen`).
#[test]
fn leak_is_found() {
    let failure = assert_found(10, || {
        struct Linked(Mutex<Option<weak::Arc<Linked>>>);
        let handle = weak::Arc::new(Linked(Mutex::new(None)));
        *handle.0.lock() = Some(weak::Arc::clone(&handle));
        all(6, |_| ());
    });
    assert!(failure.message().contains("leak"), "{failure:?}");
}

/// Readers and writers of one lock, ten threads: no reader sees half of a write, and all end.
///
/// Fails if a writer that unlocks wakes nobody (edit `sample-writers-wake-nobody`), or if a second reader
/// enters, with whom loom's own lock loses count (edit `sample-lets-two-readers-in`).
#[test]
fn readers_and_writers_take_turns() {
    sample(300, || {
        let lock = Arc::new(RwLock::new((0, 0)));
        let seen = all(10, {
            let lock = Arc::clone(&lock);
            move |number| match number % 3 {
                0 => {
                    let mut pair = lock.write();
                    pair.0 += 1;
                    thread::yield_now();
                    pair.1 += 1;
                    0
                }
                _ => {
                    let pair = lock.read();
                    let first = pair.0;
                    thread::yield_now();
                    assert_eq!(first, pair.1);
                    first
                }
            }
        });
        assert!(seen.iter().all(|seen| *seen <= 4));
        assert_eq!(*lock.read(), (4, 4));
    });
}

/// Sixteen threads each have their own thread-local, which is dropped with them.
///
/// Fails if they share one (edit `sample-shares-thread-locals`).
#[test]
fn each_of_sixteen_threads_has_its_own_thread_local() {
    use std::cell::Cell;

    struct Counted(Cell<usize>, Cell<Option<Arc<AtomicUsize>>>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.1.take().into_iter().for_each(|dropped| _ = dropped.fetch_add(1, SeqCst));
        }
    }
    selvedge::sync::thread_local! {
        static OWN: Counted = Counted(Cell::new(0), Cell::new(None));
    }
    sample(100, || {
        let dropped = Arc::new(AtomicUsize::new(0));
        let threads = all(16, {
            let dropped = Arc::clone(&dropped);
            move |number| {
                OWN.with(|own| own.1.set(Some(Arc::clone(&dropped))));
                for round in 0..3 {
                    thread::yield_now();
                    assert_eq!(
                        OWN.with(|own| own.0.replace(number + round)),
                        if round == 0 { 0 } else { number + round - 1 }
                    );
                }
                thread::current().id()
            }
        });
        assert_eq!(dropped.load(SeqCst), 16);
        assert_eq!(threads.iter().collect::<std::collections::HashSet<_>>().len(), 16);
    });
}

/// Tasks of a pool with spares wait in a single flight for values, and put them into a map: each value is
/// made once, and each task sees it.
///
/// Fails if a caller does not look for a call that is under way (edit `flight-enters-without-a-look`).
#[test]
fn pool_with_spares_flight_and_map_make_each_value_once() {
    sample(1_000, || {
        let pool = Pool::builder().workers(2).spares(2).queue(8).build().unwrap();
        let (flight, map) = (Arc::new(SingleFlight::new()), Arc::new(ShardedMap::new()));
        let made = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..6)
            .map(|number| {
                let (flight, map, made) = (Arc::clone(&flight), Arc::clone(&map), Arc::clone(&made));
                pool.submit(move || {
                    let key = number % 2;
                    if let Some(value) = map.get(&key) {
                        return value;
                    }
                    let value = flight.call(&key, || {
                        if let Some(value) = map.get(&key) {
                            return value;
                        }
                        made.fetch_add(1, SeqCst);
                        map.insert(key, key + 10);
                        key + 10
                    });
                    value.unwrap()
                })
                .unwrap()
            })
            .collect();
        for (number, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.join(), Ok(number % 2 + 10));
        }
        assert_eq!(made.load(SeqCst), 2);
        assert_eq!(pool.shutdown().completed, 6);
    });
}

/// A pipeline on a pool is split by key: each output has the items of its keys in their order, and none is
/// lost.
///
/// Fails if an item for another output wakes nobody (edit `pipeline-route-wakes-nobody`).
#[test]
fn pipeline_that_is_split_by_key_on_a_pool_keeps_each_order() {
    sample(500, || {
        let pool = Arc::new(Pool::builder().workers(2).spares(2).queue(8).build().unwrap());
        let outputs =
            Pipeline::source(0..8_usize).on(&pool).par_map(2, |n| n * 10).fan_out_by(3, 1, |n| n / 10 % 3);
        let threads: Vec<_> =
            outputs.into_iter().map(|output| thread::spawn(move || output.collect::<Vec<usize>>())).collect();
        let outputs: Vec<Vec<usize>> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        for output in &outputs {
            assert!(output.is_sorted(), "{output:?}");
        }
        let keys = |output: &Vec<usize>| output.iter().map(|n| n / 10 % 3).collect::<BTreeSet<_>>();
        assert_eq!(outputs.iter().map(|output| keys(output).len()).sum::<usize>(), 3, "{outputs:?}");
        let mut items: Vec<usize> = outputs.concat();
        items.sort_unstable();
        assert_eq!(items, (0..8).map(|n| n * 10).collect::<Vec<_>>());
    });
}

/// A scope in a task in a scope, four wide: all tasks run once, and the cancel of the outer one reaches those
/// that sleep in the inner ones.
///
/// Fails if a scope's token is no child of the one around it (edit `sample-inner-scope-is-not-reached`).
#[test]
fn cancel_of_a_scope_reaches_the_tasks_of_scopes_in_its_tasks() {
    sample(500, || {
        let (stop, started) = (CancelToken::new(), Latch::new(6));
        let ran = AtomicUsize::new(0);
        let result = group::scope(&stop, |outer| {
            for _ in 0..3 {
                outer.spawn(|token| {
                    let ended = group::scope(token, |inner| {
                        for _ in 0..2 {
                            inner.spawn(|token| {
                                started.count_down();
                                ran.fetch_add(1, SeqCst);
                                token.wait();
                            });
                        }
                    });
                    assert_eq!(ended, Ok(()));
                });
            }
            started.wait();
            stop.cancel();
        });
        // All tasks have succeeded, and success wins.
        assert_eq!(result, Ok(()));
        assert_eq!(ran.load(SeqCst), 6);
    });
}

/// Eight threads select over two queues while one closes them and one cancels: each item is taken once or is
/// still there, and everybody ends.
///
/// Fails if a selection joins only the first list (edit `select-joins-one`), or if a waiter that is notified
/// is not woken (edit `sample-notifies-nobody`).
#[test]
fn selections_against_close_against_cancel_lose_nothing() {
    sample(1_000, || {
        let queues: [Arc<BoundedQueue<usize>>; 2] = [(); 2].map(|()| Arc::new(BoundedQueue::new(1)));
        let stop = CancelToken::new();
        let counts = all(8, {
            let (queues, stop) = (queues.clone(), stop.clone());
            move |number| match number {
                0 => {
                    queues[0].close();
                    queues[1].close();
                    (0, 0)
                }
                1 => {
                    stop.cancel();
                    (0, 0)
                }
                2..5 => (usize::from(queues[number % 2].push_until(number, &stop).is_ok()), 0),
                _ => {
                    let taken: Result<usize, WaitError> = select! {
                        pop(&queues[0]) -> item => item.map_err(|Closed| WaitError::Closed),
                        pop(&queues[1]) -> item => item.map_err(|Closed| WaitError::Closed),
                        until(&stop) -> why => Err(why),
                    };
                    (0, usize::from(taken.is_ok()))
                }
            }
        });
        let (pushed, taken) = counts.iter().fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1));
        let left: usize = queues.iter().map(|queue| queue.len()).sum();
        assert_eq!(pushed, taken + left);
    });
}

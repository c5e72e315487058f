//! Threads whose waits would form a cycle, through every pair of results that a thread can owe and wait for:
//! one wait is refused, and all other threads continue.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use crate::common::within_a_minute;
use selvedge::batch::{Batch, BatchError, Batcher};
use selvedge::error::{JoinError, WaitError, WouldDeadlock};
use selvedge::{CancelToken, Group, Latch, Pool, ShardedMap, SingleFlight, Task, group, timeout};

/// What a closure got that asked for the other's result: the value, or that it would never come.
type Asked = Result<u32, WouldDeadlock>;

/// Waits for the result that another thread provides.
type Ask = Box<dyn FnOnce() -> Asked + Send>;

/// Runs a closure on a thread of its own; other threads can ask for its result while it runs.
type Kind = fn(Box<dyn FnOnce() -> u32 + Send>) -> Running;

/// A closure that was started, and two ways to its result: for the thread that started it, and for another.
struct Running {
    ask: Ask,
    end: Box<dyn FnOnce() + Send>,
}

fn deadlock(error: JoinError) -> WouldDeadlock {
    match error {
        JoinError::WouldDeadlock => WouldDeadlock,
        other => panic!("{other:?}"),
    }
}

const KINDS: [(&str, Kind); 6] = [
    ("a task of a pool", |work| {
        let pool = Pool::builder().workers(1).build().unwrap();
        let task = pool.submit(work).unwrap();
        Running { ask: Box::new(move || task.join().map_err(deadlock)), end: Box::new(move || drop(pool)) }
    }),
    ("a single flight", |work| {
        let (flight, leads) = (Arc::new(SingleFlight::<u8, u32>::new()), Arc::new(Latch::new(1)));
        let leader = thread::spawn({
            let (flight, leads) = (Arc::clone(&flight), Arc::clone(&leads));
            move || {
                flight.call(&1, || {
                    leads.count_down();
                    work()
                })
            }
        });
        leads.wait();
        // If it has ended by then, this call leads.
        let ask = move || flight.call(&1, || 0).map_err(deadlock);
        Running { ask: Box::new(ask), end: Box::new(move || drop(leader.join().unwrap())) }
    }),
    ("an initialiser of a map", |work| {
        let (map, makes) = (Arc::new(ShardedMap::<u8, u32>::new()), Arc::new(Latch::new(1)));
        let maker = thread::spawn({
            let (map, makes) = (Arc::clone(&map), Arc::clone(&makes));
            move || {
                map.get_or_insert_with(1, || {
                    makes.count_down();
                    work()
                })
            }
        });
        makes.wait();
        Running {
            ask: Box::new(move || map.get_or_insert_with(1, || unreachable!("it is being made"))),
            end: Box::new(move || assert!(maker.join().unwrap().is_ok())),
        }
    }),
    ("a function with a time limit", |work| {
        let limit = CancelToken::new();
        let passes = limit.clone();
        let late = timeout::run(&limit, move |_| {
            passes.cancel();
            work()
        });
        let running = late.unwrap_err().into_running().expect("it ended its own limit, so it has started");
        Running { ask: Box::new(move || running.join().map_err(deadlock)), end: Box::new(|| ()) }
    }),
    ("a task of a group", |work| {
        let (group, begun) = (Group::<()>::new(&CancelToken::new()), Arc::new(Latch::new(1)));
        let task = group.submit({
            let begun = Arc::clone(&begun);
            move |_| {
                begun.count_down();
                Ok(work())
            }
        });
        begun.wait();
        Running {
            ask: Box::new(move || task.unwrap().join().map_err(deadlock)),
            end: Box::new(move || assert!(group.wait().is_ok())),
        }
    }),
    ("a batch", |work| {
        let mut work = Some(work);
        let handler = move |_: &mut Batch<()>| Ok::<u32, std::io::Error>(work.take().expect("one batch")());
        let batcher = Batcher::builder().max_items(1).build(handler).unwrap();
        let ticket = batcher.submit(()).unwrap();
        let ask = move || match ticket.join() {
            Ok(value) => Ok(value),
            Err(failed) if matches!(failed.error, BatchError::WouldDeadlock) => Err(WouldDeadlock),
            Err(failed) => panic!("{failed}"),
        };
        Running { ask: Box::new(ask), end: Box::new(move || drop(batcher)) }
    }),
];

/// Starts one closure of each type, which then ask for each other's results.
fn cross(one: Kind, other: Kind) -> [Asked; 2] {
    let asks: Arc<Mutex<[Option<Ask>; 2]>> = Arc::default();
    let answers: Arc<Mutex<[Option<Asked>; 2]>> = Arc::default();
    let both_are_there = Arc::new(Latch::new(1));
    let begun = [one, other].map(|kind| kind).into_iter().enumerate().map(|(own, kind)| {
        let (asks, answers) = (Arc::clone(&asks), Arc::clone(&answers));
        let both_are_there = Arc::clone(&both_are_there);
        kind(Box::new(move || {
            both_are_there.wait();
            let ask = asks.lock().unwrap()[1 - own].take().expect("it was put there");
            let asked = ask();
            answers.lock().unwrap()[own] = Some(asked);
            100
        }))
    });
    let begun: Vec<Running> = begun.collect();
    let mut ends = Vec::new();
    for (own, Running { ask, end }) in begun.into_iter().enumerate() {
        asks.lock().unwrap()[own] = Some(ask);
        ends.push(end);
    }
    both_are_there.count_down();
    for end in ends {
        end();
    }
    loop {
        // A result without a waiter may still be on its way.
        if let [Some(one), Some(other)] = *answers.lock().unwrap() {
            return [one, other];
        }
        thread::yield_now();
    }
}

#[test]
fn cycle_through_any_two_types_is_refused_to_one() {
    within_a_minute(|| {
        for (name, one) in KINDS {
            for (other_name, other) in KINDS {
                let answers = cross(one, other);
                let told = answers.iter().filter(|asked| asked.is_err()).count();
                assert_eq!(told, 1, "{name} and {other_name}: {answers:?}");
                assert!(answers.contains(&Ok(100)), "{name} and {other_name}: {answers:?}");
            }
        }
    });
}

/// Fails if a queued task counts as one that any thread may run (edit `graph-queued-task-has-no-bringers`).
#[test]
fn two_pools_of_one_worker_that_join_each_others_queued_tasks_are_refused() {
    within_a_minute(|| {
        let pools = [(); 2].map(|()| Arc::new(Pool::builder().workers(1).queue(4).build().unwrap()));
        let both_run = Arc::new(Latch::new(2));
        let tasks = [(0, 1), (1, 0)].map(|(own, other)| {
            let (other, both_run) = (Arc::clone(&pools[other]), Arc::clone(&both_run));
            let join = move || {
                both_run.count_down();
                both_run.wait();
                other.submit(|| ()).unwrap().join()
            };
            pools[own].submit(join).unwrap()
        });
        let told = tasks.map(|task| task.join().unwrap());
        let one = [Ok(()), Err(JoinError::WouldDeadlock)];
        assert!(one.iter().all(|end| told.contains(end)), "{told:?}");
    });
}

#[test]
fn wait_for_a_task_that_a_free_worker_or_a_spare_can_take_is_not_refused() {
    within_a_minute(|| {
        for builder in
            [Pool::builder().workers(2), Pool::builder().workers(1).spares(1), Pool::builder().workers(1..=2)]
        {
            let (pool, flight) = (builder.build().unwrap(), Arc::new(SingleFlight::<u8, u32>::new()));
            let leads = Arc::new(Latch::new(1));
            let waits = pool.submit({
                let (flight, leads) = (Arc::clone(&flight), Arc::clone(&leads));
                move || {
                    leads.wait();
                    flight.call(&1, || 2)
                }
            });
            let led = flight.call(&1, || {
                leads.count_down();
                pool.submit(|| 1).unwrap().join().unwrap()
            });
            assert_eq!(led, Ok(1));
            assert!(matches!(waits.unwrap().join().unwrap(), Ok(1 | 2)));
        }
    });
}

#[test]
fn two_full_pools_that_submit_to_each_other_run_the_tasks_inline() {
    within_a_minute(|| {
        let pools = [(); 2].map(|()| Arc::new(Pool::builder().workers(1).queue(1).build().unwrap()));
        let both_are_full = Arc::new(Latch::new(1));
        let tasks = [(0, 1), (1, 0)].map(|(own, other)| {
            let (other, both_are_full) = (Arc::clone(&pools[other]), Arc::clone(&both_are_full));
            let submits = move || {
                both_are_full.wait();
                other.execute(|| ()).unwrap();
            };
            pools[own].submit(submits).unwrap()
        });
        while pools.iter().any(|pool| pool.stats().queued > 0) {
            thread::yield_now(); // until the workers have taken them
        }
        let queued = [0, 1].map(|pool| pools[pool].submit(|| ()).unwrap());
        both_are_full.count_down();
        tasks.into_iter().chain(queued).for_each(|task| task.join().unwrap());
    });
}

/// The end of a scope cannot be refused, so the wait of the task for the scope's owner is, whichever comes
/// last.
///
/// Fails if the end of a scope has no edge (edit `group-end-has-no-edge`).
#[test]
fn task_that_waits_for_the_task_around_its_scope_is_refused() {
    within_a_minute(|| {
        for rounds in 0..100 {
            let flight = SingleFlight::<u8, u32>::new();
            let led = flight.call(&1, || {
                let mut told = false;
                let begun = Latch::new(1);
                let ended: Result<(), group::Error<()>> = group::scope(&CancelToken::new(), |g| {
                    g.spawn(|_| {
                        begun.count_down();
                        told = flight.call(&1, || unreachable!()) == Err(JoinError::WouldDeadlock);
                        Ok(())
                    });
                    if rounds % 2 == 0 {
                        // On a helper, or on this thread at the end of the scope.
                        begun.wait();
                    }
                    Ok(())
                });
                assert_eq!(ended, Ok(()));
                u32::from(told)
            });
            assert_eq!(led, Ok(1), "round {rounds}");
        }
    });
}

/// Unlike the end of a scope, a wait for a group in the middle of the waiter's work can be refused.
#[test]
fn wait_for_a_group_whose_task_waits_for_the_waiter_is_refused_to_one() {
    within_a_minute(|| {
        for round in 0..100 {
            let flight = Arc::new(SingleFlight::<u8, bool>::new());
            let group = Group::new(&CancelToken::new());
            let (leads, in_task) = (Arc::new(Latch::new(1)), Arc::clone(&flight));
            let task = group.submit({
                let leads = Arc::clone(&leads);
                move |_| {
                    leads.wait();
                    Ok::<_, ()>(in_task.call(&1, || false) == Err(JoinError::WouldDeadlock))
                }
            });
            let wait_was_told = flight.call(&1, || {
                leads.count_down();
                group.wait() == Err(group::Error::WouldDeadlock)
            });
            let task_was_told = task.unwrap().join().unwrap();
            assert!(wait_was_told.unwrap() != task_was_told, "round {round}: one is told, and one alone");
        }
    });
}

/// Waits of a single flight's leader for the end of what works for it.
///
/// Fails if a pool's shutdown, or the end or the flush of a batcher, has no edge (edits
/// `pool-shutdown-has-no-edge`, `batch-end-has-no-edge`, `batch-flush-has-no-edge`).
#[test]
fn end_or_flush_in_a_cycle_is_refused_to_one() {
    type Ends = Box<dyn FnOnce() -> bool>;
    type Asks = Box<dyn Fn() -> bool + Send>;
    let pool = |asks: Asks| -> Ends {
        let pool = Pool::builder().workers(1).build().unwrap();
        pool.execute(move || _ = asks()).unwrap();
        Box::new(move || pool.shutdown_until(selvedge::Until::forever()).is_err())
    };
    let batcher = |asks: Asks| {
        let handler = move |_: &mut Batch<()>| _ = asks();
        let batcher = Batcher::builder().max_items(1).build(handler).unwrap();
        batcher.add(()).unwrap();
        batcher
    };
    let closed = move |asks: Asks| -> Ends {
        let batcher = batcher(asks);
        Box::new(move || !batcher.close().running.is_empty())
    };
    let flushed = move |asks: Asks| -> Ends {
        let batcher = batcher(asks);
        Box::new(move || batcher.flush().is_err())
    };
    within_a_minute(move || {
        let kinds: [&dyn Fn(Asks) -> Ends; 3] = [&pool, &closed, &flushed];
        for (index, kind) in kinds.into_iter().enumerate() {
            for _ in 0..20 {
                let flight = Arc::new(SingleFlight::<u8, ()>::new());
                let (leads, told) = (Arc::new(Latch::new(1)), Arc::new(AtomicUsize::new(0)));
                let ends = kind({
                    let (flight, leads, told) = (Arc::clone(&flight), Arc::clone(&leads), Arc::clone(&told));
                    Box::new(move || {
                        leads.wait();
                        let deadlock = flight.call(&1, || ()) == Err(JoinError::WouldDeadlock);
                        told.fetch_add(usize::from(deadlock), SeqCst);
                        deadlock
                    })
                });
                let led = flight.call(&1, || {
                    leads.count_down();
                    let end_was_told = ends();
                    assert!(end_was_told != (told.load(SeqCst) == 1), "kind {index}: one, and one alone");
                });
                assert!(led.is_ok());
            }
        }
    });
}

/// A group with a limit holds a task back. The thread that joins the task is notified if no thread is
/// available, but that does not break the cycle once the task has begun.
///
/// Fails if that wait has no edge (edit `graph-held-back-join-has-no-edge`).
#[test]
fn join_of_a_task_behind_the_limit_is_refused_to_one() {
    within_a_minute(|| {
        for round in 0..100 {
            let flight = Arc::new(SingleFlight::<u8, bool>::new());
            let group = Group::new(&CancelToken::new());
            group.limit(1);
            let (goes, gone) = std::sync::mpsc::channel();
            let (begins, begun) = std::sync::mpsc::channel();
            // Counts as awake, because it sleeps in a call of std's.
            let first = move |_: &CancelToken| {
                begins.send(()).unwrap();
                gone.recv().unwrap();
            };
            group.spawn(first).unwrap();
            begun.recv().unwrap();
            let in_task = Arc::clone(&flight);
            let task = group
                .submit(move |_| Ok::<_, ()>(in_task.call(&1, || false) == Err(JoinError::WouldDeadlock)));
            let one_was_told = flight.call(&1, || {
                // Waking the other thread usually takes longer than this one takes to sleep.
                goes.send(()).unwrap();
                task.unwrap().join().unwrap_or_else(|error| error == JoinError::WouldDeadlock)
            });
            assert_eq!(one_was_told, Ok(true), "round {round}");
            assert_eq!(group.wait(), Ok(()));
        }
    });
}

#[test]
fn handler_in_a_cycle_through_a_later_batch_is_refused_to_one() {
    within_a_minute(|| {
        let (flight, leads) = (Arc::new(SingleFlight::<u8, bool>::new()), Arc::new(Latch::new(1)));
        let handler = {
            let (flight, leads) = (Arc::clone(&flight), Arc::clone(&leads));
            move |_: &mut Batch<u32>| {
                leads.wait();
                Ok::<bool, std::io::Error>(flight.call(&1, || true).is_err())
            }
        };
        let batcher = Batcher::builder().max_items(1).build(handler).unwrap();
        let first = batcher.submit(1).unwrap();
        let led = flight.call(&1, || {
            // Queued behind the first batch, whose handler waits for this call.
            let second = batcher.submit(2).unwrap();
            leads.count_down();
            match second.join() {
                Ok(_) => false,
                Err(failed) => matches!(failed.error, BatchError::WouldDeadlock),
            }
        });
        let handler_was_told = first.join().unwrap();
        assert!(led.unwrap() != handler_was_told, "one is told, and one alone");
    });
}

/// A value whose clone asks for another result, and records whether that was refused.
struct Asks(Arc<dyn Fn() -> bool + Send + Sync>);

impl Clone for Asks {
    fn clone(&self) -> Self {
        (self.0)();
        Asks(Arc::clone(&self.0))
    }
}

/// Fails if the leader owes nothing once its closure has ended (edit `flight-owes-nothing-for-its-clone`).
#[test]
fn clone_for_waiters_that_waits_for_one_of_them_is_refused() {
    within_a_minute(|| {
        // The leader clones its result for the map's closure, which waits for it, and the clone wants the
        // map's value.
        let (map, told) = (Arc::new(ShardedMap::<u8, u32>::new()), Arc::new(AtomicUsize::new(0)));
        let flight = Arc::new(SingleFlight::<u8, Asks>::new());
        let asks = {
            let (map, told) = (Arc::clone(&map), Arc::clone(&told));
            move || {
                let asked = map.get_or_insert_with(1, || 7);
                told.fetch_add(usize::from(asked.is_err()), SeqCst);
                asked.is_err()
            }
        };
        let maker = Arc::new(Mutex::new(None));
        let led = flight.call(&1, || {
            let (map, flight_too) = (Arc::clone(&map), Arc::clone(&flight));
            let make = move || {
                map.get_or_insert_with(1, || u32::from(flight_too.call(&1, || unreachable!()).is_ok()))
            };
            *maker.lock().unwrap() = Some(thread::spawn(make));
            while flight.waiting() == 0 {
                thread::yield_now();
            }
            Asks(Arc::new(asks))
        });
        assert!(led.is_ok());
        let maker = maker.lock().unwrap().take().unwrap();
        let ended = (maker.join().unwrap().unwrap(), told.load(SeqCst));
        // The wait that came last is refused: the leader's clone, and then also the follower's own clone,
        // which asks for the value that is being made around it; or the follower, which then has no result to
        // clone.
        assert!(ended == (1, 2) || ended == (0, 0), "{ended:?}");
    });
}

#[test]
fn cycle_of_three_types_is_refused_to_one() {
    within_a_minute(|| {
        let (map, flight) =
            (Arc::new(ShardedMap::<u8, u32>::new()), Arc::new(SingleFlight::<u8, u32>::new()));
        let pool = Arc::new(Pool::builder().workers(1).build().unwrap());
        let all_begun = Arc::new(Barrier::new(3));
        let told = |told: bool| if told { 1000 } else { 0 };
        let handle: Arc<Mutex<Option<Task<u32>>>> = Arc::default();
        // The map's closure calls the flight, whose closure joins the task, which wants the map's value.
        let task = pool.submit({
            let (map, all_begun) = (Arc::clone(&map), Arc::clone(&all_begun));
            move || {
                all_begun.wait();
                map.get_or_insert_with(1, || unreachable!()).map_or_else(|_| told(true), |value| value + 1)
            }
        });
        *handle.lock().unwrap() = Some(task.unwrap());
        let leader = thread::spawn({
            let (flight, all_begun) = (Arc::clone(&flight), Arc::clone(&all_begun));
            move || {
                flight.call(&1, || {
                    let task = handle.lock().unwrap().take().unwrap();
                    all_begun.wait();
                    task.join().map_or_else(|_| told(true), |value| value + 1)
                })
            }
        });
        let made = map.get_or_insert_with(1, || {
            all_begun.wait();
            flight.call(&1, || unreachable!()).map_or_else(|_| told(true), |value| value + 1)
        });
        // One wait was refused, and the other closures continued from there.
        let (made, led) = (made.unwrap(), leader.join().unwrap().unwrap());
        assert!(made >= 1000 && led >= 1000 && made.max(led) <= 1002, "{made}, {led}");
    });
}

#[test]
fn cycle_with_one_limited_wait_is_not_refused() {
    within_a_minute(|| {
        let (map, both_make) = (Arc::new(ShardedMap::<u8, u32>::new()), Arc::new(Barrier::new(2)));
        let limited = thread::spawn({
            let (map, both_make) = (Arc::clone(&map), Arc::clone(&both_make));
            move || {
                map.get_or_insert_with(1, || {
                    both_make.wait();
                    let late = map.get_or_insert_with_until(2, Duration::from_millis(20), || unreachable!());
                    assert_eq!(late.unwrap_err().error, WaitError::TimedOut);
                    1
                })
            }
        });
        let made = map.get_or_try_insert_with(2, || {
            both_make.wait();
            map.get_or_insert_with(1, || unreachable!())
        });
        assert_eq!((made, limited.join().unwrap()), (Ok(Ok(1)), Ok(1)));
    });
}

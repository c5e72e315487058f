//! Tasks with keys: order, width, bounds, and what becomes of a key.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::common::pools::{abort_and_open_when, busy, occupy, pool};
use crate::common::{Dice, eventually, within_a_minute};
use selvedge::error::{JoinError, TryError, WaitError};
use selvedge::{CancelToken, Latch, Pool};

#[test]
fn tasks_of_a_key_run_in_order_and_others_beside_them() {
    within_a_minute(|| {
        let pool = pool(2, 8);
        let keyed = pool.keyed::<str>();
        let (gate, order) = (Arc::new(Latch::new(1)), Arc::new(Mutex::new(Vec::new())));
        let waits = Arc::clone(&gate);
        keyed.execute("a", move || waits.wait()).unwrap();
        let tasks = [1, 2, 3].map(|number| {
            let order = Arc::clone(&order);
            keyed.submit("a", move || order.lock().unwrap().push(number)).unwrap()
        });
        assert_eq!(keyed.submit("b", || 7).unwrap().join().unwrap(), 7, "another key is not held up");
        assert!(order.lock().unwrap().is_empty());
        gate.count_down();
        tasks.into_iter().for_each(|task| task.join().unwrap());
        assert_eq!(*order.lock().unwrap(), [1, 2, 3]);
    });
}

#[test]
fn key_is_forgotten_when_its_last_task_has_ended() {
    within_a_minute(|| {
        let pool = pool(2, 8);
        let keyed = pool.keyed::<u32>();
        let gate = Arc::new(Latch::new(1));
        let waits = Arc::clone(&gate);
        keyed.execute(&1, move || waits.wait()).unwrap();
        keyed.execute(&1, || ()).unwrap();
        assert_eq!(keyed.keys(), 1);
        gate.count_down();
        eventually("the key is forgotten", || keyed.keys() == 0);
        for key in 0..1000 {
            keyed.execute(&key, || ()).unwrap();
        }
        eventually("all keys are forgotten", || keyed.keys() == 0 && keyed.waiting() == 0);
    });
}

#[test]
fn width_is_how_many_of_a_key_run_at_once() {
    within_a_minute(|| {
        let pool = pool(4, 64);
        let keyed = pool.keyed::<u32>().width(2);
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let both = Arc::new(Latch::new(2));
        let tasks: Vec<_> = (0..20)
            .map(|number| {
                let (running, most, both) = (Arc::clone(&running), Arc::clone(&most), Arc::clone(&both));
                let task = move || {
                    most.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
                    if number < 2 {
                        both.count_down();
                        both.wait(); // two do run at once
                    }
                    running.fetch_sub(1, SeqCst);
                };
                keyed.submit(&1, task).unwrap()
            })
            .collect();
        tasks.into_iter().for_each(|task| task.join().unwrap());
        assert_eq!(most.load(SeqCst), 2);
    });
}

#[test]
fn panic_of_a_task_does_not_stop_its_key() {
    within_a_minute(|| {
        let pool = pool(1, 8);
        let keyed = pool.keyed::<u32>();
        let broken = keyed.submit::<_, ()>(&1, || std::panic::resume_unwind(Box::new("broken"))).unwrap();
        let next = keyed.submit(&1, || 7).unwrap();
        assert!(matches!(broken.join(), Err(JoinError::Panicked(_))));
        assert_eq!(next.join().unwrap(), 7);
        eventually("the key is forgotten", || keyed.keys() == 0);
    });
}

#[test]
fn full_key_refuses_and_waits_while_others_have_room() {
    within_a_minute(|| {
        let (pool, gate) = busy(8);
        let keyed = pool.keyed::<u32>().queue(3).queue_per_key(2);
        keyed.execute(&1, || ()).unwrap();
        keyed.execute(&1, || ()).unwrap();
        let refused = keyed.try_submit(&1, || 7).unwrap_err();
        assert_eq!((refused.error, (refused.value)()), (TryError::WouldBlock, 7));
        let late = keyed.execute_until(&1, || (), Duration::from_millis(1)).unwrap_err();
        assert_eq!(late.error, WaitError::TimedOut);
        keyed.try_execute(&2, || ()).unwrap();
        assert_eq!((keyed.waiting(), keyed.keys()), (3, 2));
        assert_eq!(keyed.try_execute(&3, || ()).unwrap_err().error, TryError::WouldBlock, "all is full");
        let waits = thread::spawn({
            let keyed = keyed.clone();
            move || keyed.submit(&1, || 9).unwrap().join().unwrap()
        });
        gate.count_down();
        assert_eq!(waits.join().unwrap(), 9);
    });
}

#[test]
fn cancelled_token_refuses_a_task_even_if_there_is_room() {
    within_a_minute(|| {
        let pool = pool(1, 8);
        let stop = CancelToken::new();
        stop.cancel();
        let refused = pool.keyed::<u32>().submit_until(&1, || 7, &stop).unwrap_err();
        assert_eq!((refused.error, (refused.value)()), (WaitError::Cancelled, 7));
    });
}

#[test]
fn task_that_submits_to_its_own_full_key_does_not_wait() {
    within_a_minute(|| {
        let pool = pool(1, 1);
        let keyed = pool.keyed::<u32>().queue(1);
        let (inner, (tells, told)) = (keyed.clone(), channel());
        let outer = keyed
            .submit(&1, move || {
                for number in 0..5 {
                    let tells = tells.clone();
                    inner.execute(&1, move || tells.send(number).unwrap()).unwrap();
                }
                inner.waiting()
            })
            .unwrap();
        assert_eq!(outer.join().unwrap(), 5);
        assert_eq!(told.iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    });
}

#[test]
fn task_that_joins_a_later_one_of_its_key_is_told() {
    within_a_minute(|| {
        let pool = pool(1, 4);
        let keyed = pool.keyed::<u32>();
        let inner = keyed.clone();
        let outer = keyed.submit(&1, move || inner.submit(&1, || 7).unwrap().join()).unwrap();
        assert!(matches!(outer.join().unwrap(), Err(JoinError::WouldDeadlock)));
    });
}

#[test]
fn worker_that_joins_a_task_with_a_key_waits_for_another_worker() {
    within_a_minute(|| {
        let pool = pool(2, 4);
        let keyed = pool.keyed::<u32>();
        let outer = pool.submit(move || keyed.submit(&1, || 7).unwrap().join().unwrap()).unwrap();
        assert_eq!(outer.join().unwrap(), 7);
    });
}

#[test]
fn key_with_many_tasks_does_not_hold_up_the_others() {
    within_a_minute(|| {
        let (pool, gate) = busy(64);
        let keyed = pool.keyed::<u32>();
        let order = Arc::new(Mutex::new(Vec::new()));
        for key in [1, 1, 1, 1, 2, 3] {
            let order = Arc::clone(&order);
            keyed.execute(&key, move || order.lock().unwrap().push(key)).unwrap();
        }
        gate.count_down();
        eventually("all have run", || keyed.keys() == 0);
        assert_eq!(*order.lock().unwrap(), [1, 2, 3, 1, 1, 1]);
    });
}

#[test]
fn shutdown_runs_every_task_in_order() {
    within_a_minute(|| {
        let (pool, gate) = busy(64);
        let keyed = pool.keyed::<u32>();
        let order = Arc::new(Mutex::new(HashMap::<u32, Vec<u32>>::new()));
        for number in 0..50 {
            let order = Arc::clone(&order);
            keyed
                .execute(&(number % 3), move || {
                    order.lock().unwrap().entry(number % 3).or_default().push(number)
                })
                .unwrap();
        }
        let closer = thread::spawn({
            let pool = Arc::clone(&pool);
            move || pool.shutdown()
        });
        eventually("the pool is closed", || pool.is_closed());
        gate.count_down();
        assert_eq!(closer.join().unwrap().completed, 51);
        assert!(order.lock().unwrap().values().all(|numbers| numbers.is_sorted()));
        assert_eq!(keyed.try_execute(&1, || ()).unwrap_err().error, TryError::Closed);
        assert_eq!(pool.keyed::<u32>().try_execute(&1, || ()).unwrap_err().error, TryError::Closed);
    });
}

#[test]
fn shutdown_ends_the_wait_for_room() {
    within_a_minute(|| {
        let (pool, gate) = busy(4);
        let keyed = pool.keyed::<u32>().queue(1);
        keyed.execute(&1, || ()).unwrap();
        let waits = thread::spawn({
            let keyed = keyed.clone();
            move || keyed.execute(&1, || ()).is_err()
        });
        let closer = thread::spawn({
            let pool = Arc::clone(&pool);
            move || pool.shutdown()
        });
        assert!(waits.join().unwrap());
        gate.count_down();
        assert_eq!(closer.join().unwrap().completed, 2);
    });
}

#[test]
fn abort_takes_back_every_task_that_has_not_started() {
    within_a_minute(|| {
        let pool = pool(1, 64);
        let keyed = pool.keyed::<u32>();
        let (gate, started) = (Arc::new(Latch::new(1)), Arc::new(Latch::new(1)));
        let (waits, starts) = (Arc::clone(&gate), Arc::clone(&started));
        keyed
            .execute(&1, move || {
                starts.count_down();
                waits.wait();
            })
            .unwrap();
        started.wait();
        let order = Arc::new(Mutex::new(Vec::new()));
        let tasks = [(1, 1), (2, 2), (1, 3)].map(|(key, number)| {
            let order = Arc::clone(&order);
            keyed.submit(&key, move || order.lock().unwrap().push(number)).unwrap()
        });
        // The keys' queues are drained after the pool's.
        let report = abort_and_open_when(&pool, &gate, || keyed.waiting() == 0);
        assert_eq!((report.completed, report.unstarted.len()), (1, 3));
        let mut unstarted = report.unstarted.into_iter();
        unstarted.next().unwrap().run();
        unstarted.next().unwrap().run();
        drop(unstarted);
        assert_eq!(*order.lock().unwrap(), [1, 2]);
        let results = tasks.map(|task| task.join());
        assert!(matches!(results, [Ok(()), Ok(()), Err(JoinError::Cancelled)]));
        assert_eq!((keyed.keys(), keyed.waiting()), (0, 0));
    });
}

#[test]
fn cancelled_task_is_passed_over() {
    within_a_minute(|| {
        let pool = pool(1, 8);
        let gate = occupy(&pool);
        let keyed = pool.keyed::<u32>();
        let tasks = [1, 2, 3].map(|number| keyed.submit(&1, move || number).unwrap());
        assert!(tasks[1].cancel());
        gate.count_down();
        let results = tasks.map(|task| task.join());
        assert!(matches!(results, [Ok(1), Err(JoinError::Cancelled), Ok(3)]), "{results:?}");
    });
}

/// Gives every key the same hash.
#[derive(Default)]
struct Same;

impl Hasher for Same {
    fn write(&mut self, _: &[u8]) {}

    fn finish(&self) -> u64 {
        7
    }
}

#[test]
fn keys_with_one_hash_share_their_order_and_lose_nothing() {
    within_a_minute(|| {
        let pool = pool(3, 64);
        let keyed = pool.keyed::<u32>().with_hasher(BuildHasherDefault::<Same>::default());
        let order = Arc::new(Mutex::new(Vec::new()));
        for number in 0..30 {
            let order = Arc::clone(&order);
            keyed.execute(&number, move || order.lock().unwrap().push(number)).unwrap();
        }
        pool.shutdown();
        assert!(order.lock().unwrap().iter().copied().eq(0..30));
    });
}

#[test]
fn panic_of_a_hash_reaches_the_caller_and_changes_nothing() {
    #[derive(PartialEq, Eq)]
    struct Bad;
    impl std::hash::Hash for Bad {
        fn hash<H: Hasher>(&self, _: &mut H) {
            panic!("in the hash");
        }
    }
    within_a_minute(|| {
        let pool = pool(1, 4);
        let keyed = pool.keyed::<Bad>();
        let told = std::panic::catch_unwind(|| keyed.execute(&Bad, || ()));
        assert!(told.is_err());
        assert_eq!((keyed.keys(), keyed.waiting(), pool.shutdown().completed), (0, 0, 0));
    });
}

#[test]
fn random_keys_from_many_threads_keep_their_order() {
    within_a_minute(|| {
        let pool = Arc::new(Pool::builder().workers(1..=3).queue(16).build().unwrap());
        let keyed = pool.keyed::<(u64, usize)>().queue_per_key(4);
        let seen = Arc::new(Mutex::new(HashMap::<(u64, usize), Vec<usize>>::new()));
        thread::scope(|s| {
            for seed in 0..3 {
                let (keyed, seen) = (keyed.clone(), &seen);
                s.spawn(move || {
                    let mut dice = Dice::new(seed);
                    for number in 0..500 {
                        // A key belongs to one submitter, so its numbers rise.
                        let (key, seen) = ((seed, dice.roll(5)), Arc::clone(seen));
                        keyed
                            .execute(&key, move || seen.lock().unwrap().entry(key).or_default().push(number))
                            .unwrap();
                    }
                });
            }
        });
        assert_eq!(pool.shutdown().completed, 1500);
        let seen = seen.lock().unwrap();
        assert_eq!(seen.values().map(Vec::len).sum::<usize>(), 1500);
        assert!(seen.values().all(|numbers| numbers.is_sorted()));
        assert_eq!(keyed.keys(), 0);
    });
}

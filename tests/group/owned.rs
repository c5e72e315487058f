//! Groups that are owned: run children, cancel them, wait for them, as often as you like.

#![allow(clippy::unit_arg, reason = "a task that only waits is one expression")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::common::{HOUR, eventually, message, within_a_minute};
use selvedge::error::{Cancelled, Closed, TryError, WaitError};
use selvedge::group::{Error, Group, Handle};
use selvedge::{BoundedQueue, CancelToken, Clock, Latch, Pool};

fn group<E>() -> Group<E> {
    Group::new(&CancelToken::new())
}

/// What a wait said, without the sharing.
fn said<E: Clone>(outcome: Result<(), Error<Arc<E>>>) -> Result<(), Error<E>> {
    outcome.map_err(|error| match error {
        Error::Failed(error) => Error::Failed((*error).clone()),
        _ => Error::Cancelled,
    })
}

#[test]
fn group_without_tasks_has_ended() {
    within_a_minute(|| {
        let group = group::<()>();
        assert_eq!(group.wait(), Ok(()));
        assert_eq!(group.wait_until(Duration::ZERO).unwrap(), Ok(()));
        group.cancel();
        assert_eq!(group.wait(), Ok(()));
    });
}

#[test]
fn first_error_is_kept_over_repeated_waits() {
    within_a_minute(|| {
        let group = group();
        group.spawn(|_| Ok(())).unwrap();
        assert_eq!(said(group.wait()), Ok(()));
        group.spawn(|_| Err("first")).unwrap();
        assert_eq!(said(group.wait()), Err(Error::Failed("first")));
        assert!(group.spawn(|_| Err("refused")).is_err());
        for _ in 0..3 {
            assert_eq!(said(group.wait()), Err(Error::Failed("first")));
        }
        assert_eq!(said(group.wait_until(HOUR).unwrap()), Err(Error::Failed("first")));
        assert_eq!(group.errors(), [Arc::new("first")]);
    });
}

#[test]
fn first_error_wakes_the_rest_and_none_is_unread() {
    within_a_minute(|| {
        let group = group();
        let ready = Arc::new(Latch::new(2));
        for _ in 0..2 {
            let ready = Arc::clone(&ready);
            let spawned = group.spawn(move |token| {
                ready.count_down();
                token.sleep(HOUR).map_err(|_| "woken")
            });
            spawned.unwrap();
        }
        let gate = Arc::clone(&ready);
        group
            .spawn(move |_| {
                gate.wait();
                Err("the disk is full")
            })
            .unwrap();
        assert_eq!(said(group.wait()), Err(Error::Failed("the disk is full")));
        let errors: Vec<&str> = group.errors().into_iter().map(|error| *error).collect();
        assert_eq!(errors, ["the disk is full", "woken", "woken"]);
    });
}

#[test]
fn limit_is_never_exceeded_by_a_thousand_tasks() {
    within_a_minute(|| {
        let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let group = group::<()>();
        group.limit(3);
        for _ in 0..1000 {
            let (inside, most) = (Arc::clone(&inside), Arc::clone(&most));
            let spawned = group.spawn(move |_| {
                most.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
                std::thread::yield_now();
                inside.fetch_sub(1, SeqCst);
                Ok(())
            });
            spawned.unwrap();
        }
        assert_eq!(group.wait(), Ok(()));
        assert!((1..=3).contains(&most.load(SeqCst)), "{most:?} at once");
    });
}

#[test]
fn limit_whose_tasks_wait_for_what_only_a_queued_one_brings_does_not_hang() {
    within_a_minute(|| {
        let group = group();
        group.limit(10);
        for n in 0..100 {
            let spawned = group.spawn(move |token| match n {
                10 => Err("the eleventh"),
                _ => Ok(token.wait()),
            });
            if spawned.is_err() {
                break; // it has failed by now
            }
        }
        assert_eq!(said(group.wait()), Err(Error::Failed("the eleventh")));
    });
}

#[test]
fn task_that_runs_takes_a_place_of_the_limit() {
    within_a_minute(|| {
        let (group, gate, runs) = (group::<()>(), Arc::new(Latch::new(1)), Arc::new(Latch::new(1)));
        group.limit(2);
        let (waits, starts) = (Arc::clone(&gate), Arc::clone(&runs));
        let first = group.try_spawn(move |_| {
            starts.count_down();
            Ok(waits.wait())
        });
        assert!(first.is_ok());
        runs.wait();
        let waits = Arc::clone(&gate);
        assert!(group.try_spawn(move |_| Ok(waits.wait())).is_ok());
        assert_eq!(group.try_spawn(|_| Ok(())).unwrap_err().error, TryError::WouldBlock);
        gate.count_down();
        assert_eq!(group.wait(), Ok(()));
    });
}

#[test]
fn trying_to_spawn_beyond_the_limit_or_after_the_cancel_gives_the_closure_back() {
    within_a_minute(|| {
        let (group, gate) = (group::<()>(), Arc::new(Latch::new(1)));
        group.limit(1);
        let waits = Arc::clone(&gate);
        assert!(group.try_spawn(move |_| Ok(waits.wait())).is_ok());
        assert_eq!(group.try_spawn(|_| Ok(())).unwrap_err().error, TryError::WouldBlock);
        gate.count_down();
        assert_eq!(group.wait(), Ok(()));
        assert!(group.try_spawn(|_| Ok(())).is_ok());
        group.cancel();
        assert_eq!(group.try_spawn(|_| Ok(())).unwrap_err().error, TryError::Closed);
    });
}

#[test]
fn nothing_runs_after_the_cancel() {
    within_a_minute(|| {
        let (group, ran) = (group::<()>(), Arc::new(AtomicUsize::new(0)));
        group.cancel();
        for _ in 0..100 {
            let counts = Arc::clone(&ran);
            let refused = group.spawn(move |_| Ok(_ = counts.fetch_add(1, SeqCst))).unwrap_err();
            assert_eq!(refused.error, Closed);
            assert!(group.submit(|_| Ok(1)).is_err() && group.spawn_named("late", |_| Ok(())).is_err());
        }
        assert_eq!((group.wait(), ran.load(SeqCst), Arc::strong_count(&ran)), (Ok(()), 0, 1));
    });
}

#[test]
fn spawns_that_race_the_cancel_run_or_come_back_or_are_told() {
    within_a_minute(|| {
        for _ in 0..300 {
            let (group, ran) = (group::<()>(), Arc::new(AtomicUsize::new(0)));
            let accepted = std::thread::scope(|s| {
                s.spawn(|| group.cancel());
                let spawn = || {
                    let counts = Arc::clone(&ran);
                    group.spawn(move |_| Ok(_ = counts.fetch_add(1, SeqCst))).is_ok()
                };
                (0..10).filter(|_| spawn()).count()
            });
            match group.wait() {
                Ok(()) => assert_eq!(ran.load(SeqCst), accepted),
                Err(error) => assert_eq!((error, ran.load(SeqCst) < accepted), (Error::Cancelled, true)),
            }
            assert_eq!(Arc::strong_count(&ran), 1, "a closure was kept");
        }
    });
}

#[test]
fn wait_misses_no_task_that_was_spawned_before_it() {
    within_a_minute(|| {
        let group = group::<()>();
        let ran = Arc::new(AtomicUsize::new(0));
        for round in 1..=3000 {
            let counts = Arc::clone(&ran);
            std::thread::scope(|s| {
                let other = s.spawn(|| group.wait());
                let spawned = group.spawn(move |_| Ok(_ = counts.fetch_add(1, SeqCst)));
                spawned.unwrap();
                assert_eq!(group.wait(), Ok(()));
                assert_eq!(ran.load(SeqCst), round);
                assert_eq!(other.join().unwrap(), Ok(()));
            });
        }
    });
}

#[test]
fn wait_that_times_out_names_the_running_tasks_and_can_be_repeated() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let group = Group::<()>::new(&CancelToken::with_clock(&clock));
        let queue = Arc::new(BoundedQueue::<u8>::new(1));
        let jobs = Arc::clone(&queue);
        let started = Arc::new(Latch::new(1));
        let starts = Arc::clone(&started);
        let reader = move |_: &CancelToken| {
            starts.count_down();
            Ok(while jobs.pop().is_ok() {})
        };
        group.spawn_named("reader", reader).unwrap();
        started.wait();
        for _ in 0..2 {
            let late = std::thread::scope(|s| {
                s.spawn(|| {
                    clock.wait_for_sleepers(1);
                    clock.advance(HOUR);
                });
                group.wait_until((clock.clock(), HOUR)).unwrap_err()
            });
            assert_eq!((late.error, late.value.running), (WaitError::TimedOut, vec!["reader".to_owned()]));
        }
        queue.close();
        assert_eq!(group.wait_until(HOUR).unwrap(), Ok(()));
    });
}

#[test]
fn panic_resumes_once_with_its_payload_and_later_waits_say_so() {
    within_a_minute(|| {
        let group = group::<()>();
        group.spawn(|token| Ok(token.wait())).unwrap();
        group.spawn(|_| std::panic::resume_unwind(Box::new(7_u32))).unwrap();
        let first = catch_unwind(AssertUnwindSafe(|| group.wait())).unwrap_err();
        assert_eq!(first.downcast_ref(), Some(&7_u32));
        let later = catch_unwind(AssertUnwindSafe(|| group.wait())).unwrap_err();
        assert!(message(&*later).contains("an earlier wait was told"));
        drop(group); // tells nobody again
    });
}

#[test]
fn panics_do_not_exhaust_the_threads() {
    within_a_minute(|| {
        for _ in 0..50 {
            let group = group::<()>();
            group.limit(2);
            for _ in 0..10 {
                let _ = group.spawn(|_| std::panic::resume_unwind(Box::new("one of many")));
            }
            let told = catch_unwind(AssertUnwindSafe(|| group.wait())).unwrap_err();
            assert_eq!(message(&*told), "one of many");
        }
        let group = group::<()>();
        let meet = Arc::new(Latch::new(10));
        for _ in 0..10 {
            let meet = Arc::clone(&meet);
            let spawned = group.spawn(move |_| {
                meet.count_down();
                Ok(meet.wait())
            });
            spawned.unwrap();
        }
        assert_eq!(group.wait(), Ok(()));
    });
}

#[test]
fn dropping_the_group_cancels_and_joins() {
    within_a_minute(|| {
        let ended = Arc::new(AtomicUsize::new(0));
        let group = group::<()>();
        let ready = Arc::new(Latch::new(3));
        for _ in 0..3 {
            let (ended, ready) = (Arc::clone(&ended), Arc::clone(&ready));
            let spawned = group.spawn(move |token| {
                ready.count_down();
                token.wait();
                ended.fetch_add(1, SeqCst);
                Ok(())
            });
            spawned.unwrap();
        }
        ready.wait();
        drop(group);
        assert_eq!((ended.load(SeqCst), Arc::strong_count(&ended)), (3, 1));
    });
}

#[test]
fn panic_that_no_wait_was_told_of_resumes_at_the_drop() {
    within_a_minute(|| {
        let group = group::<()>();
        group.spawn(|_| std::panic::resume_unwind(Box::new("unread"))).unwrap();
        while !group.token().is_cancelled() {
            std::thread::yield_now();
        }
        let told = catch_unwind(AssertUnwindSafe(|| drop(group))).unwrap_err();
        assert_eq!(message(&*told), "unread");
        // While another panic passes by, it ends here, instead of ending the process.
        let told = catch_unwind(AssertUnwindSafe(|| {
            let group = Group::<()>::new(&CancelToken::new());
            group.spawn(|_| std::panic::resume_unwind(Box::new("unread"))).unwrap();
            std::panic::resume_unwind(Box::new("passing by"));
        }));
        assert_eq!(message(&*told.unwrap_err()), "passing by");
    });
}

#[test]
fn group_that_is_dropped_by_its_own_task_does_not_wait_for_itself() {
    within_a_minute(|| {
        let token = CancelToken::new();
        let group = Group::<()>::new(&token);
        let (own, placed) = (Arc::new(std::sync::Mutex::new(None)), Arc::new(Latch::new(1)));
        let ended = Arc::new(Latch::new(1));
        let spawned = group.spawn({
            let (own, placed, ended) = (Arc::clone(&own), Arc::clone(&placed), Arc::clone(&ended));
            move |token| {
                placed.wait();
                let group: Option<Group<()>> = own.lock().unwrap().take();
                drop(group);
                assert!(token.is_cancelled());
                ended.count_down();
                Ok(())
            }
        });
        spawned.unwrap();
        *own.lock().unwrap() = Some(group);
        placed.count_down();
        ended.wait();
    });
}

#[test]
fn task_that_waits_for_its_own_group_is_refused_at_once() {
    within_a_minute(|| {
        let shared = Arc::new(OnceLock::<Group<WaitError>>::new());
        let group = shared.get_or_init(group);
        let own = Arc::clone(&shared);
        let task = group.submit(move |_| {
            let own = own.get().unwrap();
            Ok((own.wait(), own.wait_until(HOUR).unwrap_err().error))
        });
        let (told, error) = task.unwrap().join().unwrap();
        assert_eq!((told, error), (Err(Error::WouldDeadlock), WaitError::WouldDeadlock));
        assert!(group.wait().is_ok());
    });
}

#[test]
fn tasks_spawn_tasks_that_the_wait_includes_and_that_end_with_the_group() {
    within_a_minute(|| {
        let (group, ran) = (group::<String>(), Arc::new(AtomicUsize::new(0)));
        let (spawner, counts) = (group.spawner(), Arc::clone(&ran));
        let spawned = group.spawn(move |_| {
            for _ in 0..10 {
                let (inner, counts) = (spawner.clone(), Arc::clone(&counts));
                let spawned = spawner.spawn(move |_| {
                    counts.fetch_add(1, SeqCst);
                    let last = inner.try_spawn(move |_| Ok(_ = counts.fetch_add(1, SeqCst)));
                    last.map_err(|refused| refused.to_string())
                });
                spawned.map_err(|refused| refused.to_string())?;
            }
            Ok(())
        });
        spawned.unwrap();
        assert_eq!(said(group.wait()), Ok(()));
        assert_eq!(ran.load(SeqCst), 20);
        let spawner = group.spawner();
        drop(group);
        assert!(spawner.token().is_cancelled());
        assert_eq!(spawner.spawn(|_| Ok(())).unwrap_err().error, Closed);
    });
}

#[test]
fn results_come_in_the_order_of_spawning() {
    within_a_minute(|| {
        let group = group::<Cancelled>();
        let handles: Vec<Handle<usize>> =
            (0..1000).map(|n| group.submit(move |_| Ok(n * n)).unwrap()).collect();
        let squares: Result<Vec<usize>, _> = handles.into_iter().map(Handle::join).collect();
        assert_eq!(squares.unwrap(), (0..1000).map(|n| n * n).collect::<Vec<_>>());
    });
}

#[test]
fn parents_cancel_and_its_cause_reach_the_children() {
    within_a_minute(|| {
        let stop = CancelToken::new();
        let group = Group::<String>::new(&stop);
        let task = group.submit(|token| {
            token.wait();
            Ok(token.cause().unwrap().to_string())
        });
        stop.cancel_because("the user pressed a key");
        let said = task.unwrap().join();
        // Not started, if the cancel came first.
        assert!(said.is_err() || said == Ok("the user pressed a key".into()), "{said:?}");
        assert_eq!(group.wait().is_ok(), said.is_ok());
        drop(group);
        let own = Group::<()>::new(&CancelToken::new());
        own.cancel();
        assert!(own.token().is_cancelled());
    });
}

#[test]
fn closers_are_called_when_the_group_stops() {
    within_a_minute(|| {
        let (group, queue) = (group(), Arc::new(BoundedQueue::<u8>::new(1)));
        let closes = Arc::clone(&queue);
        group.on_stop(move || closes.close());
        let jobs = Arc::clone(&queue);
        group.spawn(move |_| Ok(while jobs.pop().is_ok() {})).unwrap();
        group.spawn(|_| Err("failed")).unwrap();
        assert_eq!(said(group.wait()), Err(Error::Failed("failed")));
        let calls = Arc::new(AtomicUsize::new(0));
        let counts = Arc::clone(&calls);
        group.on_stop(move || counts.fetch_add(1, SeqCst));
        assert_eq!(calls.load(SeqCst), 1);
    });
}

#[test]
fn group_that_keeps_going_has_all_errors() {
    within_a_minute(|| {
        let group = group();
        group.keep_going();
        for n in 0..20 {
            group.spawn(move |_| if n % 2 == 0 { Ok(()) } else { Err(n) }).unwrap();
        }
        assert!(group.wait().is_err());
        let mut errors: Vec<i32> = group.errors().into_iter().map(|error| *error).collect();
        errors.sort();
        assert_eq!(errors, [1, 3, 5, 7, 9, 11, 13, 15, 17, 19]);
        group.spawn(|_| Ok(())).unwrap(); // it has not stopped
    });
}

#[test]
fn worker_of_a_pool_may_wait_for_a_group_at_one_worker_and_a_full_queue() {
    within_a_minute(|| {
        let pool = Arc::new(Pool::builder().workers(1).queue(1).build().unwrap());
        let inner = Arc::clone(&pool);
        let task = pool.submit(move || {
            inner.execute(|| ()).unwrap(); // the queue is full
            let group = Group::<()>::new(&CancelToken::new());
            for _ in 0..3 {
                let inner = Arc::clone(&inner);
                let spawned = group.spawn(move |_| Ok(inner.submit(|| 7).unwrap().join().map(drop).unwrap()));
                spawned.unwrap();
            }
            group.wait().is_ok()
        });
        assert!(task.unwrap().join().unwrap());
    });
}

#[test]
fn group_is_waited_for_by_many_at_once() {
    within_a_minute(|| {
        let (group, gate) = (group::<&str>(), Arc::new(Latch::new(1)));
        let waits = Arc::clone(&gate);
        group
            .spawn(move |_| {
                waits.wait();
                Err("shared")
            })
            .unwrap();
        std::thread::scope(|s| {
            let waiters: Vec<_> = (0..4)
                .map(|n| {
                    let group = &group;
                    s.spawn(move || if n % 2 == 0 { group.wait() } else { group.wait_until(HOUR).unwrap() })
                })
                .collect();
            gate.count_down();
            for waiter in waiters {
                assert_eq!(said(waiter.join().unwrap()), Err(Error::Failed("shared")));
            }
        });
    });
}

#[test]
fn task_of_one_group_waits_for_another() {
    within_a_minute(|| {
        let (one, other) = (group::<()>(), Arc::new(group::<()>()));
        other.spawn(|_| Ok(())).unwrap();
        let waits = Arc::clone(&other);
        let waited = one.submit(move |_| Ok(waits.wait().is_ok() && waits.wait_until(HOUR).unwrap().is_ok()));
        assert!(waited.unwrap().join().unwrap());
        one.wait().unwrap();
    });
}

#[test]
fn debug_of_a_group_and_a_spawner_never_waits() {
    let group = group::<()>();
    assert!(format!("{group:?}").contains("running: 0"));
    assert!(format!("{:?}", group.spawner()).contains("Spawner"));
}

#[test]
fn detach_leaves_a_deaf_task_behind_and_starts_none_after_it() {
    within_a_minute(|| {
        let group = group::<()>();
        group.limit(1);
        let (gate, begun) = (Arc::new(Latch::new(1)), Arc::new(Latch::new(1)));
        let (opens, begins) = (Arc::clone(&gate), Arc::clone(&begun));
        let heard = Arc::new(AtomicUsize::new(0));
        let counts = Arc::clone(&heard);
        group
            .spawn_named("deaf", move |stop| {
                begins.count_down();
                // Deaf to the cancel, and awake for the limit: a foreign call.
                while !opens.is_open() {
                    std::thread::yield_now();
                }
                counts.fetch_add(usize::from(stop.is_cancelled()), SeqCst);
                Ok(())
            })
            .unwrap();
        begun.wait();
        let counts = Arc::clone(&heard);
        group
            .spawn(move |_| {
                counts.fetch_add(10, SeqCst);
                Ok(())
            })
            .unwrap();
        let left = group.detach();
        assert_eq!(left.running, ["deaf"]);
        gate.count_down();
        eventually("the task has ended", || heard.load(SeqCst) == 1);
    });
}

#[test]
fn detach_of_a_group_without_tasks_leaves_nobody() {
    let left = group::<()>().detach();
    assert_eq!((left.running.len(), left.waiting), (0, 0));
}

//! The misfortunes of the reference's patterns, each in its smallest scenario: ours come through. Those of
//! its pools are in `pools.rs`.
//!
//! The numbers are the rows of the pattern table that the crate was designed by.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use crate::common::{HOUR, eventually, figure, message, until_figure, within_a_minute};
use selvedge::error::{TryError, WaitError};
use selvedge::queue::bounded;
use selvedge::{BoundedQueue, CancelToken, Clock, Latch, Semaphore, WaitGroup, group};

/// 3.1: a release without an acquire blocked, and a foreign one admitted one too many.
mod semaphore {
    use super::*;

    #[test]
    fn permit_can_only_be_given_back_by_its_holder_and_only_once() {
        let (mine, foreign) = (Semaphore::new(1), Semaphore::new(1));
        let mut permit = mine.acquire().unwrap();
        let stranger = foreign.acquire().unwrap();
        let merged = catch_unwind(AssertUnwindSafe(|| permit.merge(stranger)));
        assert!(message(&*merged.unwrap_err()).contains("different semaphores"));
        drop(permit);
        // Each has its own back and nothing more.
        assert_eq!((mine.available(), foreign.available()), (1, 1));
        let _held = mine.acquire().unwrap();
        assert_eq!(mine.try_acquire().unwrap_err(), TryError::WouldBlock);
    }

    #[test]
    fn cancelled_token_never_acquires_although_permits_are_free() {
        let (semaphore, token) = (Semaphore::new(1), CancelToken::new());
        token.cancel();
        for _ in 0..1000 {
            assert_eq!(semaphore.acquire_until(&token).unwrap_err(), WaitError::Cancelled);
        }
        assert_eq!(semaphore.available(), 1);
    }

    #[test]
    fn waiter_that_gives_up_at_the_front_hands_its_turn_on() {
        within_a_minute(|| {
            let (semaphore, token) = (Arc::new(Semaphore::new(2)), CancelToken::new());
            let _held = semaphore.acquire().unwrap();
            let front = thread::spawn({
                let (semaphore, token) = (Arc::clone(&semaphore), token.clone());
                move || semaphore.acquire_many_until(2, &token).map(drop)
            });
            until_figure(&semaphore, "waiting", 1);
            let behind = thread::spawn({
                let semaphore = Arc::clone(&semaphore);
                move || semaphore.acquire().map(drop)
            });
            until_figure(&semaphore, "waiting", 2);
            token.cancel();
            assert_eq!(behind.join().unwrap(), Ok(()));
            assert_eq!(front.join().unwrap(), Err(WaitError::Cancelled));
        });
    }

    #[test]
    fn more_than_the_total_is_an_error_and_not_a_hang() {
        within_a_minute(|| {
            assert_eq!(Semaphore::new(2).acquire_many(3).unwrap_err(), WaitError::InsufficientCapacity);
        });
    }
}

/// 3.3: children ran after the cancel, their errors went unread, and waiting missed some.
mod cancellation {
    use super::*;

    #[test]
    fn nothing_starts_after_the_cancel() {
        within_a_minute(|| {
            let (token, ran) = (CancelToken::new(), AtomicUsize::new(0));
            token.cancel();
            let result = group::scope(&token, |g| {
                g.spawn(|_| {
                    ran.fetch_add(1, SeqCst);
                    Ok::<_, ()>(())
                });
                Ok(())
            });
            assert_eq!((result, ran.load(SeqCst)), (Err(group::Error::Cancelled), 0));
        });
    }

    #[test]
    fn wait_includes_a_member_that_joined_before_it_and_can_time_out() {
        within_a_minute(|| {
            let group = WaitGroup::new();
            let member = group.add();
            assert_eq!(group.wait_until(Duration::from_millis(1)), Err(WaitError::TimedOut));
            let joined = Arc::new(Latch::new(1));
            let child = thread::spawn({
                let (inner, joined) = (member.clone(), Arc::clone(&joined));
                move || {
                    joined.count_down();
                    drop(inner);
                }
            });
            joined.wait();
            drop(member);
            group.wait();
            assert_eq!(group.count(), 0);
            child.join().unwrap();
        });
    }

    #[test]
    fn child_has_its_parents_cause_and_never_a_later_deadline() {
        let clock = Clock::manual();
        let parent = CancelToken::with_clock(&clock).child_until(HOUR);
        let child = parent.child_until(HOUR * 2);
        assert_eq!(child.deadline(), parent.deadline());
        parent.cancel_because("shut down");
        assert_eq!(child.cause().unwrap().to_string(), "shut down");
    }

    #[test]
    fn callback_runs_at_once_if_cancelled_already_and_outside_locks() {
        within_a_minute(|| {
            let (token, (told, hears)) = (CancelToken::new(), channel());
            token.cancel();
            let inner = token.clone();
            let guard = token.on_cancel(move || told.send(inner.child().is_cancelled()).unwrap());
            assert_eq!(hears.try_recv(), Ok(true));
            drop(guard);
        });
    }

    #[test]
    fn dropped_child_is_forgotten() {
        let token = CancelToken::new();
        drop(token.child());
        assert_eq!(figure(&token, "watchers"), Some(0));
    }
}

/// 4.1: no limit, a panic killed the process, and only one error without a cause.
mod error_group {
    use super::*;

    #[test]
    fn first_error_is_kept_and_wakes_a_sleeper() {
        within_a_minute(|| {
            let sleeping = Latch::new(1);
            let result = group::scope(&CancelToken::new(), |g| {
                g.spawn(|token| {
                    sleeping.count_down();
                    token.sleep(HOUR).map_err(|_| "second")
                });
                g.spawn(|_| {
                    sleeping.wait();
                    Err("first")
                });
                Ok(())
            });
            assert_eq!(result, Err(group::Error::Failed("first")));
        });
    }

    #[test]
    fn panic_keeps_its_payload_and_wakes_a_sleeper() {
        within_a_minute(|| {
            let result = catch_unwind(AssertUnwindSafe(|| {
                group::scope(&CancelToken::new(), |g| {
                    g.spawn(|token| token.sleep(HOUR).map_err(|_| "woken"));
                    g.spawn(|token| -> Result<(), _> {
                        // The other sleeps, and is woken by this one's end.
                        while figure(token, "watchers") != Some(1) {
                            thread::yield_now();
                        }
                        std::panic::resume_unwind(Box::new(42u16))
                    });
                    Ok(())
                })
            }));
            assert_eq!(result.unwrap_err().downcast_ref(), Some(&42u16));
        });
    }

    #[test]
    fn limit_holds_for_a_thousand_tasks_that_spawn_more() {
        within_a_minute(|| {
            let (inside, most, ran) = (&AtomicUsize::new(0), &AtomicUsize::new(0), &AtomicUsize::new(0));
            let work = || {
                most.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
                ran.fetch_add(1, SeqCst);
                inside.fetch_sub(1, SeqCst);
                Ok::<_, ()>(())
            };
            let result = group::scope(&CancelToken::new(), |g| {
                g.limit(4);
                for _ in 0..500 {
                    g.spawn(move |_| {
                        g.spawn(move |_| work());
                        work()
                    });
                }
                Ok(())
            });
            assert_eq!((result, ran.load(SeqCst)), (Ok(()), 1000));
            assert!(most.load(SeqCst) <= 4, "{most:?} at once");
        });
    }
}

/// 6.2: one condvar and a signal lost wake-ups, and no cancel reached a sleeper.
mod bounded_queue {
    use super::*;

    #[test]
    fn one_producer_of_two_and_two_consumers_of_one_end_at_capacity_one() {
        within_a_minute(|| {
            for _ in 0..2000 {
                let queue = Arc::new(BoundedQueue::new(1));
                let consumers = [(); 2].map(|()| {
                    let queue = Arc::clone(&queue);
                    thread::spawn(move || queue.pop().unwrap())
                });
                queue.push(1).unwrap();
                queue.push(2).unwrap();
                assert_eq!(consumers.map(|consumer| consumer.join().unwrap()).iter().sum::<i32>(), 3);
            }
        });
    }

    #[test]
    fn cancel_wakes_sleepers_on_both_sides_and_eats_nobodys_wake_up() {
        within_a_minute(|| {
            let (queue, token) = (Arc::new(BoundedQueue::new(1)), CancelToken::new());
            let leaves = thread::spawn({
                let (queue, token) = (Arc::clone(&queue), token.clone());
                move || queue.pop_until(&token)
            });
            until_figure(&queue, "waiting_to_pop", 1);
            let stays = thread::spawn({
                let queue = Arc::clone(&queue);
                move || queue.pop()
            });
            until_figure(&queue, "waiting_to_pop", 2);
            token.cancel();
            queue.push(1).unwrap();
            assert_eq!(leaves.join().unwrap(), Err(WaitError::Cancelled));
            assert_eq!(stays.join().unwrap(), Ok(1));
            let token = CancelToken::new();
            queue.push(2).unwrap();
            let pushes = thread::spawn({
                let (queue, token) = (Arc::clone(&queue), token.clone());
                move || queue.push_until(3, &token).unwrap_err()
            });
            until_figure(&queue, "waiting_to_push", 1);
            token.cancel();
            let rejected = pushes.join().unwrap();
            assert_eq!((rejected.value, rejected.error), (3, WaitError::Cancelled));
        });
    }

    #[test]
    fn closing_wakes_all_and_loses_nothing() {
        within_a_minute(|| {
            let (sender, receiver) = bounded(2);
            sender.push_all(["a", "b"]).unwrap();
            let sleeper = thread::spawn({
                let sender = sender.clone();
                move || sender.push("c").unwrap_err().into_value()
            });
            until_figure(&sender, "waiting_to_push", 1);
            sender.close();
            assert_eq!(sleeper.join().unwrap(), "c");
            assert_eq!(receiver.iter().collect::<String>(), "ab");
        });
    }

    #[test]
    fn items_of_one_producer_come_out_in_order_singly_and_in_batches() {
        within_a_minute(|| {
            let (sender, receiver) = bounded(3);
            let producer = thread::spawn(move || {
                for start in (0..300).step_by(3) {
                    sender.push(start).unwrap();
                    sender.push_all([start + 1, start + 2]).unwrap();
                }
            });
            let mut seen = Vec::new();
            while let Ok(first) = receiver.pop() {
                seen.push(first);
                seen.extend(receiver.try_pop_many(2).unwrap_or_default());
            }
            producer.join().unwrap();
            assert_eq!(seen, (0..300).collect::<Vec<_>>());
        });
    }

    #[test]
    fn popped_items_are_not_reachable_from_the_queue() {
        let (item, queue) = (Arc::new(()), BoundedQueue::new(4));
        queue.push(Arc::clone(&item)).unwrap();
        drop(queue.pop());
        assert_eq!(Arc::strong_count(&item), 1);
    }
}

/// 7.2: each add reset the timer; items were lost at exit; the handler ran under the lock; errors of a flush
/// were lost.
mod batcher {
    use super::*;
    use selvedge::Batcher;
    use selvedge::batch::{Batch, BatchError};

    const INTERVAL: Duration = Duration::from_millis(100);

    #[test]
    fn an_add_every_99_ms_with_an_interval_of_100_is_flushed_every_other_time() {
        within_a_minute(|| {
            let clock = Clock::manual();
            let builder = Batcher::builder().max_items(1_000).max_age(INTERVAL).clock(&clock);
            let batcher = builder.build(|_: &mut Batch<usize>| ()).unwrap();
            for add in 0..100 {
                batcher.add(add).unwrap();
                clock.advance(Duration::from_millis(99));
                // The second of two is 99 ms late for the first, and the next comes when both have gone.
                eventually("the aged are taken", || batcher.stats().batches == add.div_ceil(2));
            }
            assert_eq!(batcher.stats().aged, 50);
        });
    }

    #[test]
    fn all_twelve_of_the_example_are_processed() {
        within_a_minute(|| {
            let (tell, told) = channel();
            let builder = Batcher::builder().max_items(5).max_age(Duration::from_secs(1));
            let batcher = builder.build(move |batch: &mut Batch<String>| tell.send(batch.len())).unwrap();
            (0..12).for_each(|n| batcher.add(format!("item-{n}")).unwrap());
            drop(batcher); // the program ends
            assert_eq!(told.iter().sum::<usize>(), 12);
        });
    }

    #[test]
    fn adding_goes_on_while_the_handler_works() {
        within_a_minute(|| {
            let (gate, inside) = (Arc::new(Latch::new(1)), Arc::new(Latch::new(1)));
            let handler = {
                let (gate, inside) = (Arc::clone(&gate), Arc::clone(&inside));
                move |batch: &mut Batch<u32>| {
                    if batch[0] == 0 {
                        inside.count_down();
                        gate.wait();
                    }
                }
            };
            let batcher = Batcher::builder().max_items(5).max_age(Duration::MAX).build(handler).unwrap();
            (0..5).for_each(|n| batcher.add(n).unwrap());
            inside.wait();
            // On this thread, though nobody opens the gate: the reference's add would wait for the handler.
            (5..14).for_each(|n| batcher.try_add(n).unwrap());
            gate.count_down();
            assert_eq!(batcher.close().stats.processed, 14);
        });
    }

    #[test]
    fn handler_may_add_to_its_own_batcher() {
        within_a_minute(|| {
            let (batcher, own) = (Arc::new(std::sync::OnceLock::<Batcher<u32>>::new()), channel());
            let (hand, handed) = own;
            let handler = {
                let batcher = Arc::downgrade(&batcher);
                move |batch: &mut Batch<u32>| {
                    let batcher = batcher.upgrade().expect("the test holds it");
                    let batcher = batcher.wait();
                    match batch[0] {
                        0 => hand.send(()).unwrap(),
                        n => batcher.add(n - 1).unwrap(),
                    }
                }
            };
            let built = Batcher::builder().max_items(1).build(handler).unwrap();
            assert!(batcher.set(built).is_ok());
            batcher.wait().add(3).unwrap();
            handed.recv().unwrap();
            assert_eq!(batcher.wait().close().stats.processed, 4);
        });
    }

    #[test]
    fn error_of_a_flush_by_time_is_told_and_so_is_a_panic() {
        within_a_minute(|| {
            let (clock, (tell, told)) = (Clock::manual(), channel());
            let builder = Batcher::builder().max_items(5).max_age(INTERVAL).clock(&clock);
            let handler = |batch: &mut Batch<u32>| match batch[0] {
                0 => Err("no"),
                _ => panic!("a bug"),
            };
            let batcher =
                builder.on_error(move |failed| tell.send(failed).unwrap()).build::<Result<(), _>>(handler);
            let batcher = batcher.unwrap();
            for item in [0, 1] {
                batcher.add(item).unwrap();
                clock.advance(INTERVAL);
                let failed = told.recv().unwrap();
                assert_eq!(failed.value, [item]);
            }
            let report = batcher.close();
            assert!(matches!(report.errors[..], [BatchError::Failed(_), BatchError::Panicked(_)]));
        });
    }
}

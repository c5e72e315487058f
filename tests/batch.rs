//! The batcher from outside: by size, weight, age, flush and close; each item once; every failure told.

mod common;

use std::collections::HashSet;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use common::{HOUR, eventually, figure, until_figure, within_a_minute};
use selvedge::batch::{Batch, BatchError, BuildError, Builder, Reason, Report};
use selvedge::error::{TryError, WaitError};
use selvedge::{Batcher, CancelToken, Clock, Latch, group};

/// A batch as the handler saw it.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    items: Vec<u32>,
    reason: Reason,
}

fn seen(items: impl Into<Vec<u32>>, reason: Reason) -> Seen {
    Seen { items: items.into(), reason }
}

/// A handler that tells what it was given.
fn telling() -> (impl Fn(&mut Batch<u32>) + Send + Sync, Receiver<Seen>) {
    let (tell, told) = channel();
    let handler = move |batch: &mut Batch<u32>| {
        tell.send(Seen { items: batch.to_vec(), reason: batch.reason() }).unwrap();
    };
    (handler, told)
}

/// Nothing but size, flush and close hands a batch over.
fn ageless() -> Builder<u32> {
    Batcher::builder().max_age(Duration::MAX)
}

/// A batcher of one item a batch whose handler waits for the first latch to open, after it has opened the second.
fn gated(backlog: usize) -> (Arc<Batcher<u32>>, Arc<Latch>, Arc<Latch>) {
    let (gate, inside) = (Arc::new(Latch::new(1)), Arc::new(Latch::new(1)));
    let handler = {
        let (gate, inside) = (Arc::clone(&gate), Arc::clone(&inside));
        move |_: &mut Batch<u32>| {
            if !inside.is_open() {
                inside.count_down();
            }
            gate.wait();
        }
    };
    let batcher = ageless().max_items(1).backlog(backlog).build(handler).unwrap();
    (Arc::new(batcher), gate, inside)
}

/// Waits until the batcher's threads sleep, so that the clock may be advanced.
fn until_idle<R>(batcher: &Batcher<u32, R>, threads: usize) {
    until_figure(batcher, "idle", threads);
}

mod handing_over {
    use super::*;

    #[test]
    fn full_batch_is_handed_over_at_once_in_the_order_of_its_items() {
        within_a_minute(|| {
            let (handler, told) = telling();
            let batcher = ageless().max_items(3).build(handler).unwrap();
            (1..=7).for_each(|n| batcher.add(n).unwrap());
            assert_eq!(told.recv().unwrap(), seen([1, 2, 3], Reason::Full));
            assert_eq!(told.recv().unwrap(), seen([4, 5, 6], Reason::Full));
            assert_eq!(batcher.stats().waiting, 1);
            assert!(told.try_recv().is_err());
        });
    }

    #[test]
    fn age_is_that_of_the_oldest_item_and_later_ones_do_not_prolong_it() {
        within_a_minute(|| {
            let (handler, told) = telling();
            let clock = Clock::manual();
            let age = Duration::from_millis(100);
            let batcher = Batcher::builder().max_age(age).clock(&clock).build(handler).unwrap();
            batcher.add(0).unwrap();
            clock.wait_for_sleepers(1);
            clock.advance(Duration::from_millis(99));
            batcher.add(1).unwrap();
            assert_eq!(batcher.stats().waiting, 2);
            assert!(told.try_recv().is_err());
            clock.advance(Duration::from_millis(1));
            assert_eq!(told.recv().unwrap(), seen([0, 1], Reason::Aged));
        });
    }

    #[test]
    fn each_batch_has_an_age_of_its_own() {
        within_a_minute(|| {
            let (handler, told) = telling();
            let clock = Clock::manual();
            let builder = Batcher::builder().max_items(2).max_age(HOUR).clock(&clock);
            let batcher = builder.build(handler).unwrap();
            batcher.add(0).unwrap();
            clock.wait_for_sleepers(1);
            clock.advance(HOUR / 2);
            (1..=2).for_each(|n| batcher.add(n).unwrap());
            assert_eq!(told.recv().unwrap(), seen([0, 1], Reason::Full));
            until_idle(&batcher, 1);
            clock.advance(HOUR / 2);
            until_idle(&batcher, 1);
            assert!(told.try_recv().is_err());
            clock.advance(HOUR / 2);
            assert_eq!(told.recv().unwrap(), seen([2], Reason::Aged));
        });
    }

    #[test]
    fn age_of_nothing_hands_over_what_is_there_while_nobody_is_busy() {
        within_a_minute(|| {
            let (handler, told) = telling();
            let batcher = Batcher::builder().max_age(Duration::ZERO).build(handler).unwrap();
            batcher.add(7).unwrap();
            assert_eq!(told.recv().unwrap(), seen([7], Reason::Aged));
        });
    }

    #[test]
    fn nothing_is_handed_over_while_there_is_nothing() {
        within_a_minute(|| {
            let (handler, told) = telling();
            let clock = Clock::manual();
            let batcher = Batcher::builder().max_age(HOUR).clock(&clock).build(handler).unwrap();
            until_idle(&batcher, 1);
            clock.advance(HOUR * 3);
            assert_eq!(batcher.flush(), Ok(()));
            assert_eq!(batcher.close().stats.batches, 0);
            assert!(told.recv().is_err());
        });
    }

    #[test]
    fn item_that_would_make_the_batch_too_heavy_begins_another() {
        within_a_minute(|| {
            let (handler, told) = telling();
            let builder = ageless().max_weight(10).weigh(|n: &u32| *n as usize);
            let batcher = builder.build(handler).unwrap();
            [6, 5, 5, 0, 4].into_iter().for_each(|n| batcher.add(n).unwrap());
            assert_eq!(told.recv().unwrap(), seen([6], Reason::Full));
            assert_eq!(told.recv().unwrap(), seen([5, 5], Reason::Full)); // just as heavy as may be
            batcher.flush().unwrap();
            assert_eq!(told.recv().unwrap(), seen([0, 4], Reason::Flushed));
        });
    }

    #[test]
    fn item_heavier_than_a_batch_may_be_is_refused_and_comes_back() {
        let (handler, _told) = telling();
        let batcher = ageless().max_weight(10).weigh(|n: &u32| *n as usize).build(handler).unwrap();
        let refused = batcher.add(11).unwrap_err();
        assert_eq!((refused.value, refused.error), (11, WaitError::Impossible));
        let refused = batcher.try_add(12).unwrap_err();
        assert_eq!((refused.value, refused.error), (12, TryError::Impossible));
        assert_eq!(batcher.submit_until(13, HOUR).unwrap_err().value, 13);
        assert_eq!(batcher.close().stats.added, 0);
    }

    #[test]
    fn weights_that_overflow_are_too_heavy_together() {
        within_a_minute(|| {
            let (handler, told) = telling();
            let builder = ageless().max_weight(usize::MAX).weigh(|_: &u32| usize::MAX - 1);
            let batcher = builder.build(handler).unwrap();
            (0..2).for_each(|n| batcher.add(n).unwrap());
            assert_eq!(told.recv().unwrap(), seen([0], Reason::Full));
        });
    }

    #[test]
    fn weight_alone_counts_items_when_nothing_weighs_them() {
        within_a_minute(|| {
            let (handler, told) = telling();
            let batcher = ageless().max_weight(2).build(handler).unwrap();
            (0..2).for_each(|n| batcher.add(n).unwrap());
            assert_eq!(told.recv().unwrap(), seen([0, 1], Reason::Full));
        });
    }

    #[test]
    fn batches_of_one_thread_are_processed_one_after_the_other() {
        within_a_minute(|| {
            let (busy, order) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
            let handler = {
                let (busy, order) = (Arc::clone(&busy), Arc::clone(&order));
                move |batch: &mut Batch<u32>| {
                    assert_eq!(busy.fetch_add(1, SeqCst), 0);
                    order.lock().unwrap().extend_from_slice(batch);
                    assert_eq!(busy.fetch_sub(1, SeqCst), 1);
                }
            };
            let batcher = ageless().max_items(7).build(handler).unwrap();
            (0..1_000).for_each(|n| batcher.add(n).unwrap());
            assert!(batcher.close().is_clean());
            assert_eq!(*order.lock().unwrap(), (0..1_000).collect::<Vec<_>>());
        });
    }

    #[test]
    fn so_many_batches_are_in_flight_as_were_asked_for() {
        within_a_minute(|| {
            let both = Arc::new(Latch::new(2));
            let handler = {
                let both = Arc::clone(&both);
                move |_: &mut Batch<u32>| {
                    both.count_down();
                    both.wait(); // until the other is inside, too
                }
            };
            let batcher = ageless().max_items(1).build_concurrent(2, handler).unwrap();
            (0..2).for_each(|n| batcher.add(n).unwrap());
            assert_eq!(batcher.close().stats.processed, 2);
        });
    }

    #[test]
    fn idle_thread_watches_the_age_while_the_others_are_busy() {
        within_a_minute(|| {
            let (gate, clock) = (Arc::new(Latch::new(1)), Clock::manual());
            let (tell, told) = channel();
            let handler = {
                let gate = Arc::clone(&gate);
                move |batch: &mut Batch<u32>| {
                    tell.send(batch.to_vec()).unwrap();
                    if batch[0] < 2 {
                        gate.wait();
                    }
                }
            };
            let builder = Batcher::builder().max_items(1_000).max_age(HOUR).clock(&clock);
            let batcher = builder.build_concurrent(3, handler).unwrap();
            for n in 0..3 {
                until_idle(&batcher, 3 - n as usize);
                batcher.add(n).unwrap();
                clock.wait_for_sleepers(1);
                clock.advance(HOUR);
                assert_eq!(told.recv().unwrap(), [n]);
            }
            gate.count_down();
        });
    }

    #[test]
    fn threads_have_the_batchers_name() {
        within_a_minute(|| {
            let (tell, told) = channel();
            let handler = move |_: &mut Batch<u32>| tell.send(thread::current().name().unwrap().to_owned());
            let batcher = ageless().name("disk").max_items(1).build(handler).unwrap();
            batcher.add(1).unwrap();
            assert_eq!(told.recv().unwrap(), "disk-0");
            assert!(format!("{batcher:?}").contains("\"disk\""));
        });
    }
}

mod back_pressure {
    use super::*;

    #[test]
    fn add_waits_when_the_handler_falls_behind_and_goes_on_when_it_catches_up() {
        within_a_minute(|| {
            let (batcher, gate, inside) = gated(2);
            batcher.add(0).unwrap();
            inside.wait();
            (1..=2).for_each(|n| batcher.add(n).unwrap());
            let refused = batcher.try_add(3).unwrap_err();
            assert_eq!((refused.value, refused.error), (3, TryError::WouldBlock));
            let adder = thread::spawn({
                let batcher = Arc::clone(&batcher);
                move || batcher.add(3)
            });
            until_figure(&batcher, "adding", 1);
            gate.count_down();
            adder.join().unwrap().unwrap();
            assert_eq!(batcher.close().stats.processed, 4);
        });
    }

    #[test]
    fn add_that_gives_up_gets_its_item_back() {
        within_a_minute(|| {
            let (batcher, gate, inside) = gated(1);
            let stop = CancelToken::new();
            batcher.add(0).unwrap();
            inside.wait();
            batcher.add(1).unwrap();
            let refused = batcher.add_until(2, Duration::ZERO).unwrap_err();
            assert_eq!((refused.value, refused.error), (2, WaitError::TimedOut));
            let adder = thread::spawn({
                let (batcher, stop) = (Arc::clone(&batcher), stop.clone());
                move || batcher.add_until(3, &stop).unwrap_err()
            });
            until_figure(&batcher, "adding", 1);
            stop.cancel();
            let refused = adder.join().unwrap();
            assert_eq!((refused.value, refused.error), (3, WaitError::Cancelled));
            gate.count_down();
            assert_eq!(batcher.close().stats.added, 2);
        });
    }

    #[test]
    fn cancelled_token_adds_nothing_although_there_is_room() {
        let (handler, _told) = telling();
        let batcher = ageless().build(handler).unwrap();
        let stop = CancelToken::new();
        stop.cancel();
        assert_eq!(batcher.add_until(1, &stop).unwrap_err().value, 1);
        assert_eq!(batcher.submit_until(2, (&stop, HOUR)).unwrap_err().error, WaitError::Cancelled);
        assert_eq!(batcher.flush_until(&stop), Err(WaitError::Cancelled));
        assert_eq!(batcher.stats().added, 0);
    }

    #[test]
    fn closing_refuses_who_waits_for_room() {
        within_a_minute(|| {
            let (batcher, gate, inside) = gated(1);
            batcher.add(0).unwrap();
            inside.wait();
            batcher.add(1).unwrap();
            let adders = [2, 3].map(|n| {
                let batcher = Arc::clone(&batcher);
                thread::spawn(move || batcher.add(n).unwrap_err())
            });
            until_figure(&batcher, "adding", 2);
            let closer = thread::spawn({
                let batcher = Arc::clone(&batcher);
                move || batcher.close()
            });
            let mut back: Vec<u32> = Vec::new();
            for adder in adders {
                let refused = adder.join().unwrap();
                assert_eq!(refused.error, WaitError::Closed);
                back.push(refused.value);
            }
            assert_eq!(back, [2, 3]);
            gate.count_down();
            assert_eq!(closer.join().unwrap().stats.processed, 2);
        });
    }

    #[test]
    fn a_thousand_waiting_adders_all_get_in() {
        within_a_minute(|| {
            let (handler, told) = telling();
            let batcher = Arc::new(ageless().max_items(3).backlog(1).build(handler).unwrap());
            let adders: Vec<_> = (0..8)
                .map(|adder| {
                    let batcher = Arc::clone(&batcher);
                    thread::spawn(move || (0..125).for_each(|n| batcher.add(adder * 125 + n).unwrap()))
                })
                .collect();
            adders.into_iter().for_each(|adder| adder.join().unwrap());
            assert!(batcher.close().is_clean());
            let items: Vec<u32> = told.try_iter().flat_map(|batch| batch.items).collect();
            assert_eq!(items.len(), 1_000);
            assert_eq!(items.into_iter().collect::<HashSet<_>>().len(), 1_000);
        });
    }
}

mod tickets {
    use super::*;

    #[test]
    fn ticket_gets_the_result_of_its_own_items_batch() {
        within_a_minute(|| {
            let mut batches = 0;
            let handler = move |_: &mut Batch<u32>| {
                batches += 1;
                Ok::<u32, io::Error>(batches)
            };
            let batcher = ageless().max_items(2).build(handler).unwrap();
            let tickets = [1, 2, 3, 4].map(|n| batcher.submit(n).unwrap());
            assert_eq!(tickets.map(|ticket| ticket.wait().unwrap()), [1, 1, 2, 2]);
        });
    }

    #[test]
    fn result_for_each_item_goes_to_the_ticket_of_that_item() {
        within_a_minute(|| {
            let handler = |batch: &mut Batch<u32>| -> Vec<Result<u32, String>> {
                batch
                    .iter()
                    .map(|n| if n % 2 == 0 { Ok(n * 10) } else { Err(format!("{n} is odd")) })
                    .collect()
            };
            let batcher = ageless().max_items(5).build(handler).unwrap();
            batcher.add(0).unwrap();
            let one = batcher.submit(1).unwrap();
            let two = batcher.submit(2).unwrap();
            batcher.add(3).unwrap();
            let four = batcher.submit(4).unwrap();
            assert_eq!(four.wait().unwrap(), 40);
            assert_eq!(two.wait().unwrap(), 20);
            let failed = one.wait().unwrap_err();
            assert_eq!((failed.value, failed.error.to_string()), (Some(1), "1 is odd".to_owned()));
            let report = batcher.close();
            assert_eq!((report.stats.processed, report.stats.failed, report.errors.len()), (3, 2, 2));
        });
    }

    #[test]
    fn results_that_are_not_as_many_as_the_items_fail_the_batch() {
        within_a_minute(|| {
            let handler = |_: &mut Batch<u32>| vec![Ok::<u32, String>(1)];
            let batcher = ageless().max_items(3).build(handler).unwrap();
            let tickets = [1, 2, 3].map(|n| batcher.submit(n).unwrap());
            for (ticket, n) in tickets.into_iter().zip(1..) {
                let failed = ticket.wait().unwrap_err();
                assert!(failed.error.to_string().contains("1 results for 3 items"), "{failed}");
                assert_eq!(failed.value, Some(n));
            }
        });
    }

    #[test]
    fn failed_batch_gives_every_ticket_its_item_and_the_same_error() {
        within_a_minute(|| {
            let handler = |_: &mut Batch<u32>| Err::<(), _>(io::Error::from(io::ErrorKind::StorageFull));
            let batcher = ageless().max_items(2).build(handler).unwrap();
            let tickets = [1, 2].map(|n| batcher.submit(n).unwrap());
            for (ticket, n) in tickets.into_iter().zip(1..) {
                let failed = ticket.wait().unwrap_err();
                let error = failed.error.downcast_ref::<io::Error>().unwrap();
                assert_eq!((failed.value, error.kind()), (Some(n), io::ErrorKind::StorageFull));
            }
        });
    }

    #[test]
    fn items_that_the_handler_took_do_not_come_back() {
        within_a_minute(|| {
            let handler = |batch: &mut Batch<u32>| {
                drop(batch.take());
                Err::<(), _>("gone")
            };
            let builder = ageless().max_items(1).retry(|_, _| Some(Duration::ZERO));
            let batcher = builder.build(handler).unwrap();
            let failed = batcher.submit(1).unwrap().wait().unwrap_err();
            assert_eq!((failed.value, failed.error.to_string()), (None, "gone".to_owned()));
            assert_eq!(batcher.close().stats.retries, 0);
        });
    }

    #[test]
    fn ticket_says_when_it_is_finished_and_gives_the_result_once() {
        within_a_minute(|| {
            let (batcher, gate, inside) = gated(1);
            let ticket = batcher.submit(1).unwrap();
            inside.wait();
            assert!(!ticket.is_finished());
            let ticket = ticket.try_wait().unwrap_err();
            gate.count_down();
            batcher.flush().unwrap();
            assert!(ticket.is_finished());
            assert!(ticket.try_wait().unwrap().is_ok());
        });
    }

    #[test]
    fn wait_that_gives_up_gets_the_ticket_back_and_the_batch_goes_on() {
        within_a_minute(|| {
            let (batcher, gate, inside) = gated(1);
            let (stop, clock) = (CancelToken::new(), Clock::manual());
            let ticket = batcher.submit(1).unwrap();
            inside.wait();
            let back = ticket.wait_until(Duration::ZERO).unwrap_err();
            assert_eq!(back.error, WaitError::TimedOut);
            let late = thread::spawn({
                let clock = clock.clone();
                move || back.value.wait_until((clock.clock(), HOUR)).unwrap_err()
            });
            clock.wait_for_sleepers(1);
            clock.advance(HOUR);
            let back = late.join().unwrap();
            assert_eq!(back.error, WaitError::TimedOut);
            stop.cancel();
            let back = back.value.wait_until(&stop).unwrap_err();
            assert_eq!(back.error, WaitError::Cancelled);
            gate.count_down();
            assert!(back.value.wait().is_ok());
        });
    }

    #[test]
    fn failure_of_a_dropped_ticket_goes_to_the_hook() {
        within_a_minute(|| {
            let (tell, told) = channel();
            let gate = Arc::new(Latch::new(1));
            let handler = {
                let gate = Arc::clone(&gate);
                move |_: &mut Batch<u32>| {
                    gate.wait();
                    Err::<(), _>("no")
                }
            };
            let builder = ageless().max_items(2).on_error(move |failed| tell.send(failed.value).unwrap());
            let batcher = builder.build(handler).unwrap();
            let (before, after) = (batcher.submit(1).unwrap(), batcher.submit(2).unwrap());
            drop(before);
            gate.count_down();
            assert_eq!(told.recv().unwrap(), [1]);
            batcher.flush().unwrap();
            drop(after);
            assert_eq!(told.recv().unwrap(), [2]);
        });
    }

    #[test]
    fn ticket_outlives_its_batcher() {
        within_a_minute(|| {
            let batcher = ageless().build(|_: &mut Batch<u32>| Ok::<_, String>(7)).unwrap();
            let ticket = batcher.submit(1).unwrap();
            drop(batcher);
            assert_eq!(ticket.wait().unwrap(), 7);
        });
    }

    #[test]
    fn result_that_cannot_be_shared_or_cloned_goes_to_its_item() {
        within_a_minute(|| {
            let handler = |batch: &mut Batch<u32>| -> Vec<Result<Box<dyn FnOnce() -> u32 + Send>, String>> {
                batch.iter().map(|&n| Ok(Box::new(move || n) as Box<_>)).collect()
            };
            let batcher = ageless().max_items(1).build(handler).unwrap();
            assert_eq!(batcher.submit(9).unwrap().wait().unwrap()(), 9);
        });
    }
}

mod retrying {
    use super::*;

    /// Fails the first `times` attempts of each batch.
    fn failing(times: usize) -> impl FnMut(&mut Batch<u32>) -> Result<usize, String> + Send {
        move |batch| {
            if batch.attempt() <= times {
                Err(format!("attempt {}", batch.attempt()))
            } else {
                Ok(batch.attempt())
            }
        }
    }

    #[test]
    fn failed_batch_is_retried_with_its_items_until_the_policy_gives_up() {
        within_a_minute(|| {
            let policy = |attempts, _: &BatchError| (attempts < 3).then_some(Duration::ZERO);
            let batcher = ageless().max_items(2).retry(policy).build(failing(2)).unwrap();
            let tickets = [1, 2].map(|n| batcher.submit(n).unwrap());
            assert_eq!(tickets.map(|ticket| ticket.wait().unwrap()), [3, 3]);
            let batcher = ageless().max_items(2).retry(policy).build(failing(3)).unwrap();
            let tickets = [1, 2].map(|n| batcher.submit(n).unwrap());
            for (ticket, n) in tickets.into_iter().zip(1..) {
                let failed = ticket.wait().unwrap_err();
                assert_eq!((failed.value, failed.error.to_string()), (Some(n), "attempt 3".to_owned()));
            }
            assert_eq!((batcher.stats().retries, batcher.stats().failed), (2, 2));
        });
    }

    #[test]
    fn pause_before_a_retry_is_measured_on_the_clock() {
        within_a_minute(|| {
            let clock = Clock::manual();
            let policy = |attempts, _: &BatchError| Some(HOUR * attempts as u32);
            let builder = ageless().max_items(1).retry(policy).clock(&clock);
            let batcher = builder.build(failing(2)).unwrap();
            let ticket = batcher.submit(1).unwrap();
            for hours in [1, 2] {
                until_figure(&batcher, "pausing", 1);
                clock.wait_for_sleepers(1);
                clock.advance(HOUR * hours - Duration::from_nanos(1));
                assert_eq!(figure(&batcher, "pausing"), Some(1));
                assert_eq!(batcher.stats().retries, hours as usize);
                clock.advance(Duration::from_nanos(1));
            }
            assert_eq!(ticket.wait().unwrap(), 3);
        });
    }

    #[test]
    fn only_items_that_failed_are_retried() {
        within_a_minute(|| {
            let (tell, told) = channel();
            let handler = move |batch: &mut Batch<u32>| -> Vec<Result<usize, String>> {
                tell.send(batch.to_vec()).unwrap();
                let attempt = batch.attempt();
                let judge = |n: &u32| match *n as usize {
                    n if n <= attempt => Ok(n),
                    n => Err(format!("{n} not yet")),
                };
                batch.iter().map(judge).collect()
            };
            let builder = ageless().max_items(4).retry(|_, _| Some(Duration::ZERO));
            let batcher = builder.build(handler).unwrap();
            let three = batcher.submit(3).unwrap();
            batcher.add(1).unwrap();
            let one = batcher.submit(1).unwrap();
            let two = batcher.submit(2).unwrap();
            assert_eq!([one, two, three].map(|ticket| ticket.wait().unwrap()), [1, 2, 3]);
            assert_eq!(told.try_iter().collect::<Vec<_>>(), [vec![3, 1, 1, 2], vec![3, 2], vec![3]]);
            assert_eq!((batcher.stats().retries, batcher.close().is_clean()), (2, true));
        });
    }

    #[test]
    fn policy_sees_the_error_and_may_give_up_on_some_items_only() {
        within_a_minute(|| {
            let handler = |batch: &mut Batch<u32>| -> Vec<Result<usize, io::Error>> {
                let attempt = batch.attempt();
                let judge = |n: &u32| match n {
                    0 => Err(io::Error::from(io::ErrorKind::InvalidData)),
                    _ if attempt < 2 => Err(io::Error::from(io::ErrorKind::Interrupted)),
                    _ => Ok(attempt),
                };
                batch.iter().map(judge).collect()
            };
            let policy = |_, error: &BatchError| {
                let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
                (kind == Some(io::ErrorKind::Interrupted)).then_some(Duration::ZERO)
            };
            let batcher = ageless().max_items(3).retry(policy).build(handler).unwrap();
            let [one, zero, two] = [1, 0, 2].map(|n| batcher.submit(n).unwrap());
            assert_eq!((one.wait().unwrap(), two.wait().unwrap()), (2, 2));
            assert_eq!(zero.wait().unwrap_err().value, Some(0));
            assert_eq!((batcher.stats().processed, batcher.stats().failed), (2, 1));
        });
    }

    #[test]
    fn items_that_are_put_back_are_retried() {
        within_a_minute(|| {
            let handler = |batch: &mut Batch<u32>| {
                let items = batch.take();
                assert!(batch.is_empty());
                match batch.attempt() {
                    1 => {
                        batch.put_back(items);
                        Err("again".to_owned())
                    }
                    _ => Ok(items.len()),
                }
            };
            let builder = ageless().max_items(2).retry(|_, _| Some(Duration::ZERO));
            let batcher = builder.build(handler).unwrap();
            let tickets = [1, 2].map(|n| batcher.submit(n).unwrap());
            assert_eq!(tickets.map(|ticket| ticket.wait().unwrap()), [2, 2]);
        });
    }

    #[test]
    fn policy_that_panics_gives_up() {
        within_a_minute(|| {
            let policy = |_, _: &BatchError| panic!("in the policy");
            let batcher = ageless().max_items(1).retry(policy).build(failing(9)).unwrap();
            assert_eq!(batcher.submit(1).unwrap().wait().unwrap_err().value, Some(1));
            assert_eq!(batcher.submit(2).unwrap().wait().unwrap_err().value, Some(2));
        });
    }
}

mod panicking {
    use super::*;

    /// Panics on a batch with a 0 in it.
    fn touchy(batch: &mut Batch<u32>) {
        assert!(!batch.contains(&0), "a nought");
    }

    #[test]
    fn panic_of_the_handler_reaches_its_batchs_tickets_and_nobody_else() {
        within_a_minute(|| {
            let builder = ageless().max_items(2).retry(|_, _| Some(Duration::ZERO));
            let batcher = builder.build(touchy).unwrap();
            let [a, b, c, d] = [1, 0, 2, 3].map(|n| batcher.submit(n).unwrap());
            for (ticket, n) in [(a, 1), (b, 0)] {
                let failed = ticket.wait().unwrap_err();
                let BatchError::Panicked(panic) = &failed.error else { panic!("{failed:?}") };
                assert_eq!((panic.message(), failed.value), ("a nought", Some(n)));
            }
            assert!(c.wait().is_ok() && d.wait().is_ok());
            let report = batcher.close();
            assert_eq!((report.stats.processed, report.stats.panicked, report.stats.retries), (2, 2, 0));
            assert!(matches!(&report.errors[..], [BatchError::Panicked(_)]), "{report:?}");
        });
    }

    #[test]
    fn panic_gives_items_without_a_ticket_to_the_hook() {
        within_a_minute(|| {
            let (tell, told) = channel();
            let builder = ageless().max_items(3).on_error(move |failed| tell.send(failed).unwrap());
            let batcher = builder.build(touchy).unwrap();
            let ticket = {
                batcher.add(5).unwrap();
                let ticket = batcher.submit(0).unwrap();
                batcher.add(6).unwrap();
                ticket
            };
            let failed = told.recv().unwrap();
            assert_eq!((failed.value, failed.error.to_string().contains("a nought")), (vec![5, 6], true));
            assert!(ticket.wait().is_err());
        });
    }

    #[test]
    fn hook_that_panics_takes_nothing_with_it() {
        within_a_minute(|| {
            let builder = ageless().max_items(1).on_error(|_| panic!("in the hook"));
            let batcher = builder.build(touchy).unwrap();
            batcher.add(0).unwrap();
            assert!(batcher.submit(1).unwrap().wait().is_ok());
        });
    }

    #[test]
    fn clone_of_a_result_that_panics_fails_the_batch() {
        struct Touchy;
        impl Clone for Touchy {
            fn clone(&self) -> Self {
                panic!("in the clone")
            }
        }
        within_a_minute(|| {
            let batcher = ageless().max_items(2).build(|_: &mut Batch<u32>| Ok::<_, String>(Touchy)).unwrap();
            let tickets = [1, 2].map(|n| batcher.submit(n).unwrap());
            for ticket in tickets {
                assert!(ticket.wait().err().unwrap().error.to_string().contains("in the clone"));
            }
        });
    }

    #[test]
    fn item_whose_drop_panics_takes_nothing_with_it() {
        struct Touchy;
        impl Drop for Touchy {
            fn drop(&mut self) {
                panic!("in the drop");
            }
        }
        within_a_minute(|| {
            let builder = Batcher::builder().max_items(1).max_age(Duration::MAX);
            let batcher = builder.build(|_: &mut Batch<Touchy>| ()).unwrap();
            for _ in 0..3 {
                assert!(batcher.submit(Touchy).unwrap().wait().is_ok());
            }
            assert_eq!(batcher.close().stats.processed, 3);
        });
    }

    #[test]
    fn weight_that_panics_is_the_adders() {
        within_a_minute(|| {
            let builder = ageless().weigh(|n: &u32| if *n == 0 { panic!("no weight") } else { 1 });
            let batcher = Arc::new(builder.build(touchy).unwrap());
            let adder = thread::spawn({
                let batcher = Arc::clone(&batcher);
                move || batcher.add(0)
            });
            assert!(adder.join().is_err());
            batcher.add(1).unwrap();
            assert_eq!(batcher.close().stats.added, 1);
        });
    }

    #[test]
    fn report_keeps_the_first_errors_and_counts_them_all() {
        within_a_minute(|| {
            let batcher = ageless().max_items(1).build(|_: &mut Batch<u32>| Err::<(), _>("no")).unwrap();
            (0..100).for_each(|n| batcher.add(n).unwrap());
            let report = batcher.close();
            assert_eq!((report.stats.failed, report.errors.len()), (100, Report::<u32>::MOST_ERRORS));
        });
    }
}

mod flushing {
    use super::*;

    #[test]
    fn flush_returns_when_what_was_added_before_has_been_processed() {
        within_a_minute(|| {
            let (handler, told) = telling();
            let batcher = ageless().build(handler).unwrap();
            (0..3).for_each(|n| batcher.add(n).unwrap());
            batcher.flush().unwrap();
            assert_eq!(told.try_recv().unwrap(), seen([0, 1, 2], Reason::Flushed));
            batcher.flush().unwrap(); // nothing to do
            assert_eq!(batcher.stats().batches, 1);
        });
    }

    #[test]
    fn flush_does_not_wait_for_what_is_added_after_it() {
        within_a_minute(|| {
            let (batcher, gate, inside) = gated(5);
            batcher.add(0).unwrap();
            inside.wait();
            let flusher = thread::spawn({
                let batcher = Arc::clone(&batcher);
                move || batcher.flush()
            });
            until_figure(&batcher, "watching", 1);
            batcher.add(1).unwrap();
            gate.count_down();
            assert_eq!(flusher.join().unwrap(), Ok(()));
        });
    }

    #[test]
    fn flush_that_gives_up_has_handed_over_all_the_same() {
        within_a_minute(|| {
            let (gate, clock) = (Arc::new(Latch::new(1)), Clock::manual());
            let handler = {
                let gate = Arc::clone(&gate);
                move |_: &mut Batch<u32>| gate.wait()
            };
            let batcher = Arc::new(ageless().build(handler).unwrap());
            batcher.add(0).unwrap();
            let flusher = thread::spawn({
                let (batcher, clock) = (Arc::clone(&batcher), clock.clone());
                move || batcher.flush_until((clock.clock(), HOUR))
            });
            clock.wait_for_sleepers(1);
            clock.advance(HOUR);
            assert_eq!(flusher.join().unwrap(), Err(WaitError::TimedOut));
            until_figure(&batcher, "in_flight", 1);
            gate.count_down();
            assert_eq!(batcher.flush_until(HOUR), Ok(()));
        });
    }

    #[test]
    fn flush_waits_for_retries_too() {
        within_a_minute(|| {
            let handler = |batch: &mut Batch<u32>| if batch.attempt() < 3 { Err("not yet") } else { Ok(()) };
            let batcher = ageless().retry(|_, _| Some(Duration::ZERO)).build(handler).unwrap();
            batcher.add(1).unwrap();
            batcher.flush().unwrap();
            assert_eq!(batcher.stats().processed, 1);
        });
    }
}

mod ending {
    use super::*;

    #[test]
    fn close_processes_the_rest_and_says_the_same_again() {
        within_a_minute(|| {
            let (handler, told) = telling();
            let batcher = ageless().max_items(5).build(handler).unwrap();
            (0..12).for_each(|n| batcher.add(n).unwrap());
            for _ in 0..2 {
                let report = batcher.close();
                let Report { stats, errors, unprocessed, running, .. } = &report;
                assert_eq!((stats.processed, stats.batches, stats.full, stats.flushed), (12, 3, 2, 1));
                assert!(errors.is_empty() && unprocessed.is_empty() && running.is_empty());
                assert!(report.is_clean() && batcher.is_closed());
            }
            let refused = batcher.add(12).unwrap_err();
            assert_eq!((refused.value, refused.error), (12, WaitError::Closed));
            assert_eq!(batcher.try_submit(13).unwrap_err().error, TryError::Closed);
            assert_eq!(batcher.flush(), Ok(()));
            assert_eq!(told.iter().last().unwrap(), seen([10, 11], Reason::Closed));
        });
    }

    #[test]
    fn dropping_processes_the_rest_and_joins() {
        within_a_minute(|| {
            let (handler, told) = telling();
            let batcher = ageless().build(handler).unwrap();
            batcher.add(1).unwrap();
            drop(batcher);
            // The handler is gone, and its sender with it: the thread has ended.
            assert_eq!(told.iter().collect::<Vec<_>>(), [seen([1], Reason::Closed)]);
        });
    }

    #[test]
    fn close_that_gives_up_names_who_still_works() {
        within_a_minute(|| {
            let (batcher, gate, inside) = gated(2);
            batcher.add(0).unwrap();
            inside.wait();
            batcher.add(1).unwrap();
            let late = batcher.close_until(Duration::ZERO).unwrap_err();
            assert_eq!(
                (late.error, &late.value.running[..]),
                (WaitError::TimedOut, &["batch-0".to_owned()][..])
            );
            assert_eq!((late.value.stats.processing, late.value.stats.waiting), (1, 1));
            gate.count_down();
            assert_eq!(batcher.close().stats.processed, 2);
        });
    }

    #[test]
    fn abort_gives_back_what_no_handler_works_on() {
        within_a_minute(|| {
            let (batcher, gate, inside) = gated(5);
            let begun = batcher.submit(0).unwrap();
            inside.wait();
            let waiting = batcher.submit(1).unwrap();
            (2..4).for_each(|n| batcher.add(n).unwrap());
            let late = batcher.abort_until(Duration::ZERO).unwrap_err();
            assert_eq!(late.value.unprocessed, [1, 2, 3]);
            assert!(matches!(waiting.wait().unwrap_err().error, BatchError::Aborted));
            gate.count_down();
            assert!(begun.wait().is_ok());
            let report = batcher.abort();
            assert!(report.unprocessed.is_empty());
            assert_eq!((report.stats.processed, report.stats.aborted), (1, 3));
        });
    }

    #[test]
    fn abort_takes_back_a_batch_that_waits_for_its_retry() {
        within_a_minute(|| {
            let handler = |_: &mut Batch<u32>| Err::<(), _>("no");
            let builder = ageless().max_items(2).retry(|_, _| Some(Duration::MAX));
            let batcher = builder.build(handler).unwrap();
            let ticket = batcher.submit(0).unwrap();
            batcher.add(1).unwrap();
            until_figure(&batcher, "pausing", 1);
            batcher.add(2).unwrap();
            let report = batcher.abort();
            assert_eq!((report.unprocessed, report.stats.aborted), (vec![0, 1, 2], 3));
            assert!(matches!(ticket.wait().unwrap_err().error, BatchError::Aborted));
        });
    }

    #[test]
    fn abort_ends_a_flush_of_what_it_took_back() {
        within_a_minute(|| {
            let (batcher, gate, inside) = gated(5);
            (0..2).for_each(|n| batcher.add(n).unwrap());
            inside.wait();
            let flusher = thread::spawn({
                let batcher = Arc::clone(&batcher);
                move || batcher.flush()
            });
            until_figure(&batcher, "watching", 1);
            assert_eq!(batcher.abort_until(Duration::ZERO).unwrap_err().value.unprocessed, [1]);
            gate.count_down();
            assert_eq!(flusher.join().unwrap(), Ok(()));
        });
    }

    #[test]
    fn several_threads_may_close_and_each_returns_at_the_end() {
        within_a_minute(|| {
            let (batcher, gate, inside) = gated(2);
            batcher.add(0).unwrap();
            inside.wait();
            let closers = [(); 3].map(|()| {
                let batcher = Arc::clone(&batcher);
                thread::spawn(move || batcher.close().stats.processed)
            });
            until_figure(&batcher, "watching", 3);
            gate.count_down();
            assert_eq!(closers.map(|closer| closer.join().unwrap()), [1, 1, 1]);
        });
    }
}

mod inside_the_handler {
    use super::*;

    type Cell = Arc<Mutex<Option<Arc<Batcher<u32>>>>>;

    /// A batcher whose handler is given the batcher.
    fn reentrant(
        builder: Builder<u32>,
        mut handler: impl FnMut(&Batcher<u32>, &Batch<u32>) + Send + 'static,
    ) -> Arc<Batcher<u32>> {
        let cell: Cell = Cell::default();
        let ready = Arc::new(Latch::new(1));
        let built = builder.build({
            let (cell, ready) = (Arc::clone(&cell), Arc::clone(&ready));
            move |batch: &mut Batch<u32>| {
                ready.wait();
                let batcher = cell.lock().unwrap().clone();
                if let Some(batcher) = batcher {
                    handler(&batcher, batch);
                }
            }
        });
        let batcher = Arc::new(built.unwrap());
        *cell.lock().unwrap() = Some(Arc::clone(&batcher));
        ready.count_down();
        batcher
    }

    #[test]
    fn adding_succeeds_while_there_is_room() {
        within_a_minute(|| {
            let batcher = reentrant(ageless().max_items(1), |batcher, batch| {
                if batch[0] > 0 {
                    batcher.add(batch[0] - 1).unwrap();
                }
            });
            batcher.add(5).unwrap();
            eventually("the last is processed", || batcher.stats().processed == 6);
        });
    }

    #[test]
    fn adding_to_a_full_backlog_says_that_it_would_wait_for_itself() {
        within_a_minute(|| {
            let (tell, told) = channel();
            let batcher = reentrant(ageless().max_items(1).backlog(1), move |batcher, batch| {
                if batch[0] == 0 {
                    batcher.add(1).unwrap();
                    let refused = batcher.add(2).unwrap_err();
                    let limited = batcher.add_until(3, HOUR).unwrap_err();
                    tell.send((refused.value, refused.error, limited.value, limited.error)).unwrap();
                }
            });
            batcher.add(0).unwrap();
            let refused = told.recv().unwrap();
            assert_eq!(refused, (2, WaitError::WouldDeadlock, 3, WaitError::WouldDeadlock));
            assert!(WaitError::WouldDeadlock.to_string().contains("wait for itself"));
            assert!(batcher.close().is_clean());
        });
    }

    #[test]
    fn adding_from_a_scope_of_the_handlers_is_inside_too() {
        within_a_minute(|| {
            let (tell, told) = channel();
            let batcher = reentrant(ageless().max_items(1).backlog(1), move |batcher, batch| {
                if batch[0] == 0 {
                    batcher.add(1).unwrap();
                    let inside = group::scope(&CancelToken::new(), |g| {
                        g.spawn(|_| batcher.add(2).map_err(|refused| refused.error));
                        Ok(())
                    });
                    tell.send(inside.unwrap_err().to_string()).unwrap();
                }
            });
            batcher.add(0).unwrap();
            assert!(told.recv().unwrap().contains("wait for itself"));
        });
    }

    #[test]
    fn flush_and_ticket_say_that_they_would_wait_for_themselves() {
        within_a_minute(|| {
            let (tell, told) = channel();
            let batcher = reentrant(ageless().max_items(1), move |batcher, batch| {
                if batch[0] == 0 {
                    tell.send(batcher.flush()).unwrap();
                    let ticket = batcher.submit(1).unwrap();
                    let back = ticket.wait_until(HOUR).unwrap_err();
                    tell.send(Err(back.error)).unwrap();
                    let failed = back.value.wait().unwrap_err();
                    assert!(matches!(failed.error, BatchError::WouldDeadlock));
                }
            });
            batcher.add(0).unwrap();
            assert_eq!(told.recv().unwrap(), Err(WaitError::WouldDeadlock));
            assert_eq!(told.recv().unwrap(), Err(WaitError::WouldDeadlock));
            assert_eq!(batcher.close().stats.processed, 2);
        });
    }

    #[test]
    fn close_and_abort_return_at_once_and_name_the_thread() {
        within_a_minute(|| {
            let (tell, told): (Sender<Vec<String>>, _) = channel();
            let batcher = reentrant(ageless().max_items(1), move |batcher, _| {
                tell.send(batcher.close().running).unwrap();
                tell.send(batcher.abort().running).unwrap();
            });
            batcher.add(0).unwrap();
            assert_eq!(told.recv().unwrap(), ["batch-0"]);
            assert_eq!(told.recv().unwrap(), ["batch-0"]);
            assert_eq!(batcher.close().stats.processed, 1);
        });
    }

    #[test]
    fn last_handle_may_be_dropped_there() {
        within_a_minute(|| {
            let (gone, tell) = (Arc::new(Latch::new(1)), channel());
            let (send, told) = tell;
            let cell: Cell = Cell::default();
            let batcher = ageless().max_items(1).build({
                let (cell, gone) = (Arc::clone(&cell), Arc::clone(&gone));
                move |_: &mut Batch<u32>| {
                    gone.wait();
                    drop(cell.lock().unwrap().take());
                    send.send(()).unwrap();
                }
            });
            *cell.lock().unwrap() = Some(Arc::new(batcher.unwrap()));
            let batcher = cell.lock().unwrap().clone().unwrap();
            batcher.add(0).unwrap();
            drop(batcher);
            gone.count_down();
            told.recv().unwrap();
        });
    }
}

mod under_load {
    use super::*;
    use common::Dice;
    use selvedge::batch::{Failed, Ticket};

    /// Where items have ended.
    #[derive(Clone, Default)]
    struct Ends(Arc<Mutex<Vec<u32>>>);

    impl Ends {
        fn note(&self, items: impl IntoIterator<Item = u32>) {
            self.0.lock().unwrap().extend(items);
        }

        /// Redeems a ticket: its item ended well, which the handler has noted, or comes back.
        fn note_answer(&self, ticket: Ticket<u32, u32>) {
            if let Err(failed) = ticket.wait() {
                self.note(failed.value);
            }
        }
    }

    /// Panics on some items, fails some for a while and some for ever, and notes the others.
    fn moody(ends: Ends) -> impl Fn(&mut Batch<u32>) -> Vec<Result<u32, String>> + Send + Sync {
        move |batch| {
            if batch.iter().any(|n| n % 31 == 0) {
                std::panic::resume_unwind(Box::new("a bad one")); // without a word from the panic hook
            }
            let attempt = batch.attempt();
            let judge = |n: &u32| match n % 7 {
                0 => Err(format!("{n} never")),
                1 if attempt == 1 => Err(format!("{n} not yet")),
                _ => {
                    ends.note([*n]);
                    Ok(*n)
                }
            };
            batch.iter().map(judge).collect()
        }
    }

    fn adder(batcher: &Batcher<u32, u32>, ends: &Ends, items: std::ops::Range<u32>, seed: u64) {
        let mut dice = Dice::new(seed);
        for item in items {
            match dice.roll(4) {
                0 => batcher.add(item).unwrap(),
                1 => ends.note_answer(batcher.submit(item).unwrap()),
                2 => drop(batcher.submit(item).unwrap()),
                _ => match batcher.submit(item).unwrap().try_wait() {
                    Ok(answer) => ends.note(answer.err().and_then(|failed| failed.value)),
                    Err(ticket) => drop(ticket),
                },
            }
        }
    }

    #[test]
    fn every_item_ends_once_whatever_befalls_its_batch() {
        within_a_minute(|| {
            for seed in 0..5 {
                let ends = Ends::default();
                let hook = {
                    let ends = ends.clone();
                    move |failed: Failed<Vec<u32>>| ends.note(failed.value)
                };
                let builder = Batcher::builder().max_items(5).max_age(Duration::ZERO).on_error(hook);
                let builder = builder.retry(|attempts, _| (attempts < 2).then_some(Duration::ZERO));
                let batcher = Arc::new(builder.build_concurrent(3, moody(ends.clone())).unwrap());
                let adders = [0, 1, 2, 3].map(|number| {
                    let (batcher, ends) = (Arc::clone(&batcher), ends.clone());
                    let first = number * 200;
                    let seed = seed * 4 + u64::from(number);
                    thread::spawn(move || adder(&batcher, &ends, first..first + 200, seed))
                });
                adders.into_iter().for_each(|adder| adder.join().unwrap());
                let stats = batcher.close().stats;
                assert_eq!(stats.processed + stats.failed + stats.panicked, 800, "{stats:?}");
                let mut ended = std::mem::take(&mut *ends.0.lock().unwrap());
                ended.sort_unstable();
                assert_eq!(ended, (0..800).collect::<Vec<_>>());
            }
        });
    }

    #[test]
    fn abort_in_the_middle_gives_each_item_back_that_was_not_processed() {
        within_a_minute(|| {
            for round in 0..15 {
                let ends = Ends::default();
                let handler = {
                    let ends = ends.clone();
                    move |batch: &mut Batch<u32>| ends.note(batch.iter().copied())
                };
                let builder = Batcher::builder().max_items(3).max_age(Duration::ZERO);
                let batcher = Arc::new(builder.build_concurrent(2, handler).unwrap());
                let adder = thread::spawn({
                    let (batcher, ends) = (Arc::clone(&batcher), ends.clone());
                    move || {
                        let refused = (0..500).filter_map(|n| batcher.add(n).err());
                        ends.note(refused.map(|refused| refused.value).collect::<Vec<_>>());
                    }
                });
                (0..round).for_each(|_| thread::yield_now());
                ends.note(batcher.abort().unprocessed);
                adder.join().unwrap();
                let mut ended = std::mem::take(&mut *ends.0.lock().unwrap());
                ended.sort_unstable();
                assert_eq!(ended, (0..500).collect::<Vec<_>>());
            }
        });
    }
}

mod building {
    use super::*;

    #[test]
    fn sizes_of_nothing_are_refused_with_what_to_do() {
        let build = |builder: Builder<u32>| builder.build(|_: &mut Batch<u32>| ()).unwrap_err();
        let errors = [
            (build(ageless().max_items(0)), "0 items"),
            (build(ageless().max_weight(0)), "weight 0"),
            (build(ageless().backlog(0)), "backlog of 0"),
            (ageless().build_concurrent(0, |_: &mut Batch<u32>| ()).unwrap_err(), "0 batches in flight"),
        ];
        for (error, part) in errors {
            assert!(error.to_string().contains(part), "{error}");
            assert!(!matches!(error, BuildError::Spawn(_)));
        }
    }

    #[test]
    fn largest_sizes_allocate_nothing_beforehand() {
        within_a_minute(|| {
            let (handler, told) = telling();
            let most = usize::MAX;
            let builder = ageless().max_items(most).max_weight(most).backlog(most);
            let batcher = builder.build(handler).unwrap();
            batcher.add(1).unwrap();
            batcher.flush().unwrap();
            assert_eq!(told.recv().unwrap(), seen([1], Reason::Flushed));
        });
    }

    #[test]
    fn debug_shows_figures_and_never_waits() {
        let (handler, _told) = telling();
        let builder = ageless();
        assert!(format!("{builder:?}").contains("Builder"));
        let batcher = builder.build(handler).unwrap();
        let ticket = batcher.submit(1).unwrap();
        assert!(format!("{batcher:?}").contains("items: 1"), "{batcher:?}");
        assert!(format!("{ticket:?}").contains("finished: false"), "{ticket:?}");
    }
}

mod random {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Add(u8),
        Advance(u8),
        Flush,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            6 => (0u8..6).prop_map(Step::Add),
            2 => (0u8..12).prop_map(Step::Advance),
            1 => Just(Step::Flush),
        ];
        proptest::collection::vec(step, 0..40)
    }

    /// What the batches must be, from the rules alone.
    #[derive(Default)]
    struct Rules {
        open: Vec<u32>,
        weight: usize,
        age: u64,
        batches: Vec<Vec<u32>>,
    }

    const MOST_ITEMS: usize = 4;
    const MOST_WEIGHT: usize = 9;
    const MOST_AGE: u64 = 10;

    impl Rules {
        fn cut(&mut self) {
            if !self.open.is_empty() {
                self.batches.push(std::mem::take(&mut self.open));
            }
            (self.weight, self.age) = (0, 0);
        }

        fn step(&mut self, step: &Step) {
            match step {
                Step::Add(weight) => {
                    if self.weight + *weight as usize > MOST_WEIGHT {
                        self.cut();
                    }
                    self.open.push(u32::from(*weight));
                    self.weight += *weight as usize;
                    if self.open.len() == MOST_ITEMS || self.weight == MOST_WEIGHT {
                        self.cut();
                    }
                }
                Step::Advance(time) => {
                    self.age += if self.open.is_empty() { 0 } else { u64::from(*time) };
                    if self.age >= MOST_AGE {
                        self.cut();
                    }
                }
                Step::Flush => self.cut(),
            }
        }
    }

    /// The batches that a batcher makes of the steps, and the rules beside it.
    fn ours(steps: &[Step]) -> (Vec<Vec<u32>>, Rules, Report<u32>) {
        let (handler, told) = telling();
        let (clock, mut rules) = (Clock::manual(), Rules::default());
        let builder = Batcher::builder().max_items(MOST_ITEMS).max_weight(MOST_WEIGHT).backlog(100);
        let builder = builder.weigh(|n: &u32| *n as usize).max_age(Duration::from_secs(MOST_AGE));
        let batcher = builder.clock(&clock).build(handler).unwrap();
        for step in steps {
            rules.step(step);
            match step {
                Step::Add(weight) => batcher.add(u32::from(*weight)).unwrap(),
                Step::Flush => batcher.flush().unwrap(),
                Step::Advance(time) => {
                    clock.advance(Duration::from_secs(u64::from(*time)));
                    // What is too old is cut off when the thread takes it, and the next item comes after that.
                    eventually("the batches are taken", || batcher.stats().batches == rules.batches.len());
                }
            }
        }
        let report = batcher.close();
        drop(batcher);
        rules.cut();
        (told.iter().map(|batch| batch.items).collect(), rules, report)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

        #[test]
        fn batches_are_what_the_rules_say(steps in steps()) {
            let added = steps.iter().filter(|step| matches!(step, Step::Add(_))).count();
            let (batches, rules, report) = within_a_minute(move || ours(&steps));
            prop_assert_eq!(batches, rules.batches);
            prop_assert_eq!(report.stats.processed, added);
        }
    }
}

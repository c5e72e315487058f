//! When a batch is handed over: by size, weight and age, and to how many threads.

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
    assert_eq!((refused.value, refused.error), (11, WaitError::InsufficientCapacity));
    let refused = batcher.try_add(12).unwrap_err();
    assert_eq!((refused.value, refused.error), (12, TryError::InsufficientCapacity));
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

#[test]
fn batch_that_is_full_calls_one_idle_thread() {
    within_a_minute(|| {
        const THREADS: usize = 3;
        let (tell, told) = channel();
        let handler = move |_: &mut Batch<u32>| tell.send(thread::current().id()).unwrap();
        let batcher = ageless().max_items(1).build_concurrent(THREADS, handler).unwrap();
        let mut handled = Vec::new();
        for item in 0..300 {
            until_idle(&batcher, THREADS);
            batcher.add(item).unwrap();
            handled.push(told.recv().unwrap());
        }
        // The one that has been idle longest, which takes its place at the end again. One that was called for
        // nothing would come back before the one that had work.
        for turns in handled.windows(THREADS) {
            assert_eq!(HashSet::<_>::from_iter(turns).len(), THREADS, "{handled:?}");
        }
    });
}

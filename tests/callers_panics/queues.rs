//! `BoundedQueue` with its handles and iterators, `Semaphore`, `Latch`, `WaitGroup`, counters, and limiters.

use std::thread;

use selvedge::queue::bounded;
use selvedge::{BoundedQueue, Counter, Latch, RateLimiter, Semaphore, StripedCounter, WaitGroup};

use super::*;

#[test]
fn queue_drops_every_item_though_each_panics() {
    row(|| {
        let (queue, touchies) = (BoundedQueue::new(4), Touchies::default());
        for _ in 0..3 {
            assert!(queue.try_push(touchies.make()).is_ok());
        }
        assert_eq!(panic_of(|| drop(queue)), "a value's drop");
        assert_eq!(touchies.dropped(), 3);
    });
}

#[test]
fn queue_that_is_dropped_while_a_panic_unwinds_ends_nothing() {
    row(|| {
        let touchies = Touchies::default();
        let told = panic_of(|| {
            let queue = BoundedQueue::new(2);
            assert!(queue.try_push(touchies.make()).is_ok() && queue.try_push(touchies.make()).is_ok());
            blow("the owner")
        });
        assert_eq!((told.as_str(), touchies.dropped()), ("the owner", 2));
    });
}

#[test]
fn last_receiver_drops_every_item_and_senders_get_closed() {
    row(|| {
        let (sender, receiver) = bounded(1);
        let touchies = Touchies::default();
        assert!(sender.try_push(touchies.make()).is_ok());
        let pusher = thread::spawn({
            let (sender, touchies) = (sender.clone(), touchies.clone());
            move || match sender.push(touchies.make()) {
                Ok(()) => String::new(),
                Err(rejected) => panic_of(|| drop(rejected)),
            }
        });
        until_figure(&sender, "waiting_to_push", 1);
        assert_eq!(panic_of(|| drop(receiver)), "a value's drop");
        assert_eq!(pusher.join().unwrap(), "a value's drop");
        assert_eq!((touchies.dropped(), sender.is_closed(), sender.len()), (2, true, 0));
    });
}

#[test]
fn drained_items_are_the_callers_and_consumers_hear_of_the_end() {
    row(|| {
        let (queue, touchies) = (BoundedQueue::new(2), Touchies::default());
        assert!(queue.try_push(touchies.make()).is_ok());
        let mut drained = queue.close_and_drain();
        assert_eq!(panic_of(|| drop(drained.pop())), "a value's drop");
        assert!(queue.pop().is_err());
        assert_eq!((touchies.dropped(), queue.iter().count()), (1, 0));
    });
}

#[test]
fn iterator_that_panics_has_what_it_gave_before_in_the_queue() {
    row(|| {
        let queue = Arc::new(BoundedQueue::new(2));
        let pusher = thread::spawn({
            let queue = Arc::clone(&queue);
            move || {
                let items = (0..50).map(|n| if n == 40 { blow("the iterator") } else { n });
                panic_of(|| queue.push_all(items).map_err(drop))
            }
        });
        let popped: Vec<i32> = (0..40).map(|_| queue.pop().unwrap()).collect();
        assert!(popped.into_iter().eq(0..40));
        assert_eq!(pusher.join().unwrap(), "the iterator");
        assert!(queue.is_empty() && !queue.is_closed());
    });
}

#[test]
fn iterator_that_panics_before_a_closed_queue_drops_what_it_gave() {
    row(|| {
        let (queue, touchies) = (BoundedQueue::new(8), Touchies::default());
        queue.close();
        let items = (0..4).map(|n| if n == 3 { blow("the iterator") } else { touchies.make() });
        assert_eq!(panic_of(|| queue.push_all(items).map_err(drop)), "the iterator");
        assert_eq!(touchies.dropped(), 3);
    });
}

#[test]
fn rest_of_a_refused_batch_is_the_callers() {
    row(|| {
        let (queue, touchies) = (BoundedQueue::new(1), Touchies::default());
        queue.close();
        let rest = queue.push_all([touchies.make()]).err().unwrap().into_value();
        assert_eq!(panic_of(|| rest.for_each(drop)), "a value's drop");
        assert_eq!(touchies.dropped(), 1);
    });
}

#[test]
fn panic_of_a_holder_gives_permits_and_memberships_back() {
    row(|| {
        let (semaphore, group) = (Arc::new(Semaphore::new(2)), WaitGroup::new());
        let waiter = thread::spawn({
            let semaphore = Arc::clone(&semaphore);
            move || semaphore.acquire_many(2).map(|permit| permit.count())
        });
        let told = panic_of(|| {
            let _permit = semaphore.acquire().unwrap();
            let _owned = semaphore.acquire_owned();
            let _member = group.add();
            blow("the holder")
        });
        assert_eq!(told, "the holder");
        assert_eq!(waiter.join().unwrap(), Ok(2));
        group.wait();
        assert_eq!((semaphore.available(), group.count()), (2, 0));
    });
}

#[test]
fn types_that_run_no_code_of_the_callers_go_on_after_a_panic_beside_them() {
    row(|| {
        let (latch, counter, striped) = (Latch::new(2), Counter::new(), StripedCounter::new());
        let limiter = RateLimiter::new(2, HOUR);
        for _ in 0..2 {
            let told = panic_of(|| {
                latch.count_down();
                counter.add(1);
                striped.add(1);
                limiter.try_acquire(1).unwrap();
                blow("beside them")
            });
            assert_eq!(told, "beside them");
        }
        latch.wait();
        assert_eq!((counter.get(), striped.sum(), limiter.available()), (2, 2, 0));
    });
}

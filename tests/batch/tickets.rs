//! Each ticket gets the result of its own item, once, or the item back.

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
        assert_eq!(tickets.map(|ticket| ticket.join().unwrap()), [1, 1, 2, 2]);
    });
}

#[test]
fn result_for_each_item_goes_to_the_ticket_of_that_item() {
    within_a_minute(|| {
        let handler = |batch: &mut Batch<u32>| -> Vec<Result<u32, String>> {
            batch.iter().map(|n| if n % 2 == 0 { Ok(n * 10) } else { Err(format!("{n} is odd")) }).collect()
        };
        let batcher = ageless().max_items(5).build(handler).unwrap();
        batcher.add(0).unwrap();
        let one = batcher.submit(1).unwrap();
        let two = batcher.submit(2).unwrap();
        batcher.add(3).unwrap();
        let four = batcher.submit(4).unwrap();
        assert_eq!(four.join().unwrap(), 40);
        assert_eq!(two.join().unwrap(), 20);
        let failed = one.join().unwrap_err();
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
            let failed = ticket.join().unwrap_err();
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
            let failed = ticket.join().unwrap_err();
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
        let builder = ageless().max_items(1).retry(at_once(usize::MAX));
        let batcher = builder.build(handler).unwrap();
        let failed = batcher.submit(1).unwrap().join().unwrap_err();
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
        let ticket = ticket.try_join().unwrap_err();
        gate.count_down();
        batcher.flush().unwrap();
        assert!(ticket.is_finished());
        assert!(ticket.try_join().unwrap().is_ok());
    });
}

#[test]
fn wait_that_gives_up_gets_the_ticket_back_and_the_batch_goes_on() {
    within_a_minute(|| {
        let (batcher, gate, inside) = gated(1);
        let (stop, clock) = (CancelToken::new(), Clock::manual());
        let ticket = batcher.submit(1).unwrap();
        inside.wait();
        let back = ticket.join_until(Duration::ZERO).unwrap_err();
        assert_eq!(back.error, WaitError::TimedOut);
        let late = thread::spawn({
            let clock = clock.clone();
            move || back.value.join_until((clock.clock(), HOUR)).unwrap_err()
        });
        clock.wait_for_sleepers(1);
        clock.advance(HOUR);
        let back = late.join().unwrap();
        assert_eq!(back.error, WaitError::TimedOut);
        stop.cancel();
        let back = back.value.join_until(&stop).unwrap_err();
        assert_eq!(back.error, WaitError::Cancelled);
        gate.count_down();
        assert!(back.value.join().is_ok());
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
        assert_eq!(ticket.join().unwrap(), 7);
    });
}

#[test]
fn result_that_cannot_be_shared_or_cloned_goes_to_its_item() {
    within_a_minute(|| {
        let handler = |batch: &mut Batch<u32>| -> Vec<Result<Box<dyn FnOnce() -> u32 + Send>, String>> {
            batch.iter().map(|&n| Ok(Box::new(move || n) as Box<_>)).collect()
        };
        let batcher = ageless().max_items(1).build(handler).unwrap();
        assert_eq!(batcher.submit(9).unwrap().join().unwrap()(), 9);
    });
}

//! Panics of the handler, and of whatever else of the caller's runs for a batch.

use super::*;

/// Panics on a batch with a 0 in it.
fn touchy(batch: &mut Batch<u32>) {
    assert!(!batch.contains(&0), "a nought");
}

#[test]
fn panic_of_the_handler_reaches_its_batchs_tickets_and_nobody_else() {
    within_a_minute(|| {
        let builder = ageless().max_items(2).retry(at_once(usize::MAX));
        let batcher = builder.build(touchy).unwrap();
        let [a, b, c, d] = [1, 0, 2, 3].map(|n| batcher.submit(n).unwrap());
        for (ticket, n) in [(a, 1), (b, 0)] {
            let failed = ticket.join().unwrap_err();
            let BatchError::Panicked(panic) = &failed.error else { panic!("{failed:?}") };
            assert_eq!((panic.message(), failed.value), ("a nought", Some(n)));
        }
        assert!(c.join().is_ok() && d.join().is_ok());
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
        assert!(ticket.join().is_err());
    });
}

#[test]
fn hook_that_panics_takes_nothing_with_it() {
    within_a_minute(|| {
        let builder = ageless().max_items(1).on_error(|_| panic!("in the hook"));
        let batcher = builder.build(touchy).unwrap();
        batcher.add(0).unwrap();
        assert!(batcher.submit(1).unwrap().join().is_ok());
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
            assert!(ticket.join().err().unwrap().error.to_string().contains("in the clone"));
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
            assert!(batcher.submit(Touchy).unwrap().join().is_ok());
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
        assert_eq!((report.stats.failed, report.errors.len()), (100, Report::<u32>::MAX_ERRORS));
    });
}

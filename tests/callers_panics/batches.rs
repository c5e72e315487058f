//! `Batcher`: handlers, items, results, errors, weights, retry policies, hooks.

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use selvedge::batch::{Batch, BatchError, Builder, Failed};
use selvedge::{Batcher, retry};

use super::*;

fn of<T: Send + 'static>(items: usize) -> Builder<T> {
    Batcher::builder().max_items(items).max_age(Duration::MAX)
}

/// An error whose drop panics.
struct TouchyError(#[allow(dead_code, reason = "it is dropped")] Touchy);

impl fmt::Debug for TouchyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TouchyError")
    }
}

impl fmt::Display for TouchyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no")
    }
}

impl std::error::Error for TouchyError {}

#[test]
fn batch_of_items_that_all_panic_in_their_drops_ends() {
    row(|| {
        let touchies = Touchies::default();
        let batcher = of(4).build(|_: &mut Batch<Touchy>| ()).unwrap();
        for _ in 0..8 {
            assert!(batcher.add(touchies.make()).is_ok());
        }
        assert!(batcher.flush().is_ok());
        let stats = batcher.close().stats;
        assert_eq!((stats.processed, stats.processing, touchies.dropped()), (8, 0, 8));
    });
}

#[test]
fn handler_that_panics_drops_or_returns_each_item_and_goes_on() {
    row(|| {
        let touchies = Touchies::default();
        let batcher = of(2).build(|_: &mut Batch<Touchy>| -> () { blow("the handler") }).unwrap();
        assert!(batcher.add(touchies.make()).is_ok());
        let ticket = batcher.submit(touchies.make()).ok().unwrap();
        let Failed { value, error } = ticket.join().err().unwrap();
        let BatchError::Panicked(panic) = error else { panic!("{error}") };
        // The report has it too, which lets it go.
        assert_eq!(panic_of(|| drop(value)), "a value's drop");
        assert!(batcher.flush().is_ok());
        let report = batcher.close();
        assert_eq!((report.stats.panicked, touchies.dropped()), (2, 2));
        drop(report);
        drop(batcher);
        assert_eq!(received(panic.into_payload()), "the handler");
    });
}

#[test]
fn errors_of_attempts_that_are_retried_panic_to_nobody() {
    row(|| {
        let touchies = Touchies::default();
        let errors = touchies.clone();
        let mut attempts = 0;
        let batcher = of(1)
            .retry(retry::policy().attempts(5).first(Duration::ZERO))
            .build(move |_: &mut Batch<u32>| {
                attempts += 1;
                if attempts < 5 { Err(TouchyError(errors.make())) } else { Ok(()) }
            })
            .unwrap();
        assert!(batcher.submit(1).unwrap().join().is_ok());
        let stats = batcher.close().stats;
        assert_eq!((stats.retries, stats.processed, touchies.dropped()), (4, 1, 4));
    });
}

#[test]
fn errors_that_no_report_keeps_panic_to_nobody() {
    row(|| {
        let touchies = Touchies::default();
        let errors = touchies.clone();
        let batcher =
            of(1).build(move |_: &mut Batch<u32>| Err::<(), _>(TouchyError(errors.make()))).unwrap();
        (0..20).for_each(|n| batcher.add(n).unwrap());
        assert!(batcher.flush().is_ok());
        assert_eq!((batcher.stats().failed, touchies.dropped()), (20, 4));
        drop(batcher);
        assert_eq!(touchies.dropped(), 20);
    });
}

#[test]
fn results_whose_tickets_are_gone_panic_to_nobody() {
    row(|| {
        let touchies = Touchies::default();
        let results = touchies.clone();
        let batcher = of(3)
            .build(move |batch: &mut Batch<u32>| {
                batch.iter().map(|_| Ok::<_, String>(results.make())).collect::<Vec<_>>()
            })
            .unwrap();
        batcher.add(0).unwrap();
        drop(batcher.submit(1).unwrap());
        let kept = batcher.submit(2).unwrap();
        let result = kept.join().ok().unwrap();
        assert!(batcher.flush().is_ok());
        assert_eq!(touchies.dropped(), 2);
        assert_eq!(panic_of(|| drop(result)), "a value's drop");
        assert_eq!(batcher.close().stats.processed, 3);
    });
}

#[test]
fn clone_of_a_result_that_panics_fails_the_batch_and_drops_the_result() {
    struct Unclonable(#[allow(dead_code, reason = "it is dropped")] Touchy);
    impl Clone for Unclonable {
        fn clone(&self) -> Self {
            blow("a clone")
        }
    }
    row(|| {
        let touchies = Touchies::default();
        let results = touchies.clone();
        let batcher =
            of(2).build(move |_: &mut Batch<u32>| Ok::<_, String>(Unclonable(results.make()))).unwrap();
        let [a, b] = [1, 2].map(|n| batcher.submit(n).unwrap());
        for ticket in [a, b] {
            let failed = ticket.join().err().unwrap();
            assert!(matches!(failed.error, BatchError::Panicked(_)));
            std::mem::forget(failed.error);
        }
        let report = batcher.close();
        assert_eq!((report.stats.panicked, touchies.dropped()), (2, 1));
        std::mem::forget(report);
    });
}

#[test]
fn policies_and_hooks_that_panic_lose_nothing() {
    row(|| {
        let (touchies, told) = (Touchies::default(), Arc::new(Mutex::new(0)));
        let hears = Arc::clone(&told);
        let batcher = of(2)
            .retry_if(retry::policy(), |_| -> bool { blow("the policy") })
            .on_error(move |failed: Failed<Vec<Touchy>>| {
                *hears.lock().unwrap() += failed.value.len();
                // Each by itself: two that panic in one drop of a list end the process.
                failed
                    .value
                    .into_iter()
                    .for_each(|item| assert_eq!(panic_of(|| drop(item)), "a value's drop"));
                blow("the hook")
            })
            .build(|_: &mut Batch<Touchy>| Err::<(), _>("no"))
            .unwrap();
        (0..4).for_each(|_| assert!(batcher.add(touchies.make()).is_ok()));
        assert!(batcher.flush().is_ok());
        assert_eq!((batcher.close().stats.failed, *told.lock().unwrap(), touchies.dropped()), (4, 4, 4));
    });
}

#[test]
fn weight_that_panics_is_the_adders_and_its_item_is_dropped_before() {
    row(|| {
        let touchies = Touchies::default();
        let batcher = of(2).weigh(|_: &Touchy| blow("the weight")).build(|_: &mut Batch<Touchy>| ()).unwrap();
        assert_eq!(panic_of(|| batcher.add(touchies.make()).map_err(drop)), "the weight");
        assert_eq!(panic_of(|| batcher.try_submit(touchies.make()).map(drop).map_err(drop)), "the weight");
        assert_eq!((batcher.close().stats.added, touchies.dropped()), (0, 2));
    });
}

#[test]
fn handler_and_items_that_are_left_at_the_end_are_dropped_each() {
    row(|| {
        let touchies = Touchies::default();
        let held = touchies.make();
        let batcher = of(10)
            .build(move |_: &mut Batch<Touchy>| {
                let _ = &held;
            })
            .unwrap();
        (0..3).for_each(|_| assert!(batcher.add(touchies.make()).is_ok()));
        let report = batcher.abort();
        assert_eq!((report.unprocessed.len(), report.running.len(), touchies.dropped()), (3, 0, 1));
        report.unprocessed.into_iter().for_each(|item| assert_eq!(panic_of(|| drop(item)), "a value's drop"));
        drop(batcher);
        assert_eq!(touchies.dropped(), 4);
    });
}

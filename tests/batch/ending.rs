//! Close processes the rest, abort gives it back; both as often as one likes.

use std::cell::RefCell;

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
fn close_waits_for_the_thread_locals_of_the_handlers_thread() {
    /// Waits in its drop, a while, for a close that has returned too early.
    struct Last(Receiver<()>, Arc<AtomicBool>);

    impl Drop for Last {
        fn drop(&mut self) {
            let _ = self.0.recv_timeout(Duration::from_millis(50));
            self.1.store(true, SeqCst);
        }
    }

    thread_local! {
        static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
    }

    within_a_minute(|| {
        let ((returned, early), gone) = (channel(), Arc::new(AtomicBool::new(false)));
        let mut last = Some(Last(early, Arc::clone(&gone)));
        let batcher = ageless()
            .build(move |_: &mut Batch<u32>| LAST.with(|place| drop(place.replace(last.take()))))
            .unwrap();
        batcher.add(1).unwrap();
        assert!(batcher.close().is_clean());
        let is_gone = gone.load(SeqCst);
        let _ = returned.send(());
        assert!(is_gone);
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
fn close_that_gives_up_names_what_still_runs() {
    within_a_minute(|| {
        let (batcher, gate, inside) = gated(2);
        batcher.add(0).unwrap();
        inside.wait();
        batcher.add(1).unwrap();
        let late = batcher.close_until(Duration::ZERO).unwrap_err();
        assert_eq!((late.error, &late.value.running[..]), (WaitError::TimedOut, &["batch-0".to_owned()][..]));
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
        assert!(matches!(waiting.join().unwrap_err().error, BatchError::Cancelled));
        gate.count_down();
        assert!(begun.join().is_ok());
        let report = batcher.abort();
        assert!(report.unprocessed.is_empty());
        assert_eq!((report.stats.processed, report.stats.aborted), (1, 3));
    });
}

#[test]
fn abort_takes_back_a_batch_that_waits_for_its_retry() {
    within_a_minute(|| {
        let handler = |_: &mut Batch<u32>| Err::<(), _>("no");
        let builder = ageless()
            .max_items(2)
            .retry(retry::policy().first(Duration::MAX).cap(Duration::MAX).jitter(retry::Jitter::None));
        let batcher = builder.build(handler).unwrap();
        let ticket = batcher.submit(0).unwrap();
        batcher.add(1).unwrap();
        until_figure(&batcher, "pausing", 1);
        batcher.add(2).unwrap();
        let report = batcher.abort();
        assert_eq!((report.unprocessed, report.stats.aborted), (vec![0, 1, 2], 3));
        assert!(matches!(ticket.join().unwrap_err().error, BatchError::Cancelled));
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

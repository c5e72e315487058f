//! When a pipeline calls the caller's code, always without a lock.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::{message, within_a_minute};
use selvedge::error::Cancelled;
use selvedge::{CancelToken, Latch, Pipeline};

#[test]
fn function_after_the_one_that_cancels_is_not_called_for_the_same_item() {
    macro_rules! none_is_late {
        ($(|$items:ident, $check:ident| $pipeline:expr;)*) => {$({
            let (stop, late) = (CancelToken::new(), AtomicUsize::new(0));
            // A parallel map may be calling the function for an earlier item at this moment.
            let $check =
                |n: &u32| late.fetch_add(usize::from(*n >= 100 && stop.is_cancelled()), SeqCst);
            let $items = Pipeline::source(0..1_000).cancelled_by(&stop).inspect(|n: &u32| {
                if *n == 100 {
                    stop.cancel();
                }
            });
            let result: Result<_, Cancelled> = $pipeline;
            assert_eq!((result.err(), late.load(SeqCst)), (Some(Cancelled), 0), stringify!($pipeline));
        })*};
    }
    within_a_minute(|| {
        none_is_late! {
            |items, check| items.map(|n| check(&n)).count();
            |items, check| items.inspect(|n| _ = check(n)).count();
            |items, check| items.filter(|n| check(n) < 1).count();
            |items, check| items.filter_map(|n| Some(check(&n))).count();
            |items, check| items.flat_map(|n| [check(&n)]).count();
            |items, check| items.scan((), |(), n| Some(check(&n))).count();
            |items, check| items.take_while(|n| check(n) < 1).count();
            |items, check| items.par_map(1, |n| check(&n)).count();
            |items, check| items.fold(0, |sum, n| sum + check(&n));
            |items, check| items.for_each(|n| _ = check(&n));
        }
    });
}

/// Reports that its drop has begun, and waits in it for an answer.
struct Asks(Sender<()>, Receiver<()>);

impl Drop for Asks {
    fn drop(&mut self) {
        let _ = self.0.send(());
        let _ = self.1.recv();
    }
}

/// Returns one, a receiver of its reports, and a sender for the answer.
fn asks() -> (Asks, Receiver<()>, Sender<()>) {
    let ((begin, begun), (answer, answered)) = (channel(), channel());
    (Asks(begin, answered), begun, answer)
}

#[test]
fn source_dropped_after_a_failure_may_wait_for_the_consumer() {
    within_a_minute(|| {
        let (asks, begun, answer) = asks();
        let gate = Arc::new(Latch::new(1));
        let waits = Arc::clone(&gate);
        let mut numbers = 0..;
        let source = std::iter::from_fn(move || {
            let _ = &asks;
            numbers.next()
        });
        let mut outputs = Pipeline::source(source)
            .par_map(1, move |n: u32| {
                if n > 0 {
                    waits.wait();
                }
                if n == 2 { panic!("at 2") } else { n }
            })
            .bound(64)
            .into_iter();
        assert_eq!(outputs.next(), Some(0));
        // The second output waits where the consumer has not looked yet.
        gate.count_down();
        begun.recv().unwrap();
        assert_eq!(outputs.next(), Some(1));
        answer.send(()).unwrap();
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| outputs.next())).unwrap_err();
        assert_eq!(message(&*panic), "at 2");
    });
}

#[test]
fn items_dropped_after_a_cancellation_may_wait_for_the_consumer() {
    within_a_minute(|| {
        let (asks, begun, answer) = asks();
        let asks = Mutex::new(Some(asks));
        let (stop, gate) = (CancelToken::new(), Arc::new(Latch::new(1)));
        let (stops, waits) = (stop.clone(), Arc::clone(&gate));
        // The first two items of a chunk are with the worker, at the latest when it is stopped.
        let source = (0..).map(move |n: u32| (n, if n == 4 { asks.lock().unwrap().take() } else { None }));
        let mut outputs = Pipeline::source(source)
            .cancelled_by(&stop)
            .par_map(1, move |(n, _)| {
                if n > 0 {
                    waits.wait();
                    stops.cancel();
                }
                n
            })
            .bound(64)
            .into_iter();
        assert_eq!(outputs.next(), Some(0));
        gate.count_down();
        // If the chunk was too short for the item, it is still to be read, or dropped with the source.
        let _ = begun.recv_timeout(Duration::from_millis(200));
        let _ = outputs.next();
        let _ = answer.send(());
        drop(outputs);
    });
}

//! Models of the parallel map, the merge and the fan-outs, with the edits that break each.

use selvedge_loom as selvedge;

use selvedge::error::Cancelled;
use selvedge::queue::bounded;
use selvedge::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use selvedge::sync::{Arc, model, thread};
use selvedge::{CancelToken, Latch, Pipeline};
use std::panic::{self, AssertUnwindSafe};

/// The hand-over between two stages: an item wakes a sleeping consumer, and so does the end.
///
/// Fails if an output does not wake the consumer that waits for it (edit `pipeline-output-wakes-nobody`), if
/// the end does not (edit `pipeline-end-wakes-nobody`), and if a change of a chunk's word publishes nothing
/// (edit `pipeline-chunk-publishes-nothing`).
#[test]
fn an_item_and_the_end_wake_the_consumer() {
    model::check(|| {
        // With a token, the consumer leaves reading to the worker.
        let stop = CancelToken::new();
        let outputs = Pipeline::source(0..1).cancelled_by(&stop).par_map(1, |n| n + 10).bound(1);
        assert_eq!(outputs.collect::<Vec<_>>(), Ok(vec![10]));
    });
}

/// Delivering an item makes room and wakes the reader that waits for room, even if the consumer does not pull
/// again.
///
/// Fails if the consumer misses that a reader waits (edit `pipeline-room-wakes-nobody`).
#[test]
fn room_wakes_the_reader_that_waits_for_it() {
    model::check(|| {
        let second = Arc::new(Latch::new(1));
        let (read, stop) = (Arc::clone(&second), CancelToken::new());
        let source = (0..2).inspect(move |n| {
            if *n == 1 {
                read.count_down();
            }
        });
        let mut outputs = Pipeline::source(source).cancelled_by(&stop).par_map(1, |n| n).bound(1).into_iter();
        assert_eq!(outputs.next(), Some(0));
        second.wait();
    });
}

/// With a bound of one, the third item is not read before the second has been taken.
///
/// Fails if there is room for one more than the bound (edit `pipeline-bound-is-one-too-many`).
#[test]
fn nothing_is_read_beyond_the_bound() {
    model::check(|| {
        let read = Arc::new(AtomicUsize::new(0));
        let (count, stop) = (Arc::clone(&read), CancelToken::new());
        let source = (0..3).inspect(move |_| {
            count.fetch_add(1, Ordering::AcqRel);
        });
        let mut outputs = Pipeline::source(source).cancelled_by(&stop).par_map(1, |n| n).bound(1).into_iter();
        assert_eq!(outputs.next(), Some(0));
        assert!(read.fetch_add(0, Ordering::AcqRel) <= 2);
        drop(outputs);
        assert!(read.fetch_add(0, Ordering::AcqRel) <= 2);
    });
}

/// The outputs of two workers arrive in the order of the inputs. Sampled: two preemptions take minutes.
///
/// Fails if the consumer takes any output that is ready (edit `pipeline-order-ignored`).
#[test]
fn outputs_of_two_workers_come_in_order() {
    model::sample(1_000, || {
        let stop = CancelToken::new();
        let outputs = Pipeline::source(0..4).cancelled_by(&stop).par_map(2, |n| n).bound(2);
        assert_eq!(outputs.collect::<Vec<_>>(), Ok(vec![0, 1, 2, 3]));
    });
}

/// Dropping the output wakes a stage that sleeps in its source, and waits until the stage has left.
///
/// Fails if the drop does not cancel the stage (edit `pipeline-drop-cancels-nobody`), and if it does not wait
/// for it (edit `pipeline-drop-does-not-join`).
#[test]
fn dropping_the_output_wakes_a_sleeping_stage_and_waits_for_it() {
    model::check(|| {
        let (sender, silent) = bounded::<u32>(1);
        let left = Arc::new(AtomicBool::new(false));
        let gone = SetWhenDropped(Arc::clone(&left));
        let stop = CancelToken::new();
        let stage =
            Pipeline::queue(silent).cancelled_by(&stop).map(move |n| (n, gone.0.load(Ordering::Relaxed)));
        sender.push(7).unwrap();
        let mut outputs = stage.buffered(1).into_iter();
        assert_eq!(outputs.next(), Some((7, false)));
        drop(outputs);
        assert!(left.load(Ordering::Relaxed), "the stage is still there");
    });
}

struct SetWhenDropped(Arc<AtomicBool>);

impl Drop for SetWhenDropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A cancellation wakes the consumer and the stage that sleeps in its source. At one preemption: two take a
/// minute, and the edit needs none.
///
/// Fails if the consumer sleeps without the token (edit `pipeline-consumer-ignores-the-token`).
#[test]
fn a_cancel_wakes_consumer_and_stage() {
    model::check_within(1, || {
        let (_sender, silent) = bounded::<u32>(1);
        let stop = CancelToken::new();
        let canceller = thread::spawn({
            let stop = stop.clone();
            move || stop.cancel()
        });
        let count = Pipeline::queue(silent).cancelled_by(&stop).buffered(1).count();
        assert_eq!(count, Err(Cancelled));
        canceller.join().unwrap();
    });
}

/// A cancellation that drops an item is reported, even if it races the end: a success is complete. At one
/// preemption: two take 367,831 executions, and the edit needs one.
///
/// Fails if a worker that drops an item does not mark the end (edit `pipeline-cancel-is-silent`).
#[test]
fn a_cancellation_that_drops_an_item_is_reported() {
    model::check_within(1, || {
        let stop = CancelToken::new();
        let canceller = thread::spawn({
            let stop = stop.clone();
            move || stop.cancel()
        });
        let outputs = Pipeline::source(0..1).cancelled_by(&stop).par_map(1, |n| n).bound(4);
        let outputs: Result<Vec<u32>, Cancelled> = outputs.collect();
        if let Ok(outputs) = outputs {
            assert_eq!(outputs, [0]);
        }
        canceller.join().unwrap();
    });
}

/// An item that was read is delivered while the source stays silent, even if the reader intended to read two.
///
/// Fails if a reader keeps its items to itself while it waits for more (edit
/// `pipeline-reader-offers-nothing`).
#[test]
fn an_item_is_delivered_while_the_source_stays_silent() {
    model::check(|| {
        let taken = Arc::new(Latch::new(1));
        let (silent, stop, mut first) = (Arc::clone(&taken), CancelToken::new(), true);
        let source = Pipeline::generate(move || {
            if std::mem::take(&mut first) {
                return Some(1);
            }
            silent.wait();
            None
        });
        let mut outputs = source.cancelled_by(&stop).par_map(1, |n| n).bound(4).into_iter();
        assert_eq!(outputs.next(), Some(1));
        taken.count_down();
    });
}

/// A worker steals the second item of a chunk whose owner computes the first: their order stays. At one
/// preemption, as there are four threads: a reader may be needed besides the two workers.
///
/// Fails if the stolen item goes in front (edit `pipeline-stolen-items-come-first`).
#[test]
fn items_stolen_from_a_chunk_keep_their_order() {
    model::check_within(1, || {
        let stop = CancelToken::new();
        let outputs = Pipeline::source(0..2).cancelled_by(&stop).par_map(2, |n| n).bound(4);
        assert_eq!(outputs.collect::<Vec<_>>(), Ok(vec![0, 1]));
    });
}

/// The first item waits for the function to be called with the second, which is in the same chunk, and the
/// source is silent until then. Four threads: a reader, two workers, and the consumer, which sleeps. At no
/// preemption: one takes 44 s.
///
/// Fails if a reader keeps the chunk whose owner is stuck (edit `pipeline-reader-stays-attached`), and if it
/// leaves the wrong chunk at the end (edit `pipeline-detached-reader-leaves-the-old-chunk`).
#[test]
fn an_item_behind_a_stuck_one_is_computed_while_the_source_stays_silent() {
    model::check_within(0, || {
        let met = Arc::new(Latch::new(1));
        let (silent, stop, mut next) = (Arc::clone(&met), CancelToken::new(), 0);
        let source = Pipeline::generate(move || {
            next += 1;
            if next == 3 {
                silent.wait();
            }
            (next < 3).then_some(next)
        });
        let meet = move |n: u32| if n == 1 { met.wait() } else { met.count_down() };
        let outputs = source.cancelled_by(&stop).par_map(2, meet).ordered(false).bound(6);
        assert_eq!(outputs.count(), Ok(2));
    });
}

/// The first item waits for the function to be called with the second, which is not read yet.
///
/// Fails if reading cheap items is never worth a second worker (edit
/// `pipeline-cheap-reading-is-never-worth-it`).
#[test]
fn an_item_waits_for_one_that_is_read_later() {
    model::check_within(1, || {
        let (met, stop) = (Latch::new(1), CancelToken::new());
        let meet = move |n: u32| match n {
            0 => {}
            1 => met.wait(),
            _ => met.count_down(),
        };
        let outputs = Pipeline::source(0..3).cancelled_by(&stop).par_map(2, meet).bound(2);
        assert_eq!(outputs.count(), Ok(3));
    });
}

/// The consumer computes the first item of a chunk, so the reader that ends the chunk leaves it, and the
/// second item has no thread. The consumer then waits elsewhere for the call with that item, and so does the
/// source. The system has one thread.
///
/// Fails if a worker reads on while a chunk has items and no owner (edit
/// `pipeline-reading-comes-before-items-left-over`).
#[test]
fn items_that_the_consumer_leaves_are_computed_before_more_is_read() {
    model::check_within(1, || {
        model::refuse_threads_after(1);
        let [one_read, one_begun] = [(); 2].map(|()| Arc::new(Latch::new(1)));
        let (read, begun, stop) = (Arc::clone(&one_read), Arc::clone(&one_begun), CancelToken::new());
        let source = (0..3).inspect(move |n| match n {
            1 => read.count_down(),
            2 => begun.wait(),
            _ => {}
        });
        let begins = Arc::clone(&one_begun);
        let wait = move |n| match n {
            0 => one_read.wait(),
            1 => begins.count_down(),
            _ => {}
        };
        let mut outputs = Pipeline::source(source).cancelled_by(&stop).par_map(1, wait).bound(4).into_iter();
        assert_eq!(outputs.next(), Some(()));
        one_begun.wait();
        assert_eq!(outputs.count(), 2);
    });
}

/// The consumer computes item 0 and leaves item 1 over. A worker has stolen item 2 from behind it, and a
/// reader has read item 3 by then; both items wait until the consumer has item 1. Four threads;
/// sampled, since one preemption takes minutes.
///
/// Fails if the reader gets the last permit for what it has read (edit
/// `pipeline-reader-overtakes-items-left-over`).
#[test]
fn a_reader_gets_no_permit_before_items_that_are_left_over() {
    model::sample(1_000, || {
        let [zero_begun, two_begun, zero_taken, one_taken] = [(); 4].map(|()| Arc::new(Latch::new(1)));
        let (begun, taken, stop) = (Arc::clone(&zero_begun), Arc::clone(&zero_taken), CancelToken::new());
        let source = (0..4).inspect(move |n| match n {
            1 => begun.wait(),
            3 => taken.wait(),
            _ => {}
        });
        let both = Arc::clone(&one_taken);
        let wait = move |n| {
            match n {
                0 => {
                    zero_begun.count_down();
                    two_begun.wait();
                }
                1 => {}
                2 => {
                    two_begun.count_down();
                    both.wait();
                }
                _ => both.wait(),
            }
            n
        };
        let mut outputs = Pipeline::source(source).cancelled_by(&stop).par_map(2, wait).bound(6).into_iter();
        assert_eq!(outputs.next(), Some(0));
        zero_taken.count_down();
        // Lets the reader come first, which costs no preemption.
        thread::yield_now();
        assert_eq!(outputs.next(), Some(1));
        one_taken.count_down();
        assert_eq!((outputs.next(), outputs.next(), outputs.next()), (Some(2), Some(3), None));
    });
}

/// Every third item waits until the consumer has all outputs before it. Sampled.
///
/// Fails if a reader gets a permit while earlier items have no owner (edit
/// `pipeline-reader-overtakes-items-left-over`).
#[test]
fn items_wait_for_all_outputs_before_them() {
    for (workers, bound) in [(1, 4), (2, 6), (2, 3)] {
        model::sample(400, move || {
            let taken: Arc<[Latch]> = (0..9).map(|_| Latch::new(1)).collect();
            let (waits, stop) = (Arc::clone(&taken), CancelToken::new());
            let wait = move |n: usize| {
                if n % 3 == 2 {
                    waits[n - 1].wait();
                }
                n
            };
            let outputs = Pipeline::source(0..9).cancelled_by(&stop).par_map(workers, wait).bound(bound);
            let count = outputs.inspect(|n| taken[*n].count_down()).count();
            assert_eq!(count, Ok(9));
        });
    }
}

/// The consumer computes the second item of a chunk, which waits for the function to be called with the
/// third.
///
/// Fails if cheap items behind one that the consumer computes are not worth stealing (edit
/// `pipeline-items-behind-the-consumer-are-not-worth-it`).
#[test]
fn an_item_that_the_consumer_computes_waits_for_the_next() {
    model::check_within(1, || {
        let (met, stop) = (Latch::new(1), CancelToken::new());
        let meet = move |n: u32| match n {
            0 => {}
            1 => met.wait(),
            _ => met.count_down(),
        };
        let outputs = Pipeline::source(0..3).cancelled_by(&stop).par_map(2, meet).bound(6);
        assert_eq!(outputs.count(), Ok(3));
    });
}

/// No item is begun after the first error, and the error is delivered.
///
/// Fails if the rest of the chunk is computed (edit `pipeline-failure-goes-on`), and if a failure does not
/// wake the consumer (edit `pipeline-failure-wakes-nobody`).
#[test]
fn no_item_is_begun_after_the_first_error() {
    model::check(|| {
        let begun = Arc::new(AtomicUsize::new(0));
        let (count, stop) = (Arc::clone(&begun), CancelToken::new());
        let fail = move |n: u32| {
            count.fetch_add(1, Ordering::Relaxed);
            Err::<u32, u32>(n)
        };
        let outputs = Pipeline::source(0..2).cancelled_by(&stop).try_par_map(1, fail).bound(4);
        assert_eq!(outputs.collect::<Result<Vec<_>, _>>(), Ok(Err(0)));
        assert_eq!(begun.load(Ordering::Relaxed), 1);
    });
}

/// An item that arrives in a chunk which a failure has closed is dropped, and is not computed.
///
/// Fails if the reader forgets it (edit `pipeline-late-item-is-forgotten`).
#[test]
fn an_item_that_is_read_after_the_first_error_is_dropped() {
    model::check_within(1, || {
        let (made, dropped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (count, gone, stop) = (Arc::clone(&made), Arc::clone(&dropped), CancelToken::new());
        let source = (0..2).map(move |n| {
            count.fetch_add(1, Ordering::Relaxed);
            (n, CountsDrop(Arc::clone(&gone)))
        });
        let outputs = Pipeline::source(source).cancelled_by(&stop);
        let outputs = outputs.try_par_map(1, |(n, _item)| Err::<u32, u32>(n)).bound(4);
        assert_eq!(outputs.collect::<Result<Vec<_>, _>>(), Ok(Err(0)));
        assert_eq!(made.load(Ordering::Relaxed), dropped.load(Ordering::Relaxed));
    });
}

struct CountsDrop(Arc<AtomicUsize>);

impl Drop for CountsDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A panic in a worker reaches the consumer with its payload.
///
/// Fails if the payload is dropped (edit `pipeline-panic-is-dropped`), and if a failure does not wake the
/// consumer (edit `pipeline-failure-wakes-nobody`).
#[test]
fn a_panic_reaches_the_consumer() {
    model::check(|| {
        let stop = CancelToken::new();
        let result = panic::catch_unwind(AssertUnwindSafe(|| {
            let fail = |_: u32| panic::resume_unwind(Box::new(7_u32));
            let outputs = Pipeline::source(0..1).cancelled_by(&stop).par_map(1, fail).bound(1);
            outputs.collect::<Vec<u32>>()
        }));
        assert_eq!(result.unwrap_err().downcast_ref(), Some(&7_u32));
    });
}

/// A merge ends once both its inputs have ended, and not before.
///
/// Fails if the first input to end closes the queue (edit `pipeline-merge-ends-with-the-first`).
#[test]
fn a_merge_ends_when_every_input_has_ended() {
    model::check(|| {
        let inputs = [1, 2].map(|n| Pipeline::source([n]));
        let mut all: Vec<u32> = Pipeline::merge(inputs).capacity(2).collect();
        all.sort_unstable();
        assert_eq!(all, [1, 2]);
    });
}

/// Two outputs share an input: each item goes to one of them, and both find the end.
///
/// Fails if returning the input wakes no output (edit `pipeline-shared-input-wakes-nobody`).
#[test]
fn two_outputs_that_share_an_input_both_end() {
    model::check(|| {
        let mut outputs = Pipeline::source(0..1).fan_out(2).into_iter();
        let (mine, theirs) = (outputs.next().unwrap(), outputs.next().unwrap());
        let other = thread::spawn(move || theirs.count());
        let count = mine.count();
        assert_eq!(count + other.join().unwrap(), 1);
    });
}

/// Two outputs take turns at an input. One gives up its turn while the other holds back because of that turn;
/// the other then continues, and finds the end.
///
/// Fails if the end of a turn wakes no waiter (edit `turn-point-ends-unheard`), or if turns never end (edit
/// `turns-never-end`).
#[test]
fn an_output_that_gives_its_turn_up_lets_the_other_go_on() {
    model::check(|| {
        let stop = CancelToken::new();
        // Makes an output sleep because the other holds the input.
        let slow = Pipeline::source(0..3).inspect(|_| thread::yield_now());
        let mut outputs = slow.fan_out(2).into_iter();
        let (mine, theirs) = (outputs.next().unwrap(), outputs.next().unwrap());
        let other = thread::spawn({
            let stop = stop.clone();
            move || {
                theirs
                    .inspect(|n| {
                        if *n == 1 {
                            stop.cancel();
                        }
                    })
                    .count()
            }
        });
        let count = mine.cancelled_by(&stop).count().unwrap_or(0);
        assert!(count + other.join().unwrap() <= 3);
    });
}

/// Two outputs by key: an item that one output routes to the other wakes the other, even if the first then
/// waits for more input.
///
/// Fails if an item put into the other's buffer wakes no output (edit `pipeline-route-wakes-nobody`).
#[test]
fn an_item_that_is_routed_to_another_output_wakes_it() {
    model::check(|| {
        let got = Arc::new(Latch::new(1));
        let (silent, mut first) = (Arc::clone(&got), true);
        let source = Pipeline::generate(move || {
            if std::mem::take(&mut first) {
                return Some(0);
            }
            silent.wait();
            None
        });
        let mut outputs = source.fan_out_by(2, 1, |n| *n).into_iter();
        let (mine, theirs) = (outputs.next().unwrap(), outputs.next().unwrap());
        let told = Arc::clone(&got);
        let other = thread::spawn(move || theirs.inspect(|_| told.count_down()).count());
        let count = mine.inspect(|_| got.count_down()).count();
        assert_eq!(count + other.join().unwrap(), 1);
    });
}

/// The system has one thread for a merge of two inputs, and the first input is silent until the second has
/// run. The consumer advances the input that no thread has taken.
///
/// Fails if the refusal cancels no token (edit `group-refusal-tells-nobody`).
#[test]
fn a_merge_advances_the_input_that_gets_no_thread() {
    model::check(|| {
        model::refuse_threads_after(1);
        let latch = Arc::new(Latch::new(1));
        let inputs = [0, 1].map(|input| {
            let latch = Arc::clone(&latch);
            Pipeline::source(0..1).map(move |_| if input == 0 { latch.wait() } else { latch.count_down() })
        });
        assert_eq!(Pipeline::merge(inputs).capacity(2).count(), 2);
    });
}

/// The system refuses the only worker: the consumer does the work.
///
/// Fails if the consumer does not read while no worker runs (edit `pipeline-consumer-never-runs-inline`).
#[test]
fn without_threads_the_consumer_runs_the_parallel_map() {
    model::check(|| {
        model::refuse_threads_after(0);
        let stop = CancelToken::new();
        let read = Arc::new(AtomicUsize::new(0));
        // Races the pipeline, so that the model explores more than one execution.
        let beside = thread::spawn({
            let read = Arc::clone(&read);
            move || read.fetch_add(0, Ordering::AcqRel) <= 2
        });
        let source = (0..2).inspect(move |_| {
            read.fetch_add(1, Ordering::AcqRel);
        });
        let outputs = Pipeline::source(source).cancelled_by(&stop).par_map(1, |n| n + 10).bound(1);
        assert_eq!(outputs.collect::<Vec<_>>(), Ok(vec![10, 11]));
        assert!(beside.join().unwrap());
    });
}

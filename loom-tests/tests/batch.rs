//! Models of the batcher, each with the edits that break it.

use selvedge_loom as selvedge;

use std::time::Duration;

use selvedge::batch::{Batch, BatchError, Builder};
use selvedge::error::WaitError;
use selvedge::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use selvedge::sync::{Arc, Mutex, model, thread};
use selvedge::{Batcher, CancelToken, Clock, retry};

const HOUR: Duration = Duration::from_secs(3600);

/// The batches, as the handler got them.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<Vec<u8>>>>);

impl Seen {
    fn handler(&self) -> impl Fn(&mut Batch<u8>) + Send + Sync + 'static {
        let seen = Arc::clone(&self.0);
        move |batch: &mut Batch<u8>| seen.lock().push(batch.to_vec())
    }

    /// All items, in the order in which the handler got them. No batch may be empty.
    fn items(&self) -> Vec<u8> {
        let batches = self.0.lock();
        assert!(batches.iter().all(|batch| !batch.is_empty()), "an empty batch");
        batches.concat()
    }

    fn batches(&self) -> usize {
        self.0.lock().len()
    }
}

fn ageless() -> Builder<u8> {
    Batcher::builder().max_age(Duration::MAX)
}

/// Size, age and close race: each item is in exactly one batch, in order, and no batch is empty.
///
/// Fails if closing leaves the open batch where it is (edit `batch-close-forgets-the-open-one`), or if a
/// batch is opened before there is an item for it (edit `batch-opens-eagerly`).
#[test]
fn size_age_and_close_put_each_item_into_one_batch() {
    model::check(|| {
        let (seen, clock) = (Seen::default(), Clock::manual());
        let builder = Batcher::builder().max_items(2).max_age(HOUR).clock(&clock);
        let batcher = Arc::new(builder.build(seen.handler()).unwrap());
        let adder = thread::spawn({
            let batcher = Arc::clone(&batcher);
            move || (0..3).filter(|n| batcher.add(*n).is_ok()).count()
        });
        clock.advance(HOUR);
        let report = batcher.close();
        let added = adder.join().unwrap();
        assert_eq!((report.stats.processed, report.stats.added), (added, added));
        assert_eq!(seen.items(), (0..added as u8).collect::<Vec<_>>());
    });
}

/// The first item wakes a thread that sleeps without a deadline; the thread sleeps until the batch's age
/// limit and hands the batch over.
///
/// Fails if the add that opens a batch wakes no thread (edit `batch-opened-quietly`), or if a thread sleeps
/// without the open batch's deadline (edit `batch-sleeps-without-deadline`).
#[test]
fn the_age_of_the_first_item_wakes_a_sleeping_thread() {
    model::check(|| {
        let (seen, clock) = (Seen::default(), Clock::manual());
        let batcher = Batcher::builder().max_age(HOUR).clock(&clock).build(seen.handler()).unwrap();
        let ticket = batcher.submit(1).unwrap();
        clock.advance(HOUR);
        assert!(ticket.join().is_ok());
        assert_eq!(seen.items(), [1]);
    });
}

/// A later item does not make the batch younger, at any moment: the first item is processed at its own age
/// limit.
///
/// Fails if each item resets the age (edit `batch-age-of-the-newest`).
#[test]
fn a_later_item_does_not_prolong_the_age() {
    model::check(|| {
        let (seen, clock) = (Seen::default(), Clock::manual());
        let builder = Batcher::builder().max_age(HOUR).clock(&clock);
        let batcher = Arc::new(builder.build(seen.handler()).unwrap());
        let ticket = batcher.submit(1).unwrap();
        let later = thread::spawn({
            let batcher = Arc::clone(&batcher);
            move || batcher.add(2).unwrap()
        });
        clock.advance(HOUR);
        assert!(ticket.join().is_ok());
        later.join().unwrap();
        assert_eq!(batcher.close().stats.processed, 2);
    });
}

/// Batches of weight 2, of items that weigh what they are.
fn weighing() -> Builder<u8> {
    Batcher::builder().max_weight(2).weigh(|n: &u8| usize::from(*n))
}

/// Of two threads, one takes a full batch, and the other still observes the age of the next batch.
///
/// Fails if the add that opens a batch wakes no thread (edit `batch-opened-quietly`).
#[test]
fn the_age_is_watched_while_another_batch_is_taken() {
    model::check(|| {
        let (seen, clock) = (Seen::default(), Clock::manual());
        let builder = weighing().max_age(HOUR).clock(&clock);
        let batcher = builder.build_concurrent(2, seen.handler()).unwrap();
        batcher.add(2).unwrap();
        let ticket = batcher.submit(1).unwrap();
        clock.advance(HOUR);
        assert!(ticket.join().is_ok());
    });
}

/// Two batches in flight: while one thread is busy, a full batch wakes the other.
///
/// Fails if filling a batch wakes no thread (edit `batch-filled-quietly`).
#[test]
fn each_full_batch_reaches_a_thread_of_its_own() {
    model::check(|| {
        let second = Arc::new(selvedge::Latch::new(1));
        let handler = {
            let second = Arc::clone(&second);
            move |batch: &mut Batch<u8>| match batch.len() {
                1 => second.count_down(),
                _ => second.wait(), // until the other has been inside
            }
        };
        let batcher = weighing().max_age(Duration::MAX).build_concurrent(2, handler).unwrap();
        for weight in [1, 1, 2] {
            batcher.add(weight).unwrap();
        }
        second.wait();
    });
}

/// An adder that waits for room is woken when a batch is taken, and gets in.
///
/// Fails if taking a batch wakes no adder (edit `batch-room-is-not-told`).
#[test]
fn a_taken_batch_lets_a_waiting_adder_in() {
    model::check(|| {
        let seen = Seen::default();
        let builder = ageless().max_items(1).backlog(1);
        let batcher = Arc::new(builder.build(seen.handler()).unwrap());
        let adder = thread::spawn({
            let batcher = Arc::clone(&batcher);
            move || (0..2).for_each(|n| batcher.add(n).unwrap())
        });
        batcher.add(9).unwrap();
        adder.join().unwrap();
        assert_eq!(batcher.close().stats.processed, 3);
        assert_eq!(seen.batches(), 3);
    });
}

/// A close refuses an adder that waits for room, and the item comes back; an item that got in is processed.
///
/// Fails if closing does not wake the adders (edit `batch-close-forgets-adders`).
#[test]
fn closing_refuses_a_waiting_adder_or_processes_its_item() {
    model::check(|| {
        let seen = Seen::default();
        let gate = Arc::new(selvedge::Latch::new(1));
        let handler = {
            let (gate, tell) = (Arc::clone(&gate), seen.handler());
            move |batch: &mut Batch<u8>| {
                gate.wait();
                tell(batch);
            }
        };
        let batcher = Arc::new(ageless().max_items(1).backlog(1).build(handler).unwrap());
        let adder = thread::spawn({
            let batcher = Arc::clone(&batcher);
            move || (0..3).find_map(|n| batcher.add(n).err())
        });
        // The handler is held up, so the close times out; the batcher stays closed.
        let _late = batcher.close_until(Duration::ZERO);
        // One batch in the handler and one in the backlog leave no room for a third, so the close ends the
        // adder.
        let refused = adder.join().unwrap().expect("the last one is refused");
        assert_eq!(refused.error, WaitError::Closed);
        gate.count_down();
        let report = batcher.close();
        assert_eq!(report.stats.processed, usize::from(refused.value));
        assert_eq!(seen.items(), (0..refused.value).collect::<Vec<_>>());
    });
}

/// Group commit: two submitters each get the result of their own item's batch, and what the handler did
/// before is visible to them.
///
/// Fails if an outcome wakes no waiter (edit `batch-answer-wakes-nobody`), or if a ticket joins the wait list
/// without checking (edit `batch-ticket-joins-without-looking`).
#[test]
fn each_ticket_gets_the_result_of_its_own_batch() {
    model::check(|| {
        let committed = Arc::new(AtomicUsize::new(0));
        let handler = {
            let committed = Arc::clone(&committed);
            move |batch: &mut Batch<u8>| -> Vec<Result<u8, String>> {
                committed.fetch_add(batch.len(), SeqCst);
                batch.iter().map(|n| Ok(n * 10)).collect()
            }
        };
        let batcher = Arc::new(Batcher::builder().max_age(Duration::ZERO).build(handler).unwrap());
        let other = thread::spawn({
            let batcher = Arc::clone(&batcher);
            move || assert_eq!(batcher.submit(1).unwrap().join().unwrap(), 10)
        });
        assert_eq!(batcher.submit(2).unwrap().join().unwrap(), 20);
        assert!(committed.load(SeqCst) >= 1);
        other.join().unwrap();
        assert_eq!(committed.load(SeqCst), 2);
    });
}

/// The handler panics: the tickets of its batch get the panic, and the next batch is processed.
///
/// Fails if a batch whose handler panicked gets no outcome (edit `batch-panic-tells-nobody`).
#[test]
fn a_panicking_handler_tells_its_tickets_and_goes_on() {
    model::check(|| {
        let handler = |batch: &mut Batch<u8>| {
            if batch[0] == 0 {
                std::panic::resume_unwind(Box::new("a nought"));
            }
        };
        let batcher = Arc::new(ageless().max_items(1).build(handler).unwrap());
        let other = thread::spawn({
            let batcher = Arc::clone(&batcher);
            move || {
                let failed = batcher.submit(0).unwrap().join().unwrap_err();
                assert!(matches!(failed.error, BatchError::Panicked(_)));
                assert_eq!(failed.value, Some(0));
            }
        });
        assert!(batcher.submit(1).unwrap().join().is_ok());
        other.join().unwrap();
        assert_eq!(batcher.close().stats.panicked, 1);
    });
}

/// A waiter gives up as its batch ends: it gets the outcome, or keeps the ticket, which still gets it.
///
/// Fails if an outcome is lost when no thread waits for it at that moment (edit
/// `batch-answer-only-for-waiters`).
#[test]
fn a_waiter_that_gives_up_keeps_the_answer_for_later() {
    model::check(|| {
        let stop = CancelToken::new();
        let handler = |_: &mut Batch<u8>| Ok::<_, String>(7);
        let batcher = ageless().max_items(1).build(handler).unwrap();
        let ticket = batcher.submit(1).unwrap();
        let canceller = thread::spawn({
            let stop = stop.clone();
            move || stop.cancel()
        });
        let answer = match ticket.join_until(&stop) {
            Ok(answer) => answer,
            Err(back) => {
                assert_eq!(back.error, WaitError::Cancelled);
                back.value.join()
            }
        };
        assert_eq!(answer.unwrap(), 7);
        canceller.join().unwrap();
    });
}

/// A ticket is dropped as its batch fails: the item goes to the hook once, whichever comes first.
///
/// Fails if a dropped ticket does not check for an outcome (edit `batch-dropped-ticket-swallows`), or if the
/// batch does not check whether a ticket was dropped (edit `batch-answers-the-dropped`).
#[test]
fn a_failure_reaches_the_hook_when_its_ticket_is_dropped() {
    model::check(|| {
        let told = Arc::new(Mutex::new(Vec::new()));
        let hook = {
            let told = Arc::clone(&told);
            move |failed: selvedge::batch::Failed<Vec<u8>>| told.lock().extend(failed.value)
        };
        let batcher =
            ageless().max_items(1).on_error(hook).build(|_: &mut Batch<u8>| Err::<(), _>("no")).unwrap();
        let ticket = batcher.submit(1).unwrap();
        drop(ticket);
        batcher.close();
        assert_eq!(*told.lock(), [1]);
    });
}

/// A flush waits for the items that were added before it, whichever thread processes them.
///
/// Fails if a flush ignores the batches in flight (edit `batch-flush-forgets-in-flight`), if it wakes no
/// thread (edit `batch-flush-calls-nobody`), or if the end of a batch wakes no flush (edit
/// `batch-end-wakes-nobody`).
#[test]
fn a_flush_returns_after_the_end_of_what_was_added_before() {
    model::check(|| {
        let seen = Seen::default();
        let batcher = Arc::new(ageless().build(seen.handler()).unwrap());
        let other = thread::spawn({
            let batcher = Arc::clone(&batcher);
            move || batcher.add(2).is_ok()
        });
        batcher.add(1).unwrap();
        batcher.flush().unwrap();
        assert!(seen.items().contains(&1));
        other.join().unwrap();
        batcher.close();
        assert_eq!(seen.items().len(), 2);
    });
}

/// An abort races a retry: the item is processed or comes back, and its ticket says the same.
///
/// Fails if an abort does not wake a thread that waits for a retry (edit `batch-abort-forgets-pausing`), or
/// if the batch that such a thread gives back is not in the report (edit `batch-abort-loses-retried`).
#[test]
fn an_abort_takes_back_what_waits_for_a_retry() {
    model::check(|| {
        let handler = |_: &mut Batch<u8>| Err::<(), _>("no");
        let policy = retry::policy().first(Duration::MAX).cap(Duration::MAX).jitter(retry::Jitter::None);
        let builder = ageless().max_items(1).retry(policy);
        let batcher = Arc::new(builder.build(handler).unwrap());
        let ticket = batcher.submit(1).unwrap();
        let waiter = thread::spawn(move || matches!(ticket.join().unwrap_err().error, BatchError::Cancelled));
        let report = batcher.abort();
        assert_eq!((report.unprocessed, report.stats.aborted), (vec![1], 1));
        assert!(waiter.join().unwrap());
    });
}

/// The handler drops the last handle of the batcher: no thread waits for itself, and the thread ends.
///
/// Fails if a close from inside waits for its own thread (edit `batch-close-waits-for-itself`).
#[test]
fn the_handler_may_close_its_own_batcher() {
    model::check(|| {
        let cell: Arc<Mutex<Option<Arc<Batcher<u8>>>>> = Arc::default();
        let closed = Arc::new(selvedge::Latch::new(1));
        let handler = {
            let (cell, closed) = (Arc::clone(&cell), Arc::clone(&closed));
            move |_: &mut Batch<u8>| {
                let batcher = cell.lock().take().expect("it was put there before the item");
                batcher.close();
                drop(batcher);
                closed.count_down();
            }
        };
        let batcher = Arc::new(ageless().max_items(1).build(handler).unwrap());
        *cell.lock() = Some(Arc::clone(&batcher));
        batcher.add(1).unwrap();
        closed.wait();
        assert_eq!(batcher.close().stats.processed, 1);
    });
}

/// Three adders compete for one place. An adder that was woken for room and found it taken gets the next
/// turn, is the next to be woken, and gets in.
///
/// Fails if a turn admits no thread (edit `turns-admit-nobody`), if the turn's owner waits behind the others
/// (edit `turn-point-waits-behind`), or if the turn does not end once its owner is in (edit
/// `turns-never-end`).
#[test]
fn an_adder_that_has_lost_too_often_gets_in() {
    model::check(|| {
        let seen = Seen::default();
        let batcher = Arc::new(ageless().max_items(1).backlog(1).build(seen.handler()).unwrap());
        batcher.add(1).unwrap();
        let adder = thread::spawn({
            let batcher = Arc::clone(&batcher);
            move || batcher.add(9).unwrap()
        });
        (2..4).for_each(|n| batcher.add(n).unwrap());
        adder.join().unwrap();
        assert_eq!(batcher.close().stats.processed, 4);
        assert_eq!(seen.batches(), 4);
    });
}

/// The owner of a turn gives up while the turn holds another adder back: that adder gets in.
///
/// Fails if the end of a turn wakes no waiter (edit `turn-point-ends-unheard`), or if a turn does not end
/// when its owner gives up (edit `turns-never-end`).
#[test]
fn an_adder_that_gives_its_turn_up_lets_the_others_in() {
    model::check(|| {
        let (seen, stop) = (Seen::default(), CancelToken::new());
        let batcher = Arc::new(ageless().max_items(1).backlog(1).build(seen.handler()).unwrap());
        batcher.add(1).unwrap();
        let adder = thread::spawn({
            let (batcher, stop) = (Arc::clone(&batcher), stop.clone());
            move || batcher.add_until(9, &stop).is_ok()
        });
        batcher.add(2).unwrap();
        stop.cancel();
        batcher.add(3).unwrap();
        let added = adder.join().unwrap();
        assert_eq!(batcher.close().stats.processed, 3 + usize::from(added));
    });
}

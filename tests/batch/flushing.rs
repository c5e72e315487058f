//! Flush does not linger, and waits for what was added before it.

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
        let batcher = ageless().retry(at_once(usize::MAX)).build(handler).unwrap();
        batcher.add(1).unwrap();
        batcher.flush().unwrap();
        assert_eq!(batcher.stats().processed, 1);
    });
}

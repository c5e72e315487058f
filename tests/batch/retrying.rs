//! What failed is tried again, as the policy says, and nothing else.

use super::*;

/// Fails the first `times` attempts of each batch.
fn failing(times: usize) -> impl FnMut(&mut Batch<u32>) -> Result<usize, String> + Send {
    move |batch| {
        if batch.attempt() <= times {
            Err(format!("attempt {}", batch.attempt()))
        } else {
            Ok(batch.attempt())
        }
    }
}

#[test]
fn failed_batch_is_retried_with_its_items_until_the_policy_gives_up() {
    within_a_minute(|| {
        let batcher = ageless().max_items(2).retry(at_once(3)).build(failing(2)).unwrap();
        let tickets = [1, 2].map(|n| batcher.submit(n).unwrap());
        assert_eq!(tickets.map(|ticket| ticket.join().unwrap()), [3, 3]);
        let batcher = ageless().max_items(2).retry(at_once(3)).build(failing(3)).unwrap();
        let tickets = [1, 2].map(|n| batcher.submit(n).unwrap());
        for (ticket, n) in tickets.into_iter().zip(1..) {
            let failed = ticket.join().unwrap_err();
            assert_eq!((failed.value, failed.error.to_string()), (Some(n), "attempt 3".to_owned()));
        }
        assert_eq!((batcher.stats().retries, batcher.stats().failed), (2, 2));
    });
}

#[test]
fn pause_before_a_retry_is_measured_on_the_clock() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let policy = retry::policy().first(HOUR).cap(Duration::MAX).jitter(retry::Jitter::None);
        let builder = ageless().max_items(1).retry(policy).clock(&clock);
        let batcher = builder.build(failing(2)).unwrap();
        let ticket = batcher.submit(1).unwrap();
        for hours in [1, 2] {
            until_figure(&batcher, "pausing", 1);
            clock.wait_for_sleepers(1);
            clock.advance(HOUR * hours - Duration::from_nanos(1));
            assert_eq!(figure(&batcher, "pausing"), Some(1));
            assert_eq!(batcher.stats().retries, hours as usize);
            clock.advance(Duration::from_nanos(1));
        }
        assert_eq!(ticket.join().unwrap(), 3);
    });
}

#[test]
fn only_items_that_failed_are_retried() {
    within_a_minute(|| {
        let (tell, told) = channel();
        let handler = move |batch: &mut Batch<u32>| -> Vec<Result<usize, String>> {
            tell.send(batch.to_vec()).unwrap();
            let attempt = batch.attempt();
            let judge = |n: &u32| match *n as usize {
                n if n <= attempt => Ok(n),
                n => Err(format!("{n} not yet")),
            };
            batch.iter().map(judge).collect()
        };
        let builder = ageless().max_items(4).retry(at_once(usize::MAX));
        let batcher = builder.build(handler).unwrap();
        let three = batcher.submit(3).unwrap();
        batcher.add(1).unwrap();
        let one = batcher.submit(1).unwrap();
        let two = batcher.submit(2).unwrap();
        assert_eq!([one, two, three].map(|ticket| ticket.join().unwrap()), [1, 2, 3]);
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [vec![3, 1, 1, 2], vec![3, 2], vec![3]]);
        assert_eq!((batcher.stats().retries, batcher.close().is_clean()), (2, true));
    });
}

#[test]
fn closure_sees_the_error_and_may_give_up_on_some_items_only() {
    within_a_minute(|| {
        let handler = |batch: &mut Batch<u32>| -> Vec<Result<usize, io::Error>> {
            let attempt = batch.attempt();
            let judge = |n: &u32| match n {
                0 => Err(io::Error::from(io::ErrorKind::InvalidData)),
                _ if attempt < 2 => Err(io::Error::from(io::ErrorKind::Interrupted)),
                _ => Ok(attempt),
            };
            batch.iter().map(judge).collect()
        };
        let worth = |error: &BatchError| {
            let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
            kind == Some(io::ErrorKind::Interrupted)
        };
        let batcher = ageless().max_items(3).retry_if(at_once(3), worth).build(handler).unwrap();
        let [one, zero, two] = [1, 0, 2].map(|n| batcher.submit(n).unwrap());
        assert_eq!((one.join().unwrap(), two.join().unwrap()), (2, 2));
        assert_eq!(zero.join().unwrap_err().value, Some(0));
        assert_eq!((batcher.stats().processed, batcher.stats().failed), (2, 1));
    });
}

#[test]
fn items_that_are_put_back_are_retried() {
    within_a_minute(|| {
        let handler = |batch: &mut Batch<u32>| {
            let items = batch.take();
            assert!(batch.is_empty());
            match batch.attempt() {
                1 => {
                    batch.put_back(items);
                    Err("again".to_owned())
                }
                _ => Ok(items.len()),
            }
        };
        let builder = ageless().max_items(2).retry(at_once(usize::MAX));
        let batcher = builder.build(handler).unwrap();
        let tickets = [1, 2].map(|n| batcher.submit(n).unwrap());
        assert_eq!(tickets.map(|ticket| ticket.join().unwrap()), [2, 2]);
    });
}

#[test]
fn closure_that_panics_gives_up() {
    within_a_minute(|| {
        let worth = |_: &BatchError| -> bool { panic!("in the closure") };
        let batcher = ageless().max_items(1).retry_if(at_once(usize::MAX), worth).build(failing(9)).unwrap();
        assert_eq!(batcher.submit(1).unwrap().join().unwrap_err().value, Some(1));
        assert_eq!(batcher.submit(2).unwrap().join().unwrap_err().value, Some(2));
    });
}

#[test]
fn batch_is_given_up_when_its_next_attempt_would_begin_at_the_end_of_the_budget() {
    within_a_minute(|| {
        let clock = Clock::manual();
        // Attempts at 0 and 1 h; the next one would begin at 3 h.
        let policy = retry::policy().attempts(9).first(HOUR).cap(Duration::MAX).jitter(retry::Jitter::None);
        let builder = ageless().max_items(1).clock(&clock);
        let batcher = builder.retry(policy.budget(3 * HOUR)).build(failing(9)).unwrap();
        for _ in 0..2 {
            // The budget is that of a batch: the second has all of it.
            let ticket = batcher.submit(1).unwrap();
            until_figure(&batcher, "pausing", 1);
            clock.wait_for_sleepers(1);
            clock.advance(HOUR);
            assert_eq!(ticket.join().unwrap_err().error.to_string(), "attempt 2");
        }
        let roomy = ageless().max_items(1).clock(&clock).retry(policy.budget(4 * HOUR));
        let batcher = roomy.build(failing(2)).unwrap();
        let ticket = batcher.submit(1).unwrap();
        for hours in [1, 2] {
            clock.wait_for_sleepers(1);
            clock.advance(HOUR * hours);
        }
        assert_eq!(ticket.join().unwrap(), 3);
    });
}

#[test]
fn longest_pause_that_the_closure_asks_for_holds_for_all_items() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let handler = |batch: &mut Batch<u32>| -> Vec<Result<usize, String>> {
            let attempt = batch.attempt();
            batch.iter().map(|n| if attempt > 1 { Ok(attempt) } else { Err(n.to_string()) }).collect()
        };
        let worth = |error: &BatchError| match error.to_string().parse() {
            Ok(hours) => Again::After(HOUR * hours),
            Err(_) => Again::No,
        };
        let builder = ageless().max_items(2).clock(&clock).retry_if(at_once(2), worth);
        let batcher = builder.build(handler).unwrap();
        let tickets = [1, 3].map(|n| batcher.submit(n).unwrap());
        clock.wait_for_sleepers(1);
        clock.advance(HOUR * 3 - Duration::from_nanos(1));
        assert_eq!(figure(&batcher, "pausing"), Some(1));
        clock.advance(Duration::from_nanos(1));
        assert_eq!(tickets.map(|ticket| ticket.join().unwrap()), [2, 2]);
    });
}

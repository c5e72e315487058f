//! Many threads, and all misfortunes at once: every item ends once.

use super::*;
use common::Dice;
use selvedge::batch::{Failed, Ticket};

/// Where items have ended.
#[derive(Clone, Default)]
struct Ends(Arc<Mutex<Vec<u32>>>);

impl Ends {
    fn note(&self, items: impl IntoIterator<Item = u32>) {
        self.0.lock().unwrap().extend(items);
    }

    /// Redeems a ticket: its item ended well, which the handler has noted, or comes back.
    fn note_answer(&self, ticket: Ticket<u32, u32>) {
        if let Err(failed) = ticket.join() {
            self.note(failed.value);
        }
    }
}

/// Panics on some items, fails some for a while and some for ever, and notes the others.
fn moody(ends: Ends) -> impl Fn(&mut Batch<u32>) -> Vec<Result<u32, String>> + Send + Sync {
    move |batch| {
        if batch.iter().any(|n| n % 31 == 0) {
            std::panic::resume_unwind(Box::new("a bad one")); // without a word from the panic hook
        }
        let attempt = batch.attempt();
        let judge = |n: &u32| match n % 7 {
            0 => Err(format!("{n} never")),
            1 if attempt == 1 => Err(format!("{n} not yet")),
            _ => {
                ends.note([*n]);
                Ok(*n)
            }
        };
        batch.iter().map(judge).collect()
    }
}

fn adder(batcher: &Batcher<u32, u32>, ends: &Ends, items: std::ops::Range<u32>, seed: u64) {
    let mut dice = Dice::new(seed);
    for item in items {
        match dice.roll(4) {
            0 => batcher.add(item).unwrap(),
            1 => ends.note_answer(batcher.submit(item).unwrap()),
            2 => drop(batcher.submit(item).unwrap()),
            _ => match batcher.submit(item).unwrap().try_join() {
                Ok(result) => ends.note(result.err().and_then(|failed| failed.value)),
                Err(ticket) => drop(ticket),
            },
        }
    }
}

#[test]
fn every_item_ends_once_whatever_befalls_its_batch() {
    within_a_minute(|| {
        for seed in 0..5 {
            let ends = Ends::default();
            let hook = {
                let ends = ends.clone();
                move |failed: Failed<Vec<u32>>| ends.note(failed.value)
            };
            let builder = Batcher::builder().max_items(5).max_age(Duration::ZERO).on_error(hook);
            let builder = builder.retry(at_once(2));
            let batcher = Arc::new(builder.build_concurrent(3, moody(ends.clone())).unwrap());
            let adders = [0, 1, 2, 3].map(|number| {
                let (batcher, ends) = (Arc::clone(&batcher), ends.clone());
                let first = number * 200;
                let seed = seed * 4 + u64::from(number);
                thread::spawn(move || adder(&batcher, &ends, first..first + 200, seed))
            });
            adders.into_iter().for_each(|adder| adder.join().unwrap());
            let stats = batcher.close().stats;
            assert_eq!(stats.processed + stats.failed + stats.panicked, 800, "{stats:?}");
            let mut ended = std::mem::take(&mut *ends.0.lock().unwrap());
            ended.sort_unstable();
            assert_eq!(ended, (0..800).collect::<Vec<_>>());
        }
    });
}

#[test]
fn abort_in_the_middle_gives_each_item_back_that_was_not_processed() {
    within_a_minute(|| {
        for completion in 0..15 {
            let ends = Ends::default();
            let handler = {
                let ends = ends.clone();
                move |batch: &mut Batch<u32>| ends.note(batch.iter().copied())
            };
            let builder = Batcher::builder().max_items(3).max_age(Duration::ZERO);
            let batcher = Arc::new(builder.build_concurrent(2, handler).unwrap());
            let adder = thread::spawn({
                let (batcher, ends) = (Arc::clone(&batcher), ends.clone());
                move || {
                    let refused = (0..500).filter_map(|n| batcher.add(n).err());
                    ends.note(refused.map(|refused| refused.value).collect::<Vec<_>>());
                }
            });
            (0..completion).for_each(|_| thread::yield_now());
            ends.note(batcher.abort().unprocessed);
            adder.join().unwrap();
            let mut ended = std::mem::take(&mut *ends.0.lock().unwrap());
            ended.sort_unstable();
            assert_eq!(ended, (0..500).collect::<Vec<_>>());
        }
    });
}

#[test]
fn adders_get_on_beside_a_thread_that_polls_the_stats() {
    within_a_minute(|| {
        let batcher = Arc::new(
            Batcher::builder().max_items(100).build(|_: &mut Batch<u32>| Ok::<(), Infallible>(())).unwrap(),
        );
        let stop = Arc::new(AtomicBool::new(false));
        let poller = thread::spawn({
            let (batcher, stop) = (Arc::clone(&batcher), Arc::clone(&stop));
            move || {
                while !stop.load(SeqCst) {
                    let stats = batcher.stats();
                    assert_eq!(stats.added, stats.waiting + stats.processing + stats.processed);
                }
            }
        });
        let adders: Vec<_> = (0..2)
            .map(|_| {
                let batcher = Arc::clone(&batcher);
                thread::spawn(move || (0..50_000).for_each(|item| batcher.add(item).unwrap()))
            })
            .collect();
        adders.into_iter().for_each(|thread| thread.join().unwrap());
        stop.store(true, SeqCst);
        poller.join().unwrap();
        assert_eq!(batcher.close().stats.processed, 100_000);
    });
}

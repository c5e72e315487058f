//! Adding when the handler falls behind: waiting, giving up, being refused.

use super::*;

#[test]
fn add_waits_when_the_handler_falls_behind_and_goes_on_when_it_catches_up() {
    within_a_minute(|| {
        let (batcher, gate, inside) = gated(2);
        batcher.add(0).unwrap();
        inside.wait();
        (1..=2).for_each(|n| batcher.add(n).unwrap());
        let refused = batcher.try_add(3).unwrap_err();
        assert_eq!((refused.value, refused.error), (3, TryError::WouldBlock));
        let adder = thread::spawn({
            let batcher = Arc::clone(&batcher);
            move || batcher.add(3)
        });
        until_figure(&batcher, "adding", 1);
        gate.count_down();
        adder.join().unwrap().unwrap();
        assert_eq!(batcher.close().stats.processed, 4);
    });
}

#[test]
fn add_that_gives_up_gets_its_item_back() {
    within_a_minute(|| {
        let (batcher, gate, inside) = gated(1);
        let stop = CancelToken::new();
        batcher.add(0).unwrap();
        inside.wait();
        batcher.add(1).unwrap();
        let refused = batcher.add_until(2, Duration::ZERO).unwrap_err();
        assert_eq!((refused.value, refused.error), (2, WaitError::TimedOut));
        let adder = thread::spawn({
            let (batcher, stop) = (Arc::clone(&batcher), stop.clone());
            move || batcher.add_until(3, &stop).unwrap_err()
        });
        until_figure(&batcher, "adding", 1);
        stop.cancel();
        let refused = adder.join().unwrap();
        assert_eq!((refused.value, refused.error), (3, WaitError::Cancelled));
        assert_eq!(figure(&batcher, "adding"), Some(0));
        gate.count_down();
        assert_eq!(batcher.close().stats.added, 2);
    });
}

#[test]
fn cancelled_token_adds_nothing_although_there_is_room() {
    let (handler, _told) = telling();
    let batcher = ageless().build(handler).unwrap();
    let stop = CancelToken::new();
    stop.cancel();
    assert_eq!(batcher.add_until(1, &stop).unwrap_err().value, 1);
    assert_eq!(batcher.submit_until(2, (&stop, HOUR)).unwrap_err().error, WaitError::Cancelled);
    assert_eq!(batcher.flush_until(&stop), Err(WaitError::Cancelled));
    assert_eq!(batcher.stats().added, 0);
}

#[test]
fn closing_refuses_callers_that_wait_for_room() {
    within_a_minute(|| {
        let (batcher, gate, inside) = gated(1);
        batcher.add(0).unwrap();
        inside.wait();
        batcher.add(1).unwrap();
        let adders = [2, 3].map(|n| {
            let batcher = Arc::clone(&batcher);
            thread::spawn(move || batcher.add(n).unwrap_err())
        });
        until_figure(&batcher, "adding", 2);
        let closer = thread::spawn({
            let batcher = Arc::clone(&batcher);
            move || batcher.close()
        });
        let mut back: Vec<u32> = Vec::new();
        for adder in adders {
            let refused = adder.join().unwrap();
            assert_eq!(refused.error, WaitError::Closed);
            back.push(refused.value);
        }
        assert_eq!(back, [2, 3]);
        gate.count_down();
        assert_eq!(closer.join().unwrap().stats.processed, 2);
    });
}

#[test]
fn a_thousand_waiting_adders_all_get_in() {
    within_a_minute(|| {
        let (handler, told) = telling();
        let batcher = Arc::new(ageless().max_items(3).backlog(1).build(handler).unwrap());
        let adders: Vec<_> = (0..8)
            .map(|adder| {
                let batcher = Arc::clone(&batcher);
                thread::spawn(move || (0..125).for_each(|n| batcher.add(adder * 125 + n).unwrap()))
            })
            .collect();
        adders.into_iter().for_each(|adder| adder.join().unwrap());
        assert!(batcher.close().is_clean());
        let items: Vec<u32> = told.try_iter().flat_map(|batch| batch.items).collect();
        assert_eq!(items.len(), 1_000);
        assert_eq!(items.into_iter().collect::<HashSet<_>>().len(), 1_000);
    });
}

#[test]
fn backlog_bounds_batches_that_are_full_by_weight_too() {
    within_a_minute(|| {
        let (gate, inside) = (Arc::new(Latch::new(1)), Arc::new(Latch::new(1)));
        let handler = {
            let (gate, inside) = (Arc::clone(&gate), Arc::clone(&inside));
            move |batch: &mut Batch<u32>| {
                if batch[0] == 10 {
                    inside.count_down();
                    gate.wait();
                }
            }
        };
        let builder = ageless().max_weight(10).weigh(|n: &u32| *n as usize).backlog(1);
        let batcher = builder.build(handler).unwrap();
        batcher.add(10).unwrap();
        inside.wait();
        batcher.add(6).unwrap();
        // It does not fit beside the 6, and a second batch may not wait; what fits is taken.
        assert_eq!(batcher.try_add(5).unwrap_err().error, TryError::WouldBlock);
        batcher.add(3).unwrap();
        gate.count_down();
        assert_eq!(batcher.close().stats.processed, 3);
    });
}

#[test]
fn heavy_item_gets_in_while_light_ones_come_without_end() {
    within_a_minute(|| {
        let batcher =
            Batcher::builder().max_items(64).max_weight(8).backlog(1).weigh(|weight: &usize| *weight);
        let batcher = Arc::new(batcher.build(|_: &mut Batch<usize>| Ok::<(), Infallible>(())).unwrap());
        let stop = Arc::new(AtomicBool::new(false));
        let light: Vec<_> = (0..3)
            .map(|_| {
                let (batcher, stop) = (Arc::clone(&batcher), Arc::clone(&stop));
                thread::spawn(move || {
                    while !stop.load(SeqCst) {
                        batcher.add(1).unwrap();
                    }
                })
            })
            .collect();
        for _ in 0..100 {
            batcher.add(8).unwrap();
        }
        stop.store(true, SeqCst);
        light.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(batcher.close().is_clean());
    });
}

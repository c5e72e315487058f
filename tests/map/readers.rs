//! Readers that come without a lock, after many reads in a row: what they keep out, and what they let in.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::thread;

use crate::common::within_a_minute;
use selvedge::ShardedMap;

/// A value whose halves are written one after the other.
type Halves = [u64; 32];

/// One shard, which has been read so often that readers do without its lock.
fn read_often<V: Clone>(value: V) -> Arc<ShardedMap<u8, V>> {
    let map = ShardedMap::with_shards(1);
    map.insert(1, value);
    (0..1_000).for_each(|_| assert!(map.contains_key(&1)));
    Arc::new(map)
}

fn is_whole(halves: &Halves) -> bool {
    halves.iter().all(|half| *half == halves[0])
}

#[test]
fn closure_that_reads_for_long_keeps_a_writer_out() {
    within_a_minute(|| {
        let map = read_often(1);
        let (comes, has_written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let writer = thread::spawn({
            let (map, comes, has_written) = (Arc::clone(&map), Arc::clone(&comes), Arc::clone(&has_written));
            move || {
                while !comes.load(SeqCst) {
                    thread::yield_now();
                }
                assert_eq!(map.insert(1, 2), Some(1));
                has_written.store(true, SeqCst);
            }
        });
        map.with(&1, |value| {
            comes.store(true, SeqCst);
            for _ in 0..10_000 {
                thread::yield_now();
                assert!(!has_written.load(SeqCst));
                assert_eq!(*value, 1);
            }
        });
        // Woken out of its sleep.
        writer.join().unwrap();
        assert_eq!(map.get(&1), Some(2));
    });
}

#[test]
fn panic_in_a_closure_that_reads_lets_writers_in() {
    within_a_minute(|| {
        let map = read_often(1);
        let panics = || map.with(&1, |_| resume_unwind(Box::new("on purpose")));
        assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
        let other = thread::spawn({
            let map = Arc::clone(&map);
            move || map.insert(1, 2)
        });
        assert_eq!(other.join().unwrap(), Some(1));
        assert_eq!(map.get(&1), Some(2));
    });
}

#[test]
fn closure_that_reads_one_map_may_read_and_write_another() {
    within_a_minute(|| {
        let (outer, inner) = (read_often(1), read_often(10));
        let sum = outer.with(&1, |here| {
            let there = inner.get(&1).unwrap();
            // Of two reads, only the outer one has the thread's slot.
            assert_eq!(inner.insert(1, 20), Some(there));
            here + inner.get(&1).unwrap()
        });
        assert_eq!(sum, Some(21));
        let other = thread::spawn(move || (outer.insert(1, 2), inner.insert(1, 30)));
        assert_eq!(other.join().unwrap(), (Some(1), Some(20)));
    });
}

#[test]
fn re_entrant_write_from_a_read_without_a_lock_is_refused() {
    within_a_minute(|| {
        let map = read_often(1);
        let re_enters = || map.with(&1, |_| map.insert(1, 2));
        assert!(catch_unwind(AssertUnwindSafe(re_enters)).is_err());
        assert_eq!(map.insert(1, 3), Some(1));
    });
}

/// More threads than have slots, and writers in between: no reader sees half a write, and a value never goes
/// back.
#[test]
fn readers_among_writers_never_see_half_a_write() {
    fn check(readers: usize, reads: usize, writes: u64) {
        let map = read_often([0; 32]);
        let (left, start) = (AtomicUsize::new(readers), Barrier::new(readers + 1));
        thread::scope(|s| {
            for _ in 0..readers {
                s.spawn(|| {
                    start.wait();
                    let mut last = 0;
                    for _ in 0..reads {
                        let seen = map.with(&1, |halves: &Halves| {
                            assert!(is_whole(halves), "{halves:?}");
                            halves[0]
                        });
                        assert!(seen >= Some(last), "{seen:?} after {last}");
                        last = seen.unwrap();
                    }
                    left.fetch_sub(1, SeqCst);
                });
            }
            start.wait();
            let mut written = 0;
            while left.load(SeqCst) != 0 && written < writes {
                map.update(&1, |halves| halves.iter_mut().for_each(|half| *half += 1));
                written += 1;
                // So that readers come in a row, and do without the lock again.
                (0..100).for_each(|_| assert!(map.contains_key(&1)));
            }
            assert!(written > 0);
        });
        assert!(map.with(&1, is_whole).unwrap());
    }
    within_a_minute(|| {
        check(2, 100_000, u64::MAX);
        check(200, 300, 1_000);
    });
}

#[test]
fn thread_that_reads_while_it_exits_sees_the_value_and_keeps_no_writer_out() {
    /// Reads as the thread's other thread-locals are destroyed.
    struct Reads(Arc<ShardedMap<u8, u32>>, Arc<AtomicUsize>);

    impl Drop for Reads {
        fn drop(&mut self) {
            let sum: u32 = (0..200).filter_map(|_| self.0.get(&1)).sum();
            self.1.fetch_add(sum as usize, SeqCst);
        }
    }

    thread_local! {
        static READS: std::cell::RefCell<Option<Reads>> = const { std::cell::RefCell::new(None) };
    }

    within_a_minute(|| {
        let (map, sum) = (read_often(1), Arc::new(AtomicUsize::new(0)));
        let reader = thread::spawn({
            let reads = Reads(Arc::clone(&map), Arc::clone(&sum));
            move || {
                // Before the first read of the map, so destroyed after what the map has on this thread.
                READS.with(|kept| *kept.borrow_mut() = Some(reads));
                READS.with(|kept| kept.borrow().as_ref().unwrap().0.get(&1))
            }
        });
        assert_eq!(reader.join().unwrap(), Some(1));
        assert_eq!(sum.load(SeqCst), 200);
        assert_eq!(map.insert(1, 2), Some(1));
    });
}

//! Atomics: what each ordering lets two threads see.

use crate::facade::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use crate::facade::atomic::{
    AtomicBool, AtomicI64, AtomicIsize, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};
use crate::facade::cell::UnsafeCell;
use crate::facade::{Arc, thread};
use crate::threads::race;
use crate::{Outcome, Start};

type Pair = Arc<(AtomicU32, AtomicU32)>;

fn pair() -> Pair {
    Arc::new((AtomicU32::new(0), AtomicU32::new(0)))
}

/// Store buffering: each thread stores one atomic and loads the other.
fn store_buffering(store: Ordering, load: Ordering, between: fn()) -> Outcome {
    let mine = pair();
    let other = Arc::clone(&mine);
    let (a, b) = race(
        move || {
            other.0.store(1, store);
            between();
            other.1.load(load)
        },
        move || {
            mine.1.store(1, store);
            between();
            mine.0.load(load)
        },
    );
    vec![a, b]
}

/// Message passing: one thread stores a value and then a flag; the other loads the flag and then the value.
fn message_passing(store: Ordering, load: Ordering, fences: Option<(Ordering, Ordering)>) -> Outcome {
    let cells = pair();
    let other = Arc::clone(&cells);
    let (_, seen) = race(
        move || {
            other.0.store(1, Relaxed);
            if let Some((before, _)) = fences {
                fence(before);
            }
            other.1.store(1, store);
        },
        move || {
            let flag = cells.1.load(load);
            if let Some((_, after)) = fences {
                fence(after);
            }
            vec![flag, cells.0.load(Relaxed)]
        },
    );
    seen
}

/// Load buffering: each thread loads one atomic and then stores the other.
fn load_buffering(load: Ordering, store: Ordering) -> Outcome {
    let cells = pair();
    let other = Arc::clone(&cells);
    let (a, b) = race(
        move || {
            let seen = other.0.load(load);
            other.1.store(1, store);
            seen
        },
        move || {
            let seen = cells.1.load(load);
            cells.0.store(1, store);
            seen
        },
    );
    vec![a, b]
}

/// Two threads each do one operation on one atomic. The outcome: both results, and the final value.
fn both(start: u32, first: fn(&AtomicU32) -> u32, second: fn(&AtomicU32) -> u32) -> Outcome {
    let cell = Arc::new(AtomicU32::new(start));
    let (mine, other) = (Arc::clone(&cell), Arc::clone(&cell));
    let (a, b) = race(move || first(&other), move || second(&mine));
    vec![a, b, cell.load(Relaxed)]
}

/// Two threads do the same operation on one atomic.
fn one_swap<T: Send + Sync + 'static>(cell: T, swap: fn(&T) -> u32) -> Outcome {
    let cell = Arc::new(cell);
    let other = Arc::clone(&cell);
    let (a, b) = race(move || swap(&other), move || swap(&cell));
    vec![a, b]
}

/// The result of an exchange as a number: the value that it found, plus 10 if it failed.
fn told(result: Result<u32, u32>) -> u32 {
    result.unwrap_or_else(|seen| seen + 10)
}

litmus! {
    store_buffering_relaxed allowed [&[0, 0], &[0, 1], &[1, 0], &[1, 1]],
        => || store_buffering(Relaxed, Relaxed, || {});
    store_buffering_acquire_release allowed [&[0, 0], &[0, 1], &[1, 0], &[1, 1]],
        => || store_buffering(Release, Acquire, || {});
    /// loom's accesses are at most acquire and release.
    store_buffering_sequentially_consistent allowed [&[0, 1], &[1, 0], &[1, 1]], extra [&[0, 0]],
        => || store_buffering(SeqCst, SeqCst, || {});
    store_buffering_between_fences allowed [&[0, 1], &[1, 0], &[1, 1]],
        => || store_buffering(Relaxed, Relaxed, || fence(SeqCst));
    store_buffering_between_weak_fences allowed [&[0, 0], &[0, 1], &[1, 0], &[1, 1]],
        => || store_buffering(Relaxed, Relaxed, || fence(AcqRel));

    message_passing_relaxed allowed [&[0, 0], &[0, 1], &[1, 0], &[1, 1]],
        => || message_passing(Relaxed, Relaxed, None);
    message_passing_released_only allowed [&[0, 0], &[0, 1], &[1, 0], &[1, 1]],
        => || message_passing(Release, Relaxed, None);
    message_passing_acquired_only allowed [&[0, 0], &[0, 1], &[1, 0], &[1, 1]],
        => || message_passing(Relaxed, Acquire, None);
    message_passing_release_acquire allowed [&[0, 0], &[0, 1], &[1, 1]],
        => || message_passing(Release, Acquire, None);
    message_passing_sequentially_consistent allowed [&[0, 0], &[0, 1], &[1, 1]],
        => || message_passing(SeqCst, SeqCst, None);
    message_passing_over_fences allowed [&[0, 0], &[0, 1], &[1, 1]],
        => || message_passing(Relaxed, Relaxed, Some((Release, Acquire)));
    message_passing_over_a_store_fence_only allowed [&[0, 0], &[0, 1], &[1, 0], &[1, 1]],
        => || message_passing(Relaxed, Relaxed, Some((Release, Release)));

    /// A relaxed addition in between continues the release sequence of the store; alone it publishes nothing.
    message_passing_through_an_addition allowed [&[0, 0], &[0, 1], &[1, 0], &[1, 1], &[2, 1]], => || {
        let cells = pair();
        let start = Start::of(3);
        let writer = thread::spawn({
            let (cells, start) = (Arc::clone(&cells), start.clone());
            move || {
                start.wait();
                cells.0.store(1, Relaxed);
                cells.1.store(1, Release);
            }
        });
        let adder = thread::spawn({
            let (cells, start) = (Arc::clone(&cells), start.clone());
            move || {
                start.wait();
                cells.1.fetch_add(1, Relaxed);
            }
        });
        start.wait();
        let flag = cells.1.load(Acquire);
        let seen = vec![flag, cells.0.load(Relaxed)];
        writer.join().unwrap();
        adder.join().unwrap();
        seen
    };

    /// Each load would have to see a store that comes after it.
    load_buffering_relaxed allowed [&[0, 0], &[0, 1], &[1, 0], &[1, 1]], unseen [&[1, 1]],
        => || load_buffering(Relaxed, Relaxed);
    load_buffering_acquire_release allowed [&[0, 0], &[0, 1], &[1, 0]],
        => || load_buffering(Acquire, Release);

    /// Loads of one atomic go forward, never back.
    two_loads_of_one_atomic_are_coherent
        allowed [&[0, 0], &[0, 1], &[0, 2], &[1, 1], &[1, 2], &[2, 2]], => || {
        let cell = Arc::new(AtomicU32::new(0));
        let other = Arc::clone(&cell);
        let (_, seen) = race(
            move || {
                other.store(1, Relaxed);
                other.store(2, Relaxed);
            },
            move || vec![cell.load(Relaxed), cell.load(Relaxed)],
        );
        seen
    };
    /// The stores to two atomics may have different modification orders.
    crossed_stores_come_to_rest_in_any_order allowed [&[1, 1], &[1, 2], &[2, 1], &[2, 2]], => || {
        let cells = pair();
        let (mine, other) = (Arc::clone(&cells), Arc::clone(&cells));
        race(
            move || {
                other.0.store(1, Relaxed);
                other.1.store(2, Relaxed);
            },
            move || {
                mine.1.store(1, Relaxed);
                mine.0.store(2, Relaxed);
            },
        );
        vec![cells.0.load(Relaxed), cells.1.load(Relaxed)]
    };
    load_and_store_lose_an_update allowed [&[0, 0, 1], &[0, 1, 2], &[1, 0, 2]],
        => || {
            let add = |cell: &AtomicU32| {
                let seen = cell.load(Relaxed);
                cell.store(seen + 1, Relaxed);
                seen
            };
            both(0, add, add)
        };

    swap_loses_no_value allowed [&[0, 1, 2], &[2, 0, 1]],
        => || both(0, |cell| cell.swap(1, Relaxed), |cell| cell.swap(2, Relaxed));
    fetch_add_loses_no_update allowed [&[0, 1, 3], &[2, 0, 3]],
        => || both(0, |cell| cell.fetch_add(1, Relaxed), |cell| cell.fetch_add(2, Relaxed));
    fetch_sub_loses_no_update allowed [&[3, 2, 0], &[1, 3, 0]],
        => || both(3, |cell| cell.fetch_sub(1, Relaxed), |cell| cell.fetch_sub(2, Relaxed));
    fetch_and_loses_no_update allowed [&[7, 6, 4], &[5, 7, 4]],
        => || both(7, |cell| cell.fetch_and(6, Relaxed), |cell| cell.fetch_and(5, Relaxed));
    fetch_or_loses_no_update allowed [&[0, 1, 3], &[2, 0, 3]],
        => || both(0, |cell| cell.fetch_or(1, Relaxed), |cell| cell.fetch_or(2, Relaxed));
    fetch_xor_loses_no_update allowed [&[1, 0, 2], &[3, 1, 2]],
        => || both(1, |cell| cell.fetch_xor(1, Relaxed), |cell| cell.fetch_xor(2, Relaxed));
    fetch_nand_loses_no_update allowed [&[0, u32::MAX, !1], &[u32::MAX, 0, !1]],
        => || both(0, |cell| cell.fetch_nand(1, Relaxed), |cell| cell.fetch_nand(1, Relaxed));
    fetch_max_loses_no_update allowed [&[0, 1, 2], &[2, 0, 2]],
        => || both(0, |cell| cell.fetch_max(1, Relaxed), |cell| cell.fetch_max(2, Relaxed));
    fetch_min_loses_no_update allowed [&[3, 2, 1], &[1, 3, 1]],
        => || both(3, |cell| cell.fetch_min(2, Relaxed), |cell| cell.fetch_min(1, Relaxed));

    one_of_two_exchanges_succeeds allowed [&[0, 11, 1], &[12, 0, 2]],
        => || both(
            0,
            |cell| told(cell.compare_exchange(0, 1, AcqRel, Acquire)),
            |cell| told(cell.compare_exchange(0, 2, AcqRel, Acquire)),
        );
    /// A weak exchange may fail on the value that it expects.
    a_weak_exchange_may_fail_without_cause allowed [&[0, 11, 1], &[12, 0, 2], &[10, 0, 2], &[0, 10, 1]],
        => || both(
            0,
            |cell| told(cell.compare_exchange_weak(0, 1, AcqRel, Acquire)),
            |cell| told(cell.compare_exchange_weak(0, 2, AcqRel, Acquire)),
        );
    fetch_update_loses_no_update allowed [&[0, 1, 3], &[2, 0, 3]],
        => || both(
            0,
            |cell| told(cell.fetch_update(AcqRel, Acquire, |value| Some(value + 1))),
            |cell| told(cell.fetch_update(AcqRel, Acquire, |value| Some(value + 2))),
        );

    /// A failing exchange is a load, which may see an overwritten value although the flag says otherwise.
    a_failed_exchange_may_see_an_old_value allowed [&[0, 0], &[0, 1], &[1, 0], &[1, 1]], => || {
        let cells = pair();
        let other = Arc::clone(&cells);
        let (_, seen) = race(
            move || {
                other.0.store(1, Relaxed);
                other.1.store(1, Relaxed);
            },
            move || {
                let flag = cells.1.load(Relaxed);
                vec![flag, cells.0.compare_exchange(7, 8, Relaxed, Relaxed).unwrap_err()]
            },
        );
        seen
    };
    /// A failing exchange acquires with its second ordering.
    a_failed_exchange_acquires allowed [&[0, 0], &[0, 1], &[1, 1]], => || {
        let cells = pair();
        let other = Arc::clone(&cells);
        let (_, seen) = race(
            move || {
                other.0.store(1, Relaxed);
                other.1.store(1, Release);
            },
            move || {
                let flag = cells.1.compare_exchange(7, 8, Relaxed, Acquire).unwrap_err();
                vec![flag, cells.0.load(Relaxed)]
            },
        );
        seen
    };

    a_boolean_is_swapped_by_one allowed [&[0, 1], &[1, 0]],
        => || one_swap(AtomicBool::new(false), |cell| u32::from(cell.swap(true, AcqRel)));
    a_signed_number_is_swapped_by_one allowed [&[0, 1], &[1, 0]],
        => || one_swap(AtomicI64::new(-1), |cell| u32::from(cell.swap(1, AcqRel) == 1));
    a_signed_word_is_swapped_by_one allowed [&[0, 1], &[1, 0]],
        => || one_swap(AtomicIsize::new(-1), |cell| u32::from(cell.swap(1, AcqRel) == 1));
    a_long_number_is_swapped_by_one allowed [&[0, 1], &[1, 0]],
        => || one_swap(AtomicU64::new(0), |cell| u32::from(cell.swap(1, AcqRel) == 1));
    a_word_is_swapped_by_one allowed [&[0, 1], &[1, 0]],
        => || one_swap(AtomicUsize::new(0), |cell| u32::from(cell.swap(1, AcqRel) == 1));
    /// The owner of an atomic takes the value of the last store.
    an_owned_atomic_is_taken_apart allowed [&[0, 1], &[1, 1]], => || {
        let cell = Arc::new(AtomicU32::new(0));
        let other = Arc::clone(&cell);
        let (_, seen) = race(move || other.store(1, Relaxed), || cell.load(Relaxed));
        vec![seen, Arc::try_unwrap(cell).map_or(9, AtomicU32::into_inner)]
    };

    /// The contents of a cell are published like other data; without the flag they are not read.
    a_cell_is_published_by_a_flag allowed [&[0], &[7]], => || {
        struct Shared(UnsafeCell<u32>, AtomicBool);
        // SAFETY: the cell is written before the flag is stored and read after it was seen.
        unsafe impl Sync for Shared {}
        let shared = Arc::new(Shared(UnsafeCell::new(0), AtomicBool::new(false)));
        let other = Arc::clone(&shared);
        let (_, seen) = race(
            move || {
                other.0.with_mut(|cell| {
                    // SAFETY: the other thread does not read before the flag is stored.
                    unsafe { *cell = 7 }
                });
                other.1.store(true, Release);
            },
            move || {
                if !shared.1.load(Acquire) {
                    return 0;
                }
                shared.0.with(|cell| {
                    // SAFETY: the flag was stored after the write.
                    unsafe { *cell }
                })
            },
        );
        vec![seen]
    };
}

//! Models of the counters, with the edit that breaks each.

use selvedge_loom as selvedge;

use selvedge::sync::{Arc, model, thread};
use selvedge::{Counter, StripedCounter};

/// Takes race additions: each addition is in exactly one take.
///
/// Fails if a take resets the cells instead of remembering its total (edit `counter-take-resets-the-cells`),
/// or if two takes may read at the same time (edit `counter-takes-read-together`).
#[test]
fn each_addition_is_in_exactly_one_take() {
    model::check(|| {
        let counter = Arc::new(StripedCounter::new());
        let adder = thread::spawn({
            let counter = Arc::clone(&counter);
            move || {
                counter.add(1);
                counter.add(10);
            }
        });
        let taker = thread::spawn({
            let counter = Arc::clone(&counter);
            move || counter.take()
        });
        counter.add(100);
        let mine = counter.take();
        let others = taker.join().unwrap();
        adder.join().unwrap();
        for taken in [mine, others] {
            assert!([0, 1, 10, 11].contains(&(taken % 100)), "took {taken}");
        }
        assert_eq!(mine + others + counter.take(), 111);
    });
}

/// A thread that exits and one that starts use the same cell one after the other, and no addition is lost.
///
/// Fails if two threads have the same index at the same time (edit `counter-two-threads-share-an-index`).
#[test]
fn threads_that_reuse_an_index_lose_no_addition() {
    model::check(|| {
        let counter = Arc::new(StripedCounter::new());
        let adders = [(); 2].map(|()| {
            let counter = Arc::clone(&counter);
            thread::spawn(move || counter.increment())
        });
        counter.increment();
        for adder in adders {
            adder.join().unwrap();
        }
        assert_eq!(counter.sum(), 3);
    });
}

/// The sum never decreases while threads only add, and it includes the additions of the thread that reads it.
///
/// Fails if two threads write the same cell (edit `counter-two-threads-share-an-index`).
#[test]
fn sums_do_not_go_back() {
    model::check(|| {
        let counter = Arc::new(StripedCounter::new());
        let adders = [(); 2].map(|()| {
            let counter = Arc::clone(&counter);
            thread::spawn(move || {
                counter.increment();
                assert!(counter.sum() >= 1);
            })
        });
        let first = counter.sum();
        let second = counter.sum();
        assert!((0..=2).contains(&first) && first <= second, "{first}, then {second}");
        for adder in adders {
            adder.join().unwrap();
        }
        assert_eq!(counter.sum(), 2);
    });
}

/// Takes of a `Counter` race additions.
///
/// Fails if a take is a load and a store (edit `counter-looks-and-empties`).
#[test]
fn a_take_of_one_cell_is_atomic() {
    model::check(|| {
        let counter = Arc::new(Counter::new());
        let adder = thread::spawn({
            let counter = Arc::clone(&counter);
            move || counter.increment() + counter.increment()
        });
        let taken = counter.take();
        adder.join().unwrap();
        assert_eq!(taken + counter.get(), 2);
    });
}

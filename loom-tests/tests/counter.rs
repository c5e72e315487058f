//! Models of the counters: every schedule of a few threads, with the edit that breaks each.

use selvedge_loom as selvedge;

use selvedge::sync::{Arc, model, thread};
use selvedge::{Counter, StripedCounter};

/// Takes meet additions: each addition is in exactly one take.
///
/// Fails if a take empties the places instead of remembering how far it counted (edit
/// `counter-take-empties-the-places`), or if two takes may read at the same time (edit
/// `counter-takes-read-together`).
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

/// A thread that ends and one that begins use the same place one after the other, and lose nothing.
///
/// Fails if a number is given to two threads at once (edit `counter-two-have-one-place`).
#[test]
fn threads_that_share_a_place_in_turn_lose_nothing() {
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

/// The sum never goes back while threads only add, and counts what the thread itself added.
///
/// Fails if two threads write to one place (edit `counter-two-have-one-place`).
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

/// The counter in one place: takes meet additions.
///
/// Fails if a take is a look and a store (edit `counter-looks-and-empties`).
#[test]
fn a_take_of_one_place_is_one_step() {
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

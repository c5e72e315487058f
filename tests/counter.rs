//! The counters from outside: no addition is lost, and none is taken twice.

mod common;

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

use common::{Dice, within_a_minute};
use selvedge::{Counter, Latch, StripedCounter};

#[test]
fn counter_returns_the_previous_count() {
    let counter = Counter::new();
    assert_eq!((counter.increment(), counter.add(10), counter.sub(4), counter.decrement()), (0, 1, 11, 7));
    assert_eq!((counter.get(), counter.take(), counter.get(), counter.take()), (6, 6, 0, 0));
    counter.decrement();
    assert_eq!(counter.take(), -1);
    assert_eq!(format!("{counter:?}"), "Counter(0)");
}

#[test]
fn counters_wrap_around_at_their_ends() {
    let (counter, striped) = (Counter::default(), StripedCounter::default());
    counter.add(i64::MAX);
    striped.add(i64::MAX);
    counter.increment();
    striped.increment();
    assert_eq!((counter.get(), striped.sum()), (i64::MIN, i64::MIN));
    assert_eq!(striped.take(), i64::MIN);
    counter.sub(i64::MIN);
    striped.sub(i64::MIN);
    assert_eq!((counter.get(), striped.sum()), (0, i64::MIN));
    striped.add(i64::MIN);
    assert_eq!(striped.take(), 0);
}

#[test]
fn own_additions_are_in_the_sum() {
    let counter = StripedCounter::new();
    assert_eq!((counter.sum(), counter.take()), (0, 0));
    counter.add(10);
    counter.sub(3);
    counter.increment();
    counter.decrement();
    assert_eq!((counter.sum(), counter.take(), counter.sum(), counter.take()), (7, 7, 0, 0));
    counter.sub(5);
    assert_eq!((counter.sum(), counter.take()), (-5, -5));
    assert_eq!(format!("{counter:?}"), "StripedCounter { sum: 0, .. }");
}

#[test]
fn counters_do_not_mix() {
    let counters: Vec<_> = (0..10).map(|_| StripedCounter::new()).collect();
    for (number, counter) in counters.iter().enumerate() {
        counter.add(number as i64);
    }
    let sums: Vec<_> = counters.iter().map(StripedCounter::sum).collect();
    assert_eq!(sums, (0..10).collect::<Vec<_>>());
}

#[test]
fn additions_of_joined_threads_are_counted() {
    within_a_minute(|| {
        let (counter, striped) = (Counter::new(), StripedCounter::new());
        // More threads one after another than at a time, so that places are used again.
        for round in 1..=50 {
            thread::scope(|s| {
                for thread in 0..4 {
                    let (counter, striped) = (&counter, &striped);
                    s.spawn(move || {
                        for _ in 0..100 {
                            counter.add(thread);
                            striped.add(thread);
                        }
                    });
                }
            });
            assert_eq!((counter.get(), striped.sum()), (round * 600, round * 600));
        }
    });
}

#[test]
fn every_addition_is_in_exactly_one_take() {
    within_a_minute(|| {
        let (striped, done) = (Arc::new(StripedCounter::new()), Arc::new(AtomicBool::new(false)));
        let takers = [(); 2].map(|()| {
            let (striped, done) = (Arc::clone(&striped), Arc::clone(&done));
            thread::spawn(move || {
                let mut taken = 0_i64;
                while !done.load(SeqCst) {
                    let some = striped.take();
                    assert!(some >= 0, "took {some}");
                    taken += some;
                }
                taken
            })
        });
        let adders = [0, 1, 2].map(|seed| {
            let striped = Arc::clone(&striped);
            thread::spawn(move || {
                let mut dice = Dice::new(seed);
                let mut added = 0;
                for _ in 0..50_000 {
                    let count = dice.roll(10) as i64;
                    striped.add(count);
                    added += count;
                }
                added
            })
        });
        let added: i64 = adders.map(|adder| adder.join().unwrap()).iter().sum();
        done.store(true, SeqCst);
        let taken: i64 = takers.map(|taker| taker.join().unwrap()).iter().sum();
        assert_eq!(taken + striped.take(), added);
    });
}

#[test]
fn many_threads_at_once_have_a_cell_each() {
    within_a_minute(|| {
        const THREADS: usize = 200;
        let (striped, all) = (StripedCounter::new(), Latch::new(THREADS));
        thread::scope(|s| {
            for _ in 0..THREADS {
                s.spawn(|| {
                    striped.increment();
                    all.count_down();
                    all.wait();
                    striped.increment();
                });
            }
        });
        assert_eq!(striped.sum(), 2 * THREADS as i64);
    });
}

/// Adds when its thread ends.
struct Last(Arc<StripedCounter>);

impl Drop for Last {
    fn drop(&mut self) {
        self.0.increment();
    }
}

thread_local! {
    static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
}

#[test]
fn additions_of_an_exiting_thread_are_counted() {
    within_a_minute(|| {
        let striped = Arc::new(StripedCounter::new());
        let adds = |first: bool| {
            let striped = Arc::clone(&striped);
            move || {
                // Destructors run in one order or the other.
                if first {
                    striped.increment();
                }
                LAST.set(Some(Last(Arc::clone(&striped))));
                striped.increment();
            }
        };
        for round in 0..10 {
            thread::spawn(adds(true)).join().unwrap();
            thread::spawn(adds(false)).join().unwrap();
            assert_eq!(striped.sum(), 5 * (round + 1));
        }
    });
}

/// Adds at the end of its thread, after that has given its number back.
struct Lingers {
    striped: Arc<StripedCounter>,
    given_back: Arc<Latch>,
    others_count: Arc<Latch>,
}

/// Enough that two threads which wrote to one place would lose some.
const MANY: i64 = 4_000_000;

impl Drop for Lingers {
    fn drop(&mut self) {
        self.given_back.count_down();
        self.others_count.wait();
        (0..MANY).for_each(|_| self.striped.increment());
    }
}

thread_local! {
    static LINGERS: RefCell<Option<Lingers>> = const { RefCell::new(None) };
}

#[test]
fn exiting_thread_shares_no_cell_with_the_next_owner_of_its_index() {
    within_a_minute(|| {
        let striped = Arc::new(StripedCounter::new());
        let (given_back, others_count) = (Arc::new(Latch::new(1)), Arc::new(Latch::new(2)));
        let ends = thread::spawn({
            let (striped, given_back, others_count) =
                (Arc::clone(&striped), Arc::clone(&given_back), Arc::clone(&others_count));
            move || {
                // Before the number is drawn: what was made last is dropped first.
                LINGERS.set(Some(Lingers { striped: Arc::clone(&striped), given_back, others_count }));
                striped.increment();
            }
        });
        // Two, for another test may get the number instead of one of them.
        let others = [(); 2].map(|()| {
            let (striped, given_back, others_count) =
                (Arc::clone(&striped), Arc::clone(&given_back), Arc::clone(&others_count));
            thread::spawn(move || {
                given_back.wait();
                striped.increment();
                others_count.count_down();
                others_count.wait();
                (0..MANY).for_each(|_| striped.increment());
            })
        });
        ends.join().unwrap();
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(striped.sum(), 3 * (MANY + 1));
    });
}

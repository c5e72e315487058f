//! Monitors, beside a mutex and a condvar by hand.

use std::hint::black_box;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::Cell;
use crate::rivals::turns::{ParkingLot, Selvedge, Std, Turns};
use crate::team;

pub(crate) fn all() -> Vec<Cell> {
    vec![
        Cell::new("monitor, alone", "lock, change, unlock", "change")
            .with("selvedge", changes::<Selvedge>)
            .with("parking_lot", changes::<ParkingLot>)
            .with("std", changes::<Std>),
        Cell::new("monitor, alone", "a wait that need not wait", "wait")
            .with("selvedge", waits::<Selvedge>)
            .with("parking_lot", waits::<ParkingLot>)
            .with("std", waits::<Std>),
        turns(2),
        turns(4),
        turns(8),
        Cell::new("monitor", "a change that none of 8 waiters can use", "change")
            .with("selvedge", |n| useless::<Selvedge>(8, n))
            .with("parking_lot", |n| useless::<ParkingLot>(8, n))
            .with("std", |n| useless::<Std>(8, n)),
    ]
}

fn changes<T: Turns>(total: u64) -> Duration {
    let number = T::new();
    let start = Instant::now();
    for _ in 0..total {
        black_box(&number).add();
    }
    start.elapsed()
}

fn waits<T: Turns>(total: u64) -> Duration {
    let number = T::new();
    let start = Instant::now();
    for _ in 0..total {
        black_box(&number).wait_for(0);
    }
    start.elapsed()
}

pub(crate) fn turns(threads: u64) -> Cell {
    Cell::new("monitor", format!("{threads} threads in turn"), "turn")
        .with("selvedge", move |n| in_turn::<Selvedge>(threads, n))
        .with("parking_lot", move |n| in_turn::<ParkingLot>(threads, n))
        .with("std", move |n| in_turn::<Std>(threads, n))
}

fn in_turn<T: Turns>(threads: u64, total: u64) -> Duration {
    let number = Arc::new(T::new());
    let parts = (0..threads).map(|me| {
        let number = Arc::clone(&number);
        let turns = total.div_ceil(threads);
        Box::new(move || (0..turns).for_each(|_| number.take_turn(me, threads))) as team::Part
    });
    team::time(parts.collect())
}

/// Changes beside sleepers that want something else.
fn useless<T: Turns>(sleepers: usize, total: u64) -> Duration {
    let number = Arc::new(T::new());
    let end = total + sleepers as u64 + 1;
    let threads: Vec<_> = (0..sleepers)
        .map(|_| {
            let number = Arc::clone(&number);
            thread::spawn(move || number.wait_for(end))
        })
        .collect();
    // Until they sleep, as far as anybody can tell from outside.
    thread::sleep(Duration::from_millis(5));
    let start = Instant::now();
    for _ in 0..total {
        number.add();
    }
    let taken = start.elapsed();
    for _ in total..end {
        number.add();
    }
    threads.into_iter().for_each(|thread| thread.join().expect("a sleeper does not panic"));
    taken
}

//! From cancel to running: how long after the call that wakes them the last of the sleepers runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::AcqRel, Ordering::Acquire};
use std::thread;
use std::time::{Duration, Instant};

use crate::Cell;
use crate::rivals::alarms::{Alarm, Crossbeam, ParkingLot, Selvedge, Std};
use crate::team::{self, Part};

/// From a thread's last sign of life until it sleeps for certain. It looks out for 10 to 20 µs before, and
/// as long again for every other thread that shares its processor.
const SETTLE: Duration = Duration::from_micros(300);

pub(crate) fn all() -> Vec<Cell> {
    vec![cell("1 sleeping thread", 1), cell("8 sleeping threads", 8)]
}

pub(crate) fn cell(name: &str, sleepers: usize) -> Cell {
    Cell::new("wakeup", name, "wake-up of all")
        .elements(sleepers as u64)
        .with("selvedge", move |n| wake::<Selvedge>(sleepers, n))
        .with("parking_lot", move |n| wake::<ParkingLot>(sleepers, n))
        .with("std condvar", move |n| wake::<Std>(sleepers, n))
        .with("crossbeam select", move |n| wake::<Crossbeam>(sleepers, n))
}

/// What the sleepers tell: all three only grow.
#[derive(Default)]
struct Signs {
    /// Threads that have gone to sleep, over all rounds.
    going: AtomicU64,
    /// Threads that have woken, over all rounds.
    awake: AtomicU64,
    /// When the last one woke, in nanoseconds from the start.
    woke_at: AtomicU64,
}

fn wake<A: Alarm>(sleepers: usize, rounds: u64) -> Duration {
    let start = Instant::now();
    let signs = Arc::new(Signs::default());
    let alarms: Arc<Vec<A>> = Arc::new((0..rounds).map(|_| A::new()).collect());
    let (report, reports) = std::sync::mpsc::channel();
    let mut parts: Vec<Part> = Vec::new();
    for _ in 0..sleepers {
        let (signs, alarms) = (Arc::clone(&signs), Arc::clone(&alarms));
        parts.push(Box::new(move || {
            for alarm in alarms.iter() {
                signs.going.fetch_add(1, AcqRel);
                alarm.sleep();
                signs.woke_at.fetch_max(start.elapsed().as_nanos() as u64, AcqRel);
                signs.awake.fetch_add(1, AcqRel);
            }
        }));
    }
    parts.push(Box::new(move || {
        let mut taken = Duration::ZERO;
        for (alarm, round) in alarms.iter().zip(1..) {
            wait_for(&signs.going, round * sleepers as u64);
            thread::sleep(SETTLE);
            let rung = start.elapsed();
            alarm.ring();
            wait_for(&signs.awake, round * sleepers as u64);
            taken += Duration::from_nanos(signs.woke_at.load(Acquire)) - rung;
        }
        report.send(taken).expect("the bench waits");
    }));
    team::time(parts);
    reports.recv().expect("the time was sent")
}

/// Sleeps until `count` gets there: a thread that looks all the time would take a processor from those that
/// are to wake.
fn wait_for(count: &AtomicU64, at_least: u64) {
    while count.load(Acquire) < at_least {
        thread::sleep(Duration::from_micros(20));
    }
}

//! Latches and wait groups: a step, a look, a member. Waking is in [`wakeup`](super::wakeup).

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use selvedge::{Latch, WaitGroup};

use crate::{Cell, team};

pub(crate) fn all() -> Vec<Cell> {
    let mut cells: Vec<Cell> = [1, 2].map(steps).into();
    cells.push(open());
    cells.extend([1, 2].map(members));
    cells
}

/// By hand: a count under a mutex, and a condvar.
struct ByHand {
    count: Mutex<u64>,
    is_zero: Condvar,
}

impl ByHand {
    fn new(count: u64) -> Self {
        ByHand { count: Mutex::new(count), is_zero: Condvar::new() }
    }

    fn count_down(&self) {
        let mut count = self.count.lock();
        *count -= 1;
        if *count == 0 {
            self.is_zero.notify_all();
        }
    }

    fn wait(&self) {
        let mut count = self.count.lock();
        self.is_zero.wait_while(&mut count, |count| *count > 0);
    }
}

/// Steps of which none is the last.
fn steps(threads: usize) -> Cell {
    Cell::new("latch", format!("steps, {threads} threads"), "step")
        .with("selvedge", move |n| {
            let latch = Latch::new(n as usize + 1);
            team::split(n, threads, move |count| (0..count).for_each(|_| latch.count_down()))
        })
        .with("Mutex and Condvar by hand", move |n| {
            let latch = ByHand::new(n + 1);
            team::split(n, threads, move |count| (0..count).for_each(|_| latch.count_down()))
        })
}

fn open() -> Cell {
    Cell::new("latch", "waits for one that is open", "wait")
        .with("selvedge", |n| {
            let latch = Latch::new(0);
            repeat(n, || latch.wait())
        })
        .with("Mutex and Condvar by hand", |n| {
            let latch = ByHand::new(0);
            repeat(n, || latch.wait())
        })
}

fn repeat(total: u64, step: impl Fn()) -> Duration {
    let start = Instant::now();
    (0..total).for_each(|_| step());
    start.elapsed()
}

/// Members that come and go.
fn members(threads: usize) -> Cell {
    Cell::new("wait group", format!("members, {threads} threads"), "member")
        .with("selvedge", move |n| {
            let group = WaitGroup::new();
            team::split(n, threads, move |count| (0..count).for_each(|_| drop(group.add())))
        })
        .with("crossbeam", move |n| {
            // Not `Sync`: each thread has a member of its own to clone.
            let group = Arc::new(Mutex::new(crossbeam_utils::sync::WaitGroup::new()));
            team::split(n, threads, move |count| {
                let group = group.lock().clone();
                (0..count).for_each(|_| drop(group.clone()));
            })
        })
}

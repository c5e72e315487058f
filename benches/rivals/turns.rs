//! A number under a lock, and threads that wait until it is as they want it: a monitor, and a mutex and a
//! condvar by hand, which must notify all because the waiters want different things.

use std::sync::{Condvar as StdCondvar, Mutex as StdMutex};

use selvedge::Monitor;

/// A number that threads wait for.
pub(crate) trait Turns: Send + Sync + 'static {
    fn new() -> Self;
    /// Adds one, whoever waits for it.
    fn add(&self);
    /// Waits until the number is at least so large.
    fn wait_for(&self, at_least: u64);
    /// Waits until it is `me`'s turn among `all`, and adds one.
    fn take_turn(&self, me: u64, all: u64);
}

pub(crate) struct Selvedge(Monitor<u64>);

impl Turns for Selvedge {
    fn new() -> Self {
        Selvedge(Monitor::new(0))
    }

    fn add(&self) {
        *self.0.lock() += 1;
    }

    fn wait_for(&self, at_least: u64) {
        self.0.wait(|number| (*number >= at_least).then_some(()));
    }

    fn take_turn(&self, me: u64, all: u64) {
        self.0.wait(|number| (*number % all == me).then(|| *number += 1));
    }
}

pub(crate) struct ParkingLot(parking_lot::Mutex<u64>, parking_lot::Condvar);

impl Turns for ParkingLot {
    fn new() -> Self {
        ParkingLot(parking_lot::Mutex::new(0), parking_lot::Condvar::new())
    }

    fn add(&self) {
        *self.0.lock() += 1;
        self.1.notify_all();
    }

    fn wait_for(&self, at_least: u64) {
        self.1.wait_while(&mut self.0.lock(), |number| *number < at_least);
    }

    fn take_turn(&self, me: u64, all: u64) {
        let mut number = self.0.lock();
        self.1.wait_while(&mut number, |number| *number % all != me);
        *number += 1;
        drop(number);
        self.1.notify_all();
    }
}

pub(crate) struct Std(StdMutex<u64>, StdCondvar);

impl Turns for Std {
    fn new() -> Self {
        Std(StdMutex::new(0), StdCondvar::new())
    }

    fn add(&self) {
        *self.0.lock().expect("nobody panics") += 1;
        self.1.notify_all();
    }

    fn wait_for(&self, at_least: u64) {
        let number = self.0.lock().expect("nobody panics");
        drop(self.1.wait_while(number, |number| *number < at_least).expect("nobody panics"));
    }

    fn take_turn(&self, me: u64, all: u64) {
        let number = self.0.lock().expect("nobody panics");
        let mut number = self.1.wait_while(number, |number| *number % all != me).expect("nobody panics");
        *number += 1;
        drop(number);
        self.1.notify_all();
    }
}

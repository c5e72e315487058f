//! Ways to wake everybody who sleeps.

use std::convert::Infallible;
use std::sync;

use crossbeam_channel::{Receiver, Sender, never, select};
use selvedge::error::WaitError;
use selvedge::{BoundedQueue, CancelToken};

/// Rings once.
pub(crate) trait Alarm: Send + Sync + 'static {
    fn new() -> Self;

    /// Sleeps until it rings.
    fn sleep(&self);

    fn ring(&self);
}

/// A thread that waits for an item is cancelled.
pub(crate) struct Selvedge {
    jobs: BoundedQueue<u64>,
    token: CancelToken,
}

impl Alarm for Selvedge {
    fn new() -> Self {
        Selvedge { jobs: BoundedQueue::new(1), token: CancelToken::new() }
    }

    fn sleep(&self) {
        assert_eq!(self.jobs.pop_until(&self.token), Err(WaitError::Cancelled));
    }

    fn ring(&self) {
        self.token.cancel();
    }
}

/// The least that waking takes: a flag and a condvar.
#[derive(Default)]
pub(crate) struct ParkingLot {
    rung: parking_lot::Mutex<bool>,
    rings: parking_lot::Condvar,
}

impl Alarm for ParkingLot {
    fn new() -> Self {
        ParkingLot::default()
    }

    fn sleep(&self) {
        let mut rung = self.rung.lock();
        self.rings.wait_while(&mut rung, |rung| !*rung);
    }

    fn ring(&self) {
        *self.rung.lock() = true;
        self.rings.notify_all();
    }
}

#[derive(Default)]
pub(crate) struct Std {
    rung: sync::Mutex<bool>,
    rings: sync::Condvar,
}

impl Alarm for Std {
    fn new() -> Self {
        Std::default()
    }

    fn sleep(&self) {
        let rung = self.rung.lock().unwrap();
        drop(self.rings.wait_while(rung, |rung| !*rung).unwrap());
    }

    fn ring(&self) {
        *self.rung.lock().unwrap() = true;
        self.rings.notify_all();
    }
}

/// A `select!` over jobs and a channel that is disconnected by dropping its sender.
pub(crate) struct Crossbeam {
    jobs: Receiver<u64>,
    stop: Receiver<Infallible>,
    stopper: sync::Mutex<Option<Sender<Infallible>>>,
}

impl Alarm for Crossbeam {
    fn new() -> Self {
        let (stopper, stop) = crossbeam_channel::bounded(0);
        Crossbeam { jobs: never(), stop, stopper: sync::Mutex::new(Some(stopper)) }
    }

    fn sleep(&self) {
        select! {
            recv(self.jobs) -> job => unreachable!("nobody sends {job:?}"),
            recv(self.stop) -> stop => assert!(stop.is_err()),
        }
    }

    fn ring(&self) {
        *self.stopper.lock().unwrap() = None;
    }
}

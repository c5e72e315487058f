//! Callbacks at an instant of the system's clock, run by one thread that exists only while some are due.
//!
//! A sleeping thread needs none of this: it sleeps until its own deadline. Alarms are for what must happen
//! although nobody sleeps: the `done()` channel and the callbacks of a token that has a deadline.
//!
//! The system may refuse that thread. The callers cannot do its work, since they do not wait; and there is no error
//! to return from a call that has succeeded otherwise. So the alarm stays set, and the thread is asked for again
//! whenever an alarm is set or taken back, whenever a thread of the program goes to sleep in this crate, and when
//! the system has given the crate another thread: callbacks come late then, but none is lost.

use std::collections::BTreeMap;
use std::mem;
use std::time::Instant;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use parking_lot::{Condvar, Mutex};

type Callback = Box<dyn FnOnce() + Send>;

/// Deadlines are not unique, so a serial number tells them apart and keeps those at one instant in order.
type Key = (Instant, u64);

struct Alarms {
    state: Mutex<State>,
    /// Rung when the first deadline changed. One thread at most waits on it.
    first_changed: Condvar,
    /// The system has refused the thread, and alarms are set. Relaxed: who sees it looks again under the lock, and
    /// one that does not see it yet leaves it to the next.
    refused: AtomicBool,
}

struct State {
    due: BTreeMap<Key, Callback>,
    next_serial: u64,
    /// The thread runs. It clears this in the same critical section in which it found nothing due, so a
    /// caller that adds an alarm either is seen by it or starts another.
    running: bool,
}

static ALARMS: Alarms = Alarms {
    state: Mutex::new(State { due: BTreeMap::new(), next_serial: 0, running: false }),
    first_changed: Condvar::new(),
    refused: AtomicBool::new(false),
};

/// An alarm that was set; dropping it takes it back.
#[derive(Debug)]
pub(crate) struct Alarm(Key);

/// Calls `callback` once, from a thread of the crate's own, at `at` or soon after. It must not panic: the thread
/// rings for everybody. [`Clock`](crate::clock::Clock), the only caller, contains what is the user's.
pub(crate) fn schedule(at: Instant, callback: Callback) -> Alarm {
    let mut state = ALARMS.state.lock();
    let key = (at, state.next_serial);
    state.next_serial += 1;
    let is_first = state.due.first_key_value().is_none_or(|(first, _)| key < *first);
    state.due.insert(key, callback);
    if !mem::replace(&mut state.running, true) {
        drop(state);
        start();
    } else if is_first {
        ALARMS.first_changed.notify_one();
    }
    Alarm(key)
}

/// Starts the thread, which counts as running already.
fn start() {
    let started = std::thread::Builder::new().name("selvedge-alarms".into()).spawn(run);
    if started.is_err() {
        // Under the lock, so that nobody relies on a thread that does not come.
        let mut state = ALARMS.state.lock();
        state.running = false;
        ALARMS.refused.store(true, Relaxed);
    }
}

/// Asks for the thread again, if the system has refused it.
#[inline]
pub(crate) fn retry_refused() {
    if ALARMS.refused.load(Relaxed) {
        retry();
    }
}

#[cold]
fn retry() {
    let mut state = ALARMS.state.lock();
    ALARMS.refused.store(false, Relaxed);
    if !state.due.is_empty() && !mem::replace(&mut state.running, true) {
        drop(state);
        start();
    }
}

fn run() {
    let mut state = ALARMS.state.lock();
    loop {
        let Some((&key, _)) = state.due.first_key_value() else {
            state.running = false;
            return;
        };
        // The wait ends because the deadline came, or because `schedule` or `drop` changed the first one;
        // both do so under the lock that this thread holds until it sleeps, so neither can be missed.
        if Instant::now() < key.0 {
            ALARMS.first_changed.wait_until(&mut state, key.0);
            continue;
        }
        let callback = state.due.remove(&key);
        // The callback leads to code that is not ours: it runs with no lock held.
        parking_lot::MutexGuard::unlocked(&mut state, || {
            if let Some(callback) = callback {
                callback();
            }
        });
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        let mut state = ALARMS.state.lock();
        let removed = state.due.remove(&self.0);
        if removed.is_some() && state.running {
            ALARMS.first_changed.notify_one();
        }
        drop(state);
        drop(removed);
        retry_refused();
    }
}

//! Callbacks at an instant of the system's clock, run by one thread that exists only while some are due.
//!
//! A sleeping thread needs none of this: it sleeps until its own deadline. Alarms are for what must happen
//! although nobody sleeps: the `done()` channel and the callbacks of a token that has a deadline.
//!
//! The system may refuse that thread. The callers cannot do its work, since they do not wait; and there is no
//! error to return from a call that has succeeded otherwise. So the alarm stays set, and the thread is asked
//! for again whenever an alarm is set or taken back, whenever a thread of the program goes to sleep in this
//! crate, and when the system has given the crate another thread: callbacks come late then, but none is lost.

use std::collections::BTreeMap;
use std::fmt;
use std::mem;
use std::time::Instant;

use super::atomic::{AtomicBool, Ordering::Relaxed};
use super::{Arc, Condvar, Mutex, lazy_static, thread, time};

type Callback = Box<dyn FnOnce() + Send>;

/// Deadlines are not unique, so a serial number tells them apart and keeps those at one instant in order.
type Key = (Instant, u64);

struct Alarms {
    state: Mutex<State>,
    /// Rung when the first deadline changed. One thread at most waits on it.
    first_changed: Condvar,
    /// The system has refused the thread, and alarms are set. Relaxed: who sees it looks again under the
    /// lock, and one that does not see it yet leaves it to the next.
    refused: AtomicBool,
}

#[derive(Default)]
struct State {
    due: BTreeMap<Key, Callback>,
    next_serial: u64,
    /// The thread runs. It clears this in the same critical section in which it found nothing due, so a
    /// caller that adds an alarm either is seen by it or starts another.
    running: bool,
}

lazy_static! {
    /// Shared, because in a model statics end with the main thread, which the alarms' may outlive.
    static ref ALARMS: Arc<Alarms> = Arc::new(Alarms {
        state: Mutex::default(),
        first_changed: Condvar::new(),
        refused: AtomicBool::new(false),
    });
}

/// An alarm that was set; dropping it takes it back.
pub(crate) struct Alarm {
    key: Key,
    alarms: Arc<Alarms>,
}

/// Calls `callback` once, from a thread of the crate's own, at `at` or soon after. It must not panic: the
/// thread rings for everybody. [`Clock`](crate::clock::Clock), the only caller, contains what is the user's.
pub(crate) fn schedule(at: Instant, callback: Callback) -> Alarm {
    let alarms = Arc::clone(&ALARMS);
    let mut state = alarms.state.lock();
    let key = (at, state.next_serial);
    state.next_serial += 1;
    let is_first = state.due.first_key_value().is_none_or(|(first, _)| key < *first);
    state.due.insert(key, callback);
    if !mem::replace(&mut state.running, true) {
        drop(state);
        start(&alarms);
    } else {
        if is_first {
            alarms.first_changed.notify_one();
        }
        drop(state);
    }
    Alarm { key, alarms }
}

/// Starts the thread, which counts as running already.
fn start(alarms: &Arc<Alarms>) {
    let builder = thread::Builder::new().name("selvedge-alarms".into());
    let started = builder.spawn({
        let alarms = Arc::clone(alarms);
        move || run(&alarms)
    });
    if started.is_err() {
        // Under the lock, so that nobody relies on a thread that does not come.
        let mut state = alarms.state.lock();
        state.running = false;
        alarms.refused.store(true, Relaxed);
    }
}

/// Asks for the thread again, if the system has refused it.
#[inline]
pub(crate) fn retry_refused() {
    if ALARMS.refused.load(Relaxed) {
        retry(&ALARMS);
    }
}

#[cold]
fn retry(alarms: &Arc<Alarms>) {
    let mut state = alarms.state.lock();
    alarms.refused.store(false, Relaxed);
    if !state.due.is_empty() && !mem::replace(&mut state.running, true) {
        drop(state);
        start(alarms);
    }
}

fn run(alarms: &Alarms) {
    let mut state = alarms.state.lock();
    loop {
        let Some((&key, _)) = state.due.first_key_value() else {
            state.running = false;
            return;
        };
        // The wait ends because the deadline came, or because `schedule` or `drop` changed the first one;
        // both do so under the lock that this thread holds until it sleeps, so neither can be missed.
        if time::now() < key.0 {
            alarms.first_changed.wait_until(&mut state, key.0);
            continue;
        }
        let callback = state.due.remove(&key);
        // The callback leads to code that is not ours: it runs with no lock held.
        drop(state);
        if let Some(callback) = callback {
            callback();
        }
        state = alarms.state.lock();
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        let mut state = self.alarms.state.lock();
        let removed = state.due.remove(&self.key);
        if removed.is_some() && state.running {
            self.alarms.first_changed.notify_one();
        }
        drop(state);
        drop(removed);
        if self.alarms.refused.load(Relaxed) {
            retry(&self.alarms);
        }
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Alarm").field(&self.key).finish()
    }
}

//! Callbacks at an instant of the system's clock, called by one thread that exists only while alarms are set.
//!
//! Sleeping threads do not need it, since each sleeps until its own deadline. Alarms are for what must happen
//! while no thread sleeps: the `done()` channel and the callbacks of a token with a deadline.
//!
//! The system may refuse the thread. The callers cannot do its work, since they do not wait, and a call that
//! has otherwise succeeded has no error to return. So the alarm stays set, and the thread is requested again
//! whenever an alarm is set or removed, a thread sleeps in this crate, or the system has started another
//! thread of the crate. Callbacks are late then, but none is lost.

use std::collections::BTreeMap;
use std::fmt;
use std::mem;
use std::time::Instant;

use super::atomic::{AtomicBool, Ordering::Relaxed};
use super::{Arc, Condvar, Mutex, lazy_static, thread, time};

type Callback = Box<dyn FnOnce() + Send>;

/// Deadlines are not unique, so a serial number distinguishes them and keeps equal ones in order.
type Key = (Instant, u64);

struct Alarms {
    state: Mutex<State>,
    /// Notified when the first deadline changes. At most one thread waits on it.
    first_changed: Condvar,
    /// The system has refused the thread while alarms were set. Relaxed: a thread that sees it looks again
    /// under the lock, and one that does not see it yet leaves the retry to the next.
    refused: AtomicBool,
}

#[derive(Default)]
struct State {
    due: BTreeMap<Key, Callback>,
    next_serial: u64,
    /// The thread is running or starting. It clears this in the critical section in which it found no alarm,
    /// so a caller that sets one either is seen by it or starts another thread.
    running: bool,
}

lazy_static! {
    /// Shared, because in a model statics end with the main thread, and the alarm thread may outlive it.
    static ref ALARMS: Arc<Alarms> = Arc::new(Alarms {
        state: Mutex::default(),
        first_changed: Condvar::new(),
        refused: AtomicBool::new(false),
    });
}

/// An alarm that is set, until this is dropped.
pub(crate) struct Alarm {
    key: Key,
    alarms: Arc<Alarms>,
}

/// Calls `callback` once, from the alarm thread, at `at` or soon after. It must not panic, since the thread
/// serves all alarms; [`Clock`](crate::clock::Clock), the only caller, contains the user's panics.
pub(crate) fn schedule(at: Instant, callback: Callback) -> Alarm {
    let alarms = Arc::clone(&ALARMS);
    let mut state = alarms.state.lock();
    let key = (at, state.next_serial);
    state.next_serial += 1;
    // Decided before the insertion: only a new first deadline concerns the thread's current sleep.
    let is_first = state.due.first_key_value().is_none_or(|(first, _)| key < *first);
    state.due.insert(key, callback);
    // Claimed under the lock, so exactly one caller starts the thread.
    if !mem::replace(&mut state.running, true) {
        drop(state);
        start(&alarms);
    } else {
        if is_first {
            // One: at most one thread waits, the alarm thread.
            alarms.first_changed.notify_one();
        }
        drop(state);
    }
    Alarm { key, alarms }
}

/// Starts the thread; `running` is already set.
fn start(alarms: &Arc<Alarms>) {
    let builder = thread::Builder::new().name("selvedge-alarms".into());
    let started = builder.spawn({
        let alarms = Arc::clone(alarms);
        move || run(&alarms)
    });
    if started.is_err() {
        // Under the lock, so that no caller relies on a thread that will not run.
        let mut state = alarms.state.lock();
        state.running = false;
        // Relaxed: the lock publishes the state; the flag only tells threads without the lock to look.
        alarms.refused.store(true, Relaxed);
    }
}

/// Requests the thread again, if the system has refused it.
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
        // Waits for the deadline, or for `schedule` or `drop` to change the first one. They do so under the
        // lock that this thread holds until it sleeps, so the notification cannot be missed.
        if time::now() < key.0 {
            alarms.first_changed.wait_until(&mut state, key.0);
            continue;
        }
        let callback = state.due.remove(&key);
        // Unlocked, since the callback runs the user's code.
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
        // Without the lock: the callback is the user's, and so is its drop.
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

//! Calls: what a helper runs, from being added to being taken or withdrawn, and how a helper is made to take
//! one.

use std::io;

use super::{CACHE, Queued, State, start};
use crate::sync::Arc;
use crate::wait::Wake;

/// What a helper runs.
pub(crate) enum Call {
    Boxed(Box<dyn FnOnce() + Send>),
    /// Already shared, which saves the box.
    Shared(Arc<dyn Caller>),
}

/// An object that calls helpers to itself.
pub(crate) trait Caller: Send + Sync {
    /// Runs on the helper.
    fn arrive(self: Arc<Self>);
}

impl Call {
    pub(super) fn run(self) {
        match self {
            Call::Boxed(f) => f(),
            Call::Shared(caller) => caller.arrive(),
        }
    }
}

/// A call that was added, and for which no helper was woken or started yet.
#[must_use = "a helper was promised to come"]
pub(crate) struct Called {
    /// Identifies the call to [`withdraw`].
    pub(crate) number: u64,
    /// Helpers that were parked briefly.
    woken: Vec<Wake>,
    need: Need,
}

/// Whether a call can wait until a briefly parked helper wakes by itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// It can: the caller is usually about to do the work itself.
    Deferrable,
    Immediate,
}

/// What must be done, outside all locks, to get a helper.
enum Need {
    Nothing,
    Wake(Wake),
    Start,
}

/// Makes a call at once.
///
/// # Errors
/// If no helper is available, because the operating system refuses another thread.
pub(crate) fn call(call: Call) -> io::Result<()> {
    let called = add(call, Urgency::Immediate);
    let number = called.number;
    called.send().or_else(|error| match withdraw(number) {
        // A helper has become free and taken the call.
        None => Ok(()),
        Some(call) => {
            drop(call);
            Err(error)
        }
    })
}

/// Adds a call. The caller may hold a lock, and [sends](Called::send) for a helper after unlocking.
pub(crate) fn add(call: Call, urgency: Urgency) -> Called {
    let mut state = CACHE.state.lock();
    state.last_call += 1;
    let number = state.last_call;
    state.calls.push_back(Queued { number, call, urgency });
    CACHE.publish_oldest(&state);
    state.called(number, urgency)
}

/// Withdraws a call that no helper has taken.
///
/// The helper that was made to come for it keeps waking, and takes the next call.
pub(crate) fn withdraw(number: u64) -> Option<Call> {
    let mut state = CACHE.state.lock();
    // Searched from the back: the latest calls are usually withdrawn first.
    let at = state.calls.iter().rposition(|call| call.number == number)?;
    let Queued { call, .. } = state.calls.remove(at)?;
    CACHE.publish_oldest(&state);
    Some(call)
}

/// Requests a helper again, for a call whose thread was refused.
///
/// # Errors
/// As [`Called::send`].
#[cold]
pub(crate) fn call_again(number: u64) -> io::Result<()> {
    let called = CACHE.state.lock().called(number, Urgency::Immediate);
    called.send()
}

/// Wakes a briefly parked helper if a deferrable call relies on it: the call can no longer wait.
pub(crate) fn expedite() {
    let woken = CACHE.state.lock().wake_briefly_parked();
    drop(woken);
}

impl Called {
    /// Wakes or starts a helper.
    ///
    /// # Errors
    /// If the operating system refuses a thread and no other helper is waking for the call. The call stays in
    /// the queue, for a helper that becomes free.
    pub(crate) fn send(self) -> io::Result<()> {
        // The caller has unlocked: each woken helper takes the lock first.
        drop(self.woken);
        match self.need {
            Need::Nothing => Ok(()),
            Need::Wake(wake) => {
                drop(wake);
                Ok(())
            }
            Need::Start => start().or_else(|error| match CACHE.state.lock().has_none_for(self.number) {
                true => Err(error),
                false => Ok(()),
            }),
        }
    }
}

impl State {
    /// What is to be done for a call that was added.
    pub(super) fn called(&mut self, number: u64, urgency: Urgency) -> Called {
        let woken = match urgency {
            Urgency::Deferrable => Vec::new(),
            Urgency::Immediate => self.wake_briefly_parked(),
        };
        Called { number, woken, need: self.need() }
    }

    /// Wakes as many briefly parked helpers as there are calls that rely on them. Calls and helpers are not
    /// paired: a helper takes the oldest call.
    fn wake_briefly_parked(&mut self) -> Vec<Wake> {
        // Helpers that are waking but not parked serve the first calls; only what they leave over needs the
        // parked ones.
        let missing = self.calls.len().saturating_sub(self.waking - self.briefly_parked.len());
        let woken = self.briefly_parked.len().saturating_sub(missing)..;
        self.briefly_parked.drain(woken).filter_map(|waiter| waiter.end(Ok(()))).collect()
    }

    /// Establishes the invariant: if there are too few waking helpers, counts another, and returns how to get
    /// it.
    fn need(&mut self) -> Need {
        if self.calls.len() <= self.waking {
            return Need::Nothing;
        }
        self.waking += 1;
        match self.idle.pop() {
            // A helper whose keep-alive expired has ended its wait itself, and comes without being woken.
            Some(waiter) => waiter.end(Ok(())).map_or(Need::Nothing, Need::Wake),
            None => Need::Start,
        }
    }

    /// True if the call is in the queue and there are fewer waking helpers than calls, as after a refused
    /// thread.
    pub(super) fn has_none_for(&self, number: u64) -> bool {
        self.calls.len() > self.waking && self.calls.iter().any(|call| call.number == number)
    }
}

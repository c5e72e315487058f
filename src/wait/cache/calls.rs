//! Calls: what a helper is to do, from being added to being taken or taken back, and what makes a helper come
//! for it.

use std::io;

use super::{CACHE, State, start};
use crate::sync::Arc;
use crate::wait::Wake;

/// What a helper is called for.
pub(crate) enum Call {
    Boxed(Box<dyn FnOnce() + Send>),
    /// What is shared already, which saves the box.
    Shared(Arc<dyn Caller>),
}

/// Something that calls a helper to itself.
pub(crate) trait Caller: Send + Sync {
    /// The helper has come.
    fn arrive(self: Arc<Self>);
}

impl Call {
    pub(super) fn answer(self) {
        match self {
            Call::Boxed(f) => f(),
            Call::Shared(caller) => caller.arrive(),
        }
    }
}

/// A call that was added, for which nobody has been made to come yet.
#[must_use = "a helper was promised to come"]
pub(crate) struct Called {
    /// What [`take_back`] knows the call by.
    pub(crate) number: u64,
    /// Helpers that napped.
    woken: Vec<Wake>,
    need: Need,
}

/// Whether a call can wait for as long as a helper naps.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Yes: the caller is about to do the work itself, more often than not.
    Patient,
    Impatient,
}

/// What must be done outside all locks so that a helper comes.
enum Need {
    Nothing,
    Wake(Wake),
    Start,
}

/// Lets a helper run `f`.
///
/// # Errors
/// If no helper is to be had, because the operating system refuses another thread.
pub(crate) fn call(f: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let called = add(Call::Boxed(Box::new(f)), Patience::Impatient);
    let number = called.number;
    called.send().or_else(|error| match take_back(number) {
        // A helper has become free.
        None => Ok(()),
        Some(call) => {
            drop(call);
            Err(error)
        }
    })
}

/// Adds a call. The caller may hold a lock, and [sends](Called::send) for a helper when it has unlocked.
pub(crate) fn add(call: Call, patience: Patience) -> Called {
    let mut state = CACHE.state.lock();
    state.last_call += 1;
    let number = state.last_call;
    state.calls.push_back((number, call));
    CACHE.show_oldest(&state);
    state.called(number, patience)
}

/// Takes back a call that no helper has taken.
///
/// The helper that was to come for it stays on its way, and takes the next call.
pub(crate) fn take_back(number: u64) -> Option<Call> {
    let mut state = CACHE.state.lock();
    // The latest are taken back first more often than not.
    let at = state.calls.iter().rposition(|(other, _)| *other == number)?;
    let (_, call) = state.calls.remove(at)?;
    CACHE.show_oldest(&state);
    Some(call)
}

/// Asks again for a helper for a call whose thread was refused.
///
/// # Errors
/// As [`Called::send`].
#[cold]
pub(crate) fn call_again(number: u64) -> io::Result<()> {
    let called = CACHE.state.lock().called(number, Patience::Impatient);
    called.send()
}

/// Wakes the helper that naps, if a patient call relies on one: it need not be patient any longer.
pub(crate) fn hurry() {
    let woken = CACHE.state.lock().wake_naps();
    drop(woken);
}

impl Called {
    /// Makes a helper come.
    ///
    /// # Errors
    /// If the operating system refuses a thread and nobody else is coming for the call. It stays in the
    /// queue, for a helper that becomes free.
    pub(crate) fn send(self) -> io::Result<()> {
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
    pub(super) fn called(&mut self, number: u64, patience: Patience) -> Called {
        let woken = match patience {
            Patience::Patient => Vec::new(),
            Patience::Impatient => self.wake_naps(),
        };
        Called { number, woken, need: self.need() }
    }

    /// Wakes as many of those who nap as there are calls that rely on them. Any call may be another's:
    /// whoever comes takes the oldest.
    fn wake_naps(&mut self) -> Vec<Wake> {
        let missing = self.calls.len().saturating_sub(self.waking - self.naps.len());
        let woken = self.naps.len().saturating_sub(missing)..;
        self.naps.drain(woken).filter_map(|waiter| waiter.end(Ok(()))).collect()
    }

    /// Makes the invariant hold: counts another helper as coming if there are too few, and says how it is to
    /// be made to come.
    fn need(&mut self) -> Need {
        if self.calls.len() <= self.waking {
            return Need::Nothing;
        }
        self.waking += 1;
        match self.idle.pop() {
            // One whose time is up has ended its wait itself, and comes without being woken.
            Some(waiter) => waiter.end(Ok(())).map_or(Need::Nothing, Need::Wake),
            None => Need::Start,
        }
    }

    /// Whether a call whose thread the system has refused is in the queue, and not every call there has a
    /// helper coming.
    pub(super) fn has_none_for(&self, number: u64) -> bool {
        self.calls.len() > self.waking && self.calls.iter().any(|(other, _)| *other == number)
    }
}

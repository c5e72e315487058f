//! A value that one thread makes and another waits for.
//!
//! One mutex orders everything here.

use std::mem;

use crate::error::TryError;
use crate::inside::this_thread;
use crate::sync::{Arc, Mutex};
use crate::wait::{Line, Place, Slot};

/// A value that will be there, or never.
pub(crate) struct Promise<V> {
    state: Mutex<State<V>>,
}

struct State<V> {
    stage: Stage<V>,
    /// Who waits for the end.
    joiners: Line,
}

enum Stage<V> {
    /// Nobody has begun.
    Open,
    /// The thread with this key is at it.
    Begun(usize),
    Kept(V),
    /// It was given up, or has been taken.
    Never,
}

impl<V> Promise<V> {
    pub(crate) fn new() -> Self {
        Promise { state: Mutex::new(State { stage: Stage::Open, joiners: Line::new() }) }
    }

    /// This thread begins to make the value; false if another has.
    pub(crate) fn begin(&self) -> bool {
        let mut state = self.state.lock();
        let open = matches!(state.stage, Stage::Open);
        if open {
            state.stage = Stage::Begun(this_thread());
        }
        open
    }

    /// Writes the value, and wakes who waits for it. If nobody ever asks, it is dropped with the last reference.
    pub(crate) fn keep(&self, value: V) {
        let mut state = self.state.lock();
        state.stage = Stage::Kept(value);
        let wakes = state.joiners.take_all();
        drop(state);
        drop(wakes);
    }

    /// Tells who waits that no value will come, unless it has.
    pub(crate) fn give_up(&self) {
        let mut state = self.state.lock();
        if matches!(state.stage, Stage::Kept(_) | Stage::Never) {
            return;
        }
        state.stage = Stage::Never;
        let wakes = state.joiners.take_all();
        drop(state);
        drop(wakes);
    }

    /// The value, or that it never comes.
    ///
    /// # Errors
    /// [`TryError::WouldBlock`] if it is not there yet, [`TryError::Closed`] if it never will be.
    pub(crate) fn take(&self) -> Result<V, TryError> {
        self.state.lock().take()
    }

    /// What `look` says of the value, which stays. It runs under the promise's lock.
    ///
    /// # Errors
    /// As [`take`](Promise::take).
    pub(crate) fn look<S>(&self, look: impl FnOnce(&V) -> S) -> Result<S, TryError> {
        match &self.state.lock().stage {
            Stage::Kept(value) => Ok(look(value)),
            Stage::Never => Err(TryError::Closed),
            Stage::Open | Stage::Begun(_) => Err(TryError::WouldBlock),
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.state.lock().has_ended()
    }

    /// True if this thread is the one that makes the value: it would wait for itself.
    pub(crate) fn is_this_threads(&self) -> bool {
        matches!(self.state.lock().stage, Stage::Begun(thread) if thread == this_thread())
    }
}

impl<V> State<V> {
    fn has_ended(&self) -> bool {
        matches!(self.stage, Stage::Kept(_) | Stage::Never)
    }

    fn take(&mut self) -> Result<V, TryError> {
        match mem::replace(&mut self.stage, Stage::Never) {
            Stage::Kept(value) => Ok(value),
            Stage::Never => Err(TryError::Closed),
            earlier => {
                self.stage = earlier;
                Err(TryError::WouldBlock)
            }
        }
    }
}

impl<V> Place for Promise<V> {
    fn looks_ready(&self) -> bool {
        self.state.try_lock().is_some_and(|state| state.has_ended())
    }

    fn join(&self) -> Option<Arc<Slot>> {
        // Whoever ends it does so under this lock and takes everybody out of the line.
        let mut state = self.state.lock();
        (!state.has_ended()).then(|| state.joiners.join())
    }

    fn leave(&self, slot: &Arc<Slot>) {
        self.state.lock().joiners.leave(slot);
    }
}

//! Items that were read together and are computed in order, one at a time, by one thread.
//!
//! Everything goes in and out one at a time, under the chunk's own lock, which is nearly always free. So
//! nothing is ever held hostage: what was read can be taken over by somebody else while the reader waits for
//! more or the owner is stuck in a long item, and what was computed can be handed out while the rest is not.
//!
//! | state | inputs | owned | who touches it |
//! |---|---|---|---|
//! | being read | grow at the back | yes | its reader; others take all that is there, as a chunk before it |
//! | being computed | shrink | yes | its owner from the front; others take the back half, as a chunk behind it |
//! | left over | some | no | whoever comes first |
//! | done | none | no | the consumer, until the outputs are gone |

use std::collections::VecDeque;
use std::mem;

use crate::panics::{self, Payload};
use crate::sync::{Arc, Mutex};

/// What became of an item.
pub(super) enum Out<U> {
    /// This.
    Item(U),
    /// This, and it is the last that counts: an error.
    Last(U),
    /// The function, or the input, panicked.
    Panic(Payload),
}

impl<U> Out<U> {
    /// Drops outputs that nobody takes, as [`panics::drop_each`] does. A payload is nobody's then.
    pub(super) fn drop_each(outputs: VecDeque<Self>) {
        panics::drop_each(outputs.into_iter().filter_map(|output| match output {
            Out::Item(item) | Out::Last(item) => Some(item),
            Out::Panic(payload) => {
                panics::discard(payload);
                None
            }
        }));
    }
}

pub(super) struct Chunk<T, U>(Mutex<Contents<T, U>>);

pub(super) struct Contents<T, U> {
    pub(super) inputs: VecDeque<T>,
    pub(super) outputs: VecDeque<Out<U>>,
    /// A thread reads into it, or computes an item of it.
    pub(super) owned: bool,
    /// A thread reads into it.
    pub(super) being_read: bool,
    /// The consumer sleeps until there is an output here, or will never be one.
    pub(super) wanted: bool,
}

impl<T, U> Contents<T, U> {
    /// Nothing more will come out of it than what is there.
    pub(super) fn is_done(&self) -> bool {
        self.inputs.is_empty() && !self.owned
    }

    fn is_first_free(&self) -> bool {
        !self.inputs.is_empty() && self.outputs.is_empty() && (self.being_read || !self.owned)
    }

    /// Takes the first `most` inputs out, as a chunk that belongs before this one. If the consumer sleeps
    /// until something comes out here, it comes out there first.
    fn split_front(&mut self, most: usize) -> Arc<Chunk<T, U>> {
        let rest = self.inputs.split_off(self.inputs.len().min(most));
        let inputs = mem::replace(&mut self.inputs, rest);
        Chunk::new(inputs, false, self.wanted)
    }
}

/// Inputs that somebody took over, and where they are.
pub(super) enum Claim<T, U> {
    /// In the chunk itself, which nobody owned.
    Itself,
    /// In a chunk that belongs before it.
    Before(Arc<Chunk<T, U>>),
    /// In a chunk that belongs behind it.
    Behind(Arc<Chunk<T, U>>),
}

impl<T, U> Chunk<T, U> {
    /// An empty one that somebody will read into.
    pub(super) fn to_read(wanted: bool) -> Arc<Self> {
        Chunk::new(VecDeque::new(), true, wanted)
    }

    /// One that holds a panic of the input.
    pub(super) fn of_panic(payload: Payload) -> Arc<Self> {
        let chunk = Chunk::new(VecDeque::new(), false, false);
        chunk.0.lock().outputs.push_back(Out::Panic(payload));
        chunk.0.lock().owned = false;
        chunk
    }

    fn new(inputs: VecDeque<T>, being_read: bool, wanted: bool) -> Arc<Self> {
        let outputs = VecDeque::new();
        Arc::new(Chunk(Mutex::new(Contents { inputs, outputs, owned: true, being_read, wanted })))
    }

    pub(super) fn lock(&self) -> crate::sync::MutexGuard<'_, Contents<T, U>> {
        self.0.lock()
    }

    pub(super) fn try_lock(&self) -> Option<crate::sync::MutexGuard<'_, Contents<T, U>>> {
        self.0.try_lock()
    }

    /// Takes out all that is there.
    pub(super) fn empty(&self) -> (VecDeque<T>, VecDeque<Out<U>>) {
        let mut contents = self.0.lock();
        (mem::take(&mut contents.inputs), mem::take(&mut contents.outputs))
    }

    /// Takes inputs over for a worker, at most `most`: from a reader what it has read, from an owner half of
    /// what it has left, and a chunk that nobody owns as it is. The caller is their owner now.
    pub(super) fn take_over(&self, most: usize) -> Option<Claim<T, U>> {
        let mut from = self.0.lock();
        let there = from.inputs.len();
        if there == 0 {
            return None;
        }
        if !from.owned {
            from.owned = true;
            return Some(Claim::Itself);
        }
        if from.being_read {
            return Some(Claim::Before(from.split_front(most)));
        }
        let inputs = from.inputs.split_off(there - there.div_ceil(2).min(most));
        Some(Claim::Behind(Chunk::new(inputs, false, false)))
    }

    /// Whether the first item here is one that nobody computes.
    pub(super) fn first_is_free(&self) -> bool {
        let contents = self.0.lock();
        contents.is_first_free()
    }

    /// Takes over the first item alone, if nobody computes it.
    pub(super) fn take_first(&self) -> Option<Arc<Self>> {
        let mut from = self.0.lock();
        from.is_first_free().then(|| from.split_front(1))
    }
}

//! A batch of items that one thread reads together and one thread computes in order.
//!
//! Items enter and leave it one at a time, under the chunk's own lock, which is almost never contended. So no
//! item is held up by another: while the reader waits for more input, or the owner computes a long item,
//! other threads can steal the inputs, and the consumer can take the outputs.
//!
//! | state | inputs | owned | accessed by |
//! |---|---|---|---|
//! | being read | grow at the back | yes | the reader; a thief takes all of them, as a new chunk in front |
//! | being computed | shrink at the front | yes | the owner; a thief takes the back half, as a new chunk behind |
//! | left over | some | no | the first thread that takes it |
//! | done | none | no | the consumer, until the outputs are taken |

use std::collections::VecDeque;
use std::mem;

use crate::panics::{self, Payload};
use crate::sync::{Arc, Mutex};

/// The result of an item.
pub(super) enum Out<U> {
    /// An output.
    Item(U),
    /// An output after which nothing counts: the first error.
    Last(U),
    /// A panic of the function or of the input.
    Panic(Payload),
}

impl<U> Out<U> {
    /// Drops outputs that are not taken, as [`panics::drop_each`] does. Payloads have no receiver then.
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
    /// A thread reads into the chunk, or computes its items.
    pub(super) owned: bool,
    /// A thread reads into the chunk.
    pub(super) being_read: bool,
    /// The consumer sleeps until there is an output here, or there can be none any more.
    pub(super) wanted: bool,
}

impl<T, U> Contents<T, U> {
    /// True if the chunk will have no more outputs than it has now.
    pub(super) fn is_done(&self) -> bool {
        self.inputs.is_empty() && !self.owned
    }

    fn is_first_free(&self) -> bool {
        !self.inputs.is_empty() && self.outputs.is_empty() && (self.being_read || !self.owned)
    }

    /// Moves the first `max` inputs into a new chunk that belongs in front of this one. If the consumer waits
    /// for an output of this chunk, it now waits for one of the new chunk, which comes first.
    fn split_front(&mut self, max: usize) -> Arc<Chunk<T, U>> {
        let rest = self.inputs.split_off(self.inputs.len().min(max));
        let inputs = mem::replace(&mut self.inputs, rest);
        Chunk::new(inputs, false, self.wanted)
    }
}

/// Stolen inputs, by the place where they are.
pub(super) enum Stolen<T, U> {
    /// In the chunk itself, which had no owner.
    Whole,
    /// In a new chunk that belongs in front of it.
    Front(Arc<Chunk<T, U>>),
    /// In a new chunk that belongs behind it.
    Back(Arc<Chunk<T, U>>),
}

impl<T, U> Chunk<T, U> {
    /// Makes an empty chunk for a thread to read into.
    pub(super) fn to_read(wanted: bool) -> Arc<Self> {
        Chunk::new(VecDeque::new(), true, wanted)
    }

    /// Makes a chunk that contains only a panic of the input.
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

    /// Takes out everything.
    pub(super) fn empty(&self) -> (VecDeque<T>, VecDeque<Out<U>>) {
        let mut contents = self.0.lock();
        (mem::take(&mut contents.inputs), mem::take(&mut contents.outputs))
    }

    /// Makes the calling worker the owner of inputs of this chunk, at most `max`: all that a reader has read,
    /// half of what an owner has left, or a chunk without an owner as it is.
    pub(super) fn steal(&self, max: usize) -> Option<Stolen<T, U>> {
        let mut from = self.0.lock();
        let there = from.inputs.len();
        if there == 0 {
            return None;
        }
        // A chunk without an owner is taken as it is, which moves no item.
        if !from.owned {
            from.owned = true;
            return Some(Stolen::Whole);
        }
        // The reader computes nothing before it has read its quota, so all its items may be taken. They go in
        // front, since it reads later items into this chunk.
        if from.being_read {
            return Some(Stolen::Front(from.split_front(max)));
        }
        // The back half, as in work stealing: the owner keeps the items that the consumer needs first.
        let inputs = from.inputs.split_off(there - there.div_ceil(2).min(max));
        Some(Stolen::Back(Chunk::new(inputs, false, false)))
    }

    /// True if no thread computes the first item here.
    pub(super) fn first_is_free(&self) -> bool {
        let contents = self.0.lock();
        contents.is_first_free()
    }

    /// Steals the first item alone, if no thread computes it.
    pub(super) fn steal_first(&self) -> Option<Arc<Self>> {
        let mut from = self.0.lock();
        from.is_first_free().then(|| from.split_front(1))
    }
}

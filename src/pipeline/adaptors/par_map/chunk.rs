//! A batch of items that one thread reads together and one thread computes in order: the only unsafe code of
//! the pipeline.
//!
//! Items enter and leave it one at a time, so none is held up by another: while the reader waits for more
//! input, or the owner computes a long item, other threads can steal the inputs, and the consumer can take
//! the outputs. A step costs one compare-and-swap of the chunk's word, by a thread that is almost always the
//! only one to change it.
//!
//! # State
//! The word holds two counts and flags. Each cell belongs to one thread, by its index:
//!
//! | index | owner | holds |
//! |---|---|---|
//! | taken ≤ i < completed | the consumer | an output |
//! | i = begun − 1, while `BUSY` | the chunk's owner | nothing |
//! | begun ≤ i < filled | nobody; who moves a count past the cell takes it | an input |
//! | i = filled, while `READING` | the reader | nothing |
//!
//! Here completed is begun, less one while `BUSY`. Items are completed in the order in which they were begun,
//! since a chunk has one owner at a time. `READING` is never set again once it is cleared; only the reader
//! raises filled, and only while `READING` is set.
//!
//! # Orderings
//! Every change of the word is a read-modify-write operation that acquires and releases, so who takes a cell
//! sees what its last owner wrote there. `taken` belongs to the consumer.
//!
//! # What the unsafe code rests on
//! 1. A cell has one owner at a time: the table. Edit `pipeline-chunk-publishes-nothing` breaks it, and a
//!    model notices.
//! 2. A cell that is read holds what the table says. The stress tests of `tests/pipeline` run under
//!    AddressSanitizer and count what is dropped.
//! 3. A cell that is never read leaks its contents and does no other harm: the consumer empties each chunk.
//!
//! # Why not
//! *A lock around two deques*, which needs no unsafe code: an item that costs nothing then took 1.5 times as
//! long, since a lock is two such operations, and the consumer that takes outputs made the owner wait.

use std::collections::VecDeque;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ops::Range;

use super::word::{BUSY, HAS_LAST, ONE_BEGUN, ONE_FILLED, OWNED, READING, WANTED, Word};
use crate::panics::{self, Payload};
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::sync::cell::UnsafeCell;
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

/// What a cell holds, as the word says.
union Slot<T, U> {
    input: ManuallyDrop<T>,
    output: ManuallyDrop<U>,
}

type Cell<T, U> = UnsafeCell<MaybeUninit<Slot<T, U>>>;

pub(super) struct Chunk<T, U> {
    /// Each is accessed only by its owner (see the table).
    cells: Box<[Cell<T, U>]>,
    word: AtomicU64,
    /// The number of outputs that the consumer has taken out of the cells.
    taken: AtomicUsize,
    /// The output that ends the stage, if it is one of this chunk.
    last: Mutex<Option<Out<U>>>,
}

// SAFETY: threads move inputs and outputs to one another through the cells, which `T: Send` and `U: Send`
// allow. No reference to the contents of a cell leaves this file, so neither need be `Sync`. Each cell is
// accessed only by its owner by the table above, and ownership passes by release and acquire of the word.
unsafe impl<T: Send, U: Send> Sync for Chunk<T, U> {}

/// Stolen inputs, by the place where they are.
pub(super) enum Stolen<T, U> {
    /// In the chunk itself, which had no owner.
    Whole,
    /// In a new chunk that belongs behind it.
    Back(Arc<Chunk<T, U>>),
    /// Still in the chunk, which has an owner and is being read. It must be detached from its reader first.
    Attached,
}

/// How a reader leaves its chunk.
pub(super) struct LeftBehind {
    /// The reader is the chunk's owner now.
    pub(super) owned: bool,
    /// The chunk has no owner, and the consumer waits for it.
    pub(super) unclaimed: bool,
    /// The chunk has inputs and no owner.
    pub(super) left_over: bool,
}

impl<T, U> Chunk<T, U> {
    /// Makes an empty chunk for a thread to read up to `capacity` items into.
    pub(super) fn to_read(capacity: usize, wanted: bool) -> Arc<Self> {
        Chunk::new(capacity, Word(READING).with(if wanted { WANTED } else { 0 }), None)
    }

    /// Makes a chunk that contains only a panic of the input.
    pub(super) fn of_panic(payload: Payload) -> Arc<Self> {
        Chunk::new(0, Word(HAS_LAST), Some(Out::Panic(payload)))
    }

    fn new(capacity: usize, word: Word, last: Option<Out<U>>) -> Arc<Self> {
        let cells = (0..capacity).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect();
        let (word, taken) = (AtomicU64::new(word.0), AtomicUsize::new(0));
        Arc::new(Chunk { cells, word, taken, last: Mutex::new(last) })
    }

    #[inline]
    fn load(&self) -> Word {
        // Acquire: see "Orderings".
        Word(self.word.load(Ordering::Acquire))
    }

    /// Changes the word, unless `change` returns `None` for its value.
    #[inline]
    fn update<R>(&self, mut change: impl FnMut(Word) -> Option<(Word, R)>) -> Option<R> {
        let mut old = self.load();
        loop {
            let (new, result) = change(old)?;
            // Acquire and release: see "Orderings".
            match self.word.compare_exchange_weak(old.0, new.0, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(result),
                Err(now) => old = Word(now),
            }
        }
    }

    /// Writes into a cell that the caller owns and that holds nothing.
    #[inline]
    fn write(&self, index: usize, slot: Slot<T, U>) {
        self.cells[index].with_mut(|cell| {
            // SAFETY: the pointer is valid and aligned, since it comes from a cell of the box, and no other
            // access is concurrent, since the caller owns the cell.
            let cell = unsafe { &mut *cell };
            cell.write(slot);
        });
    }

    #[inline]
    fn read(&self, index: usize) -> Slot<T, U> {
        self.cells[index].with_mut(|cell| {
            // SAFETY: as in `write`.
            let cell = unsafe { &*cell };
            // SAFETY: the cell is initialised: all callers own a cell that holds something by the table. It
            // is not read twice, since the caller passes it on as a cell that holds nothing.
            unsafe { cell.assume_init_read() }
        })
    }

    /// Takes the input out of a cell that holds one and that the caller has taken.
    #[inline]
    fn input(&self, index: usize) -> T {
        // SAFETY: the cell holds an input by the table: the caller has just moved a count of the word past
        // it, or has written it there and not published it.
        ManuallyDrop::into_inner(unsafe { self.read(index).input })
    }

    fn take_inputs(&self, range: Range<usize>) -> Vec<T> {
        range.map(|index| self.input(index)).collect()
    }

    /// Stores an input that was read. Returns true if the consumer waits for it and is to be woken, which is
    /// reported once, and only if `offer` is set. Returns the input if it does not belong here any more.
    #[inline]
    pub(super) fn push(&self, item: T, offer: bool) -> Result<bool, T> {
        let word = self.load();
        if !word.has(READING) {
            return Err(item);
        }
        // The reader's until it is published: who lowers the count clears `READING` in the same step or
        // after it.
        let index = word.filled();
        self.write(index, Slot { input: ManuallyDrop::new(item) });
        let stored = self.update(|word| {
            let next = Word(word.0 + ONE_FILLED);
            let wanted = offer && word.has(WANTED);
            word.has(READING).then(|| (if wanted { next.without(WANTED) } else { next }, wanted))
        });
        // Not published: still the reader's.
        stored.ok_or_else(|| self.input(index))
    }

    /// Ends reading. The reader becomes the owner if `permitted`, there are inputs and nobody else is.
    pub(super) fn end_reading(&self, permitted: bool) -> LeftBehind {
        let left = self.update(|word| {
            let owned = permitted && word.inputs() > 0 && !word.has(OWNED);
            let unclaimed = !owned && !word.has(OWNED) && word.has(WANTED);
            let next = word.without(READING | if unclaimed { WANTED } else { 0 });
            let next = next.with(if owned { OWNED } else { 0 });
            Some((next, LeftBehind { owned, unclaimed, left_over: next.is_left_over() }))
        });
        left.unwrap_or(LeftBehind { owned: false, unclaimed: false, left_over: false })
    }

    /// Takes away the inputs that nobody has begun, and ends reading.
    pub(super) fn reject(&self) -> Vec<T> {
        let rejected = self.update(|word| {
            Some((word.shortened(word.inputs()).without(READING), word.begun()..word.filled()))
        });
        rejected.map_or_else(Vec::new, |range| self.take_inputs(range))
    }

    /// For the owner: stores the output of the item that it began, and begins the next if `go_on` is set. If
    /// it begins none, the chunk loses its owner. Returns the item, and true if the consumer is to be woken.
    #[inline]
    pub(super) fn exchange(&self, output: Option<U>, go_on: bool) -> (Option<T>, bool) {
        let completes = output.is_some();
        if let Some(output) = output {
            // This thread owns the chunk and has begun an item, so begun changes through it alone.
            self.write(self.load().begun() - 1, Slot { output: ManuallyDrop::new(output) });
        }
        let exchanged = self.update(|word| {
            let begins = go_on && word.inputs() > 0;
            let next = match begins {
                true => Word(word.0 + ONE_BEGUN).with(BUSY),
                false => word.without(BUSY | OWNED),
            };
            // The consumer waits for this chunk: it has an output now, or will have none. Cleared in the same
            // step, so that each wait gets one wake-up.
            let wake = word.has(WANTED) && (completes || next.is_done());
            let begun = begins.then_some(word.begun());
            Some((if wake { next.without(WANTED) } else { next }, (begun, wake)))
        });
        let (begun, wake) = exchanged.unwrap_or((None, false));
        (begun.map(|index| self.input(index)), wake)
    }

    /// For the owner, which has begun an item that has no output: stores `last` in its place, takes away all
    /// inputs, and leaves the chunk without an owner and a reader. Returns the inputs, and true if the
    /// consumer waits for this chunk.
    pub(super) fn close(&self, last: Option<Out<U>>) -> (Vec<T>, bool) {
        let flag = if last.is_some() { HAS_LAST } else { 0 };
        // Stored first: the consumer looks for it when it sees the flag.
        *self.last.lock() = last;
        let closed = self.update(|word| {
            let inputs = word.begun()..word.filled();
            let next = Word(word.0 - ONE_BEGUN).shortened(word.inputs() + 1);
            let next = next.without(OWNED | BUSY | READING | WANTED).with(flag);
            Some((next, (inputs, word.has(WANTED))))
        });
        closed.map_or((Vec::new(), false), |(range, wanted)| (self.take_inputs(range), wanted))
    }

    /// Makes the calling worker the owner of inputs of this chunk: all of them if the chunk has no owner, or
    /// else the back half, at most `max`. `wanted`: the consumer waits for the new chunk.
    pub(super) fn steal(&self, max: usize, wanted: bool) -> Option<Stolen<T, U>> {
        let stolen = self.update(|word| match word.inputs() {
            0 => None,
            // A chunk without an owner is taken as it is, which moves no item.
            _ if !word.has(OWNED) => Some((word.with(OWNED), None)),
            _ if word.has(READING) => Some((word, Some(0..0))),
            // As in work stealing: the owner keeps the items that the consumer needs first.
            there => {
                let count = there.div_ceil(2).min(max);
                Some((word.shortened(count), Some(word.filled() - count..word.filled())))
            }
        })?;
        Some(match stolen {
            None => Stolen::Whole,
            Some(range) if range.is_empty() => Stolen::Attached,
            Some(range) => Stolen::Back(self.move_out(range, wanted)),
        })
    }

    /// Moves inputs that the caller has taken into a new chunk, which the caller owns.
    fn move_out(&self, range: Range<usize>, wanted: bool) -> Arc<Self> {
        let filled = range.len() as u64 * ONE_FILLED;
        let word = Word(filled | OWNED).with(if wanted { WANTED } else { 0 });
        let chunk = Chunk::new(range.len(), word, None);
        for (to, from) in range.enumerate() {
            // Nobody else has the new chunk yet.
            chunk.write(to, Slot { input: ManuallyDrop::new(self.input(from)) });
        }
        chunk
    }

    /// The number of items that fit.
    pub(super) fn capacity(&self) -> usize {
        self.cells.len()
    }

    /// Ends reading here: the reader goes on in another chunk.
    pub(super) fn detach(&self) {
        self.update(|word| Some((word.without(READING), ())));
    }

    pub(super) fn is_being_read(&self) -> bool {
        self.load().has(READING)
    }

    /// True if no thread computes the first item here, and no output is left before it.
    pub(super) fn first_is_free(&self) -> bool {
        let word = self.load();
        word.inputs() > 0 && !word.has(OWNED) && self.outputs_of(word) == 0
    }

    /// Makes the calling thread the owner, if no thread computes the first item.
    pub(super) fn steal_first(&self) -> bool {
        let stolen = self.update(|word| {
            let is_free = word.inputs() > 0 && !word.has(OWNED);
            is_free.then(|| (word.with(OWNED), ()))
        });
        stolen.is_some()
    }

    pub(super) fn inputs(&self) -> usize {
        self.load().inputs()
    }

    /// True if there are inputs, and no thread reads or computes here.
    pub(super) fn is_left_over(&self) -> bool {
        self.load().is_left_over()
    }

    fn outputs_of(&self, word: Word) -> usize {
        // Relaxed: the consumer's own, or a hint to a thread that wants to steal.
        word.completed().saturating_sub(self.taken.load(Ordering::Relaxed)) + usize::from(word.has(HAS_LAST))
    }

    /// For the consumer: true if there are `count` outputs, or there will be none besides those that there
    /// are.
    pub(super) fn is_ready(&self, count: usize) -> bool {
        let word = self.load();
        self.outputs_of(word) >= count || word.is_done() || word.has(HAS_LAST)
    }

    /// For the consumer, before it sleeps: asks to be woken. Returns false if the chunk has an output or is
    /// done.
    pub(super) fn want(&self) -> bool {
        let wanted = self.update(|word| {
            let has_nothing = self.outputs_of(word) == 0 && !word.is_done();
            has_nothing.then(|| (word.with(WANTED), ()))
        });
        wanted.is_some()
    }

    /// For the consumer: moves the outputs into `ready`. Returns true if there will be no more.
    pub(super) fn take_outputs(&self, ready: &mut VecDeque<Out<U>>) -> bool {
        let word = self.load();
        // Relaxed: only the consumer changes it.
        let taken = self.taken.load(Ordering::Relaxed);
        ready.extend((taken..word.completed()).map(|index| {
            // SAFETY: the cell holds an output by the table, and belongs to the consumer, the caller.
            Out::Item(ManuallyDrop::into_inner(unsafe { self.read(index).output }))
        }));
        self.taken.store(word.completed().max(taken), Ordering::Relaxed);
        if word.has(HAS_LAST) {
            ready.extend(self.last.lock().take());
        }
        word.is_done()
    }

    /// For the consumer, when no other thread uses the chunk: takes out everything.
    pub(super) fn empty(&self) -> (Vec<T>, VecDeque<Out<U>>) {
        let mut outputs = VecDeque::new();
        let inputs = self.reject();
        self.take_outputs(&mut outputs);
        (inputs, outputs)
    }
}

//! A task on its way to a worker: whatever it is, in place if it is small.
//!
//! A box for each task would cost more than all the rest of handing it over: 30 to 50 ns for an allocation
//! that one thread makes and another frees, beside some 25. So a raw job holds up to six words itself, which
//! is a closure with a handful of captures or a reference-counted [`TaskJob`](super::job::TaskJob), and a box
//! of what is larger. This is `Box<dyn Job>` with the table of functions written by hand, because std's
//! cannot be pointed at a value that moves.
//!
//! # Invariant
//! `store` holds a live value of the type that `table` was made for, from [`RawJob::new`] until
//! [`RawJob::run`] or `drop`, which consume the raw job.
//!
//! # Why every method takes the raw job by value or by `&mut`
//! The compiler sees words in the store, not the load, so to it nothing behind a `&RawJob` can change. A load
//! may hold a `Cell`, and then even a `&L` made out of a `&RawJob` breaks that promise: a write through it is
//! lost in an optimised build, as the test below showed. A pointer that comes from a `&mut RawJob` may be
//! written through.

use std::marker::PhantomData;
use std::mem::{ManuallyDrop, MaybeUninit, align_of, size_of};

use super::slot::WorkerSlot;
use crate::panics;
use crate::sync::Arc;

/// What can be put into a raw job.
pub(super) trait Job: Send + 'static {
    /// Does the work, and counts it where `seat` counts. No panic comes out of it but that of a drop of
    /// captures.
    fn run(self, slot: &WorkerSlot);

    /// True while nobody has claimed it by another way.
    fn is_waiting(&self) -> bool;

    /// Tells whoever waits for it that it never runs.
    fn revoke(&self, slot: &WorkerSlot);

    /// What it was called by whoever submitted it.
    fn name(&self) -> Option<Arc<str>> {
        None
    }
}

impl<L: Job> Job for Box<L> {
    fn run(self, slot: &WorkerSlot) {
        (*self).run(slot);
    }

    fn is_waiting(&self) -> bool {
        (**self).is_waiting()
    }

    fn revoke(&self, slot: &WorkerSlot) {
        (**self).revoke(slot);
    }

    fn name(&self) -> Option<Arc<str>> {
        (**self).name()
    }
}

/// Words that fit in without a box: 48 bytes on a machine of 64 bits.
const WORDS: usize = 6;

type Store = MaybeUninit<[usize; WORDS]>;

/// A load, in place or in a box.
///
/// `Send`, since every load is. `Sync`, though a load need not be: with a shared reference nothing can be
/// done to it.
pub(super) struct RawJob {
    table: &'static Table,
    store: Store,
}

/// What can be done with a load that lies in a store. Each function wants a pointer that may be read and
/// written through, to a store that holds a live load of the table's type, and which is accessed by nobody
/// else meanwhile; `run` and `drop` end the load's life.
struct Table {
    run: unsafe fn(*mut Store, &WorkerSlot),
    drop: unsafe fn(*mut Store),
    is_waiting: unsafe fn(*mut Store) -> bool,
    revoke: unsafe fn(*mut Store, &WorkerSlot),
    name: unsafe fn(*mut Store) -> Option<Arc<str>>,
}

/// Makes a table for each type of load.
struct TableOf<L>(PhantomData<L>);

impl<L: Job> TableOf<L> {
    const TABLE: Table = Table {
        run: |store, slot| {
            // SAFETY: valid for reads, aligned and initialised: the caller's store holds a live `L`, which
            // `RawJob::put` found to fit. It is not used again: this call ends its life.
            let load = unsafe { store.cast::<L>().read() };
            load.run(slot);
        },
        drop: |store| {
            // SAFETY: as above; nobody else accesses it, and this call ends its life.
            unsafe { store.cast::<L>().drop_in_place() }
        },
        is_waiting: |store| {
            // SAFETY: aligned, initialised and alive as above, and nobody else accesses it while the
            // reference exists. The pointer may be written through, which a `Cell` in the load needs.
            let load = unsafe { &*store.cast::<L>() };
            load.is_waiting()
        },
        revoke: |store, slot| {
            // SAFETY: as in `is_waiting`.
            let load = unsafe { &*store.cast::<L>() };
            load.revoke(slot);
        },
        name: |store| {
            // SAFETY: as in `is_waiting`.
            let load = unsafe { &*store.cast::<L>() };
            load.name()
        },
    };
}

impl RawJob {
    #[inline]
    pub(super) fn new<L: Job>(load: L) -> Self {
        if fits::<L>() { RawJob::put(load) } else { RawJob::put(Box::new(load)) }
    }

    #[inline]
    fn put<L: Job>(load: L) -> Self {
        assert!(fits::<L>(), "a box fits");
        let mut store = Store::uninit();
        // SAFETY: the store is valid for writes, and as large and as aligned as an `L` wants, by the line
        // above. It holds nothing that would have to be dropped.
        unsafe { store.as_mut_ptr().cast::<L>().write(load) };
        RawJob { table: const { &TableOf::<L>::TABLE }, store }
    }

    /// Drops the load, contained: for one that will not run, where nobody is there to panic to.
    pub(super) fn discard(self) {
        panics::discard(self);
    }

    /// Runs the load.
    #[inline]
    pub(super) fn run(self, slot: &WorkerSlot) {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: by the invariant the store holds a live load of the table's type. Nobody else has it: it is
        // owned. Its life ends here: the raw job is not dropped.
        unsafe { (this.table.run)(&raw mut this.store, slot) }
    }

    /// True while nobody has claimed it by another way.
    pub(super) fn is_waiting(&mut self) -> bool {
        // SAFETY: by the invariant the store holds a live load of the table's type. Nobody else accesses it,
        // and it may be written: this is the only reference to the raw job.
        unsafe { (self.table.is_waiting)(&raw mut self.store) }
    }

    /// Tells whoever waits for it that it never runs.
    pub(super) fn revoke(&mut self, slot: &WorkerSlot) {
        // SAFETY: as in `is_waiting`.
        unsafe { (self.table.revoke)(&raw mut self.store, slot) }
    }

    /// What it was called by whoever submitted it.
    pub(super) fn name(&mut self) -> Option<Arc<str>> {
        // SAFETY: as in `is_waiting`.
        unsafe { (self.table.name)(&raw mut self.store) }
    }
}

impl Drop for RawJob {
    /// Drops a load that was not run.
    fn drop(&mut self) {
        // SAFETY: by the invariant the store holds a live load of the table's type; `run` forgets the raw
        // job. Nobody else has it, and its life ends here.
        unsafe { (self.table.drop)(&raw mut self.store) }
    }
}

const fn fits<L>() -> bool {
    size_of::<L>() <= size_of::<Store>() && align_of::<L>() <= align_of::<Store>()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::hint::black_box;

    use super::*;
    use crate::pool::Pool;

    /// A load that changes, by a shared reference, what lies in the store itself.
    struct Flips(Cell<bool>);

    impl Job for Flips {
        fn run(self, _: &WorkerSlot) {}

        fn is_waiting(&self) -> bool {
            self.0.get()
        }

        fn revoke(&self, _: &WorkerSlot) {
            self.0.set(!self.0.get());
        }
    }

    #[test]
    fn load_with_a_cell_that_is_revoked_shows_its_change() {
        let pool = Pool::builder().workers(1).build().unwrap();
        // Not inlined: what the compiler may assume of the call, it knows from the signature alone.
        let revoke = black_box(RawJob::revoke as fn(&mut RawJob, &WorkerSlot));
        let mut raw = RawJob::new(Flips(Cell::new(true)));
        assert!(raw.is_waiting());
        revoke(&mut raw, pool.shared.external());
        assert!(!raw.is_waiting());
    }
}

//! A type-erased task that is stored in place if it is small.
//!
//! A box for each task would cost more than the rest of handing it over: 30 to 50 ns for an allocation that
//! one thread makes and another frees, against about 25. So a raw job stores up to six words inline, enough
//! for a closure with a handful of captures or a reference-counted [`TaskJob`](super::job::TaskJob), and
//! boxes what is larger. It is a `Box<dyn Job>` with a hand-written vtable, because the vtable of a trait
//! object cannot be applied to a value that moves.
//!
//! # Invariant
//! `store` holds a live value of the type that `table` was made for, from [`RawJob::new`] until
//! [`RawJob::run`] or `drop`, which consume the raw job.
//!
//! # Why every method takes the raw job by value or by `&mut`
//! The compiler sees words in the store, not the job, so it assumes that nothing behind a `&RawJob` changes.
//! A job may hold a `Cell`, and then even a `&J` derived from a `&RawJob` breaks that assumption: an
//! optimised build loses a write through it, as the test below showed. A pointer derived from a `&mut RawJob`
//! may be written through.

use std::marker::PhantomData;
use std::mem::{ManuallyDrop, MaybeUninit, align_of, size_of};

use super::slot::WorkerSlot;
use crate::panics;
use crate::sync::Arc;

/// A task that a raw job can store.
pub(super) trait Job: Send + 'static {
    /// Runs the task and counts its end in `slot`. Does not panic, except if the drop of a capture does.
    fn run(self, slot: &WorkerSlot);

    /// True until the task is claimed, by its handle for example.
    fn is_unclaimed(&self) -> bool;

    /// Cancels the task: its waiters learn that it never runs.
    fn revoke(&self, slot: &WorkerSlot);

    /// The name it was submitted with.
    fn name(&self) -> Option<Arc<str>> {
        None
    }
}

impl<J: Job> Job for Box<J> {
    fn run(self, slot: &WorkerSlot) {
        (*self).run(slot);
    }

    fn is_unclaimed(&self) -> bool {
        (**self).is_unclaimed()
    }

    fn revoke(&self, slot: &WorkerSlot) {
        (**self).revoke(slot);
    }

    fn name(&self) -> Option<Arc<str>> {
        (**self).name()
    }
}

/// The largest task that is stored inline: 48 bytes on a 64-bit machine.
const WORDS: usize = 6;

type Store = MaybeUninit<[usize; WORDS]>;

/// A job, inline or boxed.
///
/// `Send`, since every job is. `Sync`, although a job need not be: no method takes `&RawJob`.
pub(super) struct RawJob {
    table: &'static Table,
    store: Store,
}

/// The vtable of a job in a store. Each function requires a pointer that is valid for reads and writes, to a
/// store that holds a live job of the table's type, and that nothing else accesses during the call. `run` and
/// `drop` end the job's life.
struct Table {
    run: unsafe fn(*mut Store, &WorkerSlot),
    drop: unsafe fn(*mut Store),
    is_unclaimed: unsafe fn(*mut Store) -> bool,
    revoke: unsafe fn(*mut Store, &WorkerSlot),
    name: unsafe fn(*mut Store) -> Option<Arc<str>>,
}

/// Makes the table of each type of job.
struct TableOf<J>(PhantomData<J>);

impl<J: Job> TableOf<J> {
    const TABLE: Table = Table {
        run: |store, slot| {
            // SAFETY: the pointer is valid for reads, aligned and initialised: the caller's store holds a
            // live `J`, and `RawJob::put` has checked that it fits. The value is not used again: this call
            // ends its life.
            let job = unsafe { store.cast::<J>().read() };
            job.run(slot);
        },
        drop: |store| {
            // SAFETY: as above; nothing else accesses the store, and this call ends the job's life.
            unsafe { store.cast::<J>().drop_in_place() }
        },
        is_unclaimed: |store| {
            // SAFETY: aligned, initialised and alive as above, and nothing else accesses the store while the
            // reference exists. The pointer may be written through, which a `Cell` in the job needs.
            let job = unsafe { &*store.cast::<J>() };
            job.is_unclaimed()
        },
        revoke: |store, slot| {
            // SAFETY: as in `is_unclaimed`.
            let job = unsafe { &*store.cast::<J>() };
            job.revoke(slot);
        },
        name: |store| {
            // SAFETY: as in `is_unclaimed`.
            let job = unsafe { &*store.cast::<J>() };
            job.name()
        },
    };
}

impl RawJob {
    #[inline]
    pub(super) fn new<J: Job>(job: J) -> Self {
        if fits::<J>() { RawJob::put(job) } else { RawJob::put(Box::new(job)) }
    }

    #[inline]
    fn put<J: Job>(job: J) -> Self {
        assert!(fits::<J>(), "a box fits");
        let mut store = Store::uninit();
        // SAFETY: the store is valid for writes, and as large and as aligned as a `J` needs, by the assertion
        // above. It holds nothing that would have to be dropped.
        unsafe { store.as_mut_ptr().cast::<J>().write(job) };
        RawJob { table: const { &TableOf::<J>::TABLE }, store }
    }

    /// Drops a job that will not run, and contains a panic of the drop, since no caller expects it.
    pub(super) fn discard(self) {
        panics::discard(self);
    }

    /// Runs the job.
    #[inline]
    pub(super) fn run(self, slot: &WorkerSlot) {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: by the invariant the store holds a live job of the table's type. This function owns it, so
        // nothing else accesses it. Its life ends here: `ManuallyDrop` keeps the raw job from being dropped.
        unsafe { (this.table.run)(&raw mut this.store, slot) }
    }

    /// True until the job is claimed by other means.
    pub(super) fn is_unclaimed(&mut self) -> bool {
        // SAFETY: by the invariant the store holds a live job of the table's type. `&mut self` is the only
        // reference to the raw job: nothing else accesses the store, and it may be written through.
        unsafe { (self.table.is_unclaimed)(&raw mut self.store) }
    }

    /// Cancels the job: its waiters learn that it never runs.
    pub(super) fn revoke(&mut self, slot: &WorkerSlot) {
        // SAFETY: as in `is_unclaimed`.
        unsafe { (self.table.revoke)(&raw mut self.store, slot) }
    }

    /// The name it was submitted with.
    pub(super) fn name(&mut self) -> Option<Arc<str>> {
        // SAFETY: as in `is_unclaimed`.
        unsafe { (self.table.name)(&raw mut self.store) }
    }
}

impl Drop for RawJob {
    /// Drops a job that has not run.
    fn drop(&mut self) {
        // SAFETY: by the invariant the store holds a live job of the table's type; `run` forgets the raw job.
        // `&mut self` is the only reference to it, and its life ends here.
        unsafe { (self.table.drop)(&raw mut self.store) }
    }
}

const fn fits<J>() -> bool {
    size_of::<J>() <= size_of::<Store>() && align_of::<J>() <= align_of::<Store>()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::hint::black_box;

    use super::*;
    use crate::pool::Pool;

    /// A job that changes, through a shared reference, what is in the store itself.
    struct Flips(Cell<bool>);

    impl Job for Flips {
        fn run(self, _: &WorkerSlot) {}

        fn is_unclaimed(&self) -> bool {
            self.0.get()
        }

        fn revoke(&self, _: &WorkerSlot) {
            self.0.set(!self.0.get());
        }
    }

    #[test]
    fn load_with_a_cell_that_is_revoked_shows_its_change() {
        let pool = Pool::builder().workers(1).build().unwrap();
        // Not inlined: the compiler then relies on the signature alone.
        let revoke = black_box(RawJob::revoke as fn(&mut RawJob, &WorkerSlot));
        let mut job = RawJob::new(Flips(Cell::new(true)));
        assert!(job.is_unclaimed());
        revoke(&mut job, pool.shared.external());
        assert!(!job.is_unclaimed());
    }
}

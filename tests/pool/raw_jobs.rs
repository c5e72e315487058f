//! Closures of every size and alignment through a pool, whatever becomes of them: the unsafe part of the pool
//! keeps small ones in place and boxes the rest.
//!
//! The test checks what it can see. For what it cannot, run it under valgrind, whose memcheck sees each read
//! of what was freed or never written, and each leak; without valgrind there is nothing to run:
//! ```sh
//! command -v valgrind >/dev/null || exit 0
//! cargo test --test pool --no-run --message-format=json 2>/dev/null |
//!     sed -n 's/.*"executable":"\([^"]*\/pool-[^"]*\)".*/\1/p' |
//!     xargs -I{} valgrind -q --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite --error-exitcode=1 {} raw_jobs::
//! ```

use std::marker::PhantomData;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use crate::common::pools::{abort, busy};
use crate::common::within_a_minute;
use selvedge::Pool;
use selvedge::error::JoinError;

/// Captures of `SIZE` bytes, or the next multiple of the alignment of `A`. They know what is in them.
#[repr(C)]
struct Cargo<A, const SIZE: usize> {
    bytes: [u8; SIZE],
    alignment: [A; 0],
}

static MADE: AtomicUsize = AtomicUsize::new(0);
static RAN: AtomicUsize = AtomicUsize::new(0);
static DROPPED: AtomicUsize = AtomicUsize::new(0);

impl<A, const SIZE: usize> Cargo<A, SIZE> {
    fn new() -> Self {
        MADE.fetch_add(1, SeqCst);
        Cargo { bytes: std::array::from_fn(|index| index as u8), alignment: [] }
    }

    fn check(&self) {
        assert_eq!((&raw const *self).addr() % align_of::<A>(), 0, "not aligned");
        assert!(self.bytes.iter().enumerate().all(|(index, byte)| *byte == index as u8), "not what it was");
    }

    fn run(&self) -> usize {
        self.check();
        RAN.fetch_add(1, SeqCst);
        SIZE
    }
}

impl<A, const SIZE: usize> Drop for Cargo<A, SIZE> {
    fn drop(&mut self) {
        self.check();
        DROPPED.fetch_add(1, SeqCst);
    }
}

macro_rules! aligned {
    ($($name:ident $bytes:literal),*) => {$(
        #[repr(align($bytes))]
        struct $name;
    )*};
}
aligned!(To2 2, To4 4, To8 8, To16 16, To32 32, To64 64);

/// Sends cargo through everything that can become of a closure.
struct Fates<A, const SIZE: usize>(PhantomData<A>);

impl<A: Send + 'static, const SIZE: usize> Fates<A, SIZE> {
    fn closure() -> impl FnOnce() -> usize + Send + 'static {
        let cargo = Cargo::<A, SIZE>::new();
        move || cargo.run()
    }

    fn panicking() -> impl FnOnce() + Send + 'static {
        let cargo = Cargo::<A, SIZE>::new();
        move || resume_unwind(Box::new(cargo.run()))
    }

    fn executed(pool: &Pool) {
        let run = Self::closure();
        let load = move || _ = run();
        assert_eq!(size_of_val(&load), SIZE.next_multiple_of(align_of::<A>()));
        pool.execute(load).unwrap();
        pool.execute(Self::panicking()).unwrap();
    }

    fn submitted(pool: &Pool) {
        assert_eq!(pool.submit(Self::closure()).unwrap().join().unwrap(), SIZE);
        drop(pool.submit(Self::closure()).unwrap());
        assert!(matches!(pool.submit(Self::panicking()).unwrap().join(), Err(JoinError::Panicked(_))));
        let results = pool.results();
        results.submit(Self::closure()).unwrap();
        assert!(results.into_iter().all(|(_, ended)| ended.unwrap() == SIZE));
    }

    /// Queued ones that are cancelled, refused, handed back and run, handed back and dropped.
    fn not_run(full: &Arc<Pool>, gate: &selvedge::Latch) {
        let cancelled = full.submit(Self::closure()).unwrap();
        assert!(cancelled.cancel());
        let run = Self::closure();
        full.execute(move || _ = run()).unwrap();
        let dropped = Self::closure();
        full.execute(move || _ = dropped()).unwrap();
        let results = full.results();
        results.submit(Self::closure()).unwrap();
        assert_eq!((full.try_submit(Self::closure()).unwrap_err().value)(), SIZE);
        drop(full.try_execute(Self::panicking()).unwrap_err());
        let mut unstarted = abort(full, gate).unstarted.into_iter();
        unstarted.next().unwrap().run();
        drop(unstarted);
        assert!(matches!(results.next(), Some((0, Err(JoinError::Cancelled)))));
        assert_eq!((full.submit(Self::closure()).unwrap_err().value)(), SIZE);
    }

    fn all(pool: &Pool) {
        let before = [&MADE, &RAN, &DROPPED].map(|count| count.load(SeqCst));
        Self::executed(pool);
        Self::submitted(pool);
        let (full, gate) = busy(4);
        Self::not_run(&full, &gate);
        // One worker: what comes after has all that came before behind it.
        pool.submit(|| ()).unwrap().join().unwrap();
        let after = [&MADE, &RAN, &DROPPED].map(|count| count.load(SeqCst));
        let [made, ran, dropped] = [0, 1, 2].map(|which| after[which] - before[which]);
        // Not run: the cancelled, the two that were dropped, and the one that was refused and dropped.
        assert_eq!((made, ran, dropped), (13, 9, 13), "{SIZE} bytes at {}", align_of::<A>());
    }
}

/// Fails if a raw job takes what is larger or more aligned than its store (edits
/// `raw-job-takes-what-does-not-fit` and `raw-job-takes-what-is-not-aligned`), if it drops one that
/// has run (edit `raw-job-is-dropped-though-it-ran`), or does not drop one that has not (edit
/// `raw-job-is-not-dropped`).
#[test]
fn closures_of_every_size_and_alignment_are_dropped_once_whatever_becomes_of_them() {
    within_a_minute(|| {
        let pool = Pool::builder().workers(1).build().unwrap();
        Fates::<u8, 0>::all(&pool);
        Fates::<u8, 1>::all(&pool);
        Fates::<u8, 47>::all(&pool);
        Fates::<u8, 48>::all(&pool);
        Fates::<u8, 49>::all(&pool);
        Fates::<u8, 200>::all(&pool);
        Fates::<To2, 48>::all(&pool);
        Fates::<To4, 48>::all(&pool);
        Fates::<To8, 48>::all(&pool);
        Fates::<To16, 0>::all(&pool);
        Fates::<To16, 48>::all(&pool);
        Fates::<To32, 32>::all(&pool);
        Fates::<To64, 0>::all(&pool);
        Fates::<To64, 48>::all(&pool);
        Fates::<To64, 200>::all(&pool);
        let report = pool.shutdown();
        assert_eq!((report.completed, report.panicked), (15 * 5, 15 * 2));
    });
}

//! Threads: spawning, joining, yielding, names, locals, time.

use std::cell::Cell;
use std::panic;
use std::time::Duration;

use crate::facade::atomic::AtomicU32;
use crate::facade::atomic::Ordering::Relaxed;
use crate::facade::{Arc, hint, model, thread, thread_local, time};
use crate::{Outcome, Start};

/// Runs two closures concurrently, the second on this thread.
pub(crate) fn race<A, B>(first: impl FnOnce() -> A + Send + 'static, second: impl FnOnce() -> B) -> (A, B)
where
    A: Send + 'static,
{
    let start = Start::of(2);
    let other = thread::spawn({
        let start = start.clone();
        move || {
            start.wait();
            first()
        }
    });
    start.wait();
    let second = second();
    (other.join().unwrap(), second)
}

/// One thread stores 1; the result of the other is the outcome.
fn beside_a_store(look: fn(&AtomicU32) -> Outcome) -> Outcome {
    let cell = Arc::new(AtomicU32::new(0));
    let other = Arc::clone(&cell);
    race(move || other.store(1, Relaxed), move || look(&cell)).1
}

thread_local! {
    static OWN: Cell<u32> = const { Cell::new(0) };
    static COUNTED: Cell<u32> = Cell::new(OWN.with(Cell::get));
}

litmus! {
    /// A thread sees everything before its spawn, and the joining thread sees everything that it did.
    spawn_and_join_publish allowed [&[1, 2]], => || {
        let cell = Arc::new(AtomicU32::new(0));
        cell.store(1, Relaxed);
        let other = Arc::clone(&cell);
        let thread = thread::spawn(move || {
            let seen = other.load(Relaxed);
            other.store(2, Relaxed);
            seen
        });
        // A second thread, so that there is a race to explore.
        let looks = Arc::clone(&cell);
        let beside = thread::spawn(move || looks.load(Relaxed));
        let seen = thread.join().unwrap();
        beside.join().unwrap();
        vec![seen, cell.load(Relaxed)]
    };
    /// `is_finished` publishes nothing, and need not become true at once.
    a_finished_thread_is_seen_or_not allowed [&[0, 0], &[0, 1], &[1, 1]], extra [&[1, 0]], => || {
        let cell = Arc::new(AtomicU32::new(0));
        let other = Arc::clone(&cell);
        let thread: thread::JoinHandle<()> = thread::spawn(move || other.store(1, Relaxed));
        let finished = u32::from(thread.is_finished());
        let seen = cell.load(Relaxed);
        thread.join().unwrap();
        vec![finished, seen]
    };
    /// `join` returns the payload, after everything that the thread did before.
    a_panic_is_joined allowed [&[0, 1, 7], &[1, 1, 7]], => || {
        model::join_panics();
        let cell = Arc::new(AtomicU32::new(0));
        let other = Arc::clone(&cell);
        let thread = thread::spawn(move || {
            other.store(1, Relaxed);
            panic::resume_unwind(Box::new(7_u32));
        });
        let before = cell.load(Relaxed);
        let payload: Box<dyn std::any::Any + Send> = thread.join().unwrap_err();
        vec![before, cell.load(Relaxed), *payload.downcast_ref::<u32>().unwrap()]
    };
    /// A thread whose handle is dropped continues.
    a_detached_thread_runs allowed [&[0], &[1]], => || {
        let cell = Arc::new(AtomicU32::new(0));
        let other = Arc::clone(&cell);
        drop(thread::spawn(move || other.store(1, Relaxed)));
        vec![cell.load(Relaxed)]
    };
    a_thread_knows_its_name_and_not_the_others_id allowed [&[0, 1], &[1, 1]], => || {
        let cell = Arc::new(AtomicU32::new(0));
        let other = Arc::clone(&cell);
        let thread = thread::Builder::new().name("weft".into()).stack_size(1 << 16).spawn(move || {
            other.store(1, Relaxed);
            let me: thread::Thread = thread::current();
            (me.name() == Some("weft"), me.id())
        });
        let thread = thread.unwrap();
        let early = cell.load(Relaxed);
        let id: thread::ThreadId = thread.thread().id();
        let (named, own) = thread.join().unwrap();
        let agree = named && own == id && own != thread::current().id() && !thread::panicking();
        vec![early, u32::from(agree && thread::available_parallelism() >= 1)]
    };
    /// A yield guarantees nothing: the other thread may have run or not.
    a_yield_lets_others_run_or_not allowed [&[0, 0], &[0, 1], &[1, 1]],
        => || beside_a_store(|cell| {
            let before = cell.load(Relaxed);
            thread::yield_now();
            vec![before, cell.load(Relaxed)]
        });
    a_spin_hint_lets_others_run_or_not allowed [&[0, 0], &[0, 1], &[1, 1]],
        => || beside_a_store(|cell| {
            let before = cell.load(Relaxed);
            hint::spin_loop();
            vec![before, cell.load(Relaxed)]
        });
    a_loop_that_yields_ends allowed [&[1]],
        => || beside_a_store(|cell| {
            while cell.load(Relaxed) == 0 {
                thread::yield_now();
            }
            vec![1]
        });
    a_loop_that_spins_ends allowed [&[1]],
        => || beside_a_store(|cell| {
            while cell.load(Relaxed) == 0 {
                hint::spin_loop();
            }
            vec![1]
        });
    /// Each thread has a value of its own.
    a_local_is_each_threads_own allowed [&[0, 5, 0], &[1, 5, 0]],
        => || {
            OWN.with(|own| own.set(5));
            let seen = beside_a_store(|cell| vec![cell.load(Relaxed)]);
            let theirs = race(|| OWN.try_with(Cell::get).unwrap_or(9) + COUNTED.with(Cell::get), || ()).0;
            vec![seen[0], OWN.with(Cell::get), theirs]
        };
    /// On real threads a deadline may pass between two readings of the clock; in a model none passes unless a
    /// thread waits for it.
    time_does_not_go_back_and_passes_between_any_two_looks allowed [&[0, 0], &[0, 1], &[1, 0], &[1, 1]],
        unseen [&[0, 1], &[1, 1]],
        => || beside_a_store(|cell| {
            let deadline = time::now() + Duration::from_secs(3600);
            let seen = cell.load(Relaxed);
            let now: time::Instant = time::now();
            assert!(now + Duration::from_secs(3600) >= deadline, "time went back");
            vec![seen, u32::from(now >= deadline)]
        });
}

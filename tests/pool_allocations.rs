//! How often a pool allocates: not at all for a closure of at most 48 bytes that is executed, once for a task
//! with a handle. A program of its own, because the allocator that counts is the whole program's.
//!
//! Each thread counts its own allocations: whatever else the process does meanwhile (the test harness, the
//! watchdog) is nobody's business here.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use common::{eventually, within_a_minute};
use selvedge::Pool;

/// The system's allocator, with a count for each thread.
struct Counting;

thread_local! {
    /// Needs no destructor and no lazy initialisation, so that counting allocates nothing.
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

fn count_one() {
    // A thread on its way out may still allocate.
    let _ = COUNT.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count_one();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count_one();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const TASKS: usize = 1_000;

/// What `f` makes this thread allocate.
fn allocations(f: impl FnOnce()) -> usize {
    let before = COUNT.get();
    f();
    COUNT.get() - before
}

/// A pool whose one worker is kept busy, without a call of ours, until it is let go: nobody sleeps or is
/// woken meanwhile.
struct Busy {
    pool: Pool,
    worker: Arc<Worker>,
}

/// What is known of the worker.
#[derive(Default)]
struct Worker {
    is_busy: AtomicBool,
    may_go_on: AtomicBool,
    /// Its allocations before it ran what was queued, and after.
    before: AtomicUsize,
    after: AtomicUsize,
    has_run_all: AtomicBool,
}

impl Busy {
    fn new() -> Self {
        let pool = Pool::builder().workers(1).queue(2 * TASKS).build().unwrap();
        // The queue's memory comes with its first use, and stays.
        let mut busy = Busy::occupy(pool);
        for _ in 0..2 {
            (1..2 * TASKS).for_each(|_| busy.pool.execute(|| ()).unwrap());
            busy.run();
            busy = Busy::occupy(busy.pool);
        }
        busy
    }

    fn occupy(pool: Pool) -> Self {
        let worker = Arc::new(Worker::default());
        let it = Arc::clone(&worker);
        pool.execute(move || {
            it.is_busy.store(true, SeqCst);
            eventually("the worker may go on", || it.may_go_on.load(SeqCst));
            it.before.store(COUNT.get(), SeqCst);
        })
        .unwrap();
        eventually("the worker is busy", || worker.is_busy.load(SeqCst));
        Busy { pool, worker }
    }

    /// Lets the worker run what is queued; how often it allocated meanwhile.
    fn run(&self) -> usize {
        let it = Arc::clone(&self.worker);
        self.pool
            .execute(move || {
                it.after.store(COUNT.get(), SeqCst);
                it.has_run_all.store(true, SeqCst);
            })
            .unwrap();
        self.worker.may_go_on.store(true, SeqCst);
        eventually("everything has run", || self.worker.has_run_all.load(SeqCst));
        self.worker.after.load(SeqCst) - self.worker.before.load(SeqCst)
    }
}

/// How often executing a closure that holds `WORDS` words allocates: to post a thousand of them, and to run
/// them.
fn executing<const WORDS: usize>() -> (usize, usize) {
    let busy = Busy::new();
    let sum = Arc::new(AtomicUsize::new(0));
    let posted = allocations(|| {
        for n in 0..TASKS {
            // One of the words is the reference.
            let (sum, words) = (Arc::clone(&sum), [n; WORDS]);
            busy.pool.execute(move || _ = sum.fetch_add(words[WORDS - 1], SeqCst)).unwrap();
        }
    });
    let ran = busy.run();
    assert_eq!(sum.load(SeqCst), TASKS * (TASKS - 1) / 2);
    (posted, ran)
}

#[test]
fn executed_closure_of_48_bytes_allocates_nothing() {
    within_a_minute(|| assert_eq!(executing::<5>(), (0, 0)));
}

#[test]
fn executed_closure_of_56_bytes_is_boxed() {
    within_a_minute(|| assert_eq!(executing::<6>(), (TASKS, 0)));
}

#[test]
fn task_with_a_handle_allocates_once() {
    within_a_minute(|| {
        let busy = Busy::new();
        let mut tasks = Vec::with_capacity(TASKS);
        // Closure, result and the place to wait for it are one.
        let posted =
            allocations(|| (0..TASKS).for_each(|n| tasks.push(busy.pool.submit(move || n).unwrap())));
        let ran = busy.run();
        // All have handed their results over, so no join waits.
        let joined = allocations(|| {
            let sum: usize = tasks.into_iter().map(|task| task.join().unwrap()).sum();
            assert_eq!(sum, TASKS * (TASKS - 1) / 2);
        });
        assert_eq!((posted, ran, joined), (TASKS, 0, 0));
    });
}

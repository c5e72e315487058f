//! How often a pool allocates: not at all for a closure of at most 48 bytes that is executed, once for a task with a
//! handle. A program of its own, because the allocator that counts is the whole program's.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use common::{eventually, within_a_minute};
use selvedge::Pool;

/// The system's allocator, with a count.
struct Counting;

static COUNT: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, SeqCst);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.fetch_add(1, SeqCst);
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
/// For what a worker allocates to go to sleep: a slot, whatever the number of tasks.
const SLEEPS: usize = 8;

/// What `f` makes the program allocate. The tests of this file run one after the other.
fn allocations(f: impl FnOnce()) -> usize {
    let before = COUNT.load(SeqCst);
    f();
    COUNT.load(SeqCst) - before
}

/// One worker, kept busy without a call of ours until `open` is set, so that nobody sleeps or is woken meanwhile.
fn busy() -> (Pool, Arc<AtomicBool>) {
    let pool = Pool::builder().workers(1).queue(2 * TASKS).build().unwrap();
    // The queue's memory comes with its first use, and stays.
    for _ in 0..2 {
        let open = occupy(&pool);
        (0..2 * TASKS).for_each(|_| pool.execute(|| ()).unwrap());
        open.store(true, SeqCst);
        eventually("it is empty", || pool.stats().idle == 1);
    }
    let open = occupy(&pool);
    (pool, open)
}

fn occupy(pool: &Pool) -> Arc<AtomicBool> {
    let (open, waits) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (opened, starts) = (Arc::clone(&open), Arc::clone(&waits));
    pool.execute(move || {
        starts.store(true, SeqCst);
        eventually("it is open", || opened.load(SeqCst));
    })
    .unwrap();
    eventually("it runs", || waits.load(SeqCst));
    open
}

/// Lets the worker run what is queued.
fn run(pool: &Pool, open: &AtomicBool) -> usize {
    allocations(|| {
        open.store(true, SeqCst);
        eventually("it is empty", || pool.stats().idle == 1);
    })
}

#[test]
fn executed_closures_cost_none_and_handles_one() {
    within_a_minute(|| {
        static SUM: AtomicUsize = AtomicUsize::new(0);
        // The largest that is kept in place.
        let (pool, open) = busy();
        let posted = allocations(|| {
            for n in 0..TASKS {
                let words = [n; 6];
                pool.execute(move || _ = SUM.fetch_add(words[5], SeqCst)).unwrap();
            }
        });
        let ran = run(&pool, &open);
        assert_eq!(SUM.load(SeqCst), TASKS * (TASKS - 1) / 2);
        // Whoever sleeps meanwhile, the worker or the test, allocates a place to sleep.
        assert!(posted <= SLEEPS, "{posted} to post them");
        assert!(ran <= SLEEPS, "{ran} to run them");

        // A word more, and it is boxed.
        let (pool, open) = busy();
        let posted = allocations(|| {
            for n in 0..TASKS {
                let words = [n; 7];
                pool.execute(move || _ = SUM.fetch_add(words[6], SeqCst)).unwrap();
            }
        });
        let ran = run(&pool, &open);
        assert_eq!(posted, TASKS);
        assert!(ran <= SLEEPS, "{ran} to run them");

        // Closure, result and the place to wait for it are one.
        let (pool, open) = busy();
        let mut tasks = Vec::with_capacity(TASKS);
        let posted = allocations(|| (0..TASKS).for_each(|n| tasks.push(pool.submit(move || n).unwrap())));
        let ran = run(&pool, &open);
        let joined = allocations(|| {
            let sum: usize = tasks.into_iter().map(|task| task.join().unwrap()).sum();
            assert_eq!(sum, TASKS * (TASKS - 1) / 2);
        });
        assert_eq!(posted, TASKS);
        // The last is counted before it has handed its result over, so whoever joins it may have to wait.
        assert!(joined <= SLEEPS, "{joined} to join them");
        assert!(ran <= SLEEPS, "{ran} to run them");
    });
}

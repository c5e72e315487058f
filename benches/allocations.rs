//! How often a pool allocates for a task, ours and the rivals': a count, not a time, so a program of its own.
//!
//! `cargo bench -p selvedge-benches --bench allocations` prints a table. What is counted is what all threads
//! of the program allocate from the first submit until the last task has run, divided by the tasks.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use selvedge_benches::task_entries;

/// The system's allocator, with a count. Relaxed: the tasks have been waited for when it is read.
struct Counting;

static COUNT: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.fetch_add(1, Relaxed);
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

const TASKS: u64 = 10_000;

fn main() {
    println!("| allocations per task | execute, 48 bytes | submit and join |");
    println!("|---|---|---|");
    for entry in task_entries() {
        let [execute, submit] = [entry.execute, entry.submit].map(|run| {
            // Once for what grows and stays.
            run(TASKS);
            let before = COUNT.load(Relaxed);
            run(TASKS);
            (COUNT.load(Relaxed) - before) as f64 / TASKS as f64
        });
        println!("| {} | {execute:.2} | {submit:.2} |", entry.name);
    }
}

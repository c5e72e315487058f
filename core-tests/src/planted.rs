//! Faults of the kinds that the crate's unsafe code could have, one a run, so that it is known that the
//! sanitizers see them: `.ci/slow asan` and `tsan` fail if one of these passes, or if a program without a
//! fault does not.
//!
//! They are imitations, because what is planted must not be in the library.

use std::cell::UnsafeCell;
use std::env;
use std::hint::{black_box, spin_loop};
use std::mem::MaybeUninit;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

fn main() -> ExitCode {
    match env::args().nth(1).as_deref() {
        Some("use-after-free") => use_after_free(),
        Some("borrow-outlived") => borrow_outlived(),
        Some("store-overrun") => store_overrun(),
        Some("leak") => leak(),
        Some("race") => race(),
        Some("relaxed-hand-over") => hand_over(Ordering::Relaxed, Ordering::Relaxed),
        Some("clean") => hand_over(Ordering::Release, Ordering::Acquire),
        _ => {
            eprintln!(
                "usage: planted use-after-free|borrow-outlived|store-overrun|leak|race|relaxed-hand-over|clean"
            );
            return ExitCode::from(2);
        }
    }
    println!("ended");
    ExitCode::SUCCESS
}

/// A job that is run although its parcel was dropped.
fn use_after_free() {
    let job = Box::into_raw(Box::new([7_u64; 8]));
    // SAFETY: it comes from `into_raw`, and nobody else has it.
    drop(unsafe { Box::from_raw(job) });
    // SAFETY: none; this is the fault.
    black_box(unsafe { *job.cast::<u64>() });
}

/// A scope that returns before its task has ended.
fn borrow_outlived() {
    type Task<'a> = Box<dyn FnOnce() -> u64 + Send + 'a>;
    let task = {
        let lent = vec![7_u64; 8];
        let lent = lent.as_slice();
        // SAFETY: none; this is the fault: what the task borrows ends with the block.
        unsafe { std::mem::transmute::<Task<'_>, Task<'static>>(Box::new(move || black_box(lent)[0])) }
    };
    black_box(thread::spawn(task).join().unwrap());
}

/// A job that is put into a store that it does not fit.
fn store_overrun() {
    let mut store = MaybeUninit::<[usize; 6]>::uninit();
    // SAFETY: none; this is the fault: eight words in the room for six.
    unsafe { black_box(store.as_mut_ptr()).cast::<[usize; 8]>().write(black_box([7; 8])) };
    black_box(&store);
}

/// A job that is neither run nor dropped.
fn leak() {
    std::mem::forget(black_box(Box::new([7_u64; 8])));
}

/// A cell that two threads write at once; the `Sync` is what the ring promises of its own.
struct Cell(UnsafeCell<u64>);

// SAFETY: none in `race` and in the relaxed hand-over; in the other, as argued there.
unsafe impl Sync for Cell {}

fn race() {
    let cell = Arc::new(Cell(UnsafeCell::new(0)));
    let writers = [1, 2].map(|value| {
        let cell = Arc::clone(&cell);
        thread::spawn(move || {
            // SAFETY: none; this is the fault.
            unsafe { *cell.0.get() = value };
        })
    });
    writers.into_iter().for_each(|writer| writer.join().unwrap());
}

/// One thread writes a cell and raises a flag, the other sees the flag and reads the cell: the ring's
/// hand-over.
fn hand_over(publish: Ordering, look: Ordering) {
    let shared = Arc::new((Cell(UnsafeCell::new(0)), AtomicBool::new(false)));
    let writer = thread::spawn({
        let shared = Arc::clone(&shared);
        move || {
            // SAFETY: nobody else accesses the cell before the flag is up.
            unsafe { *shared.0.0.get() = 7 };
            shared.1.store(true, publish);
        }
    });
    while !shared.1.load(look) {
        spin_loop();
        thread::yield_now();
    }
    // SAFETY: the writer is done with it, if the two orderings say so; if they are relaxed, this is the
    // fault.
    assert_eq!(unsafe { *shared.0.0.get() }, 7);
    writer.join().unwrap();
}

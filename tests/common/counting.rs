//! The system's allocator, with a count of the bytes that live and of the most that ever lived at once. A
//! program that counts makes it its own: `#[global_allocator] static ALLOCATOR: Counting = Counting;`.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

pub(crate) struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// Returns the number of bytes that live.
#[allow(dead_code, reason = "each test file uses its own part")]
pub(crate) fn live() -> isize {
    LIVE.load(SeqCst) as isize
}

/// Returns the most bytes that lived at once since [`begin_peak`].
#[allow(dead_code, reason = "each test file uses its own part")]
pub(crate) fn peak() -> isize {
    PEAK.load(SeqCst) as isize
}

/// Forgets earlier peaks. Returns the number of bytes that live.
#[allow(dead_code, reason = "each test file uses its own part")]
pub(crate) fn begin_peak() -> isize {
    PEAK.store(LIVE.load(SeqCst), SeqCst);
    live()
}

fn count(more: usize, less: usize) {
    // Added before it is subtracted: the number is never below what lives.
    let live = LIVE.fetch_add(more, SeqCst) + more - less;
    LIVE.fetch_sub(less, SeqCst);
    PEAK.fetch_max(live, SeqCst);
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(block, layout) }
    }
}

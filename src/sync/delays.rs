//! Random delays before a thread locks and before it sleeps, under `--cfg selvedge_delays`: what a busy
//! machine does to a thread at any step, done often. Tests that take "it is in the list" for "it sleeps", or
//! "it was started" for "it runs", fail then within a run instead of once in a hundred.
//!
//! `.ci/slow delays` runs the tests so. Without the flag [`delay`] is empty.

#[cfg(selvedge_delays)]
pub(super) fn delay() {
    use std::cell::Cell;
    use std::time::Duration;

    std::thread_local! {
        static STATE: Cell<u64> = const { Cell::new(0) };
    }
    // Not at the end of a thread, when thread-locals are being destroyed.
    let _ = STATE.try_with(|state| {
        // Its address differs from thread to thread. Xorshift, which must not start at 0.
        let mut dice =
            if state.get() == 0 { std::ptr::from_ref(state).addr() as u64 | 1 } else { state.get() };
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        state.set(dice);
        match dice >> 32 & 0xFFF {
            0 => std::thread::sleep(Duration::from_millis(5)),
            1..64 => std::thread::sleep(Duration::from_micros(200)),
            64..512 => std::thread::yield_now(),
            _ => {}
        }
    });
}

#[cfg(not(selvedge_delays))]
#[inline(always)]
pub(super) fn delay() {}

//! The processor's time stamp counter: the two unsafe calls that read it.

use core::arch::x86_64::{_mm_lfence, _rdtsc};

/// The counter. The processor may read it before instructions that come earlier in the program, so the value
/// may be too low by as long as those take.
#[inline(always)]
pub(super) fn read() -> u64 {
    // SAFETY:
    // - `_rdtsc` takes no argument, touches no memory, and demands only that the processor has the
    //   instruction: every x86-64 has it.
    // - The system can forbid it to a program (`PR_SET_TSC`), which ends with a signal, as the system's own
    //   clock then does; it is no undefined behaviour.
    unsafe { _rdtsc() }
}

/// The counter, read when all earlier instructions have completed, and before any later one starts.
pub(super) fn read_in_order() -> u64 {
    // SAFETY: the intrinsic demands SSE2, which is part of x86-64. It takes no argument and returns nothing.
    unsafe { _mm_lfence() };
    let count = read();
    // SAFETY: as above.
    unsafe { _mm_lfence() };
    count
}

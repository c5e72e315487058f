//! The behaviours of an execution that are not a matter of its schedule: the wake policy, the spurious
//! failure, the expired waits.

use std::cell::Cell;

use crate::sync::failure::Policy;

/// The number of expired waits in an execution. Without a limit, a loop that polls with a time-out would be
/// explored forever. After it, a timed wait waits for its notification.
const EXPIRIES: u32 = 6;

/// The number of opportunities for a spurious failure that are tried, one in each exploration: the first, and
/// the second if any execution had two.
pub(super) const OPPORTUNITIES: u32 = 2;

// Of the OS thread: all threads of a model run on the one that called `check`.
std::thread_local! {
    static POLICY: Cell<Policy> = const { Cell::new(Policy::OldestFirst) };
    /// The opportunities to skip before the one that is used; `None` once it was used, or if none is.
    static OPPORTUNITIES_LEFT: Cell<Option<u32>> = const { Cell::new(None) };
    /// Whether an execution of this exploration had another opportunity after the one that was used.
    static HAD_ANOTHER: Cell<bool> = const { Cell::new(false) };
    static SKIPS_YIELD: Cell<bool> = const { Cell::new(false) };
    static EXPIRIES_LEFT: Cell<u32> = const { Cell::new(0) };
}

/// Begins an exploration.
pub(super) fn forget_opportunities() {
    HAD_ANOTHER.set(false);
}

/// True if an execution of this exploration had an opportunity after the one that was used.
pub(super) fn had_another() -> bool {
    HAD_ANOTHER.get()
}

/// Begins an execution.
pub(super) fn restart(policy: Policy, opportunity: u32) {
    POLICY.set(policy);
    OPPORTUNITIES_LEFT.set((policy == Policy::Spurious).then_some(opportunity));
    SKIPS_YIELD.set(policy == Policy::Spurious);
    EXPIRIES_LEFT.set(EXPIRIES);
}

pub(super) fn policy() -> Policy {
    POLICY.get()
}

/// True at one opportunity of an execution under [`Policy::Spurious`].
pub(super) fn takes_spurious() -> bool {
    match (policy(), OPPORTUNITIES_LEFT.get()) {
        (Policy::Spurious, Some(left)) => {
            OPPORTUNITIES_LEFT.set(left.checked_sub(1));
            left == 0
        }
        (Policy::Spurious, None) => {
            HAD_ANOTHER.set(true);
            false
        }
        _ => false,
    }
}

/// True once per execution under [`Policy::Spurious`].
pub(super) fn skips_yield() -> bool {
    SKIPS_YIELD.replace(false)
}

/// True while the execution's budget of expired waits lasts.
pub(super) fn takes_expiry() -> bool {
    let left = EXPIRIES_LEFT.get();
    EXPIRIES_LEFT.set(left.saturating_sub(1));
    left > 0
}

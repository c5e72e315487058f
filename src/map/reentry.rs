//! The maps that this thread is inside, so that a re-entrant call can be refused.
//!
//! Shard locks are not reentrant: a call from under one deadlocks for some keys and succeeds for others. Each
//! call records the map that it enters before it locks a shard, so that the mistake is found for every key,
//! the first time. Nesting different maps is fine; re-entering the same map is not.
//!
//! The innermost map is a plain cell, which is all that almost every call needs. The list of outer maps is
//! touched only when a closure of one map calls another.

use crate::wait::context;

/// Marks this thread as inside a map until it is dropped. Guards are dropped in reverse order, because each
/// lives as long as a lock guard on the stack.
#[must_use = "dropping it leaves the map"]
pub(super) struct Inside {
    before: usize,
}

/// Proof that this thread may enter a map.
pub(super) struct Free {
    map: usize,
    before: usize,
}

/// Checks that this thread may enter the map at that address, before it locks anything.
///
/// # Panics
/// If it is inside the map already.
#[inline]
#[track_caller]
pub(super) fn check(map: usize) -> Free {
    let before = innermost();
    // Usually the thread is inside no map, and nothing else is looked at.
    if before != 0 {
        refuse_if_inside(map);
    }
    Free { map, before }
}

#[inline]
fn innermost() -> usize {
    // Without a context, while thread-locals are destroyed, the thread counts as outside: a re-entrant call
    // then deadlocks instead of panicking, but a correct one works.
    context::with(|context| context.map().get()).unwrap_or(0)
}

#[inline]
fn set_innermost(map: usize) {
    context::with(|context| context.map().set(map));
}

impl Free {
    /// Enters the map. Called after locking: the lock's atomic operation would wait for a store before it.
    #[inline]
    pub(super) fn enter(self) -> Inside {
        if self.before != 0 {
            push_outer(self.before);
        }
        set_innermost(self.map);
        Inside { before: self.before }
    }
}

/// True if this thread is inside the map at that address.
#[inline]
pub(super) fn is_inside(map: usize) -> bool {
    let innermost = innermost();
    innermost != 0 && (innermost == map || is_outer(map))
}

#[cold]
fn is_outer(map: usize) -> bool {
    context::with(|context| context.with_outer_maps(|outer| outer.contains(&map))).unwrap_or(false)
}

#[cold]
#[track_caller]
fn refuse_if_inside(map: usize) {
    assert!(
        !is_inside(map),
        "a closure that runs under a lock of this ShardedMap called the same map, and would wait for itself: return \
         what you need from the closure and call the map afterwards, or use `get_or_insert_with`, whose closure runs \
         under no lock"
    );
}

#[cold]
fn push_outer(before: usize) {
    context::with(|context| context.with_outer_maps(|outer| outer.push(before)));
}

#[cold]
fn pop_outer() {
    context::with(|context| context.with_outer_maps(Vec::pop));
}

impl Drop for Inside {
    #[inline]
    fn drop(&mut self) {
        // Guards nest like the locks that they accompany, so the previous map is the innermost again.
        set_innermost(self.before);
        // The outer list has an entry only if this map was entered from inside another.
        if self.before != 0 {
            pop_outer();
        }
    }
}

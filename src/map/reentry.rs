//! Which maps this thread is inside, so that a closure that calls back into its map is told.
//!
//! Shard locks are not reentrant: a call from under one would wait for its own thread, on some keys, and go
//! well on others. Each call says here which map it enters before it locks a shard, so that the mistake is
//! found on every key, and the first time. A map inside another is well: only a map inside itself is not.
//!
//! The innermost map is a plain cell, because that is all there is in almost every call; the list of the
//! outer ones is touched only where a closure of one map calls another.

use crate::wait::context;

/// This thread is inside a map, until it is dropped. Dropped in the reverse of the order in which they are
/// made, because each lives as long as a lock guard on the stack.
#[must_use = "dropping it leaves the map"]
pub(super) struct Inside {
    before: usize,
}

/// The way into a map is free for this thread.
pub(super) struct Free {
    map: usize,
    before: usize,
}

/// Looks whether this thread may enter the map at that address, before it locks anything.
///
/// # Panics
/// If it is inside.
#[inline]
#[track_caller]
pub(super) fn check(map: usize) -> Free {
    let before = innermost();
    if before != 0 {
        refuse_if_inside(map);
    }
    Free { map, before }
}

#[inline]
fn innermost() -> usize {
    context::with(|context| context.map().get()).unwrap_or(0)
}

#[inline]
fn set_innermost(map: usize) {
    context::with(|context| context.map().set(map));
}

impl Free {
    /// Enters. It comes after locking, because a store before it would be waited for.
    #[inline]
    pub(super) fn enter(self) -> Inside {
        if self.before != 0 {
            go_deeper(self.before);
        }
        set_innermost(self.map);
        Inside { before: self.before }
    }
}

/// Whether this thread is inside the map at that address.
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
fn go_deeper(before: usize) {
    context::with(|context| context.with_outer_maps(|outer| outer.push(before)));
}

#[cold]
fn come_back() {
    context::with(|context| context.with_outer_maps(Vec::pop));
}

impl Drop for Inside {
    #[inline]
    fn drop(&mut self) {
        set_innermost(self.before);
        if self.before != 0 {
            come_back();
        }
    }
}

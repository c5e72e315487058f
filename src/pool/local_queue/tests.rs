//! The numbers that others see without the lock, and the places.

use super::super::job::PlainJob;
use super::*;

fn raw() -> RawJob {
    RawJob::new(PlainJob { f: || (), name: () })
}

/// A local queue that was lent this many places, with a task on one of them.
fn with_a_task(wait_points: usize) -> Arc<LocalQueue> {
    let local = LocalQueue::new();
    assert!(local.keep_and_tell(|| wait_points, raw).is_ok());
    local
}

#[test]
fn places_are_asked_for_only_if_none_is_free() {
    let local = with_a_task(2);
    assert!(local.keep_and_tell(|| panic!("a place is free"), raw).is_ok());
    assert!(local.keep_and_tell(|| 0, raw).is_err(), "no more are to be had");
    assert_eq!(local.count(), 2);
}

#[test]
fn desk_that_was_emptied_shows_no_task() {
    let local = with_a_task(2);
    assert_eq!((local.drain().len(), local.count()), (1, 0));
    let local = with_a_task(2);
    let (tasks, wait_points) = local.clear();
    assert_eq!((tasks.len(), wait_points, local.count()), (1, 2, 0));
}

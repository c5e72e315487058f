//! The count that is read without the lock, and the capacity.

use super::super::job::PlainJob;
use super::*;

fn job() -> RawJob {
    RawJob::new(PlainJob { f: || (), name: () })
}

/// A local queue of this capacity with one task.
fn with_a_task(capacity: usize) -> Arc<LocalQueue> {
    let local = LocalQueue::new();
    assert!(local.push_watched(|| capacity, job).is_ok());
    local
}

#[test]
fn capacity_is_borrowed_only_if_none_is_free() {
    let local = with_a_task(2);
    assert!(local.push_watched(|| panic!("there is capacity"), job).is_ok());
    assert!(local.push_watched(|| 0, job).is_err(), "no more is lent");
    assert_eq!(local.count(), 2);
}

#[test]
fn emptied_local_queue_shows_no_task() {
    let local = with_a_task(2);
    assert_eq!((local.drain().count(), local.count()), (1, 0));
    let local = with_a_task(2);
    let (tasks, capacity) = local.clear();
    assert_eq!((tasks.count(), capacity, local.count()), (1, 2, 0));
}

#[test]
fn thief_without_tasks_takes_half_with_their_capacity() {
    let victim = with_a_task(8);
    (1..6).for_each(|_| assert!(victim.push_watched(|| panic!("there is capacity"), job).is_ok()));
    let own = LocalQueue::new();
    assert!(victim.steal(&own).is_some());
    assert_eq!((victim.count(), own.count()), (3, 2));
    assert_eq!((victim.clear().1, own.clear().1), (6, 2));
}

#[test]
fn thief_with_a_task_takes_one_and_so_does_the_owner() {
    let (victim, own) = (with_a_task(8), with_a_task(1));
    (1..6).for_each(|_| assert!(victim.push_watched(|| panic!("there is capacity"), job).is_ok()));
    assert!(victim.steal(&own).is_some());
    assert!(victim.steal(&victim).is_some());
    assert_eq!((victim.count(), own.count()), (4, 1));
}

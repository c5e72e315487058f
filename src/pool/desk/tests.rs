//! The numbers that others see without the lock, and the places.

use super::super::job::Errand;
use super::*;

fn parcel() -> Parcel {
    Parcel::new(Errand(|| ()))
}

/// A desk that was lent this many places, with a task on one of them.
fn with_a_task(places: usize) -> Arc<Desk> {
    let desk = Desk::new();
    assert!(desk.keep_and_tell(|| places, parcel).is_ok());
    desk
}

#[test]
fn places_are_asked_for_only_if_none_is_free() {
    let desk = with_a_task(2);
    assert!(desk.keep_and_tell(|| panic!("a place is free"), parcel).is_ok());
    assert!(desk.keep_and_tell(|| 0, parcel).is_err(), "no more are to be had");
    assert_eq!(desk.count(), 2);
}

#[test]
fn desk_that_was_emptied_shows_no_task() {
    let desk = with_a_task(2);
    assert_eq!((desk.drain().len(), desk.count()), (1, 0));
    let desk = with_a_task(2);
    let (tasks, places) = desk.clear();
    assert_eq!((tasks.len(), places, desk.count()), (1, 2, 0));
}

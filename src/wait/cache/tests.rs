//! States that schedules on real threads seldom reach.

use super::{Call, Queued, State, Urgency};
use crate::wait::Waiter;

/// A state with these calls and that many waking helpers.
fn with_calls(numbers: &[u64], waking: usize) -> State {
    let queued = |number: &u64| Queued {
        number: *number,
        call: Call::Boxed(Box::new(|| ())),
        urgency: Urgency::Immediate,
    };
    let calls = numbers.iter().map(queued).collect();
    State { calls, waking, ..State::default() }
}

#[test]
fn call_has_no_helper_only_while_it_is_queued_and_there_are_more_calls_than_waking_helpers() {
    assert!(with_calls(&[7], 0).has_none_for(7));
    assert!(with_calls(&[6, 7, 8], 2).has_none_for(7));
    assert!(!with_calls(&[7], 1).has_none_for(7), "one comes for it");
    assert!(!with_calls(&[6, 8], 0).has_none_for(7), "a helper has taken it");
}

/// A state with one call and waking helpers, some of which are parked briefly.
fn with_briefly_parked(waking: usize, briefly_parked: usize) -> State {
    let briefly_parked = std::iter::repeat_with(Waiter::new).take(briefly_parked).collect();
    State { briefly_parked, ..with_calls(&[7], waking) }
}

/// Fails if an immediate call leaves the helper parked that it relies on (edit `cache-lets-helpers-park`).
#[test]
fn call_wakes_a_briefly_parked_helper_unless_it_is_deferrable_or_another_is_waking() {
    let briefly_parked = |mut state: State, urgency| {
        drop(state.called(7, urgency));
        state.briefly_parked.len()
    };
    assert_eq!(briefly_parked(with_briefly_parked(1, 1), Urgency::Deferrable), 1);
    assert_eq!(briefly_parked(with_briefly_parked(1, 1), Urgency::Immediate), 0);
    assert_eq!(briefly_parked(with_briefly_parked(2, 2), Urgency::Immediate), 1);
    assert_eq!(briefly_parked(with_briefly_parked(2, 1), Urgency::Immediate), 1, "one is awake and comes");
}

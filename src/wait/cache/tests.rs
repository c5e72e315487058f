//! What no schedule on real threads reaches often.

use super::{Call, Patience, State};
use crate::wait::Waiter;

/// A state with these calls, for which so many helpers come.
fn with_calls(numbers: &[u64], waking: usize) -> State {
    let calls = numbers.iter().map(|number| (*number, Call::Boxed(Box::new(|| ())))).collect();
    State { calls, waking, ..State::default() }
}

#[test]
fn call_has_no_helper_only_while_it_waits_and_fewer_come_than_there_are_calls() {
    assert!(with_calls(&[7], 0).has_none_for(7));
    assert!(with_calls(&[6, 7, 8], 2).has_none_for(7));
    assert!(!with_calls(&[7], 1).has_none_for(7), "one comes for it");
    assert!(!with_calls(&[6, 8], 0).has_none_for(7), "a helper has taken it");
}

/// A state with a call for which helpers come, of which so many nap.
fn with_naps(waking: usize, naps: usize) -> State {
    let naps = std::iter::repeat_with(Waiter::new).take(naps).collect();
    State { naps, ..with_calls(&[7], waking) }
}

/// Fails if a call that is not patient lets the helper nap that it relies on (edit `crew-lets-helpers-nap`).
#[test]
fn call_wakes_a_helper_that_naps_unless_it_is_patient_or_another_comes() {
    let naps = |mut state: State, patience| {
        drop(state.called(7, patience));
        state.naps.len()
    };
    assert_eq!(naps(with_naps(1, 1), Patience::Patient), 1);
    assert_eq!(naps(with_naps(1, 1), Patience::Impatient), 0);
    assert_eq!(naps(with_naps(2, 2), Patience::Impatient), 1);
    assert_eq!(naps(with_naps(2, 1), Patience::Impatient), 1, "one is awake and comes");
}

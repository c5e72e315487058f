//! What no schedule on real threads reaches often.

use super::State;

/// A state with these calls, for which so many helpers come.
fn with_calls(numbers: &[u64], coming: usize) -> State {
    let calls = numbers.iter().map(|number| (*number, Box::new(|| ()) as super::Call)).collect();
    State { calls, coming, ..State::default() }
}

#[test]
fn call_has_no_helper_only_while_it_waits_and_fewer_come_than_there_are_calls() {
    assert!(with_calls(&[7], 0).has_none_for(7));
    assert!(with_calls(&[6, 7, 8], 2).has_none_for(7));
    assert!(!with_calls(&[7], 1).has_none_for(7), "one comes for it");
    assert!(!with_calls(&[6, 8], 0).has_none_for(7), "a helper has taken it");
}

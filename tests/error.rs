//! Errors as a caller meets them: sentences, sources, conversions, and the value that comes back.

use std::error::Error;

use selvedge::error::{Cancelled, Closed, Rejected, TryError, WaitError};

/// Has none of the traits that printing needs.
#[derive(PartialEq)]
struct Plain;

fn rejected<E>(error: E) -> Rejected<Plain, E> {
    Rejected { value: Plain, error }
}

#[test]
fn every_reason_is_a_sentence_of_its_own() {
    let mut sentences = vec![
        Closed.to_string(),
        Cancelled.to_string(),
        TryError::WouldBlock.to_string(),
        TryError::InsufficientCapacity.to_string(),
        WaitError::TimedOut.to_string(),
        WaitError::WouldDeadlock.to_string(),
    ];
    assert!(sentences.iter().all(|sentence| sentence.len() > 10), "{sentences:?}");
    sentences.sort();
    sentences.dedup();
    assert_eq!(sentences.len(), 6);
}

#[test]
fn same_reason_reads_the_same_in_every_type() {
    assert_eq!(TryError::Closed.to_string(), Closed.to_string());
    assert_eq!(WaitError::Closed.to_string(), Closed.to_string());
    assert_eq!(WaitError::Cancelled.to_string(), Cancelled.to_string());
    assert_eq!(WaitError::InsufficientCapacity.to_string(), TryError::InsufficientCapacity.to_string());
}

#[test]
fn rejected_value_needs_no_debug_and_comes_back() {
    let error = rejected(WaitError::TimedOut);
    assert!(format!("{error:?}").contains("TimedOut"));
    assert!(error.to_string().contains("timed out"));
    assert!(error.into_value() == Plain);
}

#[test]
fn rejected_has_the_reason_as_its_source() {
    let error = rejected(Closed);
    let source = error.source().and_then(|source| source.downcast_ref::<Closed>());
    assert_eq!(source, Some(&Closed));
}

#[test]
fn question_mark_turns_narrow_reasons_into_wide_ones() {
    fn wait(error: impl Into<WaitError>) -> Result<(), WaitError> {
        Err(error.into())
    }
    assert_eq!(wait(Closed), Err(WaitError::Closed));
    assert_eq!(wait(Cancelled), Err(WaitError::Cancelled));
    assert_eq!(TryError::from(Closed), TryError::Closed);
}

#[test]
fn rejected_closure_fits_into_a_boxed_error() {
    fn fails() -> Result<(), Box<dyn Error + Send + Sync>> {
        Err(Rejected { value: || Plain, error: Closed })?
    }
    assert!(fails().unwrap_err().to_string().contains("closed"));
}

//! Errors as a caller meets them: sentences, sources, conversions, and the value that comes back.

use std::error::Error;

use selvedge::Pool;
use selvedge::error::{Cancelled, Closed, JoinError, Partial, Rejected, TryError, WaitError, WouldDeadlock};

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
    for deadlock in
        [WouldDeadlock.to_string(), TryError::WouldDeadlock.to_string(), JoinError::WouldDeadlock.to_string()]
    {
        assert_eq!(deadlock, WaitError::WouldDeadlock.to_string());
    }
}

#[test]
fn rejected_reads_as_its_reason() {
    assert_eq!(rejected(Closed).to_string(), "not taken, closed: no more will come");
}

#[test]
fn partial_says_why_and_how_far() {
    let partial = Partial { value: "2 of 3", error: WaitError::TimedOut };
    assert_eq!(partial.to_string(), "timed out: the limit passed first; 2 of 3");
    assert_eq!(partial.source().and_then(|source| source.downcast_ref()), Some(&WaitError::TimedOut));
    assert_eq!(partial.into_value(), "2 of 3");
}

#[test]
fn payload_of_a_panic_goes_to_the_first_that_takes_it_and_its_text_to_all() {
    let pool = Pool::builder().workers(1).build().unwrap();
    let task = pool.submit(|| std::panic::resume_unwind(Box::new(7_u32))).unwrap();
    let Err(JoinError::Panicked(panic)) = task.join().map(|(): ()| ()) else { panic!("it panicked") };
    let clone = panic.clone();
    assert_eq!((panic.message(), &panic), ("a payload that is not text", &clone));
    assert_eq!(clone.to_string(), panic.message());
    assert_eq!(panic.into_payload().downcast_ref(), Some(&7_u32));
    assert_eq!(clone.into_payload().downcast_ref(), Some(&"a payload that is not text".to_owned()));
}

#[test]
fn join_errors_are_equal_if_they_read_alike() {
    let pool = Pool::builder().workers(1).build().unwrap();
    let told = ["a", "a", "b"].map(|text| {
        let task = pool.submit(move || std::panic::resume_unwind(Box::new(text))).unwrap();
        task.join().map(|(): ()| ()).unwrap_err()
    });
    assert!(told[0] == told[1] && told[0] != told[2] && told[0] != JoinError::Cancelled);
    assert_eq!(JoinError::from(Cancelled), JoinError::Cancelled);
    assert_eq!(JoinError::from(WouldDeadlock), JoinError::WouldDeadlock);
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

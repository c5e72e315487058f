//! Hosts that answer again and again that it is too much.

use std::time::Duration;

use super::engine::Engine;
use super::fetch::{ErrorKind, FetchError, Response};
use super::frontier::{LaneId, Turn};
use super::record::Record;

/// Answers of 429 in a row after which a host is given up.
const TOO_MUCH: u32 = 8;

impl Engine {
    /// Counts answers that say that it is too much; true if those are too many in a row.
    pub(super) fn note_too_much(&self, lane: LaneId, answer: &Result<Response, FetchError>) -> bool {
        let mut too_much = self.too_much.lock();
        match answer {
            Ok(response) if response.status == 429 => {
                let count = too_much.entry(lane).or_default();
                *count += 1;
                *count >= TOO_MUCH
            }
            Ok(_) => {
                too_much.remove(&lane);
                false
            }
            Err(_) => false,
        }
    }

    pub(super) fn is_given_up(&self, lane: LaneId) -> bool {
        self.too_much.lock().get(&lane).is_some_and(|&count| count >= TOO_MUCH)
    }

    /// Settles a page of a host that wants to be left alone.
    pub(super) fn give_up(&self, turn: Turn<'_, Record>) {
        let why = format!("its host has answered 429 {TOO_MUCH} times in a row");
        let record = Record::failed(&FetchError::new(ErrorKind::GivenUp, why), Duration::ZERO, turn.tries);
        self.settle(turn, record, Vec::new());
    }
}

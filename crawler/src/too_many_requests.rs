//! Hosts that answer again and again that it is too much.

use std::time::Duration;

use super::engine::Engine;
use super::fetch::{ErrorKind, FetchError, Response};
use super::frontier::{HostId, Lease};
use super::record::Record;

/// Answers of 429 in a row after which a host is given up.
const TOO_MANY: u32 = 8;

impl Engine {
    /// Counts answers that say that it is too much; true if those are too many in a row.
    pub(super) fn count_too_many(&self, host: HostId, answer: &Result<Response, FetchError>) -> bool {
        let mut too_many_requests = self.too_many_requests.lock();
        match answer {
            Ok(response) if response.status == 429 => {
                let count = too_many_requests.entry(host).or_default();
                *count += 1;
                *count >= TOO_MANY
            }
            Ok(_) => {
                too_many_requests.remove(&host);
                false
            }
            Err(_) => false,
        }
    }

    pub(super) fn is_given_up(&self, host: HostId) -> bool {
        self.too_many_requests.lock().get(&host).is_some_and(|&count| count >= TOO_MANY)
    }

    /// Settles a page of a host that wants to be left alone.
    pub(super) fn give_up(&self, lease: Lease<'_, Record>) {
        let why = format!("its host has answered 429 {TOO_MANY} times in a row");
        let record = Record::failed(&FetchError::new(ErrorKind::GivenUp, why), Duration::ZERO, lease.tries);
        self.settle(lease, record, Vec::new());
    }
}

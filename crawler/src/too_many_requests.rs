//! Hosts that keep answering 429 Too Many Requests.

use std::time::Duration;

use super::engine::Engine;
use super::fetch::{ErrorKind, FetchError, Response};
use super::frontier::{HostId, Lease};
use super::record::Record;

/// Consecutive 429 answers after which a host is given up. A host that limits its rate recovers after a pause
/// or two, long before.
const TOO_MANY: u32 = 8;

impl Engine {
    /// Counts consecutive 429 answers of a host, and returns whether it is to be given up.
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

    /// Whether a host has been given up.
    pub(super) fn is_given_up(&self, host: HostId) -> bool {
        self.too_many_requests.lock().get(&host).is_some_and(|&count| count >= TOO_MANY)
    }

    /// Settles a page of a host that has been given up, without a request.
    pub(super) fn give_up(&self, lease: Lease<'_, Record>) {
        let why = format!("its host has answered 429 {TOO_MANY} times in a row");
        let record = Record::failed(&FetchError::new(ErrorKind::GivenUp, why), Duration::ZERO, lease.tries);
        self.settle(lease, record);
    }
}

//! What a host allows: which pages, how many requests at a time, and how fast.

use std::time::{Duration, Instant};

use selvedge::error::WaitError;
use selvedge::semaphore::Permit;
use selvedge::sync::{Arc, Mutex};
use selvedge::{CancelToken, Semaphore};

use crate::fetch::Rules;

/// The door to one host. Whoever is inside makes a request and leaves; nobody inside waits for another page,
/// so the door always opens again.
#[derive(Debug)]
pub(crate) struct Gate {
    permits: Semaphore,
    width: usize,
    /// What the host's robots.txt asks for between two requests.
    delay: Duration,
    /// When the next request may start.
    next: Mutex<Option<Instant>>,
}

impl Gate {
    /// Lets in `requests` at a time, or if there must be a delay between them, one.
    pub(crate) fn new(requests: usize, delay: Duration) -> Self {
        let width = if delay.is_zero() { requests } else { 1 };
        Gate { permits: Semaphore::new(width), width, delay, next: Mutex::new(None) }
    }

    /// How many it lets in at a time.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Waits until a request may start. The host is busy with it until the permit is dropped.
    pub(crate) fn enter(&self, token: &CancelToken) -> Result<Permit<'_>, WaitError> {
        let permit = self.permits.acquire_until(token)?;
        if !self.delay.is_zero() {
            token.sleep(self.reserve(token.clock().now()))?;
        }
        Ok(permit)
    }

    /// Takes the next start that is free, and says how far away it is.
    fn reserve(&self, now: Instant) -> Duration {
        let mut next = self.next.lock();
        let start = next.map_or(now, |next| next.max(now));
        *next = Some(start + self.delay);
        start - now
    }
}

/// What is known of a host that a page was taken of.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) gate: Arc<Gate>,
    /// `None` while its robots.txt is on the way, and then it has no room.
    pub(crate) rules: Option<Rules>,
    pub(crate) in_flight: usize,
}

impl Host {
    /// A host that is about to be asked for its rules.
    pub(crate) fn unknown(requests: usize) -> Self {
        Host { gate: Arc::new(Gate::new(requests, Duration::ZERO)), rules: None, in_flight: 0 }
    }

    /// A host that has answered.
    pub(crate) fn known(rules: Rules, requests: usize) -> Self {
        Host { gate: Arc::new(Gate::new(requests, rules.delay())), rules: Some(rules), in_flight: 0 }
    }

    /// True if it may get another errand: as many as its gate lets in, and one that stands before it.
    pub(crate) fn has_room(&self) -> bool {
        self.rules.is_some() && self.in_flight <= self.gate.width()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_start_a_delay_apart() {
        let delay = Duration::from_secs(2);
        let gate = Gate::new(8, delay);
        let now = Instant::now();
        assert_eq!(
            [gate.reserve(now), gate.reserve(now), gate.reserve(now + delay)],
            [Duration::ZERO, delay, delay]
        );
        assert_eq!(gate.reserve(now + 10 * delay), Duration::ZERO);
    }

    #[test]
    fn a_cancelled_crawl_enters_nowhere() {
        let token = CancelToken::new();
        let gate = Gate::new(1, Duration::ZERO);
        let inside = gate.enter(&token).unwrap();
        token.cancel();
        drop(inside);
        assert_eq!(gate.enter(&token).unwrap_err(), WaitError::Cancelled);
    }
}

//! How many requests a host gets at a time, and how fast.

use std::time::{Duration, Instant};

use selvedge::error::WaitError;
use selvedge::semaphore::Permit;
use selvedge::sync::Mutex;
use selvedge::{CancelToken, Semaphore};

/// The door to one host. Whoever is inside makes a request and leaves; nobody inside waits for another page,
/// so the door always opens again.
#[derive(Debug)]
pub(crate) struct Gate {
    permits: Semaphore,
    /// What the host's robots.txt asks for between two requests.
    delay: Duration,
    /// When the next request may start.
    next: Mutex<Option<Instant>>,
}

impl Gate {
    pub(crate) fn new(requests: usize, delay: Duration) -> Self {
        Gate { permits: Semaphore::new(requests), delay, next: Mutex::new(None) }
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

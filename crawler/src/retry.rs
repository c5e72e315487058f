//! Whether a request is repeated, and when.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use selvedge::retry::{Jitter, policy};

use super::fetch::{ErrorKind, FetchError, Response};
use super::settings::RetrySettings;

/// What to do after an answer or a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// The result is final.
    No,
    /// Repeat the request after this time.
    After(Duration),
    /// Repeat the request after this time, and send nothing else to the host until then.
    Pause(Duration),
}

impl RetrySettings {
    /// Decides for a page that has been retried `tries` times.
    pub(super) fn decide(&self, url: &str, tries: u32, answer: &Result<Response, FetchError>) -> Again {
        let asked = match answer {
            Ok(response) if is_passing(response.status) => wait_asked_by(response),
            Err(error) if is_passing_failure(error.kind) => None,
            _ => return Again::No,
        };
        match asked {
            _ if tries >= self.times => Again::No,
            // The host asks for a longer pause than the crawl waits for.
            Some(wait) if wait > self.patience => Again::No,
            Some(wait) => Again::Pause(wait),
            None => Again::After(self.back_off(url, tries)),
        }
    }

    /// The wait doubles with each try. Up to half of it is taken off, by a hash of the URL, so that pages
    /// that failed together are not retried together; the same seed gives the same waits.
    fn back_off(&self, url: &str, tries: u32) -> Duration {
        let mut hasher = DefaultHasher::new();
        (self.seed, url).hash(&mut hasher);
        // `decide` counts the tries.
        let policy = policy().attempts(usize::MAX).first(self.first).cap(self.most);
        let pause = policy.jitter(Jitter::Equal).seed(hasher.finish()).pause_after(tries as usize + 1);
        pause.unwrap_or(self.most)
    }
}

/// Whether a status reports a passing state: too many requests, a time-out at the server, a gateway's
/// trouble.
pub(super) fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 502 | 503 | 504)
}

/// Whether a failure may be gone the next time.
pub(super) fn is_passing_failure(kind: ErrorKind) -> bool {
    use ErrorKind::{ConnectionLost, ConnectionRefused, GivenUp, TimedOut};
    matches!(kind, TimedOut | ConnectionLost | ConnectionRefused | GivenUp)
}

/// The wait that `Retry-After` asks for, in seconds or until a date (RFC 9110 section 10.2.3). A date is
/// counted from the answer's own `Date`: the difference is right even if the server's clock is wrong.
fn wait_asked_by(response: &Response) -> Option<Duration> {
    let text = response.get("retry-after")?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number that does not fit is a long time, not a mistake.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    let sent = httpdate::parse_http_date(response.get("date")?.trim()).ok()?;
    Some(until.duration_since(sent).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(tries: u32, response: Response) -> Again {
        RetrySettings::default().decide("http://a.test/", tries, &Ok(response))
    }

    #[test]
    fn what_passes_is_tried_again_and_what_stays_is_not() {
        for status in [200, 301, 404, 410, 500, 501] {
            assert_eq!(decide(0, Response::status(status)), Again::No, "{status}");
        }
        for status in [408, 429, 502, 503, 504] {
            assert!(matches!(decide(0, Response::status(status)), Again::After(_)), "{status}");
            assert_eq!(decide(2, Response::status(status)), Again::No, "{status}");
        }
        let failed = |kind| RetrySettings::default().decide("x", 0, &Err(FetchError::new(kind, "")));
        assert!(matches!(failed(ErrorKind::TimedOut), Again::After(_)));
        assert_eq!(failed(ErrorKind::NoSuchHost), Again::No);
        assert_eq!(failed(ErrorKind::Stopped), Again::No);
    }

    #[test]
    fn a_host_that_says_when_is_left_alone_until_then() {
        let after = |text: &str| decide(0, Response::status(429).header("Retry-After", text));
        assert_eq!(after("7"), Again::Pause(Duration::from_secs(7)));
        assert_eq!(after("3600"), Again::No);
        assert_eq!(after("99999999999999999999999"), Again::No);
        let until = |date: &str| {
            let response = Response::status(503).header("Retry-After", date);
            decide(0, response.header("Date", "Wed, 25 Nov 2026 12:00:00 GMT"))
        };
        assert_eq!(until("Wed, 25 Nov 2026 12:00:40 GMT"), Again::Pause(Duration::from_secs(40)));
        assert_eq!(until("Thu, 01 Jan 1970 00:00:00 GMT"), Again::Pause(Duration::ZERO));
        assert_eq!(until("Wed, 25 Nov 2026 13:00:00 GMT"), Again::No);
        // Without a `Date` there is nothing to count from.
        assert!(matches!(after("Wed, 25 Nov 2026 12:00:40 GMT"), Again::After(_)));
        for garbage in ["soon", "", "-1", "+7", "7.5", "7 s"] {
            assert!(matches!(after(garbage), Again::After(_)), "{garbage}");
        }
    }

    #[test]
    fn waits_double_up_to_a_limit_and_differ_from_page_to_page() {
        let settings = RetrySettings { times: 40, ..RetrySettings::default() };
        for tries in [0, 1, 5, 6, 39] {
            let whole = settings.first.saturating_mul(2u32.saturating_pow(tries)).min(settings.most);
            let wait = settings.back_off("http://a.test/", tries);
            assert!(wait <= whole && wait >= whole / 2, "{tries}: {wait:?}");
        }
        assert_ne!(settings.back_off("http://a.test/", 0), settings.back_off("http://b.test/", 0));
    }
}

//! How often and how many at a time, for one origin.

use std::time::Duration;

use super::Builder;
use crate::credentials::To;
use crate::settings::Settings;

/// What one origin is to have instead of what holds for all.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    pub(crate) origin: To,
    pub(crate) delay: Option<Duration>,
    pub(crate) per_host: Option<usize>,
}

impl Builder {
    /// Sets the [delay](Builder::delay) for one origin, such as `https://docs.loom.test`; a path in it does
    /// not matter. A longer crawl-delay in its robots.txt still holds instead.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use selvedge_crawl::Crawler;
    ///
    /// let crawler = Crawler::builder()
    ///     .delay(Duration::from_secs(1))
    ///     .delay_for("http://localhost:8080", Duration::ZERO)     // our own may be asked as fast as it can
    ///     .per_host_for("http://localhost:8080", 32)
    ///     .header_for("http://localhost:8080", "Authorization", "Bearer of good news")
    ///     .build()?;
    /// # Ok::<(), selvedge_crawl::BuildError>(())
    /// ```
    pub fn delay_for(self, origin: &str, delay: Duration) -> Self {
        self.pace(Pace { origin: To::origin(origin), delay: Some(delay), per_host: None })
    }

    /// Sets the number of requests [at a time](Builder::per_host) for one origin.
    pub fn per_host_for(self, origin: &str, requests: usize) -> Self {
        self.pace(Pace { origin: To::origin(origin), delay: None, per_host: Some(requests) })
    }

    fn pace(mut self, pace: Pace) -> Self {
        self.settings.paces.push(pace);
        self
    }
}

impl Settings {
    /// The delay, and the requests at a time, for an origin: what was said of it last, or of all.
    pub(crate) fn pace(&self, origin: &str) -> (Duration, usize) {
        let is_for = |pace: &&Pace| matches!(&pace.origin, To::Origin(theirs) if theirs == origin);
        let (mut delay, mut per_host) = (self.delay, self.per_host);
        for pace in self.paces.iter().filter(is_for) {
            delay = pace.delay.unwrap_or(delay);
            per_host = pace.per_host.unwrap_or(per_host);
        }
        (delay, per_host)
    }
}

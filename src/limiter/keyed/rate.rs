//! The rate of all keys, and its change.

use std::time::Duration;

use super::KeyedLimiter;
use crate::limiter::shard::Rate;
use crate::limiter::{RateLimiter, check, check_burst};
use crate::panics;

impl<K, S> KeyedLimiter<K, S> {
    /// The number of tokens that come for each key, and the period in which they do.
    pub fn rate(&self) -> (u64, Duration) {
        let Rate { tokens, period, .. } = *self.rate.lock();
        (tokens, period)
    }

    /// The most tokens that the bucket of a key holds.
    pub fn burst(&self) -> u64 {
        self.rate.lock().burst
    }

    /// Changes the rate of every key from now on, as [`RateLimiter::set_rate`] does: available tokens stay,
    /// and waiters get theirs at the new rate. Keys change one after the other, and each has when this
    /// returns.
    ///
    /// ```
    /// use std::time::Duration;
    /// use selvedge::{Clock, KeyedLimiter};
    ///
    /// let clock = Clock::manual();
    /// let requests = KeyedLimiter::<String>::new(100, Duration::from_secs(1)).with_clock(&clock);
    /// requests.try_acquire("ann", 100)?;
    /// requests.set_rate(10, Duration::from_secs(1));      // the service is in trouble
    /// assert_eq!(requests.delay("ann", 10), Some(Duration::from_secs(1)));
    /// # Ok::<(), selvedge::error::TryError>(())
    /// ```
    ///
    /// # Panics
    /// If `period` is zero, or `tokens` above [`RateLimiter::MAX`]; or if the drop of an idle key panics,
    /// once all have changed.
    #[track_caller]
    pub fn set_rate(&self, tokens: u64, period: Duration) {
        check(tokens, period);
        let change = |rate: Rate| Rate { tokens, period, ..rate };
        self.change(change, |limiter| limiter.set_rate(tokens, period));
    }

    /// Changes the burst of every key, as [`RateLimiter::set_burst`] does. An idle key has the whole of the
    /// new burst at once, since it is like one that was never used.
    ///
    /// # Panics
    /// If `burst` is above [`RateLimiter::MAX`]; or if the drop of an idle key panics, once all have changed.
    #[track_caller]
    pub fn set_burst(&self, burst: u64) {
        check_burst(burst);
        self.change(|rate| Rate { burst, ..rate }, |limiter| limiter.set_burst(burst));
    }

    /// Changes the rate of new keys by `change`, and that of the others by `apply`.
    fn change(&self, change: impl Fn(Rate) -> Rate, apply: impl Fn(&RateLimiter)) {
        let mut forgotten = Vec::new();
        {
            let mut rate = self.rate.lock();
            *rate = change(*rate);
            for shard in self.shards.iter() {
                // The idle keys are forgotten, since they must be like new ones. The rate of the shard and
                // the entries to change are of one critical section: a key that is entered later has the new
                // rate.
                let entries = {
                    let mut shard = shard.lock();
                    forgotten.extend(shard.sweep());
                    shard.rate = *rate;
                    shard.entries()
                };
                // With no shard locked, since this wakes waiters. They take no lock that is held here.
                entries.iter().for_each(|entry| apply(&entry.limiter));
                // Meanwhile another thread may have let go of a key, whose drop is the caller's code.
                forgotten.extend(entries);
            }
        }
        panics::drop_each(forgotten);
    }
}

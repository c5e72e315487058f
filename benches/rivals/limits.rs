//! Rate limiters.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use governor::clock::DefaultClock;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use parking_lot::Mutex;

/// A limiter, as a thread uses it: a token if there is one.
pub(crate) trait Limit: Send + Sync + 'static {
    /// `tokens` a second, and as many at once.
    fn new(tokens: u32) -> Self;

    fn takes(&self) -> bool;
}

/// The same with a key: one a second, and at first as many as any cell takes, so that no key is idle.
pub(crate) trait KeyedLimit: Send + Sync + 'static {
    fn new(burst: u32) -> Self;

    fn takes(&self, key: u64) -> bool;
}

const SECOND: Duration = Duration::from_secs(1);

fn quota(tokens: u32) -> Quota {
    Quota::per_second(NonZeroU32::new(tokens).expect("a rate"))
}

impl Limit for selvedge::RateLimiter {
    fn new(tokens: u32) -> Self {
        selvedge::RateLimiter::new(tokens.into(), SECOND)
    }

    fn takes(&self) -> bool {
        self.try_acquire(1).is_ok()
    }
}

impl Limit for RateLimiter<NotKeyed, InMemoryState, DefaultClock> {
    fn new(tokens: u32) -> Self {
        RateLimiter::direct(quota(tokens))
    }

    fn takes(&self) -> bool {
        self.check().is_ok()
    }
}

impl Limit for ratelimit::Ratelimiter {
    fn new(tokens: u32) -> Self {
        let tokens = tokens.into();
        let builder = ratelimit::Ratelimiter::builder(tokens).max_tokens(tokens).initial_available(tokens);
        builder.build().expect("a rate that it takes")
    }

    fn takes(&self) -> bool {
        self.try_wait().is_ok()
    }
}

/// A bucket by hand, in floating point.
pub(crate) struct Bucket {
    rate: f64,
    level: Mutex<(f64, Instant)>,
}

impl Limit for Bucket {
    fn new(tokens: u32) -> Self {
        Bucket { rate: tokens.into(), level: Mutex::new((tokens.into(), Instant::now())) }
    }

    fn takes(&self) -> bool {
        let mut level = self.level.lock();
        let now = Instant::now();
        let came = now.duration_since(level.1).as_secs_f64() * self.rate;
        *level = ((level.0 + came).min(self.rate), now);
        let takes = level.0 >= 1.0;
        if takes {
            level.0 -= 1.0;
        }
        takes
    }
}

impl KeyedLimit for selvedge::limiter::KeyedLimiter<u64> {
    fn new(burst: u32) -> Self {
        selvedge::limiter::KeyedLimiter::new(1, SECOND).with_burst(burst.into())
    }

    fn takes(&self, key: u64) -> bool {
        self.try_acquire(&key, 1).is_ok()
    }
}

impl KeyedLimit for RateLimiter<u64, DefaultKeyedStateStore<u64>, DefaultClock> {
    fn new(burst: u32) -> Self {
        RateLimiter::keyed(quota(1).allow_burst(NonZeroU32::new(burst).expect("a burst")))
    }

    fn takes(&self, key: u64) -> bool {
        self.check_key(&key).is_ok()
    }
}

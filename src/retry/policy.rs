//! How often, and after which pauses.

use std::time::{Duration, Instant};

use super::{Again, Reason};
use crate::clock::Clock;
use crate::wait::context;

/// How often an operation is attempted, and how long the pauses between the attempts are: `first`, then
/// `factor` times as long after each attempt, up to `cap`.
///
/// Made by [`policy`](super::policy). A policy is plain data: it is copied, shared and reused freely, and one
/// policy serves any number of calls at once. Besides [`run`](super::run), a
/// [`Batcher`](crate::batch::Builder::retry) takes one. A loop of your own asks it for each
/// [`pause_after`](Policy::pause_after).
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use selvedge::retry::{self, Jitter};
///
/// let policy = retry::policy().attempts(5).first(Duration::from_millis(50)).jitter(Jitter::None);
/// let pauses = (1..).map_while(|attempts| policy.pause_after(attempts));
/// assert!(pauses.eq([50, 100, 200, 400].map(Duration::from_millis)));
/// ```
///
/// # Panics
/// [`attempts`](Policy::attempts) and [`factor`](Policy::factor) refuse numbers that make no policy. A
/// jitter cannot be out of range, because it is an enum.
///
/// # Cost
/// Calculating a pause takes no lock, reads no clock, and allocates nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
#[must_use = "a policy does nothing until a call is given it"]
pub struct Policy {
    attempts: usize,
    first: Duration,
    factor: f64,
    cap: Duration,
    jitter: Jitter,
    /// `None`: another one for each call.
    seed: Option<u64>,
    budget: Option<Duration>,
}

/// Which part of a pause is left to chance, so that callers that failed together do not come back together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Jitter {
    /// None: each pause is exactly as long as the policy says. For tests, and for a single caller.
    None,
    /// The second half: a pause is at least half as long as without jitter, and never longer.
    Equal,
    /// All of it: any pause from none to the whole one is equally likely. This spreads callers most, and is
    /// the default.
    #[default]
    Full,
}

/// A call that a policy governs.
pub(crate) struct Course<'a> {
    policy: &'a Policy,
    seed: u64,
    end: Option<Instant>,
}

impl Policy {
    pub(super) fn new() -> Self {
        Policy {
            attempts: 3,
            first: Duration::from_millis(100),
            factor: 2.0,
            cap: Duration::from_secs(10),
            jitter: Jitter::Full,
            seed: None,
            budget: None,
        }
    }

    /// The maximum of attempts, including the first. Defaults to 3. `usize::MAX` is no maximum; then a limit
    /// or a [`budget`](Policy::budget) should end the call.
    ///
    /// # Panics
    /// If `attempts` is 0, since nothing would be attempted.
    #[track_caller]
    pub fn attempts(mut self, attempts: usize) -> Self {
        assert!(attempts > 0, "a policy of 0 attempts would attempt nothing; the least is 1");
        self.attempts = attempts;
        self
    }

    /// The pause after the first attempt. Defaults to 100 ms. After [`Duration::ZERO`], all pauses are zero.
    pub fn first(mut self, pause: Duration) -> Self {
        self.first = pause;
        self
    }

    /// The factor by which each pause is longer than the one before. Defaults to 2. With 1, all pauses are
    /// equal.
    ///
    /// # Panics
    /// If `factor` is below 1 or not a number: the pauses would become shorter the longer something is
    /// broken.
    #[track_caller]
    pub fn factor(mut self, factor: f64) -> Self {
        assert!(factor >= 1.0, "a back-off by the factor {factor} would not back off; the least is 1");
        self.factor = factor;
        self
    }

    /// The longest pause, before jitter. Defaults to 10 s. It also bounds [`first`](Policy::first).
    pub fn cap(mut self, cap: Duration) -> Self {
        self.cap = cap;
        self
    }

    /// Which part of each pause is random. Defaults to [`Jitter::Full`].
    pub fn jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    /// Makes the jitter reproducible: the same seed gives the same pauses, in every release and on every
    /// machine. Without a seed, each call has pauses of its own.
    ///
    /// Callers that share a seed pause in step, which defeats the jitter: mix into the seed what tells them
    /// apart.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The time that all attempts and pauses may take together, from the beginning of the first attempt.
    /// Defaults to no budget.
    ///
    /// No pause begins that would reach the end of the budget. An attempt that is running is not interrupted;
    /// [`Attempt::limit`](super::Attempt::limit) tells it. A budget that has no end in the range of
    /// [`Instant`] is none.
    pub fn budget(mut self, budget: Duration) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Returns the pause after `attempts` attempts have failed; `None` if no further attempt follows. Before
    /// the first attempt, the pause is zero. The budget is not considered, since it depends on a clock.
    pub fn pause_after(&self, attempts: usize) -> Option<Duration> {
        (!self.is_last(attempts)).then(|| self.pause(attempts, self.call_seed()))
    }

    /// Begins a call that this policy governs. Reads the clock only if there is a budget.
    pub(crate) fn begin(&self, clock: &Clock) -> Course<'_> {
        let end = self.budget.and_then(|budget| clock.after(budget));
        Course { policy: self, seed: self.call_seed(), end }
    }

    fn call_seed(&self) -> u64 {
        self.seed.unwrap_or_else(context::random)
    }

    fn is_last(&self, attempt: usize) -> bool {
        attempt >= self.attempts
    }

    fn pause(&self, attempts: usize, seed: u64) -> Duration {
        // Zero, whatever it is multiplied by: an infinite power of the factor would make it no number.
        if attempts == 0 || self.first.is_zero() {
            return Duration::ZERO;
        }
        let power = i32::try_from(attempts - 1).unwrap_or(i32::MAX);
        let whole = scale(self.first, self.factor.powi(power)).min(self.cap);
        // Of a share from 0 up to, but not including, 1.
        let share = |seed| (mix(seed, attempts as u64) >> 11) as f64 / (1_u64 << 53) as f64;
        let pause = match self.jitter {
            Jitter::None => whole,
            Jitter::Equal => scale(whole, 1.0 - share(seed) / 2.0),
            Jitter::Full => scale(whole, share(seed)),
        };
        // A product is rounded, and may exceed the whole by a nanosecond.
        pause.min(whole)
    }
}

impl Course<'_> {
    /// The end of the budget.
    pub(crate) fn end(&self) -> Option<Instant> {
        self.end
    }

    pub(crate) fn is_last(&self, attempt: usize) -> bool {
        self.policy.is_last(attempt)
    }

    /// The pause after the last of `attempts` attempts, whose error deserves `again`.
    pub(crate) fn pause(&self, attempts: usize, again: Again) -> Result<Duration, Reason> {
        let asked = match again {
            Again::No => return Err(Reason::Permanent),
            Again::Yes => None,
            Again::After(pause) => Some(pause),
        };
        if self.is_last(attempts) {
            return Err(Reason::Exhausted);
        }
        Ok(asked.unwrap_or_else(|| self.policy.pause(attempts, self.seed)))
    }

    /// True if an attempt after `pause` would begin within the budget. Reads the clock only if there is one.
    pub(crate) fn affords(&self, pause: Duration, clock: &Clock) -> bool {
        // Tie: an attempt at the end of the budget is late, as in `run`.
        self.end.is_none_or(|end| clock.after(pause).is_some_and(|at| at < end))
    }
}

impl Default for Policy {
    /// As [`policy`](super::policy).
    fn default() -> Self {
        Policy::new()
    }
}

/// Multiplies a pause; a product beyond the range of `Duration` is its maximum.
fn scale(pause: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(pause.as_secs_f64() * factor).unwrap_or(Duration::MAX)
}

/// The `n`-th number of the generator `SplitMix64` (Steele, Lea and Flood), which is fixed for all time:
/// std's hashers may change with a release, and with them the pauses of a seed.
fn mix(seed: u64, n: u64) -> u64 {
    let mut bits = seed.wrapping_add(n.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

#[cfg(all(test, not(any(loom, selvedge_loom))))]
mod tests {
    use super::*;

    #[test]
    fn generator_is_the_published_one() {
        // The first numbers of `SplitMix64` with the seed 1234567, as published with its reference code.
        let numbers = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert!((1..).zip(numbers).all(|(n, number)| mix(1_234_567, n) == number));
    }

    #[test]
    fn product_beyond_the_range_is_the_maximum() {
        assert_eq!(scale(Duration::MAX, 1.0), Duration::MAX);
        assert_eq!(scale(Duration::from_nanos(1), f64::INFINITY), Duration::MAX);
        assert_eq!(scale(Duration::from_secs(3), 0.5), Duration::from_millis(1_500));
    }
}

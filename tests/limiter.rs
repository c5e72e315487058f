//! The limiter as a black box: it never gives out more than burst and rate allow, exact to the nanosecond,
//! serves waiters in order, and loses no token of a waiter that gives up.

mod common;

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use common::bombs::{Touchies, panic_of};
use common::{Dice, HOUR, eventually, within_a_minute};
use selvedge::error::{Closed, TryError, WaitError};
use selvedge::limiter::{KeyedLimiter, Missed, Pacer, Ticker};
use selvedge::{CancelToken, Clock, ManualClock, RateLimiter};

const SECOND: Duration = Duration::from_secs(1);
const NANO: Duration = Duration::from_nanos(1);

fn manual(tokens: u64, period: Duration, burst: u64) -> (ManualClock, Arc<RateLimiter>) {
    let clock = Clock::manual();
    let limiter = RateLimiter::new(tokens, period).with_burst(burst).with_clock(&clock);
    (clock, Arc::new(limiter))
}

type Waiter = JoinHandle<Result<(), WaitError>>;

/// Starts a thread that acquires `count` tokens until `token` is cancelled. Returns once the thread sleeps.
fn waits((clock, limiter): (&ManualClock, &Arc<RateLimiter>), count: u64, token: &CancelToken) -> Waiter {
    let before = limiter.waiting();
    let waiter = thread::spawn({
        let (clock, limiter, token) = (clock.clone(), Arc::clone(limiter), token.clone());
        move || clock.scope(|| limiter.acquire_until(count, &token))
    });
    wait_for_line(limiter, before + 1);
    // In the line is not yet asleep: a token that is cancelled in between ends the wait only if the limiter's
    // tokens have not come by then.
    clock.settle();
    waiter
}

fn wait_for_line(limiter: &RateLimiter, length: usize) {
    eventually(&format!("{length} wait"), || limiter.waiting() == length);
}

#[test]
fn burst_is_there_at_the_start_and_refills_evenly() {
    let (clock, limiter) = manual(4, SECOND, 8);
    assert_eq!((limiter.available(), limiter.burst(), limiter.rate()), (8, 8, (4, SECOND)));
    assert_eq!(limiter.try_acquire(8), Ok(()));
    assert_eq!(limiter.try_acquire(1), Err(TryError::WouldBlock));
    clock.advance(Duration::from_millis(250) - NANO);
    assert_eq!((limiter.available(), limiter.try_acquire(1)), (0, Err(TryError::WouldBlock)));
    clock.advance(NANO);
    assert_eq!(limiter.available(), 1);
    assert_eq!(limiter.try_acquire(1), Ok(()));
    clock.advance(HOUR);
    assert_eq!((limiter.available(), limiter.try_acquire(9)), (8, Err(TryError::InsufficientCapacity)));
}

#[test]
fn paused_limiter_gives_out_the_burst_it_starts_with() {
    let (clock, limiter) = manual(0, SECOND, 3);
    assert_eq!((limiter.available(), limiter.rate()), (3, (0, SECOND)));
    for count in 0..=3 {
        assert_eq!(limiter.delay(count), Some(Duration::ZERO), "{count} are there");
    }
    assert_eq!(limiter.delay(4), None);
    assert_eq!(limiter.try_acquire(1), Ok(()));
    assert_eq!((limiter.available(), limiter.delay(2)), (2, Some(Duration::ZERO)));
    assert_eq!(limiter.delay(3), None, "no third comes");
    assert_eq!(limiter.acquire(2), Ok(()));
    clock.advance(HOUR);
    assert_eq!((limiter.available(), limiter.delay(1)), (0, None));
    assert_eq!(limiter.try_acquire(1), Err(TryError::WouldBlock));
    assert_eq!(limiter.acquire_until(1, (clock.clock(), HOUR)), Err(WaitError::TimedOut), "at once");
}

#[test]
fn paused_keyed_limiter_gives_out_each_keys_burst() {
    let clock = Clock::manual();
    let limiter = KeyedLimiter::<u8>::new(0, SECOND).with_burst(2).with_clock(&clock);
    let told =
        |limiter: &KeyedLimiter<u8>| (limiter.available(&1), limiter.delay(&1, 1), limiter.delay(&1, 2));
    assert_eq!(told(&limiter), (2, Some(Duration::ZERO), Some(Duration::ZERO)));
    assert_eq!(limiter.try_acquire(&1, 1), Ok(()));
    assert_eq!(told(&limiter), (1, Some(Duration::ZERO), None));
    assert_eq!(limiter.try_acquire(&1, 1), Ok(()));
    assert_eq!(told(&limiter), (0, None, None));
    clock.advance(HOUR);
    // A bucket that will never be full again is never idle.
    assert_eq!((limiter.forget_idle(), limiter.available(&2)), (0, 2));
}

#[test]
fn burst_is_a_periods_tokens_unless_another_is_asked_for() {
    for tokens in [0, 1, 7, RateLimiter::MAX] {
        let limiter = RateLimiter::new(tokens, SECOND);
        assert_eq!(
            (limiter.burst(), limiter.available(), limiter.rate()),
            (tokens, tokens, (tokens, SECOND))
        );
        let keyed = KeyedLimiter::<u8>::new(tokens, SECOND);
        assert_eq!(keyed.available(&1), tokens);
    }
    let empty = RateLimiter::new(0, SECOND);
    assert_eq!((empty.try_acquire(1), empty.try_acquire(0)), (Err(TryError::InsufficientCapacity), Ok(())));
}

#[test]
fn rate_that_divides_nothing_does_not_drift() {
    // One token every 142,857,142.857… ns. Rounded to nanoseconds, the limiter would be a token off after
    // 7 · 10^8 of them. The burst is 2, since a full bucket spills what comes in a part of a nanosecond.
    let (clock, limiter) = manual(7, SECOND, 2);
    limiter.acquire(1).unwrap();
    let mut now = Duration::ZERO;
    for step in 1..=700_000_u64 {
        limiter.try_acquire(1).unwrap();
        // The first whole nanosecond at which the next token is available.
        let next =
            Duration::from_nanos(u64::try_from((u128::from(step) * 1_000_000_000).div_ceil(7)).unwrap());
        clock.advance(next - now - NANO);
        assert_eq!(limiter.try_acquire(1), Err(TryError::WouldBlock), "token {step}");
        clock.advance(NANO);
        now = next;
    }
    assert_eq!(now, Duration::from_secs(100_000));
}

#[test]
fn more_than_the_burst_is_impossible_at_once() {
    let (_clock, limiter) = manual(5, SECOND, 3);
    for count in [4, 5, u64::MAX] {
        assert_eq!(limiter.acquire(count), Err(WaitError::InsufficientCapacity));
        assert_eq!(limiter.try_acquire(count), Err(TryError::InsufficientCapacity));
        assert_eq!(limiter.acquire_until(count, Duration::MAX), Err(WaitError::InsufficientCapacity));
        assert_eq!(limiter.delay(count), None);
    }
    assert_eq!(RateLimiter::new(5, SECOND).with_burst(0).acquire(1), Err(WaitError::InsufficientCapacity));
    assert_eq!(limiter.available(), 3);
}

#[test]
fn acquiring_none_succeeds_despite_waiters_until_closed() {
    within_a_minute(|| {
        let (clock, limiter) = manual(1, SECOND, 1);
        limiter.acquire(1).unwrap();
        let waiter = waits((&clock, &limiter), 1, &CancelToken::new());
        assert_eq!((limiter.acquire(0), limiter.try_acquire(0)), (Ok(()), Ok(())));
        assert_eq!((limiter.is_closed(), limiter.delay(0)), (false, Some(Duration::ZERO)));
        assert!(limiter.close());
        assert!(!limiter.close());
        assert_eq!(waiter.join().unwrap(), Err(WaitError::Closed));
        assert_eq!(
            (limiter.acquire(0), limiter.try_acquire(0)),
            (Err(WaitError::Closed), Err(TryError::Closed))
        );
        assert_eq!((limiter.is_closed(), limiter.delay(0)), (true, None));
    });
}

#[test]
fn cancelled_token_acquires_nothing_although_tokens_are_there() {
    let (_clock, limiter) = manual(1, SECOND, 1);
    let token = CancelToken::new();
    token.cancel();
    assert_eq!(limiter.acquire_until(1, &token), Err(WaitError::Cancelled));
    assert_eq!(limiter.acquire_until(0, (&token, HOUR)), Err(WaitError::Cancelled));
    assert_eq!(limiter.available(), 1);
}

#[test]
fn limit_that_ends_too_soon_fails_at_once_and_takes_nothing() {
    let (clock, limiter) = manual(1, SECOND, 2);
    assert_eq!(limiter.acquire_until(2, Duration::ZERO), Ok(()));
    assert_eq!(limiter.delay(1), Some(SECOND));
    // The clock stands still, so these calls would hang if they slept.
    assert_eq!(limiter.acquire_until(1, Duration::ZERO), Err(WaitError::TimedOut));
    assert_eq!(limiter.acquire_until(1, SECOND - NANO), Err(WaitError::TimedOut));
    assert_eq!(limiter.acquire_until(1, (clock.clock(), SECOND - NANO)), Err(WaitError::TimedOut));
    assert_eq!(limiter.acquire_until(1, clock.now()), Err(WaitError::TimedOut));
    let token = CancelToken::with_clock(&clock);
    let short = token.child_until(SECOND - NANO);
    assert_eq!(limiter.acquire_until(1, &short), Err(WaitError::TimedOut));
    assert_eq!(limiter.acquire_until(1, (&short, HOUR)), Err(WaitError::TimedOut));
    assert_eq!((limiter.waiting(), limiter.delay(1)), (0, Some(SECOND)));
    clock.advance(SECOND);
    assert_eq!(limiter.try_acquire(1), Ok(()));
}

#[test]
fn limit_that_ends_with_the_tokens_is_success() {
    within_a_minute(|| {
        let (clock, limiter) = manual(1, SECOND, 1);
        limiter.acquire(1).unwrap();
        let waiter = thread::spawn({
            let limiter = Arc::clone(&limiter);
            move || limiter.acquire_until(1, SECOND)
        });
        clock.wait_for_sleepers(1);
        clock.advance(SECOND);
        assert_eq!(waiter.join().unwrap(), Ok(()));
        assert_eq!(limiter.available(), 0);
    });
}

#[test]
fn limit_on_another_clock_is_waited_for() {
    within_a_minute(|| {
        let (_clock, limiter) = manual(1, SECOND, 1);
        let other = Clock::manual();
        limiter.acquire(1).unwrap();
        let waiter = thread::spawn({
            let (limiter, other) = (Arc::clone(&limiter), other.clone());
            move || limiter.acquire_until(1, (other.clock(), NANO))
        });
        other.wait_for_sleepers(1);
        other.advance(NANO);
        assert_eq!(waiter.join().unwrap(), Err(WaitError::TimedOut));
        assert_eq!((limiter.waiting(), limiter.delay(1)), (0, Some(SECOND)));
    });
}

#[test]
fn waiters_are_served_in_order_each_at_its_instant() {
    within_a_minute(|| {
        let (clock, limiter) = manual(1, SECOND, 5);
        limiter.acquire(5).unwrap();
        let token = CancelToken::new();
        let line = [3, 1, 2].map(|count| waits((&clock, &limiter), count, &token));
        clock.wait_for_sleepers(3);
        assert_eq!(limiter.delay(1), Some(SECOND * 7));
        for (waiter, wait) in line.into_iter().zip([3, 1, 2]) {
            clock.advance(SECOND * wait - NANO);
            let before = limiter.waiting();
            clock.advance(NANO);
            assert_eq!(limiter.waiting(), before - 1);
            assert_eq!(waiter.join().unwrap(), Ok(()));
        }
        assert_eq!(limiter.available(), 0);
    });
}

#[test]
fn newcomer_does_not_overtake_a_waiter_for_many() {
    within_a_minute(|| {
        let (clock, limiter) = manual(1, SECOND, 4);
        limiter.acquire(2).unwrap();
        let waiter = waits((&clock, &limiter), 4, &CancelToken::new());
        // Two tokens have come, but they are reserved for the waiter.
        assert_eq!((limiter.try_acquire(1), limiter.available()), (Err(TryError::WouldBlock), 0));
        clock.advance(SECOND * 2);
        assert_eq!(waiter.join().unwrap(), Ok(()));
        assert_eq!(limiter.delay(1), Some(SECOND));
    });
}

#[test]
fn cancelled_front_waiter_hands_its_turn_on() {
    within_a_minute(|| {
        let (clock, limiter) = manual(1, SECOND, 4);
        limiter.acquire(2).unwrap();
        let (stop, go_on) = (CancelToken::new(), CancelToken::new());
        let front = waits((&clock, &limiter), 4, &stop);
        let second = waits((&clock, &limiter), 1, &go_on);
        let third = waits((&clock, &limiter), 3, &go_on);
        stop.cancel();
        assert_eq!(front.join().unwrap(), Err(WaitError::Cancelled));
        // Two tokens had come: the second waiter gets one, and the third lacks two of its three.
        assert_eq!(second.join().unwrap(), Ok(()));
        wait_for_line(&limiter, 1);
        clock.advance(SECOND * 2 - NANO);
        assert_eq!(limiter.waiting(), 1);
        clock.advance(NANO);
        assert_eq!(third.join().unwrap(), Ok(()));
        assert_eq!((limiter.available(), limiter.delay(1)), (0, Some(SECOND)));
    });
}

#[test]
fn tokens_of_a_waiter_that_gave_up_before_they_came_are_not_taken() {
    within_a_minute(|| {
        let (clock, limiter) = manual(1, SECOND, 1);
        limiter.acquire(1).unwrap();
        let token = CancelToken::new();
        for _ in 0..20 {
            let waiter = waits((&clock, &limiter), 1, &token.child());
            let stopped = token.child();
            let other = waits((&clock, &limiter), 1, &stopped);
            stopped.cancel();
            // The thread may not have noticed the cancellation when its tokens would come.
            clock.advance(SECOND * 2);
            assert_eq!(waiter.join().unwrap(), Ok(()));
            assert_eq!(other.join().unwrap(), Err(WaitError::Cancelled));
            assert_eq!(limiter.try_acquire(1), Ok(()));
        }
    });
}

#[test]
fn faster_rate_serves_waiters_sooner() {
    within_a_minute(|| {
        let (clock, limiter) = manual(1, HOUR, 2);
        limiter.acquire(2).unwrap();
        let waiter = waits((&clock, &limiter), 1, &CancelToken::new());
        clock.advance(HOUR / 2);
        limiter.set_rate(1, SECOND);
        assert_eq!((limiter.rate(), limiter.delay(1)), ((1, SECOND), Some(SECOND + SECOND / 2)));
        clock.advance(SECOND / 2 - NANO);
        assert_eq!(limiter.waiting(), 1);
        clock.advance(NANO);
        assert_eq!(waiter.join().unwrap(), Ok(()));
    });
}

#[test]
fn slower_rate_ends_the_wait_of_one_whose_limit_is_now_too_short() {
    within_a_minute(|| {
        let (clock, limiter) = manual(1, SECOND, 1);
        limiter.acquire(1).unwrap();
        let waiter = thread::spawn({
            let limiter = Arc::clone(&limiter);
            move || limiter.acquire_until(1, SECOND * 2)
        });
        clock.wait_for_sleepers(1);
        limiter.set_rate(1, SECOND * 3);
        assert_eq!(waiter.join().unwrap(), Err(WaitError::TimedOut));
        assert_eq!(limiter.delay(1), Some(SECOND * 3));
    });
}

#[test]
fn rate_of_none_pauses_until_it_is_changed() {
    within_a_minute(|| {
        let (clock, limiter) = manual(0, SECOND, 1);
        assert_eq!(limiter.try_acquire(1), Ok(()));
        clock.advance(HOUR);
        assert_eq!((limiter.available(), limiter.delay(1)), (0, None));
        assert_eq!(limiter.acquire_until(1, Duration::from_secs(1 << 40)), Err(WaitError::TimedOut));
        let waiter = waits((&clock, &limiter), 1, &CancelToken::new());
        limiter.set_rate(1, SECOND);
        clock.advance(SECOND);
        assert_eq!(waiter.join().unwrap(), Ok(()));
    });
}

#[test]
fn smaller_burst_refuses_a_waiter_for_more_and_serves_the_next() {
    within_a_minute(|| {
        let (clock, limiter) = manual(1, SECOND, 4);
        limiter.acquire(1).unwrap();
        let token = CancelToken::new();
        let large = waits((&clock, &limiter), 4, &token);
        let small = waits((&clock, &limiter), 2, &token);
        limiter.set_burst(2);
        assert_eq!(large.join().unwrap(), Err(WaitError::InsufficientCapacity));
        assert_eq!(small.join().unwrap(), Ok(()));
        // Three tokens were available, the new burst keeps two, and these are taken.
        assert_eq!((limiter.burst(), limiter.delay(1)), (2, Some(SECOND)));
        clock.advance(HOUR);
        assert_eq!(limiter.available(), 2);
    });
}

#[test]
fn larger_burst_is_filled_as_time_passes() {
    let (clock, limiter) = manual(1, SECOND, 1);
    limiter.set_burst(3);
    assert_eq!((limiter.available(), limiter.delay(3)), (1, Some(SECOND * 2)));
    clock.advance(HOUR);
    assert_eq!(limiter.available(), 3);
    limiter.set_burst(0);
    assert_eq!((limiter.available(), limiter.try_acquire(1)), (0, Err(TryError::InsufficientCapacity)));
    limiter.set_burst(1);
    assert_eq!(limiter.delay(1), Some(SECOND));
}

#[test]
fn closing_ends_the_wait_of_everybody_also_of_those_just_woken() {
    within_a_minute(|| {
        for _ in 0..50 {
            let (clock, limiter) = manual(1, SECOND, 9);
            limiter.acquire(9).unwrap();
            let (stop, token) = (CancelToken::new(), CancelToken::new());
            let front = waits((&clock, &limiter), 9, &stop);
            let behind = [1, 2, 3].map(|count| waits((&clock, &limiter), count, &token));
            stop.cancel();
            // The waiters behind may be awake already, for their new instants.
            limiter.close();
            assert!(matches!(front.join().unwrap(), Err(WaitError::Cancelled)));
            for waiter in behind {
                assert_eq!(waiter.join().unwrap(), Err(WaitError::Closed));
            }
        }
    });
}

#[test]
fn extreme_numbers_neither_overflow_nor_hang() {
    let (clock, limiter) = manual(RateLimiter::MAX, Duration::MAX, RateLimiter::MAX);
    assert_eq!(limiter.try_acquire(RateLimiter::MAX), Ok(()));
    assert!(limiter.delay(RateLimiter::MAX).unwrap() > SECOND);
    clock.advance(Duration::from_secs(1 << 35));
    assert_eq!(limiter.available(), RateLimiter::MAX);
    limiter.set_rate(RateLimiter::MAX, NANO);
    limiter.acquire(RateLimiter::MAX).unwrap();
    assert_eq!(limiter.delay(1), Some(NANO));
    limiter.set_rate(1, Duration::MAX);
    assert_eq!(limiter.acquire_until(1, HOUR), Err(WaitError::TimedOut));
    let token = CancelToken::new();
    token.cancel();
    assert_eq!(limiter.acquire_until(1, (&token, Duration::MAX)), Err(WaitError::Cancelled));
}

#[test]
fn system_clock_brings_tokens_too() {
    within_a_minute(|| {
        let limiter = RateLimiter::new(1, Duration::from_millis(5));
        let start = Instant::now();
        for _ in 0..4 {
            limiter.acquire_until(1, HOUR).unwrap();
        }
        assert!(start.elapsed() >= Duration::from_millis(15));
        limiter.set_rate(1, HOUR);
        // A token may have come before the rate was changed.
        let _ = limiter.try_acquire(1);
        assert_eq!(limiter.acquire_until(1, Duration::from_millis(1)), Err(WaitError::TimedOut));
    });
}

/// The reference for the limiter: a bucket that is filled step by step, with a list of waiters.
///
/// Levels are in tokens times the period.
struct Naive {
    tokens: u128,
    period: u128,
    burst: u128,
    level: u128,
    line: Vec<(usize, u128)>,
    granted: Vec<usize>,
}

impl Naive {
    fn new(tokens: u64, period: u64, burst: u64) -> Self {
        let (tokens, period, burst) = (tokens.into(), period.into(), burst.into());
        Naive { tokens, period, burst, level: burst * period, line: Vec::new(), granted: Vec::new() }
    }

    /// Adds `more` to the bucket, and serves the waiters from it.
    fn fill(&mut self, mut more: u128) {
        while let Some(&(id, count)) = self.line.first() {
            let missing = (count * self.period).saturating_sub(self.level);
            if missing > more {
                break;
            }
            more -= missing;
            self.level = self.level + missing - count * self.period;
            self.line.remove(0);
            self.granted.push(id);
        }
        self.level = (self.level + more).min(self.burst * self.period);
    }

    fn take(&mut self, count: u128) -> Result<(), TryError> {
        match count * self.period {
            _ if count > self.burst => Err(TryError::InsufficientCapacity),
            _ if count == 0 => Ok(()),
            needed if self.line.is_empty() && needed <= self.level => {
                self.level -= needed;
                Ok(())
            }
            _ => Err(TryError::WouldBlock),
        }
    }

    fn set_rate(&mut self, tokens: u64, period: u64) {
        // The tokens stay, rounded down to a whole step of the new scale, so they never become more.
        self.level = self.level * u128::from(period) / self.period;
        (self.tokens, self.period) = (tokens.into(), period.into());
    }

    fn available(&self) -> u64 {
        let waiting: u128 = self.line.iter().map(|(_, count)| count * self.period).sum();
        u64::try_from(self.level.saturating_sub(waiting) / self.period).unwrap()
    }
}

/// One step of a random schedule.
fn step(
    dice: &mut Dice,
    (clock, limiter): (&ManualClock, &Arc<RateLimiter>),
    naive: &mut Naive,
    waiters: &mut Vec<Option<(CancelToken, Waiter)>>,
) {
    match dice.roll(10) {
        0..4 => {
            let period = u64::try_from(naive.period).unwrap();
            let nanos = dice.roll(usize::try_from(period).unwrap()) as u64;
            clock.advance(Duration::from_nanos(nanos));
            naive.fill(u128::from(nanos) * naive.tokens);
        }
        4 | 5 => {
            let count = dice.roll(5) as u64;
            assert_eq!(limiter.try_acquire(count), naive.take(count.into()));
        }
        6 | 7 => {
            let count = 1 + dice.roll(4) as u64;
            if naive.take(count.into()) == Err(TryError::WouldBlock) {
                naive.line.push((waiters.len(), count.into()));
                let token = CancelToken::new();
                let waiter = waits((clock, limiter), count, &token);
                waiters.push(Some((token, waiter)));
            } else if u128::from(count) <= naive.burst {
                assert_eq!(limiter.acquire(count), Ok(()));
            }
        }
        8 if !naive.line.is_empty() => {
            let (id, _) = naive.line.remove(dice.roll(naive.line.len()));
            let (token, waiter) = waiters[id].take().unwrap();
            token.cancel();
            assert_eq!(waiter.join().unwrap(), Err(WaitError::Cancelled));
            naive.fill(0);
        }
        _ if dice.once_in(2) => {
            let (tokens, period) = (dice.roll(4) as u64, 1 + dice.roll(1_000) as u64);
            limiter.set_rate(tokens, Duration::from_nanos(period));
            naive.set_rate(tokens, period);
            naive.fill(0);
        }
        _ => {
            let burst = dice.roll(6) as u64;
            limiter.set_burst(burst);
            naive.burst = burst.into();
            let (stay, refused): (Vec<_>, _) =
                naive.line.drain(..).partition(|(_, count)| *count <= u128::from(burst));
            naive.line = stay;
            for (id, _) in refused {
                let (_, waiter) = waiters[id].take().unwrap();
                assert_eq!(waiter.join().unwrap(), Err(WaitError::InsufficientCapacity));
            }
            naive.level = naive.level.min(naive.burst * naive.period);
            naive.fill(0);
        }
    }
}

#[test]
fn random_schedules_agree_with_a_bucket_that_is_filled_step_by_step() {
    within_a_minute(|| {
        for seed in 0..60 {
            let mut dice = Dice::new(seed);
            let (tokens, period, burst) =
                (1 + dice.roll(7) as u64, 1 + dice.roll(1_000) as u64, 1 + dice.roll(6) as u64);
            let (clock, limiter) = manual(tokens, Duration::from_nanos(period), burst);
            let mut naive = Naive::new(tokens, period, burst);
            let mut waiters = Vec::new();
            for number in 0..150 {
                step(&mut dice, (&clock, &limiter), &mut naive, &mut waiters);
                for id in naive.granted.drain(..) {
                    let (_, waiter) = waiters[id].take().unwrap();
                    assert_eq!(waiter.join().unwrap(), Ok(()), "seed {seed}, step {number}");
                }
                let ours = (limiter.waiting(), limiter.available());
                assert_eq!(ours, (naive.line.len(), naive.available()), "seed {seed}, step {number}");
            }
            limiter.close();
            for (_, waiter) in waiters.into_iter().flatten() {
                assert_eq!(waiter.join().unwrap(), Err(WaitError::Closed));
            }
        }
    });
}

#[test]
fn takers_on_all_threads_never_get_more_than_burst_and_rate_allow() {
    within_a_minute(|| {
        const STEPS: u64 = 2_000;
        let (clock, limiter) = manual(3, SECOND, 10);
        let takers = [(); 3].map(|()| {
            let limiter = Arc::clone(&limiter);
            thread::spawn(move || (0..).take_while(|_| limiter.acquire(1).is_ok()).count() as u64)
        });
        for _ in 0..STEPS {
            clock.advance(SECOND / 7);
            thread::yield_now();
        }
        // 2,000 sevenths of a second, rounded down to nanoseconds each, bring 857 tokens.
        let most = 10 + STEPS * 142_857_142 * 3 / 1_000_000_000;
        limiter.close();
        let taken: u64 = takers.map(|taker| taker.join().unwrap()).iter().sum();
        assert!(taken <= most, "{taken} of {most}");
    });
}

#[test]
fn debug_waits_for_nobody() {
    let (_clock, limiter) = manual(2, SECOND, 3);
    let text = format!("{limiter:?}");
    assert_eq!(text, "RateLimiter { tokens: 2, period: 1s, burst: 3, waiting: 0, closed: false, .. }");
}

#[test]
fn ticks_come_at_their_instants_however_late_they_are_taken() {
    let clock = Clock::manual();
    let start = clock.now();
    // A period that does not divide a second.
    let period = Duration::from_nanos(142_857_143);
    let mut ticks = Ticker::new(period).with_clock(&clock);
    assert_eq!((ticks.period(), ticks.next_due()), (period, Some(start + period)));
    for number in 1..=10_000_u32 {
        assert_eq!(ticks.try_next(), Err(TryError::WouldBlock));
        clock.advance(period);
        let tick = ticks.try_next().unwrap();
        assert_eq!((tick.due, tick.missed), (start + period * number, 0));
    }
}

#[test]
fn missed_ticks_are_passed_over_and_counted() {
    let clock = Clock::manual();
    let start = clock.now();
    let mut ticks = Ticker::new(SECOND).with_clock(&clock);
    clock.advance(SECOND * 5 - NANO);
    let tick = ticks.next().unwrap();
    assert_eq!((tick.due, tick.missed), (start + SECOND * 4, 3));
    assert_eq!(ticks.try_next(), Err(TryError::WouldBlock));
    clock.advance(NANO);
    let tick = ticks.next().unwrap();
    assert_eq!((tick.due, tick.missed), (start + SECOND * 5, 0));
}

#[test]
fn missed_ticks_come_one_after_another_if_asked_to() {
    let clock = Clock::manual();
    let start = clock.now();
    let mut ticks = Ticker::new(SECOND).missed(Missed::CatchUp).with_clock(&clock);
    clock.advance(SECOND * 7 / 2);
    let seen: Vec<_> = ticks.by_ref().take(3).map(|tick| (tick.due - start, tick.missed)).collect();
    assert_eq!(seen, [(SECOND, 0), (SECOND * 2, 0), (SECOND * 3, 0)]);
    assert_eq!(ticks.next_until(Duration::ZERO), Err(WaitError::TimedOut));
    clock.advance(SECOND / 2);
    assert_eq!(ticks.next().unwrap().due, start + SECOND * 4);
}

#[test]
fn tick_that_nobody_waited_for_to_the_end_is_not_lost() {
    within_a_minute(|| {
        let (clock, token) = (Clock::manual(), CancelToken::new());
        let start = clock.now();
        let mut ticks = Ticker::new(SECOND).with_clock(&clock);
        let waiter = thread::spawn({
            let token = token.clone();
            move || (ticks.next_until(&token), ticks)
        });
        clock.wait_for_sleepers(1);
        token.cancel();
        let (ended, mut ticks) = waiter.join().unwrap();
        assert_eq!(ended, Err(WaitError::Cancelled));
        assert_eq!(ticks.next_until((&token, HOUR)), Err(WaitError::Cancelled));
        clock.advance(SECOND);
        let tick = ticks.next_until(Duration::ZERO).unwrap();
        assert_eq!((tick.due, tick.missed), (start + SECOND, 0));
    });
}

#[test]
fn tick_wakes_its_waiter_and_wins_a_tie() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let mut ticks = Ticker::new(SECOND).with_clock(&clock);
        let waiter = thread::spawn(move || ticks.next_until(SECOND));
        clock.wait_for_sleepers(1);
        clock.advance(SECOND);
        assert_eq!(waiter.join().unwrap().unwrap().due, clock.now());
    });
}

#[test]
fn limit_before_the_tick_is_waited_for() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let mut ticks = Ticker::new(HOUR).with_clock(&clock);
        let waiter = thread::spawn(move || ticks.next_until(SECOND));
        clock.wait_for_sleepers(1);
        clock.advance(SECOND);
        assert_eq!(waiter.join().unwrap(), Err(WaitError::TimedOut));
    });
}

#[test]
fn ticker_of_the_longest_period_never_ticks_and_does_not_overflow() {
    let mut never = Ticker::new(Duration::MAX);
    assert_eq!((never.next_due(), never.try_next()), (None, Err(TryError::WouldBlock)));
    assert_eq!(never.next_until(Duration::from_millis(1)), Err(WaitError::TimedOut));
    let clock = Clock::manual();
    let mut often = Ticker::new(NANO).with_clock(&clock);
    clock.advance(HOUR * 1_000_000);
    assert_eq!(often.next().unwrap().missed, 3_599_999_999_999_999_999);
    assert_eq!(often.try_next(), Err(TryError::WouldBlock));
}

#[test]
fn keys_have_each_their_own_bucket() {
    let clock = Clock::manual();
    let limiter = KeyedLimiter::<String>::new(1, SECOND).with_burst(2).with_clock(&clock);
    assert_eq!((limiter.available("a"), limiter.delay("a", 3), limiter.len()), (2, None, 0));
    assert_eq!(limiter.try_acquire("a", 2), Ok(()));
    assert_eq!(limiter.try_acquire("a", 1), Err(TryError::WouldBlock));
    assert_eq!((limiter.delay("a", 1), limiter.delay("b", 1)), (Some(SECOND), Some(Duration::ZERO)));
    assert_eq!(limiter.acquire("b", 1), Ok(()));
    assert_eq!(limiter.acquire_until("a", 1, Duration::ZERO), Err(WaitError::TimedOut));
    assert_eq!(limiter.acquire("c", 3), Err(WaitError::InsufficientCapacity));
    assert_eq!((limiter.available("a"), limiter.available("b"), limiter.available("c")), (0, 1, 2));
    assert_eq!(limiter.try_acquire(&"a".to_owned(), 3), Err(TryError::InsufficientCapacity));
}

#[test]
fn keyed_limiter_that_is_made_of_a_used_one_has_full_buckets() {
    let clock = Clock::manual();
    let used = KeyedLimiter::<u8>::new(1, SECOND).with_clock(&clock);
    assert_eq!(used.try_acquire(&1, 1), Ok(()));
    let larger = used.with_burst(2);
    assert_eq!((larger.len(), larger.try_acquire(&1, 2)), (0, Ok(())));
    let on_another_clock = larger.with_clock(Clock::manual());
    assert_eq!((on_another_clock.len(), on_another_clock.try_acquire(&1, 2)), (0, Ok(())));
}

#[test]
fn cancelled_call_leaves_no_key_behind() {
    let (limiter, token) = (KeyedLimiter::<u8>::new(1, SECOND), CancelToken::new());
    token.cancel();
    assert_eq!(limiter.acquire_until(&1, 1, &token), Err(WaitError::Cancelled));
    assert!(limiter.is_empty());
}

#[test]
fn idle_keys_are_forgotten_and_others_are_not() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let limiter = Arc::new(KeyedLimiter::<u32>::new(1, SECOND).with_clock(&clock));
        limiter.acquire(&1, 1).unwrap();
        clock.advance(SECOND / 2);
        limiter.acquire(&2, 1).unwrap();
        assert_eq!((limiter.len(), limiter.forget_idle()), (2, 0));
        clock.advance(SECOND / 2);
        assert_eq!((limiter.forget_idle(), limiter.len()), (1, 1));
        assert_eq!((limiter.available(&1), limiter.available(&2)), (1, 0));
        // A key with a waiter is not forgotten.
        let waiter = thread::spawn({
            let limiter = Arc::clone(&limiter);
            move || limiter.acquire(&2, 1)
        });
        clock.wait_for_sleepers(1);
        assert_eq!(limiter.forget_idle(), 0);
        clock.advance(SECOND / 2);
        assert_eq!(waiter.join().unwrap(), Ok(()));
        assert_eq!(limiter.try_acquire(&2, 1), Err(TryError::WouldBlock));
        clock.advance(SECOND);
        assert_eq!((limiter.forget_idle(), limiter.len()), (1, 0));
    });
}

#[test]
fn memory_is_bounded_by_the_keys_that_are_not_idle() {
    let clock = Clock::manual();
    let limiter = KeyedLimiter::<u64>::new(1, SECOND).with_clock(&clock);
    for key in 0..200_000 {
        limiter.acquire(&key, 1).unwrap();
        // At any time a thousand keys are not idle.
        clock.advance(SECOND / 1_000);
        assert!(limiter.len() <= 2 * 1_000 + 16 * 64, "{} keys after {key}", limiter.len());
    }
    clock.advance(HOUR);
    limiter.forget_idle();
    assert!(limiter.is_empty());
}

/// Every key has the same hash.
#[derive(Default)]
struct Same;

impl std::hash::Hasher for Same {
    fn write(&mut self, _: &[u8]) {}
    fn finish(&self) -> u64 {
        42
    }
}

#[test]
fn keys_of_one_hash_are_told_apart() {
    let clock = Clock::manual();
    let hasher = std::hash::BuildHasherDefault::<Same>::default();
    let limiter = KeyedLimiter::<u32>::new(1, SECOND).with_hasher(hasher).with_clock(&clock);
    for key in 0..100 {
        assert_eq!(limiter.try_acquire(&key, 1), Ok(()));
        assert_eq!(limiter.try_acquire(&key, 1), Err(TryError::WouldBlock));
    }
    clock.advance(SECOND);
    limiter.acquire(&7, 1).unwrap();
    assert_eq!((limiter.forget_idle(), limiter.len(), limiter.available(&7)), (99, 1, 0));
}

#[test]
fn takers_of_one_key_share_its_bucket_while_others_are_swept() {
    within_a_minute(|| {
        for _ in 0..20 {
            let limiter = Arc::new(KeyedLimiter::<u32>::new(100, HOUR));
            let takers = [0, 1, 2].map(|seed| {
                let limiter = Arc::clone(&limiter);
                thread::spawn(move || {
                    let mut dice = Dice::new(seed);
                    let mut taken = 0;
                    for _ in 0..300 {
                        taken += u32::from(limiter.try_acquire(&0, 1).is_ok());
                        let _ = limiter.acquire(&(1 + dice.roll(1_000) as u32), 0);
                        limiter.forget_idle();
                    }
                    taken
                })
            });
            assert_eq!(takers.map(|taker| taker.join().unwrap()).iter().sum::<u32>(), 100);
        }
    });
}

#[test]
fn tokens_that_are_given_back_are_there_again_up_to_the_burst() {
    let (clock, limiter) = manual(1, HOUR, 10);
    limiter.try_acquire(8).unwrap();
    limiter.give_back(3);
    assert_eq!(limiter.available(), 5);
    // More than was taken: what exceeds the burst is lost, now and later.
    limiter.give_back(RateLimiter::MAX);
    assert_eq!((limiter.available(), limiter.try_acquire(10)), (10, Ok(())));
    assert_eq!(limiter.try_acquire(1), Err(TryError::WouldBlock));
    // A full bucket has no room, and no time is owed for it.
    clock.advance(HOUR * 20);
    limiter.give_back(5);
    assert_eq!((limiter.available(), limiter.try_acquire(10)), (10, Ok(())));
    assert_eq!(limiter.try_acquire(1), Err(TryError::WouldBlock));
    limiter.give_back(0);
    assert_eq!(limiter.available(), 0);
    assert!(limiter.close());
    limiter.give_back(1);
    assert_eq!(limiter.try_acquire(1), Err(TryError::Closed));
}

#[test]
fn tokens_that_are_given_back_serve_the_waiters_in_order_and_no_surplus_stays() {
    within_a_minute(|| {
        let (clock, limiter) = manual(1, HOUR, 4);
        let token = CancelToken::with_clock(&clock);
        limiter.try_acquire(4).unwrap();
        let (first, second) = (waits((&clock, &limiter), 2, &token), waits((&clock, &limiter), 1, &token));
        limiter.give_back(2);
        assert_eq!(first.join().unwrap(), Ok(()));
        assert_eq!((limiter.waiting(), limiter.available()), (1, 0));
        // Five of which one is waited for: the bucket holds no more than four, and three are left.
        limiter.give_back(5);
        assert_eq!(second.join().unwrap(), Ok(()));
        assert_eq!(limiter.available(), 3);
    });
}

#[test]
fn reservation_holds_its_place_and_says_when_it_comes() {
    within_a_minute(|| {
        let (clock, limiter) = manual(1, HOUR, 2);
        let token = CancelToken::with_clock(&clock);
        let now = limiter.reserve(2).unwrap();
        assert_eq!((now.delay(), now.count(), limiter.waiting()), (Some(Duration::ZERO), 2, 0));
        let later = limiter.reserve(1).unwrap();
        assert_eq!(later.delay(), Some(HOUR));
        let behind = waits((&clock, &limiter), 1, &token);
        assert_eq!((limiter.waiting(), limiter.delay(1)), (2, Some(HOUR * 3)));
        // Its tokens come although nobody waits for them, and nobody else gets them.
        clock.advance(HOUR);
        assert_eq!((later.delay(), limiter.waiting()), (Some(Duration::ZERO), 1));
        assert_eq!((now.wait(), later.wait()), (Ok(()), Ok(())));
        assert_eq!(limiter.try_acquire(1), Err(TryError::WouldBlock));
        clock.advance(HOUR);
        assert_eq!(behind.join().unwrap(), Ok(()));
        assert_eq!(limiter.available(), 0);
    });
}

#[test]
fn dropped_reservation_gives_back_what_has_come_and_what_has_not() {
    within_a_minute(|| {
        let (clock, limiter) = manual(1, HOUR, 2);
        let token = CancelToken::with_clock(&clock);
        drop(limiter.reserve(2).unwrap());
        assert_eq!(limiter.available(), 2);
        let come = limiter.reserve(2).unwrap();
        let coming = limiter.reserve(1).unwrap();
        let behind = waits((&clock, &limiter), 1, &token);
        drop(coming);
        assert_eq!((limiter.waiting(), limiter.delay(1)), (1, Some(HOUR * 2)));
        // Two come back, of which the waiter gets one.
        drop(come);
        assert_eq!(behind.join().unwrap(), Ok(()));
        assert_eq!(limiter.available(), 1);
        drop(limiter.reserve(0).unwrap());
        assert_eq!(limiter.available(), 1);
    });
}

#[test]
fn reservation_may_be_waited_for_within_a_limit_and_is_given_up_with_it() {
    within_a_minute(|| {
        let (clock, limiter) = manual(1, HOUR, 1);
        limiter.try_acquire(1).unwrap();
        // At once, since it is known when it comes.
        let late = limiter.reserve(1).unwrap().wait_until((clock.clock(), HOUR - NANO));
        assert_eq!((late, limiter.waiting()), (Err(WaitError::TimedOut), 0));
        let cancelled = CancelToken::with_clock(&clock);
        cancelled.cancel();
        let refused = limiter.reserve(1).unwrap().wait_until(&cancelled);
        assert_eq!((refused, limiter.waiting()), (Err(WaitError::Cancelled), 0));
        let stop = CancelToken::with_clock(&clock);
        thread::scope(|s| {
            let waiting = s.spawn(|| limiter.reserve(1).unwrap().wait_until(&stop));
            clock.wait_for_sleepers(1);
            stop.cancel();
            assert_eq!(waiting.join().unwrap(), Err(WaitError::Cancelled));
            assert_eq!(limiter.waiting(), 0);
            let waiting = s.spawn(|| limiter.reserve(1).unwrap().wait());
            clock.wait_for_sleepers(1);
            // A faster rate brings it sooner.
            limiter.set_rate(2, HOUR);
            clock.advance(HOUR / 2);
            assert_eq!(waiting.join().unwrap(), Ok(()));
        });
    });
}

#[test]
fn reservation_of_a_limiter_that_changes_tells_what_became_of_it() {
    let (_clock, limiter) = manual(1, HOUR, 3);
    assert_eq!(limiter.reserve(4).unwrap_err(), TryError::InsufficientCapacity);
    limiter.try_acquire(3).unwrap();
    let [many, few] = [3, 1].map(|count| limiter.reserve(count).unwrap());
    assert_eq!((many.delay(), few.delay()), (Some(HOUR * 3), Some(HOUR * 4)));
    limiter.set_rate(0, HOUR);
    assert_eq!((many.delay(), few.delay()), (None, None));
    limiter.set_rate(1, HOUR);
    // Woken for another instant before, and refused now.
    limiter.set_burst(2);
    assert_eq!((many.delay(), few.delay()), (None, Some(HOUR)));
    assert_eq!(many.wait(), Err(WaitError::InsufficientCapacity));
    assert!(limiter.close());
    assert_eq!((few.delay(), few.wait()), (None, Err(WaitError::Closed)));
    assert_eq!(limiter.reserve(1).unwrap_err(), TryError::Closed);
    // Refused without having been woken.
    let (_clock, limiter) = manual(1, HOUR, 1);
    limiter.try_acquire(1).unwrap();
    let [waited_for, dropped] = [1, 1].map(|count| limiter.reserve(count).unwrap());
    limiter.close();
    assert_eq!((waited_for.delay(), waited_for.wait()), (None, Err(WaitError::Closed)));
    drop(dropped);
    assert_eq!(limiter.available(), 0);
}

#[test]
fn rate_and_burst_of_every_key_change_at_once() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let limiter = Arc::new(KeyedLimiter::<u32>::new(2, HOUR).with_clock(&clock));
        assert_eq!((limiter.rate(), limiter.burst()), ((2, HOUR), 2));
        for key in 0..100 {
            limiter.try_acquire(&key, 1 + u64::from(key % 2)).unwrap();
        }
        let waiter = thread::spawn({
            let limiter = Arc::clone(&limiter);
            move || limiter.acquire(&1, 2)
        });
        clock.wait_for_sleepers(1);
        limiter.set_rate(4, HOUR);
        assert_eq!((limiter.rate(), limiter.delay(&3, 1)), ((4, HOUR), Some(HOUR / 4)));
        assert_eq!(limiter.delay(&1, 1), Some(HOUR * 3 / 4));
        clock.advance(HOUR / 2);
        assert_eq!(waiter.join().unwrap(), Ok(()));
        limiter.set_burst(3);
        // A key that is in use keeps what it has; a new one, and one that was idle, has the whole burst.
        assert_eq!((limiter.available(&1), limiter.available(&1_000), limiter.available(&2)), (0, 3, 3));
        assert_eq!(limiter.try_acquire(&2, 3), Ok(()));
        assert_eq!(limiter.try_acquire(&1_000, 3), Ok(()));
        assert_eq!(limiter.try_acquire(&1, 4), Err(TryError::InsufficientCapacity));
        limiter.set_rate(0, HOUR);
        assert_eq!((limiter.delay(&1, 1), limiter.delay(&5_000, 3)), (None, Some(Duration::ZERO)));
    });
}

#[test]
fn key_gets_its_own_tokens_back() {
    let clock = Clock::manual();
    let limiter = KeyedLimiter::<String>::new(2, HOUR).with_clock(&clock);
    limiter.try_acquire("ann", 2).unwrap();
    limiter.try_acquire("bob", 2).unwrap();
    limiter.give_back("ann", 1);
    assert_eq!((limiter.available("ann"), limiter.available("bob")), (1, 0));
    // One that is not in memory has a full bucket.
    limiter.give_back("cid", 1);
    assert_eq!((limiter.available("cid"), limiter.len()), (2, 2));
}

#[test]
fn keys_that_are_made_while_the_rate_changes_agree_in_the_end() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let limiter = KeyedLimiter::<u64>::new(1, HOUR).with_clock(&clock);
        thread::scope(|s| {
            for setter in 0..2 {
                let limiter = &limiter;
                s.spawn(move || (1..200).for_each(|n| limiter.set_rate(2 * n + setter, HOUR)));
            }
            for key in 0..400 {
                limiter.try_acquire(&key, 1).unwrap();
            }
        });
        // Each key has the rate of whichever change was the last.
        let (tokens, _) = limiter.rate();
        let next = HOUR.div_f64(tokens as f64);
        for key in 0..400 {
            let delay = limiter.delay(&key, 1).unwrap();
            // Each change rounds by less than a nanosecond.
            assert!(delay.abs_diff(next) <= NANO * 1_000, "{key}: {delay:?}, not {next:?}");
        }
    });
}

fn debounced(quiet: Duration) -> (ManualClock, Pacer<u32>) {
    let clock = Clock::manual();
    let pacer = Pacer::debounce(quiet).with_clock(&clock);
    (clock, pacer)
}

#[test]
fn debounced_value_is_due_when_nothing_has_come_for_a_while() {
    let (clock, pacer) = debounced(SECOND);
    assert_eq!(pacer.try_next(), Err(TryError::WouldBlock));
    for value in 1..=3 {
        pacer.push(value).unwrap();
        clock.advance(SECOND - NANO);
        assert_eq!(pacer.try_next(), Err(TryError::WouldBlock));
    }
    clock.advance(NANO);
    assert_eq!((pacer.try_next(), pacer.try_next()), (Ok(3), Err(TryError::WouldBlock)));
    // The next burst is like the first.
    pacer.push(4).unwrap();
    assert_eq!(pacer.try_next(), Err(TryError::WouldBlock));
    clock.advance(SECOND);
    assert_eq!(pacer.try_next(), Ok(4));
}

#[test]
fn bound_makes_a_value_due_that_never_rests() {
    let (clock, pacer) = debounced(SECOND);
    let pacer = pacer.within(3 * SECOND);
    let mut taken = Vec::new();
    for value in 0..12 {
        taken.extend(pacer.try_next());
        pacer.push(value).unwrap();
        clock.advance(SECOND / 2);
    }
    // Three seconds after 0 and after 6, which was pushed when 5 had been taken.
    assert_eq!(taken, [5]);
    assert_eq!(pacer.try_next(), Ok(11));
    // A bound below the quiet time decides alone; a quiet time without an end needs one.
    let (clock, pacer) = debounced(Duration::MAX);
    let pacer = pacer.within(SECOND);
    pacer.push(1).unwrap();
    clock.advance(SECOND);
    assert_eq!(pacer.try_next(), Ok(1));
}

#[test]
fn throttled_values_come_at_once_and_then_once_a_period() {
    let clock = Clock::manual();
    let pacer = Pacer::throttle(SECOND).with_clock(&clock);
    pacer.push(1).unwrap();
    assert_eq!(pacer.try_next(), Ok(1));
    for value in 2..=4 {
        pacer.push(value).unwrap();
        assert_eq!(pacer.try_next(), Err(TryError::WouldBlock));
    }
    clock.advance(SECOND - NANO);
    assert_eq!(pacer.try_next(), Err(TryError::WouldBlock));
    clock.advance(NANO);
    assert_eq!(pacer.try_next(), Ok(4));
    // The period runs from the taking, and a quiet one has passed.
    clock.advance(HOUR);
    pacer.push(5).unwrap();
    assert_eq!(pacer.try_next(), Ok(5));
}

#[test]
fn waiter_sleeps_until_the_value_is_due_and_no_push_wakes_it_early() {
    within_a_minute(|| {
        let (clock, pacer) = debounced(SECOND);
        thread::scope(|s| {
            let taker = s.spawn(|| clock.scope(|| pacer.next()));
            eventually("it waits", || format!("{pacer:?}").contains("waiting: 1"));
            pacer.push(1).unwrap();
            clock.wait_for_sleepers(1);
            clock.advance(SECOND / 2);
            pacer.push(2).unwrap();
            clock.advance(SECOND / 2);
            // The first value would have been due: it has looked, and sleeps on.
            clock.settle();
            assert!(!taker.is_finished());
            clock.advance(SECOND / 2);
            assert_eq!(taker.join().unwrap(), Ok(2));
        });
    });
}

#[test]
fn limit_ends_a_wait_and_leaves_the_value() {
    within_a_minute(|| {
        let (clock, pacer) = debounced(HOUR);
        assert_eq!(pacer.next_until(Duration::ZERO), Err(WaitError::TimedOut));
        pacer.push(1).unwrap();
        let stop = CancelToken::with_clock(&clock);
        thread::scope(|s| {
            let taker = s.spawn(|| pacer.next_until(&stop));
            clock.wait_for_sleepers(1);
            stop.cancel();
            assert_eq!(taker.join().unwrap(), Err(WaitError::Cancelled));
        });
        assert!(format!("{pacer:?}").contains("waiting: 0"));
        clock.advance(HOUR);
        // A token that was cancelled before takes nothing, due or not.
        assert_eq!(pacer.next_until(&stop), Err(WaitError::Cancelled));
        assert_eq!(pacer.next_until(Duration::ZERO), Ok(1));
    });
}

#[test]
fn closed_pacer_gives_its_last_value_at_once_and_takes_no_other() {
    let (_clock, pacer) = debounced(Duration::MAX);
    pacer.push(1).unwrap();
    pacer.push(2).unwrap();
    assert_eq!(pacer.try_next(), Err(TryError::WouldBlock));
    assert!(pacer.close() && !pacer.close() && pacer.is_closed());
    let refused = pacer.push(3).unwrap_err();
    assert_eq!((refused.value, refused.error), (3, Closed));
    assert_eq!((pacer.next(), pacer.next(), pacer.try_next()), (Ok(2), Err(Closed), Err(TryError::Closed)));
}

#[test]
fn value_that_is_replaced_or_left_may_panic_in_its_drop() {
    let touchies = Touchies::default();
    let pacer = Pacer::debounce(HOUR);
    assert!(pacer.push(touchies.make()).is_ok());
    assert_eq!(panic_of(|| pacer.push(touchies.make()).is_ok()), "a value's drop");
    // The second is in.
    assert!(format!("{pacer:?}").contains("pending: true"));
    assert_eq!(panic_of(|| drop(pacer)), "a value's drop");
    assert_eq!(touchies.dropped(), 2);
}

#[test]
fn burst_is_there_at_once_on_the_systems_clock_and_no_more() {
    for burst in [1, 10, 1_000] {
        let limiter = RateLimiter::new(1, HOUR).with_burst(burst);
        for _ in 0..burst {
            assert_eq!(limiter.try_acquire(1), Ok(()));
        }
        assert_eq!(limiter.try_acquire(1), Err(TryError::WouldBlock));
        let delay = limiter.delay(1).unwrap();
        assert!(delay <= HOUR, "{delay:?}");
        limiter.give_back(burst);
        assert_eq!((limiter.try_acquire(burst), limiter.available()), (Ok(()), 0));
    }
}

#[test]
fn threads_that_take_at_once_get_no_more_than_burst_and_rate_on_the_systems_clock() {
    within_a_minute(|| {
        // A token each microsecond, so that many calls come near the instant of the next token.
        let (start, limiter) = (Instant::now(), RateLimiter::new(1_000_000, SECOND).with_burst(100));
        let taker = || {
            let mut taken = 0_u64;
            while start.elapsed() < Duration::from_millis(200) {
                taken += u64::from(limiter.try_acquire(1).is_ok());
            }
            taken
        };
        let taken: u64 = thread::scope(|s| {
            let takers = [(); 3].map(|()| s.spawn(taker));
            takers.into_iter().map(|taker| taker.join().unwrap()).sum()
        });
        // The time of a call may be read a microsecond early.
        let passed = start.elapsed().as_micros() as u64 + 1;
        assert!((100..=100 + passed).contains(&taken), "{taken} in {passed} µs");
    });
}

#[test]
fn limiter_is_exact_after_more_ticks_than_64_bits_hold() {
    // A nanosecond has 1,000,003 ticks, so that 2^62 ticks are 77 minutes.
    let (clock, limiter) = manual(1_000_003, SECOND, 3);
    let step = Duration::from_nanos(999_997);
    for round in 0..12 {
        assert_eq!(limiter.try_acquire(3), Ok(()), "round {round}");
        assert_eq!(limiter.try_acquire(1), Err(TryError::WouldBlock));
        // The first token comes after 999.997000009 ns.
        clock.advance(Duration::from_nanos(999));
        assert_eq!(limiter.try_acquire(1), Err(TryError::WouldBlock), "round {round}");
        clock.advance(NANO);
        assert_eq!(limiter.try_acquire(1), Ok(()), "round {round}");
        assert_eq!(limiter.try_acquire(1), Err(TryError::WouldBlock));
        clock.advance(HOUR / 3 + step);
    }
}

#[test]
fn change_of_the_rate_and_back_keeps_the_part_of_a_token() {
    let (clock, limiter) = manual(3, SECOND, 1);
    limiter.acquire(1).unwrap();
    clock.advance(Duration::from_nanos(111_111_111));
    limiter.set_rate(7, SECOND);
    limiter.set_rate(3, SECOND);
    // A third of a token has come. Two changes round up by a tick each, which is less than a nanosecond.
    clock.advance(Duration::from_nanos(222_222_222));
    assert_eq!(limiter.try_acquire(1), Err(TryError::WouldBlock));
    clock.advance(NANO);
    assert_eq!(limiter.try_acquire(1), Ok(()));
    // The bucket was full for a while, and whole ticks are missing again.
    clock.advance(SECOND);
    assert_eq!((limiter.try_acquire(1), limiter.try_acquire(1)), (Ok(()), Err(TryError::WouldBlock)));
}

#[test]
fn ticker_that_is_polled_ticks_at_its_instants_and_not_before() {
    within_a_minute(|| {
        let start = Instant::now();
        let mut ticks = Ticker::new(Duration::from_millis(3)).missed(Missed::CatchUp);
        let mut dues = Vec::new();
        while dues.len() < 20 {
            let polled = ticks.try_next();
            let now = Instant::now();
            match polled {
                Ok(tick) => {
                    assert!(tick.due <= now, "{:?} early", tick.due - now);
                    dues.push(tick.due);
                }
                Err(error) => assert_eq!(error, TryError::WouldBlock),
            }
        }
        assert!(dues[0] >= start + Duration::from_millis(3));
        assert!(dues.windows(2).all(|pair| pair[1] - pair[0] == Duration::from_millis(3)));
    });
}

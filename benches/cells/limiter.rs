//! Rate limiters: a token that is there, one that is not, and one of many keys; and the clock that they read.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use governor::DefaultDirectRateLimiter;
use governor::DefaultKeyedRateLimiter;
use selvedge::RateLimiter;
use selvedge::limiter::KeyedLimiter;

use crate::rivals::limits::{Bucket, KeyedLimit, Limit};
use crate::{Cell, team};

/// More than any of them can give out.
const PLENTY: u32 = 1_000_000_000;
/// Taken before the clock starts.
const NONE: u32 = 1;

const KEYS: u64 = 1_000;

pub(crate) fn all() -> Vec<Cell> {
    let mut cells = Vec::new();
    for threads in [1, 2, 8] {
        cells.push(one(format!("granted, {threads} threads"), threads, PLENTY));
    }
    cells.push(one("refused, 1 thread".into(), 1, NONE));
    for threads in [1, 8] {
        cells.push(keyed(format!("granted, 1,000 keys, {threads} threads"), threads));
    }
    cells.push(clock());
    cells
}

/// What the time is. Ours is private, so it is asked for by a limiter that refuses, which does little else.
fn clock() -> Cell {
    Cell::new("clock", "what the time is", "read")
        .with("selvedge", |n| take::<RateLimiter>(1, NONE, n))
        .with("quanta", |n| read(n, quanta::Instant::now))
        .with("std", |n| read(n, Instant::now))
}

fn read<T: 'static>(total: u64, now: fn() -> T) -> Duration {
    team::split(total, 1, move |count| (0..count).for_each(|_| _ = black_box(now())))
}

fn one(name: String, threads: usize, tokens: u32) -> Cell {
    Cell::new("limiter", name, "try")
        .with("selvedge", move |n| take::<RateLimiter>(threads, tokens, n))
        .with("governor", move |n| take::<DefaultDirectRateLimiter>(threads, tokens, n))
        .with("ratelimit", move |n| take::<ratelimit::Ratelimiter>(threads, tokens, n))
        .with("Mutex by hand", move |n| take::<Bucket>(threads, tokens, n))
}

fn take<L: Limit>(threads: usize, tokens: u32, total: u64) -> Duration {
    let limiter = Arc::new(L::new(tokens));
    limiter.takes();
    team::split(total, threads, move |count| {
        for _ in 0..count {
            black_box(limiter.takes());
        }
    })
}

fn keyed(name: String, threads: usize) -> Cell {
    Cell::new("keyed limiter", name, "try")
        .with("selvedge", move |n| take_keyed::<KeyedLimiter<u64>>(threads, n))
        .with("governor", move |n| take_keyed::<DefaultKeyedRateLimiter<u64>>(threads, n))
}

fn take_keyed<L: KeyedLimit>(threads: usize, total: u64) -> Duration {
    let limiter = Arc::new(L::new(PLENTY));
    team::split(total, threads, move |count| {
        for number in 0..count {
            black_box(limiter.takes(number * 7 % KEYS));
        }
    })
}

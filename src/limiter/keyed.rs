//! A limiter for each of many keys, kept only while it differs from a new one.
//!
//! This file finds and makes the entry of a key, and runs the caller's code (`Hash`, `Eq`, `ToOwned`, `Drop`)
//! with no lock held. The locked part is in `shard.rs`.

mod rate;

use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::time::Duration;

use crossbeam_utils::CachePadded;

use super::RateLimiter;
use super::bucket::Bucket;
use super::shard::{Entry, NotEntered, Rate, Shard, swept};
use crate::clock::Clock;
use crate::error::{TryError, WaitError};
use crate::panics;
use crate::sync::{Arc, Mutex, sized};
use crate::until::Until;

/// Keeps each client, host or account under a rate of its own, without a map that grows forever.
///
/// Each key has a [`RateLimiter`] with the same rate and burst, made when the key is first used. Keys never
/// wait for each other.
///
/// A key is *idle* when its bucket is full and no thread waits for it. It then behaves like a key that was
/// never used, so an idle key may be forgotten without any effect. A shard is swept whenever it has grown to
/// twice what its last sweep left in it, and to 64 keys. Memory therefore never holds more keys than twice
/// those that were not idle at the last sweep, or a thousand if that is more.
///
/// # Examples
/// ```
/// use selvedge::{Clock, error::TryError, limiter::KeyedLimiter};
/// use std::time::Duration;
///
/// let clock = Clock::manual();
/// let logins = KeyedLimiter::<String>::new(3, Duration::from_secs(60)).with_clock(&clock);
/// for _ in 0..3 {
///     logins.try_acquire("ann", 1)?;
/// }
/// assert_eq!(logins.try_acquire("ann", 1), Err(TryError::WouldBlock));
/// assert_eq!(logins.try_acquire("bob", 1), Ok(()));
/// clock.advance(Duration::from_secs(60));
/// assert_eq!((logins.len(), logins.forget_idle()), (2, 2));
/// # Ok::<(), TryError>(())
/// ```
///
/// # Blocking
/// As [`RateLimiter`]: `acquire` waits until the tokens of its key have come. The locks of the map are held
/// only to find, insert and sweep.
///
/// # Cancellation
/// As [`RateLimiter`].
///
/// # Panics
/// None of the caller's code runs under a lock: neither `Hash`, `Eq`, `Clone` nor `Drop` of keys. A panic of
/// `Hash`, `Eq` or `Clone` is passed on and changes nothing. A panic in the drop of a key that a sweep
/// forgets ends with the panic hook's message. [`new`](KeyedLimiter::new) and `with_burst` panic as those of
/// [`RateLimiter`] do.
///
/// # Fairness
/// First come, first served for each key.
///
/// # Ordering
/// None, as for [`RateLimiter`].
///
/// # Proof
/// The models `a_key_is_not_forgotten_under_a_taker` and
/// `a_key_that_is_made_during_a_change_has_the_new_rate` in `loom-tests/tests/limiter.rs`.
///
/// # Cost
/// 30 ns with [`RandomState`], three times that of a [`RateLimiter`]: 8 for the hash, and a short lock of one
/// of 16 shards, in which the key's entry is found and its reference count raised. A key that was in memory
/// when the rate changed takes its own lock too, until it is forgotten. About 400 bytes for each key in
/// memory. Bench `limiter`.
///
/// # Instead
/// A [`RateLimiter`] for each key in a structure of your own, if the keys are few and known.
pub struct KeyedLimiter<K, S = RandomState> {
    shards: Box<[CachePadded<Mutex<Shard<K>>>; SHARDS]>,
    /// The rate and the burst of every key. Held while they are changed, so that of two changes the same one
    /// is the last for all keys.
    rate: Mutex<Rate>,
    clock: Clock,
    /// For [`inspect`](crate::inspect).
    made_at: &'static Location<'static>,
    hasher: S,
}

/// Enough shards that eight threads seldom contend.
const SHARDS: usize = sized(16, 1);

impl<K> KeyedLimiter<K> {
    /// Makes a limiter that gives out `tokens` a key each `period`, and as many in a burst, on
    /// [this thread's clock](Clock::current).
    ///
    /// # Panics
    /// If `period` is zero, or `tokens` above [`RateLimiter::MAX`].
    #[track_caller]
    pub fn new(tokens: u64, period: Duration) -> Self {
        super::check(tokens, period);
        let rate = Rate { tokens, period, burst: tokens };
        KeyedLimiter {
            shards: Box::new(std::array::from_fn(|_| CachePadded::new(Mutex::new(Shard::new(rate))))),
            rate: Mutex::new(rate),
            clock: Clock::current(),
            made_at: Location::caller(),
            hasher: RandomState::new(),
        }
    }
}

impl<K, S> KeyedLimiter<K, S> {
    /// The same rate, with another burst.
    ///
    /// # Panics
    /// If `burst` is above [`RateLimiter::MAX`].
    #[must_use = "this limiter has another burst, not the one it was made from"]
    #[track_caller]
    pub fn with_burst(self, burst: u64) -> Self {
        super::check_burst(burst);
        let rate = Rate { burst, ..*self.rate.lock() };
        self.with_rate(rate)
    }

    /// The same limiter on `clock`, with every key's bucket full.
    #[must_use = "this limiter is on the clock, not the one it was made from"]
    pub fn with_clock(self, clock: impl Into<Clock>) -> Self {
        let rate = *self.rate.lock();
        KeyedLimiter { clock: clock.into(), ..self.with_rate(rate) }
    }

    /// The same limiter, which hashes keys with `hasher`, with every key's bucket full.
    #[must_use = "this limiter has the hasher, not the one it was made from"]
    pub fn with_hasher<T>(self, hasher: T) -> KeyedLimiter<K, T> {
        let rate = *self.rate.lock();
        let KeyedLimiter { shards, rate, clock, made_at, .. } = self.with_rate(rate);
        KeyedLimiter { shards, rate, clock, made_at, hasher }
    }

    /// An empty one: the limiters of the keys in memory have the former burst and clock.
    fn with_rate(mut self, rate: Rate) -> Self {
        self.shards.iter_mut().for_each(|shard| **shard = Mutex::new(Shard::new(rate)));
        KeyedLimiter { rate: Mutex::new(rate), ..self }
    }

    /// The number of keys in memory. Idle ones may be forgotten at any time.
    pub fn len(&self) -> usize {
        // One shard at a time, so the sum is no snapshot of one instant.
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// True if no key is in memory.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets all idle keys now, and returns their number. It is never necessary.
    ///
    /// # Panics
    /// If the drop of a key panics, once all are forgotten.
    pub fn forget_idle(&self) -> usize {
        // Collected first and dropped with no lock held, since the drop of a key is the caller's code.
        let mut forgotten = Vec::new();
        self.shards.iter().for_each(|shard| forgotten.extend(swept(shard)));
        let count = forgotten.len();
        panics::drop_each(forgotten);
        count
    }
}

impl<K, S> KeyedLimiter<K, S>
where
    K: Eq + Hash,
    S: BuildHasher,
{
    /// Waits for `count` tokens of `key` as long as it takes, and takes them.
    ///
    /// # Errors
    /// [`WaitError::InsufficientCapacity`] at once if `count` is above the burst.
    #[track_caller]
    pub fn acquire<Q>(&self, key: &Q, count: u64) -> Result<(), WaitError>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        // The entry is held for the whole wait, so no sweep forgets it; the lock of its shard is not.
        self.entry(key).limiter.acquire(count)
    }

    /// Takes `count` tokens of `key` if they are available and no thread waits for that key.
    ///
    /// # Errors
    /// [`TryError::WouldBlock`] or [`TryError::InsufficientCapacity`].
    pub fn try_acquire<Q>(&self, key: &Q, count: u64) -> Result<(), TryError>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        self.entry(key).limiter.try_acquire(count)
    }

    /// Waits for `count` tokens of `key` at most until `limit`, and takes them.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`], at once if the tokens would come later than the limit ends;
    /// [`WaitError::Cancelled`]; or [`WaitError::InsufficientCapacity`].
    #[track_caller]
    pub fn acquire_until<'a, Q>(
        &self,
        key: &Q,
        count: u64,
        limit: impl Into<Until<'a>>,
    ) -> Result<(), WaitError>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        let limit = limit.into();
        // Checked before the key is made, so that a cancelled call leaves no key in memory.
        limit.check_token()?;
        self.entry(key).limiter.acquire_until(count, limit)
    }

    /// Returns `count` tokens of `key` that were taken and turned out not to be needed, as
    /// [`RateLimiter::give_back`] does.
    pub fn give_back<Q>(&self, key: &Q, count: u64)
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        // A key that is not in memory has a full bucket, and what it gets is spilt.
        if let Ok(entry) = self.find(self.hasher.hash_one(key), |other| other.borrow() == key) {
            entry.limiter.give_back(count);
            // It may have been forgotten meanwhile, and its drop is no concern of this call.
            panics::discard(entry);
        }
    }

    /// The time that a call for `count` tokens of `key` would wait if it came now; `None` if it would never
    /// get them.
    pub fn delay<Q>(&self, key: &Q, count: u64) -> Option<Duration>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        // Makes no entry: a key that is not in memory behaves as a full bucket.
        match self.find(self.hasher.hash_one(key), |other| other.borrow() == key) {
            Ok(entry) => entry.limiter.delay(count),
            Err(rate) => (count <= rate.burst).then_some(Duration::ZERO),
        }
    }

    /// The number of whole tokens of `key` that are available and not reserved.
    pub fn available<Q>(&self, key: &Q) -> u64
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let found = self.find(self.hasher.hash_one(key), |other| other.borrow() == key);
        found.map_or_else(|rate| rate.burst, |entry| entry.limiter.available())
    }

    /// The key's entry, or the rate that a new one would have.
    #[inline]
    fn find(&self, hash: u64, is_key: impl Fn(&K) -> bool) -> Result<Arc<Entry<K>>, Rate> {
        // Unlocked before the keys are compared.
        let first = {
            let shard = self.shard(hash).lock();
            shard.next(hash, &[]).ok_or_else(|| shard.rate)?
        };
        if is_key(&first.key) { Ok(first) } else { self.find_beyond(first, hash, is_key) }
    }

    /// The same, if the `first` entry with that hash has another key.
    #[cold]
    fn find_beyond(
        &self,
        first: Arc<Entry<K>>,
        hash: u64,
        is_key: impl Fn(&K) -> bool,
    ) -> Result<Arc<Entry<K>>, Rate> {
        let mut strangers = vec![first];
        loop {
            let entry = {
                let shard = self.shard(hash).lock();
                shard.next(hash, &strangers).ok_or_else(|| shard.rate)?
            };
            if is_key(&entry.key) {
                return Ok(entry);
            }
            strangers.push(entry);
        }
    }

    /// The key's limiter, a new one if there is none. It is not forgotten while the caller holds it.
    fn entry<Q>(&self, key: &Q) -> Arc<Entry<K>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        let hash = self.hasher.hash_one(key);
        let mut rate = match self.find(hash, |other| other.borrow() == key) {
            Ok(entry) => return entry,
            Err(rate) => rate,
        };
        // Made before the lock is taken, since `to_owned` is the caller's code.
        let mut new = Arc::new(Entry { key: key.to_owned(), limiter: self.limiter(rate) });
        let mut strangers = Vec::new();
        loop {
            // The lookup and the insertion are one critical section: of two threads that find no entry, one
            // inserts its own and the other finds that.
            let entered = self.shard(hash).lock().enter(hash, &new, rate, &strangers);
            match entered {
                Ok(sweep_is_due) => {
                    if sweep_is_due {
                        // Dropped with no lock held. A panic is contained: it concerns other keys than the
                        // one that the caller asked for.
                        panics::discard_each(swept(self.shard(hash)));
                    }
                    return new;
                }
                Err(NotEntered::Found(found)) if found.key.borrow() == key => {
                    // Another thread was faster. The drop of this copy of the key fails no call.
                    panics::discard(new);
                    return found;
                }
                Err(NotEntered::Found(stranger)) => strangers.push(stranger),
                Err(NotEntered::Stale(now)) => {
                    rate = now;
                    let entry = Arc::get_mut(&mut new).expect("it is nobody else's yet");
                    entry.limiter = self.limiter(rate);
                }
            }
        }
    }

    fn limiter(&self, Rate { tokens, period, burst }: Rate) -> RateLimiter {
        RateLimiter::of_key(Bucket::new(tokens, period, burst), &self.clock, self.made_at)
    }

    #[allow(clippy::modulo_one, reason = "in a model there is one shard")]
    fn shard(&self, hash: u64) -> &Mutex<Shard<K>> {
        // Bits from the middle, since the shard's map uses the lowest and the highest ones.
        &self.shards[(hash >> 32) as usize % SHARDS]
    }
}

impl<K, S> fmt::Debug for KeyedLimiter<K, S> {
    /// Never waits: the keys of shards that other threads have locked are not counted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.shards.iter().filter_map(|shard| shard.try_lock()).map(|shard| shard.len());
        let mut out = f.debug_struct("KeyedLimiter");
        if let Some(Rate { tokens, period, burst }) = self.rate.try_lock().map(|rate| *rate) {
            out.field("tokens", &tokens).field("period", &period).field("burst", &burst);
        }
        out.field("keys", &keys.sum::<usize>()).finish_non_exhaustive()
    }
}

// None of the caller's code runs under a lock, so no panic of it leaves the state half changed.
impl<K, S> UnwindSafe for KeyedLimiter<K, S> {}
impl<K, S> RefUnwindSafe for KeyedLimiter<K, S> {}

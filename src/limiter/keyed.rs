//! A limiter for each of many keys, as long as it has something to remember.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Duration;

use crossbeam_utils::CachePadded;

use super::RateLimiter;
use crate::clock::Clock;
use crate::error::{TryError, WaitError};
use crate::panics;
use crate::sync::{Arc, Mutex, sized};
use crate::until::Until;

/// Keeps each client, host or account under a rate of its own, without a list that grows for ever.
///
/// Each key has a [`RateLimiter`] with the same rate and burst, made when the key is first asked for. Keys
/// never wait for each other.
///
/// A key is *idle* when its bucket is full and nobody waits for it. Then it is no different from one that was
/// never seen, so an idle key may be forgotten and nobody can tell. Whenever a shard has grown to twice what
/// its last sweep left in it, and to 64 keys, it is swept: so there are never more keys in memory than twice
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
/// As [`RateLimiter`]: `acquire` waits until its key's tokens have come.
///
/// # Cancellation
/// As [`RateLimiter`].
///
/// # Panics
/// None of the caller's code runs under a lock: neither `Hash`, `Eq`, `Clone` nor `Drop` of keys. If the drop
/// of a key that is forgotten by the way panics, that ends with the panic hook's message.
///
/// # Fairness
/// First come, first served for each key.
///
/// # Proof
/// The model `a_key_is_not_forgotten_under_a_taker` in `loom-tests/tests/limiter.rs`.
///
/// # Cost
/// Twice a [`RateLimiter`]'s: one short lock of 16 to find it, and a hash. About 300 bytes for each key that
/// is remembered. Bench `limiter`.
///
/// # Instead
/// A [`RateLimiter`] in your own structure for each key, if there are few and they are known.
pub struct KeyedLimiter<K, S = RandomState> {
    shards: Box<[CachePadded<Mutex<Shard<K>>>]>,
    /// Never used but to be copied.
    tokens: u64,
    period: Duration,
    burst: u64,
    clock: Clock,
    hasher: S,
}

/// Enough that eight threads seldom meet.
const SHARDS: usize = sized(16, 1);

/// Keys in a shard that are not worth a sweep. To forget a key and make it anew costs four times what a call
/// costs that finds it (280 against 74 ns), so a thousand keys that are always idle should stay.
const FEW: usize = sized(64, 1);

/// Keys are the caller's, so no map compares them under a lock: those of one hash are a list, and
/// are taken out one by one and compared outside, as in [`SingleFlight`](crate::SingleFlight).
struct Shard<K> {
    by_hash: HashMap<u64, Vec<Arc<Entry<K>>>, BuildHasherDefault<AsItIs>>,
    len: usize,
    /// Length at which it is swept next.
    sweep_at: usize,
}

struct Entry<K> {
    key: K,
    limiter: RateLimiter,
}

impl<K> KeyedLimiter<K> {
    /// Makes a limiter that gives out `tokens` a key each `period`, and as many in a burst, on
    /// [this thread's clock](Clock::current).
    ///
    /// # Panics
    /// If `period` is zero, or `tokens` above [`RateLimiter::MAX`].
    #[track_caller]
    pub fn new(tokens: u64, period: Duration) -> Self {
        super::check(tokens, period);
        KeyedLimiter {
            shards: (0..SHARDS).map(|_| CachePadded::default()).collect(),
            tokens,
            period,
            burst: tokens,
            clock: Clock::current(),
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
        KeyedLimiter { burst, ..self.empty() }
    }

    /// The same limiter on `clock`, with every key's bucket full.
    #[must_use = "this limiter is on the clock, not the one it was made from"]
    pub fn with_clock(self, clock: impl Into<Clock>) -> Self {
        KeyedLimiter { clock: clock.into(), ..self.empty() }
    }

    /// The same limiter, which hashes keys with `hasher`, with every key's bucket full.
    #[must_use = "this limiter has the hasher, not the one it was made from"]
    pub fn with_hasher<T>(self, hasher: T) -> KeyedLimiter<K, T> {
        let KeyedLimiter { shards, tokens, period, burst, clock, .. } = self.empty();
        KeyedLimiter { shards, tokens, period, burst, clock, hasher }
    }

    fn empty(mut self) -> Self {
        self.shards.iter_mut().for_each(|shard| **shard = Mutex::default());
        self
    }

    /// Keys that are remembered; of those, the idle ones may be forgotten at any time.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len).sum()
    }

    /// True if no key is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets every idle key now; says how many. It is never necessary.
    ///
    /// # Panics
    /// If the drop of a key does, when all are forgotten.
    pub fn forget_idle(&self) -> usize {
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
        self.entry(key).limiter.acquire(count)
    }

    /// Takes `count` tokens of `key` if they are there and nobody waits for that key.
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
        // A cancelled call leaves no key behind.
        limit.check_token()?;
        self.entry(key).limiter.acquire_until(count, limit)
    }

    /// How long a call for `count` tokens of `key` would wait if it came now; `None` if it would never get
    /// them.
    pub fn delay<Q>(&self, key: &Q, count: u64) -> Option<Duration>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        match self.find(self.hasher.hash_one(key), |other| other.borrow() == key) {
            Some(entry) => entry.limiter.delay(count),
            None => (count <= self.burst).then_some(Duration::ZERO),
        }
    }

    /// Tokens of `key` that are there and nobody waits for.
    pub fn available<Q>(&self, key: &Q) -> u64
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let found = self.find(self.hasher.hash_one(key), |other| other.borrow() == key);
        found.map_or(self.burst, |entry| entry.limiter.available())
    }

    fn find(&self, hash: u64, is_key: impl Fn(&K) -> bool) -> Option<Arc<Entry<K>>> {
        let mut strangers = Vec::new();
        loop {
            let entry = self.shard(hash).lock().next(hash, &strangers)?;
            if is_key(&entry.key) {
                return Some(entry);
            }
            strangers.push(entry);
        }
    }

    /// The key's limiter, a new one if there is none. As long as it is held, it is not forgotten.
    fn entry<Q>(&self, key: &Q) -> Arc<Entry<K>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        let hash = self.hasher.hash_one(key);
        if let Some(entry) = self.find(hash, |other| other.borrow() == key) {
            return entry;
        }
        let limiter =
            RateLimiter::new(self.tokens, self.period).with_burst(self.burst).with_clock(&self.clock);
        let new = Arc::new(Entry { key: key.to_owned(), limiter });
        let mut strangers = Vec::new();
        loop {
            // The look and the entry are one critical section, so of two that find nobody one enters.
            let entered = self.shard(hash).lock().enter(hash, &new, &strangers);
            match entered {
                Ok(sweep_is_due) => {
                    if sweep_is_due {
                        // Other keys: their drop is nothing to who asked for this one.
                        panics::discard_each(swept(self.shard(hash)));
                    }
                    return new;
                }
                Err(found) if found.key.borrow() == key => {
                    panics::discard(new);
                    return found;
                }
                Err(stranger) => strangers.push(stranger),
            }
        }
    }

    fn shard(&self, hash: u64) -> &Mutex<Shard<K>> {
        // Other bits than those that the map in the shard looks at first.
        &self.shards[(hash >> 32) as usize % self.shards.len()]
    }
}

/// Takes the idle keys out of a shard, for the caller to drop with no lock held.
fn swept<K>(shard: &Mutex<Shard<K>>) -> Vec<Arc<Entry<K>>> {
    shard.lock().sweep()
}

impl<K> Shard<K> {
    /// An entry with that hash that is none of `strangers`.
    fn next(&self, hash: u64, strangers: &[Arc<Entry<K>>]) -> Option<Arc<Entry<K>>> {
        let known = |entry: &&Arc<Entry<K>>| strangers.iter().any(|other| Arc::ptr_eq(entry, other));
        self.by_hash.get(&hash)?.iter().find(|entry| !known(entry)).cloned()
    }

    /// Enters `new` if there is none of its hash but `strangers`, and says whether a sweep is due; gives
    /// another if there is.
    fn enter(
        &mut self,
        hash: u64,
        new: &Arc<Entry<K>>,
        strangers: &[Arc<Entry<K>>],
    ) -> Result<bool, Arc<Entry<K>>> {
        if let Some(other) = self.next(hash, strangers) {
            return Err(other);
        }
        self.by_hash.entry(hash).or_default().push(Arc::clone(new));
        self.len += 1;
        Ok(self.len >= self.sweep_at.max(FEW))
    }

    /// Takes out whoever is idle, and plans the next sweep.
    ///
    /// An entry that somebody holds stays, because who found it is about to take tokens from it. Entries are
    /// handed out under this lock, so none that nobody holds now can be held before it is out; what its last
    /// holder did is seen through the limiter's own lock.
    fn sweep(&mut self) -> Vec<Arc<Entry<K>>> {
        let mut idle = Vec::new();
        self.by_hash.retain(|_, entries| {
            let is_idle =
                |entry: &mut Arc<Entry<K>>| Arc::strong_count(entry) == 1 && entry.limiter.is_idle();
            idle.extend(entries.extract_if(.., is_idle));
            !entries.is_empty()
        });
        self.len -= idle.len();
        self.sweep_at = self.len * 2;
        if self.by_hash.capacity() > 4 * self.len.max(FEW) {
            self.by_hash.shrink_to(2 * self.len);
        }
        idle
    }
}

impl<K> Default for Shard<K> {
    fn default() -> Self {
        Shard { by_hash: HashMap::default(), len: 0, sweep_at: 0 }
    }
}

/// Takes what is a hash already as it is.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, bytes: &[u8]) {
        unreachable!("a hash is a number, not {} bytes", bytes.len())
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl<K, S> fmt::Debug for KeyedLimiter<K, S> {
    /// Never waits: shards that other threads have locked are not counted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.shards.iter().filter_map(|shard| shard.try_lock()).map(|shard| shard.len);
        f.debug_struct("KeyedLimiter")
            .field("tokens", &self.tokens)
            .field("period", &self.period)
            .field("burst", &self.burst)
            .field("keys", &keys.sum::<usize>())
            .finish_non_exhaustive()
    }
}

impl<K, S> UnwindSafe for KeyedLimiter<K, S> {}
impl<K, S> RefUnwindSafe for KeyedLimiter<K, S> {}

//! A hash map that many threads read and change at once.

mod entry;
mod iter;
mod keyed;
mod once;
#[cfg(feature = "rayon")]
mod parallel;
mod reentry;
mod running;
mod shard;
mod traits;
mod whole;

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::ops::{Deref, DerefMut};
use std::panic::{RefUnwindSafe, UnwindSafe};

use crossbeam_utils::CachePadded;

pub use entry::{Entry, OccupiedEntry, VacantEntry};
pub use iter::{Drain, IntoIter, Iter};
#[cfg(feature = "rayon")]
pub use parallel::{IntoParIter, ParIter};

use crate::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard, lazy_static, sized, thread};
use reentry::{Free, Inside};
use shard::{Shard, TooMany};

/// A map that threads share: what must not come apart (look and then change, look and else make) is one call.
///
/// Every call on one key is atomic: calls on that key, from however many threads, take effect one after
/// another, each between its beginning and its end. [`get_or_insert_with`](ShardedMap::get_or_insert_with)
/// runs its closure once for a key while other threads that want the same key wait, and no others. Nothing
/// that borrows from the map gets out of a call, so no thread can hold a lock by accident: values come out as
/// clones, or are lent to a closure.
///
/// # Examples
/// ```
/// use selvedge::ShardedMap;
///
/// let ages = ShardedMap::new();
/// ages.insert("Ada", 36);
/// ages.update("Ada", |age| *age += 1);
/// assert_eq!(ages.get("Ada"), Some(37));
/// assert_eq!(ages.remove_if("Ada", |age| *age < 18), None);
/// ```
///
/// Count words from several threads, and lose none:
/// ```
/// use selvedge::ShardedMap;
///
/// let counts = ShardedMap::new();
/// std::thread::scope(|s| {
///     for text in ["a rose is a rose", "is a rose"] {
///         let counts = &counts;
///         s.spawn(move || {
///             for word in text.split(' ') {
///                 counts.entry(word, |entry| *entry.or_insert(0) += 1);
///             }
///         });
///     }
/// });
/// assert_eq!((counts.get("a"), counts.get("rose"), counts.get("is")), (Some(3), Some(3), Some(2)));
/// ```
///
/// # Blocking
/// A call waits while another thread is inside a call on the same *shard*, one of the parts that keys are
/// spread over: as long as that takes, so keep closures short that run under the lock, and put slow work into
/// [`get_or_insert_with`](ShardedMap::get_or_insert_with), whose closure runs under none. Reading calls do
/// not keep each other out. Only `get_or_insert_with` and its kin sleep until somebody else's closure has
/// ended; they are the ones that come with a limit.
///
/// # Panics
/// A call on a map from a closure that runs under a lock of the same map panics, and says what to do,
/// whatever the key: it would wait for itself, now or on another day. So does one from a key's `Eq` or
/// `Hash`, or a value's `Clone`, while they run there. The calls that can say so,
/// [`get_or_insert_with`](ShardedMap::get_or_insert_with) and its kin, return
/// [`WouldDeadlock`](crate::error::WouldDeadlock) instead. Calling *another* map from there is well; two maps
/// that do so the two ways round can wait for each other, as two mutexes can.
///
/// When the caller's code panics inside a call, the call has either happened or not, and the map stays
/// usable. A value that a closure was changing is as the closure left it.
///
/// # Caller's code under a lock
/// The keys' `Eq`, wherever a key is looked up. Their `Hash` is called once a call, before; and under the
/// lock for every key of a shard that grows or shrinks. `Clone` of a value, and a closure, where the method
/// says so. What is replaced, removed or refused is dropped after unlocking.
///
/// # Consistency
/// What looks at more than one key ([`len`](ShardedMap::len), [`iter`](ShardedMap::iter),
/// [`for_each`](ShardedMap::for_each), [`retain`](ShardedMap::retain), [`drain`](ShardedMap::drain),
/// [`clear`](ShardedMap::clear), [`clone`](Clone::clone) …) goes from shard to shard, and sees each shard at
/// one moment, but different shards at different moments.
/// - An entry that is there from beginning to end is seen, once. No key is seen twice.
/// - An entry that is inserted or removed meanwhile may be seen or not; of two that are inserted one after
///   the other, the later may be seen without the earlier. `iter`, which copies a shard and then hands the
///   copies out, may hand one out whose entry is gone by then; what a closure is lent is there.
/// - A value that `get_or_insert_with` is making is not there yet, for any other call.
/// - `len` may be a number that the map never held at any one moment. It is exact if nobody changes the map.
///
/// # Fairness
/// Threads that wait for one key's closure all get its value; if it fails, the one that came first runs its
/// own next, and none of those who come later goes before. Shard locks are parking_lot's: a newcomer may
/// overtake for half a millisecond, and readers do not starve a writer.
///
/// # Ordering
/// What a thread did before it changed a key is visible to who sees the change.
///
/// # Proof
/// Models in `loom-tests/tests/map.rs`; random sequences of calls against std's `HashMap`,
/// and histories of several threads checked for linearizability, in `tests/map/history.rs`. Assumed:
/// hashbrown's table, which runs in the models unchanged, is right in one thread.
///
/// # Cost
/// A hash, and one lock and unlock of a shard that is otherwise idle. 128 bytes a shard, and there are 32
/// shards a processor; then one byte beside each key and value, and the places that are free: from an eighth
/// of the table to 9/16 where it only grows. Memory is given back: a shard with more than 64 places and less
/// than an eighth of them taken is rebuilt with room for twice what it holds, by the next call that removes
/// something. Bench `map`.
///
/// # Instead
/// A `Mutex<HashMap>` if the map is small and few threads want it. A `HashMap` for each thread, merged at the
/// end, if nobody must see the others' entries before.
pub struct ShardedMap<K, V, S = RandomState> {
    /// A power of two of them.
    shards: Box<[Part<K, V>]>,
    hasher: S,
}

/// A shard on cache lines of its own.
type Part<K, V> = CachePadded<RwLock<Shard<K, V>>>;

/// Shards for each processor. A thread that is interrupted inside a shard blocks that part of the keys.
const SHARDS_A_PROCESSOR: usize = 32;

/// Shared access to a shard; unlocks, and then leaves the map.
struct Reading<'a, K, V> {
    shard: RwLockReadGuard<'a, Shard<K, V>>,
    _inside: Inside,
}

/// Exclusive access to a shard; unlocks, and then leaves the map.
struct Writing<'a, K, V> {
    shard: RwLockWriteGuard<'a, Shard<K, V>>,
    _inside: Inside,
}

impl<K, V> ShardedMap<K, V> {
    /// Makes an empty map, with hashes that no stranger can make collide.
    pub fn new() -> Self {
        Self::with_hasher(RandomState::new())
    }

    /// Makes an empty map with room for about `capacity` entries: exactly so many if they were spread evenly,
    /// which they nearly are.
    ///
    /// # Panics
    /// If so many do not fit into memory.
    #[track_caller]
    pub fn with_capacity(capacity: usize) -> Self {
        Self::with_capacity_and_hasher(capacity, RandomState::new())
    }

    /// Makes an empty map with at least `shards` shards: more let more threads in at once and make each pass
    /// over the whole map block others more briefly, fewer take less memory.
    ///
    /// # Panics
    /// If `shards` is 0 or above [`MAX_SHARDS`](ShardedMap::MAX_SHARDS).
    #[track_caller]
    pub fn with_shards(shards: usize) -> Self {
        Self::with_shards_and_hasher(shards, RandomState::new())
    }
}

impl<K, V, S> ShardedMap<K, V, S> {
    /// The most shards that a map can have.
    pub const MAX_SHARDS: usize = 1 << 16;

    /// Makes an empty map that hashes its keys with `hasher`.
    pub fn with_hasher(hasher: S) -> Self {
        Self::build(default_shards(), 0, hasher)
    }

    /// [`with_capacity`](ShardedMap::with_capacity) with a hasher.
    ///
    /// # Panics
    /// As that does.
    #[track_caller]
    pub fn with_capacity_and_hasher(capacity: usize, hasher: S) -> Self {
        Self::build(default_shards(), capacity, hasher)
    }

    /// [`with_shards`](ShardedMap::with_shards) with a hasher.
    ///
    /// # Panics
    /// If `shards` is 0 or above [`MAX_SHARDS`](ShardedMap::MAX_SHARDS).
    #[track_caller]
    pub fn with_shards_and_hasher(shards: usize, hasher: S) -> Self {
        assert!(shards != 0, "a map of 0 shards could hold nothing: the least is 1");
        let most = Self::MAX_SHARDS;
        assert!(shards <= most, "{shards} shards are more than the {most} allowed");
        Self::build(shards.next_power_of_two(), 0, hasher)
    }

    #[track_caller]
    fn build(shards: usize, capacity: usize, hasher: S) -> Self {
        let each = capacity.div_ceil(shards);
        let shard = |_| Ok::<_, TooMany>(Part::new(RwLock::new(Shard::with_capacity(each)?)));
        let Ok(shards) = (0..shards).map(shard).collect() else {
            panic!("a map with room for {capacity} entries does not fit into memory")
        };
        ShardedMap { shards, hasher }
    }

    /// How many shards the map has.
    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// The map's hasher.
    pub fn hasher(&self) -> &S {
        &self.hasher
    }

    /// Which shard keys of that hash are in.
    ///
    /// The table inside takes the hash's lowest and highest bits. Multiplying by 2⁶⁴ divided by the golden
    /// ratio makes the bits above the 40th depend on all below them, so that a hasher which hands small
    /// numbers on as they are fills all shards, too.
    #[inline]
    fn index_of(&self, hash: u64) -> usize {
        const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
        (hash.wrapping_mul(GOLDEN) >> 40) as usize & (self.shards.len() - 1)
    }

    #[inline]
    #[track_caller]
    fn check(&self) -> Free {
        reentry::check(std::ptr::from_ref(self).addr())
    }

    /// Whether this thread runs under a lock of this map.
    fn is_entered(&self) -> bool {
        reentry::is_inside(std::ptr::from_ref(self).addr())
    }

    #[inline]
    #[track_caller]
    fn read_at(&self, index: usize) -> Reading<'_, K, V> {
        let free = self.check();
        Reading { shard: self.shards[index].read(), _inside: free.enter() }
    }

    #[inline]
    #[track_caller]
    fn write_at(&self, index: usize) -> Writing<'_, K, V> {
        let free = self.check();
        Writing { shard: self.shards[index].write(), _inside: free.enter() }
    }

    #[inline]
    #[track_caller]
    fn read(&self, hash: u64) -> Reading<'_, K, V> {
        self.read_at(self.index_of(hash))
    }

    #[inline]
    #[track_caller]
    fn write(&self, hash: u64) -> Writing<'_, K, V> {
        self.write_at(self.index_of(hash))
    }
}

/// Asking the system how many processors there are reads files, so it is asked once.
fn default_shards() -> usize {
    lazy_static! {
        static ref PROCESSORS: usize = thread::available_parallelism();
    }
    sized((*PROCESSORS * SHARDS_A_PROCESSOR).next_power_of_two(), 1)
}

impl<K, V, S: BuildHasher> ShardedMap<K, V, S> {
    #[inline]
    #[allow(clippy::manual_hash_one, reason = "it is not inlined here, which costs 2 ns")]
    fn hash<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        key.hash(&mut hasher);
        hasher.finish()
    }
}

impl<K, V> Deref for Reading<'_, K, V> {
    type Target = Shard<K, V>;

    #[inline]
    fn deref(&self) -> &Shard<K, V> {
        &self.shard
    }
}

impl<K, V> Deref for Writing<'_, K, V> {
    type Target = Shard<K, V>;

    #[inline]
    fn deref(&self) -> &Shard<K, V> {
        &self.shard
    }
}

impl<K, V> DerefMut for Writing<'_, K, V> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Shard<K, V> {
        &mut self.shard
    }
}

// A closure that panics while it changes a value leaves the value as it is then, as its docs say: what is
// broken then is the caller's own. The map is whole.
impl<K, V, S> UnwindSafe for ShardedMap<K, V, S> {}
impl<K, V, S> RefUnwindSafe for ShardedMap<K, V, S> {}

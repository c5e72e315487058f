//! A hash map that many threads read and change at once.

#[forbid(unsafe_code)]
mod entry;
#[forbid(unsafe_code)]
mod iter;
#[forbid(unsafe_code)]
mod keyed;
#[allow(unsafe_code)]
mod lock;
#[forbid(unsafe_code)]
mod once;
#[cfg(feature = "rayon")]
#[forbid(unsafe_code)]
mod parallel;
#[forbid(unsafe_code)]
mod readers;
#[forbid(unsafe_code)]
mod reentry;
#[forbid(unsafe_code)]
mod running;
#[forbid(unsafe_code)]
mod shard;
#[forbid(unsafe_code)]
mod traits;
#[forbid(unsafe_code)]
mod whole;

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::ops::{Deref, DerefMut};
use std::panic::{RefUnwindSafe, UnwindSafe};

pub use entry::{Entry, OccupiedEntry, VacantEntry};
pub use iter::{Drain, IntoIter, Iter};
#[cfg(feature = "rayon")]
pub use parallel::{IntoParIter, ParIter};

use crate::sync::{lazy_static, sized, thread};
use lock::ShardLock;
use reentry::{Free, Inside};
use shard::{Shard, TooMany};

/// A concurrent hash map whose compound operations (check and then change, get or else insert) are single
/// calls.
///
/// Every call on one key is atomic: calls on that key, from any number of threads, take effect one after
/// another, each between its start and its return. [`get_or_insert_with`](ShardedMap::get_or_insert_with)
/// runs its closure once per key while the threads that want the same key wait, and no others. No reference
/// into the map leaves a call, so no thread can hold a lock by accident: values are returned as clones or
/// lent to a closure.
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
/// Counting words from several threads without losing an update:
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
/// A call waits while another thread is inside a call on the same *shard*, a part of the key space. Keep
/// closures that run under the lock short, and put slow work into
/// [`get_or_insert_with`](ShardedMap::get_or_insert_with), whose closure runs under no lock. Readers do not
/// exclude each other; while nobody writes to a shard, they do not even write to the same memory. Only
/// `get_or_insert_with` and its variants wait for another thread's closure; they have forms with a limit.
///
/// # Cancellation
/// A wait for another thread's closure that ends early returns the key and the closure. If the value exists
/// when the limit passes, it is returned. A turn that was handed to a waiter is taken even if its limit has
/// passed.
///
/// # Panics
/// A call on a map from a closure that runs under a lock of the same map panics with a message that says how
/// to avoid it, whatever the key: it would deadlock for some keys. The same holds for calls from a key's `Eq`
/// or `Hash`, or a value's `Clone`, that run under the lock. Calls that return an error, such as
/// [`get_or_insert_with`](ShardedMap::get_or_insert_with), return
/// [`WouldDeadlock`](crate::error::WouldDeadlock) instead. Nesting different maps is fine; two maps that are
/// nested in both orders can deadlock, as two mutexes can.
///
/// When the caller's code panics inside a call, the call has either happened or not, and the map stays
/// usable. A value that a closure was changing is as the closure left it.
///
/// # Caller's code under a lock
/// A key's `Eq`, for every lookup. A key's `Hash` runs once per call, before locking; it runs under the lock
/// for every key of a shard that grows or shrinks. `Clone` of a value, and closures, where the method says
/// so. Values and keys that are replaced, removed or refused are dropped after unlocking.
///
/// # Consistency
/// Calls on more than one key ([`len`](ShardedMap::len), [`iter`](ShardedMap::iter),
/// [`for_each`](ShardedMap::for_each), [`retain`](ShardedMap::retain), [`drain`](ShardedMap::drain),
/// [`clear`](ShardedMap::clear), [`clone`](Clone::clone) …) visit one shard after another. Each shard is seen
/// at one moment, different shards at different moments.
/// - An entry that is present throughout is seen exactly once. No key is seen twice.
/// - An entry that is inserted or removed meanwhile may or may not be seen; of two entries inserted one after
///   the other, the later may be seen without the earlier. `iter` copies a shard and then returns the copies,
///   so it may return an entry that has been removed since; entries lent to a closure are present.
/// - A value that `get_or_insert_with` is computing is not visible to any other call.
/// - `len` may be a number that the map never had at any one moment. It is exact if no thread changes the
///   map.
///
/// # Fairness
/// All threads that wait for a key's closure get its value. If the closure fails, the first waiter runs its
/// own next, and later callers do not overtake it. Shard locks are parking_lot's: a newcomer may overtake for
/// half a millisecond, and readers do not starve a writer.
///
/// # Ordering
/// What a thread did before it changed a key is visible to a thread that sees the change.
///
/// # Proof
/// Models in `loom-tests/tests/map.rs`, among them `a_value_that_two_threads_want_is_made_once`,
/// `a_closure_that_panics_hands_its_turn_on` and
/// `two_closures_that_want_each_others_value_do_not_hang`; and of the shards' locks,
/// `a_writer_waits_for_a_reader_that_does_not_lock`, `a_reader_that_leaves_lets_the_writer_go_on` and
/// `a_reader_that_does_not_lock_sees_the_last_write`. `tests/map/history.rs` compares random
/// sequences of calls with std's `HashMap`, and checks histories of several threads for linearizability.
/// Assumed: hashbrown's table, which runs unchanged in the models, is correct in one thread.
///
/// # Cost
/// A hash, and one lock and unlock of a usually uncontended shard; for a reader of a shard that has been
/// read 16 to 64 times in a row, two swaps in memory that belongs to its thread. A write that ends such a
/// row costs 2 ns more for each living thread that has read a map, and a transfer of a cache line for
/// each that is reading now. Two threads on 2 cores, `u64`, times of dashmap, scc and papaya as multiples
/// of ours: reads of 1,000 keys 1.6, 1.9 and 2.2, of 100,000 keys 1.5, 1.4 and 1.9; half of them writes,
/// 1.1 to 1.5, 1.0 to 1.1 and 5 to 8 (a program with the code of bench `ratios`). With 1,000 keys and 1,
/// 2, 5 and 10 % of writes, dashmap takes 1.6, 1.1, 0.92 and 0.96 of our time: what a revocation takes is
/// gained by dozens of reads only.
///
/// Memory: 64 bytes a shard, and 256 shards or 32 a processor, whichever is more; one byte beside each key
/// and value; free buckets of an eighth to 9/16 of a table that only grows. Memory is returned: a shard with
/// more than 16 buckets of which less than an eighth are occupied is rebuilt at twice its length by the next
/// call that removes an entry.
///
/// # Instead
/// Use a `Mutex<HashMap>` if the map is small and few threads use it; a `HashMap` per thread, merged at the
/// end, if no thread needs the entries of others before.
pub struct ShardedMap<K, V, S = RandomState> {
    /// A power of two.
    shards: Box<[Part<K, V>]>,
    hasher: S,
}

/// A shard and its lock on a cache line of their own. [`CachePadded`](crossbeam_utils::CachePadded) takes two
/// lines, since processors fetch them in pairs; with two shards in a pair, figures are the same, because
/// hashes spread the threads over all shards.
#[repr(align(64))]
struct Part<K, V>(ShardLock<Shard<K, V>>);

// Locks of a model are larger.
const _: () = assert!(sized(size_of::<Part<String, String>>(), 64) == 64);

/// Shards per processor. A thread that is preempted inside a shard blocks that part of the keys.
const SHARDS_A_PROCESSOR: usize = 32;

/// The least number of shards by default. A pass over a million entries blocks a writer for 4,000 of them,
/// 7 µs: less than it takes to sleep and be woken. With 64 shards the slowest write during a pass took 45 µs,
/// with 256 it took 7 µs (10th percentile of 101 passes; 2 cores).
const SHARDS: usize = 256;

/// Shared access to a shard; on drop, unlocks and then leaves the map.
struct ReadGuard<'a, K, V> {
    shard: lock::ReadGuard<'a, Shard<K, V>>,
    _inside: Inside,
}

/// Exclusive access to a shard; on drop, unlocks and then leaves the map.
struct WriteGuard<'a, K, V> {
    shard: lock::WriteGuard<'a, Shard<K, V>>,
    _inside: Inside,
}

impl<K, V> ShardedMap<K, V> {
    /// Creates an empty map with randomly keyed hashes, against collision attacks.
    pub fn new() -> Self {
        Self::with_hasher(RandomState::new())
    }

    /// Creates an empty map with capacity for about `capacity` entries: exactly as many if they spread evenly
    /// over the shards, which they nearly do.
    ///
    /// # Panics
    /// If that does not fit into memory.
    #[track_caller]
    pub fn with_capacity(capacity: usize) -> Self {
        Self::with_capacity_and_hasher(capacity, RandomState::new())
    }

    /// Creates an empty map with at least `shards` shards. More shards admit more threads at once and make
    /// passes over the whole map block other threads more briefly; fewer shards take less memory.
    ///
    /// # Panics
    /// If `shards` is 0 or above [`MAX_SHARDS`](ShardedMap::MAX_SHARDS).
    #[track_caller]
    pub fn with_shards(shards: usize) -> Self {
        Self::with_shards_and_hasher(shards, RandomState::new())
    }
}

impl<K, V, S> ShardedMap<K, V, S> {
    /// The maximum number of shards.
    pub const MAX_SHARDS: usize = 1 << 16;

    /// Creates an empty map that hashes its keys with `hasher`.
    pub fn with_hasher(hasher: S) -> Self {
        Self::build(default_shards(), 0, hasher)
    }

    /// Like [`with_capacity`](ShardedMap::with_capacity), with a hasher.
    ///
    /// # Panics
    /// As [`with_capacity`](ShardedMap::with_capacity).
    #[track_caller]
    pub fn with_capacity_and_hasher(capacity: usize, hasher: S) -> Self {
        Self::build(default_shards(), capacity, hasher)
    }

    /// Like [`with_shards`](ShardedMap::with_shards), with a hasher.
    ///
    /// # Panics
    /// If `shards` is 0 or above [`MAX_SHARDS`](ShardedMap::MAX_SHARDS).
    #[track_caller]
    pub fn with_shards_and_hasher(shards: usize, hasher: S) -> Self {
        assert!(shards != 0, "a map of 0 shards could hold nothing: the least is 1");
        let most = Self::MAX_SHARDS;
        assert!(shards <= most, "{shards} shards are more than the {most} allowed");
        // Rounded up, so that a mask selects the shard.
        Self::build(shards.next_power_of_two(), 0, hasher)
    }

    #[track_caller]
    fn build(shards: usize, capacity: usize, hasher: S) -> Self {
        // Rounded up: the shards together hold at least `capacity`.
        let each = capacity.div_ceil(shards);
        let shard = |_| Ok::<_, TooMany>(Part::new(Shard::with_capacity(each)?));
        let Ok(shards) = (0..shards).map(shard).collect() else {
            panic!("a map with room for {capacity} entries does not fit into memory")
        };
        ShardedMap { shards, hasher }
    }

    /// Returns the number of shards.
    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// Returns the map's hasher.
    pub fn hasher(&self) -> &S {
        &self.hasher
    }

    /// The shard of keys with that hash.
    ///
    /// The table inside uses the lowest and the highest bits of the hash. Multiplying by 2⁶⁴ over the golden
    /// ratio makes the bits above the 40th depend on all bits below them, so that a hasher which passes small
    /// integers through still fills all shards.
    #[inline]
    fn index_of(&self, hash: u64) -> usize {
        const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
        // A mask suffices: the number of shards is a power of two.
        (hash.wrapping_mul(GOLDEN) >> 40) as usize & (self.shards.len() - 1)
    }

    #[inline]
    #[track_caller]
    fn check(&self) -> Free {
        reentry::check(std::ptr::from_ref(self).addr())
    }

    /// True if this thread runs under a lock of this map.
    fn is_entered(&self) -> bool {
        reentry::is_inside(std::ptr::from_ref(self).addr())
    }

    #[inline]
    #[track_caller]
    fn read_at(&self, index: usize) -> ReadGuard<'_, K, V> {
        let free = self.check();
        // Checked before locking, entered after it: a re-entrant call must panic instead of waiting for its
        // own thread.
        ReadGuard { shard: self.shards[index].0.read(), _inside: free.enter() }
    }

    #[inline]
    #[track_caller]
    fn write_at(&self, index: usize) -> WriteGuard<'_, K, V> {
        let free = self.check();
        WriteGuard { shard: self.shards[index].0.write(), _inside: free.enter() }
    }

    #[inline]
    #[track_caller]
    fn read(&self, hash: u64) -> ReadGuard<'_, K, V> {
        self.read_at(self.index_of(hash))
    }

    #[inline]
    #[track_caller]
    fn write(&self, hash: u64) -> WriteGuard<'_, K, V> {
        self.write_at(self.index_of(hash))
    }
}

/// Cached, because querying the number of processors reads files.
fn default_shards() -> usize {
    lazy_static! {
        static ref PROCESSORS: usize = thread::available_parallelism();
    }
    // One shard in models: each lock multiplies the schedules.
    sized((*PROCESSORS * SHARDS_A_PROCESSOR).next_power_of_two().max(SHARDS), 1)
}

impl<K, V, S: BuildHasher> ShardedMap<K, V, S> {
    #[inline]
    #[allow(clippy::manual_hash_one, reason = "it is not inlined here, which costs 2 ns")]
    fn hash<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        // Before the shard is locked, except for a rebuild: `Hash` is the caller's code.
        let mut hasher = self.hasher.build_hasher();
        key.hash(&mut hasher);
        hasher.finish()
    }
}

impl<K, V> Part<K, V> {
    fn new(shard: Shard<K, V>) -> Self {
        Part(ShardLock::new(shard))
    }
}

impl<K, V> Deref for ReadGuard<'_, K, V> {
    type Target = Shard<K, V>;

    #[inline]
    fn deref(&self) -> &Shard<K, V> {
        &self.shard
    }
}

impl<K, V> Deref for WriteGuard<'_, K, V> {
    type Target = Shard<K, V>;

    #[inline]
    fn deref(&self) -> &Shard<K, V> {
        &self.shard
    }
}

impl<K, V> DerefMut for WriteGuard<'_, K, V> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Shard<K, V> {
        &mut self.shard
    }
}

// A closure that panics while it changes a value leaves the value as it is, as documented: what is broken
// then is the caller's. The map is intact.
impl<K, V, S> UnwindSafe for ShardedMap<K, V, S> {}
impl<K, V, S> RefUnwindSafe for ShardedMap<K, V, S> {}

//! Maps that threads share. All of them hash with std's `RandomState`.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::hint::black_box;
use std::sync::RwLock as StdRwLock;

use crossbeam_utils::CachePadded;
use parking_lot::RwLock;

/// A key, which is its own value.
pub(crate) trait Item: Clone + Eq + Hash + Send + Sync + 'static {
    /// The `n`th.
    fn nth(n: u64) -> Self;
}

/// A map, as a thread uses it.
pub(crate) trait Map<T: Item>: Send + Sync + 'static {
    fn new() -> Self;

    /// Looks at a key's value without copying it.
    fn read(&self, key: &T) -> bool;

    fn write(&self, key: T, value: T);

    /// Looks at every value; returns how many there are.
    fn pass(&self) -> usize;
}

impl Item for u64 {
    fn nth(n: u64) -> u64 {
        n
    }
}

impl Item for String {
    fn nth(n: u64) -> String {
        format!("key number {n}")
    }
}

impl<T: Item> Map<T> for selvedge::ShardedMap<T, T> {
    fn new() -> Self {
        selvedge::ShardedMap::new()
    }

    fn read(&self, key: &T) -> bool {
        self.with(key, |value| _ = black_box(value)).is_some()
    }

    fn write(&self, key: T, value: T) {
        self.insert(key, value);
    }

    fn pass(&self) -> usize {
        let mut count = 0;
        self.for_each(|_, value| {
            black_box(value);
            count += 1;
        });
        count
    }
}

impl<T: Item> Map<T> for dashmap::DashMap<T, T> {
    fn new() -> Self {
        dashmap::DashMap::new()
    }

    fn read(&self, key: &T) -> bool {
        self.get(key).map(|value| _ = black_box(value.value())).is_some()
    }

    fn write(&self, key: T, value: T) {
        self.insert(key, value);
    }

    fn pass(&self) -> usize {
        self.iter().map(|entry| _ = black_box(entry.value())).count()
    }
}

impl<T: Item> Map<T> for papaya::HashMap<T, T> {
    fn new() -> Self {
        papaya::HashMap::new()
    }

    fn read(&self, key: &T) -> bool {
        self.pin().get(key).map(|value| _ = black_box(value)).is_some()
    }

    fn write(&self, key: T, value: T) {
        self.pin().insert(key, value);
    }

    fn pass(&self) -> usize {
        self.pin().iter().map(|(_, value)| _ = black_box(value)).count()
    }
}

impl<T: Item> Map<T> for scc::HashMap<T, T> {
    fn new() -> Self {
        scc::HashMap::new()
    }

    fn read(&self, key: &T) -> bool {
        self.read_sync(key, |_, value| _ = black_box(value)).is_some()
    }

    fn write(&self, key: T, value: T) {
        self.upsert_sync(key, value);
    }

    fn pass(&self) -> usize {
        let mut count = 0;
        self.iter_sync(|_, value| {
            black_box(value);
            count += 1;
            true
        });
        count
    }
}

/// One lock around std's map.
impl<T: Item> Map<T> for RwLock<HashMap<T, T>> {
    fn new() -> Self {
        RwLock::default()
    }

    fn read(&self, key: &T) -> bool {
        self.read().get(key).map(|value| _ = black_box(value)).is_some()
    }

    fn write(&self, key: T, value: T) {
        self.write().insert(key, value);
    }

    fn pass(&self) -> usize {
        self.read().values().map(|value| _ = black_box(value)).count()
    }
}

/// What is written by hand: 64 shards of std's map under std's lock. Each key is hashed twice.
pub(crate) struct ByHand<T> {
    shards: Vec<CachePadded<StdRwLock<HashMap<T, T>>>>,
    hasher: RandomState,
}

impl<T: Item> ByHand<T> {
    fn shard(&self, key: &T) -> &StdRwLock<HashMap<T, T>> {
        &self.shards[self.hasher.hash_one(key) as usize % self.shards.len()]
    }
}

impl<T: Item> Map<T> for ByHand<T> {
    fn new() -> Self {
        ByHand { shards: (0..64).map(|_| CachePadded::default()).collect(), hasher: RandomState::new() }
    }

    fn read(&self, key: &T) -> bool {
        let shard = self.shard(key).read().expect("nobody panics");
        shard.get(key).map(|value| _ = black_box(value)).is_some()
    }

    fn write(&self, key: T, value: T) {
        self.shard(&key).write().expect("nobody panics").insert(key, value);
    }

    fn pass(&self) -> usize {
        let pass = |shard: &CachePadded<StdRwLock<HashMap<T, T>>>| {
            let shard = shard.read().expect("nobody panics");
            shard.values().map(|value| _ = black_box(value)).count()
        };
        self.shards.iter().map(pass).sum()
    }
}

//! The list of what must be notified of a cancellation.

use super::node::Watcher;

/// Watchers in the order of their registration, under keys that grow with it.
///
/// A watcher that leaves from the middle leaves a gap, and gaps are closed once there are more of them than
/// watchers. So the memory follows the number of watchers, each registration and removal takes constant time,
/// amortised, and no removal changes the order.
///
/// *Why not a slab*, whose keys are indices: it keeps the memory of the largest burst for as long as one
/// watcher of it stays, and has no order. *Why not a map*: hashing takes longer than all else that a
/// registration does, and the canceller must sort.
#[derive(Default)]
pub(super) struct Watchers {
    /// With ascending keys. The last one is no gap.
    entries: Vec<Entry>,
    /// The number of entries that are no gap.
    live: usize,
}

struct Entry {
    key: u64,
    /// `None` is a gap.
    watcher: Option<Watcher>,
}

/// What removes a watcher, once.
///
/// Not `Clone`, since a number is issued again after the watcher that had it was removed.
#[derive(Debug)]
pub(super) struct Key(u64);

/// The number of watchers for which memory is kept, so that repeated sleeps on a token do not allocate each
/// time.
const KEPT: usize = 64;

impl Watchers {
    #[inline]
    pub(super) fn insert(&mut self, watcher: Watcher) -> Key {
        let key = self.entries.last().map_or(0, |last| last.key + 1);
        self.entries.push(Entry { key, watcher: Some(watcher) });
        self.live += 1;
        Key(key)
    }

    /// `None` if the list was taken meanwhile.
    #[inline]
    pub(super) fn remove(&mut self, Key(key): Key) -> Option<Watcher> {
        // Mostly the last one leaves first, after a sleep for example.
        match self.entries.last() {
            Some(last) if last.key == key && self.live == self.entries.len() && self.live <= KEPT => {
                self.live -= 1;
                self.entries.pop()?.watcher
            }
            _ => self.remove_anywhere(key),
        }
    }

    fn remove_anywhere(&mut self, key: u64) -> Option<Watcher> {
        let index = self.position(key)?;
        let watcher = self.entries[index].watcher.take();
        self.live -= 1;
        while self.entries.pop_if(|last| last.watcher.is_none()).is_some() {}
        if self.entries.len() > 2 * self.live + KEPT {
            self.entries.retain(|entry| entry.watcher.is_some());
        }
        // Shrinks to twice the length, so half of the watchers must leave before the next time: the cost is
        // amortised.
        if self.entries.capacity() > 4 * self.entries.len().max(KEPT) {
            self.entries.shrink_to(2 * self.entries.len());
        }
        watcher
    }

    fn position(&self, key: u64) -> Option<usize> {
        // Exact unless gaps were closed, since then the keys are not consecutive.
        let guess = key.checked_sub(self.entries.first()?.key)?;
        let guess = usize::try_from(guess).unwrap_or(usize::MAX);
        if self.entries.get(guess).is_some_and(|entry| entry.key == key) {
            return Some(guess);
        }
        self.entries.binary_search_by_key(&key, |entry| entry.key).ok()
    }

    pub(super) fn len(&self) -> usize {
        self.live
    }

    /// All watchers in the order of their registration.
    pub(super) fn in_order(self) -> impl Iterator<Item = Watcher> + use<> {
        self.entries.into_iter().filter_map(|entry| entry.watcher)
    }
}

impl Key {
    /// The number, for an atomic.
    pub(super) fn into_raw(self) -> u64 {
        self.0
    }

    /// The key of the number, which must come from [`into_raw`](Key::into_raw) and be used once.
    pub(super) fn from_raw(number: u64) -> Key {
        Key(number)
    }
}

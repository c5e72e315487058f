//! Values that are made once: who makes them, who waits, and who is next if that fails.
//!
//! # States
//! A key that is not in the table has, while somebody makes its value, an [`Initialiser`] in its shard's
//! [list](super::running):
//!
//! | from | by | to |
//! |---|---|---|
//! | no initialiser | a thread that finds neither value nor initialiser | that thread runs its closure |
//! | one runs | a thread that finds it | it waits for the [turn](MakersTurn) |
//! | one runs | its closure returns a value | the value is in the table, no initialiser, all who wait look again |
//! | one runs | its closure fails or panics, nobody waits | no initialiser |
//! | one runs | its closure fails or panics, somebody waits | the first in line runs its own closure |
//!
//! # Invariants
//! 1. The list is changed under the shard's write lock, and so is the table: who finds neither value nor
//!    initialiser becomes the initialiser in the same critical section, so there is never a second one.
//! 2. Who runs has a [`Turn`], whose drop passes the turn on: no end of the closure, and no panic of a key's
//!    `Eq` or a value's `Clone`, leaves an initialiser behind that nobody runs.
//! 3. A turn is passed to a waiter that took it: one whose owner has given up refuses, and the next is asked.
//!    The owner of a waiter that took it runs, whatever became of its limit meanwhile.
//! 4. The turn is passed on, or found to have nobody to be passed to, under the shard's lock, and ended after
//!    the value was put in. Whoever finds an initialiser there and comes to wait too late finds its turn
//!    ended, and looks again.
//!
//! `insert` does not look at the list. If it puts the key in while an initialiser runs, that value stays, the
//! initialiser's is dropped, and everybody gets the one that stayed.

use std::convert::Infallible;
use std::hash::{BuildHasher, Hash};

use super::ShardedMap;
use super::running::MakersTurn;
use super::shard::Pair;
use crate::error::{Rejected, TryError, WaitError, WouldDeadlock};
use crate::panics;
use crate::sync::Arc;
use crate::until::Until;
use crate::wait::context::this_thread;
use crate::wait::graph;

/// What a thread that wants the value finds.
enum Found<'a, K: Eq + Hash, V, S: BuildHasher> {
    Value(V),
    /// Nobody makes it: now this thread does.
    Nobody(Turn<'a, K, V, S>),
    /// Another thread makes it. The key comes back.
    Somebody {
        key: K,
        serial: u64,
        turn: Arc<MakersTurn>,
    },
}

/// The right and the duty to make a value, or to pass that on.
struct Turn<'a, K: Eq + Hash, V, S: BuildHasher> {
    map: &'a ShardedMap<K, V, S>,
    hash: u64,
    serial: u64,
}

impl<K: Eq + Hash, V: Clone, S: BuildHasher> ShardedMap<K, V, S> {
    /// Gives a clone of the value; if there is none, makes one with `init` and puts it in.
    ///
    /// However many threads ask for a key at once, one closure runs, and the others wait for it; threads that
    /// want other keys do not. If it panics, the next in line runs its own. If somebody
    /// [inserts](ShardedMap::insert) the key meanwhile, that value stays and is returned, and the one that
    /// `init` made is dropped.
    ///
    /// `init` runs under no lock, so it may take long, and may use the map for other keys. The value's
    /// `Clone` runs under the shard's lock if the value was there.
    ///
    /// # Blocking
    /// Until the closure that another thread runs for this key has ended.
    ///
    /// # Errors
    /// [`WouldDeadlock`] if `init`, of this call or of another thread's, waits for the value that it is
    /// making: it asks the map for the same key in the same way, or for one whose closure waits for the
    /// first. Make values in one order, and without looking them up. Also if this is called from a closure
    /// that runs under a lock of this map. (A circle that a wait with a limit is
    /// part of is not looked for: it opens by itself.)
    ///
    /// # Panics
    /// If `init` does.
    ///
    /// # Examples
    /// ```
    /// use selvedge::ShardedMap;
    /// use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    ///
    /// let (pages, fetches) = (ShardedMap::new(), AtomicUsize::new(0));
    /// let fetch = |url: &'static str| pages.get_or_insert_with(url, || {
    ///     fetches.fetch_add(1, SeqCst);
    ///     format!("the page at {url}")
    /// });
    /// std::thread::scope(|s| {
    ///     for _ in 0..4 {
    ///         s.spawn(|| assert_eq!(fetch("/x").unwrap(), "the page at /x"));
    ///     }
    /// });
    /// assert_eq!(fetches.into_inner(), 1);
    /// ```
    #[inline]
    #[track_caller]
    pub fn get_or_insert_with(&self, key: K, init: impl FnOnce() -> V) -> Result<V, WouldDeadlock> {
        let Ok(value) = self.get_or_try_insert_with(key, || Ok::<V, Infallible>(init()))?;
        Ok(value)
    }

    /// [`get_or_insert_with`](ShardedMap::get_or_insert_with) for a closure that may fail.
    ///
    /// # Errors
    /// Outside, [`WouldDeadlock`]. Inside, that of `init`, if it was this call's closure that ran; the next
    /// in line then runs its own, since an error is not shared.
    ///
    /// # Panics
    /// As [`get_or_insert_with`](ShardedMap::get_or_insert_with).
    #[inline]
    #[track_caller]
    pub fn get_or_try_insert_with<E>(
        &self,
        key: K,
        init: impl FnOnce() -> Result<V, E>,
    ) -> Result<Result<V, E>, WouldDeadlock> {
        match self.get_or_make(key, Until::forever(), init) {
            Ok(result) => Ok(result),
            Err(rejected) => {
                // Contained: the caller hears why, not how its key or its closure is dropped.
                let (key, init) = rejected.value;
                panics::discard(key);
                panics::discard(init);
                Err(WouldDeadlock) // a forever limit does not end
            }
        }
    }

    /// [`get_or_insert_with`](ShardedMap::get_or_insert_with) that waits for another thread's closure at most
    /// until `limit`. The limit does not bound this call's own closure: hand the token to it.
    ///
    /// # Errors
    /// The key and the closure come back with [`WaitError::TimedOut`], [`WaitError::Cancelled`] or, if the
    /// value is made by a closure that this call is made from, or this is called from a closure that runs
    /// under a lock of this map, [`WaitError::WouldDeadlock`]. A token that was cancelled before the call
    /// gets nothing, though the value may be there.
    ///
    /// # Panics
    /// As [`get_or_insert_with`](ShardedMap::get_or_insert_with).
    #[track_caller]
    pub fn get_or_insert_with_until<'l, F: FnOnce() -> V>(
        &self,
        key: K,
        limit: impl Into<Until<'l>>,
        init: F,
    ) -> Result<V, Rejected<(K, F), WaitError>> {
        // The closure is wrapped by one that would not come back, so it lies outside.
        let mut init = Some(init);
        let wrapped = || Ok::<V, Infallible>(init.take().expect("it is called once")());
        match self.get_or_make(key, limit.into(), wrapped) {
            Ok(Ok(value)) => Ok(value),
            Err(Rejected { value: (key, _), error }) => {
                Err(Rejected::new((key, init.expect("it was not called")), error))
            }
        }
    }

    /// [`get_or_try_insert_with`](ShardedMap::get_or_try_insert_with) that waits for another thread's closure
    /// at most until `limit`.
    ///
    /// # Errors
    /// Outside, the limit's, as in [`get_or_insert_with_until`](ShardedMap::get_or_insert_with_until);
    /// inside, the closure's.
    ///
    /// # Panics
    /// As [`get_or_insert_with`](ShardedMap::get_or_insert_with).
    #[track_caller]
    pub fn get_or_try_insert_with_until<'l, E, F: FnOnce() -> Result<V, E>>(
        &self,
        key: K,
        limit: impl Into<Until<'l>>,
        init: F,
    ) -> Result<Result<V, E>, Rejected<(K, F), WaitError>> {
        self.get_or_make(key, limit.into(), init)
    }

    #[inline]
    #[track_caller]
    fn get_or_make<E, F: FnOnce() -> Result<V, E>>(
        &self,
        key: K,
        limit: Until<'_>,
        init: F,
    ) -> Result<Result<V, E>, Rejected<(K, F), WaitError>> {
        if let Err(error) = limit.check_token() {
            return Err(Rejected::new((key, init), error));
        }
        // Unlike the calls that have no error to say it with.
        if self.is_entered() {
            return Err(Rejected::new((key, init), WaitError::WouldDeadlock));
        }
        let hash = self.hash(&key);
        let value = self.read(hash).find(hash, &key).map(|pair| pair.value.clone());
        match value {
            Some(value) => Ok(Ok(value)),
            None => self.make(hash, key, limit, init),
        }
    }

    #[track_caller]
    fn make<E, F: FnOnce() -> Result<V, E>>(
        &self,
        hash: u64,
        mut key: K,
        limit: Until<'_>,
        init: F,
    ) -> Result<Result<V, E>, Rejected<(K, F), WaitError>> {
        let mut started = None;
        loop {
            let (serial, turn) = match self.look(hash, key) {
                Found::Value(value) => return Ok(Ok(value)),
                Found::Nobody(turn) => return Ok(turn.run(init)),
                Found::Somebody { key: same, serial, turn } => {
                    key = same;
                    (serial, turn)
                }
            };
            if turn.is_claimed_here() {
                return Err(Rejected::new((key, init), WaitError::WouldDeadlock));
            }
            let limit = Until::from_here(started.get_or_insert_with(|| limit.start()));
            match limit.called("ShardedMap::get_or_insert_with").retry(&*turn, || end_of(&turn)) {
                Ok(Ended::Passed) => return Ok(Turn { map: self, hash, serial }.run(init)),
                // Made: it is there, unless somebody has removed it by now. Or nobody was left to pass it on
                // to.
                Ok(Ended::Over) => {}
                Err(error) => return Err(Rejected::new((key, init), error)),
            }
        }
    }

    /// Finds the value, or makes this thread the one that makes it, or says where to wait.
    #[track_caller]
    fn look(&self, hash: u64, key: K) -> Found<'_, K, V, S> {
        let mut shard = self.write(hash);
        if let Some(pair) = shard.find(hash, &key) {
            return Found::Value(pair.value.clone());
        }
        match shard.running.of_key(hash, &key) {
            Some(initialiser) => {
                let (serial, turn) = (initialiser.serial, initialiser.turn());
                drop(shard);
                Found::Somebody { key, serial, turn }
            }
            None => {
                let serial = shard.running.begin(hash, key);
                Found::Nobody(Turn { map: self, hash, serial })
            }
        }
    }
}

/// What a wait for another thread's turn can end with.
enum Ended {
    /// It was passed to this thread.
    Passed,
    Over,
}

fn end_of(turn: &MakersTurn) -> Result<Ended, TryError> {
    match turn.claimant() {
        None => Ok(Ended::Over),
        // It was another's when this thread began to wait.
        Some(thread) if thread == this_thread() => Ok(Ended::Passed),
        Some(_) => Err(TryError::WouldBlock),
    }
}

impl<K: Eq + Hash, V: Clone, S: BuildHasher> Turn<'_, K, V, S> {
    /// Makes the value. If that fails, the turn is passed on: before a panic goes on, so that no lock is
    /// taken by a thread that unwinds, which loom does not bear.
    fn run<E>(self, init: impl FnOnce() -> Result<V, E>) -> Result<V, E> {
        // Until the end: the value's clone is the caller's code, too, and may wait itself.
        let _owing = graph::owe();
        let value = match panics::catch(init) {
            Ok(Ok(value)) => value,
            Ok(Err(error)) => {
                drop(self);
                return Err(error);
            }
            Err(payload) => {
                drop(self);
                panics::resume(payload)
            }
        };
        let mut kept = None;
        let finished = panics::catch(|| {
            kept = Some(value.clone());
            self.finish(&mut kept)
        });
        drop(self);
        // The clone was put in, or is not wanted; and so the value, if another is there.
        panics::discard(kept);
        match finished {
            Ok(None) => Ok(value),
            Ok(Some(there)) => {
                panics::discard(value);
                Ok(there)
            }
            Err(payload) => {
                panics::discard(value);
                panics::resume(payload)
            }
        }
    }

    /// Puts the value in, and wakes those who wait for it. If the key is there by now, returns its value, and
    /// leaves the other where it is.
    fn finish(&self, value: &mut Option<V>) -> Option<V> {
        let mut shard = self.map.write(self.hash);
        let at = shard.running.position(self.serial).expect("only its turn takes an initialiser out");
        // Here and in the next line is the last of the caller's code: if it panics, nothing has changed, and
        // the turn is handed on.
        let there = shard.find(self.hash, &shard.running.list[at].key).map(|pair| pair.value.clone());
        shard.make_room(|key| self.map.hash(key));
        let (key, turn) = shard.running.list.swap_remove(at).end();
        let refused = match there {
            None => {
                let value = value.take().expect("it is put in once");
                shard.insert_unique(self.hash, Pair { key, value });
                None
            }
            Some(_) => Some(key),
        };
        // Wakes after unlocking. Whoever finds the turn ended finds the value, which was put in before.
        drop(shard);
        if let Some(turn) = turn {
            turn.keep(());
        }
        panics::discard(refused);
        there
    }
}

impl<K: Eq + Hash, V, S: BuildHasher> Drop for Turn<'_, K, V, S> {
    /// Passes the turn on, unless the value was made.
    fn drop(&mut self) {
        let mut shard = self.map.write(self.hash);
        let Some(at) = shard.running.position(self.serial) else { return };
        let wake = shard.running.list[at].pass_on();
        let given_up = wake.is_none().then(|| shard.running.list.swap_remove(at));
        drop(shard);
        drop(wake);
        // The key, in a destructor that may run while the closure's own panic is on its way.
        panics::discard(given_up);
    }
}

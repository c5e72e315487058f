//! Values that are computed once: which thread computes, which threads wait, and which is next if that fails.
//!
//! # States
//! While a thread computes the value of a key that is not in the table, its shard's [list](super::running)
//! has an [`Initialiser`](super::running::Initialiser) for the key:
//!
//! | from | event | to |
//! |---|---|---|
//! | no initialiser | a thread finds neither value nor initialiser | that thread runs its closure |
//! | one runs | a thread finds it | the thread waits for the [turn](InitTurn) |
//! | one runs | its closure returns a value | the value is in the table, no initialiser, all waiters look again |
//! | one runs | its closure fails or panics, without waiters | no initialiser |
//! | one runs | its closure fails or panics, with waiters | the first waiter runs its own closure |
//!
//! # Invariants
//! 1. The list and the table change under the shard's write lock. A thread that finds neither value nor
//!    initialiser becomes the initialiser in the same critical section, so there is never a second one.
//! 2. The running thread has a [`Turn`], whose drop passes the turn on: no end of the closure, and no panic
//!    of a key's `Eq` or a value's `Clone`, leaves behind an initialiser that no thread runs.
//! 3. A turn is passed to a waiter that accepts it. A waiter that has given up refuses, and the next is
//!    asked. The owner of a waiter that accepted runs, whether or not its limit has passed meanwhile.
//! 4. Under the shard's lock, the turn is passed on, or found to have no waiter, or ended after the value was
//!    inserted. A thread that finds an initialiser but registers too late finds its turn ended, and looks
//!    again.
//!
//! `insert` ignores the list. If it inserts the key while an initialiser runs, that value stays, the
//! initialiser's is dropped, and all callers get the value that stayed.

use std::convert::Infallible;
use std::hash::{BuildHasher, Hash};

use super::ShardedMap;
use super::running::InitTurn;
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
    /// No thread computes it; this thread has claimed it.
    Claimed(Turn<'a, K, V, S>),
    /// Another thread computes it. The key is returned.
    Running {
        key: K,
        serial: u64,
        turn: Arc<InitTurn>,
    },
}

/// The right and the duty to compute a value, or to pass that on.
struct Turn<'a, K: Eq + Hash, V, S: BuildHasher> {
    map: &'a ShardedMap<K, V, S>,
    hash: u64,
    serial: u64,
}

impl<K: Eq + Hash, V: Clone, S: BuildHasher> ShardedMap<K, V, S> {
    /// Returns a clone of the value; if the key is not in the map, computes it with `init` and inserts it.
    ///
    /// Of any number of threads that ask for a key at once, one runs its closure, and the others wait for it;
    /// threads that want other keys do not. If the closure panics, the first waiter runs its own. If another
    /// thread [inserts](ShardedMap::insert) the key meanwhile, that value stays and is returned, and the one
    /// that `init` computed is dropped.
    ///
    /// `init` runs under no lock: it may take long, and may use the map for other keys. The value's `Clone`
    /// runs under the shard's lock if the key was in the map.
    ///
    /// # Blocking
    /// Blocks until the closure that another thread runs for this key has ended; that thread wakes all
    /// waiters.
    ///
    /// # Errors
    /// [`WouldDeadlock`] if `init`, in this call or in another thread's, waits for the value that it
    /// computes: it asks the map for the same key, or for a key whose closure waits for the first. Compute
    /// values in one order, and without looking them up. Also if this is called from a closure that runs
    /// under a lock of this map. (Cycles through a wait with a limit are not searched for: the limit breaks
    /// them.)
    ///
    /// # Panics
    /// If `init` panics.
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

    /// Like [`get_or_insert_with`](ShardedMap::get_or_insert_with), for a closure that may fail.
    ///
    /// # Errors
    /// The outer error is [`WouldDeadlock`]. The inner one is that of `init`, if this call's closure ran; the
    /// first waiter then runs its own, since an error is not shared.
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
                // Contained: the caller gets the reason, not a panic in the drop of its key or closure.
                let (key, init) = rejected.value;
                panics::discard(key);
                panics::discard(init);
                Err(WouldDeadlock) // a forever limit does not end
            }
        }
    }

    /// Like [`get_or_insert_with`](ShardedMap::get_or_insert_with), waiting for another thread's closure
    /// until `limit` at most. The limit does not bound this call's own closure: pass the token to it.
    ///
    /// # Errors
    /// The key and the closure, with [`WaitError::TimedOut`] or [`WaitError::Cancelled`]; or with
    /// [`WaitError::WouldDeadlock`] if this call is made by the closure that computes the value, or by a
    /// closure that runs under a lock of this map. If the token was cancelled before the call, nothing is
    /// returned, even if the value exists.
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
        // Stored outside: the closure that wraps it cannot be taken apart.
        let mut init = Some(init);
        let wrapped = || Ok::<V, Infallible>(init.take().expect("it is called once")());
        match self.get_or_make(key, limit.into(), wrapped) {
            Ok(Ok(value)) => Ok(value),
            Err(Rejected { value: (key, _), error }) => {
                Err(Rejected::new((key, init.expect("it was not called")), error))
            }
        }
    }

    /// Like [`get_or_try_insert_with`](ShardedMap::get_or_try_insert_with), waiting for another thread's
    /// closure until `limit` at most.
    ///
    /// # Errors
    /// The outer error is the limit's, as in
    /// [`get_or_insert_with_until`](ShardedMap::get_or_insert_with_until); the inner one is the closure's.
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
        // Calls without an error type panic here instead.
        if self.is_entered() {
            return Err(Rejected::new((key, init), WaitError::WouldDeadlock));
        }
        let hash = self.hash(&key);
        // The common case: a shared lock, no allocation, and no initialiser to look for.
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
            let (serial, turn) = match self.find_or_claim(hash, key) {
                Found::Value(value) => return Ok(Ok(value)),
                // No lock is held while the closure runs.
                Found::Claimed(turn) => return Ok(turn.run(init)),
                Found::Running { key: same, serial, turn } => {
                    key = same;
                    (serial, turn)
                }
            };
            // This thread computes the value further up the stack, and would wait for itself.
            if turn.is_claimed_here() {
                return Err(Rejected::new((key, init), WaitError::WouldDeadlock));
            }
            // Started once, and only if this thread waits: later rounds wait for the rest of it.
            let limit = Until::from_here(started.get_or_insert_with(|| limit.start()));
            // No missed wake-up: the turn is a one-shot, which registers waiters under the lock under which
            // it is passed on or ended.
            match limit.called("ShardedMap::get_or_insert_with").retry(&*turn, || end_of(&turn)) {
                Ok(Ended::Passed) => return Ok(Turn { map: self, hash, serial }.run(init)),
                // The value is in the map, unless it was removed meanwhile; or the turn had no waiter to pass
                // on to. Look again.
                Ok(Ended::Over) => {}
                Err(error) => return Err(Rejected::new((key, init), error)),
            }
        }
    }

    /// Finds the value, or claims its computation for this thread, or returns the turn to wait for.
    #[track_caller]
    fn find_or_claim(&self, hash: u64, key: K) -> Found<'_, K, V, S> {
        let mut shard = self.write(hash);
        if let Some(pair) = shard.find(hash, &key) {
            return Found::Value(pair.value.clone());
        }
        match shard.running.find(hash, &key) {
            Some(initialiser) => {
                let (serial, turn) = (initialiser.serial, initialiser.turn());
                // Unlocked before the wait: the initialiser needs this lock to insert its value.
                drop(shard);
                Found::Running { key, serial, turn }
            }
            None => {
                let serial = shard.running.insert(hash, key);
                Found::Claimed(Turn { map: self, hash, serial })
            }
        }
    }
}

/// How a wait for another thread's turn ended.
enum Ended {
    /// The turn was passed to this thread.
    Passed,
    Over,
}

fn end_of(turn: &InitTurn) -> Result<Ended, TryError> {
    match turn.claimant() {
        None => Ok(Ended::Over),
        // It belonged to another thread when this thread started to wait.
        Some(thread) if thread == this_thread() => Ok(Ended::Passed),
        Some(_) => Err(TryError::WouldBlock),
    }
}

impl<K: Eq + Hash, V: Clone, S: BuildHasher> Turn<'_, K, V, S> {
    /// Computes the value. If that fails, passes the turn on before the panic resumes, so that no unwinding
    /// thread takes a lock, which loom does not support.
    fn run<E>(self, init: impl FnOnce() -> Result<V, E>) -> Result<V, E> {
        // Held to the end: the value's clone is the caller's code too, and may wait.
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
            // Cloned before the shard is locked: `Clone` is the caller's code.
            kept = Some(value.clone());
            self.finish(&mut kept)
        });
        drop(self);
        // The clone was inserted, or is unused; the value is unused if another one is in the map.
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

    /// Inserts the value and wakes the waiters. If the key is in the map by now, returns its value, and
    /// leaves `value` in place.
    fn finish(&self, value: &mut Option<V>) -> Option<V> {
        let mut shard = self.map.write(self.hash);
        let at = shard.running.position(self.serial).expect("only its turn takes an initialiser out");
        // This line and the next run the last of the caller's code: if it panics, nothing has changed, and
        // the turn is passed on.
        let there = shard.find(self.hash, &shard.running.list()[at].key).map(|pair| pair.value.clone());
        // Before the initialiser is removed: a `Hash` that panics must leave it for the turn's drop.
        shard.make_room(|key| self.map.hash(key));
        let (key, turn) = shard.running.remove(at).end();
        let refused = match there {
            None => {
                let value = value.take().expect("it is put in once");
                shard.insert_unique(self.hash, Pair { key, value });
                None
            }
            Some(_) => Some(key),
        };
        // Woken after unlocking: the waiters take this lock. A waiter that finds the turn ended finds the
        // value, which was inserted before.
        drop(shard);
        if let Some(turn) = turn {
            turn.keep(());
        }
        panics::discard(refused);
        there
    }
}

impl<K: Eq + Hash, V, S: BuildHasher> Drop for Turn<'_, K, V, S> {
    /// Passes the turn on, unless the value was computed.
    fn drop(&mut self) {
        let mut shard = self.map.write(self.hash);
        let Some(at) = shard.running.position(self.serial) else { return };
        let wake = shard.running.list()[at].pass_on();
        let given_up = wake.is_none().then(|| shard.running.remove(at));
        // The next thread was chosen under the lock, so no third thread starts in between; it is woken after
        // unlocking.
        drop(shard);
        drop(wake);
        // The key's drop, contained: this destructor may run while the closure's own panic unwinds.
        panics::discard(given_up);
    }
}

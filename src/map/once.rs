//! Values that are made once: who makes them, who waits, and who is next if that fails.
//!
//! # States
//! A key that is not in the table has, while somebody makes its value, an [`Initialiser`] in its shard's [list](super::running):
//!
//! | from | by | to |
//! |---|---|---|
//! | no initialiser | a thread that finds neither value nor initialiser | that thread runs its closure |
//! | one runs | a thread that finds it | it joins the line of those who wait |
//! | one runs | its closure returns a value | the value is in the table, no initialiser, all who wait look again |
//! | one runs | its closure fails or panics, nobody waits | no initialiser |
//! | one runs | its closure fails or panics, somebody waits | the first in line runs its own closure |
//!
//! # Invariants
//! 1. The list is changed under the shard's write lock, and so is the table: who finds neither value nor
//!    initialiser becomes the initialiser in the same critical section, so there is never a second one.
//! 2. Who runs has a [`Turn`], whose drop hands the turn on: no end of the closure, and no panic of a key's `Eq`
//!    or a value's `Clone`, leaves an initialiser behind that nobody runs.
//! 3. A turn is handed to a slot that took it: one whose owner has given up refuses, and the next is asked.
//!    The owner of a slot that took it runs, whatever became of its limit meanwhile.
//!
//! `insert` does not look at the list. If it puts the key in while an initialiser runs, that value stays, the
//! initialiser's is dropped, and everybody gets the one that stayed.

use std::convert::Infallible;
use std::hash::{BuildHasher, Hash};

use super::ShardedMap;
use super::running::{InLine, Initialiser};
use super::shard::Pair;
use crate::error::{Rejected, WaitError};
use crate::inside::this_thread;
use crate::panics;
use crate::sync::Arc;
use crate::until::{Limit, Until};
use crate::wait::{Slot, Wake};

const OWN: &str = "the closure of a `get_or_insert_with` asks for the value that it is making, and would wait for \
                   itself: make the value without looking it up";
const CIRCLE: &str = "the closure of a `get_or_insert_with` asks for a value whose closure waits for the one that it is \
                      making, and the two would wait for each other: make values in one order, or limit the wait \
                      with `get_or_insert_with_until`";

/// What a thread that wants the value finds.
enum Found<'a, K: Eq + Hash, V, S: BuildHasher> {
    Value(V),
    /// Nobody makes it: now this thread does.
    Nobody(Turn<'a, K, V, S>),
    /// Another thread makes it, and this one is in line. The key comes back.
    Somebody {
        key: K,
        place: InLine,
    },
}

/// The right and the duty to make a value, or to hand that on.
struct Turn<'a, K: Eq + Hash, V, S: BuildHasher> {
    map: &'a ShardedMap<K, V, S>,
    hash: u64,
    serial: u64,
}

impl<K: Eq + Hash, V: Clone, S: BuildHasher> ShardedMap<K, V, S> {
    /// Gives a clone of the value; if there is none, makes one with `init` and puts it in.
    ///
    /// However many threads ask for a key at once, one closure runs, and the others wait for it; threads that
    /// want other keys do not. If it panics, the next in line runs its own. If somebody [inserts](ShardedMap::insert)
    /// the key meanwhile, that value stays and is returned, and the one that `init` made is dropped.
    ///
    /// `init` runs under no lock, so it may take long, and may use the map for other keys. The value's `Clone`
    /// runs under the shard's lock if the value was there.
    ///
    /// # Blocking
    /// Until the closure that another thread runs for this key has ended.
    ///
    /// # Panics
    /// If `init` does. If it asks the map for the same key in the same way, or if the closures of several threads
    /// would wait for each other in a circle: the one that would close it panics. (A circle that a wait with a limit
    /// is part of is not looked for: it opens by itself.) If called from a closure that runs under a lock of this map.
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
    ///         s.spawn(|| assert_eq!(fetch("/x"), "the page at /x"));
    ///     }
    /// });
    /// assert_eq!(fetches.into_inner(), 1);
    /// ```
    #[track_caller]
    pub fn get_or_insert_with(&self, key: K, init: impl FnOnce() -> V) -> V {
        let Ok(value) = self.get_or_try_insert_with(key, || Ok::<V, Infallible>(init()));
        value
    }

    /// [`get_or_insert_with`](ShardedMap::get_or_insert_with) for a closure that may fail.
    ///
    /// # Errors
    /// That of `init`, if it was this call's closure that ran. The next in line then runs its own: an error is
    /// not shared.
    ///
    /// # Panics
    /// As [`get_or_insert_with`](ShardedMap::get_or_insert_with).
    #[track_caller]
    pub fn get_or_try_insert_with<E>(&self, key: K, init: impl FnOnce() -> Result<V, E>) -> Result<V, E> {
        match self.get_or_make(key, Until::forever(), init) {
            Ok(result) => result,
            Err(_) => unreachable!("a wait without a limit ends by what it waits for"),
        }
    }

    /// [`get_or_insert_with`](ShardedMap::get_or_insert_with) that waits for another thread's closure at most
    /// until `limit`. The limit does not bound this call's own closure: hand the token to it.
    ///
    /// # Errors
    /// The key and the closure come back with [`WaitError::TimedOut`] or [`WaitError::Cancelled`]. A token that
    /// was cancelled before the call gets nothing, though the value may be there.
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

    /// [`get_or_try_insert_with`](ShardedMap::get_or_try_insert_with) that waits for another thread's closure at
    /// most until `limit`.
    ///
    /// # Errors
    /// Outside, the limit's, as in [`get_or_insert_with_until`](ShardedMap::get_or_insert_with_until); inside,
    /// the closure's.
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
            let place = match self.look(hash, key, !limit.is_unlimited()) {
                Found::Value(value) => return Ok(Ok(value)),
                Found::Nobody(turn) => return Ok(turn.run(init)),
                Found::Somebody { key: same, place } => {
                    key = same;
                    place
                }
            };
            let limit = started.get_or_insert_with(|| limit.start());
            if let Err(error) = wait(&place.slot, limit) {
                self.give_up(hash, &place);
                return Err(Rejected::new((key, init), error));
            }
            if let Some(turn) = self.turn_of_this_thread(hash, place) {
                return Ok(turn.run(init));
            }
            // Made: it is there, unless somebody has removed it by now.
        }
    }

    /// Finds the value, or makes this thread the one that makes it, or puts it in line.
    #[track_caller]
    fn look(&self, hash: u64, key: K, limited: bool) -> Found<'_, K, V, S> {
        let mut shard = self.write(hash);
        if let Some(pair) = shard.find(hash, &key) {
            return Found::Value(pair.value.clone());
        }
        let Some(initialiser) = shard.running.of_key(hash, &key) else {
            let serial = shard.running.begin(hash, key);
            return Found::Nobody(Turn { map: self, hash, serial });
        };
        let is_own = initialiser.thread == this_thread();
        // In the critical section in which the initialiser was found: it is taken out, or handed on, under this lock,
        // by one who then ends the slot.
        let place = if is_own { None } else { initialiser.join(limited) };
        drop(shard);
        match place {
            Some(place) => Found::Somebody { key, place },
            None if is_own => panic!("{OWN}"),
            None => panic!("{CIRCLE}"),
        }
    }

    /// The turn that this thread was woken to take; `None` if the value was made.
    fn turn_of_this_thread(&self, hash: u64, place: InLine) -> Option<Turn<'_, K, V, S>> {
        let serial = place.serial;
        drop(place); // this thread waits no more
        let shard = self.read(hash);
        let at = shard.running.position(serial)?;
        // A thread that waits runs no initialiser, so this one was handed to it.
        let mine = shard.running.list[at].thread == this_thread();
        mine.then(|| Turn { map: self, hash, serial })
    }

    /// Leaves the line. Nothing was granted to the slot, or the wait would not have failed.
    fn give_up(&self, hash: u64, place: &InLine) {
        let mut shard = self.write(hash);
        if let Some(at) = shard.running.position(place.serial) {
            shard.running.list[at].line.retain(|waiter| !Arc::ptr_eq(&waiter.slot, &place.slot));
        }
    }
}

/// Looks out a little, because many initialisers are short, and then sleeps: until the initialiser's end wakes
/// all, or its failure wakes this one, or the limit comes first.
fn wait(slot: &Arc<Slot>, limit: &Limit<'_>) -> Result<(), WaitError> {
    if limit.check().is_ok() {
        limit.look_out(|| slot.has_ended());
    }
    limit.sleep(slot)
}

impl<K: Eq + Hash, V: Clone, S: BuildHasher> Turn<'_, K, V, S> {
    /// Makes the value. If that fails, the turn is handed on: before a panic goes on, so that no lock is taken
    /// by a thread that unwinds, which loom does not bear.
    fn run<E>(self, init: impl FnOnce() -> Result<V, E>) -> Result<V, E> {
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

    /// Puts the value in, and wakes those who wait for it. If the key is there by now, returns its value, and leaves the
    /// other where it is.
    fn finish(&self, value: &mut Option<V>) -> Option<V> {
        let mut shard = self.map.write(self.hash);
        let at = shard.running.position(self.serial).expect("only its turn takes an initialiser out");
        // Here and in the next line is the last of the caller's code: if it panics, nothing has changed, and the turn is
        // handed on.
        let there = shard.find(self.hash, &shard.running.list[at].key).map(|pair| pair.value.clone());
        shard.make_room(|key| self.map.hash(key));
        let Initialiser { key, runner, line, .. } = shard.running.list.swap_remove(at);
        if let Some(runner) = runner {
            runner.is_done();
        }
        // Under the lock, so that who joins the line is ended with it or finds no line any more.
        let wakes: Vec<Wake> = line.into_iter().filter_map(|waiter| waiter.slot.end(Ok(()))).collect();
        let refused = match there {
            None => {
                let value = value.take().expect("it is put in once");
                shard.insert_unique(self.hash, Pair { key, value });
                None
            }
            Some(_) => Some(key),
        };
        drop(shard);
        drop(wakes);
        panics::discard(refused);
        there
    }
}

impl<K: Eq + Hash, V, S: BuildHasher> Drop for Turn<'_, K, V, S> {
    /// Hands the turn on, unless the value was made.
    fn drop(&mut self) {
        let mut shard = self.map.write(self.hash);
        let Some(at) = shard.running.position(self.serial) else { return };
        let wake = shard.running.list[at].hand_on();
        let given_up = wake.is_none().then(|| shard.running.list.swap_remove(at));
        drop(shard);
        drop(wake);
        // The key, in a destructor that may run while the closure's own panic is on its way.
        panics::discard(given_up);
    }
}

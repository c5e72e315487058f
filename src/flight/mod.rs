//! One call a key at a time, however many want its result.

mod table;

use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::panic::{RefUnwindSafe, UnwindSafe};

use crate::error::{JoinError, Panic, Rejected, TryError, WaitError};
use crate::panics;
use crate::sync::Arc;
use crate::until::Until;
use crate::wait::graph;
use table::{Flight, Role, Table};

/// What followers get if the leader's clone for them panics.
const UNSHARED: &str = "the result could not be cloned";

/// Keeps a hundred threads that want the same thing from fetching it a hundred times: one of them makes the
/// call, the others wait for it and get a clone of its result.
///
/// At most one call a key is under way at any time, unless it is [forgotten](SingleFlight::forget). Calls for
/// different keys never wait for each other. A result is kept for those who asked while the call was under
/// way, and no longer: this is no cache. The thread whose closure runs, the *leader*, is one of the callers,
/// so nothing runs in the background and no thread is started.
///
/// An error is a result: with `V = Result<T, Arc<E>>` it reaches everybody who waits.
///
/// # Examples
/// ```
/// use selvedge::SingleFlight;
///
/// let flight = SingleFlight::<String, usize>::new();
/// assert_eq!(flight.call("a long text", || "a long text".len()), Ok(11));
/// ```
///
/// However many ask at once, one loads:
/// ```
/// use selvedge::SingleFlight;
/// use std::sync::Barrier;
/// use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
///
/// let (flight, loads) = (SingleFlight::<u32, usize>::new(), AtomicUsize::new(0));
/// let start = Barrier::new(4);
/// let seen: Vec<usize> = std::thread::scope(|s| {
///     let ask = || {
///         start.wait();
///         flight.call(&7, || {
///             while flight.waiting() < 3 {
///                 std::thread::yield_now(); // until the other three have come
///             }
///             loads.fetch_add(1, SeqCst)
///         })
///     };
///     let askers = [(); 4].map(|()| s.spawn(ask));
///     askers.into_iter().map(|asker| asker.join().unwrap().unwrap()).collect()
/// });
/// assert_eq!((seen, loads.into_inner()), (vec![0; 4], 1));
/// ```
///
/// # Blocking
/// Who finds a call under way for its key waits until that ends; the leader wakes everybody who waits for it.
/// The leader itself waits for nobody: it runs its closure.
///
/// Waiting for oneself would never end, so it is told instead: a closure that calls for its own key, and
/// calls without a limit that wait for each other in a circle, also through
/// [tasks and others](crate::error::WouldDeadlock) of this crate, get [`JoinError::WouldDeadlock`]. A thread
/// that a closure starts with `std::thread` and waits for is not known to belong to it.
///
/// # Cancellation
/// A limit is for waiting. A waiter that gives up leaves the call to go on for the others; a leader's closure
/// is not interrupted, so give it the token. A token that was cancelled before the call runs nothing. If the
/// result and an end meet, the first holds.
///
/// # Panics
/// If the closure panics, its leader gets its own payload, as if it had called the closure itself. A payload
/// cannot be cloned, so who waited gets [`JoinError::Panicked`] with its text. The next call for the key
/// starts anew. If `V`'s `clone` panics, that happens to whoever cloned: the leader, for the one clone that
/// those who wait share, or a waiter for its own. Where the key's clone, or a result that was shared, panics
/// when it is dropped, that ends with the panic hook's message: nobody loses a result by it.
///
/// None of the caller's code runs under a lock: not the closure, and neither `Hash`, `Eq`, `Clone` nor `Drop`
/// of keys and values.
///
/// # Fairness
/// All who wait for one call get its result at once, and none of them waits for a second.
///
/// # Ordering
/// What the leader did in its closure is visible to everybody who gets its result.
///
/// # Proof
/// Models in `loom-tests/tests/flight.rs`.
///
/// # Cost
/// Alone: two short locks and one allocation. A result that nobody waits for is moved, not cloned. A key in
/// flight is remembered by one pointer; nothing is remembered of those that are not. Bench `flight`.
///
/// # Instead
/// A map with `get_or_insert_with` if the result should be kept; `OnceLock` if there is one key.
pub struct SingleFlight<K, V, S = RandomState> {
    table: Table<K, V>,
    hasher: S,
}

impl<K, V> SingleFlight<K, V> {
    /// Makes one with no call under way.
    pub fn new() -> Self {
        SingleFlight::with_hasher(RandomState::new())
    }
}

impl<K, V, S> SingleFlight<K, V, S> {
    /// Makes one that hashes its keys with `hasher`.
    pub fn with_hasher(hasher: S) -> Self {
        SingleFlight { table: Table::new(), hasher }
    }

    /// Calls that are under way, forgotten ones included.
    pub fn in_flight(&self) -> usize {
        self.table.in_flight()
    }

    /// Threads that wait for the result of somebody else's call.
    pub fn waiting(&self) -> usize {
        self.table.waiting()
    }
}

impl<K, V, S> SingleFlight<K, V, S>
where
    K: Eq + Hash,
    V: Clone,
    S: BuildHasher,
{
    /// Gives the result of the call for `key`: runs `f` if none is under way, and waits for that one if one
    /// is. An `f` that was not needed is dropped.
    ///
    /// The key may be borrowed: `&str` for a `String`. It is cloned by who leads.
    ///
    /// # Errors
    /// [`JoinError::Panicked`], of the call that was waited for, or [`JoinError::WouldDeadlock`]: give the
    /// inner call another key, or make it outside the closure.
    ///
    /// # Panics
    /// If `f` runs and panics.
    #[track_caller]
    pub fn call<Q>(&self, key: &Q, f: impl FnOnce() -> V) -> Result<V, JoinError>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        match self.call_until(key, Until::forever(), f) {
            Ok(result) => result,
            Err(_) => Err(JoinError::WouldDeadlock), // a forever limit does not end
        }
    }

    /// Runs `f` if no call for `key` is under way; never waits for another's.
    ///
    /// # Errors
    /// [`TryError::WouldBlock`] with `f`, if a call is under way.
    ///
    /// # Panics
    /// If `f` runs and panics.
    pub fn try_call<Q, F>(&self, key: &Q, f: F) -> Result<V, Rejected<F, TryError>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
        F: FnOnce() -> V,
    {
        match self.board(key) {
            Role::Leader(flight) => Ok(self.lead(flight, f)),
            Role::Follower(flight) => {
                panics::discard(flight);
                Err(Rejected::new(f, TryError::WouldBlock))
            }
        }
    }

    /// Like [`call`](SingleFlight::call), and waits at most until `limit` for another's result. The limit
    /// does not end `f` if that runs here. The outer result says whether the call ended, the inner one how.
    ///
    /// # Errors
    /// With `f`: [`WaitError::TimedOut`] or [`WaitError::Cancelled`], and the call goes on;
    /// [`WaitError::WouldDeadlock`] if it waits for this thread. Inside, [`JoinError::Panicked`].
    ///
    /// # Panics
    /// If `f` runs and panics.
    #[track_caller]
    pub fn call_until<'l, Q, F>(
        &self,
        key: &Q,
        limit: impl Into<Until<'l>>,
        f: F,
    ) -> Result<Result<V, JoinError>, Rejected<F, WaitError>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
        F: FnOnce() -> V,
    {
        let limit = limit.into();
        if let Err(error) = limit.check_token() {
            return Err(Rejected::new(f, error));
        }
        let mut started = None;
        loop {
            let flight = match self.board(key) {
                Role::Leader(flight) => return Ok(Ok(self.lead(flight, f))),
                Role::Follower(flight) => flight,
            };
            let limit = Until::from_here(started.get_or_insert_with(|| limit.start()));
            let waited = flight.end.wait(limit.called("SingleFlight::call"));
            let shared = flight.end.look(Arc::clone);
            // The key in it is the leader's; this may be the last reference.
            panics::discard(flight);
            match (waited, shared) {
                (Ok(()), Ok(shared)) => return Ok(follow(shared)),
                // It ended before this thread began to wait, and kept nothing. Look again, and perhaps lead.
                (Ok(()), Err(_)) => {}
                (Err(error), shared) => {
                    panics::discard(shared);
                    return Err(Rejected::new(f, error));
                }
            }
        }
    }

    /// Lets the next call for `key` start anew, though one is under way: what it would bring is out of date.
    /// True if there was one. It goes on, for its leader and those who wait for it already.
    pub fn forget<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let found = self.table.find(self.hasher.hash_one(key), |other| other.borrow() == key);
        found.is_some_and(|flight| self.table.forget(&flight))
    }

    /// True if a call for `key` is under way and not forgotten.
    pub fn is_in_flight<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.table.find(self.hasher.hash_one(key), |other| other.borrow() == key).is_some()
    }

    fn board<Q>(&self, key: &Q) -> Role<K, V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        let hash = self.hasher.hash_one(key);
        self.table.board(hash, |other| other.borrow() == key, || key.to_owned())
    }

    fn lead(&self, mut flight: Arc<Flight<K, V>>, f: impl FnOnce() -> V) -> V {
        // Until the end: the value's clone for those who wait is the caller's code, too, and may wait itself.
        let _owing = graph::owe();
        // What the closure leaves behind is the caller's concern: the payload goes on to it.
        let result = panics::catch(f);
        self.table.end(&flight);
        // Nobody finds it any more, so nobody else has it if it is this thread's alone. Saves a lock: 10 ns
        // of 140.
        let is_alone = Arc::get_mut(&mut flight).is_some();
        let end = &flight.end;
        let (value, shared) = match result {
            // A result that nobody waits for is not cloned. Whoever comes now finds that there is none.
            Ok(value) if is_alone || end.abandon_unless_awaited() => (Some(value), Ok(())),
            Ok(value) => match panics::catch(|| value.clone()) {
                Ok(clone) => {
                    end.keep(Arc::new(Ok(clone)));
                    (Some(value), Ok(()))
                }
                Err(payload) => {
                    end.keep(Arc::new(Err(UNSHARED.to_owned())));
                    (Some(value), Err(payload))
                }
            },
            Err(payload) => {
                end.keep(Arc::new(Err(panics::said(&*payload).to_owned())));
                (None, Err(payload))
            }
        };
        // The key's clone, and perhaps the shared result, are ours: their panic is not the leader's.
        panics::discard(flight);
        match (value, shared) {
            (Some(value), Ok(())) => value,
            (value, Err(payload)) => {
                panics::discard(value);
                panics::resume(payload)
            }
            (None, Ok(())) => unreachable!("a call without a value has panicked"),
        }
    }
}

/// A follower's own clone of what the leader left.
#[track_caller]
fn follow<V: Clone>(shared: Arc<Result<V, String>>) -> Result<V, JoinError> {
    let result = panics::catch(|| match &*shared {
        Ok(value) => Ok(value.clone()),
        Err(text) => Err(JoinError::Panicked(Panic::told(text))),
    });
    // It may be the last reference, and the drop of the leader's clone is not this caller's.
    panics::discard(shared);
    result.unwrap_or_else(|payload| panics::resume(payload))
}

impl<K, V, S: Default> Default for SingleFlight<K, V, S> {
    fn default() -> Self {
        SingleFlight::with_hasher(S::default())
    }
}

impl<K, V, S> fmt::Debug for SingleFlight<K, V, S> {
    /// Never waits: what other threads have locked is not counted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("SingleFlight");
        self.table.describe(&mut out);
        out.finish_non_exhaustive()
    }
}

impl<K, V, S> UnwindSafe for SingleFlight<K, V, S> {}
impl<K, V, S> RefUnwindSafe for SingleFlight<K, V, S> {}

//! Deduplication of concurrent calls: one call per key at a time.

mod callers;
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
use callers::Callers;
use table::{Flight, Role, Table};

/// The message that followers get if the leader's clone for them panics.
const UNSHARED: &str = "the result could not be cloned";

/// Deduplicates concurrent calls: of a hundred threads that want the same thing, one makes the call, and the
/// others wait for it and get a clone of its result.
///
/// At most one call per key is in flight at any time, unless it is [forgotten](SingleFlight::forget). Calls
/// for different keys never wait for each other. A result is kept for the callers that asked while the call
/// was in flight, and no longer: this is not a cache. The thread whose closure runs, the *leader*, is one of
/// the callers, so nothing runs in the background and no thread is started.
///
/// An error is a result: with `V = Result<T, Arc<E>>`, it reaches all callers.
///
/// # Examples
/// ```
/// use selvedge::SingleFlight;
///
/// let flight = SingleFlight::<String, usize>::new();
/// assert_eq!(flight.call("a long text", || "a long text".len()), Ok(11));
/// ```
///
/// Several threads ask at once, and one loads:
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
/// A caller that finds a call in flight for its key, a *follower*, waits until it ends; the leader wakes all
/// followers together. The leader waits for no other thread: it runs its closure.
///
/// Waits that would never end are refused: a closure that calls for its own key, and calls without a limit
/// that wait for each other in a cycle, also through [other types](crate::error::WouldDeadlock) of this
/// crate, get [`JoinError::WouldDeadlock`]. A thread that a closure starts with `std::thread` and waits for
/// is not known to belong to it.
///
/// # Cancellation
/// A limit bounds the wait. A follower that gives up leaves the call running for the others. The leader's
/// closure is not interrupted; [`call_with_token`](SingleFlight::call_with_token) tells it when the last
/// caller has given up. If the token was cancelled before the call, nothing
/// runs. If the result exists when the limit passes, the follower gets whichever came first.
/// # Panics
/// If the closure panics, the leader gets the payload, as if it had called the closure itself. A payload
/// cannot be cloned, so followers get [`JoinError::Panicked`] with its message. The next call for the key
/// starts anew. If `V::clone` panics, it panics in the cloning thread: the leader, for the one clone that the
/// followers share, or a follower, for its own. If the drop of the key's clone or of a shared result panics,
/// the panic hook reports that and it goes no further: no caller loses its result.
///
/// None of the caller's code runs under a lock: neither the closure nor `Hash`, `Eq`, `Clone` or `Drop` of
/// keys and values.
/// # Fairness
/// All followers of a call get its result at once, and none waits for a second call.
///
/// # Ordering
/// What the leader did in its closure is visible to all callers that get its result.
///
/// # Proof
/// Models in `loom-tests/tests/flight.rs`: `two_callers_that_race_to_lead_never_overlap`,
/// `a_leaders_panic_reaches_the_leader_and_the_waiters`, `a_waiter_gives_up_while_the_call_goes_on`,
/// `a_result_that_meets_a_cancel_is_the_one_or_the_other`,
/// `two_leaders_that_wait_for_each_other_are_refused`, `the_last_caller_that_leaves_cancels_the_call`,
/// `a_caller_that_stays_gets_a_call_that_was_not_cancelled`.
///
/// # Cost
/// Without followers: two short locks and one allocation, and the result is moved, not cloned. A follower
/// spins for up to 3 µs, if that was not in vain before, and then sleeps; the leader wakes each sleeper by a
/// system call of its own. A key in flight occupies one pointer; other keys occupy nothing.
///
/// Bench `flight`, 2 cores: 67 to 69 ns alone, as a `Mutex<HashMap>` by hand; 33 to 35 ns with a key for each
/// of 8 threads, 2.3 to 3.2 times faster than that. Where 2 threads share calls of 1 µs, one takes 0.8 µs,
/// and 1.3 times as long in moka's cache; with 8 threads, 0.9 to 1.4 µs, and 0.9 to 1.5 times as long.
///
/// # Instead
/// Use [`ShardedMap::get_or_insert_with`](crate::ShardedMap::get_or_insert_with) if the result should be
/// kept; `OnceLock` if there is one key.
pub struct SingleFlight<K, V, S = RandomState> {
    table: Table<K, V>,
    hasher: S,
}

impl<K, V> SingleFlight<K, V> {
    /// Creates a group of calls with none in flight.
    pub fn new() -> Self {
        SingleFlight::with_hasher(RandomState::new())
    }
}

impl<K, V, S> SingleFlight<K, V, S> {
    /// Like [`new`](SingleFlight::new), hashing keys with `hasher`.
    pub fn with_hasher(hasher: S) -> Self {
        SingleFlight { table: Table::new(), hasher }
    }

    /// Returns the number of calls in flight, including forgotten ones.
    pub fn in_flight(&self) -> usize {
        self.table.in_flight()
    }

    /// Returns the number of followers.
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
    /// Returns the result of the call for `key`: runs `f` if none is in flight, and otherwise waits for the
    /// one that is. If `f` is not needed, it is dropped.
    ///
    /// The key may be borrowed: `&str` for a `String`. The leader clones it.
    ///
    /// # Errors
    /// [`JoinError::Panicked`] if the call that was waited for panicked; [`JoinError::WouldDeadlock`]: use
    /// another key for the inner call, or make it outside the closure.
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

    /// Runs `f` if no call for `key` is in flight; never waits.
    ///
    /// # Errors
    /// [`TryError::WouldBlock`], with `f`, if a call is in flight.
    ///
    /// # Panics
    /// If `f` runs and panics.
    pub fn try_call<Q, F>(&self, key: &Q, f: F) -> Result<V, Rejected<F, TryError>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
        F: FnOnce() -> V,
    {
        match self.find_or_enter(key, || None) {
            Role::Leader(flight) => Ok(self.lead(flight, f)),
            Role::Follower(flight) => {
                panics::discard(flight);
                Err(Rejected::new(f, TryError::WouldBlock))
            }
        }
    }

    /// Like [`call`](SingleFlight::call), waiting for another caller's result until `limit` at most. The
    /// limit does not end `f` if it runs here. The outer result says whether the call ended, the inner one
    /// how.
    ///
    /// # Errors
    /// With `f`: [`WaitError::TimedOut`] or [`WaitError::Cancelled`], and the call goes on;
    /// [`WaitError::WouldDeadlock`] if it waits for the calling thread. The inner error is
    /// [`JoinError::Panicked`].
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
        self.lead_or_follow(key, limit.into(), || None, f, |f, _| f())
    }

    #[track_caller]
    fn lead_or_follow<Q, F>(
        &self,
        key: &Q,
        limit: Until<'_>,
        counted: impl Fn() -> Option<Arc<Callers>>,
        f: F,
        run: impl FnOnce(F, Option<Arc<Callers>>) -> V,
    ) -> Result<Result<V, JoinError>, Rejected<F, WaitError>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        if let Err(error) = limit.check_token() {
            return Err(Rejected::new(f, error));
        }
        let mut started = None;
        loop {
            let flight = match self.find_or_enter(key, &counted) {
                Role::Leader(flight) => {
                    let callers = flight.callers.clone();
                    return Ok(Ok(self.lead(flight, || run(f, callers))));
                }
                Role::Follower(flight) => flight,
            };
            // Started once, and only if this thread waits: later rounds wait for the rest of it.
            let limit = Until::from_here(started.get_or_insert_with(|| limit.start()));
            match self.follow(flight, limit) {
                Ok(Some(result)) => return Ok(result),
                // Look again, and perhaps lead.
                Ok(None) => {}
                Err(error) => return Err(Rejected::new(f, error)),
            }
        }
    }

    /// Waits for the result of a call that another thread leads. `None` if it has none for this caller.
    #[track_caller]
    fn follow(
        &self,
        flight: Arc<Flight<K, V>>,
        limit: Until<'_>,
    ) -> Result<Option<Result<V, JoinError>>, WaitError> {
        let callers = flight.callers.clone();
        if callers.as_ref().is_some_and(|callers| !callers.join()) {
            // It is stopping, since no caller wanted it: this one starts anew.
            self.table.forget(&flight);
            panics::discard(flight);
            return Ok(None);
        }
        self.table.spin(&flight);
        // No missed wake-up: the one-shot keeps the result, and takes the waiters out, under the lock under
        // which they register.
        let waited = flight.end.wait(limit.called("SingleFlight::call"));
        // Looked at even if the wait failed: a result that has arrived meanwhile is disposed of, not leaked.
        let shared = flight.end.look(Arc::clone);
        // This may be the last reference to the flight, and so to the leader's key.
        panics::discard(flight);
        match (waited, shared) {
            // Without a result, the call ended before this thread registered, and its result was not kept.
            (Ok(()), shared) => Ok(shared.ok().map(result_of)),
            (Err(error), shared) => {
                // After the look: a caller that has the result has not left.
                callers.inspect(|callers| callers.leave());
                panics::discard(shared);
                Err(error)
            }
        }
    }

    /// Lets the next call for `key` start anew although one is in flight, because its result would be out of
    /// date. Returns true if there was one; it continues, for its leader and its followers.
    pub fn forget<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let found = self.table.find(self.hasher.hash_one(key), |other| other.borrow() == key);
        found.is_some_and(|flight| self.table.forget(&flight))
    }

    /// Returns true if a call for `key` is in flight and not forgotten.
    pub fn is_in_flight<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.table.find(self.hasher.hash_one(key), |other| other.borrow() == key).is_some()
    }

    fn find_or_enter<Q>(&self, key: &Q, callers: impl FnOnce() -> Option<Arc<Callers>>) -> Role<K, V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        let hash = self.hasher.hash_one(key);
        self.table.find_or_enter(hash, |other| other.borrow() == key, || key.to_owned(), callers)
    }

    fn lead(&self, flight: Arc<Flight<K, V>>, f: impl FnOnce() -> V) -> V {
        // Held to the end: the clone for the followers is the caller's code too, and may wait.
        let _owing = graph::owe();
        // A broken invariant behind the closure is the caller's concern: the payload goes to the caller.
        let result = panics::catch(f);
        // Removed before the end is published: a follower that finds no result looks again, and must not find
        // this flight.
        self.table.end(&flight);
        // No caller finds the flight any more, so if this is the only reference, there are no followers, and
        // none will come. This saves a lock. `Arc::get_mut` would ask the same, and a compare-and-swap more,
        // in case there are weak references.
        let is_alone = Arc::strong_count(&flight) == 1;
        let (value, shared) = match result {
            // Without followers, the result is not cloned. A caller that still arrives at this flight finds
            // that it kept nothing.
            Ok(value) if is_alone || flight.abandon_unless_followed() => (Some(value), Ok(())),
            Ok(value) => match panics::catch(|| value.clone()) {
                Ok(clone) => {
                    flight.keep(Ok(clone));
                    (Some(value), Ok(()))
                }
                Err(payload) => {
                    flight.keep(Err(UNSHARED.to_owned()));
                    (Some(value), Err(payload))
                }
            },
            Err(payload) => {
                flight.keep(Err(panics::said(&*payload).to_owned()));
                (None, Err(payload))
            }
        };
        // The clone of the key, and perhaps the shared result, belong to this type: a panic in their drop is
        // not the leader's.
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

/// A follower's clone of the shared result.
#[track_caller]
fn result_of<V: Clone>(shared: Arc<Result<V, String>>) -> Result<V, JoinError> {
    let result = panics::catch(|| match &*shared {
        Ok(value) => Ok(value.clone()),
        Err(text) => Err(JoinError::Panicked(Panic::without_payload(text))),
    });
    // This may be the last reference, and the drop of the leader's clone is not this caller's concern.
    panics::discard(shared);
    result.unwrap_or_else(|payload| panics::resume(payload))
}

impl<K, V, S: Default> Default for SingleFlight<K, V, S> {
    fn default() -> Self {
        SingleFlight::with_hasher(S::default())
    }
}

impl<K, V, S> fmt::Debug for SingleFlight<K, V, S> {
    /// Never blocks: shards that are locked are not counted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("SingleFlight");
        self.table.describe(&mut out);
        out.finish_non_exhaustive()
    }
}

impl<K, V, S> UnwindSafe for SingleFlight<K, V, S> {}
impl<K, V, S> RefUnwindSafe for SingleFlight<K, V, S> {}

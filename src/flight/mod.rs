//! One call a key at a time, however many want its result.

mod circle;
mod landing;
mod table;

use std::borrow::Borrow;
use std::error::Error;
use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};

use crate::error::{Rejected, TryError, WaitError};
use crate::inside::this_thread;
use crate::panics;
use crate::sync::Arc;
use crate::until::{Limit, Until};
use circle::Waits;
use landing::Landing;
use table::{Boarding, Flight, Table};

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
/// calls without a limit that wait for each other in a circle, get [`CallError::WouldDeadlock`]. The circle
/// must be within one `SingleFlight`, and its calls on the leaders' own threads; a thread that a closure
/// starts and waits for is not known to belong to it.
///
/// # Cancellation
/// A limit is for waiting. A waiter that gives up leaves the call to go on for the others; a leader's closure
/// is not interrupted, so give it the token. A token that was cancelled before the call runs nothing. If the
/// result and an end meet, the first holds.
///
/// # Panics
/// If the closure panics, its leader gets its own payload, as if it had called the closure itself. A payload
/// cannot be cloned, so who waited gets [`CallError::Panicked`] with its text. The next call for the key
/// starts anew. If `V`'s `clone` panics, that happens to whoever cloned: the leader, for the one clone that
/// those who wait share, or a waiter for its own. Where the key's clone, or a result that was shared, panics when it is
/// dropped, that ends with the panic hook's message: nobody loses a result by it.
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
    waits: Waits<K, V>,
    hasher: S,
}

/// Why a caller that did not lead has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallError {
    /// The closure of the call that was waited for panicked, with this text. Calling again makes a new call.
    Panicked(Arc<str>),
    /// The call under way waits for this thread, so waiting for it would never end. Give the inner call
    /// another key, or make it outside the closure.
    WouldDeadlock,
    /// The time of the limit ran out. The call goes on.
    TimedOut,
    /// The token of the limit was cancelled, or its own deadline passed. The call goes on.
    Cancelled,
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
        SingleFlight { table: Table::new(), waits: Waits::new(), hasher }
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
    /// Gives the result of the call for `key`: runs `f` if none is under way, and waits for that one if one is.
    /// An `f` that was not needed is dropped.
    ///
    /// The key may be borrowed: `&str` for a `String`. It is cloned by who leads.
    ///
    /// # Errors
    /// [`CallError::Panicked`] or [`CallError::WouldDeadlock`].
    ///
    /// # Panics
    /// If `f` runs and panics.
    pub fn call<Q>(&self, key: &Q, f: impl FnOnce() -> V) -> Result<V, CallError>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        self.call_until(key, Until::forever(), f)
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
            Boarding::Leads(flight) => Ok(self.lead(flight, f)),
            Boarding::UnderWay(flight) => {
                panics::discard(flight);
                Err(Rejected::new(f, TryError::WouldBlock))
            }
        }
    }

    /// Like [`call`](SingleFlight::call), and waits at most until `limit` for another's result. The limit does
    /// not end `f` if that runs here.
    ///
    /// # Errors
    /// Each [`CallError`].
    ///
    /// # Panics
    /// If `f` runs and panics.
    pub fn call_until<'l, Q>(
        &self,
        key: &Q,
        limit: impl Into<Until<'l>>,
        f: impl FnOnce() -> V,
    ) -> Result<V, CallError>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        let limit = limit.into();
        limit.check_token()?;
        let mut running = None;
        loop {
            match self.board(key) {
                Boarding::Leads(flight) => return Ok(self.lead(flight, f)),
                Boarding::UnderWay(flight) if flight.leader == this_thread() => {
                    panics::discard(flight);
                    return Err(CallError::WouldDeadlock);
                }
                Boarding::UnderWay(flight) => {
                    let running = running.get_or_insert_with(|| limit.start());
                    // None: it ended between the look and the wait. Look again, and perhaps lead.
                    let result = self.follow(&flight, running, limit.is_unlimited());
                    // The key and the value in it are the leader's and shared; this may be the last reference.
                    panics::discard(flight);
                    if let Some(result) = result {
                        return result;
                    }
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

    fn board<Q>(&self, key: &Q) -> Boarding<K, V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        let hash = self.hasher.hash_one(key);
        self.table.board(hash, |other| other.borrow() == key, || key.to_owned())
    }

    fn lead(&self, flight: Arc<Flight<K, V>>, f: impl FnOnce() -> V) -> V {
        // What the closure leaves behind is the caller's concern: the payload goes on to it.
        let result = panics::catch(f);
        let landing = Landing::new(flight, |flight| self.table.end(flight));
        let (value, shared) = match result {
            Ok(value) if landing.is_awaited() => {
                let shared = panics::catch(|| landing.publish(Ok(value.clone())));
                (Some(value), shared)
            }
            Ok(value) => (Some(value), Ok(())),
            Err(payload) => {
                landing.publish(Err(panics::said(&*payload).into()));
                (None, Err(payload))
            }
        };
        // Wakes those who wait, and drops the key's clone, which is ours: its panic is not the leader's.
        panics::discard(landing);
        match (value, shared) {
            (Some(value), Ok(())) => value,
            (value, Err(payload)) => {
                panics::discard(value);
                panics::resume(payload)
            }
            (None, Ok(())) => unreachable!("a call without a value has panicked"),
        }
    }

    /// Waits for another's result; `None` if the call had ended before this thread could join those who wait.
    fn follow(
        &self,
        flight: &Arc<Flight<K, V>>,
        limit: &Limit<'_>,
        unlimited: bool,
    ) -> Option<Result<V, CallError>> {
        let slot = self.table.join(flight)?;
        // A circle is one only if nobody in it would give up.
        let note = if unlimited { self.waits.note(flight) } else { Ok(None) };
        let ended = note.and_then(|_note| {
            if limit.check().is_ok() {
                limit.look_out(|| slot.has_ended());
            }
            // Granted by the landing, which comes after the call whatever becomes of it.
            Ok(limit.sleep(&slot)?)
        });
        Some(match ended {
            Ok(()) => flight.result(),
            Err(error) => {
                self.table.leave(flight, &slot);
                Err(error)
            }
        })
    }
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

impl From<WaitError> for CallError {
    fn from(error: WaitError) -> Self {
        match error {
            WaitError::TimedOut => CallError::TimedOut,
            WaitError::WouldDeadlock => CallError::WouldDeadlock,
            // A flight is not closed, and nothing is asked of it that it does not have.
            WaitError::Cancelled | WaitError::Closed | WaitError::Impossible => CallError::Cancelled,
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Panicked(text) => write!(f, "the call that was waited for panicked: {text}"),
            CallError::WouldDeadlock => f.write_str(
                "the call waits for this thread: make the inner call with another key, or outside",
            ),
            CallError::TimedOut => WaitError::TimedOut.fmt(f),
            CallError::Cancelled => WaitError::Cancelled.fmt(f),
        }
    }
}

impl Error for CallError {}

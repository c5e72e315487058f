//! Waiting for a count to reach zero: once ([`Latch`]), or again and again ([`WaitGroup`]).
//!
//! One mutex orders everything in this file.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use crate::error::WaitError;
use crate::sync::{Arc, Mutex};
use crate::until::Until;
use crate::wait::WaitList;

/// Opens when it was counted down, and stays open: a start signal for many, or the end of a known number of
/// steps.
///
/// # Examples
/// ```
/// use selvedge::Latch;
///
/// let ready = Latch::new(3);
/// std::thread::scope(|s| {
///     for _ in 0..3 {
///         s.spawn(|| ready.count_down());
///     }
///     ready.wait();
/// });
/// assert!(ready.is_open());
/// ```
///
/// # Blocking
/// `wait` blocks until the count is 0; the call that brings it there wakes everybody.
///
/// # Cancellation
/// A latch that opens before the limit passes is success, however late the sleeper wakes up.
///
/// # Fairness
/// All who wait go on at once: nobody is overtaken.
///
/// # Ordering
/// What a thread did before it counted down is visible after `wait`.
///
/// # Proof
/// Models in `loom-tests/tests/latch.rs`.
///
/// # Instead
/// `std::sync::Barrier` if the same threads wait for each other, round after round.
pub struct Latch {
    count: Count,
    /// What it was made with.
    steps: usize,
}

impl Latch {
    /// Makes a latch that opens after `count` steps; with 0 it is open.
    pub fn new(count: usize) -> Self {
        Latch { count: Count::new(count), steps: count }
    }

    /// Makes one step; the last one opens the latch. Never blocks.
    ///
    /// # Panics
    /// If the latch is open already: somebody counts who was not counted.
    #[track_caller]
    pub fn count_down(&self) {
        let steps = self.steps;
        assert!(
            self.count.sub(),
            "the latch is open: step {} of {steps} is one too many",
            steps.saturating_add(1)
        );
    }

    /// Steps that are missing.
    pub fn count(&self) -> usize {
        self.count.get()
    }

    /// True once the count has reached 0.
    pub fn is_open(&self) -> bool {
        self.count() == 0
    }

    /// Waits until the latch opens.
    pub fn wait(&self) {
        self.count.wait();
    }

    /// Waits until the latch opens, at most until `limit`.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`] or [`WaitError::Cancelled`].
    pub fn wait_until<'a>(&self, limit: impl Into<Until<'a>>) -> Result<(), WaitError> {
        self.count.wait_until(limit.into())
    }
}

impl fmt::Debug for Latch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.count.describe("Latch", f)
    }
}

/// Waits until every member has left: for a number of helpers that nobody knows beforehand.
///
/// A clone is the same group. [`add`](WaitGroup::add) makes a [`Member`]; dropping it, also in a panic,
/// leaves. Unlike Go's, the count cannot go wrong: who holds no member cannot leave. The group may be used
/// again after a wait.
///
/// # Examples
/// ```
/// use selvedge::WaitGroup;
///
/// let group = WaitGroup::new();
/// for _ in 0..3 {
///     let member = group.add();
///     std::thread::spawn(move || {
///         let _member = member; // leaves when the thread ends, however it ends
///     });
/// }
/// group.wait();
/// assert_eq!(group.count(), 0);
/// ```
///
/// # Blocking
/// `wait` blocks until nobody is in the group; the member that leaves last wakes everybody who waits. A
/// waiter sees a moment with nobody inside only if it looks while that lasts: whoever is added again before
/// the waiter is awake is waited for too.
///
/// # Cancellation
/// If the last member leaves before the limit passes, that is success, however late the sleeper wakes up.
///
/// # Fairness
/// All who wait go on at once: nobody is overtaken.
///
/// # Ordering
/// What a member did before it left is visible after `wait`.
///
/// # Proof
/// Models in `loom-tests/tests/latch.rs`.
///
/// # Instead
/// `std::thread::scope` or [`group::scope`](crate::group::scope) if what you wait for is threads.
#[derive(Clone, Default)]
pub struct WaitGroup {
    count: Arc<Count>,
}

/// Somebody whom a [`WaitGroup`] waits for, until dropped.
#[must_use = "a member that is dropped has left the group"]
pub struct Member {
    count: Arc<Count>,
}

impl WaitGroup {
    /// Makes a group with nobody in it.
    pub fn new() -> Self {
        WaitGroup::default()
    }

    /// Adds a member, whom the group waits for until the [`Member`] is dropped.
    pub fn add(&self) -> Member {
        self.count.add();
        Member { count: Arc::clone(&self.count) }
    }

    /// Members now.
    pub fn count(&self) -> usize {
        self.count.get()
    }

    /// Waits until nobody is in the group.
    pub fn wait(&self) {
        self.count.wait();
    }

    /// Waits until nobody is in the group, at most until `limit`.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`] or [`WaitError::Cancelled`].
    pub fn wait_until<'a>(&self, limit: impl Into<Until<'a>>) -> Result<(), WaitError> {
        self.count.wait_until(limit.into())
    }
}

impl Clone for Member {
    /// Joins once more.
    fn clone(&self) -> Self {
        self.count.add();
        Member { count: Arc::clone(&self.count) }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let counted = self.count.sub();
        debug_assert!(counted, "each member was counted");
    }
}

impl fmt::Debug for WaitGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.count.describe("WaitGroup", f)
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member").finish_non_exhaustive()
    }
}

/// A number that threads wait to become 0.
struct Count {
    state: Mutex<State>,
}

struct State {
    count: usize,
    waiting: WaitList,
}

impl Count {
    fn new(count: usize) -> Self {
        Count { state: Mutex::new(State { count, waiting: WaitList::new() }) }
    }

    fn get(&self) -> usize {
        self.state.lock().count
    }

    fn add(&self) {
        self.state.lock().count += 1;
    }

    /// False if it was 0.
    fn sub(&self) -> bool {
        let mut state = self.state.lock();
        let Some(count) = state.count.checked_sub(1) else { return false };
        state.count = count;
        let wakes = if count == 0 { state.waiting.take_all() } else { Vec::new() };
        drop(state);
        drop(wakes);
        true
    }

    fn wait(&self) {
        // Nobody closes a count, and a forever limit does not end.
        let _ = self.wait_until(Until::forever());
    }

    fn wait_until(&self, limit: Until<'_>) -> Result<(), WaitError> {
        // Whoever brings the count to 0 does so under this lock, and takes everybody out of the list.
        limit.wait_until_ready(&self.state, |state| &mut state.waiting, |state| state.count == 0)
    }

    fn describe(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct(name);
        if let Some(state) = self.state.try_lock() {
            out.field("count", &state.count).field("waiting", &state.waiting.len());
        }
        out.finish_non_exhaustive()
    }
}

impl Default for Count {
    fn default() -> Self {
        Count::new(0)
    }
}

impl UnwindSafe for Latch {}
impl RefUnwindSafe for Latch {}
impl UnwindSafe for WaitGroup {}
impl RefUnwindSafe for WaitGroup {}
impl UnwindSafe for Member {}
impl RefUnwindSafe for Member {}

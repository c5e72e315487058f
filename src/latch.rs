//! Waiting for a count to reach zero: once ([`Latch`]), or repeatedly ([`WaitGroup`]).
//!
//! One mutex orders everything in this file.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use crate::error::WaitError;
use crate::sync::{Arc, Mutex};
use crate::until::Until;
use crate::wait::{Point, WaitList, WaitPoint};

/// Opens when it has been counted down, and stays open: a start signal for many threads, or the end of a
/// known number of steps.
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
/// `wait` blocks until the count is 0; the call that brings it there wakes all waiters.
///
/// # Cancellation
/// If the latch opens before the limit ends, the wait succeeds, however late the thread wakes up.
///
/// # Fairness
/// All waiters continue at once.
///
/// # Ordering
/// Everything before a `count_down` happens before the return of `wait`.
///
/// # Proof
/// Models in `loom-tests/tests/latch.rs`: `the_last_count_down_wakes_every_waiter`,
/// `steps_taken_together_both_count` and `a_cancelled_wait_ends_and_the_latch_still_opens`.
///
/// # Cost
/// A step is a lock and an unlock; only the last one wakes threads. A wait that sleeps allocates once. Bench
/// `latch`, 2 cores: a step takes 6 ns, and 13 where two threads count, 1.1 and 1.6 times as long as with a
/// count and a condvar by hand; a wait for an open latch takes 5 ns, as there.
///
/// # Instead
/// `std::sync::Barrier` if the same threads wait for each other repeatedly.
pub struct Latch {
    count: Count,
    /// The initial count.
    steps: usize,
}

impl Latch {
    const WAIT: &str = "Latch::wait";

    /// Makes a latch that opens after `count` steps. With 0 it is open from the start.
    pub fn new(count: usize) -> Self {
        Latch { count: Count::new(count), steps: count }
    }

    /// Counts one step; the last one opens the latch. Never blocks.
    ///
    /// # Panics
    /// If the latch is already open, which means that a step was counted twice.
    #[track_caller]
    pub fn count_down(&self) {
        // An extra step is refused under the lock, so it changes nothing. The number of steps is read only
        // then: it lies beside the lock, and a look before would fetch the line twice where threads contend.
        if !self.count.sub() {
            self.refuse();
        }
    }

    #[cold]
    #[track_caller]
    fn refuse(&self) -> ! {
        let steps = self.steps;
        panic!("the latch is open: step {} of {steps} is one too many", steps.saturating_add(1));
    }

    /// Returns the number of steps left.
    pub fn count(&self) -> usize {
        self.count.get()
    }

    /// True once the count has reached 0.
    pub fn is_open(&self) -> bool {
        self.count() == 0
    }

    /// Waits until the latch opens.
    #[track_caller]
    pub fn wait(&self) {
        self.count.wait(Self::WAIT);
    }

    /// Waits until the latch opens, at most until `limit`.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`] or [`WaitError::Cancelled`].
    #[track_caller]
    pub fn wait_until<'a>(&self, limit: impl Into<Until<'a>>) -> Result<(), WaitError> {
        self.count.wait_until(limit.into(), Self::WAIT)
    }
}

impl Latch {
    pub(crate) fn inner(&self) -> &Count {
        &self.count
    }
}

impl fmt::Debug for Latch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.count.describe("Latch", f)
    }
}

/// Waits until every member has left: for an unknown number of helpers.
///
/// Clones share one group. [`add`](WaitGroup::add) makes a [`Member`], which leaves when it is dropped, by a
/// panic too. Unlike Go's `WaitGroup`, the count cannot go wrong: only a member can leave. The group can be
/// used again after a wait.
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
/// `wait` blocks until the group is empty; the last member to leave wakes all waiters. A waiter may miss a
/// moment in which the group is empty: if a member is added before the waiter is awake, it waits for that
/// member too.
///
/// # Cancellation
/// If the last member leaves before the limit ends, the wait succeeds, however late the thread wakes up.
///
/// # Fairness
/// All waiters continue at once.
///
/// # Ordering
/// Everything that a member did before it left happens before the return of `wait`.
///
/// # Proof
/// Models in `loom-tests/tests/latch.rs`: `the_last_member_to_leave_wakes_the_waiter` and
/// `a_member_that_brings_another_keeps_the_group_open`.
///
/// # Cost
/// Adding a member and dropping it are a lock and an unlock each, and count references to the group. A wait
/// that sleeps allocates once. Bench `latch`, 2 cores: a member comes and goes in 14 ns, 1.6 times as long as
/// crossbeam's, and in 32 ns where two threads add members, 1.1 times as long.
///
/// # Instead
/// `std::thread::scope` or [`group::scope`](crate::group::scope) to wait for threads or tasks.
#[derive(Clone, Default)]
pub struct WaitGroup {
    count: Arc<Count>,
}

/// A member of a [`WaitGroup`], which waits for it until it is dropped. A clone is another member.
#[must_use = "a member that is dropped has left the group"]
pub struct Member {
    count: Arc<Count>,
}

impl WaitGroup {
    const WAIT: &str = "WaitGroup::wait";

    /// Makes an empty group.
    pub fn new() -> Self {
        WaitGroup::default()
    }

    /// Adds a member. The group waits for it until the [`Member`] is dropped.
    pub fn add(&self) -> Member {
        self.count.add();
        Member { count: Arc::clone(&self.count) }
    }

    /// Returns the number of members.
    pub fn count(&self) -> usize {
        self.count.get()
    }

    /// Waits until the group is empty.
    #[track_caller]
    pub fn wait(&self) {
        self.count.wait(Self::WAIT);
    }

    /// Waits until the group is empty, at most until `limit`.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`] or [`WaitError::Cancelled`].
    #[track_caller]
    pub fn wait_until<'a>(&self, limit: impl Into<Until<'a>>) -> Result<(), WaitError> {
        self.count.wait_until(limit.into(), Self::WAIT)
    }
}

impl WaitGroup {
    pub(crate) fn inner(&self) -> &Count {
        &self.count
    }
}

impl Clone for Member {
    /// Adds another member.
    fn clone(&self) -> Self {
        // Counted while this member keeps the count above 0, so no waiter sees the group empty in between.
        self.count.add();
        Member { count: Arc::clone(&self.count) }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // Leaves last of all: a panic that unwinds the member's thread passes here too.
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

/// A count, and the threads that wait until it is 0.
pub(crate) struct Count {
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

    pub(crate) fn get(&self) -> usize {
        self.state.lock().count
    }

    /// Where to wait for it to be 0.
    pub(crate) fn point(&self) -> impl WaitPoint {
        Point::new(&self.state, |state| &mut state.waiting, |state| state.count == 0)
    }

    fn add(&self) {
        // Wakes no thread: waiters wait for 0, and this leads away from it.
        self.state.lock().count += 1;
    }

    /// Decrements the count; false if it was 0.
    fn sub(&self) -> bool {
        let mut state = self.state.lock();
        let Some(count) = state.count.checked_sub(1) else { return false };
        state.count = count;
        // All: each waiter waits for the same moment. Before the last step nothing changes for them, so none
        // is woken.
        let wakes = if count == 0 { state.waiting.take_all() } else { Vec::new() };
        // Woken after unlocking, so that no waiter wakes up into the held lock.
        drop(state);
        drop(wakes);
        true
    }

    #[track_caller]
    fn wait(&self, operation: &'static str) {
        // An unlimited wait ends only with success, since a count is never closed.
        let _ = self.wait_until(Until::forever(), operation);
    }

    #[track_caller]
    fn wait_until(&self, limit: Until<'_>, operation: &'static str) -> Result<(), WaitError> {
        limit.check_token()?;
        if self.get() == 0 { Ok(()) } else { self.wait_slowly(limit.called(operation)) }
    }

    /// Apart from the look at the count, which needs no name for the wait: that costs it two nanoseconds.
    #[cold]
    #[track_caller]
    fn wait_slowly(&self, limit: Until<'_>) -> Result<(), WaitError> {
        // Waits for the count to reach 0. `sub` brings it there under this lock and takes all waiters out of
        // the list, and a waiter joins the list in the critical section that found the count above 0, so it
        // cannot be missed.
        limit.wait_until_ready(&self.state, |state| &mut state.waiting, |state| state.count == 0)
    }

    fn describe(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct(name);
        // `Debug` must not block.
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

//! The node of a token in the tree: what must be notified of its cancellation, exactly once each.
//!
//! # State
//! `stage` says whether the node is cancelled, and why, and never changes again once it is:
//!
//! | stage | is the node cancelled? | what changes it |
//! |---|---|---|
//! | [`BARE`] | no, and nothing was ever to be notified | an exchange, by the canceller without the lock |
//! | [`WATCHED`] | no | the canceller under the lock |
//! | [`LOOSE`] | if its parent is, see [`loose`] | canceller or first watcher, under the lock |
//! | [`ENDING`] | when this critical section ends | the canceller under the lock |
//! | [`REQUESTED`], [`LATE`], [`FAILED`] | yes | nothing |
//!
//! `watchers` holds everything that must be notified, each under a key that its guard keeps. A thread that
//! registers a watcher takes the lock and *claims* the node, which makes a bare one watched; it fails if the
//! node is cancelled, and the watcher is then notified at once. The canceller of a watched node takes the
//! watchers out in the critical section in which it writes the stage, and notifies them afterwards. The
//! canceller of a bare node exchanges the stage, and is done: either its exchange comes before the claim,
//! which then fails, or after it, and then the exchange fails and it takes the lock. So no watcher is missed,
//! and none is notified twice.
//!
//! Most tokens are bare when they are cancelled, such as children that are only checked. With the exchange, a
//! parent's cancellation takes 12 ns for each of them, and 65 with the lock and a list to take out.
//!
//! # Lock order
//! No thread holds the locks of two nodes. A canceller takes its watchers out, unlocks, and only then
//! notifies them; it cancels a child among them by the same steps with the child's lock. The price is that a
//! parent is cancelled a moment before its child. The child is cancelled when the call that cancelled the
//! parent returns.
//!
//! The token of a scope is in no list at first: see [`loose`].
//!
//! # Ownership
//! A child keeps its parent alive. A parent refers to its children by [`Weak`] references, and a node that is
//! dropped leaves its parent's list. So a long-lived parent keeps no trace of dropped children.

mod end;
mod loose;
mod rare;

use std::convert::Infallible;
use std::error::Error;
use std::mem;
use std::panic::Location;
use std::time::Instant;

use crossbeam_channel::Receiver;

use self::rare::Rare;
use super::cause::Cause;
use super::watchers::{Key, Watchers};
use crate::clock::Clock;
use crate::error::Cancelled;
use crate::panics;
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::sync::weak::{Arc, Weak};
use crate::sync::{self, Mutex, OnceLock};
use crate::wait::{Outcome, Waiter};

pub(super) type Callback = Box<dyn FnOnce() + Send>;

pub(super) struct Node {
    /// See the table above. Checks need no lock.
    stage: AtomicUsize,
    /// Where the token was made, for [`inspect`](crate::inspect).
    pub(super) made_at: &'static Location<'static>,
    pub(super) clock: Clock,
    /// Never later than the parent's.
    pub(super) deadline: Option<Instant>,
    /// `None` for a root.
    parent: Option<Arc<Node>>,
    /// The key in the parent's list; [`NO_KEY`] if the node is not in the list. It is read when the node is
    /// dropped, so relaxed accesses do: the count of its handles orders them before.
    key: AtomicU64,
    /// A second node whose cancellation cancels this one, from the limit of `child_until`.
    also: OnceLock<Box<Link>>,
    state: Mutex<State>,
    done: OnceLock<Box<Receiver<Infallible>>>,
}

/// Not cancelled, and never claimed.
const BARE: usize = 0;
/// Not cancelled; it may have watchers, a connected `done`, and an alarm.
const WATCHED: usize = 1;
/// Not cancelled, and in no list: a check of the node checks its parent too.
const LOOSE: usize = 2;
/// `done` is about to be disconnected. A check takes the lock, and so waits until it is. So no thread sees
/// the node cancelled and `done` connected, or the reverse.
const ENDING: usize = 3;
/// Cancelled for [`Cause::Requested`].
const REQUESTED: usize = 4;
/// Cancelled for [`Cause::DeadlinePassed`].
const LATE: usize = 5;
/// Cancelled for the error in the state.
const FAILED: usize = 6;

/// No list gets that long.
const NO_KEY: u64 = u64::MAX;

/// A node above, and the key in its list.
type Link = (Arc<Node>, Key);

struct State {
    /// Why the node was cancelled, if it is [`FAILED`].
    error: Option<sync::Arc<dyn Error + Send + Sync>>,
    watchers: Watchers,
    /// `None` if both are, as in most nodes.
    rare: Option<Box<Rare>>,
}

impl Drop for State {
    /// Drops the callbacks that will not be called any more.
    fn drop(&mut self) {
        if self.watchers.len() > 0 {
            panics::drop_each(mem::take(&mut self.watchers).in_order());
        }
    }
}

/// Something that must be notified of the cancellation.
pub(super) enum Watcher {
    /// A sleeping thread, and the outcome of its wait.
    Waiter(Waiter, Outcome),
    Call(Callback),
    Child(Weak<Node>),
}

impl Node {
    #[track_caller]
    pub(super) fn root(clock: Clock, deadline: Option<Instant>) -> Arc<Node> {
        Arc::new(Node::new(clock, deadline, None, BARE))
    }

    #[track_caller]
    fn new(clock: Clock, deadline: Option<Instant>, parent: Option<Arc<Node>>, stage: usize) -> Node {
        Node {
            made_at: Location::caller(),
            stage: AtomicUsize::new(stage),
            clock,
            deadline,
            parent,
            key: AtomicU64::new(NO_KEY),
            also: OnceLock::new(),
            state: Mutex::new(State { error: None, watchers: Watchers::default(), rare: None }),
            done: OnceLock::new(),
        }
    }

    /// Makes a node that is cancelled with its parent, at its parent's deadline, or at `deadline`.
    #[track_caller]
    pub(super) fn child(parent: &Arc<Node>, deadline: Option<Instant>) -> Arc<Node> {
        let deadline = parent.first_of(deadline);
        let node = Arc::new(Node::new(parent.clock.clone(), deadline, Some(Arc::clone(parent)), BARE));
        if let Some(key) = Node::enter(&node, parent) {
            node.key.store(key.into_raw(), Ordering::Relaxed);
        }
        node
    }

    /// The first of this node's deadline and another on its clock.
    fn first_of(&self, deadline: Option<Instant>) -> Option<Instant> {
        match (self.deadline, deadline) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Makes the cancellation of a second node cancel this one too; called at most once.
    pub(super) fn follow_also(node: &Arc<Self>, other: &Arc<Node>) {
        if let Some(key) = Node::enter(node, other) {
            node.also.set(Box::new((Arc::clone(other), key))).unwrap_or_else(|_| unreachable!("set once"));
        }
    }

    /// Registers the node in the list of the node `above`, or cancels it with the cause of `above`.
    ///
    /// The node is complete before it is registered. [`Arc::new_cyclic`] would save work, but until it
    /// returns, the `upgrade` of a canceller fails, and the child would be missed.
    fn enter(node: &Arc<Self>, above: &Arc<Node>) -> Option<Key> {
        match Node::watch(above, Watcher::Child(Arc::downgrade(node))) {
            Ok(key) => Some(key),
            // Discards no panic: the node is new and has no callbacks.
            Err(_) => {
                panics::discard(Node::cancel(node, Node::cause(above).unwrap_or(Cause::Requested)));
                None
            }
        }
    }

    /// True if the node is cancelled or its deadline has passed, which cancels it.
    #[inline]
    pub(super) fn is_cancelled(node: &Arc<Self>) -> bool {
        if node.was_cancelled() {
            return true;
        }
        match node.deadline {
            None => false,
            Some(deadline) => Node::is_late(node, deadline),
        }
    }

    /// True if the node is cancelled. Does not check the deadline.
    #[inline]
    pub(super) fn was_cancelled(&self) -> bool {
        // Acquire, paired with the releases in `end_bare` and `finish`: a thread that sees the node cancelled
        // sees everything before the cancellation.
        match self.stage.load(Ordering::Acquire) {
            BARE | WATCHED => false,
            LOOSE => self.is_cancelled_above(),
            ENDING => self.is_cancelled_for_certain(),
            _ => true,
        }
    }

    /// Waits for the canceller, which disconnects `done` under the lock that this takes.
    #[cold]
    fn is_cancelled_for_certain(&self) -> bool {
        drop(self.state.lock());
        true
    }

    /// True if the node is cancelled, as far as this can be seen without blocking.
    pub(super) fn looks_cancelled(&self) -> bool {
        let above = || self.parent.as_ref().is_some_and(|parent| parent.looks_cancelled());
        let stage = self.stage.load(Ordering::Acquire);
        stage > ENDING || stage == LOOSE && above()
    }

    #[cold]
    fn is_late(node: &Arc<Self>, deadline: Instant) -> bool {
        let late = node.clock.now() >= deadline;
        if late {
            Node::expire(node);
        }
        late
    }

    pub(super) fn cause(node: &Arc<Self>) -> Option<Cause> {
        Node::is_cancelled(node);
        node.written_cause()
    }

    fn written_cause(&self) -> Option<Cause> {
        let state = self.state.lock();
        // Acquire: a bare node is cancelled without the lock.
        match self.stage.load(Ordering::Acquire) {
            REQUESTED => Some(Cause::Requested),
            LATE => Some(Cause::DeadlinePassed),
            _ => state.error.clone().map(Cause::Error),
        }
    }

    /// Registers a watcher. Returns it if the node is cancelled.
    #[inline]
    pub(super) fn watch(node: &Arc<Self>, watcher: Watcher) -> Result<Key, Watcher> {
        Node::tie(node);
        if let Some(deadline) = node.deadline {
            // A child has the deadline itself, and a sleeper on the system's clock wakes up by itself.
            match watcher {
                Watcher::Call(_) => Node::set_alarm(node, deadline),
                Watcher::Waiter(..) if !node.clock.is_system() => Node::set_alarm(node, deadline),
                Watcher::Waiter(..) | Watcher::Child(_) => {}
            }
            // Cancels a node whose deadline has passed before it can be claimed.
            Node::is_late(node, deadline);
        }
        let mut state = node.state.lock();
        if node.claim() { Ok(state.watchers.insert(watcher)) } else { Err(watcher) }
    }

    /// Removes a watcher; `None` if it was notified or is being notified.
    pub(super) fn forget(&self, key: Key) -> Option<Watcher> {
        // Relaxed: nothing is read that the canceller wrote.
        if self.stage.load(Ordering::Relaxed) >= ENDING {
            return None;
        }
        self.state.lock().watchers.remove(key)
    }

    pub(super) fn check(node: &Arc<Self>) -> Result<(), Cancelled> {
        if Node::is_cancelled(node) { Err(Cancelled) } else { Ok(()) }
    }

    fn leave_parent(&mut self) -> Option<Arc<Node>> {
        let parent = self.parent.take()?;
        Some(match self.key.load(Ordering::Relaxed) {
            NO_KEY => parent,
            key => Node::leave((parent, Key::from_raw(key))),
        })
    }

    fn leave((node, key): Link) -> Arc<Node> {
        drop(node.forget(key));
        node
    }

    /// The number of threads, callbacks and children to be notified; `None` if the lock is held.
    pub(super) fn watchers(&self) -> Option<usize> {
        self.state.try_lock().map(|state| state.watchers.len())
    }
}

impl Drop for Node {
    /// Leaves the lists of the nodes above. A loop instead of recursion frees the ancestors that nothing else
    /// keeps alive, since a chain of them may be deeper than the stack.
    fn drop(&mut self) {
        let mut above: Vec<Link> = self.also.take().map(|link| *link).into_iter().collect();
        let mut next = self.leave_parent();
        while let Some(node) = next.or_else(|| above.pop().map(Node::leave)) {
            next = Arc::into_inner(node).and_then(|mut node| {
                above.extend(node.also.take().map(|link| *link));
                node.leave_parent()
            });
        }
    }
}

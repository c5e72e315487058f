//! The node of a token in the tree: what must be notified of its cancellation, exactly once each.
//!
//! # State
//! `cause` is `None` until the node is cancelled, and never changes again. `watchers` holds everything that
//! must be notified, each under a key that its guard keeps. The canceller takes all of it out in the critical
//! section in which it writes the cause. So a thread that registers a watcher finds either the list, and the
//! watcher is notified later, or the cause, and the watcher is notified at once. There is no third case, and
//! no watcher is notified twice.
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

mod loose;

use std::convert::Infallible;
use std::mem;
use std::panic::Location;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender};

use super::cause::Cause;
use super::watchers::{Key, Watchers};
use crate::clock::{Alarm, Clock};
use crate::error::Cancelled;
use crate::panics::{self, FirstPanic, Payload};
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::weak::{Arc, Weak};
use crate::sync::{Mutex, OnceLock};
use crate::wait::{Outcome, Waiter};

pub(super) type Callback = Box<dyn FnOnce() + Send>;

pub(super) struct Node {
    /// One of [`LOOSE`], [`LIVE`], [`ENDING`] or [`CANCELLED`]. It changes under the lock, after `cause`, so
    /// that checks need no lock.
    stage: AtomicUsize,
    /// Where the token was made, for [`inspect`](crate::inspect).
    pub(super) made_at: &'static Location<'static>,
    pub(super) clock: Clock,
    /// Never later than the parent's.
    pub(super) deadline: Option<Instant>,
    /// `None` for a root.
    parent: Option<Arc<Node>>,
    /// The key in the parent's list; empty if the node is not in the list.
    key: OnceLock<Key>,
    /// A second node whose cancellation cancels this one, from the limit of `child_until`.
    also: OnceLock<Link>,
    state: Mutex<State>,
    done: OnceLock<Receiver<Infallible>>,
}

const LIVE: usize = 0;
/// Not cancelled, and in no list: a check of the node checks its parent too.
const LOOSE: usize = 3;
/// `done` is about to be disconnected. A check takes the lock, and so waits until it is. So no thread sees
/// the node cancelled and `done` connected, or the reverse.
const ENDING: usize = 1;
const CANCELLED: usize = 2;

/// A node above, and the key in its list.
type Link = (Arc<Node>, Key);

struct State {
    cause: Option<Cause>,
    watchers: Watchers,
    /// Dropped by the cancellation, which disconnects `done`.
    done: Option<Sender<Infallible>>,
    /// Cancels the node at its deadline. It is set for the first watcher that does not check the clock
    /// itself.
    alarm: Option<Alarm>,
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
    pub(super) fn root(clock: Clock) -> Arc<Node> {
        Arc::new(Node::new(clock, None, None, LIVE))
    }

    #[track_caller]
    fn new(clock: Clock, deadline: Option<Instant>, parent: Option<Arc<Node>>, stage: usize) -> Node {
        Node {
            made_at: Location::caller(),
            stage: AtomicUsize::new(stage),
            clock,
            deadline,
            parent,
            key: OnceLock::new(),
            also: OnceLock::new(),
            state: Mutex::new(State { cause: None, watchers: Watchers::default(), done: None, alarm: None }),
            done: OnceLock::new(),
        }
    }

    /// Makes a node that is cancelled with its parent, at its parent's deadline, or at `deadline`.
    #[track_caller]
    pub(super) fn child(parent: &Arc<Node>, deadline: Option<Instant>) -> Arc<Node> {
        let deadline = match (parent.deadline, deadline) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let node = Arc::new(Node::new(parent.clock.clone(), deadline, Some(Arc::clone(parent)), LIVE));
        if let Some(key) = Node::enter(&node, parent) {
            node.key.set(key).unwrap_or_else(|_| unreachable!("set once"));
        }
        node
    }

    /// Makes the cancellation of a second node cancel this one too; called at most once.
    pub(super) fn follow_also(node: &Arc<Self>, other: &Arc<Node>) {
        if let Some(key) = Node::enter(node, other) {
            node.also.set((Arc::clone(other), key)).unwrap_or_else(|_| unreachable!("set once"));
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
        // Acquire, paired with the release store in `end`: a thread that sees the node cancelled sees
        // everything before the cancellation.
        match self.stage.load(Ordering::Acquire) {
            LIVE => false,
            LOOSE => self.is_cancelled_above(),
            ENDING => self.is_cancelled_for_certain(),
            _ => true,
        }
    }

    /// Waits for the canceller, which disconnects `done` under the lock that this takes.
    #[cold]
    fn is_cancelled_for_certain(&self) -> bool {
        self.state.lock().cause.is_some()
    }

    /// True if the node is cancelled, as far as this can be seen without blocking.
    pub(super) fn looks_cancelled(&self) -> bool {
        let above = || self.parent.as_ref().is_some_and(|parent| parent.looks_cancelled());
        let stage = self.stage.load(Ordering::Acquire);
        stage == CANCELLED || stage == LOOSE && above()
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
        node.state.lock().cause.clone()
    }

    /// Cancels the node and all nodes below it, and notifies every watcher once. The first cause is kept.
    ///
    /// Returns the payload of the first callback that panicked; every other watcher has been notified all the
    /// same, and no panic unwinds this loop. A list of nodes replaces recursion: a chain of tokens may be
    /// deeper than the stack.
    #[must_use = "a callback's panic must be resumed or discarded"]
    pub(super) fn cancel(node: &Arc<Self>, cause: Cause) -> Option<Payload> {
        // Gives a loose node whose parent was cancelled before the cause of its parent.
        node.was_cancelled();
        let mut below = Vec::new();
        let mut panicked = FirstPanic::new();
        let mut next = Some(Arc::clone(node));
        while let Some(node) = next {
            for watcher in node.end(&cause) {
                match watcher {
                    Watcher::Waiter(waiter, outcome) => drop(waiter.end(outcome)),
                    // `None` for a child that is being dropped: no thread can be waiting on it.
                    Watcher::Child(child) => below.extend(child.upgrade()),
                    // Caught, so that a panic does not keep later watchers from being notified.
                    Watcher::Call(callback) => {
                        panicked.call(callback);
                    }
                }
            }
            next = below.pop();
        }
        panicked.into_payload()
    }

    /// Cancels the node because its deadline has passed.
    ///
    /// A panic of a callback ends here, after the panic hook has reported it: the thread that finds the
    /// deadline passed may be in the middle of a wait with other waiters behind it, and did not ask for the
    /// callback.
    fn expire(node: &Arc<Self>) {
        panics::discard(Node::cancel(node, Cause::DeadlinePassed));
    }

    /// Writes the cause and takes out the watchers; none if the cause was already there.
    fn end(&self, cause: &Cause) -> impl Iterator<Item = Watcher> + use<> {
        let mut state = self.state.lock();
        let (watchers, alarm) = if state.cause.is_none() {
            state.cause = Some(cause.clone());
            if let Some(done) = state.done.take() {
                // Relaxed: only a thread that has seen the disconnection must see this, and crossbeam's
                // channel publishes it to that thread.
                self.stage.store(ENDING, Ordering::Relaxed);
                // Under the lock, although this wakes threads in `select!`: a thread that checks the node
                // meanwhile must wait until `done` is disconnected. It runs none of the caller's code.
                drop(done);
            }
            // Release: see `was_cancelled`.
            self.stage.store(CANCELLED, Ordering::Release);
            (mem::take(&mut state.watchers), state.alarm.take())
        } else {
            (Watchers::default(), None)
        };
        drop(state);
        // Dropped without the lock, since this takes the clock's lock.
        drop(alarm);
        watchers.in_order()
    }

    /// Registers a watcher. Returns it if the node is cancelled.
    pub(super) fn watch(node: &Arc<Self>, watcher: Watcher) -> Result<Key, Watcher> {
        Node::tie(node);
        // A child has the deadline itself, and a sleeper on the system's clock wakes up by itself.
        match watcher {
            Watcher::Call(_) => Node::set_alarm(node),
            Watcher::Waiter(..) if !node.clock.is_system() => Node::set_alarm(node),
            Watcher::Waiter(..) | Watcher::Child(_) => {}
        }
        if Node::is_cancelled(node) {
            return Err(watcher);
        }
        let mut state = node.state.lock();
        match state.cause {
            Some(_) => Err(watcher),
            None => Ok(state.watchers.insert(watcher)),
        }
    }

    /// Removes a watcher; `None` if it was notified or is being notified.
    pub(super) fn forget(&self, key: Key) -> Option<Watcher> {
        let mut state = self.state.lock();
        if state.cause.is_some() {
            return None;
        }
        state.watchers.remove(key)
    }

    /// Sets an alarm that cancels the node at its deadline even if no thread checks it.
    fn set_alarm(node: &Arc<Self>) {
        let Some(deadline) = node.deadline else { return };
        {
            let state = node.state.lock();
            if state.cause.is_some() || state.alarm.is_some() {
                return;
            }
        }
        // Set without a lock, since an alarm whose time has come fires at once. Two threads may get here at
        // the same time; the second alarm then replaces the first and is equivalent.
        let weak = Arc::downgrade(node);
        let ring = move || {
            let payload = weak.upgrade().and_then(|node| Node::cancel(&node, Cause::DeadlinePassed));
            if let Some(payload) = payload {
                panics::resume(payload);
            }
        };
        // A panic of a callback resumes in the call that advances a manual clock, and ends on the alarm
        // thread. If the alarm fires at once, the panic ends here, for the reason given at `expire`.
        let alarm = panics::contain(|| node.clock.call_at(deadline, ring)).flatten();
        let mut state = node.state.lock();
        let unneeded = match state.cause {
            Some(_) => alarm,
            None => mem::replace(&mut state.alarm, alarm),
        };
        drop(state);
        drop(unneeded);
    }

    /// Returns a receiver that is disconnected when the node is cancelled, and never receives anything.
    pub(super) fn done(node: &Arc<Self>) -> &Receiver<Infallible> {
        if let Some(done) = node.done.get() {
            return done;
        }
        Node::tie(node);
        Node::set_alarm(node);
        let (sender, receiver) = crossbeam_channel::bounded(0);
        let mut state = node.state.lock();
        // The first receiver is kept, and so is its sender. Set under the lock, so that a canceller either
        // finds the sender or has already written the cause.
        if node.done.set(receiver).is_ok() && state.cause.is_none() {
            state.done = Some(sender);
        }
        drop(state);
        node.done.get().expect("it was set above")
    }

    pub(super) fn check(node: &Arc<Self>) -> Result<(), Cancelled> {
        if Node::is_cancelled(node) { Err(Cancelled) } else { Ok(()) }
    }

    fn leave_parent(&mut self) -> Option<Arc<Node>> {
        let parent = self.parent.take()?;
        Some(match self.key.take() {
            Some(key) => Node::leave((parent, key)),
            None => parent,
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
        let mut above: Vec<Link> = self.also.take().into_iter().collect();
        let mut next = self.leave_parent();
        while let Some(node) = next.or_else(|| above.pop().map(Node::leave)) {
            next = Arc::into_inner(node).and_then(|mut node| {
                above.extend(node.also.take());
                node.leave_parent()
            });
        }
    }
}

//! The node behind a token: who must hear of its end, and how they are told exactly once.
//!
//! # State
//! `cause` is `None` until the node is cancelled and never changes again. `watchers` holds everybody who
//! must hear of it, each under a key that its guard returns; the canceller takes them all out in the
//! critical section in which it writes the cause. So whoever comes to register finds either the list, and
//! is told, or the cause, and is told on the spot: there is no third case, and none is told twice.
//!
//! # Lock order
//! There is none to get wrong: nobody holds two nodes' locks. A canceller takes its own watchers out,
//! unlocks, and only then tells them; a child among them is cancelled by the same steps on its own lock. The
//! price is that for a moment a parent is cancelled and its child not yet; the child is by the time the
//! call that cancelled the parent returns.
//!
//! A scope's token is in nobody's list at first: see [`loose`].
//!
//! # Who keeps whom
//! A child keeps its parent alive, a parent knows its children by [`Weak`] references, and a node that is
//! dropped leaves its parent's list. So a long-lived parent holds no trace of the children that are gone.

mod loose;

use std::convert::Infallible;
use std::mem;
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
    /// How far it has come: [`LOOSE`], [`LIVE`], [`ENDING`] or [`CANCELLED`]. Changes under the lock, after
    /// `cause`; saves the lock to those who only ask.
    stage: AtomicUsize,
    pub(super) clock: Clock,
    /// Never later than the parent's.
    pub(super) deadline: Option<Instant>,
    /// `None` at the root.
    parent: Option<Arc<Node>>,
    /// The key in the parent's list; empty if the node is not in it.
    key: OnceLock<Key>,
    /// A second token to be cancelled with, from the limit of `child_until`.
    also: OnceLock<Link>,
    state: Mutex<State>,
    done: OnceLock<Receiver<Infallible>>,
}

const LIVE: usize = 0;
/// Live, and in no list: whoever looks at the node looks at its parent.
const LOOSE: usize = 3;
/// `done` is about to be disconnected: whoever asks waits for the lock, that is until it is. So nobody sees
/// the node cancelled and `done` not yet disconnected, nor the other way round.
const ENDING: usize = 1;
const CANCELLED: usize = 2;

/// A node above, and the key in its list.
type Link = (Arc<Node>, Key);

struct State {
    cause: Option<Cause>,
    watchers: Watchers,
    /// Dropped on cancel, which is what disconnects `done`.
    done: Option<Sender<Infallible>>,
    /// Cancels the node at its deadline; set when the first watcher comes that does not look at the clock
    /// itself.
    alarm: Option<Alarm>,
}

impl Drop for State {
    /// Drops callbacks that were kept and that nobody calls any more.
    fn drop(&mut self) {
        if self.watchers.len() > 0 {
            panics::drop_each(mem::take(&mut self.watchers).in_order());
        }
    }
}

/// Somebody who must hear of the cancellation.
pub(super) enum Watcher {
    /// A sleeping thread, and what it is told.
    Waiter(Waiter, Outcome),
    Call(Callback),
    Child(Weak<Node>),
}

impl Node {
    pub(super) fn root(clock: Clock) -> Arc<Node> {
        Arc::new(Node::new(clock, None, None, LIVE))
    }

    fn new(clock: Clock, deadline: Option<Instant>, parent: Option<Arc<Node>>, stage: usize) -> Node {
        Node {
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

    /// A node that is cancelled with its parent, at its parent's deadline or at `deadline`.
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

    /// Lets the node be cancelled with a second one as well, once in its life.
    pub(super) fn follow_also(node: &Arc<Self>, other: &Arc<Node>) {
        if let Some(key) = Node::enter(node, other) {
            node.also.set((Arc::clone(other), key)).unwrap_or_else(|_| unreachable!("set once"));
        }
    }

    /// Enters the list of the node `above`, or is cancelled with its cause if that has been.
    ///
    /// The node is whole before anybody above hears of it: an [`Arc::new_cyclic`] would be one allocation's
    /// work less, but until it returns a canceller's `upgrade` fails, and the child would be missed.
    fn enter(node: &Arc<Self>, above: &Arc<Node>) -> Option<Key> {
        match Node::watch(above, Watcher::Child(Arc::downgrade(node))) {
            Ok(key) => Some(key),
            // It is new, so there is no callback yet that could panic.
            Err(_) => {
                panics::discard(Node::cancel(node, Node::cause(above).unwrap_or(Cause::Requested)));
                None
            }
        }
    }

    /// True if the node was cancelled or its deadline has passed, which cancels it.
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

    /// True if somebody has cancelled the node by now; does not look at the deadline.
    #[inline]
    pub(super) fn was_cancelled(&self) -> bool {
        // Acquire pairs with the release store in `end`: who sees the node cancelled sees what the canceller
        // did before.
        match self.stage.load(Ordering::Acquire) {
            LIVE => false,
            LOOSE => self.is_cancelled_above(),
            ENDING => self.is_cancelled_for_certain(),
            _ => true,
        }
    }

    /// Waits until whoever cancels the node has disconnected `done`, under the lock that is taken here.
    #[cold]
    fn is_cancelled_for_certain(&self) -> bool {
        self.state.lock().cause.is_some()
    }

    /// As far as can be seen without waiting.
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

    /// Cancels the node and everything below it, and tells everybody, each once. The first cause stays.
    ///
    /// Returns the first payload if callbacks panicked: everybody has been told all the same, and nothing of
    /// the caller's unwinds this loop. Goes down the tree with a list instead of recursion: a chain of tokens
    /// may be deeper than the stack.
    #[must_use = "a callback's panic goes to whoever cancelled, or is let go on purpose"]
    pub(super) fn cancel(node: &Arc<Self>, cause: Cause) -> Option<Payload> {
        // Most tokens have nobody below, and then nothing is allocated.
        // A loose node whose parent was cancelled before has the parent's cause.
        node.was_cancelled();
        let mut below = Vec::new();
        let mut panicked = FirstPanic::new();
        let mut next = Some(Arc::clone(node));
        while let Some(node) = next {
            for watcher in node.end(&cause) {
                match watcher {
                    Watcher::Waiter(waiter, outcome) => drop(waiter.end(outcome)),
                    Watcher::Child(child) => below.extend(child.upgrade()),
                    // A callback that panics must not keep the others from hearing.
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
    /// A callback's panic ends here, after the panic hook has reported it: whoever finds the deadline passed
    /// may be in the middle of a wait, with others in line behind, and has not asked for the callback.
    fn expire(node: &Arc<Self>) {
        panics::discard(Node::cancel(node, Cause::DeadlinePassed));
    }

    /// Writes the cause, and takes out everybody who must be told; nobody if it was there already.
    fn end(&self, cause: &Cause) -> impl Iterator<Item = Watcher> + use<> {
        let mut state = self.state.lock();
        let (watchers, alarm) = if state.cause.is_none() {
            state.cause = Some(cause.clone());
            if let Some(done) = state.done.take() {
                // Relaxed: whoever must see it is one who has seen the disconnection, which publishes it.
                self.stage.store(ENDING, Ordering::Relaxed);
                // Under the lock, though it wakes threads in `select!`: those who ask meanwhile wait for it
                // here. It runs nobody's code.
                drop(done);
            }
            // Release: see `was_cancelled`.
            self.stage.store(CANCELLED, Ordering::Release);
            (mem::take(&mut state.watchers), state.alarm.take())
        } else {
            (Watchers::default(), None)
        };
        drop(state);
        // Outside the lock: it takes the clock's.
        drop(alarm);
        watchers.in_order()
    }

    /// Registers a watcher, or gives it back if the node was cancelled.
    pub(super) fn watch(node: &Arc<Self>, watcher: Watcher) -> Result<Key, Watcher> {
        Node::tie(node);
        // A child has the deadline itself, and a sleeper looks at the system's clock itself.
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

    /// Takes a watcher back; `None` if it was told, or is being told now.
    pub(super) fn forget(&self, key: Key) -> Option<Watcher> {
        let mut state = self.state.lock();
        if state.cause.is_some() {
            return None;
        }
        state.watchers.remove(key)
    }

    /// Sees to it that the node is cancelled at its deadline although nobody looks.
    fn set_alarm(node: &Arc<Self>) {
        let Some(deadline) = node.deadline else { return };
        {
            let state = node.state.lock();
            if state.cause.is_some() || state.alarm.is_some() {
                return;
            }
        }
        // Set with no lock held, because an alarm whose time has come rings on the spot. Two threads may get
        // here at once; the second alarm replaces the first and is as good.
        let weak = Arc::downgrade(node);
        let ring = move || {
            let payload = weak.upgrade().and_then(|node| Node::cancel(&node, Cause::DeadlinePassed));
            if let Some(payload) = payload {
                panics::resume(payload);
            }
        };
        // A panic goes to whoever advances a manual clock and dies on the alarm thread. If the alarm rings on
        // the spot it ends here, for the reason that `expire` gives.
        let alarm = panics::contain(|| node.clock.call_at(deadline, ring)).flatten();
        let mut state = node.state.lock();
        let unneeded = match state.cause {
            Some(_) => alarm,
            None => mem::replace(&mut state.alarm, alarm),
        };
        drop(state);
        drop(unneeded);
    }

    /// A receiver that is disconnected when the node is cancelled, and never receives anything.
    pub(super) fn done(node: &Arc<Self>) -> &Receiver<Infallible> {
        if let Some(done) = node.done.get() {
            return done;
        }
        Node::tie(node);
        Node::set_alarm(node);
        let (sender, receiver) = crossbeam_channel::bounded(0);
        let mut state = node.state.lock();
        // The first receiver stays, so its sender is the one to keep; set under the lock, so that a
        // canceller either finds the sender or was here before.
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

    /// Watchers now: threads, callbacks and children. `None` if the lock was held.
    pub(super) fn watchers(&self) -> Option<usize> {
        self.state.try_lock().map(|state| state.watchers.len())
    }
}

impl Drop for Node {
    /// Leaves the lists of the nodes above, and frees ancestors that nobody else keeps in a loop, because a
    /// chain of them may be longer than the stack is deep.
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

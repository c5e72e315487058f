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
//! # Who keeps whom
//! A child keeps its parent alive, a parent knows its children by [`Weak`] references, and a node that is
//! dropped leaves its parent's list. So a long-lived parent holds no trace of the children that are gone.

use std::any::Any;
use std::convert::Infallible;
use std::mem;
use std::panic;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender};
use slab::Slab;

use super::cause::Cause;
use crate::clock::{Alarm, Clock};
use crate::error::Cancelled;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Arc, Mutex, OnceLock, Weak};
use crate::wait::{Outcome, Slot};

pub(super) type Callback = Box<dyn FnOnce() + Send>;
/// What a callback panicked with.
pub(super) type Payload = Box<dyn Any + Send>;

pub(super) struct Node {
    /// Set after `cause`; only a hint that saves the lock while it is false and the answer once it is true.
    cancelled: AtomicBool,
    pub(super) clock: Clock,
    /// Never later than the parent's.
    pub(super) deadline: Option<Instant>,
    /// Empty at the root, or if the parent was cancelled already.
    parent: OnceLock<Link>,
    /// A second token to be cancelled with, from the limit of `child_until`.
    also: OnceLock<Link>,
    state: Mutex<State>,
    done: OnceLock<Receiver<Infallible>>,
}

/// A node above, and the key in its list.
type Link = (Arc<Node>, usize);

struct State {
    cause: Option<Cause>,
    watchers: Slab<Watcher>,
    /// Dropped on cancel, which is what disconnects `done`.
    done: Option<Sender<Infallible>>,
    /// Cancels the node at its deadline; set when the first watcher comes that does not look at the clock
    /// itself.
    alarm: Option<Alarm>,
}

/// Somebody who must hear of the cancellation.
pub(super) enum Watcher {
    /// A sleeping thread, and what it is told.
    Slot(Arc<Slot>, Outcome),
    Call(Callback),
    Child(Weak<Node>),
}

impl Node {
    pub(super) fn root(clock: Clock) -> Arc<Node> {
        Arc::new(Node::new(clock, None))
    }

    fn new(clock: Clock, deadline: Option<Instant>) -> Node {
        Node {
            cancelled: AtomicBool::new(false),
            clock,
            deadline,
            parent: OnceLock::new(),
            also: OnceLock::new(),
            state: Mutex::new(State { cause: None, watchers: Slab::new(), done: None, alarm: None }),
            done: OnceLock::new(),
        }
    }

    /// A node that is cancelled with its parent, at its parent's deadline or at `deadline`.
    pub(super) fn child(parent: &Arc<Node>, deadline: Option<Instant>) -> Arc<Node> {
        let deadline = match (parent.deadline, deadline) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let node = Arc::new(Node::new(parent.clock.clone(), deadline));
        node.follow(parent, &node.parent);
        node
    }

    /// Lets the node be cancelled with a second one as well, once in its life.
    pub(super) fn follow_also(self: &Arc<Self>, other: &Arc<Node>) {
        self.follow(other, &self.also);
    }

    /// Enters the list of the node `above`, or is cancelled with its cause if that has been.
    ///
    /// The node is whole before anybody above hears of it: an [`Arc::new_cyclic`] would be one allocation's
    /// work less, but until it returns a canceller's `upgrade` fails, and the child would be missed.
    fn follow(self: &Arc<Self>, above: &Arc<Node>, link: &OnceLock<Link>) {
        match above.watch(Watcher::Child(Arc::downgrade(self))) {
            Ok(key) => link.set((Arc::clone(above), key)).unwrap_or_else(|_| unreachable!("set once")),
            // It is new, so there is no callback yet that could panic.
            Err(_) => drop(self.cancel(above.cause().unwrap_or(Cause::Requested))),
        }
    }

    /// True if the node was cancelled or its deadline has passed, which cancels it.
    #[inline]
    pub(super) fn is_cancelled(self: &Arc<Self>) -> bool {
        if self.was_cancelled() {
            return true;
        }
        match self.deadline {
            None => false,
            Some(deadline) => self.is_late(deadline),
        }
    }

    /// True if somebody has cancelled the node by now; does not look at the deadline.
    #[inline]
    pub(super) fn was_cancelled(&self) -> bool {
        // Acquire pairs with the release store in `end`: who sees the flag sees what the canceller did before.
        self.cancelled.load(Ordering::Acquire)
    }

    #[cold]
    fn is_late(self: &Arc<Self>, deadline: Instant) -> bool {
        let late = self.clock.now() >= deadline;
        if late {
            self.expire();
        }
        late
    }

    pub(super) fn cause(self: &Arc<Self>) -> Option<Cause> {
        self.is_cancelled();
        self.state.lock().cause.clone()
    }

    /// Cancels the node and everything below it, and tells everybody, each once. The first cause stays.
    ///
    /// Returns the payload if a callback panicked: everybody has been told all the same. Goes down the tree
    /// with a list instead of recursion: a chain of tokens may be deeper than the stack.
    #[must_use = "a callback's panic goes to whoever cancelled, or is let go on purpose"]
    pub(super) fn cancel(self: &Arc<Self>, cause: Cause) -> Option<Payload> {
        // Most tokens have nobody below, and then nothing is allocated.
        let mut below = Vec::new();
        let mut panicked = None;
        let mut next = Some(Arc::clone(self));
        while let Some(node) = next {
            for watcher in node.end(&cause) {
                match watcher {
                    Watcher::Slot(slot, outcome) => drop(slot.end(outcome)),
                    Watcher::Child(child) => below.extend(child.upgrade()),
                    // A callback that panics must not keep the others from hearing.
                    Watcher::Call(callback) => {
                        let result = panic::catch_unwind(panic::AssertUnwindSafe(callback));
                        panicked = panicked.or(result.err());
                    }
                }
            }
            next = below.pop();
        }
        panicked
    }

    /// Cancels the node because its deadline has passed.
    ///
    /// A callback's panic ends here, after the panic hook has reported it: whoever finds the deadline passed
    /// may be in the middle of a wait, with others in line behind, and has not asked for the callback.
    fn expire(self: &Arc<Self>) {
        // Forgotten, because dropping a payload may panic too.
        mem::forget(self.cancel(Cause::DeadlinePassed));
    }

    /// Writes the cause, and takes out everybody who must be told; nobody if it was there already.
    fn end(&self, cause: &Cause) -> impl Iterator<Item = Watcher> + use<> {
        let mut state = self.state.lock();
        let (watchers, done, alarm) = if state.cause.is_none() {
            state.cause = Some(cause.clone());
            // Release: see `was_cancelled`.
            self.cancelled.store(true, Ordering::Release);
            (mem::take(&mut state.watchers), state.done.take(), state.alarm.take())
        } else {
            (Slab::new(), None, None)
        };
        drop(state);
        // Outside the lock: the first wakes threads in `select!`, the second takes the clock's lock.
        drop(done);
        drop(alarm);
        watchers.into_iter().map(|(_, watcher)| watcher)
    }

    /// Registers a watcher, or gives it back if the node was cancelled.
    pub(super) fn watch(self: &Arc<Self>, watcher: Watcher) -> Result<usize, Watcher> {
        // A child has the deadline itself, and a sleeper looks at the system's clock itself.
        match watcher {
            Watcher::Call(_) => self.set_alarm(),
            Watcher::Slot(..) if !self.clock.is_system() => self.set_alarm(),
            Watcher::Slot(..) | Watcher::Child(_) => {}
        }
        if self.is_cancelled() {
            return Err(watcher);
        }
        let mut state = self.state.lock();
        match state.cause {
            Some(_) => Err(watcher),
            None => Ok(state.watchers.insert(watcher)),
        }
    }

    /// Takes a watcher back; `None` if it was told, or is being told now.
    pub(super) fn forget(&self, key: usize) -> Option<Watcher> {
        let mut state = self.state.lock();
        if state.cause.is_some() {
            return None;
        }
        let watcher = state.watchers.remove(key);
        // What a burst of watchers took is given back once they are gone.
        if state.watchers.is_empty() && state.watchers.capacity() > 64 {
            state.watchers = Slab::new();
        }
        Some(watcher)
    }

    /// Sees to it that the node is cancelled at its deadline although nobody looks.
    fn set_alarm(self: &Arc<Self>) {
        let Some(deadline) = self.deadline else { return };
        {
            let state = self.state.lock();
            if state.cause.is_some() || state.alarm.is_some() {
                return;
            }
        }
        // Set with no lock held, because an alarm whose time has come rings on the spot. Two threads may get
        // here at once; the second alarm replaces the first and is as good.
        let node = Arc::downgrade(self);
        let ring = move || {
            let payload = node.upgrade().and_then(|node| node.cancel(Cause::DeadlinePassed));
            if let Some(payload) = payload {
                panic::resume_unwind(payload);
            }
        };
        // A panic goes to whoever advances a manual clock and dies on the alarm thread. If the alarm rings on
        // the spot it ends here, for the reason that `expire` gives.
        let set = panic::AssertUnwindSafe(|| self.clock.call_at(deadline, ring));
        let alarm = panic::catch_unwind(set).unwrap_or_else(|payload| {
            mem::forget(payload);
            None
        });
        let mut state = self.state.lock();
        let unneeded = match state.cause {
            Some(_) => alarm,
            None => mem::replace(&mut state.alarm, alarm),
        };
        drop(state);
        drop(unneeded);
    }

    /// A receiver that is disconnected when the node is cancelled, and never receives anything.
    pub(super) fn done(self: &Arc<Self>) -> &Receiver<Infallible> {
        if let Some(done) = self.done.get() {
            return done;
        }
        self.set_alarm();
        let (sender, receiver) = crossbeam_channel::bounded(0);
        let mut state = self.state.lock();
        // The first receiver stays, so its sender is the one to keep; set under the lock, so that a
        // canceller either finds the sender or was here before.
        if self.done.set(receiver).is_ok() && state.cause.is_none() {
            state.done = Some(sender);
        }
        drop(state);
        self.done.get().expect("it was set above")
    }

    pub(super) fn check(self: &Arc<Self>) -> Result<(), Cancelled> {
        if self.is_cancelled() { Err(Cancelled) } else { Ok(()) }
    }

    /// Watchers now: threads, callbacks and children. `None` if the lock was held.
    pub(super) fn watchers(&self) -> Option<usize> {
        self.state.try_lock().map(|state| state.watchers.len())
    }
}

impl Drop for Node {
    /// Leaves the lists of the nodes above, and frees ancestors that nobody else keeps in a loop, because a chain of
    /// them may be longer than the stack is deep.
    fn drop(&mut self) {
        let mut above: Vec<Link> = self.also.take().into_iter().collect();
        let mut next = self.parent.take();
        while let Some((node, key)) = next.or_else(|| above.pop()) {
            drop(node.forget(key));
            next = Arc::into_inner(node).and_then(|mut node| {
                above.extend(node.also.take());
                node.parent.take()
            });
        }
    }
}

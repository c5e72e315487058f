//! What few nodes have, in a box of its own: the `done` channel, and the alarm of a deadline.

use std::convert::Infallible;
use std::mem;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender};

use super::Node;
use crate::cancel::cause::Cause;
use crate::clock::Alarm;
use crate::panics;
use crate::sync::weak::Arc;

/// Boxed, since a small node takes less time to make and to drop.
#[derive(Default)]
pub(super) struct Rare {
    /// Dropped by the cancellation, which disconnects `done`.
    pub(super) done: Option<Sender<Infallible>>,
    /// Cancels the node at its deadline. It is set for the first watcher that does not check the clock
    /// itself.
    pub(super) alarm: Option<Alarm>,
}

impl Node {
    /// Sets an alarm that cancels the node at its deadline even if no thread checks it.
    #[cold]
    pub(super) fn set_alarm(node: &Arc<Self>, deadline: Instant) {
        {
            let state = node.state.lock();
            if !node.claim() || state.rare.as_ref().is_some_and(|rare| rare.alarm.is_some()) {
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
        let unneeded = if node.claim() {
            mem::replace(&mut state.rare.get_or_insert_default().alarm, alarm)
        } else {
            alarm
        };
        drop(state);
        drop(unneeded);
    }

    /// Returns a receiver that is disconnected when the node is cancelled, and never receives anything.
    pub(in crate::cancel) fn done(node: &Arc<Self>) -> &Receiver<Infallible> {
        if let Some(done) = node.done.get() {
            return done;
        }
        Node::tie(node);
        if let Some(deadline) = node.deadline {
            Node::set_alarm(node, deadline);
        }
        let (sender, receiver) = crossbeam_channel::bounded(0);
        let mut state = node.state.lock();
        // The first receiver is kept, and so is its sender. Set under the lock, so that a canceller either
        // finds the sender or has already written the stage.
        let is_live = node.claim();
        if node.done.set(Box::new(receiver)).is_ok() && is_live {
            state.rare.get_or_insert_default().done = Some(sender);
        }
        drop(state);
        node.done.get().expect("it was set above")
    }
}

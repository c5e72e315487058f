//! The arm that waits for the end of a task.

use crate::batch::{BatchError, Failed, Ticket, TicketResult};
use crate::cancel::{CallbackGuard, DropGuard};
use crate::error::JoinError;
use crate::select::arm::Arm;
use crate::select::engine::RawArm;
use crate::sync::Arc;
use crate::timeout::Running;
use crate::wait::graph::Awaited;
use crate::wait::{WaitPoint, Waiter};
use crate::{group, pool};

/// A handle that can be [joined](join): a pool's [`Task`](crate::Task), a group's [`Handle`](group::Handle),
/// a [`Running`] function with a time limit, or a batch's [`Ticket`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be joined in a selection",
    note = "`join` takes `&mut Option<H>`, where `H` is a pool's `Task`, a group's `Handle`, a \
            `timeout::Running` or a batch's `Ticket`"
)]
pub trait Join: sealed::Join + Sized {
    /// The return type of the handle's `join`.
    type Output;

    #[doc(hidden)]
    fn attempt(self) -> Result<Self::Output, Self>;

    #[doc(hidden)]
    fn refused() -> Self::Output;
}

/// Waits for a task to end, and takes its result.
///
/// If this arm takes effect, the `Option` is left `None`; if another does, the handle stays. An `Option` that
/// is `None` disables the arm.
///
/// A worker of a pool that selects among tasks of the same pool runs those that no thread has started, as a
/// join with a limit does. If the task waits for this thread, directly or through others, the arm is ready
/// with the error that `join` returns then, and the handle stays.
#[inline]
pub fn join<H: Join>(handle: &mut Option<H>) -> impl Arm<Output = H::Output> + use<'_, H> {
    Ends { handle, heard: None, outcome: None }
}

struct Ends<'a, H: Join> {
    handle: &'a mut Option<H>,
    heard: Heard,
    outcome: Option<H::Output>,
}

impl<H: Join> RawArm for Ends<'_, H> {
    fn attempt(&mut self) -> bool {
        // A handle's attempt consumes it and returns it on failure, so it leaves the `Option` for that time.
        match self.handle.take().map(H::attempt) {
            None => return false,
            Some(Ok(output)) => self.outcome = Some(output),
            Some(Err(handle)) => {
                // The task runs on this thread, so the wait could never end; certain at once, with any limit.
                if handle.runs_here() {
                    self.refuse();
                }
                *self.handle = Some(handle);
            }
        }
        self.outcome.is_some()
    }

    fn join(&mut self, waiter: &Waiter) -> bool {
        // `None` is never ready: it claims to have joined, and it is in no list.
        let Some(handle) = self.handle else { return true };
        // Before the list is joined, so that a refusal that comes from here on ends the waiter.
        match handle.hear_of_refusal(waiter) {
            Ok(heard) => self.heard = heard,
            // Ready, so that the engine goes round again and calls `help`, which runs the task here.
            Err(Refused) => return false,
        }
        // The wait point checks and joins in one critical section, so the end of the task is not missed.
        handle.point().join(waiter)
    }

    fn leave(&mut self, waiter: &Waiter) {
        // Nothing is passed on: the end of a task wakes all its waiters.
        self.heard = None;
        // First the callback, then the list: neither may end the waiter during the next wait.
        if let Some(handle) = self.handle {
            handle.point().leave(waiter);
        }
    }

    fn help(&mut self) -> bool {
        self.handle.as_ref().is_some_and(sealed::Join::help)
    }

    fn awaited(&self) -> Option<Arc<dyn Awaited>> {
        self.handle.as_ref()?.point().awaited()
    }

    fn refuse(&mut self) {
        self.outcome = Some(H::refused());
    }
}

impl<H: Join> Arm for Ends<'_, H> {
    type Output = H::Output;

    fn output(&mut self) -> H::Output {
        super::brought(&mut self.outcome)
    }
}

/// Dropped in this order: the callback is removed before the token that it is registered with is cancelled,
/// so the cancel reaches no callback.
type Heard = Option<(CallbackGuard, DropGuard)>;

/// No thread is available to run the task.
pub(crate) struct Refused;

mod sealed {
    use super::{Heard, Refused, WaitPoint, Waiter};

    pub trait Join {
        fn point(&self) -> &dyn WaitPoint;

        /// Returns true if the calling thread runs the task.
        fn runs_here(&self) -> bool;

        /// Runs the task if only this thread can, or makes another thread run it. Returns true if an attempt
        /// is worthwhile.
        fn help(&self) -> bool {
            false
        }

        /// Ends the waiter when this thread becomes the only one that can run the task.
        fn hear_of_refusal(&self, _waiter: &Waiter) -> Result<Heard, Refused> {
            Ok(None)
        }
    }
}

impl<R> Join for pool::Task<R> {
    type Output = Result<R, JoinError>;

    fn attempt(self) -> Result<Self::Output, Self> {
        self.try_join()
    }

    fn refused() -> Self::Output {
        Err(JoinError::WouldDeadlock)
    }
}

impl<R> sealed::Join for pool::Task<R> {
    fn point(&self) -> &dyn WaitPoint {
        self
    }

    fn runs_here(&self) -> bool {
        pool::Task::runs_here(self)
    }

    fn help(&self) -> bool {
        self.run_if_inside()
    }
}

impl<R> Join for group::Handle<R> {
    type Output = Result<R, JoinError>;

    fn attempt(self) -> Result<Self::Output, Self> {
        self.try_join()
    }

    fn refused() -> Self::Output {
        Err(JoinError::WouldDeadlock)
    }
}

impl<R> sealed::Join for group::Handle<R> {
    fn point(&self) -> &dyn WaitPoint {
        self.end()
    }

    fn runs_here(&self) -> bool {
        self.end().is_claimed_here()
    }

    fn help(&self) -> bool {
        self.call_or_run()
    }

    fn hear_of_refusal(&self, waiter: &Waiter) -> Result<Heard, Refused> {
        group::Handle::hear_of_refusal(self, waiter).map(Some).ok_or(Refused)
    }
}

impl<R> Join for Running<R> {
    type Output = Result<R, JoinError>;

    fn attempt(self) -> Result<Self::Output, Self> {
        self.try_join()
    }

    fn refused() -> Self::Output {
        Err(JoinError::WouldDeadlock)
    }
}

impl<R> sealed::Join for Running<R> {
    fn point(&self) -> &dyn WaitPoint {
        self.end()
    }

    fn runs_here(&self) -> bool {
        Running::runs_here(self)
    }
}

impl<T, R> Join for Ticket<T, R> {
    type Output = TicketResult<T, R>;

    fn attempt(self) -> Result<Self::Output, Self> {
        self.try_join()
    }

    fn refused() -> Self::Output {
        Err(Failed::new(None, BatchError::WouldDeadlock))
    }
}

impl<T, R> sealed::Join for Ticket<T, R> {
    fn point(&self) -> &dyn WaitPoint {
        self
    }

    fn runs_here(&self) -> bool {
        self.is_inside()
    }
}

//! How a model failed.

use std::any::Any;
use std::fmt;

/// Whom a `notify_one` wakes, and what else may happen that nobody can rely on.
///
/// No type of this module promises any of it, so code must be right under each. On real threads there is only
/// the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// The waiter that has waited longest.
    OldestFirst,
    /// The waiter that came last. Besides, a reader waits behind a waiting writer, and a `compare_exchange`
    /// that fails may have seen a value that was overwritten since.
    NewestFirst,
    /// The oldest; and one thing per execution fails or returns although nothing happened: a wait on a
    /// condvar, a `try_lock` or a `compare_exchange_weak`. `yield_now` may return at once.
    Spurious,
}

/// A schedule under which a model's body panicked, deadlocked or leaked.
pub struct Failure {
    /// The wake policy in force.
    pub policy: Policy,
    /// How many executions it took to find.
    pub executions: usize,
    /// What was said first: of several panics the last one, which ends the model, is mostly a consequence.
    pub(super) first: Option<String>,
    pub(super) payload: Box<dyn Any + Send>,
}

impl Failure {
    /// What the execution's first panic said.
    pub fn message(&self) -> &str {
        self.first.as_deref().unwrap_or_else(|| said(&*self.payload))
    }
}

/// What a panic said, if its payload is text. The rest of the crate has it as `panics::text`.
pub(crate) fn text(payload: &(dyn Any + Send)) -> Option<&str> {
    let owned = payload.downcast_ref::<String>().map(String::as_str);
    owned.or_else(|| payload.downcast_ref::<&str>().copied())
}

/// What a panic said.
pub(super) fn said(payload: &(dyn Any + Send)) -> &str {
    text(payload).unwrap_or("a panic without a message")
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failure")
            .field("policy", &self.policy)
            .field("executions", &self.executions)
            .field("message", &self.message())
            .finish()
    }
}

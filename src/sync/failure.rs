//! How a model failed.

use std::any::Any;
use std::fmt;

/// Which waiter `notify_one` wakes, and which other behaviours occur that code must not rely on.
///
/// The types of this module promise none of these, so code must be correct under each. Real threads show only
/// the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// The waiter that has waited longest.
    OldestFirst,
    /// The waiter that came last. Also, a reader waits behind a waiting writer, and a failing
    /// `compare_exchange` may see a value that has been overwritten.
    NewestFirst,
    /// The oldest waiter; and one operation per execution fails or returns spuriously: a wait on a condvar, a
    /// `try_lock` or a `compare_exchange_weak`. `yield_now` may return at once.
    Spurious,
}

/// A schedule under which a model's body panicked, deadlocked or leaked.
pub struct Failure {
    /// The wake policy in force.
    pub policy: Policy,
    /// The number of executions up to the failure.
    pub executions: usize,
    /// The message of the first panic. The last panic, which ends the model, is mostly a consequence of it.
    pub(super) first: Option<String>,
    pub(super) payload: Box<dyn Any + Send>,
    pub(super) schedule: String,
    #[cfg(any(loom, selvedge_loom))]
    pub(super) record: Box<super::side::Record>,
    pub(super) token: Option<String>,
    /// Which opportunity for a spurious failure was taken.
    #[cfg_attr(
        not(any(loom, selvedge_loom)),
        expect(dead_code, reason = "there is one on the model side only")
    )]
    pub(super) opportunity: u32,
}

impl Failure {
    /// Returns the steps of the execution that failed, as a table: a row for each step with the line of code
    /// that made it, a column for each thread, and below them where each thread stood. Empty in an ordinary
    /// build, which does not know the order.
    pub fn schedule(&self) -> &str {
        &self.schedule
    }

    /// Returns what [`model::replay`](super::model::replay) and `SELVEDGE_MODEL_REPLAY` take to run this
    /// schedule alone. `None` in an ordinary build, and where loom's checkpoint could not be written to the
    /// folder of temporary files.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Returns the message of the first panic of the failed execution.
    pub fn message(&self) -> &str {
        self.first.as_deref().unwrap_or_else(|| said(&*self.payload))
    }
}

/// The message of a panic, if its payload is text. The rest of the crate has it as `panics::text`.
pub(crate) fn text(payload: &(dyn Any + Send)) -> Option<&str> {
    let owned = payload.downcast_ref::<String>().map(String::as_str);
    owned.or_else(|| payload.downcast_ref::<&str>().copied())
}

/// The message of a panic.
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

/// Why a schedule was not replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplayError {
    /// The text is no token that this version prints.
    NoToken,
    /// The token was printed by a test of another name.
    OtherModel,
    /// The schedule does other steps than it did when the token was made.
    OtherSteps,
    /// The schedule does the same steps, and does not fail.
    NoFailure,
    /// This build explores nothing.
    NotExplored,
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ReplayError::NoToken => "it is no token that this version of selvedge prints",
            ReplayError::OtherModel => {
                "it was printed by a test of another name; add that name to the command, and `-- --exact`"
            }
            ReplayError::OtherSteps => {
                "this code does other steps than the code that failed: it has changed, or the token is another \
                 model's. Run the model without it to explore every schedule"
            }
            ReplayError::NoFailure => {
                "the schedule does the same steps and does not fail any more. Run the model without it to \
                 explore every schedule"
            }
            ReplayError::NotExplored => "this build explores nothing, since `--cfg loom` is missing",
        })
    }
}

impl std::error::Error for ReplayError {}

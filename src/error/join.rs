//! How a task can end without a result.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::{Cancelled, WouldDeadlock};
use crate::panics::{self, Payload};
use crate::sync::{Arc, Mutex};

/// Why a task has no result: the error of every handle's `join`.
///
/// ```
/// use selvedge::{Pool, error::JoinError};
///
/// let pool = Pool::builder().build()?;
/// let task = pool.submit(|| -> u32 { panic!("no bread") })?;
/// match task.join() {
///     Ok(slices) => println!("{slices} slices"),
///     Err(JoinError::Panicked(panic)) => assert_eq!(panic.message(), "no bread"),
///     Err(other) => return Err(other.into()), // cancelled, or it would have waited for itself
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum JoinError {
    /// The task panicked.
    Panicked(Panic),
    /// The task was cancelled before it started, or was stopped together with its group, which has the
    /// reason.
    Cancelled,
    /// The wait would never end, because the task waits, directly or through others, for the calling thread.
    WouldDeadlock,
}

/// The panic of a task.
///
/// It is `Send` and `Sync` whatever the payload is, so it fits into any error type. Two panics are equal if
/// their messages are.
///
/// A payload is a single value: of several clones, the first that takes it has it. The others have a payload
/// that is the message.
#[derive(Clone)]
pub struct Panic {
    message: Arc<str>,
    payload: Option<Arc<Mutex<Option<Payload>>>>,
    task: Option<Arc<str>>,
}

impl Panic {
    pub(crate) fn new(payload: Payload) -> Self {
        Panic {
            message: panics::said(&*payload).into(),
            payload: Some(Arc::new(Mutex::new(Some(payload)))),
            task: None,
        }
    }

    /// The same panic, attributed to the task of that name.
    pub(crate) fn of_task(self, task: Option<Arc<str>>) -> Self {
        Panic { task, ..self }
    }

    /// A panic whose payload another thread has received.
    pub(crate) fn without_payload(message: &str) -> Self {
        Panic { message: message.into(), payload: None, task: None }
    }

    /// Returns the panic's message, if it was text.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the name of the task that panicked, if it was submitted with one.
    pub fn task(&self) -> Option<&str> {
        self.task.as_deref()
    }

    /// Returns the payload, as `std::panic::catch_unwind` does; if another clone has taken it, the message as
    /// a `String`.
    pub fn into_payload(self) -> Box<dyn Any + Send> {
        let own = self.payload.and_then(|payload| payload.lock().take());
        own.unwrap_or_else(|| Box::new(String::from(&*self.message)))
    }

    /// Continues the panic on this thread, without another message from the panic hook.
    pub fn resume(self) -> ! {
        panics::resume(self.into_payload())
    }
}

impl PartialEq for Panic {
    fn eq(&self, other: &Self) -> bool {
        self.message == other.message
    }
}

impl Eq for Panic {}

// A payload is only moved out whole.
impl UnwindSafe for Panic {}
impl RefUnwindSafe for Panic {}

impl fmt::Debug for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Panic").field(&self.message).finish()
    }
}

impl fmt::Display for Panic {
    /// The panic's [message](Panic::message).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JoinError::Panicked(panic) => f.debug_tuple("Panicked").field(&panic.message).finish(),
            JoinError::Cancelled => f.write_str("Cancelled"),
            JoinError::WouldDeadlock => f.write_str("WouldDeadlock"),
        }
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JoinError::Panicked(panic) => match panic.task() {
                Some(task) => write!(f, "{task} panicked: {panic}"),
                None => write!(f, "the work panicked: {panic}"),
            },
            JoinError::Cancelled => f.write_str("the work was cancelled: it has no result"),
            JoinError::WouldDeadlock => WouldDeadlock.fmt(f),
        }
    }
}

impl Error for JoinError {}

impl From<Cancelled> for JoinError {
    fn from(_: Cancelled) -> Self {
        JoinError::Cancelled
    }
}

impl From<WouldDeadlock> for JoinError {
    fn from(_: WouldDeadlock) -> Self {
        JoinError::WouldDeadlock
    }
}

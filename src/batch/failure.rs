//! How the processing of an item can fail, and where the item goes.

use std::error::Error;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use crate::error::Panic;
use crate::sync::Arc;

/// Why an item has no result: the reasons of a [`JoinError`](crate::error::JoinError), and the handler's own
/// error.
///
/// A clone is the same failure: the items of a batch share it.
#[derive(Clone)]
#[non_exhaustive]
pub enum BatchError {
    /// The handler returned this error, and the [retries](super::Builder::retry) are exhausted.
    Failed(Arc<dyn Error + Send + Sync>),
    /// The handler panicked.
    Panicked(Panic),
    /// The batcher was [aborted](super::Batcher::abort) before the item was processed.
    Cancelled,
    /// The batcher's own handler waited for the ticket, or a thread that the handler waits for did.
    WouldDeadlock,
}

impl BatchError {
    pub(super) fn failed(error: Box<dyn Error + Send + Sync>) -> Self {
        // Shared rather than cloned: errors are seldom `Clone`.
        BatchError::Failed(Arc::from(error))
    }

    /// Returns the handler's error, if it is of type `E`.
    ///
    /// ```
    /// use selvedge::Batcher;
    /// use selvedge::batch::Batch;
    /// use std::io;
    ///
    /// let batcher = Batcher::builder()
    ///     .max_items(1)
    ///     .build(|_: &mut Batch<u32>| Err::<(), _>(io::Error::from(io::ErrorKind::StorageFull)))?;
    /// let failed = batcher.submit(1)?.join().unwrap_err();
    /// assert_eq!(failed.error.downcast_ref::<io::Error>().unwrap().kind(), io::ErrorKind::StorageFull);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        match self {
            BatchError::Failed(error) => error.downcast_ref(),
            _ => None,
        }
    }

    pub(super) fn is_panic(&self) -> bool {
        matches!(self, BatchError::Panicked(_))
    }
}

impl fmt::Debug for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BatchError::Failed(error) => f.debug_tuple("Failed").field(error).finish(),
            // The message only: a payload has no `Debug`.
            BatchError::Panicked(panic) => f.debug_tuple("Panicked").field(&panic.message()).finish(),
            BatchError::Cancelled => f.write_str("Cancelled"),
            BatchError::WouldDeadlock => f.write_str("WouldDeadlock"),
        }
    }
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BatchError::Failed(error) => error.fmt(f),
            BatchError::Panicked(panic) => write!(f, "the batch's handler panicked: {}", panic.message()),
            BatchError::Cancelled => f.write_str("the batcher was aborted before the item was processed"),
            BatchError::WouldDeadlock => {
                f.write_str("it would wait for itself: the batch waits for this thread")
            }
        }
    }
}

impl Error for BatchError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            BatchError::Failed(error) => Some(&**error),
            _ => None,
        }
    }
}

/// Items that were not processed, and why.
///
/// A [`Ticket`](super::Ticket) returns `Failed<Option<T>>`: its item comes back unless the handler
/// [took](super::Batch::take) it. The hook [`on_error`](super::Builder::on_error) gets `Failed<Vec<T>>`: the
/// items of one batch that failed for the same reason.
///
/// `Debug` and `Display` do not show the value, so it need not implement either.
#[derive(Clone)]
pub struct Failed<V> {
    /// The value that was handed in.
    pub value: V,
    /// Why it failed.
    pub error: BatchError,
}

impl<V> Failed<V> {
    pub(crate) fn new(value: V, error: BatchError) -> Self {
        Failed { value, error }
    }

    /// Returns the value.
    pub fn into_value(self) -> V {
        self.value
    }
}

impl<V> fmt::Debug for Failed<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failed").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<V> fmt::Display for Failed<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not processed: {} (the value is in this error)", self.error)
    }
}

impl<V> Error for Failed<V> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

// The error inside is shared and never changed.
impl UnwindSafe for BatchError {}
impl RefUnwindSafe for BatchError {}

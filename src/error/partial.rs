//! A wait that ended early, with the state of what it waited for.

use std::error::Error;
use std::fmt;

use super::WaitError;

/// Why a wait for several tasks ended before all of them had, with their state at that time: a report, or the
/// names of those that still run. Its message contains both.
///
/// ```
/// use selvedge::{Latch, Pool};
/// use std::{sync::Arc, time::Duration};
///
/// let (pool, stuck) = (Pool::builder().name("io").workers(1).build()?, Arc::new(Latch::new(1)));
/// let waits = Arc::clone(&stuck);
/// pool.execute_named("fsync", move || waits.wait())?;
/// # while pool.stats().queued > 0 { std::thread::yield_now() }
/// let late = pool.shutdown_until(Duration::from_millis(1)).unwrap_err();
/// assert_eq!(late.to_string(), "timed out: the limit passed first; still running: io-0: fsync");
/// stuck.count_down();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Partial<R> {
    /// The state when the wait ended.
    pub value: R,
    /// Why the wait ended.
    pub error: WaitError,
}

impl<R> Partial<R> {
    pub(crate) fn new(value: R, error: WaitError) -> Self {
        Partial { value, error }
    }

    /// Returns the state.
    pub fn into_value(self) -> R {
        self.value
    }
}

impl<R: fmt::Display> fmt::Display for Partial<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.error, self.value)
    }
}

impl<R: fmt::Debug + fmt::Display> Error for Partial<R> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

/// Writes which tasks still run.
pub(crate) fn still_running(running: &[String], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match running {
        [] => f.write_str("nothing runs any more"),
        names => write!(f, "still running: {}", names.join(", ")),
    }
}

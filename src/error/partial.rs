//! A wait that ended early, and how far what it waited for was by then.

use std::error::Error;
use std::fmt;

use super::WaitError;

/// Why a wait for several things ended before all of them had, and what was known of them then: a report, or
/// who still runs. Its text says both.
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
    /// What was known when the wait ended.
    pub value: R,
    /// Why it ended.
    pub error: WaitError,
}

impl<R> Partial<R> {
    pub(crate) fn new(value: R, error: WaitError) -> Self {
        Partial { value, error }
    }

    /// What was known, when the reason does not matter.
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

/// Says who still runs.
pub(crate) fn still_running(running: &[String], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match running {
        [] => f.write_str("nothing runs any more"),
        names => write!(f, "still running: {}", names.join(", ")),
    }
}

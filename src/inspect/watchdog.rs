//! A thread that reports sleeps that last too long.

use std::fmt;
use std::io;
use std::time::Duration;

use super::{Sleep, blocked};
use crate::cancel::CancelToken;
use crate::panics;
use crate::sync::thread;
use crate::until::Until;
use crate::wait::Waiter;

/// Calls `action` for each thread that has slept for `stall` or longer in a call without a time limit, once
/// for each such sleep.
///
/// It looks from a thread of its own, four times in each `stall` but at least every second and at most every
/// millisecond, so a report is late by up to that time. The action runs with no lock held, so it may do
/// anything: log the sleep, print [`blocked()`](blocked), abort the process. Dropping the [`Watchdog`] ends
/// it.
///
/// # Examples
/// ```
/// use std::{sync::mpsc, time::Duration};
/// use selvedge::{Latch, inspect};
///
/// let (tell, told) = mpsc::channel();
/// let watchdog = inspect::watchdog(Duration::from_millis(20), move |sleep| {
///     let _ = tell.send((sleep.operation, sleep.location.line()));
/// })?;
/// let latch = Latch::new(1);
/// std::thread::scope(|s| {
///     s.spawn(|| latch.wait());
///     assert_eq!(told.recv().unwrap().0, "Latch::wait");
///     latch.count_down();
/// });
/// # drop(watchdog);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// If the operating system refuses a thread.
///
/// # Panics
/// A panic of `action` ends only that call; the watchdog continues.
///
/// # Cost
/// One [`blocked()`](blocked) for each look.
pub fn watchdog(stall: Duration, mut action: impl FnMut(&Sleep) + Send + 'static) -> io::Result<Watchdog> {
    let stop = CancelToken::new();
    let watched = stop.clone();
    // At least a millisecond, so that the cost of looking stays small; at most a second, so that a long stall
    // is not reported minutes late.
    let pause = (stall / 4).clamp(Duration::from_millis(1), Duration::from_secs(1));
    thread::Builder::new().name("selvedge watchdog".into()).spawn(move || {
        let mut reported: Vec<u64> = Vec::new();
        // Waits for the drop of the handle, which cancels the token, or for the next look. The token
        // remembers the cancellation, so a drop between two sleeps is not missed. Without a subject, so not
        // in the register: a watchdog is not blocked.
        while let Err(crate::error::WaitError::TimedOut) =
            Until::from((&watched, pause)).start().sleep(&Waiter::new())
        {
            let sleeps = blocked().sleeps;
            // Forgets the sleeps that have ended, so the list is as short as the number of blocked threads.
            reported.retain(|number| sleeps.iter().any(|sleep| sleep.number == *number));
            for sleep in sleeps.iter().filter(|sleep| sleep.left.is_none() && sleep.asleep >= stall) {
                if !reported.contains(&sleep.number) {
                    reported.push(sleep.number);
                    // Contained: later sleeps are still reported.
                    panics::contain(|| action(sleep));
                }
            }
        }
    })?;
    Ok(Watchdog { stop })
}

/// A running [`watchdog`], which ends when this is dropped.
///
/// # Blocking
/// The drop does not wait: a call of the action that has begun may end after it. The closure is dropped on
/// the watchdog's thread.
#[must_use = "dropping it ends the watchdog"]
pub struct Watchdog {
    stop: CancelToken,
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl fmt::Debug for Watchdog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watchdog").finish_non_exhaustive()
    }
}

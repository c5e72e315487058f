//! An end to a hang, and a look at who sleeps.

use std::fmt::Debug;
use std::panic;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long a body may take before it counts as hung. Ten times as long where threads are held up at random.
pub(crate) const PATIENCE: Duration = Duration::from_secs(if cfg!(selvedge_delays) { 600 } else { 60 });

/// A limit that no test waits out: who is given it is woken by something else, or the watchdog bites.
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// Runs `body` on a thread of its own and gives its result back; panics as it did, or with the test's name
/// if it does not end.
///
/// A body that hangs is left behind with its thread; the process ends with the last test.
#[track_caller]
pub(crate) fn within_a_minute<R: Send + 'static>(body: impl FnOnce() -> R + Send + 'static) -> R {
    within(PATIENCE, body)
}

/// The same with other patience.
#[track_caller]
pub(crate) fn within<R: Send + 'static>(patience: Duration, body: impl FnOnce() -> R + Send + 'static) -> R {
    let name = thread::current().name().unwrap_or("a test").to_owned();
    let (done, ended) = channel();
    let thread = thread::Builder::new()
        .name(name.clone())
        .spawn(move || {
            let result = body();
            let _ = done.send(());
            result
        })
        .expect("a thread for the test");
    match ended.recv_timeout(patience) {
        Err(RecvTimeoutError::Timeout) => {
            panic!("`{name}` hangs: it has not ended in {patience:?}\n{}", selvedge::inspect::blocked())
        }
        Ok(()) | Err(RecvTimeoutError::Disconnected) => {
            thread.join().unwrap_or_else(|payload| panic::resume_unwind(payload))
        }
    }
}

/// Looks again and again until `condition` holds, at most as long as the watchdog would wait.
#[track_caller]
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "waited in vain until {what}");
        thread::yield_now();
    }
}

/// The number that `Debug` shows for `field`; `None` while another thread holds the lock that it is under.
pub(crate) fn figure(subject: &impl Debug, field: &str) -> Option<usize> {
    let text = format!("{subject:?}");
    let (_, rest) = text.split_once(&format!("{field}: "))?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok()
}

/// Waits until `Debug` shows `count` for `field`: until so many threads sleep there.
#[track_caller]
pub(crate) fn until_figure(subject: &impl Debug, field: &str, count: usize) {
    eventually(&format!("{field} is {count}"), || figure(subject, field) == Some(count));
}

/// What a panic said.
pub(crate) fn message(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().cloned();
    text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

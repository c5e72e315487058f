//! The arms that wait for a change of a watch, and for a value of a broadcast.

use crate::error::Closed;
use crate::select::arm::Arm;
use crate::sync::Arc;
use crate::watch::{Heard, Listener, Watcher};

/// Waits for a value that the watcher has not seen, as [`Watcher::changed`] does.
///
/// If another arm takes effect, the watcher has seen nothing. The arm of a closed watch is always ready once
/// the last value was seen, so a loop should disable it from then on, with an `Option` that is `None`.
#[inline]
pub fn changed<T>(watcher: &mut Watcher<T>) -> impl Arm<Output = Result<Arc<T>, Closed>> + use<'_, T> {
    let (state, seen) = watcher.parts();
    super::monitor(state, |state| state.newer(seen))
}

/// Waits for the next value of a broadcast, as [`Listener::hear`] does.
///
/// If another arm takes effect, the listener has heard nothing. The arm of a closed broadcast is always ready
/// once everything was heard.
#[inline]
pub fn hear<T>(listener: &mut Listener<T>) -> impl Arm<Output = Result<Heard<T>, Closed>> + use<'_, T> {
    let (kept, next) = listener.parts();
    super::monitor(kept, |kept| Some(kept.hear(next)?.map(Heard::new)))
}

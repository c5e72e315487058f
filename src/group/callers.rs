//! Whose threads help with a scope's tasks.

use crate::sync::Arc;

/// What a helper does, once: takes tasks from the board that called it, until there are none for it.
///
/// Whoever is handed one runs it or drops it; dropped, it counts as a thread that was not to be had.
pub(crate) type Help = Box<dyn FnOnce() + Send>;

/// Where a board gets its helpers from.
pub(crate) trait Callers: Send + Sync {
    /// Lets some thread run `help` soon, without waiting for it; false if there is none to be had.
    ///
    /// A board whose helper does not come is not stuck: its owner takes the tasks when its body is done. But
    /// until then, tasks that the body waits for do not run.
    fn call(self: Arc<Self>, help: Help) -> bool;
}

//! Whose threads help with a scope's tasks.

use crate::sync::Arc;

/// What a helper does, once: takes tasks from the task set that called it, until there are none for it.
///
/// Whoever is handed one runs it or drops it; dropped, it counts as a thread that was not to be had.
pub(crate) type HelperFn = Box<dyn FnOnce() + Send>;

/// Where a task set gets its helpers from.
pub(crate) trait Spawn: Send + Sync {
    /// Lets some thread run `help` soon, without waiting for it; false if there is none to be had.
    ///
    /// A task set whose helper does not come is not stuck: its owner takes the tasks when its body is done.
    /// But until then, tasks that the body waits for do not run.
    fn call(self: Arc<Self>, help: HelperFn) -> bool;
}

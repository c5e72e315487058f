//! rayon's threads, for stages that compute. A file of its own because of the feature `rayon`.

use super::cancel_mode::CancelMode;
use super::{Pipeline, Stage};
use crate::group::{HelperFn, Spawn};
use crate::sync::Arc;

/// The rayon pool of the calling thread: rayon's global pool outside of any.
struct Rayon;

impl Spawn for Rayon {
    fn spawn_helper(self: Arc<Self>, help: HelperFn) -> bool {
        rayon::spawn(help);
        true
    }
}

impl<S: Stage, G: CancelMode> Pipeline<S, G> {
    /// Runs the stages that need threads on rayon's threads, including the stages before this call. For
    /// closures that compute and do not wait. Needs the feature `rayon`.
    ///
    /// ```
    /// use selvedge::Pipeline;
    ///
    /// let squares: Vec<u64> = Pipeline::source(0..100).par_map(4, |n| n * n).on_rayon().collect();
    /// assert!(squares.into_iter().eq((0..100).map(|n| n * n)));
    /// ```
    ///
    /// Order, bound, errors and cancellation stay the same. A rayon thread that enters a stage stays there
    /// until the stage ends. If none is free, the thread that pulls does the work.
    pub fn on_rayon(mut self) -> Self {
        self.config.spawn = Some(Arc::new(Rayon));
        self
    }
}

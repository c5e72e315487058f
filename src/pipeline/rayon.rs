//! rayon's threads, for stages that compute.

use super::cancel_mode::CancelMode;
use super::{Pipeline, Stage};
use crate::group::{HelperFn, Spawn};
use crate::sync::Arc;

/// rayon's global pool, or the one whose thread asks.
struct Rayon;

impl Spawn for Rayon {
    fn call(self: Arc<Self>, help: HelperFn) -> bool {
        rayon::spawn(help);
        true
    }
}

impl<S: Stage, G: CancelMode> Pipeline<S, G> {
    /// Runs the stages that need threads on rayon's, for functions that compute and do not wait: those before
    /// this call and those after it. With the feature `rayon`.
    ///
    /// ```
    /// use selvedge::Pipeline;
    ///
    /// let squares: Vec<u64> = Pipeline::source(0..100).par_map(4, |n| n * n).on_rayon().collect();
    /// assert!(squares.into_iter().eq((0..100).map(|n| n * n)));
    /// ```
    ///
    /// Order, bound, errors and cancel are as without it. A thread of rayon's that comes to a stage stays
    /// until the stage ends; whoever pulls does the work if none comes.
    pub fn on_rayon(mut self) -> Self {
        self.plan.spawn = Some(Arc::new(Rayon));
        self
    }
}

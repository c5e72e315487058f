//! `buffered`: the stages before it run ahead on a thread of their own.
//!
//! It is a parallel map of the identity on one thread, which already has the bound, the order and the end.

use super::par_map::ParMap;
use crate::pipeline::Pipeline;
use crate::pipeline::cancel_mode::CancelMode;
use crate::pipeline::stage::Stage;

impl<S: Stage, G: CancelMode> Pipeline<S, G> {
    /// Runs the stages before this call on a thread of their own, up to `bound` items ahead.
    ///
    /// ```
    /// use selvedge::Pipeline;
    ///
    /// let lines = Pipeline::source(["warp", "weft"]).inspect(|_| { /* slow input */ }).buffered(16);
    /// for line in lines {
    ///     assert_eq!(line.len(), 4); // slow work, while the next line is read
    /// }
    /// ```
    ///
    /// # Panics
    /// If `bound` is 0.
    #[track_caller]
    pub fn buffered(self, bound: usize) -> Pipeline<Buffered<S>, G> {
        let map: fn(S::Item) -> S::Item = |item| item;
        self.par_map(1, map).bound(bound)
    }
}

/// See [`Pipeline::buffered`].
pub type Buffered<S> = ParMap<S, fn(<S as Stage>::Item) -> <S as Stage>::Item, <S as Stage>::Item>;

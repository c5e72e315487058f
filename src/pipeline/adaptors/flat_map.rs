//! `flat_map`: any number of items for each.

use crate::pipeline::Pipeline;
use crate::pipeline::cancel_mode::CancelMode;
use crate::pipeline::stage::{Run, RunContext, Stage};

impl<S: Stage, G: CancelMode> Pipeline<S, G> {
    /// Replaces each item by the items of what `f` returns for it.
    ///
    /// ```
    /// let words = selvedge::Pipeline::source(["warp weft", "selvedge"]).flat_map(str::split_whitespace);
    /// assert_eq!(words.count(), 3);
    /// ```
    pub fn flat_map<J: IntoIterator, F: FnMut(S::Item) -> J>(self, f: F) -> Pipeline<FlatMap<S, F>, G> {
        self.then(|stage| FlatMap { stage, f })
    }
}

/// See [`Pipeline::flat_map`].
#[derive(Clone, Debug)]
#[must_use = "a stage does nothing by itself"]
pub struct FlatMap<S, F> {
    stage: S,
    f: F,
}

impl<S: Stage, J: IntoIterator, F: FnMut(S::Item) -> J> Stage for FlatMap<S, F> {
    type Item = J::Item;
}

impl<'a, S, J, F, G> Run<'a, G> for FlatMap<S, F>
where
    S: Run<'a, G>,
    J: IntoIterator,
    F: FnMut(S::Item) -> J,
    G: CancelMode,
{
    type Iter = FlatMapIter<S::Iter, J::IntoIter, F, G>;

    fn run(self, context: &RunContext<'a>, mode: G) -> Self::Iter {
        FlatMapIter { items: self.stage.run(context, mode.clone()), f: self.f, front: None, mode }
    }
}

#[derive(Debug)]
#[doc(hidden)]
pub struct FlatMapIter<I, J, F, G> {
    items: I,
    f: F,
    /// The iterator of the current item.
    front: Option<J>,
    mode: G,
}

impl<I, J, F, G> FlatMapIter<I, J, F, G>
where
    G: CancelMode,
{
    /// Checks the cancel mode before the closure is called.
    #[inline]
    fn may_call(&self) -> bool {
        let cancelled = self.mode.is_cancelled();
        if cancelled {
            self.mode.mark_truncated();
        }
        !cancelled
    }
}

impl<I, J, K, F, G> Iterator for FlatMapIter<I, J, F, G>
where
    I: Iterator,
    J: Iterator,
    K: IntoIterator<IntoIter = J, Item = J::Item>,
    F: FnMut(I::Item) -> K,
    G: CancelMode,
{
    type Item = J::Item;

    #[inline]
    fn next(&mut self) -> Option<J::Item> {
        loop {
            if let Some(front) = &mut self.front {
                // The inner iterator is the caller's code too, and may be endless.
                if self.mode.is_cancelled() {
                    self.mode.mark_truncated();
                    return None;
                }
                match front.next() {
                    Some(item) => return Some(item),
                    None => self.front = None,
                }
            }
            let item = self.items.next()?;
            if !self.may_call() {
                return None;
            }
            self.front = Some((self.f)(item).into_iter());
        }
    }
}

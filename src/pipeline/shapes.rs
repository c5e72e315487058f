//! Stages that change how many items there are, and run on whoever pulls.

use super::cancel_mode::CancelMode;
use super::stage::{Run, RunContext, Stage};

/// See [`Pipeline::take`](super::Pipeline::take).
#[derive(Clone, Debug)]
#[must_use = "a stage does nothing by itself"]
pub struct Take<S> {
    pub(super) stage: S,
    pub(super) count: usize,
}

/// See [`Pipeline::skip`](super::Pipeline::skip).
#[derive(Clone, Debug)]
#[must_use = "a stage does nothing by itself"]
pub struct Skip<S> {
    pub(super) stage: S,
    pub(super) count: usize,
}

/// See [`Pipeline::flat_map`](super::Pipeline::flat_map).
#[derive(Clone, Debug)]
#[must_use = "a stage does nothing by itself"]
pub struct FlatMap<S, F> {
    pub(super) stage: S,
    pub(super) f: F,
}

/// See [`Pipeline::chunks`](super::Pipeline::chunks).
#[derive(Clone, Debug)]
#[must_use = "a stage does nothing by itself"]
pub struct Chunks<S> {
    pub(super) stage: S,
    pub(super) size: usize,
}

impl<S: Stage> Stage for Take<S> {
    type Item = S::Item;
}

impl<'a, S: Run<'a, G>, G: CancelMode> Run<'a, G> for Take<S> {
    /// It does not pull once more when it has all, which std promises too.
    type Iter = std::iter::Take<S::Iter>;

    fn run(self, context: &RunContext<'a>, mode: G) -> Self::Iter {
        self.stage.run(context, mode).take(self.count)
    }
}

impl<S: Stage> Stage for Skip<S> {
    type Item = S::Item;
}

impl<'a, S: Run<'a, G>, G: CancelMode> Run<'a, G> for Skip<S> {
    type Iter = std::iter::Skip<S::Iter>;

    fn run(self, context: &RunContext<'a>, mode: G) -> Self::Iter {
        self.stage.run(context, mode).skip(self.count)
    }
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
    type Iter = Flattening<S::Iter, J::IntoIter, F, G>;

    fn run(self, context: &RunContext<'a>, mode: G) -> Self::Iter {
        Flattening { items: self.stage.run(context, mode.clone()), f: self.f, front: None, mode }
    }
}

#[derive(Debug)]
#[doc(hidden)]
pub struct Flattening<I, J, F, G> {
    items: I,
    f: F,
    front: Option<J>,
    mode: G,
}

impl<I, J, F, G> Flattening<I, J, F, G>
where
    G: CancelMode,
{
    /// Asked before the caller's function is called and before the caller's iterator is advanced.
    #[inline]
    fn may_go_on(&self) -> bool {
        let open = self.mode.is_open();
        if !open {
            self.mode.cut();
        }
        open
    }
}

impl<I, J, K, F, G> Iterator for Flattening<I, J, F, G>
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
                if !self.mode.is_open() {
                    self.mode.cut();
                    return None;
                }
                match front.next() {
                    Some(item) => return Some(item),
                    None => self.front = None,
                }
            }
            let item = self.items.next()?;
            if !self.may_go_on() {
                return None;
            }
            self.front = Some((self.f)(item).into_iter());
        }
    }
}

impl<S: Stage> Stage for Chunks<S> {
    type Item = Vec<S::Item>;
}

impl<'a, S: Run<'a, G>, G: CancelMode> Run<'a, G> for Chunks<S> {
    type Iter = Chunking<S::Iter>;

    fn run(self, context: &RunContext<'a>, mode: G) -> Self::Iter {
        Chunking { items: self.stage.run(context, mode), size: self.size, ended: false }
    }
}

#[derive(Debug)]
#[doc(hidden)]
pub struct Chunking<I> {
    items: I,
    size: usize,
    ended: bool,
}

impl<I: Iterator> Iterator for Chunking<I> {
    type Item = Vec<I::Item>;

    fn next(&mut self) -> Option<Vec<I::Item>> {
        if self.ended {
            return None;
        }
        let chunk: Vec<I::Item> = self.items.by_ref().take(self.size).collect();
        self.ended = chunk.len() < self.size;
        (!chunk.is_empty()).then_some(chunk)
    }
}

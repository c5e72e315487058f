//! Stages that take one item at a time and run on whoever pulls.
//!
//! They are put around one another as std's adaptors are, and cost what those cost: there is one iterator,
//! [`Steps`], and what it does with an item is a [`Step`], which the compiler inlines.

use super::cancel_mode::CancelMode;
use super::stage::{Run, RunContext, Stage};

/// What becomes of an item in a [`Step`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow<U> {
    /// This comes out.
    Emit(U),
    /// Nothing comes out; on to the next.
    Skip,
    /// This comes out, and nothing after it.
    Last(U),
    /// Nothing comes out any more.
    End,
}

/// A stage of your own, one item in and at most one out: see [`Pipeline::step`](super::Pipeline::step).
///
/// It is implemented for closures that return a [`Flow`].
pub trait Step<T> {
    /// What comes out.
    type Out;

    /// Takes an item.
    fn step(&mut self, item: T) -> Flow<Self::Out>;

    /// How many items come out if `hint` come in: at least 0, unless you know better.
    fn size_hint(&self, hint: (usize, Option<usize>)) -> (usize, Option<usize>) {
        (0, hint.1)
    }
}

impl<T, U, F: FnMut(T) -> Flow<U>> Step<T> for F {
    type Out = U;

    #[inline]
    fn step(&mut self, item: T) -> Flow<U> {
        self(item)
    }
}

/// A stage that does a [`Step`] with each item.
#[derive(Clone, Debug)]
#[must_use = "a stage does nothing by itself"]
pub struct Stepped<S, K> {
    pub(super) stage: S,
    pub(super) step: K,
}

impl<S: Stage, K: Step<S::Item>> Stage for Stepped<S, K> {
    type Item = K::Out;
}

impl<'a, S: Run<'a, G>, K: Step<S::Item>, G: CancelMode> Run<'a, G> for Stepped<S, K> {
    type Iter = Steps<S::Iter, K, G>;

    fn run(self, context: &RunContext<'a>, mode: G) -> Self::Iter {
        Steps { items: self.stage.run(context, mode.clone()), step: self.step, mode, ended: false }
    }
}

#[derive(Debug)]
#[doc(hidden)]
pub struct Steps<I, K, G> {
    items: I,
    step: K,
    mode: G,
    ended: bool,
}

impl<I: Iterator, K: Step<I::Item>, G: CancelMode> Iterator for Steps<I, K, G> {
    type Item = K::Out;

    #[inline]
    fn next(&mut self) -> Option<K::Out> {
        if self.ended {
            return None;
        }
        loop {
            let Some(item) = self.items.next() else {
                self.ended = true;
                return None;
            };
            // After the item came, which may have taken an hour, and before the caller's function sees it.
            if !self.mode.is_open() {
                self.mode.cut();
                self.ended = true;
                return None;
            }
            match self.step.step(item) {
                Flow::Emit(out) => return Some(out),
                Flow::Skip => {}
                Flow::Last(out) => {
                    self.ended = true;
                    return Some(out);
                }
                Flow::End => {
                    self.ended = true;
                    return None;
                }
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        if self.ended { (0, Some(0)) } else { self.step.size_hint(self.items.size_hint()) }
    }
}

/// Lets everything through: what stands before the function of a sink, so that it asks the cancel mode too.
#[derive(Clone, Debug)]
pub(crate) struct Identity;

impl<T> Step<T> for Identity {
    type Out = T;

    #[inline]
    fn step(&mut self, item: T) -> Flow<T> {
        Flow::Emit(item)
    }

    fn size_hint(&self, hint: (usize, Option<usize>)) -> (usize, Option<usize>) {
        hint
    }
}

/// See [`Pipeline::map`](super::Pipeline::map).
#[derive(Clone, Debug)]
pub struct Map<F>(pub(super) F);

impl<T, U, F: FnMut(T) -> U> Step<T> for Map<F> {
    type Out = U;

    #[inline]
    fn step(&mut self, item: T) -> Flow<U> {
        Flow::Emit((self.0)(item))
    }

    fn size_hint(&self, hint: (usize, Option<usize>)) -> (usize, Option<usize>) {
        hint
    }
}

/// See [`Pipeline::filter`](super::Pipeline::filter).
#[derive(Clone, Debug)]
pub struct Filter<F>(pub(super) F);

impl<T, F: FnMut(&T) -> bool> Step<T> for Filter<F> {
    type Out = T;

    #[inline]
    fn step(&mut self, item: T) -> Flow<T> {
        if (self.0)(&item) { Flow::Emit(item) } else { Flow::Skip }
    }
}

/// See [`Pipeline::filter_map`](super::Pipeline::filter_map).
#[derive(Clone, Debug)]
pub struct FilterMap<F>(pub(super) F);

impl<T, U, F: FnMut(T) -> Option<U>> Step<T> for FilterMap<F> {
    type Out = U;

    #[inline]
    fn step(&mut self, item: T) -> Flow<U> {
        (self.0)(item).map_or(Flow::Skip, Flow::Emit)
    }
}

/// See [`Pipeline::inspect`](super::Pipeline::inspect).
#[derive(Clone, Debug)]
pub struct Inspect<F>(pub(super) F);

impl<T, F: FnMut(&T)> Step<T> for Inspect<F> {
    type Out = T;

    #[inline]
    fn step(&mut self, item: T) -> Flow<T> {
        (self.0)(&item);
        Flow::Emit(item)
    }

    fn size_hint(&self, hint: (usize, Option<usize>)) -> (usize, Option<usize>) {
        hint
    }
}

/// See [`Pipeline::take_while`](super::Pipeline::take_while).
#[derive(Clone, Debug)]
pub struct TakeWhile<F>(pub(super) F);

impl<T, F: FnMut(&T) -> bool> Step<T> for TakeWhile<F> {
    type Out = T;

    #[inline]
    fn step(&mut self, item: T) -> Flow<T> {
        if (self.0)(&item) { Flow::Emit(item) } else { Flow::End }
    }
}

/// See [`Pipeline::scan`](super::Pipeline::scan).
#[derive(Clone, Debug)]
pub struct Scan<B, F> {
    pub(super) state: B,
    pub(super) f: F,
}

impl<T, B, U, F: FnMut(&mut B, T) -> Option<U>> Step<T> for Scan<B, F> {
    type Out = U;

    #[inline]
    fn step(&mut self, item: T) -> Flow<U> {
        (self.f)(&mut self.state, item).map_or(Flow::End, Flow::Emit)
    }
}

/// See [`Pipeline::try_map`](super::Pipeline::try_map).
#[derive(Clone, Debug)]
pub struct TryMap<F>(pub(super) F);

impl<T, U, E, F: FnMut(T) -> Result<U, E>> Step<T> for TryMap<F> {
    type Out = Result<U, E>;

    #[inline]
    fn step(&mut self, item: T) -> Flow<Result<U, E>> {
        let result = (self.0)(item);
        if result.is_ok() { Flow::Emit(result) } else { Flow::Last(result) }
    }
}

/// See [`Pipeline::and_then`](super::Pipeline::and_then).
#[derive(Clone, Debug)]
pub struct AndThen<F>(pub(super) F);

impl<T, U, E, F: FnMut(T) -> Result<U, E>> Step<Result<T, E>> for AndThen<F> {
    type Out = Result<U, E>;

    #[inline]
    fn step(&mut self, item: Result<T, E>) -> Flow<Result<U, E>> {
        let result = item.and_then(&mut self.0);
        if result.is_ok() { Flow::Emit(result) } else { Flow::Last(result) }
    }
}

/// See [`Pipeline::dedup`](super::Pipeline::dedup).
#[derive(Clone, Debug)]
pub struct Dedup<T> {
    pub(super) last: Option<T>,
}

impl<T: PartialEq + Clone> Step<T> for Dedup<T> {
    type Out = T;

    #[inline]
    fn step(&mut self, item: T) -> Flow<T> {
        if self.last.as_ref() == Some(&item) {
            return Flow::Skip;
        }
        self.last = Some(item.clone());
        Flow::Emit(item)
    }
}

//! Stages that handle one item at a time, on the thread that pulls.
//!
//! They nest like std's adaptors and cost the same: there is one iterator, [`StepIter`], and a [`Step`] that
//! says what happens to an item, which the compiler inlines.

use super::Pipeline;
use super::cancel_mode::CancelMode;
use super::stage::{Run, RunContext, Stage};

/// What a [`Step`] makes of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow<U> {
    /// Yields this item.
    Emit(U),
    /// Yields nothing and continues with the next item.
    Skip,
    /// Yields this item and ends the stage.
    Last(U),
    /// Ends the stage.
    End,
}

/// A stage that takes one item and yields at most one: see [`Pipeline::step`].
///
/// It is implemented for closures that return a [`Flow`].
pub trait Step<T> {
    /// The items that the stage yields.
    type Out;

    /// Handles an item.
    fn step(&mut self, item: T) -> Flow<Self::Out>;

    /// Bounds on the number of outputs if `hint` bounds the number of inputs. The lower bound is 0 by
    /// default.
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

impl<S: Stage, G: CancelMode> Pipeline<S, G> {
    /// Applies a custom step to each item: a closure that returns a [`Flow`], or a type that implements
    /// [`Step`].
    ///
    /// ```
    /// use selvedge::pipeline::{Flow, Pipeline};
    ///
    /// let until_zero: Vec<i32> = Pipeline::source([3, -1, 4, 0, 5])
    ///     .step(|n| match n {
    ///         0 => Flow::End,
    ///         n if n < 0 => Flow::Skip,
    ///         n => Flow::Emit(n * 10),
    ///     })
    ///     .collect();
    /// assert_eq!(until_zero, [30, 40]);
    /// ```
    pub fn step<K: Step<S::Item>>(self, step: K) -> Pipeline<Stepped<S, K>, G> {
        self.stepped(step)
    }
}

/// A stage that applies a [`Step`] to each item.
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
    type Iter = StepIter<S::Iter, K, G>;

    fn run(self, context: &RunContext<'a>, mode: G) -> Self::Iter {
        StepIter { items: self.stage.run(context, mode.clone()), step: self.step, mode, ended: false }
    }
}

/// The iterator of every [`Stepped`] stage.
#[derive(Debug)]
#[doc(hidden)]
pub struct StepIter<I, K, G> {
    items: I,
    step: K,
    mode: G,
    ended: bool,
}

impl<I: Iterator, K: Step<I::Item>, G: CancelMode> Iterator for StepIter<I, K, G> {
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
            // Checked after the item arrived, since that may have taken an hour, and before the caller's
            // closure is called with it.
            if self.mode.is_cancelled() {
                self.mode.mark_truncated();
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

/// Yields every item unchanged. It comes before the closure of a sink, so that the sink checks the cancel
/// mode like any stage.
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

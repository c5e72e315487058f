//! The stages that run on whoever pulls, as methods.

use super::Pipeline;
use super::cancel_mode::CancelMode;
use super::shapes::{Chunks, FlatMap, Skip, Take};
use super::stage::Stage;
use super::steps::{AndThen, Dedup, Filter, FilterMap, Inspect, Map, Scan, Step, Stepped, TakeWhile, TryMap};

impl<S: Stage, G: CancelMode> Pipeline<S, G> {
    /// Does a step of your own with each item: a closure that returns a [`Flow`](super::Flow), or a type that
    /// implements [`Step`].
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

    /// Makes another item of each.
    pub fn map<U, F: FnMut(S::Item) -> U>(self, f: F) -> Pipeline<Stepped<S, Map<F>>, G> {
        self.stepped(Map(f))
    }

    /// Lets only those through for which `f` holds.
    pub fn filter<F: FnMut(&S::Item) -> bool>(self, f: F) -> Pipeline<Stepped<S, Filter<F>>, G> {
        self.stepped(Filter(f))
    }

    /// Makes another item of each, or none.
    pub fn filter_map<U, F>(self, f: F) -> Pipeline<Stepped<S, FilterMap<F>>, G>
    where
        F: FnMut(S::Item) -> Option<U>,
    {
        self.stepped(FilterMap(f))
    }

    /// Makes any number of items of each.
    pub fn flat_map<J: IntoIterator, F: FnMut(S::Item) -> J>(self, f: F) -> Pipeline<FlatMap<S, F>, G> {
        self.then(|stage| FlatMap { stage, f })
    }

    /// Makes another item of each, or an error, which is the last item.
    pub fn try_map<U, E, F>(self, f: F) -> Pipeline<Stepped<S, TryMap<F>>, G>
    where
        F: FnMut(S::Item) -> Result<U, E>,
    {
        self.stepped(TryMap(f))
    }

    /// Makes another item of each success. The first error, its own or one that comes in, is the last item.
    pub fn and_then<T, U, E, F>(self, f: F) -> Pipeline<Stepped<S, AndThen<F>>, G>
    where
        S: Stage<Item = Result<T, E>>,
        F: FnMut(T) -> Result<U, E>,
    {
        self.stepped(AndThen(f))
    }

    /// Shows each item to `f`.
    pub fn inspect<F: FnMut(&S::Item)>(self, f: F) -> Pipeline<Stepped<S, Inspect<F>>, G> {
        self.stepped(Inspect(f))
    }

    /// Lets the first `count` through, and does not ask for more.
    pub fn take(self, count: usize) -> Pipeline<Take<S>, G> {
        self.then(|stage| Take { stage, count })
    }

    /// Leaves out the first `count`.
    pub fn skip(self, count: usize) -> Pipeline<Skip<S>, G> {
        self.then(|stage| Skip { stage, count })
    }

    /// Lets items through until `f` does not hold for one.
    pub fn take_while<F: FnMut(&S::Item) -> bool>(self, f: F) -> Pipeline<Stepped<S, TakeWhile<F>>, G> {
        self.stepped(TakeWhile(f))
    }

    /// Makes another item of each with a state that it may change; `None` is the end.
    pub fn scan<B, U, F>(self, state: B, f: F) -> Pipeline<Stepped<S, Scan<B, F>>, G>
    where
        F: FnMut(&mut B, S::Item) -> Option<U>,
    {
        self.stepped(Scan { state, f })
    }

    /// Leaves out items that equal the one before.
    pub fn dedup(self) -> Pipeline<Stepped<S, Dedup<S::Item>>, G>
    where
        S::Item: PartialEq + Clone,
    {
        self.stepped(Dedup { last: None })
    }

    /// Puts `size` items at a time together; the last chunk may be smaller.
    ///
    /// # Panics
    /// If `size` is 0.
    #[track_caller]
    pub fn chunks(self, size: usize) -> Pipeline<Chunks<S>, G> {
        assert!(size > 0, "a chunk of 0 items would never be full; the least is 1");
        self.then(|stage| Chunks { stage, size })
    }
}

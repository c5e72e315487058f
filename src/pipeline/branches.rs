//! Fan-in and fan-out, as methods.

use std::cmp::Ordering;
use std::hash::Hash;

use super::cancel_mode::CancelMode;
use super::merge::{Chain, Merge, MergeSorted};
use super::share::{Baton, Share};
use super::sinks::Output;
use super::split::{ByKey, Route, Split, Splitter, ToAll};
use super::stage::{Run, Stage};
use super::{Nothing, Pipeline, Plan};
use crate::sync::Arc;

/// An output of [`Pipeline::fan_out`].
pub type Shared<S, G> = Pipeline<Share<Output<<S as Run<'static, G>>::Iter, G>>, G>;

/// An output of [`Pipeline::fan_out_by`] or [`Pipeline::broadcast`].
pub type Routed<S, R, G> = Pipeline<Split<Output<<S as Run<'static, G>>::Iter, G>, R>, G>;

impl Pipeline<Nothing> {
    /// Merges pipelines: an item of any input as soon as it comes, each input on a thread of its own. Up to
    /// 64 items wait to be taken; see [`capacity`](Pipeline::capacity).
    ///
    /// An input that is silent holds nobody up. The end comes when every input has ended, a panic of one
    /// stops all. If the inputs have tokens, that of the first counts. On a [pool](Pipeline::on) it needs as
    /// many workers as there are inputs; those that get none do not run. If the operating system refuses a
    /// thread, the thread that pulls advances the inputs that none has taken, an item of each in turn. While
    /// it waits for one of them, the others are left to threads that become free.
    ///
    /// ```
    /// use selvedge::Pipeline;
    ///
    /// let inputs = [0..10, 10..20].map(Pipeline::source);
    /// let mut all: Vec<u32> = Pipeline::merge(inputs).collect();
    /// all.sort();
    /// assert!(all.into_iter().eq(0..20));
    /// ```
    pub fn merge<S: Stage, G: CancelMode>(
        inputs: impl IntoIterator<Item = Pipeline<S, G>>,
    ) -> Pipeline<Merge<S>, G> {
        Pipeline::gather(inputs, |inputs| Merge { inputs, bound: 64 })
    }

    /// Joins pipelines: all items of the first input, then all of the second. They run on whoever pulls;
    /// [`buffered`](Pipeline::buffered) lets one run ahead.
    pub fn chain<S: Stage, G: CancelMode>(
        inputs: impl IntoIterator<Item = Pipeline<S, G>>,
    ) -> Pipeline<Chain<S>, G> {
        Pipeline::gather(inputs, Chain)
    }

    /// Merges pipelines that are sorted into one that is: of the inputs' next items the least, and of equal
    /// ones that of the earlier input. They run on whoever pulls, which waits for the slowest;
    /// [`buffered`](Pipeline::buffered) lets one run ahead.
    ///
    /// ```
    /// use selvedge::Pipeline;
    ///
    /// let inputs = [vec![1, 4, 9], vec![2, 4, 6, 8]].map(|items| Pipeline::source(items).buffered(16));
    /// let sorted: Vec<u32> = Pipeline::merge_sorted_by(inputs, u32::cmp).collect();
    /// assert_eq!(sorted, [1, 2, 4, 4, 6, 8, 9]);
    /// ```
    pub fn merge_sorted_by<S: Stage, G: CancelMode, F>(
        inputs: impl IntoIterator<Item = Pipeline<S, G>>,
        compare: F,
    ) -> Pipeline<MergeSorted<S, F>, G>
    where
        F: FnMut(&S::Item, &S::Item) -> Ordering,
    {
        Pipeline::gather(inputs, |inputs| MergeSorted { inputs, compare })
    }

    fn gather<S, T, G: CancelMode>(
        inputs: impl IntoIterator<Item = Pipeline<S, G>>,
        join: impl FnOnce(Vec<S>) -> T,
    ) -> Pipeline<T, G> {
        let (mut first, mut stages) = (None, Vec::new());
        for Pipeline { stage, mode, plan } in inputs {
            first.get_or_insert((mode, plan));
            stages.push(stage);
        }
        let (mode, plan) = first.unwrap_or_else(|| (G::fresh(), Plan::default()));
        Pipeline { stage: join(stages), mode, plan }
    }
}

impl<S, G> Pipeline<S, G>
where
    S: Run<'static, G>,
    G: CancelMode,
{
    /// Shares the items among `outputs` pipelines: each item goes to one of them, whichever asks first. One
    /// that waits while others are faster is next when it has lost 32 times.
    ///
    /// Nothing is read ahead, so an output that nobody reads strands nothing, and one that is dropped
    /// neither. The stages before this call run on whoever asks, one at a time: put a
    /// [`buffered`](Pipeline::buffered) or `par_map` between if that is too slow.
    ///
    /// ```
    /// use selvedge::Pipeline;
    ///
    /// let outputs = Pipeline::source(0..100_u32).fan_out(3);
    /// let sums = std::thread::scope(|s| {
    ///     let threads: Vec<_> =
    ///         outputs.into_iter().map(|output| s.spawn(|| output.fold(0_u32, |sum, n| sum + n))).collect();
    ///     threads.into_iter().map(|thread| thread.join().unwrap()).sum::<u32>()
    /// });
    /// assert_eq!(sums, 4_950);
    /// ```
    ///
    /// # Panics
    /// If `outputs` is 0: the items would have nowhere to go.
    #[track_caller]
    pub fn fan_out(self, outputs: usize) -> Vec<Shared<S, G>> {
        assert!(outputs > 0, "a fan-out to 0 outputs would lose every item; the least is 1");
        let mode = self.mode.clone();
        let baton = Baton::new(self.into_iter());
        (0..outputs).map(|_| Pipeline::begin(Share(Arc::clone(&baton))).behind(&mode)).collect()
    }

    /// Sends each item to the one of `outputs` pipelines that its key belongs to: items of one key all come
    /// out of the same, in their order.
    ///
    /// Each output has a buffer of `capacity` items. One that nobody reads holds the others up when its
    /// buffer is full, so nothing is lost and nothing grows; one that is *dropped* gets no more: items for it
    /// are dropped from then on, and so are those in its buffer. Read the outputs on threads of their own.
    ///
    /// ```
    /// use selvedge::Pipeline;
    ///
    /// // Same key, same thread: a running count for each word, and the counts are right.
    /// let words = ["a", "b", "a", "c", "a", "b"];
    /// let outputs = Pipeline::source(words).fan_out_by(2, 8, |word| *word);
    /// let counted = outputs.into_iter().map(|output| {
    ///     let mut seen = std::collections::HashMap::new();
    ///     output.map(move |word| {
    ///         let count = seen.entry(word).or_insert(0);
    ///         *count += 1;
    ///         (word, *count)
    ///     })
    /// });
    /// let mut all: Vec<_> = Pipeline::merge(counted).collect();
    /// all.sort();
    /// assert_eq!(all, [("a", 1), ("a", 2), ("a", 3), ("b", 1), ("b", 2), ("c", 1)]);
    /// ```
    ///
    /// # Panics
    /// If `outputs` or `capacity` is 0.
    #[track_caller]
    pub fn fan_out_by<K: Hash, F>(
        self,
        outputs: usize,
        capacity: usize,
        key: F,
    ) -> Vec<Routed<S, ByKey<F>, G>>
    where
        F: Fn(&S::Item) -> K,
    {
        self.split(outputs, capacity, ByKey(key))
    }

    /// Gives each of `outputs` pipelines every item.
    ///
    /// Each output has a buffer of `capacity` items, so the fastest is at most that far ahead of the slowest.
    /// One that nobody reads holds the others up; one that is dropped does not. Read the outputs on threads
    /// of their own.
    ///
    /// # Panics
    /// If `outputs` or `capacity` is 0.
    #[track_caller]
    pub fn broadcast(self, outputs: usize, capacity: usize) -> Vec<Routed<S, ToAll, G>>
    where
        S::Item: Clone,
    {
        self.split(outputs, capacity, ToAll)
    }

    #[track_caller]
    fn split<R>(self, outputs: usize, capacity: usize, route: R) -> Vec<Routed<S, R, G>>
    where
        R: Route<S::Item>,
    {
        assert!(outputs > 0, "a fan-out to 0 outputs would lose every item; the least is 1");
        assert!(capacity > 0, "an output with room for 0 items could never be sent one; the least is 1");
        let fits = Vec::<Routed<S, R, G>>::new().try_reserve_exact(outputs);
        assert!(fits.is_ok(), "a fan-out to {outputs} outputs does not fit into memory");
        let mode = self.mode.clone();
        let outputs = Splitter::split(self.into_iter(), outputs, capacity, route);
        outputs.into_iter().map(|output| Pipeline::begin(output).behind(&mode)).collect()
    }
}

impl<S> Pipeline<S> {
    /// The same, behind a cancel mode of the kind and with the token of `gate`.
    fn behind<G: CancelMode>(self, mode: &G) -> Pipeline<S, G> {
        let mode = mode.token().map_or_else(G::fresh, |token| mode.under(token));
        Pipeline { stage: self.stage, mode, plan: self.plan }
    }
}

impl<S, G> Pipeline<Merge<S>, G> {
    /// At most `bound` items wait to be taken, and one more in the hand of each input.
    ///
    /// # Panics
    /// If `bound` is 0. The sink panics if so many items do not fit into memory.
    #[track_caller]
    pub fn capacity(mut self, bound: usize) -> Self {
        assert!(bound > 0, "a bound of 0 items would let none in; the least is 1");
        self.stage.bound = bound;
        self
    }
}

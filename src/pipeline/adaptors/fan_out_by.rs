//! `fan_out_by`: each item goes to the output that its key belongs to.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};

use super::split::{Route, Routed, seal};
use crate::pipeline::Pipeline;
use crate::pipeline::cancel_mode::CancelMode;
use crate::pipeline::stage::Run;

impl<S, G> Pipeline<S, G>
where
    S: Run<'static, G>,
    G: CancelMode,
{
    /// Sends each item to the one of `outputs` pipelines that its key belongs to. All items of one key come
    /// out of the same output, in their order.
    ///
    /// Each output has a buffer of `capacity` items. An output that is not read delays the others once its
    /// buffer is full, so nothing is lost and memory stays bounded. An output that is *dropped* delays none:
    /// its items are dropped, those in its buffer included. Read the outputs on threads of their own.
    ///
    /// ```
    /// use selvedge::Pipeline;
    ///
    /// // Same key, same output: a running count for each word, and the counts are right.
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
}

/// Routes an item by the hash of its key.
#[derive(Clone, Debug)]
pub struct ByKey<F>(F);

impl<F> seal::Sealed for ByKey<F> {}

impl<T, K: Hash, F: Fn(&T) -> K> Route<T> for ByKey<F> {
    fn route(&self, item: T, outputs: usize, put: &mut dyn FnMut(usize, T) -> bool) -> bool {
        // A fixed hasher, so that a key has the same output in every run.
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one((self.0)(&item));
        // The cast is lossless: the remainder is less than `outputs`.
        put((hash % outputs as u64) as usize, item)
    }
}

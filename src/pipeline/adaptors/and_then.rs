//! `and_then`: a function of each success that may fail.

use crate::pipeline::Pipeline;
use crate::pipeline::cancel_mode::CancelMode;
use crate::pipeline::stage::Stage;
use crate::pipeline::step::{Flow, Step, Stepped};

impl<S: Stage, G: CancelMode> Pipeline<S, G> {
    /// Replaces each success by the result of `f`. The first error, from `f` or from the input, is the last
    /// item.
    ///
    /// ```
    /// let halves = selvedge::Pipeline::source(["4", "6"])
    ///     .try_map(|text| text.parse::<u32>().map_err(|_| "not a number"))
    ///     .and_then(|n| if n % 2 == 0 { Ok(n / 2) } else { Err("odd") });
    /// assert_eq!(halves.collect::<Result<Vec<_>, _>>(), Ok(vec![2, 3]));
    /// ```
    pub fn and_then<T, U, E, F>(self, f: F) -> Pipeline<Stepped<S, AndThen<F>>, G>
    where
        S: Stage<Item = Result<T, E>>,
        F: FnMut(T) -> Result<U, E>,
    {
        self.stepped(AndThen(f))
    }
}

/// See [`Pipeline::and_then`].
#[derive(Clone, Debug)]
pub struct AndThen<F>(F);

impl<T, U, E, F: FnMut(T) -> Result<U, E>> Step<Result<T, E>> for AndThen<F> {
    type Out = Result<U, E>;

    #[inline]
    fn step(&mut self, item: Result<T, E>) -> Flow<Result<U, E>> {
        let result = item.and_then(&mut self.0);
        if result.is_ok() { Flow::Emit(result) } else { Flow::Last(result) }
    }
}

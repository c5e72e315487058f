//! What a handler may answer.

use std::error::Error;

/// What a batch's handler may return: the result of the whole batch, or one for each item.
///
/// | the handler returns | each item's ticket gets | on an error |
/// |---|---|---|
/// | `()` | `()` | it cannot fail |
/// | `Result<R, E>` | a clone of the `R` | the whole batch is retried, or has failed |
/// | `Vec<Result<R, E>>` | its own, in the order of the items | the items with an error are retried, or have failed |
///
/// The first two are what a transaction or an `fsync` knows: all or nothing. The third is what a bulk request
/// to a server answers. `E` is whatever becomes a boxed error, so `String` and `io::Error` will do; the
/// tickets share it, and none of it needs to be `Clone`.
#[diagnostic::on_unimplemented(
    message = "a batch's handler cannot return `{Self}`",
    label = "this handler",
    note = "return `()`, `Result<R, E>` for the whole batch with `R: Clone`, or `Vec<Result<R, E>>` with one result an item"
)]
pub trait HandlerResult: sealed::Sealed {
    /// What a ticket waits for.
    type Value: Send + 'static;

    #[doc(hidden)]
    fn outcome(self) -> Outcome<Self::Value>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for () {}
    impl<R, E> Sealed for Result<R, E> {}
    impl<R, E> Sealed for Vec<Result<R, E>> {}
}

pub(super) type BoxedError = Box<dyn Error + Send + Sync>;

/// A verdict in the form that the batcher works with.
#[doc(hidden)]
#[derive(Debug)]
pub enum Outcome<R> {
    /// All items have the same result. The function clones it, once for each ticket.
    All(R, fn(&R) -> R),
    /// All items have failed.
    Failed(BoxedError),
    /// One result an item.
    Each(Vec<Result<R, BoxedError>>),
}

impl HandlerResult for () {
    type Value = ();

    fn outcome(self) -> Outcome<()> {
        Outcome::All((), |()| ())
    }
}

impl<R, E> HandlerResult for Result<R, E>
where
    R: Clone + Send + 'static,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    type Value = R;

    fn outcome(self) -> Outcome<R> {
        match self {
            Ok(value) => Outcome::All(value, R::clone),
            Err(error) => Outcome::Failed(error.into()),
        }
    }
}

impl<R, E> HandlerResult for Vec<Result<R, E>>
where
    R: Send + 'static,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    type Value = R;

    fn outcome(self) -> Outcome<R> {
        Outcome::Each(self.into_iter().map(|result| result.map_err(Into::into)).collect())
    }
}

//! What a handler may return.

use std::error::Error;

/// What a batch's handler may return: one result for the batch, or one for each item.
///
/// | the handler returns | each item's ticket gets | on an error |
/// |---|---|---|
/// | `()` | `()` | it cannot fail |
/// | `Result<R, E>` | a clone of the `R` | the batch is retried, or has failed |
/// | `Vec<Result<R, E>>` | its own, in order | the items with an error are retried, or have failed |
///
/// The first two fit a transaction or an `fsync`: all or nothing. The third fits a bulk request to a server.
/// `E` is any type that converts into a boxed error, such as `String` or `io::Error`. The tickets share it,
/// so it need not be `Clone`.
#[diagnostic::on_unimplemented(
    message = "a batch's handler cannot return `{Self}`",
    label = "this handler",
    note = "return `()`, `Result<R, E>` for the whole batch with `R: Clone`, or `Vec<Result<R, E>>` with one result an item"
)]
pub trait HandlerResult: sealed::Sealed {
    /// The type of a ticket's result.
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

/// The handler's result in the form that the batcher uses.
#[doc(hidden)]
#[derive(Debug)]
pub enum Outcome<R> {
    /// All items have the same result. The function clones it, once for each ticket.
    All(R, fn(&R) -> R),
    /// All items have failed.
    Failed(BoxedError),
    /// One result for each item.
    Each(Vec<Result<R, BoxedError>>),
}

impl HandlerResult for () {
    type Value = ();

    fn outcome(self) -> Outcome<()> {
        // A unit result costs nothing to clone.
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
            // Cloned later, once the number of tickets is known, with panics caught.
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

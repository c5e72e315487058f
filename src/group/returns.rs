//! What tasks and bodies may return: `()` or a `Result`.
//!
//! Tasks and bodies have a trait each, because `()` says different things about the error type. A task that
//! returns `()` fits every scope. A body that returns `()` says that nothing in its scope can fail, so that
//! the compiler need not be told the error type.

use std::convert::Infallible;

/// What a task of a scope or a group may return: `()`, or a `Result` with the error `E` of its scope or
/// group.
///
/// Sealed: these two are all.
#[diagnostic::on_unimplemented(
    message = "a task may not return `{Self}` here",
    label = "this task returns `{Self}`",
    note = "a task returns `()`, or a `Result` with the error of its scope or group",
    note = "a value goes into `Ok(..)`; another error is converted by `?` or `map_err`"
)]
pub trait TaskResult<E>: sealed::Sealed {
    /// What the task's [`Handle`](super::Handle) gives.
    type Value;

    #[doc(hidden)]
    fn into_result(self) -> Result<Self::Value, E>;
}

/// What the body of a scope may return: a `Result` with the error `E` of its tasks, or `()` if none of them
/// can fail.
///
/// Sealed: these two are all.
#[diagnostic::on_unimplemented(
    message = "the body of a scope may not return `{Self}` if its tasks fail with `{E}`",
    label = "this body returns `{Self}`",
    note = "if a task returns a `Result`, so does the body, with the same error: end it with `Ok(())`",
    note = "if no task can fail, the body returns `()`; a value goes into `Ok::<_, Infallible>(..)`"
)]
pub trait BodyResult<E>: sealed::Sealed {
    /// What the scope returns if nothing fails.
    type Value;

    #[doc(hidden)]
    fn into_result(self) -> Result<Self::Value, E>;
}

impl<E> TaskResult<E> for () {
    type Value = ();

    fn into_result(self) -> Result<(), E> {
        Ok(())
    }
}

impl<T, E> TaskResult<E> for Result<T, E> {
    type Value = T;

    fn into_result(self) -> Result<T, E> {
        self
    }
}

impl<E> TaskResult<E> for Never {
    type Value = ();

    fn into_result(self) -> Result<(), E> {
        self
    }
}

impl BodyResult<Infallible> for () {
    type Value = ();

    fn into_result(self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl<T, E> BodyResult<E> for Result<T, E> {
    type Value = T;

    fn into_result(self) -> Result<T, E> {
        self
    }
}

impl BodyResult<Infallible> for Never {
    type Value = ();

    fn into_result(self) -> Result<(), Infallible> {
        self
    }
}

/// The type of what does not return, which has no name yet: a closure that only panics returns it since the
/// edition of 2024.
type Never = <fn() -> ! as sealed::Returns>::Value;

mod sealed {
    pub trait Sealed {}

    impl Sealed for () {}
    impl<T, E> Sealed for Result<T, E> {}
    impl Sealed for super::Never {}

    pub trait Returns {
        type Value;
    }

    impl<T> Returns for fn() -> T {
        type Value = T;
    }
}

//! The first programs of a new user of scopes, groups and pipelines: those that compile, and those that the
//! compiler rejects with a message that leads to the fix.
//!
//! The messages are in the sources, as `#[diagnostic::on_unimplemented]`; here are programs that cause them.
//! A compiler that is allowed to, as in `lifetimes/`, compares the error codes. This file exists for
//! `cargo test --doc` only.
//!
//! # What compiles
//! Tasks that cannot fail, in a body that returns nothing: no error type is written anywhere.
//! ```
//! use selvedge::{CancelToken, Pool, group::{self, Group}};
//! fn work() {}
//! let stop = CancelToken::new();
//! group::scope(&stop, |g| { g.spawn(|_| work()); })?;
//! group::scope(&stop, |g| {
//!     g.limit(8);
//!     g.spawn_named("first", |_| work());
//!     g.try_spawn(|_| work()).unwrap();
//!     g.try_spawn_named("second", |_| work()).unwrap();
//!     g.spawn(|_| g.spawn(|_| work()));
//!     assert_eq!(g.submit(|_| Ok(1 + 1)).join(), Ok(2));
//! })?;
//! let pool = Pool::builder().workers(1).build()?;
//! pool.scope(&stop, |s| { s.spawn(|_| work()); })?;
//! let group: Group = Group::new(&stop);
//! group.spawn(|_| work())?;
//! group.wait()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//! Tasks that can fail: the body returns the same error, and ends with `Ok`.
//! ```
//! use std::io;
//! use selvedge::{CancelToken, group::{self, Group}};
//! fn check(path: &str, stop: &CancelToken) -> io::Result<()> {
//!     if path.is_empty() || stop.is_cancelled() { Err(io::ErrorKind::InvalidInput.into()) } else { Ok(()) }
//! }
//! let stop = CancelToken::new();
//! let paths = ["a", "b"];
//! let total = group::scope(&stop, |g| {
//!     for p in &paths { g.spawn(|stop| check(p, stop)); }
//!     Ok(paths.len())
//! })?;
//! assert_eq!(total, 2);
//! let mixed = group::scope(&stop, |g| {
//!     g.spawn(|_| println!("cannot fail"));
//!     g.spawn(|_| Err("can"));
//!     Ok(())
//! });
//! assert_eq!(mixed, Err(group::Error::Failed("can")));
//! let group = Group::new(&stop);
//! group.spawn(|stop| check("a", stop))?;
//! group.wait()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//! Errors of any type, converted by `?`.
//! ```
//! use std::error::Error;
//! use selvedge::{CancelToken, group};
//! type Any = Box<dyn Error + Send + Sync>;
//! fn sum(texts: &[&str]) -> Result<u32, Box<dyn Error>> {
//!     let sum = group::scope(&CancelToken::new(), |g| -> Result<u32, Any> {
//!         let parsed: Vec<_> = texts.iter().map(|text| g.submit(|_| Ok(text.parse::<u32>()?))).collect();
//!         g.spawn(|_| {
//!             "7".parse::<u32>()?;
//!             Ok(())
//!         });
//!         let mut sum = 0;
//!         for number in parsed {
//!             sum += number.join()?;
//!         }
//!         Ok(sum)
//!     })?;
//!     Ok(sum)
//! }
//! assert_eq!(sum(&["1", "2"]).unwrap(), 3);
//! assert!(sum(&["one"]).is_err());
//! ```
//!
//! # What does not
//! A task that can fail in a body that returns nothing: "the body of a scope may not return `()` if its tasks
//! fail with `io::Error`", and "end it with `Ok(())`".
//! ```compile_fail,E0277
//! use selvedge::{CancelToken, group};
//! let _ = group::scope(&CancelToken::new(), |g| {
//!     g.spawn(|_| std::fs::remove_file("no such file"));
//! });
//! ```
//! Two tasks with different errors: "a task may not return `Result<_, &str>` here".
//! ```compile_fail,E0277
//! use selvedge::{CancelToken, group};
//! let _ = group::scope(&CancelToken::new(), |g| {
//!     g.spawn(|_| std::fs::remove_file("no such file"));
//!     g.spawn(|_| Err("another"));
//!     Ok(())
//! });
//! ```
//! A task or a body that returns a value: "a value goes into `Ok(..)`".
//! ```compile_fail,E0277
//! use selvedge::{CancelToken, group};
//! let _ = group::scope(&CancelToken::new(), |g| { g.spawn(|_| 5); });
//! ```
//! ```compile_fail,E0277
//! use selvedge::{CancelToken, group};
//! let _ = group::scope(&CancelToken::new(), |g| { g.submit(|_| 5); });
//! ```
//! ```compile_fail,E0277
//! use selvedge::{CancelToken, group};
//! let _ = group::scope(&CancelToken::new(), |g| { g.spawn(|_| ()); 5 });
//! ```
//! A body that returns a result whose error type nothing determines: "type annotations needed for
//! `&Scope<'_, '_, _>`", "where the type for type parameter `E` is specified".
//! ```compile_fail,E0283
//! use selvedge::{CancelToken, group};
//! let _ = group::scope(&CancelToken::new(), |g| { g.spawn(|_| ()); Ok(5) });
//! ```
//! ```
//! use std::convert::Infallible;
//! use selvedge::{CancelToken, group::{self, Scope}};
//! let result = group::scope(&CancelToken::new(), |g| { g.spawn(|_| ()); Ok::<_, Infallible>(5) });
//! assert_eq!(result, Ok(5));
//! let result = group::scope(&CancelToken::new(), |g: &Scope<'_, '_, String>| { g.spawn(|_| ()); Ok(5) });
//! assert_eq!(result, Ok(5));
//! ```
//! The same for a group without a type: "type annotations needed for `Group<_>`". In a field or a signature,
//! plain `Group` is a group whose tasks cannot fail.
//! ```compile_fail,E0283
//! use selvedge::{CancelToken, group::Group};
//! let group = Group::new(&CancelToken::new());
//! let _ = group.spawn(|_| ());
//! ```
//! A function that returns a pipeline without promising that it runs: "a function that returns a pipeline
//! promises that it runs: `Pipeline<impl Run<'static, Free, Item = T>>`".
//! ```compile_fail,E0277
//! use selvedge::pipeline::{Pipeline, Stage};
//! fn numbers() -> Pipeline<impl Stage<Item = u32>> {
//!     Pipeline::source(0..10).map(|n| n + 1)
//! }
//! assert_eq!(numbers().count(), 10);
//! ```
//! ```
//! use selvedge::CancelToken;
//! use selvedge::pipeline::{Cancellable, Free, Pipeline, Run};
//! fn numbers() -> Pipeline<impl Run<'static, Free, Item = u32>> {
//!     Pipeline::source(0..10).map(|n| n + 1)
//! }
//! fn stoppable(stop: &CancelToken) -> Pipeline<impl Run<'static, Cancellable, Item = u32>, Cancellable> {
//!     Pipeline::source(0..10).cancelled_by(stop).par_map(2, |n| n + 1)
//! }
//! assert_eq!(numbers().count(), 10);
//! assert_eq!(stoppable(&CancelToken::new()).count(), Ok(10));
//! ```

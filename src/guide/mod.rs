//! How to do with this crate what concurrent programs have to do.
//!
//! A chapter begins with a question. It shows the way that is usually taught, the smallest situation in which
//! that breaks, and what to write instead. Every failure that a chapter describes is a test in
//! `tests/reference.rs` or a model in `loom-tests/tests/reference.rs` of the repository, and every piece of
//! code is a test.
//!
//! Two chapters are dictionaries: [`from_go`] and [`from_java`] list what you look for and what it is called
//! here.

#[doc = include_str!("pool.md")]
pub mod pool {}

#[doc = include_str!("group.md")]
pub mod group {}

#[doc = include_str!("cancel.md")]
pub mod cancel {}

#[doc = include_str!("timeout.md")]
pub mod timeout {}

#[doc = include_str!("retry.md")]
pub mod retry {}

#[doc = include_str!("queue.md")]
pub mod queue {}

#[doc = include_str!("select.md")]
pub mod select {}

#[doc = include_str!("pipeline.md")]
pub mod pipeline {}

#[doc = include_str!("semaphore.md")]
pub mod semaphore {}

#[doc = include_str!("limiter.md")]
pub mod limiter {}

#[doc = include_str!("batch.md")]
pub mod batch {}

#[doc = include_str!("flight.md")]
pub mod flight {}

#[doc = include_str!("map.md")]
pub mod map {}

#[doc = include_str!("counter.md")]
pub mod counter {}

#[doc = include_str!("monitor.md")]
/// ```
#[doc = include_str!("priority_queue.rs")]
#[doc = include_str!("priority_queue_in_use.rs")]
/// ```
pub mod monitor {}

#[doc = include_str!("watch.md")]
pub mod watch {}

#[doc = include_str!("crawl.md")]
pub mod crawl {}

#[doc = include_str!("foreign_calls.md")]
pub mod foreign_calls {}

#[doc = include_str!("hangs.md")]
pub mod hangs {}

#[doc = include_str!("timeline.md")]
pub mod timeline {}

#[doc = include_str!("signals.md")]
pub mod signals {}

#[doc = include_str!("clock.md")]
pub mod clock {}

#[doc = include_str!("races.md")]
pub mod races {}

#[doc = include_str!("models.md")]
pub mod models {}

#[doc = include_str!("from_go.md")]
pub mod from_go {}

#[doc = include_str!("from_java.md")]
pub mod from_java {}

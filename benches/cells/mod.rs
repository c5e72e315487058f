//! What is measured: a file for each section.

pub(crate) mod cancel;
pub(crate) mod group;
pub(crate) mod map;
pub(crate) mod pipeline;
pub(crate) mod pool;
pub(crate) mod queue;
pub(crate) mod semaphore;
pub(crate) mod wakeup;

//! What is measured: a file for each section.

pub(crate) mod batch;
pub(crate) mod cancel;
pub(crate) mod counter;
pub(crate) mod crawl;
pub(crate) mod crowded;
pub(crate) mod flight;
pub(crate) mod fork;
pub(crate) mod group;
pub(crate) mod growth;
pub(crate) mod latch;
pub(crate) mod limiter;
pub(crate) mod map;
pub(crate) mod memory;
pub(crate) mod monitor;
pub(crate) mod neighbours;
pub(crate) mod one_core;
pub(crate) mod pipeline;
pub(crate) mod pool;
pub(crate) mod pool_at_rest;
pub(crate) mod queue;
pub(crate) mod quota;
pub(crate) mod select;
pub(crate) mod semaphore;
pub(crate) mod timeout;
pub(crate) mod wakeup;

//! See the end of `panics.rs`: until the crawler is a package of its own.

#[cfg(feature = "crawl")]
use std::panic::{RefUnwindSafe, UnwindSafe};

#[cfg(feature = "crawl")]
mod of_crawls {
    use super::{RefUnwindSafe, UnwindSafe};
    use crate::crawl::{Builder, Crawl, Crawler, MemorySite};

    // Fetchers and callbacks are called, not looked into.
    impl UnwindSafe for Builder {}
    impl RefUnwindSafe for Builder {}
    impl UnwindSafe for Crawler {}
    impl RefUnwindSafe for Crawler {}
    impl UnwindSafe for Crawl {}
    impl RefUnwindSafe for Crawl {}
    impl UnwindSafe for MemorySite {}
    impl RefUnwindSafe for MemorySite {}
}

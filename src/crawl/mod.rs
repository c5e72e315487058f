//! A web crawler that finds dead links: a library with the feature `crawl`, the program `selvedge-crawl` with
//! `crawl-tool`.
//!
//! | file | what is in it |
//! |---|---|
//! | [`frontier`] | every page once, nearest first, at its shortest distance, for any number of workers; knows no HTTP |
//! | `builder`, `settings`, `canonical`, `scope`, `retry` | what a crawl is to do |
//! | `engine`, `asking`, `reading`, `crawler`, `resume` | what a worker does with a page, and the crawl as a whole |
//! | `fetch`, `http`, `resolver`, `memory` | one request: the trait, over HTTP, out of memory |
//! | `html`, `text`, `sitemap`, `robots` | what the answers say |
//! | `record`, `log`, `report`, `fate` | what was found, and the questions one asks of it |
//! | `show` | how it is shown: text, JSON, CSV, HTML, a picture |
//!
//! What it uses of the rest of the crate: a [`Pool`](crate::Pool) for the workers, a
//! [`BoundedQueue`](crate::BoundedQueue) for pages that somebody wants as they come, a
//! [`WaitGroup`](crate::WaitGroup) for the end, and one [`CancelToken`](crate::CancelToken) that reaches
//! every sleeper. Where the next page waits for a host, the frontier itself sleeps, in the crate's one place
//! for that.

#[doc(hidden)]
pub mod frontier;

#[cfg(feature = "crawl")]
mod asking;
#[cfg(feature = "crawl")]
mod builder;
#[cfg(feature = "crawl")]
mod canonical;
#[cfg(feature = "crawl")]
mod crawler;
#[cfg(feature = "crawl")]
mod engine;
#[cfg(feature = "crawl")]
mod fate;
#[cfg(feature = "crawl")]
mod fetch;
#[cfg(feature = "crawl")]
mod html;
#[cfg(feature = "crawl")]
mod http;
#[cfg(feature = "crawl")]
mod log;
#[cfg(feature = "crawl")]
mod memory;
#[cfg(feature = "crawl")]
mod reading;
#[cfg(feature = "crawl")]
mod record;
#[cfg(feature = "crawl")]
mod report;
#[cfg(feature = "crawl")]
mod resolver;
#[cfg(feature = "crawl")]
mod resume;
#[cfg(feature = "crawl")]
mod retry;
#[cfg(feature = "crawl")]
mod robots;
#[cfg(feature = "crawl")]
mod scope;
#[cfg(feature = "crawl")]
mod settings;
#[cfg(feature = "crawl")]
mod show;
#[cfg(feature = "crawl")]
mod sitemap;
#[cfg(feature = "crawl")]
mod text;

#[cfg(feature = "crawl")]
pub use {
    builder::{BuildError, Builder},
    canonical::{Canonical, TrailingSlash},
    crawler::{Crawl, Crawler, StartError},
    fate::{DeadLink, Death, Fate, LinkedFrom},
    fetch::{Body, ErrorKind, Fetch, FetchError, Method, Request, Response},
    frontier::{Counts, PageId, Skip, State, Step},
    http::Http,
    log::{Sample, Visit},
    memory::{Asked, MemorySite},
    record::{Outcome, Progress, Record, Visited},
    report::{Ended, Link, Page, Report},
    scope::{Pattern, PatternError},
    show::ReportError,
};

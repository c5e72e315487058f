//! A web crawler that finds dead links: a library, and the program `selvedge-crawl`.
//!
//! ```
//! use selvedge_crawl::{Crawler, MemorySite};
//!
//! let site = MemorySite::new()                     // in a program: leave `fetch` out, and it is HTTP
//!     .page("http://loom.test/", "<a href=warp>warp</a> <a href=lost>lost</a>")
//!     .page("http://loom.test/warp", "<a href=/>home</a>");
//! let report = Crawler::builder().fetch(site).workers(16).build()?.run("http://loom.test/")?;
//! for link in report.dead_links() {
//!     println!("{} {}", link.problem, link.url);     // 404 Not Found http://loom.test/lost
//! }
//! # assert_eq!(report.dead_count(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The source
//! | file | what is in it |
//! |---|---|
//! | `frontier` | each page once, nearest first, at its shortest distance, for any number of workers; knows no HTTP |
//! | `builder`, `settings`, `canonical`, `scope`, `retry` | the settings of a crawl |
//! | `engine`, `host_setup`, `requests`, `reading`, `redirects`, `too_many_requests`, `crawler`, `resume` | a worker's treatment of a page, and the crawl as a whole |
//! | `fetch`, `http`, `head`, `codings`, `resolver`, `memory`, `files`, `cache`, `credentials`, `cookies` | one request: the trait; over HTTP, from memory, from the disk; which origin gets which credentials |
//! | `html`, `elements`, `attributes`, `markdown`, `css`, `text`, `sitemap`, `robots` | the contents of responses |
//! | `record`, `log`, `report`, `reverse`, `resolution`, `policy`, `fragments` | the results, and the questions about them |
//! | `show` | the formats: text, Markdown, JSON, CSV, HTML, annotations, pictures; `fixes` groups what one change mends |
//! | `panics` | panics of callbacks and fetchers |
//!
//! It uses only the public interface of selvedge, as any other program would: a [`Pool`](selvedge::Pool) for
//! the workers, a [`Monitor`](selvedge::Monitor) for the pages that they share, a
//! [`SingleFlight`](selvedge::SingleFlight) for each host's robots.txt, a
//! [`BoundedQueue`](selvedge::BoundedQueue) for pages that the caller reads as they come, a
//! [`WaitGroup`](selvedge::WaitGroup) for the end, and one [`CancelToken`](selvedge::CancelToken) that
//! reaches every sleeper.

#![forbid(unsafe_code)]

mod attributes;
mod builder;
mod cache;
mod canonical;
mod codings;
mod cookies;
mod crawler;
mod credentials;
mod css;
mod elements;
mod engine;
mod fetch;
mod files;
mod fragments;
mod frontier;
mod head;
mod host_setup;
mod html;
mod http;
mod log;
mod markdown;
mod memory;
mod panics;
mod policy;
mod reading;
mod record;
mod redirects;
mod report;
mod requests;
mod resolution;
mod resolver;
mod resume;
mod retry;
mod reverse;
mod robots;
mod scope;
mod settings;
mod show;
mod sitemap;
mod text;
mod too_many_requests;

pub use builder::{BuildError, Builder, Content};
pub use cache::{Cache, CacheError};
pub use canonical::{Canonical, TrailingSlash};
pub use crawler::{Crawl, Crawler, StartError};
pub use fetch::{Body, ErrorKind, Fetch, FetchError, Method, Request, Response};
pub use files::{Files, Folder, FolderError};
pub use frontier::{Counts, PageId, Skip, State, Step};
pub use http::Http;
pub use log::{Sample, Visit};
pub use memory::{Asked, MemorySite};
pub use policy::{Ignore, Redirects};
pub use record::{Outcome, Progress, Record, Visited};
pub use report::{Ended, Link, Page, Report};
pub use resolution::{DeadLink, LinkedFrom, Problem, Resolution};
pub use scope::{Pattern, PatternError};
pub use show::ReportError;

/// The README's commands and examples.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

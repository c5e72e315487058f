//! A site in memory, for tests and examples.

use std::collections::HashMap;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

use selvedge::Clock;
use selvedge::sync::{Arc, Mutex};

use super::fetch::{Body, ErrorKind, Fetch, FetchError, Method, Request, Response};
use crate::panics::{self, Held};

type Answer = Arc<dyn Fn(&Request<'_>) -> Result<Response, FetchError> + Send + Sync>;

/// The planned answers, by URL.
#[derive(Clone, Default)]
struct Answers(HashMap<String, Answer>);

impl Drop for Answers {
    /// Drops each, also after one whose drop panicked; a map of std's would forget the others.
    fn drop(&mut self) {
        panics::drop_each(self.0.drain().map(|(_, answer)| answer));
    }
}

/// A site that answers out of memory and keeps a list of what it was asked.
///
/// Pages, redirects, statuses with headers, failures and slow answers are planned by URL. A path without a
/// plan is a 404; so is a host's robots.txt, which means that everything is allowed. A host without any
/// planned URL does not exist.
///
/// Clones are the same site.
///
/// # Examples
/// ```
/// use selvedge_crawl::{Crawler, MemorySite};
///
/// let site = MemorySite::new()
///     .page("http://loom.test/", "<a href=warp>warp</a> <a href=lost>lost</a>")
///     .page("http://loom.test/warp", "<a href=/>home</a>");
/// let crawler = Crawler::builder().fetch(site.clone()).build()?;
/// let report = crawler.run("http://loom.test/")?;
/// let dead = report.dead_links();
/// assert_eq!((dead.len(), dead[0].url.as_str()), (1, "http://loom.test/lost"));
/// assert_eq!(site.asked().len(), 4); // with the robots.txt
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
#[must_use = "a site does nothing until a crawler is given it"]
pub struct MemorySite {
    pages: Answers,
    otherwise: Option<Answer>,
    /// How long the answers to some URLs take.
    delays: HashMap<String, Duration>,
    clock: Option<Clock>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// A request that a [`MemorySite`] was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Asked {
    /// The URL.
    pub url: String,
    /// GET or HEAD.
    pub method: Method,
    /// The time of the request, on the site's clock.
    pub at: Instant,
}

impl MemorySite {
    /// Makes an empty site.
    pub fn new() -> Self {
        MemorySite::default()
    }

    /// Takes the times of requests from `clock`; from the system's by default.
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = Some(clock.into());
        self
    }

    /// Plans a page of HTML.
    pub fn page(self, url: &str, html: &str) -> Self {
        self.response(url, Response::html(html))
    }

    /// Plans a redirect.
    pub fn redirect(self, url: &str, status: u16, to: &str) -> Self {
        self.response(url, Response::redirect(status, to))
    }

    /// Plans an answer, with its status, headers and body.
    pub fn response(self, url: &str, response: Response) -> Self {
        self.answer(url, move |_| Ok(response.clone()))
    }

    /// Plans a failure: there is no answer.
    pub fn failure(self, url: &str, kind: ErrorKind) -> Self {
        self.answer(url, move |_| Err(FetchError::new(kind, "as planned")))
    }

    /// Lets the answer to a URL take `time`, on the clock of the request's token. A request with less
    /// patience times out, and one whose crawl is stopped ends at once.
    ///
    /// # Examples
    /// A page that is slower than the crawl's time-out, on a clock that a test advances:
    /// ```
    /// use std::thread;
    /// use std::time::Duration;
    /// use selvedge::Clock;
    /// use selvedge_crawl::{Crawler, ErrorKind, MemorySite, Outcome};
    ///
    /// let clock = Clock::manual();
    /// let site = MemorySite::new().clock(&clock).page("http://loom.test/", "").slow("http://loom.test/", Duration::from_secs(40));
    /// let crawler = Crawler::builder().fetch(site).clock(&clock).retries(0).build()?;
    /// let crawl = crawler.spawn("http://loom.test/", selvedge::Until::forever())?;
    /// clock.wait_for_sleepers(1);
    /// clock.advance(Duration::from_secs(20));
    /// let report = crawl.finish();
    /// assert_eq!(report.page(0).outcome(), Some(Outcome::Failed(ErrorKind::TimedOut)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn slow(mut self, url: &str, time: Duration) -> Self {
        self.delays.insert(url.to_owned(), time);
        self
    }

    /// Plans an answer that a closure makes for each request.
    pub fn answer(
        mut self,
        url: &str,
        answer: impl Fn(&Request<'_>) -> Result<Response, FetchError> + Send + Sync + 'static,
    ) -> Self {
        self.pages.0.insert(url.to_owned(), Arc::new(answer));
        self
    }

    /// Plans the answer to every URL without a plan of its own.
    pub fn otherwise(
        mut self,
        answer: impl Fn(&Request<'_>) -> Result<Response, FetchError> + Send + Sync + 'static,
    ) -> Self {
        let answer = Held::new(answer);
        self.otherwise = Some(Arc::new(move |request| answer(request)));
        self
    }

    /// The requests so far, in order.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().clone()
    }

    /// Waits as long as the answer takes, or the client.
    fn wait(&self, request: &Request<'_>) -> Result<(), FetchError> {
        let Some(&time) = self.delays.get(request.url.as_str()) else { return Ok(()) };
        let patience = request.read.min(request.total);
        request
            .token
            .sleep(time.min(patience))
            .map_err(|_| FetchError::new(ErrorKind::Stopped, "stopped"))?;
        match time > patience {
            true => Err(FetchError::new(ErrorKind::TimedOut, format!("no answer within {patience:?}"))),
            false => Ok(()),
        }
    }

    fn unplanned(&self, request: &Request<'_>) -> Result<Response, FetchError> {
        if let Some(answer) = &self.otherwise {
            return answer(request);
        }
        let host = super::canonical::origin(request.url);
        let known = |url: &String| url.strip_prefix(host).is_some_and(|rest| rest.starts_with('/'));
        match self.pages.0.keys().any(known) {
            true => Ok(Response::status(404)),
            false => Err(FetchError::new(ErrorKind::NoSuchHost, format!("there is no {host}"))),
        }
    }
}

impl Fetch for MemorySite {
    fn fetch(&self, request: &Request<'_>) -> Result<Response, FetchError> {
        let at = self.clock.as_ref().map_or_else(|| Clock::system().now(), Clock::now);
        let asked = Asked { url: request.url.to_string(), method: request.method, at };
        self.asked.lock().push(asked);
        self.wait(request)?;
        let mut response = match self.pages.0.get(request.url.as_str()) {
            Some(answer) => answer(request)?,
            None => self.unplanned(request)?,
        };
        if let Body::Read(body) = &mut response.body {
            let length = body.len() as u64;
            if request.truncate && length > request.cap {
                body.truncate(request.cap as usize);
            }
            let length = body.len() as u64;
            if !request.wants(response.status, response.content_type()) {
                response.body = Body::Unread;
            } else if length > request.cap {
                response.body = Body::TooLarge(length);
            }
        }
        Ok(response)
    }
}

// Answers are called, not looked into.
impl UnwindSafe for MemorySite {}
impl RefUnwindSafe for MemorySite {}

impl fmt::Debug for MemorySite {
    /// Never waits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySite").field("pages", &self.pages.0.len()).finish_non_exhaustive()
    }
}

//! The caller's callbacks, and what they are given.

use std::borrow::Cow;
use std::fmt;

use url::Url;

use super::Builder;
use crate::fetch::{Body, Response};
use crate::frontier::PageId;
use crate::html::Found;
use crate::panics::Held;
use crate::record::Visited;
use crate::text;

type OnPage = Box<dyn Fn(&Visited) + Send + Sync>;
type OnContent = Box<dyn Fn(&Content<'_>) + Send + Sync>;

/// The callbacks of a crawler, in the order in which they were given.
#[derive(Default)]
pub(crate) struct Hooks {
    pub(crate) on_page: Vec<Held<OnPage>>,
    pub(crate) on_content: Vec<Held<OnContent>>,
}

/// A page with its content: what [`Builder::on_content`] callbacks are given.
#[non_exhaustive]
pub struct Content<'a> {
    /// The page's number in the report.
    pub id: PageId,
    /// Its URL in the canonical spelling.
    pub url: &'a Url,
    /// The number of links from the start, by the shortest way found so far.
    pub depth: u32,
    /// The response, with its status, headers and body.
    pub response: &'a Response,
    pub(crate) links: &'a [Found],
}

impl<'a> Content<'a> {
    /// The body, unpacked.
    pub fn body(&self) -> &'a [u8] {
        match &self.response.body {
            Body::Read(body) => body,
            _ => &[],
        }
    }

    /// The body as text, in the encoding that a browser would take it for. Bytes that do not fit are
    /// replaced.
    pub fn text(&self) -> Cow<'a, str> {
        text::decode(self.body(), self.response.get("content-type")).0
    }

    /// The links on the page, in its order, each URL once, with their texts. Links that the crawl does not
    /// follow are among them.
    pub fn links(&self) -> impl Iterator<Item = (&'a Url, &'a str)> + use<'a> {
        self.links.iter().map(|found| (&found.url, found.text.as_str()))
    }
}

impl fmt::Debug for Content<'_> {
    /// Without the body.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Content");
        out.field("url", &self.url.as_str()).field("status", &self.response.status);
        out.field("bytes", &self.body().len()).field("links", &self.links.len()).finish_non_exhaustive()
    }
}

impl Builder {
    /// Calls `f` with each page when it is settled, after the report has it and before the iterator does.
    ///
    /// Workers call it, several at a time, with no lock held. A worker in a callback fetches nothing
    /// meanwhile. A panic stops the crawl and resumes at its owner; the other callbacks are still called with
    /// the page.
    pub fn on_page(mut self, f: impl Fn(&Visited) + Send + Sync + 'static) -> Self {
        self.hooks.on_page.push(Held::new(Box::new(f)));
        self
    }

    /// Calls `f` with the content of each page that was read for links, and of each style sheet and sitemap:
    /// to scrape a site, or to check more than its links.
    ///
    /// It is called like [`on_page`](Builder::on_page), before it for the same page, when the page has
    /// already given up its place at its host. The content is borrowed: what outlives the call is copied.
    ///
    /// # Examples
    /// The titles of all pages:
    /// ```
    /// use std::collections::BTreeMap;
    /// use std::sync::{Arc, Mutex};
    ///
    /// use selvedge_crawl::{Crawler, MemorySite};
    ///
    /// let site = MemorySite::new()
    ///     .page("http://loom.test/", "<title>Home</title> <a href=warp>the warp</a>")
    ///     .page("http://loom.test/warp", "<title>Warp</title>");
    /// let titles = Arc::new(Mutex::new(BTreeMap::new()));
    /// let found = Arc::clone(&titles);
    /// let crawler = Crawler::builder()
    ///     .fetch(site)
    ///     .on_content(move |page| {
    ///         let html = page.text();
    ///         let title = html.split("<title>").nth(1).and_then(|rest| rest.split("</title>").next());
    ///         found.lock().unwrap().extend(title.map(|title| (page.url.to_string(), title.to_owned())));
    ///         for (url, text) in page.links() {
    ///             assert_eq!((url.path(), text), ("/warp", "the warp"));
    ///         }
    ///     })
    ///     .build()?;
    /// crawler.run("http://loom.test/")?;
    /// let titles = titles.lock().unwrap();
    /// assert_eq!(titles["http://loom.test/"], "Home");
    /// assert_eq!(titles["http://loom.test/warp"], "Warp");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_content(mut self, f: impl Fn(&Content<'_>) + Send + Sync + 'static) -> Self {
        self.hooks.on_content.push(Held::new(Box::new(f)));
        self
    }
}

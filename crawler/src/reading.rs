//! Reading an answer: its links, its URLs, and the record that the report keeps of it.

use std::collections::HashSet;
use std::time::Duration;

use selvedge::sync::{Arc, lazy_static};
use url::Url;

use super::attributes::refresh_target;
use super::canonical::is_file;
use super::engine::{Engine, Made, PAGE, SHEET, SITEMAP, SITEMAP_CAP};
use super::fetch::{Body, ErrorKind, FetchError, Response, mime};
use super::files::Folder;
use super::frontier::{Lease, PageId};
use super::html::{Found, Kind, Links, Reading};
use super::markdown::{is_markdown, to_html};
use super::record::{Outcome, Record};
use super::redirects::redirect;
use super::sitemap::{self, Sitemap};
use super::text;

impl Engine {
    /// Reads a final answer, and settles its page.
    pub(super) fn read(
        &self,
        lease: Lease<'_, Record>,
        url: &Url,
        answer: Result<Response, FetchError>,
        made: Made,
    ) {
        let took = made.took;
        let response = match answer {
            Ok(response) => response,
            Err(error) => {
                let record = Record::failed(&error, took, lease.tries);
                return self.settle(lease, record);
            }
        };
        if let Some(location) = redirect(&response) {
            return match self.resolve(url, location) {
                Some(to) => self.follow(lease, &response, to, made),
                None => self.leave(lease, &response, url, location, made),
            };
        }
        let is_front = self.front.lock().contains(&lease.page);
        if is_front && lease.rank == PAGE && is_sitemap(&response, url) {
            return lease.put_back_for(SITEMAP);
        }
        // A sitemap's URL may have redirected to a page, which is read as one.
        let is_page = |body| lease.rank == SITEMAP && lease.distance.hops > 0 && is_page(&response, body);
        let rank = match &response.body {
            Body::Read(body) if is_page(body) => PAGE,
            _ => lease.rank,
        };
        let response = if rank == PAGE { without_unknown(response) } else { response };
        let links = match self.found_in(lease.page, rank, &response, url) {
            Ok(links) => links,
            Err(error) => {
                let record =
                    Record { status: Some(response.status), ..Record::failed(&error, took, lease.tries) };
                return self.settle(lease, record);
            }
        };
        let accepted = self.settings.request.accepts(response.status);
        let record = Record::answered(&response, rank, accepted, took, lease.tries);
        let is_read = matches!(response.body, Body::Read(_)) && rank >= SHEET;
        self.settle_read(lease, record, &links, is_read.then_some((url, &response)));
    }

    /// What a response leads to, if it was read: the links of a page, of a style sheet or of a sitemap.
    fn found_in(
        &self,
        page: PageId,
        rank: u8,
        response: &Response,
        url: &Url,
    ) -> Result<Vec<Found>, FetchError> {
        let Body::Read(body) = &response.body else { return Ok(Vec::new()) };
        match rank {
            PAGE => Ok(self.links(page, body, response, url)),
            SHEET => Ok(self.sheet(page, body, response, url)),
            SITEMAP => self.sitemap(body, response, url),
            _ => Ok(Vec::new()),
        }
    }

    /// The links of a page. Those that are no http URL go into the log.
    pub(super) fn links(&self, page: PageId, body: &[u8], response: &Response, url: &Url) -> Vec<Found> {
        let (html, encoding) = text::decode(body, response.content_type());
        let html = if response.mime().is_some_and(is_markdown) { to_html(&html).into() } else { html };
        let rules = Reading { is_xml: is_xhtml(response), ..self.reading(url) };
        let mut links = Links::of(&html, url, encoding, &rules);
        let headers = response.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("link"));
        links.extend(Links::of_headers(headers.map(|(_, value)| value.as_str()), url, &rules));
        links.drop_repeated();
        let is_for_its_parts = self.settings.external_fragments && !self.scope.allows(url);
        if is_for_its_parts && !self.front.lock().contains(&page) {
            links = Links { parts: links.parts, ..Links::default() };
            return self.noted(page, links);
        }
        let refresh = response.get("refresh").and_then(refresh_target);
        if let Some(url) = refresh.and_then(|text| self.resolve(url, &text)) {
            links.found.push(Found { url, text: "(refresh)".to_owned(), kind: Kind::Page, has_part: false });
        }
        self.noted(page, links)
    }

    /// The URLs in a style sheet.
    pub(super) fn sheet(&self, page: PageId, body: &[u8], response: &Response, url: &Url) -> Vec<Found> {
        let css = text::decode_sheet(body, response.content_type());
        self.noted(page, Links::of_sheet(&css, url, &self.reading(url)))
    }

    fn reading(&self, page: &Url) -> Reading<'_> {
        Reading {
            canonical: &self.settings.canonical,
            fragments: self.settings.fragments,
            files: is_file(page),
            root: self.scope.folder_of(page).and_then(Folder::root),
            is_xml: false,
        }
    }

    fn noted(&self, page: PageId, links: Links) -> Vec<Found> {
        let Links { mut found, not_http, broken, logins, parts_wanted, parts, .. } = links;
        logins.iter().for_each(|url| self.credentials.note(url));
        if self.settings.external_fragments {
            let wanted: HashSet<&Url> = parts_wanted.iter().map(|(url, _)| url).collect();
            found.iter_mut().for_each(|found| found.has_part = wanted.contains(&found.url));
        }
        if self.settings.fragments {
            let mut log = self.log.lock();
            log.fragments.parts.insert(page, parts.into());
            let wanted = parts_wanted.into_iter();
            // A page that is read once more has only the links of the last time.
            log.fragments.links.retain(|(from, ..)| *from != page);
            log.fragments.links.extend(wanted.map(|(url, part)| (page, url.as_str().into(), part.into())));
        }
        if !(not_http.is_empty() && broken.is_empty()) {
            let mut log = self.log.lock();
            log.not_http(not_http);
            let room = self.settings.links.saturating_sub(log.broken.len());
            log.broken.extend(broken.into_iter().take(room).map(|text| (page, text.into_boxed_str())));
        }
        found
    }

    /// The URLs of a sitemap. Sitemaps that it names are added to the frontier.
    ///
    /// # Errors
    /// What it is instead.
    pub(super) fn sitemap(
        &self,
        body: &[u8],
        response: &Response,
        url: &Url,
    ) -> Result<Vec<Found>, FetchError> {
        let none = |why: &str| FetchError::new(ErrorKind::NotUnderstood, why);
        let body = sitemap::unpacked(body, SITEMAP_CAP).ok_or_else(|| none("it cannot be unpacked"))?;
        let (text, _) = text::decode(&body, response.content_type());
        let Sitemap { pages, maps } = Sitemap::of(&text).ok_or_else(|| none("it is no sitemap"))?;
        for map in maps.iter().filter_map(|text| self.resolve(url, text)) {
            self.add_sitemap(url, &map);
        }
        let found = pages.iter().filter_map(|text| self.resolve(url, text));
        Ok(found.map(|url| Found { url, text: String::new(), kind: Kind::Page, has_part: false }).collect())
    }
}

/// True of a start that is read as a sitemap or a feed rather than as a page.
fn is_sitemap(response: &Response, url: &Url) -> bool {
    let mime = response.mime().unwrap_or_default().to_ascii_lowercase();
    let is_xml = matches!(
        &*mime,
        "application/xml"
            | "text/xml"
            | "application/rss+xml"
            | "application/atom+xml"
            | "application/gzip"
            | "application/x-gzip"
    );
    let name = url.path().rsplit('/').next().unwrap_or_default();
    let is_named = [".xml", ".xml.gz"].iter().any(|end| name.ends_with(end))
        || (name.contains("sitemap") && [".txt", ".txt.gz"].iter().any(|end| name.ends_with(end)));
    // Of no type, and not like HTML.
    let is_unknown = matches!(&response.body, Body::Read(body) if mime.is_empty() && !text::is_html(body));
    response.status == 200
        && ((response.body == Body::Unread && is_xml)
            || (is_named && (response.body == Body::Unread || is_unknown)))
}

/// An answer of no known type, whose body is read only if it begins like HTML.
fn without_unknown(mut response: Response) -> Response {
    let is_html = |body: &Vec<u8>| body.is_empty() || text::is_html(body);
    if response.mime().is_none() && matches!(&response.body, Body::Read(body) if !is_html(body)) {
        response.body = Body::Unread;
    }
    response
}

/// Whether the response to a request for a sitemap is HTML.
fn is_page(response: &Response, body: &[u8]) -> bool {
    let mime = response.mime().unwrap_or_default().to_ascii_lowercase();
    let head = String::from_utf8_lossy(&body[..body.len().min(1024)]);
    matches!(&*mime, "text/html" | "application/xhtml+xml")
        && !["<urlset", "<sitemapindex"].iter().any(|root| head.contains(root))
}

fn is_xhtml(response: &Response) -> bool {
    response.mime().is_some_and(|mime| mime.eq_ignore_ascii_case("application/xhtml+xml"))
}

impl Record {
    /// The record of a request without a response.
    pub(super) fn failed(error: &FetchError, took: Duration, retries: u32) -> Self {
        Record {
            outcome: Outcome::Failed(error.kind),
            status: None,
            mime: None,
            bytes: 0,
            took,
            retries,
            detail: Some(error.detail.as_str().into()),
        }
    }

    /// The record of a response; `accepted` says whether its status counts as success.
    pub(super) fn answered(
        response: &Response,
        rank: u8,
        accepted: bool,
        took: Duration,
        retries: u32,
    ) -> Self {
        let (outcome, bytes) = match &response.body {
            _ if redirect(response).is_some() => (Outcome::Redirect, 0),
            _ if !accepted => (Outcome::Refused, 0),
            Body::TooLarge(bytes) => (Outcome::TooLarge, *bytes),
            Body::Read(body) if rank == SITEMAP => (Outcome::Sitemap, body.len() as u64),
            Body::Read(body) if rank >= PAGE => (Outcome::Page, body.len() as u64),
            Body::Read(body) => (Outcome::Alive, body.len() as u64),
            Body::Unread => (Outcome::Alive, 0),
        };
        let detail = contradiction(response);
        let mime = response.mime().filter(|mime| !mime.is_empty()).map(shared);
        Record { outcome, status: Some(response.status), mime, bytes, took, retries, detail }
    }
}

/// Two types of one answer, of which a browser takes the last.
fn contradiction(response: &Response) -> Option<Box<str>> {
    let types = response.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let types: Vec<&str> = types.map(|(_, value)| value.as_str()).collect();
    let differs = types.iter().any(|other| mime(other) != mime(types[0]));
    differs.then(|| format!("several Content-Types: {}", types.join(", ")).into())
}

/// A media type for the record. The one that nearly every page has is shared.
fn shared(mime: &str) -> Arc<str> {
    lazy_static! {
        static ref HTML: Arc<str> = Arc::from("text/html");
    }
    if mime == &**HTML { Arc::clone(&HTML) } else { Arc::from(mime) }
}

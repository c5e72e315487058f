//! What an answer says: its links, its URLs, and the record that is kept of it.

use std::time::Duration;

use selvedge::sync::{Arc, lazy_static};
use url::Url;

use super::canonical::is_file;
use super::engine::{Engine, PAGE, SITEMAP, SITEMAP_CAP};
use super::fetch::{Body, FetchError, Response};
use super::files::Folder;
use super::frontier::PageId;
use super::html::{Found, Kind, Links, Reading, refresh_target};
use super::markdown::{is_markdown, to_html};
use super::record::{Outcome, Record};
use super::redirects::redirect;
use super::sitemap::{self, Sitemap};
use super::text;

impl Engine {
    /// The links of a page; those that are none are noted.
    pub(super) fn links(&self, page: PageId, body: &[u8], response: &Response, url: &Url) -> Vec<Found> {
        let (html, encoding) = text::decode(body, response.get("content-type"));
        let html = if response.mime().is_some_and(is_markdown) { to_html(&html) } else { html };
        let mut links = Links::of(&html, url, encoding, &self.reading(url));
        let refresh = response.get("refresh").and_then(refresh_target);
        if let Some(url) = refresh.and_then(|text| self.resolve(url, &text)) {
            links.found.push(Found { url, text: "(refresh)".to_owned(), kind: Kind::Page });
        }
        self.noted(page, links)
    }

    /// What a style sheet names.
    pub(super) fn sheet(&self, page: PageId, body: &[u8], response: &Response, url: &Url) -> Vec<Found> {
        let (css, _) = text::decode(body, response.get("content-type"));
        self.noted(page, Links::of_sheet(&css, url, &self.reading(url)))
    }

    fn reading(&self, page: &Url) -> Reading<'_> {
        Reading {
            canonical: &self.settings.canonical,
            fragments: self.settings.fragments,
            files: is_file(page),
            root: self.scope.folder_of(page).and_then(Folder::root),
        }
    }

    fn noted(&self, page: PageId, links: Links) -> Vec<Found> {
        let Links { found, not_http, broken, logins, parts_wanted, parts } = links;
        logins.iter().for_each(|url| self.credentials.note(url));
        if self.settings.fragments {
            let mut log = self.log.lock();
            log.fragments.parts.insert(page, parts.into());
            let wanted = parts_wanted.into_iter();
            // Of what was read before, as of its links, the last time counts.
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

    /// The URLs of a sitemap. Further sitemaps are taken in here.
    pub(super) fn sitemap(&self, body: &[u8], response: &Response, url: &Url) -> Vec<Found> {
        let Some(body) = sitemap::unpacked(body, SITEMAP_CAP) else { return Vec::new() };
        let (text, _) = text::decode(&body, response.get("content-type"));
        let Sitemap { pages, maps } = Sitemap::of(&text);
        for map in maps.iter().filter_map(|text| self.resolve(url, text)) {
            self.add_sitemap(url, &map);
        }
        let found = pages.iter().filter_map(|text| self.resolve(url, text));
        found.map(|url| Found { url, text: String::new(), kind: Kind::Page }).collect()
    }
}

impl Record {
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

    /// `accepted` says whether its status is one of those that are as they should be.
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
        let mime = response.mime().filter(|mime| !mime.is_empty()).map(shared);
        Record { outcome, status: Some(response.status), mime, bytes, took, retries, detail: None }
    }
}

/// A media type; the one that nearly every page has is kept once.
fn shared(mime: &str) -> Arc<str> {
    lazy_static! {
        static ref HTML: Arc<str> = Arc::from("text/html");
    }
    if mime == &**HTML { Arc::clone(&HTML) } else { Arc::from(mime) }
}

//! Requests as the crawl makes them, from a page and the settings.

use url::Url;

use super::engine::{Engine, LEAF, LEAF_GET, PAGE, SHEET, SITEMAP_CAP};
use super::fetch::{ErrorKind, FetchError, Method, Request, Response};
use super::redirects::redirect;
use crate::panics;

impl Engine {
    /// Keeps the cookies that a response sets.
    pub(super) fn keep_cookies(&self, url: &Url, response: &Response) {
        let set = response.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
        self.cookies.keep(url, set.map(|(_, value)| value.as_str()));
    }

    /// The headers of a request to `url`: its origin's, and its cookies.
    pub(super) fn headers_for(&self, url: &Url) -> Vec<(String, String)> {
        let mut headers = self.credentials.headers_for(&self.settings.request.headers, url);
        if let Some(cookies) = self.cookies.header(url) {
            match headers.iter_mut().find(|(name, _)| name.eq_ignore_ascii_case("cookie")) {
                Some((_, given)) => *given = format!("{given}; {cookies}"),
                None => headers.push(("Cookie".to_owned(), cookies)),
            }
        }
        headers
    }

    /// The request for a page of this rank.
    pub(super) fn request_for<'a>(
        &'a self,
        rank: u8,
        url: &'a Url,
        headers: &'a [(String, String)],
    ) -> Request<'a> {
        let (request, settings) = (self.request(url, headers), &self.settings.request);
        match rank {
            LEAF => Request { method: Method::Head, types: &self.nothing, ..request },
            LEAF_GET => Request { types: &self.nothing, ..request },
            SHEET => Request { types: &self.sheets, cap: settings.body_cap, ..request },
            PAGE => Request { types: &settings.types, cap: settings.body_cap, ..request },
            _ => Request { cap: SITEMAP_CAP, ..request },
        }
    }

    /// A GET that reads no body.
    pub(super) fn request<'a>(&'a self, url: &'a Url, headers: &'a [(String, String)]) -> Request<'a> {
        let settings = &self.settings.request;
        Request {
            url,
            method: Method::Get,
            agent: &settings.agent,
            headers,
            types: &[],
            cap: 0,
            truncate: false,
            connect: settings.connect,
            read: settings.read,
            total: settings.total,
            token: &self.token,
        }
    }

    /// Calls the fetcher. A panic in it becomes an error of kind [`ErrorKind::Panicked`].
    pub(super) fn fetch(&self, request: &Request<'_>) -> Result<Response, FetchError> {
        panics::catch(|| self.fetch.fetch(request)).unwrap_or_else(|payload| {
            let text = panics::text(&*payload).unwrap_or_default().to_owned();
            panics::discard(payload);
            Err(FetchError::new(ErrorKind::Panicked, text))
        })
    }
}

/// Whether the response to a HEAD says what a GET would come to. An error does not, since some servers do not
/// implement HEAD; nor does a redirect, which some of them answer every HEAD with.
pub(super) fn is_conclusive(answer: &Result<Response, FetchError>) -> bool {
    match answer {
        Ok(response) => redirect(response).is_none() && (response.status < 400 || response.status == 429),
        Err(_) => false,
    }
}

//! Redirects.
//!
//! A page is fetched once, so a redirect back to a page that redirected before is a loop, unless cookies were
//! set since: then that page is asked again with them, as often as redirects are followed.

use selvedge::sync::Arc;
use url::Url;

use super::canonical::is_file;
use super::credentials::without_login;
use super::engine::{Engine, LEAF, Made, PAGE};
use super::fetch::{ErrorKind, FetchError, Response};
use super::frontier::{Lease, NewLink, Skip, Step};
use super::html::is_typo;
use super::record::{Outcome, Record, Visited};

/// A page that answered with a redirect.
#[derive(Default)]
pub(super) struct Redirected {
    /// How often the cookies of its origin had changed when it was asked.
    cookies: u32,
    /// How often it was asked again because they had changed since.
    again: u32,
}

impl Engine {
    /// Settles a page that redirects to `to`. Where a start redirects (to https, to `www.`) is a start, too,
    /// and its host in scope.
    pub(super) fn follow(&self, lease: Lease<'_, Record>, response: &Response, to: Url, made: Made) {
        // Held until the page is settled, so that no worker takes the target before it is known as a start.
        let mut front = Some(self.front.lock()).filter(|front| front.contains(&lease.page));
        if front.is_some() {
            self.scope.add_host(&to);
        }
        let record = Record::answered(response, lease.rank, true, made.took, lease.tries);
        // A target out of scope may be dead, which makes the links to this page dead: it is checked like any
        // external link.
        // A page in scope is read although the way to it leads through other hosts.
        let is_back = || Url::parse(&lease.url).is_ok_and(|url| !self.scope.allows(&url));
        let (rank, skip) = match self.scope.allows(&to) {
            true if is_back() => (PAGE, None),
            true => (lease.rank, None),
            false => {
                let is_looked_at = self.settings.external || is_file(&to);
                let rank = if self.settings.external_fragments { lease.rank.min(PAGE) } else { LEAF };
                (rank, (!is_looked_at).then_some(Skip::OutOfScope))
            }
        };
        let (id, url, depth) = (lease.page, Arc::clone(&lease.url), lease.distance.depth);
        if self.settings.fragments && redirect(response).is_some_and(|to| to.contains('#')) {
            self.log.lock().fragments.redirected.insert(id);
        }
        let again = self.turns_again(&url, &to, made.cookies);
        let link = NewLink {
            url: to.as_str(),
            host: self.queue_of(&to),
            step: Step::Redirect,
            label: "",
            rank,
            skip,
            again,
        };
        let next = lease.finish(record.clone(), [link]);
        if let Some(front) = &mut front {
            front.extend(next.first().copied().flatten());
        }
        drop(front);
        self.tell(Visited { id, url, depth, record, links: 0 });
    }

    /// Settles a page that redirects to no http URL. A browser opens the program for `mailto:` and the like,
    /// so the page is alive; it goes neither to what is no URL nor to a URL that would run in the page's
    /// name.
    pub(super) fn leave(
        &self,
        lease: Lease<'_, Record>,
        response: &Response,
        url: &Url,
        location: &str,
        made: Made,
    ) {
        let to = url.join(location).ok().filter(|to| {
            !matches!(to.scheme(), "about" | "blob" | "data" | "file" | "javascript" | "http" | "https")
                && !is_typo(to.scheme())
        });
        let record = match to {
            Some(to) => {
                self.log.lock().not_http(vec![without_login(to.as_str())]);
                let record = Record::answered(response, lease.rank, true, made.took, lease.tries);
                Record { outcome: Outcome::Alive, ..record }
            }
            None => {
                let text = format!("its Location is {:?}", without_login(location));
                let error = FetchError::new(ErrorKind::RedirectToNowhere, text);
                let record = Record::failed(&error, made.took, lease.tries);
                Record { status: Some(response.status), ..record }
            }
        };
        self.settle(lease, record);
    }

    /// Notes that a page redirects to `to`, and returns whether `to` redirected before and is to be asked
    /// again with the cookies that were set since.
    fn turns_again(&self, page: &Arc<str>, to: &Url, cookies: u32) -> bool {
        let mut redirected = self.redirected.lock();
        redirected.entry(Arc::clone(page)).or_default().cookies = cookies;
        match redirected.get_mut(to.as_str()) {
            Some(before)
                if before.again < self.settings.redirects && before.cookies < self.cookies.version(to) =>
            {
                before.again += 1;
                true
            }
            _ => false,
        }
    }
}

/// The `Location` of a redirect. No other status redirects, whatever its headers say (RFC 9110 section 15.4).
pub(super) fn redirect(response: &Response) -> Option<&str> {
    matches!(response.status, 301 | 302 | 303 | 307 | 308).then(|| response.get("location")).flatten()
}

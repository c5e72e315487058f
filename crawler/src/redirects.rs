//! Answers that lead elsewhere.

use selvedge::sync::Arc;
use url::Url;

use super::canonical::is_file;
use super::engine::{Engine, LEAF, Made};
use super::fetch::Response;
use super::frontier::{Lease, NewLink, Skip, Step};
use super::record::{Record, Visited};

/// A page that led elsewhere: it may lead somewhere else when there are other cookies to send, which it is
/// asked once.
#[derive(Default)]
pub(super) struct Redirected {
    /// How often its origin's cookies had changed when it was asked.
    cookies: u32,
    was_asked_again: bool,
}

impl Engine {
    /// Settles a page that leads elsewhere. A start that moves house (to https, to www) takes the crawl
    /// along.
    pub(super) fn follow(&self, lease: Lease<'_, Record>, response: &Response, to: Url, made: Made) {
        let is_front = self.front.lock().contains(&lease.page);
        if is_front {
            self.scope.add_host(&to);
        }
        let record = Record::answered(response, lease.rank, true, made.took, lease.tries);
        // A page of ours that leads out may lead to a dead one, which is then looked at like a link that
        // does.
        let (rank, skip) = match self.scope.allows(&to) {
            true => (lease.rank, None),
            false => {
                let is_looked_at = self.settings.external || is_file(&to);
                (LEAF, (!is_looked_at).then_some(Skip::OutOfScope))
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
        if is_front {
            self.front.lock().extend(next.first().copied().flatten());
        }
        self.tell(Visited { id, url, depth, record, links: 0 });
    }

    /// Notes that a page leads to `to`; true if that one led elsewhere before, and is to be asked once more
    /// with the cookies that were set since.
    fn turns_again(&self, page: &Arc<str>, to: &Url, cookies: u32) -> bool {
        let mut redirected = self.redirected.lock();
        redirected.entry(Arc::clone(page)).or_default().cookies = cookies;
        match redirected.get_mut(to.as_str()) {
            Some(before) if !before.was_asked_again && before.cookies < self.cookies.version(to) => {
                before.was_asked_again = true;
                true
            }
            _ => false,
        }
    }
}

/// Where an answer leads, if it does.
pub(super) fn redirect(response: &Response) -> Option<&str> {
    matches!(response.status, 301 | 302 | 303 | 307 | 308).then(|| response.get("location")).flatten()
}

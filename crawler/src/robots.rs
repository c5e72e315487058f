//! What a host allows, and who asks it.

use std::collections::HashMap;
use std::time::Duration;

use selvedge::sync::{Arc, Mutex};
use selvedge::{CancelToken, SingleFlight};
use texting_robots::Robot;
use url::Url;

use super::fetch::{Body, FetchError, Response};
use super::resolution::Problem;
use super::retry::Again;

/// What is read of a robots.txt: RFC 9309 asks for at least this.
pub(super) const CAP: u64 = 500 << 10;
/// Redirects of a robots.txt that are followed, as RFC 9309 asks.
pub(super) const REDIRECTS: usize = 5;
/// The most that robots.txt can make us wait between two requests.
const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// What a host's robots.txt came to.
#[derive(Debug)]
pub(super) enum Rules {
    /// There is none, or nobody asked: everything is allowed.
    All,
    Obey(Box<Robot>),
    /// The host has trouble with it, and until it has none, nothing is allowed. What the trouble is.
    Unreadable(String),
    /// The host does not answer, so none of its pages will.
    Unreachable(FetchError),
}

impl Rules {
    /// Reads an answer, as RFC 9309 has it: no such file allows all, a server's trouble allows nothing, and
    /// what cannot be read cannot be obeyed, so it is taken for a no.
    pub(super) fn of(answer: Result<Response, FetchError>, agent: &str) -> Self {
        match answer {
            Err(error) => Rules::Unreachable(error),
            Ok(Response { status, .. }) if status >= 500 || status == 429 => {
                Rules::Unreadable(Problem::Status(status).to_string())
            }
            Ok(response) if !(200..300).contains(&response.status) => Rules::All,
            Ok(Response { body: Body::Read(body), .. }) => match Robot::new(agent, whole_lines(&body)) {
                Ok(robot) => Rules::Obey(Box::new(robot)),
                Err(_) => Rules::Unreadable("it is no text".to_owned()),
            },
            Ok(_) => Rules::Unreadable("it was not read".to_owned()),
        }
    }

    pub(super) fn allow(&self, url: &Url) -> bool {
        match self {
            Rules::Obey(robot) => robot.allowed(url.as_str()),
            Rules::All => true,
            Rules::Unreadable(_) | Rules::Unreachable(_) => false,
        }
    }

    /// What it asks for between two requests.
    pub(super) fn delay(&self) -> Duration {
        let Rules::Obey(robot) = self else { return Duration::ZERO };
        let delay = robot.delay.and_then(|seconds| Duration::try_from_secs_f32(seconds).ok());
        delay.unwrap_or_default().min(LONGEST_DELAY)
    }

    pub(super) fn sitemaps(&self) -> &[String] {
        match self {
            Rules::Obey(robot) => &robot.sitemaps,
            _ => &[],
        }
    }
}

/// A file without the end that was cut off: half a rule is another one.
fn whole_lines(body: &[u8]) -> &[u8] {
    if (body.len() as u64) < CAP {
        return body;
    }
    let end = body.iter().rposition(|byte| matches!(byte, b'\n' | b'\r'));
    &body[..end.map_or(0, |at| at + 1)]
}

/// The rules of all hosts that were asked, for as long as their crawler lives. Several crawls of one crawler
/// share them, and where two want the rules of one host at the same time, one asks and both are told.
#[derive(Debug, Default)]
pub(super) struct Robots {
    known: Mutex<HashMap<String, Arc<Rules>>>,
    asking: SingleFlight<String, Result<Arc<Rules>, Again>>,
}

impl Robots {
    /// The rules of a host; `ask` is called if nobody knows them and nobody else asks. What it fails with
    /// reaches all who asked, and nothing is remembered; nor is that a host could not be reached, which the
    /// next crawl should find out for itself. [`Again::No`] if the crawl was stopped.
    pub(super) fn of(
        &self,
        host: &str,
        token: &CancelToken,
        ask: impl FnOnce() -> Result<Rules, Again>,
    ) -> Result<Arc<Rules>, Again> {
        if let Some(known) = self.known(host) {
            return Ok(known);
        }
        let asked = self.asking.call_until(host, token, || {
            // Somebody may have been told between the look and the call.
            if let Some(known) = self.known(host) {
                return Ok(known);
            }
            let rules = Arc::new(ask()?);
            if !matches!(*rules, Rules::Unreachable(_)) {
                self.known.lock().insert(host.to_owned(), Arc::clone(&rules));
            }
            Ok(rules)
        });
        match asked {
            Ok(Ok(rules)) => rules,
            // The asker panicked, or the crawl was stopped.
            _ => Err(Again::No),
        }
    }

    fn known(&self, host: &str) -> Option<Arc<Rules>> {
        self.known.lock().get(host).cloned()
    }
}

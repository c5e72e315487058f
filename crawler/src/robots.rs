//! robots.txt (RFC 9309): what a host allows, and how often it is asked.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Duration;

use selvedge::sync::{Arc, Mutex};
use selvedge::{CancelToken, SingleFlight};
use texting_robots::Robot;
use url::Url;

use super::fetch::{Body, FetchError, Response};
use super::resolution::Problem;
use super::retry::Again;

/// Bytes of a robots.txt that are read: RFC 9309 asks for at least as many (section 2.5).
pub(super) const CAP: u64 = 500 << 10;
/// Redirects of a robots.txt that are followed: RFC 9309 asks for at least five (section 2.3.1.2).
pub(super) const REDIRECTS: usize = 5;
/// The longest pause between two requests that a robots.txt can ask for.
const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// The rules of a host.
#[derive(Debug)]
pub(super) enum Rules {
    /// There is no robots.txt, or it is not asked for: everything is allowed.
    All,
    Obey(Box<Robot>),
    /// The host failed to serve it, for this reason, so nothing is allowed.
    Unreadable(String),
    /// The host does not answer, and would not answer for a page.
    Unreachable(FetchError),
}

impl Rules {
    /// Reads an answer (section 2.3.1): a file that is unavailable allows everything, and a server error
    /// allows nothing. A file that cannot be read cannot be obeyed, so it allows nothing, either.
    pub(super) fn of(answer: Result<Response, FetchError>, agent: &str) -> Self {
        match answer {
            Err(error) => Rules::Unreachable(error),
            Ok(Response { status, .. }) if status >= 500 || status == 429 => {
                Rules::Unreadable(Problem::Status(status).to_string())
            }
            Ok(response) if !(200..300).contains(&response.status) => Rules::All,
            Ok(Response { body: Body::Read(body), .. }) => {
                match Robot::new(agent, &normalised(whole_lines(&body))) {
                    Ok(robot) => Rules::Obey(Box::new(robot)),
                    Err(_) => Rules::Unreadable("it is no text".to_owned()),
                }
            }
            Ok(_) => Rules::Unreadable("it was not read".to_owned()),
        }
    }

    /// Whether the host allows a page to be asked for.
    pub(super) fn allow(&self, url: &Url) -> bool {
        match self {
            Rules::Obey(robot) => {
                let url = with_normal_triplets(url.as_str().as_bytes());
                robot.allowed(&String::from_utf8_lossy(&url))
            }
            Rules::All => true,
            Rules::Unreadable(_) | Rules::Unreachable(_) => false,
        }
    }

    /// The pause between two requests that the host asks for.
    pub(super) fn delay(&self) -> Duration {
        let Rules::Obey(robot) = self else { return Duration::ZERO };
        let delay = robot.delay.and_then(|seconds| Duration::try_from_secs_f32(seconds).ok());
        delay.unwrap_or_default().min(LONGEST_DELAY)
    }

    /// The sitemaps that the file names, as it writes them.
    pub(super) fn sitemaps(&self) -> &[String] {
        match self {
            Rules::Obey(robot) => &robot.sitemaps,
            _ => &[],
        }
    }
}

/// A file up to its last line end if it was cut off: half a rule is another rule.
fn whole_lines(body: &[u8]) -> &[u8] {
    if (body.len() as u64) < CAP {
        return body;
    }
    let end = body.iter().rposition(|byte| matches!(byte, b'\n' | b'\r'));
    &body[..end.map_or(0, |at| at + 1)]
}

/// A file with the percent-encoding of its paths normalised, and with names of crawlers as the standard has
/// them: some files add a version (`loom/1.0`).
fn normalised(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    for line in body.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
        let begin = line.trim_ascii_start();
        let is = |rule: &str| {
            begin.get(..rule.len()).is_some_and(|name| name.eq_ignore_ascii_case(rule.as_bytes()))
        };
        if is("allow") || is("disallow") {
            out.extend_from_slice(&with_normal_triplets(line));
        } else if let Some(slash) = line.iter().position(|&byte| byte == b'/').filter(|_| is("user-agent")) {
            out.extend_from_slice(&line[..slash]);
            out.push(b'\n');
        } else {
            out.extend_from_slice(line);
        }
    }
    out
}

/// A path whose percent triplets compare equal if they mean the same (section 2.2.2): those of unreserved
/// characters are decoded, and the digits of all others are in upper case.
fn with_normal_triplets(path: &[u8]) -> Cow<'_, [u8]> {
    if !path.contains(&b'%') {
        return path.into();
    }
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&byte, after)) = rest.split_first() {
        let digit = |at: usize| char::from(*after.get(at)?).to_digit(16);
        match (byte, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                let byte = (high * 16 + low) as u8;
                match byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                    true => out.push(byte),
                    false => out.extend_from_slice(format!("%{byte:02X}").as_bytes()),
                }
                rest = &after[2..];
            }
            _ => {
                out.push(byte);
                rest = after;
            }
        }
    }
    out.into()
}

/// The rules of all hosts that were asked, for as long as their crawler lives. Its crawls share them; if two
/// need the rules of a host at the same time, one request serves both.
#[derive(Debug, Default)]
pub(super) struct Robots {
    known: Mutex<HashMap<String, Arc<Rules>>>,
    asking: SingleFlight<String, Result<Arc<Rules>, Again>>,
}

impl Robots {
    /// The rules of a host. `ask` is called unless they are known or another caller is asking. Its failure
    /// reaches every caller that waits for it and is not remembered; nor is an unreachable host, which the
    /// next crawl tries again. Returns [`Again::No`] if the crawl was stopped.
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
            // Another flight may have ended between the look and the call.
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
            // The leader panicked, or the crawl was stopped.
            _ => Err(Again::No),
        }
    }

    fn known(&self, host: &str) -> Option<Arc<Rules>> {
        self.known.lock().get(host).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn triplets_that_mean_the_same_are_the_same() {
        for (path, normal) in [
            ("/%7e%41%2f%c3%A9", "/~A%2F%C3%A9"),
            ("/%", "/%"),
            ("/%4", "/%4"),
            ("/%zz%2", "/%zz%2"),
            ("/a", "/a"),
        ] {
            assert_eq!(&*with_normal_triplets(path.as_bytes()), normal.as_bytes(), "{path}");
        }
        let file = b"user-agent: loom/1.0 # x\rDisallow: /%7e\r allow:%2f\nSitemap: /%7e\n";
        assert_eq!(normalised(file), b"user-agent: loom\nDisallow: /~\r allow:%2F\nSitemap: /%7e\n");
    }
}

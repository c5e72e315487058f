//! Which problems count: ignored ones, and redirects.

use std::time::SystemTime;

use super::canonical::is_file;
use super::frontier::PageId;
use super::report::Report;
use super::resolution::{DeadLink, Problem, Resolution};
use super::scope::Pattern;
use super::settings::Settings;

/// Ignores a known problem, for a stated reason and optionally until a date.
///
/// The URL is asked for as any other. If it is dead or uncertain, the report [lists](Report::ignored_links)
/// it with the reason, and it is not among the dead links. An expired one ignores nothing, and the report
/// says so; it also says which ones matched no problem and could go.
///
/// # Examples
/// ```
/// use std::time::{Duration, SystemTime};
/// use selvedge_crawl::{Crawler, Ignore, MemorySite, Pattern};
///
/// let site = MemorySite::new().page("http://loom.test/", "<a href=/a>a</a> <a href=/b>b</a>");
/// let yesterday = SystemTime::now() - Duration::from_secs(86_400);
/// let crawler = Crawler::builder()
///     .fetch(site)
///     .ignore(Ignore::new(Pattern::glob("*/a")?, "comes with the next release"))
///     .ignore(Ignore::new(Pattern::glob("*/b")?, "was to be mended").until(yesterday))
///     .build()?;
/// let report = crawler.run("http://loom.test/")?;
/// assert_eq!(report.dead_links()[0].url, "http://loom.test/b");
/// let ignored = report.ignored_links();
/// assert_eq!((&*ignored[0].0.url, ignored[0].1), ("http://loom.test/a", "comes with the next release"));
/// assert_eq!(report.notices().len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "it ignores nothing until a builder is given it"]
pub struct Ignore {
    pattern: Pattern,
    reason: String,
    until: Option<SystemTime>,
}

impl Ignore {
    /// Ignores problems of URLs that match, for this reason. The URL of a missing part of a page is the one
    /// with the part.
    pub fn new(pattern: Pattern, reason: impl Into<String>) -> Self {
        Ignore { pattern, reason: reason.into(), until: None }
    }

    /// The same, until that moment.
    pub fn until(mut self, time: SystemTime) -> Self {
        self.until = Some(time);
        self
    }
}

/// How links to pages that have moved are treated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Redirects {
    /// They are listed; permanent ones with a suggestion to update the link.
    #[default]
    Allow,
    /// Each is a warning, in every format with warnings.
    Warn,
    /// Permanent redirects (301, 308) are dead links.
    RefusePermanent,
    /// All are dead links.
    Refuse,
}

/// The settings that decide which problems count.
#[derive(Clone, Debug, Default)]
pub(super) struct Policy {
    ignored: Vec<Ignore>,
    redirects: Redirects,
    is_insecure: bool,
    /// The end of the crawl.
    now: Option<SystemTime>,
}

impl Policy {
    pub(super) fn of(settings: &Settings) -> Self {
        Policy {
            ignored: settings.ignored.clone(),
            redirects: settings.redirect_policy,
            is_insecure: settings.tls.is_insecure,
            now: Some(SystemTime::now()),
        }
    }

    fn is_expired(&self, ignore: &Ignore) -> bool {
        ignore.until.zip(self.now).is_some_and(|(until, now)| now >= until)
    }

    /// The entry that ignores problems of a URL.
    fn ignores(&self, url: &str) -> Option<&Ignore> {
        self.ignored.iter().find(|ignore| !self.is_expired(ignore) && ignore.pattern.matches(url))
    }

    /// The problems that are not ignored.
    pub(super) fn counting(&self, mut links: Vec<DeadLink>) -> Vec<DeadLink> {
        links.retain(|link| self.ignores(&link.url).is_none());
        links
    }
}

impl Report {
    /// The problems that are [ignored](Ignore), dead links and uncertain ones, each with the reason.
    pub fn ignored_links(&self) -> Vec<(DeadLink, &str)> {
        if self.policy.ignored.is_empty() {
            return Vec::new();
        }
        let all = self.every_dead_link().into_iter().chain(self.every_uncertain_link());
        all.filter_map(|link| {
            let ignore = self.policy.ignores(&link.url)?;
            Some((link, ignore.reason.as_str()))
        })
        .collect()
    }

    /// The links to pages that have moved, if each is to be a [warning](Redirects::Warn).
    pub fn redirect_warnings(&self) -> Vec<DeadLink> {
        match self.policy.redirects {
            Redirects::Warn => self.policy.counting(self.moved(false)),
            _ => Vec::new(),
        }
    }

    /// The links to pages that have moved, as far as they are to be dead.
    pub(super) fn refused_redirects(&self) -> Vec<DeadLink> {
        match self.policy.redirects {
            Redirects::Allow | Redirects::Warn => Vec::new(),
            Redirects::RefusePermanent => self.moved(true),
            Redirects::Refuse => self.moved(false),
        }
    }

    /// The links to pages that lead elsewhere and not to a problem; if `for_good`, with permanent redirects
    /// only.
    fn moved(&self, for_good: bool) -> Vec<DeadLink> {
        let is_for_good = |id: PageId| matches!(self.page(id).status(), Some(301 | 308));
        let redirects = self.redirects().into_iter().filter(|(id, via, resolution)| {
            let steps = via.split_last().map_or(&[][..], |(_, steps)| steps);
            let is_counted = matches!(resolution, Resolution::Alive | Resolution::Unknown)
                && (!for_good || (is_for_good(*id) && steps.iter().all(|&step| is_for_good(step))));
            // The names of a folder's index are this program's own affair.
            is_counted
                && self.is_linked(*id)
                && !url::Url::parse(&self.page(*id).url).is_ok_and(|url| is_file(&url))
        });
        let links = redirects.map(|(id, via, _)| DeadLink {
            url: self.page(id).url.to_string(),
            via: via.iter().map(|&id| self.page(id).url.to_string()).collect(),
            problem: Problem::Redirected(self.page(id).status().unwrap_or_default()),
            linked_from: self.linkers(id),
        });
        links.collect()
    }

    /// Whether certificates were [not checked](super::Builder::insecure).
    pub fn is_insecure(&self) -> bool {
        self.policy.is_insecure
    }

    /// What a reader should know of the run itself, a sentence each: that certificates were not checked,
    /// patterns that matched nothing, and ignored problems that have expired or are gone.
    pub fn notices(&self) -> Vec<String> {
        let mut notices = Vec::new();
        if self.policy.is_insecure {
            notices.push(
                "INSECURE: certificates were not checked, so anybody on the way may have answered."
                    .to_owned(),
            );
        }
        notices.extend(
            self.unmatched_patterns().map(|pattern| format!("The pattern {pattern} matched nothing.")),
        );
        if self.policy.ignored.is_empty() {
            return notices;
        }
        let problems: Vec<DeadLink> =
            self.every_dead_link().into_iter().chain(self.every_uncertain_link()).collect();
        for ignore in &self.policy.ignored {
            let Ignore { pattern, reason, .. } = ignore;
            if self.policy.is_expired(ignore) {
                notices.push(format!("No longer ignored, since its time has passed: {pattern} ({reason})."));
            } else if !problems.iter().any(|link| pattern.matches(&link.url)) {
                notices.push(format!("Nothing to ignore for {pattern} ({reason}); it can go."));
            }
        }
        notices
    }
}

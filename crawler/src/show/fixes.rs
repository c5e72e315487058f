//! Problems in groups that one change mends, which every format for people shows in the same order.

use std::collections::{BTreeMap, HashSet};

use crate::{DeadLink, ErrorKind, Outcome, Problem, Report};

/// Links that one change mends: all links to one URL, or all links to a host that cannot be reached.
pub(super) struct Fix<'a> {
    /// The URL, or the host's origin.
    pub(super) target: &'a str,
    /// True if `target` is an origin and `links` has several URLs of it.
    pub(super) is_host: bool,
    pub(super) links: Vec<&'a DeadLink>,
}

/// The fixes for one kind of problem.
pub(super) struct Kind<'a> {
    /// The problem in a few words, such as `404 Not Found`.
    pub(super) name: String,
    pub(super) fixes: Vec<Fix<'a>>,
}

/// Groups links by kind of problem, and within a kind by what mends them. What is on most pages comes first.
pub(super) fn by_kind(links: &[DeadLink]) -> Vec<Kind<'_>> {
    let mut kinds: BTreeMap<String, BTreeMap<&str, Vec<&DeadLink>>> = BTreeMap::new();
    for link in links {
        let target = unreachable_origin(link).unwrap_or(&link.url);
        kinds.entry(link.problem.to_string()).or_default().entry(target).or_default().push(link);
    }
    let mut kinds: Vec<Kind<'_>> = kinds.into_iter().map(|(name, targets)| Kind::of(name, targets)).collect();
    // Stable, so that ties stay in the order of their names.
    kinds.sort_by_key(|kind| std::cmp::Reverse(kind.places()));
    kinds
}

/// The origin of a link's target, if the problem is the whole host's.
fn unreachable_origin(link: &DeadLink) -> Option<&str> {
    let Problem::Failed { kind, .. } = &link.problem else { return None };
    let is_hosts = matches!(
        kind,
        ErrorKind::NoSuchHost | ErrorKind::ConnectionRefused | ErrorKind::Tls | ErrorKind::GivenUp
    );
    is_hosts.then(|| origin(link.via.last().unwrap_or(&link.url)))
}

impl<'a> Kind<'a> {
    fn of(name: String, targets: BTreeMap<&'a str, Vec<&'a DeadLink>>) -> Self {
        let fix = |(target, links): (&'a str, Vec<&'a DeadLink>)| match links[..] {
            // A URL says more than its host.
            [link] => Fix { target: &link.url, is_host: false, links },
            _ => Fix { target, is_host: true, links },
        };
        let mut fixes: Vec<Fix<'_>> = targets.into_iter().map(fix).collect();
        fixes.sort_by_key(|fix| std::cmp::Reverse(fix.places()));
        Kind { name, fixes }
    }

    /// The number of links.
    pub(super) fn places(&self) -> usize {
        self.fixes.iter().map(Fix::places).sum()
    }

    /// The number of URLs.
    pub(super) fn urls(&self) -> usize {
        self.fixes.iter().map(|fix| fix.links.len()).sum()
    }
}

impl Fix<'_> {
    /// The number of links. A start that is dead counts as one.
    pub(super) fn places(&self) -> usize {
        self.links.iter().map(|link| link.linked_from.len().max(1)).sum()
    }

    /// A hint if the same link is on most pages that were read: it is written once, in a template.
    pub(super) fn hint(&self, report: &Report) -> Option<String> {
        let read = report.records().filter(|record| record.outcome == Outcome::Page).count();
        let on = |link: &&DeadLink| {
            let pages: HashSet<&str> = link.linked_from.iter().map(|from| &*from.page).collect();
            pages.len()
        };
        let most = self.links.iter().map(on).max().unwrap_or(0);
        (most > 10 && most * 2 > read)
            .then(|| format!("On {} of {} pages, so probably in a template.", grouped(most), grouped(read)))
    }
}

/// Scheme, host and port of a URL that is written in full.
pub(super) fn origin(url: &str) -> &str {
    let begin = url.find("://").map_or(0, |at| at + 3);
    let end = url[begin..].find(['/', '?', '#']).map_or(url.len(), |at| begin + at);
    &url[..end]
}

impl Report {
    /// The origin where the crawl began.
    pub(super) fn home(&self) -> &str {
        self.pages().first().map_or("", |page| origin(&page.url))
    }

    /// A URL as it is shown: without the origin if that is where the crawl began.
    pub(super) fn short<'a>(&self, url: &'a str) -> &'a str {
        let home = self.home();
        match url.strip_prefix(home) {
            Some(rest) if rest.starts_with('/') && !home.is_empty() => rest,
            _ => url,
        }
    }
}

/// True if the host of `url` is one that the crawl is about.
pub(super) fn is_inside(report: &Report, url: &str) -> bool {
    let host = origin(url).rsplit_once("://").map_or("", |(_, host)| host);
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    report.hosts.iter().any(|known| known == name)
}

/// A number with commas between its thousands.
pub(super) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number and a noun, in the plural unless the number is one.
pub(super) fn counted(count: usize, noun: &str) -> String {
    format!("{} {noun}{}", grouped(count), if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LinkedFrom;

    fn link(url: &str, kind: Option<ErrorKind>, places: usize) -> DeadLink {
        let problem = match kind {
            Some(kind) => Problem::Failed { kind, detail: String::new() },
            None => Problem::Status(404),
        };
        let from = |page| LinkedFrom { page: format!("http://loom.test/{page}"), text: String::new() };
        DeadLink {
            url: url.to_owned(),
            via: Vec::new(),
            problem,
            linked_from: (0..places).map(from).collect(),
        }
    }

    #[test]
    fn urls_of_a_host_that_does_not_exist_are_one_fix_and_those_of_a_host_that_refuses_them_are_not() {
        let gone = Some(ErrorKind::NoSuchHost);
        let links = [
            link("http://gone.test/a", gone, 1),
            link("http://gone.test/b", gone, 2),
            link("http://other.test/", gone, 1),
            link("http://loom.test/a", None, 1),
            link("http://loom.test/b", None, 7),
        ];
        let kinds = by_kind(&links);
        let shape: Vec<_> = kinds
            .iter()
            .map(|kind| (kind.places(), kind.fixes.iter().map(|fix| fix.target).collect::<Vec<_>>()))
            .collect();
        let refused = vec!["http://loom.test/b", "http://loom.test/a"];
        assert_eq!(shape, [(8, refused), (4, vec!["http://gone.test", "http://other.test/"])]);
        assert_eq!((kinds[1].urls(), kinds[1].fixes[0].is_host, kinds[1].fixes[1].is_host), (3, true, false));
    }

    #[test]
    fn an_origin_ends_where_the_path_the_query_or_the_fragment_begins() {
        for (url, wanted) in [
            ("http://a.test/b", "http://a.test"),
            ("http://a.test:1?q", "http://a.test:1"),
            ("http://a.test#x", "http://a.test"),
            ("not a url", "not a url"),
        ] {
            assert_eq!(origin(url), wanted);
        }
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!((counted(1, "page"), counted(2, "page")), ("1 page".into(), "2 pages".into()));
    }
}

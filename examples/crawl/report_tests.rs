use super::*;
use crate::frontier::{Frontier, Limits};
use crate::html::Links;

const LIMITS: Limits = Limits { depth: 9, hops: 2, pages: 99 };

fn url(path: &str) -> Url {
    Url::parse(&format!("http://loom.test/{path}")).unwrap()
}

fn page() -> Outcome {
    Outcome::Page { links: Links::default(), bytes: 10 }
}

/// Crawls a web that is written down: what each path answers, and the links on it. A path that is not written
/// down is a 404.
fn crawl(web: &[(&str, Outcome, &[&str])]) -> Report {
    let mut frontier = Frontier::new(url(""), LIMITS);
    let mut outcomes = BTreeMap::new();
    while let Some(id) = frontier.take(|_| true) {
        let path = frontier.page(id).url.path()[1..].to_owned();
        let found = web.iter().find(|(name, ..)| *name == path);
        let (outcome, links) =
            found.map_or((Outcome::Refused { status: 404 }, &[][..]), |(_, o, l)| (o.clone(), *l));
        if let Outcome::Redirect { to, .. } = &outcome {
            frontier.lead(id, Step::Redirect, to.clone(), true);
        }
        for link in links {
            frontier.lead(id, Step::Link, url(link), true);
        }
        frontier.finish(id);
        outcomes.insert(id, outcome);
    }
    let pages = frontier.into_pages();
    let outcomes = (0..pages.len()).map(|id| outcomes.remove(&id)).collect();
    let (took, ended) = (Duration::ZERO, Ended::Complete);
    let (visits, broken, samples) = (vec![], vec![(0, "http://[".to_owned())], vec![]);
    Report {
        pages,
        outcomes,
        visits,
        broken,
        not_http: vec![],
        samples,
        took,
        ended,
        cut_off: 0,
        workers: 1,
        per_host: 1,
    }
}

fn to(path: &str) -> Outcome {
    Outcome::Redirect { status: 302, to: url(path) }
}

fn dead(report: &Report) -> Vec<(String, Vec<String>, String)> {
    let short = |url: &Url| url.path().to_owned();
    let links = report.dead_links().into_iter();
    links.map(|l| (l.url, l.linked_from.iter().map(short).collect(), l.death.to_string())).collect()
}

fn row(url: &str, pages: &[&str], why: &str) -> (String, Vec<String>, String) {
    (url.to_owned(), pages.iter().map(|page| page.to_string()).collect(), why.to_owned())
}

#[test]
fn a_dead_page_is_reported_with_every_page_that_links_to_it() {
    let report =
        crawl(&[("", page(), &["a", "b"]), ("a", page(), &["gone", "b"]), ("b", page(), &["gone", ""])]);
    let expected =
        [row("http://loom.test/gone", &["/a", "/b"], "404 Not Found"), row("http://[", &["/"], "not a URL")];
    assert_eq!(dead(&report), expected);
}

#[test]
fn a_redirect_to_a_dead_page_is_reported_where_it_is_linked() {
    let report = crawl(&[("", page(), &["old"]), ("old", to("older"), &[]), ("older", to("gone"), &[])]);
    let links = report.dead_links();
    assert_eq!(dead(&report)[0], row("http://loom.test/old", &["/"], "404 Not Found"));
    assert_eq!(links[0].via, [url("older"), url("gone")]);
    assert_eq!(links.len(), 2); // and the broken one
}

#[test]
fn redirects_that_go_round_or_on_and_on_are_dead() {
    let web = [
        ("", page(), &["a", "1"][..]),
        ("a", to("b"), &[]),
        ("b", to("a"), &[]),
        ("1", to("2"), &[]),
        ("2", to("3"), &[]),
        ("3", to("4"), &[]),
    ];
    let dead = dead(&crawl(&web));
    assert_eq!(dead[0], row("http://loom.test/a", &["/"], "redirect loop"));
    assert_eq!(dead[1], row("http://loom.test/1", &["/"], "too many redirects"));
}

#[test]
fn a_redirect_to_a_living_page_is_no_dead_link() {
    let report = crawl(&[("", page(), &["old"]), ("old", to("new"), &[]), ("new", page(), &[])]);
    assert_eq!(dead(&report).len(), 1); // the broken one
    assert_eq!(report.redirects().len(), 1);
    assert!(report.is_whole());
}

#[test]
fn a_start_that_is_dead_is_reported_though_nothing_links_to_it() {
    assert_eq!(dead(&crawl(&[]))[0], row("http://loom.test/", &[], "404 Not Found"));
}

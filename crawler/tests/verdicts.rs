//! What the program says in the end, and how it exits: a run that looked at nothing does not say that all is
//! well.

mod common;

use common::site::{OTHER, Reply, Site};
use common::tool::{command, text, tool};
use common::within_a_minute;

use std::io::Write;
use std::process::Stdio;

/// Runs the program on a site, and returns its exit status and what it said, quietly and not.
fn run(site: &Site, path: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let url = site.url(path);
    let output = tool(&[&[&url[..], "--retries", "0"], arguments].concat());
    let quiet = tool(&[&[&url[..], "--retries", "0", "--quiet"], arguments].concat());
    assert_eq!(output.status.code(), quiet.status.code());
    (output.status.code(), text(&output.stdout) + "=== quiet\n" + &text(&quiet.stdout))
}

#[track_caller]
fn assert_nothing_looked_at(site: &Site, path: &str, arguments: &[&str], why: &str) {
    let (status, told) = run(site, path, arguments);
    assert_eq!(status, Some(5), "{told}");
    assert!(!told.contains("No dead links"), "{told}");
    let verdicts = told.lines().filter(|line| line.starts_with("NOT LOOKED AT") && line.contains(why));
    assert_eq!(verdicts.count(), 2, "{told}");
}

#[test]
fn a_start_that_robots_txt_disallows_is_no_success() {
    within_a_minute(|| {
        let site = Site::open(|asked| match asked.path.as_str() {
            "/robots.txt" => Some(Reply::of("text/plain", "User-agent: *\nDisallow: /")),
            _ => Some(Reply::page("")),
        });
        assert_nothing_looked_at(&site, "/", &[], "robots.txt says no");
    });
}

#[test]
fn a_robots_txt_that_fails_is_no_success_and_not_a_no() {
    within_a_minute(|| {
        let site = Site::open(|asked| match asked.path.as_str() {
            "/robots.txt" => Some(Reply::status(503)),
            _ => Some(Reply::page("")),
        });
        assert_nothing_looked_at(&site, "/", &[], "robots.txt cannot be read (503");
        assert!(!run(&site, "/", &[]).1.contains("robots.txt says no"));
        assert_eq!(run(&site, "/", &["--no-robots"]).0, Some(0));
    });
}

#[test]
fn a_start_that_redirects_out_of_the_prefix_is_no_success() {
    within_a_minute(|| {
        let site = Site::open(|asked| match asked.path.as_str() {
            "/docs/" => Some(Reply::redirect("/en/docs/")),
            "/en/docs/" => Some(Reply::page("<a href=/dead>")),
            _ => None,
        });
        assert_nothing_looked_at(&site, "/docs/", &["--prefix", "/docs/"], "out of scope");
    });
}

#[test]
fn a_start_that_is_no_page_is_no_success() {
    within_a_minute(|| {
        let site = Site::open(|asked| match asked.path.as_str() {
            "/a.png" => Some(Reply::of("image/png", "x")),
            "/large" => Some(Reply::page(vec![b' '; 2_000])),
            _ => None,
        });
        assert_nothing_looked_at(&site, "/a.png", &[], "image/png");
        assert_nothing_looked_at(&site, "/large", &["--max-size", "1000"], "too large");
    });
}

#[test]
fn a_start_that_is_dead_is_a_dead_link_and_one_page_is_a_success() {
    within_a_minute(|| {
        let site = Site::open(|asked| (asked.path == "/").then(|| Reply::page("")));
        assert_eq!(run(&site, "/lost", &[]).0, Some(1));
        let (status, told) = run(&site, "/", &[]);
        assert_eq!((status, told.matches("No dead links").count()), (Some(0), 2), "{told}");
    });
}

#[test]
fn a_crawl_that_was_cut_short_says_so_also_when_it_is_quiet() {
    within_a_minute(|| {
        let site = Site::open(|_| Some(Reply::page("<a href=/a> <a href=/b>")));
        let (status, told) = run(&site, "/", &["--pages", "1"]);
        assert_eq!((status, told.matches("PARTIAL").count()), (Some(0), 2), "{told}");
    });
}

#[test]
fn a_page_that_redirects_to_a_dead_one_elsewhere_is_dead() {
    within_a_minute(|| {
        let other = Site::open_at(OTHER, |_| None);
        let away = other.url("/dead");
        let site = Site::open(move |asked| match asked.path.as_str() {
            "/" => Some(Reply::page("<a href=/go>go</a>")),
            "/go" => Some(Reply::redirect(&away)),
            _ => None,
        });
        let (status, told) = run(&site, "/", &["--external"]);
        assert_eq!(status, Some(1), "{told}");
        assert!(told.contains("404 Not Found") && told.contains("/go"), "{told}");
        // Without it nobody looks there.
        assert_eq!(run(&site, "/", &[]).0, Some(0));
        assert_eq!(other.count("/dead"), 4, "HEAD and GET, twice");
    });
}

#[test]
fn what_answers_head_otherwise_than_get_is_alive() {
    within_a_minute(|| {
        let other = Site::open_at(OTHER, |asked| match (asked.method.as_str(), asked.path.as_str()) {
            ("HEAD", "/loop") => Some(Reply::redirect("/loop")),
            ("HEAD", "/lost") => Some(Reply::redirect("/err")),
            ("GET", "/loop" | "/lost") => Some(Reply::page("")),
            _ => None,
        });
        let links = ["/loop", "/lost"].map(|path| format!("<a href={}>", other.url(path))).concat();
        let site = Site::open(move |asked| (asked.path == "/").then(|| Reply::page(links.clone())));
        let (status, told) = run(&site, "/", &["--external"]);
        assert_eq!(status, Some(0), "{told}");
    });
}

#[test]
fn of_a_long_robots_txt_the_beginning_counts_and_five_redirects_are_followed() {
    within_a_minute(|| {
        let long = Site::open(|asked| match asked.path.as_str() {
            "/robots.txt" => {
                let mut rules = b"User-agent: *\nDisallow: /a\n".to_vec();
                rules.resize(600 << 10, b'#');
                Some(Reply::of("text/plain", rules))
            }
            _ => Some(Reply::page("<a href=/a> <a href=/b>")),
        });
        assert_eq!(run(&long, "/", &[]).0, Some(0));
        assert_eq!((long.count("/a"), long.count("/b")), (0, 2));

        let chain = Site::open(|asked| match asked.path.as_str() {
            "/robots.txt" => Some(Reply::redirect("/r1")),
            "/r1" | "/r2" | "/r3" | "/r4" => {
                Some(Reply::redirect(&format!("/r{}", asked.path[2..].parse::<u32>().unwrap() + 1)))
            }
            "/r5" => Some(Reply::of("text/plain", "User-agent: *\nDisallow: /a\n")),
            _ => Some(Reply::page("<a href=/a>")),
        });
        assert_eq!(run(&chain, "/", &[]).0, Some(0));
        assert_eq!(chain.count("/a"), 0);
    });
}

#[test]
fn a_pattern_that_matched_nothing_is_told() {
    within_a_minute(|| {
        let site = Site::open(|asked| (asked.path == "/").then(|| Reply::page("<a href=/a>")));
        let (_, told) = run(&site, "/", &["--exclude", "*/b", "--exclude", "*/a"]);
        assert_eq!(told.matches("The pattern */b matched nothing.").count(), 2, "{told}");
        assert!(!told.contains("pattern */a"), "{told}");
    });
}

#[test]
fn several_starts_are_one_crawl_and_each_is_looked_at_or_told() {
    within_a_minute(|| {
        let other = Site::open_at(OTHER, |asked| match asked.path.as_str() {
            "/" => Some(Reply::redirect("/home")),
            "/home" => Some(Reply::page("<a href=/lost2>")),
            _ => None,
        });
        let forbidden = Site::open(|asked| match asked.path.as_str() {
            "/robots.txt" => Some(Reply::of("text/plain", "User-agent: *\nDisallow: /")),
            _ => Some(Reply::page("")),
        });
        let site = Site::open(|asked| (asked.path == "/").then(|| Reply::page("<a href=/a>")));
        let (first, second, third) = (site.url("/"), other.url("/"), forbidden.url("/"));
        let output = tool(&[&first, &second, &third, "--quiet", "--header", "X-Key: s3cret"]);
        let told = text(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("/a") && told.contains("/lost2"), "{told}");
        assert!(told.contains(&format!("NOT LOOKED AT: robots.txt says no to {third}")), "{told}");
        assert!(site.was_told("s3cret") && other.was_told("s3cret"));

        let mut child =
            command(&["-", "--quiet"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(format!("# ours\n{first}\n\n{second}\n").as_bytes()).unwrap();
        let told = text(&child.wait_with_output().unwrap().stdout);
        assert!(told.contains("/a") && told.contains("/lost2"), "{told}");
        // A start that is dead is told, whichever it is.
        let output = tool(&[&second, &site.url("/gone"), "--quiet"]);
        assert!(text(&output.stdout).contains("where the crawl began"), "{}", text(&output.stdout));
    });
}

//! Answers that are kept from one run to the next.

mod common;

use std::fs;
use std::path::Path;

use common::site::{OTHER, Reply, Site};
use common::tool::{file, text, tool};
use common::within_a_minute;

/// A site whose page the server knows again, and whose style sheet it does not; and another that it links to.
fn sites() -> (Site, Site) {
    let other = Site::open_at(OTHER, |asked| match asked.path.as_str() {
        "/x" => Some(Reply::page("")),
        "/secret" => Some(Reply::page("").header("Cache-Control", "private, no-store")),
        _ => None,
    });
    let links = format!(
        "<a href={}> <a href={}> <a href={}>",
        other.url("/x"),
        other.url("/secret"),
        other.url("/lost")
    );
    let site = Site::open(move |asked| match asked.path.as_str() {
        "/" if asked.head.to_ascii_lowercase().contains("if-none-match: \"v1\"") => Some(Reply::status(304)),
        "/" => Some(Reply::page(format!("{links} <a href=/plain>")).header("ETag", "\"v1\"")),
        "/plain" => Some(Reply::page("<a href=/gone>")),
        _ => None,
    });
    (site, other)
}

fn cache(name: &str) -> String {
    let file = file(name);
    let _ = fs::remove_file(&file);
    file.to_str().unwrap().to_owned()
}

#[test]
fn a_second_run_asks_only_for_what_may_have_changed_and_finds_the_same() {
    within_a_minute(|| {
        let ((site, other), cache) = (sites(), cache("cache-second"));
        let run = |more: &[&str]| {
            let output =
                tool(&[&[&*site.url("/"), "--external", "--cache", &cache, "--quiet"], more].concat());
            (output.status.code(), text(&output.stdout) + &text(&output.stderr))
        };
        let first = run(&[]);
        assert_eq!(first.0, Some(1), "{}", first.1);
        assert!(fs::read_to_string(&cache).unwrap().starts_with("{\"format\":\"selvedge-crawl-cache/1\"}"));
        assert_eq!(run(&[]), first);
        // Its answer the second time had no body.
        assert!(site.count("/") == 2 && site.was_told("if-none-match") | site.was_told("If-None-Match"));
        assert_eq!((site.count("/plain"), site.count("/gone")), (2, 2));
        assert_eq!((other.count("/x"), other.count("/secret")), (1, 2));
        // A dead link is asked for again, with a GET each time.
        assert_eq!(other.count("/lost"), 4);
        assert_eq!(run(&["--cache-age", "0"]), first);
        assert_eq!(other.count("/x"), 2);
    });
}

#[test]
fn what_was_asked_for_with_a_login_is_not_kept() {
    within_a_minute(|| {
        let ((site, _other), cache) = (sites(), cache("cache-login"));
        tool(&[&site.url("/"), "--header", "Authorization: Bearer s3cret", "--cache", &cache, "--quiet"]);
        let kept = fs::read_to_string(&cache).unwrap();
        assert_eq!(kept.lines().count(), 1, "{kept}");
    });
}

#[test]
fn a_broken_cache_is_told_and_begun_anew_and_a_foreign_one_is_told_and_left_alone() {
    within_a_minute(|| {
        let ((site, _other), cache) = (sites(), cache("cache-broken"));
        let run = || text(&tool(&[&site.url("/"), "--cache", &cache, "--quiet"]).stderr);
        fs::write(&cache, "{\"format\":\"selvedge-crawl-cache/1\"}\n{\"url\":\"x").unwrap();
        let told = run();
        assert!(told.contains("broken in line 2") && told.contains("anew"), "{told}");
        assert!(run().is_empty());
        assert!(fs::read_to_string(&cache).unwrap().lines().count() > 1);
        for foreign in ["my thesis", "{\"format\":\"selvedge-crawl-cache/2\"}\n", "\n"] {
            fs::write(&cache, foreign).unwrap();
            let told = run();
            assert!(told.contains("is no cache of this program") && told.contains("left as it is"), "{told}");
            assert_eq!(fs::read_to_string(&cache).unwrap(), foreign);
        }
        let output = tool(&[&site.url("/"), "--cache", "/nonexistent/x/y", "--quiet"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains("cannot be written"), "{}", text(&output.stderr));
        assert!(!Path::new("/nonexistent").exists());
    });
}

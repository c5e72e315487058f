//! What other programs read of a run, and which statuses are as they should be.

mod common;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use common::site::{Reply, Site};
use common::tool::{file, text, tool};
use common::within_a_minute;

fn site() -> Site {
    Site::open(|asked| match asked.path.as_str() {
        "/" => Some(Reply::page("<a href='/lost|&_x%25'>lost</a> <a href=/busy> <a href=/a>")),
        "/a" => Some(Reply::page("<a href='/lost|&_x%25'>")),
        "/busy" => Some(Reply::status(999)),
        _ => None,
    })
}

#[test]
fn every_format_for_programs_names_the_problem_and_the_page() {
    within_a_minute(|| {
        let site = site();
        let (url, a) = (site.url("/"), site.url("/a"));
        let run = |format: &str| {
            let output = tool(&[&url, "--format", format, "--quiet"]);
            assert_eq!(output.status.code(), Some(1), "{format}: {}", text(&output.stderr));
            text(&output.stdout)
        };
        let github = run("github");
        let lines: Vec<_> = github.lines().collect();
        assert_eq!(lines.len(), 2, "{github}");
        assert!(lines[0].starts_with("::error title=Dead link::404 Not Found: "), "{github}");
        assert!(lines[0].contains("/lost|&_x%2525 on ") && lines[0].contains(&a), "{github}");
        assert!(lines[1].starts_with("::warning title=Uncertain link::999 "), "{github}");

        let junit = run("junit");
        assert!(junit.contains("tests=\"4\" failures=\"1\" errors=\"0\" skipped=\"1\""), "{junit}");
        assert!(junit.contains("/lost|&amp;_x%25\"><failure message=\"404 Not Found\">"), "{junit}");

        let markdown = run("markdown");
        assert!(markdown.contains(&format!("/lost\\|&amp;\\_x%25 | {url}<br>{a} |")), "{markdown}");

        let sarif: serde_json::Value = serde_json::from_str(&run("sarif")).unwrap();
        let results = sarif["runs"][0]["results"].as_array().unwrap();
        assert_eq!(results.len(), 3, "{sarif}");
        assert_eq!(results[1]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], a);
        // Two places of one problem, which a second run knows again.
        let id = |sarif: &serde_json::Value, n: usize| {
            sarif["runs"][0]["results"][n]["partialFingerprints"]["link/v1"].as_str().unwrap().to_owned()
        };
        let again: serde_json::Value = serde_json::from_str(&run("sarif")).unwrap();
        assert_eq!((id(&sarif, 0), id(&sarif, 1)), (id(&sarif, 1), id(&again, 0)));
        assert_ne!(id(&sarif, 0), id(&sarif, 2));
    });
}

#[test]
fn one_run_writes_as_many_formats_as_are_asked_for() {
    within_a_minute(|| {
        let (junit, json) = (file("also.xml"), file("also.json"));
        let [also_junit, also_json] = [("junit", &junit), ("json", &json)]
            .map(|(format, file)| format!("{format}={}", file.to_str().unwrap()));
        let output = tool(&[&site().url("/"), "--also", &also_junit, "--also", &also_json, "--quiet"]);
        assert!(text(&output.stdout).contains("404 Not Found"));
        assert!(fs::read_to_string(&junit).unwrap().contains("<failure"));
        assert!(fs::read_to_string(&json).unwrap().contains("selvedge-crawl/1"));
        for bad in ["junit", "xml=/tmp/x", "json=/nonexistent/x"] {
            assert_eq!(tool(&[&site().url("/"), "--also", bad]).status.code(), Some(2), "{bad}");
        }
    });
}

#[test]
fn statuses_that_are_accepted_are_alive_and_others_are_not() {
    within_a_minute(|| {
        let site = Site::open(|asked| match asked.path.as_str() {
            "/" => Some(Reply::page("<a href=/403> <a href=/429> <a href=/204> <a href=/503>")),
            "/403" => Some(Reply::status(403)),
            "/429" => Some(Reply::status(429).header("Retry-After", "3600")),
            "/204" => Some(Reply::status(204)),
            "/503" => Some(Reply::status(503)),
            _ => None,
        });
        let run = |accept: &str| {
            let output = tool(&[&site.url("/"), "--accept", accept, "--retries", "0", "--quiet"]);
            (output.status.code(), text(&output.stdout))
        };
        assert_eq!(run("200..=204,403,429,503").0, Some(0));
        let (status, told) = run("200,403,429");
        assert_eq!(status, Some(1), "{told}");
        assert!(told.contains("204 No Content") && told.contains("503") && !told.contains("403"), "{told}");
        for bad in ["", "x", "200..", "99", "300..=200"] {
            assert_eq!(run(bad).0, Some(2), "{bad}");
        }
    });
}

#[test]
fn doubtful_links_have_an_exit_status_of_their_own_if_it_is_asked_for() {
    within_a_minute(|| {
        let site = Site::open(|asked| match asked.path.as_str() {
            "/" => Some(Reply::page("<a href=/busy>")),
            "/moving" => Some(Reply::page("<a href=/go>")),
            "/dead" => Some(Reply::page("<a href=/busy> <a href=/lost>")),
            "/go" => Some(Reply::redirect("/there")),
            "/there" => Some(Reply::page("")),
            "/busy" => Some(Reply::status(999)),
            _ => None,
        });
        for (path, options, status) in [
            ("/", &["--strict"][..], 6),
            ("/", &["--strict=false"], 0),
            ("/moving", &["--strict"], 0),
            ("/moving", &["--strict", "--redirects", "warn"], 6),
            ("/dead", &["--strict"], 1),
        ] {
            let output = tool(&[&[&*site.url(path), "-q"], options].concat());
            assert_eq!(output.status.code(), Some(status), "{path} {options:?}: {}", text(&output.stdout));
        }
    });
}

#[test]
fn a_host_without_a_scheme_is_a_start() {
    within_a_minute(|| {
        let site = site();
        let bare = site.url("/").trim_start_matches("http://").to_owned();
        assert_eq!(tool(&[&bare, "--quiet"]).status.code(), Some(1));
        let localhost = bare.replace("127.0.0.1", "localhost");
        assert!(text(&tool(&[&localhost, "--quiet"]).stdout).contains("/lost"));
        // Out in the world, https.
        let output = tool(&["loom.invalid/x", "--retries", "0"]);
        assert!(text(&output.stdout).contains("Crawled https://loom.invalid/x"), "{}", text(&output.stdout));
    });
}

#[test]
fn what_an_earlier_report_has_is_known_and_only_what_is_new_counts() {
    within_a_minute(|| {
        let is_later = Arc::new(AtomicBool::new(false));
        let later = Arc::clone(&is_later);
        let site = Site::open(move |asked| match asked.path.as_str() {
            "/" if later.load(SeqCst) => Some(Reply::page("<a href=/lost> <a href=/new>")),
            "/" => Some(Reply::page("<a href=/lost>")),
            _ => None,
        });
        let baseline = file("baseline.json");
        let baseline = baseline.to_str().unwrap();
        let url = site.url("/");
        assert_eq!(tool(&[&url, "--format", "json", "--output", baseline, "--quiet"]).status.code(), Some(1));
        let output = tool(&[&url, "--baseline", baseline, "--quiet"]);
        let told = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{told}");
        assert!(told.contains("Since the baseline: 0 new, 1 known"), "{told}");
        is_later.store(true, SeqCst);
        let output = tool(&[&url, "--baseline", baseline, "--quiet"]);
        let told = text(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{told}");
        let (_, new) = told.split_once("Since the baseline: 1 new, 1 known").unwrap();
        assert!(new.contains("/new") && !new.contains("/lost"), "{told}");
        assert_eq!(tool(&[&url, "--baseline", "/nonexistent/x"]).status.code(), Some(2));
    });
}

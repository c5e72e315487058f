//! Redirects, as somebody wants to hear of them.

mod common;

use common::site::{Reply, Site};
use common::tool::{text, tool};
use common::within_a_minute;

fn site() -> Site {
    Site::open(|asked| match asked.path.as_str() {
        "/" => Some(Reply::page("<a href=/old>a</a> <a href=/now>b</a> <a href=/mixed>c</a>")),
        "/old" => Some(Reply::page("").status_line("301 Moved").header("Location", "/new")),
        "/mixed" => Some(Reply::page("").status_line("308 Moved").header("Location", "/now")),
        "/now" => Some(Reply::redirect("/new")),
        "/new" => Some(Reply::page("")),
        _ => None,
    })
}

#[test]
fn links_whose_redirects_are_all_permanent_are_suggested_to_be_changed() {
    within_a_minute(|| {
        let told = text(&tool(&[&site().url("/")]).stdout);
        assert!(told.contains("Moved permanently: 1 link could be updated"), "{told}");
        let (_, list) = told.split_once("Moved permanently").unwrap();
        let line = list.lines().nth(1).unwrap();
        assert!(line.contains("/old") && line.contains("/new") && line.contains("on /"), "{told}");
    });
}

#[test]
fn a_link_to_a_page_that_has_moved_is_what_the_policy_says() {
    within_a_minute(|| {
        let site = site();
        let run = |policy: &str, format: &str| {
            let output = tool(&[&site.url("/"), "--redirects", policy, "--format", format, "--quiet"]);
            (output.status.code(), text(&output.stdout))
        };
        assert_eq!(run("allow", "text").0, Some(0));
        let (status, told) = run("warn", "text");
        assert!(status == Some(0) && told.contains("Moved: 3 URLs"), "{told}");
        for (format, warning) in [
            ("github", "::warning title=Moved::redirect (301 Moved Permanently): "),
            ("sarif", "\"ruleId\":\"moved-link\""),
            ("markdown", "## Moved: 3"),
            ("csv", ",redirect,302,redirect (302 Found),"),
            ("json", "\"redirected\":[{\"id\""),
        ] {
            let (status, told) = run("warn", format);
            assert!(status == Some(0) && told.contains(warning), "{format}: {told}");
        }
        let (status, told) = run("refuse-permanent", "text");
        assert!(status == Some(1) && told.contains("Dead links: 1, to 1 URL"), "{told}");
        assert!(told.contains("redirect (301 Moved Permanently)") && told.contains("/old → /new"), "{told}");
        let (status, told) = run("refuse", "text");
        assert!(status == Some(1) && told.contains("Dead links: 3, to 3 URLs"), "{told}");
        assert_eq!(run("perhaps", "text").0, Some(2));
    });
}

#[test]
fn a_start_that_moves_is_no_link_and_is_not_refused() {
    within_a_minute(|| {
        let output = tool(&[&site().url("/old"), "--redirects", "refuse", "--quiet"]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    });
}

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
        assert!(told.contains("Moved for good: 1 link could be changed"), "{told}");
        let (_, list) = told.split_once("Moved for good").unwrap();
        let line = list.lines().nth(1).unwrap();
        assert!(line.contains("/old") && line.contains("/new") && line.contains("on /"), "{told}");
    });
}

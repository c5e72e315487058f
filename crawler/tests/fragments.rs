//! Links to a part of a page: the part is there, or the link is dead.

mod common;

use common::site::{OTHER, Reply, Site};
use common::tool::{file, text, tool};
use common::within_a_minute;

fn site() -> Site {
    Site::open(|asked| match asked.path.as_str() {
        "/" => Some(Reply::page(
            "<h1 id=here>x</h1><a href='#here'>1</a> <a href='#top'>2</a> <a href='#'>3</a> <a href='#gone'>own</a> \
             <a href='/b#one'>4</a> <a href='/b#two%20words'>5</a> <a href='/b#old'>6</a> <a href='/b#lost'>lost</a> \
             <a href='/b#:~:text=some'>7</a> <a href='/b#one:~:text=some'>8</a> <a href='/moved#one'>9</a> \
             <a href='/moved#lost'>moved</a> <a href='/elsewhere#lost'>10</a> <a href='/a.png#xywh=1'>11</a> \
             <a href='/b#/route'>12</a> <a href='/404#x'>dead</a> <a href='/b#%C3%BC'>13</a>",
        )),
        "/b" => Some(Reply::page(
            "<p id=one><p id='two words'><a name=old><p id=ü><a href='/#here'>14</a> <a href='#lost'>",
        )),
        "/moved" => Some(Reply::redirect("/b")),
        "/elsewhere" => Some(Reply::redirect("/b#one")),
        "/a.png" => Some(Reply::of("image/png", "")),
        _ => None,
    })
}

#[test]
fn a_fragment_that_its_page_does_not_have_is_a_dead_link_if_it_was_asked_for() {
    within_a_minute(|| {
        let site = site();
        let url = site.url("/");
        let told = text(&tool(&[&url, "--format", "json", "--fragments", "--quiet"]).stdout);
        let json: serde_json::Value = serde_json::from_str(&told).unwrap();
        let mut dead: Vec<_> = json["dead"]
            .as_array()
            .unwrap()
            .iter()
            .map(|link| {
                (
                    link["url"].as_str().unwrap().replace(&url, "/"),
                    link["linked_from"].as_array().unwrap().len(),
                )
            })
            .collect();
        dead.sort();
        let expected = [("/#gone", 1), ("/404", 1), ("/b#lost", 2), ("/moved#lost", 1)];
        assert_eq!(dead, expected.map(|(url, count)| (url.to_owned(), count)), "{told}");
        // Each page once all the same.
        assert_eq!(site.count("/b"), 1);

        let output = tool(&[&url, "--quiet"]);
        assert!(!text(&output.stdout).contains("#lost"), "{}", text(&output.stdout));
        let csv = text(&tool(&[&url, "--format", "csv", "--fragments", "--quiet"]).stdout);
        assert_eq!(csv.lines().filter(|row| row.contains("/b#lost,no_such_part,")).count(), 2, "{csv}");
    });
}

#[test]
fn fragments_of_a_crawl_that_was_cut_short_are_checked_when_it_goes_on() {
    within_a_minute(|| {
        let site = site();
        let state = file("fragments.json");
        let state = state.to_str().unwrap();
        tool(&[&site.url("/"), "--fragments", "--pages", "1", "--state", state, "--quiet"]);
        let output = tool(&["--resume", state, "--fragments", "--quiet"]);
        let told = text(&output.stdout);
        assert!(
            told.contains("/#gone") && told.contains("/b#lost") && told.contains("/moved#lost"),
            "{told}"
        );
        assert!(!told.contains("#one") && !told.contains("#here"), "{told}");
    });
}

#[test]
fn parts_of_pages_elsewhere_are_looked_for_on_request_and_their_links_are_not_followed() {
    within_a_minute(|| {
        let other = Site::open_at(OTHER, |asked| match asked.path.as_str() {
            "/page" => Some(Reply::page(
                "<p id=here><p id=user-content-slug><a href=/never> <a href=#no> <a href='http://['>",
            )),
            "/plain" => Some(Reply::page("<a href=/never>")),
            // Pages of their own, so that none is read for another link's sake.
            "/old" => Some(Reply::redirect("/new")),
            "/new" | "/away" => Some(Reply::page("<p id=here>")),
            _ => None,
        });
        let to = |path: &str| format!("<a href='{}'>", other.url(path));
        let links = ["/page#here", "/page#gone", "/page#slug", "/old#lost", "/plain", "/dead#x", "/page"]
            .map(to)
            .concat()
            + "<a href=/go#away>";
        let away = other.url("/away");
        let site = Site::open(move |asked| match asked.path.as_str() {
            "/" => Some(Reply::page(links.clone())),
            "/go" => Some(Reply::redirect(&away)),
            _ => None,
        });
        let run = |option: &str| {
            let told = text(&tool(&[&site.url("/"), "--format", "json", option, "--quiet"]).stdout);
            let json: serde_json::Value = serde_json::from_str(&told).unwrap();
            let dead = json["dead"].as_array().unwrap().iter();
            let mut dead: Vec<_> = dead.map(|link| link["url"].as_str().unwrap().to_owned()).collect();
            dead.sort();
            dead
        };
        let mut expected =
            vec![other.url("/dead"), other.url("/old#lost"), other.url("/page#gone"), site.url("/go#away")];
        expected.sort();
        assert_eq!(run("--external-fragments"), expected);
        assert_eq!(other.count("/never"), 0);
        // What no part was meant of is only looked at.
        assert!(other.asked().iter().any(|asked| asked.path == "/plain" && asked.method == "HEAD"));
        assert_eq!(run("--external"), [other.url("/dead")]);
    });
}

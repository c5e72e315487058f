//! Credentials reach the origin that they are for, and nobody else; and they are shown nowhere.

mod common;

use common::site::{OTHER, Reply, Site};
use common::tool::{file, text, tool};
use common::within_a_minute;

const SECRET: &str = "s3cr3t-token";

/// A site whose start links to a host that is not its own, and redirects to it.
fn sites() -> (Site, Site) {
    let other = Site::open_at(OTHER, |asked| (asked.path == "/x").then(|| Reply::page("")));
    let away = other.url("/x");
    let site = Site::open(move |asked| match asked.path.as_str() {
        "/" => Some(Reply::page(format!("<a href={away}>away</a> <a href=/go>go</a> <a href=/own>own</a>"))),
        "/go" => Some(Reply::redirect(&away)),
        "/own" => Some(Reply::page("")),
        _ => None,
    });
    (site, other)
}

#[test]
fn a_header_reaches_the_starts_origin_only() {
    within_a_minute(|| {
        let (site, other) = sites();
        let header = format!("Authorization: Bearer {SECRET}");
        let cookie = format!("Cookie: sid={SECRET}");
        let output =
            tool(&[&site.url("/"), "--external", "--header", &header, "--header", &cookie, "--quiet"]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
        assert!(site.asked().len() >= 4 && other.asked().len() >= 2);
        assert!(site.asked().iter().all(|asked| asked.head.matches(SECRET).count() == 2));
        assert!(!other.was_told(SECRET), "{:?}", other.asked());
        // Its robots.txt was among the requests.
        assert_eq!(other.count("/robots.txt"), 1);
    });
}

#[test]
fn a_start_that_redirects_to_another_origin_takes_no_header_along() {
    within_a_minute(|| {
        let (site, other) = sites();
        let header = format!("Authorization: Bearer {SECRET}");
        tool(&[&site.url("/go"), "--header", &header, "--quiet"]);
        assert!(site.was_told(SECRET));
        assert!(other.count("/x") == 1 && !other.was_told(SECRET), "{:?}", other.asked());
    });
}

#[test]
fn another_port_of_the_same_host_is_another_origin() {
    within_a_minute(|| {
        let second = Site::open(|_| Some(Reply::page("")));
        let away = second.url("/x");
        let site = Site::open(move |_| Some(Reply::page(format!("<a href={away}>"))));
        let header = format!("X-Api-Key: {SECRET}");
        tool(&[&site.url("/"), "--header", &header, "--quiet"]);
        assert!(second.count("/x") == 1 && !second.was_told(SECRET));
    });
}

#[test]
fn user_and_password_in_a_url_are_used_at_its_origin_and_never_shown() {
    within_a_minute(|| {
        let other = Site::open_at(OTHER, |_| Some(Reply::page("")));
        let away = other.url("/x").replace("http://", &format!("http://other:{SECRET}-b@"));
        let links = format!(
            "<a href='{away}'> <a href='ftp://me:{SECRET}@f.test/'> <a href='http://me:{SECRET}@[/'> \
             <a href=/go> <a href=/lost>"
        );
        let site = Site::open(move |asked| match asked.path.as_str() {
            "/" => Some(Reply::page(links.clone())),
            "/go" => Some(Reply::redirect(&format!("ftp://me:{SECRET}@f.test/"))),
            _ => None,
        });
        let start = site.url("/").replace("http://", &format!("http://me:{SECRET}@"));
        let files = ["secrets.html", "secrets.svg", "secrets.json"].map(file);
        let [html, svg, state] = [&files[0], &files[1], &files[2]].map(|path| path.to_str().unwrap());
        for format in ["text", "json", "csv", "html"] {
            let output = tool(&[
                &start,
                "--external",
                "--format",
                format,
                "--html",
                html,
                "--svg",
                svg,
                "--state",
                state,
                "--pages",
                "3",
            ]);
            assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
            let mut told = text(&output.stdout) + &text(&output.stderr);
            for path in &files {
                told += &std::fs::read_to_string(path).unwrap();
            }
            assert!(!told.contains(SECRET), "{format}: {told}");
        }
        // `me:s3cr3t-token`
        assert!(site.was_told("Basic bWU6czNjcjN0LXRva2Vu"), "{:?}", site.asked());
        tool(&[&start, "--external", "--quiet"]);
        // `other:s3cr3t-token-b`
        assert!(other.was_told("Basic b3RoZXI6czNjcjN0LXRva2VuLWI="), "{:?}", other.asked());
        assert!(!other.was_told("Basic bWU6czNjcjN0LXRva2Vu"));
        let bad = tool(&[&format!("http://me:{SECRET}@[/")]);
        assert_eq!(bad.status.code(), Some(2));
        assert!(!text(&bad.stderr).contains(SECRET), "{}", text(&bad.stderr));
    });
}

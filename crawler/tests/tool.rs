//! The program `selvedge-crawl` from outside: what it prints, what it writes, and how it exits.

mod common;

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::path::PathBuf;

use common::server::{Asked, Server, page, reply};
use common::tool::{file, text, tool};
use common::within_a_minute;

/// A site of which `/lost` is missing.
fn site() -> Server {
    let answer = |asked: &Asked, stream: &mut TcpStream| -> io::Result<()> {
        match asked.path.as_str() {
            "/" => page(stream, "<a href=/a>a</a> <a href=/b>b</a>"),
            "/a" => page(stream, "<a href=/lost>the lost one</a>"),
            "/b" => page(stream, "<a href=/c>"),
            "/c" => page(stream, ""),
            _ => reply(stream, "404 -", "", b""),
        }
    };
    Server::open(IpAddr::V4(Ipv4Addr::LOCALHOST), answer).unwrap()
}

#[test]
fn a_site_with_a_dead_link_exits_with_one_and_names_it() {
    within_a_minute(|| {
        let site = site();
        let output = tool(&[&site.url("/"), "--quiet"]);
        let told = text(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("404 Not Found") && told.contains("/lost") && told.contains("on /a"), "{told}");
        assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    });
}

#[test]
fn a_site_without_dead_links_exits_with_zero() {
    within_a_minute(|| {
        let site = site();
        let output = tool(&[&site.url("/"), "--exclude", "*/lost", "--quiet"]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
        assert!(text(&output.stdout).contains("No dead links"));
    });
}

#[test]
fn bad_use_exits_with_two_and_says_what_to_do() {
    within_a_minute(|| {
        for (arguments, hint) in [
            (&["--nonsense"][..], "--help"),
            (&["loom"], "https://loom"),
            (&["--resume", "/nowhere/at/all"], "cannot be read"),
        ] {
            let output = tool(arguments);
            assert_eq!(output.status.code(), Some(2));
            assert!(text(&output.stderr).contains(hint), "{arguments:?}: {}", text(&output.stderr));
        }
        let help = tool(&["--help"]);
        assert!(help.status.success() && text(&help.stdout).contains("Exit status"));
    });
}

#[test]
fn without_a_url_the_embedded_site_is_crawled_and_found_as_it_was_planted() {
    within_a_minute(|| {
        let svg = file("demo.svg");
        // One page there never answers. The others do, also on a machine that is busy.
        let output = tool(&["--timeout", "8", "--svg", svg.to_str().unwrap(), "--quiet"]);
        let told = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{told}");
        assert!(told.contains("Exactly what was planted: all 12 dead links"), "{told}");
        assert!(fs::read_to_string(&svg).unwrap().contains("</svg>"));
    });
}

#[test]
fn the_embedded_site_cut_short_is_not_compared_with_all_that_is_planted() {
    within_a_minute(|| {
        let svg = file("part.svg");
        let output = tool(&["--pages", "40", "--timeout", "8", "--svg", svg.to_str().unwrap(), "--quiet"]);
        let told = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{told}");
        assert!(told.contains("was cut short"), "{told}");
    });
}

#[test]
fn a_crawl_that_ran_out_of_time_exits_with_four() {
    within_a_minute(|| {
        let site = site();
        let output = tool(&[&site.url("/"), "--time", "0", "--quiet"]);
        assert_eq!(output.status.code(), Some(4), "{}", text(&output.stdout));
    });
}

#[test]
fn every_format_goes_to_standard_output_or_into_a_file() {
    within_a_minute(|| {
        let site = site();
        let json = text(&tool(&[&site.url("/"), "--format", "json", "--quiet"]).stdout);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["dead"][0]["linked_from"][0]["text"], "the lost one");
        let csv = text(&tool(&[&site.url("/"), "--format", "csv", "--quiet"]).stdout);
        assert_eq!(csv.lines().count(), 6, "{csv}");
        let (output, html, svg) = (file("report.txt"), file("report.html"), file("run.svg"));
        let path = |file: &PathBuf| file.to_str().unwrap().to_owned();
        let (to, page, picture) = (path(&output), path(&html), path(&svg));
        let quiet = tool(&[&site.url("/"), "--output", &to, "--html", &page, "--svg", &picture, "--quiet"]);
        assert!(quiet.stdout.is_empty());
        assert!(fs::read_to_string(&output).unwrap().contains("/lost"));
        assert!(fs::read_to_string(&html).unwrap().contains("404 Not Found"));
        assert!(fs::read_to_string(&svg).unwrap().contains("</svg>"));
    });
}

#[test]
fn the_rate_after_a_resume_counts_the_pages_of_this_run() {
    within_a_minute(|| {
        let answer = |asked: &Asked, stream: &mut TcpStream| -> io::Result<()> {
            match asked.path.as_str() {
                "/" => page(stream, &(0..40).map(|n| format!("<a href=/{n}>")).collect::<String>()),
                "/39" => {
                    std::thread::sleep(std::time::Duration::from_millis(400));
                    page(stream, "")
                }
                _ => page(stream, ""),
            }
        };
        let site = Server::open(IpAddr::V4(Ipv4Addr::LOCALHOST), answer).unwrap();
        let state = file("rate.json");
        let state = state.to_str().unwrap();
        tool(&[&site.url("/"), "--pages", "40", "--state", state, "--quiet", "-j", "1"]);
        let told = text(&tool(&["--resume", state]).stdout);
        let rate = told.split_once(" pages/s").unwrap().0.rsplit(' ').next().unwrap();
        // One page in 400 ms or more.
        assert!(told.contains("41 URLs") && rate.parse::<u32>().unwrap() <= 3, "{told}");
    });
}

#[test]
fn a_crawl_that_was_cut_short_goes_on_from_its_state() {
    within_a_minute(|| {
        let site = site();
        let state = file("state.json");
        let state = state.to_str().unwrap();
        let part = tool(&[&site.url("/"), "--pages", "1", "--state", state]);
        assert_eq!(part.status.code(), Some(0), "{}", text(&part.stderr));
        assert!(text(&part.stderr).contains("--resume"), "{}", text(&part.stderr));
        assert!(text(&part.stdout).contains("PARTIAL"));
        let whole = tool(&["--resume", state, "--quiet"]);
        assert_eq!(whole.status.code(), Some(1), "{}", text(&whole.stderr));
        assert!(text(&whole.stdout).contains("/lost"));
    });
}

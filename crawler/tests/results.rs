//! What was found is not lost, whatever becomes of the files that it goes to; and it does no harm where it is
//! shown.

mod common;

use std::fs;

use common::site::{Reply, Site};
use common::tool::{file, text, tool};
use common::within_a_minute;

fn site() -> Site {
    Site::open(|asked| (asked.path == "/").then(|| Reply::page("<a href=/lost>lost</a> <a href=/a>")))
}

#[test]
fn a_file_that_cannot_be_written_is_told_before_the_crawl() {
    within_a_minute(|| {
        for option in ["--output", "--html", "--svg", "--state"] {
            let site = site();
            let output = tool(&[&site.url("/"), option, "/nonexistent/x", "--quiet"]);
            assert_eq!(output.status.code(), Some(2), "{option}");
            assert!(text(&output.stderr).contains("/nonexistent/x"), "{option}");
            assert!(site.asked().is_empty(), "{option}");
        }
    });
}

#[test]
fn a_crawl_that_is_refused_leaves_earlier_results_as_they_are() {
    within_a_minute(|| {
        let report = file("earlier.txt");
        fs::write(&report, "of yesterday").unwrap();
        let output = tool(&[
            &site().url("/"),
            "--output",
            report.to_str().unwrap(),
            "--svg",
            "/nonexistent/x",
            "--quiet",
        ]);
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(fs::read_to_string(&report).unwrap(), "of yesterday");
    });
}

#[test]
fn a_shorter_report_leaves_nothing_of_the_longer_one_before_it() {
    within_a_minute(|| {
        let report = file("shorter.txt");
        fs::write(&report, "x".repeat(100_000)).unwrap();
        tool(&[&site().url("/"), "--output", report.to_str().unwrap(), "--quiet"]);
        let told = fs::read_to_string(&report).unwrap();
        assert!(told.contains("/lost") && !told.contains("xxx"), "{told}");
    });
}

#[test]
#[cfg(target_os = "linux")]
fn a_disk_that_is_full_at_the_end_takes_nothing_else_along_and_the_report_is_elsewhere() {
    within_a_minute(|| {
        let (html, state) = (file("full.html"), file("full.json"));
        let _ = (fs::remove_file(&html), fs::remove_file(&state));
        let output = tool(&[
            &site().url("/"),
            "--output",
            "/dev/full",
            "--html",
            html.to_str().unwrap(),
            "--state",
            state.to_str().unwrap(),
            "--pages",
            "1",
            "--quiet",
        ]);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
        assert!(fs::read_to_string(&html).unwrap().ends_with("</html>"));
        assert!(fs::read_to_string(&state).unwrap().contains("selvedge-crawl/1"));
        let told = text(&output.stderr);
        let place =
            told.split_whitespace().find(|word| word.starts_with(std::env::temp_dir().to_str().unwrap()));
        let place = place.unwrap_or_else(|| panic!("no place in {told}")).trim_end_matches(['.', ',', ';']);
        assert!(fs::read_to_string(place).unwrap().contains("PARTIAL"), "{told}");
        fs::remove_file(place).unwrap();
    });
}

#[test]
fn control_characters_of_a_site_are_visible_and_do_nothing() {
    within_a_minute(|| {
        let site = Site::open(|asked| match asked.path.as_str() {
            "/" => Some(Reply::page(
                "<a href='http://[\u{1b}[31mred'>x</a> <a href='http://[&#10;two lines'>y</a> \
                 <a href='mailto:\u{9b}31m\u{202e}x'>z</a> <a href='/b'>\u{1b}]0;title\u{7}</a>",
            )),
            "/b" => Some(Reply::of("image/\u{1b}[2Jpng\u{7f}", "")),
            _ => None,
        });
        let is_harmful = |c: char| (c.is_control() && !matches!(c, '\n' | '\r')) || c == '\u{202e}';
        for format in ["text", "csv", "html", "json"] {
            let told = text(&tool(&[&site.url("/"), "--format", format]).stdout);
            assert!(!told.contains(is_harmful), "{format}: {told:?}");
        }
        let told = text(&tool(&[&site.url("/"), "--quiet"]).stdout);
        assert!(told.contains("\\u{1b}[31mred"), "{told}");
        assert!(!told.lines().any(|line| line.starts_with("two lines")), "{told}");
    });
}

#[test]
fn a_cell_of_the_table_is_no_formula() {
    within_a_minute(|| {
        let site = Site::open(|asked| match asked.path.as_str() {
            "/" => Some(Reply::page("<a href=/a> <a href=/b> <a href=/c>")),
            "/a" => Some(Reply::of("=cmd|' /C calc'!A0", "")),
            "/b" => Some(Reply::of("@sum(1+1)", "")),
            _ => Some(Reply::of("-1+1", "")),
        });
        let told = text(&tool(&[&site.url("/"), "--format", "csv", "--quiet"]).stdout);
        let cells = told.lines().flat_map(|line| line.split(',')).map(|cell| cell.trim_start_matches('"'));
        let formulas: Vec<_> = cells.filter(|cell| cell.starts_with(['=', '+', '-', '@'])).collect();
        assert!(formulas.is_empty(), "{formulas:?} in {told}");
        assert!(told.contains("'=cmd"), "{told}");
    });
}

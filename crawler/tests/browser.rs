//! The HTML report and the pictures in a real browser: measured, not compared pixel by pixel. Pictures for a
//! person to look at are left in a folder.
//!
//! ```text
//! .ci/browser
//! ```

#![cfg(unix)]

mod common;

use std::fs;
use std::path::PathBuf;

use common::browser::Browser;
use common::reports::{clean, footer, hostile, html, mixed, partial};
use common::tool::tool;
use serde_json::json;

/// Widths of a desktop and of a phone.
const SIZES: [(u32, u32); 2] = [(1280, 900), (390, 844)];
/// Pictures are no taller than this.
const TALL: u32 = 5_000;

/// Faults of a report that can be measured, as an expression.
const REPORT: &str = include_str!("common/report_check.js");

/// Faults of a picture: labels that stick out of it or cover each other.
const PICTURE: &str = "(() => {
    const svg = document.documentElement, faults = [];
    const view = svg.viewBox.baseVal;
    const labels = [...svg.querySelectorAll('text')].map(text => [text.textContent.trim(), text.getBBox()]);
    for (const [text, box] of labels) {
        if (box.x < 0 || box.y < 0 || box.x + box.width > view.width || box.y + box.height > view.height) {
            faults.push('sticks out: ' + text);
        }
    }
    for (let a = 0; a < labels.length; a += 1) for (let b = 0; b < a; b += 1) {
        const [one, other] = [labels[a][1], labels[b][1]];
        const across = Math.min(one.x + one.width, other.x + other.width) - Math.max(one.x, other.x);
        const down = Math.min(one.y + one.height, other.y + other.height) - Math.max(one.y, other.y);
        if (across > 1 && down > 3) faults.push(`covers: ${labels[a][0]}, ${labels[b][0]}`);
    }
    return faults;
})()";

fn folder() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("selvedge-crawl/browser");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// All in one test, since a browser takes seconds to start.
#[test]
#[ignore = "needs chromium, which .ci/browser installs"]
fn reports_and_pictures_fit_work_and_stay_silent_in_a_browser() {
    let folder = folder();
    let mut browser = Browser::start(&folder);
    let mut faults = Vec::new();
    let demo = folder.join("demo.html");
    let picture = folder.join("demo-run.svg");
    let [page, svg] = [&demo, &picture].map(|file| file.to_str().unwrap());
    tool(&["--timeout", "3", "--html", page, "--svg", svg, "--quiet"]);
    for (name, report) in [
        ("mixed", mixed()),
        ("hostile", hostile()),
        ("footer", footer(1)),
        ("clean", clean()),
        ("partial", partial()),
    ] {
        fs::write(folder.join(format!("{name}.html")), html(&report)).unwrap();
        fs::write(folder.join(format!("{name}-run.svg")), report.to_svg()).unwrap();
        if let Some(graph) = report.to_graph_svg() {
            fs::write(folder.join(format!("{name}-site.svg")), graph).unwrap();
        }
    }
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    for file in files {
        let is_html = match file.extension().and_then(|end| end.to_str()) {
            Some("html") => true,
            Some("svg") => false,
            _ => continue,
        };
        // A picture has one size.
        let sizes = if is_html { &SIZES[..] } else { &SIZES[..1] };
        for (&(width, height), is_dark) in sizes.iter().flat_map(|size| [(size, false), (size, true)]) {
            let name = file.file_stem().unwrap().to_str().unwrap();
            let shot = format!("{name}-{width}-{}", if is_dark { "dark" } else { "light" });
            browser.resize(width, height, is_dark);
            browser.open(&file);
            browser.screenshot(&folder.join(format!("{shot}.png")), TALL);
            let found = browser.evaluate(if is_html { REPORT } else { PICTURE });
            let found = found.as_array().unwrap_or_else(|| panic!("{shot}: {found}"));
            faults.extend(found.iter().map(|fault| format!("{shot}: {fault}")));
            faults.extend(browser.errors().into_iter().map(|error| format!("{shot}: {error}")));
        }
    }
    without_scripts(&mut browser, &folder.join("mixed.html"), &mut faults);
    println!("The pictures are in {}.", folder.display());
    assert!(faults.is_empty(), "{faults:#?}");
}

/// A browser that runs no scripts shows the same, without a filter that would not work.
fn without_scripts(browser: &mut Browser, report: &std::path::Path, faults: &mut Vec<String>) {
    browser.call("Emulation.setScriptExecutionDisabled", json!({ "value": true }));
    browser.open(report);
    let found = browser.evaluate(
        "[document.querySelectorAll('.item').length > 10,
          [...document.querySelectorAll('.scripted')].every(element => !element.checkVisibility()),
          document.documentElement.scrollWidth <= document.documentElement.clientWidth,
          [...document.querySelectorAll('.item')].every(item => !item.hidden)]",
    );
    if found != json!([true, true, true, true]) {
        faults.push(format!("without scripts: {found}"));
    }
    browser.call("Emulation.setScriptExecutionDisabled", json!({ "value": false }));
}

//! The JSON report keeps to its schema, whatever is in it.

mod common;

use std::fs;

use boon::{Compiler, Schemas};
use common::site::{OTHER, Reply, Site};
use common::tool::{file, text, tool};
use common::within_a_minute;
use serde_json::Value;

fn sites() -> (Site, Site) {
    let other = Site::open_at(OTHER, |asked| match asked.path.as_str() {
        "/robots.txt" => Some(Reply::status(503)),
        _ => None,
    });
    let away = other.url("/x");
    let site = Site::open(move |asked| match asked.path.as_str() {
        "/" => Some(Reply::page(format!(
            "<a href=/lost>lost</a> <a href=/busy#x> <a href=/moved> <a href=/known> <a href='http://['> \
             <a href=mailto:a@b.test> <a href={away}> <a href=/a.pdf> <a href=#part> <a href=/no> <a href=/part#here>"
        ))),
        "/part" => Some(Reply::redirect("/#elsewhere")),
        "/busy" => Some(Reply::status(999)),
        "/moved" => Some(Reply::page("").status_line("301 Moved").header("Location", "/a.pdf")),
        "/a.pdf" => Some(Reply::of("application/pdf", "")),
        "/robots.txt" => Some(Reply::of(
            "text/plain",
            "User-agent: *\nDisallow: /no\nSitemap: /map.xml\nSitemap: /gone.xml\n",
        )),
        "/map.xml" => Some(Reply::of("application/xml", "<urlset><url><loc>/a.pdf</loc></url></urlset>")),
        _ => None,
    });
    (site, other)
}

#[test]
fn every_report_keeps_to_the_schema_that_the_program_writes() {
    within_a_minute(|| {
        let schema: Value = serde_json::from_slice(&tool(&["--schema"]).stdout).unwrap();
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.add_resource("report.json", schema).unwrap();
        let schema = compiler.compile("report.json", &mut schemas).unwrap();
        let ((site, _other), ignored) = (sites(), file("schema-ignored.toml"));
        fs::write(&ignored, "[[ignore]]\npattern = \"*/known\"\nreason = \"x\"\n").unwrap();
        let url = site.url("/");
        let run = |more: &[&str]| -> Value {
            let output = tool(&[&[&*url, "--format", "json", "--quiet", "--retries", "0"], more].concat());
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)))
        };
        let full = run(&[
            "--external-fragments",
            "--assets",
            "--sitemaps",
            "--redirects",
            "warn",
            "--ignore-file",
            ignored.to_str().unwrap(),
            "--include",
            "*",
            "--exclude",
            "/nothing",
        ]);
        for report in [
            &full,
            &run(&["--time", "0"]),
            &run(&["--pages", "1"]),
            &run(&["--depth", "0", "--redirects", "refuse"]),
        ] {
            if let Err(error) = schemas.validate(report, schema) {
                panic!("{error:#}\n{report}");
            }
        }
        // None of these was empty, so that each was held against the schema.
        for key in [
            "dead",
            "uncertain",
            "redirected",
            "ignored",
            "notices",
            "unreadable_robots",
            "sitemaps",
            "part_links",
            "part_redirects",
            "not_http",
            "broken",
            "pages",
            "parts",
        ] {
            let is_empty =
                full[key].as_array().map_or_else(|| full[key].as_object().unwrap().is_empty(), Vec::is_empty);
            assert!(!is_empty, "{key}: {full}");
        }
        assert!(
            full["dead"].as_array().unwrap().iter().any(|link| link["status"] == 404),
            "{}",
            full["dead"]
        );
        // The schema is not one that everything keeps to.
        let mut other = full.clone();
        other["dead"][0]["status"] = "404".into();
        assert!(schemas.validate(&other, schema).is_err());
        let mut other = full;
        other["new_key"] = 1.into();
        assert!(schemas.validate(&other, schema).is_err());
    });
}

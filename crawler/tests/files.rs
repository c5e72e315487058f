//! Pages in folders on this machine: HTML and Markdown, without a network.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::site::{Reply, Site};
use common::tool::{command, file, text, tool};
use common::within_a_minute;
use selvedge_crawl::{Crawler, Folder, StartError};

/// A folder of the test's own with these files in it.
fn folder(name: &str, files: &[(&str, &str)]) -> PathBuf {
    let folder = file(name);
    let _ = fs::remove_dir_all(&folder);
    for (path, content) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The dead URLs behind the folder's own, in their order.
fn dead(arguments: &[&str], folder: &Path) -> Vec<String> {
    let output = tool(&[arguments, &["--format", "json", "--quiet"]].concat());
    let json: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", text(&output.stderr)));
    let at = format!("file://{}", fs::canonicalize(folder).unwrap().display());
    let urls = json["dead"].as_array().unwrap().iter();
    let mut urls: Vec<_> = urls.map(|link| link["url"].as_str().unwrap().replace(&at, "")).collect();
    urls.sort();
    urls
}

#[test]
fn a_folder_is_read_as_a_whole_and_a_link_to_a_missing_file_is_dead() {
    within_a_minute(|| {
        let docs = folder(
            "files-whole",
            &[
                (
                    "index.html",
                    "<a href=guide/>g</a> <a href=/guide/b.html?v=1>b</a> <a href=lost.html>l</a>",
                ),
                ("guide/index.html", "<a href=../index.html>up</a> <a href='b%2Ehtml'>b</a>"),
                ("guide/b.html", "<a href=/missing>m</a> <img src=x.png>"),
                ("orphan.html", "<a href=nowhere.html>n</a> <a href=picture.png>p</a> <a href=empty>e</a>"),
                ("picture.png", ""),
                ("empty/x.txt", ""),
                (".hidden/x.html", "<a href=not-looked-at>"),
            ],
        );
        assert_eq!(dead(&[path(&docs)], &docs), ["/lost.html", "/missing", "/nowhere.html"]);
        let with_assets = dead(&[path(&docs), "--assets"], &docs);
        assert!(with_assets.contains(&"/guide/x.png".to_owned()), "{with_assets:?}");
        // One file begins at that file.
        assert_eq!(dead(&[path(&docs.join("orphan.html"))], &docs), ["/nowhere.html"]);
        let output = tool(&[path(&docs), "--exclude", "*orphan*", "--quiet"]);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    });
}

#[test]
fn markdown_is_read_and_its_headings_have_the_anchors_that_github_makes() {
    within_a_minute(|| {
        let docs = folder(
            "files-markdown",
            &[
                (
                    "README.md",
                    "# What's new?\n[a](#whats-new) [b](#what-s-new) [c](docs/a.md#same-1) [d](docs/a.md#same-2)\n\
                     [e](docs/a.md#own) [f](docs) [g](LICENSE) [h][ref] ![i](gone.png) <docs/b.md>\n\n[ref]: docs/lost.md\n",
                ),
                (
                    "docs/a.md",
                    "## Same\n## *Same*\n<a id=own></a> [up](../README.md) [root](/README.md#no)\n",
                ),
                ("LICENSE", ""),
            ],
        );
        assert_eq!(
            dead(&[path(&docs), "--fragments", "--assets"], &docs),
            ["/README.md#no", "/README.md#what-s-new", "/docs/a.md#same-2", "/docs/lost.md", "/gone.png"]
        );
    });
}

#[test]
fn a_published_folder_knows_its_own_urls_and_asks_nobody_for_them() {
    within_a_minute(|| {
        let docs = folder(
            "files-published",
            &[
                (
                    "index.html",
                    "<a href=https://docs.test/book/a>a</a> <a href=/book/lost>l</a> <a href=/elsewhere>e</a> <a href=empty/>f</a>",
                ),
                ("a.html", "<a href=https://docs.test/book/sub/>s</a>"),
                ("sub/index.html", "<a href=../a/>not a folder</a>"),
                ("empty/x.txt", ""),
            ],
        );
        let run = |more: &[&str]| {
            let arguments = [&[path(&docs), "--base-url", "https://docs.test/book"], more].concat();
            dead(&arguments, &docs)
        };
        let lost = |paths: &[&str]| -> Vec<String> {
            paths.iter().map(|path| format!("https://docs.test/book/{path}")).collect()
        };
        assert_eq!(run(&[]), lost(&["a", "a/", "empty/", "lost"]));
        assert_eq!(run(&["--fallback-extension", "html"]), lost(&["a/", "empty/", "lost"]));
    });
}

#[test]
fn a_link_that_leads_out_of_the_folder_is_looked_at_as_far_as_was_asked_for() {
    within_a_minute(|| {
        let site = Site::open(|asked| (asked.path == "/there").then(|| Reply::page("")));
        let (there, lost) = (site.url("/there"), site.url("/lost"));
        let page = format!(
            "<a href={there}>t</a> <a href={lost}>l</a> <a href=../beside.html>b</a> <a href=../gone.html>g</a>"
        );
        let outer =
            folder("files-out", &[("in/index.html", &page), ("beside.html", "<a href=not-followed.html>")]);
        let inner = outer.join("in");
        assert_eq!(dead(&[path(&inner)], &outer), ["/gone.html"]);
        assert!(site.asked().is_empty());
        assert_eq!(dead(&[path(&inner), "--external"], &outer), ["/gone.html".to_owned(), lost]);
    });
}

#[test]
fn a_page_from_a_server_cannot_make_the_crawl_look_at_files() {
    within_a_minute(|| {
        let secret = folder("files-secret", &[("x.html", "<a href=lost.html>")]);
        let url = format!("file://{}/x.html", fs::canonicalize(&secret).unwrap().display());
        let page = format!("<base href='{url}'><a href=y.html>y</a> <a href='{url}'>x</a>");
        let other = url.clone();
        let site = Site::open(move |asked| match asked.path.as_str() {
            "/" => Some(Reply::page(page.clone())),
            "/go" => Some(Reply::redirect(&other)),
            _ => None,
        });
        let output = tool(&[&site.url("/"), path(&secret), "--external", "--assets", "--format", "json"]);
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let dead = json["dead"].as_array().unwrap();
        // Its own link only: the folder is in this crawl because it was asked for.
        assert_eq!(dead.len(), 1, "{dead:?}");
        assert!(dead[0]["linked_from"][0]["page"].as_str().unwrap().starts_with("file:"));
        assert_eq!(json["not_http"].as_array().unwrap().len(), 2, "{}", json["not_http"]);
        assert!(text(&tool(&[&site.url("/go"), "--quiet"]).stdout).contains("redirect to nowhere"));
    });
}

#[test]
fn a_path_that_is_written_to_lead_out_of_the_folder_does_not() {
    within_a_minute(|| {
        let outer = folder(
            "files-escape",
            &[
                ("in/index.html", "<a href='..%2fsecret.html'>1</a> <a href='%2e%2e%2fsecret.html'>2</a>"),
                ("secret.html", ""),
            ],
        );
        let inner = outer.join("in");
        let output = tool(&[path(&inner), "--base-url", "https://a.test/", "--format", "json", "--quiet"]);
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(json["dead"].as_array().unwrap().len(), 2, "{}", json["dead"]);
    });
}

#[test]
fn what_git_ignores_is_left_out_and_a_folder_without_pages_is_bad_use() {
    within_a_minute(|| {
        let docs = folder(
            "files-ignored",
            &[
                ("a.html", ""),
                (".gitignore", "built/\n"),
                (".git/HEAD", ""),
                ("built/b.html", "<a href=lost>"),
                ("none/x.txt", ""),
            ],
        );
        assert_eq!(dead(&[path(&docs)], &docs), [""; 0]);
        // What is asked for by name is read.
        assert_eq!(dead(&[path(&docs.join("built"))], &docs), ["/built/lost"]);
        for (arguments, hint) in [
            (vec![path(&docs.join("none")).to_owned()], "no page"),
            (vec![path(&docs.join("gone")).to_owned()], "cannot be read"),
            (vec![path(&docs).to_owned(), "--base-url".into(), "ftp://x".into()], "no place to publish at"),
        ] {
            let output = command(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{arguments:?}");
            assert!(text(&output.stderr).contains(hint), "{}", text(&output.stderr));
        }
    });
}

#[test]
fn a_crawl_of_a_folder_goes_on_from_its_state_when_the_folder_is_given_again() {
    within_a_minute(|| {
        let docs = folder("files-resume", &[("a.html", "<a href=b.html>"), ("b.html", "<a href=lost.html>")]);
        let state = file("files-resume.json");
        let (a, state) = (docs.join("a.html"), path(&state));
        tool(&[path(&a), "--pages", "1", "--state", state, "--quiet"]);
        let output = tool(&["--resume", state, "--quiet"]);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output.stdout));
        assert!(text(&output.stderr).contains("--root"), "{}", text(&output.stderr));
        let output = tool(&["--resume", state, "--root", path(&docs), "--quiet"]);
        assert!(
            text(&output.stdout).contains("lost.html"),
            "{}{}",
            text(&output.stdout),
            text(&output.stderr)
        );
    });
}

#[test]
fn a_file_that_is_in_no_folder_of_the_crawler_is_no_start() {
    within_a_minute(|| {
        let docs = folder("files-library", &[("a.html", "<a href=lost.html>")]);
        let folder = Folder::open(&docs).unwrap();
        let start = folder.url_of(docs.join("a.html")).unwrap();
        let without = Crawler::builder().build().unwrap().run(&start);
        assert!(matches!(without, Err(StartError::NotInAFolder { .. })), "{without:?}");
        let report = Crawler::builder().folder(folder.clone()).build().unwrap().run(folder.url()).unwrap();
        // A folder without an index is there, and says nothing.
        assert_eq!((report.dead_count(), report.fetched()), (0, 1));
        assert!(report.not_looked_at().is_some());
        assert!(Folder::open(docs.join("a.html")).is_err() && Folder::open("/nonexistent/x").is_err());
    });
}

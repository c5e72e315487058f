//! Options and ignored problems from files.

mod common;

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use common::site::{Reply, Site};
use common::tool::{command, file, text};
use common::within_a_minute;

fn site() -> Site {
    Site::open(|asked| match asked.path.as_str() {
        "/" => Some(Reply::page("<a href=/a>a</a> <a href=/b>b</a> <a href=/c>c</a> <a href=/busy>d</a>")),
        "/c" => Some(Reply::page("<a href=/deep>")),
        "/busy" => Some(Reply::status(999)),
        _ => None,
    })
}

/// A folder of the test's own with these files in it.
fn folder(name: &str, files: &[(&str, &str)]) -> PathBuf {
    let folder = file(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    for (path, content) in files {
        fs::write(folder.join(path), content).unwrap();
    }
    folder
}

fn run(folder: &PathBuf, arguments: &[&str]) -> Output {
    command(arguments).current_dir(folder).output().unwrap()
}

#[test]
fn a_config_file_in_the_current_folder_holds_and_the_command_line_wins() {
    within_a_minute(|| {
        let site = site();
        let config = format!(
            "start = [\"{}\"]\ndepth = 1\nformat = \"csv\"\nexclude = [\"*/a\", \"re:/b$\"]\nquiet = true\nworkers = 2\n",
            site.url("/")
        );
        let folder =
            folder("config-found", &[("selvedge-crawl.toml", &config), ("other.toml", "depth = 0\n")]);
        let told = text(&run(&folder, &[]).stdout);
        assert!(told.starts_with("url,") && !told.contains("/deep,failed"), "{told}");
        assert!(site.count("/c") == 1 && site.count("/a") + site.count("/b") + site.count("/deep") == 0);
        let output = run(&folder, &["--depth", "2", "--format", "text"]);
        assert_eq!(output.status.code(), Some(1));
        let told = text(&output.stdout);
        assert!(told.contains("/deep") && !told.contains("/a") && !told.contains("Slowest"), "{told}");
        let told = text(&run(&folder, &["--quiet=false", "-f", "text"]).stdout);
        assert!(told.contains("Slowest"), "{told}");
        let told = text(&run(&folder, &["--no-config", &site.url("/"), "-q"]).stdout);
        assert!(told.contains("/a") && told.contains("/deep"), "{told}");
        let told = text(&run(&folder, &["-c", "other.toml", &site.url("/"), "-q"]).stdout);
        assert!(told.contains("No dead links"), "{told}");
    });
}

#[test]
fn a_mistake_in_a_config_file_is_told_with_its_line_before_anything_is_asked() {
    within_a_minute(|| {
        let site = site();
        for (content, hints) in [
            ("depth = 1\nexlude = \"x\"\n", &["line 2", "exlude", "exclude?"][..]),
            ("depth = 1\ndepth = 2\n", &["line 2", "duplicate"]),
            ("\ndepth = [1, 2]\n", &["line 2", "one value"]),
            ("depth = \"far\"\n", &["whole number"]),
            ("help = true\n", &["line 1", "command line only"]),
            ("quiet = 3\n", &["=true or =false"]),
            ("depth = { a = 1 }\n", &["line 1", "a text, a number"]),
            ("[[ignore]]\npattern = \"*\"\n", &["reason"]),
            ("[[ignore]]\npattern = \"[\"\nreason = \"x\"\n", &["line 2", "is not a pattern"]),
            (
                "[[ignore]]\npattern = \"*\"\nreason = \"x\"\nuntil = \"soon\"\n",
                &["line 4", "until = 2026-12-31"],
            ),
            ("ignore = 3\n", &["until = 2026-12-31"]),
            ("depth = = 1\n", &["line 1"]),
        ] {
            let folder = folder("config-wrong", &[("selvedge-crawl.toml", content)]);
            let output = run(&folder, &[&site.url("/")]);
            let told = text(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{content}: {told}");
            for hint in hints
                .iter()
                .chain(&["selvedge-crawl.toml"])
                .filter(|_| !content.contains("far") && !content.contains("= 3\n"))
            {
                assert!(told.contains(hint), "{content}: {told} has no {hint}");
            }
        }
        assert!(site.asked().is_empty());
        let output = run(&folder("config-none", &[]), &["--config", "gone.toml", &site.url("/")]);
        assert!(output.status.code() == Some(2) && text(&output.stderr).contains("gone.toml"));
    });
}

#[test]
fn ignored_problems_do_not_count_until_their_day_and_are_told_when_they_are_gone() {
    within_a_minute(|| {
        let site = site();
        let entry = |pattern: &str, rest: &str| format!("[[ignore]]\npattern = \"{pattern}\"\n{rest}\n");
        let ignored = entry("*/a", "reason = \"until the release\"\nuntil = 9999-12-31")
            + &entry("*/b", "reason = \"was to be mended\"\nuntil = 2001-02-03")
            + &entry("*/busy", "reason = \"never answers programs\"")
            + &entry("*/deep", "reason = \"known\"")
            + &entry("*/c", "reason = \"was dead once\"");
        let folder = folder("ignored", &[("ignored.toml", &ignored), ("wrong.toml", "depth = 1\n")]);
        let output = run(&folder, &[&site.url("/"), "--ignore-file", "ignored.toml"]);
        let told = text(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("Dead links: 1, to 1 URL"), "{told}");
        assert!(
            told.contains("No longer ignored, since its time has passed: */b (was to be mended)."),
            "{told}"
        );
        assert!(told.contains("Nothing to ignore for */c (was dead once); it can go."), "{told}");
        assert!(told.contains("Ignored: 3 URLs") && told.contains("until the release"), "{told}");
        assert!(!told.contains("Uncertain"), "{told}");
        let json = run(&folder, &[&site.url("/"), "--ignore-file", "ignored.toml", "--format", "json"]);
        let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
        assert_eq!(json["ignored"].as_array().unwrap().len(), 3, "{}", json["ignored"]);
        assert_eq!(json["dead"][0]["status"], 404);
        let csv = text(&run(&folder, &[&site.url("/"), "--ignore-file", "ignored.toml", "-f", "csv"]).stdout);
        assert!(csv.contains("ignored: 404 Not Found (until the release)"), "{csv}");
        // With everything ignored, nothing is wrong.
        let output = run(&folder, &[&site.url("/"), "--ignore-file", "ignored.toml", "-x", "*/b"]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
        let output = run(&folder, &[&site.url("/"), "--ignore-file", "wrong.toml"]);
        assert!(output.status.code() == Some(2) && text(&output.stderr).contains("[[ignore]]"));
    });
}

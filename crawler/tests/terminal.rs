//! What the program shows, and where: colors, levels, the help and what is made with it.

mod common;

use std::fs;
use std::process::Command;

use common::site::{Reply, Site};
use common::tool::{command, file, text, tool};
use common::within_a_minute;

fn site() -> Site {
    Site::open(|asked| (asked.path == "/").then(|| Reply::page("<a href=/lost>x</a>")))
}

#[test]
fn there_are_colors_only_where_they_were_asked_for_and_no_progress_where_nobody_watches() {
    within_a_minute(|| {
        let site = site();
        // Nothing here is a terminal.
        let output = tool(&[&site.url("/")]);
        assert!(!text(&output.stdout).contains('\u{1b}'), "{}", text(&output.stdout));
        assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
        let painted = tool(&[&site.url("/"), "--color", "always"]);
        assert!(text(&painted.stdout).contains("\u{1b}[31mDead links: 1"), "{}", text(&painted.stdout));
        // A file gets none, and a report elsewhere leaves a word here.
        let report = file("terminal.txt");
        let output = tool(&[&site.url("/"), "--color", "always", "-o", report.to_str().unwrap()]);
        assert!(!fs::read_to_string(&report).unwrap().contains('\u{1b}'));
        assert!(
            text(&output.stderr).starts_with("2 looked at, 1 dead links, 0 uncertain, "),
            "{}",
            text(&output.stderr)
        );
    });
}

#[test]
fn each_level_shows_more_than_the_one_below_it() {
    within_a_minute(|| {
        let site = site();
        let run = |level: &str| {
            let output = tool(&[&site.url("/"), level]);
            assert_eq!(output.status.code(), Some(1), "{level}");
            (text(&output.stdout), text(&output.stderr))
        };
        assert_eq!(run("--silent"), (String::new(), String::new()));
        let (quiet, told) = run("-q");
        assert!(told.is_empty() && quiet.contains("/lost") && !quiet.contains("Slowest"), "{quiet}");
        let (loud, told) = run("-v");
        assert!(loud.contains("Slowest"), "{loud}");
        assert!(told.lines().count() == 2 && told.contains(&format!("404 {}", site.url("/lost"))), "{told}");
    });
}

#[test]
fn bash_completes_names_words_and_files() {
    within_a_minute(|| {
        let script = file("completions.bash");
        let script = script.to_str().unwrap();
        fs::write(script, tool(&["--completions", "bash"]).stdout).unwrap();
        let complete = |before: &str, word: &str| {
            let run = format!(
                "set -e; source '{script}'; COMP_WORDS=(selvedge-crawl '{before}' '{word}'); COMP_CWORD=2; _selvedge_crawl; \
                 echo \"${{COMPREPLY[*]}}\""
            );
            let output = match Command::new("bash").args(["-c", &run]).output() {
                Ok(output) => output,
                // Where there is no bash there is nothing to complete.
                Err(_) => return None,
            };
            assert!(output.status.success(), "{}", text(&output.stderr));
            Some(text(&output.stdout).trim().to_owned())
        };
        for (before, word, expected) in [
            ("", "--frag", "--fragments"),
            ("", "--external-", "--external-fragments"),
            ("--format", "ju", "junit"),
            ("-f", "sa", "sarif"),
            ("--redirects", "refuse", "refuse-permanent refuse"),
            ("--cache", "/etc/hos", "/etc/host"),
        ] {
            if let Some(completed) = complete(before, word) {
                assert!(completed.starts_with(expected), "{before} {word}: {completed}");
            }
        }
    });
}

#[test]
fn the_manual_page_is_one_that_man_reads_without_complaint() {
    within_a_minute(|| {
        let manual = text(&tool(&["--man"]).stdout);
        assert!(manual.starts_with(".TH ") && manual.contains(".SH EXIT STATUS"));
        let page = file("selvedge-crawl.1");
        fs::write(&page, &manual).unwrap();
        let Ok(output) = Command::new("groff").args(["-man", "-Tascii", "-ww", "-z"]).arg(&page).output()
        else {
            return;
        };
        assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output.stderr));
    });
}

#[test]
fn completions_for_other_shells_have_their_form() {
    within_a_minute(|| {
        let zsh = text(&tool(&["--completions", "zsh"]).stdout);
        assert!(zsh.starts_with("#compdef selvedge-crawl\n"));
        // Each line is one word between single quotes, and a quote in it is written out.
        let is_closed = |line: &str| line.replace("'\\''", "").matches('\'').count().is_multiple_of(2);
        assert!(zsh.lines().all(is_closed), "{zsh}");
        let fish = text(&tool(&["--completions", "fish"]).stdout);
        assert!(fish.lines().all(|line| line.starts_with("complete -c selvedge-crawl ")), "{fish}");
    });
}

#[test]
fn the_help_that_fits_a_screen_names_the_one_that_does_not() {
    within_a_minute(|| {
        let short = text(&tool(&["--help"]).stdout);
        assert!(short.contains("--help-all") && short.lines().count() <= 24);
        let long = text(&command(&["--help-all"]).output().unwrap().stdout);
        assert!(long.lines().count() > 60 && long.contains("--ignore-file"));
    });
}

//! Everybody in turn, a round at a time, and what comes out of it as tables: where the README's figures are
//! from.
//!
//! `cargo bench -p selvedge-benches --bench ratios` measures everything in about three minutes, with
//! `-- queue` (and so on, more than one may be named) only that section, with `--quick` in seconds, to see
//! that it works.
//!
//! Absolute times drift while a machine works, so the rivals are interleaved: ours, the first, the second,
//! and again from the start. The median of each one's rounds is what is compared.

use selvedge_benches::measure::{self, Effort, Row, Section, families, geometric_mean, trend};
use selvedge_benches::{CONDITIONS, GROWTH, SECTIONS};

fn main() {
    selvedge_benches::serve();
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let is_quick = arguments.iter().any(|argument| argument == "--quick");
    let effort = if is_quick { Effort::QUICK } else { Effort::THOROUGH };
    let chosen: Vec<&str> = arguments.iter().map(String::as_str).filter(|a| *a != "--quick").collect();
    let is_known = |name: &str| SECTIONS.contains(&name) || CONDITIONS.contains(&name) || name == GROWTH;
    if let Some(unknown) = chosen.iter().find(|name| !is_known(name)) {
        eprintln!("no section {unknown:?}; there are {SECTIONS:?}, {CONDITIONS:?} and {GROWTH:?}");
        std::process::exit(2);
    }
    let chosen = if chosen.is_empty() { SECTIONS.to_vec() } else { chosen };
    println!("{}", profile());
    for name in chosen {
        print(&measure::section(name, effort));
    }
}

/// How this program was built, as far as the environment and the workspace's manifest say: figures of a few
/// nanoseconds depend on it. Neither a `--config` of cargo's nor its configuration file is seen.
fn profile() -> String {
    let environment = [
        (
            "opt-level",
            option_env!("CARGO_PROFILE_BENCH_OPT_LEVEL"),
            option_env!("CARGO_PROFILE_RELEASE_OPT_LEVEL"),
        ),
        ("lto", option_env!("CARGO_PROFILE_BENCH_LTO"), option_env!("CARGO_PROFILE_RELEASE_LTO")),
        (
            "codegen-units",
            option_env!("CARGO_PROFILE_BENCH_CODEGEN_UNITS"),
            option_env!("CARGO_PROFILE_RELEASE_CODEGEN_UNITS"),
        ),
    ];
    let defaults = ["3", "false (within each crate only)", "16"];
    let settings = environment.into_iter().zip(defaults).map(|((key, bench, release), default)| {
        // The profile `bench` inherits from `release`.
        let value = bench
            .or_else(|| setting("[profile.bench]", key))
            .or(release)
            .or_else(|| setting("[profile.release]", key));
        format!("{key} {}", value.unwrap_or(default))
    });
    let settings: Vec<String> = settings.collect();
    let debug = if cfg!(debug_assertions) { ", debug assertions" } else { "" };
    format!("built with {}{debug}", settings.join(", "))
}

/// What the workspace's manifest says in one of its sections.
fn setting(section: &str, key: &str) -> Option<&'static str> {
    let manifest = include_str!("../Cargo.toml").lines().map(str::trim);
    let mut lines =
        manifest.skip_while(|line| *line != section).skip(1).take_while(|line| !line.starts_with('['));
    lines.find_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == key).then(|| value.trim().trim_matches('"'))
    })
}

fn print(section: &Section) {
    println!("\n## {}\n", section.name);
    if let Some(note) = &section.note {
        println!("{note}\n");
    }
    if !section.rows.is_empty() {
        print_table(&section.rows, section.rounds);
        print_means(&section.rows);
    }
    println!(
        "\n{} rounds each, or as many as stand behind the figure; {:.0} s",
        section.rounds, section.seconds
    );
    print_slow(&section.rows);
    if let Some(others) = section.others {
        println!("others had {:.0} % of the processors meanwhile", 100.0 * others);
    }
}

fn print_table(rows: &[Row], rounds: usize) {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in rows.iter().flat_map(|row| &row.entries) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    println!("| | {} | best rival / selvedge |", names.join(" | "));
    println!("|---|{}---|", "---|".repeat(names.len()));
    for row in rows {
        let told = |name: &&str| match (row.of(name), row.rounds(name)) {
            (Some(ns), had) if had < rounds => format!("{} ({had})", figure(ns)),
            (Some(ns), _) => figure(ns),
            (None, _) => "–".to_owned(),
        };
        let figures: Vec<String> = names.iter().map(told).collect();
        let best = row
            .best_rival()
            .map_or_else(String::new, |(best, ns)| format!("{:.2} ({best})", ns / row.ours()));
        let what = format!("{} ({} per {})", row.title, row.measure, row.unit);
        println!("| {what} | {} | {best} |", figures.join(" | "));
    }
}

/// With a decimal below 10, and in groups of three digits.
fn figure(ns: f64) -> String {
    if ns < 10.0 {
        return format!("{ns:.1}");
    }
    let digits = format!("{ns:.0}");
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).expect("digits")).collect();
    groups.join(",")
}

/// Geometric means of rival / ours over each family of cells: above 1 we are ahead.
fn print_means(rows: &[Row]) {
    println!();
    for (family, rows) in families(rows) {
        if rows[0].size.is_some() {
            println!("- {family}: {}", trend(&rows));
            continue;
        }
        let best = geometric_mean(rows.iter().filter_map(|row| Some(row.best_rival()?.1 / row.ours())));
        let mut line =
            format!("- {family} ({} rows): best rival of each row / selvedge {best:.2}", rows.len());
        for (name, _) in &rows[0].entries[1..] {
            // Only those who are in every row.
            let ratios: Option<Vec<f64>> = rows.iter().map(|row| Some(row.of(name)? / row.ours())).collect();
            if let Some(ratios) = ratios {
                line += &format!("; {name} {:.2}", geometric_mean(ratios.into_iter()));
            }
        }
        println!("{line}");
    }
}

/// The cells that took longest, if they took long.
fn print_slow(rows: &[Row]) {
    const LONG: f64 = 8.0;
    let slow = rows.iter().filter(|row| row.seconds > LONG);
    let slow: Vec<String> = slow.map(|row| format!("{} {:.0} s", row.title, row.seconds)).collect();
    if !slow.is_empty() {
        println!("took long: {}", slow.join(", "));
    }
}

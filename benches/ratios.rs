//! Everybody in turn, a round at a time, and what comes out of it as tables: where the README's figures are
//! from.
//!
//! `cargo bench -p selvedge-benches --bench ratios` measures everything in about three minutes, with
//! `-- queue` (and so on, more than one may be named) only that section, with `--quick` in seconds, to see
//! that it works.
//!
//! Absolute times drift while a machine works, so the rivals are interleaved: ours, the first, the second,
//! and again from the start. The median of each one's rounds is what is compared.

use selvedge_benches::measure::{self, Effort, Row, Section, geometric_mean};
use selvedge_benches::{GROWTH, SECTIONS};

fn main() {
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let is_quick = arguments.iter().any(|argument| argument == "--quick");
    let effort = if is_quick { Effort::QUICK } else { Effort::THOROUGH };
    let chosen: Vec<&str> = arguments.iter().map(String::as_str).filter(|a| *a != "--quick").collect();
    if let Some(unknown) = chosen.iter().find(|name| !SECTIONS.contains(name) && **name != GROWTH) {
        eprintln!("no section {unknown:?}; there are {SECTIONS:?} and {GROWTH:?}");
        std::process::exit(2);
    }
    let chosen = if chosen.is_empty() { SECTIONS.to_vec() } else { chosen };
    for name in chosen {
        print(&measure::section(name, effort));
    }
}

fn print(section: &Section) {
    println!("\n## {}\n", section.name);
    print_table(&section.rows);
    print_means(&section.rows);
    println!("\n{} rounds each, {:.0} s", section.rounds, section.seconds);
    if let Some(others) = section.others {
        println!("others had {:.0} % of the processors meanwhile", 100.0 * others);
    }
}

fn print_table(rows: &[Row]) {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in rows.iter().flat_map(|row| &row.entries) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    println!("| | {} | best rival / selvedge |", names.join(" | "));
    println!("|---|{}---|", "---|".repeat(names.len()));
    for row in rows {
        let figures: Vec<String> = names.iter().map(|name| row.of(name).map_or("–".into(), figure)).collect();
        let best = row
            .best_rival()
            .map_or_else(String::new, |(best, ns)| format!("{:.2} ({best})", ns / row.ours()));
        println!("| {} (ns per {}) | {} | {best} |", row.title, row.unit, figures.join(" | "));
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
    let mut families: Vec<&str> = rows.iter().map(|row| row.family.as_str()).collect();
    families.dedup();
    println!();
    for family in families {
        let rows: Vec<&Row> = rows.iter().filter(|row| row.family == family).collect();
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

//! Everybody in turn, a round at a time, and what comes out of it as tables: where the README's figures are
//! from.
//!
//! `cargo bench -p selvedge-benches --bench ratios` measures everything in about three minutes, with
//! `-- queue` (and so on, more than one may be named) only that section, with `--quick` in seconds, to see
//! that it works.
//!
//! Absolute times drift while a machine works, so the rivals are interleaved: ours, the first, the second,
//! and again from the start. The median of each one's rounds is what is compared.

use std::time::{Duration, Instant};

use selvedge_benches::{Cell, Entry, SECTIONS, cells};

/// How thoroughly to measure.
#[derive(Clone, Copy)]
struct Effort {
    rounds: usize,
    /// What a round of one entry should take.
    round: Duration,
}

const THOROUGH: Effort = Effort { rounds: 7, round: Duration::from_millis(60) };
const QUICK: Effort = Effort { rounds: 1, round: Duration::from_millis(10) };

fn main() {
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let effort = if arguments.iter().any(|argument| argument == "--quick") { QUICK } else { THOROUGH };
    let chosen: Vec<&str> = arguments.iter().map(String::as_str).filter(|a| *a != "--quick").collect();
    if let Some(unknown) = chosen.iter().find(|name| !SECTIONS.contains(name)) {
        eprintln!("no section {unknown:?}; there are {SECTIONS:?}");
        std::process::exit(2);
    }
    for section in SECTIONS.into_iter().filter(|section| chosen.is_empty() || chosen.contains(section)) {
        report(section, effort);
    }
}

/// One cell's medians, in nanoseconds; ours first.
struct Row {
    family: &'static str,
    title: String,
    medians: Vec<(&'static str, f64)>,
}

fn report(section: &str, effort: Effort) {
    let (start, before) = (Instant::now(), Ticks::now());
    let rows: Vec<Row> = cells(section).into_iter().map(|cell| measure(cell, effort)).collect();
    println!("\n## {section}\n");
    print_table(&rows);
    print_means(&rows);
    println!("\n{} rounds each, {:.0} s", effort.rounds, start.elapsed().as_secs_f64());
    if let (Some(before), Some(after)) = (before, Ticks::now()) {
        println!("others had {:.0} % of the processors meanwhile", 100.0 * after.share_of_others(&before));
    }
}

fn measure(mut cell: Cell, effort: Effort) -> Row {
    let counts: Vec<u64> = cell.entries.iter_mut().map(|entry| count_for(entry, effort.round)).collect();
    let mut rounds: Vec<Vec<f64>> = vec![Vec::new(); counts.len()];
    for _ in 0..effort.rounds {
        for ((entry, &count), times) in cell.entries.iter_mut().zip(&counts).zip(&mut rounds) {
            times.push((entry.run)(count).as_nanos() as f64 / count as f64);
        }
    }
    let names = cell.entries.iter().map(|entry| entry.name);
    let medians = names.zip(rounds.iter_mut().map(|times| median(times))).collect();
    Row { family: cell.family, title: format!("{} (ns per {})", cell.name, cell.unit), medians }
}

/// How often an entry must do its thing for a round to last that long by its own clock, which leaves out what
/// it makes before; but not so often that it takes more than four times that by everybody's.
fn count_for(entry: &mut Entry, round: Duration) -> u64 {
    let mut count = 2;
    loop {
        let mut taken = time_needed(entry, count);
        if taken * 8 >= round {
            // The middle one of three: what happened to be slow once would be run too seldom in every round.
            let mut times = [taken, time_needed(entry, count), time_needed(entry, count)];
            times.sort();
            taken = times[1];
        }
        if taken * 8 >= round {
            return ((count as f64 * round.as_secs_f64() / taken.as_secs_f64()) as u64).max(2);
        }
        count *= 4;
    }
}

fn time_needed(entry: &mut Entry, count: u64) -> Duration {
    let start = Instant::now();
    let own = (entry.run)(count);
    own.max(start.elapsed() / 4)
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

impl Row {
    fn ours(&self) -> f64 {
        self.medians[0].1
    }

    fn best_rival(&self) -> (&'static str, f64) {
        let rivals = self.medians[1..].iter().copied();
        rivals.min_by(|a, b| a.1.total_cmp(&b.1)).expect("every cell has a rival")
    }

    fn of(&self, name: &str) -> Option<f64> {
        self.medians.iter().find(|(rival, _)| *rival == name).map(|(_, ns)| *ns)
    }
}

fn print_table(rows: &[Row]) {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in rows.iter().flat_map(|row| &row.medians) {
        if !names.contains(name) {
            names.push(name);
        }
    }
    println!("| | {} | best rival / selvedge |", names.join(" | "));
    println!("|---|{}---|", "---|".repeat(names.len()));
    for row in rows {
        let figures: Vec<String> = names.iter().map(|name| row.of(name).map_or("–".into(), figure)).collect();
        let (best, ns) = row.best_rival();
        let ratio = ns / row.ours();
        println!("| {} | {} | {ratio:.2} ({best}) |", row.title, figures.join(" | "));
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
    let mut families: Vec<&str> = rows.iter().map(|row| row.family).collect();
    families.dedup();
    println!();
    for family in families {
        let rows: Vec<&Row> = rows.iter().filter(|row| row.family == family).collect();
        let best = geometric_mean(rows.iter().map(|row| row.best_rival().1 / row.ours()));
        let mut line =
            format!("- {family} ({} rows): best rival of each row / selvedge {best:.2}", rows.len());
        for (name, _) in &rows[0].medians[1..] {
            // Only those who are in every row.
            let ratios: Option<Vec<f64>> = rows.iter().map(|row| Some(row.of(name)? / row.ours())).collect();
            if let Some(ratios) = ratios {
                line += &format!("; {name} {:.2}", geometric_mean(ratios.into_iter()));
            }
        }
        println!("{line}");
    }
}

fn geometric_mean(values: impl Iterator<Item = f64>) -> f64 {
    let logarithms: Vec<f64> = values.map(f64::ln).collect();
    (logarithms.iter().sum::<f64>() / logarithms.len() as f64).exp()
}

/// What the system has counted since it started, where it tells (Linux): on a machine that others use, the
/// figures are not to be trusted.
struct Ticks {
    busy: f64,
    idle: f64,
    own: f64,
}

impl Ticks {
    fn now() -> Option<Self> {
        let system = std::fs::read_to_string("/proc/stat").ok()?;
        let system: Vec<f64> =
            system.lines().next()?.split_whitespace().skip(1).map_while(|n| n.parse().ok()).take(8).collect();
        // The name in brackets may contain spaces.
        let own = std::fs::read_to_string("/proc/self/stat").ok()?;
        let own: Vec<f64> = own
            .rsplit(')')
            .next()?
            .split_whitespace()
            .skip(11)
            .map_while(|n| n.parse().ok())
            .take(2)
            .collect();
        // user, nice, system, idle, waiting for a disk, and three or four more that are busy.
        let idle = system.get(3)? + system.get(4)?;
        Some(Ticks { busy: system.iter().sum::<f64>() - idle, idle, own: own.iter().sum() })
    }

    fn share_of_others(&self, before: &Ticks) -> f64 {
        let busy = self.busy - before.busy;
        let others = busy - (self.own - before.own);
        (others / (busy + self.idle - before.idle)).max(0.0)
    }
}

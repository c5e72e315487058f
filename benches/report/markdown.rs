//! The page for the repository: a summary, and a table for each section.

use std::fmt::Write;

use selvedge_benches::measure::{self, Row, Section, families, geometric_mean, median};

use crate::data::Data;
use crate::go;

/// The whole page.
pub(crate) fn page(data: &Data) -> String {
    let mut page = String::from("# Figures\n\n");
    let machine = &data.machine;
    let _ = write!(
        page,
        "Measured on {} with {} processors, {}, {}, on {}. A ratio is a rival's time over ours, so above 1 we are ahead; \
         behind it, in brackets, the lowest and the highest of the rounds. Rounds are interleaved. A row whose rounds lie \
         on both sides of 1 decides nothing, and says `?`. What is {} times slower than the fastest of its row, or is in a \
         row that takes long, has fewer rounds than its section; the number is behind its name then.\n\n\
         Made by `cargo bench -p selvedge-benches --bench report` from `data.json`, which has every round.\n\n\
         ## Summary\n\n",
        machine.processor,
        machine.processors,
        machine.system,
        machine.compiler,
        machine.date,
        measure::FAR_BEHIND
    );
    page += &summary(data);
    page += &steep(data);
    for section in data.compared() {
        let _ = write!(page, "\n## {}\n\n", section.name);
        if let Some(note) = &section.note {
            let _ = write!(page, "{note}.\n\n");
        }
        if !section.rows.is_empty() {
            page += &table(section);
        }
        page += &conditions(section);
    }
    if let Some(curves) = data.curves() {
        let _ = write!(page, "\n## growth\n\n{}{}", growth(&curves.rows), conditions(curves));
    }
    page += &rest(data);
    page += &beside_go(data);
    page += "\n## Versions\n\n";
    let versions: Vec<String> =
        machine.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    page += &versions.join(", ");
    page.push('\n');
    page
}

/// A line for each family: the geometric mean of the best rival's ratio, and the worst row.
fn summary(data: &Data) -> String {
    let mut text =
        String::from("| | rows | best rival of each row | worst row | others had |\n|---|---|---|---|---|\n");
    for section in data.compared() {
        for (family, rows) in families(&section.rows) {
            let ratios: Vec<(f64, &Row)> =
                rows.iter().filter_map(|row| Some((best_ratio(row)?, *row))).collect();
            let Some((worst, row)) = ratios.iter().min_by(|a, b| a.0.total_cmp(&b.0)) else { continue };
            let mean = geometric_mean(ratios.iter().map(|(ratio, _)| *ratio));
            let others =
                section.others.map_or_else(|| "?".to_owned(), |others| format!("{:.0} %", 100.0 * others));
            let name = if family == section.name {
                family.to_owned()
            } else {
                format!("{}: {family}", section.name)
            };
            let _ = writeln!(
                text,
                "| {name} | {} | {mean:.2} | {worst:.2} ({}) | {others} |",
                rows.len(),
                row.title
            );
        }
    }
    text
}

/// The curves whose total grows faster than linearly, where a rival's does not.
fn steep(data: &Data) -> String {
    let Some(section) = data.curves() else { return String::new() };
    let curves = families(&section.rows);
    let steep = curves.iter().filter(|(_, rows)| measure::is_steep(rows)).map(|(family, _)| *family);
    let steep: Vec<&str> = steep.collect();
    let told = if steep.is_empty() { "none".to_owned() } else { steep.join("; ") };
    format!(
        "\nCurves that grow faster than linearly here, and not elsewhere: {told} (of {}).\n",
        curves.len()
    )
}

fn best_ratio(row: &Row) -> Option<f64> {
    Some(row.best_rival()?.1 / row.ours())
}

fn table(section: &Section) -> String {
    let mut text = String::from("| ns | selvedge | rivals, and their time over ours |\n|---|---|---|\n");
    for row in &section.rows {
        let mut rivals: Vec<(f64, String)> = Vec::new();
        for (name, times) in &row.entries[1..] {
            let [low, middle, high] = row.ratio(name).expect("it is in the row");
            let open = if low < 1.0 && high > 1.0 { " ?" } else { "" };
            let fewer = match times.len() {
                had if had < section.rounds => format!(" ({had} rounds)"),
                _ => String::new(),
            };
            let told =
                format!("{name}{fewer} {}: {middle:.2} [{low:.2}–{high:.2}]{open}", figure(median(times)));
            rivals.push((middle, told));
        }
        rivals.sort_by(|a, b| a.0.total_cmp(&b.0));
        let rivals: Vec<String> = rivals.into_iter().map(|(_, told)| told).collect();
        let _ = writeln!(
            text,
            "| {}, per {} | {} | {} |",
            row.title,
            row.unit,
            figure(row.ours()),
            rivals.join("; ")
        );
    }
    text
}

/// The curves: each size with our time and the rivals', and whether the whole grows faster than linearly. The
/// power of the size is that of all, which for a figure per element is the size times the figure.
fn growth(rows: &[Row]) -> String {
    let mut text = String::new();
    for (family, rows) in families(rows) {
        let names: Vec<&str> = rows[0].entries.iter().map(|(name, _)| name.as_str()).collect();
        let _ = write!(
            text,
            "**{family}** ({} per {})\n\n| | {} |\n|---|{}\n",
            rows[0].measure,
            rows[0].unit,
            names.join(" | "),
            "---|".repeat(names.len())
        );
        for row in &rows {
            let figures: Vec<String> =
                names.iter().map(|name| row.of(name).map_or_else(|| "–".to_owned(), figure)).collect();
            let _ = writeln!(text, "| {} | {} |", digits(row.size.unwrap_or(0)), figures.join(" | "));
        }
        let _ = write!(text, "\n{}\n\n", measure::trend(&rows));
    }
    text
}

fn conditions(section: &Section) -> String {
    let others = section.others.map_or_else(String::new, |others| {
        format!("; others had {:.0} % of the processors meanwhile", 100.0 * others)
    });
    format!("\n{} rounds each, {:.0} s{others}.\n", section.rounds, section.seconds)
}

fn rest(data: &Data) -> String {
    if data.idle.is_empty() {
        return String::new();
    }
    let mut text = String::from("\n## At rest\n\n| | processor time in a second |\n|---|---|\n");
    for (name, ms) in &data.idle {
        let _ = writeln!(text, "| {name} | {ms:.2} ms |");
    }
    text
}

fn beside_go(data: &Data) -> String {
    if data.go.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "\n## Beside Go\n\nNot interleaved: a program of its own, after ours.\n\n| ns | Go | selvedge | ratio |\n|---|---|---|---|\n",
    );
    for (name, ns) in &data.go {
        let row = go::ours(name).and_then(|(section, title)| {
            let section = data.sections.iter().find(|other| other.name == section)?;
            section.rows.iter().find(|row| row.title == title)
        });
        let beside = row.map_or_else(
            || " | ".to_owned(),
            |row| format!("{} | {:.2}", figure(row.ours()), ns / row.ours()),
        );
        let _ = writeln!(text, "| {name} | {} | {beside} |", figure(*ns));
    }
    text
}

/// With a decimal below 10, and in groups of three digits.
pub(crate) fn figure(ns: f64) -> String {
    if ns < 10.0 { format!("{ns:.1}") } else { digits(ns.round() as u64) }
}

fn digits(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).expect("digits")).collect();
    groups.join(",")
}

//! The run as a picture: who fetched what and when, and how long the line was.

use std::io;
use std::path::Path;

use svg::Document;
use svg::node::element::path::Data;
use svg::node::element::{Group, Path as Curve, Title};

use crate::fetch::Outcome;
use crate::report::{Report, Visit};
use crate::shapes::{block, label, line, round, step};
use crate::summary::{clipped, partial, span};

const WIDTH: f64 = 1200.0;
const LEFT: f64 = 104.0;
const RIGHT: f64 = 28.0;
const STRIP: f64 = 44.0;
const GAP: f64 = 14.0;
/// What the rows of all workers share.
const ROWS: f64 = 280.0;
const FONT: &str = "system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";

const INK: &str = "#1f2933";
const FAINT: &str = "#66727f";
const GRID: &str = "#e4e8ec";
const WAIT: &str = "#d3d9e0";
const ALARM: &str = "#b3263e";

/// What became of a request: the colour of its bar.
#[derive(Clone, Copy, PartialEq)]
struct Kind {
    name: &'static str,
    colour: &'static str,
}

const PAGE: Kind = Kind { name: "page", colour: "#2a9d8f" };
const UNREAD: Kind = Kind { name: "not HTML or too large", colour: "#5b7db8" };
const REDIRECT: Kind = Kind { name: "redirect", colour: "#eeb23e" };
const DEAD: Kind = Kind { name: "dead", colour: "#d1384f" };
const ROBOTS: Kind = Kind { name: "robots.txt", colour: "#7b4fa3" };
const STOPPED: Kind = Kind { name: "stopped", colour: "#8a949e" };
const KINDS: [Kind; 6] = [PAGE, UNREAD, REDIRECT, DEAD, ROBOTS, STOPPED];

/// Draws `report` into the file at `path`.
pub(crate) fn write(report: &Report, path: &Path) -> io::Result<()> {
    svg::save(path, &Chart::of(report).draw())
}

struct Chart<'a> {
    report: &'a Report,
    /// Pixels in a second.
    scale: f64,
    /// Where the strips begin, under the title.
    top: f64,
    /// Where the workers' rows begin, and how high each is.
    rows: f64,
    row: f64,
}

impl<'a> Chart<'a> {
    fn of(report: &'a Report) -> Self {
        let scale = (WIDTH - LEFT - RIGHT) / report.took.as_secs_f64().max(1e-3);
        let row = (ROWS / report.workers as f64).clamp(5.0, 35.0);
        let top = if partial(report).is_some() { 106.0 } else { 84.0 };
        Chart { report, scale, top, rows: top + 2.0 * (STRIP + GAP) + 4.0, row }
    }

    fn draw(&self) -> Document {
        let height = self.floor() + 92.0;
        let document = Document::new().set("viewBox", (0, 0, WIDTH, height)).set("font-family", FONT);
        let document = document.set("width", WIDTH).set("height", height);
        let flying = self.strip(self.top, "in flight", "#9aa5b1", |sample| sample.in_flight);
        let waiting = self.strip(self.top + STRIP + GAP, "waiting", "#7fb4dd", |sample| sample.waiting);
        document
            .add(block(0.0, 0.0, WIDTH, height, "#ffffff"))
            .add(self.title())
            .add(self.axis())
            .add(flying)
            .add(waiting)
            .add(self.workers())
            .add(self.legend())
    }

    /// Where the last row ends.
    fn floor(&self) -> f64 {
        self.rows + self.row * self.report.workers as f64
    }

    fn x(&self, at: std::time::Duration) -> f64 {
        LEFT + at.as_secs_f64() * self.scale
    }

    fn title(&self) -> Group {
        let Report { pages, took, workers, per_host, .. } = self.report;
        let fetched = self.report.fetched();
        let speed = fetched as f64 / took.as_secs_f64().max(1e-9);
        let dead = self.report.dead_count();
        let totals = format!("{fetched} pages in {} · {speed:.0} pages/s · {dead} dead links", span(*took));
        let team = format!("{workers} workers, {per_host} requests at one host");
        let name = clipped(&format!("Crawl of {}", pages[0].url), 90);
        let title = Group::new().add(label(LEFT, 36.0, 20, INK, name).set("font-weight", 600)).add(label(
            LEFT,
            60.0,
            14,
            FAINT,
            format!("{totals} · {team}"),
        ));
        match partial(self.report) {
            Some(partial) => title.add(label(LEFT, 82.0, 14, ALARM, partial)),
            None => title,
        }
    }

    /// The seconds, as a grid behind everything.
    fn axis(&self) -> Group {
        let floor = self.floor() + 6.0;
        let took = self.report.took.as_secs_f64();
        let (step, digits) = step(took);
        let mut axis = Group::new();
        for tick in 0..=(took / step) as u32 {
            let x = LEFT + f64::from(tick) * step * self.scale;
            let grid = line(x, self.top, x, floor, GRID);
            let text = format!("{:.digits$} s", f64::from(tick) * step);
            axis = axis.add(grid).add(label(x, floor + 18.0, 12, FAINT, text).set("text-anchor", "middle"));
        }
        axis.add(line(LEFT, floor, WIDTH - RIGHT, floor, FAINT))
    }

    /// A count over time, from 0 to its maximum.
    fn strip(
        &self,
        top: f64,
        name: &str,
        colour: &str,
        count: impl Fn(&crate::report::Sample) -> usize,
    ) -> Group {
        let most = self.report.samples.iter().map(&count).max().unwrap_or(0);
        let foot = top + STRIP;
        let y = |count: usize| foot - STRIP * count as f64 / most.max(1) as f64;
        let mut data = Data::new().move_to((LEFT, foot));
        // A step, not a slope: the count holds until the next sample. One point for each half pixel will do.
        let (mut drawn, mut level) = (LEFT, 0);
        for sample in &self.report.samples {
            let x = self.x(sample.at);
            if x - drawn >= 0.5 || count(sample) == most {
                data = data.line_to((round(x), round(y(level)))).line_to((round(x), round(y(count(sample)))));
                (drawn, level) = (x, count(sample));
            }
        }
        let end = self.x(self.report.took);
        let data = data.line_to((round(end), round(y(level)))).line_to((round(end), foot)).close();
        Group::new()
            .add(label(LEFT - 12.0, top + 18.0, 13, INK, name).set("text-anchor", "end"))
            .add(label(LEFT - 12.0, top + 34.0, 12, FAINT, format!("0 – {most}")).set("text-anchor", "end"))
            .add(
                Curve::new()
                    .set("d", data)
                    .set("fill", colour)
                    .set("fill-opacity", 0.55)
                    .set("stroke", colour),
            )
            .add(line(LEFT, foot, WIDTH - RIGHT, foot, FAINT))
    }

    fn workers(&self) -> Group {
        let mut rows = Group::new();
        if self.row >= 12.0 {
            for worker in 0..self.report.workers {
                let y = self.rows + self.row * (worker as f64 + 0.5) + 4.5;
                let name = label(LEFT - 12.0, y, 13, INK, format!("worker {}", worker + 1));
                rows = rows.add(name.set("text-anchor", "end"));
            }
        }
        self.report.visits.iter().fold(rows, |rows, visit| rows.add(self.bar(visit)))
    }

    /// One request: the wait for its host's gate, and what came after.
    fn bar(&self, visit: &Visit) -> Group {
        let kind = self.kind(visit);
        let height = self.row * 0.78;
        let y = self.rows + self.row * visit.worker as f64 + (self.row - height) / 2.0;
        let started = visit.started.unwrap_or(visit.ended);
        let (wait, took) = (started.saturating_sub(visit.taken), visit.ended.saturating_sub(started));
        let between = |from, to| (self.x(from), (self.x(to) - self.x(from)).max(1.0));
        let mut bar = Group::new();
        if wait.as_secs_f64() * self.scale >= 0.5 {
            let (x, width) = between(visit.taken, started);
            bar = bar.add(block(x, y, width, height, WAIT));
        }
        if visit.started.is_some() {
            let (x, width) = between(started, visit.ended);
            let block = block(x, y, width, height, kind.colour);
            // A seam between neighbours, where there is room for one.
            let seam = if width >= 3.0 { 0.7 } else { 0.0 };
            bar = bar.add(
                block.set("stroke", "#ffffff").set("stroke-width", seam).set("rx", (width / 4.0).min(2.0)),
            );
        }
        let waited =
            if wait.as_millis() > 0 { format!(", after {} at the gate", span(wait)) } else { String::new() };
        bar.add(Title::new(format!("{}\n{}, {}{waited}", visit.url, self.came(visit, kind), span(took))))
    }

    /// What became of a request, in a word or two.
    fn came(&self, visit: &Visit, kind: Kind) -> String {
        match visit.page.and_then(|id| self.report.outcomes[id].as_ref()) {
            Some(Outcome::Refused { status } | Outcome::Redirect { status, .. }) => {
                format!("{} {status}", kind.name)
            }
            Some(Outcome::Failed(failure)) => format!("{}: {}", failure.kind, failure.detail),
            _ => kind.name.to_owned(),
        }
    }

    fn kind(&self, visit: &Visit) -> Kind {
        let Some(id) = visit.page else { return ROBOTS };
        match &self.report.outcomes[id] {
            Some(Outcome::Page { .. }) => PAGE,
            Some(Outcome::Other { .. } | Outcome::TooLarge { .. }) => UNREAD,
            Some(Outcome::Redirect { .. }) => REDIRECT,
            Some(Outcome::Refused { .. } | Outcome::Failed(_)) => DEAD,
            Some(Outcome::Stopped) | None => STOPPED,
        }
    }

    /// The colours that occur, with how often.
    fn legend(&self) -> Group {
        let y = self.floor() + 62.0;
        let count = |kind| self.report.visits.iter().filter(|visit| self.kind(visit) == kind).count();
        let counted = KINDS.map(|kind| (kind.colour, kind.name, count(kind)));
        let kinds = counted.into_iter().filter(|&(_, _, count)| count > 0);
        let texts = kinds.map(|(colour, name, count)| (colour, format!("{name} ({count})")));
        let mut x = LEFT;
        let mut legend = Group::new();
        for (colour, text) in texts.chain([(WAIT, "waiting for the host".to_owned())]) {
            let advance = 48.0 + 7.2 * text.len() as f64;
            legend = legend.add(block(x, y - 11.0, 18.0, 13.0, colour).set("rx", 2)).add(label(
                x + 25.0,
                y,
                13,
                INK,
                text,
            ));
            x += advance;
        }
        legend
    }
}

//! The run as a picture: who fetched what and when, and how long the line was.

use std::time::Duration;

use svg::Document;
use svg::node::element::path::Data;
use svg::node::element::{Group, Path as Curve, Title};

use super::shapes::{block, label, line, round, step};
use super::text::{clipped, span};
use crate::{Outcome, Report, Sample, Visit};

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

impl Report {
    /// Draws the run as an SVG picture: a row for each worker with a bar for each of its requests, and above
    /// them how many were in work and how many pages waited.
    pub fn to_svg(&self) -> String {
        Chart::of(self).draw().to_string()
    }
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
        let top = if report.partial().is_some() { 106.0 } else { 84.0 };
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

    fn x(&self, at: Duration) -> f64 {
        LEFT + at.as_secs_f64() * self.scale
    }

    fn title(&self) -> Group {
        let Report { pages, took, workers, per_host, .. } = self.report;
        let fetched = self.report.fetched();
        let speed = fetched.saturating_sub(self.report.earlier) as f64 / took.as_secs_f64().max(1e-9);
        let dead = self.report.dead_count();
        let totals = format!("{fetched} pages in {} · {speed:.0} pages/s · {dead} dead links", span(*took));
        let team = format!("{workers} workers, {per_host} requests at one host");
        let name = clipped(&format!("Crawl of {}", pages.first().map_or("nothing", |page| &page.url)), 90);
        let title = Group::new().add(label(LEFT, 36.0, 20, INK, name).set("font-weight", 600)).add(label(
            LEFT,
            60.0,
            14,
            FAINT,
            format!("{totals} · {team}"),
        ));
        match self.report.partial() {
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
    fn strip(&self, top: f64, name: &str, colour: &str, count: impl Fn(&Sample) -> usize) -> Group {
        let most = self.report.samples().iter().map(&count).max().unwrap_or(0);
        let foot = top + STRIP;
        let y = |count: usize| foot - STRIP * count as f64 / most.max(1) as f64;
        let mut data = Data::new().move_to((LEFT, foot));
        // A step, not a slope: the count holds until the next sample. One point for each half pixel will do.
        let (mut drawn, mut level) = (LEFT, 0);
        for sample in self.report.samples() {
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
        self.report.visits().iter().fold(rows, |rows, visit| rows.add(self.bar(visit)))
    }

    /// One request.
    fn bar(&self, visit: &Visit) -> Group {
        let kind = self.kind(visit);
        let height = self.row * 0.78;
        let y = self.rows + self.row * visit.worker as f64 + (self.row - height) / 2.0;
        let (x, end) = (self.x(visit.started), self.x(visit.ended));
        let width = (end - x).max(1.0);
        // A seam between neighbours, where there is room for one.
        let seam = if width >= 3.0 { 0.7 } else { 0.0 };
        let bar = block(x, y, width, height, kind.colour).set("stroke", "#ffffff");
        let bar = bar.set("stroke-width", seam).set("rx", (width / 4.0).min(2.0));
        let took = span(visit.ended.saturating_sub(visit.started));
        let title = Title::new(format!("{}\n{}, {took}", visit.url, self.came(visit, kind)));
        Group::new().add(bar).add(title)
    }

    /// What became of a request, in a word or two.
    fn came(&self, visit: &Visit, kind: Kind) -> String {
        let record = visit.page.and_then(|id| self.report.page(id).record.as_ref());
        match record.map(|record| (record.outcome, record.status)) {
            Some((Outcome::Refused | Outcome::Redirect, Some(status))) => format!("{} {status}", kind.name),
            Some((Outcome::Failed(failure), _)) => format!("{}: {failure}", kind.name),
            _ => kind.name.to_owned(),
        }
    }

    fn kind(&self, visit: &Visit) -> Kind {
        let Some(id) = visit.page else { return ROBOTS };
        match self.report.page(id).outcome() {
            Some(Outcome::Page | Outcome::Sitemap) => PAGE,
            Some(Outcome::Alive | Outcome::TooLarge) => UNREAD,
            Some(Outcome::Redirect) => REDIRECT,
            Some(Outcome::Refused | Outcome::Failed(_)) => DEAD,
            None => STOPPED,
        }
    }

    /// The colours that occur, with how often.
    fn legend(&self) -> Group {
        let y = self.floor() + 62.0;
        let count = |kind| self.report.visits().iter().filter(|visit| self.kind(visit) == kind).count();
        let counted = KINDS.map(|kind| (kind.colour, kind.name, count(kind)));
        let kinds = counted.into_iter().filter(|&(_, _, count)| count > 0);
        let mut x = LEFT;
        let mut legend = Group::new();
        for (colour, name, count) in kinds {
            let text = format!("{name} ({count})");
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

//! The run as a picture: which worker requested what and when, and how many pages were waiting.

use std::fmt::Write;
use std::time::Duration;

use svg::Document;
use svg::node::element::{Group, Path as Curve, Title};

use super::bars::{Bar, KINDS, Kind, bars};
use super::columns::clipped;
use super::fixes::{counted, grouped};
use super::shapes::{Ink, block, label, line, round, sheet, step};
use super::text::span;
use super::visible::visible;
use crate::{Report, Sample};

const WIDTH: f64 = 1000.0;
const LEFT: f64 = 92.0;
const RIGHT: f64 = 24.0;
const STRIP: f64 = 44.0;
const GAP: f64 = 14.0;
/// The height that the rows of all workers share.
const ROWS: f64 = 280.0;
/// The height of a line of the legend.
const LINE: f64 = 24.0;

impl Report {
    /// Draws the run as an SVG picture: a row for each worker with a bar for each of its requests, and above
    /// them how many requests were in flight and how many pages waited. Requests that would be drawn over
    /// each other are one bar, so a long run makes a small picture too. Light or dark as its reader prefers.
    pub fn to_svg(&self) -> String {
        Chart::of(self, true).draw().to_string()
    }

    /// The same without a title, in the colours of the page around it.
    pub(super) fn run_picture(&self) -> String {
        Chart::of(self, false).draw().to_string()
    }
}

struct Chart<'a> {
    report: &'a Report,
    /// True if nothing is around it that says what it is.
    is_alone: bool,
    /// Pixels in a second.
    scale: f64,
    /// Where the strips begin, under the title.
    top: f64,
    /// Where the workers' rows begin, and how high each is.
    rows: f64,
    row: f64,
    /// The bars by kind.
    bars: Vec<Bar>,
}

impl<'a> Chart<'a> {
    fn of(report: &'a Report, is_alone: bool) -> Self {
        let scale = (WIDTH - LEFT - RIGHT) / report.took.as_secs_f64().max(1e-3);
        let row = (ROWS / report.workers as f64).clamp(5.0, 35.0);
        let top = match (is_alone, report.partial()) {
            (false, _) => 8.0,
            (true, None) => 84.0,
            (true, Some(_)) => 106.0,
        };
        let bars = bars(report, |at| x(at, scale));
        Chart { report, is_alone, scale, top, rows: top + 2.0 * (STRIP + GAP) + 4.0, row, bars }
    }

    fn draw(&self) -> Document {
        let (legend, lines) = self.legend();
        let height = self.floor() + 52.0 + LINE * lines;
        let mut document = sheet(WIDTH, height, self.is_alone);
        if self.is_alone {
            document = document.add(self.title());
        }
        let flying = self.strip(self.top, "in flight", "#9aa5b1", |sample| sample.in_flight);
        let waiting = self.strip(self.top + STRIP + GAP, "waiting", "#7fb4dd", |sample| sample.waiting);
        document.add(self.axis()).add(flying).add(waiting).add(self.workers()).add(legend)
    }

    /// Where the last row ends.
    fn floor(&self) -> f64 {
        self.rows + self.row * self.report.workers as f64
    }

    fn title(&self) -> Group {
        let Report { pages, took, workers, per_host, .. } = self.report;
        let fetched = self.report.fetched();
        let speed = fetched.saturating_sub(self.report.earlier) as f64 / took.as_secs_f64().max(1e-9);
        let dead = counted(self.report.dead_count(), "dead link");
        let totals = format!("{} in {} · {speed:.0} pages/s · {dead}", counted(fetched, "page"), span(*took));
        let team = format!("{}, {per_host} requests at one host", counted(*workers, "worker"));
        let start = visible(pages.first().map_or("nothing", |page| &page.url));
        let name = label(LEFT, 36.0, 20, Ink::Text, clipped(&format!("Crawl of {start}"), 74));
        let totals = label(LEFT, 60.0, 14, Ink::Faint, format!("{totals} · {team}"));
        let title = Group::new().add(name.set("font-weight", 600)).add(totals);
        match self.report.partial() {
            Some(partial) => title.add(label(LEFT, 82.0, 14, Ink::Alarm, clipped(&visible(&partial), 115))),
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
            let grid = line(x, self.top, x, floor, Ink::Grid);
            let text = format!("{:.digits$} s", f64::from(tick) * step);
            let text = label(x, floor + 18.0, 13, Ink::Faint, text).set("text-anchor", "middle");
            axis = axis.add(grid).add(text);
        }
        axis.add(line(LEFT, floor, WIDTH - RIGHT, floor, Ink::Axis))
    }

    /// A count over time, from 0 to its maximum. It is drawn in steps, since a count holds until the next
    /// sample; of the samples within a pixel the highest and the last are drawn.
    fn strip(&self, top: f64, name: &str, colour: &str, count: impl Fn(&Sample) -> usize) -> Group {
        let samples = self.report.samples();
        let maximum = samples.iter().map(&count).max().unwrap_or(0);
        let foot = top + STRIP;
        let y = |count: usize| round(foot - STRIP * count as f64 / maximum.max(1) as f64);
        let column = |sample: &Sample| x(sample.at, self.scale).floor();
        let (mut path, mut level) = (format!("M{LEFT} {foot}"), 0);
        for pixel in samples.chunk_by(|a, b| column(a) == column(b)) {
            let x = column(&pixel[0]);
            let peak = pixel.iter().map(&count).max().unwrap_or(0);
            let last = pixel.last().map_or(0, &count);
            // Writing to a `String` does not fail.
            if peak != level {
                let _ = write!(path, "H{x}V{}", y(peak));
            }
            if last != peak {
                let _ = write!(path, "H{}V{}", x + 1.0, y(last));
            }
            level = last;
        }
        let _ = write!(path, "H{}V{foot}Z", round(x(self.report.took, self.scale)));
        let curve = Curve::new().set("d", path).set("fill", colour).set("fill-opacity", 0.55);
        let range = format!("0 – {}", grouped(maximum));
        Group::new()
            .add(label(LEFT - 12.0, top + 18.0, 13, Ink::Text, name).set("text-anchor", "end"))
            .add(label(LEFT - 12.0, top + 35.0, 13, Ink::Faint, range).set("text-anchor", "end"))
            .add(curve.set("stroke", colour))
            .add(line(LEFT, foot, WIDTH - RIGHT, foot, Ink::Axis))
    }

    fn workers(&self) -> Group {
        let mut rows = Group::new();
        if self.row >= 14.0 {
            for worker in 0..self.report.workers {
                let y = self.rows + self.row * (worker as f64 + 0.5) + 4.5;
                let name = label(LEFT - 12.0, y, 13, Ink::Text, format!("worker {}", worker + 1));
                rows = rows.add(name.set("text-anchor", "end"));
            }
        }
        let kinds = self.bars.chunk_by(|a, b| a.kind == b.kind).map(|bars| self.kind(bars));
        kinds.fold(Group::new().add(rows), Group::add)
    }

    /// The bars of one kind.
    fn kind(&self, bars: &[Bar]) -> Group {
        // A seam between neighbours tells them apart.
        let kind = Group::new().set("fill", bars[0].kind.colour).set("stroke", "#ffffff");
        let kind = kind.set("stroke-width", 0).set("class", "seams");
        bars.iter().fold(kind, |kind, bar| kind.add(self.bar(bar)))
    }

    fn bar(&self, bar: &Bar) -> svg::node::element::Rectangle {
        let height = self.row * 0.78;
        let y = self.rows + self.row * bar.worker as f64 + (self.row - height) / 2.0;
        let width = (bar.end - bar.x).max(1.0);
        let drawn = block(bar.x, y, width, height);
        let drawn = match bar.requests == 1 && width >= 3.0 {
            true => drawn.set("stroke-width", 0.7).set("rx", round((width / 4.0).min(2.0))),
            false => drawn,
        };
        drawn.add(Title::new(bar.caption(self.report)))
    }

    /// The colours that occur, with how often, and the number of lines they take.
    fn legend(&self) -> (Group, f64) {
        let count =
            |kind: Kind| self.bars.iter().filter(|bar| bar.kind == kind).map(|bar| bar.requests).sum();
        let counted = KINDS.map(|kind| (kind, count(kind)));
        let (mut x, mut y, mut lines) = (LEFT, self.floor() + 58.0, 1.0);
        let mut legend = Group::new();
        for (kind, count) in counted.into_iter().filter(|&(_, count): &(_, usize)| count > 0) {
            let text = format!("{} ({})", kind.name, grouped(count));
            // 7.2 pixels are the mean width of a character.
            let advance = 48.0 + 7.2 * text.chars().count() as f64;
            if x + advance > WIDTH {
                (x, y, lines) = (LEFT, y + LINE, lines + 1.0);
            }
            let swatch = block(x, y - 11.0, 18.0, 13.0).set("fill", kind.colour).set("rx", 2);
            legend = legend.add(swatch).add(label(x + 25.0, y, 13, Ink::Text, text));
            x += advance;
        }
        (legend, lines)
    }
}

fn x(at: Duration, scale: f64) -> f64 {
    LEFT + at.as_secs_f64() * scale
}

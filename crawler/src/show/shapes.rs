//! Rectangles, lines, labels and ticks, in colours that follow the reader's preference for light or dark.

use svg::Document;
use svg::node::element::{Line, Rectangle, Style, Text};

const FONT: &str = "system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";
/// A rule of a style sheet is stronger than an attribute, so this turns the colours below into dark ones.
const DARK: &str = "@media(prefers-color-scheme:dark){.paper{fill:#14181d}.ink{fill:#e3e8ee}.faint{fill:#9aa6b3}\
.alarm{fill:#f58a9b}.grid{stroke:#2e3742}.axis{stroke:#66727f}.seams{stroke:#14181d}\
.box{fill:#1f262e;stroke:#3a4551}}";

/// The distance between ticks, of which there are at most ten, and its decimals.
pub(super) fn step(took: f64) -> (f64, usize) {
    let power = 10f64.powf((took / 10.0).log10().floor());
    let step =
        [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| took / step <= 10.0);
    let step = step.unwrap_or(10.0 * power);
    (step, (-step.log10().floor()).max(0.0) as usize)
}

/// The colours of what is not data. Each is a class too, which a page around the picture may style.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ink {
    Text,
    Faint,
    Alarm,
    Grid,
    Axis,
}

impl Ink {
    fn class(self) -> &'static str {
        match self {
            Ink::Text => "ink",
            Ink::Faint => "faint",
            Ink::Alarm => "alarm",
            Ink::Grid => "grid",
            Ink::Axis => "axis",
        }
    }

    fn colour(self) -> &'static str {
        match self {
            Ink::Text => "#1f2933",
            Ink::Faint => "#5b6775",
            Ink::Alarm => "#b3263e",
            Ink::Grid => "#e4e8ec",
            Ink::Axis => "#8a949e",
        }
    }
}

/// An empty picture. One that `is_alone` brings a background and its colours for the dark.
pub(super) fn sheet(width: f64, height: f64, is_alone: bool) -> Document {
    let document = Document::new().set("viewBox", (0, 0, width, height)).set("font-family", FONT);
    match is_alone {
        true => document
            .set("width", width)
            .set("height", height)
            .add(Style::new(DARK))
            .add(block(0.0, 0.0, width, height).set("fill", "#ffffff").set("class", "paper")),
        false => document,
    }
}

pub(super) fn block(x: f64, y: f64, width: f64, height: f64) -> Rectangle {
    let block = Rectangle::new().set("x", round(x)).set("y", round(y));
    block.set("width", round(width)).set("height", round(height))
}

pub(super) fn line(x1: f64, y1: f64, x2: f64, y2: f64, ink: Ink) -> Line {
    let line = Line::new().set("x1", round(x1)).set("y1", round(y1)).set("x2", round(x2));
    line.set("y2", round(y2)).set("stroke", ink.colour()).set("class", ink.class())
}

pub(super) fn label(x: f64, y: f64, size: u32, ink: Ink, text: impl Into<String>) -> Text {
    let label = Text::new(text).set("x", round(x)).set("y", round(y)).set("font-size", size);
    label.set("fill", ink.colour()).set("class", ink.class())
}

/// To a hundredth of a pixel, which keeps the file small.
pub(super) fn round(pixels: f64) -> f64 {
    (pixels * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::step;

    #[test]
    fn an_axis_has_between_four_and_ten_ticks() {
        for took in [0.004, 0.03, 0.9, 1.0, 2.6, 7.0, 59.0, 4_000.0] {
            let ticks = took / step(took).0;
            assert!((4.0..=10.0).contains(&ticks), "{took} s has {ticks}");
        }
        assert_eq!((step(2.6).1, step(40.0).1), (1, 0));
    }
}

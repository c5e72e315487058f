//! Rectangles, lines, words and ticks.

use svg::node::element::{Line, Rectangle, Text};

/// The distance of two ticks, of which there are at most ten, and its decimals.
pub(super) fn step(took: f64) -> (f64, usize) {
    let power = 10f64.powf((took / 10.0).log10().floor());
    let step =
        [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| took / step <= 10.0);
    let step = step.unwrap_or(10.0 * power);
    (step, (-step.log10().floor()).max(0.0) as usize)
}

pub(super) fn block(x: f64, y: f64, width: f64, height: f64, fill: &str) -> Rectangle {
    let block = Rectangle::new().set("x", round(x)).set("y", round(y));
    block.set("width", round(width)).set("height", round(height)).set("fill", fill)
}

pub(super) fn line(x1: f64, y1: f64, x2: f64, y2: f64, stroke: &str) -> Line {
    Line::new()
        .set("x1", round(x1))
        .set("y1", round(y1))
        .set("x2", round(x2))
        .set("y2", round(y2))
        .set("stroke", stroke)
}

pub(super) fn label(x: f64, y: f64, size: u32, fill: &str, text: impl Into<String>) -> Text {
    Text::new(text).set("x", round(x)).set("y", round(y)).set("font-size", size).set("fill", fill)
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

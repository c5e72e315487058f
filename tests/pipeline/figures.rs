//! A pipeline's figures: recorded times, and the drawing.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use crate::common::within_a_minute;
use selvedge::Pipeline;
use selvedge::pipeline::Figures;

const WHILE: Duration = Duration::from_millis(5);

/// Computes for a while by the clock: it may take longer, but not less.
fn compute() {
    let end = Instant::now() + WHILE;
    while Instant::now() < end {}
}

/// The number in an attribute of a drawn element.
fn attribute(line: &str, name: &str) -> f64 {
    let (_, rest) = line.split_once(&format!(" {name}=\"")).expect("the element has the attribute");
    rest[..rest.find('"').unwrap()].parse().unwrap()
}

#[test]
fn time_is_recorded_under_its_kind() {
    within_a_minute(|| {
        let computing = Figures::new();
        Pipeline::source(0..4).par_map(1, |_| compute()).watched_by(&computing).for_each(drop);
        let stages = computing.stages();
        assert!(stages[0].working >= 4 * WHILE, "{stages:?}");

        let reading = Figures::new();
        let slow = (0..4).inspect(|_| compute());
        Pipeline::source(slow).par_map(1, |n| n).watched_by(&reading).for_each(drop);
        let stages = reading.stages();
        assert!(stages[0].waiting_for_input >= 4 * WHILE, "{stages:?}");
    });
}

#[test]
fn longest_bar_is_as_wide_as_the_picture_and_each_thread_has_its_row() {
    within_a_minute(|| {
        let (figures, meet) = (Figures::new(), Barrier::new(3));
        // Three threads, because each waits for the others.
        let stage = Pipeline::source(0..3).par_map(3, |_| {
            meet.wait();
            compute();
        });
        stage.bound(3).watched_by(&figures).for_each(drop);
        let picture = figures.to_svg();
        let (bars, rows): (Vec<&str>, Vec<&str>) =
            picture.lines().filter(|line| line.starts_with("<rect")).partition(|line| !line.ends_with("/>"));
        let width: f64 = bars.iter().map(|bar| attribute(bar, "width")).sum();
        assert!((width - 700.0).abs() < 1.0, "{picture}");
        // Rows are 14 pixels high, so three of them at this distance do not overlap.
        let tops = || rows.iter().map(|row| attribute(row, "y"));
        let (first, last) = (tops().fold(f64::MAX, f64::min), tops().fold(0.0, f64::max));
        assert!(last - first >= 28.0, "{picture}");
        assert!(rows.iter().all(|row| attribute(row, "x") + attribute(row, "width") <= 710.1), "{picture}");
    });
}

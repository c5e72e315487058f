//! The progress of a crawl: a bar on a terminal, and nothing elsewhere.

use std::collections::VecDeque;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use selvedge_crawl as crawl;

use crate::outputs::Outputs;

/// The window over which the current speed is measured.
const WINDOW: Duration = Duration::from_secs(1);
/// Shows a crawl's progress on stderr.
#[derive(Debug)]
pub(crate) struct Progress {
    screen: Screen,
    speed: Speed,
    is_verbose: bool,
}

#[derive(Debug)]
enum Screen {
    None,
    Bar(ProgressBar),
}

/// Pages per second over the last second or so.
#[derive(Debug, Default)]
struct Speed {
    /// Moments, and the pages fetched by then; the oldest is just outside the window.
    past: VecDeque<(Duration, usize)>,
}

impl Progress {
    pub(crate) fn new(asked: &Outputs) -> Self {
        let screen = match (asked.is_quiet(), std::io::stderr().is_terminal()) {
            (true, _) | (false, false) => Screen::None,
            (false, true) => {
                let style = ProgressStyle::with_template("{spinner:.cyan} [{bar:24.cyan/blue}] {msg}");
                let style = style.expect("a fixed template").progress_chars("━╸─");
                Screen::Bar(ProgressBar::new(0).with_style(style))
            }
        };
        Progress { screen, speed: Speed::default(), is_verbose: asked.verbose && !asked.is_quiet() }
    }

    /// Shows a settled page, in verbose mode.
    pub(crate) fn tell(&self, page: &crawl::Visited) {
        if !self.is_verbose {
            return;
        }
        let what = match (page.record.status, page.record.outcome) {
            (Some(status), _) => status.to_string(),
            (None, crawl::Outcome::Failed(kind)) => kind.to_string(),
            (None, _) => String::new(),
        };
        // A URL is ASCII without control characters.
        let line = format!("{what:>3} {} ({:.0} ms)", page.url, page.record.took.as_secs_f64() * 1e3);
        match &self.screen {
            Screen::Bar(bar) => bar.println(line),
            Screen::None => eprintln!("{line}"),
        }
    }

    pub(crate) fn show(&mut self, progress: &crawl::Progress) {
        let crawl::Progress { at, counts, errors, .. } = progress;
        let (fetched, in_flight) = (counts.fetched, counts.out);
        let speed = self.speed.after(*at, fetched);
        let found = fetched + in_flight + counts.waiting;
        let text = || {
            format!(
                "{fetched} of {found} pages found, {in_flight} in flight, {errors} errors, {speed:.0} pages/s"
            )
        };
        match &mut self.screen {
            Screen::None => {}
            Screen::Bar(bar) => {
                bar.set_length(found as u64);
                bar.set_position(fetched as u64);
                bar.set_message(text());
                bar.tick();
            }
        }
    }

    /// Removes the bar.
    pub(crate) fn finish(&mut self) {
        if let Screen::Bar(bar) = &self.screen {
            bar.finish_and_clear();
        }
        self.screen = Screen::None;
    }
}

impl Speed {
    fn after(&mut self, at: Duration, fetched: usize) -> f64 {
        self.past.push_back((at, fetched));
        while self.past.get(1).is_some_and(|(then, _)| at.saturating_sub(*then) >= WINDOW) {
            self.past.pop_front();
        }
        let (then, before) = self.past[0];
        let passed = (at - then).as_secs_f64();
        if passed > 0.0 { (fetched - before) as f64 / passed } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_speed_forgets_what_is_long_past() {
        let mut speed = Speed::default();
        assert_eq!(speed.after(Duration::ZERO, 0), 0.0);
        assert_eq!(speed.after(Duration::from_secs(1), 100), 100.0);
        assert_eq!(speed.after(Duration::from_secs(2), 110), 10.0);
    }
}

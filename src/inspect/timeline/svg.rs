//! A trace as a picture: a row for each thread, time from left to right.

use std::fmt::{self, Write};

use super::{Activity, Event, Trace};

/// The place of the names, and the width of what is right of them, in pixels.
const LEFT: f64 = 190.0;
const WIDTH: f64 = 1000.0;
/// The height of a row in pixels, and of what is drawn in it.
const ROW: usize = 22;
const BAR: usize = 16;

impl Trace {
    /// Draws the trace as an SVG picture: a row for each thread with its tasks, its sleeps and its idle
    /// times. A viewer that shows titles tells what each is.
    ///
    /// The size of the picture depends on the number of threads, and not on the number of events: what is
    /// narrower than a pixel is drawn once for each pixel.
    pub fn to_svg(&self) -> String {
        let mut body = String::new();
        self.draw(&mut body).expect("a string takes everything");
        let height = (self.tracks().0.len() + 2) * ROW;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{height}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n{body}</svg>\n",
            LEFT + WIDTH + 10.0,
        )
    }

    fn draw(&self, out: &mut String) -> fmt::Result {
        let (threads, track_of) = self.tracks();
        for (track, thread) in threads.iter().enumerate() {
            let (name, y) = (Escaped(thread), track * ROW + 16);
            writeln!(out, "<text x=\"8\" y=\"{y}\">{name}</text>")?;
        }
        let mut rows: Vec<Row> = threads.iter().map(|_| Row::default()).collect();
        let pixels_a_second = WIDTH / self.length.as_secs_f64().max(1e-9);
        for (event, track) in self.events.iter().zip(&track_of) {
            rows[*track].draw(out, event, track * ROW + 4, pixels_a_second)?;
        }
        let y = threads.len() * ROW + 20;
        write!(out, "<text x=\"8\" y=\"{y}\" fill=\"#666\">green: at work   blue: asleep in a call   ")?;
        writeln!(out, "grey: idle; {:.3?}, {} events dropped</text>", self.length, self.dropped)
    }
}

/// What has been drawn of a thread.
#[derive(Default)]
struct Row {
    /// The ends of the tasks around the next event.
    around: Vec<std::time::Duration>,
    /// The right end of the last narrow event of each kind: a second one in the same pixel is left out.
    drawn: [f64; 3],
}

impl Row {
    fn draw(&mut self, out: &mut String, event: &Event, top: usize, pixels_a_second: f64) -> fmt::Result {
        let (kind, colour) = match &event.what {
            Activity::Task { .. } => (0, "#3a7"),
            Activity::Sleep { location: Some(_), .. } => (1, "#48c"),
            Activity::Sleep { location: None, .. } => (2, "#ddd"),
            Activity::Wake { .. } => return Ok(()),
        };
        let end = event.start + event.length;
        self.around.retain(|around| *around > event.start);
        // An inner task is drawn lower than the one around it, down to a quarter.
        let inset = self.around.len().min(3) * BAR / 4;
        if kind == 0 {
            self.around.push(end);
        }
        let left = LEFT + event.start.as_secs_f64() * pixels_a_second;
        let width = event.length.as_secs_f64() * pixels_a_second;
        if width < 1.0 {
            if left + width <= self.drawn[kind] {
                return Ok(());
            }
            // To the end of the pixel.
            self.drawn[kind] = (left + width).ceil();
        }
        let (y, height) = (top + inset, BAR - inset);
        write!(out, "<rect x=\"{left:.1}\" y=\"{y}\" width=\"{:.1}\" height=\"{height}\" ", width.max(0.5))?;
        let title = Escaped(event.name());
        writeln!(out, "fill=\"{colour}\"><title>{title}, {:.1?}</title></rect>", event.length)
    }
}

/// Text in an SVG picture.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|char| match char {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            // Not allowed in XML at all.
            char if char.is_control() => f.write_char('\u{fffd}'),
            char => f.write_char(char),
        })
    }
}

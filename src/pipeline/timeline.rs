//! What each thread of a stage did over time, in bounded memory.
//!
//! A thread's time is divided into bins of equal width. When a run outgrows them, adjacent bins are merged in
//! pairs and the width doubles. A run of an hour takes as much memory as one of a millisecond. No duration is
//! lost; only its position within a bin is.

use std::fmt::{self, Write};

use super::figures::Spent;
use crate::sync::Mutex;
use crate::wait::context::this_thread;

/// The number of bins, which are drawn two pixels wide.
const BINS: usize = 350;
/// The initial width of a bin in nanoseconds: 350 bins span a millisecond and a half.
const FIRST: u64 = 4096;
/// The height of a thread's row in pixels.
const ROW: usize = 14;

/// The rows of one stage, each with the number of its thread.
#[derive(Default)]
pub(super) struct Timeline(Mutex<Vec<(usize, Row)>>);

/// The bins of one thread: nanoseconds of each kind since the start of the collection.
struct Row {
    width: u64,
    bins: Vec<[u64; Spent::KINDS]>,
}

impl Timeline {
    /// Records how the current thread spent the interval between two times, given in nanoseconds.
    pub(super) fn add(&self, spent: Spent, from: u64, to: u64) {
        let (thread, mut rows) = (this_thread(), self.0.lock());
        let index = rows.iter().position(|(other, _)| *other == thread).unwrap_or_else(|| {
            rows.push((thread, Row { width: FIRST, bins: Vec::new() }));
            rows.len() - 1
        });
        rows[index].1.add(spent, from, to);
    }

    /// Returns the end of the last bin, and the height of the drawing.
    pub(super) fn extent(&self) -> (u64, usize) {
        let rows = self.0.lock();
        let end = rows.iter().map(|(_, row)| row.width * row.bins.len() as u64).max().unwrap_or(0);
        (end, rows.len() * ROW)
    }

    /// Draws a row for each thread. Each column is a bin, divided in proportion to its times.
    pub(super) fn draw(&self, out: &mut String, top: usize, pixels_a_nano: f64) -> fmt::Result {
        for (index, (_, row)) in self.0.lock().iter().enumerate() {
            row.draw(out, top + index * ROW, pixels_a_nano)?;
        }
        Ok(())
    }
}

impl Row {
    fn add(&mut self, spent: Spent, from: u64, to: u64) {
        while to > self.width.saturating_mul(BINS as u64) {
            self.double();
        }
        let mut at = from;
        while at < to {
            let bin = at / self.width;
            let end = to.min((bin + 1) * self.width);
            let index = bin as usize; // below BINS
            if self.bins.len() <= index {
                self.bins.resize(index + 1, [0; Spent::KINDS]);
            }
            self.bins[index][spent as usize] += end - at;
            at = end;
        }
    }

    fn double(&mut self) {
        self.width *= 2;
        let sum = |two: &[[u64; Spent::KINDS]]| {
            let mut sum = [0; Spent::KINDS];
            two.iter().for_each(|bin| sum.iter_mut().zip(bin).for_each(|(sum, part)| *sum += part));
            sum
        };
        self.bins = self.bins.chunks(2).map(sum).collect();
    }

    fn draw(&self, out: &mut String, top: usize, pixels_a_nano: f64) -> fmt::Result {
        let mut first = 0;
        // Adjacent columns of equal heights become one rectangle.
        for same in self.bins.chunk_by(|a, b| self.heights(a) == self.heights(b)) {
            let left = 10.0 + (first as u64 * self.width) as f64 * pixels_a_nano;
            let width = (same.len() as u64 * self.width) as f64 * pixels_a_nano;
            let mut y = top;
            for (height, kind) in self.heights(&same[0]).into_iter().zip(Spent::ALL) {
                if height > 0 {
                    let colour = kind.colour();
                    writeln!(
                        out,
                        "<rect x=\"{left:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"{height}\" fill=\"{colour}\"/>"
                    )?;
                }
                y += height;
            }
            first += same.len();
        }
        Ok(())
    }

    /// The parts of a bin in pixels.
    fn heights(&self, bin: &[u64; Spent::KINDS]) -> [usize; Spent::KINDS] {
        bin.map(|part| ((part * (ROW as u64 - 2) + self.width / 2) / self.width) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_kept_to_the_nanosecond_and_the_space_is_bounded_however_long_the_run() {
        let mut row = Row { width: FIRST, bins: Vec::new() };
        let mut expected = [0; Spent::KINDS];
        let mut at = 0;
        for step in 0..20_000_u64 {
            let (kind, length) = (Spent::ALL[(step % 3) as usize], step * step % 100_000);
            row.add(kind, at, at + length);
            expected[kind as usize] += length;
            at += length + step % 7;
        }
        let mut kept = [0; Spent::KINDS];
        row.bins.iter().for_each(|bin| kept.iter_mut().zip(bin).for_each(|(kept, part)| *kept += part));
        assert_eq!(kept, expected);
        assert!(row.bins.len() <= BINS && at <= row.width * BINS as u64);
        assert!(row.bins.iter().all(|bin| bin.iter().sum::<u64>() <= row.width));
    }

    #[test]
    fn nothing_and_a_very_long_time_are_no_trouble() {
        let mut row = Row { width: FIRST, bins: Vec::new() };
        row.add(Spent::Idle, 7, 7);
        assert!(row.bins.is_empty());
        row.add(Spent::Working, 0, u64::MAX / 4);
        assert!(row.bins.len() <= BINS);
        assert_eq!(row.bins.iter().map(|bin| bin[0]).sum::<u64>(), u64::MAX / 4);
    }
}

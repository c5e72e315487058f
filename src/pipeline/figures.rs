//! What the stages of a run do, so that the slowest is seen.

use std::fmt::{self, Write};
use std::time::Duration;

use crate::clock::Clock;
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Arc, Mutex};

/// Collects figures of the stages that have threads of their own, while a pipeline runs and afterwards.
///
/// Give it to [`Pipeline::watched_by`](super::Pipeline::watched_by). A clone is the same collection.
///
/// # Examples
/// ```
/// use selvedge::{Pipeline, pipeline::Figures};
///
/// let figures = Figures::new();
/// let sum: u64 = Pipeline::source(0..1_000_u64)
///     .par_map(2, |n| n * n)
///     .named("square")
///     .watched_by(&figures)
///     .fold(0, |sum, n| sum + n);
/// let stages = figures.stages();
/// assert_eq!((stages[0].name.as_str(), stages[0].taken_in, stages[0].given_out), ("square", 1_000, 1_000));
/// assert!(figures.to_svg().starts_with("<svg"));
/// assert_eq!(sum, 332_833_500);
/// ```
///
/// # Blocking
/// Nothing waits for a stage.
///
/// # Cost
/// Two looks at the clock for each handful of items, and nothing where no figures are collected.
#[derive(Clone, Default)]
pub struct Figures {
    /// From the source on.
    meters: Arc<Mutex<Vec<Arc<Meter>>>>,
}

/// Figures of one stage: see [`Figures::stages`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StageFigures {
    /// What it was [named](super::Pipeline::named), or what it is.
    pub name: String,
    /// Items that it has read.
    pub taken_in: usize,
    /// Items that were taken from it.
    pub given_out: usize,
    /// How long its threads were computing, all together.
    pub working: Duration,
    /// How long one of them was waiting for the input, or running the stages before it.
    pub waiting_for_input: Duration,
    /// How long they were idle, all together: no room, or nothing to do.
    pub idle: Duration,
}

impl StageFigures {
    /// Items that are under way: read, and not taken.
    pub fn depth(&self) -> usize {
        self.taken_in.saturating_sub(self.given_out)
    }
}

/// Where a stage counts. Each number stands for itself and publishes nothing, so all of it is relaxed.
#[derive(Default)]
pub(super) struct Meter {
    name: String,
    taken_in: AtomicUsize,
    given_out: AtomicUsize,
    working: AtomicU64,
    reading: AtomicU64,
    idle: AtomicU64,
}

/// What a stretch of time was spent on.
#[derive(Clone, Copy)]
pub(super) enum Spent {
    Working,
    Reading,
    Idle,
}

impl Meter {
    pub(super) fn add(&self, spent: Spent, time: Duration) {
        let sum = match spent {
            Spent::Working => &self.working,
            Spent::Reading => &self.reading,
            Spent::Idle => &self.idle,
        };
        sum.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn take_in(&self, count: usize) {
        self.taken_in.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn give_out(&self) {
        self.given_out.fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self) -> StageFigures {
        let time = |sum: &AtomicU64| Duration::from_nanos(sum.load(Ordering::Relaxed));
        StageFigures {
            name: self.name.clone(),
            taken_in: self.taken_in.load(Ordering::Relaxed),
            given_out: self.given_out.load(Ordering::Relaxed),
            working: time(&self.working),
            waiting_for_input: time(&self.reading),
            idle: time(&self.idle),
        }
    }
}

/// Does `f`, and adds how long that took if somebody collects figures.
pub(super) fn measured<R>(meter: Option<&Meter>, spent: Spent, f: impl FnOnce() -> R) -> R {
    let Some(meter) = meter else { return f() };
    let start = Clock::system().now();
    let result = f();
    meter.add(spent, Clock::system().now().saturating_duration_since(start));
    result
}

impl Figures {
    /// An empty collection.
    pub fn new() -> Self {
        Figures::default()
    }

    /// The figures by now, a stage after the other from the source on; those of each run that it was given to.
    pub fn stages(&self) -> Vec<StageFigures> {
        self.meters.lock().iter().map(|meter| meter.read()).collect()
    }

    pub(super) fn meter(&self, name: String) -> Arc<Meter> {
        let meter = Arc::new(Meter { name, ..Meter::default() });
        self.meters.lock().push(Arc::clone(&meter));
        meter
    }

    /// Draws the figures: a bar for each stage, divided by what its threads' time went to.
    pub fn to_svg(&self) -> String {
        let stages = self.stages();
        let total = |stage: &StageFigures| stage.working + stage.waiting_for_input + stage.idle;
        let longest = stages.iter().map(total).max().unwrap_or_default().as_secs_f64().max(1e-9);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"720\" height=\"{}\" font-family=\"sans-serif\" \
             font-size=\"13\">\n",
            30 + 44 * stages.len()
        );
        for (row, stage) in stages.iter().enumerate() {
            draw(&mut out, 10 + 44 * row, stage, 700.0 / longest).expect("a string takes everything");
        }
        let bottom = 22 + 44 * stages.len();
        let legend = "green: computing   blue: waiting for input   grey: idle";
        let _ = writeln!(out, "<text x=\"10\" y=\"{bottom}\" fill=\"#666\">{legend}</text>\n</svg>");
        out
    }
}

fn draw(out: &mut String, top: usize, stage: &StageFigures, scale: f64) -> fmt::Result {
    let name = stage.name.replace('&', "&amp;").replace('<', "&lt;");
    let (taken, depth) = (stage.taken_in, stage.depth());
    writeln!(out, "<text x=\"10\" y=\"{}\">{name}: {taken} in, {depth} under way</text>", top + 12)?;
    let mut left = 10.0;
    let parts = [(stage.working, "#3a7"), (stage.waiting_for_input, "#48c"), (stage.idle, "#ccc")];
    for (time, colour) in parts {
        let width = time.as_secs_f64() * scale;
        let y = top + 18;
        writeln!(
            out,
            "<rect x=\"{left:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"16\" fill=\"{colour}\">\
             <title>{time:?}</title></rect>"
        )?;
        left += width;
    }
    Ok(())
}

impl fmt::Debug for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Figures");
        if let Some(meters) = self.meters.try_lock() {
            out.field("stages", &meters.len());
        }
        out.finish_non_exhaustive()
    }
}

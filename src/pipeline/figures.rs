//! What the stages of a run do, so that the slowest is seen.

use std::fmt::{self, Write};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

use super::timeline::Timeline;
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
/// Two looks at the clock and a lock for each handful of items, and nothing where no figures are collected.
/// Memory: some 8 kB for each thread of a stage, however long the run.
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
    /// Where the collection's time begins; none for a meter that nobody watches.
    origin: Option<Instant>,
    timeline: Timeline,
}

/// What a stretch of time was spent on.
#[derive(Clone, Copy)]
pub(super) enum Spent {
    Working,
    Reading,
    Idle,
}

impl Spent {
    pub(super) const KINDS: usize = 3;
    pub(super) const ALL: [Spent; Spent::KINDS] = [Spent::Working, Spent::Reading, Spent::Idle];

    /// What it is drawn in.
    pub(super) fn colour(self) -> &'static str {
        match self {
            Spent::Working => "#3a7",
            Spent::Reading => "#48c",
            Spent::Idle => "#ccc",
        }
    }
}

impl Meter {
    pub(super) fn add(&self, spent: Spent, from: Instant, to: Instant) {
        let sum = match spent {
            Spent::Working => &self.working,
            Spent::Reading => &self.reading,
            Spent::Idle => &self.idle,
        };
        sum.fetch_add(nanos_between(from, to), Ordering::Relaxed);
        if let Some(origin) = self.origin {
            self.timeline.add(spent, nanos_between(origin, from), nanos_between(origin, to));
        }
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

/// 500 years fit.
fn nanos_between(from: Instant, to: Instant) -> u64 {
    u64::try_from(to.saturating_duration_since(from).as_nanos()).unwrap_or(u64::MAX)
}

/// Does `f`, and adds how long that took if somebody collects figures.
pub(super) fn measured<R>(meter: Option<&Meter>, spent: Spent, f: impl FnOnce() -> R) -> R {
    let Some(meter) = meter else { return f() };
    let start = Clock::system().now();
    let result = f();
    meter.add(spent, start, Clock::system().now());
    result
}

impl Figures {
    /// An empty collection.
    pub fn new() -> Self {
        Figures::default()
    }

    /// The figures by now, a stage after the other from the source on; those of each run that it was given
    /// to.
    pub fn stages(&self) -> Vec<StageFigures> {
        self.meters.lock().iter().map(|meter| meter.read()).collect()
    }

    pub(super) fn meter(&self, name: String) -> Arc<Meter> {
        let mut meters = self.meters.lock();
        let origin = meters.first().map_or_else(|| Some(Clock::system().now()), |first| first.origin);
        let meter = Arc::new(Meter { name, origin, ..Meter::default() });
        meters.push(Arc::clone(&meter));
        meter
    }

    /// Draws the run: for each stage a bar, divided by what its threads' time went to, and below it a row for
    /// each thread, which shows the same over the time of the run, from left to right. So one sees which
    /// stage the others wait for, when, and whether its threads share the work.
    ///
    /// The picture is as large after an hour as after a millisecond.
    pub fn to_svg(&self) -> String {
        let meters = self.meters.lock().clone();
        let stages: Vec<(StageFigures, &Timeline)> =
            meters.iter().map(|meter| (meter.read(), &meter.timeline)).collect();
        let total = |stage: &StageFigures| stage.working + stage.waiting_for_input + stage.idle;
        let longest = stages.iter().map(|(stage, _)| total(stage)).max().unwrap_or_default();
        let (longest, end) = (longest.as_secs_f64().max(1e-9), Figures::end_of(&stages));
        let mut body = String::new();
        let mut top = 10;
        for (stage, timeline) in &stages {
            draw(&mut body, top, stage, 700.0 / longest).expect("a string takes everything");
            timeline.draw(&mut body, top + 38, 700.0 / end).expect("a string takes everything");
            top += 48 + timeline.extent().1;
        }
        let (legend, bottom) = ("green: computing   blue: waiting for input   grey: idle", top + 12);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"720\" height=\"{}\" font-family=\"sans-serif\" \
             font-size=\"13\">\n{body}<text x=\"10\" y=\"{bottom}\" fill=\"#666\">{legend}; the rows cover \
             {:.3} s</text>\n</svg>\n",
            top + 20,
            end / 1e9,
        )
    }

    /// Nanoseconds that the rows cover.
    fn end_of(stages: &[(StageFigures, &Timeline)]) -> f64 {
        stages.iter().map(|(_, timeline)| timeline.extent().0).max().unwrap_or(0).max(1) as f64
    }
}

fn draw(out: &mut String, top: usize, stage: &StageFigures, scale: f64) -> fmt::Result {
    let name = stage.name.replace('&', "&amp;").replace('<', "&lt;");
    let (taken, depth) = (stage.taken_in, stage.depth());
    writeln!(out, "<text x=\"10\" y=\"{}\">{name}: {taken} in, {depth} under way</text>", top + 12)?;
    let mut left = 10.0;
    let times = [stage.working, stage.waiting_for_input, stage.idle];
    for (time, kind) in times.into_iter().zip(Spent::ALL) {
        let (width, y, colour) = (time.as_secs_f64() * scale, top + 18, kind.colour());
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

impl UnwindSafe for Figures {}
impl RefUnwindSafe for Figures {}

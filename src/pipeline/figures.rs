//! Measurements of the stages of a run, which show the slowest one.

use std::fmt::{self, Write};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

use super::timeline::Timeline;
use crate::clock::Clock;
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Arc, Mutex};

/// Records figures of the stages that have threads of their own, during a run and after it.
///
/// Pass it to [`Pipeline::watched_by`](super::Pipeline::watched_by). Clones share one collection.
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
/// Recording holds a lock for a few instructions; no stage waits for another because of it.
///
/// # Cost
/// Two clock readings and one lock per batch of items, and nothing for a pipeline without figures. Memory:
/// about 8 kB for each thread of a stage, however long the run.
#[derive(Clone, Default)]
pub struct Figures {
    /// In the order of the stages, from the source on.
    meters: Arc<Mutex<Vec<Arc<Meter>>>>,
}

/// Figures of one stage: see [`Figures::stages`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StageFigures {
    /// Its [name](super::Pipeline::named), or a description of the stage.
    pub name: String,
    /// Items that the stage has read.
    pub taken_in: usize,
    /// Items that were taken from the stage.
    pub given_out: usize,
    /// The time that its threads spent computing, summed over the threads.
    pub working: Duration,
    /// The time that one of them spent waiting for the input or running the stages before.
    pub waiting_for_input: Duration,
    /// The time that its threads were idle, summed: there was no room, or no work.
    pub idle: Duration,
}

impl StageFigures {
    /// Items in progress: read, and not yet taken.
    pub fn depth(&self) -> usize {
        self.taken_in.saturating_sub(self.given_out)
    }
}

/// The counters of one stage. All accesses are relaxed: each number is independent and publishes nothing.
#[derive(Default)]
pub(super) struct Meter {
    name: String,
    taken_in: AtomicUsize,
    given_out: AtomicUsize,
    working: AtomicU64,
    reading: AtomicU64,
    idle: AtomicU64,
    /// The start of the collection's time; `None` for a meter that belongs to no collection.
    origin: Option<Instant>,
    timeline: Timeline,
}

/// How a thread spent an interval.
#[derive(Clone, Copy)]
pub(super) enum Spent {
    Working,
    Reading,
    Idle,
}

impl Spent {
    pub(super) const KINDS: usize = 3;
    pub(super) const ALL: [Spent; Spent::KINDS] = [Spent::Working, Spent::Reading, Spent::Idle];

    /// The fill colour in the drawing.
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

/// Nanoseconds from one instant to another. A `u64` holds 500 years of them.
fn nanos_between(from: Instant, to: Instant) -> u64 {
    u64::try_from(to.saturating_duration_since(from).as_nanos()).unwrap_or(u64::MAX)
}

/// Calls `f`, and records its duration if there is a meter.
pub(super) fn measured<R>(meter: Option<&Meter>, spent: Spent, f: impl FnOnce() -> R) -> R {
    let Some(meter) = meter else { return f() };
    let start = Clock::system().now();
    let result = f();
    meter.add(spent, start, Clock::system().now());
    result
}

impl Figures {
    /// Makes an empty collection.
    pub fn new() -> Self {
        Figures::default()
    }

    /// Returns the figures up to now, in the order of the stages from the source on, for each run that this
    /// collection was passed to.
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

    /// Draws the run as an SVG picture: for each stage a bar that shows how its threads spent their time, and
    /// below it a row for each thread that shows the same over time, from left to right. It reveals the stage
    /// that the others wait for, when they wait, and whether the threads share the work.
    ///
    /// The size of the picture does not depend on the length of the run.
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

    /// The nanoseconds that the rows span.
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

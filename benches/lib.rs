//! What the benches share: the cells, the team of threads, and the way into criterion.
//!
//! A [`Cell`] is one situation ("two producers, two consumers, capacity 16") with an [`Entry`] for us and one
//! for each rival. Criterion's benches and the quick runner `ratios` measure the same cells, so a ratio in
//! the README and a distribution from criterion speak of the same code.
//!
//! An entry is told how many times to do its thing and says how long that took. Whatever it needs is made
//! before its clock starts: threads are those of the standing [`team`], which is why thread creation is never
//! in a figure (except where it is what the rival does).

mod cells;
mod children;
pub mod measure;
mod rivals;
mod team;

use std::fmt;
use std::time::Duration;

pub use children::serve;
use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};

/// One situation, and everybody who is measured in it.
#[derive(Debug)]
pub struct Cell {
    /// Cells of one family share a geometric mean.
    pub family: String,
    /// The situation.
    pub name: String,
    /// What an entry counts.
    pub unit: &'static str,
    /// What the nanoseconds of an answer are: `ns`, or `bytes` or `threads` where those are counted instead.
    pub measure: &'static str,
    /// How often an entry does it in a round, where that is not found out; one round is enough where what is
    /// counted is not time.
    pub count: Option<u64>,
    /// How many elements are in one of what an entry counts, for criterion's throughput.
    pub elements: u64,
    /// True if an entry's answer is a quantile instead of a mean; criterion would average those.
    pub quantile: bool,
    /// Where it lies on the curve that its family is, if it is one.
    pub size: Option<u64>,
    /// True if the size is a number of units, so that all of them cost the size times an entry's answer.
    pub is_share: bool,
    /// Ours first.
    pub entries: Vec<Entry>,
}

/// One library in one situation.
pub struct Entry {
    /// The library.
    pub name: &'static str,
    /// Does it so many times, and says how long that took.
    pub run: Box<dyn FnMut(u64) -> Duration>,
}

/// The sections of the benches `sections` and `ratios`.
pub const SECTIONS: [&str; 18] = [
    "queue",
    "select",
    "monitor",
    "semaphore",
    "latch",
    "cancel",
    "wakeup",
    "pool",
    "group",
    "fork",
    "map",
    "timeout",
    "batch",
    "crawl",
    "counter",
    "limiter",
    "flight",
    "pipeline",
];

/// The same under conditions that users have: more threads than processors, neighbours, one processor, a
/// container's quota. The report has them, and `ratios` where they are named.
pub const CONDITIONS: [&str; 4] = ["crowded", "neighbours", "one-core", "quota"];

/// The section of the curves: how a cost grows with a size. Like the conditions.
pub const GROWTH: &str = "growth";

/// The cells of a section.
///
/// # Panics
/// If there is no section of that name.
pub fn cells(section: &str) -> Vec<Cell> {
    match section {
        "queue" => cells::queue::all(),
        "select" => cells::select::all(),
        "monitor" => cells::monitor::all(),
        "semaphore" => cells::semaphore::all(),
        "latch" => cells::latch::all(),
        "cancel" => cells::cancel::all(),
        "wakeup" => cells::wakeup::all(),
        "pool" => cells::pool::all(),
        "group" => cells::group::all(),
        "fork" => cells::fork::all(),
        "timeout" => cells::timeout::all(),
        "map" => cells::map::all(),
        "batch" => cells::batch::all(),
        "crawl" => cells::crawl::all(),
        "counter" => cells::counter::all(),
        "limiter" => cells::limiter::all(),
        "flight" => cells::flight::all(),
        "pipeline" => cells::pipeline::all(),
        "crowded" => cells::crowded::all(),
        "neighbours" => cells::neighbours::all(),
        "one-core" => cells::one_core::all(),
        "quota" => cells::quota::all(),
        GROWTH => cells::growth::all(),
        _ => panic!("no section {section:?}; there are {SECTIONS:?}, {CONDITIONS:?} and {GROWTH:?}"),
    }
}

/// Measures the cells of a section with criterion, one group a cell.
pub fn under_criterion(criterion: &mut Criterion, section: &str) {
    let is_a_mean_time = |cell: &Cell| !cell.quantile && cell.measure == "ns";
    for cell in cells(section).into_iter().filter(is_a_mean_time) {
        let mut group = criterion.benchmark_group(format!("{section}/{}", cell.name));
        group.throughput(Throughput::Elements(cell.elements)).sampling_mode(SamplingMode::Flat);
        group.sample_size(10).warm_up_time(Duration::from_millis(300));
        // A wake-up is reported as a fiftieth of what it takes to set up, and criterion plans with what is
        // reported.
        let share = if section == "wakeup" { 50 } else { 1 };
        group.measurement_time(Duration::from_secs(1) / share);
        for mut entry in cell.entries {
            group.bench_function(BenchmarkId::from_parameter(entry.name), |b| b.iter_custom(&mut entry.run));
        }
        group.finish();
    }
}

/// What a pool can be made to do so many times, for those who count something else than time.
pub struct TaskEntry {
    /// The library.
    pub name: &'static str,
    /// Executes closures of 48 bytes, and waits until they have run.
    pub execute: Box<dyn Fn(u64)>,
    /// Submits closures of a word, and joins them afterwards.
    pub submit: Box<dyn Fn(u64)>,
}

/// A pool of each library.
pub fn task_entries() -> Vec<TaskEntry> {
    cells::pool::task_entries()
}

impl Cell {
    pub(crate) fn new(family: impl Into<String>, name: impl Into<String>, unit: &'static str) -> Self {
        Cell {
            family: family.into(),
            name: name.into(),
            unit,
            measure: "ns",
            count: None,
            elements: 1,
            quantile: false,
            size: None,
            is_share: false,
            entries: Vec::new(),
        }
    }

    pub(crate) fn elements(self, elements: u64) -> Self {
        Cell { elements, ..self }
    }

    pub(crate) fn size(self, size: u64) -> Self {
        Cell { size: Some(size), ..self }
    }

    /// Of so many units, an entry answers for one.
    pub(crate) fn share_of(self, size: u64) -> Self {
        Cell { size: Some(size), is_share: true, ..self }
    }

    pub(crate) fn count(self, count: u64) -> Self {
        Cell { count: Some(count), ..self }
    }

    /// What is counted is not time.
    pub(crate) fn counting(self, measure: &'static str) -> Self {
        Cell { measure, count: Some(1), ..self }
    }

    pub(crate) fn quantile(self) -> Self {
        Cell { quantile: true, ..self }
    }

    pub(crate) fn with(mut self, name: &'static str, run: impl FnMut(u64) -> Duration + 'static) -> Self {
        self.entries.push(Entry { name, run: Box::new(run) });
        self
    }
}

impl fmt::Debug for TaskEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskEntry").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("name", &self.name).finish_non_exhaustive()
    }
}

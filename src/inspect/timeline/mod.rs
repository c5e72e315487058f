//! A recording of what each thread did when.

mod chrome;
mod svg;

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::panic::Location;
use std::time::{Duration, Instant};

use super::name_of;
use super::objects::{self, Began, Running};
use crate::sync::thread::ThreadId;
use crate::sync::{Arc, Mutex, lazy_static, time};
use crate::wait::sleeps;
use crate::wait::timeline::{self, What};

lazy_static! {
    /// True while there is a [`Recording`].
    static ref TAKEN: Mutex<bool> = Mutex::new(false);
}

/// Records what each thread of the program does, until the [`Recording`] is dropped: the tasks of pools,
/// groups, scopes and pipelines, the batches of batchers, [spans](span()) of your own; each sleep in a call
/// of this crate; and which thread ended it.
///
/// The recording keeps the newest `capacity` events, at least 1,024, and counts those that it dropped. A
/// program that records all the time has the last moments before a hang or a slow request in hand; one that
/// records a run from its beginning chooses the capacity accordingly.
///
/// # Examples
/// ```
/// use selvedge::{Pool, inspect};
///
/// let recording = inspect::record(100_000)?;
/// let pool = Pool::builder().name("io").workers(2).build()?;
/// pool.submit_named("sum", || (1..=10).sum::<u32>())?.join()?;
/// let trace = recording.trace();
/// assert!(trace.events.iter().any(|event| event.name() == "sum"));
/// let json = trace.to_chrome(); // for ui.perfetto.dev or chrome://tracing
/// assert!(json.starts_with('['));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`AlreadyRecording`] if there is a recording: a program has one at a time.
///
/// # Blocking
/// Nothing waits for the recording. A thread that writes an event holds a lock for a few instructions, which
/// it shares with a sixteenth of the threads and with a reader.
///
/// # Cost
/// While nothing is recorded, a load and a branch for each task and for each wake-up of a sleeping thread,
/// and nothing for a call that does not sleep. While it is on, 110 ns for each task, and 90 for each sleep
/// and each wake-up; 88 bytes of memory for each event, and the name of a span.
///
/// # Instead
/// A sampling profiler for what a task computes. [`pipeline::Figures`](crate::pipeline::Figures) for sums
/// over the stages of a pipeline, however long it runs.
pub fn record(capacity: usize) -> Result<Recording, AlreadyRecording> {
    let mut taken = TAKEN.lock();
    if *taken {
        return Err(AlreadyRecording);
    }
    *taken = true;
    // Under the lock, so that a recording that is being dropped does not stop the next one.
    timeline::start(capacity);
    Ok(Recording { origin: time::now() })
}

/// A recording that has begun; made by [`record`]. Dropping it ends the recording and frees its events.
#[must_use = "dropping it ends the recording"]
#[derive(Debug)]
pub struct Recording {
    origin: Instant,
}

/// There is a [`Recording`] already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlreadyRecording;

impl fmt::Display for AlreadyRecording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a program has one recording at a time: drop the other one first, or read it")
    }
}

impl Error for AlreadyRecording {}

impl Drop for Recording {
    fn drop(&mut self) {
        let mut taken = TAKEN.lock();
        timeline::stop();
        *taken = false;
    }
}

/// Calls `f`, and records it as an event with that name if there is a [recording](record).
///
/// # Panics
/// A panic of `f` goes to the caller; the event ends with it.
///
/// # Cost
/// A load and a branch while nothing is recorded; the name is copied only while something is.
///
/// # Examples
/// ```
/// use selvedge::inspect;
///
/// let sum: u32 = inspect::span("sum", || (1..=10).sum());
/// assert_eq!(sum, 55);
/// ```
#[inline]
pub fn span<R>(name: &str, f: impl FnOnce() -> R) -> R {
    let name = crate::sync::recording::is_recording().then(|| Arc::from(name));
    let _span = name.as_ref().map(|name| timeline::task("span", Some(name)));
    f()
}

/// What a [`Recording`] contains at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Trace {
    /// The events, in the order in which they began.
    pub events: Vec<Event>,
    /// The number of events that were dropped, because the recording has room for fewer.
    pub dropped: usize,
    /// The time from the beginning of the recording to the end of this trace.
    pub length: Duration,
}

/// Something that a thread did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Event {
    /// The thread's name, or its id if it has none.
    pub thread: String,
    /// The thread's id.
    pub thread_id: ThreadId,
    /// What it did.
    pub what: Activity,
    /// When it began, since the beginning of the recording; zero if it began before.
    pub start: Duration,
    /// How long it took; zero for a wake-up.
    pub length: Duration,
    /// True if it had not ended at the moment of the trace.
    pub is_unfinished: bool,
}

/// What a thread did; see [`Event::what`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Activity {
    /// It ran a task.
    #[non_exhaustive]
    Task {
        /// Where the task belongs: `Pool`, `Group` (also for scopes), `Pipeline::par_map`, `Batcher`, or
        /// `span`.
        kind: &'static str,
        /// The name of the task, of the stage or of the span, if it has one.
        name: Option<Arc<str>>,
    },
    /// It slept in a call of this crate.
    #[non_exhaustive]
    Sleep {
        /// The call, as in [`Sleep::operation`](super::Sleep::operation); `idle` for a thread without work,
        /// such as a worker of a pool between two tasks.
        operation: &'static str,
        /// The address of the object, as in [`Sleep::object`](super::Sleep::object).
        object: usize,
        /// The place of the call in the source; `None` for an idle thread.
        location: Option<&'static Location<'static>>,
    },
    /// It ended the sleep of another thread: it made room, handed something over, finished what was waited
    /// for, or cancelled.
    #[non_exhaustive]
    Wake {
        /// The sleep that it ended, as an index into [`Trace::events`].
        sleep: usize,
    },
}

impl Event {
    /// The name of a task that has one, its kind otherwise; the call of a sleep; `wake`.
    pub fn name(&self) -> &str {
        match &self.what {
            Activity::Task { name: Some(name), .. } => name,
            Activity::Task { kind, name: None } => kind,
            Activity::Sleep { operation, .. } => operation,
            Activity::Wake { .. } => "wake",
        }
    }
}

impl Recording {
    /// The events up to now. Sleeps that last, and tasks with a name that run, end at this moment in it and
    /// are marked as unfinished; a task without a name appears when it has ended.
    pub fn trace(&self) -> Trace {
        let (mut events, dropped) = timeline::events();
        let (finished, now) = (events.len(), time::now());
        events.extend(unfinished(now));
        let mut order: Vec<usize> = (0..events.len()).collect();
        // Of two that begin together, the longer one is around the other.
        order.sort_by_key(|index| (events[*index].start, std::cmp::Reverse(events[*index].end)));
        // A wake-up whose sleep was dropped, or has no entry, says nothing to a reader.
        let sleeps = SleepsByWaiter::new(&events);
        order.retain(|index| {
            !matches!(events[*index].what, What::Wake { .. }) || sleeps.ended_by(&events[*index]).is_some()
        });
        let places: HashMap<usize, usize> =
            order.iter().enumerate().map(|(place, index)| (*index, place)).collect();
        let event = |index: &usize| {
            let event = &events[*index];
            let start = event.start.saturating_duration_since(self.origin);
            Event {
                thread: name_of(&event.thread),
                thread_id: event.thread.id(),
                what: match &event.what {
                    What::Task { kind, name } => Activity::Task { kind, name: name.clone() },
                    What::Sleep { operation, object, at, .. } => {
                        Activity::Sleep { operation, object: *object, location: *at }
                    }
                    What::Wake { .. } => {
                        Activity::Wake { sleep: sleeps.ended_by(event).map_or(0, |sleep| places[&sleep]) }
                    }
                },
                start,
                length: event.end.saturating_duration_since(self.origin).saturating_sub(start),
                is_unfinished: *index >= finished,
            }
        };
        let events = order.iter().map(event).collect();
        Trace { events, dropped, length: now.saturating_duration_since(self.origin) }
    }
}

/// The sleeps that last, and the tasks with a name that run.
fn unfinished(now: Instant) -> Vec<timeline::Event> {
    let sleep = |found: sleeps::Found| {
        let entry = found.entry;
        let (subject, at) = (entry.subject, Some(entry.at));
        let what =
            What::Sleep { operation: subject.operation, object: subject.object, at, waiter: entry.waiter };
        timeline::Event { thread: entry.thread, what, start: entry.since, end: now }
    };
    let task = |running: Running, kind| {
        let Began { since, thread, .. } = running.began?;
        let name = (!running.task.is_empty()).then(|| Arc::from(running.task));
        Some(timeline::Event { thread, what: What::Task { kind, name }, start: since, end: now })
    };
    let mut events: Vec<timeline::Event> = sleeps::all().into_iter().map(sleep).collect();
    for object in objects::all() {
        let kind = if object.kind == "Scope" { "Group" } else { object.kind };
        events.extend(object.running.into_iter().filter_map(|running| task(running, kind)));
    }
    // Those that began since then are not of that moment.
    events.retain(|event| event.start <= now);
    events
}

impl Trace {
    /// The names of the threads, in the order of their first events, and for each event the place of its
    /// thread there.
    fn tracks(&self) -> (Vec<&str>, Vec<usize>) {
        let (mut names, mut places) = (Vec::new(), HashMap::new());
        let mut track_of = Vec::with_capacity(self.events.len());
        for Event { thread, thread_id, .. } in &self.events {
            let place = places.entry(*thread_id).or_insert_with(|| {
                names.push(&**thread);
                names.len() - 1
            });
            track_of.push(*place);
        }
        (names, track_of)
    }
}

/// The sleeps of each waiter. Its address is used again, but a waiter has one sleep at a time.
struct SleepsByWaiter<'a> {
    events: &'a [timeline::Event],
    by_waiter: HashMap<usize, Vec<usize>>,
}

impl<'a> SleepsByWaiter<'a> {
    fn new(events: &'a [timeline::Event]) -> Self {
        let mut by_waiter: HashMap<usize, Vec<usize>> = HashMap::new();
        for (index, event) in events.iter().enumerate() {
            if let What::Sleep { waiter, .. } = event.what {
                by_waiter.entry(waiter).or_default().push(index);
            }
        }
        SleepsByWaiter { events, by_waiter }
    }

    /// The sleep that a wake-up ended: the thread may have been about to sleep, so its sleep may begin after
    /// the wake-up, but not end before it.
    fn ended_by(&self, wake: &timeline::Event) -> Option<usize> {
        let What::Wake { waiter } = wake.what else { return None };
        let candidates = self.by_waiter.get(&waiter)?.iter().copied();
        let lasts = candidates.filter(|index| {
            let sleep = &self.events[*index];
            sleep.start <= wake.start && wake.start <= sleep.end
        });
        lasts.min_by_key(|index| self.events[*index].end)
    }
}

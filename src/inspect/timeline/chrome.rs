//! A trace in the format of Chrome's viewer, which Perfetto reads too: a JSON array of events.
//!
//! A thread is a track. A task and a sleep are *complete* events (`X`), which nest by their times. A wake-up
//! is an arrow: a *flow* from the waking thread (`s`) to the end of the sleep (`f`).

use std::fmt::{self, Display};
use std::time::Duration;

use super::{Activity, Event, Trace};
use crate::inspect::json::{Quoted, Text};

impl Trace {
    /// Writes the trace as a JSON array of events in the format of `chrome://tracing`, which
    /// [Perfetto](https://ui.perfetto.dev) opens too. Wake-ups are arrows.
    pub fn to_chrome(&self) -> String {
        Chrome(self).to_string()
    }
}

struct Chrome<'a>(&'a Trace);

impl Display for Chrome<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Chrome(trace) = self;
        write!(
            f,
            "[{{\"ph\":\"M\",\"pid\":1,\"name\":\"process_name\",\"args\":{{\"name\":\"selvedge\"}}}}"
        )?;
        let (threads, track_of) = trace.tracks();
        for (track, thread) in threads.iter().enumerate() {
            let name = Quoted(thread);
            write!(f, ",\n{{\"ph\":\"M\",\"pid\":1,\"tid\":{track},\"name\":\"thread_name\"")?;
            write!(f, ",\"args\":{{\"name\":{name}}}}}")?;
        }
        for (index, event) in trace.events.iter().enumerate() {
            match event.what {
                Activity::Wake { sleep } => {
                    let woken = &trace.events[sleep];
                    // Inside the sleep, since an arrow ends at the event that is there at its time.
                    let end = woken.start + woken.length.saturating_sub(Duration::from_nanos(1));
                    for (phase, track, at) in
                        [("s", track_of[index], event.start), ("f\",\"bp\":\"e", track_of[sleep], end)]
                    {
                        write!(f, ",\n{{\"ph\":\"{phase}\",\"pid\":1,\"tid\":{track},\"ts\":{}", Micros(at))?;
                        write!(f, ",\"id\":{index},\"name\":\"wake\",\"cat\":\"wake\"}}")?;
                    }
                }
                _ => write_complete(f, event, track_of[index])?,
            }
        }
        if trace.dropped > 0 {
            let text = format!("{} earlier events were dropped", trace.dropped);
            write!(
                f,
                ",\n{{\"ph\":\"i\",\"s\":\"g\",\"pid\":1,\"tid\":0,\"ts\":0,\"name\":{}}}",
                Quoted(&text)
            )?;
        }
        f.write_str("]\n")
    }
}

fn write_complete(f: &mut fmt::Formatter<'_>, event: &Event, track: usize) -> fmt::Result {
    let (name, start, length) = (Quoted(event.name()), Micros(event.start), Micros(event.length));
    write!(f, ",\n{{\"ph\":\"X\",\"pid\":1,\"tid\":{track},\"ts\":{start},\"dur\":{length},\"name\":{name}")?;
    match &event.what {
        Activity::Sleep { object, location, .. } => {
            write!(f, ",\"cat\":\"sleep\",\"args\":{{\"object\":\"{object:#x}\"")?;
            if let Some(location) = location {
                write!(f, ",\"location\":{}", Text(location))?;
            }
        }
        Activity::Task { kind, .. } => write!(f, ",\"cat\":\"task\",\"args\":{{\"kind\":{}", Quoted(kind))?,
        Activity::Wake { .. } => unreachable!("it takes no time"),
    }
    write!(f, ",\"unfinished\":{}}}}}", event.is_unfinished)
}

/// A time in microseconds, to the nanosecond.
struct Micros(Duration);

impl Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        write!(f, "{}.{:03}", nanos / 1_000, nanos % 1_000)
    }
}

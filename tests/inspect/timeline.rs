//! Recordings of what each thread did when.

use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use selvedge::batch::Batch;
use selvedge::inspect::{self, Activity, AlreadyRecording, Event, Recording, Trace};
use selvedge::{Batcher, CancelToken, Latch, Pipeline, Pool, group, timeout};
use serde_json::Value;

use crate::common::within_a_minute;
use crate::{ignore, sleep_of};

/// A program has one recording at a time, so the tests take turns.
static TURN: Mutex<()> = Mutex::new(());

fn recording(capacity: usize) -> (MutexGuard<'static, ()>, Recording) {
    let turn = TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    // The recording is dropped before the turn ends: what is bound later goes first.
    (turn, inspect::record(capacity).unwrap())
}

/// The first event of that name by that thread.
fn event<'a>(trace: &'a Trace, thread: &str, name: &str) -> &'a Event {
    let is_it = |event: &&Event| event.thread == thread && event.name() == name;
    trace.events.iter().find(is_it).unwrap_or_else(|| panic!("no {name} by {thread} in {trace:#?}"))
}

fn contains(outer: &Event, inner: &Event) -> bool {
    outer.start <= inner.start && inner.start + inner.length <= outer.start + outer.length
}

/// A task `import` on `traced-0` that sleeps until the thread `opener` wakes it.
fn run_import() {
    let pool = Pool::builder().name("traced").workers(1).build().unwrap();
    let gate = Arc::new(Latch::new(1));
    let waits = Arc::clone(&gate);
    let task = pool.submit_named("import", move || waits.wait()).unwrap();
    sleep_of("traced-0");
    let opens = thread::Builder::new().name("opener".into());
    opens.spawn(move || inspect::span("open", || gate.count_down())).unwrap().join().unwrap();
    task.join().unwrap();
}

#[test]
fn task_its_sleep_and_the_thread_that_woke_it_are_recorded() {
    within_a_minute(|| {
        inspect::span("before", || ());
        let (_turn, recording) = recording(10_000);
        run_import();
        let trace = recording.trace();
        let task = event(&trace, "traced-0", "import");
        let sleep = event(&trace, "traced-0", "Latch::wait");
        assert!(contains(task, sleep), "{task:?} {sleep:?}");
        assert!(matches!(task.what, Activity::Task { kind: "Pool", .. }) && !task.is_unfinished);
        assert!(matches!(sleep.what, Activity::Sleep { location: Some(at), .. } if at.file() == file!()));
        let wake = event(&trace, "opener", "wake");
        let Activity::Wake { sleep: woken, .. } = wake.what else { panic!("{wake:?}") };
        let woken = &trace.events[woken];
        assert_eq!((&*woken.thread, woken.name()), ("traced-0", "Latch::wait"));
        assert!(contains(event(&trace, "opener", "open"), wake));
        // The worker had nothing to do before, or was about to: it is idle when the pool is dropped.
        assert!(trace.events.iter().all(|event| event.name() != "before"));
        assert!(trace.events.is_sorted_by_key(|event| event.start));
        assert!(trace.events.iter().all(|event| event.start + event.length <= trace.length));
        assert_eq!(trace.dropped, 0);
    });
}

#[test]
fn idle_worker_is_woken_by_the_thread_that_submits() {
    within_a_minute(|| {
        let (_turn, recording) = recording(10_000);
        let pool = Pool::builder().name("rested").workers(1).build().unwrap();
        let stats = || pool.stats();
        // Parked, not only out of work: the wake-up is a wake-up only then.
        let mut trace;
        loop {
            while stats().idle == 0 {
                thread::yield_now();
            }
            thread::Builder::new()
                .name("submitter".into())
                .spawn_scoped_and_join(|| pool.submit(|| ()).unwrap().join().unwrap());
            trace = recording.trace();
            let woke = |event: &&Event| match event.what {
                Activity::Wake { sleep, .. } => trace.events[sleep].thread == "rested-0",
                _ => false,
            };
            if trace.events.iter().any(|event| woke(&event) && event.thread == "submitter") {
                break;
            }
        }
        let idle = event(&trace, "rested-0", "idle");
        assert!(matches!(idle.what, Activity::Sleep { location: None, .. }));
    });
}

/// `Builder::spawn_scoped` for one thread, joined at once.
trait SpawnAndJoin {
    fn spawn_scoped_and_join(self, f: impl FnOnce() + Send);
}

impl SpawnAndJoin for thread::Builder {
    fn spawn_scoped_and_join(self, f: impl FnOnce() + Send) {
        thread::scope(|s| self.spawn_scoped(s, f).unwrap().join().unwrap());
    }
}

#[test]
fn what_has_not_ended_ends_with_the_trace() {
    within_a_minute(|| {
        let (_turn, recording) = recording(10_000);
        let pool = Pool::builder().name("lasting").workers(1).build().unwrap();
        let gate = Arc::new(Latch::new(1));
        let waits = Arc::clone(&gate);
        let task = pool.submit_named("lasts", move || waits.wait()).unwrap();
        sleep_of("lasting-0");
        let trace = recording.trace();
        for name in ["lasts", "Latch::wait"] {
            let event = event(&trace, "lasting-0", name);
            assert!(event.is_unfinished && event.start + event.length == trace.length, "{event:?}");
        }
        gate.count_down();
        task.join().unwrap();
        let trace = recording.trace();
        assert!(!event(&trace, "lasting-0", "lasts").is_unfinished);
    });
}

#[test]
fn newest_events_stay_and_the_others_are_counted() {
    within_a_minute(|| {
        let (_turn, recording) = recording(0);
        let spans = 20_000;
        for number in 0..spans {
            inspect::span(&format!("span {number}"), || ());
        }
        let trace = recording.trace();
        // Other tests write events too, which may take the room of ours.
        let number = |event: &Event| event.name().strip_prefix("span ")?.parse::<usize>().ok();
        let kept: Vec<usize> = trace.events.iter().filter_map(number).collect();
        assert!(kept.len() <= 1024 && !kept.is_empty(), "{}", kept.len());
        assert!(trace.dropped >= spans - kept.len(), "{} dropped", trace.dropped);
        assert!(kept.iter().copied().eq(spans - kept.len()..spans), "the newest, without a gap");
    });
}

#[test]
fn second_recording_is_refused_until_the_first_is_dropped() {
    within_a_minute(|| {
        let (_turn, first) = recording(0);
        assert_eq!(inspect::record(0).err(), Some(AlreadyRecording));
        inspect::span("of the first", || ());
        drop(first);
        inspect::span("of none", || ());
        let second = inspect::record(0).unwrap();
        let names = ["of the first", "of none"];
        assert!(second.trace().events.iter().all(|event| !names.contains(&event.name())));
    });
}

#[test]
fn tasks_of_every_kind_are_recorded_also_those_that_panic() {
    within_a_minute(|| {
        let (_turn, recording) = recording(10_000);
        let scope = group::scope(&CancelToken::new(), |g| {
            g.spawn_named("in a scope", |_| ());
        });
        assert_eq!(scope, Ok(()));
        let batcher = Batcher::builder().name("traced batches").max_items(1).build(|_: &mut Batch<u8>| ());
        let batcher = batcher.unwrap();
        batcher.add(1).unwrap();
        batcher.flush().unwrap();
        let stage = Pipeline::source(0..100_u32).par_map(2, |n| n + 1).named("traced stage");
        assert_eq!(stage.count(), 100);
        assert!(timeout::run(Duration::from_secs(60), |_| ()).is_ok());
        ignore(std::panic::catch_unwind(|| inspect::span("unwinds", || panic!("on purpose"))));
        let trace = recording.trace();
        let has = |wanted: &str, named: &str| {
            let is_it = |event: &Event| match &event.what {
                Activity::Task { kind, name, .. } => {
                    *kind == wanted && name.as_deref().unwrap_or("") == named
                }
                _ => false,
            };
            assert!(trace.events.iter().any(is_it), "{wanted} {named} in {trace:#?}");
        };
        has("Group", "in a scope");
        has("Batcher", "");
        has("Pipeline::par_map", "traced stage");
        has("Pipeline::par_map, reading", "");
        has("timeout::run", "");
        has("span", "unwinds");
    });
}

#[test]
fn chrome_reads_the_events_with_their_threads_times_and_arrows() {
    within_a_minute(|| {
        let (_turn, recording) = recording(10_000);
        inspect::span("a \"quoted\" name", run_import);
        let trace = recording.trace();
        let json: Value = serde_json::from_str(&trace.to_chrome()).unwrap();
        let events = json.as_array().unwrap();
        let of = |phase: &'static str| events.iter().filter(move |event| event["ph"] == phase);
        let track = |thread: &str| {
            let is_it = |event: &&Value| event["name"] == "thread_name" && event["args"]["name"] == thread;
            of("M").find(is_it).unwrap()["tid"].as_u64().unwrap()
        };
        let takes_time = |event: &&Event| !matches!(event.what, Activity::Wake { .. });
        assert_eq!(of("X").count(), trace.events.iter().filter(takes_time).count());
        for (json, event) in of("X").zip(trace.events.iter().filter(takes_time)) {
            assert_eq!(
                (json["name"].as_str().unwrap(), json["tid"].as_u64().unwrap()),
                (event.name(), track(&event.thread))
            );
            let micros = |time: Duration| time.as_nanos() as f64 / 1e3;
            assert_eq!(json["ts"].as_f64().unwrap(), micros(event.start));
            assert_eq!(json["dur"].as_f64().unwrap(), micros(event.length));
            let category = if matches!(event.what, Activity::Sleep { .. }) { "sleep" } else { "task" };
            assert_eq!(json["cat"], category);
        }
        // Each arrow begins at the waking thread, and ends within the sleep that it ended.
        let starts: Vec<&Value> = of("s").collect();
        assert!(starts.iter().any(|start| start["tid"] == track("opener")));
        for start in starts {
            let end = of("f").find(|end| end["id"] == start["id"]).unwrap();
            let at = end["ts"].as_f64().unwrap();
            let encloses = |sleep: &&Value| {
                let (from, length) = (sleep["ts"].as_f64().unwrap(), sleep["dur"].as_f64().unwrap());
                sleep["tid"] == end["tid"] && sleep["cat"] == "sleep" && from <= at && at < from + length
            };
            assert!(of("X").any(|sleep| encloses(&sleep)), "{end}");
        }
    });
}

#[test]
fn picture_has_a_row_for_each_thread_and_does_not_grow_with_the_events() {
    within_a_minute(|| {
        let (_turn, recording) = recording(200_000);
        let named = thread::Builder::new().name("a <row> & more".into());
        named.spawn(|| (0..10).for_each(|_| inspect::span("few & <long>", || ()))).unwrap().join().unwrap();
        let named = thread::Builder::new().name("many".into());
        named.spawn(|| (0..100_000).for_each(|_| inspect::span("many", || ()))).unwrap().join().unwrap();
        let trace = recording.trace();
        let svg = trace.to_svg();
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        assert!(svg.contains(">a &lt;row> &amp; more</text>"), "{svg}");
        assert!(svg.contains("<title>few &amp; &lt;long>, "), "{svg}");
        let drawn = svg.matches("<title>many, ").count();
        assert!((1..=3_000).contains(&drawn), "{drawn} of 100,000 are drawn");
        let many = trace.events.iter().filter(|event| event.name() == "many").count();
        assert_eq!((many, trace.dropped), (100_000, 0));
    });
}

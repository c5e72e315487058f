//! A standing team of threads that start together.

use std::sync::atomic::{AtomicUsize, Ordering::AcqRel, Ordering::Acquire};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::{Duration, Instant};

/// What one thread of the team does in one run.
pub(crate) type Part = Box<dyn FnOnce() + Send>;

/// As many as any cell needs: the widest of the curves.
const SIZE: usize = 64;

static TEAM: LazyLock<Vec<Sender<Part>>> = LazyLock::new(|| {
    let start = |index| {
        let (sender, parts) = channel::<Part>();
        let name = format!("team-{index}");
        let body = move || {
            pin(index);
            parts.into_iter().for_each(|part| part());
        };
        thread::Builder::new().name(name).spawn(body).expect("a bench needs its threads");
        sender
    };
    (0..SIZE).map(start).collect()
});

/// Keeps this thread on one processor: thread after thread on the next, so that the two sides of a cell are
/// apart. Left to the scheduler they are sometimes apart and sometimes on one processor, where waking is ten
/// times cheaper and handing over costs a switch, and the rivals of one row are measured in different worlds.
/// With `SELVEDGE_ONE_CORE` set, all of them stay on one.
fn pin(index: usize) {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let index = if std::env::var_os("SELVEDGE_ONE_CORE").is_some() { 0 } else { index };
    if let Some(core) = cores.get(index % cores.len().max(1)) {
        // Where it is not allowed, the scheduler decides as before.
        core_affinity::set_for_current(*core);
    }
}

/// Runs every part on a thread of its own, and says how long it took from the first start to the last end.
///
/// The parts start when all threads are awake: they meet at a barrier that yields, so that none has to be
/// woken out of it. A part has ended when what it captured is dropped, too.
pub(crate) fn time(parts: Vec<Part>) -> Duration {
    assert!(parts.len() <= SIZE, "{} parts for a team of {SIZE}", parts.len());
    let size = parts.len();
    let here = Arc::new(AtomicUsize::new(0));
    let (report, reports) = channel();
    for (thread, part) in TEAM.iter().zip(parts) {
        let (here, report) = (Arc::clone(&here), report.clone());
        let timed = move || {
            here.fetch_add(1, AcqRel);
            while here.load(Acquire) < size {
                thread::yield_now();
            }
            let start = Instant::now();
            part();
            report.send((start, Instant::now())).expect("the bench waits for its reports");
        };
        thread.send(Box::new(timed)).expect("the team stands as long as the program");
    }
    drop(report);
    let (starts, ends): (Vec<_>, Vec<_>) = reports.iter().unzip();
    assert_eq!(starts.len(), size, "a part panicked");
    let start = starts.into_iter().min().expect("a run has parts");
    let end = ends.into_iter().max().expect("a run has parts");
    end - start
}

/// Splits `total` into `parts` that differ by at most one.
pub(crate) fn share(total: u64, parts: usize, index: usize) -> u64 {
    let (parts, index) = (parts as u64, index as u64);
    total / parts + u64::from(index < total % parts)
}

/// Lets every one of `threads` threads do its share of `total`.
pub(crate) fn split(total: u64, threads: usize, part: impl Fn(u64) + Send + Sync + 'static) -> Duration {
    let part = Arc::new(part);
    let parts = (0..threads).map(|index| {
        let part = Arc::clone(&part);
        Box::new(move || part(share(total, threads, index))) as Part
    });
    time(parts.collect())
}

//! The report of blocked threads, and the watchdog, as black boxes.

#[path = "../common/mod.rs"]
mod common;

mod cycles;
mod json;
mod objects;
mod sleeps;
mod timeline;
mod watchdog;

use std::thread;

use selvedge::inspect::{self, Object, Report, Sleep};

/// Drops the result of a call, which does not matter here: the call was seen while it slept.
fn ignore<T>(_: T) {}

/// Waits until a report is as wanted.
fn report_in_which(wanted: impl Fn(&Report) -> bool) -> Report {
    loop {
        let report = inspect::blocked();
        if wanted(&report) {
            return report;
        }
        thread::yield_now();
    }
}

/// Waits until the thread with that name sleeps, and returns its sleep.
fn sleep_of(name: &str) -> Sleep {
    let is_ours = |sleep: &Sleep| sleep.thread == name;
    let report = report_in_which(|report| report.sleeps.iter().any(is_ours));
    report.sleeps.into_iter().find(is_ours).unwrap()
}

/// The objects made in `file` at one of these lines.
fn objects_of(report: &Report, file: &str, lines: std::ops::Range<u32>) -> Vec<Object> {
    let ours =
        |object: &&Object| object.location.is_some_and(|at| at.file() == file && lines.contains(&at.line()));
    report.objects.iter().filter(ours).cloned().collect()
}

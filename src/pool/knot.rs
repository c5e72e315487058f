//! Joins that would wait for each other in a circle.
//!
//! A task that joins one which joins the first would sleep for ever, and so would everybody who waits for either.
//! The circle is found by the join that would close it, because each join that is without a limit is written down
//! before it sleeps: from a thread to the job that it waits for. From a job to the thread that it runs on it
//! is the job that says. A circle has both kinds of step by turns, and only the first kind can be the last to be
//! added: a thread that waits starts no job.
//!
//! Joins with a limit are not written down: they end by themselves.

use std::collections::HashMap;

use super::job::Runs;
use crate::inside::this_thread;
use crate::sync::{Arc, Mutex, lazy_static};

lazy_static! {
    static ref WAITS: Mutex<HashMap<usize, Arc<dyn Runs>>> = Mutex::default();
}

/// This thread is written down as waiting, until it is dropped.
#[must_use = "dropping it takes the note back"]
pub(super) struct Noted {
    thread: usize,
}

/// Notes that this thread waits for `job`; `None` if `job` waits for this thread.
pub(super) fn note(job: Arc<dyn Runs>) -> Option<Noted> {
    let thread = this_thread();
    let mut waits = WAITS.lock();
    // Ends, because what is noted is free of circles. A job that ends meanwhile cuts the chain short, rightly.
    let mut ahead = job.runs_on();
    while let Some(other) = ahead {
        if other == thread {
            return None;
        }
        ahead = waits.get(&other).and_then(|job| job.runs_on());
    }
    waits.insert(thread, job);
    Some(Noted { thread })
}

impl Drop for Noted {
    fn drop(&mut self) {
        let job = WAITS.lock().remove(&self.thread);
        drop(job);
    }
}

//! Closures that want each other's values, and would wait in a circle.
//!
//! Thread A makes the value of one key and wants that of another, which thread B makes and which wants the first.
//! Both would sleep for ever, and so would all who wait for either. Each wait without a limit is noted before it
//! begins: from the thread that waits to the initialiser that it waits for; from an initialiser to the thread that
//! runs it, the initialiser says. Whoever would close a circle is told instead of sleeping. Waits with a limit are
//! not noted: they end by themselves.
//!
//! The look along the notes and the note are one critical section, so of those who close a circle together the
//! last sees it. The notes are the process's, because a circle may lead through several maps. They are touched
//! only by who is about to sleep, which costs a thousand times as much. Their lock is taken under a shard's, never
//! the other way round.

use std::collections::HashMap;

use crate::inside::this_thread;
use crate::sync::atomic::AtomicUsize;
use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::{Arc, Mutex, lazy_static};

lazy_static! {
    static ref NOTES: Mutex<HashMap<usize, Arc<Runner>>> = Mutex::default();
}

/// The thread that runs an initialiser; nobody, once the value is made.
#[derive(Debug)]
pub(super) struct Runner(AtomicUsize);

const NOBODY: usize = 0;

impl Runner {
    pub(super) fn new(thread: usize) -> Arc<Self> {
        Arc::new(Runner(AtomicUsize::new(thread)))
    }

    /// Passes the initialiser on to another thread.
    pub(super) fn pass_to(&self, thread: usize) {
        // Relaxed, here and below: who follows the notes and finds a thread's later note has locked them after that
        // thread, and so sees what it wrote before. A stale note leads to an initialiser that is done, and ends there.
        self.0.store(thread, Relaxed);
    }

    pub(super) fn is_done(&self) {
        self.0.store(NOBODY, Relaxed);
    }
}

/// A note that this thread waits, until it is dropped.
#[must_use = "dropping it takes the note back"]
pub(super) struct Noted {
    thread: usize,
}

/// Notes that this thread waits for what `runner` runs; `None` if that waits for this thread.
pub(super) fn note(runner: &Arc<Runner>) -> Option<Noted> {
    let this = this_thread();
    let mut notes = NOTES.lock();
    let mut ahead = runner.0.load(Relaxed);
    // Ends, because no circle was ever noted; the count is for one that a turn, handed on since, has closed over a
    // note which its owner is about to take back.
    for _ in 0..=notes.len() {
        if ahead == this {
            return None;
        }
        match notes.get(&ahead) {
            Some(next) => ahead = next.0.load(Relaxed),
            None => break,
        }
    }
    notes.insert(this, Arc::clone(runner));
    Some(Noted { thread: this })
}

impl Drop for Noted {
    fn drop(&mut self) {
        NOTES.lock().remove(&self.thread);
    }
}

//! Calls that wait for each other in a circle.
//!
//! Thread A leads a call and in it waits for the call that thread B leads, and B for A's: neither ever ends.
//! Every wait without a limit is noted before it begins; who would close a circle by its wait is told so
//! instead. The look along the notes and the entry of one's own are one critical section, so of those who
//! close a circle at the same time the last one sees it.

use super::CallError;
use super::table::Flight;
use crate::inside::this_thread;
use crate::panics;
use crate::sync::{Arc, Mutex};

/// A thread, and the call that it waits for.
type Wait<K, V> = (usize, Arc<Flight<K, V>>);

/// Which thread waits for which call. As long as the number of threads that wait.
pub(super) struct Waits<K, V> {
    notes: Mutex<Vec<Wait<K, V>>>,
}

/// A note that this thread waits, until dropped.
pub(super) struct Note<'a, K, V> {
    waits: &'a Waits<K, V>,
}

impl<K, V> Waits<K, V> {
    pub(super) fn new() -> Self {
        Waits { notes: Mutex::new(Vec::new()) }
    }

    /// Notes that this thread waits for `flight`, unless that waits for this thread.
    pub(super) fn note(&self, flight: &Arc<Flight<K, V>>) -> Result<Option<Note<'_, K, V>>, CallError> {
        let this = this_thread();
        let mut notes = self.notes.lock();
        let mut next = flight;
        // A thread waits for one call at a time, and no circle was ever closed, so this comes to an end.
        loop {
            // It has ended, and who waits for it is about to find out: also this thread, which has joined them
            // already, and whose leader may have gone on to wait for another.
            if next.outcome.get().is_some() {
                break;
            }
            if next.leader == this {
                return Err(CallError::WouldDeadlock);
            }
            let Some((_, call)) = notes.iter().find(|(thread, _)| *thread == next.leader) else { break };
            next = call;
        }
        notes.push((this, Arc::clone(flight)));
        Ok(Some(Note { waits: self }))
    }
}

impl<K, V> Drop for Note<'_, K, V> {
    fn drop(&mut self) {
        let this = this_thread();
        let mut notes = self.waits.notes.lock();
        let place = notes.iter().position(|(thread, _)| *thread == this);
        let note = place.map(|place| notes.swap_remove(place));
        drop(notes);
        // The call's last reference may be this one, and its key and value are the caller's.
        panics::discard(note);
    }
}

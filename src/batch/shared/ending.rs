//! The side of callers that wait for an end: of what was added, or of everything. One mutex orders
//! everything; see the [parent module](super).

use super::{Shared, State, thread_name};
use crate::batch::backlog::OpenBatch;
use crate::batch::handlers::AllHandlers;
use crate::batch::items::Reason;
use crate::batch::report::Report;
use crate::error::WaitError;
use crate::inspect::Running;
use crate::sync::Arc;
use crate::until::Until;
use crate::wait::graph::Awaited;
use crate::wait::{Point, Wake};

impl<T, R> Shared<T, R> {
    /// Hands over what was added before, and waits until it has ended.
    #[track_caller]
    pub(in crate::batch) fn flush(self: &Arc<Self>, limit: Until<'_>) -> Result<(), WaitError> {
        limit.check_token()?;
        let mut state = self.state.lock();
        // The number bounds the wait: batches that are opened later are not waited for.
        let end = state.backlog.make_due(Reason::Flushed);
        let has_ended = state.has_ended(end);
        // One thread suffices: it takes the batch that is now due, and after it whatever else is ready.
        let wake = if state.backlog.is_due() { state.idle.next() } else { None };
        drop(state);
        // Woken after unlocking, and before the check below: inside the handler, too, the items are handed
        // over.
        drop(wake);
        if has_ended {
            return Ok(());
        }
        if self.is_inside() {
            return Err(WaitError::WouldDeadlock);
        }
        // No missed wake-up: a batch ends in `end`, under this lock, which wakes all watchers.
        let has_ended = |state: &State<T, R>| state.has_ended(end);
        let any = Arc::clone(&self.handlers) as Arc<dyn Awaited>;
        Point::new(&self.state, |state| &mut state.watchers, has_ended)
            .brought_by(any)
            .wait(limit.called("Batcher::flush"))
    }

    /// Closes; true if this call did.
    pub(in crate::batch) fn close(&self) -> bool {
        let mut state = self.state.lock();
        let closes = !state.closed;
        let wakes = state.close();
        drop(state);
        drop(wakes);
        closes
    }

    /// Closes, and takes back everything that no handler is processing.
    pub(in crate::batch) fn abort(&self) -> Vec<OpenBatch<T, R>> {
        let mut state = self.state.lock();
        let mut wakes = state.close();
        state.aborted = true;
        // Pausing threads return their batches; watchers look again, since batches that were taken back have
        // ended.
        wakes.extend(state.pausing.take_all());
        wakes.extend(state.watchers.take_all());
        let taken = state.backlog.take_all();
        let count = taken.iter().map(|batch| batch.items.len()).sum::<usize>();
        state.stats.waiting -= count;
        state.stats.aborted += count;
        drop(state);
        // Woken after unlocking. The items are dropped or handed back by the caller.
        drop(wakes);
        taken
    }

    /// Waits until all threads have left.
    #[track_caller]
    pub(in crate::batch) fn wait_for_threads(&self, limit: Until<'_>) -> Result<(), WaitError> {
        // No missed wake-up: a thread leaves in `thread_leaves`, under this lock, which wakes all watchers.
        let have_left = |state: &State<T, R>| state.threads == 0;
        let all = Arc::new(AllHandlers(Arc::clone(&self.handlers)));
        Point::new(&self.state, |state| &mut state.watchers, have_left)
            .brought_by(all)
            .wait(limit.called("Batcher::close"))
    }

    /// The state so far, with the items that were taken back and are in no report yet.
    pub(in crate::batch) fn report(&self, unprocessed: Vec<T>, running: Vec<String>) -> Report<T> {
        let mut state = self.state.lock();
        // A batch that was taken back while it waited for a retry is older than all batches that were not
        // started.
        let mut all = std::mem::take(&mut state.returned);
        all.extend(unprocessed);
        Report { stats: state.stats, errors: state.errors.clone(), unprocessed: all, running }
    }

    /// The names of the threads that process a batch.
    pub(in crate::batch) fn running(&self, name: &str) -> Vec<String> {
        self.state.lock().in_flight.iter().map(|batch| thread_name(name, batch.thread)).collect()
    }

    /// The batches that threads process.
    pub(in crate::batch) fn batches(&self) -> Vec<Running> {
        let state = self.state.lock();
        state.in_flight.iter().filter_map(|batch| Some(batch.began.as_ref()?.running(""))).collect()
    }
}

impl<T, R> State<T, R> {
    /// True if every batch before `number` has ended.
    fn has_ended(&self, number: u64) -> bool {
        self.backlog.is_past(number) && self.in_flight.iter().all(|batch| batch.number >= number)
    }

    /// Refuses further items; returns all waiters that wait for what will not happen any more.
    #[track_caller]
    fn close(&mut self) -> Vec<Wake> {
        self.closed = true;
        self.backlog.make_due(Reason::Closed);
        let mut wakes = self.idle.take_all();
        wakes.extend(self.adders.take_all());
        wakes
    }
}

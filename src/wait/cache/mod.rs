//! A cache of threads, started when they are needed and kept for a while.
//!
//! Starting a thread takes 100 µs and more, waking one 30 to 45 µs, so an idle helper waits for another call
//! before it leaves. If no helper is idle, another is started: no call waits for a busy helper, so helpers
//! may block for as long as they like.
//!
//! # Calls
//! A call is not handed to a certain helper but queued, and a helper is *waking* for it: an idle one is
//! woken, the last to go idle first, since its caches are the warmest; or a thread is started. A waking
//! helper takes the oldest call. Until then the caller may [withdraw](withdraw) the call, and the helper
//! takes the next one: a program that opens short scopes in a loop, and runs their tasks itself before a
//! helper could, keeps one helper waking rather than one for each scope.
//!
//! # Brief parking
//! Such a program would still wake a helper in vain, again and again: each spins for a few microseconds and
//! parks, and the next call wakes it, which costs the caller about 4 µs and the helper more. So a helper that
//! finds that calls were added and withdrawn parks *briefly*, for 50 µs, about as long as a wake-up takes,
//! and still counts as waking. A [deferrable](Urgency::Deferrable) call relies on it; an immediate one wakes
//! it. It parks briefly again as long as calls are added and withdrawn, and goes idle when none was. A scope
//! of one task takes 0.6 µs of its thread's time; it took 0.8 to 0.9 with a wake-up for each sixteenth.
//!
//! # Spinning
//! The caller of an immediate call waits for it. So a helper that spins takes such a call as soon as it sees
//! it, and looks for it [without yielding](BriefSpin) while such calls come in quick succession. A round trip
//! takes 0.9 µs with that, and took 3.9 without (medians of 24 runs of 0.1 s, `timeout::run` of an instant
//! function, 2 processors). Tried, and no faster: a helper that parks after 64 calls from its own processor,
//! so that the system moves it to another.
//!
//! # Invariant
//! With the lock free: there are at most as many calls as waking helpers, except for calls whose thread the
//! operating system refused; their callers have been told. Adding a call establishes it, and a helper that
//! takes a call preserves it.
//!
//! # If the operating system refuses a thread
//! The call stays in the queue until its caller withdraws it, so that the next helper that becomes free takes
//! it. If it were dropped, work would wait beside an idle helper: the one that has just finished the task
//! before.
//!
//! One mutex orders everything here. The waiter of an idle helper decides between a call and the keep-alive.
//!
//! # Exiting
//! A thread cannot join itself, and a dropped handle would let the operating system's thread outlive its
//! entry here. So an exiting helper joins the helpers that have exited before, and leaves its own handle for
//! the next: at most a few handles are left at any time, and a thread that finds no helper alive joins the
//! last.

mod calls;
pub(crate) mod nested;
#[cfg(all(test, not(any(loom, selvedge_loom))))]
mod tests;

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::time::Duration;

pub(crate) use calls::{Call, Caller, Urgency, add, call, call_again, expedite, withdraw};

use crate::clock;
use crate::error::WaitError;
use crate::panics;
use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};
use crate::sync::{Arc, Mutex, MutexGuard, lazy_static, model, thread, time};
use crate::until::Until;
use crate::wait::context::Context;
use crate::wait::{BriefSpin, WaitList, Waiter, Wake, context, look, spin_until};

/// How long an idle helper stays: long enough for a program that opens scopes in a loop, short enough that
/// one that stops doing so soon has no idle threads.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// How long a helper parks briefly: the longest delay of a deferrable call, apart from the operating
/// system's.
const BRIEFLY: Duration = Duration::from_micros(50);

type Handle = thread::JoinHandle<()>;

lazy_static! {
    static ref CACHE: Arc<ThreadCache> =
        Arc::new(ThreadCache { state: Mutex::default(), oldest: AtomicU64::new(0), spin: BriefSpin::new() });
}

struct ThreadCache {
    state: Mutex<State>,
    /// Twice the number of the oldest call, plus 1 if it is immediate; 0 if there is none. Read by spinning
    /// helpers without the lock. Relaxed: written under the lock, which a helper takes once it has seen it.
    oldest: AtomicU64,
    /// How long helpers spin for an immediate call.
    spin: BriefSpin,
}

#[derive(Default)]
struct State {
    /// Calls that no helper has taken, oldest first.
    calls: VecDeque<Queued>,
    /// The number of the call added last. The first is 1.
    last_call: u64,
    /// Helpers that will look at the calls: woken, started, spinning, or parked briefly.
    waking: usize,
    /// Those of them that are parked briefly.
    briefly_parked: Vec<Waiter>,
    /// Idle helpers; the last to go idle is woken first.
    idle: Vec<Waiter>,
    /// The number of threads ever started; the number of the next one.
    started: usize,
    /// Helpers that have not exited, by number; `None` until the starting thread has stored the handle.
    alive: Vec<(usize, Option<Handle>)>,
    /// Handles of helpers that have exited, or are about to.
    exited: Vec<Handle>,
    /// Calls of [`join_idle`] that wait. While there are any, no helper stays idle.
    joining: usize,
    /// The threads of those calls.
    joiners: WaitList,
}

/// A call in the queue.
struct Queued {
    number: u64,
    call: Call,
    urgency: Urgency,
}

/// A snapshot of the cache.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    pub(crate) alive: usize,
    pub(crate) idle: usize,
    pub(crate) started: usize,
}

/// Starts a helper, which counts as waking already.
#[cold]
fn start() -> io::Result<()> {
    let mut state = CACHE.state.lock();
    let number = state.started;
    state.started += 1;
    state.alive.push((number, None));
    // Unlocked: starting a thread takes long.
    drop(state);
    // In a model, statics end with the main thread, and helpers may outlive it.
    let cache = Arc::clone(&CACHE);
    let builder = thread::Builder::new().name(format!("selvedge-helper-{number}"));
    let spawned = builder.spawn(move || work(&cache, number));
    let mut state = CACHE.state.lock();
    match spawned {
        Ok(handle) => {
            // The helper may have exited by now.
            match state.alive.iter_mut().find(|(other, _)| *other == number) {
                Some((_, point)) => *point = Some(handle),
                None => state.exited.push(handle),
            }
            drop(state);
            // Threads are available again: retry those that were refused elsewhere.
            time::retry_refused();
            Ok(())
        }
        Err(error) => {
            state.waking -= 1;
            // It counted as alive: a `join_idle` that waits for it must be woken.
            let wakes = state.leave(number);
            drop(state);
            drop(wakes);
            Err(error)
        }
    }
}

/// Runs a helper from its first to its last moment.
fn work(cache: &ThreadCache, number: usize) {
    context::with(Context::become_helper);
    // The last call that this helper knows of.
    let mut known = 0;
    while let Some(call) = next_call(cache, &mut known) {
        // A helper survives the panics of its calls.
        panics::contain(|| call.run());
        // Its next call may be for a test with another clock, or with none.
        clock::forget_this_thread();
        // Waking again, before it looks: a call that is added now relies on this helper.
        cache.state.lock().waking += 1;
    }
    let mut state = cache.state.lock();
    let before = mem::take(&mut state.exited);
    // Unlocked: joining may block, if only for the exit of a thread.
    drop(state);
    join_all(before);
    let wakes = cache.state.lock().leave(number);
    drop(wakes);
    context::with(Context::leave);
}

/// The next call for a waking helper; `None` if it is to exit.
fn next_call(cache: &ThreadCache, known: &mut u64) -> Option<Call> {
    loop {
        cache.spin();
        let mut state = cache.state.lock();
        let was_withdrawn = mem::replace(known, state.last_call) < state.last_call && state.calls.is_empty();
        if was_withdrawn && state.joining == 0 {
            cache.park_briefly(state, known);
            continue;
        }
        state.waking -= 1;
        if let Some(Queued { call, .. }) = state.calls.pop_front() {
            cache.publish_oldest(&state);
            let next = state.called(0, Urgency::Deferrable);
            drop(state);
            // A helper is needed only after a refused thread: the callers have been told, so a second refusal
            // is no news.
            let _ = next.send();
            return Some(call);
        }
        if state.joining > 0 {
            return None;
        }
        let waiter = Waiter::new();
        state.idle.push(waiter.clone());
        drop(state);
        // No missed wake-up: `need` and `dismiss_idle` remove the helper from the list under the lock, count
        // it as waking, and end its wait. If the keep-alive expired but the helper is not in the list, it was
        // called at the same moment, and the call wins.
        if Until::from(KEEP_ALIVE).start().sleep(&waiter).is_err() {
            let mut state = cache.state.lock();
            let before = state.idle.len();
            state.idle.retain(|other| !other.is(&waiter));
            if state.idle.len() < before {
                return None;
            }
        }
    }
}

impl ThreadCache {
    /// Parks briefly for as long as calls are added and withdrawn. The helper counts as waking meanwhile.
    fn park_briefly<'a>(&'a self, mut state: MutexGuard<'a, State>, known: &mut u64) {
        loop {
            let waiter = Waiter::new();
            state.briefly_parked.push(waiter.clone());
            drop(state);
            // Ended by `wake_briefly_parked`, which removes it from the list, or by time. Either way it looks
            // again.
            let _ = Until::from(BRIEFLY).start().sleep(&waiter);
            state = self.state.lock();
            state.briefly_parked.retain(|other| !other.is(&waiter));
            let is_quiet = mem::replace(known, state.last_call) == state.last_call;
            if is_quiet || !state.calls.is_empty() || state.joining > 0 {
                return;
            }
        }
    }

    /// Spins until there is an immediate call, or another call stays for a moment, before the helper parks.
    /// It counts as waking meanwhile, so that adding a call costs no wake-up.
    ///
    /// A deferrable call that was just added is left alone: most callers are about to do the work themselves,
    /// and a helper that takes it from them costs them more than it saves.
    fn spin(&self) {
        let is_immediate = |oldest: u64| oldest & 1 != 0;
        if self.spin.until(|| is_immediate(self.oldest.load(Relaxed))) {
            return;
        }
        let mut seen = 0;
        spin_until(|| {
            let oldest = self.oldest.load(Relaxed);
            let stays = oldest != 0 && oldest == seen;
            seen = oldest;
            stays || is_immediate(oldest)
        });
    }

    /// Publishes the oldest call; to be called after each change of the calls.
    fn publish_oldest(&self, state: &State) {
        // Helpers do not spin in a model, where each operation multiplies the schedules.
        if !model::IS_MODEL {
            let told = |call: &Queued| 2 * call.number + u64::from(call.urgency == Urgency::Immediate);
            self.oldest.store(state.calls.front().map_or(0, told), Relaxed);
        }
    }
}

fn join_all(handles: Vec<Handle>) {
    handles.into_iter().for_each(join);
}

/// Joins a thread of the crate that has done its work, so that only the destructors of its thread-locals
/// remain.
///
/// Such a destructor may be the caller, on the very thread that is to be joined, or on a thread that is
/// joined by a destructor of that one. Neither join would end, so an exiting thread joins no other: it drops
/// the handle, and the other thread ends by itself.
pub(crate) fn join(thread: thread::JoinHandle<()>) {
    if context::with(Context::is_leaving) == Some(true) {
        return drop(thread);
    }
    thread.join().expect("a thread of the crate's catches every panic");
}

/// Dismisses the idle helpers, lets the others exit after their current calls, and waits until no helper is
/// left, until `limit` at most.
///
/// # Errors
/// [`WaitError::WouldDeadlock`] on a helper, which would wait for itself.
pub(crate) fn join_idle(limit: Until<'_>) -> Result<(), WaitError> {
    limit.check_token()?;
    if context::with(Context::is_helper) == Some(true) {
        return Err(WaitError::WouldDeadlock);
    }
    let cache = Arc::clone(&CACHE);
    let dismissed = {
        let mut state = cache.state.lock();
        state.joining += 1;
        state.dismiss_idle()
    };
    drop(dismissed);
    // No missed wake-up: the last helper exits under this lock, and takes the waiters out.
    let joined = limit.called("group::join_threads").wait_until_ready(
        &cache.state,
        |state| &mut state.joiners,
        |state| state.alive.is_empty(),
    );
    let mut state = cache.state.lock();
    state.joining -= 1;
    // The helpers may still be running their last instructions: joined without the lock.
    let exited = mem::take(&mut state.exited);
    drop(state);
    join_all(exited);
    joined
}

/// The number of threads now.
pub(crate) fn figures() -> Figures {
    let of = |state: &mut State| Figures {
        alive: state.alive.len(),
        idle: state.idle.len(),
        started: state.started,
    };
    look(&CACHE.state, of)
}

impl State {
    /// A helper exits, or was not started after all. Returns the joiners to wake if it was the last.
    fn leave(&mut self, number: usize) -> Vec<Wake> {
        if let Some(at) = self.alive.iter().position(|(other, _)| *other == number) {
            let (_, handle) = self.alive.swap_remove(at);
            self.exited.extend(handle);
        }
        if self.alive.is_empty() { self.joiners.take_all() } else { Vec::new() }
    }

    fn dismiss_idle(&mut self) -> Vec<Wake> {
        self.waking += self.idle.len();
        self.idle.drain(..).filter_map(|waiter| waiter.end(Ok(()))).collect()
    }
}

//! Threads that are started when they are needed, and kept a while for the next call.
//!
//! Starting a thread costs 100 µs and more, waking one 30 to 45 µs, so a helper that has nothing to do waits
//! for another call before it goes. If no helper is idle another is started: nobody ever waits for a helper
//! to become free, so helpers may block for as long as they like.
//!
//! # Calls
//! A call is not handed to a certain helper but put into a queue, and a helper is made to *come*: woken, the
//! one that went idle last, whose memory is the warmest, or started. Whoever comes takes the oldest call.
//! Until then the caller may [take it back](take_back), and the helper that was to come for it is there for
//! the next: a program that opens short scopes in a loop, and does their tasks itself before a helper could
//! come, keeps one helper on its way and not one for each scope.
//!
//! # Naps
//! Such a program would still wake a helper for nothing, again and again: each looks out for a few
//! microseconds, sleeps, and the next call wakes it, which costs the caller some 4 µs and the helper more. So
//! a helper that finds that calls have come and gone *naps*: it sleeps for 50 µs, about as long as it takes
//! to wake it, and counts as coming. A [patient](Patience::Patient) call relies on it; any other wakes it. It
//! naps again as long as calls come and go, and lies down when none did. A scope of one task takes 0.6 µs of
//! its thread's time, and took 0.8 to 0.9 with a wake-up for each sixteenth.
//!
//! # Invariant
//! With the lock free: there are no more calls than helpers that are coming, except for calls whose thread
//! the system has refused; those were told so. Whoever adds a call makes it so, and a helper that takes one
//! leaves it so.
//!
//! # A thread that the system refuses
//! The call stays in the queue until its caller takes it back, so the next helper that becomes free comes for
//! it. If the call were dropped, work would lie there beside an idle helper: the one that has just ended the
//! task before.
//!
//! One mutex orders everything here. A waiting helper's waiter decides between a call and its time-out.
//!
//! # Leaving
//! A thread that leaves cannot join itself, and a handle that is dropped would let the system's thread
//! outlive the count of it. So it puts its own handle on the pile of those who left, after it has joined all
//! that lay there: at most a few lie there at any time, and whoever finds nobody alive joins the last.

mod calls;
pub(crate) mod nested;
#[cfg(all(test, not(any(loom, selvedge_loom))))]
mod tests;

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::time::Duration;

pub(crate) use calls::{Call, Caller, Patience, add, call, call_again, hurry, take_back};

use crate::error::WaitError;
use crate::panics;
use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};
use crate::sync::{Arc, Mutex, MutexGuard, lazy_static, model, thread, time};
use crate::until::Until;
use crate::wait::context::Context;
use crate::wait::{WaitList, Waiter, Wake, context, look, spin_until};

/// How long an idle helper stays: long enough for a program that opens scopes in a loop, short enough that
/// one that does not is rid of its threads before anybody wonders about them.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// How long a helper naps: as long as a patient call may have to wait at most, but for what the system adds.
const NAP: Duration = Duration::from_micros(50);

type Handle = thread::JoinHandle<()>;

lazy_static! {
    static ref CACHE: Arc<ThreadCache> =
        Arc::new(ThreadCache { state: Mutex::default(), oldest: AtomicU64::new(0) });
}

struct ThreadCache {
    state: Mutex<State>,
    /// The oldest call's number, 0 if there is none; for the look-out, which takes no lock. Relaxed: written
    /// under the lock, and who sees it takes the lock.
    oldest: AtomicU64,
}

#[derive(Default)]
struct State {
    /// Calls that nobody has taken, oldest first.
    calls: VecDeque<(u64, Call)>,
    /// The number of the call that was added last. The first is 1.
    last_call: u64,
    /// Helpers that will look at the calls: woken, started, looking out, or napping.
    waking: usize,
    /// Those of them that nap.
    naps: Vec<Waiter>,
    /// Helpers that sleep; the one that lay down last is woken first.
    idle: Vec<Waiter>,
    /// Threads that were ever started; the next one's number.
    started: usize,
    /// Those that have not left, by their numbers; `None` while the starter has not put the handle there.
    alive: Vec<(usize, Option<Handle>)>,
    /// Handles of threads that have left, or do so with their next step.
    left: Vec<Handle>,
    /// Calls of [`join_idle`] that wait. While there are any, no helper stays idle.
    closing: usize,
    /// Those calls' threads.
    joiners: WaitList,
}

/// How many there are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    pub(crate) alive: usize,
    pub(crate) idle: usize,
    pub(crate) started: usize,
}

/// Starts a helper, which counts as coming already.
#[cold]
fn start() -> io::Result<()> {
    let mut state = CACHE.state.lock();
    let number = state.started;
    state.started += 1;
    state.alive.push((number, None));
    drop(state);
    // In a model statics end with the main thread, and helpers may outlive it.
    let cache = Arc::clone(&CACHE);
    let builder = thread::Builder::new().name(format!("selvedge-helper-{number}"));
    let spawned = builder.spawn(move || work(&cache, number));
    let mut state = CACHE.state.lock();
    match spawned {
        Ok(handle) => {
            // It may have left by now.
            match state.alive.iter_mut().find(|(other, _)| *other == number) {
                Some((_, point)) => *point = Some(handle),
                None => state.left.push(handle),
            }
            drop(state);
            // There are threads again.
            time::retry_refused();
            Ok(())
        }
        Err(error) => {
            state.waking -= 1;
            let wakes = state.leave(number);
            drop(state);
            drop(wakes);
            Err(error)
        }
    }
}

/// What a helper does from its first to its last moment.
fn work(cache: &ThreadCache, number: usize) {
    context::with(Context::become_helper);
    // Of the calls that were added, the last that this helper knows of.
    let mut known = 0;
    while let Some(call) = next_call(cache, &mut known) {
        // A helper outlives whatever it is called for.
        panics::contain(|| call.answer());
        cache.state.lock().waking += 1;
    }
    let mut state = cache.state.lock();
    let before = mem::take(&mut state.left);
    drop(state);
    join_all(before);
    let wakes = cache.state.lock().leave(number);
    drop(wakes);
    context::with(Context::leave);
}

/// The next call for a helper that is coming; `None` if it is to leave.
fn next_call(cache: &ThreadCache, known: &mut u64) -> Option<Call> {
    loop {
        cache.look_out();
        let mut state = cache.state.lock();
        let came_and_went = mem::replace(known, state.last_call) < state.last_call && state.calls.is_empty();
        if came_and_went && state.closing == 0 {
            cache.nap(state, known);
            continue;
        }
        state.waking -= 1;
        if let Some((_, call)) = state.calls.pop_front() {
            cache.show_oldest(&state);
            let next = state.called(0, Patience::Patient);
            drop(state);
            // Only after the system has refused a thread is there a need: those who called for it have been
            // told, so a second refusal is nothing new.
            let _ = next.send();
            return Some(call);
        }
        if state.closing > 0 {
            return None;
        }
        let waiter = Waiter::new();
        state.idle.push(waiter.clone());
        drop(state);
        // Ended by `need` or `send_idle_away`, which take the helper out of the list and count it as coming,
        // or by time. If it is not in the list any more, it was called just then.
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
    /// Naps for as long as calls come and go. The helper counts as coming all the while.
    fn nap<'a>(&'a self, mut state: MutexGuard<'a, State>, known: &mut u64) {
        loop {
            let waiter = Waiter::new();
            state.naps.push(waiter.clone());
            drop(state);
            // Ended by `wake_naps`, which takes it out of the list, or by time.
            let _ = Until::from(NAP).start().sleep(&waiter);
            state = self.state.lock();
            state.naps.retain(|other| !other.is(&waiter));
            let is_quiet = mem::replace(known, state.last_call) == state.last_call;
            if is_quiet || !state.calls.is_empty() || state.closing > 0 {
                return;
            }
        }
    }

    /// Looks out for a call that stays a moment, before the helper sleeps. It counts as coming meanwhile, so
    /// that a call costs no wake-up.
    ///
    /// A call that has just been added is left alone: most callers are about to do the work themselves, and a
    /// helper that takes it from under their hands costs them more than it does for them.
    fn look_out(&self) {
        let mut seen = 0;
        spin_until(|| {
            let oldest = self.oldest.load(Relaxed);
            let stays = oldest != 0 && oldest == seen;
            seen = oldest;
            stays
        });
    }

    /// To be called after each change of the calls.
    fn show_oldest(&self, state: &State) {
        // Nobody looks out in a model, where each operation multiplies the schedules.
        if !model::IS_MODEL {
            self.oldest.store(state.calls.front().map_or(0, |(number, _)| *number), Relaxed);
        }
    }
}

fn join_all(handles: Vec<Handle>) {
    handles.into_iter().for_each(join);
}

/// Joins a thread of the crate's that has done its work: what is left are the destructors of its
/// thread-locals.
///
/// Such a destructor may be what calls this, on the very thread that is to be joined, or on one that is to be
/// joined by a destructor of that one. Neither would ever end, so a thread that is on its way out joins
/// nobody: it lets go of the handle, and the other ends by itself.
pub(crate) fn join(thread: thread::JoinHandle<()>) {
    if context::with(Context::is_leaving) == Some(true) {
        return drop(thread);
    }
    thread.join().expect("a thread of the crate's catches every panic");
}

/// Sends the idle helpers away, and lets the others leave when they have done what they are at; waits until
/// nobody is left, at most until `limit`.
///
/// # Errors
/// [`WaitError::WouldDeadlock`] on a helper, which would wait for itself.
pub(crate) fn join_idle(limit: Until<'_>) -> Result<(), WaitError> {
    limit.check_token()?;
    if context::with(Context::is_helper) == Some(true) {
        return Err(WaitError::WouldDeadlock);
    }
    let cache = Arc::clone(&CACHE);
    let away = {
        let mut state = cache.state.lock();
        state.closing += 1;
        state.send_idle_away()
    };
    drop(away);
    // Ended by the last helper that leaves, under this lock.
    let joined = limit.called("group::join_threads").wait_until_ready(
        &cache.state,
        |state| &mut state.joiners,
        |state| state.alive.is_empty(),
    );
    let mut state = cache.state.lock();
    state.closing -= 1;
    // The handles of those who have left, though some may still be there.
    let left = mem::take(&mut state.left);
    drop(state);
    join_all(left);
    joined
}

/// How many threads there are now.
pub(crate) fn figures() -> Figures {
    let of = |state: &mut State| Figures {
        alive: state.alive.len(),
        idle: state.idle.len(),
        started: state.started,
    };
    look(&CACHE.state, of)
}

impl State {
    /// A thread leaves, or was not started after all. Wakes who waits until nobody is left.
    fn leave(&mut self, number: usize) -> Vec<Wake> {
        if let Some(at) = self.alive.iter().position(|(other, _)| *other == number) {
            let (_, handle) = self.alive.swap_remove(at);
            self.left.extend(handle);
        }
        if self.alive.is_empty() { self.joiners.take_all() } else { Vec::new() }
    }

    fn send_idle_away(&mut self) -> Vec<Wake> {
        self.waking += self.idle.len();
        self.idle.drain(..).filter_map(|waiter| waiter.end(Ok(()))).collect()
    }
}

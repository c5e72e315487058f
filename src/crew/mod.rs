//! Threads that are started when they are needed, and kept a while for the next call.
//!
//! Starting a thread costs 100 µs and more, waking one 30 to 45 µs, so a helper that has nothing to do waits
//! for another call before it goes. A call is handed to the helper that went idle last, whose memory is the
//! warmest, and to a new thread if none is idle: nobody ever waits for a helper to become free, so helpers may
//! block for as long as they like.
//!
//! One mutex orders everything here. A waiting helper's slot decides between a call and its time-out.
//!
//! # Leaving
//! A thread that leaves cannot join itself, and a handle that is dropped would let the system's thread outlive the
//! count of it. So it puts its own handle on the pile of those who left, after it has joined all that lay
//! there: at most a few lie there at any time, and whoever finds nobody alive joins the last.

mod behalf;
pub(crate) mod nested;

use std::io;
use std::mem;
use std::time::Duration;

pub(crate) use behalf::Behalf;

use crate::error::{TryError, WaitError};
use crate::panics;
use crate::sync::{Arc, Mutex, MutexGuard, lazy_static, thread};
use crate::until::Until;
use crate::wait::context::Context;
use crate::wait::{Line, Place, Slot, Wake, context, look, spin_until};

/// How long an idle helper stays: long enough for a program that opens scopes in a loop, short enough that
/// one that does not is rid of its threads before anybody wonders about them.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

type Call = Box<dyn FnOnce() + Send>;
type Handle = thread::JoinHandle<()>;

lazy_static! {
    static ref CREW: Arc<Crew> = Arc::new(Crew { state: Mutex::new(State::default()) });
}

struct Crew {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    idle: Vec<Idle>,
    /// Threads that were ever started; the next one's number.
    started: usize,
    /// Those that have not left, by their numbers; `None` while the starter has not put the handle there.
    alive: Vec<(usize, Option<Handle>)>,
    /// Handles of threads that have left, or do so with their next step.
    left: Vec<Handle>,
    /// Calls of [`join_idle`] that wait. While there are any, no helper stays idle.
    closing: usize,
    /// Those calls' threads.
    joiners: Line,
}

/// A helper that waits.
struct Idle {
    slot: Arc<Slot>,
    /// Empty if it is sent away.
    call: Arc<Mutex<Option<Call>>>,
}

/// How many there are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    pub(crate) alive: usize,
    pub(crate) idle: usize,
    pub(crate) started: usize,
}

/// Lets a helper run `f`.
///
/// # Errors
/// If no helper is idle and the operating system refuses another thread.
pub(crate) fn call(f: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let f: Call = Box::new(f);
    let mut state = CREW.state.lock();
    while let Some(idle) = state.idle.pop() {
        // A helper whose time ran out has ended its slot itself; it is on its way out and takes no call.
        if let Some(wake) = idle.slot.end(Ok(())) {
            *idle.call.lock() = Some(f);
            drop(state);
            drop(wake);
            return Ok(());
        }
    }
    start(state, f)
}

#[cold]
fn start(mut state: MutexGuard<'_, State>, f: Call) -> io::Result<()> {
    let number = state.started;
    state.started += 1;
    state.alive.push((number, None));
    drop(state);
    // In a model statics end with the main thread, and helpers may outlive it.
    let crew = Arc::clone(&CREW);
    let builder = thread::Builder::new().name(format!("selvedge-helper-{number}"));
    let spawned = builder.spawn(move || work(&crew, number, f));
    let mut state = CREW.state.lock();
    match spawned {
        Ok(handle) => {
            // It may have left by now.
            match state.alive.iter_mut().find(|(other, _)| *other == number) {
                Some((_, place)) => *place = Some(handle),
                None => state.left.push(handle),
            }
            Ok(())
        }
        Err(error) => {
            let wakes = state.leave(number);
            drop(state);
            drop(wakes);
            Err(error)
        }
    }
}

/// What a helper does from its first call on.
fn work(crew: &Crew, number: usize, first: Call) {
    context::with(Context::become_helper);
    let mut next = Some(first);
    while let Some(call) = next {
        // A helper outlives whatever it is called for.
        panics::contain(call);
        next = wait_for_call(crew);
    }
    let mut state = crew.state.lock();
    let before = mem::take(&mut state.left);
    drop(state);
    join_all(before);
    let wakes = crew.state.lock().leave(number);
    drop(wakes);
    context::with(Context::leave);
}

fn wait_for_call(crew: &Crew) -> Option<Call> {
    let mut state = crew.state.lock();
    if state.closing > 0 {
        return None;
    }
    let slot = Slot::new();
    let call = Arc::new(Mutex::new(None));
    state.idle.push(Idle { slot: Arc::clone(&slot), call: Arc::clone(&call) });
    drop(state);
    // A program that opens scope after scope calls again within microseconds: a scope of one task went from
    // 5.3 to 3.1 µs by this look-out, one of 1,000 from 161 to 96 (bench `group`).
    spin_until(|| slot.has_ended());
    // Ended by `call` or `send_idle_away`, which take the helper out of the list, or by time.
    match Until::from(KEEP_ALIVE).start().sleep(&slot) {
        // The caller writes the call after it ended the slot, and both under the crew's lock.
        Ok(()) => {
            let _written = crew.state.lock();
            call.lock().take()
        }
        Err(_) => {
            crew.state.lock().idle.retain(|idle| !Arc::ptr_eq(&idle.slot, &slot));
            None
        }
    }
}

fn join_all(handles: Vec<Handle>) {
    handles.into_iter().for_each(join);
}

/// Joins a thread of the crate's that has done its work: what is left are the destructors of its thread-locals.
///
/// Such a destructor may be what calls this, on the very thread that is to be joined, or on one that is to be joined
/// by a destructor of that one. Neither would ever end, so a thread that is on its way out joins nobody: it lets go
/// of the handle, and the other ends by itself.
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
/// [`WaitError::Impossible`] on a helper, which would wait for itself.
pub(crate) fn join_idle(limit: Until<'_>) -> Result<(), WaitError> {
    limit.check_token()?;
    if context::with(Context::is_helper) == Some(true) {
        return Err(WaitError::Impossible);
    }
    let crew = Arc::clone(&CREW);
    let away = {
        let mut state = crew.state.lock();
        state.closing += 1;
        state.send_idle_away()
    };
    drop(away);
    let joined = limit.retry(&*crew, || match crew.state.lock().alive.is_empty() {
        true => Ok(()),
        false => Err(TryError::WouldBlock),
    });
    let mut state = crew.state.lock();
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
    look(&CREW.state, of)
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
        self.idle.drain(..).filter_map(|idle| idle.slot.end(Ok(()))).collect()
    }
}

impl Place for Crew {
    fn looks_ready(&self) -> bool {
        self.state.try_lock().is_some_and(|state| state.alive.is_empty())
    }

    fn join(&self) -> Option<Arc<Slot>> {
        // Ended by the last helper that leaves, under this lock.
        let mut state = self.state.lock();
        (!state.alive.is_empty()).then(|| state.joiners.join())
    }

    fn leave(&self, slot: &Arc<Slot>) {
        self.state.lock().joiners.leave(slot);
    }
}

//! Threads that are started when they are needed, and kept a while for the next call.
//!
//! Starting a thread costs 100 µs and more, waking one 30 to 45 µs, so a helper that has nothing to do waits
//! for another call before it goes. A call is handed to the helper that went idle last, whose memory is the
//! warmest, and to a new thread if none is idle: nobody ever waits for a helper to become free, so helpers may
//! block for as long as they like.
//!
//! One mutex orders everything here. A waiting helper's slot decides between a call and its time-out.

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::time::Duration;

use crate::sync::{Arc, Mutex, lazy_static, thread};
use crate::until::Until;
use crate::wait::{Slot, spin_until};

/// How long an idle helper stays: long enough for a program that opens scopes in a loop, short enough that
/// one that does not is rid of its threads before anybody wonders about them.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

type Call = Box<dyn FnOnce() + Send>;

lazy_static! {
    static ref CREW: Arc<Mutex<Crew>> = Arc::default();
}

#[derive(Default)]
struct Crew {
    idle: Vec<Idle>,
    /// Threads that were ever started; the next one's number.
    started: usize,
    alive: usize,
}

/// A helper that waits.
struct Idle {
    slot: Arc<Slot>,
    call: Arc<Mutex<Option<Call>>>,
}

/// Lets a helper run `f`.
///
/// # Errors
/// If no helper is idle and the operating system refuses another thread.
pub(crate) fn call(f: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let f: Call = Box::new(f);
    let mut crew = CREW.lock();
    while let Some(idle) = crew.idle.pop() {
        // A helper whose time ran out has ended its slot itself; it is on its way out and takes no call.
        if let Some(wake) = idle.slot.end(Ok(())) {
            *idle.call.lock() = Some(f);
            drop(crew);
            drop(wake);
            return Ok(());
        }
    }
    let name = format!("selvedge-helper-{}", crew.started);
    crew.started += 1;
    crew.alive += 1;
    drop(crew);
    // In a model statics end with the main thread, and helpers may outlive it.
    let crew = Arc::clone(&CREW);
    let spawned = thread::Builder::new().name(name).spawn(move || work(&crew, f));
    spawned.map(drop).inspect_err(|_| CREW.lock().alive -= 1)
}

/// What a helper does from its first call on.
fn work(crew: &Mutex<Crew>, first: Call) {
    let mut next = Some(first);
    while let Some(call) = next {
        // A helper outlives whatever it is called for.
        if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(call)) {
            std::mem::forget(payload);
        }
        next = wait_for_call(crew);
    }
    crew.lock().alive -= 1;
}

fn wait_for_call(crew: &Mutex<Crew>) -> Option<Call> {
    let slot = Slot::new();
    let call = Arc::new(Mutex::new(None));
    crew.lock().idle.push(Idle { slot: Arc::clone(&slot), call: Arc::clone(&call) });
    // A program that opens scope after scope calls again within microseconds: a scope of one task went from
    // 5.3 to 3.1 µs by this look-out, one of 1,000 from 161 to 96 (bench `group`).
    spin_until(|| slot.has_ended());
    // Ended by `call`, which takes the helper out of the list, or by time.
    match Until::from(KEEP_ALIVE).start().sleep(&slot) {
        // The caller writes the call after it ended the slot, and both under the crew's lock.
        Ok(()) => {
            let _written = crew.lock();
            call.lock().take()
        }
        Err(_) => {
            crew.lock().idle.retain(|idle| !Arc::ptr_eq(&idle.slot, &slot));
            None
        }
    }
}

/// Threads of the crew that are alive, idle or at work.
pub(crate) fn alive() -> usize {
    CREW.lock().alive
}

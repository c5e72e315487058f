//! Limits how deep tasks nest on one stack.
//!
//! A worker that joins a task which has not started runs it; a thread that ends a scope runs the scope's
//! remaining tasks; and these tasks may join and end scopes themselves. Each level takes a few frames, and
//! the stack ends at about 1,000 levels in a debug build. So after a number of levels, or of bytes, the next
//! task runs on a helper with a stack of its own, while this thread waits for it. Nothing else changes: the
//! helper is inside whatever this thread is inside of, and its waits are reported to this thread's observers.
//! The wait of this thread is not reported, because its work continues.

use super::Call;
use crate::sync::Arc;
use crate::until::Until;
use crate::wait::Waiter;
use crate::wait::context::{Inherited, enter_anyway, this_thread, unobserved};
use crate::wait::graph::{self, Owner};

/// Runs `f` on a helper in place of this thread, and waits for its end. If no thread is available, runs it
/// here: the stack may be deep enough.
#[cold]
pub(crate) fn run_elsewhere(f: Arc<dyn Fn() + Send + Sync>) {
    let inherited = Inherited::whole();
    let end = End(Waiter::new());
    let waiter = end.0.clone();
    let owner = Owner::new(None);
    let called = super::call(Call::Boxed({
        let (f, owner) = (Arc::clone(&f), Arc::clone(&owner));
        Box::new(move || {
            owner.set(this_thread());
            let _end = end;
            let f = f; // goes before the end is told
            inherited.run(|| f());
        })
    }));
    match called {
        // No missed wake-up: the guard ends the waiter when the helper drops it, even if `f` panics.
        Ok(()) => {
            // Until then this thread stands for what the helper runs. It must not be refused for closing a
            // cycle: the wait inside that closes the cycle is.
            let _edge = graph::is_owing().then(|| graph::enter(owner, &waiter, false));
            let _ = unobserved(|| Until::forever().start().sleep(&waiter));
        }
        Err(_) => {
            let _nested = enter_anyway();
            f();
        }
    }
}

/// Ends the wait of the calling thread when dropped.
struct End(Waiter);

impl Drop for End {
    fn drop(&mut self) {
        drop(self.0.end(Ok(())));
    }
}

//! How deep tasks run inside each other on one stack, and what becomes of those that would be deeper.
//!
//! A worker that joins a task which nobody has started runs it, a thread that ends a scope runs what is left
//! of it, and those tasks may join and end scopes themselves. Each is a few frames more on the stack, which
//! ends at some 1,000 of them in a build without optimisation. So after so many, or so many bytes, the next
//! one runs on a helper, on a stack of its own, while this thread waits for it. For everybody else nothing is
//! different: the helper is inside what this thread is inside of, and its sleeps are told to those who are
//! told of this thread's. The wait itself is told to nobody, because the work goes on.

use crate::sync::Arc;
use crate::until::Until;
use crate::wait::Waiter;
use crate::wait::context::{Inherited, enter_anyway, this_thread, unobserved};
use crate::wait::graph::{self, Owner};

/// Runs `f` on a helper, in the place of this thread, and waits for its end. If no thread is to be had it
/// runs here: the stack may well be deep enough.
#[cold]
pub(crate) fn run_elsewhere(f: Arc<dyn Fn() + Send + Sync>) {
    let inherited = Inherited::whole();
    let end = End(Waiter::new());
    let waiter = end.0.clone();
    let owner = Owner::new(None);
    let called = super::call({
        let (f, owner) = (Arc::clone(&f), Arc::clone(&owner));
        move || {
            owner.set(this_thread());
            let _end = end;
            let f = f; // goes before the end is told
            inherited.run(|| f());
        }
    });
    match called {
        // Ended by the guard, which the helper drops whatever becomes of `f`.
        Ok(()) => {
            // Until then this thread stands for what the helper runs: it must not be told of a circle, which
            // whoever closes it inside is.
            let _edge = graph::enter(|| Some(owner), &waiter, false);
            let _ = unobserved(|| Until::forever().start().sleep(&waiter));
        }
        Err(_) => {
            let _nested = enter_anyway();
            f();
        }
    }
}

/// Ends the wait of who called a helper, when dropped.
struct End(Waiter);

impl Drop for End {
    fn drop(&mut self) {
        drop(self.0.end(Ok(())));
    }
}

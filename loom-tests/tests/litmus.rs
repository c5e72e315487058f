//! Litmus programs over the facade, on the model side. Their outcomes must be those that the specification
//! allows, except for the differences listed with them.
//!
//! The programs are those of `tests/litmus`, which runs them on real threads. Each is a negative control of
//! the model side: an outcome that is no longer explored is one that no other model sees either.

use selvedge_loom::sync as facade;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// The outcome of a program.
type Outcome = Vec<u32>;
/// A set of outcomes, as listed.
type Set = &'static [&'static [u32]];

/// Declares programs, each of which is a test.
macro_rules! litmus {
    ($($(#[$doc:meta])* $name:ident allowed $allowed:expr, $(extra $extra:expr,)? $(unseen $unseen:expr,)? $(hole $hole:expr,)? => $body:expr;)*) => {$(
        $(#[$doc])*
        #[test]
        fn $name() {
            #[allow(unused_mut, unused_assignments, reason = "most programs have neither")]
            let (mut extra, mut unseen): (crate::Set, crate::Set) = (&[], &[]);
            $(extra = &$extra;)?
            $(unseen = &$unseen;)?
            $(unseen = &$hole;)?
            crate::run(&$allowed, extra, unseen, $body);
        }
    )*};
}

#[path = "../../tests/litmus/atomics.rs"]
mod atomics;
#[path = "../../tests/litmus/condvars.rs"]
mod condvars;
#[path = "../../tests/litmus/locks.rs"]
mod locks;
#[path = "../../tests/litmus/once.rs"]
mod once;
#[path = "../../tests/litmus/threads.rs"]
mod threads;

/// Explores a program, and compares what it shows with the list.
fn run(allowed: Set, extra: Set, unseen: Set, body: fn() -> Outcome) {
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    facade::model::check({
        let seen = Arc::clone(&seen);
        move || {
            let outcome = body();
            seen.lock().unwrap().insert(outcome);
        }
    });
    let seen = seen.lock().unwrap().clone();
    let set = |set: Set| set.iter().map(|outcome| outcome.to_vec()).collect::<BTreeSet<_>>();
    let mut expected = &set(allowed) - &set(unseen);
    expected.extend(set(extra));
    let (missing, surplus) = (&expected - &seen, &seen - &expected);
    assert!(missing.is_empty() && surplus.is_empty(), "not shown: {missing:?}, shown in vain: {surplus:?}");
}

/// A starting line, which a model does not need: it explores who comes first.
#[derive(Clone)]
pub(crate) struct Start;

impl Start {
    fn of(_count: usize) -> Start {
        Start
    }

    fn wait(&self) {}
}

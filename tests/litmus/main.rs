//! Litmus programs over the facade, on real threads. Their outcomes must be among those that the
//! specification allows; `loom-tests/tests/litmus.rs` runs the same source on the model side, which must show
//! all of them.
//!
//! A program is a few operations on two or three threads, with the list of its allowed outcomes. The list
//! also has the outcomes that the model side shows in addition (`extra`, where it is weaker than the
//! specification) and those that it cannot show: `unseen` if real threads do not show them either, and `hole`
//! if they do.

#[path = "../common/mod.rs"]
mod common;

use selvedge::sync as facade;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

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
            #[allow(unused_mut, unused_assignments, reason = "most programs have none")]
            let mut unseen: crate::Set = &[];
            $(unseen = &$unseen;)?
            $(let _: crate::Set = &$extra;)?
            $(let _: crate::Set = &$hole;)?
            crate::run(&$allowed, unseen, $body);
        }
    )*};
}

mod atomics;
mod condvars;
mod locks;
mod names;
mod once;
mod threads;

/// The time for a program, and the maximum number of runs.
const TIME: Duration = Duration::from_millis(40);
const ROUNDS: usize = 2_000;

/// Runs a program repeatedly, and compares its outcomes with the list.
fn run(allowed: Set, unseen: Set, body: fn() -> Outcome) {
    let seen = common::within_a_minute(move || {
        let (begun, mut seen) = (Instant::now(), BTreeSet::new());
        for _ in 0..ROUNDS {
            seen.insert(body());
            if begun.elapsed() > TIME {
                break;
            }
        }
        seen
    });
    for outcome in &seen {
        let is_in = |set: Set| set.contains(&outcome.as_slice());
        assert!(is_in(allowed), "{outcome:?} is not allowed; seen: {seen:?}");
        assert!(!is_in(unseen), "{outcome:?} is seen on real threads, but the model side cannot show it");
    }
}

/// A start barrier: each thread waits for the others, so that they race.
#[derive(Clone)]
pub(crate) struct Start(Arc<AtomicUsize>);

impl Start {
    fn of(count: usize) -> Start {
        Start(Arc::new(AtomicUsize::new(count)))
    }

    fn wait(&self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
        let begun = Instant::now();
        while self.0.load(Ordering::SeqCst) > 0 {
            // With one processor the other threads need it.
            if begun.elapsed() > Duration::from_micros(20) {
                std::thread::yield_now();
            }
        }
    }
}

//! The model side: the names of the real side, on loom.
//!
//! loom runs each thread of a model as a coroutine on one OS thread, and switches between them only at its
//! own operations. So plain `std` state in this module (a registry, a budget) needs no protection. But where
//! the order of two threads' accesses matters, it needs a loom operation next to it, since loom explores only
//! the orders of operations that it sees. Such an operation is called a *switch point* below.

mod atomics;
mod chances;
mod check;
mod condvar;
mod dice;
mod engine;
mod explore;
mod locals;
mod locks;
mod once;
mod path;
mod quiet;
mod record;
mod report;
mod sample;
mod threads;
mod token;
mod trace;
mod weak_counts;

pub use crate::__lazy_static as lazy_static;
pub use crate::__thread_local as thread_local;
pub use condvar::{Condvar, WaitTimeoutResult};
pub use locks::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use once::OnceLock;

#[doc(hidden)]
pub use locals::{LocalKey as __LocalKey, Slots as __Slots};
#[doc(hidden)]
pub use once::Lazy as __Lazy;
pub(super) use record::Record;

/// Declares lazily initialised statics: `lazy_static! { static ref NAME: Type = value; }`. In a model each
/// execution has its own.
#[macro_export]
#[doc(hidden)]
macro_rules! __lazy_static {
    ($($(#[$attribute:meta])* $vis:vis static ref $name:ident: $type:ty = $value:expr;)*) => {$(
        $(#[$attribute])*
        #[allow(non_camel_case_types, missing_debug_implementations, clippy::upper_case_acronyms)]
        $vis struct $name { __private: () }
        $(#[$attribute])*
        $vis static $name: $name = $name { __private: () };

        impl ::std::ops::Deref for $name {
            type Target = $type;

            fn deref(&self) -> &$type {
                static LAZY: $crate::sync::loom::lazy_static::Lazy<$crate::sync::__Lazy<$type>> =
                    $crate::sync::loom::lazy_static::Lazy {
                        init: $crate::sync::__Lazy::new,
                        _p: ::std::marker::PhantomData,
                    };
                LAZY.get().force(|| $value)
            }
        }
    )*};
}

/// Declares thread-locals, like std's. Initial values may be of the form `const { .. }`.
#[macro_export]
#[doc(hidden)]
macro_rules! __thread_local {
    ($($(#[$attribute:meta])* $vis:vis static $name:ident: $type:ty = $value:expr;)*) => {$(
        $(#[$attribute])* $vis static $name: $crate::sync::__LocalKey<$type> = {
            static SLOTS: $crate::sync::loom::thread::LocalKey<$crate::sync::__Slots<$type>> =
                $crate::sync::loom::thread::LocalKey {
                    init: $crate::sync::__Slots::new,
                    _p: ::std::marker::PhantomData,
                };
            $crate::sync::__LocalKey { slots: &SLOTS, init: || $value }
        };
    )*};
}

pub(super) const IS_MODEL: bool = true;

/// Runs models under every schedule.
pub mod model {
    pub use super::check::{IS_MODEL, check, check_within, find_failure, join_panics, replay};
    pub use super::sample::{find_failure_in, sample};
    pub use super::threads::refuse_threads_after;
    pub use crate::sync::failure::{Failure, Policy, ReplayError};
}

/// Atomic integers, booleans and fences.
pub mod atomic {
    pub use super::atomics::{
        Atomic, AtomicBool, AtomicI64, AtomicIsize, AtomicU32, AtomicU64, AtomicUsize, Integer, Primitive,
    };
    pub use loom::sync::atomic::fence;
    pub use std::sync::atomic::Ordering;
}

/// Threads of the model: at most five over its life, including the main one.
pub mod thread {
    pub use super::threads::{
        Builder, JoinHandle, Thread, ThreadId, available_parallelism, current, panicking, spawn, yield_now,
    };
}

/// Reference counts with weak references; each drop and upgrade is a switch point.
///
/// They lack what only the compiler can provide for std's: an `Arc<T>` does not coerce to an
/// `Arc<dyn Trait>`, and a method cannot take `self: &Arc<Self>`.
pub mod weak {
    pub use super::weak_counts::{Arc, Weak};
}

/// Nothing is recorded in a model.
pub(crate) mod recording {
    pub(crate) fn is_recording() -> bool {
        false
    }

    pub(crate) fn set_recording(_: bool) {}
}

/// Hints for busy-waiting, which make the scheduler run another thread first.
pub mod hint {
    /// Like std's, and a switch point: see [`yield_now`](crate::sync::thread::yield_now).
    #[track_caller]
    pub fn spin_loop() {
        super::threads::yield_now();
    }
}

/// Cells for unsafe code; two accesses that overlap or are not ordered fail the model.
pub mod cell {
    pub use loom::cell::UnsafeCell;
}

/// The system's time, which advances in a model only when a deadline expires.
pub mod time {
    use std::cell::Cell;
    use std::sync::OnceLock;

    pub use std::time::Instant;

    use crate::sync::alarms;

    std::thread_local! {
        /// The latest deadline that has expired in this execution.
        static NOW: Cell<Option<Instant>> = const { Cell::new(None) };
        /// This execution uses the alarms of the real side.
        static ALARMS_ARE_SET: Cell<bool> = const { Cell::new(false) };
    }

    /// Begins an execution, and resets the time to the same start for every execution of every model.
    pub(super) fn restart() {
        static BASE: OnceLock<Instant> = OnceLock::new();
        NOW.set(Some(*BASE.get_or_init(Instant::now)));
        ALARMS_ARE_SET.set(false);
    }

    /// Returns the latest deadline that has expired in this execution.
    ///
    /// This is no switch point. So not every order is explored in which another thread's expiry ends this
    /// thread's limit without a wait; the expiry of this thread's limit during its wait is.
    pub fn now() -> Instant {
        NOW.get().expect("time is asked for in a model only: see `model::check`")
    }

    /// Advances the time to `deadline`.
    pub(crate) fn expire(deadline: Instant) {
        NOW.set(NOW.get().max(Some(deadline)));
    }

    /// An alarm that is set, until this is dropped.
    #[derive(Debug)]
    pub(crate) enum Alarm {
        /// Whether it was removed.
        AnyTime(std::sync::Arc<super::quiet::Quiet<bool>>),
        /// Set with the alarms of the real side.
        OfThread { _alarm: alarms::Alarm },
    }

    /// Calls `callback` once at any later point, from a thread of its own. That is equivalent to the real
    /// side's alarms, in fewer steps. A model that may refuse threads uses the real side's alarms, whose
    /// thread may be refused.
    pub(crate) fn schedule(at: Instant, callback: Box<dyn FnOnce() + Send>) -> Alarm {
        if super::threads::may_refuse() {
            ALARMS_ARE_SET.set(true);
            return Alarm::OfThread { _alarm: alarms::schedule(at, callback) };
        }
        let removed = std::sync::Arc::new(super::quiet::Quiet::new(false));
        super::threads::spawn({
            let removed = std::sync::Arc::clone(&removed);
            move || {
                if !*removed.lock() {
                    expire(at);
                    callback();
                }
            }
        });
        Alarm::AnyTime(removed)
    }

    /// Requests the alarm thread again, if it was refused.
    pub(crate) fn retry_refused() {
        // Every thread that sleeps calls this, so it must be no step in executions without alarms.
        if ALARMS_ARE_SET.get() {
            alarms::retry_refused();
        }
    }

    impl Drop for Alarm {
        fn drop(&mut self) {
            if let Alarm::AnyTime(removed) = self {
                *removed.lock() = true;
            }
        }
    }
}

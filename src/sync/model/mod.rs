//! The model side: the same names as the real side, on loom.
//!
//! loom runs every thread of a model as a coroutine on one OS thread and switches between them at its own
//! operations only. So plain `std` state in here (a registry, a budget) needs no protection; what it needs
//! is a loom operation beside it wherever the order of two threads' accesses matters, because loom explores
//! only the orders of operations that it can see. Such an operation is called a *touch* below.

mod atomics;
mod check;
mod condvar;
mod locks;
mod once;
mod threads;
mod weak_counts;

pub use crate::__lazy_static as lazy_static;
pub use crate::__thread_local as thread_local;
pub use condvar::{Condvar, WaitTimeoutResult};
pub use locks::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use once::OnceLock;

#[doc(hidden)]
pub use once::Lazy as __Lazy;

/// Statics that are made on first use: `lazy_static! { static ref NAME: Type = value; }`. In a model each
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

/// loom's, for initial values in the form `const { .. }` too, which its own macro is too old to read.
#[macro_export]
#[doc(hidden)]
macro_rules! __thread_local {
    ($($(#[$attribute:meta])* $vis:vis static $name:ident: $type:ty = $value:expr;)*) => {$(
        $crate::sync::loom::thread_local! {
            $(#[$attribute])* $vis static $name: $type = $value;
        }
    )*};
}

pub(super) const IS_MODEL: bool = true;

/// Runs models under every schedule.
pub mod model {
    pub use super::check::{IS_MODEL, check, find_failure, join_panics};
    pub use super::threads::refuse_threads_after;
    pub use crate::sync::failure::{Failure, Policy};
}

/// Atomic integers, booleans and fences.
pub mod atomic {
    pub use super::atomics::{
        Atomic, AtomicBool, AtomicI64, AtomicIsize, AtomicU32, AtomicU64, AtomicUsize, Integer, Primitive,
    };
    pub use loom::sync::atomic::fence;
    pub use std::sync::atomic::Ordering;
}

/// Threads of the model: at most five over its life, the main one counted.
pub mod thread {
    pub use super::threads::{
        Builder, JoinHandle, Thread, ThreadId, available_parallelism, current, panicking, spawn, yield_now,
    };
}

/// Reference counts that can be referenced weakly; each drop and upgrade is a point at which another thread
/// may come first.
///
/// They lack what only the compiler can give to std's: an `Arc<T>` does not turn into an `Arc<dyn Trait>`,
/// and a method cannot take `self: &Arc<Self>`.
pub mod weak {
    pub use super::weak_counts::{Arc, Weak};
}

/// What a busy-wait tells the scheduler: that another thread must run first.
pub mod hint {
    /// As std's, and a chance for another thread: see [`yield_now`](crate::sync::thread::yield_now).
    #[track_caller]
    pub fn spin_loop() {
        super::threads::yield_now();
    }
}

/// Cells for unsafe code; two accesses that overlap or are not ordered end the model.
pub mod cell {
    pub use loom::cell::UnsafeCell;
}

/// The system's time, which in a model moves only when a deadline expires.
pub mod time {
    use std::cell::Cell;
    use std::sync::OnceLock;

    pub use std::time::Instant;

    use crate::sync::alarms;

    std::thread_local! {
        /// The latest deadline that expired in this execution.
        static NOW: Cell<Option<Instant>> = const { Cell::new(None) };
        /// The real side's alarms are in use in this execution.
        static ALARMS_ARE_SET: Cell<bool> = const { Cell::new(false) };
    }

    /// Begins an execution: time goes back to where every execution of every model begins.
    pub(super) fn restart() {
        static BASE: OnceLock<Instant> = OnceLock::new();
        NOW.set(Some(*BASE.get_or_init(Instant::now)));
        ALARMS_ARE_SET.set(false);
    }

    /// The time now: the latest deadline that expired in this execution.
    ///
    /// There is no touch here. That another thread's expiry lets this one's limit pass without a wait is
    /// not explored in every order; that this one's limit passes while it waits, is.
    pub fn now() -> Instant {
        NOW.get().expect("time is asked for in a model only: see `model::check`")
    }

    /// Lets `deadline` be past from here on.
    pub(crate) fn expire(deadline: Instant) {
        NOW.set(NOW.get().max(Some(deadline)));
    }

    /// An alarm that was set; dropping it takes it back.
    #[derive(Debug)]
    pub(crate) enum Alarm {
        /// Whether it was taken back.
        AnyTime(std::sync::Arc<loom::sync::Mutex<bool>>),
        /// As on the real side.
        OfThread { _alarm: alarms::Alarm },
    }

    /// Calls `callback` once at any point from now on, from a thread of its own: what the real side's alarms
    /// come to, in fewer steps. In a model that may refuse threads it is the real side's, whose thread may be
    /// refused.
    pub(crate) fn schedule(at: Instant, callback: Box<dyn FnOnce() + Send>) -> Alarm {
        if super::threads::may_refuse() {
            ALARMS_ARE_SET.set(true);
            return Alarm::OfThread { _alarm: alarms::schedule(at, callback) };
        }
        let taken_back = std::sync::Arc::new(loom::sync::Mutex::new(false));
        super::threads::spawn({
            let taken_back = std::sync::Arc::clone(&taken_back);
            move || {
                if !*taken_back.lock().expect("loom's locks do not poison") {
                    expire(at);
                    callback();
                }
            }
        });
        Alarm::AnyTime(taken_back)
    }

    /// Asks for the alarms' thread again, if it was refused.
    pub(crate) fn retry_refused() {
        // A step only where one may be due: every thread that goes to sleep comes here.
        if ALARMS_ARE_SET.get() {
            alarms::retry_refused();
        }
    }

    impl Drop for Alarm {
        fn drop(&mut self) {
            if let Alarm::AnyTime(taken_back) = self {
                *taken_back.lock().expect("loom's locks do not poison") = true;
            }
        }
    }
}

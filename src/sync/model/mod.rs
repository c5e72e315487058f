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

pub use crate::__thread_local as thread_local;
pub use condvar::{Condvar, WaitTimeoutResult};
pub use locks::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use loom::lazy_static;

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
    pub use super::check::{Failure, IS_MODEL, Policy, check, find_failure};
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
    use std::cell::Cell;
    use std::io;

    pub use loom::thread::{JoinHandle, Thread, ThreadId, current, panicking, spawn, yield_now};

    std::thread_local! {
        /// How many threads builders may still start in this execution.
        static LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
    }

    /// Begins an execution: nothing is refused.
    pub(super) fn restart() {
        LEFT.set(usize::MAX);
    }

    /// Lets builders start so many more threads in this execution and refuses the rest, as a system does that has
    /// no more. [`spawn`] is not counted.
    pub fn refuse_after(count: usize) {
        LEFT.set(count);
    }

    /// loom's builder, with an end to the threads that it starts: [`refuse_after`].
    #[derive(Debug)]
    pub struct Builder(loom::thread::Builder);

    impl Builder {
        /// As std's.
        #[allow(clippy::new_without_default, reason = "std's has none")]
        pub fn new() -> Self {
            Builder(loom::thread::Builder::new())
        }

        /// As std's.
        pub fn name(self, name: String) -> Self {
            Builder(self.0.name(name))
        }

        /// As std's; no model depends on it.
        pub fn stack_size(self, bytes: usize) -> Self {
            Builder(self.0.stack_size(bytes))
        }

        /// As std's.
        pub fn spawn<F, T>(self, f: F) -> io::Result<JoinHandle<T>>
        where
            F: FnOnce() -> T + Send + 'static,
            T: Send + 'static,
        {
            match LEFT.get().checked_sub(1) {
                Some(left) => LEFT.set(left),
                None => return Err(io::ErrorKind::WouldBlock.into()),
            }
            self.0.spawn(f)
        }
    }

    /// Two: enough to race.
    pub fn available_parallelism() -> usize {
        2
    }
}

/// What a busy-wait tells the scheduler: that another thread must run first.
pub mod hint {
    pub use loom::hint::spin_loop;
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

    std::thread_local! {
        /// The latest deadline that expired in this execution.
        static NOW: Cell<Option<Instant>> = const { Cell::new(None) };
    }

    /// Begins an execution: time goes back to where every execution of every model begins.
    pub(super) fn restart() {
        static BASE: OnceLock<Instant> = OnceLock::new();
        NOW.set(Some(*BASE.get_or_init(Instant::now)));
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
    pub(crate) struct Alarm(std::sync::Arc<loom::sync::Mutex<bool>>);

    /// Calls `callback` once at any point from now on, from a thread of its own.
    pub(crate) fn schedule(at: Instant, callback: Box<dyn FnOnce() + Send>) -> Alarm {
        let taken_back = std::sync::Arc::new(loom::sync::Mutex::new(false));
        loom::thread::spawn({
            let taken_back = std::sync::Arc::clone(&taken_back);
            move || {
                if !*taken_back.lock().expect("loom's locks do not poison") {
                    expire(at);
                    callback();
                }
            }
        });
        Alarm(taken_back)
    }

    impl Drop for Alarm {
        fn drop(&mut self) {
            *self.0.lock().expect("loom's locks do not poison") = true;
        }
    }
}

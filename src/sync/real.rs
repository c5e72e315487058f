//! The real side: parking_lot and std, wrapped where loom needs another shape or their interface is not
//! stable.

#[path = "real_locks.rs"]
mod locks;

pub use locks::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard, WaitTimeoutResult};
#[doc(no_inline)]
pub use std::sync::OnceLock;
pub use std::thread_local;

/// Declares lazily initialised statics: `lazy_static! { static ref NAME: Type = value; }`. In a model each
/// execution has its own.
#[macro_export]
#[doc(hidden)]
macro_rules! __lazy_static {
    ($($(#[$attribute:meta])* $vis:vis static ref $name:ident: $type:ty = $value:expr;)*) => {$(
        $(#[$attribute])*
        $vis static $name: ::std::sync::LazyLock<$type> = ::std::sync::LazyLock::new(|| $value);
    )*};
}
pub use crate::__lazy_static as lazy_static;

pub(super) const IS_MODEL: bool = false;

/// Atomic integers, booleans and fences.
pub mod atomic {
    // Not inlined: std's page explains them.
    #[doc(no_inline)]
    pub use std::sync::atomic::{
        AtomicBool, AtomicI64, AtomicIsize, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
    };
}

/// Threads of the operating system.
pub mod thread {
    #[doc(no_inline)]
    pub use std::thread::{Builder, JoinHandle, Thread, ThreadId, current, panicking, spawn, yield_now};

    /// Returns the number of processors available to this program, or 1 if the system does not tell.
    pub fn available_parallelism() -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }
}

/// Reference counts with weak references, in a form that a model can observe.
///
/// ```
/// use selvedge::sync::weak::{Arc, Weak};
///
/// let strong = Arc::new(7);
/// let weak: Weak<i32> = Arc::downgrade(&strong);
/// assert_eq!(weak.upgrade().as_deref(), Some(&7));
/// drop(strong);
/// assert!(weak.upgrade().is_none());
/// ```
///
/// On this side they are std's. On the model side each drop and upgrade is a switch point, so that a model
/// explores an upgrade that races the drop of the last handle. There they lack what only the compiler can
/// provide: an `Arc<T>` does not coerce to an `Arc<dyn Trait>`, and a method cannot take `self: &Arc<Self>`;
/// an associated function can take `this: &Arc<Self>`.
pub mod weak {
    #[doc(no_inline)]
    pub use std::sync::{Arc, Weak};
}

/// Whether a [timeline](crate::inspect::record) is being recorded: a plain static, which a fast path reads at
/// the cost of a load.
pub(crate) mod recording {
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    static IS_RECORDING: AtomicBool = AtomicBool::new(false);

    #[inline(always)]
    pub(crate) fn is_recording() -> bool {
        // Relaxed: publishes nothing. A thread that sees an old value records one event too few, or finds
        // under the recorder's lock that nothing is recorded.
        IS_RECORDING.load(Relaxed)
    }

    pub(crate) fn set_recording(is_recording: bool) {
        IS_RECORDING.store(is_recording, Relaxed);
    }
}

/// Hints for busy-waiting.
pub mod hint {
    #[doc(no_inline)]
    pub use std::hint::spin_loop;
}

/// Cells for unsafe code, in a form that loom can observe.
pub mod cell {
    /// [`std::cell::UnsafeCell`] with accesses in closures, so that the model side sees where an access
    /// begins and ends, and reports two that overlap.
    #[derive(Debug, Default)]
    #[repr(transparent)]
    pub struct UnsafeCell<T: ?Sized>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        /// Wraps a value.
        #[inline(always)]
        pub const fn new(value: T) -> Self {
            UnsafeCell(std::cell::UnsafeCell::new(value))
        }

        /// Unwraps the value.
        #[inline(always)]
        pub fn into_inner(self) -> T {
            self.0.into_inner()
        }
    }

    impl<T: ?Sized> UnsafeCell<T> {
        /// Passes a pointer for reading to `f`.
        #[inline(always)]
        pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
            f(self.0.get())
        }

        /// Passes a pointer for writing to `f`.
        #[inline(always)]
        pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
    }
}

/// The operating system's time. Only [`Clock`](crate::Clock) reads it.
pub mod time {
    pub use std::time::Instant;

    pub(crate) use crate::sync::alarms::{Alarm, retry_refused, schedule};

    /// Returns the current time.
    #[inline]
    pub fn now() -> Instant {
        Instant::now()
    }
}

/// Runs models: on this side as a short stress test on real threads, on the model side under every schedule.
pub mod model {
    use std::io::Write;
    use std::panic::{self, AssertUnwindSafe};

    pub use crate::sync::failure::{Failure, Policy, ReplayError};

    /// True on the model side, where [`check`] explores schedules.
    pub const IS_MODEL: bool = super::IS_MODEL;

    /// The number of times that [`check`] runs the body on this side: enough to find a test that always
    /// fails, too few to find a race. `--cfg loom` finds races.
    pub const ROUNDS: usize = 100;

    /// Runs `body` a hundred times on real threads, and prints to the standard error stream that nothing was
    /// explored. Under `--cfg loom` it explores every schedule instead.
    ///
    /// # Panics
    /// If `body` panics.
    pub fn check(body: impl Fn() + Sync + Send + 'static) {
        say_that_nothing_is_explored();
        for _ in 0..ROUNDS {
            body();
        }
    }

    /// Like [`check`], with a preemption bound of the model's own, which matters under `--cfg loom` only: for
    /// a model that is too large at the usual bound, and whose fault needs no more preemptions than this.
    ///
    /// # Panics
    /// As [`check`].
    #[track_caller]
    pub fn check_within(_preemptions: usize, body: impl Fn() + Sync + Send + 'static) {
        check(body);
    }

    /// Runs `body` like [`check`], and returns the first failure instead of panicking. `None` proves nothing
    /// on this side; under `--cfg loom` it means that there is no failure.
    pub fn find_failure(body: impl Fn() + Sync + Send + 'static) -> Option<Failure> {
        say_that_nothing_is_explored();
        (1..=ROUNDS).find_map(|executions| {
            let payload = panic::catch_unwind(AssertUnwindSafe(&body)).err()?;
            Some(Failure {
                policy: Policy::OldestFirst,
                executions,
                first: None,
                payload,
                schedule: String::new(),
                token: None,
                opportunity: 0,
            })
        })
    }

    /// Runs `body` like [`check`] on this side, as often as there. Under `--cfg loom` it runs it under that
    /// many random schedules, for models that are too large to be checked under every one.
    ///
    /// # Panics
    /// As [`check`].
    #[track_caller]
    pub fn sample(_schedules: usize, body: impl Fn() + Sync + Send + 'static) {
        check(body);
    }

    /// Runs `body` like [`find_failure`] on this side, and like [`sample`] under `--cfg loom`.
    #[track_caller]
    pub fn find_failure_in(_schedules: usize, body: impl Fn() + Sync + Send + 'static) -> Option<Failure> {
        find_failure(body)
    }

    /// Returns an error on this side, which has no schedules. Under `--cfg loom` it runs the one schedule
    /// that a failure had the [token](Failure::token) of, and returns its failure.
    ///
    /// # Errors
    /// [`ReplayError::NotExplored`].
    pub fn replay(_token: &str, _body: impl Fn() + Sync + Send + 'static) -> Result<Failure, ReplayError> {
        Err(ReplayError::NotExplored)
    }

    /// Does nothing on this side, where a thread's panic is returned by its `join` anyway. In a model a
    /// thread's panic ends the model, unless the body has called this.
    pub fn join_panics() {}

    /// Does nothing on this side, where the operating system decides. In a model, lets
    /// [`Builder::spawn`](crate::sync::thread::Builder::spawn) start `count` more threads and refuses all
    /// after them, until it is called again: `0` refuses the next one, `usize::MAX` none. It applies to this
    /// crate's own threads (helpers, workers, the alarm thread), for one execution.
    /// [`thread::spawn`](crate::sync::thread::spawn) never fails.
    pub fn refuse_threads_after(_count: usize) {}

    /// Written to the stream directly, since the test harness hides the output of a test that passes.
    fn say_that_nothing_is_explored() {
        let current = std::thread::current();
        let name = current.name().unwrap_or("unnamed");
        let _ = writeln!(
            std::io::stderr(),
            "model {name}: not explored, since `--cfg loom` is missing; its body runs {ROUNDS} times on real \
             threads, which shows hardly any race (RUSTFLAGS=\"--cfg loom\" explores it)"
        );
    }
}

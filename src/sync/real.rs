//! The real side: parking_lot and std, wrapped to the shape that loom needs, or re-exported where they are
//! stable.

#[path = "real_locks.rs"]
mod locks;

pub use locks::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard, WaitTimeoutResult};
#[doc(no_inline)]
pub use std::sync::OnceLock;
pub use std::thread_local;

/// Statics that are made on first use: `lazy_static! { static ref NAME: Type = value; }`. In a model each
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
    // Where they are explained: a copy of the page here would lead nowhere.
    #[doc(no_inline)]
    pub use std::sync::atomic::{
        AtomicBool, AtomicI64, AtomicIsize, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
    };
}

/// Threads of the operating system.
pub mod thread {
    #[doc(no_inline)]
    pub use std::thread::{Builder, JoinHandle, Thread, ThreadId, current, panicking, spawn, yield_now};

    /// Processors that this program may use, as far as the system says; 1 if it does not.
    pub fn available_parallelism() -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }
}

/// Reference counts that can be referenced weakly, in a form that a model can see.
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
/// Here they are std's. On the model side each drop and upgrade is a point at which another thread may come
/// first, so that a model explores an upgrade against the last handle's drop. There they lack what only the
/// compiler can give: an `Arc<T>` does not turn into an `Arc<dyn Trait>`, and a method cannot take
/// `self: &Arc<Self>`, where an associated function can take `this: &Arc<Self>`.
pub mod weak {
    #[doc(no_inline)]
    pub use std::sync::{Arc, Weak};
}

/// What a busy-wait tells the processor.
pub mod hint {
    #[doc(no_inline)]
    pub use std::hint::spin_loop;
}

/// Cells for unsafe code, in the form that loom can watch.
pub mod cell {
    /// [`std::cell::UnsafeCell`] behind closures, so that the model side sees where an access begins and
    /// ends and reports two that overlap.
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
        /// Lends a pointer for reading.
        #[inline(always)]
        pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
            f(self.0.get())
        }

        /// Lends a pointer for writing.
        #[inline(always)]
        pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
    }
}

/// The operating system's time. [`Clock`](crate::Clock) is the only one that asks.
pub mod time {
    pub use std::time::Instant;

    pub(crate) use crate::sync::alarms::{Alarm, retry_refused, schedule};

    /// The time now.
    #[inline]
    pub fn now() -> Instant {
        Instant::now()
    }
}

/// Runs models: here as a short stress test on real threads, on the model side under every schedule.
pub mod model {
    use std::io::Write;
    use std::panic::{self, AssertUnwindSafe};

    pub use crate::sync::failure::{Failure, Policy};

    /// True on the model side, where [`check`] explores schedules.
    pub const IS_MODEL: bool = super::IS_MODEL;

    /// How often [`check`] repeats the body here: enough to show a test that is broken outright, too few
    /// to show a race. That is what `--cfg loom` is for.
    pub const ROUNDS: usize = 100;

    /// Runs `body` a hundred times on real threads, and says on the standard error stream that this explored
    /// nothing. Under `--cfg loom` it explores every schedule instead.
    ///
    /// # Panics
    /// As soon as `body` does.
    pub fn check(body: impl Fn() + Sync + Send + 'static) {
        say_that_nothing_is_explored();
        for _ in 0..ROUNDS {
            body();
        }
    }

    /// Runs `body` like [`check`], and returns the first failure instead of passing it on. `None` means
    /// nothing here: under `--cfg loom` it means that there is no failure.
    pub fn find_failure(body: impl Fn() + Sync + Send + 'static) -> Option<Failure> {
        say_that_nothing_is_explored();
        (1..=ROUNDS).find_map(|executions| {
            let payload = panic::catch_unwind(AssertUnwindSafe(&body)).err()?;
            Some(Failure { policy: Policy::OldestFirst, executions, first: None, payload })
        })
    }

    /// Does nothing here, where a thread's panic goes to whoever joins it anyway. In a model it ends the
    /// model unless this was called in its body.
    pub fn join_panics() {}

    /// Does nothing here, where it is the operating system that refuses a thread. In a model, of the threads
    /// that [`Builder::spawn`](crate::sync::thread::Builder::spawn) starts from now on the first `count` are
    /// to be had and the others are refused, until it is called again: `0` refuses the next one, `usize::MAX`
    /// none. It holds for this crate's own threads (helpers, workers, the one that rings at deadlines), and
    /// for one execution. [`thread::spawn`](crate::sync::thread::spawn) never fails.
    pub fn refuse_threads_after(_count: usize) {}

    /// Past the test harness, which shows nothing of a test that passes.
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

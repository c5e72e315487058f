//! loom's threads, with std's ends: a panic that can be joined, and a system that has no more of them.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::{fmt, io};

pub use loom::thread::{Thread, ThreadId, current, panicking};

use super::atomics::AtomicBool;
use super::check;
use std::sync::atomic::Ordering::Relaxed;

/// Threads that loom has room for, the main one counted.
const MOST: usize = 5;

std::thread_local! {
    /// Threads of this execution so far, the main one counted.
    static STARTED: Cell<usize> = const { Cell::new(1) };
    /// How many threads builders may still start in this execution.
    static LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
    /// Whether the model has said how many.
    static MAY_REFUSE: Cell<bool> = const { Cell::new(false) };
    /// Whether a thread's panic goes to whoever joins it.
    static JOINED: Cell<bool> = const { Cell::new(false) };
}

/// Begins an execution: nothing is refused, and a panic ends it.
pub(super) fn restart() {
    STARTED.set(1);
    LEFT.set(usize::MAX);
    MAY_REFUSE.set(false);
    JOINED.set(false);
}

/// Lets builders start so many more threads in this execution and refuses the rest, as a system does that has
/// no more: `0` refuses the next one. Called again it holds from there on: after `usize::MAX` there are
/// threads again. It holds for this crate's own threads, too. [`spawn`] is not counted and never fails.
pub fn refuse_threads_after(count: usize) {
    LEFT.set(count);
    MAY_REFUSE.set(true);
}

/// Whether a thread may be refused in this execution.
pub(super) fn may_refuse() -> bool {
    MAY_REFUSE.get()
}

/// From here on a thread's panic goes to whoever joins it.
pub(super) fn join_panics() {
    JOINED.set(true);
}

/// As std's.
///
/// # Panics
/// If it is the sixth thread of the execution.
#[track_caller]
pub fn spawn<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    Builder::new().start(f)
}

/// As std's, but that loom lets others run first, always; so under one policy the execution's first call does
/// nothing.
#[track_caller]
pub fn yield_now() {
    if !check::skips_yield() {
        loom::thread::yield_now();
    }
}

/// Two: enough to race.
pub fn available_parallelism() -> usize {
    2
}

/// loom's builder, with an end to the threads that it starts: [`refuse_threads_after`].
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
    ///
    /// # Panics
    /// If it is the sixth thread of the execution.
    #[track_caller]
    pub fn spawn<F, T>(self, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        match LEFT.get().checked_sub(1) {
            Some(left) => LEFT.set(left),
            None => return Err(io::ErrorKind::WouldBlock.into()),
        }
        Ok(self.start(f))
    }

    #[track_caller]
    fn start<F, T>(self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let started = STARTED.get();
        assert!(
            started < MOST,
            "a model has at most five threads over its life, the main one counted, and this is the sixth: start \
             fewer, or make two models of it (a pool's workers, a scope's helpers and a token's deadline count too)"
        );
        STARTED.set(started + 1);
        let finished = Arc::new(AtomicBool::new(false));
        let thread = self.0.spawn({
            let finished = Arc::clone(&finished);
            move || {
                let result = ended(f);
                finished.store(true, Relaxed);
                result
            }
        });
        JoinHandle { thread: thread.expect("loom refuses no thread"), finished }
    }
}

/// What a thread's closure came to. Its panic ends the model, unless the model asked to join it; and what
/// loom itself has to say ends it always.
fn ended<T>(f: impl FnOnce() -> T) -> std::thread::Result<T> {
    if !JOINED.get() {
        return Ok(f());
    }
    let result = panic::catch_unwind(AssertUnwindSafe(f));
    match result {
        Err(payload) if check::is_given_up() => panic::resume_unwind(payload),
        result => result,
    }
}

/// The right to wait for a thread's end.
pub struct JoinHandle<T> {
    thread: loom::thread::JoinHandle<std::thread::Result<T>>,
    finished: Arc<AtomicBool>,
}

impl<T> JoinHandle<T> {
    /// As std's.
    #[track_caller]
    pub fn join(self) -> std::thread::Result<T> {
        self.thread.join().and_then(|result| result)
    }

    /// As std's.
    pub fn thread(&self) -> &Thread {
        self.thread.thread()
    }

    /// As std's: nothing is published by it.
    pub fn is_finished(&self) -> bool {
        self.finished.load(Relaxed)
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").finish_non_exhaustive()
    }
}

//! loom's threads with std's behaviour: panics that `join` returns, and a system that may refuse threads.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex, PoisonError};
use std::{fmt, io};

pub use loom::thread::panicking;

use super::atomics::AtomicBool;
use super::trace::Outcome;
use super::{chances, engine, explore, trace};
use std::sync::atomic::Ordering::Relaxed;

/// The number of threads that loom supports, including the main one.
const MAX_THREADS: usize = 5;

std::thread_local! {
    /// Threads started in this execution, including the main one.
    static STARTED: Cell<usize> = const { Cell::new(1) };
    /// The number of threads that builders may still start in this execution.
    static LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
    /// Whether the model has set that number.
    static MAY_REFUSE: Cell<bool> = const { Cell::new(false) };
    /// Whether `join` returns a thread's panic.
    static JOINS_PANICS: Cell<bool> = const { Cell::new(false) };
}

/// Begins an execution, without refusals, in which a panic ends the model.
pub(super) fn restart() {
    STARTED.set(1);
    LEFT.set(usize::MAX);
    MAY_REFUSE.set(false);
    JOINS_PANICS.set(false);
}

/// Lets builders start `count` more threads in this execution and refuses all after them, like a system that
/// has no more: `0` refuses the next one. A later call replaces the number; after `usize::MAX` there are
/// threads again. It applies to this crate's own threads too. [`spawn`] is not counted and never fails.
pub fn refuse_threads_after(count: usize) {
    LEFT.set(count);
    MAY_REFUSE.set(true);
}

/// Whether a thread may be refused in this execution.
pub(super) fn may_refuse() -> bool {
    MAY_REFUSE.get()
}

/// Lets `join` return a thread's panic from here on.
pub(super) fn join_panics() {
    JOINS_PANICS.set(true);
}

/// A thread of the execution.
#[derive(Clone, Debug)]
pub struct Thread {
    id: ThreadId,
    name: Option<String>,
}

/// Identifies a thread of the execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ThreadId(Number);

/// A sampled execution is one thread of loom's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Number {
    Loom(loom::thread::ThreadId),
    Sampled(usize),
}

impl Thread {
    /// Like std's.
    pub fn id(&self) -> ThreadId {
        self.id
    }

    /// Like std's.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    fn of_loom(thread: &loom::thread::Thread) -> Self {
        Thread { id: ThreadId(Number::Loom(thread.id())), name: thread.name().map(str::to_owned) }
    }
}

/// Like std's.
pub fn current() -> Thread {
    match engine::current() {
        Some(number) => Thread { id: ThreadId(Number::Sampled(number)), name: engine::name() },
        None => Thread::of_loom(&loom::thread::current()),
    }
}

/// Like std's.
///
/// # Panics
/// If it is the sixth thread of the execution, unless that is one of [`sample`](super::model::sample).
#[track_caller]
pub fn spawn<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    Builder::new().start(f)
}

/// Like std's. loom always runs another thread first; so under one policy the first call of an execution does
/// nothing.
#[track_caller]
pub fn yield_now() {
    match chances::skips_yield() {
        true => {}
        false if engine::is_on() => engine::yield_now(),
        false => loom::thread::yield_now(),
    }
}

/// Returns 2, which is enough to race.
pub fn available_parallelism() -> usize {
    2
}

/// loom's builder, with a limit on the threads that it starts: [`refuse_threads_after`].
#[derive(Debug)]
pub struct Builder {
    name: Option<String>,
}

impl Builder {
    /// Like std's.
    #[allow(clippy::new_without_default, reason = "std's has none")]
    pub fn new() -> Self {
        Builder { name: None }
    }

    /// Like std's.
    pub fn name(self, name: String) -> Self {
        Builder { name: Some(name) }
    }

    /// Like std's; no model depends on it.
    pub fn stack_size(self, _bytes: usize) -> Self {
        self
    }

    /// Like std's.
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
            started < MAX_THREADS || engine::is_on(),
            "a model has at most five threads over its life, the main one counted, and this is the sixth: start \
             fewer, make two models of it, or let `model::sample` run it (a pool's workers, a scope's helpers and a \
             token's deadline count too)"
        );
        STARTED.set(started + 1);
        let begun = trace::begin("spawn", "thread", trace::Id::of_thread(started));
        let finished = Arc::new(AtomicBool::new(false));
        let code = {
            let finished = Arc::clone(&finished);
            move || {
                trace::begin_thread(started);
                let result = run(f);
                // Relaxed: `is_finished` publishes nothing in std either; `join` does.
                finished.store_unseen(true, Relaxed);
                begun.by(started, "end of");
                result
            }
        };
        let (thread, end) = match engine::is_on() {
            true => sampled(self.name, code),
            false => explored(self.name, code),
        };
        begun.done(Outcome::Plain);
        JoinHandle { thread, end, finished, number: started }
    }
}

/// Starts a thread of loom's.
#[track_caller]
fn explored<T: Send + 'static>(
    name: Option<String>,
    code: impl FnOnce() -> std::thread::Result<T> + Send + 'static,
) -> (Thread, End<T>) {
    let builder = loom::thread::Builder::new();
    let builder = match name {
        Some(name) => builder.name(name),
        None => builder,
    };
    let handle = builder.spawn(code).expect("loom refuses no thread");
    (Thread::of_loom(handle.thread()), End::Loom(handle))
}

/// Starts a thread of a sampled execution.
fn sampled<T: Send + 'static>(
    name: Option<String>,
    code: impl FnOnce() -> std::thread::Result<T> + Send + 'static,
) -> (Thread, End<T>) {
    let result = Arc::new(Mutex::new(None));
    let number = engine::spawn(name.clone(), {
        let result = Arc::clone(&result);
        Box::new(move || {
            let value = code();
            *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
        })
    });
    (Thread { id: ThreadId(Number::Sampled(number)), name }, End::Sampled { number, result })
}

/// Calls a thread's closure. Its panic ends the model, unless the model asked to join panics; a panic of
/// loom's own always does.
fn run<T>(f: impl FnOnce() -> T) -> std::thread::Result<T> {
    if !JOINS_PANICS.get() {
        return Ok(f());
    }
    let result = panic::catch_unwind(AssertUnwindSafe(f));
    match result {
        Err(payload) if explore::has_loom_failed() => panic::resume_unwind(payload),
        result => result,
    }
}

/// The handle of a thread, which waits for its end.
pub struct JoinHandle<T> {
    thread: Thread,
    end: End<T>,
    finished: Arc<AtomicBool>,
    /// The number of the thread among those of the execution.
    number: usize,
}

enum End<T> {
    Loom(loom::thread::JoinHandle<std::thread::Result<T>>),
    Sampled { number: usize, result: Arc<Mutex<Option<std::thread::Result<T>>>> },
}

impl<T> End<T> {
    #[track_caller]
    fn join(self) -> std::thread::Result<T> {
        match self {
            End::Loom(handle) => handle.join().and_then(|result| result),
            End::Sampled { number, result } => {
                engine::switch();
                while !engine::is_finished(number) {
                    engine::block(engine::end_of(number), None);
                }
                let result = result.lock().unwrap_or_else(PoisonError::into_inner).take();
                // It has ended by a panic, which ends the execution, or it would not be seen to have ended.
                result.unwrap_or_else(|| Err(Box::new("the thread has no result")))
            }
        }
    }
}

impl<T> JoinHandle<T> {
    /// Like std's.
    #[track_caller]
    pub fn join(self) -> std::thread::Result<T> {
        let begun = trace::begin("join", "thread", trace::Id::of_thread(self.number));
        let result = self.end.join();
        begun.done(Outcome::Plain);
        result
    }

    /// Like std's.
    pub fn thread(&self) -> &Thread {
        &self.thread
    }

    /// Like std's: it publishes nothing.
    pub fn is_finished(&self) -> bool {
        self.finished.load(Relaxed)
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").finish_non_exhaustive()
    }
}

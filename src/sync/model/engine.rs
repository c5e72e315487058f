//! Threads of a sampled execution: coroutines, of which one runs until it blocks or the dice switch.
//!
//! The whole execution is one thread of loom's. So loom's locks, atomics, cells and statics work as usual and
//! see a program with a single thread: every access sees the last store, and no lock is waited for, because a
//! thread blocks here instead, before loom would have to. What loom still checks is that two accesses to a
//! cell do not overlap, and that nothing leaks.
//!
//! Each operation of the facade calls [`switch`] before it takes effect. A thread that cannot go on calls
//! [`block`] with the number of what it waits for, and tries again when it returns; the thread that changes
//! that thing calls [`wake`]. All of it runs on one thread of the operating system, so nothing comes
//! between a failed try and `block`, and no wake-up is lost.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::time::Instant;

use generator::{Generator, Gn};

use super::dice::{Choice, Dice, Plan};
use super::time;

/// Words of a thread's stack: 512 KiB, of which the system provides what is touched.
const STACK: usize = 0x10000;

std::thread_local! {
    static ENGINE: RefCell<Option<Engine>> = const { RefCell::new(None) };
    /// There is one. Read at each operation of the facade.
    static IS_ON: Cell<bool> = const { Cell::new(false) };
    static LAST_SIZE: Cell<Size> = const { Cell::new(Size { steps: 0, switches: 0 }) };
}

type Code = Box<dyn FnOnce() + Send>;
type Stack = Generator<'static, (), ()>;

struct Engine {
    threads: Vec<Thread>,
    /// The number of the one that runs.
    running: usize,
    /// What threads that were spawned since the last switch are to run.
    spawned: Vec<Code>,
    dice: Dice,
    steps: usize,
    switches: usize,
    /// Steps in an execution, beyond which it fails as endless.
    limit: usize,
    /// The panic that ends the execution.
    failed: Option<Box<dyn Any + Send>>,
}

struct Thread {
    state: State,
    name: Option<String>,
    /// Drop its thread-locals.
    locals: Vec<Box<dyn FnOnce()>>,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Ready,
    Blocked {
        on: usize,
        deadline: Option<Instant>,
    },
    /// Ready, because its deadline has passed.
    Expired,
    Finished,
}

/// What an execution came to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Size {
    pub(super) steps: usize,
    pub(super) switches: usize,
}

/// True in a sampled execution.
pub(super) fn is_on() -> bool {
    IS_ON.get()
}

fn with<R>(f: impl FnOnce(&mut Engine) -> R) -> R {
    ENGINE.with_borrow_mut(|engine| f(engine.as_mut().expect("only called while it is on")))
}

/// The number of the thread that runs, in a sampled execution.
pub(super) fn current() -> Option<usize> {
    is_on().then(|| with(|engine| engine.running))
}

/// The name of the thread that runs.
pub(super) fn name() -> Option<String> {
    with(|engine| engine.threads[engine.running].name.clone())
}

/// Another thread may run first.
pub(super) fn switch() {
    // A destructor that runs because of a panic is not preempted: std counts the panics of this thread of the
    // operating system, so others would believe that they unwind.
    if is_on() && !std::thread::panicking() {
        reschedule(Engine::step);
    }
}

/// All others that can run go first.
pub(super) fn yield_now() {
    reschedule(|engine| {
        engine.dice.demote(engine.running);
        engine.step()
    });
}

/// Lets `decide` choose the thread that runs next, and runs it.
fn reschedule(decide: impl FnOnce(&mut Engine) -> bool) {
    let is_endless = with(|engine| engine.steps >= engine.limit);
    assert!(
        !is_endless || std::thread::panicking(),
        "a schedule has more steps than SELVEDGE_MODEL_BRANCHES allows: does a loop wait without a call that blocks?"
    );
    if !with(decide) {
        suspend();
    }
}

#[allow(deprecated, reason = "its successor would have to be handed to every operation of the facade")]
fn suspend() {
    generator::yield_with(());
}

/// Waits until [`wake`] is called for that number, or until the deadline. True if the deadline has passed,
/// which may be at any point.
pub(super) fn block(on: usize, deadline: Option<Instant>) -> bool {
    with(|engine| {
        let running = engine.running;
        engine.threads[running].state = State::Blocked { on, deadline };
    });
    suspend();
    with(|engine| {
        let state = &mut engine.threads[engine.running].state;
        mem::replace(state, State::Ready) == State::Expired
    })
}

/// The threads that wait for that number can try again.
pub(super) fn wake(on: usize) {
    if is_on() {
        with(|engine| engine.wake(on));
    }
}

/// The number to block on until that thread has ended. Others count from 0.
pub(super) fn end_of(thread: usize) -> usize {
    usize::MAX - thread
}

/// True if that thread has ended.
pub(super) fn is_finished(thread: usize) -> bool {
    with(|engine| engine.threads[thread].state == State::Finished)
}

/// Starts a thread, and returns its number.
pub(super) fn spawn(name: Option<String>, code: Code) -> usize {
    with(|engine| {
        engine.threads.push(Thread { state: State::Ready, name, locals: Vec::new() });
        engine.spawned.push(code);
        engine.dice.add_thread();
        engine.threads.len() - 1
    })
}

/// Ends the execution with a panic, once this thread has ended.
pub(super) fn fail(payload: Box<dyn Any + Send>) {
    with(|engine| _ = engine.failed.get_or_insert(payload));
}

/// Calls `f` when this thread ends, before those that were given earlier.
pub(super) fn at_end(f: Box<dyn FnOnce()>) {
    with(|engine| engine.threads[engine.running].locals.push(f));
}

/// Runs an execution. Returns when all threads have ended.
///
/// # Panics
/// With the first panic of a thread; if no thread can go on.
pub(super) fn run(plan: Plan, limit: usize, main: Code) {
    ENGINE.set(Some(Engine {
        threads: Vec::new(),
        running: 0,
        spawned: Vec::new(),
        dice: Dice::new(plan),
        steps: 0,
        switches: 0,
        limit,
        failed: None,
    }));
    IS_ON.set(true);
    let _off = Off;
    spawn(None, main);
    let mut stacks = Stacks(Vec::new());
    loop {
        let spawned = with(|engine| mem::take(&mut engine.spawned));
        stacks.0.extend(spawned.into_iter().map(|code| Some(stack(code))));
        if let Some(payload) = with(|engine| engine.failed.take()) {
            panic::resume_unwind(payload);
        }
        let next = match with(Engine::next) {
            Next::Runs(thread) => thread,
            Next::AllHaveEnded => break,
            Next::NoneCanGoOn => panic!("deadlock; no thread can go on"),
        };
        if let Some(stack) = &mut stacks.0[next] {
            stack.resume();
            if stack.is_done() {
                stacks.0[next] = None;
            }
        }
    }
}

/// The size of the last execution, also if it has failed.
pub(super) fn last_size() -> Size {
    LAST_SIZE.get()
}

/// Ends the execution in any case.
struct Off;

impl Drop for Off {
    fn drop(&mut self) {
        IS_ON.set(false);
        let engine = ENGINE.take();
        // What its threads hold is dropped outside of an execution. Leaked, like their stacks: a drop would
        // use the facade.
        if let Some(engine) = engine {
            LAST_SIZE.set(Size { steps: engine.steps, switches: engine.switches });
            mem::forget(engine.threads);
            mem::forget(engine.spawned);
        }
    }
}

/// The stacks of the threads. Those that are not done when the execution has failed are leaked, because
/// dropping what is on them would use the facade outside of an execution.
struct Stacks(Vec<Option<Stack>>);

impl Drop for Stacks {
    fn drop(&mut self) {
        self.0.drain(..).flatten().for_each(mem::forget);
    }
}

fn stack(code: Code) -> Stack {
    Gn::new_opt(STACK, move || {
        let result = panic::catch_unwind(AssertUnwindSafe(|| {
            code();
            // One after the other, since each may use what is still there.
            while let Some(f) = with(|engine| engine.threads[engine.running].locals.pop()) {
                f();
            }
        }));
        if let Err(payload) = result {
            fail(payload);
        }
        with(Engine::end);
    })
}

enum Next {
    Runs(usize),
    AllHaveEnded,
    NoneCanGoOn,
}

impl Engine {
    /// A switch point. False if another thread runs now.
    fn step(&mut self) -> bool {
        self.steps += 1;
        let before = self.running;
        self.dice.step(before);
        // The running thread can go on, so there is one.
        self.choose();
        self.running == before
    }

    /// Chooses among the threads that can run, and sometimes lets a deadline pass. False if there are none.
    fn choose(&mut self) -> bool {
        let waiting = |thread: &Thread| matches!(thread.state, State::Blocked { deadline: Some(_), .. });
        if self.threads.iter().any(waiting) && self.dice.expires() {
            let blocked: Vec<usize> =
                (0..self.threads.len()).filter(|n| waiting(&self.threads[*n])).collect();
            let thread = blocked[self.dice.below(blocked.len())];
            self.expire(thread);
        }
        let can_run = |thread: &Thread| matches!(thread.state, State::Ready | State::Expired);
        let ready: Vec<usize> = (0..self.threads.len()).filter(|n| can_run(&self.threads[*n])).collect();
        let Some(Choice(next)) = self.dice.choose(&ready, self.running) else { return false };
        self.switches += usize::from(next != self.running);
        self.running = next;
        true
    }

    /// The thread that runs after one has blocked, ended or been preempted.
    fn next(&mut self) -> Next {
        let state = self.threads[self.running].state;
        // It was chosen when the last one was preempted.
        if matches!(state, State::Ready | State::Expired) || self.choose() {
            return Next::Runs(self.running);
        }
        // Time passes when nobody can run: up to the earliest deadline.
        let deadline = |thread: &Thread| match thread.state {
            State::Blocked { deadline, .. } => deadline,
            _ => None,
        };
        let waits = |(number, thread)| Some((deadline(thread)?, number));
        if let Some((_, thread)) = self.threads.iter().enumerate().filter_map(|(n, t)| waits((n, t))).min() {
            self.expire(thread);
            self.choose();
            return Next::Runs(self.running);
        }
        match self.threads.iter().all(|thread| thread.state == State::Finished) {
            true => Next::AllHaveEnded,
            false => Next::NoneCanGoOn,
        }
    }

    fn expire(&mut self, thread: usize) {
        if let State::Blocked { deadline: Some(deadline), .. } = self.threads[thread].state {
            time::expire(deadline);
            self.threads[thread].state = State::Expired;
        }
    }

    fn wake(&mut self, on: usize) {
        for thread in &mut self.threads {
            if matches!(thread.state, State::Blocked { on: other, .. } if other == on) {
                thread.state = State::Ready;
            }
        }
    }

    /// The running thread has ended.
    fn end(&mut self) {
        self.threads[self.running].state = State::Finished;
        self.wake(end_of(self.running));
    }
}

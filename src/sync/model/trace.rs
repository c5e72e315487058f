//! What happened in an execution, so that a failure can be shown: a row for each step, a column for each
//! thread.
//!
//! Each operation of the model side adds a step as soon as it has taken effect. loom switches threads at its
//! own operations only, so nothing comes between the effect and the step, and the order of the steps is the
//! order of the effects. An operation that may block is *pending* until then; those that are still pending
//! when a model fails are where its threads stand.
//!
//! The steps lie in a thread-local of std's, which loom does not see: all threads of a model run on one
//! thread of the operating system.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::mem;
use std::panic::Location;

use super::engine;
use super::record::{Record, Row};
use super::token::{self, Fingerprint};

std::thread_local! {
    static TRACE: RefCell<Trace> = const { RefCell::new(Trace::new()) };
}

loom::thread_local! {
    /// The number of a model's thread, among those of the execution.
    static NUMBER: Cell<Option<usize>> = Cell::new(None);
}

std::thread_local! {
    /// The number of the object that is made next.
    static NEXT_OBJECT: Cell<usize> = const { Cell::new(0) };
}

/// The number of an object among those of its execution. Its address would be another object's later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id(usize);

impl Id {
    pub(super) fn new() -> Self {
        Id(NEXT_OBJECT.replace(NEXT_OBJECT.get() + 1))
    }

    /// Of the spawned thread with that number, which counts from 1 beside the other objects.
    pub(super) fn of_thread(number: usize) -> Self {
        Id(number)
    }

    /// What a thread blocks on in a sampled execution.
    pub(super) fn key(self) -> usize {
        self.0
    }
}

/// The column of threads whose thread-locals are being dropped.
const EXITING: &str = "an exiting thread";
/// Its number, behind those of the others.
const EXITING_NUMBER: usize = usize::MAX;

struct Trace {
    steps: Vec<Step>,
    threads: BTreeMap<usize, Thread>,
    /// The objects, each with its kind, in the order in which they were first used.
    objects: Vec<(&'static str, Id)>,
    /// The number of steps at the last panic. What comes after it is the end of the execution.
    panicked: Option<usize>,
    /// Where the threads stood then.
    standing: Vec<(usize, Pending)>,
}

struct Thread {
    name: String,
    pending: Option<Pending>,
}

/// Put into words only if the model fails, since most executions do not.
struct Step {
    what: What,
    at: &'static Location<'static>,
}

enum What {
    Done { thread: usize, operation: &'static str, object: (&'static str, Id), outcome: Outcome },
    Panicked(String),
}

/// How an operation took effect, if there is more to say.
pub(super) enum Outcome {
    Plain,
    Was(&'static str),
    Woke(Vec<usize>),
    /// What an atomic operation saw, and how it is written.
    Saw(u64, fn(u64) -> String),
}

#[derive(Clone, Copy)]
struct Pending {
    operation: &'static str,
    object: (&'static str, Id),
    since: usize,
    at: &'static Location<'static>,
}

/// An operation that has begun, by the number of its thread.
#[must_use = "`done` says that it has taken effect"]
#[derive(Clone, Copy)]
pub(super) struct Begun {
    thread: usize,
    operation: &'static str,
    object: (&'static str, Id),
    at: &'static Location<'static>,
}

/// Begins an execution.
pub(super) fn restart() {
    NEXT_OBJECT.set(0);
    TRACE.with_borrow_mut(|trace| *trace = Trace::new());
}

/// A thread begins, with the number under which it was spawned.
pub(super) fn begin_thread(number: usize) {
    if !engine::is_on() {
        NUMBER.with(|own| own.set(Some(number)));
        let name = loom::thread::current().name().map(str::to_owned);
        TRACE.with_borrow_mut(|trace| trace.begin(number, name));
    }
}

/// An operation on an object of that kind begins, which may block.
#[track_caller]
pub(super) fn begin(operation: &'static str, kind: &'static str, object: Id) -> Begun {
    let (at, object) = (Location::caller(), (kind, object));
    TRACE.with_borrow_mut(|trace| {
        let thread = trace.number();
        let since = trace.steps.len();
        trace.pend(thread, Some(Pending { operation, object, since, at }));
        Begun { thread, operation, object, at }
    })
}

/// An operation that does not block has taken effect.
#[track_caller]
pub(super) fn step(operation: &'static str, kind: &'static str, object: Id, outcome: Outcome) {
    begin(operation, kind, object).done(outcome);
}

impl Begun {
    /// It has taken effect.
    pub(super) fn done(self, outcome: Outcome) {
        let Begun { thread, operation, object, at } = self;
        TRACE.with_borrow_mut(|trace| {
            // None: a guard that outlived its execution is dropped in another, which has no such thread.
            let Some(state) = trace.threads.get_mut(&thread) else { return };
            state.pending = None;
            trace.steps.push(Step { what: What::Done { thread, operation, object, outcome }, at });
        });
    }

    /// It begins anew to wait: a step for the beginning, and pending from here on.
    pub(super) fn again(self) {
        self.done(Outcome::Was("sleeps"));
        TRACE.with_borrow_mut(|trace| {
            let Begun { thread, operation, object, at } = self;
            let since = trace.steps.len();
            trace.pend(thread, Some(Pending { operation, object, since, at }));
        });
    }

    /// The same thread does the opposite of it later, such as unlocking. It need not be in the model any
    /// more.
    pub(super) fn ended(self, operation: &'static str) {
        let pending = TRACE.with_borrow(|trace| trace.threads.get(&self.thread)?.pending);
        Begun { operation, ..self }.done(Outcome::Plain);
        // Unlocking is part of an operation that goes on, such as a wait on a condvar.
        TRACE.with_borrow_mut(|trace| trace.pend(self.thread, pending));
    }

    /// Another thread has done that to the same object, as a consequence of this line of code.
    pub(super) fn by(self, thread: usize, operation: &'static str) {
        Begun { thread, operation, ..self }.done(Outcome::Plain);
    }

    /// The object that it is done to.
    pub(super) fn object(self) -> Id {
        self.object.1
    }

    /// The number of its thread.
    pub(super) fn thread(self) -> usize {
        self.thread
    }
}

/// A panic begins to unwind, or loom reports a failure.
pub(super) fn panicked(message: &str, at: Option<&Location<'_>>) {
    TRACE.with_borrow_mut(|trace| {
        let text = match message.starts_with("deadlock;") {
            // loom's own names of the threads, and a place inside it, help nobody.
            true => "deadlock: no thread can go on".to_owned(),
            false => {
                let place = at.map(|at| format!(" at {}:{}", at.file(), at.line())).unwrap_or_default();
                format!("panic: {}{place}", message.lines().next().unwrap_or_default())
            }
        };
        trace.steps.push(Step { what: What::Panicked(text), at: Location::caller() });
        trace.panicked = Some(trace.steps.len());
        let pending = |(thread, state): (&usize, &Thread)| Some((*thread, state.pending?));
        trace.standing = trace.threads.iter().filter_map(pending).collect();
    });
}

/// Of the steps up to the last panic, or of the first so many: their number and a hash of what they did,
/// without the lines of code.
pub(super) fn fingerprint(first: Option<usize>) -> Fingerprint {
    TRACE.with_borrow_mut(|trace| trace.fingerprint(first))
}

/// The execution in words, up to its last panic.
pub(super) fn record() -> Record {
    TRACE.with_borrow_mut(Trace::record)
}

/// The number of steps so far.
pub(super) fn steps() -> usize {
    TRACE.with_borrow(|trace| trace.steps.len())
}

impl Trace {
    const fn new() -> Self {
        Trace {
            steps: Vec::new(),
            threads: BTreeMap::new(),
            objects: Vec::new(),
            panicked: None,
            standing: Vec::new(),
        }
    }

    /// The number of this thread.
    fn number(&mut self) -> usize {
        if let Some(number) = engine::current() {
            if !self.threads.contains_key(&number) {
                self.begin(number, engine::name());
            }
            return number;
        }
        match NUMBER.try_with(Cell::get) {
            Ok(Some(number)) => number,
            // The main one, which nobody spawned.
            Ok(None) => {
                NUMBER.with(|own| own.set(Some(0)));
                self.begin(0, None);
                0
            }
            // A destructor of a thread-local runs. loom no longer tells which thread that is.
            Err(_) => {
                self.begin(EXITING_NUMBER, Some(EXITING.to_owned()));
                EXITING_NUMBER
            }
        }
    }

    fn begin(&mut self, number: usize, name: Option<String>) {
        let name = name.unwrap_or_else(|| match number {
            0 => "main".to_owned(),
            _ => format!("thread {number}"),
        });
        self.threads.entry(number).or_insert(Thread { name, pending: None });
    }

    /// Where a thread stands, if it is one of this execution.
    fn pend(&mut self, thread: usize, pending: Option<Pending>) {
        if let Some(state) = self.threads.get_mut(&thread) {
            state.pending = pending;
        }
    }

    /// `Mutex 2` for the second mutex that was used.
    fn name_of(&mut self, object: (&'static str, Id)) -> String {
        if let ("thread", Id(number)) = object {
            return format!("thread {number}");
        }
        let known = self.objects.iter().position(|other| *other == object);
        let place = known.unwrap_or_else(|| {
            self.objects.push(object);
            self.objects.len() - 1
        });
        let (kind, _) = object;
        let number = self.objects[..=place].iter().filter(|(other, _)| *other == kind).count();
        format!("{kind} {number}")
    }

    fn fingerprint(&mut self, first: Option<usize>) -> Fingerprint {
        let rows = match first {
            None => self.rows(self.panicked.unwrap_or(self.steps.len())),
            Some(_) => self.rows(self.steps.len()),
        };
        let done = rows.iter().filter_map(|row| Some(format!("{}{}\n", row.thread?, row.text())));
        let (mut steps, mut text) = (0, String::new());
        for step in done.take(first.unwrap_or(usize::MAX)) {
            steps += 1;
            text.push_str(&step);
        }
        Fingerprint { steps, hash: token::hash(text.bytes()) }
    }

    fn record(&mut self) -> Record {
        let steps = self.rows(self.panicked.unwrap_or(self.steps.len()));
        let standing = self.standing.clone().into_iter().map(|(thread, pending)| {
            let Pending { operation, object, since, at } = pending;
            let name = self.name_of(object);
            let mut row = self.row(since, Some(thread), operation.to_owned(), name, &Outcome::Plain, at);
            row.outcome = self.holder(object, thread).unwrap_or_default();
            row
        });
        let standing = standing.collect();
        Record { threads: self.threads.values().map(|thread| thread.name.clone()).collect(), steps, standing }
    }

    /// Which other thread holds a lock, and since which step.
    fn holder(&self, object: (&'static str, Id), waiter: usize) -> Option<String> {
        let end = self.panicked.unwrap_or(self.steps.len());
        for (index, step) in self.steps[..end].iter().enumerate().rev() {
            let What::Done { thread, operation, object: other, outcome } = &step.what else { continue };
            let locks = match outcome {
                Outcome::Was(how) => *how == "locked",
                _ => matches!(*operation, "lock" | "lock again" | "read" | "write"),
            };
            if *other != object || !(locks || *operation == "unlock") {
                continue;
            }
            // One that waits on a condvar has unlocked, which is no step of its own.
            let sleeps =
                self.standing.iter().any(|(other, pending)| other == thread && pending.operation == "wait");
            let holds = locks && thread != &waiter && !sleeps;
            return holds.then(|| {
                let name = self.threads.get(thread).map_or(EXITING, |thread| &thread.name);
                format!("held by {name} since step {}", index + 1)
            });
        }
        None
    }

    /// The first steps in words. An object's number is that of its first use, so they are named in order.
    fn rows(&mut self, end: usize) -> Vec<Row> {
        let all = mem::take(&mut self.steps);
        let rows = all[..end].iter().enumerate().map(|(index, step)| match &step.what {
            What::Panicked(text) => {
                self.row(index + 1, None, text.clone(), String::new(), &Outcome::Plain, step.at)
            }
            What::Done { thread, operation, object, outcome } => {
                let object = self.name_of(*object);
                self.row(index + 1, Some(*thread), (*operation).to_owned(), object, outcome, step.at)
            }
        });
        let rows = rows.collect();
        self.steps = all;
        rows
    }

    fn row(
        &self,
        number: usize,
        thread: Option<usize>,
        operation: String,
        object: String,
        outcome: &Outcome,
        at: &'static Location<'static>,
    ) -> Row {
        let column = |thread: &usize| self.threads.keys().position(|other| other == thread);
        let name = |thread: &usize| self.threads.get(thread).map_or(EXITING, |thread| &thread.name);
        let (outcome, reaches) = match outcome {
            Outcome::Plain if operation == "spawn" => {
                let number = object.rsplit(' ').next().and_then(|number| number.parse().ok());
                (String::new(), number.as_ref().and_then(column).into_iter().collect())
            }
            Outcome::Plain => (String::new(), Vec::new()),
            Outcome::Was(how) => ((*how).to_owned(), Vec::new()),
            Outcome::Woke(threads) if threads.is_empty() => ("nobody waits".to_owned(), Vec::new()),
            Outcome::Woke(threads) => {
                let names: Vec<&str> = threads.iter().map(name).collect();
                (format!("wakes {}", names.join(", ")), threads.iter().filter_map(column).collect())
            }
            Outcome::Saw(bits, show) => (show(*bits), Vec::new()),
        };
        let thread = thread.as_ref().and_then(column);
        Row { number, thread, operation, object, outcome, reaches, file: at.file(), line: at.line() }
    }
}

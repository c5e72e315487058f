//! Which thread waits for what, and which threads alone can bring it: circles are told instead of slept in.
//!
//! A task that joins one which joins the first would sleep for ever, and so would everybody who waits for
//! either. So a thread that is about to sleep writes an edge: from itself to [what it waits for](Awaited),
//! which in turn says which threads can bring it. The thread whose wait would close a circle is told
//! [`WouldDeadlock`] instead.
//!
//! # What is written
//! Edges are written on the slow path only, just before a sleep without a time limit and without a token,
//! since any other ends by itself or by somebody who is not in the circle; and only by threads that
//! [owe](owe) something, since nobody waits for the others. Waits that anybody may end (an item in a queue, a
//! permit) have no edge.
//!
//! # What counts as a circle
//! Two kinds of wait are mixed. A task that runs can be brought by *one* thread, one that is queued in a pool
//! by *any* of its workers; the end of a scope needs *all* threads that run its tasks. So the question is not
//! whether a path leads back, but whether this thread could ever go on. [`is_stuck`] takes all threads that
//! wait, reachable from this one, for stuck, and strikes out each that could go on: any of its bringers is
//! not stuck, or all of them where all are needed. What remains when nothing can be struck out waits for
//! ever: the greatest fixpoint, as in deadlock detection for AND-OR wait-for graphs (Knapp, *Deadlock
//! detection in distributed databases*, 1987).
//!
//! # Invariants
//! 1. *The last one sees it.* An edge is written, and the graph looked through, in one critical section. Of
//!    those that close a circle at the same time the last sees the edges of all others. Only a wait can close
//!    one: a thread that waits begins nothing that others could wait for.
//! 2. *No false alarm.* Who can bring a thing is asked when the graph is looked through, not when the edge is
//!    written; a thing that has come, a thread whose [`Waiter`] has ended, and a thread without an edge can
//!    all go on. A thread that ended or passed on what it owed did so before it went to sleep itself, and
//!    wrote its edge under the graph's lock afterwards, so whoever finds that edge sees what it did.
//! 3. *A grant that comes first holds.* Being told is an end of the waiter like any other, so no wake-up is
//!    swallowed.
//!
//! # Lock order
//! What is asked takes its own lock under the graph's: nothing of ours waits, and nothing of the caller's
//! runs, there.

use std::collections::HashMap;

use super::context;
use super::waiter::{Waiter, Wake};
use crate::error::WaitError;
use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use crate::sync::{Arc, Mutex, lazy_static};
use crate::wait::context::this_thread;

/// Something that certain threads alone can bring.
pub(crate) trait Awaited: Send + Sync {
    /// Adds those threads, and says how many of them it needs.
    fn bringers(&self, threads: &mut Vec<usize>) -> Needs;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// It is there, or some other thread may bring it.
    Nobody,
    /// Any one of the threads.
    One,
    /// All of the threads.
    All,
}

lazy_static! {
    static ref WAITS: Mutex<Waits> = Mutex::default();
}

type Waits = HashMap<usize, Wait>;

/// A thread's edge: what it waits for, and the waiter that it sleeps in.
struct Wait {
    awaited: Arc<dyn Awaited>,
    waiter: Waiter,
    /// It can be told.
    refusable: bool,
}

/// This thread is written down as waiting, until it is dropped.
#[must_use = "dropping it takes the edge back"]
pub(crate) struct Edge {
    thread: usize,
    /// What it waited for before: whoever is told of a sleep may have this thread run a task first, which
    /// waits in turn.
    before: Option<Wait>,
}

/// Writes down that this thread is about to sleep in `slot` until `awaited` comes, which is asked for only if
/// somebody may wait for this thread. If that could never be, the waiter is ended with
/// [`WaitError::WouldDeadlock`]; or if the wait cannot be refused, that of another thread in the circle is.
#[inline]
pub(crate) fn enter(
    awaited: impl FnOnce() -> Option<Arc<dyn Awaited>>,
    waiter: &Waiter,
    refusable: bool,
) -> Option<Edge> {
    if is_owing() { write(awaited()?, waiter, refusable) } else { None }
}

#[cold]
fn write(awaited: Arc<dyn Awaited>, waiter: &Waiter, refusable: bool) -> Option<Edge> {
    let thread = this_thread();
    let mut wakes = Vec::new();
    let mut waits = WAITS.lock();
    let before = waits.insert(thread, Wait { awaited, waiter: waiter.clone(), refusable });
    while let Some(told) = to_be_told(&waits, thread) {
        // `None`: it was granted between the look and now, and goes on.
        wakes.extend(waits[&told].waiter.end(Err(WaitError::WouldDeadlock)));
        if told == thread {
            break;
        }
    }
    drop(waits);
    drop::<Vec<Wake>>(wakes);
    Some(Edge { thread, before })
}

impl Drop for Edge {
    fn drop(&mut self) {
        let mut waits = WAITS.lock();
        let wait = match self.before.take() {
            Some(before) => waits.insert(self.thread, before),
            None => waits.remove(&self.thread),
        };
        drop(waits);
        // Under no lock: it may be the last reference to what was waited for.
        drop(wait);
    }
}

/// A thread that can be reached from the one that is looked at, and waits.
struct Node {
    thread: usize,
    needs: Needs,
    bringers: Vec<usize>,
    stuck: bool,
}

/// Who is to be told, if `this` would wait for ever: itself, or else one that waits for it, or for one that
/// does.
fn to_be_told(waits: &Waits, this: usize) -> Option<usize> {
    let nodes = reachable(waits, this);
    if !is_stuck(&nodes, this) {
        return None;
    }
    let can_be_told = |node: &&Node| node.stuck && waits[&node.thread].refusable;
    if waits[&this].refusable {
        return Some(this);
    }
    let waits_for_this = nodes.iter().filter(can_be_told).find(|node| node.bringers.contains(&this));
    waits_for_this.or_else(|| nodes.iter().find(can_be_told)).map(|node| node.thread)
}

/// The threads that wait among those on which it depends whether `this` can go on, with those marked that
/// cannot.
fn reachable(waits: &Waits, this: usize) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    let mut ahead = vec![this];
    while let Some(thread) = ahead.pop() {
        if nodes.iter().any(|node| node.thread == thread) {
            continue;
        }
        // Without an edge it can go on; so it can if its wait has ended and it has not woken up yet.
        let Some(wait) = waits.get(&thread).filter(|wait| wait.waiter.outcome().is_none()) else { continue };
        let mut bringers = Vec::new();
        let needs = wait.awaited.bringers(&mut bringers);
        ahead.extend(&bringers);
        nodes.push(Node { thread, needs, bringers, stuck: true });
    }
    while let Some(node) = nodes.iter().position(|node| node.stuck && can_go_on(node, &nodes)) {
        nodes[node].stuck = false;
    }
    nodes
}

fn is_stuck(nodes: &[Node], thread: usize) -> bool {
    nodes.iter().any(|node| node.thread == thread && node.stuck)
}

fn can_go_on(node: &Node, nodes: &[Node]) -> bool {
    let comes = |bringer: &usize| !is_stuck(nodes, *bringer);
    match node.needs {
        Needs::Nobody => true,
        // Of nobody: then it is not known who brings it.
        Needs::One => node.bringers.is_empty() || node.bringers.iter().any(comes),
        Needs::All => node.bringers.iter().all(comes),
    }
}

/// The one thread that can bring something, if that is known: an [`Awaited`] apart from the thing, whose type
/// may borrow.
pub(crate) struct Owner {
    /// 0 if nobody is known. Relaxed: invariant 2 says why what is read is recent enough.
    thread: AtomicUsize,
}

impl Owner {
    pub(crate) fn new(thread: Option<usize>) -> Arc<Self> {
        Arc::new(Owner { thread: AtomicUsize::new(thread.unwrap_or(0)) })
    }

    pub(crate) fn set(&self, thread: usize) {
        self.thread.store(thread, Relaxed);
    }
}

impl Awaited for Owner {
    fn bringers(&self, threads: &mut Vec<usize>) -> Needs {
        match self.thread.load(Relaxed) {
            0 => Needs::Nobody,
            thread => {
                threads.push(thread);
                Needs::One
            }
        }
    }
}

/// This thread owes somebody something, until it is dropped.
#[must_use = "dropping it says that nothing is owed"]
pub(crate) struct Owing(());

/// Says that others may wait for what this thread does now: it runs a task, makes a value, works for a pool.
#[inline]
pub(crate) fn owe() -> Owing {
    context::with(context::Context::owe);
    Owing(())
}

fn is_owing() -> bool {
    context::with(context::Context::is_owing).unwrap_or(false)
}

impl Drop for Owing {
    #[inline]
    fn drop(&mut self) {
        context::with(context::Context::settle);
    }
}

#[cfg(all(test, not(any(loom, selvedge_loom))))]
mod tests {
    use super::*;

    /// Threads by number, from 1: each waits for some of the others, or is not there and so goes on.
    type Threads = Vec<Option<(Needs, Vec<usize>)>>;

    struct Fixed(Needs, Vec<usize>);

    impl Awaited for Fixed {
        fn bringers(&self, threads: &mut Vec<usize>) -> Needs {
            threads.extend(&self.1);
            self.0
        }
    }

    fn waits_of(threads: &Threads) -> Waits {
        let wait = |(needs, bringers): &(Needs, Vec<usize>)| Wait {
            awaited: Arc::new(Fixed(*needs, bringers.clone())),
            waiter: Waiter::new(),
            refusable: true,
        };
        let waits =
            threads.iter().enumerate().filter_map(|(at, thread)| Some((at + 1, wait(thread.as_ref()?))));
        waits.collect()
    }

    /// Whether `thread` is in a set of waiting threads of which none can be the first to go on: by trying all
    /// sets.
    fn waits_for_ever(threads: &Threads, thread: usize) -> bool {
        (0_u32..1 << threads.len()).any(|set| {
            let is_in = |thread: &usize| set & (1 << (thread - 1)) != 0;
            let stays = |thread: &usize| match &threads[thread - 1] {
                None | Some((Needs::Nobody, _)) => false,
                Some((Needs::One, bringers)) => !bringers.is_empty() && bringers.iter().all(is_in),
                Some((Needs::All, bringers)) => bringers.iter().any(is_in),
            };
            is_in(&thread) && (1..=threads.len()).filter(is_in).all(|thread| stays(&thread))
        })
    }

    /// Every graph of three threads, and 20,000 random ones of six. Fails if one stuck bringer is taken for
    /// all (edit `graph-one-stuck-worker-is-all`), or one that comes for all that are needed (edit
    /// `graph-one-free-thread-is-enough`).
    #[test]
    fn those_are_stuck_whom_no_order_of_events_lets_go_on() {
        let (mut state, mut stuck) = (7_u64, 0);
        let mut random = |below: u64| {
            // Marsaglia's xorshift.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        for round in 0..20_000 {
            let count = if round % 2 == 0 { 3 } else { 6 };
            let thread = |random: &mut dyn FnMut(u64) -> u64| {
                let needs = [Needs::Nobody, Needs::One, Needs::One, Needs::All, Needs::All];
                let needs = needs[random(needs.len() as u64) as usize];
                let bringers = (0..random(4)).map(|_| random(count) as usize + 1).collect();
                (random(6) > 0).then_some((needs, bringers))
            };
            let threads: Threads = (0..count).map(|_| thread(&mut random)).collect();
            let waits = waits_of(&threads);
            for thread in 1..=threads.len() {
                let expected = waits_for_ever(&threads, thread);
                assert_eq!(is_stuck(&reachable(&waits, thread), thread), expected, "{thread} of {threads:?}");
                stuck += usize::from(expected);
            }
        }
        assert!(stuck > 1_000, "the rounds say nothing: {stuck} stuck threads");
    }

    #[test]
    fn thread_whose_wait_has_ended_can_go_on() {
        let mut waits = waits_of(&vec![Some((Needs::One, vec![2])), Some((Needs::One, vec![1]))]);
        assert_eq!(to_be_told(&waits, 1), Some(1));
        let waiter = waits.get_mut(&2).unwrap().waiter.clone();
        drop(waiter.end(Ok(())));
        assert_eq!(to_be_told(&waits, 1), None);
    }

    /// Fails if only the thread that closes the circle may be told (edit `graph-tells-nobody-else`).
    #[test]
    fn wait_that_cannot_be_told_has_another_told() {
        let circle = vec![Some((Needs::All, vec![2, 3])), None, Some((Needs::One, vec![1]))];
        let mut waits = waits_of(&circle);
        waits.get_mut(&1).unwrap().refusable = false;
        assert_eq!(to_be_told(&waits, 1), Some(3));
        waits.get_mut(&3).unwrap().refusable = false;
        assert_eq!(to_be_told(&waits, 1), None, "nobody can be");
    }
}

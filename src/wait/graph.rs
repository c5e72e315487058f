//! The wait-for graph: finds waits that could never end.
//!
//! A task that joins a task which joins the first would sleep forever, and so would every waiter of either.
//! So a thread that is about to sleep adds an edge from itself to [what it waits for](Awaited), which knows
//! the threads that can provide it. If the edge closes a cycle, the wait fails with
//! [`WaitError::WouldDeadlock`].
//!
//! # Which waits have an edge
//! Edges are added on the slow path only, just before a sleep that has no time limit and no token; a limited
//! wait ends by itself, or through a thread outside the cycle. Only threads that [owe](owe) a result add
//! edges, since no thread waits for the others. Waits that any thread may end (for an item in a queue, for a
//! permit) have no edge.
//!
//! # What counts as a cycle
//! Two kinds of wait are mixed. A running task can be completed by *one* thread, and a task in a pool's queue
//! by *any* of its workers; the end of a scope needs *all* threads that run its tasks. So the question is not
//! whether a path leads back, but whether this thread could ever continue. [`reachable`] first assumes that
//! all waiting threads reachable from this one are stuck. It then removes each thread that could continue:
//! one that needs any provider and has one that is not stuck, or one that needs all and has none that is. The
//! threads that remain wait forever. This is the greatest fixpoint used to detect deadlocks in AND-OR
//! wait-for graphs (Knapp, *Deadlock detection in distributed databases*, 1987).
//!
//! # Invariants
//! 1. *The last edge of a cycle sees the cycle.* An edge is added and the graph searched in one critical
//!    section. Of several threads that close a cycle at the same time, the last sees the edges of all others.
//!    Only a wait can close a cycle: a thread that waits begins nothing that others could wait for.
//! 2. *No false alarm.* The providers are determined during the search, not when the edge is added. A thing
//!    that is ready, a thread whose [`Waiter`] has ended, and a thread without an edge can all continue. A
//!    thread that ended or passed on what it owed did so before it slept itself, and added its edge under the
//!    graph's lock afterwards, so a search that finds the edge sees those changes.
//! 3. *An earlier grant wins.* The failure ends the waiter like any other outcome, so no wake-up is lost.
//!
//! # Lock order
//! [`Awaited::providers`] takes its own lock under the graph's lock. It neither waits nor runs the caller's
//! code.

use std::collections::HashMap;

use super::context;
use super::waiter::{Waiter, Wake};
use crate::error::WaitError;
use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use crate::sync::{Arc, Mutex, lazy_static};
use crate::wait::context::this_thread;

/// Something that only certain threads can provide.
pub(crate) trait Awaited: Send + Sync {
    /// Adds those threads, and returns how many of them must provide it.
    fn providers(&self, threads: &mut Vec<usize>) -> Needs;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// It is ready, or an unknown thread may provide it.
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

/// The edge of a thread: what it waits for, and its waiter.
struct Wait {
    awaited: Arc<dyn Awaited>,
    waiter: Waiter,
    /// The wait may fail with `WouldDeadlock`.
    refusable: bool,
}

/// The edge of this thread, until it is dropped.
#[must_use = "dropping it removes the edge"]
pub(crate) struct Edge {
    thread: usize,
    /// The edge that it replaced: an observer that learns of a sleep may run a task on this thread first, and
    /// that task may wait too.
    before: Option<Wait>,
}

/// Adds an edge for this thread, which [owes](is_owing) and is about to sleep in `waiter` until `awaited` is
/// ready. If the wait could never end, the waiter is ended with [`WaitError::WouldDeadlock`]; if it is not
/// refusable, the waiter of another thread in the cycle is.
#[cold]
pub(crate) fn enter(awaited: Arc<dyn Awaited>, waiter: &Waiter, refusable: bool) -> Edge {
    let thread = this_thread();
    let mut wakes = Vec::new();
    let mut waits = WAITS.lock();
    // Added and searched in one critical section, so that the last edge of a cycle sees all others (invariant
    // 1).
    let before = waits.insert(thread, Wait { awaited, waiter: waiter.clone(), refusable });
    // Repeated, because ending the wait of another thread may not be enough: this thread may be part of a
    // second cycle. Each pass ends one more waiter, so the loop ends.
    while let Some(victim) = find_victim(&waits, thread) {
        // `None` if the waiter was granted since the search; then that thread continues.
        wakes.extend(waits[&victim].waiter.end(Err(WaitError::WouldDeadlock)));
        if victim == thread {
            break;
        }
    }
    // The victims are woken after unlocking: a woken victim first drops its edge, which takes this lock.
    drop(waits);
    drop::<Vec<Wake>>(wakes);
    Edge { thread, before }
}

impl Drop for Edge {
    fn drop(&mut self) {
        let mut waits = WAITS.lock();
        let wait = match self.before.take() {
            Some(before) => waits.insert(self.thread, before),
            None => waits.remove(&self.thread),
        };
        drop(waits);
        // Dropped without the lock: it may hold the last reference to what was waited for.
        drop(wait);
    }
}

/// A waiting thread that is reachable from the one in question.
struct Node {
    thread: usize,
    needs: Needs,
    providers: Vec<usize>,
    stuck: bool,
}

/// Returns the thread whose wait must fail if `this` would wait forever: itself, or else one that waits for
/// it, directly or not.
fn find_victim(waits: &Waits, this: usize) -> Option<usize> {
    let nodes = reachable(waits, this);
    if !is_stuck(&nodes, this) {
        return None;
    }
    let is_refusable = |node: &&Node| node.stuck && waits[&node.thread].refusable;
    // This thread is preferred: it has not slept yet, so its error costs no wake-up.
    if waits[&this].refusable {
        return Some(this);
    }
    let waiter_of_this = nodes.iter().filter(is_refusable).find(|node| node.providers.contains(&this));
    waiter_of_this.or_else(|| nodes.iter().find(is_refusable)).map(|node| node.thread)
}

/// Returns the waiting threads on which it depends whether `this` can continue, with the stuck ones marked.
fn reachable(waits: &Waits, this: usize) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    let mut unvisited = vec![this];
    while let Some(thread) = unvisited.pop() {
        if nodes.iter().any(|node| node.thread == thread) {
            continue;
        }
        // A thread without an edge can continue, and so can one whose wait has ended but which is not awake.
        // The outcome is read under the graph's lock, under which a victim is ended, so no cycle has two
        // victims.
        let Some(wait) = waits.get(&thread).filter(|wait| wait.waiter.outcome().is_none()) else { continue };
        let mut providers = Vec::new();
        let needs = wait.awaited.providers(&mut providers);
        unvisited.extend(&providers);
        nodes.push(Node { thread, needs, providers, stuck: true });
    }
    // The greatest fixpoint: all nodes start as stuck, and each pass removes one that could continue.
    while let Some(node) = nodes.iter().position(|node| node.stuck && can_continue(node, &nodes)) {
        nodes[node].stuck = false;
    }
    nodes
}

fn is_stuck(nodes: &[Node], thread: usize) -> bool {
    nodes.iter().any(|node| node.thread == thread && node.stuck)
}

fn can_continue(node: &Node, nodes: &[Node]) -> bool {
    let can_provide = |provider: &usize| !is_stuck(nodes, *provider);
    match node.needs {
        Needs::Nobody => true,
        // No providers: they are unknown.
        Needs::One => node.providers.is_empty() || node.providers.iter().any(can_provide),
        Needs::All => node.providers.iter().all(can_provide),
    }
}

/// The one thread that can provide something, if it is known. It is separate from the thing itself, whose
/// type may borrow.
pub(crate) struct Owner {
    /// 0 if unknown. Relaxed: the value is recent enough by invariant 2.
    thread: AtomicUsize,
}

impl Owner {
    pub(crate) fn new(thread: Option<usize>) -> Arc<Self> {
        Arc::new(Owner { thread: AtomicUsize::new(thread.unwrap_or(0)) })
    }

    pub(crate) fn set(&self, thread: usize) {
        // Relaxed: publishes nothing. The new owner stores it before it can add an edge, under the graph's
        // lock.
        self.thread.store(thread, Relaxed);
    }
}

impl Awaited for Owner {
    fn providers(&self, threads: &mut Vec<usize>) -> Needs {
        // Relaxed: a search that finds an edge of the owner has taken the graph's lock after the owner did.
        match self.thread.load(Relaxed) {
            0 => Needs::Nobody,
            thread => {
                threads.push(thread);
                Needs::One
            }
        }
    }
}

/// This thread owes a result, until it is dropped.
#[must_use = "dropping it says that nothing is owed"]
pub(crate) struct Owing(());

/// Marks this thread as one that others may wait for: it runs a task, computes a value, or works for a pool.
#[inline]
pub(crate) fn owe() -> Owing {
    context::with(context::Context::owe);
    Owing(())
}

/// True if another thread may wait for this one.
pub(crate) fn is_owing() -> bool {
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

    /// Threads, numbered from 1: each waits for some of the others, or is absent and so continues.
    type Threads = Vec<Option<(Needs, Vec<usize>)>>;

    struct Fixed(Needs, Vec<usize>);

    impl Awaited for Fixed {
        fn providers(&self, threads: &mut Vec<usize>) -> Needs {
            threads.extend(&self.1);
            self.0
        }
    }

    fn waits_of(threads: &Threads) -> Waits {
        let wait = |(needs, providers): &(Needs, Vec<usize>)| Wait {
            awaited: Arc::new(Fixed(*needs, providers.clone())),
            waiter: Waiter::new(),
            refusable: true,
        };
        let waits =
            threads.iter().enumerate().filter_map(|(at, thread)| Some((at + 1, wait(thread.as_ref()?))));
        waits.collect()
    }

    /// Whether `thread` is in a set of waiting threads of which none can be the first to continue. Tries all
    /// sets.
    fn waits_for_ever(threads: &Threads, thread: usize) -> bool {
        (0_u32..1 << threads.len()).any(|set| {
            let is_in = |thread: &usize| set & (1 << (thread - 1)) != 0;
            let stays = |thread: &usize| match &threads[thread - 1] {
                None | Some((Needs::Nobody, _)) => false,
                Some((Needs::One, providers)) => !providers.is_empty() && providers.iter().all(is_in),
                Some((Needs::All, providers)) => providers.iter().any(is_in),
            };
            is_in(&thread) && (1..=threads.len()).filter(is_in).all(|thread| stays(&thread))
        })
    }

    /// Every graph of three threads, and 20,000 random ones of six. Fails if one stuck provider counts as all
    /// (edit `graph-one-stuck-worker-is-all`), or one ready provider as all that are needed (edit
    /// `graph-one-free-thread-is-enough`).
    #[test]
    fn threads_that_no_order_of_events_frees_are_stuck() {
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
                let providers = (0..random(4)).map(|_| random(count) as usize + 1).collect();
                (random(6) > 0).then_some((needs, providers))
            };
            let threads: Threads = (0..count).map(|_| thread(&mut random)).collect();
            let waits = waits_of(&threads);
            for thread in 1..=threads.len() {
                let expected = waits_for_ever(&threads, thread);
                assert_eq!(is_stuck(&reachable(&waits, thread), thread), expected, "{thread} of {threads:?}");
                stuck += usize::from(expected);
            }
        }
        assert!(stuck > 1_000, "too few stuck threads: {stuck}");
    }

    #[test]
    fn thread_whose_wait_has_ended_can_continue() {
        let mut waits = waits_of(&vec![Some((Needs::One, vec![2])), Some((Needs::One, vec![1]))]);
        assert_eq!(find_victim(&waits, 1), Some(1));
        let waiter = waits.get_mut(&2).unwrap().waiter.clone();
        drop(waiter.end(Ok(())));
        assert_eq!(find_victim(&waits, 1), None);
    }

    /// Fails if only the thread that closes the cycle may be refused (edit `graph-tells-nobody-else`).
    #[test]
    fn unrefusable_wait_has_another_wait_refused() {
        let cycle = vec![Some((Needs::All, vec![2, 3])), None, Some((Needs::One, vec![1]))];
        let mut waits = waits_of(&cycle);
        waits.get_mut(&1).unwrap().refusable = false;
        assert_eq!(find_victim(&waits, 1), Some(3));
        waits.get_mut(&3).unwrap().refusable = false;
        assert_eq!(find_victim(&waits, 1), None, "no wait is refusable");
    }
}

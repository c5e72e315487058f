//! Fork and join: a function that splits itself in two, and a loop whose turns run side by side.
//!
//! chili, micropool and forkunion have no scope into which tasks are spawned one by one, so they are not in
//! the cells of [`group`](crate::cells::group): chili has `join` alone, micropool `join` and loops, forkunion
//! loops alone, which do not nest. Each gets two threads in the way its documentation recommends: the caller
//! and one more, or two beside a caller that sleeps.
//!
//! Idle threads of chili beat every 100 µs, those of micropool and forkunion spin, so a pool lives only as
//! long as its run.

use std::hint::black_box;
use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use forkunion::{ThreadPool as Forkunion, Topology};
use selvedge::{CancelToken, Pool, group};

/// What each node of a tree or each turn of a loop does.
pub(crate) type Work = fn();

/// A library whose `join` needs no more than the two halves.
trait Join {
    fn join(left: impl FnOnce() -> u64 + Send, right: impl FnOnce() -> u64 + Send) -> (u64, u64);
}

/// Counts the nodes of a tree of so many levels.
fn count<J: Join>(levels: u32, work: Work) -> u64 {
    work();
    if levels == 1 {
        return 1;
    }
    let (left, right) = J::join(|| count::<J>(levels - 1, work), || count::<J>(levels - 1, work));
    1 + left + right
}

/// A function that splits itself in two, as many levels deep, and counts its calls.
pub(crate) trait Fork {
    /// Calls `run` with something that counts the nodes of a tree of so many levels.
    fn with(work: Work, run: impl FnOnce(&mut dyn FnMut(u32) -> u64) + Send);
}

/// A task for the one half, and the other on the same thread: `join` runs the task where it has not started.
pub(crate) struct Selvedge;

impl Fork for Selvedge {
    fn with(work: Work, run: impl FnOnce(&mut dyn FnMut(u32) -> u64) + Send) {
        fn count(pool: &Arc<Pool>, levels: u32, work: Work) -> u64 {
            work();
            if levels == 1 {
                return 1;
            }
            let own = Arc::clone(pool);
            let left = pool.submit(move || count(&own, levels - 1, work)).expect("nobody shuts it down");
            let right = count(pool, levels - 1, work);
            1 + left.join().expect("it does not panic") + right
        }
        let pool = Pool::builder().workers(2).queue(1 << 17).build().expect("a bench needs its threads");
        let pool = Arc::new(pool);
        run(&mut |levels| {
            let own = Arc::clone(&pool);
            let root = pool.submit(move || count(&own, levels, work)).expect("nobody shuts it down");
            root.join().expect("it does not panic")
        });
    }
}

pub(crate) struct Rayon;

impl Join for Rayon {
    fn join(left: impl FnOnce() -> u64 + Send, right: impl FnOnce() -> u64 + Send) -> (u64, u64) {
        rayon::join(left, right)
    }
}

impl Fork for Rayon {
    fn with(work: Work, run: impl FnOnce(&mut dyn FnMut(u32) -> u64) + Send) {
        let pool = rayon_pool();
        run(&mut |levels| pool.install(|| count::<Rayon>(levels, work)));
    }
}

pub(crate) struct Chili;

impl Fork for Chili {
    fn with(work: Work, run: impl FnOnce(&mut dyn FnMut(u32) -> u64) + Send) {
        fn count(scope: &mut chili::Scope<'_>, levels: u32, work: Work) -> u64 {
            work();
            if levels == 1 {
                return 1;
            }
            let (left, right) = scope.join(|s| count(s, levels - 1, work), |s| count(s, levels - 1, work));
            1 + left + right
        }
        let pool = chili_pool();
        let mut scope = pool.scope();
        run(&mut |levels| count(&mut scope, levels, work));
    }
}

pub(crate) struct Micropool;

impl Join for Micropool {
    fn join(left: impl FnOnce() -> u64 + Send, right: impl FnOnce() -> u64 + Send) -> (u64, u64) {
        micropool::join(left, right)
    }
}

impl Fork for Micropool {
    fn with(work: Work, run: impl FnOnce(&mut dyn FnMut(u32) -> u64) + Send) {
        let pool = micropool_pool();
        run(&mut |levels| pool.install(|| count::<Micropool>(levels, work)));
    }
}

/// A loop whose turns may run side by side.
pub(crate) trait Loop {
    /// Calls `run` with something that does so many turns.
    fn with(work: Work, run: impl FnOnce(&mut dyn FnMut(usize)) + Send);
}

/// A task for each turn.
impl Loop for Selvedge {
    fn with(work: Work, run: impl FnOnce(&mut dyn FnMut(usize)) + Send) {
        run(&mut |turns| {
            let scope = group::scope(&CancelToken::new(), |g| {
                for turn in 0..turns {
                    g.spawn(move |_| one(turn, work));
                }
            });
            scope.expect("nobody fails");
        });
    }
}

/// A task for each eighth of a thread's share: what one writes where the turns are short.
pub(crate) struct Chunks;

impl Loop for Chunks {
    fn with(work: Work, run: impl FnOnce(&mut dyn FnMut(usize)) + Send) {
        run(&mut |turns| {
            let chunk = turns.div_ceil(16);
            let scope = group::scope(&CancelToken::new(), |g| {
                for start in (0..turns).step_by(chunk) {
                    g.spawn(move |_| (start..turns.min(start + chunk)).for_each(|turn| one(turn, work)));
                }
            });
            scope.expect("nobody fails");
        });
    }
}

impl Loop for Rayon {
    fn with(work: Work, run: impl FnOnce(&mut dyn FnMut(usize)) + Send) {
        use rayon::iter::{IntoParallelIterator, ParallelIterator};
        let pool = rayon_pool();
        run(&mut |turns| pool.install(|| (0..turns).into_par_iter().for_each(|turn| one(turn, work))));
    }
}

/// Halves, down to single turns.
impl Loop for Chili {
    fn with(work: Work, run: impl FnOnce(&mut dyn FnMut(usize)) + Send) {
        fn halves(scope: &mut chili::Scope<'_>, start: usize, end: usize, work: Work) {
            if end - start == 1 {
                return one(start, work);
            }
            let middle = usize::midpoint(start, end);
            scope.join(|s| halves(s, start, middle, work), |s| halves(s, middle, end, work));
        }
        let pool = chili_pool();
        let mut scope = pool.scope();
        run(&mut |turns| halves(&mut scope, 0, turns, work));
    }
}

impl Loop for Micropool {
    fn with(work: Work, run: impl FnOnce(&mut dyn FnMut(usize)) + Send) {
        // Here, because rayon's traits have methods of the same names.
        use micropool::iter::{ExactParallelSourceExt, IntoExactParallelSource, ParallelIteratorExt};
        let pool = micropool_pool();
        run(&mut |turns| {
            let turns =
                IntoExactParallelSource::into_par_iter(0..turns).with_thread_pool(pool.split_by_threads());
            turns.for_each(|turn| one(turn, work));
        });
    }
}

/// Turns that each thread takes one by one.
pub(crate) struct Dynamic;

impl Loop for Dynamic {
    fn with(work: Work, run: impl FnOnce(&mut dyn FnMut(usize)) + Send) {
        // On a thread of its own: it may keep the caller on one processor.
        thread::scope(|s| {
            s.spawn(|| {
                let topology = Topology::new().expect("the system has processors");
                let mut pool = Forkunion::try_spawn(&topology, 2).expect("a bench needs its threads");
                run(&mut |turns| drop(pool.for_n_dynamic(turns, |prong| one(prong.task_index, work))));
            });
        });
    }
}

fn one(turn: usize, work: Work) {
    black_box(turn);
    work();
}

fn rayon_pool() -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("a bench needs its threads")
}

/// Of the two threads, one is the caller.
fn chili_pool() -> chili::ThreadPool {
    let config = chili::Config { thread_count: NonZero::new(2), ..chili::Config::default() };
    chili::ThreadPool::with_config(config)
}

/// One thread beside the caller, which works too.
fn micropool_pool() -> micropool::ThreadPool {
    micropool::ThreadPoolBuilder::default().num_threads(1).build()
}

//! Parallel maps of a stream.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::thread;

use crossbeam_channel::bounded;
use orx_parallel::*;
use pariter::IteratorExt;
use rayon::ThreadPool;
use rayon::iter::{IntoParallelIterator, ParallelBridge, ParallelIterator};
use selvedge::Pipeline;

/// What an item costs, and becomes.
pub(crate) type Work = fn(u64) -> u64;

/// Items under way in ours and in crossbeam's.
pub(crate) const BOUND: usize = 1024;

/// rayon's pools, of 2, 4 and 8 threads.
static POOLS: LazyLock<[ThreadPool; 3]> = LazyLock::new(|| {
    [2, 4, 8].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.expect("a bench needs its threads")
    })
});

fn pool(workers: usize) -> &'static ThreadPool {
    &POOLS[match workers {
        2 => 0,
        4 => 1,
        _ => 2,
    }]
}

pub(crate) fn ours(items: u64, workers: usize, ordered: bool, work: Work) -> u64 {
    let outputs = Pipeline::source(0..items).par_map(workers, work).bound(BOUND).ordered(ordered);
    outputs.fold(0, |sum, n| sum ^ n)
}

pub(crate) fn sequential(items: u64, work: Work) -> u64 {
    (0..items).map(work).fold(0, |sum, n| sum ^ n)
}

/// Splits the range; in order, but all of it in memory if it were collected.
pub(crate) fn par_iter(items: u64, workers: usize, work: Work) -> u64 {
    pool(workers).install(|| (0..items).into_par_iter().map(work).reduce(|| 0, |a, b| a ^ b))
}

/// Takes a stream, and gives up the order.
pub(crate) fn par_bridge(items: u64, workers: usize, work: Work) -> u64 {
    pool(workers).install(|| (0..items).par_bridge().map(work).reduce(|| 0, |a, b| a ^ b))
}

pub(crate) fn pariter(items: u64, workers: usize, work: Work) -> u64 {
    let outputs = (0..items).parallel_map_custom(|options| options.threads(workers), work);
    outputs.fold(0, |sum, n| sum ^ n)
}

pub(crate) fn orx(items: u64, workers: usize, work: Work) -> u64 {
    let items = usize::try_from(items).expect("it counts what is in memory");
    (0..items).into_par().num_threads(workers).map(move |n| work(n as u64)).reduce(|a, b| a ^ b).unwrap_or(0)
}

/// What one writes by hand: a channel in, a channel out, and a map to put them in order again.
pub(crate) fn crossbeam(items: u64, workers: usize, ordered: bool, work: Work) -> u64 {
    let (inputs, to_do) = bounded(BOUND / 2);
    let (done, outputs) = bounded(BOUND / 2);
    thread::scope(|s| {
        s.spawn(move || (0..items).for_each(|n| inputs.send((n, n)).expect("the workers stay")));
        for _ in 0..workers {
            let (to_do, done) = (to_do.clone(), done.clone());
            s.spawn(move || to_do.into_iter().for_each(|(k, n)| done.send((k, work(n))).expect("it reads")));
        }
        drop((to_do, done));
        if !ordered {
            return outputs.into_iter().fold(0, |sum, (_, n)| sum ^ n);
        }
        let (mut next, mut early, mut sum) = (0, BTreeMap::new(), 0);
        for (k, n) in outputs {
            early.insert(k, n);
            while let Some(n) = early.remove(&next) {
                next += 1;
                sum ^= n;
            }
        }
        sum
    })
}

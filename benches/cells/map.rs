//! Maps: reads and writes of keys that are there, in four mixtures; and a pass over a million while others
//! write.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::channel;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use parking_lot::RwLock;
use selvedge::ShardedMap;

use crate::rivals::maps::{ByHand, Item, Map};
use crate::{Cell, team};

/// A map that is filled when it is first measured, and shared by the cells that have the same keys.
type Shared<M> = Arc<LazyLock<M, Box<dyn FnOnce() -> M + Send>>>;

pub(crate) fn all() -> Vec<Cell> {
    let mut cells = mixtures::<u64>("u64", 1_000);
    cells.extend(mixtures::<u64>("u64", 100_000));
    cells.extend(mixtures::<String>("String", 1_000));
    cells.extend(mixtures::<String>("String", 100_000));
    cells.extend([pass(), longest_write()]);
    cells
}

/// Every percentage of reads with every number of threads, on keys of one kind.
fn mixtures<T: Item>(kind: &'static str, size: u64) -> Vec<Cell> {
    let keys: Arc<Vec<T>> = Arc::new((0..size).map(T::nth).collect());
    let ours = filled::<T, ShardedMap<T, T>>(size);
    let dashmap = filled::<T, DashMap<T, T>>(size);
    let papaya = filled::<T, papaya::HashMap<T, T>>(size);
    let scc = filled::<T, scc::HashMap<T, T>>(size);
    let locked = filled::<T, RwLock<HashMap<T, T>>>(size);
    let by_hand = filled::<T, ByHand<T>>(size);
    let mut cells = Vec::new();
    for reads in [100, 90, 50, 0] {
        for threads in [2, 8] {
            let name = format!("{size} {kind}, {reads}/{} reads/writes, {threads} threads", 100 - reads);
            let family = if size == 1_000 { "map, 1 k keys" } else { "map, 100 k keys" };
            let cell = Cell::new(family, name, "call")
                .with("selvedge", mixture(&ours, &keys, reads, threads))
                .with("dashmap", mixture(&dashmap, &keys, reads, threads))
                .with("papaya", mixture(&papaya, &keys, reads, threads))
                .with("scc", mixture(&scc, &keys, reads, threads))
                .with("RwLock<HashMap>", mixture(&locked, &keys, reads, threads))
                .with("64 by hand", mixture(&by_hand, &keys, reads, threads));
            cells.push(cell);
        }
    }
    cells
}

/// One mixture with ever more threads.
pub(crate) fn by_threads(threads: &[usize]) -> Vec<Cell> {
    let keys: Arc<Vec<u64>> = Arc::new((0..100_000).collect());
    let ours = filled::<u64, ShardedMap<u64, u64>>(100_000);
    let dashmap = filled::<u64, DashMap<u64, u64>>(100_000);
    let cell = |&threads: &usize| {
        Cell::new("map, by threads", format!("90/10 reads/writes, {threads} threads"), "call")
            .size(threads as u64)
            .with("selvedge", mixture(&ours, &keys, 90, threads))
            .with("dashmap", mixture(&dashmap, &keys, 90, threads))
    };
    threads.iter().map(cell).collect()
}

fn filled<T: Item, M: Map<T>>(size: u64) -> Shared<M> {
    let fill = move || {
        let map = M::new();
        (0..size).for_each(|n| map.write(T::nth(n), T::nth(n)));
        map
    };
    Arc::new(LazyLock::new(Box::new(fill)))
}

fn mixture<T: Item, M: Map<T>>(
    map: &Shared<M>,
    keys: &Arc<Vec<T>>,
    reads: u64,
    threads: usize,
) -> impl FnMut(u64) -> Duration + 'static {
    let (map, keys) = (Arc::clone(map), Arc::clone(keys));
    move |total| {
        let (map, keys) = (Arc::clone(&map), Arc::clone(&keys));
        LazyLock::force(&*map);
        team::split(total, threads, move |count| {
            let mut dice = Dice::new();
            for _ in 0..count {
                let roll = dice.roll();
                let key = &keys[(roll >> 32) as usize % keys.len()];
                if roll % 100 < reads {
                    black_box(map.read(key));
                } else {
                    map.write(key.clone(), key.clone());
                }
            }
        })
    }
}

const MILLION: u64 = 1_000_000;

fn pass() -> Cell {
    fn passes<M: Map<u64>>() -> impl FnMut(u64) -> Duration + 'static {
        let map = filled::<u64, M>(MILLION);
        move |total| {
            LazyLock::force(&*map);
            let start = Instant::now();
            for _ in 0..total {
                assert_eq!(black_box(map.pass()), MILLION as usize);
            }
            start.elapsed()
        }
    }
    Cell::new("map, a pass", "a pass over 1,000,000 u64, alone", "pass")
        .elements(MILLION)
        .with("selvedge", passes::<ShardedMap<u64, u64>>())
        .with("dashmap", passes::<DashMap<u64, u64>>())
        .with("papaya", passes::<papaya::HashMap<u64, u64>>())
        .with("scc", passes::<scc::HashMap<u64, u64>>())
        .with("RwLock<HashMap>", passes::<RwLock<HashMap<u64, u64>>>())
        .with("64 by hand", passes::<ByHand<u64>>())
}

/// How long the slowest write takes that another thread makes during a pass.
fn longest_write() -> Cell {
    Cell::new("map, a pass", "longest write during a pass over 1,000,000 u64", "pass")
        .quantile()
        .with("selvedge", longest::<ShardedMap<u64, u64>>())
        .with("dashmap", longest::<DashMap<u64, u64>>())
        .with("papaya", longest::<papaya::HashMap<u64, u64>>())
        .with("scc", longest::<scc::HashMap<u64, u64>>())
        .with("RwLock<HashMap>", longest::<RwLock<HashMap<u64, u64>>>())
        .with("64 by hand", longest::<ByHand<u64>>())
}

fn longest<M: Map<u64>>() -> impl FnMut(u64) -> Duration + 'static {
    let map = filled::<u64, M>(MILLION);
    move |total| {
        LazyLock::force(&*map);
        (0..total).map(|_| longest_in_a_pass(&map)).sum()
    }
}

fn longest_in_a_pass<M: Map<u64>>(map: &Shared<M>) -> Duration {
    let ends = Arc::new(AtomicBool::new(false));
    let (report, longest) = channel();
    let reader = {
        let (map, ends) = (Arc::clone(map), Arc::clone(&ends));
        move || {
            black_box(map.pass());
            ends.store(true, Relaxed);
        }
    };
    let writer = {
        let map = Arc::clone(map);
        move || {
            let (mut dice, mut longest) = (Dice::new(), Duration::ZERO);
            while !ends.load(Relaxed) {
                let key = (dice.roll() >> 32) % MILLION;
                let start = Instant::now();
                map.write(key, key);
                longest = longest.max(start.elapsed());
            }
            report.send(longest).expect("the bench waits for it");
        }
    };
    team::time(vec![Box::new(reader), Box::new(writer)]);
    longest.recv().expect("the writer reports")
}

/// xorshift64*; each has a seed of its own.
struct Dice(u64);

impl Dice {
    fn new() -> Self {
        static SEED: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
        Dice(SEED.fetch_add(0x9E37_79B9_7F4A_7C15, Relaxed) | 1)
    }

    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
}

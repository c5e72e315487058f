//! What a burst took is given back, though something stays: a token with one lasting child, a pool that goes
//! on.
//!
//! A program of its own with one test, because the allocator that counts is the whole program's.

mod common;
#[path = "common/counting.rs"]
mod counting;

use std::cell::RefCell;
use std::hint::black_box;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use common::{HOUR, within_a_minute};
use counting::{Counting, live};
use selvedge::batch::Batch;
use selvedge::group::Group;
use selvedge::limiter::KeyedLimiter;
use selvedge::{
    Batcher, BoundedQueue, CancelToken, Clock, Latch, Monitor, Pool, RateLimiter, Semaphore, ShardedMap,
    SingleFlight, WaitGroup,
};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const BURST: usize = 50_000;

/// Room that is kept whatever comes: in a map for each shard, in a pool for 1,024 tasks twice. A burst takes
/// a megabyte and more.
const KEPT: isize = 192 * 1024;

/// After `burst`, which has been made once before, no more lives than before it.
#[track_caller]
fn gives_back(what: &str, mut burst: impl FnMut(usize)) {
    burst(10);
    let before = live();
    burst(BURST);
    // Threads that worked for the burst may still be on their way.
    let kept = || live() - before;
    let end = Instant::now() + Duration::from_secs(10);
    while kept() > KEPT && Instant::now() < end {
        thread::yield_now();
    }
    assert!(kept() < KEPT, "{what} keeps {} bytes of a burst of {BURST}", kept());
}

fn tokens() {
    let clock = Clock::manual();
    let token = CancelToken::with_clock(&clock);
    let mut lasting = Vec::with_capacity(4);
    gives_back("a token with a lasting child", |count| {
        let children: Vec<_> = (0..count).map(|_| token.child()).collect();
        // Made last, so that it stands behind all of the burst.
        lasting.push(token.child());
        drop(children);
    });
    gives_back("a token with callbacks", |count| {
        let guards: Vec<_> = (0..count).map(|_| token.on_cancel(|| ())).collect();
        drop(black_box(guards));
    });
    let alarm = token.child_until(HOUR * 9).on_cancel(|| ());
    gives_back("a clock with a lasting alarm", |count| {
        let tokens: Vec<_> = (0..count).map(|_| token.child_until(HOUR)).collect();
        tokens.iter().for_each(|token| token.on_cancel(|| ()).keep());
    });
    drop((alarm, lasting));
}

fn tables() {
    let map = ShardedMap::new();
    map.insert(usize::MAX, ());
    gives_back("a map with a lasting entry", |count| {
        (0..count).for_each(|key| _ = map.insert(key, ()));
        (0..count).for_each(|key| _ = map.remove(&key));
    });
    let flight = SingleFlight::<usize, ()>::new();
    gives_back("a single flight", |count| (0..count).for_each(|key| flight.call(&key, || ()).unwrap()));
    let clock = Clock::manual();
    let limiter = KeyedLimiter::<usize>::new(1, Duration::from_secs(1)).with_clock(&clock);
    gives_back("a keyed limiter with a key that is not idle", |count| {
        (0..count).for_each(|key| limiter.try_acquire(&key, 1).unwrap());
        clock.advance(HOUR);
        limiter.try_acquire(&0, 1).unwrap();
        limiter.forget_idle();
        clock.advance(HOUR);
    });
}

fn tasks() {
    let pool = Arc::new(Pool::builder().workers(1).queue(2 * BURST).build().unwrap());
    gives_back("a pool's queue", |count| {
        let (gate, done) = (Arc::new(Latch::new(1)), Arc::new(Latch::new(count + 1)));
        let (waits, last) = (Arc::clone(&gate), Arc::clone(&done));
        pool.execute(move || {
            waits.wait();
            last.count_down();
        })
        .unwrap();
        for _ in 0..count {
            let done = Arc::clone(&done);
            pool.execute(move || done.count_down()).unwrap();
        }
        gate.count_down();
        done.wait();
        // What is given back is given back in passing.
        (0..100).for_each(|_| pool.submit(|| ()).unwrap().join().unwrap());
    });
    let results = pool.results::<usize>();
    gives_back("results", |count| {
        (0..count).for_each(|number| _ = results.submit(move || number).unwrap());
        (0..count).for_each(|_| drop(results.next().unwrap()));
    });
    drop(results);
    let group = Group::<()>::new(&CancelToken::new());
    group.limit(1);
    gives_back("a group's tasks", |count| {
        // A sleep that the crate knows of would let the next task start.
        let (opens, gate) = std::sync::mpsc::channel::<()>();
        let done = Arc::new(Latch::new(count));
        group
            .spawn(move |_| {
                let _ = gate.recv();
                Ok(())
            })
            .unwrap();
        for _ in 0..count {
            let done = Arc::clone(&done);
            let counts = move |_: &CancelToken| {
                done.count_down();
                Ok(())
            };
            group.spawn(counts).unwrap();
        }
        drop(opens);
        done.wait();
        let last = group.submit(|_| Ok(())).unwrap();
        last.join().unwrap();
    });
    group.wait().unwrap();
}

/// After many waits that ended by time, no more lives than after a few: each has taken itself out of the
/// line.
#[track_caller]
fn leaves_nothing(what: &str, mut wait: impl FnMut(Duration) -> bool) {
    const WAITS: usize = 3_000;
    // Long enough to get as far as a sleep, and too short for one.
    let mut give_up = |waits| (0..waits).for_each(|_| assert!(wait(Duration::from_micros(20)), "{what}"));
    give_up(10);
    let before = live();
    give_up(WAITS);
    let kept = live() - before;
    assert!(kept < 16 * WAITS as isize, "{what} keeps {kept} bytes of {WAITS} waits");
}

fn waits() {
    let (empty, full) = (BoundedQueue::<u8>::new(1), BoundedQueue::new(1));
    full.push(0).unwrap();
    leaves_nothing("pop", |soon| empty.pop_until(soon).is_err());
    leaves_nothing("push", |soon| full.push_until(0, soon).is_err());
    let semaphore = Semaphore::new(0);
    leaves_nothing("acquire", |soon| semaphore.acquire_until(soon).is_err());
    let (latch, members) = (Arc::new(Latch::new(1)), WaitGroup::new());
    let member = members.add();
    leaves_nothing("a latch", |soon| latch.wait_until(soon).is_err());
    leaves_nothing("a wait group", |soon| members.wait_until(soon).is_err());
    drop(member);
    let (token, clock) = (CancelToken::new(), Clock::manual());
    leaves_nothing("a token", |soon| token.wait_until(soon).is_err());
    leaves_nothing("a clock", |soon| clock.wait_for_sleepers_until(1, soon).is_err());
    let monitor = Monitor::new(());
    leaves_nothing("a monitor", |soon| monitor.wait_until(soon, |()| None::<()>).is_err());
    let limiter = RateLimiter::new(0, HOUR);
    leaves_nothing("a limiter", |soon| limiter.acquire_until(1, soon).is_err());
    handles(&latch);
}

/// Locks a monitor when it is dropped.
struct AtExit(Arc<Monitor<()>>);

impl Drop for AtExit {
    fn drop(&mut self) {
        drop(self.0.lock());
    }
}

thread_local! {
    static AT_EXIT: RefCell<Option<AtExit>> = const { RefCell::new(None) };
}

/// Threads that use a monitor, also in the destructor of a thread-local that outlives the crate's own.
fn threads() {
    const THREADS: usize = 1_000;
    let monitor = Arc::new(Monitor::new(()));
    for at_exit in [false, true] {
        let use_it = |threads| {
            for _ in 0..threads {
                let monitor = Arc::clone(&monitor);
                let thread = thread::spawn(move || {
                    if at_exit {
                        AT_EXIT.with(|last| last.replace(Some(AtExit(Arc::clone(&monitor)))));
                    }
                    drop(monitor.lock());
                });
                thread.join().unwrap();
            }
        };
        use_it(10);
        let before = live();
        use_it(THREADS);
        let kept = live() - before;
        assert!(
            kept < 16 * THREADS as isize,
            "{THREADS} threads leave {kept} bytes behind, at exit: {at_exit}"
        );
    }
}

/// Of what has begun and waits for `gate`.
fn handles(gate: &Arc<Latch>) {
    let begun = Arc::new(Latch::new(5));
    let work = || {
        let (gate, begun) = (Arc::clone(gate), Arc::clone(&begun));
        move || {
            begun.count_down();
            gate.wait();
        }
    };
    let pool = Pool::builder().workers(1).queue(1).build().unwrap();
    let results = pool.results::<()>();
    let mut running = Some(pool.submit(work()).unwrap());
    let handles = {
        let mut work = Some(work());
        move |_: &mut Batch<u8>| {
            if let Some(work) = work.take() {
                work();
            }
            Ok::<(), std::convert::Infallible>(())
        }
    };
    let batcher = Batcher::builder().max_items(1).build(handles).unwrap();
    let mut ticket = Some(batcher.submit(0).unwrap());
    let (flight, map) = (Arc::new(SingleFlight::<u8, ()>::new()), Arc::new(ShardedMap::<u8, ()>::new()));
    let leader = thread::spawn({
        let (flight, work) = (Arc::clone(&flight), work());
        move || flight.call(&1, work).unwrap()
    });
    let initialiser = thread::spawn({
        let (map, work) = (Arc::clone(&map), work());
        move || map.get_or_insert_with(1, work)
    });
    let group = Group::<()>::new(&CancelToken::new());
    let grouped = work();
    let submitted = group.submit(move |_| {
        grouped();
        Ok(())
    });
    let mut joined = Some(submitted.unwrap());
    begun.wait();
    results.submit(|| ()).unwrap();
    leaves_nothing("a full pool", |soon| pool.execute_until(|| (), soon).is_err());
    leaves_nothing("results", |soon| results.next_until(soon).is_err());
    leaves_nothing("a task", |soon| {
        let rejected = running.take().unwrap().join_until(soon).unwrap_err();
        running.replace(rejected.value).is_none()
    });
    leaves_nothing("a ticket", |soon| {
        let rejected = ticket.take().unwrap().join_until(soon).unwrap_err();
        ticket.replace(rejected.value).is_none()
    });
    leaves_nothing("a handle", |soon| {
        let rejected = joined.take().unwrap().join_until(soon).unwrap_err();
        joined.replace(rejected.value).is_none()
    });
    leaves_nothing("a flight", |soon| flight.call_until(&1, soon, || ()).is_err());
    leaves_nothing("a map", |soon| map.get_or_insert_with_until(1, soon, || ()).is_err());
    gate.count_down();
    leader.join().unwrap();
    initialiser.join().unwrap().unwrap();
    group.wait().unwrap();
}

#[test]
fn burst_is_given_back_though_something_stays() {
    within_a_minute(|| {
        tokens();
        tables();
        tasks();
        waits();
        threads();
    });
}

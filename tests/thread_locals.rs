//! Everything works on a thread that is on its way out, when the crate's own thread-locals may be gone.
//!
//! A file of its own, because each case has a process of its own: what goes wrong here ends the process.

#![allow(clippy::unit_arg, reason = "a case is one expression, whatever it gives")]

mod common;

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use common::child;
use selvedge::batch::Batch;
use selvedge::error::WaitError;
use selvedge::group::{self, Group};
use selvedge::limiter::{KeyedLimiter, Ticker};
use selvedge::queue::bounded;
use selvedge::{
    Batcher, BoundedQueue, CancelToken, Clock, Latch, Pipeline, Pool, RateLimiter, Semaphore, ShardedMap,
    SingleFlight, StripedCounter, WaitGroup, timeout,
};

/// Long enough for another thread to sleep in the meantime, should it.
const SHORT: Duration = Duration::from_millis(2);

/// Does something when it is dropped.
struct AtExit<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Drop for AtExit<F> {
    fn drop(&mut self) {
        (self.0.take().unwrap())();
    }
}

type Kept = RefCell<Option<Box<dyn std::any::Any>>>;

thread_local! {
    static KEPT: Kept = const { RefCell::new(None) };
}

/// Runs `case` in the destructor of a thread-local that was used before any of the crate's, so that it is
/// destroyed after them. (std destroys the thread-locals of a thread in the reverse of the order of their
/// first use.)
fn at_exit(case: impl FnOnce() + Send + 'static) {
    let ended = Arc::new(AtomicBool::new(false));
    thread::spawn({
        let ended = Arc::clone(&ended);
        move || {
            let exit = AtExit(Some(move || {
                case();
                ended.store(true, Ordering::SeqCst);
            }));
            KEPT.with(|kept| *kept.borrow_mut() = Some(Box::new(exit)));
            use_the_crate();
        }
    })
    .join()
    .unwrap();
    // A panic in a destructor would have ended the process.
    assert!(ended.load(Ordering::SeqCst), "the destructor ran to its end");
}

/// Makes the crate use every thread-local that it has, on this thread.
fn use_the_crate() {
    let counter = StripedCounter::new();
    counter.increment();
    ShardedMap::<u32, u32>::new().update(&1, |_: &mut u32| ());
    let semaphore = Semaphore::new(0);
    let asleep = || {
        // As one who works for a scope, and inside another.
        assert!(semaphore.acquire_until(SHORT).is_err());
        group::scope(&CancelToken::new(), |g| {
            g.spawn(|_| Ok::<_, ()>(()));
            Ok(())
        })
        .map_err(|_| ())
    };
    let scoped = group::scope(&CancelToken::new(), |g| {
        g.spawn(|_| asleep());
        Ok(())
    });
    let pool = Pool::builder().workers(1).build().unwrap();
    let on_pool = pool.scope(&CancelToken::new(), |g| {
        g.spawn(|_| asleep());
        Ok(())
    });
    assert_eq!((scoped, on_pool), (Ok(()), Ok(())));
    assert_eq!(Pipeline::source(0..10).par_map(2, |n| n).count(), 10);
}

/// What works on such a thread: name, and what it does.
const CASES: &[(&str, fn())] = &[
    ("scope", || {
        let mut sum = 0;
        let result = group::scope(&CancelToken::new(), |g| {
            let inner = g.submit(|_| Ok::<_, ()>(1));
            g.spawn(|stop| {
                group::scope(stop, |g| Ok(g.spawn(|_| Ok::<_, ()>(())))).unwrap();
                Ok(())
            });
            sum += inner.join().unwrap();
            Ok(())
        });
        assert_eq!((result, sum), (Ok(()), 1));
    }),
    ("scope whose owner runs a task that sleeps", || {
        let latch = Latch::new(1);
        let result = group::scope(&CancelToken::new(), |g| {
            g.limit(1);
            g.spawn(|stop| Ok::<_, ()>(stop.sleep(SHORT).unwrap()));
            g.spawn(|_| Ok(latch.count_down()));
            Ok(())
        });
        assert_eq!(result, Ok(()));
        assert!(latch.is_open());
    }),
    ("task that waits for its own scope", || {
        // Told, not left to hang: the scope knows its tasks' threads on this thread too.
        let result = group::scope(&CancelToken::new(), |g| {
            g.limit(1);
            g.spawn(|_| {
                Ok::<_, ()>(assert_eq!(g.wait_until(SHORT).unwrap_err().error, WaitError::WouldDeadlock))
            });
            Ok(())
        });
        assert_eq!(result, Ok(()));
    }),
    ("group", || {
        let group = Group::<()>::new(&CancelToken::new());
        let handle = group.submit(|_| Ok(7)).unwrap();
        assert_eq!(handle.join(), Ok(7));
        group.wait().unwrap();
        group.spawn(|stop| Ok(stop.wait())).unwrap();
    }),
    ("timeout", || assert_eq!(timeout::run(Duration::from_secs(60), |_| 7).unwrap(), 7)),
    ("join_threads", || group::join_threads(Duration::from_secs(60)).unwrap()),
    ("pool", || {
        let pool = Pool::builder().workers(1..=2).build().unwrap();
        assert_eq!(pool.submit(|| 7).unwrap().join().unwrap(), 7);
        let result = pool.scope(&CancelToken::new(), |g| Ok::<_, ()>(g.spawn(|_| Ok(()))));
        assert_eq!(result, Ok(()));
        let results = pool.results();
        results.submit(|| 7).unwrap();
        assert!(results.into_iter().all(|(_, ended)| ended.unwrap() == 7));
        assert_eq!(pool.shutdown().completed, 2);
    }),
    ("batcher", || {
        let batcher = Batcher::builder().build(|_: &mut Batch<u8>| ()).unwrap();
        assert!(batcher.submit(1).unwrap().join().is_ok());
        batcher.add(2).unwrap();
        batcher.flush().unwrap();
        assert_eq!(batcher.close().stats.processed, 2);
    }),
    ("par_map", || {
        let sum = Pipeline::source(0..1000).par_map(2, |n| n).ordered(false).fold(0, |sum, n| sum + n);
        assert_eq!(sum, 499_500);
        assert_eq!(Pipeline::source(0..10).buffered(2).chunks_within(3, SHORT).count(), 4);
    }),
    ("merge", || assert_eq!(Pipeline::merge([0..10, 10..20].map(Pipeline::source)).count(), 20)),
    ("fan_out", || {
        let outputs = Pipeline::source(0..100).fan_out_by(2, 4, |n| *n);
        assert_eq!(Pipeline::merge(outputs).count(), 100);
    }),
    ("cancelled pipeline", || {
        let stop = CancelToken::new();
        stop.cancel();
        assert!(Pipeline::source(0..).par_map(2, |n| n).cancelled_by(&stop).count().is_err());
    }),
    ("queue", || {
        let queue = BoundedQueue::new(1);
        assert_eq!(queue.pop_until(SHORT), Err(WaitError::TimedOut));
        thread::scope(|s| {
            s.spawn(|| (0..100).for_each(|n| queue.push(n).unwrap()));
            (0..100).for_each(|n| assert_eq!(queue.pop(), Ok(n)));
        });
        let (sender, receiver) = bounded(1);
        sender.push(1).unwrap();
        drop(sender);
        assert_eq!(receiver.iter().count(), 1);
    }),
    ("semaphore, latch, wait group", || {
        let (semaphore, latch, members) = (Semaphore::new(1), Latch::new(1), WaitGroup::new());
        let held = semaphore.acquire().unwrap();
        assert!(semaphore.acquire_until(SHORT).is_err() && latch.wait_until(SHORT).is_err());
        let member = members.add();
        thread::scope(|s| {
            s.spawn(|| (drop(held), latch.count_down(), drop(member)));
            drop(semaphore.acquire().unwrap());
            latch.wait();
            members.wait();
        });
    }),
    ("tokens and clocks", || {
        let token = CancelToken::new().child_until(SHORT);
        let (sends, receives) = channel();
        let guard = token.on_cancel(move || sends.send(()).unwrap());
        receives.recv().unwrap();
        drop(guard);
        assert!(token.sleep(Duration::from_secs(3600)).is_err());
        token.done().recv().unwrap_err();
        let clock = Clock::manual();
        clock.advance(SHORT);
    }),
    ("limiters and tickers", || {
        let limiter = RateLimiter::new(1, SHORT);
        (0..3).for_each(|_| limiter.acquire(1).unwrap());
        KeyedLimiter::new(1, SHORT).acquire(&'k', 1).unwrap();
        Ticker::new(SHORT).next_until(Duration::from_secs(60)).unwrap();
    }),
    ("maps, flights, counters", || {
        let map = ShardedMap::new();
        assert_eq!(map.get_or_insert_with(1, || 2), Ok(2));
        map.update(&1, |value| *value += 1);
        assert_eq!(SingleFlight::new().call(&1, || 7).unwrap(), 7);
        let counter = StripedCounter::new();
        counter.add(3);
        assert_eq!(counter.sum(), 3);
    }),
];

#[test]
fn on_a_thread_that_is_on_its_way_out_everything_works() {
    match child::case() {
        Some(name) => at_exit(CASES.iter().find(|(case, _)| *case == name).unwrap().1),
        None => child::run_all(
            "on_a_thread_that_is_on_its_way_out_everything_works",
            CASES.iter().map(|(name, _)| *name),
        ),
    }
}

/// Puts the last handle into a thread-local of the thread that it is about to be joined by, and returns when
/// that thread has gone.
fn keep_in_thread_local(handle: impl std::any::Any, gone: Sender<()>) {
    let gone = AtExit(Some(move || gone.send(()).unwrap()));
    // A tuple is dropped first to last.
    KEPT.with(|kept| *kept.borrow_mut() = Some(Box::new((handle, gone))));
}

/// What a thread of the crate does that drops the last handle of what it works for.
const LAST_HANDLES: &[(&str, fn())] = &[
    ("pool, in a thread-local", || {
        let pool = Arc::new(Pool::builder().workers(..=1).keep_alive(Duration::ZERO).build().unwrap());
        let (sends, gone) = channel();
        let own = Arc::clone(&pool);
        pool.execute(move || keep_in_thread_local(own, sends)).unwrap();
        drop(pool);
        gone.recv().unwrap();
    }),
    ("pool that another worker still works for, in a thread-local", || {
        let pool = Arc::new(Pool::builder().workers(0..=2).keep_alive(Duration::ZERO).build().unwrap());
        let (sends, gone) = channel();
        let (own, latch) = (Arc::clone(&pool), Arc::new(Latch::new(1)));
        let opens = Arc::clone(&latch);
        pool.execute(move || latch.wait()).unwrap();
        pool.execute(move || {
            keep_in_thread_local(AtExit(Some(move || drop((opens.count_down(), own)))), sends)
        })
        .unwrap();
        drop(pool);
        gone.recv().unwrap();
    }),
    ("two pools, each in a thread-local of the other's worker", || {
        let pools = [0, 1]
            .map(|_| Arc::new(Pool::builder().workers(..=1).keep_alive(Duration::ZERO).build().unwrap()));
        let (sends, gone) = channel();
        let both = Arc::new(Latch::new(2));
        for (pool, other) in [(0, 1), (1, 0)] {
            let (other, sends, both) = (Arc::clone(&pools[other]), sends.clone(), Arc::clone(&both));
            let keep = move || {
                keep_in_thread_local(other, sends);
                both.count_down();
                both.wait();
            };
            pools[pool].execute(keep).unwrap();
        }
        drop(pools);
        (0..2).for_each(|_| gone.recv().unwrap());
    }),
    ("pool, in a task", || {
        let pool = Arc::new(Pool::builder().workers(1).build().unwrap());
        let (own, gate) = (Arc::clone(&pool), Arc::new(Latch::new(1)));
        let (sends, gone) = channel();
        let opens = Arc::clone(&gate);
        pool.execute(move || {
            gate.wait();
            drop(own);
            sends.send(()).unwrap();
        })
        .unwrap();
        drop(pool);
        opens.count_down();
        gone.recv().unwrap();
    }),
    ("pool, in the drop of a result that nobody takes, and in a hook", || {
        let gone = {
            let (sends, gone) = channel();
            let kept: Arc<Mutex<Option<Arc<Pool>>>> = Arc::default();
            let in_hook = Arc::clone(&kept);
            let builder = Pool::builder().workers(..=1).keep_alive(Duration::ZERO);
            let pool =
                Arc::new(builder.on_exit(move || drop(in_hook.lock().unwrap().take())).build().unwrap());
            *kept.lock().unwrap() = Some(Arc::clone(&pool));
            let own = Arc::clone(&pool);
            let result = move || AtExit(Some(move || drop((own, sends.send(()).unwrap()))));
            drop(pool.submit(result).unwrap());
            gone
        };
        gone.recv().unwrap();
    }),
    ("batcher, in a thread-local", || {
        let kept: Arc<Mutex<Option<Arc<Batcher<u8>>>>> = Arc::default();
        let (sends, gone) = channel();
        let taken = Arc::clone(&kept);
        let handler = move |_: &mut Batch<u8>| {
            let batcher = taken.lock().unwrap().take();
            if let Some(batcher) = batcher {
                let closed = Arc::clone(&batcher);
                keep_in_thread_local(batcher, sends.clone());
                drop(closed.close());
            }
        };
        let batcher = Arc::new(Batcher::builder().build(handler).unwrap());
        *kept.lock().unwrap() = Some(Arc::clone(&batcher));
        batcher.add(1).unwrap();
        drop(batcher);
        gone.recv().unwrap();
    }),
    ("batcher, in its handler", || {
        let kept: Arc<Mutex<Option<Arc<Batcher<u8>>>>> = Arc::default();
        let (sends, gone) = channel();
        let taken = Arc::clone(&kept);
        let handler = move |_: &mut Batch<u8>| {
            drop(taken.lock().unwrap().take());
            sends.send(()).unwrap();
        };
        let batcher = Arc::new(Batcher::builder().build(handler).unwrap());
        *kept.lock().unwrap() = Some(Arc::clone(&batcher));
        batcher.add(1).unwrap();
        drop(batcher);
        gone.recv().unwrap();
    }),
    ("threads of the crate, joined from a helper's thread-local", || {
        let (sends, gone) = channel();
        timeout::run(Duration::from_secs(60), move |_| {
            let told = AtExit(Some(|| {
                assert_eq!(group::join_threads(SHORT).unwrap_err().error, WaitError::WouldDeadlock);
            }));
            keep_in_thread_local(told, sends);
        })
        .unwrap();
        group::join_threads(Duration::from_secs(60)).unwrap();
        gone.recv().unwrap();
    }),
];

#[test]
fn last_handle_dropped_on_its_own_thread_leaves_the_thread_to_end() {
    match child::case() {
        Some(name) => (LAST_HANDLES.iter().find(|(case, _)| *case == name).unwrap().1)(),
        None => child::run_all(
            "last_handle_dropped_on_its_own_thread_leaves_the_thread_to_end",
            LAST_HANDLES.iter().map(|(name, _)| *name),
        ),
    }
}

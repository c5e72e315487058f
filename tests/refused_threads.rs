//! The system refuses every thread: what the caller can do it does, what it cannot do fails with an error,
//! nothing hangs, and all is well once there are threads again.
//!
//! A program of its own: each case runs it again in another process, whose address space is limited and then
//! used up.
#![cfg(target_os = "linux")]
#![allow(clippy::unit_arg, reason = "a task that only counts down is one expression")]

mod common;

use std::panic::AssertUnwindSafe;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use common::{HOUR, child, within_a_minute};
use selvedge::batch::{self, Batch};
use selvedge::error::WaitError;
use selvedge::group::{self, Group};
use selvedge::pool::BuildError;
use selvedge::{Batcher, CancelToken, Latch, Pipeline, Pool, timeout};

const SOON: Duration = Duration::from_millis(10);

/// While this lives no thread can be started in this process.
struct Refusal {
    /// Memory that is reserved and never touched.
    _memory: Vec<Vec<u8>>,
    /// Threads that have the stacks which the C library kept.
    parked: Vec<JoinHandle<()>>,
    end: Option<Sender<()>>,
}

impl Refusal {
    /// What a thread's stack takes at least; std's default.
    const STACK: usize = 2 << 20;

    fn begin() -> Self {
        let (end, ends) = channel::<()>();
        let ends = Arc::new(Mutex::new(ends));
        // What the child goes on with itself, from the heap: blocks that are small enough to lie there, of
        // which the last stays, so that the others are not given back to the system.
        let mut heap: Vec<Vec<u8>> = (0..32).map(|_| vec![1; 64 << 10]).collect();
        let last = heap.pop();
        // Given back at the end: for the small maps of the threads that are there, and too small for a stack.
        // Not the last chunk below, whose size depends on how much is left: it may be room for many stacks.
        let spare: Vec<u8> = Vec::with_capacity(Self::STACK / 4);
        let mut memory = Vec::with_capacity(1 << 10);
        let mut size = 1 << 40;
        while size >= Self::STACK / 4 {
            let mut chunk = Vec::new();
            match chunk.try_reserve_exact(size) {
                Ok(()) => memory.push(chunk),
                Err(_) => size /= 2,
            }
        }
        drop((heap, spare));
        memory.extend(last);
        let parked = std::iter::from_fn(|| Self::park(&ends)).collect();
        Refusal { _memory: memory, parked, end: Some(end) }
    }

    fn park(ends: &Arc<Mutex<Receiver<()>>>) -> Option<JoinHandle<()>> {
        let ends = Arc::clone(ends);
        let park = move || drop(ends.lock().map(|ends| ends.recv()));
        thread::Builder::new().spawn(park).ok()
    }
}

impl Drop for Refusal {
    fn drop(&mut self) {
        drop(self.end.take());
        self.parked.drain(..).for_each(|thread| thread.join().unwrap());
    }
}

/// A helper that is busy, and so does not leave before it is needed.
struct Busy {
    group: Group<()>,
    end: Arc<Latch>,
}

impl Busy {
    fn helper() -> Self {
        let (group, end) = (Group::new(&CancelToken::new()), Arc::new(Latch::new(1)));
        let (begun, waits) = (Arc::new(Latch::new(1)), Arc::clone(&end));
        let begins = Arc::clone(&begun);
        group
            .spawn(move |_| {
                begins.count_down();
                waits.wait();
                Ok(())
            })
            .unwrap();
        begun.wait();
        Busy { group, end }
    }

    /// The helper is free, or as good as free.
    fn finish(self) {
        self.end.count_down();
        assert_eq!(self.group.wait(), Ok(()));
    }
}

fn ok(_: &CancelToken) -> Result<(), ()> {
    Ok(())
}

/// What each case shows: name, and what it does.
const CASES: &[(&str, fn())] = &[
    ("nothing", || {
        let refusal = Refusal::begin();
        assert!(thread::Builder::new().spawn(|| ()).is_err(), "the harness refuses threads");
        drop(refusal);
        thread::spawn(|| ()).join().unwrap();
    }),
    ("callbacks at a deadline", || {
        let refusal = Refusal::begin();
        let (sends, rings) = channel();
        let sends = [sends.clone(), sends];
        let tokens = [0, 1].map(|_| CancelToken::new().child_until(SOON));
        let guards: Vec<_> =
            (0..2).zip(sends).map(|(n, sends)| tokens[n].on_cancel(move || sends.send(n).unwrap())).collect();
        let done = CancelToken::new().child_until(SOON);
        let done = done.done();
        drop(refusal);
        // Any sleep in the crate asks for the thread again.
        let _ = Latch::new(1).wait_until(SOON);
        let mut rung: Vec<usize> = rings.iter().take(2).collect();
        rung.sort_unstable();
        assert_eq!(rung, [0, 1]);
        assert!(done.recv().is_err());
        drop(guards);
    }),
    ("a second callback at a deadline", || {
        let (sends, rings) = channel();
        let set = |sends: Sender<()>| {
            let token = CancelToken::new().child_until(SOON);
            token.on_cancel(move || sends.send(()).unwrap()).keep();
            token
        };
        let refusal = Refusal::begin();
        let first = set(sends.clone());
        drop(refusal);
        let second = set(sends);
        (0..2).for_each(|_| rings.recv().unwrap());
        assert!(first.is_cancelled() && second.is_cancelled());
    }),
    ("pool", || {
        let elastic = Pool::builder().workers(0..=1).build().unwrap();
        let busy = Pool::builder().workers(1..=2).build().unwrap();
        let spare = Pool::builder().workers(1).spares(1).build().unwrap();
        let refusal = Refusal::begin();
        assert!(matches!(Pool::builder().workers(1).build(), Err(BuildError::Spawn(_))));
        assert!(matches!(busy.resize(3), Err(BuildError::Spawn(_))));
        // With no worker the submitter runs the task; with one it waits for that one.
        assert_eq!(elastic.submit(|| 7).unwrap().join().unwrap(), 7);
        for pool in [&busy, &spare] {
            let gate = Arc::new(Latch::new(1));
            let waits = Arc::clone(&gate);
            let first = pool.submit(move || waits.wait()).unwrap();
            let second = pool.submit(|| 7).unwrap();
            gate.count_down();
            first.join().unwrap();
            assert_eq!(second.join().unwrap(), 7);
        }
        drop(refusal);
        let pool = Pool::builder().workers(1).build().unwrap();
        let tasks =
            [&elastic, &busy, &spare, &pool].map(|pool| pool.submit(|| thread::current().id()).unwrap());
        tasks.into_iter().for_each(|task| assert_ne!(task.join().unwrap(), thread::current().id()));
    }),
    ("scope", || {
        let refusal = Refusal::begin();
        let ran = Latch::new(3);
        let scope = || {
            group::scope(&CancelToken::new(), |g| {
                (0..2).for_each(|_| g.spawn(|_| Ok::<_, ()>(ran.count_down())));
                g.wait_until(selvedge::Until::forever()).unwrap();
                g.spawn(|_| Ok(ran.count_down()));
                Ok(())
            })
        };
        assert_eq!(scope(), Ok(()));
        assert!(ran.is_open());
        drop(refusal);
        let latch = Latch::new(1);
        let healed = group::scope(&CancelToken::new(), |g| {
            g.spawn(|_| Ok::<_, ()>(latch.count_down()));
            latch.wait();
            Ok(())
        });
        assert_eq!(healed, Ok(()));
    }),
    ("join in a body", || {
        let refusal = Refusal::begin();
        let here = thread::current().id();
        let stop = CancelToken::new();
        let result = group::scope(&stop, |g| {
            let first = g.submit(|_| Ok::<_, ()>(thread::current().id()));
            let second = g.submit(|_| Ok(first.join() == Ok(here)));
            assert_eq!(second.join(), Ok(true));
            g.limit(1);
            let third = g.submit(|_| Ok(3));
            let never = g.submit(|_| Ok(4));
            assert!(never.join_until(SOON).is_err());
            Ok(third.join())
        });
        assert_eq!(result, Ok(Ok(3)));
        let group = Group::<()>::new(&stop);
        assert_eq!(group.submit(move |_| Ok(thread::current().id() == here)).unwrap().join(), Ok(true));
        let task = group.submit(|_| Ok(5)).unwrap();
        drop(refusal);
        // A join with a limit asks for a thread again.
        assert_eq!(task.join_until(HOUR).unwrap(), Ok(5));
        assert_eq!(group.wait(), Ok(()));
    }),
    ("scope on a pool", || {
        let pool = Pool::builder().workers(..=1).build().unwrap();
        let refusal = Refusal::begin();
        let here = thread::current().id();
        let body_is_done = Mutex::new(false);
        let result = pool.scope(&CancelToken::new(), |g| {
            g.spawn(|_| {
                // Not in the middle of the body.
                assert!(*body_is_done.lock().unwrap());
                Ok::<_, ()>(assert_eq!(thread::current().id(), here))
            });
            *body_is_done.lock().unwrap() = true;
            Ok(())
        });
        assert_eq!(result, Ok(()));
        drop(refusal);
        let latch = Latch::new(1);
        let healed = pool.scope(&CancelToken::new(), |g| {
            g.spawn(|_| Ok::<_, ()>(latch.count_down()));
            latch.wait();
            Ok(())
        });
        assert_eq!(healed, Ok(()));
    }),
    ("group", || {
        let group = Group::<()>::new(&CancelToken::new());
        let refusal = Refusal::begin();
        group.spawn(ok).unwrap();
        assert_eq!(group.wait_until(SOON).unwrap_err().error, WaitError::TimedOut);
        assert_eq!(group.wait(), Ok(()));
        group.spawn(ok).unwrap();
        assert_eq!(group.wait_until(selvedge::Until::forever()).unwrap(), Ok(()));
        group.spawn(ok).unwrap();
        drop(refusal);
        // The wait asks for a thread again.
        assert_eq!(group.wait_until(HOUR).unwrap(), Ok(()));
    }),
    ("timeout", || {
        let refusal = Refusal::begin();
        let here = thread::current().id();
        assert_eq!(timeout::run(HOUR, |_| thread::current().id()).unwrap(), here);
        drop(refusal);
        assert_ne!(timeout::run(HOUR, |_| thread::current().id()).unwrap(), here);
    }),
    ("batcher", || {
        let build = || Batcher::builder().build(|_: &mut Batch<u8>| ());
        let refusal = Refusal::begin();
        assert!(matches!(build(), Err(batch::BuildError::Spawn(_))));
        drop(refusal);
        assert!(build().unwrap().submit(1).unwrap().join().is_ok());
    }),
    ("par_map", || {
        let stop = CancelToken::new();
        let runs = || {
            let numbers = || Pipeline::source(0..200_u32);
            assert_eq!(numbers().par_map(2, |n| n).count(), 200);
            assert_eq!(numbers().par_map(2, |n| n).ordered(false).count(), 200);
            assert_eq!(numbers().par_map(2, |n| n).par_map(2, |n| n).ordered(false).bound(4).count(), 200);
            assert_eq!(numbers().cancelled_by(&stop).par_map(2, |n| n).buffered(3).count(), Ok(200));
            assert_eq!(numbers().chunks_within(7, HOUR).map(|chunk| chunk.len()).fold(0, |a, b| a + b), 200);
        };
        let refusal = Refusal::begin();
        runs();
        drop(refusal);
        runs();
    }),
    ("par_map on a pool", || {
        let pool = Pool::builder().workers(..=1).build().unwrap();
        let refusal = Refusal::begin();
        assert_eq!(Pipeline::source(0..200).par_map(2, |n| n).bound(2).on(&pool).count(), 200);
        assert_eq!(Pipeline::merge([0..10, 10..20].map(Pipeline::source)).capacity(1).on(&pool).count(), 20);
        drop(refusal);
        assert_eq!(Pipeline::source(0..200).par_map(2, |n| n).on(&pool).count(), 200);
    }),
    ("merge", || {
        let stop = CancelToken::new();
        let runs = || {
            let inputs = || [0..100, 100..200].map(Pipeline::source);
            assert_eq!(Pipeline::merge(inputs()).capacity(1).count(), 200);
            assert_eq!(Pipeline::merge(inputs().map(|input| input.cancelled_by(&stop))).count(), Ok(200));
            assert_eq!(Pipeline::merge(inputs().map(|input| input.par_map(2, |n| n).bound(2))).count(), 200);
            let outputs = Pipeline::source(0..100).broadcast(2, 1);
            assert_eq!(Pipeline::merge(outputs).count(), 200);
            assert_eq!(Pipeline::merge(Pipeline::source(0..100).fan_out(3)).count(), 100);
        };
        let refusal = Refusal::begin();
        runs();
        drop(refusal);
        runs();
    }),
    ("panic in a merge", || {
        let refusal = Refusal::begin();
        let inputs = [0, 5].map(|bad| Pipeline::source(0..10).map(move |n| assert_ne!(n, bad)));
        let panicked = std::panic::catch_unwind(AssertUnwindSafe(|| Pipeline::merge(inputs).count()));
        assert!(panicked.is_err());
        drop(refusal);
    }),
    ("into_channel", || {
        let refusal = Refusal::begin();
        let refused = Pipeline::source(0..10).into_channel(1).unwrap_err();
        assert_eq!(refused.value.count(), 10);
        drop(refusal);
        let (items, pump) = Pipeline::source(0..10).into_channel(1).unwrap();
        assert_eq!(items.iter().count(), 10);
        pump.join();
    }),
    ("a helper that becomes free", || {
        let helper = Busy::helper();
        let refusal = Refusal::begin();
        let ran = Latch::new(1);
        let result = group::scope(&CancelToken::new(), |g| {
            g.spawn(|_| Ok::<_, ()>(ran.count_down()));
            helper.finish();
            // No other thread comes for the task.
            ran.wait();
            Ok(())
        });
        assert_eq!(result, Ok(()));
        drop(refusal);
    }),
    ("second thread of two", || {
        // The first is to be had: it finds that the second is not.
        let helper = Busy::helper();
        let stop = CancelToken::new();
        let refusal = Refusal::begin();
        helper.finish();
        let endless = Pipeline::source(0..).map(|n| n % 2).buffered(2);
        let taken: Vec<i32> =
            endless.cancelled_by(&stop).par_map(1, |n| n).ordered(false).take(100).collect().unwrap();
        assert_eq!(taken.len(), 100);
        // The first input is silent until the second has run.
        let latch = Arc::new(Latch::new(1));
        let inputs = [0, 1].map(|input| {
            let latch = Arc::clone(&latch);
            Pipeline::source(0..1).map(move |_| if input == 0 { latch.wait() } else { latch.count_down() })
        });
        assert_eq!(Pipeline::merge(inputs).count(), 2);
        drop(refusal);
    }),
];

/// Fails if a call for which no thread was to be had is dropped (edit `cache-refused-call-is-dropped`).
#[test]
fn refused_threads_hang_nobody_and_are_asked_for_again() {
    let test = "refused_threads_hang_nobody_and_are_asked_for_again";
    match child::case() {
        Some(name) => {
            let case = CASES.iter().find(|(case, _)| *case == name).unwrap().1;
            // On a thread that is there already: the watchdog's is started before the threads are refused.
            within_a_minute(case);
        }
        None => child::run_all_limited(test, CASES.iter().map(|(name, _)| *name)),
    }
}

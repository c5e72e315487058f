//! Misfortunes that the crate once had.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use crate::common::{HOUR, eventually, figure, within_a_minute};
use selvedge::error::WaitError;
use selvedge::{BoundedQueue, CancelToken, Clock, Latch, Pool, Semaphore, Task, Until, group};

/// Waits until `other` has come to `round`, at first without leaving the processor: the two are to go on in
/// the same moment.
fn meet(other: &AtomicUsize, round: usize) {
    let mut looks = 0;
    while other.load(SeqCst) < round {
        looks += 1;
        if looks % 256 == 0 {
            std::thread::yield_now();
        }
        std::hint::spin_loop();
    }
}

#[test]
fn child_made_while_its_parent_is_cancelled_is_cancelled() {
    within_a_minute(|| {
        // Each is a meeting of two threads, which beside busy neighbours takes half a millisecond.
        let rounds = 10_000;
        let parents: Arc<Vec<CancelToken>> = Arc::new((0..rounds).map(|_| CancelToken::new()).collect());
        let at = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
        let canceller = std::thread::spawn({
            let (p, at) = (parents.clone(), at.clone());
            move || {
                for (i, t) in p.iter().enumerate() {
                    at.0.store(i + 1, SeqCst);
                    meet(&at.1, i + 1);
                    for _ in 0..(i % 64) {
                        std::hint::spin_loop();
                    }
                    t.cancel();
                }
            }
        });
        let mut missed = 0;
        let mut children = Vec::new();
        for (i, t) in parents.iter().enumerate() {
            at.1.store(i + 1, SeqCst);
            meet(&at.0, i + 1);
            for _ in 0..8 {
                children.push((i, t.child()));
            }
        }
        canceller.join().unwrap();
        for (_, c) in &children {
            missed += usize::from(!c.is_cancelled());
        }
        assert_eq!(missed, 0);
    });
}

#[test]
fn child_until_a_deadline_on_another_clock_panics() {
    let clock = Clock::manual();
    let other = CancelToken::with_clock(&clock).child_until(HOUR);
    assert!(catch_unwind(AssertUnwindSafe(|| CancelToken::new().child_until(&other))).is_err());
}

#[test]
fn body_that_fails_first_is_not_overtaken_by_the_task_it_woke() {
    within_a_minute(|| {
        let started = Latch::new(1);
        let result = group::scope(&CancelToken::new(), |g| {
            g.spawn(|token| {
                started.count_down();
                token.wait();
                Err("woken")
            });
            started.wait();
            Err::<(), _>("body")
        });
        assert_eq!(result, Err(group::Error::Failed("body")));
    });
}

#[test]
fn panicking_callback_of_the_scopes_token_still_waits_for_every_task() {
    within_a_minute(|| {
        let ended: &'static AtomicBool = Box::leak(Box::default());
        let result = catch_unwind(AssertUnwindSafe(|| {
            let started = Arc::new(Latch::new(1));
            group::scope(&CancelToken::new(), |g| {
                g.token().on_cancel(|| panic!("callback")).keep();
                let s = started.clone();
                g.spawn(move |token| {
                    s.count_down();
                    let token = token.clone();
                    token.wait();
                    for _ in 0..10_000 {
                        std::thread::yield_now();
                    }
                    ended.store(true, SeqCst);
                    Ok(())
                });
                started.wait();
                Err::<(), _>("body")
            })
        }));
        assert!(ended.load(SeqCst), "scope came back while a task ran: {result:?}");
    });
}

#[test]
fn callback_that_panics_at_a_deadline_leaves_the_scope_cancelled() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let token = CancelToken::with_clock(&clock);
        let ran = AtomicBool::new(false);
        let inner = token.child_until(HOUR);
        inner.on_cancel(|| panic!("cb")).keep();
        let r = catch_unwind(AssertUnwindSafe(|| {
            group::scope(&inner, |g| {
                let _ = catch_unwind(AssertUnwindSafe(|| clock.advance(HOUR)));
                g.spawn(|_| {
                    ran.store(true, SeqCst);
                    Ok::<(), ()>(())
                });
                Ok(())
            })
        }));
        assert!(!matches!(r, Ok(Ok(()))), "{r:?} ran {ran:?}");
    });
}

#[test]
fn task_that_joins_itself_on_another_thread_is_refused() {
    within_a_minute(|| {
        let pool = Pool::builder().workers(1).build().unwrap();
        let gate = Arc::new(Latch::new(1));
        let g = gate.clone();
        pool.execute(move || g.wait()).unwrap();
        let (s, r) = mpsc::channel::<Task<String>>();
        let (out, res) = mpsc::channel();
        let t = pool
            .submit(move || {
                let own = r.recv().unwrap();
                let e = format!("{:?}", own.join().err());
                out.send(e).unwrap();
                String::new()
            })
            .unwrap();
        s.send(t).unwrap();
        let report = std::thread::scope(|sc| {
            let a = sc.spawn(|| pool.abort());
            while !pool.is_closed() {
                std::thread::yield_now();
            }
            while pool.stats().queued > 0 {
                std::thread::yield_now();
            }
            gate.count_down();
            a.join().unwrap()
        });
        for u in report.unstarted {
            u.run();
        }
        assert_eq!(res.recv().unwrap(), "Some(WouldDeadlock)");
    });
}

#[test]
fn task_is_counted_by_the_time_it_is_joined() {
    within_a_minute(|| {
        let pool = Pool::builder().workers(1).build().unwrap();
        for n in 1..=20_000 {
            pool.submit(|| ()).unwrap().join().unwrap();
            assert_eq!(pool.stats().completed, n);
        }
    });
}

#[test]
fn replacing_the_token_leaves_the_time_on_its_clock() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let (a, b) = (CancelToken::with_clock(&clock), CancelToken::new());
        let queue = BoundedQueue::<u32>::new(1);
        std::thread::scope(|s| {
            let late =
                s.spawn(|| queue.pop_until(Until::from((&a, Duration::from_millis(50))).or_cancelled(&b)));
            clock.wait_for_sleepers(1);
            clock.advance(Duration::from_millis(50));
            assert_eq!(late.join().unwrap(), Err(WaitError::TimedOut));
        });
    });
}

#[test]
fn cancelled_token_refuses_an_empty_batch_too() {
    let t = CancelToken::new();
    t.cancel();
    let queue = BoundedQueue::<u32>::new(1);
    assert!(queue.push_all_until([], &t).is_err());
}

#[test]
fn callback_that_panics_at_a_deadline_leaves_no_waiter_listed() {
    within_a_minute(|| {
        // The alarm thread is kept busy, so that the sleeper itself finds its token's deadline passed.
        let (gate, blocked) = (Arc::new(Latch::new(1)), Arc::new(Latch::new(1)));
        // On a busy machine the deadline may pass before the callback is registered, which then runs here.
        let mut time = Duration::from_millis(1);
        while !keeps_the_alarm_thread(time, &gate, &blocked) {
            time *= 4;
        }
        // As here, before both are in line: then it is tried with more time.
        let mut time = Duration::from_millis(100);
        while !waiter_behind_a_deadline_goes_on(time) {
            time *= 4;
        }
        gate.count_down();
    });
}

/// Lets a callback at a deadline wait for the gate, on the alarm thread. False if it was called on this one.
fn keeps_the_alarm_thread(time: Duration, gate: &Arc<Latch>, blocked: &Arc<Latch>) -> bool {
    let (here, called_here) = (std::thread::current().id(), Arc::new(AtomicBool::new(false)));
    let token = CancelToken::new().child_until(time);
    let (gate, begins, calls) = (gate.clone(), blocked.clone(), called_here.clone());
    token
        .on_cancel(move || {
            if std::thread::current().id() == here {
                calls.store(true, SeqCst);
            } else {
                begins.count_down();
                gate.wait();
            }
        })
        .keep();
    if called_here.load(SeqCst) {
        return false;
    }
    blocked.wait();
    true
}

/// Lets a waiter at the front give up at a deadline whose callback panics, and the next go on. False if the
/// front gave up before the next was in line, or the deadline had passed before there was a callback.
fn waiter_behind_a_deadline_goes_on(time: Duration) -> bool {
    let semaphore = Arc::new(Semaphore::new(2));
    let _held = semaphore.acquire().unwrap();
    let token = CancelToken::new().child_until(time);
    let callback = || token.on_cancel(|| std::panic::resume_unwind(Box::new("callback"))).keep();
    if catch_unwind(AssertUnwindSafe(callback)).is_err() {
        return false;
    }
    let front = std::thread::spawn({
        let (s, t) = (semaphore.clone(), token.clone());
        move || catch_unwind(AssertUnwindSafe(|| s.acquire_many_until(2, &t).map(drop))).is_err()
    });
    let waiting = |count| figure(&semaphore, "waiting") == Some(count);
    eventually("the front waits", || waiting(1) || front.is_finished());
    let behind = std::thread::spawn({
        let s = semaphore.clone();
        move || s.acquire().map(drop)
    });
    let mut both = false;
    eventually("the next waits", || {
        both |= waiting(2);
        both || behind.is_finished()
    });
    front.join().unwrap();
    assert_eq!(behind.join().unwrap(), Ok(()));
    both
}

//! The reused threads behind scopes, groups and time-outs: counted, named, reused, sent away and joined.
//!
//! A file of its own, because other tests in the same process would have some of these threads too. For the
//! same reason its tests take turns.

mod common;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::channel;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::{HOUR, eventually, within_a_minute};
use selvedge::error::WaitError;
use selvedge::group::{self, Group, join_threads, threads};
use selvedge::{CancelToken, Latch, Pipeline, timeout};

fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many of our helpers the operating system has; `None` where it does not tell.
fn in_the_system() -> Option<usize> {
    named("selvedge-helper")
}

/// How many threads the operating system has whose names begin so; `None` where it does not tell.
fn named(start: &str) -> Option<usize> {
    let tasks = std::fs::read_dir("/proc/self/task").ok()?;
    let name = |task: std::io::Result<std::fs::DirEntry>| {
        // A thread may end while we look.
        std::fs::read_to_string(task.ok()?.path().join("comm")).ok()
    };
    // The system keeps 15 characters of a name.
    Some(tasks.filter_map(name).filter(|name| name.starts_with(start)).count())
}

/// Tasks that all run at once, so that each has a thread.
fn meet(tasks: usize) {
    let latch = Latch::new(tasks + 1);
    let result = group::scope(&CancelToken::new(), |g| {
        for _ in 0..tasks {
            g.spawn(|_| {
                latch.count_down();
                latch.wait();
                Ok::<_, ()>(())
            });
        }
        latch.count_down();
        latch.wait();
        Ok(())
    });
    assert_eq!(result, Ok(()));
}

#[test]
fn joined_threads_are_gone_from_the_system() {
    let _turn = turn();
    within_a_minute(|| {
        meet(5);
        let before = threads();
        assert!(before.alive >= 5 && before.started >= before.alive, "{before:?}");
        if let Some(count) = in_the_system() {
            assert_eq!(count, before.alive);
        }
        join_threads(HOUR).unwrap();
        assert_eq!((threads().alive, threads().idle), (0, 0));
        assert_eq!(in_the_system().unwrap_or(0), 0);
        join_threads(Duration::ZERO).unwrap(); // with nobody there, nothing is waited for
        meet(2); // and new ones are started
        assert!(threads().alive >= 2);
        join_threads(HOUR).unwrap();
    });
}

#[test]
fn planted_leak_is_seen_by_the_join_and_by_the_system_until_it_ends() {
    let _turn = turn();
    within_a_minute(|| {
        join_threads(HOUR).unwrap();
        let (release, never) = channel::<()>();
        let group = Group::<()>::new(&CancelToken::new());
        group
            .spawn(move |_| {
                never.recv().unwrap_err(); // no call of ours, so no cancel reaches it
                Ok(())
            })
            .unwrap();
        let late = join_threads(Duration::from_millis(20)).unwrap_err();
        assert_eq!((late.error, late.value.alive), (WaitError::TimedOut, 1));
        // It names itself when it begins to run.
        eventually("the system has the leak that was planted", || in_the_system().unwrap_or(1) == 1);
        drop(release);
        join_threads(HOUR).unwrap();
        assert_eq!(in_the_system().unwrap_or(0), 0);
        assert_eq!(group.wait(), Ok(()));
    });
}

#[test]
fn cancelled_join_of_the_threads_returns_and_leaves_them_usable() {
    let _turn = turn();
    within_a_minute(|| {
        let (token, gate) = (CancelToken::new(), Latch::new(1));
        let result = group::scope(&CancelToken::new(), |g| {
            g.spawn(|_| {
                gate.wait();
                Ok::<_, ()>(())
            });
            token.cancel();
            assert_eq!(join_threads(&token).unwrap_err().error, WaitError::Cancelled);
            gate.count_down();
            Ok(())
        });
        assert_eq!(result, Ok(()));
        meet(2);
        eventually("helpers are idle again", || threads().idle > 0);
        join_threads(HOUR).unwrap();
    });
}

#[test]
fn joining_the_threads_from_one_of_them_is_refused_at_once() {
    let _turn = turn();
    within_a_minute(|| {
        let refused = timeout::run(HOUR, |_| join_threads(HOUR).unwrap_err()).unwrap();
        assert_eq!(refused.error, WaitError::WouldDeadlock);
        assert!(refused.to_string().contains("wait for itself"), "{refused}");
        assert!(refused.value.alive >= 1);
    });
}

#[test]
fn threads_are_named_and_reused() {
    let _turn = turn();
    within_a_minute(|| {
        let name = || std::thread::current().name().unwrap_or_default().to_owned();
        let first = timeout::run(HOUR, move |_| name()).unwrap();
        assert!(first.starts_with("selvedge-helper-"), "{first}");
        let before = threads().started;
        for _ in 0..200 {
            timeout::run(HOUR, |_| ()).unwrap();
            meet(1);
        }
        // Back in the list a moment after its caller is, a thread may miss the next call now and then.
        assert!(threads().started - before < 50, "{} before, {:?}", before, threads());
    });
}

#[test]
fn idle_threads_leave_by_themselves() {
    let _turn = turn();
    within_a_minute(|| {
        meet(3);
        assert!(threads().alive >= 3);
        eventually("all have left", || threads().alive == 0);
        // The last one's handle waits for whoever comes next; its thread ends at once.
        eventually("the system has none", || in_the_system().unwrap_or(0) == 0);
    });
}

#[test]
fn tasks_go_on_while_somebody_joins_the_threads() {
    let _turn = turn();
    within_a_minute(|| {
        let (ready, gate) = (Latch::new(1), Latch::new(1));
        let ended = std::thread::scope(|s| {
            let result = group::scope(&CancelToken::new(), |g| {
                g.spawn(|_| {
                    ready.count_down();
                    gate.wait();
                    meet(2); // needs threads of its own, while nobody may stay idle
                    Ok::<_, ()>(())
                });
                ready.wait();
                let join = s.spawn(|| join_threads(HOUR).is_ok());
                gate.count_down();
                Ok(join)
            });
            result.unwrap().join().unwrap()
        });
        assert!(ended);
        assert_eq!(threads().alive, 0);
    });
}

#[test]
fn deadline_rings_although_the_thread_for_alarms_has_ended() {
    let _turn = turn();
    within_a_minute(|| {
        for _ in 0..3 {
            let (rings, rung) = channel();
            let token = CancelToken::new().child_until(Duration::from_millis(1));
            token.on_cancel(move || rings.send(()).unwrap()).keep();
            rung.recv().unwrap();
            // With nothing left to ring it ends; the next alarm needs another.
            eventually("nobody waits for alarms", || named("selvedge-alarms").is_none_or(|count| count == 0));
        }
    });
}

/// The most threads alive at once, looked at after each of `rounds`.
fn peak(rounds: usize, mut round: impl FnMut()) -> usize {
    // None that an earlier test has left.
    join_threads(HOUR).unwrap();
    (0..rounds)
        .map(|_| {
            round();
            threads().alive
        })
        .max()
        .unwrap_or_default()
}

/// Threads that have given their result and been preempted before they are free: another is started
/// meanwhile. Several at once are rare, and their number does not grow with the rounds.
const PREEMPTED: usize = 5;

/// Does `f` while two threads use all the processors that they get.
fn beside_busy_threads<R>(f: impl FnOnce() -> R) -> R {
    let over = AtomicBool::new(false);
    std::thread::scope(|s| {
        for _ in 0..2 {
            s.spawn(|| {
                while !over.load(Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let result = f();
        over.store(true, Relaxed);
        result
    })
}

fn scope_of_one_task() {
    let result = group::scope(&CancelToken::new(), |g| {
        g.spawn(|_| Ok::<(), ()>(()));
        Ok(())
    });
    assert_eq!(result, Ok(()));
}

#[test]
fn scopes_of_one_task_in_a_row_share_their_threads() {
    let _turn = turn();
    within_a_minute(|| {
        let most = peak(50_000, scope_of_one_task);
        assert!(most <= PREEMPTED + 3, "{most} threads for one task at a time");
        let most = beside_busy_threads(|| peak(1_000, scope_of_one_task));
        assert!(most <= PREEMPTED + 3, "{most} threads for one task at a time, beside busy threads");
    });
}

#[test]
fn short_pipelines_in_a_row_share_their_threads() {
    let _turn = turn();
    within_a_minute(|| {
        let most = peak(5_000, || {
            assert_eq!(Pipeline::source(0..4).par_map(2, |n| n).count(), 4);
        });
        // Two workers at once, one more that reads, and one that is on its way.
        assert!(most <= PREEMPTED + 5, "{most} threads for two workers");
    });
}

#[test]
fn time_outs_in_a_row_share_their_threads() {
    let _turn = turn();
    within_a_minute(|| {
        let most = peak(5_000, || timeout::run(HOUR, |_| ()).unwrap());
        assert!(most <= PREEMPTED + 3, "{most} threads for one function at a time");
    });
}

#[test]
fn task_of_a_body_that_waits_gets_a_thread_after_any_number_that_did_not_need_one() {
    let _turn = turn();
    within_a_minute(|| {
        for rounds in (0..40).map(|n| n % 7) {
            (0..rounds).for_each(|_| scope_of_one_task());
            meet(2);
        }
    });
}

#[test]
fn helpers_are_counted_and_reused() {
    let _turn = turn();
    within_a_minute(|| {
        (0..200).for_each(|_| scope_of_one_task());
        // A thread a scope would be 200 more.
        assert!(threads().alive < 50, "{:?}", threads());
        let (latch, before) = (Latch::new(5), AtomicUsize::new(0));
        let all = group::scope(&CancelToken::new(), |g| {
            for _ in 0..4 {
                g.spawn(|_| {
                    latch.count_down();
                    latch.wait();
                    Ok::<_, ()>(())
                });
            }
            while latch.count() > 1 {
                std::thread::yield_now();
            }
            before.store(threads().alive, Relaxed);
            latch.count_down();
            Ok(())
        });
        assert_eq!(all, Ok(()));
        assert!(before.load(Relaxed) >= 4);
    });
}

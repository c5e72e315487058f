//! `CancelToken` as its users see it: each watcher is notified once, and nothing is left behind.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{HOUR, eventually, figure, message, until_figure, within_a_minute};
use crossbeam_channel::{RecvTimeoutError, TryRecvError};
use selvedge::cancel::Cause;
use selvedge::error::{Cancelled, WaitError};
use selvedge::{CancelToken, Clock, Until};

/// The length of a chain that would overflow the stack with recursion.
const DEEP: usize = 100_000;

/// A counter, and a callback that increments it.
fn counter() -> (Arc<AtomicUsize>, impl Fn() + Clone + Send + 'static) {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    (calls, move || {
        count.fetch_add(1, SeqCst);
    })
}

#[test]
fn cancel_reaches_every_clone_and_descendant_and_no_ancestor() {
    let root = CancelToken::new();
    let (middle, sibling) = (root.child(), root.child());
    let (leaf, copy) = (middle.child(), middle.clone());
    copy.cancel();
    assert!(middle.is_cancelled() && leaf.is_cancelled());
    assert!(!root.is_cancelled() && !sibling.is_cancelled());
    root.cancel();
    assert!(sibling.is_cancelled());
}

#[test]
fn first_cause_stays_and_children_have_it() {
    let parent = CancelToken::new();
    let (child, own) = (parent.child(), parent.child());
    assert!(parent.cause().is_none());
    own.cancel();
    parent.cancel_because("the disk is full");
    parent.cancel();
    parent.cancel_because("too late");
    for token in [&parent, &child, &parent.child()] {
        let cause = token.cause().unwrap();
        assert_eq!(cause.to_string(), "the disk is full");
        assert!(cause.error().is_some() && !cause.is_deadline());
    }
    assert!(matches!(own.cause(), Some(Cause::Requested)));
}

#[test]
fn cause_returns_the_error_by_its_type() {
    let token = CancelToken::new();
    token.cancel_because(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
    let cause = token.cause().unwrap();
    let error = cause.error().unwrap().downcast_ref::<std::io::Error>().unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    assert!(std::error::Error::source(&cause).is_some());
}

#[test]
fn cancelled_token_answers_every_call_at_once() {
    within_a_minute(|| {
        let token = CancelToken::new();
        token.cancel();
        token.cancel();
        assert_eq!(token.check(), Err(Cancelled));
        assert_eq!(token.sleep(HOUR), Err(Cancelled));
        assert_eq!(token.sleep(Duration::ZERO), Err(Cancelled));
        token.wait();
        assert_eq!(token.wait_until(Duration::ZERO), Ok(()));
        assert_eq!(token.wait_until(&token), Ok(()));
        assert_eq!(token.done().try_recv(), Err(TryRecvError::Disconnected));
        assert!(token.child().is_cancelled());
        assert!(token.child_until(HOUR).is_cancelled());
        assert!(CancelToken::new().child_until(&token).is_cancelled());
        let (calls, count) = counter();
        drop(token.on_cancel(count.clone()));
        token.on_cancel(count).keep();
        assert_eq!(calls.load(SeqCst), 2);
        assert!(token.drop_guard().disarm().is_cancelled());
    });
}

#[test]
fn cancel_wakes_every_sleeper_on_token_and_child() {
    within_a_minute(|| {
        let token = CancelToken::new();
        let child = token.child();
        let waits = thread::spawn({
            let token = token.clone();
            move || token.wait()
        });
        let sleeps = thread::spawn({
            let token = token.clone();
            move || token.sleep(Duration::MAX)
        });
        let below = thread::spawn({
            let child = child.clone();
            move || child.wait_until(HOUR)
        });
        until_figure(&token, "watchers", 3);
        until_figure(&child, "watchers", 1);
        token.cancel();
        waits.join().unwrap();
        assert_eq!(sleeps.join().unwrap(), Err(Cancelled));
        assert_eq!(below.join().unwrap(), Ok(()));
    });
}

#[test]
fn waiting_for_a_token_ends_with_the_limits_token_or_time() {
    within_a_minute(|| {
        let (token, other) = (CancelToken::new(), CancelToken::new());
        assert_eq!(token.wait_until(Duration::ZERO), Err(WaitError::TimedOut));
        assert_eq!(token.wait_until(Instant::now()), Err(WaitError::TimedOut));
        let waits = thread::spawn({
            let (token, other) = (token.clone(), other.clone());
            move || token.wait_until((&other, HOUR))
        });
        until_figure(&token, "watchers", 1);
        until_figure(&other, "watchers", 1);
        other.cancel();
        assert_eq!(waits.join().unwrap(), Err(WaitError::Cancelled));
        until_figure(&token, "watchers", 0);
    });
}

#[test]
fn sleeping_no_time_returns_at_once() {
    assert_eq!(CancelToken::new().sleep(Duration::ZERO), Ok(()));
    assert_eq!(CancelToken::new().sleep(Duration::from_millis(1)), Ok(()));
}

#[test]
fn deep_chain_is_cancelled_without_recursion() {
    within_a_minute(|| {
        let root = CancelToken::new();
        let mut chain = vec![root.clone()];
        for _ in 0..DEEP {
            chain.push(chain[chain.len() - 1].child());
        }
        root.cancel();
        assert!(chain.iter().all(CancelToken::is_cancelled));
    });
}

#[test]
fn deep_chain_is_dropped_without_recursion() {
    within_a_minute(|| {
        for cancel in [false, true] {
            let root = CancelToken::new();
            // Only the last link is held; it keeps all nodes above alive.
            let mut last = root.child();
            for _ in 0..DEEP {
                last = last.child();
            }
            if cancel {
                root.cancel();
                assert!(last.is_cancelled());
            }
            drop(last);
            assert_eq!(figure(&root, "watchers"), Some(0));
        }
    });
}

#[test]
fn deep_chain_by_limits_is_dropped_without_recursion() {
    within_a_minute(|| {
        let other = CancelToken::new();
        let mut last = CancelToken::new();
        for _ in 0..DEEP {
            last = other.child_until(&last);
        }
        drop(last);
        assert_eq!(figure(&other, "watchers"), Some(0));
    });
}

#[test]
fn dropped_children_leave_no_trace_in_their_parent() {
    within_a_minute(|| {
        let parent = CancelToken::new();
        let staying = parent.child();
        for _ in 0..DEEP {
            drop(parent.child());
        }
        assert_eq!(figure(&parent, "watchers"), Some(1));
        let many: Vec<_> = (0..DEEP).map(|_| parent.child_until(HOUR)).collect();
        assert_eq!(figure(&parent, "watchers"), Some(DEEP + 1));
        drop(many);
        assert_eq!(figure(&parent, "watchers"), Some(1));
        parent.cancel();
        assert!(staying.is_cancelled());
    });
}

#[test]
fn callback_runs_once_for_many_cancels() {
    let token = CancelToken::new();
    let (calls, count) = counter();
    let _guard = token.on_cancel(count);
    assert_eq!(calls.load(SeqCst), 0);
    token.cancel();
    token.cancel();
    assert_eq!(calls.load(SeqCst), 1);
}

#[test]
fn callback_of_a_child_runs_when_its_parent_is_cancelled() {
    let token = CancelToken::new();
    let child = token.child();
    let (calls, count) = counter();
    child.on_cancel(count).keep();
    token.cancel();
    assert_eq!(calls.load(SeqCst), 1);
}

#[test]
fn dropped_guard_removes_its_callback() {
    let token = CancelToken::new();
    let (calls, count) = counter();
    drop(token.on_cancel(count.clone()));
    assert_eq!(figure(&token, "watchers"), Some(0));
    token.on_cancel(count).keep();
    token.cancel();
    assert_eq!(calls.load(SeqCst), 1);
}

#[test]
fn callback_that_uses_its_token_finds_it_unlocked() {
    within_a_minute(|| {
        let token = CancelToken::new();
        let (told, hears) = channel();
        token
            .on_cancel({
                let token = token.clone();
                move || {
                    token.cancel();
                    token.wait();
                    assert!(token.child().is_cancelled());
                    let (calls, count) = counter();
                    drop(token.on_cancel(count));
                    told.send((calls.load(SeqCst), format!("{token:?}"))).unwrap();
                }
            })
            .keep();
        token.cancel_because("why not");
        let (calls, shown) = hears.recv().unwrap();
        assert_eq!(calls, 1);
        assert!(shown.contains("cancelled: true"), "{shown}");
        assert_eq!(token.cause().unwrap().to_string(), "why not");
    });
}

#[test]
fn callback_that_is_dropped_unused_may_use_its_token() {
    struct Looks(CancelToken);
    impl Drop for Looks {
        fn drop(&mut self) {
            drop(self.0.child());
            assert_eq!(figure(&self.0, "watchers"), Some(0));
        }
    }
    within_a_minute(|| {
        let token = CancelToken::new();
        let looks = Looks(token.clone());
        drop(token.on_cancel(move || drop(looks)));
    });
}

#[test]
fn panicking_callback_delays_no_notification() {
    within_a_minute(|| {
        let token = CancelToken::new();
        let (calls, count) = counter();
        token.on_cancel(count.clone()).keep();
        token.on_cancel(|| std::panic::resume_unwind(Box::new("the first"))).keep();
        token.on_cancel(|| std::panic::resume_unwind(Box::new("the second"))).keep();
        token.on_cancel(count.clone()).keep();
        let child = token.child();
        child.on_cancel(count).keep();
        let sleeper = thread::spawn({
            let child = child.clone();
            move || child.wait()
        });
        until_figure(&child, "watchers", 2);
        let payload = catch_unwind(AssertUnwindSafe(|| token.cancel())).unwrap_err();
        assert_eq!(message(&*payload), "the first");
        assert_eq!(calls.load(SeqCst), 3);
        sleeper.join().unwrap();
        assert!(child.is_cancelled());
    });
}

#[test]
fn drop_guard_cancels_at_every_end_of_its_scope() {
    let token = CancelToken::new();
    drop(token.drop_guard().disarm());
    assert!(!token.is_cancelled());
    let ended = catch_unwind(AssertUnwindSafe(|| {
        let _guard = token.drop_guard();
        std::panic::resume_unwind(Box::new("on purpose"));
    }));
    assert!(ended.is_err() && token.is_cancelled());
}

#[test]
fn callbacks_panic_leaves_a_drop_guard_unless_another_unwinds() {
    let token = CancelToken::new();
    token.on_cancel(|| std::panic::resume_unwind(Box::new("the callback's"))).keep();
    let ended = catch_unwind(AssertUnwindSafe(|| drop(token.drop_guard())));
    assert_eq!(ended.unwrap_err().downcast_ref(), Some(&"the callback's"));
    let token = CancelToken::new();
    token.on_cancel(|| std::panic::resume_unwind(Box::new("the callback's"))).keep();
    let ended = catch_unwind(AssertUnwindSafe(|| {
        let _guard = token.drop_guard();
        std::panic::resume_unwind(Box::new("the scope's"));
    }));
    assert_eq!(ended.unwrap_err().downcast_ref(), Some(&"the scope's"));
    assert!(token.is_cancelled());
}

#[test]
fn token_is_cancelled_at_its_deadline_and_not_before() {
    let clock = Clock::manual();
    let token = CancelToken::with_clock(&clock).child_until(HOUR);
    assert_eq!(token.deadline(), Some(clock.now() + HOUR));
    clock.advance(HOUR - Duration::from_nanos(1));
    assert!(!token.is_cancelled() && token.cause().is_none());
    clock.advance(Duration::from_nanos(1));
    assert!(token.is_cancelled() && token.cause().unwrap().is_deadline());
    assert_eq!(token.check(), Err(Cancelled));
}

#[test]
fn childs_deadline_is_never_later_than_its_parents() {
    let clock = Clock::manual();
    let parent = CancelToken::with_clock(&clock).child_until(HOUR);
    assert_eq!(parent.child().deadline(), parent.deadline());
    assert_eq!(parent.child_until(HOUR * 2).deadline(), parent.deadline());
    assert_eq!(parent.child_until(Duration::MAX).deadline(), parent.deadline());
    assert_eq!(parent.child_until(Until::forever()).deadline(), parent.deadline());
    assert_eq!(parent.child_until(HOUR / 2).deadline(), Some(clock.now() + HOUR / 2));
    let late = parent.child_until(clock.now() + HOUR * 3);
    clock.advance(HOUR);
    assert!(late.is_cancelled());
}

#[test]
fn childs_earlier_deadline_leaves_its_parent_alone() {
    let clock = Clock::manual();
    let parent = CancelToken::with_clock(&clock).child_until(HOUR);
    let child = parent.child_until(HOUR / 2);
    clock.advance(HOUR / 2);
    assert!(child.is_cancelled() && !parent.is_cancelled());
}

#[test]
fn deadline_in_the_past_cancels_the_child_at_once() {
    let token = CancelToken::new();
    let now = Instant::now();
    assert!(token.child_until(now).cause().unwrap().is_deadline());
    assert!(token.child_until(Duration::ZERO).is_cancelled());
    assert!(!token.is_cancelled());
    assert_eq!(token.child_until(Duration::MAX).deadline(), None);
}

#[test]
fn child_until_a_token_is_cancelled_with_it_and_its_cause() {
    let (parent, other) = (CancelToken::new(), CancelToken::new());
    let child = parent.child_until(&other);
    assert!(!child.is_cancelled());
    other.cancel_because("the other one");
    assert_eq!(child.cause().unwrap().to_string(), "the other one");
    assert!(!parent.is_cancelled());
    assert!(parent.child_until(&other).is_cancelled());
}

#[test]
fn child_until_a_token_follows_its_parent_too_and_leaves_both_when_dropped() {
    let (parent, other) = (CancelToken::new(), CancelToken::new());
    drop(parent.child_until(&other));
    assert_eq!((figure(&parent, "watchers"), figure(&other, "watchers")), (Some(0), Some(0)));
    let child = parent.child_until((&other, HOUR));
    assert_eq!((figure(&parent, "watchers"), figure(&other, "watchers")), (Some(1), Some(1)));
    parent.cancel();
    assert!(child.is_cancelled() && !other.is_cancelled());
    drop(child);
    assert_eq!(figure(&other, "watchers"), Some(0));
}

#[test]
fn child_until_a_token_has_the_earliest_of_three_deadlines() {
    let clock = Clock::manual();
    let root = CancelToken::with_clock(&clock);
    let (hour, two, three) = (HOUR, HOUR * 2, HOUR * 3);
    for (parent, other, own) in [(hour, two, three), (three, hour, two), (two, three, hour)] {
        let child = root.child_until(parent).child_until((&root.child_until(other), own));
        assert_eq!(child.deadline(), Some(clock.now() + hour));
    }
}

#[test]
fn deadline_on_the_systems_clock_disconnects_done_without_a_waiter() {
    within_a_minute(|| {
        let token = CancelToken::new().child_until(Duration::from_millis(5));
        // `recv` is crossbeam's, so no thread sleeps in this crate.
        assert!(token.done().recv().is_err());
        assert!(token.cause().unwrap().is_deadline());
        let child = CancelToken::new().child_until(Duration::from_millis(5)).child();
        assert!(child.done().recv().is_err());
    });
}

#[test]
fn deadline_on_the_systems_clock_runs_its_callback_without_a_waiter() {
    within_a_minute(|| {
        let (told, hears) = channel();
        for millis in [20, 5, 10] {
            let told = told.clone();
            let token = CancelToken::new().child_until(Duration::from_millis(millis));
            let copy = token.clone();
            // The callback keeps its token alive.
            token.on_cancel(move || told.send((millis, copy.is_cancelled())).unwrap()).keep();
        }
        let mut heard: Vec<_> = hears.iter().take(3).collect();
        heard.sort_unstable();
        assert_eq!(heard, [(5, true), (10, true), (20, true)]);
    });
}

#[test]
fn callback_that_panics_at_a_deadline_does_not_silence_the_alarms_of_others() {
    within_a_minute(|| {
        // A deadline that has passed by now calls it here, without an alarm: try again with more time.
        let mut time = Duration::from_millis(1);
        let registered = |time| {
            let bad = CancelToken::new().child_until(time);
            catch_unwind(|| bad.on_cancel(|| std::panic::resume_unwind(Box::new("on purpose"))).keep())
                .map(|()| bad)
        };
        let _bad = loop {
            match registered(time) {
                Ok(bad) => break bad,
                Err(_) => time *= 4,
            }
        };
        let good = CancelToken::new().child_until(Duration::from_millis(5));
        assert!(good.done().recv().is_err());
    });
}

#[test]
fn guard_dropped_before_the_deadline_removes_its_callback() {
    within_a_minute(|| {
        let mut time = Duration::from_millis(20);
        loop {
            let (calls, count) = counter();
            let token = CancelToken::new().child_until(time);
            drop(token.on_cancel(count));
            let in_time = !token.is_cancelled();
            assert!(token.done().recv().is_err());
            if in_time {
                return assert_eq!(calls.load(SeqCst), 0);
            }
            // The machine was busy; try again with more time.
            time *= 4;
        }
    });
}

#[test]
fn own_deadline_wakes_waiters_on_the_systems_clock() {
    within_a_minute(|| {
        let token = CancelToken::new().child_until(Duration::from_millis(5));
        token.wait();
        assert!(token.cause().unwrap().is_deadline());
        let token = CancelToken::new().child_until(Duration::from_millis(5));
        assert_eq!(token.wait_until(HOUR), Ok(()));
        let token = CancelToken::new().child_until(Duration::from_millis(5));
        assert_eq!(token.sleep(HOUR), Err(Cancelled));
    });
}

#[test]
fn done_receives_nothing_until_it_is_disconnected_and_is_one_channel() {
    within_a_minute(|| {
        let token = CancelToken::new();
        assert_eq!(token.done().try_recv(), Err(TryRecvError::Empty));
        let timed_out = token.done().recv_timeout(Duration::from_millis(1));
        assert_eq!(timed_out, Err(RecvTimeoutError::Timeout));
        assert!(token.done().same_channel(token.clone().done()));
        let waits = thread::spawn({
            let token = token.clone();
            move || token.done().recv().is_err()
        });
        token.cancel();
        assert!(waits.join().unwrap());
    });
}

#[test]
fn every_watcher_is_notified_when_cancel_returns() {
    within_a_minute(|| {
        let token = CancelToken::new();
        let (calls, count) = counter();
        let children: Vec<_> = (0..100).map(|_| token.child()).collect();
        for child in &children {
            child.on_cancel(count.clone()).keep();
        }
        token.cancel();
        assert_eq!(calls.load(SeqCst), 100);
        assert!(children.iter().all(|child| child.cause().is_some()));
    });
}

#[test]
fn second_canceller_does_not_wait_for_the_first() {
    within_a_minute(|| {
        let token = CancelToken::new();
        let gate = Arc::new(selvedge::Latch::new(1));
        token
            .on_cancel({
                let gate = Arc::clone(&gate);
                move || gate.wait()
            })
            .keep();
        let first = thread::spawn({
            let token = token.clone();
            move || token.cancel()
        });
        eventually("the first canceller is in the callback", || figure(&gate, "waiting") == Some(1));
        token.cancel();
        gate.count_down();
        first.join().unwrap();
    });
}

#[test]
fn token_is_cancelled_exactly_when_done_is_disconnected() {
    within_a_minute(|| {
        for round in 0..400 {
            let token = CancelToken::new();
            let done = token.done().clone();
            let canceller = thread::spawn({
                let token = token.clone();
                move || token.cancel()
            });
            if round % 2 == 0 {
                while !token.is_cancelled() {
                    thread::yield_now();
                }
                assert_eq!(done.try_recv(), Err(TryRecvError::Disconnected));
            } else {
                while done.try_recv() == Err(TryRecvError::Empty) {
                    thread::yield_now();
                }
                assert!(token.is_cancelled() && token.cause().is_some());
            }
            canceller.join().unwrap();
        }
    });
}

#[test]
fn callbacks_are_called_in_the_order_in_which_they_were_registered() {
    let token = CancelToken::new();
    let (calls, called) = channel();
    let guards: Vec<_> = (0..1_000)
        .map(|number| {
            let calls = calls.clone();
            token.on_cancel(move || calls.send(number).unwrap())
        })
        .collect();
    // Removals in between leave the others in their order.
    let kept: Vec<_> = guards.into_iter().enumerate().filter(|(number, _)| number % 3 == 0).collect();
    token.cancel();
    assert_eq!(called.try_iter().collect::<Vec<_>>(), (0..1_000).step_by(3).collect::<Vec<_>>());
    drop(kept);
}

/// Guards that are dropped in any order remove their own callback and no other.
#[test]
fn callbacks_that_come_and_go_in_any_order_are_called_in_order_if_they_stay() {
    let token = CancelToken::new();
    let (calls, called) = channel();
    let mut staying = Vec::new();
    // A linear congruential generator: the same order each time.
    let mut random = 1_u64;
    let mut below = |bound: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) as usize % bound
    };
    for number in 0..5_000 {
        let calls = calls.clone();
        staying.push((number, token.on_cancel(move || calls.send(number).unwrap())));
        // More come than go for a while, and then the reverse.
        let leaving = if number % 1_000 < 500 { below(2) } else { below(3) };
        for _ in 0..leaving.min(staying.len()) {
            drop(staying.remove(below(staying.len())));
        }
        assert_eq!(figure(&token, "watchers"), Some(staying.len()));
    }
    assert!(staying.len() > 10, "{}", staying.len());
    token.cancel();
    let numbers: Vec<_> = staying.iter().map(|(number, _)| *number).collect();
    assert_eq!(called.try_iter().collect::<Vec<_>>(), numbers);
}

#[test]
fn children_with_and_without_watchers_are_cancelled_with_their_parents_cause() {
    type Cancel = fn(&CancelToken);
    let causes: [(Cancel, &str); 2] = [
        (CancelToken::cancel, "cancelled on request"),
        (|token| token.cancel_because("the disk is full"), "the disk is full"),
    ];
    for (cancel, text) in causes {
        let parent = CancelToken::new();
        let (bare, watched, above) = (parent.child(), parent.child(), parent.child());
        let (count, callback) = counter();
        let _guard = watched.on_cancel(callback);
        let below = above.child();
        cancel(&parent);
        for token in [&bare, &watched, &above, &below] {
            assert!(token.is_cancelled());
            assert_eq!(token.cause().unwrap().to_string(), text);
            token.cancel_because("too late");
            assert_eq!(token.cause().unwrap().to_string(), text);
        }
        assert_eq!(count.load(SeqCst), 1);
    }
}

#[test]
fn deadline_on_another_clock_is_refused_anywhere_in_the_limit() {
    let (here, there) = (Clock::manual(), Clock::manual());
    let token = CancelToken::with_clock(&here);
    let [plain, late] = [CancelToken::with_clock(&there), CancelToken::with_clock(&there).child_until(HOUR)];
    let refused = |limit: Until<'_>| catch_unwind(AssertUnwindSafe(|| token.child_until(limit))).is_err();
    assert!(refused((there.clock(), HOUR).into()), "the limit's own time");
    assert!(refused((&late).into()), "its token's");
    assert!(
        refused(Until::from((here.clock(), HOUR)).or_cancelled(&late)),
        "its token's, beside a time of ours"
    );
    assert!(refused((&plain, HOUR).into()), "a time that is read on its token's clock");
    // A token without a deadline reads no clock.
    let children = [
        token.child_until(&plain),
        token.child_until(Until::from((here.clock(), HOUR)).or_cancelled(&plain)),
    ];
    assert_eq!(children.each_ref().map(CancelToken::deadline), [None, Some(here.now() + HOUR)]);
    plain.cancel();
    assert!(children.iter().all(CancelToken::is_cancelled) && !token.is_cancelled());
}

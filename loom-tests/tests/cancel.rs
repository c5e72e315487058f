//! Models of `CancelToken` and of sleeping threads, with the edits that break each.

use selvedge_loom as selvedge;

use selvedge::error::{Cancelled, WaitError};
use selvedge::group::Group;
use selvedge::semaphore::OwnedPermit;
use selvedge::sync::atomic::{AtomicUsize, Ordering};
use selvedge::sync::{Arc, model, thread};
use selvedge::{CancelToken, Clock, Latch, Semaphore, Until};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// The number of watchers of the token. `Debug` leaves it out if the lock is held, which a model may show
/// spuriously.
fn watchers(token: &CancelToken) -> String {
    loop {
        let text = format!("{token:?}");
        if let Some((_, after)) = text.split_once("watchers: ") {
            return after.chars().take_while(char::is_ascii_digit).collect();
        }
    }
}

/// A cancellation wakes a thread that is about to sleep on the token, even if it falls between the thread's
/// check and its sleep.
///
/// Fails if a token that was cancelled meanwhile registers the watcher anyway (edit
/// `cancel-register-without-looking`).
#[test]
fn cancelling_between_check_and_sleep_is_not_missed() {
    model::check(|| {
        let token = CancelToken::new();
        let sleeper = thread::spawn({
            let token = token.clone();
            move || token.wait()
        });
        token.cancel();
        sleeper.join().unwrap();
    });
}

/// Everything that a thread did before it cancelled is visible to a thread that sees the token cancelled: by
/// a check of it or of a child, by its cause, by a wait that ends, in a callback.
///
/// Fails if the cancellation publishes nothing (edits `cancel-store-relaxed` and, without a watcher,
/// `cancel-bare-store-relaxed`), if the check does not acquire (edit `cancel-load-relaxed`), or if a
/// registration that comes too late does not (edit `cancel-claim-relaxed`).
#[test]
fn a_cancellation_publishes() {
    type Look = fn(&CancelToken, &Arc<AtomicUsize>) -> bool;
    let looks: [Look; 6] = [
        |token, _| token.is_cancelled(),
        |token, _| token.check().is_err(),
        |token, _| token.cause().is_some(),
        |token, _| {
            token.wait();
            true
        },
        |token, _| token.child().is_cancelled(),
        |token, stored| {
            let stored = Arc::clone(stored);
            token.on_cancel(move || assert_eq!(stored.load(Ordering::Relaxed), 1, "not visible")).keep();
            false
        },
    ];
    for (look, is_watched) in looks.into_iter().flat_map(|look| [(look, false), (look, true)]) {
        model::check(move || {
            let (token, stored) = (CancelToken::new(), Arc::new(AtomicUsize::new(0)));
            let _watcher = is_watched.then(|| token.on_cancel(|| ()));
            let canceller = thread::spawn({
                let (token, stored) = (token.clone(), Arc::clone(&stored));
                move || {
                    stored.store(1, Ordering::Relaxed);
                    token.cancel();
                }
            });
            if look(&token, &stored) {
                assert_eq!(stored.load(Ordering::Relaxed), 1, "not visible");
            }
            canceller.join().unwrap();
        });
    }
}

/// A sleep on a manual clock ends by cancellation or by time, and returns which.
///
/// Fails if a wait for a token does not register with it (edit `cancel-wait-registers-nothing`).
#[test]
fn a_sleep_ends_once_by_cancel_or_by_time() {
    model::check(|| {
        let clock = Clock::manual();
        let token = CancelToken::with_clock(&clock);
        let latch = Arc::new(Latch::new(1));
        let sleeper = thread::spawn({
            let (token, latch) = (token.clone(), Arc::clone(&latch));
            move || {
                let first = token.sleep(HOUR);
                latch.count_down();
                // If the first wait could end twice, this wait would show it.
                let second = token.wait_until((token.clock(), HOUR));
                (first, second)
            }
        });
        let canceller = thread::spawn({
            let token = token.clone();
            move || token.cancel()
        });
        clock.advance(HOUR);
        latch.wait();
        canceller.join().unwrap();
        let (first, second) = sleeper.join().unwrap();
        assert!(matches!(first, Ok(()) | Err(Cancelled)));
        assert_eq!(second, Ok(()));
    });
}

/// `advance` wakes a thread that is about to sleep until a deadline of the manual clock.
///
/// Fails if an alarm is set without a check of the time (edit `clock-alarm-without-looking`).
#[test]
fn advancing_between_check_and_sleep_is_not_missed() {
    model::check(|| {
        let clock = Clock::manual();
        let token = CancelToken::with_clock(&clock);
        let at = clock.now() + HOUR;
        let sleeper = thread::spawn({
            let token = token.clone();
            move || token.wait_until((token.clock(), at))
        });
        clock.advance(HOUR);
        assert_eq!(sleeper.join().unwrap(), Err(WaitError::TimedOut));
    });
}

/// A grant, a cancellation and a deadline race: exactly one of them ends the wait, and a permit that was not
/// received is free.
///
/// Fails if a waiter can be ended twice (edit `waiter-ends-twice`).
#[test]
fn a_grant_a_cancel_and_a_deadline_end_one_wait() {
    model::check(|| {
        let clock = Clock::manual();
        let token = CancelToken::with_clock(&clock);
        let semaphore = Arc::new(Semaphore::new(1));
        let permit = semaphore.acquire_owned().unwrap();
        let waiter = thread::spawn({
            let (token, semaphore) = (token.clone(), Arc::clone(&semaphore));
            move || semaphore.acquire_owned_until((&token, HOUR)).map(OwnedPermit::forget)
        });
        let canceller = thread::spawn(move || token.cancel());
        clock.advance(HOUR);
        drop(permit);
        canceller.join().unwrap();
        let received = usize::from(waiter.join().unwrap().is_ok());
        assert_eq!((semaphore.available(), semaphore.total()), (1 - received, 1 - received));
    });
}

/// A child that is made while its parent is cancelled is cancelled too.
///
/// Fails if the child joins its parent's list without a check of the cause (edit
/// `cancel-child-without-looking`).
#[test]
fn a_child_made_while_its_parent_is_cancelled_is_cancelled() {
    model::check(|| {
        let parent = CancelToken::new();
        let maker = thread::spawn({
            let parent = parent.clone();
            move || parent.child()
        });
        parent.cancel();
        let child = maker.join().unwrap();
        assert!(child.is_cancelled());
        child.wait();
    });
}

/// A child that gets its first sleeper and its first callback while its parent is cancelled wakes the one and
/// calls the other once.
///
/// Fails if the canceller does not see that the child is no longer bare (edit `cancel-bare-overwrites`), or
/// if the child does not see that it is cancelled (edit `cancel-claim-overwrites`).
#[test]
fn a_child_that_is_first_watched_while_its_parent_is_cancelled_notifies_each() {
    model::check(|| {
        let parent = CancelToken::new();
        let child = parent.child();
        let calls = Arc::new(AtomicUsize::new(0));
        let sleeper = thread::spawn({
            let (child, calls) = (child.clone(), Arc::clone(&calls));
            move || {
                child
                    .on_cancel(move || {
                        calls.fetch_add(1, Ordering::Relaxed);
                    })
                    .keep();
                child.wait();
            }
        });
        parent.cancel();
        sleeper.join().unwrap();
        assert!(child.is_cancelled());
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    });
}

/// A child that never had a watcher is cancelled by its parent and by another thread: one of them wins, and
/// the cause is the winner's for everybody.
///
/// Fails if the second canceller overwrites the first one's cause (edit `cancel-bare-overwrites`).
#[test]
fn a_bare_child_cancelled_by_two_threads_has_one_cause() {
    model::check(|| {
        let parent = CancelToken::new();
        let child = parent.child();
        let other = thread::spawn({
            let child = child.clone();
            move || {
                child.cancel_because("child");
                child.cause().unwrap().to_string()
            }
        });
        parent.cancel();
        let seen = child.cause().unwrap().to_string();
        assert_eq!(other.join().unwrap(), seen);
        assert_eq!(child.cause().unwrap().to_string(), seen);
    });
}

/// A child that is dropped while its parent is cancelled neither hangs nor affects its sibling, even if the
/// canceller drops the child's last handle.
///
/// Fails if a dropped child removes the watcher that now has its key (edit `cancel-forget-after-the-end`), or
/// if the canceller drops a child while it holds the parent's lock (edit `cancel-upgrades-under-the-lock`).
#[test]
fn a_child_dropped_while_its_parent_is_cancelled_is_forgotten() {
    model::check(|| {
        let parent = CancelToken::new();
        let (leaving, staying) = (parent.child(), parent.child());
        let dropper = thread::spawn(move || drop(leaving));
        parent.cancel();
        dropper.join().unwrap();
        assert!(staying.is_cancelled());
    });
}

/// A child that is dropped while another is made leaves the other in the parent's list.
///
/// Fails if a dropped child stays in the list (edit `cancel-child-stays-in-the-list`).
#[test]
fn a_dropped_child_leaves_nothing_behind() {
    model::check(|| {
        let parent = CancelToken::new();
        let leaving = parent.child();
        let dropper = thread::spawn(move || drop(leaving));
        let staying = parent.child();
        dropper.join().unwrap();
        assert_eq!(watchers(&parent), "1");
        parent.cancel();
        assert!(staying.is_cancelled());
    });
}

/// A callback that is registered while the token is cancelled runs exactly once.
///
/// Fails if the registration does not run the callback of a cancelled token (edit `cancel-callback-dropped`).
#[test]
fn a_callback_registered_while_cancelling_runs_once() {
    model::check(|| {
        let token = CancelToken::new();
        let calls = Arc::new(AtomicUsize::new(0));
        let registrar = thread::spawn({
            let (token, calls) = (token.clone(), Arc::clone(&calls));
            move || {
                token.on_cancel(move || {
                    calls.fetch_add(1, Ordering::Relaxed);
                })
            }
        });
        token.cancel();
        let guard = registrar.join().unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        drop(guard);
    });
}

/// Two cancellers with different causes: one of them wins, and each watcher is notified once.
///
/// Fails if a later canceller overwrites the cause (edit `cancel-last-cause-wins`).
#[test]
fn the_first_cause_stays_for_parent_and_child() {
    model::check(|| {
        let parent = CancelToken::new();
        let child = parent.child();
        let other = thread::spawn({
            let parent = parent.clone();
            move || {
                parent.cancel_because("other");
                parent.cause().unwrap().to_string()
            }
        });
        parent.cancel_because("main");
        let seen = parent.cause().unwrap().to_string();
        assert_eq!(seen, other.join().unwrap());
        assert_eq!(seen, parent.cause().unwrap().to_string());
        // Both calls have returned, so the child has the cause too.
        assert_eq!(seen, child.cause().unwrap().to_string());
    });
}

/// A token's own deadline wakes the sleepers of the token and of its child when the clock reaches it.
///
/// Fails if a token with a deadline sets no alarm for its sleepers (edit `cancel-sleeper-sets-no-alarm`), or
/// if the clock skips what is due at exactly its time (edit `clock-advance-rings-nobody`).
#[test]
fn a_deadline_wakes_sleepers_of_token_and_child() {
    model::check(|| {
        let clock = Clock::manual();
        let token = CancelToken::with_clock(&clock).child_until(HOUR);
        let child = token.child();
        let sleeper = thread::spawn(move || {
            child.wait();
            child.cause().unwrap().is_deadline()
        });
        clock.advance(HOUR);
        assert!(sleeper.join().unwrap());
        assert!(token.is_cancelled());
    });
}

/// A thread that has seen the token cancelled finds `done()` disconnected, and a thread that has seen
/// `done()` disconnected finds a cause. (That it finds `is_cancelled` true depends on what crossbeam's
/// disconnection publishes, which loom does not see; the integration tests check that on real threads.)
///
/// Fails if the channel is disconnected after the token is cancelled (edit `cancel-disconnects-later`).
#[test]
fn cancelled_and_done_are_seen_together() {
    model::check(|| {
        let token = CancelToken::new();
        let done = token.done().clone();
        let canceller = thread::spawn({
            let token = token.clone();
            move || token.cancel()
        });
        let is_disconnected = || done.try_recv().unwrap_err().is_disconnected();
        if token.is_cancelled() {
            assert!(is_disconnected());
        }
        if is_disconnected() {
            assert!(token.cause().is_some());
        }
        canceller.join().unwrap();
    });
}

/// A `done()` channel that is made during a cancellation is disconnected.
///
/// Fails if `done` keeps its sender although the token is cancelled (edit `cancel-done-after-the-end`).
#[test]
fn a_done_channel_made_while_cancelling_is_disconnected() {
    model::check(|| {
        let token = CancelToken::new();
        let other = thread::spawn({
            let token = token.clone();
            move || drop(token.done().clone())
        });
        token.cancel();
        other.join().unwrap();
        // No wait: loom does not see crossbeam's channels.
        let state = token.done().try_recv();
        assert_eq!(state, Err(crossbeam_channel::TryRecvError::Disconnected));
    });
}

/// A sleep that has ended leaves no registration with the token.
///
/// Fails if the registration of a sleep stays (edit `cancel-watch-stays`), or if a sleep ignores its deadline
/// (edit `sleep-forgets-the-deadline`).
#[test]
fn a_sleep_that_ended_by_time_leaves_no_watcher() {
    model::check(|| {
        let token = CancelToken::new();
        let sleeper = thread::spawn({
            let token = token.clone();
            move || token.sleep(HOUR)
        });
        // In a model, the hour of the system's clock may pass at any point.
        assert_eq!(token.sleep(HOUR), Ok(()));
        assert_eq!(sleeper.join().unwrap(), Ok(()));
        assert_eq!(watchers(&token), "0");
    });
}

/// A token that follows another through the limit of `child_until` is cancelled with it.
///
/// Fails if the link to the other token is missing (edit `cancel-follow-forgotten`).
#[test]
fn a_child_until_another_token_is_cancelled_with_it() {
    model::check(|| {
        let (parent, other) = (CancelToken::new(), CancelToken::new());
        let sleeper = thread::spawn({
            let (parent, other) = (parent.clone(), other.clone());
            move || parent.child_until(Until::from(&other)).wait()
        });
        other.cancel();
        sleeper.join().unwrap();
        assert!(!parent.is_cancelled());
        assert_eq!(watchers(&parent), "0");
    });
}

/// A group's token, which is loose until a thread sleeps on it, wakes its sleeper at any point of the
/// parent's cancellation.
///
/// Fails if a node counts as tied before it is in its parent's list (edit `cancel-tied-before-it-is-listed`).
#[test]
fn a_loose_token_that_is_slept_on_while_its_parent_is_cancelled_wakes_the_sleeper() {
    model::check(|| {
        let parent = CancelToken::new();
        let group = Group::<()>::new(&parent);
        let sleeper = thread::spawn({
            let token = group.token().clone();
            move || token.wait()
        });
        parent.cancel();
        assert!(group.token().is_cancelled());
        sleeper.join().unwrap();
    });
}

/// A loose token that was seen cancelled stays so while another thread ties it, and has its parent's cause.
///
/// Fails if a check of a loose token reports the parent's end without ending the token (edit
/// `cancel-loose-is-not-ended`).
#[test]
fn a_loose_token_that_was_seen_cancelled_stays_cancelled() {
    model::check(|| {
        let parent = CancelToken::new();
        let group = Group::<()>::new(&parent);
        let sleeper = thread::spawn({
            let token = group.token().clone();
            move || token.wait()
        });
        let canceller = thread::spawn({
            let parent = parent.clone();
            move || parent.cancel_because("parent")
        });
        if group.token().is_cancelled() {
            assert!(group.token().is_cancelled());
            group.token().cancel_because("later");
        }
        canceller.join().unwrap();
        sleeper.join().unwrap();
        assert_eq!(group.token().cause().unwrap().to_string(), "parent");
    });
}

/// Two threads that sleep on a loose token at once tie it once: both are woken, and the parent forgets it
/// when it is dropped.
///
/// Fails if the second thread leaves its entry in the parent's list (edit `cancel-tied-twice`).
#[test]
fn a_loose_token_tied_by_two_threads_is_listed_once() {
    model::check(|| {
        let parent = CancelToken::new();
        let group = Group::<()>::new(&parent);
        let tie = |token: CancelToken| drop(token.on_cancel(|| ()));
        let other = thread::spawn({
            let token = group.token().clone();
            move || tie(token)
        });
        tie(group.token().clone());
        other.join().unwrap();
        assert_eq!(watchers(&parent), "1");
        drop(group);
        assert_eq!(watchers(&parent), "0");
    });
}

/// A loose token that is cancelled after its parent has the parent's cause, even if it is tied meanwhile.
///
/// Fails if the canceller of a loose token does not check the parent (edit
/// `cancel-loose-overlooks-its-parent`).
#[test]
fn a_loose_token_that_is_cancelled_after_its_parent_has_the_parents_cause() {
    model::check(|| {
        let parent = CancelToken::new();
        let group = Group::<()>::new(&parent);
        let sleeper = thread::spawn({
            let token = group.token().clone();
            move || token.wait()
        });
        parent.cancel_because("parent");
        group.token().cancel_because("token");
        assert_eq!(group.token().cause().unwrap().to_string(), "parent");
        sleeper.join().unwrap();
    });
}

/// Registers a callback that counts its calls and opens a latch, on a token whose deadline may pass at any
/// time.
fn calls_at_a_deadline(calls: &Arc<AtomicUsize>, called: &Arc<Latch>) -> CancelToken {
    let token = CancelToken::new().child_until(HOUR);
    let (calls, called) = (Arc::clone(calls), Arc::clone(called));
    token
        .on_cancel(move || {
            calls.fetch_add(1, Ordering::Relaxed);
            called.count_down();
        })
        .keep();
    token
}

/// The system refuses the alarm thread and allows threads again later. The next thread that sleeps requests
/// it, and the callback is called once.
///
/// Fails if the refusal is forgotten (edit `alarms-refusal-is-forgotten`), or if the refused thread counts as
/// running (edit `alarms-refused-counts-as-running`).
#[test]
fn a_callback_whose_thread_was_refused_is_called_once_there_are_threads() {
    model::check(|| {
        model::refuse_threads_after(0);
        let (calls, called) = (Arc::new(AtomicUsize::new(0)), Arc::new(Latch::new(1)));
        let token = calls_at_a_deadline(&calls, &called);
        let sleeper = thread::spawn({
            let called = Arc::clone(&called);
            move || called.wait()
        });
        model::refuse_threads_after(usize::MAX);
        called.wait();
        sleeper.join().unwrap();
        assert!(token.is_cancelled());
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    });
}

/// A second deadline that is set while the thread of the first is about to exit is served too.
///
/// Fails if the thread records its exit later than its last check (edit `alarms-thread-leaves-unseen`).
#[test]
fn a_deadline_that_is_set_while_the_thread_leaves_is_served() {
    model::check(|| {
        // Makes the model use the real side's alarms; no thread is refused.
        model::refuse_threads_after(3);
        let (calls, called) = (Arc::new(AtomicUsize::new(0)), Arc::new(Latch::new(2)));
        let first = calls_at_a_deadline(&calls, &called);
        let second = calls_at_a_deadline(&calls, &called);
        called.wait();
        assert!(first.is_cancelled() && second.is_cancelled());
        assert_eq!(calls.load(Ordering::Relaxed), 2);
    });
}

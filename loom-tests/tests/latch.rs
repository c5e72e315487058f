//! Models of `Latch` and `WaitGroup`, with the edits that break each.

use selvedge_loom as selvedge;

use selvedge::error::WaitError;
use selvedge::sync::atomic::{AtomicUsize, Ordering};
use selvedge::sync::{Arc, model, thread};
use selvedge::{CancelToken, Latch, WaitGroup};

/// The last count-down wakes every waiter, and what was done before it is visible to them.
///
/// Fails if opening wakes one waiter instead of all (edit `latch-wakes-one`).
#[test]
fn the_last_count_down_wakes_every_waiter() {
    model::check(|| {
        let latch = Arc::new(Latch::new(1));
        let done = Arc::new(AtomicUsize::new(0));
        let waiters = [(); 2].map(|()| {
            let (latch, done) = (Arc::clone(&latch), Arc::clone(&done));
            thread::spawn(move || {
                latch.wait();
                assert_eq!(done.load(Ordering::Relaxed), 1);
            })
        });
        done.store(1, Ordering::Relaxed);
        latch.count_down();
        for waiter in waiters {
            waiter.join().unwrap();
        }
    });
}

/// Two threads count down at once: neither step is lost, and the waiter is woken.
///
/// Fails if a waiter joins the list without a check of the count (edit `point-joins-without-looking`).
#[test]
fn steps_taken_together_both_count() {
    model::check(|| {
        let latch = Arc::new(Latch::new(2));
        let other = thread::spawn({
            let latch = Arc::clone(&latch);
            move || latch.count_down()
        });
        let waiter = thread::spawn({
            let latch = Arc::clone(&latch);
            move || latch.wait()
        });
        latch.count_down();
        waiter.join().unwrap();
        other.join().unwrap();
        assert!(latch.is_open());
    });
}

/// A cancelled wait leaves the latch unchanged. If the latch opens before the cancellation, the wait
/// succeeds.
///
/// Fails if a sleep is not registered with its token (edit `sleep-forgets-the-token`).
#[test]
fn a_cancelled_wait_ends_and_the_latch_still_opens() {
    model::check(|| {
        let latch = Arc::new(Latch::new(1));
        let token = CancelToken::new();
        let waiter = thread::spawn({
            let (latch, token) = (Arc::clone(&latch), token.clone());
            move || latch.wait_until(&token)
        });
        token.cancel();
        assert_eq!(waiter.join().unwrap(), Err(WaitError::Cancelled));
        latch.count_down();
        latch.wait();
    });
}

/// The last member to leave wakes the waiter. The wait includes each member that joined before it began.
///
/// Fails if leaving wakes no waiter (edit `latch-wakes-nobody`).
#[test]
fn the_last_member_to_leave_wakes_the_waiter() {
    model::check(|| {
        let group = WaitGroup::new();
        let done = Arc::new(AtomicUsize::new(0));
        let helpers = [(); 2].map(|()| {
            let (member, done) = (group.add(), Arc::clone(&done));
            thread::spawn(move || {
                done.fetch_add(1, Ordering::Relaxed);
                drop(member);
            })
        });
        group.wait();
        assert_eq!(done.load(Ordering::Relaxed), 2);
        for helper in helpers {
            helper.join().unwrap();
        }
    });
}

/// A member that adds another before it leaves keeps the group open for a concurrent wait.
///
/// Fails if a cloned member is not counted (edit `latch-clone-is-not-counted`).
#[test]
fn a_member_that_brings_another_keeps_the_group_open() {
    model::check(|| {
        let group = WaitGroup::new();
        let done = Arc::new(AtomicUsize::new(0));
        let member = group.add();
        let helper = thread::spawn({
            let done = Arc::clone(&done);
            move || {
                let second = member.clone();
                drop(member);
                done.fetch_add(1, Ordering::Relaxed);
                drop(second);
            }
        });
        group.wait();
        assert_eq!(done.load(Ordering::Relaxed), 1);
        helper.join().unwrap();
    });
}

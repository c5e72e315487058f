//! Models of `SingleFlight`: every schedule of a few threads, each with the edits that break it.

use selvedge_loom as selvedge;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use selvedge::error::{JoinError, WaitError};
use selvedge::sync::atomic::{AtomicUsize, Ordering};
use selvedge::sync::{Arc, model, thread};
use selvedge::{CancelToken, Clock, Latch, SingleFlight, Until};

const HOUR: Duration = Duration::from_secs(3600);

/// Two callers of one key at the same time: their closures never overlap, and each gets the result of a call
/// that ended after it asked.
///
/// Fails if the check and the entry are not one step (edit `flight-enters-without-a-look`), or if a call
/// stays in the table after its end (edit `flight-end-takes-nothing-out`).
#[test]
fn two_callers_that_race_to_lead_never_overlap() {
    model::check(|| {
        let flight = Arc::new(SingleFlight::<u8, usize>::new());
        let (inside, calls) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let ask = {
            let flight = Arc::clone(&flight);
            move || {
                flight.call(&1, || {
                    assert_eq!(inside.fetch_add(1, Ordering::AcqRel), 0);
                    let serial = calls.fetch_add(1, Ordering::AcqRel);
                    inside.fetch_sub(1, Ordering::AcqRel);
                    serial
                })
            }
        };
        let other = thread::spawn(ask.clone());
        let mine = ask().unwrap();
        let others = other.join().unwrap().unwrap();
        assert!(mine + others <= 1, "{mine} and {others}");
        assert_eq!(flight.in_flight(), 0);
    });
}

/// A leader that panics gets its payload, its waiters get an error, and a later caller leads.
///
/// Fails if a panic is not published to the waiters (edit `flight-panic-wakes-nobody`).
#[test]
fn a_leaders_panic_reaches_the_leader_and_the_waiters() {
    model::check(|| {
        let flight = Arc::new(SingleFlight::<u8, usize>::new());
        let other = thread::spawn({
            let flight = Arc::clone(&flight);
            move || flight.call(&1, || 7)
        });
        let panics = || resume_unwind(Box::new("on purpose"));
        match catch_unwind(AssertUnwindSafe(|| flight.call(&1, panics))) {
            // The other caller led.
            Ok(result) => assert_eq!(result, Ok(7)),
            Err(payload) => assert_eq!(payload.downcast_ref(), Some(&"on purpose")),
        }
        let told = other.join().unwrap();
        match &told {
            Ok(result) => assert_eq!(*result, 7),
            Err(JoinError::Panicked(panic)) => assert_eq!(panic.message(), "on purpose"),
            Err(other) => panic!("{other:?}"),
        }
        assert_eq!((flight.in_flight(), flight.waiting()), (0, 0));
    });
}

/// A waiter gives up while the call goes on without it; another waiter gets the result.
///
/// Fails if a waiter ignores its limit (edit `flight-waiter-heeds-no-limit`).
#[test]
fn a_waiter_gives_up_while_the_call_goes_on() {
    model::check(|| {
        let flight = Arc::new(SingleFlight::<u8, usize>::new());
        let (clock, gone) = (Clock::manual(), Arc::new(Latch::new(1)));
        let led = flight.call(&1, || {
            let hasty = thread::spawn({
                let (flight, clock, gone) = (Arc::clone(&flight), clock.clone(), Arc::clone(&gone));
                move || {
                    let result =
                        flight.call_until(&1, (clock.clock(), HOUR), || 9).map_err(|late| late.error);
                    gone.count_down();
                    result
                }
            });
            let patient = thread::spawn({
                let flight = Arc::clone(&flight);
                move || flight.call(&1, || 8)
            });
            clock.wait_for_sleepers(1);
            clock.advance(HOUR);
            // Only because it gave up.
            gone.wait();
            assert_eq!(hasty.join().unwrap(), Err(WaitError::TimedOut));
            PATIENT.with(|place| *place.borrow_mut() = Some(patient));
            7
        });
        let patient = PATIENT.with(|place| place.borrow_mut().take());
        let others = patient.unwrap().join().unwrap();
        assert_eq!(led, Ok(7));
        // It asked during the call, or after it.
        assert!(others == Ok(7) || others == Ok(8), "{others:?}");
    });
}

std::thread_local! {
    /// Carries a handle out of the closure. A model runs on one thread of the system.
    static PATIENT: std::cell::RefCell<Option<Patient>> = const { std::cell::RefCell::new(None) };
}
type Patient = thread::JoinHandle<Result<usize, JoinError>>;

/// A result and a cancellation race: the waiter gets one or the other, and leaves nothing behind.
///
/// Fails if a call stays in the table after its end (edit `flight-end-takes-nothing-out`).
#[test]
fn a_result_that_meets_a_cancel_is_the_one_or_the_other() {
    model::check(|| {
        let (flight, token) = (Arc::new(SingleFlight::<u8, usize>::new()), CancelToken::new());
        let waiter = thread::spawn({
            let (flight, token) = (Arc::clone(&flight), token.clone());
            move || flight.call_until(&1, &token, || 8)
        });
        let canceller = thread::spawn(move || token.cancel());
        let led = flight.call(&1, || 7).unwrap();
        canceller.join().unwrap();
        match waiter.join().unwrap() {
            Ok(result) => assert!(result == Ok(led) || result == Ok(8)),
            Err(rejected) => assert_eq!(rejected.error, WaitError::Cancelled),
        }
        assert_eq!((flight.in_flight(), flight.waiting()), (0, 0));
    });
}

/// A call is forgotten in flight, and a new one runs beside it: each ends by itself, and a waiter gets the
/// result of the call that it waits for.
///
/// Fails if a call takes another's entry out of the table (edit `flight-end-takes-the-other`), or if a
/// forgotten call may still be joined (edit `flight-forgotten-is-found`).
#[test]
fn a_forgotten_call_and_a_new_one_end_each_by_itself() {
    model::check(|| {
        let flight = Arc::new(SingleFlight::<u8, usize>::new());
        let inside = Arc::new(AtomicUsize::new(0));
        let lead = {
            let flight = Arc::clone(&flight);
            move |result| {
                flight.call(&1, || {
                    assert_eq!(inside.fetch_add(1, Ordering::AcqRel), 0);
                    inside.fetch_sub(1, Ordering::AcqRel);
                    result
                })
            }
        };
        let mut second = None;
        let first = flight.call(&1, || {
            assert!(flight.forget(&1));
            let lead = lead.clone();
            second = Some(thread::spawn(move || lead(8)));
            7
        });
        assert_eq!(first, Ok(7));
        let third = lead(9);
        // Its own, or one that it waited for; never that of the forgotten call.
        let second = second.unwrap().join().unwrap();
        assert!(second == Ok(8) || second == Ok(9), "{second:?}");
        assert!(third == Ok(8) || third == Ok(9), "{third:?}");
        assert_eq!(flight.in_flight(), 0);
    });
}

/// Of two leaders that wait for each other, one gets `WouldDeadlock`, and neither hangs.
///
/// Fails if a wait writes no edge (edit `graph-writes-no-edge`).
#[test]
fn two_leaders_that_wait_for_each_other_are_refused() {
    model::check(|| {
        let flight = Arc::new(SingleFlight::<u8, Option<JoinError>>::new());
        let lead = |flight: Arc<SingleFlight<u8, Option<JoinError>>>, key: u8| {
            move || flight.call(&key, || flight.call(&(3 - key), || None).unwrap_or_else(Some)).unwrap()
        };
        let other = thread::spawn(lead(Arc::clone(&flight), 1));
        let mine = lead(Arc::clone(&flight), 2)();
        let others = other.join().unwrap();
        for told in [mine, others].into_iter().flatten() {
            assert_eq!(told, JoinError::WouldDeadlock);
        }
        assert_eq!(flight.in_flight(), 0);
    });
}

/// While it leads a call, a thread waits for a second call. The leader of the second then waits, while it
/// leads a third, for the first. The second call has ended by then, so there is no cycle, whether or not the
/// waiting thread is awake yet.
///
/// Fails if a thread whose wait has ended still counts as waiting (edit `graph-granted-counts-as-waiting`).
#[test]
fn a_wait_for_a_call_that_has_ended_closes_no_cycle() {
    model::check(|| {
        let flight = Arc::new(SingleFlight::<u8, u8>::new());
        let outer = thread::spawn({
            let flight = Arc::clone(&flight);
            move || flight.call(&1, || flight.call(&2, || 20).unwrap()).unwrap()
        });
        // This thread leads a call all the while, so other threads may wait for it.
        let mut second = 0;
        let first = flight.call(&3, || {
            second = flight.call(&2, || 21).unwrap();
            flight.call(&1, || 10).unwrap()
        });
        let (first, others) = (first.unwrap(), outer.join().unwrap());
        assert!([20, 21].contains(&second), "{second}");
        assert!([10, 20, 21].contains(&first) && [10, 20, 21].contains(&others), "{first}, {others}");
    });
}

/// Two callers share a call, or make one each, and both leave: whichever closure runs is told to stop, by the
/// last of its callers.
///
/// Fails if a follower that leaves is not counted (edit `flight-follower-never-leaves`), if a leader whose
/// limit ends stays (edit `flight-leader-never-leaves`), or if it counts as two (edit
/// `flight-leader-leaves-twice`): the count would pass zero.
#[test]
fn the_last_caller_that_leaves_cancels_the_call() {
    model::check(|| {
        let flight = Arc::new(SingleFlight::<u8, u8>::new());
        let (first, second) = (CancelToken::new(), CancelToken::new());
        let ask = |limit: &CancelToken| {
            let (flight, limit) = (Arc::clone(&flight), limit.clone());
            move || {
                let call = flight.call_with_token(&1, &limit, |stop| {
                    stop.wait();
                    7
                });
                // A follower that left has the error of its limit.
                call.map_or_else(|rejected| rejected.error == WaitError::Cancelled, |value| value == Ok(7))
            }
        };
        let (one, other) = (thread::spawn(ask(&first)), thread::spawn(ask(&second)));
        first.cancel();
        second.cancel();
        assert!(one.join().unwrap() && other.join().unwrap());
        assert_eq!((flight.in_flight(), flight.waiting()), (0, 0));
    });
}

/// A caller that stays gets the result of a call that was not told to stop: it joins before the other caller
/// leaves, and keeps the call alive, or it begins a call of its own.
///
/// Fails if it joins a call that all others have left (edit `flight-joins-what-is-stopping`).
#[test]
fn a_caller_that_stays_gets_a_call_that_was_not_cancelled() {
    model::check(|| {
        let flight = Arc::new(SingleFlight::<u8, bool>::new());
        let leaves = CancelToken::new();
        let call = |flight: &SingleFlight<u8, bool>, limit: Until<'_>| {
            flight.call_with_token(&1, limit, CancelToken::is_cancelled).map_err(|rejected| rejected.error)
        };
        let other = thread::spawn({
            let (flight, leaves) = (Arc::clone(&flight), leaves.clone());
            move || call(&flight, Until::from(&leaves))
        });
        let canceller = thread::spawn(move || leaves.cancel());
        assert_eq!(call(&flight, Until::forever()), Ok(Ok(false)));
        let _ = other.join().unwrap();
        canceller.join().unwrap();
    });
}

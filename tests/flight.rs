//! Single flight from outside: one call a key, its result for all who asked, and nobody left waiting.

mod common;

use std::any::Any;
use std::cell::RefCell;
use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use common::{Dice, HOUR, eventually, message, within_a_minute};
use selvedge::error::{JoinError, TryError, WaitError};
use selvedge::{CancelToken, Clock, Latch, SingleFlight};

type Flight = SingleFlight<u32, String>;

fn wait_for_waiters<K, V, S>(flight: &SingleFlight<K, V, S>, count: usize) {
    eventually(&format!("{count} wait"), || flight.waiting() == count);
}

/// A call for `key` whose closure waits for the latch; returns once it is under way.
fn under_way(flight: &Arc<Flight>, key: u32, end: &Arc<Latch>) -> thread::JoinHandle<String> {
    let (flight, end, started) = (Arc::clone(flight), Arc::clone(end), Arc::new(Latch::new(1)));
    let leader = thread::spawn({
        let started = Arc::clone(&started);
        move || {
            let call = flight.call(&key, || {
                started.count_down();
                end.wait();
                format!("first {key}")
            });
            call.unwrap()
        }
    });
    started.wait();
    leader
}

#[test]
fn call_alone_runs_and_is_forgotten() {
    let flight = Flight::new();
    assert_eq!(flight.call(&1, || "a".into()), Ok("a".into()));
    assert_eq!(flight.call(&1, || "b".into()), Ok("b".into()));
    assert_eq!(flight.try_call(&1, || "c".into()).unwrap(), "c");
    assert_eq!((flight.in_flight(), flight.waiting(), flight.is_in_flight(&1)), (0, 0, false));
}

#[test]
fn borrowed_key_is_enough() {
    let flight = SingleFlight::<String, u8>::new();
    let seen = flight.call("key", || {
        assert!(flight.is_in_flight("key") && !flight.is_in_flight("other"));
        assert!(flight.is_in_flight(&"key".to_owned()));
        7
    });
    assert_eq!(seen, Ok(7));
}

#[test]
fn concurrent_callers_share_one_call() {
    within_a_minute(|| {
        let (flight, end) = (Arc::new(Flight::new()), Arc::new(Latch::new(1)));
        let leader = under_way(&flight, 1, &end);
        let others = [(); 3].map(|()| {
            let flight = Arc::clone(&flight);
            thread::spawn(move || flight.call(&1, || unreachable!("one is under way")))
        });
        wait_for_waiters(&flight, 3);
        assert_eq!((flight.in_flight(), flight.is_in_flight(&1)), (1, true));
        end.count_down();
        assert_eq!(leader.join().unwrap(), "first 1");
        for other in others {
            assert_eq!(other.join().unwrap(), Ok("first 1".into()));
        }
        assert_eq!((flight.in_flight(), flight.waiting()), (0, 0));
    });
}

/// Counts how often it is cloned.
#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

impl Clone for Counted {
    fn clone(&self) -> Self {
        self.0.fetch_add(1, SeqCst);
        Counted(Arc::clone(&self.0))
    }
}

#[test]
fn result_that_nobody_waits_for_is_not_cloned() {
    let (flight, clones) = (SingleFlight::<u8, Counted>::new(), Arc::new(AtomicUsize::new(0)));
    flight.call(&1, || Counted(Arc::clone(&clones))).unwrap();
    assert_eq!(clones.load(SeqCst), 0);
}

#[test]
fn error_reaches_everybody() {
    within_a_minute(|| {
        let flight = Arc::new(SingleFlight::<u8, Result<u8, Arc<str>>>::new());
        let other = {
            let flight = Arc::clone(&flight);
            let asks = {
                let flight = Arc::clone(&flight);
                move || flight.call(&1, || unreachable!("one is under way")).unwrap()
            };
            let mut other = None;
            let led = flight.call(&1, || {
                other = Some(thread::spawn(asks));
                wait_for_waiters(&flight, 1);
                Err("refused".into())
            });
            assert_eq!(led.unwrap(), Err("refused".into()));
            other.unwrap()
        };
        assert_eq!(other.join().unwrap(), Err("refused".into()));
    });
}

/// The text of the panic that a waiter was told of.
fn text(error: JoinError) -> String {
    match error {
        JoinError::Panicked(panic) => panic.message().to_owned(),
        other => panic!("{other:?}"),
    }
}

/// Lets a call for 1 with one waiter panic with `payload`; returns what each of the two got.
fn panic_with(payload: Box<dyn Any + Send>) -> (Box<dyn Any + Send>, String) {
    let flight = Arc::new(Flight::new());
    let mut other = None;
    let led = catch_unwind(AssertUnwindSafe(|| {
        flight.call(&1, || {
            let flight_too = Arc::clone(&flight);
            other = Some(thread::spawn(move || flight_too.call(&1, || unreachable!("one is under way"))));
            wait_for_waiters(&flight, 1);
            resume_unwind(payload)
        })
    }));
    let waited = other.unwrap().join().unwrap().unwrap_err();
    assert_eq!(flight.in_flight(), 0);
    assert_eq!(flight.call(&1, || "anew".into()), Ok("anew".into()));
    (led.unwrap_err(), text(waited))
}

#[test]
fn panicking_closure_gives_the_leader_its_payload_and_the_others_its_text() {
    within_a_minute(|| {
        let (payload, told) = panic_with(Box::new("on purpose"));
        assert_eq!((message(&*payload).as_str(), told.as_str()), ("on purpose", "on purpose"));
        let (payload, told) = panic_with(Box::new(format!("purpose {}", 2)));
        assert_eq!((message(&*payload).as_str(), told.as_str()), ("purpose 2", "purpose 2"));
        let (payload, told) = panic_with(Box::new(7_u32));
        assert_eq!(payload.downcast_ref(), Some(&7_u32));
        assert_eq!(told, "a payload that is not text");
    });
}

/// Panics when cloned.
#[derive(Debug)]
struct Unclonable;

impl Clone for Unclonable {
    fn clone(&self) -> Self {
        resume_unwind(Box::new("no clone"))
    }
}

#[test]
fn panicking_clone_hangs_nobody() {
    within_a_minute(|| {
        let flight = Arc::new(SingleFlight::<u8, Unclonable>::new());
        let mut other = None;
        let led = catch_unwind(AssertUnwindSafe(|| {
            flight.call(&1, || {
                let flight_too = Arc::clone(&flight);
                other = Some(thread::spawn(move || flight_too.call(&1, || unreachable!()).unwrap_err()));
                wait_for_waiters(&flight, 1);
                Unclonable
            })
        }));
        assert_eq!(message(&*led.unwrap_err()), "no clone");
        let told = other.unwrap().join().unwrap();
        assert_eq!(text(told), "the result could not be cloned");
        assert!(flight.call(&1, || Unclonable).is_ok());
    });
}

#[test]
fn other_key_does_not_wait() {
    within_a_minute(|| {
        let (flight, end) = (Arc::new(Flight::new()), Arc::new(Latch::new(1)));
        let leader = under_way(&flight, 1, &end);
        for key in 2..100 {
            assert_eq!(flight.call(&key, || key.to_string()), Ok(key.to_string()));
        }
        end.count_down();
        leader.join().unwrap();
    });
}

/// Every key has the same hash.
#[derive(Default)]
struct Same;

impl Hasher for Same {
    fn write(&mut self, _: &[u8]) {}
    fn finish(&self) -> u64 {
        42
    }
}

#[test]
fn keys_of_one_hash_are_told_apart() {
    within_a_minute(|| {
        let flight = Arc::new(SingleFlight::<u32, u32, BuildHasherDefault<Same>>::default());
        let mut others = Vec::new();
        let seen = flight.call(&1, || {
            flight
                .call(&2, || {
                    for key in [1, 2, 2, 1] {
                        let flight = Arc::clone(&flight);
                        others.push((key, thread::spawn(move || flight.call(&key, || unreachable!()))));
                    }
                    wait_for_waiters(&flight, 4);
                    assert_eq!(flight.call(&3, || 33), Ok(33));
                    assert!(flight.is_in_flight(&1) && flight.is_in_flight(&2) && !flight.is_in_flight(&3));
                    22
                })
                .unwrap()
                / 2
        });
        assert_eq!(seen, Ok(11));
        for (key, other) in others {
            assert_eq!(other.join().unwrap(), Ok(key * 11));
        }
    });
}

#[test]
fn waiter_that_gives_up_leaves_the_call_to_go_on() {
    within_a_minute(|| {
        let (flight, end) = (Arc::new(Flight::new()), Arc::new(Latch::new(1)));
        let (clock, token) = (Clock::manual(), CancelToken::new());
        let leader = under_way(&flight, 1, &end);
        let late = thread::spawn({
            let (flight, clock) = (Arc::clone(&flight), clock.clone());
            move || flight.call_until(&1, (clock.clock(), HOUR), || unreachable!())
        });
        let stopped = thread::spawn({
            let (flight, token) = (Arc::clone(&flight), token.clone());
            move || flight.call_until(&1, &token, || unreachable!())
        });
        let patient = thread::spawn({
            let flight = Arc::clone(&flight);
            move || flight.call_until(&1, Duration::MAX, || unreachable!())
        });
        wait_for_waiters(&flight, 3);
        clock.wait_for_sleepers(1);
        clock.advance(HOUR);
        let late = late.join().unwrap().unwrap_err();
        assert_eq!(late.error, WaitError::TimedOut);
        token.cancel();
        assert_eq!(stopped.join().unwrap().unwrap_err().error, WaitError::Cancelled);
        wait_for_waiters(&flight, 1);
        end.count_down();
        assert_eq!(leader.join().unwrap(), "first 1");
        assert_eq!(patient.join().unwrap().unwrap(), Ok("first 1".into()));
    });
}

#[test]
fn cancelled_token_runs_nothing() {
    let (flight, token) = (Flight::new(), CancelToken::new());
    token.cancel();
    let rejected = flight.call_until(&1, &token, || "mine".to_owned()).unwrap_err();
    assert_eq!((rejected.error, (rejected.value)()), (WaitError::Cancelled, "mine".to_owned()));
    assert_eq!(flight.in_flight(), 0);
}

#[test]
fn limit_in_the_past_leads_if_nobody_does_and_is_timed_out_if_somebody_does() {
    within_a_minute(|| {
        let (flight, end) = (Arc::new(Flight::new()), Arc::new(Latch::new(1)));
        let past = Instant::now();
        assert_eq!(flight.call_until(&1, past, || "led".into()).unwrap(), Ok("led".into()));
        assert_eq!(flight.call_until(&1, Duration::ZERO, || "led".into()).unwrap(), Ok("led".into()));
        let leader = under_way(&flight, 1, &end);
        let late = flight.call_until(&1, past, || unreachable!()).unwrap_err();
        assert_eq!(late.error, WaitError::TimedOut);
        let late = flight.call_until(&1, Duration::ZERO, || unreachable!()).unwrap_err();
        assert_eq!(late.error, WaitError::TimedOut);
        assert_eq!(flight.waiting(), 0);
        end.count_down();
        leader.join().unwrap();
    });
}

#[test]
fn try_call_gives_the_closure_back_while_one_is_under_way() {
    within_a_minute(|| {
        let (flight, end) = (Arc::new(Flight::new()), Arc::new(Latch::new(1)));
        let leader = under_way(&flight, 1, &end);
        let rejected = flight.try_call(&1, || "mine".to_owned()).unwrap_err();
        assert_eq!((rejected.error, (rejected.value)()), (TryError::WouldBlock, "mine".into()));
        end.count_down();
        leader.join().unwrap();
    });
}

#[test]
fn forgotten_call_goes_on_for_those_who_wait_and_a_new_one_starts() {
    within_a_minute(|| {
        let flight = Arc::new(Flight::new());
        let (end, end_second) = (Arc::new(Latch::new(1)), Arc::new(Latch::new(1)));
        assert!(!flight.forget(&1));
        let first = under_way(&flight, 1, &end);
        let waits = |flight: &Arc<Flight>| {
            let flight = Arc::clone(flight);
            thread::spawn(move || flight.call(&1, || unreachable!()))
        };
        let of_first = waits(&flight);
        wait_for_waiters(&flight, 1);
        assert!(flight.forget(&1));
        assert!(!flight.forget(&1));
        assert!(!flight.is_in_flight(&1));
        let second = under_way(&flight, 1, &end_second);
        assert_eq!(flight.in_flight(), 2);
        let of_second = waits(&flight);
        wait_for_waiters(&flight, 2);
        end.count_down();
        assert_eq!(first.join().unwrap(), "first 1");
        assert_eq!(of_first.join().unwrap(), Ok("first 1".into()));
        // The first one's end took only itself out.
        assert!(flight.is_in_flight(&1));
        assert_eq!((flight.in_flight(), flight.waiting()), (1, 1));
        end_second.count_down();
        second.join().unwrap();
        assert_eq!(of_second.join().unwrap(), Ok("first 1".into()));
    });
}

#[test]
fn call_for_its_own_key_from_inside_is_refused() {
    within_a_minute(|| {
        let flight = Flight::new();
        let inner = || flight.call(&1, || unreachable!()).unwrap_err();
        assert_eq!(flight.call(&1, || format!("{:?}", inner())), Ok("WouldDeadlock".into()));
        let deep = || flight.call(&2, || format!("{:?}", inner())).unwrap();
        assert_eq!(flight.call(&1, deep), Ok("WouldDeadlock".into()));
        let limited = || flight.call_until(&1, HOUR, || unreachable!()).unwrap_err().error;
        assert_eq!(flight.call(&1, || format!("{:?}", limited())), Ok("WouldDeadlock".into()));
        let tries = || flight.try_call(&1, || unreachable!()).unwrap_err().error;
        assert_eq!(flight.call(&1, || format!("{:?}", tries())), Ok("WouldBlock".into()));
    });
}

#[test]
fn calls_that_wait_for_each_other_in_a_cycle_are_refused() {
    within_a_minute(|| {
        const THREADS: usize = 5;
        let flight = Arc::new(SingleFlight::<usize, Vec<JoinError>>::new());
        let all_lead = Arc::new(Latch::new(THREADS));
        let threads: Vec<_> = (0..THREADS)
            .map(|key| {
                let (flight, all_lead) = (Arc::clone(&flight), Arc::clone(&all_lead));
                thread::spawn(move || {
                    let leads = || {
                        all_lead.count_down();
                        all_lead.wait();
                        match flight.call(&((key + 1) % THREADS), || unreachable!()) {
                            Ok(told) => told,
                            Err(error) => vec![error],
                        }
                    };
                    flight.call(&key, leads).unwrap()
                })
            })
            .collect();
        // The one that closed the circle was told, and its result went round to all others.
        for thread in threads {
            assert_eq!(thread.join().unwrap(), [JoinError::WouldDeadlock]);
        }
    });
}

#[test]
fn past_waiters_keep_nothing_of_the_call() {
    within_a_minute(|| {
        let (flight, end) = (Arc::new(SingleFlight::<u32, Arc<()>>::new()), Arc::new(Latch::new(1)));
        let (value, started) = (Arc::new(()), Arc::new(Latch::new(1)));
        let leader = thread::spawn({
            let (flight, end, value) = (Arc::clone(&flight), Arc::clone(&end), Arc::clone(&value));
            let started = Arc::clone(&started);
            move || {
                let leads = || {
                    started.count_down();
                    end.wait();
                    value
                };
                drop(flight.call(&1, leads));
            }
        });
        started.wait();
        let waiter = thread::spawn({
            let flight = Arc::clone(&flight);
            move || drop(flight.call(&1, || unreachable!()))
        });
        wait_for_waiters(&flight, 1);
        end.count_down();
        leader.join().unwrap();
        waiter.join().unwrap();
        assert_eq!(Arc::strong_count(&value), 1);
    });
}

#[test]
fn cycle_with_a_limit_ends_by_it() {
    within_a_minute(|| {
        let (flight, clock) = (Arc::new(SingleFlight::<u8, Option<WaitError>>::new()), Clock::manual());
        let both_lead = Arc::new(Latch::new(2));
        let limited = thread::spawn({
            let (flight, clock, both_lead) = (Arc::clone(&flight), clock.clone(), Arc::clone(&both_lead));
            move || {
                flight.call(&1, || {
                    both_lead.count_down();
                    both_lead.wait();
                    flight
                        .call_until(&2, (clock.clock(), HOUR), || unreachable!())
                        .err()
                        .map(|late| late.error)
                })
            }
        });
        let unlimited = thread::spawn({
            let flight = Arc::clone(&flight);
            move || {
                flight.call(&2, || {
                    both_lead.count_down();
                    both_lead.wait();
                    flight.call(&1, || unreachable!()).unwrap()
                })
            }
        });
        // Both, or the one that came later would find no call to wait for.
        eventually("each waits for the other", || flight.waiting() == 2);
        clock.wait_for_sleepers(1);
        clock.advance(HOUR);
        assert_eq!(limited.join().unwrap(), Ok(Some(WaitError::TimedOut)));
        assert_eq!(unlimited.join().unwrap(), Ok(Some(WaitError::TimedOut)));
    });
}

thread_local! {
    /// What the code of [`Nosy`] looks at.
    static WATCHED: RefCell<Option<Arc<SingleFlight<Nosy, Nosy>>>> = const { RefCell::new(None) };
}

/// A key and a value whose every method uses the single flight that it is in.
#[derive(Debug)]
struct Nosy(u8);

fn look() {
    WATCHED.with_borrow(|watched| watched.as_ref().map(|flight| flight.in_flight() + flight.waiting()));
}

impl Clone for Nosy {
    fn clone(&self) -> Self {
        look();
        Nosy(self.0)
    }
}

impl PartialEq for Nosy {
    fn eq(&self, other: &Self) -> bool {
        look();
        self.0 == other.0
    }
}

impl Eq for Nosy {}

impl Hash for Nosy {
    fn hash<H: Hasher>(&self, state: &mut H) {
        look();
        self.0.hash(state);
    }
}

impl Drop for Nosy {
    fn drop(&mut self) {
        look();
    }
}

#[test]
fn none_of_the_callers_code_runs_under_a_lock() {
    within_a_minute(|| {
        let flight = Arc::new(SingleFlight::<Nosy, Nosy>::new());
        let asks = |flight: &Arc<SingleFlight<Nosy, Nosy>>| {
            let flight = Arc::clone(flight);
            move || {
                WATCHED.set(Some(Arc::clone(&flight)));
                let seen = flight.call(&Nosy(1), || unreachable!()).unwrap().0;
                WATCHED.set(None);
                seen
            }
        };
        WATCHED.set(Some(Arc::clone(&flight)));
        let mut others = Vec::new();
        let led = flight.call(&Nosy(1), || {
            others.extend([(); 2].map(|()| thread::spawn(asks(&flight))));
            wait_for_waiters(&flight, 2);
            assert!(flight.call(&Nosy(1), || unreachable!()).is_err());
            Nosy(9)
        });
        assert_eq!(led.unwrap().0, 9);
        for other in others {
            assert_eq!(other.join().unwrap(), 9);
        }
        let forgets = flight.call(&Nosy(1), || Nosy(u8::from(flight.forget(&Nosy(1)))));
        assert_eq!(forgets.unwrap().0, 1);
        WATCHED.set(None);
    });
}

#[test]
fn calls_of_one_key_never_overlap_and_give_nothing_out_of_date() {
    within_a_minute(|| {
        const KEYS: usize = 3;
        let flight = Arc::new(SingleFlight::<usize, usize>::new());
        let inside = Arc::new([const { AtomicUsize::new(0) }; KEYS]);
        let calls = Arc::new([const { AtomicUsize::new(0) }; KEYS]);
        let threads = [0, 1, 2, 3].map(|seed| {
            let (flight, inside, calls) = (Arc::clone(&flight), Arc::clone(&inside), Arc::clone(&calls));
            thread::spawn(move || {
                let (mut dice, mut seen) = (Dice::new(seed), HashSet::new());
                for _ in 0..2_000 {
                    let key = dice.roll(KEYS);
                    let before = calls[key].load(SeqCst);
                    let call = flight.call(&key, || {
                        assert_eq!(inside[key].fetch_add(1, SeqCst), 0, "two calls for {key} at once");
                        thread::yield_now();
                        inside[key].fetch_sub(1, SeqCst);
                        calls[key].fetch_add(1, SeqCst)
                    });
                    let serial = call.unwrap();
                    // The last that counted itself may not quite have ended.
                    assert!(serial + 1 >= before, "call {serial} of {key} had ended, {before} were made");
                    seen.insert((key, serial));
                }
                seen
            })
        });
        let seen: HashSet<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        // Every call had a leader, who saw its result.
        assert_eq!(seen.len(), calls.iter().map(|calls| calls.load(SeqCst)).sum::<usize>());
        assert_eq!((flight.in_flight(), flight.waiting()), (0, 0));
    });
}

#[test]
fn errors_say_what_to_do() {
    let flight = Flight::new();
    let told = flight.call(&1, || flight.call(&1, || unreachable!()).unwrap_err().to_string());
    assert_eq!(told.unwrap(), "it would wait for itself: what it waits for waits for this thread");
}

#[test]
fn debug_says_how_many_are_under_way() {
    let flight = Flight::new();
    let seen = flight.call(&1, || format!("{flight:?}")).unwrap();
    assert_eq!(seen, "SingleFlight { in_flight: 1, waiting: 0, .. }");
}

#[test]
fn limit_of_a_leader_that_is_alone_stops_its_closure() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let flight = SingleFlight::<u32, Result<u32, &str>>::new();
        let load = |stop: &CancelToken| stop.sleep(HOUR * 2).map(|()| 7).map_err(|_| "stopped");
        // By its time, and by its token.
        let stop = CancelToken::with_clock(&clock);
        for by_time in [true, false] {
            thread::scope(|s| {
                let leader = s.spawn(|| flight.call_with_token(&1, (&stop, HOUR), load));
                clock.wait_for_sleepers(1);
                if by_time {
                    clock.advance(HOUR)
                } else {
                    stop.cancel()
                }
                assert_eq!(leader.join().unwrap().unwrap(), Ok(Err("stopped")));
            });
        }
        assert!(
            flight.call_with_token(&1, &stop, load).is_err_and(|late| late.error == WaitError::Cancelled)
        );
        assert_eq!(flight.call_with_token(&1, HOUR, |_| Ok(8)).unwrap(), Ok(Ok(8)));
        assert_eq!((flight.in_flight(), flight.waiting()), (0, 0));
    });
}

#[test]
fn call_goes_on_until_its_last_caller_has_left() {
    within_a_minute(|| {
        let flight = SingleFlight::<u32, bool>::new();
        let limits = [(); 3].map(|()| CancelToken::new());
        let stopped = Latch::new(1);
        let load = |stop: &CancelToken| {
            stop.wait();
            stopped.count_down();
            true
        };
        thread::scope(|s| {
            let (flight, load) = (&flight, &load);
            let ask =
                |limit| s.spawn(move || flight.call_with_token(&1, limit, load).map_err(|late| late.error));
            let [first, second, third] = &limits;
            let leader = ask(first);
            eventually("it is in flight", || flight.in_flight() == 1);
            let followers = [ask(second), ask(third)];
            wait_for_waiters(flight, 2);
            first.cancel();
            second.cancel();
            let [second_left, third_stays] = followers;
            assert_eq!(second_left.join().unwrap(), Err(WaitError::Cancelled));
            assert!(!stopped.is_open());
            third.cancel();
            assert_eq!(third_stays.join().unwrap(), Err(WaitError::Cancelled));
            // The leader returns with its closure, however late.
            assert_eq!(leader.join().unwrap(), Ok(Ok(true)));
        });
    });
}

#[test]
fn caller_that_comes_to_a_call_that_is_stopping_begins_its_own() {
    within_a_minute(|| {
        let flight = SingleFlight::<u32, u32>::new();
        let (limit, told, go_on) = (CancelToken::new(), Latch::new(1), Latch::new(1));
        thread::scope(|s| {
            let leader = s.spawn(|| {
                flight.call_with_token(&1, &limit, |stop| {
                    stop.wait();
                    told.count_down();
                    go_on.wait();
                    1
                })
            });
            eventually("it is in flight", || flight.in_flight() == 1);
            limit.cancel();
            told.wait();
            // Not that of the first call, which still runs.
            assert_eq!(flight.call(&1, || 2), Ok(2));
            assert_eq!(flight.in_flight(), 1);
            go_on.count_down();
            assert_eq!(leader.join().unwrap().unwrap(), Ok(1));
        });
        assert_eq!((flight.in_flight(), flight.waiting()), (0, 0));
    });
}

#[test]
fn callback_of_the_calls_token_that_panics_fails_no_caller() {
    within_a_minute(|| {
        let flight = SingleFlight::<u32, u32>::new();
        let (limit, registered) = (CancelToken::new(), Latch::new(1));
        thread::scope(|s| {
            let leader = s.spawn(|| {
                flight.call_with_token(&1, &limit, |stop| {
                    let _guard = stop.on_cancel(|| resume_unwind(Box::new("the callback")));
                    registered.count_down();
                    stop.wait();
                    1
                })
            });
            // On a token that is cancelled already, the callback would run in the call itself.
            registered.wait();
            limit.cancel();
            assert_eq!(leader.join().unwrap().unwrap(), Ok(1));
        });
    });
}

//! Every documented panic happens, says with which numbers, and points at the caller's line.

use std::panic::{self, AssertUnwindSafe, Location, catch_unwind};
use std::sync::mpsc::channel;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::common::{HOUR, message, within_a_minute};
use selvedge::batch::Batch;
use selvedge::error::{JoinError, WouldDeadlock};
use selvedge::limiter::{KeyedLimiter, Ticker};
use selvedge::queue::{bounded, rendezvous};
use selvedge::sync::model;
use selvedge::watch::Broadcast;
use selvedge::{
    Batcher, BoundedQueue, CancelToken, Clock, Group, Latch, Pipeline, Pool, RateLimiter, Semaphore,
    ShardedMap, SingleFlight, group, retry, timeout,
};

/// What a panic said, and where.
#[derive(Debug)]
struct Told {
    message: String,
    file: String,
    line: u32,
}

/// Runs `f`, which must panic, with the hook that sees where.
///
/// The hook is the process's, so the tests that look at places take turns.
fn told_by(f: impl FnOnce()) -> Told {
    static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let here = std::thread::current().id();
    let (sends, places) = channel();
    let before = Arc::new(panic::take_hook());
    let others = Arc::clone(&before);
    panic::set_hook(Box::new(move |info| {
        if std::thread::current().id() == here {
            let place = info.location().map(|at| (at.file().to_owned(), at.line()));
            let _ = sends.send(place.unwrap_or_default());
        } else {
            others(info);
        }
    }));
    let payload = catch_unwind(AssertUnwindSafe(f));
    panic::set_hook(Box::new(move |info| before(info)));
    drop(turn);
    let (file, line) = places.try_recv().expect("the hook saw the panic");
    Told { message: message(&*payload.expect_err("it should have panicked")), file, line }
}

/// Asserts that a call panics with each of `parts` in its message, on the line that it is written on.
macro_rules! assert_blames_caller {
    ($call:expr, $($part:expr),+) => {{
        // One line, so that the place of the call is known.
        let line = line!();
        let told = told_by(|| {
            let _ = $call;
        });
        $(assert!(told.message.contains(&$part.to_string()), "{} is not in {told:?}", $part);)+
        assert!(told.file.ends_with("panics.rs"), "{told:?} does not blame the caller");
        assert!((line..line + 3).contains(&told.line), "{told:?}, but the call is on line {line}");
    }};
}

#[test]
fn harness_sees_the_place_of_a_panic() {
    #[track_caller]
    fn tracked() {
        panic!("from {}", Location::caller().line());
    }
    fn untracked() {
        panic!("from here");
    }
    let told = told_by(|| tracked());
    assert_eq!(told.message, format!("from {}", told.line));
    assert_eq!(told_by(untracked).message, "from here");
}

#[test]
fn queue_of_no_capacity_is_refused() {
    assert_blames_caller!(BoundedQueue::<u8>::new(0), "capacity 0", "least is 1");
    assert_blames_caller!(bounded::<u8>(0), "capacity 0", "least is 1");
}

#[test]
fn queue_of_too_much_capacity_is_refused_before_it_allocates() {
    let most = usize::MAX / 4;
    assert_blames_caller!(BoundedQueue::<u8>::new(most + 1), most + 1, most);
    assert_blames_caller!(bounded::<u8>(usize::MAX), usize::MAX, most);
}

#[test]
fn semaphore_of_too_many_permits_is_refused() {
    let most = Semaphore::MAX;
    assert_blames_caller!(Semaphore::new(most + 1), most + 1, most);
    let semaphore = Semaphore::new(1);
    assert_blames_caller!(semaphore.resize(usize::MAX), usize::MAX, most);
    assert_eq!((semaphore.available(), semaphore.total()), (1, 1));
    assert!(semaphore.try_acquire().is_ok());
}

#[test]
fn merging_permits_of_different_semaphores_is_refused_and_loses_none() {
    let (a, b) = (Arc::new(Semaphore::new(2)), Arc::new(Semaphore::new(3)));
    let mut permit = a.acquire().unwrap();
    let other = b.acquire().unwrap();
    assert_blames_caller!(permit.merge(other), "different semaphores", "total: 2", "total: 3");
    assert_eq!((permit.count(), b.available()), (1, 3));
    let mut permit = a.acquire_owned().unwrap();
    let other = b.acquire_owned().unwrap();
    assert_blames_caller!(permit.merge(other), "different semaphores", "total: 2", "total: 3");
    assert_eq!((permit.count(), b.available()), (1, 3));
}

#[test]
fn counting_an_open_latch_down_is_refused() {
    let latch = Latch::new(1);
    latch.count_down();
    assert_blames_caller!(latch.count_down(), "open");
    assert!(latch.is_open());
    assert_blames_caller!(Latch::new(0).count_down(), "open");
}

#[test]
fn child_until_a_time_of_another_clock_is_refused() {
    let (manual, token) = (Clock::manual(), CancelToken::new());
    let limit = (manual.clock(), HOUR);
    assert_blames_caller!(token.child_until(limit), "Clock::manual", "Clock::system");
    let on_manual = CancelToken::with_clock(&manual);
    let limit = (&Clock::system(), HOUR);
    assert_blames_caller!(on_manual.child_until(limit), "Clock::manual", "Clock::system");
    let other = Clock::manual();
    let limit = (other.clock(), HOUR);
    assert_blames_caller!(on_manual.child_until(limit), "Clock::manual");
    assert!(format!("{token:?}{on_manual:?}").contains("watchers: 0"));
}

#[test]
fn policies_that_attempt_nothing_or_do_not_back_off_are_refused() {
    assert_blames_caller!(retry::policy().attempts(0), "0 attempts", "least is 1");
    assert_blames_caller!(retry::policy().factor(0.5), "factor 0.5", "least is 1");
    assert_blames_caller!(retry::policy().factor(f64::NAN), "factor NaN", "least is 1");
    assert_blames_caller!(retry::policy().factor(-2.0), "factor -2", "least is 1");
}

#[test]
fn scope_with_a_limit_of_no_tasks_is_refused_and_still_ends() {
    within_a_minute(|| {
        let result = group::scope(&CancelToken::new(), |g| {
            g.spawn(|_| Ok::<_, ()>(()));
            assert_blames_caller!(g.limit(0), "limit of 0", "least is 1");
            Ok(())
        });
        assert_eq!(result, Ok(()));
    });
}

#[test]
fn group_with_a_limit_of_no_tasks_is_refused() {
    let group = Group::<()>::new(&CancelToken::new());
    assert_blames_caller!(group.limit(0), "limit of 0", "least is 1");
    group.limit(1);
    assert_eq!(group.wait(), Ok(()));
}

#[test]
fn panic_of_groups_task_comes_at_one_wait_and_later_ones_say_so() {
    within_a_minute(|| {
        let group = Group::<()>::new(&CancelToken::new());
        group.spawn(|_| panic!("the task's")).unwrap();
        let told = catch_unwind(AssertUnwindSafe(|| group.wait()));
        assert_eq!(message(&*told.unwrap_err()), "the task's");
        assert_blames_caller!(group.wait(), "an earlier wait");
        assert_blames_caller!(group.wait_until(HOUR), "an earlier wait");
    });
}

#[test]
fn waits_of_tasks_for_themselves_are_refused() {
    within_a_minute(|| {
        let shared = Arc::new(OnceLock::<Group<()>>::new());
        let group = shared.get_or_init(|| Group::new(&CancelToken::new()));
        let own = Arc::clone(&shared);
        let task = group.submit(move |_| {
            assert_eq!(own.get().unwrap().wait(), Err(group::Error::WouldDeadlock));
            Ok(())
        });
        assert_eq!(task.unwrap().join(), Ok(()));
        let result = group::scope(&CancelToken::new(), |g| {
            g.spawn(move |_| {
                assert_eq!(g.wait(), Err(WouldDeadlock));
                Ok::<_, ()>(())
            });
            Ok(())
        });
        assert_eq!(result, Ok(()));
    });
}

#[test]
fn task_that_joins_itself_is_refused() {
    within_a_minute(|| {
        let group = Group::<()>::new(&CancelToken::new());
        let (sends, own) = channel::<group::Handle<()>>();
        let task = group.submit(move |_| {
            let own = own.recv().unwrap();
            assert_eq!(own.join(), Err(JoinError::WouldDeadlock));
            Ok(())
        });
        sends.send(task.unwrap()).unwrap();
        assert_eq!(group.wait(), Ok(()));
    });
}

#[test]
fn panic_of_a_function_under_a_time_out_comes_to_the_caller() {
    within_a_minute(|| {
        let told = catch_unwind(AssertUnwindSafe(|| timeout::run(HOUR, |_| panic!("the function's"))));
        assert_eq!(message(&*told.map(drop).unwrap_err()), "the function's");
    });
}

#[test]
fn late_function_that_joins_itself_is_refused_and_its_panic_comes_at_the_join() {
    within_a_minute(|| {
        let stop = CancelToken::new();
        let (sends, own) = channel::<timeout::Running<()>>();
        let (starts, started) = channel();
        let token = stop.clone();
        std::thread::scope(|s| {
            s.spawn(move || {
                started.recv().unwrap();
                token.cancel();
            });
            let (tells, hears) = channel();
            let late = timeout::run(&stop, move |_| {
                starts.send(()).unwrap();
                let own: timeout::Running<()> = own.recv().unwrap();
                assert_eq!(own.join(), Err(JoinError::WouldDeadlock));
                tells.send(()).unwrap();
            });
            sends.send(late.unwrap_err().into_running().unwrap()).unwrap();
            hears.recv().unwrap();
        });
        let gate = Arc::new(Latch::new(1));
        let (stop, waits) = (CancelToken::new(), Arc::clone(&gate));
        let token = stop.clone();
        let late = timeout::run(&stop, move |_| -> u8 {
            token.cancel();
            waits.wait();
            panic!("the function's")
        });
        gate.count_down();
        let running = late.unwrap_err().into_running().unwrap();
        let told = catch_unwind(AssertUnwindSafe(|| match running.join() {
            Err(JoinError::Panicked(panic)) => panic.resume(),
            other => other,
        }));
        assert_eq!(message(&*told.unwrap_err()), "the function's");
    });
}

#[test]
fn clock_advanced_past_the_end_of_time_panics_and_stands_where_it_was() {
    let clock = Clock::manual();
    let before = clock.now();
    let told = told_by(|| clock.advance(Duration::MAX));
    assert!(told.message.contains("end of time"), "{told:?}");
    assert_eq!(clock.now(), before);
    clock.advance(HOUR);
    assert_eq!(clock.now(), before + HOUR);
}

#[test]
fn callback_that_panics_in_advance_is_passed_on_when_all_that_are_due_were_called() {
    let clock = Clock::manual();
    let root = CancelToken::with_clock(&clock);
    let (early, bad, late) = (root.child_until(HOUR), root.child_until(HOUR * 2), root.child_until(HOUR * 3));
    let (told, hears) = channel();
    let tell = |name: &'static str| {
        let told = told.clone();
        move || told.send(name).unwrap()
    };
    early.on_cancel(tell("early")).keep();
    bad.on_cancel(|| panic!("in the callback")).keep();
    late.on_cancel(tell("late")).keep();
    let payload = catch_unwind(AssertUnwindSafe(|| clock.advance(HOUR * 9))).unwrap_err();
    assert_eq!(message(&*payload), "in the callback");
    assert_eq!(hears.try_iter().collect::<Vec<_>>(), ["early", "late"]);
}

#[test]
fn callback_that_panics_is_passed_on_to_the_canceller_by_a_guard_too() {
    let token = CancelToken::new();
    token.on_cancel(|| panic!("in the callback")).keep();
    let payload = catch_unwind(AssertUnwindSafe(|| drop(token.drop_guard()))).unwrap_err();
    assert_eq!(message(&*payload), "in the callback");
    token.cancel(); // it was told; nobody panics twice
    let registered = catch_unwind(AssertUnwindSafe(|| token.on_cancel(|| panic!("at once")).keep()));
    assert_eq!(message(&*registered.unwrap_err()), "at once");
}

#[test]
fn iterator_that_panics_in_a_batch_leaves_the_queue_usable_and_whole() {
    let queue = BoundedQueue::new(100);
    let pushed = catch_unwind(AssertUnwindSafe(|| {
        let items = (0..80).inspect(|&item| assert!(item < 50, "item {item}"));
        queue.push_all(items)
    }));
    assert_eq!(message(&*pushed.err().unwrap()), "item 50");
    // Whole batches went in, and what came out is a beginning without a gap.
    queue.push(1000).unwrap();
    let mut items = queue.close_and_drain();
    assert_eq!(items.pop(), Some(1000));
    assert_eq!(items, (0..items.len()).collect::<Vec<_>>());
}

#[test]
fn panics_of_scopes_task_and_body_come_back_with_their_payloads() {
    within_a_minute(|| {
        let task = catch_unwind(AssertUnwindSafe(|| {
            group::scope(&CancelToken::new(), |g| {
                g.spawn(|_| -> Result<(), ()> { panic!("the task's") });
                Ok(())
            })
        }));
        assert_eq!(message(&*task.unwrap_err()), "the task's");
        let body = catch_unwind(AssertUnwindSafe(|| {
            group::scope::<Result<(), ()>, (), _>(&CancelToken::new(), |_| panic!("the body's"))
        }));
        assert_eq!(message(&*body.unwrap_err()), "the body's");
    });
}

#[test]
fn putting_back_another_number_of_items_than_were_taken_is_refused() {
    within_a_minute(|| {
        let builder = Batcher::builder().max_items(2);
        let handler = |batch: &mut Batch<u8>| {
            let mut items = batch.take();
            items.pop();
            assert_blames_caller!(batch.put_back(items), "1 items", "batch of 2");
            batch.put_back(vec![7, 7]);
            assert_blames_caller!(batch.put_back(vec![8, 8]), "2 items", "has 2 of them");
        };
        let batcher = builder.build(handler).unwrap();
        (0..2).for_each(|n| batcher.add(n).unwrap());
        assert_eq!(batcher.close().stats.processed, 2);
    });
}

#[test]
fn panic_of_a_batchs_handler_or_weight_goes_to_its_ticket_or_adder_alone() {
    within_a_minute(|| {
        let weigh = |n: &u8| if *n == 0 { panic!("no weight") } else { 1 };
        let batcher = Batcher::builder().max_items(1).weigh(weigh);
        let handler = |batch: &mut Batch<u8>| assert!(batch.is_empty(), "{} of {}", 3, 4);
        let batcher = batcher.build(handler).unwrap();
        let said = batcher.submit(1).unwrap().join().unwrap_err().to_string();
        assert!(said.contains("3 of 4"), "{said}");
        let weighed = catch_unwind(AssertUnwindSafe(|| batcher.add(0))).unwrap_err();
        assert_eq!(message(&*weighed), "no weight");
        assert_eq!(batcher.close().stats.panicked, 1);
    });
}

#[test]
fn panic_of_a_pools_task_goes_to_the_handle_alone() {
    within_a_minute(|| {
        let pool = Pool::builder().workers(1).build().unwrap();
        let task = pool.submit(|| -> u8 { panic!("{} of {}", 3, 4) }).unwrap();
        let said = task.join().unwrap_err().to_string();
        assert!(said.contains("3 of 4"), "{said}");
        assert_eq!(pool.shutdown().panicked, 1);
    });
}

#[test]
fn pipeline_of_no_workers_no_bound_or_no_outputs_is_refused() {
    assert_blames_caller!(Pipeline::source([1]).par_map(0, |n| n), "0 workers", "least is 1");
    assert_blames_caller!(Pipeline::source([1]).try_par_map(0, Ok::<i32, ()>), "0 workers");
    assert_blames_caller!(Pipeline::source([1]).par_map(1, |n| n).bound(0), "bound of 0", "least is 1");
    assert_blames_caller!(Pipeline::source([1]).par_map(1, |n| n).bound(usize::MAX), usize::MAX);
    assert_blames_caller!(Pipeline::source([1]).buffered(0), "bound of 0");
    assert_blames_caller!(Pipeline::source([1]).chunks(0), "chunk of 0", "least is 1");
    assert_blames_caller!(Pipeline::source([1]).chunks_within(0, HOUR), "chunk of 0");
    assert_blames_caller!(Pipeline::source([1]).fan_out(0), "0 outputs", "least is 1");
    assert_blames_caller!(Pipeline::source([1]).fan_out_by(0, 1, |n| *n), "0 outputs");
    assert_blames_caller!(Pipeline::source([1]).fan_out_by(2, 0, |n| *n), "room for 0");
    assert_blames_caller!(Pipeline::source([1]).broadcast(2, 0), "room for 0");
    assert_blames_caller!(Pipeline::merge([Pipeline::source([1])]).capacity(0), "bound of 0");
}

#[test]
fn panic_of_a_stage_comes_to_the_sink_and_to_the_pump() {
    within_a_minute(|| {
        let stage = |n: i32| if n == 3 { panic::panic_any("third") } else { n };
        let sink = catch_unwind(|| Pipeline::source(0..9).par_map(2, stage).count());
        assert_eq!(message(&*sink.unwrap_err()), "third");
        let (_items, pump) = Pipeline::source(0..9).map(stage).into_channel(9).unwrap();
        let joined = catch_unwind(AssertUnwindSafe(|| pump.join()));
        assert_eq!(message(&*joined.unwrap_err()), "third");
    });
}

#[test]
fn map_of_no_shards_or_of_too_many_is_refused() {
    let most = ShardedMap::<u8, u8>::MAX_SHARDS;
    assert_blames_caller!(ShardedMap::<u8, u8>::with_shards(0), "0 shards", "least is 1");
    assert_blames_caller!(ShardedMap::<u8, u8>::with_shards(most + 1), most + 1, most);
    assert_blames_caller!(ShardedMap::<u8, u8, ()>::with_shards_and_hasher(usize::MAX, ()), usize::MAX);
}

#[test]
fn call_on_a_map_from_its_own_closure_is_refused_on_the_line_that_makes_it() {
    let map = ShardedMap::from([(1, 1)]);
    let get = |_: &mut i32| {
        assert_blames_caller!(map.get(&2), "same map", "call the map afterwards");
        assert_blames_caller!(map.insert(2, 2), "same map", "call the map afterwards");
        assert_blames_caller!(map.len(), "same map");
        assert_eq!(map.get_or_insert_with(2, || 2), Err(WouldDeadlock));
        assert!(map.get_or_insert_with_until(2, HOUR, || 2).is_err());
        assert_blames_caller!(map.entry(2, |_| ()), "same map");
        assert_blames_caller!(map.retain(|_, _| true), "same map");
        assert_blames_caller!(map.iter().next(), "same map");
        assert_blames_caller!(map.drain().next(), "same map");
        assert_blames_caller!(map.clone(), "same map");
    };
    assert_eq!(map.update(&1, get), Some(()));
    assert_eq!(map.len(), 1);
}

#[test]
fn model_that_fails_panics_as_its_body_did() {
    let payload = catch_unwind(|| model::check(|| panic!("the body's"))).unwrap_err();
    assert_eq!(message(&*payload), "the body's");
}

#[test]
fn panic_of_a_single_flights_closure_is_its_leaders() {
    let flight = SingleFlight::<u8, u8>::new();
    let told = told_by(|| _ = flight.call(&1, || panic!("from {}", "call")));
    assert_eq!(told.message, "from call");
    let told = told_by(|| _ = flight.try_call(&1, || panic!("from try_call")));
    assert_eq!(told.message, "from try_call");
    let told = told_by(|| _ = flight.call_until(&1, HOUR, || panic!("from call_until")));
    assert_eq!(told.message, "from call_until");
    assert_eq!(flight.call(&1, || 7), Ok(7));
}

#[test]
fn limiter_without_a_period_or_with_too_many_tokens_is_refused() {
    let (most, second) = (RateLimiter::MAX, Duration::from_secs(1));
    assert_blames_caller!(RateLimiter::new(7, Duration::ZERO), "7 tokens", "period of 0");
    assert_blames_caller!(RateLimiter::new(most + 1, second), most + 1, most);
    assert_blames_caller!(RateLimiter::new(1, second).with_burst(most + 1), most + 1, most);
    assert_blames_caller!(KeyedLimiter::<u8>::new(7, Duration::ZERO), "7 tokens", "period of 0");
    assert_blames_caller!(KeyedLimiter::<u8>::new(most + 1, second), most + 1, most);
    assert_blames_caller!(KeyedLimiter::<u8>::new(1, second).with_burst(most + 1), most + 1, most);
    assert_blames_caller!(Ticker::new(Duration::ZERO), "period of 0");
    assert_blames_caller!(Broadcast::<u8>::new(0), "keeps 0 values");
    let pool = Pool::builder().workers(1).build().unwrap();
    assert_blames_caller!(pool.keyed::<u8>().width(0), "0 at once");
    assert_blames_caller!(pool.keyed::<u8>().queue(0), "queue of 0");
    assert_blames_caller!(pool.keyed::<u8>().queue_per_key(0), "queue of 0");
    let queue = BoundedQueue::<u8>::resizable(1, 5);
    assert_blames_caller!(queue.resize(0), "capacity 0");
    assert_blames_caller!(queue.resize(6), 6, "made with, 5");
    assert_blames_caller!(BoundedQueue::<u8>::resizable(7, 5), 7, "made with, 5");
    assert_blames_caller!(BoundedQueue::<u8>::resizable(0, 5), "capacity 0");
    assert_blames_caller!(bounded::<u8>(3).0.resize(4), 4, "made with, 3");
    assert_blames_caller!(rendezvous::<u8>().1.resize(1), 1, "made with, 0");
    assert_blames_caller!(pool.submit_every(Duration::ZERO, |_| ()), "period of 0");
    let limiter = RateLimiter::new(1, second);
    assert_blames_caller!(limiter.set_rate(7, Duration::ZERO), "7 tokens", "period of 0");
    assert_blames_caller!(limiter.set_rate(u64::MAX, second), u64::MAX, most);
    assert_blames_caller!(limiter.set_burst(u64::MAX), u64::MAX, most);
    assert_eq!((limiter.rate(), limiter.burst(), limiter.available()), ((1, second), 1, 1));
}

//! Black-box tests of waiting for the first of several operations, with the macro and with `Select`.

#[path = "../common/mod.rs"]
mod common;
mod suites;
mod tags;

use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use common::{HOUR, until_figure, within_a_minute};
use selvedge::batch::Batch;
use selvedge::error::{Closed, JoinError, TryError, WaitError};
use selvedge::limiter::Ticker;
use selvedge::queue::bounded;
use selvedge::select::Select;
use selvedge::{
    Batcher, BoundedQueue, CancelToken, Clock, Latch, Monitor, Pool, Semaphore, Task, WaitGroup, group,
    select, timeout,
};

fn filled<T>(items: impl IntoIterator<Item = T>) -> BoundedQueue<T> {
    let queue = BoundedQueue::new(64);
    assert!(queue.push_all(items).is_ok());
    queue
}

#[test]
fn the_one_arm_that_is_ready_takes_effect() {
    let (empty, one) = (filled::<u32>([]), filled([7]));
    let taken = select! {
        pop(&empty) -> item => (0, item),
        pop(&one) -> item => (1, item),
    };
    assert_eq!(taken, (1, Ok(7)));
    let taken = select! {
        pop(&one) -> item => (0, item),
        default => (9, Err(Closed)),
    };
    assert_eq!(taken, (9, Err(Closed)));
}

#[test]
fn the_arms_that_lose_have_done_nothing() {
    let (input, full, semaphore, latch) =
        (filled([1, 2]), BoundedQueue::new(1), Semaphore::new(2), Latch::new(1));
    full.push('x').unwrap();
    let held = semaphore.acquire_many(2).unwrap();
    let (mut item, mut task) = (Some('y'), None::<Task<u32>>);
    select! {
        push(&full, &mut item) -> _ => panic!("it is full"),
        acquire(&semaphore) -> _ => panic!("all are out"),
        wait(&latch) -> () => panic!("it is closed"),
        join(&mut task) -> _ => panic!("there is none"),
        pop(&input) -> first => assert_eq!(first, Ok(1)),
    }
    drop(held);
    assert_eq!((item, full.len(), semaphore.available(), input.len()), (Some('y'), 1, 2, 1));
}

#[test]
fn push_arm_that_takes_effect_empties_the_option() {
    let queue = BoundedQueue::new(1);
    let mut item = Some(5);
    select! {
        push(&queue, &mut item) -> pushed => assert_eq!(pushed, Ok(())),
    }
    assert_eq!((item, queue.pop()), (None, Ok(5)));
}

#[test]
fn push_arm_of_a_closed_queue_is_ready_and_leaves_the_item() {
    let queue = BoundedQueue::new(1);
    queue.close();
    let mut item = Some(5);
    let pushed = select! { push(&queue, &mut item) -> pushed => pushed };
    assert_eq!((pushed, item), (Err(Closed), Some(5)));
}

#[test]
fn arm_that_is_turned_off_is_never_ready() {
    let queue = filled([1]);
    let mut nothing = None;
    let off = None.map(|()| select::pop(&queue));
    let taken = select! {
        arm(off) -> item => item.ok(),
        push(&queue, &mut nothing) -> _ => Some(9),
        default => None,
    };
    assert_eq!((taken, queue.len()), (None, 1));
}

#[test]
fn closing_ends_a_selection_in_either_list() {
    for closed in [0, 1] {
        within_a_minute(move || {
            let queues = [filled::<u32>([]), filled([])];
            thread::scope(|s| {
                let selecting = s.spawn(|| {
                    select! {
                        pop(&queues[0]) -> item => (0, item),
                        pop(&queues[1]) -> item => (1, item),
                    }
                });
                until_figure(&queues[1], "waiting_to_pop", 1);
                queues[closed].close();
                assert_eq!(selecting.join().unwrap(), (closed, Err(Closed)));
            });
            // The selection has left all lists.
            assert!(queues.iter().all(|queue| format!("{queue:?}").contains("waiting_to_pop: 0")));
        });
    }
}

#[test]
fn sleeping_selection_is_woken_through_each_kind_of_arm() {
    within_a_minute(|| {
        let (input, output, semaphore) = (filled::<u32>([]), BoundedQueue::new(1), Semaphore::new(1));
        let (latch, members, stop) = (Latch::new(1), WaitGroup::new(), CancelToken::new());
        output.push(0).unwrap();
        let (permit, member) = (semaphore.acquire().unwrap(), members.add());
        let selecting = || {
            let mut item = Some(8);
            select! {
                pop(&input) -> item => format!("popped {item:?}"),
                push(&output, &mut item) -> pushed => format!("pushed {pushed:?}"),
                acquire(&semaphore) -> permit => format!("acquired {}", permit.unwrap().count()),
                wait(&latch) -> () => "opened".into(),
                wait(&members) -> () => "alone".into(),
                cancelled(&stop) -> () => "cancelled".into(),
            }
        };
        let wakes: [(&str, &(dyn Fn() + Sync)); 3] = [
            ("popped Ok(7)", &|| input.push(7).unwrap()),
            ("pushed Ok(())", &|| assert!(output.pop().is_ok())),
            ("opened", &|| latch.count_down()),
        ];
        let check = |expected: &str, wake: &(dyn Fn() + Sync)| {
            thread::scope(|s| {
                let selected = s.spawn(selecting);
                until_figure(&latch, "waiting", 1);
                until_figure(&stop, "watchers", 1);
                wake();
                assert_eq!(selected.join().unwrap(), expected);
            });
        };
        let (first, rest) = wakes.split_at(2);
        first.iter().for_each(|(expected, wake)| check(expected, wake));
        // The push arm added another item.
        assert_eq!(output.len(), 1);
        let permit = Mutex::new(Some(permit));
        check("acquired 1", &|| drop(permit.lock().unwrap().take()));
        assert_eq!(semaphore.available(), 1);
        let _permit = semaphore.acquire().unwrap();
        let member = Mutex::new(Some(member));
        check("alone", &|| drop(member.lock().unwrap().take()));
        let _member = members.add();
        rest.iter().for_each(|(expected, wake)| check(expected, wake));
        let after = select! { wait(&latch) -> () => "open" };
        assert_eq!(after, "open");
        let fresh = Latch::new(1);
        thread::scope(|s| {
            let selected = s.spawn(|| {
                select! {
                    wait(&fresh) -> () => "opened",
                    cancelled(&stop) -> () => "cancelled",
                }
            });
            until_figure(&fresh, "waiting", 1);
            stop.cancel();
            assert_eq!(selected.join().unwrap(), "cancelled");
        });
    });
}

#[test]
fn limit_ends_a_selection_that_nobody_serves() {
    let (queue, stop) = (filled::<u32>([]), CancelToken::new());
    let why = select! {
        pop(&queue) -> _ => panic!("it is empty"),
        until(Duration::from_millis(1)) -> why => why,
    };
    assert_eq!(why, WaitError::TimedOut);
    stop.cancel();
    queue.push(1).unwrap();
    let why = select! {
        until(&stop) -> why => why,
        pop(&queue) -> _ => panic!("the token was cancelled before"),
    };
    assert_eq!((why, queue.len()), (WaitError::Cancelled, 1));
    let why = select! {
        until((&stop, HOUR)) -> why => Some(why),
        pop(&queue) -> _ => None,
        default => None,
    };
    assert_eq!(why, Some(WaitError::Cancelled));
    let taken = select! {
        pop(&queue) -> item => item.ok(),
        until(Duration::ZERO) -> _ => None,
    };
    assert_eq!(taken, Some(1), "what is there is taken without a wait");
}

#[test]
fn deadline_and_tick_of_a_manual_clock_end_a_selection() {
    within_a_minute(|| {
        let (clock, queue) = (Clock::manual(), filled::<u32>([]));
        let token = CancelToken::with_clock(&clock);
        thread::scope(|s| {
            let late = s.spawn(|| {
                select! {
                    pop(&queue) -> _ => None,
                    until((&token, HOUR)) -> why => Some(why),
                }
            });
            clock.wait_for_sleepers(1);
            clock.advance(HOUR);
            assert_eq!(late.join().unwrap(), Some(WaitError::TimedOut));
            let ticking = s.spawn(|| {
                let (mut hours, mut days) =
                    (Ticker::new(HOUR).with_clock(&clock), Ticker::new(HOUR * 24).with_clock(&clock));
                let start = clock.now();
                let mut ticks = Vec::new();
                for _ in 0..2 {
                    ticks.push(select! {
                        pop(&queue) -> _ => None,
                        tick(&mut hours) -> tick => Some(("hour", tick.due - start)),
                        tick(&mut days) -> tick => Some(("day", tick.due - start)),
                        until((&token, HOUR * 3)) -> _ => None,
                    });
                }
                ticks
            });
            for _ in 0..2 {
                clock.wait_for_sleepers(1);
                clock.advance(HOUR);
            }
            assert_eq!(ticking.join().unwrap(), [Some(("hour", HOUR)), Some(("hour", HOUR * 2))]);
            let dying = token.child_until(HOUR);
            let queue = &queue;
            let selecting = s.spawn(move || {
                select! {
                    pop(queue) -> _ => false,
                    cancelled(&dying) -> () => true,
                }
            });
            clock.wait_for_sleepers(1);
            clock.advance(HOUR);
            assert!(selecting.join().unwrap());
        });
    });
}

#[test]
fn tick_and_deadline_of_the_systems_clock_end_a_selection() {
    within_a_minute(|| {
        let queue = filled::<u32>([]);
        let mut ticker = Ticker::new(Duration::from_millis(1));
        let stop = CancelToken::new().child_until(Duration::from_millis(1));
        let mut seen = (false, false);
        while seen != (true, true) {
            select! {
                pop(&queue) -> _ => panic!("it is empty"),
                tick(&mut ticker) -> _ => seen.0 = true,
                cancelled(&stop) -> () => seen.1 = true,
            }
        }
    });
}

#[test]
fn every_handle_can_be_joined() {
    within_a_minute(|| {
        let pool = Pool::builder().workers(1).build().unwrap();
        let go = Arc::new(Latch::new(1));
        let task = |number: u32| {
            let go = Arc::clone(&go);
            move || {
                go.wait();
                number
            }
        };
        let batcher = Batcher::builder()
            .max_items(1)
            .build(|batch: &mut Batch<u32>| Ok::<usize, Closed>(batch.len()))
            .unwrap();
        let token = CancelToken::new();
        let late = CancelToken::new();
        let limited = timeout::run(&late, {
            let (run, late) = (task(3), late.clone());
            move |_| {
                late.cancel();
                run()
            }
        });
        let mut running = limited.err().and_then(timeout::Error::into_running);
        let mut pooled = Some(pool.submit(task(1)).unwrap());
        let mut ticket = Some(batcher.submit(9).unwrap());
        let results = group::scope(&token, |g| {
            let mut handle = Some(g.submit(|_| Ok::<u32, Closed>(task(2)())));
            go.count_down();
            let mut results = Vec::new();
            while results.len() < 4 {
                results.push(select! {
                    join(&mut pooled) -> result => result.unwrap(),
                    join(&mut handle) -> result => result.unwrap(),
                    join(&mut running) -> result => result.unwrap(),
                    join(&mut ticket) -> result => result.unwrap() as u32 * 10,
                });
            }
            assert!(handle.is_none());
            Ok(results)
        });
        let mut results = results.unwrap();
        results.sort_unstable();
        assert_eq!(results, [1, 2, 3, 10]);
        assert!(pooled.is_none() && running.is_none() && ticket.is_none());
    });
}

#[test]
fn join_that_loses_leaves_the_handle() {
    within_a_minute(|| {
        let pool = Pool::builder().workers(1).build().unwrap();
        let (go, queue) = (Arc::new(Latch::new(1)), filled([5]));
        let mut task = Some(pool.submit({
            let go = Arc::clone(&go);
            move || go.wait()
        }));
        let mut task = task.take().unwrap().ok();
        select! {
            join(&mut task) -> _ => panic!("it waits"),
            pop(&queue) -> item => assert_eq!(item, Ok(5)),
        }
        go.count_down();
        assert_eq!(task.expect("it lost").join(), Ok(()));
    });
}

#[test]
fn only_worker_that_selects_a_task_of_its_own_pool_runs_it() {
    within_a_minute(|| {
        let pool = Arc::new(Pool::builder().workers(1).build().unwrap());
        let task = pool.submit({
            let pool = Arc::downgrade(&pool);
            move || {
                let pool = pool.upgrade().unwrap();
                let mut inner = Some(pool.submit(|| 6 * 7).unwrap());
                select! { join(&mut inner) -> result => result }
            }
        });
        assert_eq!(task.unwrap().join().unwrap(), Ok(42));
    });
}

#[test]
fn selection_in_a_task_lets_a_spare_worker_run() {
    within_a_minute(|| {
        let pool = Pool::builder().workers(1).spares(1).build().unwrap();
        let (first, second) = bounded(1);
        let waits = pool
            .submit(move || {
                let other = filled::<u32>([]);
                select! {
                    pop(&second) -> item => item,
                    pop(&other) -> item => item,
                }
            })
            .unwrap();
        let pushes = pool.submit(move || first.push(7).unwrap()).unwrap();
        assert_eq!((pushes.join(), waits.join()), (Ok(()), Ok(Ok(7))));
    });
}

#[test]
fn task_that_selects_itself_is_refused() {
    within_a_minute(|| {
        let pool = Pool::builder().workers(2).build().unwrap();
        let (sender, receiver) = bounded::<Task<Result<(), JoinError>>>(1);
        let task = pool.submit(move || {
            let mut itself =
                receiver.pop().ok().map(|task| task.join_until(Duration::ZERO).err().unwrap().value);
            let (empty, mut told) = (filled::<u32>([]), None);
            while told.is_none() {
                told = select! {
                    join(&mut itself) -> result => Some(result.map(|_| ())),
                    pop(&empty) -> _ => None,
                };
            }
            told.unwrap()
        });
        let (done, _observed) = (task.unwrap(), ());
        // The task gets its own handle, so no other thread can join it; its end shows in the pool's figures.
        sender.push(done).ok().unwrap();
        common::eventually("the task has ended", || pool.stats().completed == 1);
    });
}

#[test]
fn selections_that_wait_for_each_other_are_refused() {
    within_a_minute(|| {
        let pool = Pool::builder().workers(2).build().unwrap();
        type Told = Task<Result<(), JoinError>>;
        let ends: [_; 2] = std::array::from_fn(|_| bounded::<Told>(1));
        let [a, b] = ends.each_ref().map(|(_, receiver)| {
            let receiver = receiver.clone();
            let task = move || {
                let mut other = receiver.pop().ok();
                select! { join(&mut other) -> result => result.map(drop) }
            };
            pool.submit(task).unwrap()
        });
        ends[0].0.push(b).ok().unwrap();
        ends[1].0.push(a).ok().unwrap();
        common::eventually("both have ended", || pool.stats().completed == 2);
    });
}

#[test]
fn selection_that_anybody_may_serve_is_no_cycle() {
    within_a_minute(|| {
        let pool = Pool::builder().workers(2).build().unwrap();
        let (way_out, handle) = (Arc::new(BoundedQueue::<u32>::new(1)), bounded::<Task<u32>>(1));
        let started = [(); 2].map(|()| Arc::new(Latch::new(1)));
        let first = pool.submit({
            let (way_out, handle, started) = (Arc::clone(&way_out), handle.1, Arc::clone(&started[0]));
            move || {
                started.count_down();
                let mut second = handle.pop().ok();
                select! {
                    join(&mut second) -> _ => 0,
                    pop(&way_out) -> item => item.unwrap(),
                }
            }
        });
        let first = first.unwrap();
        // Otherwise the second task would run it on its own stack, and wait for itself.
        started[0].wait();
        let second = pool.submit({
            let started = Arc::clone(&started[1]);
            move || {
                started.count_down();
                first.join().unwrap()
            }
        });
        // Likewise: otherwise the first task would run it.
        started[1].wait();
        handle.0.push(second.unwrap()).ok().unwrap();
        until_figure(&*way_out, "waiting_to_pop", 1);
        way_out.push(7).unwrap();
        common::eventually("both have ended", || pool.stats().completed == 2);
    });
}

#[test]
fn ready_arms_are_each_taken_often() {
    let queues: [_; 3] = std::array::from_fn(|_| filled([(); 64]));
    let mut taken = [0; 3];
    for _ in 0..3_000 {
        let at = select! {
            pop(&queues[0]) -> item => { item.unwrap(); 0 }
            pop(&queues[1]) -> item => { item.unwrap(); 1 }
            pop(&queues[2]) -> item => { item.unwrap(); 2 }
        };
        taken[at] += 1;
        queues[at].push(()).unwrap();
    }
    assert!(taken.iter().all(|&count| count > 700), "{taken:?}");
}

#[test]
fn biased_selection_takes_the_first_that_is_ready() {
    let queues: [_; 3] = std::array::from_fn(|number| filled([number; 10]));
    queues[0].close_and_drain();
    let order: Vec<usize> = (0..20)
        .map(|_| {
            select! {
                biased;
                pop(&queues[1]) -> item => if queues[1].is_empty() { queues[1].push(7).unwrap(); item.unwrap() } else { item.unwrap() },
                pop(&queues[2]) -> item => item.unwrap(),
            }
        })
        .collect();
    assert_eq!(order[..10], [1; 10]);
    let mut selection = Select::new().biased();
    queues[2].push(5).unwrap();
    selection.add(select::pop(&queues[2]), Result::ok);
    selection.add(select::pop(&queues[0]), Result::ok);
    assert!((0..9).all(|_| selection.wait().0 == 0));
}

#[test]
fn the_same_queue_in_two_arms_gives_each_item_once() {
    within_a_minute(|| {
        let queue = filled::<u32>([]);
        thread::scope(|s| {
            let sum = s.spawn(|| {
                let mut sum = 0;
                for _ in 0..100 {
                    sum += select! {
                        pop(&queue) -> item => item.unwrap(),
                        pop(&queue) -> item => item.unwrap(),
                    };
                }
                sum
            });
            (1..=100).for_each(|item| queue.push(item).unwrap());
            assert_eq!(sum.join().unwrap(), 5050);
        });
        assert!(queue.is_empty());
    });
}

#[test]
fn push_and_pop_of_one_queue_do_not_meet_each_other() {
    let queue = BoundedQueue::new(1);
    let mut seen = Vec::new();
    for round in 0..100 {
        let mut item = Some(round);
        select! {
            push(&queue, &mut item) -> pushed => { pushed.unwrap(); seen.push(None) },
            pop(&queue) -> item => seen.push(Some(item.unwrap())),
        }
    }
    // A push into the empty queue alternates with a pop of the item that was pushed.
    for (round, seen) in seen.into_iter().enumerate() {
        assert_eq!(seen, (round % 2 == 1).then(|| round - 1));
    }
}

#[test]
fn state_of_a_monitor_is_waited_for_among_other_things() {
    within_a_minute(|| {
        let (stock, queue) = (Monitor::new(0_u32), filled::<u32>([]));
        let take = |wanted: u32| {
            move |stock: &mut u32| {
                *stock = stock.checked_sub(wanted)?;
                Some(wanted)
            }
        };
        let select = || {
            select! {
                monitor(&stock, take(3)) -> taken => taken,
                pop(&queue) -> item => item.unwrap(),
            }
        };
        *stock.lock() = 4;
        assert_eq!((select(), *stock.lock()), (3, 1));
        thread::scope(|s| {
            let selecting = s.spawn(select);
            until_figure(&queue, "waiting_to_pop", 1);
            // Too few: the selection tries, and sleeps again.
            *stock.lock() += 1;
            // A waiter that needs less proceeds first.
            assert_eq!(stock.wait(take(1)), 1);
            *stock.lock() += 2;
            assert_eq!((selecting.join().unwrap(), *stock.lock()), (3, 0));
            let selecting = s.spawn(select);
            until_figure(&queue, "waiting_to_pop", 1);
            queue.push(7).unwrap();
            assert_eq!((selecting.join().unwrap(), *stock.lock()), (7, 0));
        });
    });
}

#[test]
fn state_of_a_monitor_is_ready_once_a_change() {
    let stock = Monitor::new(1);
    let mut selection = Select::new();
    selection.add(select::monitor(&stock, |stock| (*stock > 1).then_some(())), drop);
    assert_eq!(selection.ready_until(Duration::ZERO), Ok(0));
    assert_eq!(selection.ready_until(Duration::from_millis(1)), Err(WaitError::TimedOut));
    *stock.lock() += 1;
    assert_eq!(selection.ready_until(Duration::ZERO), Ok(0));
    assert!(selection.try_wait().is_ok());
}

#[test]
#[should_panic = "drop the guard first"]
fn selecting_a_monitor_that_this_thread_has_locked_panics() {
    let stock = Monitor::new(1);
    let _guard = stock.lock();
    select! { monitor(&stock, |stock| Some(*stock)) -> _ => {} }
}

/// Compares selections with a model that performs one operation after another.
#[test]
fn selections_do_what_their_arms_would_do_alone() {
    let mut dice = common::Dice::new(14);
    for _ in 0..300 {
        let capacities: [usize; 3] = std::array::from_fn(|_| 1 + dice.roll(3));
        let queues = capacities.map(BoundedQueue::<usize>::new);
        let mut model: [(VecDeque<usize>, bool); 3] = Default::default();
        for step in 0..60 {
            let arms: Vec<(usize, bool)> =
                (0..dice.roll(4)).map(|_| (dice.roll(3), dice.roll(2) == 0)).collect();
            let items: Vec<Cell<Option<usize>>> = arms.iter().map(|_| Cell::new(Some(step))).collect();
            let mut selection = Select::new();
            for ((queue, pushes), item) in arms.iter().zip(&items) {
                match pushes {
                    true => selection
                        .add(select::push_from(&queues[*queue], item), |pushed| pushed.map(|()| None)),
                    false => selection.add(select::pop(&queues[*queue]), |popped| popped.map(Some)),
                };
            }
            let ready = |(queue, pushes): (usize, bool)| {
                let (held, closed) = &model[queue];
                *closed || if pushes { held.len() < capacities[queue] } else { !held.is_empty() }
            };
            let selected = selection.try_wait();
            drop(selection);
            match selected {
                Err(_) => assert!(!arms.iter().any(|arm| ready(*arm)), "{arms:?} over {model:?}"),
                Ok((at, outcome)) => {
                    let (queue, pushes) = arms[at];
                    let (held, closed) = &mut model[queue];
                    let expected = match (pushes, *closed) {
                        (true, true) => Err(Closed),
                        (true, false) => {
                            held.push_back(step);
                            Ok(None)
                        }
                        (false, _) => held.pop_front().map(Some).ok_or(Closed),
                    };
                    assert_eq!(outcome, expected);
                    let gone = items.iter().position(|item| item.get().is_none());
                    assert_eq!(gone, (pushes && outcome.is_ok()).then_some(at), "the others keep theirs");
                }
            }
            if dice.roll(100) == 0 {
                let queue = dice.roll(3);
                queues[queue].close();
                model[queue].1 = true;
            }
            assert!(queues.iter().zip(&model).all(|(queue, (held, _))| queue.len() == held.len()));
        }
    }
}

#[test]
fn selections_nest() {
    let (outer, inner) = (filled([1]), filled([2]));
    let sum = select! {
        pop(&outer) -> first => {
            let first: u32 = first.unwrap();
            select! {
                pop(&outer) -> again => panic!("{again:?}"),
                pop(&inner) -> second => first + second.unwrap(),
            }
        }
    };
    assert_eq!(sum, 3);
}

#[test]
fn bodies_may_break_return_and_use_what_other_arms_borrowed() {
    fn first(queue: &BoundedQueue<u32>, stop: &CancelToken) -> Result<u32, WaitError> {
        let mut item = Some(9);
        loop {
            select! {
                push(queue, &mut item) -> pushed => {
                    pushed?;
                    item = None;
                    continue;
                }
                pop(queue) -> popped => {
                    if item.is_none() {
                        break popped.map_err(WaitError::from);
                    }
                    return Ok(popped?);
                }
                until(stop) -> why => return Err(why),
            }
        }
    }
    assert_eq!(first(&BoundedQueue::new(1), &CancelToken::new()), Ok(9));
}

#[test]
fn selection_is_used_again_and_arms_are_removed() {
    let queues: Vec<_> = (0..500).map(|number| filled([number])).collect();
    let mut selection = Select::new();
    for queue in &queues {
        queue.close();
        selection.add(select::pop(queue), Result::ok);
    }
    let mut seen = Vec::new();
    while !selection.is_empty() {
        match selection.wait() {
            (arm, Some(number)) => {
                assert_eq!(arm, number);
                seen.push(number);
            }
            (arm, None) => selection.remove(arm),
        }
    }
    seen.sort_unstable();
    assert!(seen.into_iter().eq(0..500));
    assert_eq!(selection.wait_until(Duration::from_millis(1)), Err(WaitError::TimedOut));
    assert_eq!(selection.try_wait(), Err(TryError::WouldBlock));
}

#[test]
fn item_for_a_push_arm_is_changed_between_two_waits() {
    let (queue, item) = (BoundedQueue::new(8), Cell::new(None));
    let mut selection = Select::new();
    selection.add(select::push_from(&queue, &item), |pushed| pushed);
    assert!(selection.try_wait().is_err());
    for number in 0..3 {
        item.set(Some(number));
        assert_eq!(selection.wait(), (0, Ok(())));
        assert_eq!(item.take(), None);
    }
    assert_eq!(queue.close_and_drain(), [0, 1, 2]);
}

#[test]
#[should_panic = "without an arm"]
fn selection_without_an_arm_and_without_a_limit_panics() {
    Select::<()>::new().wait();
}

#[test]
#[should_panic = "no arm 1"]
fn removing_an_arm_twice_panics() {
    let (queue, mut selection) = (filled([1]), Select::new());
    for _ in 0..2 {
        selection.add(select::pop(&queue), drop);
    }
    selection.remove(1);
    selection.remove(1);
}

#[test]
fn ready_selection_takes_nothing_and_passes_its_wake_up_on() {
    within_a_minute(|| {
        let (queue, semaphore) = (filled::<u32>([]), Semaphore::new(1));
        let permit = semaphore.acquire().unwrap();
        thread::scope(|s| {
            let looking = s.spawn(|| {
                let mut selection = Select::new();
                selection.add(select::pop(&queue), drop);
                selection.add(select::acquire(&semaphore), drop);
                selection.ready_until(HOUR)
            });
            until_figure(&queue, "waiting_to_pop", 1);
            let popping = s.spawn(|| queue.pop());
            until_figure(&queue, "waiting_to_pop", 2);
            // The first waiter of the list is woken and does not take the item.
            queue.push(7).unwrap();
            assert_eq!((looking.join().unwrap(), popping.join().unwrap()), (Ok(0), Ok(7)));
            let looking = s.spawn(|| {
                let mut selection = Select::new();
                selection.add(select::acquire(&semaphore), drop);
                selection.ready_until(HOUR)
            });
            until_figure(&semaphore, "waiting", 1);
            drop(permit);
            assert_eq!(looking.join().unwrap(), Ok(0));
            assert_eq!(semaphore.available(), 1);
        });
    });
}

#[test]
fn selections_that_time_out_all_the_time_lose_no_item() {
    within_a_minute(|| {
        const ITEMS: usize = 3_000;
        let (queues, sum) = ([BoundedQueue::new(1), BoundedQueue::new(1)], AtomicUsize::new(0));
        thread::scope(|s| {
            for queue in &queues {
                s.spawn(move || {
                    (1..=ITEMS).for_each(|item| queue.push(item).unwrap());
                    queue.close();
                });
            }
            for worker in 0..3 {
                let (queues, sum) = (&queues, &sum);
                s.spawn(move || {
                    let mut open = [true; 2];
                    while open != [false; 2] {
                        let arms = [0, 1].map(|at| open[at].then(|| select::pop(&queues[at])));
                        let [first, second] = arms;
                        select! {
                            arm(first) -> item => match item {
                                Ok(item) => _ = sum.fetch_add(item, Relaxed),
                                Err(_) => open[0] = false,
                            },
                            arm(second) -> item => match item {
                                Ok(item) => _ = sum.fetch_add(item, Relaxed),
                                Err(_) => open[1] = false,
                            },
                            until(Duration::from_micros(worker)) -> _ => {}
                        }
                    }
                });
            }
        });
        assert_eq!(sum.into_inner(), ITEMS * (ITEMS + 1));
    });
}

#[test]
fn function_that_panics_takes_its_item_with_it_and_leaves_the_selection_whole() {
    within_a_minute(|| {
        let (first, second) = (BoundedQueue::new(2), BoundedQueue::new(2));
        first.push(1).unwrap();
        first.push(2).unwrap();
        let mut select = Select::new();
        select.add(select::pop(&first), |item: Result<i32, _>| {
            let item = item.unwrap();
            assert_ne!(item, 1, "on purpose");
            item
        });
        select.add(select::pop(&second), |item: Result<i32, _>| item.unwrap());
        let payload = catch_unwind(AssertUnwindSafe(|| select.wait())).unwrap_err();
        assert!(payload.downcast_ref::<String>().is_some_and(|text| text.contains("on purpose")));
        // Nothing of the other item was taken, and the selection goes on, also asleep.
        assert_eq!(select.wait(), (0, 2));
        std::thread::scope(|s| {
            s.spawn(|| second.push(3).unwrap());
            assert_eq!(select.wait(), (1, 3));
        });
        assert_eq!((first.len(), second.len()), (0, 0));
    });
}

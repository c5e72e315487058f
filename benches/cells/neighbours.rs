//! Beside neighbours: one or two processes that spin, as eager as we are or nicer. How much is done, how soon
//! a cancel is felt, and how late a wait of a millisecond ends.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::{Duration, Instant};
use std::{iter, mem};

use selvedge::{BoundedQueue, CancelToken, Latch, Pool, Semaphore};

use crate::Cell;
use crate::cells::{pool, queue, semaphore, wakeup};
use crate::children::Neighbours;

const LIMIT: Duration = Duration::from_millis(1);
/// Waits of a round. The first quarter is not measured: the library has learnt by then what the neighbours
/// are like.
const WAITS: u64 = 160;

/// How many spin, and how nice they are.
type Load = (usize, u8);

pub(crate) fn all() -> Vec<Cell> {
    [(1, 0), (2, 0), (1, 10), (2, 10)].into_iter().flat_map(beside).collect()
}

fn beside(load: Load) -> Vec<Cell> {
    let mut cells = vec![
        queue::one_at_a_time((1, 1, 16)),
        queue::one_at_a_time((2, 2, 128)),
        semaphore::pair(),
        pool::bursts((2, 1)),
        wakeup::cell("from cancel to running, 1 sleeping thread", 1),
    ];
    let family = match load {
        (count, 0) => format!("beside {count}"),
        (count, nice) => format!("beside {count} at nice {nice}"),
    };
    cells.iter_mut().for_each(|cell| cell.family.clone_from(&family));
    cells.extend(lateness(&format!("{family}, lateness")));
    for cell in &mut cells {
        cell.name = format!("{family}: {}", cell.name);
        for entry in &mut cell.entries {
            let mut run = mem::replace(&mut entry.run, Box::new(|_| Duration::ZERO));
            entry.run = Box::new(move |n| {
                let _neighbours = Neighbours::new(load.0, load.1);
                run(n)
            });
        }
    }
    cells
}

/// How late a wait of a millisecond ends.
pub(crate) fn lateness(family: &str) -> Vec<Cell> {
    let ours: [(&str, Waits); 6] = [
        ("pop", pop),
        ("push", push),
        ("acquire", acquire),
        ("latch", latch),
        ("token", token),
        ("join", join),
    ];
    ours.into_iter().flat_map(|(name, ours)| quantiles(family, name, ours)).collect()
}

/// Waits so often, and says how late each wait ended.
type Waits = fn(u64) -> Vec<Duration>;

/// Both rows are of one measurement: that of the median waits, and the other looks at what those waits took.
fn quantiles(family: &str, name: &str, ours: Waits) -> [Cell; 2] {
    let everybody: [(&str, Waits); 4] = [
        ("selvedge", ours),
        ("std recv_timeout", std_channel),
        ("std condvar", std_condvar),
        ("crossbeam recv_timeout", crossbeam),
    ];
    let cell = |quantile| {
        let title = format!("lateness of 1 ms: {name}, {quantile}");
        Cell::new(family, title, "wait").quantile().count(WAITS)
    };
    everybody.into_iter().fold([cell("p50"), cell("p99")], |[p50, p99], (name, waits)| {
        let measured: Rc<RefCell<VecDeque<Vec<Duration>>>> = Rc::default();
        let known = Rc::clone(&measured);
        let median = move |n| {
            let mut times = waits(n);
            let answer = pool::quantile(&mut times, 0.5);
            measured.borrow_mut().push_back(times);
            per_wait(answer, n)
        };
        let tail = move |n| {
            let known = known.borrow_mut().pop_front();
            per_wait(pool::quantile(&mut known.unwrap_or_else(|| waits(n)), 0.99), n)
        };
        [p50.with(name, median), p99.with(name, tail)]
    })
}

/// As many times the quantile as there were waits, of which not all are measured.
fn per_wait(answer: Duration, waits: u64) -> Duration {
    answer.mul_f64(waits as f64 / measured(waits) as f64)
}

fn measured(waits: u64) -> u64 {
    waits - waits / 4
}

fn pop(total: u64) -> Vec<Duration> {
    let queue = BoundedQueue::<u8>::new(1);
    late(total, || assert!(queue.pop_until(LIMIT).is_err()))
}

fn push(total: u64) -> Vec<Duration> {
    let queue = BoundedQueue::new(1);
    queue.push(1).expect("it is open");
    late(total, || assert!(queue.push_until(2, LIMIT).is_err()))
}

fn acquire(total: u64) -> Vec<Duration> {
    let semaphore = Semaphore::new(1);
    let _permit = semaphore.try_acquire().expect("it is free");
    late(total, || assert!(semaphore.acquire_until(LIMIT).is_err()))
}

fn latch(total: u64) -> Vec<Duration> {
    let latch = Latch::new(1);
    late(total, || assert!(latch.wait_until(LIMIT).is_err()))
}

fn token(total: u64) -> Vec<Duration> {
    let token = CancelToken::new();
    late(total, || assert!(token.wait_until(LIMIT).is_err()))
}

fn join(total: u64) -> Vec<Duration> {
    let pool = Pool::builder().workers(1).build().expect("a thread is to be had");
    let end = Arc::new(Latch::new(1));
    let waits = Arc::clone(&end);
    let mut task = Some(pool.submit(move || waits.wait()).expect("the pool is open"));
    let lateness = late(total, || {
        let late = task.take().and_then(|task| task.join_until(LIMIT).err());
        task = Some(late.expect("the task waits for its latch").into_value());
    });
    end.count_down();
    lateness
}

fn std_channel(total: u64) -> Vec<Duration> {
    let (_sender, receiver) = mpsc::sync_channel::<u8>(1);
    late(total, || assert!(receiver.recv_timeout(LIMIT).is_err()))
}

fn std_condvar(total: u64) -> Vec<Duration> {
    let (mutex, condvar) = (Mutex::new(()), Condvar::new());
    late(total, || {
        let guard = mutex.lock().expect("nobody panics");
        let waited = condvar.wait_timeout_while(guard, LIMIT, |()| true);
        assert!(waited.expect("nobody panics").1.timed_out());
    })
}

fn crossbeam(total: u64) -> Vec<Duration> {
    let (_sender, receiver) = crossbeam_channel::bounded::<u8>(1);
    late(total, || assert!(receiver.recv_timeout(LIMIT).is_err()))
}

/// The time beyond the limit of each wait that is measured.
fn late(total: u64, mut wait: impl FnMut()) -> Vec<Duration> {
    let timed = measured(total);
    (timed..total).for_each(|_| wait());
    let late = || {
        let before = Instant::now();
        wait();
        before.elapsed().saturating_sub(LIMIT)
    };
    iter::repeat_with(late).take(timed as usize).collect()
}

//! Queues of `u64`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::Cell;
use crate::rivals::channels::{
    BATCH, Channel, Crossbeam, Crossfire, Ends, Flume, Kanal, Plain, Selvedge, Std,
};
use crate::team::{self, Part, share};

/// Producers, consumers, capacity.
const SHAPES: [(usize, usize, usize); 18] = [
    (1, 1, 1),
    (1, 1, 16),
    (1, 1, 128),
    (1, 1, 1024),
    (2, 1, 16),
    (2, 1, 128),
    (2, 2, 1),
    (2, 2, 16),
    (2, 2, 128),
    (2, 2, 1024),
    (4, 4, 1),
    (4, 4, 16),
    (4, 4, 128),
    (4, 4, 1024),
    (8, 8, 1),
    (8, 8, 16),
    (8, 8, 128),
    (8, 8, 1024),
];

pub(crate) fn all() -> Vec<Cell> {
    let mut cells: Vec<Cell> = SHAPES.into_iter().map(one_at_a_time).collect();
    cells.extend([(1, 1), (2, 2), (4, 4)].map(hand_to_hand));
    cells.extend([(1, 1, 128), (2, 2, 128)].map(many_at_a_time));
    cells.push(alone());
    cells.push(turns());
    cells.push(turns_quantile("p50", 0.5));
    cells.push(turns_quantile("p99", 0.99));
    cells
}

pub(crate) fn one_at_a_time(shape: (usize, usize, usize)) -> Cell {
    let (producers, consumers, capacity) = shape;
    let name = format!("{producers}p{consumers}c capacity {capacity}");
    let cell = Cell::new("one at a time", name, "item")
        .with("selvedge", move |n| flow::<Selvedge>(shape, n))
        .with("crossbeam", move |n| flow::<Crossbeam>(shape, n))
        .with("kanal", move |n| flow::<Kanal>(shape, n))
        .with("flume", move |n| flow::<Flume>(shape, n))
        .with("Mutex+Condvar", move |n| flow::<Plain>(shape, n));
    // With many more threads than processors and a capacity of 1, its threads spin without a yield, and a run
    // that takes milliseconds as a rule takes more than a minute at times.
    let cell = match capacity > 1 || producers <= 2 {
        true => cell.with("crossfire", move |n| flow::<Crossfire>(shape, n)),
        false => cell,
    };
    match consumers {
        1 => cell.with("std", move |n| flow::<Std>(shape, n)),
        _ => cell,
    }
}

/// Through a channel of capacity 0, which not everybody has.
fn hand_to_hand((producers, consumers): (usize, usize)) -> Cell {
    let shape = (producers, consumers, 0);
    let cell = Cell::new("hand to hand", format!("{producers}p{consumers}c, rendezvous"), "item")
        .with("selvedge", move |n| flow::<Selvedge>(shape, n))
        .with("crossbeam", move |n| flow::<Crossbeam>(shape, n))
        .with("kanal", move |n| flow::<Kanal>(shape, n))
        .with("flume", move |n| flow::<Flume>(shape, n));
    match consumers {
        1 => cell.with("std", move |n| flow::<Std>(shape, n)),
        _ => cell,
    }
}

/// The producers send `total` items and go; the consumers take until the end.
pub(crate) fn flow<C: Channel>(
    (producers, consumers, capacity): (usize, usize, usize),
    total: u64,
) -> Duration {
    let (senders, receivers): Ends<C> = C::ends(capacity, producers, consumers);
    let produce = senders.into_iter().enumerate().map(|(index, sender)| {
        let count = share(total, producers, index);
        Box::new(move || (0..count).for_each(|item| C::send(&sender, item))) as Part
    });
    let consume = receivers.into_iter().map(|receiver| {
        Box::new(move || {
            while let Some(item) = C::receive(&receiver) {
                black_box(item);
            }
        }) as Part
    });
    team::time(produce.chain(consume).collect())
}

fn many_at_a_time(shape: (usize, usize, usize)) -> Cell {
    let (producers, consumers, capacity) = shape;
    let name = format!("{BATCH} at a time, {producers}p{consumers}c capacity {capacity}");
    let cell = Cell::new("many at a time", name, "item")
        .with("selvedge", move |n| flow_of_batches::<Selvedge>(shape, n))
        .with("crossbeam", move |n| flow_of_batches::<Crossbeam>(shape, n))
        .with("kanal", move |n| flow_of_batches::<Kanal>(shape, n))
        .with("flume", move |n| flow_of_batches::<Flume>(shape, n))
        .with("crossfire", move |n| flow_of_batches::<Crossfire>(shape, n))
        .with("Mutex+Condvar", move |n| flow_of_batches::<Plain>(shape, n));
    match consumers {
        1 => cell.with("std", move |n| flow_of_batches::<Std>(shape, n)),
        _ => cell,
    }
}

fn flow_of_batches<C: Channel>(shape: (usize, usize, usize), total: u64) -> Duration {
    let (producers, consumers, capacity) = shape;
    let (senders, receivers): Ends<C> = C::ends(capacity, producers, consumers);
    let produce = senders.into_iter().enumerate().map(|(index, sender)| {
        let count = share(total, producers, index);
        Box::new(move || {
            for start in (0..count).step_by(BATCH) {
                C::send_many(&sender, start..count.min(start + BATCH as u64));
            }
        }) as Part
    });
    let consume = receivers.into_iter().map(|receiver| {
        let each = |item| {
            black_box(item);
        };
        Box::new(move || while C::receive_many(&receiver, each) {}) as Part
    });
    team::time(produce.chain(consume).collect())
}

/// One thread that puts an item in and takes it out again.
fn alone() -> Cell {
    Cell::new("alone", "one thread, try_push then try_pop", "pair")
        .with("selvedge", in_and_out::<Selvedge>)
        .with("crossbeam", in_and_out::<Crossbeam>)
        .with("kanal", in_and_out::<Kanal>)
        .with("flume", in_and_out::<Flume>)
        .with("crossfire", in_and_out::<Crossfire>)
        .with("Mutex+Condvar", in_and_out::<Plain>)
        .with("std", in_and_out::<Std>)
}

fn in_and_out<C: Channel>(total: u64) -> Duration {
    let (senders, receivers): Ends<C> = C::ends(16, 1, 1);
    let start = Instant::now();
    for item in 0..total {
        assert!(C::try_send(&senders[0], black_box(item)), "there is room");
        assert_eq!(C::try_receive(&receivers[0]), Some(item));
    }
    start.elapsed()
}

/// Two threads and two queues of capacity 1: there and back.
fn turns() -> Cell {
    Cell::new("taking turns", "ping-pong, capacity 1", "round trip")
        .with("selvedge", ping_pong::<Selvedge>)
        .with("crossbeam", ping_pong::<Crossbeam>)
        .with("kanal", ping_pong::<Kanal>)
        .with("flume", ping_pong::<Flume>)
        .with("crossfire", ping_pong::<Crossfire>)
        .with("Mutex+Condvar", ping_pong::<Plain>)
        .with("std", ping_pong::<Std>)
}

fn turns_quantile(name: &str, quantile: f64) -> Cell {
    Cell::new("taking turns", format!("ping-pong, capacity 1, {name}"), "round trip")
        .quantile()
        .with("selvedge", move |n| ping_pong_quantile::<Selvedge>(n, quantile))
        .with("crossbeam", move |n| ping_pong_quantile::<Crossbeam>(n, quantile))
        .with("kanal", move |n| ping_pong_quantile::<Kanal>(n, quantile))
        .with("flume", move |n| ping_pong_quantile::<Flume>(n, quantile))
        .with("crossfire", move |n| ping_pong_quantile::<Crossfire>(n, quantile))
        .with("Mutex+Condvar", move |n| ping_pong_quantile::<Plain>(n, quantile))
        .with("std", move |n| ping_pong_quantile::<Std>(n, quantile))
}

fn ping_pong<C: Channel>(total: u64) -> Duration {
    rally::<C>(total, || {})
}

/// As many times the quantile as there were round trips, so that it is divided as every other answer is.
fn ping_pong_quantile<C: Channel>(total: u64, quantile: f64) -> Duration {
    let (report, reports) = std::sync::mpsc::channel();
    let mut times = Vec::with_capacity(total as usize);
    let mut last = None;
    // One look at the clock a round trip: the 30 ns that it costs are in every library's figure.
    rally::<C>(total, move || {
        let now = Instant::now();
        times.extend(last.replace(now).map(|last| now - last));
        if times.len() as u64 == total - 1 {
            report.send(std::mem::take(&mut times)).expect("the bench waits");
        }
    });
    let mut times: Vec<Duration> = reports.recv().expect("the times were sent");
    times.sort_unstable();
    let index = ((times.len().max(1) - 1) as f64 * quantile) as usize;
    times.get(index).copied().unwrap_or_default() * u32::try_from(total).expect("a run is short")
}

/// `after_each` runs on the thread that serves.
fn rally<C: Channel>(total: u64, mut after_each: impl FnMut() + Send + 'static) -> Duration {
    let (there_in, there_out): Ends<C> = C::ends(1, 1, 1);
    let (back_in, back_out): Ends<C> = C::ends(1, 1, 1);
    let serve = move || {
        for item in 0..total {
            C::send(&there_in[0], item);
            assert_eq!(C::receive(&back_out[0]), Some(item));
            after_each();
        }
    };
    let answer = move || {
        while let Some(item) = C::receive(&there_out[0]) {
            C::send(&back_in[0], item);
        }
    };
    team::time(vec![Box::new(serve), Box::new(answer)])
}

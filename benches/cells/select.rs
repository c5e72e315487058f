//! The first of several queues.

use std::hint::black_box;
use std::time::{Duration, Instant};

use crossbeam_channel as crossbeam;
use selvedge::select::Select;
use selvedge::{BoundedQueue, select};

use crate::Cell;
use crate::team::{self, Part};

/// Arms of the dynamic form.
const SIZES: [usize; 3] = [2, 8, 64];

pub(crate) fn all() -> Vec<Cell> {
    let mut cells = vec![
        Cell::new("ready", "macro, 2 arms, both ready, and a push", "selection")
            .with("selvedge", macro_ready)
            .with("crossbeam", crossbeam_macro_ready),
        Cell::new("ready", "macro, 2 arms, none ready, default", "selection")
            .with("selvedge", macro_default)
            .with("crossbeam", crossbeam_macro_default),
    ];
    cells.extend(SIZES.map(|size| {
        Cell::new("ready", format!("{size} arms, one ready, and a push"), "selection")
            .with("selvedge", move |n| ready(size, n))
            .with("crossbeam", move |n| crossbeam_ready(size, n))
    }));
    cells.extend(SIZES.map(|size| {
        Cell::new("blocked", format!("{size} arms, there and back through one in turn"), "round trip")
            .with("selvedge", move |n| blocked(size, n))
            .with("crossbeam", move |n| crossbeam_blocked(size, n))
    }));
    cells
}

fn macro_ready(total: u64) -> Duration {
    let queues = [BoundedQueue::new(16), BoundedQueue::new(16)];
    queues.iter().for_each(|queue| queue.push(0).expect("there is room"));
    let start = Instant::now();
    for item in 0..total {
        let from = select! {
            pop(&queues[0]) -> item => { black_box(item.expect("it is open")); 0 }
            pop(&queues[1]) -> item => { black_box(item.expect("it is open")); 1 }
        };
        queues[from].push(item).expect("there is room");
    }
    start.elapsed()
}

fn crossbeam_macro_ready(total: u64) -> Duration {
    let channels = [crossbeam::bounded(16), crossbeam::bounded(16)];
    channels.iter().for_each(|(sender, _)| sender.send(0).expect("there is room"));
    let start = Instant::now();
    for item in 0..total {
        let from = crossbeam::select! {
            recv(channels[0].1) -> item => { black_box(item.expect("it is open")); 0 }
            recv(channels[1].1) -> item => { black_box(item.expect("it is open")); 1 }
        };
        channels[from].0.send(item).expect("there is room");
    }
    start.elapsed()
}

fn macro_default(total: u64) -> Duration {
    let queues = [BoundedQueue::<u64>::new(16), BoundedQueue::new(16)];
    let start = Instant::now();
    for _ in 0..total {
        select! {
            pop(&queues[0]) -> item => _ = black_box(item),
            pop(&queues[1]) -> item => _ = black_box(item),
            default => {}
        }
    }
    start.elapsed()
}

fn crossbeam_macro_default(total: u64) -> Duration {
    let channels = [crossbeam::bounded::<u64>(16), crossbeam::bounded(16)];
    let start = Instant::now();
    for _ in 0..total {
        crossbeam::select! {
            recv(channels[0].1) -> item => { black_box(item).ok(); }
            recv(channels[1].1) -> item => { black_box(item).ok(); }
            default => {}
        }
    }
    start.elapsed()
}

fn ready(size: usize, total: u64) -> Duration {
    let queues: Vec<BoundedQueue<u64>> = (0..size).map(|_| BoundedQueue::new(16)).collect();
    let mut selection = Select::new();
    queues.iter().for_each(|queue| _ = selection.add(select::pop(queue), |item| item));
    let start = Instant::now();
    for item in 0..total {
        queues[item as usize % size].push(item).expect("there is room");
        assert_eq!(selection.wait().1, Ok(item));
    }
    start.elapsed()
}

fn crossbeam_ready(size: usize, total: u64) -> Duration {
    let channels: Vec<_> = (0..size).map(|_| crossbeam::bounded(16)).collect();
    let mut selection = crossbeam::Select::new();
    channels.iter().for_each(|(_, receiver)| _ = selection.recv(receiver));
    let start = Instant::now();
    for item in 0..total {
        channels[item as usize % size].0.send(item).expect("there is room");
        let ready = selection.select();
        let receiver = &channels[ready.index()].1;
        assert_eq!(ready.recv(receiver), Ok(item));
    }
    start.elapsed()
}

/// One thread pushes into one queue after another and waits for each answer; the other waits for all queues.
fn blocked(size: usize, total: u64) -> Duration {
    let queues: Vec<_> = (0..size).map(|_| selvedge::queue::bounded(1)).collect();
    let (senders, receivers): (Vec<_>, Vec<_>) = queues.into_iter().unzip();
    let (back_in, back_out) = selvedge::queue::bounded(1);
    let serve = move || {
        for item in 0..total {
            senders[item as usize % size].push(item).expect("the receiver is there");
            assert_eq!(back_out.pop(), Ok(item));
        }
    };
    let answer = move || {
        let mut selection = Select::new();
        receivers.iter().for_each(|receiver| _ = selection.add(select::pop(receiver), Result::ok));
        while let (_, Some(item)) = selection.wait() {
            back_in.push(item).expect("the receiver is there");
        }
    };
    team::time(vec![Box::new(serve) as Part, Box::new(answer)])
}

fn crossbeam_blocked(size: usize, total: u64) -> Duration {
    let channels: Vec<_> = (0..size).map(|_| crossbeam::bounded(1)).collect();
    let (senders, receivers): (Vec<_>, Vec<_>) = channels.into_iter().unzip();
    let (back_in, back_out) = crossbeam::bounded(1);
    let serve = move || {
        for item in 0..total {
            senders[item as usize % size].send(item).expect("the receiver is there");
            assert_eq!(back_out.recv(), Ok(item));
        }
    };
    let answer = move || {
        let mut selection = crossbeam::Select::new();
        receivers.iter().for_each(|receiver| _ = selection.recv(receiver));
        loop {
            let ready = selection.select();
            let receiver = &receivers[ready.index()];
            match ready.recv(receiver) {
                Ok(item) => back_in.send(item).expect("the receiver is there"),
                Err(_) => break,
            }
        }
    };
    team::time(vec![Box::new(serve) as Part, Box::new(answer)])
}

//! Time-outs: a function that returns at once, under a limit that it never reaches.

use std::hint::black_box;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use selvedge::{CancelToken, timeout};

use crate::Cell;
use crate::rivals::workers::{ByHand, Workers};

const LIMIT: Duration = Duration::from_secs(3600);

pub(crate) fn all() -> Vec<Cell> {
    let by_hand = ByHand::<0>::new(2);
    let token = CancelToken::new();
    vec![
        Cell::new("timeout", "an instant function", "call")
            .with("selvedge", |n| repeat(n, || timeout::run(LIMIT, |_| black_box(7)).expect("it is instant")))
            .with("thread and channel", |n| repeat(n, on_a_thread))
            .with("channels to 2 threads", move |n| repeat(n, || on_a_worker(&by_hand))),
        Cell::new("timeout", "an instant function, under a token", "call")
            .with("selvedge", move |n| {
                repeat(n, || timeout::run((&token, LIMIT), |_| black_box(7)).expect("it is instant"))
            })
            .with("thread and channel", |n| repeat(n, on_a_thread)),
    ]
}

fn repeat(total: u64, mut call: impl FnMut() -> u64) -> Duration {
    let start = Instant::now();
    for _ in 0..total {
        black_box(call());
    }
    start.elapsed()
}

/// What is usually written: the function is not told to stop, and its thread is new each time.
fn on_a_thread() -> u64 {
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::spawn(move || sender.send(black_box(7)));
    receiver.recv_timeout(LIMIT).expect("it is instant")
}

fn on_a_worker(workers: &ByHand<0>) -> u64 {
    let (sender, receiver) = mpsc::sync_channel(1);
    workers.execute(move || _ = sender.send(black_box(7)));
    receiver.recv_timeout(LIMIT).expect("it is instant")
}

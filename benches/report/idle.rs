//! What everything costs that only waits: the processor time of this process in a second of rest.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use selvedge::{BoundedQueue, CancelToken, Latch, Pool, RateLimiter, Semaphore};

/// The time in milliseconds for each thing, and for none. Empty where the system does not tell.
pub(crate) fn measure() -> Vec<(String, f64)> {
    let mut rows = Vec::new();
    let mut put = |name: &str, end: Box<dyn FnOnce()>| {
        // Everything has gone to sleep by then.
        thread::sleep(Duration::from_millis(200));
        let before = processor_time();
        thread::sleep(Duration::from_secs(1));
        let taken = before.zip(processor_time()).map(|(before, after)| after - before);
        rows.extend(taken.map(|ms| (name.to_owned(), ms)));
        end();
    };
    put("nothing", Box::new(|| ()));
    put("a pool of 8 workers", pool());
    put("8 consumers of an empty queue", consumers());
    put("8 waiters for a semaphore's permit", acquirers());
    put("8 waiters for a rate limiter's token, which comes in an hour", limited());
    put("8 waiters for a token's cancellation, with a deadline in an hour", sleepers());
    rows
}

fn pool() -> Box<dyn FnOnce()> {
    let pool = Pool::builder().workers(8).build().expect("the system has threads");
    let gate = Arc::new(Latch::new(8));
    for _ in 0..8 {
        let gate = Arc::clone(&gate);
        pool.execute(move || gate.count_down()).expect("the pool is open");
    }
    gate.wait();
    Box::new(move || drop(pool))
}

fn consumers() -> Box<dyn FnOnce()> {
    let queue = Arc::new(BoundedQueue::<u64>::new(8));
    let popped = Arc::clone(&queue);
    waiting(move || _ = popped.pop(), move || _ = queue.close())
}

fn acquirers() -> Box<dyn FnOnce()> {
    let semaphore = Arc::new(Semaphore::new(1));
    let held = semaphore.acquire_owned().expect("it is open");
    let taken = Arc::clone(&semaphore);
    waiting(
        move || drop(taken.acquire()),
        move || {
            semaphore.close();
            drop(held);
        },
    )
}

fn limited() -> Box<dyn FnOnce()> {
    let limiter = Arc::new(RateLimiter::new(1, Duration::from_secs(3600)));
    limiter.try_acquire(1).expect("the burst is there");
    let taken = Arc::clone(&limiter);
    waiting(move || _ = taken.acquire(1), move || _ = limiter.close())
}

fn sleepers() -> Box<dyn FnOnce()> {
    let token = CancelToken::new();
    let until = token.child_until(Duration::from_secs(3600));
    waiting(move || until.wait(), move || token.cancel())
}

/// Eight threads that wait; the end wakes and joins them.
fn waiting(wait: impl Fn() + Clone + Send + 'static, end: impl FnOnce() + 'static) -> Box<dyn FnOnce()> {
    let threads: Vec<_> = (0..8).map(|_| thread::spawn(wait.clone())).collect();
    Box::new(move || {
        end();
        threads.into_iter().for_each(|thread| thread.join().expect("it only waits"));
    })
}

/// Of this process, user and system, in milliseconds since it began.
fn processor_time() -> Option<f64> {
    // Nanoseconds on the processor, of each thread; those that have ended are not in it, and none ends
    // meanwhile.
    let tasks = std::fs::read_dir("/proc/self/task").ok()?;
    let of = |task: std::fs::DirEntry| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<f64>().ok()
    };
    Some(tasks.flatten().filter_map(of).sum::<f64>() / 1e6)
}

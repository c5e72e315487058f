//! Ctrl-C, in the way that the guide recommends: a thread waits for the signal, and cancels. A program of its
//! own, because a signal is for the whole process.

mod common;

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::sync::Arc;

use common::{HOUR, within_a_minute};
use selvedge::{BoundedQueue, CancelToken, Latch, Pool, Semaphore, group};

/// Set in the process that is interrupted.
const CHILD: &str = "SELVEDGE_TEST_INTERRUPTED";

#[test]
#[cfg(unix)]
fn interrupt_wakes_every_sleeper_of_the_process() {
    if std::env::var_os(CHILD).is_some() {
        return sleep_until_interrupted();
    }
    within_a_minute(|| {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "interrupt_wakes_every_sleeper_of_the_process", "--nocapture"])
            .env(CHILD, "1")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains("asleep") {
            line.clear();
            assert!(output.read_line(&mut line).unwrap() > 0, "the child ended before it slept");
        }
        let interrupted =
            Command::new("sh").args(["-c", &format!("kill -INT {}", child.id())]).status().unwrap();
        assert!(interrupted.success());
        let mut rest = String::new();
        output.read_to_string(&mut rest).unwrap();
        assert!(child.wait().unwrap().success(), "{rest}");
        assert!(rest.contains("interrupted: 5 woken"), "{rest}");
    });
}

/// Five sleepers of different kinds, which nothing but the signal wakes.
#[cfg(unix)]
fn sleep_until_interrupted() {
    let stop = CancelToken::new();
    ctrlc::set_handler({
        let stop = stop.clone();
        move || stop.cancel_because("interrupted")
    })
    .unwrap();
    let queue = BoundedQueue::<u32>::new(1);
    let semaphore = Semaphore::new(1);
    let _held = semaphore.acquire().unwrap();
    let pool = Pool::builder().workers(1).build().unwrap();
    // A task that the signal finds before it has begun never begins.
    let begun = Arc::new(Latch::new(5));
    let task = pool.submit_with({
        let begun = Arc::clone(&begun);
        move |token| {
            begun.count_down();
            token.sleep(HOUR).is_err()
        }
    });
    let task = task.unwrap();
    let begin = || begun.count_down();
    let woken = group::scope(&stop, |g| {
        let sleepers = [
            g.submit(|token| Ok::<_, ()>((begin(), token.sleep(HOUR).is_err()).1)),
            g.submit(|_| Ok((begin(), queue.pop_until((&stop, HOUR)).is_err()).1)),
            g.submit(|_| Ok((begin(), semaphore.acquire_until(&stop).is_err()).1)),
            g.submit(|_| Ok((begin(), stop.wait_until(HOUR).is_ok()).1)),
        ];
        begun.wait();
        println!("asleep");
        stop.wait();
        task.cancel();
        Ok(sleepers.map(|sleeper| sleeper.join().unwrap_or(false)))
    });
    // The scope was cancelled; what its tasks found is theirs to say.
    let woken: Vec<bool> = woken.into_iter().flatten().chain([task.join().unwrap()]).collect();
    println!("{}: {} woken", stop.cause().unwrap(), woken.iter().filter(|woken| **woken).count());
}

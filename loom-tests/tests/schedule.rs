//! The table that a failing model prints: a reader who has not seen the code can name the mistake from it.
//!
//! Each program has one planted fault. The assertions are on the rows that reveal it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use selvedge_loom::sync::atomic::{AtomicUsize, Ordering};
use selvedge_loom::sync::model::{Failure, find_failure};
use selvedge_loom::sync::{Arc, Condvar, Mutex, thread, time};

/// The failure that `body` must have, and its table.
fn schedule_of(body: impl Fn() + Sync + Send + 'static) -> (Failure, String) {
    let failure = find_failure(body).expect("a planted fault is found");
    let schedule = failure.schedule().to_owned();
    println!("{schedule}");
    (failure, schedule)
}

/// Asserts that rows with these texts are in the table, in this order.
#[track_caller]
fn assert_rows(schedule: &str, texts: &[&str]) {
    let mut rest = schedule;
    for text in texts {
        let Some((_, after)) = rest.split_once(text) else {
            panic!("no {text:?} in the rest of\n{schedule}")
        };
        rest = after;
    }
}

/// Two locks in opposite orders: the table ends with each thread blocked on the lock that the other holds.
///
/// Fails if the place where a thread waits is not recorded (edit `trace-forgets-where-threads-stand`), if a
/// lock is a step before it is acquired (edit `trace-steps-before-the-effect`), or if the table does not say
/// who holds a lock (edit `trace-forgets-who-holds-a-lock`).
#[test]
fn opposite_lock_orders_end_with_each_thread_in_the_others_lock() {
    let (failure, schedule) = schedule_of(|| {
        let locks = Arc::new((Mutex::new(()), Mutex::new(())));
        let other = thread::spawn({
            let locks = Arc::clone(&locks);
            move || {
                let _second = locks.1.lock();
                let _first = locks.0.lock();
            }
        });
        let first = locks.0.lock();
        let second = locks.1.lock();
        drop((first, second));
        other.join().unwrap();
    });
    assert!(failure.message().contains("deadlock"), "{failure:?}");
    assert_rows(&schedule, &["step  main", "thread 1", "where"]);
    assert_rows(&schedule, &["deadlock: no thread can go on"]);
    let standing: Vec<&str> =
        schedule.lines().filter(|line| line.contains(" stands in lock Mutex ")).collect();
    assert_eq!(standing.len(), 2, "{schedule}");
    assert!(standing.iter().all(|line| line.contains("schedule.rs")), "{schedule}");
    let held_by =
        |name: &str| standing.iter().any(|line| line.contains(&format!(", held by {name} since step ")));
    assert!(held_by("main") && held_by("thread 1"), "{schedule}");
}

/// A notify before the wait: the table shows the notify that woke no thread, and the sleeping waiter.
///
/// Fails if a notify does not name the thread that it wakes (edit `trace-hides-who-is-woken`).
#[test]
fn lost_wake_up_shows_the_notify_that_nobody_heard() {
    let (failure, schedule) = schedule_of(|| {
        let pair = Arc::new((Mutex::new(()), Condvar::new()));
        let waiter = thread::spawn({
            let pair = Arc::clone(&pair);
            move || pair.1.wait(&mut pair.0.lock()) // no condition
        });
        pair.1.notify_one();
        waiter.join().unwrap();
    });
    assert!(failure.message().contains("deadlock"), "{failure:?}");
    assert_rows(&schedule, &["notify_one Condvar 1 → nobody waits", "wait Condvar 1 → sleeps"]);
    assert_rows(&schedule, &["thread 1 stands in wait Condvar 1"]);
    assert_rows(&schedule, &["main stands in join thread"]);
}

/// The table in a text, without lines of code and without its alignment.
fn table_in(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.trim_start_matches("//!").trim());
    let rows = lines.skip_while(|line| !line.starts_with("step ")).take_while(|line| !line.is_empty());
    rows.map(|row| {
        let row = row.split_once(", at ").map_or(row, |(row, _)| row);
        let words = row.split_whitespace().filter(|word| !word.contains(".rs:"));
        words.collect::<Vec<_>>().join(" ")
    })
    .collect()
}

/// The README and the documentation of `sync` show what such a model prints, with the token of the schedule.
///
/// Fails if a notify does not name the thread that it wakes (edit `trace-hides-who-is-woken`).
#[test]
fn table_in_the_readme_is_what_a_model_prints() {
    let (failure, schedule) = schedule_of(|| {
        let pair = Arc::new((Mutex::new(()), Condvar::new()));
        let waiter = thread::spawn({
            let pair = Arc::clone(&pair);
            move || pair.1.wait(&mut pair.0.lock())
        });
        pair.1.notify_one();
        waiter.join().unwrap();
    });
    // What depends on the steps alone: their number, their hash and the path.
    let token =
        failure.token().expect("a failure has a token").split('-').skip(4).collect::<Vec<_>>().join("-");
    for file in ["README.md", "src/sync/mod.rs"] {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file)).unwrap();
        assert_eq!(table_in(&text), table_in(&schedule), "{file}");
        assert!(text.contains(&format!("-{token} cargo test ")), "{file}: {}", failure.token().unwrap());
    }
}

/// A check and an act on an atomic in two steps: both loads come before both stores.
///
/// Fails if a step does not show the value of a load (edit `trace-hides-what-a-load-saw`).
#[test]
fn check_then_act_shows_both_loads_before_both_stores() {
    let (failure, schedule) = schedule_of(|| {
        let count = Arc::new(AtomicUsize::new(0));
        let add = |count: &AtomicUsize| count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        let other = thread::spawn({
            let count = Arc::clone(&count);
            move || add(&count)
        });
        add(&count);
        other.join().unwrap();
        assert_eq!(count.load(Ordering::Relaxed), 2, "an addition is lost");
    });
    assert!(failure.message().contains("an addition is lost"), "{failure:?}");
    assert_rows(&schedule, &["load Atomic 1 → 0", "store Atomic 1 → 1", "load Atomic 1 → 1", "panic: "]);
    assert_eq!(schedule.matches("load Atomic 1 → 0").count(), 2, "{schedule}");
}

/// An item that is handed over while its receiver times out: the table shows that the wait timed out before
/// the notify.
///
/// Fails if a wait that timed out is shown as woken (edit `trace-hides-time-outs`).
#[test]
fn deadline_tie_shows_the_time_out_before_the_notify() {
    let (failure, schedule) = schedule_of(|| {
        let pair = Arc::new((Mutex::new(None), Condvar::new()));
        let receiver = thread::spawn({
            let pair = Arc::clone(&pair);
            move || {
                let mut item = pair.0.lock();
                let deadline = time::now() + Duration::from_secs(1);
                // The mistake: after a time-out, the item is not looked at.
                match item.is_none() && pair.1.wait_until(&mut item, deadline).timed_out() {
                    true => None,
                    false => item.take(),
                }
            }
        });
        let mut item = pair.0.lock();
        *item = Some(7);
        let heard = pair.1.notify_one();
        drop(item);
        let received = receiver.join().unwrap();
        assert!(received.is_some() || !heard || pair.0.lock().is_none(), "lost");
        assert_eq!(received, Some(7), "the item is lost");
    });
    assert!(failure.message().contains("the item is lost"), "{failure:?}");
    assert_rows(&schedule, &["wait Condvar 1 → times out", "notify_one Condvar 1 → nobody waits"]);
}

/// Of a long execution only the last rows are shown, with the number of rows before them.
///
/// Fails if all rows are shown (edit `trace-shows-every-step`).
#[test]
fn long_execution_is_shown_by_its_end() {
    let (_, schedule) = schedule_of(|| {
        let count = Arc::new(AtomicUsize::new(0));
        let other = thread::spawn({
            let count = Arc::clone(&count);
            move || count.fetch_add(1, Ordering::Relaxed)
        });
        let lock = Mutex::new(());
        (0..100).for_each(|_| drop(lock.lock()));
        other.join().unwrap();
        panic!("on purpose");
    });
    assert!(schedule.contains("steps before these: SELVEDGE_MODEL_STEPS="), "{schedule}");
    assert!(schedule.lines().count() < 80, "{schedule}");
}

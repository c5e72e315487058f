//! The real side of the facade: the names that a model needs exist and behave like std's and parking_lot's.

mod common;

use std::process::Command;
use std::time::Duration;
use std::{env, panic};

use common::within_a_minute;
use selvedge::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use selvedge::sync::cell::UnsafeCell;
use selvedge::sync::{Arc, Condvar, Mutex, RwLock, hint, lazy_static, model, thread, thread_local, time};

lazy_static! {
    /// Initialised by the first access.
    static ref MADE: AtomicUsize = AtomicUsize::new(41);
    static ref TEXT: String = String::from("second");
}

thread_local! {
    static OWN: std::cell::Cell<u32> = const { std::cell::Cell::new(7) };
}

#[test]
fn condvar_hands_over_between_threads() {
    within_a_minute(|| {
        let pair = Arc::new((Mutex::new(false), Condvar::new()));
        let setter = thread::spawn({
            let pair = Arc::clone(&pair);
            move || {
                *pair.0.lock() = true;
                pair.1.notify_one();
            }
        });
        let mut set = pair.0.lock();
        while !*set {
            pair.1.wait(&mut set);
        }
        drop(set);
        setter.join().unwrap();
    });
}

#[test]
fn condvar_without_a_notification_times_out() {
    let (lock, condvar) = (Mutex::new(()), Condvar::new());
    let mut guard = lock.lock();
    let at = time::now() + Duration::from_millis(1);
    while !condvar.wait_until(&mut guard, at).timed_out() {}
    assert!(time::now() >= at);
}

#[test]
fn mutex_that_is_held_cannot_be_taken_and_is_not_poisoned() {
    within_a_minute(|| {
        let lock = Arc::new(Mutex::new(1));
        let guard = lock.lock();
        assert!(lock.try_lock().is_none());
        drop(guard);
        let panics = thread::spawn({
            let lock = Arc::clone(&lock);
            move || {
                *lock.lock() = 2;
                let _guard = lock.lock();
                std::panic::resume_unwind(Box::new("on purpose"));
            }
        });
        assert!(panics.join().is_err());
        assert_eq!(*lock.lock(), 2);
    });
}

#[test]
fn several_readers_see_what_one_writer_wrote() {
    let lock = RwLock::new(1);
    let (a, b) = (lock.read(), lock.read());
    assert_eq!(*a + *b, 2);
    assert!(lock.try_write().is_none());
    drop((a, b));
    *lock.write() += 1;
    assert_eq!(*lock.read(), 2);
}

#[test]
fn statics_are_made_once_and_shared() {
    within_a_minute(|| {
        let threads: Vec<_> =
            (0..4).map(|_| thread::spawn(|| MADE.fetch_add(1, Ordering::Relaxed))).collect();
        let mut seen: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        seen.sort_unstable();
        assert_eq!(seen, [41, 42, 43, 44]);
        assert_eq!(*TEXT, "second");
    });
}

#[test]
fn each_thread_has_its_own_local() {
    within_a_minute(|| {
        OWN.with(|own| own.set(8));
        assert_eq!(thread::spawn(|| OWN.with(std::cell::Cell::get)).join().unwrap(), 7);
        assert_eq!(OWN.with(std::cell::Cell::get), 8);
    });
}

#[test]
fn named_thread_knows_its_name() {
    let thread =
        thread::Builder::new().name("warp".into()).spawn(|| thread::current().name() == Some("warp"));
    assert!(thread.unwrap().join().unwrap());
    assert!(thread::available_parallelism() >= 1);
    assert!(!thread::panicking());
    thread::yield_now();
    hint::spin_loop();
}

#[test]
fn cell_passes_its_value_for_reading_and_writing() {
    let cell = UnsafeCell::new(1);
    let address = cell.with_mut(|pointer| pointer.addr());
    assert_eq!(cell.with(|pointer| pointer.addr()), address);
    assert_eq!(cell.into_inner(), 1);
    assert_eq!(UnsafeCell::<u8>::default().into_inner(), 0);
}

#[test]
fn weak_reference_does_not_own_its_value() {
    use selvedge::sync::weak::{Arc, Weak};
    let strong = Arc::new(1);
    let weak: Weak<i32> = Arc::downgrade(&strong);
    assert_eq!(weak.upgrade().as_deref(), Some(&1));
    drop(strong);
    assert!(weak.upgrade().is_none());
}

#[test]
fn model_runs_its_body_rounds_times() {
    static RUNS: AtomicU64 = AtomicU64::new(0);
    const { assert!(!model::IS_MODEL) };
    model::check(|| _ = RUNS.fetch_add(1, Ordering::Relaxed));
    assert_eq!(RUNS.load(Ordering::Relaxed), model::ROUNDS as u64);
}

#[test]
fn model_stops_at_the_first_round_that_fails() {
    static FAILED: AtomicBool = AtomicBool::new(false);
    let checked = std::panic::catch_unwind(|| {
        model::check(|| {
            assert!(!FAILED.swap(true, Ordering::Relaxed), "a second round");
            std::panic::resume_unwind(Box::new("the first round"));
        });
    });
    assert_eq!(common::message(&*checked.unwrap_err()), "the first round");
}

#[test]
fn search_for_a_failure_returns_it() {
    let failure = model::find_failure(|| panic::resume_unwind(Box::new("on purpose"))).unwrap();
    assert_eq!((failure.message(), failure.executions), ("on purpose", 1));
    assert!(model::find_failure(|| ()).is_none());
}

#[test]
fn model_without_the_flag_reports_that_it_explores_nothing() {
    // In a process of its own, since the harness hides the output of a test that passes.
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "model_runs_its_body_rounds_times", "search_for_a_failure_returns_it"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    for name in ["model_runs_its_body_rounds_times", "search_for_a_failure_returns_it"] {
        let line = said.lines().find(|line| line.starts_with(&format!("model {name}: not explored")));
        let line = line.unwrap_or_else(|| panic!("{name} says nothing: {said}"));
        assert!(line.contains("--cfg loom") && line.contains("100 times"), "{line}");
    }
}

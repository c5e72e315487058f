//! Tasks with names: who is told them, and when.

use std::sync::Arc;
use std::sync::mpsc::channel;

use crate::common::{HOUR, eventually, within_a_minute};
use selvedge::error::{JoinError, TryError, WaitError};
use selvedge::{Latch, Pool};

/// A pool of one worker, which runs a task of that name until the latch opens.
fn busy(name: &str) -> (Pool, Arc<Latch>) {
    let pool = Pool::builder().name("io").workers(1).queue(2).build().unwrap();
    let (begun, end) = (Arc::new(Latch::new(1)), Arc::new(Latch::new(1)));
    let (begins, ends) = (Arc::clone(&begun), Arc::clone(&end));
    let waits = move || {
        begins.count_down();
        ends.wait();
    };
    pool.execute_named(name, waits).unwrap();
    begun.wait();
    (pool, end)
}

#[test]
fn report_says_which_task_still_runs() {
    within_a_minute(|| {
        let (pool, end) = busy("fsync");
        let late = pool.shutdown_until(std::time::Duration::ZERO).unwrap_err();
        assert_eq!((late.error, late.value.running), (WaitError::TimedOut, vec!["io-0: fsync".to_owned()]));
        end.count_down();
        assert_eq!(pool.shutdown_until(HOUR).unwrap().running.len(), 0);
    });
}

#[test]
fn name_goes_with_its_task() {
    within_a_minute(|| {
        let pool = Pool::builder().name("io").workers(1).build().unwrap();
        pool.submit_named("first", || ()).unwrap().join().unwrap();
        let (begun, end) = (Arc::new(Latch::new(1)), Arc::new(Latch::new(1)));
        let (begins, ends) = (Arc::clone(&begun), Arc::clone(&end));
        let unnamed = pool.submit(move || {
            begins.count_down();
            ends.wait();
        });
        begun.wait();
        let late = pool.shutdown_until(std::time::Duration::ZERO).unwrap_err();
        assert_eq!(late.value.running, ["io-0"], "of the task before nothing is left");
        end.count_down();
        unnamed.unwrap().join().unwrap();
    });
}

#[test]
fn task_that_is_taken_back_has_its_name() {
    within_a_minute(|| {
        let (pool, end) = busy("busy");
        let task = pool.submit_named(String::from("submitted"), || 1).unwrap();
        pool.execute(|| ()).unwrap();
        std::thread::scope(|s| {
            let aborts = s.spawn(|| pool.abort());
            // Closed comes first: until the queue is drained, the worker could take a task from it.
            eventually("the queue is drained", || pool.is_closed() && pool.stats().queued == 0);
            end.count_down();
            let report = aborts.join().unwrap();
            let names: Vec<_> = report.unstarted.iter().map(|task| task.name().map(str::to_owned)).collect();
            assert_eq!(names, [Some("submitted".to_owned()), None]);
            assert!(format!("{:?}", report.unstarted[0]).contains("submitted"));
        });
        assert_eq!(task.join(), Err(JoinError::Cancelled));
    });
}

#[test]
fn panic_says_whose_it_is() {
    within_a_minute(|| {
        let (tells, hears) = channel();
        let pool =
            Pool::builder().workers(1).on_panic(move |panic| tells.send(panic).unwrap()).build().unwrap();
        let panics = || std::panic::resume_unwind(Box::new("no paper"));
        let error = pool.submit_named("print", panics).unwrap().join().map(|(): ()| ()).unwrap_err();
        assert_eq!(error.to_string(), "print panicked: no paper");
        pool.execute_named("scan", panics).unwrap();
        let told = hears.recv().unwrap();
        assert_eq!((told.task(), told.message()), (Some("scan"), "no paper"));
        pool.execute(panics).unwrap();
        assert_eq!(hears.recv().unwrap().task(), None);
    });
}

#[test]
fn closures_that_are_refused_come_back() {
    within_a_minute(|| {
        let (pool, end) = busy("busy");
        let fill: Vec<_> = (0..2).map(|n| pool.try_submit_named("fill", move || n).unwrap()).collect();
        let full = pool.try_submit_named("one too many", || 7).unwrap_err();
        assert_eq!((full.error, (full.value)()), (TryError::WouldBlock, 7));
        assert_eq!(pool.try_execute_named("one too many", || ()).unwrap_err().error, TryError::WouldBlock);
        let late = pool.submit_named_until("late", || 8, std::time::Duration::ZERO).unwrap_err();
        assert_eq!((late.error, (late.value)()), (WaitError::TimedOut, 8));
        let late = pool.execute_named_until("late", || (), std::time::Duration::ZERO).unwrap_err();
        assert_eq!(late.error, WaitError::TimedOut);
        end.count_down();
        assert_eq!(fill.into_iter().map(|task| task.join().unwrap()).collect::<Vec<_>>(), [0, 1]);
        pool.shutdown();
        assert_eq!((pool.submit_named("closed", || 9).unwrap_err().value)(), 9);
        assert!(pool.execute_named("closed", || ()).is_err());
    });
}

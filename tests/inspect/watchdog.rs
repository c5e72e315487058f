//! The thread that reports long sleeps, and the test helper that prints the report.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use selvedge::{CancelToken, Latch, inspect};

use crate::common::{message, within, within_a_minute};
use crate::ignore;

#[test]
fn watchdog_reports_each_long_sleep_once_and_no_sleep_with_a_time_limit() {
    within_a_minute(|| {
        let (tell, told) = mpsc::channel();
        let mut panics = true;
        let watchdog = inspect::watchdog(Duration::from_millis(30), move |sleep| {
            tell.send(sleep.thread.clone()).unwrap();
            // The panic must not keep the next sleep from being reported.
            assert!(!std::mem::take(&mut panics), "on purpose");
        })
        .unwrap();
        let (first, second, stop) = (Latch::new(1), Latch::new(1), CancelToken::new());
        thread::scope(|s| {
            let named = |name: &str| thread::Builder::new().name(name.into());
            let ours = |name: &String| ["limited", "first", "second"].contains(&name.as_str());
            named("limited").spawn_scoped(s, || ignore(stop.sleep(Duration::from_secs(3600)))).unwrap();
            named("first").spawn_scoped(s, || first.wait()).unwrap();
            assert_eq!(told.iter().find(ours).unwrap(), "first");
            // When this sleep is reported, the first would have been reported again already.
            named("second").spawn_scoped(s, || second.wait()).unwrap();
            assert_eq!(told.iter().find(ours).unwrap(), "second");
            first.count_down();
            second.count_down();
            stop.cancel();
        });
        drop(watchdog);
        // The channel ends once the watchdog's thread has dropped the closure.
        assert!(told.iter().all(|name| !["first", "second", "limited"].contains(&name.as_str())));
    });
}

#[test]
fn test_that_hangs_is_told_with_the_report_of_who_is_blocked() {
    let hangs = || {
        thread::scope(|s| {
            s.spawn(|| {
                // Left behind by the helper, as a test that hangs is: nothing ever ends this wait.
                within(Duration::from_secs(2), || Latch::new(1).wait());
            })
            .join()
            .unwrap_err()
        })
    };
    let told = message(&*hangs());
    assert!(told.contains("hangs: it has not ended in 2s"), "{told}");
    assert!(told.contains(&format!("thread in Latch::wait at {}", file!())), "{told}");
}

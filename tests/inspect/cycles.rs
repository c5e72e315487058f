//! Cycles of waits that a token could end, and nobody does.

use std::sync::{Arc, mpsc};
use std::thread;

use selvedge::inspect::Report;
use selvedge::{CancelToken, Pool, SingleFlight};

use crate::common::{HOUR, within_a_minute};
use crate::{ignore, report_in_which};

/// The names of the threads in the cycles of a report, each cycle in alphabetical order.
fn cycles_of(report: &Report) -> Vec<Vec<&str>> {
    let names = |cycle: &Vec<usize>| {
        let mut names: Vec<&str> = cycle.iter().map(|index| &*report.sleeps[*index].thread).collect();
        names.sort_unstable();
        names
    };
    report.cycles.iter().map(names).collect()
}

/// Two calls in flight that wait for each other, the second with `limit`; returns a report in which both
/// sleep.
fn two_flights(names: [&str; 2], limit: impl Fn(&CancelToken) -> selvedge::Until<'_> + Sync) -> Report {
    let (calls, stop) = (SingleFlight::<u32, ()>::new(), CancelToken::new());
    let (begun, begins) = mpsc::channel();
    let (go, gone) = (selvedge::Latch::new(1), &stop);
    thread::scope(|s| {
        for (own, name) in names.iter().enumerate() {
            let (calls, begun, go, limit) = (&calls, begun.clone(), &go, &limit);
            let lead = move || {
                let follow = || {
                    begun.send(()).unwrap();
                    go.wait();
                    let other = 1 - own as u32;
                    match own {
                        0 => ignore(calls.call_until(&other, gone, || ())),
                        _ => ignore(calls.call_until(&other, limit(gone), || ())),
                    }
                };
                ignore(calls.call(&(own as u32), follow));
            };
            thread::Builder::new().name((*name).into()).spawn_scoped(s, lead).unwrap();
        }
        begins.recv().unwrap();
        begins.recv().unwrap();
        go.count_down();
        let report = report_in_which(|report| {
            let is_follower = |sleep: &&selvedge::inspect::Sleep| {
                names.contains(&&*sleep.thread) && sleep.operation == "SingleFlight::call"
            };
            report.sleeps.iter().filter(is_follower).count() == 2
        });
        stop.cancel();
        report
    })
}

#[test]
fn two_calls_that_only_a_token_ends_are_a_cycle() {
    within_a_minute(|| {
        let report = two_flights(["ring 1", "ring 2"], |stop| stop.into());
        assert!(cycles_of(&report).contains(&vec!["ring 1", "ring 2"]), "{report}");
        let page = report.to_string();
        assert!(page.contains("2 waits in a cycle, each for the next and the last for the first"), "{page}");
    });
}

#[test]
fn wait_that_ends_by_itself_is_in_no_cycle() {
    within_a_minute(|| {
        let report = two_flights(["chain 1", "chain 2"], |stop| (stop, HOUR).into());
        assert!(cycles_of(&report).iter().all(|cycle| !cycle.contains(&"chain 1")), "{report}");
    });
}

#[test]
fn task_behind_the_only_worker_that_waits_for_it_is_a_cycle_with_the_pool() {
    within_a_minute(|| {
        let pool = Arc::new(Pool::builder().name("knot").workers(1).build().unwrap());
        let (calls, stop) = (SingleFlight::<u32, ()>::new(), CancelToken::new());
        let (calls, (led, leads)) = (Arc::new(calls), mpsc::channel());
        thread::scope(|s| {
            let (pool, stop) = (&pool, &stop);
            let lead = {
                let calls = Arc::clone(&calls);
                // Leads the flight, then waits for a task that the only worker would have to run.
                move || {
                    let call = || {
                        led.send(()).unwrap();
                        let behind = pool.submit(|| ()).unwrap();
                        ignore(behind.join_until(stop));
                    };
                    ignore(calls.call(&1, call));
                }
            };
            let follows = {
                let (calls, stop) = (Arc::clone(&calls), stop.clone());
                let (begun, begins) = mpsc::channel::<()>();
                let follow = move || {
                    begins.recv().unwrap();
                    ignore(calls.call_until(&1, &stop, || ()));
                };
                (pool.submit_named("follow", follow).unwrap(), begun)
            };
            thread::Builder::new().name("knot leader".into()).spawn_scoped(s, lead).unwrap();
            leads.recv().unwrap();
            follows.1.send(()).unwrap();
            let report = report_in_which(|report| cycles_of(report).contains(&vec!["knot leader", "knot-0"]));
            let worker = report.sleeps.iter().find(|sleep| sleep.thread == "knot-0").unwrap();
            assert_eq!(worker.waits_for, ["knot leader"]);
            assert_eq!(worker.task.as_deref(), Some("follow"));
            assert_eq!(worker.works_for.as_deref(), Some("Pool \"knot\""));
            let pool = report.objects.iter().find(|object| object.name == "knot").unwrap();
            assert!(pool.is_stuck, "{pool}");
            stop.cancel();
        });
    });
}

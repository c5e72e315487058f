//! What a report says of each sleep.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use selvedge::inspect::{self, Sleep};
use selvedge::{
    BoundedQueue, CancelToken, Clock, Group, Latch, Monitor, Pool, RateLimiter, Semaphore, SingleFlight,
    WaitGroup, group, queue,
};

use crate::common::within_a_minute;
use crate::{ignore, report_in_which, sleep_of};

/// Runs `call` on a thread with that name, and calls `end` once it sleeps. Returns the sleep.
fn seen(name: &str, call: impl FnOnce() + Send, end: impl FnOnce()) -> Sleep {
    thread::scope(|s| {
        let caller = thread::Builder::new().name(name.into()).spawn_scoped(s, call).unwrap();
        let sleep = sleep_of(name);
        end();
        caller.join().unwrap();
        assert!(
            inspect::blocked().sleeps.iter().all(|sleep| sleep.thread != name),
            "it has left the register"
        );
        sleep
    })
}

#[test]
fn each_call_that_sleeps_is_named_with_the_line_that_made_it() {
    within_a_minute(|| {
        let stop = CancelToken::new();
        let empty = BoundedQueue::<u32>::new(4);
        let full = BoundedQueue::new(1);
        full.push(0).unwrap();
        let (_sender, receiver) = queue::bounded::<u32>(1);
        let semaphore = Semaphore::new(1);
        let permit = semaphore.acquire().unwrap();
        let latch = Latch::new(1);
        let members = WaitGroup::new();
        let member = members.add();
        let monitor = Monitor::new(false);
        let limiter = RateLimiter::new(1, Duration::from_secs(3600));
        limiter.acquire(1).unwrap();

        let mut sleeps = Vec::new();
        let mut see = |name: &str, line: u32, call: &(dyn Fn() + Sync), end: &dyn Fn()| {
            let sleep = seen(name, call, end);
            assert_eq!((sleep.location.file(), sleep.location.line()), (file!(), line), "{name}");
            sleeps.push((sleep.operation, sleep.token.is_some(), sleep.left.is_some()));
        };
        see("pop", line!(), &|| ignore(empty.pop()), &|| empty.push(1).unwrap());
        see("pop_many", line!(), &|| ignore(empty.pop_many(2)), &|| empty.push(1).unwrap());
        see("push", line!(), &|| ignore(full.push(1)), &|| ignore(full.pop()));
        see("push_all", line!(), &|| ignore(full.push_all([1])), &|| ignore(full.pop()));
        see("receiver", line!(), &|| ignore(receiver.pop_until(&stop.child())), &|| ignore(receiver.close()));
        see("acquire", line!(), &|| ignore(semaphore.acquire_until(&stop)), &|| ignore(semaphore.close()));
        see("latch", line!(), &|| latch.wait(), &|| latch.count_down());
        let hour = Duration::from_secs(3600);
        see("tokens", line!(), &|| ignore(limiter.acquire_until(1, hour * 2)), &|| ignore(limiter.close()));
        see("monitor", line!(), &|| monitor.wait(|open| open.then_some(())), &|| *monitor.lock() = true);
        see("sleep", line!(), &|| ignore(stop.sleep(hour)), &|| stop.cancel());
        let other = CancelToken::new();
        see("token", line!(), &|| other.wait(), &|| other.cancel());
        let selects = || {
            selvedge::select! {
                pop(&empty) -> _item => {},
                wait(&members) -> _done => {},
            }
        };
        let sleep = seen("select", selects, || empty.push(1).unwrap());
        assert_eq!((sleep.operation, sleep.location.file()), ("select!", file!()));
        drop((permit, member));
        assert_eq!(
            sleeps,
            [
                ("BoundedQueue::pop", false, false),
                ("BoundedQueue::pop_many", false, false),
                ("BoundedQueue::push", false, false),
                ("BoundedQueue::push_all", false, false),
                ("BoundedQueue::pop", true, false),
                ("Semaphore::acquire", true, false),
                ("Latch::wait", false, false),
                ("RateLimiter::acquire", false, true),
                ("Monitor::wait", false, false),
                ("CancelToken::sleep", true, true),
                ("CancelToken::wait", false, false),
            ]
        );
    });
}

#[test]
fn joins_are_named_with_the_line_that_made_them() {
    within_a_minute(|| {
        let stop = CancelToken::new();
        let pool = Pool::builder().workers(1).build().unwrap();
        let (begun, begins) = mpsc::channel();
        let gate = Latch::new(1);
        group::scope(&stop, |g| {
            let gate = &gate;
            g.spawn(move |_| gate.wait());
            let task = {
                let begun = begun.clone();
                let stop = stop.clone();
                pool.submit(move || (begun.send(()), stop.wait())).unwrap()
            };
            begins.recv().unwrap();
            let line = line!() + 1;
            let joins = seen("joins", || ignore(task.join()), || stop.cancel());
            assert_eq!((joins.operation, joins.location.line()), ("Task::join", line));
            gate.count_down();
        })
        .unwrap();

        let calls = SingleFlight::<String, u32>::new();
        let gate = Latch::new(1);
        thread::scope(|s| {
            s.spawn(|| calls.call("key", || (begun.send(()).unwrap(), gate.wait(), 7).2));
            begins.recv().unwrap();
            let line = line!() + 1;
            let follows = seen("follows", || ignore(calls.call("key", || 8)), || gate.count_down());
            assert_eq!((follows.operation, follows.location.line()), ("SingleFlight::call", line));
        });

        let group = Group::<()>::new(&CancelToken::new());
        group.spawn(|stop| stop.wait()).unwrap();
        let line = line!() + 1;
        let waits = seen("waits", || ignore(group.wait_until(Duration::from_secs(3600))), || group.cancel());
        assert_eq!((waits.operation, waits.location.line()), ("Group::wait", line));
    });
}

#[test]
fn report_shows_the_object_and_the_threads_that_could_help() {
    within_a_minute(|| {
        let queue = BoundedQueue::<u32>::new(4);
        let report = thread::scope(|s| {
            let names = ["reader 1", "reader 2"];
            for name in names {
                thread::Builder::new().name(name.into()).spawn_scoped(s, || queue.pop()).unwrap();
            }
            for name in names {
                sleep_of(name);
            }
            let report = inspect::blocked();
            queue.close();
            report
        });
        let sleep = report.sleeps.iter().find(|sleep| sleep.thread == "reader 1").unwrap();
        assert_eq!(sleep.state, [("len", 0), ("capacity", 4)]);
        let page = report.to_string();
        assert!(page.contains("2 threads in BoundedQueue::pop at "), "{page}");
        assert!(page.contains("without a limit"), "{page}");
        assert!(page.contains("len 0, capacity 4"), "{page}");
        assert!(page.contains("reader 1") && page.contains("reader 2"), "{page}");

        // One task joins another, which sleeps: the report names the thread that the first waits for.
        let pool = Pool::builder().name("helpful").workers(2).build().unwrap();
        let stop = CancelToken::new();
        let (begun, begins) = mpsc::channel();
        let first = {
            let stop = stop.clone();
            pool.submit(move || (begun.send(thread::current().name().map(str::to_owned)), stop.wait()))
                .unwrap()
        };
        let bringer = begins.recv().unwrap().unwrap();
        let second = pool.submit(move || ignore(first.join())).unwrap();
        let joins = |sleep: &Sleep| sleep.operation == "Task::join" && sleep.waits_for == [&*bringer];
        let report = report_in_which(|report| report.sleeps.iter().any(joins));
        let joins = report.sleeps.iter().find(|sleep| joins(sleep)).unwrap();
        assert!(report.to_string().contains(&format!("{} (waits for {bringer})", joins.thread)));
        stop.cancel();
        second.join().unwrap();
    });
}

#[test]
fn deadline_of_a_manual_clock_is_counted_on_that_clock() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let token = CancelToken::with_clock(&clock);
        let hour = Duration::from_secs(3600);
        let sleep = seen("manual", || ignore(token.sleep(hour)), || clock.advance(hour));
        assert_eq!(sleep.left, Some(hour));
    });
}

#[test]
fn hundreds_of_sleepers_are_one_entry_and_leave_nothing_behind() {
    within_a_minute(|| {
        const SLEEPERS: usize = 300;
        let latch = Latch::new(1);
        let object = |sleep: &Sleep| (sleep.operation, sleep.location.line());
        let report = thread::scope(|s| {
            let line = line!() + 2;
            for _ in 0..SLEEPERS {
                thread::Builder::new().stack_size(64 * 1024).spawn_scoped(s, || latch.wait()).unwrap();
            }
            let report = loop {
                let report = inspect::blocked();
                let alike = report.sleeps.iter().filter(|sleep| object(sleep) == ("Latch::wait", line));
                if alike.count() == SLEEPERS {
                    break report;
                }
                thread::yield_now();
            };
            latch.count_down();
            report
        });
        let page = report.to_string();
        assert!(page.contains("300 threads in Latch::wait"), "{page}");
        assert!(page.contains("and 292 more"), "{page}");
        let line_of_all =
            report.sleeps.iter().find(|sleep| sleep.operation == "Latch::wait").unwrap().location;
        assert!(inspect::blocked().sleeps.iter().all(|sleep| sleep.location != line_of_all));
    });
}

#[test]
fn sleep_with_a_token_says_where_the_token_was_made() {
    within_a_minute(|| {
        let parent = CancelToken::new();
        let line = line!() + 1;
        let token = parent.child();
        let sleep = seen("with a token", || ignore(token.wait_until(&token.clone())), || parent.cancel());
        let of = sleep.token.unwrap();
        assert_eq!((of.made_at.file(), of.made_at.line()), (file!(), line));

        // A scope's token was made where the scope was; two sleeps with one token show that they share it.
        let (queue, stop) = (BoundedQueue::<u32>::new(1), CancelToken::new());
        let line = line!() + 1;
        let result = group::scope(&stop, |g| {
            for name in ["scoped 1", "scoped 2"] {
                let (queue, token) = (&queue, g.token().clone());
                g.spawn(move |_| {
                    thread::scope(|s| {
                        let named = thread::Builder::new().name(name.into());
                        named.spawn_scoped(s, || ignore(queue.pop_until(&token))).unwrap();
                    });
                });
            }
            let [first, second] = ["scoped 1", "scoped 2"].map(|name| sleep_of(name).token.unwrap());
            assert_eq!(first, second);
            assert_eq!((first.made_at.file(), first.made_at.line()), (file!(), line));
            let report = inspect::blocked();
            let page = report.to_string();
            let limit = format!("until the token made at {}:{line}:", file!());
            assert!(page.contains(&limit), "{page}");
            g.cancel();
        });
        assert_eq!(result, Ok(()));
    });
}

#[test]
fn threads_that_wait_alike_for_different_objects_are_one_entry() {
    within_a_minute(|| {
        let latches = [Latch::new(1), Latch::new(1), Latch::new(1)];
        let report = thread::scope(|s| {
            for (index, latch) in latches.iter().enumerate() {
                let named = thread::Builder::new().name(format!("alike {index}"));
                named.spawn_scoped(s, || latch.wait()).unwrap();
            }
            let alike = |sleep: &&Sleep| sleep.thread.starts_with("alike ");
            let report = report_in_which(|report| report.sleeps.iter().filter(alike).count() == 3);
            latches.iter().for_each(Latch::count_down);
            report
        });
        let page = report.to_string();
        assert!(page.contains("3 threads in Latch::wait"), "{page}");
        assert!(page.contains("on different objects, the first 0x"), "{page}");
    });
}

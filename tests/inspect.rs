//! The report of blocked threads, and the watchdog, as black boxes.

mod common;

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use common::within_a_minute;
use selvedge::batch::Batch;
use selvedge::inspect::{self, Sleep};
use selvedge::{
    Batcher, BoundedQueue, CancelToken, Clock, Group, Latch, Monitor, Pool, RateLimiter, Semaphore,
    SingleFlight, WaitGroup, group, queue,
};

/// Drops the result of a call, which does not matter here: the call was seen while it slept.
fn ignore<T>(_: T) {}

/// Waits until the thread with that name sleeps, and returns its sleep.
fn sleep_of(name: &str) -> Sleep {
    loop {
        if let Some(sleep) = inspect::blocked().sleeps.into_iter().find(|sleep| sleep.thread == name) {
            return sleep;
        }
        thread::yield_now();
    }
}

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
            sleeps.push((sleep.operation, sleep.is_cancellable, sleep.left.is_some()));
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
        let joins = loop {
            let sleeps = inspect::blocked().sleeps;
            if let Some(joins) = sleeps.into_iter().find(|sleep| !sleep.waits_for.is_empty()) {
                break joins;
            }
            thread::yield_now();
        };
        assert_eq!(joins.operation, "Task::join");
        assert_eq!(joins.waits_for, [bringer]);
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
fn pool_whose_workers_all_sleep_while_tasks_are_queued_is_called_stuck() {
    within_a_minute(|| {
        let pool = Pool::builder().name("stuck here").workers(1).queue(4).build().unwrap();
        let gate = std::sync::Arc::new(Latch::new(1));
        let waits = std::sync::Arc::clone(&gate);
        let first = pool.submit_named("import", move || waits.wait()).unwrap();
        let second = pool.submit(|| ()).unwrap();
        let ours = || inspect::blocked().objects.into_iter().find(|object| object.name == "stuck here");
        let object = loop {
            match ours() {
                Some(object) if object.is_stuck => break object,
                _ => thread::yield_now(),
            }
        };
        assert_eq!(object.kind, "Pool");
        assert!(
            object.figures.contains(&("blocked", 1)) && object.figures.contains(&("queued", 1)),
            "{object}"
        );
        assert_eq!(object.running, ["stuck here-0: import"]);
        assert!(object.to_string().contains("every thread that could do it is blocked"), "{object}");
        gate.count_down();
        first.join().unwrap();
        second.join().unwrap();
        assert!(!ours().unwrap().is_stuck);
        drop(pool);
        assert!(ours().is_none());
    });
}

#[test]
fn batcher_is_listed_with_its_figures_until_it_is_dropped() {
    within_a_minute(|| {
        let batcher = Batcher::builder().name("listed").max_items(8).build(|_: &mut Batch<u8>| ()).unwrap();
        batcher.add(1).unwrap();
        let ours = || inspect::blocked().objects.into_iter().find(|object| object.name == "listed");
        let object = ours().unwrap();
        assert_eq!((object.kind, object.figures[0]), ("Batcher", ("waiting", 1)));
        drop(batcher);
        assert!(ours().is_none());
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

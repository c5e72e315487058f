//! Pools, groups, pipelines, batchers and limiters in a report, and the tasks that they run.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use selvedge::batch::Batch;
use selvedge::{
    Batcher, CancelToken, Group, KeyedLimiter, Latch, Pipeline, Pool, RateLimiter, group, inspect,
};

use crate::common::within_a_minute;
use crate::{ignore, objects_of, report_in_which, sleep_of};

#[test]
fn pool_whose_workers_all_sleep_while_tasks_are_queued_is_called_stuck() {
    within_a_minute(|| {
        let pool = Pool::builder().name("stuck here").workers(1).queue(4).build().unwrap();
        let gate = Arc::new(Latch::new(1));
        let waits = Arc::clone(&gate);
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
        let running = &object.running[0];
        assert_eq!((&*running.task, &*running.thread), ("import", "stuck here-0"));
        assert!(running.elapsed.is_some());
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
fn batch_in_progress_is_listed_with_its_thread_and_time() {
    within_a_minute(|| {
        let (gate, (begun, begins)) = (Arc::new(Latch::new(1)), mpsc::channel());
        let waits = Arc::clone(&gate);
        let handler = move |_: &mut Batch<u8>| (begun.send(()).unwrap(), waits.wait()).1;
        let batcher = Batcher::builder().name("in hand").max_items(1).build(handler).unwrap();
        batcher.add(1).unwrap();
        begins.recv().unwrap();
        let sleep = sleep_of("in hand-0");
        assert_eq!(sleep.works_for.as_deref(), Some("Batcher \"in hand\""));
        let report = inspect::blocked();
        let object = report.objects.iter().find(|object| object.name == "in hand").unwrap();
        let running = &object.running[0];
        assert_eq!((&*running.task, &*running.thread), ("", "in hand-0"));
        assert!(running.elapsed.is_some());
        gate.count_down();
    });
}

#[test]
fn named_task_that_computes_is_listed_with_its_thread_and_time() {
    within_a_minute(|| {
        let pool = Arc::new(Pool::builder().name("busy one").workers(1).build().unwrap());
        let (begun, begins) = mpsc::channel();
        let (end, ends) = mpsc::channel::<()>();
        // Each is blocked in a call of std, as a task that computes would be: the register does not see it.
        // The outer task runs the inner one when it joins it.
        let outer = {
            let inside = Arc::clone(&pool);
            let inner = move || (begun.send(()).unwrap(), ends.recv().unwrap()).1;
            pool.submit_named("outer", move || inside.submit_named("inner", inner).unwrap().join().unwrap())
        };
        begins.recv().unwrap();
        let report = inspect::blocked();
        let ours = |object: &&inspect::Object| object.name == "busy one";
        let object = report.objects.iter().find(ours).unwrap();
        let running: Vec<(&str, &str)> =
            object.running.iter().map(|running| (&*running.task, &*running.thread)).collect();
        assert_eq!(running, [("outer", "busy one-0"), ("inner", "busy one-0")]);
        assert!(object.running.iter().all(|running| running.elapsed.is_some()));
        assert!(!object.is_stuck);
        let page = report.to_string();
        assert!(page.contains("runs outer on busy one-0 for "), "{page}");
        end.send(()).unwrap();
        outer.unwrap().join().unwrap();
        let report = inspect::blocked();
        let object = report.objects.iter().find(ours).unwrap();
        assert!(object.running.is_empty(), "{object}");
    });
}

#[test]
fn scope_and_group_with_named_tasks_are_listed_until_they_end() {
    within_a_minute(|| {
        let (begun, begins) = mpsc::channel();
        let (end, ends) = mpsc::channel::<()>();
        let first = line!();
        group::scope(&CancelToken::new(), |g| {
            let begun = begun.clone();
            g.spawn_named("walk", move |_| (begun.send(()).unwrap(), ignore(ends.recv())).1);
            begins.recv().unwrap();
            let report = inspect::blocked();
            let [scope] = &objects_of(&report, file!(), first..line!())[..] else { panic!("{report}") };
            assert_eq!(scope.kind, "Scope");
            assert_eq!(scope.figures, [("queued", 0), ("running", 1)]);
            assert_eq!(scope.running[0].task, "walk");
            assert!(scope.running[0].thread.starts_with("selvedge-helper-"), "{scope}");
            end.send(()).unwrap();
        })
        .unwrap();
        // Until its last thread has left, which may be a moment later.
        let last = line!();
        report_in_which(|report| objects_of(report, file!(), first..last).is_empty());

        let first = line!();
        let group = Group::<()>::new(&CancelToken::new());
        group.limit(3);
        group.spawn_named("serve", move |stop| (begun.send(()).unwrap(), stop.wait()).1).unwrap();
        begins.recv().unwrap();
        let ours = |report: &inspect::Report| objects_of(report, file!(), first..first + 3).pop();
        // The helper sleeps in the token of the group, which was made where the group was.
        let report = report_in_which(|report| {
            report.sleeps.iter().any(|sleep| sleep.task.as_deref() == Some("serve"))
        });
        let sleep = report.sleeps.iter().find(|sleep| sleep.task.as_deref() == Some("serve")).unwrap();
        let object = ours(&report).unwrap();
        assert_eq!(
            (object.kind, &object.figures[..]),
            ("Group", &[("queued", 0), ("running", 1), ("limit", 3)][..])
        );
        let label = format!("Group at {}", object.location.unwrap());
        assert_eq!(sleep.works_for.as_deref(), Some(&*label));
        drop(group);
        report_in_which(|report| ours(report).is_none());
    });
}

#[test]
fn scope_whose_owner_waits_is_listed_by_the_address_of_the_wait() {
    within_a_minute(|| {
        let gate = Latch::new(1);
        let first = line!();
        let scope = || {
            ignore(group::scope(&CancelToken::new(), |g| {
                g.spawn(|_| gate.wait());
                g.spawn(|_| gate.wait());
            }));
        };
        let report = thread::scope(|s| {
            thread::Builder::new().name("an owner".into()).spawn_scoped(s, scope).unwrap();
            // The owner runs one of the tasks; a helper runs the other.
            let report = report_in_which(|report| {
                !objects_of(report, file!(), first..line!()).is_empty()
                    && report.sleeps.iter().filter(|sleep| sleep.works_for.is_some()).count() >= 2
            });
            gate.count_down();
            report
        });
        let [object] = &objects_of(&report, file!(), first..line!())[..] else { panic!("{report}") };
        assert_eq!(object.figures, [("queued", 0), ("running", 2)]);
        assert!(object.running.is_empty(), "tasks without a name are only counted");
    });
}

#[test]
fn pipeline_is_listed_with_the_figures_of_its_stages() {
    within_a_minute(|| {
        let (gate, (begun, begins)) = (Latch::new(1), mpsc::channel());
        let first = line!();
        let run = || {
            let stage = Pipeline::source(0..100_u32).par_map(1, |n| {
                if n == 0 {
                    begun.send(()).unwrap();
                    gate.wait();
                }
                n
            });
            ignore(stage.bound(4).named("slow stage").ordered(false).collect::<Vec<_>>());
        };
        thread::scope(|s| {
            thread::Builder::new().name("a consumer".into()).spawn_scoped(s, run).unwrap();
            begins.recv().unwrap();
            // Unordered, so the consumer does not compute: it waits for the worker.
            let report = report_in_which(|report| {
                report.sleeps.iter().any(|sleep| {
                    sleep.thread == "a consumer"
                        && sleep.operation == "Pipeline::par_map"
                        && !sleep.waits_for.is_empty()
                })
            });
            let stage = report.objects.iter().find(|object| object.name == "slow stage").unwrap();
            assert_eq!(stage.kind, "Pipeline::par_map");
            let figure = |name: &str| stage.figures.iter().find(|(other, _)| *other == name).unwrap().1;
            assert_eq!((figure("workers"), figure("taken"), figure("bound")), (1, 0, 4));
            assert!((1..=4).contains(&figure("read")) && figure("running") >= 1, "{stage}");
            let [pipeline] = &objects_of(&report, file!(), first..line!())[..] else { panic!("{report}") };
            assert_eq!(pipeline.kind, "Pipeline");
            gate.count_down();
        });
        let last = line!();
        report_in_which(|report| {
            report.objects.iter().all(|object| object.name != "slow stage")
                && objects_of(report, file!(), first..last).is_empty()
        });
    });
}

#[test]
fn limiter_that_made_a_thread_wait_is_listed_with_its_figures() {
    within_a_minute(|| {
        let hour = Duration::from_secs(3600);
        let stop = CancelToken::new();
        let first = line!();
        let limiter = RateLimiter::new(2, hour).with_burst(3);
        let keyed = KeyedLimiter::new(1, hour);
        let ours = |report: &inspect::Report| objects_of(report, file!(), first..first + 3);
        limiter.try_acquire(3).unwrap();
        keyed.try_acquire("key", 1).unwrap();
        assert!(ours(&inspect::blocked()).is_empty());
        thread::scope(|s| {
            let named = |name: &str| thread::Builder::new().name(name.into());
            named("limited").spawn_scoped(s, || ignore(limiter.acquire_until(1, &stop))).unwrap();
            let sleep = sleep_of("limited");
            // The tokens come by themselves.
            assert!(sleep.left.unwrap() <= hour / 2);
            named("keyed").spawn_scoped(s, || ignore(keyed.acquire_until("key", 1, &stop))).unwrap();
            sleep_of("keyed");
            let objects = ours(&inspect::blocked());
            let kinds: Vec<&str> = objects.iter().map(|object| object.kind).collect();
            assert_eq!(kinds, ["RateLimiter", "KeyedLimiter"]);
            assert_eq!(objects[0].figures, [("waiting", 1), ("available", 0), ("burst", 3)]);
            assert_eq!(objects[0].address, sleep.object);
            stop.cancel();
        });
        drop((limiter, keyed));
        assert!(ours(&inspect::blocked()).is_empty());
    });
}

#[test]
fn many_objects_of_one_place_are_counted_on_the_page() {
    within_a_minute(|| {
        let pools: Vec<Pool> =
            (0..20).map(|_| Pool::builder().name("one of many").workers(1).build().unwrap()).collect();
        let page = inspect::blocked().to_string();
        assert_eq!(page.matches("Pool \"one of many\"").count(), 8, "{page}");
        assert!(page.contains("more objects like these"), "{page}");
        drop(pools);
    });
}

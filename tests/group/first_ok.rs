//! The first success of several tasks.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use crate::common::bombs::{Touchies, blow, panic_of};
use crate::common::{HOUR, within_a_minute};
use selvedge::{CancelToken, Clock, Latch, group};

type Task<'a, T, E> = Box<dyn FnOnce(&CancelToken) -> Result<T, E> + Send + 'a>;

#[test]
fn first_success_wins_and_the_sleepers_are_woken() {
    within_a_minute(|| {
        let (asleep, woken) = (Latch::new(2), AtomicUsize::new(0));
        let sleeps = |stop: &CancelToken| {
            asleep.count_down();
            let slept = stop.sleep(HOUR).map_err(|_| "woken");
            woken.fetch_add(1, SeqCst);
            slept.map(|()| 0)
        };
        let tasks: [Task<'_, _, _>; 3] = [
            Box::new(sleeps),
            Box::new(|_| {
                asleep.wait();
                Ok(7)
            }),
            Box::new(sleeps),
        ];
        let stop = CancelToken::new();
        assert_eq!(group::first_ok(&stop, tasks), Ok(7));
        // Joined, not left behind; and the caller's token is as it was.
        assert_eq!(woken.load(SeqCst), 2);
        assert!(!stop.is_cancelled());
    });
}

#[test]
fn errors_of_all_come_in_the_order_of_the_tasks() {
    within_a_minute(|| {
        for _ in 0..100 {
            let done = Latch::new(1);
            let tasks = [0, 1, 2].map(|n| {
                let done = &done;
                move |_: &CancelToken| {
                    // The last one fails first.
                    if n == 2 {
                        done.count_down()
                    } else {
                        done.wait()
                    }
                    Err::<(), _>(n)
                }
            });
            let failed = group::first_ok(&CancelToken::new(), tasks).unwrap_err();
            assert_eq!((failed.errors, failed.unstarted), (vec![0, 1, 2], 0));
        }
    });
}

#[test]
fn failures_do_not_stop_a_later_success() {
    within_a_minute(|| {
        let failed = Latch::new(2);
        let tasks = [0, 1, 2].map(|n| {
            let failed = &failed;
            move |stop: &CancelToken| {
                if n < 2 {
                    failed.count_down();
                    return Err(n);
                }
                failed.wait();
                assert!(!stop.is_cancelled());
                Ok(n)
            }
        });
        assert_eq!(group::first_ok(&CancelToken::new(), tasks), Ok(2));
    });
}

#[test]
fn no_task_at_all_fails_at_once_and_without_an_error() {
    let failed = group::first_ok(&CancelToken::new(), Vec::<Task<'_, (), &str>>::new()).unwrap_err();
    assert!(failed.errors.is_empty() && failed.unstarted == 0);
    assert_eq!(failed.to_string(), "there was no task that could succeed");
}

#[test]
fn cancelled_token_starts_nothing_and_a_cancel_stops_what_runs() {
    within_a_minute(|| {
        let stop = CancelToken::new();
        let tasks = || [1, 2].map(|n| move |stop: &CancelToken| stop.sleep(HOUR).map_err(|_| n));
        // The body of the scope spawns tasks, which cancel the token that they are run under.
        let asleep = Latch::new(2);
        let cancels = [1, 2].map(|n| {
            let (asleep, stop) = (&asleep, &stop);
            move |own: &CancelToken| {
                asleep.count_down();
                if n == 1 {
                    asleep.wait();
                    stop.cancel();
                }
                own.sleep(HOUR).map_err(|_| n)
            }
        });
        let failed = group::first_ok(&stop, cancels).unwrap_err();
        assert_eq!((failed.errors, failed.unstarted), (vec![1, 2], 0));
        let failed = group::first_ok(&stop, tasks()).unwrap_err();
        assert_eq!(failed.to_string(), "cancelled before 2 of the tasks had started");
        assert_eq!((failed.errors, failed.unstarted), (vec![], 2));
    });
}

#[test]
fn success_after_the_cancel_is_a_success() {
    within_a_minute(|| {
        let stop = CancelToken::new();
        let task = |own: &CancelToken| {
            stop.cancel();
            own.wait();
            Ok::<_, ()>(7)
        };
        assert_eq!(group::first_ok(&stop, [task]), Ok(7));
    });
}

#[test]
fn time_of_a_child_ends_all_tasks() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let stop = CancelToken::with_clock(&clock).child_until(Duration::from_secs(60));
        let tasks = [1, 2].map(|n| move |stop: &CancelToken| stop.sleep(HOUR).map_err(|_| n));
        std::thread::scope(|s| {
            let race = s.spawn(|| group::first_ok(&stop, tasks));
            clock.wait_for_sleepers(2);
            clock.advance(Duration::from_secs(60));
            assert_eq!(race.join().unwrap().unwrap_err().errors, [1, 2]);
        });
    });
}

#[test]
fn panic_stops_the_others_and_resumes_also_beside_a_success() {
    within_a_minute(|| {
        for succeeds in [false, true] {
            let woken = AtomicUsize::new(0);
            let tasks: [Task<'_, u8, ()>; 3] = [
                Box::new(move |stop| {
                    if succeeds {
                        stop.wait();
                        return Ok(7);
                    }
                    Err(())
                }),
                Box::new(|_| blow("a task")),
                Box::new(|stop| {
                    stop.wait();
                    woken.fetch_add(1, SeqCst);
                    Err(())
                }),
            ];
            assert_eq!(panic_of(|| group::first_ok(&CancelToken::new(), tasks)), "a task");
            assert!(woken.into_inner() <= 1);
        }
    });
}

#[test]
fn panic_of_the_iterator_stops_what_it_has_given() {
    within_a_minute(|| {
        let ended = AtomicUsize::new(0);
        let tasks = (0..3).map(|n| {
            if n == 2 {
                blow("the iterator");
            }
            let ended = &ended;
            move |stop: &CancelToken| {
                stop.wait();
                ended.fetch_add(1, SeqCst);
                Err::<(), _>(n)
            }
        });
        assert_eq!(panic_of(|| group::first_ok(&CancelToken::new(), tasks)), "the iterator");
        // Tasks that had not started never do.
        assert!(ended.into_inner() <= 2);
    });
}

#[test]
fn drops_of_what_nobody_receives_may_panic() {
    within_a_minute(|| {
        let (values, errors) = (Touchies::default(), Touchies::default());
        let failed = Latch::new(2);
        let tasks = [0, 1, 2, 3].map(|n| {
            let (values, errors, failed) = (&values, &errors, &failed);
            move |_: &CancelToken| {
                if n < 2 {
                    failed.count_down();
                    return Err(errors.make());
                }
                failed.wait();
                Ok(values.make())
            }
        });
        let value = group::first_ok(&CancelToken::new(), tasks).ok().expect("a success");
        let before = values.dropped();
        assert!(before <= 1);
        assert_eq!(panic_of(|| drop(value)), "a value's drop");
        assert_eq!(errors.dropped(), 2);
        // Beside a panic of a task: nothing is lost, and nothing aborts.
        let (values, errors, ready) = (Touchies::default(), Touchies::default(), Latch::new(3));
        let tasks = [0, 1, 2].map(|n| {
            let (values, errors, ready) = (&values, &errors, &ready);
            move |_: &CancelToken| {
                ready.count_down();
                ready.wait();
                match n {
                    0 => Err(errors.make()),
                    1 => Ok(values.make()),
                    _ => blow("a task"),
                }
            }
        });
        assert_eq!(panic_of(|| group::first_ok(&CancelToken::new(), tasks).is_ok()), "a task");
        assert_eq!((values.dropped(), errors.dropped()), (1, 1));
    });
}

#[test]
fn message_has_every_error() {
    let tasks = ["full", "slow"].map(|text| move |_: &CancelToken| Err::<(), _>(text));
    let failed = group::first_ok(&CancelToken::new(), tasks).unwrap_err();
    assert_eq!(failed.to_string(), "every task failed: full; slow");
}

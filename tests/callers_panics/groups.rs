//! `group::scope`, `Group` with its handles and closers, and `timeout::run`.

use selvedge::error::JoinError;
use selvedge::group::{self, Error, Group, Scope};
use selvedge::{CancelToken, Clock, Latch, Pool, timeout};

use super::*;

#[test]
fn first_panic_of_a_scope_reaches_its_owner_and_later_ones_nobody() {
    row(|| {
        let token = CancelToken::new();
        token.on_cancel(|| blow("a callback")).keep();
        let told = panic_of(|| {
            group::scope(&token, |g| {
                let all = Latch::new(3);
                let all = &*Box::leak(Box::new(all));
                for _ in 0..3 {
                    g.spawn(move |_| {
                        all.count_down();
                        all.wait();
                        blow("a task")
                    });
                }
                Ok::<_, ()>(())
            })
        });
        assert_eq!(told, "a task");
        assert_eq!(group::scope(&CancelToken::new(), |_| Ok::<_, ()>(1)), Ok(1));
    });
}

#[test]
fn bodys_panic_goes_before_all_and_what_is_left_is_dropped_before_it() {
    row(|| {
        let touchies = Touchies::default();
        let told = panic_of(|| {
            group::scope::<Result<(), _>, _, _>(&CancelToken::new(), |g| {
                g.keep_going();
                for _ in 0..3 {
                    let error = touchies.make();
                    g.spawn(move |_| Err(error));
                }
                g.wait().unwrap();
                blow("the body")
            })
        });
        assert_eq!((told.as_str(), touchies.dropped()), ("the body", 3));
    });
}

#[test]
fn errors_that_the_owner_does_not_get_are_dropped_before_the_one_that_it_gets() {
    row(|| {
        let touchies = Touchies::default();
        let result = group::scope(&CancelToken::new(), |g| {
            g.keep_going();
            for _ in 0..3 {
                let error = touchies.make();
                g.spawn(move |_| Err(error));
            }
            Ok(touchies.make())
        });
        let Err(Error::Failed(error)) = result else { panic!("it failed") };
        assert_eq!(touchies.dropped(), 3);
        assert_eq!(panic_of(|| drop(error)), "a value's drop");
    });
}

#[test]
fn value_of_a_body_whose_task_panics_is_dropped_before_the_panic() {
    row(|| {
        let touchies = Touchies::default();
        let told = panic_of(|| {
            group::scope(&CancelToken::new(), |g| {
                g.spawn(|_| blow("a task"));
                Ok::<_, ()>(touchies.make())
            })
        });
        assert_eq!((told.as_str(), touchies.dropped()), ("a task", 1));
    });
}

#[test]
fn task_that_is_not_started_is_not_taken_for_one_that_ran_though_its_drop_panics() {
    row(|| {
        let touchies = Touchies::default();
        let told = panic_of(|| {
            group::scope(&CancelToken::new(), |g| {
                g.cancel();
                for _ in 0..3 {
                    let touchy = touchies.make();
                    g.spawn(move |_| {
                        drop(touchy);
                        Ok::<_, ()>(())
                    });
                }
                Ok(())
            })
        });
        assert_eq!((told.as_str(), touchies.dropped()), ("a value's drop", 3));
    });
}

/// Spawns a task of the scope when it is dropped, for which it needs what the scope locks.
struct Spawns<'s, 'e>(&'s Scope<'s, 'e, ()>, Calls, Touchies);

impl Drop for Spawns<'_, '_> {
    fn drop(&mut self) {
        let calls = self.1.clone();
        self.0.spawn(move |_| {
            calls.hear();
            Ok(())
        });
        drop(self.2.make());
    }
}

#[test]
fn closers_that_nobody_calls_are_dropped_under_no_lock_and_each() {
    row(|| {
        let (calls, touchies) = (Calls::default(), Touchies::default());
        let (ran, dropped) = (calls.clone(), touchies.clone());
        let result = group::scope(&CancelToken::new(), |g| {
            for _ in 0..3 {
                let spawns = Spawns(g, ran.clone(), dropped.clone());
                g.on_stop(move || drop(spawns));
            }
            Ok(())
        });
        assert_eq!((result, calls.count(), touchies.dropped()), (Ok(()), 3, 3));
    });
}

#[test]
fn closers_that_panic_let_the_others_be_called() {
    row(|| {
        let (calls, touchies) = (Calls::default(), Touchies::default());
        let told = panic_of(|| {
            group::scope(&CancelToken::new(), |g| {
                for n in 0..4 {
                    let (calls, touchies) = (&calls, &touchies);
                    // The result is dropped by the scope.
                    g.on_stop(move || {
                        calls.hear();
                        if n == 1 { blow("a closer") } else { touchies.make() }
                    });
                }
                g.cancel();
                Ok::<_, ()>(())
            })
        });
        assert_eq!((told.as_str(), calls.count(), touchies.dropped()), ("a value's drop", 4, 3));
    });
}

#[test]
fn result_whose_handle_is_dropped_panics_to_nobody() {
    row(|| {
        let touchies = Touchies::default();
        let result = group::scope(&CancelToken::new(), |g| {
            for _ in 0..3 {
                let values = touchies.clone();
                drop(g.submit(move |_| Ok::<_, ()>(values.make())));
            }
            Ok(())
        });
        assert_eq!((result, touchies.dropped()), (Ok(()), 3));
    });
}

#[test]
fn joiner_of_a_panicked_task_gets_an_error_and_the_owner_the_payload() {
    row(|| {
        let told = panic_of(|| {
            group::scope(&CancelToken::new(), |g| {
                let handle = g.submit(|_| -> Result<u32, ()> { blow("a task") });
                assert!(handle.join().is_err());
                Ok(())
            })
        });
        assert_eq!(told, "a task");
    });
}

#[test]
fn group_tells_one_wait_of_a_panic_and_drops_the_rest() {
    row(|| {
        let (group, touchies) = (Group::<Touchy>::new(&CancelToken::new()), Touchies::default());
        group.keep_going();
        for _ in 0..3 {
            let error = touchies.make();
            let _ = group.spawn(move |_| Err(error));
        }
        assert!(matches!(group.wait(), Err(Error::Failed(_))));
        assert_eq!(panic_of(|| drop(group)), "a value's drop");
        assert_eq!(touchies.dropped(), 3);
        let group = Group::<()>::new(&CancelToken::new());
        group.token().on_cancel(|| blow("a callback")).keep();
        let started = Arc::new(Latch::new(1));
        let starts = Arc::clone(&started);
        let spawned = group.spawn(move |_| {
            starts.count_down();
            blow("a task")
        });
        assert!(spawned.is_ok());
        started.wait();
        assert_eq!(panic_of(|| drop(group)), "a task");
    });
}

#[test]
fn group_that_is_dropped_while_a_panic_unwinds_waits_for_its_tasks() {
    row(|| {
        let calls = Calls::default();
        let heard = calls.clone();
        let told = panic_of(|| {
            let group = Group::<Touchy>::new(&CancelToken::new());
            let (started, touchies) = (Arc::new(Latch::new(2)), Touchies::default());
            for panics in [false, true] {
                let (started, heard, errors) = (Arc::clone(&started), heard.clone(), touchies.clone());
                let spawned = group.spawn(move |token| {
                    started.count_down();
                    token.wait();
                    heard.hear();
                    if panics { blow("a task") } else { Err(errors.make()) }
                });
                assert!(spawned.is_ok());
            }
            started.wait();
            blow("the owner")
        });
        assert_eq!((told.as_str(), calls.count()), ("the owner", 2));
    });
}

#[test]
fn panics_on_a_pools_scope_cost_no_worker() {
    row(|| {
        let pool = Pool::builder().workers(2).build().unwrap();
        for _ in 0..10 {
            let told = panic_of(|| {
                pool.scope(&CancelToken::new(), |g| {
                    (0..4).for_each(|_| g.spawn(|_| blow("a task")));
                    Ok::<_, ()>(())
                })
            });
            assert_eq!(told, "a task");
        }
        assert_eq!(pool.submit(|| 1).unwrap().join().unwrap(), 1);
    });
}

#[test]
fn function_with_a_time_limit_panics_to_its_waiter_or_to_the_handle() {
    row(|| {
        assert_eq!(panic_of(|| timeout::run(HOUR, |_| blow("in time"))), "in time");
        let clock = Clock::manual();
        let (started, end) = (Arc::new(Latch::new(1)), Arc::new(Latch::new(1)));
        let running = std::thread::scope(|s| {
            let late = s.spawn(|| {
                let (starts, end) = (Arc::clone(&started), Arc::clone(&end));
                let result = timeout::run((clock.clock(), HOUR), move |token| {
                    token.on_cancel(|| blow("a callback")).keep();
                    starts.count_down();
                    end.wait();
                    blow("late")
                });
                result.map(|_: u32| ()).unwrap_err().into_running().unwrap()
            });
            started.wait();
            clock.wait_for_sleepers(1);
            // On this thread, or on the waiter's: whoever finds it first.
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| clock.advance(2 * HOUR)))
                .map_err(received);
            late.join().unwrap()
        });
        end.count_down();
        match running.join() {
            Err(JoinError::Panicked(panic)) => assert_eq!(received(panic.into_payload()), "late"),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn what_a_dropped_handle_would_have_had_panics_to_nobody() {
    row(|| {
        let touchies = Touchies::default();
        for panics in [false, true] {
            let end = Arc::new(Latch::new(1));
            let (values, ends) = (touchies.clone(), Arc::clone(&end));
            // The function ends its own limit, so that it has started by then.
            let limit = CancelToken::new();
            let passes = limit.clone();
            let late = timeout::run(&limit, move |_| {
                passes.cancel();
                ends.wait();
                if panics { blow("late") } else { values.make() }
            });
            let running = late.err().unwrap().into_running();
            assert!(running.is_some());
            drop(running);
            end.count_down();
        }
        eventually("the result is dropped", || touchies.dropped() == 1);
        assert_eq!(timeout::run(HOUR, |_| 1).unwrap(), 1);
    });
}

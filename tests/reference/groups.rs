//! Rows 3.2, 3.3 and 4.1 of the reference: what is usually written, failing as it does, and ours beside it
//! under the same harness.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use crate::common::{HOUR, eventually, within_a_minute};
use selvedge::error::TryError;
use selvedge::group::{self, Group};
use selvedge::timeout::{self, Running};
use selvedge::{CancelToken, Clock, Latch, Semaphore};

/// 3.2: the function leaks and its side effects follow, its own error is lost, and it starts though it is too
/// late.
mod time_out {
    use super::*;

    /// What a caller can wait for after a time-out: the rest of the function, if it was given a handle.
    type Rest = Option<Box<dyn FnOnce() -> Ended>>;
    type Ended = Result<(), &'static str>;
    type Run = fn(Duration, Function) -> Result<Ended, Rest>;
    type Function = Box<dyn FnOnce(&CancelToken) -> Ended + Send>;

    /// A thread, a channel, and the first of the two that comes.
    fn as_it_is_usually_written(limit: Duration, f: Function) -> Result<Ended, Rest> {
        let token = CancelToken::new();
        let (sends, ended) = mpsc::channel();
        let inner = token.clone();
        thread::spawn(move || sends.send(f(&inner)));
        ended.recv_timeout(limit).map_err(|_| {
            token.cancel();
            None
        })
    }

    fn ours(limit: Duration, f: Function) -> Result<Ended, Rest> {
        timeout::run(limit, move |token| f(token)).map_err(|error| {
            let running = error.into_running();
            running.map(|running| Box::new(move || Running::join(running).unwrap()) as Box<dyn FnOnce() -> _>)
        })
    }

    /// Whether the side effect, and the error, of a function that did not hear of its time-out are seen by a
    /// caller who waits for all that it can wait for.
    fn nothing_happens_unseen(run: Run) -> Result<(), &'static str> {
        let (gate, effect) = (Arc::new(Latch::new(1)), Arc::new(AtomicUsize::new(0)));
        let started = Arc::new(Latch::new(1));
        let (waits, effects, starts) = (Arc::clone(&gate), Arc::clone(&effect), Arc::clone(&started));
        let result = run(
            Duration::from_millis(200),
            Box::new(move |_| {
                starts.count_down();
                waits.wait();
                effects.fetch_add(1, SeqCst);
                Err("its own error")
            }),
        );
        let Err(rest) = result else { return Err("no time-out") };
        if started.wait_until(Duration::ZERO).is_err() {
            gate.count_down();
            return Err("the machine did not start it in time");
        }
        let Some(rest) = rest else {
            // There is nothing to wait for, and it still runs.
            let seen = effect.load(SeqCst);
            gate.count_down();
            eventually("the side effect follows", || effect.load(SeqCst) > seen);
            return Err("its side effects follow, and its error is lost");
        };
        gate.count_down();
        assert_eq!(rest(), Err("its own error"));
        assert_eq!(effect.load(SeqCst), 1);
        Ok(())
    }

    #[test]
    fn function_that_does_not_hear_leaks_as_usually_written_and_has_a_handle_here() {
        within_a_minute(|| {
            let until_started = |run: Run| loop {
                match nothing_happens_unseen(run) {
                    Err("the machine did not start it in time") => {}
                    told => return told,
                }
            };
            let usual = until_started(as_it_is_usually_written);
            assert_eq!(usual, Err("its side effects follow, and its error is lost"));
            assert_eq!(until_started(ours), Ok(()));
        });
    }

    #[test]
    fn function_starts_too_late_as_usually_written_and_never_here() {
        within_a_minute(|| {
            let ran = Arc::new(AtomicUsize::new(0));
            let counts = |ran: &Arc<AtomicUsize>| {
                let ran = Arc::clone(ran);
                Box::new(move |_: &CancelToken| {
                    ran.fetch_add(1, SeqCst);
                    Ok(())
                })
            };
            drop(as_it_is_usually_written(Duration::ZERO, counts(&ran)));
            eventually("it has run", || ran.load(SeqCst) == 1);
            drop(ours(Duration::ZERO, counts(&ran)));
            assert_eq!((ran.load(SeqCst), Arc::strong_count(&ran)), (1, 1), "the closure is gone");
        });
    }

    #[test]
    fn example_of_two_seconds_against_three_ends_at_two() {
        within_a_minute(|| {
            let clock = Clock::manual();
            let (second, three) = (Duration::from_secs(1), Duration::from_secs(3));
            let deadline = clock.now() + 2 * second;
            let result = thread::scope(|s| {
                s.spawn(|| {
                    // The function, which sleeps for three, and its caller, who waits for two.
                    clock.wait_for_sleepers(2);
                    clock.advance(2 * second);
                });
                timeout::run((clock.clock(), deadline), move |token| token.sleep(three))
            });
            let ended = result
                .or_else(|error| error.into_running().map(|late| late.join().unwrap()).ok_or("not started"));
            assert!(ended.unwrap().is_err(), "it was woken after two");
            assert_eq!(clock.now(), deadline);
        });
    }
}

/// 3.3: a child that is run after the cancel runs, and their errors are unread.
mod run_cancel_wait {
    use super::*;

    /// A flag, a count, and a thread for each child.
    #[derive(Default)]
    struct AsItIsUsuallyWritten {
        token: CancelToken,
        children: selvedge::WaitGroup,
    }

    impl AsItIsUsuallyWritten {
        fn run(&self, child: impl FnOnce(&CancelToken) -> Result<(), &'static str> + Send + 'static) {
            let (token, member) = (self.token.clone(), self.children.add());
            thread::spawn(move || {
                let _unread = child(&token);
                drop(member);
            });
        }
    }

    #[test]
    fn child_runs_after_the_cancel_as_usually_written_and_comes_back_here() {
        within_a_minute(|| {
            let ran = Arc::new(AtomicUsize::new(0));
            let counts = |ran: &Arc<AtomicUsize>| {
                let ran = Arc::clone(ran);
                move |_: &CancelToken| {
                    ran.fetch_add(1, SeqCst);
                    Err("its error")
                }
            };
            let usual = AsItIsUsuallyWritten::default();
            usual.token.cancel();
            usual.run(counts(&ran));
            usual.children.wait();
            assert_eq!(ran.load(SeqCst), 1, "it ran, and nobody can know how it ended");
            let group = Group::new(&CancelToken::new());
            group.cancel();
            assert!(group.spawn(counts(&ran)).is_err());
            assert!(group.wait().is_ok());
            assert_eq!((ran.load(SeqCst), Arc::strong_count(&ran)), (1, 1));
        });
    }

    #[test]
    fn example_of_three_children_is_cancelled_in_the_middle_and_every_error_is_read() {
        within_a_minute(|| {
            let clock = Clock::manual();
            let tenth = Duration::from_millis(100);
            let group = Group::<String>::new(&CancelToken::with_clock(&clock));
            for n in 1..=3 {
                let spawned = group.spawn_named(&format!("task {n}"), move |token| {
                    (0..10).try_for_each(|_| token.sleep(tenth).map_err(|_| format!("task {n} cancelled")))
                });
                spawned.unwrap();
            }
            clock.wait_for_sleepers(3);
            clock.advance(tenth);
            clock.wait_for_sleepers(3);
            group.cancel();
            assert!(group.wait().unwrap_err().to_string().ends_with("cancelled"));
            let mut errors: Vec<String> = group.errors().iter().map(ToString::to_string).collect();
            errors.sort();
            assert_eq!(errors, ["task 1 cancelled", "task 2 cancelled", "task 3 cancelled"]);
        });
    }
}

/// 4.1: no limit; and the usual one hangs where those who run wait for what only the next would bring.
mod error_group {
    use super::*;

    #[test]
    fn usual_limit_is_stuck_where_ours_goes_on() {
        within_a_minute(|| {
            let (permits, token) = (Semaphore::new(2), CancelToken::new());
            thread::scope(|s| {
                for _ in 0..2 {
                    let permit = permits.acquire().unwrap();
                    let token = &token;
                    s.spawn(move || {
                        token.wait();
                        drop(permit);
                    });
                }
                // Whoever would spawn the third, which brings the cancel, waits for a permit here.
                assert_eq!(permits.try_acquire().unwrap_err(), TryError::WouldBlock);
                token.cancel();
            });
            let result = group::scope(&CancelToken::new(), |g| {
                g.limit(2);
                for _ in 0..2 {
                    g.spawn(|token| token.sleep(HOUR).map_err(|_| "woken"));
                }
                g.spawn(|_| Err("the cancel"));
                Ok(())
            });
            assert_eq!(result, Err(group::Error::Failed("the cancel")));
        });
    }

    #[test]
    fn example_of_three_addresses_fails_with_the_one_that_is_invalid() {
        within_a_minute(|| {
            let addresses = ["https://example.com", "https://invalid-url", "https://another.com"];
            let result = group::scope(&CancelToken::new(), |g| {
                let handles: Vec<_> = addresses
                    .iter()
                    .map(|address| {
                        g.submit(move |token| match address.contains("invalid") {
                            true => Err(format!("failed to fetch {address}")),
                            false => token.sleep(HOUR).map_err(|_| "woken".to_owned()),
                        })
                    })
                    .collect();
                let fetched = handles.into_iter().filter_map(|handle| handle.join().ok()).count();
                assert_eq!(fetched, 0);
                Ok(())
            });
            assert_eq!(result, Err(group::Error::Failed("failed to fetch https://invalid-url".to_owned())));
        });
    }
}

//! Pools of every make under everything that can be done to them, by dice with a fixed seed: each closure is
//! run once, or cancelled, or comes back, and is dropped once; and the figures say so.
//!
//! `SELVEDGE_STRESS=50` runs fifty times as much.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use crate::common::Dice;
use crate::common::rounds::{current, limit, meddle, rounds, tokens};
use selvedge::error::{JoinError, Panic};
use selvedge::pool::{Report, Task};
use selvedge::{BoundedQueue, CancelToken, Latch, Pool, group};

/// What has become of the closures of a round.
#[derive(Debug, Default)]
struct Log {
    offered: AtomicUsize,
    accepted: AtomicUsize,
    ran: AtomicUsize,
    dropped: AtomicUsize,
    /// Panics that were meant, of those that ran.
    panics: AtomicUsize,
    /// Panics that a handle or the hook has told of.
    told: AtomicUsize,
}

/// What a closure holds. Dropped once, whatever becomes of it.
struct Ticket(Arc<Log>);

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, SeqCst);
    }
}

/// A pool under test, as its tasks see it.
#[derive(Clone)]
struct Scene {
    pool: Arc<Pool>,
    log: Arc<Log>,
    tokens: Arc<Vec<CancelToken>>,
    /// Tasks push and pop here, with limits.
    queue: Arc<BoundedQueue<u8>>,
}

impl Scene {
    fn new(dice: &mut Dice) -> Self {
        let log = Arc::new(Log::default());
        let (min, more) = (dice.roll(3), 1 + dice.roll(3));
        let keep_alive = [Duration::ZERO, Duration::from_micros(50), Duration::MAX][dice.roll(3)];
        let hook = {
            let log = Arc::clone(&log);
            move |_: Panic| _ = log.told.fetch_add(1, SeqCst)
        };
        let builder = Pool::builder().workers(min..=min + more).spares(dice.roll(3)).queue(1 + dice.roll(4));
        let pool = Arc::new(builder.keep_alive(keep_alive).on_panic(hook).build().unwrap());
        Scene { pool, log, tokens: tokens(20), queue: Arc::new(BoundedQueue::new(1)) }
    }

    /// A closure that does one of the things that tasks do.
    fn work(&self, mut dice: Dice, depth: usize) -> impl FnOnce() + Send + 'static {
        self.log.offered.fetch_add(1, SeqCst);
        let (scene, ticket) = (self.clone(), Ticket(Arc::clone(&self.log)));
        move || {
            let log = &ticket.0;
            log.ran.fetch_add(1, SeqCst);
            match dice.roll(10) {
                0 => {
                    log.panics.fetch_add(1, SeqCst);
                    std::panic::resume_unwind(Box::new("on purpose"));
                }
                1 | 2 if depth < 3 => {
                    let mut task = scene.submit(&mut dice, depth + 1);
                    if let Some(task) = task.take_if(|_| !dice.once_in(4)) {
                        scene.joined(task.join());
                    }
                }
                3 if depth < 3 => scene.execute(&mut dice, depth + 1),
                4 => _ = scene.queue.push_until(1, limit(&mut dice, current(&scene.tokens))),
                5 => _ = scene.queue.pop_until(limit(&mut dice, current(&scene.tokens))),
                6 => scene.scope(&mut dice),
                7 => thread::yield_now(),
                _ => {}
            }
        }
    }

    fn submit(&self, dice: &mut Dice, depth: usize) -> Option<Task<()>> {
        let work = self.work(Dice::new(dice.roll(1 << 30) as u64), depth);
        let task = match dice.roll(3) {
            0 => self.pool.submit(work).ok(),
            1 => self.pool.try_submit(work).ok(),
            _ => self.pool.submit_until(work, limit(dice, current(&self.tokens))).ok(),
        };
        self.log.accepted.fetch_add(usize::from(task.is_some()), SeqCst);
        task
    }

    fn execute(&self, dice: &mut Dice, depth: usize) {
        let work = self.work(Dice::new(dice.roll(1 << 30) as u64), depth);
        let accepted = match dice.roll(3) {
            0 => self.pool.execute(work).is_ok(),
            1 => self.pool.try_execute(work).is_ok(),
            _ => self.pool.execute_until(work, limit(dice, current(&self.tokens))).is_ok(),
        };
        self.log.accepted.fetch_add(usize::from(accepted), SeqCst);
    }

    /// A scope on the pool's workers; its tasks are none of the pool's.
    fn scope(&self, dice: &mut Dice) {
        let (count, sum) = (dice.roll(8), AtomicUsize::new(0));
        let result: Result<(), group::Error<()>> = self.pool.scope(&CancelToken::new(), |s| {
            for _ in 0..count {
                s.spawn(|_| {
                    sum.fetch_add(1, SeqCst);
                    Ok(())
                });
            }
            Ok(())
        });
        assert_eq!((result, sum.into_inner()), (Ok(()), count));
    }

    fn joined(&self, result: Result<(), JoinError>) {
        match result {
            Ok(()) | Err(JoinError::Cancelled) => {}
            Err(JoinError::Panicked(_)) => _ = self.log.told.fetch_add(1, SeqCst),
            Err(other) => panic!("{other:?}"),
        }
    }

    /// Offers tasks from outside, cancels some, joins some, and lets some go.
    fn offer(&self, mut dice: Dice) {
        let mut tasks = Vec::new();
        for _ in 0..80 {
            match dice.once_in(3) {
                true => self.execute(&mut dice, 0),
                false => tasks.extend(self.submit(&mut dice, 0)),
            }
            if dice.once_in(4) && !tasks.is_empty() {
                let index = dice.roll(tasks.len());
                tasks[index].cancel();
                if dice.once_in(2) {
                    drop(tasks.swap_remove(index));
                }
            }
        }
        for task in tasks {
            match task.join_until(limit(&mut dice, current(&self.tokens))) {
                Ok(result) => self.joined(result),
                Err(late) => self.joined(late.into_value().join()),
            }
        }
    }

    /// After the last report: everything is accounted for.
    fn check(&self, report: &Report) {
        let count = |figure: &AtomicUsize| figure.load(SeqCst);
        let log = &self.log;
        assert_eq!(count(&log.offered), count(&log.dropped), "{log:?}");
        assert_eq!(count(&log.ran), report.completed + report.panicked, "{log:?}, {report:?}");
        assert_eq!(count(&log.accepted), count(&log.ran) + report.cancelled, "{log:?}, {report:?}");
        assert_eq!((count(&log.panics), count(&log.told)), (report.panicked, report.panicked), "{log:?}");
        let stats = self.pool.stats();
        assert_eq!((stats.workers, stats.idle, stats.blocked, stats.queued), (0, 0, 0, 0));
        assert_eq!(Arc::strong_count(log), 2, "somebody holds a closure or the hook's twin");
    }
}

/// Submitters, a thread that resizes and one that cancels tokens; in the end `close` closes the pool.
fn round(resizes: bool, mut dice: Dice, close: impl FnOnce(&Scene, &mut Dice) -> Report) {
    let scene = Scene::new(&mut dice);
    let done = Arc::new(Latch::new(1));
    let submitters: Vec<_> = (0..3)
        .map(|_| {
            let (scene, dice) = (scene.clone(), Dice::new(dice.roll(1 << 30) as u64));
            thread::spawn(move || scene.offer(dice))
        })
        .collect();
    let meddlers = [0, 1].map(|who| {
        let (scene, done) = (scene.clone(), Arc::clone(&done));
        let mut dice = Dice::new(dice.roll(1 << 30) as u64);
        thread::spawn(move || match who {
            0 => meddle(&scene.tokens, &done, dice),
            _ => {
                while resizes && done.wait_until(Duration::from_micros(dice.roll(100) as u64)).is_err() {
                    let min = dice.roll(3);
                    scene.pool.resize(min..=min + 1 + dice.roll(3)).unwrap();
                }
            }
        })
    });
    let early = dice.once_in(3);
    let mut submitters = Some(submitters);
    let mut join = || submitters.take().into_iter().flatten().for_each(|it| it.join().unwrap());
    if early {
        (0..dice.roll(2_000)).for_each(|_| thread::yield_now());
    } else {
        join();
    }
    // What an abort hands back is run or dropped here, before the submitters are waited for: they may join
    // it.
    for unstarted in close(&scene, &mut dice).unstarted {
        if dice.once_in(2) {
            unstarted.run();
        }
    }
    join();
    done.count_down();
    meddlers.into_iter().for_each(|it| it.join().unwrap());
    scene.check(&scene.pool.shutdown());
}

#[test]
fn shut_down_pool_accounts_for_every_closure() {
    rounds(10, |dice| round(false, dice, |scene, _| scene.pool.shutdown()));
}

#[test]
fn pool_that_is_resized_all_the_time_accounts_for_every_closure() {
    rounds(10, |dice| round(true, dice, |scene, _| scene.pool.shutdown()));
}

#[test]
fn aborted_pool_accounts_for_every_closure() {
    rounds(10, |dice| round(true, dice, |scene, _| scene.pool.abort()));
}

#[test]
fn pool_that_is_shut_down_from_one_of_its_tasks_accounts_for_every_closure() {
    rounds(10, |dice| {
        round(false, dice, |scene, _| {
            let inner = Arc::clone(&scene.pool);
            // Refused if it is closed already, which nobody else does.
            let task = scene.pool.submit(move || drop(inner.shutdown())).unwrap();
            scene.log.accepted.fetch_add(1, SeqCst);
            scene.log.ran.fetch_add(1, SeqCst);
            task.join().unwrap();
            scene.pool.shutdown()
        });
    });
}

/// Results that two read while tasks are submitted, and taken back by an abort.
#[test]
fn stream_tells_of_every_task_once() {
    rounds(10, |mut dice| {
        let scene = Scene::new(&mut dice);
        let results = scene.pool.results();
        let (aborts, done) = (dice.once_in(2), AtomicBool::new(false));
        let read = || {
            let mut ids = Vec::new();
            loop {
                match results.next_until(Duration::from_millis(1)) {
                    Ok(Some((id, _))) => ids.push(id),
                    // Nothing is under way, and nothing more will be.
                    Ok(None) if done.load(SeqCst) => return ids,
                    _ => thread::yield_now(),
                }
            }
        };
        let (mut ids, submitted) = thread::scope(|threads| {
            let submitters = [dice.roll(1 << 30), dice.roll(1 << 30)].map(|seed| {
                let (results, tokens, mut dice) = (&results, &scene.tokens, Dice::new(seed as u64));
                threads.spawn(move || {
                    let mut submit = |_: &usize| {
                        let limit = limit(&mut dice, current(tokens));
                        results.submit_until(|| (), limit).is_ok()
                    };
                    (0..200).filter(|n| submit(n)).count()
                })
            });
            let readers = [(); 2].map(|()| threads.spawn(read));
            if aborts {
                drop(scene.pool.abort());
            }
            let submitted: usize = submitters.into_iter().map(|it| it.join().unwrap()).sum();
            done.store(true, SeqCst);
            (readers.map(|it| it.join().unwrap()).concat(), submitted)
        });
        ids.sort_unstable();
        assert_eq!(ids, (0..submitted).collect::<Vec<_>>());
    });
}

//! Delayed and periodic tasks.
//!
//! A task that is not due is in no queue: it has a place in the pool's [set] and an alarm of the pool's
//! clock. All pools share the crate's one alarm thread, which exists only while alarms are set; a manual
//! clock needs no thread.

mod job;
mod rounds;
mod set;

use std::time::Duration;

pub use rounds::RoundResult;
pub(super) use set::Delays;

use super::{Pool, Task};
use crate::cancel::CancelToken;
use crate::error::{Rejected, TryError};
use crate::limiter::Ticker;
use crate::sync::Arc;
use job::{DelayedJob, Work};
use rounds::{Every, Once};
use set::When;

impl Pool {
    /// Submits a closure that becomes due when `delay` has passed on the pool's
    /// [clock](super::Builder::clock), and is queued then. It starts when a worker reaches it, so it is never
    /// early, and late by as much as the queue is long.
    ///
    /// With [`Duration::ZERO`] it is queued at once. With a delay beyond the range of
    /// [`Instant`](std::time::Instant), such as [`Duration::MAX`], it never becomes due; it can only be
    /// cancelled. The call never waits, and takes no room in the queue.
    ///
    /// A [cancel](Task::cancel) before the task has started removes it at once. A join waits until the task
    /// has run. A task of the same pool that joins it does not run it early, but runs it itself as soon as it
    /// is due.
    ///
    /// # Shutdown
    /// When the pool is closed, by [`shutdown`](Pool::shutdown), [`abort`](Pool::abort) or its drop, a task
    /// that is due is like any other that is queued. Those that are not due come back in
    /// [`Report::unstarted`](super::Report::unstarted), the earliest first; dropping the report cancels them.
    /// To let them run, join them before. A task of the pool that waits for one of them cancels it, because
    /// the shutdown waits for that task.
    ///
    /// # Errors
    /// With the closure: [`TryError::WouldBlock`] if as many delayed and periodic tasks as the
    /// [queue](super::Builder::queue) holds have not ended; [`TryError::Closed`].
    ///
    /// # Examples
    /// ```
    /// use selvedge::{Clock, Pool};
    /// use std::time::Duration;
    ///
    /// let clock = Clock::manual(); // the system's in a program
    /// let pool = Pool::builder().workers(1).clock(&clock).build()?;
    /// let reminder = pool.submit_after(Duration::from_secs(3600), || "an hour is over")?;
    /// let late = pool.submit_after(Duration::from_secs(7200), || "two hours are over")?;
    /// clock.advance(Duration::from_secs(3600));
    /// assert_eq!(reminder.join()?, "an hour is over");
    /// assert!(late.cancel());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Proof
    /// Models in `loom-tests/tests/pool_delayed.rs`:
    /// `a_delayed_task_that_meets_a_shutdown_runs_or_comes_back`,
    /// `a_cancel_that_meets_the_time_decides_once`,
    /// `a_worker_that_joins_a_delayed_task_runs_it_when_it_is_due`.
    pub fn submit_after<F, R>(&self, delay: Duration, f: F) -> Result<Task<R>, Rejected<F, TryError>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let when = match delay.is_zero() {
            true => When::Now,
            // One read of the clock: a delay begins with the call.
            false => self.shared.config.clock.after(delay).map_or(When::Never, When::At),
        };
        self.delay(Once(f), None, when).map_err(|Rejected { value: Once(f), error }| Rejected::new(f, error))
    }

    /// Submits a closure that is run once in each period, first when one period has passed on the pool's
    /// [clock](super::Builder::clock).
    ///
    /// Round number `n` is due at exactly `n · period` after the call, as for a [`Ticker`], however late
    /// earlier rounds were. Rounds never overlap: while one runs or waits in the queue, the next is not due.
    /// If a round ends after the next was due, that one is queued at once, for the last of the instants that
    /// were missed, and the earlier ones are skipped. So a closure that takes longer than the period is run
    /// again and again, behind what is queued.
    ///
    /// The closure gets a token. It returns `()`, or a [`ControlFlow`](std::ops::ControlFlow), whose `Break`
    /// ends the task with a value. The task also ends
    /// - by [`Task::cancel`], which cancels the token. It returns true if no round was running; otherwise the
    ///   round that runs is the last. The join fails with [`JoinError::Cancelled`];
    /// - by a panic, which the join returns, or which goes to the pool's [hook](super::Builder::on_panic) if
    ///   the handle was dropped;
    /// - when the pool is closed: a round that is due still runs (not after an [`abort`](Pool::abort)), and
    ///   the join fails with [`JoinError::Cancelled`].
    ///
    /// Dropping the handle lets the task run on. The [report](super::Report) counts each round.
    ///
    /// # Errors
    /// As [`submit_after`](Pool::submit_after).
    ///
    /// # Panics
    /// If `period` is zero.
    ///
    /// # Examples
    /// ```
    /// use selvedge::{Clock, Pool};
    /// use std::{ops::ControlFlow, time::Duration};
    ///
    /// let pool = Pool::builder().workers(1).build()?;
    /// let mut left = 3;
    /// let countdown = pool.submit_every(Duration::from_millis(1), move |_stop| {
    ///     left -= 1;
    ///     if left > 0 { ControlFlow::Continue(()) } else { ControlFlow::Break("lift-off") }
    /// })?;
    /// assert_eq!(countdown.join()?, "lift-off");
    ///
    /// let flushes = pool.submit_every(Duration::from_secs(60), |_stop| println!("flush"))?;
    /// flushes.cancel();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Proof
    /// Models in `loom-tests/tests/pool_delayed.rs`: `a_cancel_during_a_round_ends_the_rounds`,
    /// `a_periodic_task_that_meets_a_shutdown_ends`.
    ///
    /// [`JoinError::Cancelled`]: crate::error::JoinError::Cancelled
    #[track_caller]
    pub fn submit_every<F, T>(&self, period: Duration, f: F) -> Result<Task<T::Value>, Rejected<F, TryError>>
    where
        F: FnMut(&CancelToken) -> T + Send + 'static,
        T: RoundResult,
        T::Value: Send + 'static,
    {
        assert!(
            !period.is_zero(),
            "a task with a period of 0 would always be due: the least is a nanosecond"
        );
        let clock = self.shared.config.clock.clone();
        let ticks = Ticker::new(period).with_clock(&clock);
        let when = When::at(ticks.next_due(), clock.now());
        let stop = CancelToken::with_clock(&clock);
        self.delay(Every { f, ticks, clock }, Some(stop), when)
            .map_err(|Rejected { value, error }| Rejected::new(value.f, error))
    }

    fn delay<W, R>(
        &self,
        work: W,
        stop: Option<CancelToken>,
        when: When,
    ) -> Result<Task<R>, Rejected<W, TryError>>
    where
        W: Work<R> + 'static,
        R: Send + 'static,
    {
        let place = match self.shared.take_place() {
            Ok(place) => place,
            Err(error) => return Err(Rejected::new(work, error)),
        };
        let number = place.number();
        let job = Arc::new(DelayedJob::new(work, place, stop));
        self.shared.introduce(number, Arc::clone(&job) as Arc<_>);
        match self.shared.arm(number, when) {
            true => Ok(Task::new(job, Arc::clone(&self.shared))),
            // Closed since the place was taken. No other thread has seen the job, so its closure is
            // unclaimed.
            false => Err(Rejected::new(job.take_back(), TryError::Closed)),
        }
    }
}

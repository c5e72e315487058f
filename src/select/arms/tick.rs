//! The arm that waits for a tick.

use std::time::Instant;

use crate::clock::Clock;
use crate::limiter::{Tick, Ticker};
use crate::select::arm::Arm;
use crate::select::engine::RawArm;
use crate::wait::Waiter;

/// Waits until the next tick of a ticker is due, and takes it. If another arm takes effect, no tick is taken.
#[inline]
pub fn tick(ticker: &mut Ticker) -> impl Arm<Output = Tick> {
    Due { ticker, tick: None }
}

struct Due<'a> {
    ticker: &'a mut Ticker,
    tick: Option<Tick>,
}

impl RawArm for Due<'_> {
    fn attempt(&mut self) -> bool {
        // Taken only by the attempt: the ticker is borrowed exclusively, so no other thread can be faster.
        self.tick = self.ticker.try_next().ok();
        self.tick.is_some()
    }

    /// There is no list to join. The result only distinguishes a tick that is due from one that is not.
    fn join(&mut self, _waiter: &Waiter) -> bool {
        // Without an instant, the next tick is too far away to be one, and the arm is never ready.
        self.instant().is_none_or(|(clock, at)| clock.now() < at)
    }

    fn leave(&mut self, _waiter: &Waiter) {}

    fn instant(&self) -> Option<(Clock, Instant)> {
        // The engine sleeps until this instant at most; the attempt that follows takes the tick.
        Some((self.ticker.clock().clone(), self.ticker.next_due()?))
    }
}

impl Arm for Due<'_> {
    type Output = Tick;

    fn output(&mut self) -> Tick {
        super::brought(&mut self.tick)
    }
}

//! Ticks.

use std::time::Instant;

use crate::clock::Clock;
use crate::limiter::{Tick, Ticker};
use crate::select::arm::Arm;
use crate::select::engine::RawArm;
use crate::wait::Waiter;

/// Takes the next tick of a ticker when it is due.
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
        self.tick = self.ticker.try_next().ok();
        self.tick.is_some()
    }

    /// There is no list. Only a ready tick must be told from one that is not due, for those who only ask.
    fn join(&mut self, _waiter: &Waiter) -> bool {
        self.instant().is_none_or(|(clock, at)| clock.now() < at)
    }

    fn leave(&mut self, _waiter: &Waiter) {}

    fn instant(&self) -> Option<(Clock, Instant)> {
        Some((self.ticker.clock().clone(), self.ticker.next_due()?))
    }
}

impl Arm for Due<'_> {
    type Output = Tick;

    fn output(&mut self) -> Tick {
        super::brought(&mut self.tick)
    }
}

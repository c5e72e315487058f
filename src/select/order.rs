//! The order in which the arms of a selection are tried.
//!
//! A fair order starts at a random arm and proceeds in random steps that reach every arm once. Each arm is
//! first equally often, and of two arms, each comes before the other equally often: for every start and step
//! there is another start whose step back gives the reverse order. Thus no ready arm starves another.
//!
//! # Why not
//! *A shuffle.* It would also be uniform over the orders of three or more ready arms, but it writes a table
//! of all arms first. This takes one random number.

use crate::wait::context;

/// Which of several ready arms takes effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pick {
    /// Any of them; of any two, each equally often.
    #[default]
    Fair,
    /// The first one in the order in which they are written.
    Biased,
}

/// The positions of the arms, in the order in which to try them.
pub(super) struct Order {
    next: usize,
    step: usize,
    len: usize,
    left: usize,
}

impl Pick {
    #[inline]
    pub(super) fn order(self, len: usize) -> Order {
        let (next, step) = match self {
            Pick::Fair if len > 1 => start_and_step(context::random(), len),
            _ => (0, 1),
        };
        Order { next, step, len, left: len }
    }
}

/// Returns a start below `len` and a step that has no divisor in common with `len`, so that it reaches every
/// position.
#[inline]
fn start_and_step(random: u64, len: usize) -> (usize, usize) {
    // Disjoint bits, 32, 31 and 1 of them, so the three choices are independent. A selection has fewer arms
    // than 31 bits distinguish.
    let start = scale(random & 0xFFFF_FFFF, 32, len);
    // Two arms have only the step 1, and most selections have two: no search.
    if len == 2 {
        return (start, 1);
    }
    let first = 1 + scale(random >> 32 & 0x7FFF_FFFF, 31, len - 1);
    let step = match len.is_power_of_two() {
        // An odd number has no divisor in common with it: no search either.
        true => first | 1,
        // 1 has none with any number, so the search ends.
        false => (1..=first).rev().find(|step| divisor(*step, len) == 1).unwrap_or(1),
    };
    // Forward or back with equal chances, so that of any two arms each comes first equally often.
    (start, if random >> 63 == 0 { step } else { len - step })
}

/// Scales a number of `count` random bits to one below `len`.
fn scale(bits: u64, count: u32, len: usize) -> usize {
    ((bits as u128 * len as u128) >> count) as usize
}

/// Returns the greatest common divisor, by Euclid's algorithm.
fn divisor(mut a: usize, mut b: usize) -> usize {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

impl Iterator for Order {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let at = self.next;
        // The step is below `len`, so one subtraction is enough.
        self.next += self.step;
        if self.next >= self.len {
            self.next -= self.len;
        }
        Some(at)
    }
}

#[cfg(all(test, not(any(loom, selvedge_loom))))]
mod tests {
    use super::*;

    #[test]
    fn each_order_reaches_every_arm_once() {
        for len in 0..70 {
            for _ in 0..50 {
                let mut order: Vec<usize> = Pick::Fair.order(len).collect();
                order.sort_unstable();
                assert!(order.into_iter().eq(0..len));
            }
        }
    }

    #[test]
    fn biased_order_is_the_written_one() {
        assert!(Pick::Biased.order(5).eq(0..5));
    }

    #[test]
    fn of_any_two_arms_each_comes_first_about_equally_often() {
        const ROUNDS: usize = 4_000;
        for len in [2, 3, 4, 7, 12] {
            let mut before = vec![vec![0_usize; len]; len];
            for _ in 0..ROUNDS {
                let order: Vec<usize> = Pick::Fair.order(len).collect();
                for (place, &arm) in order.iter().enumerate() {
                    order[place + 1..].iter().for_each(|&later| before[arm][later] += 1);
                }
            }
            // Nine standard deviations around a half.
            let around_half = ROUNDS / 2 - 285..ROUNDS / 2 + 285;
            for (arm, other) in (0..len).flat_map(|arm| (0..arm).map(move |other| (arm, other))) {
                assert!(around_half.contains(&before[arm][other]), "{arm} before {other} of {len}");
            }
        }
    }
}

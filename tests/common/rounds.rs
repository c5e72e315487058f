//! Rounds of a test by dice, and what the rounds under load share.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Dice, message, within_a_minute};
use selvedge::{CancelToken, Latch, Until};

/// How many times the small size to run.
fn times() -> usize {
    std::env::var("SELVEDGE_STRESS").ok().and_then(|times| times.parse().ok()).unwrap_or(1)
}

/// Runs `round` again and again, each time under a watchdog and with dice of its own; the seed is in the
/// name of the thread that fails.
pub(crate) fn rounds(count: usize, round: impl Fn(Dice) + Clone + Send + 'static) {
    for seed in 0..count * times() {
        let round = round.clone();
        within_a_minute(move || {
            let payload =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| round(Dice::new(seed as u64))));
            if let Err(payload) = payload {
                panic!("seed {seed}: {}", message(&*payload));
            }
        });
    }
}

/// A limit out of the hat: none, a short time, a token that may be cancelled any moment, or both.
pub(crate) fn limit<'a>(dice: &mut Dice, token: &'a CancelToken) -> Until<'a> {
    let short = Duration::from_micros(dice.roll(200) as u64);
    match dice.roll(5) {
        0 => Until::from(short),
        1 => Until::from(Instant::now() + short),
        2 => Until::from(token),
        3 => Until::from((token, short)),
        _ => Until::from(Duration::ZERO),
    }
}

/// Cancels a token and puts a new one in its place, until the latch opens.
pub(crate) fn meddle(tokens: &[CancelToken], done: &Latch, mut dice: Dice) {
    for token in tokens {
        if done.wait_until(Duration::from_micros(dice.roll(300) as u64)).is_ok() {
            return;
        }
        token.cancel();
    }
}

pub(crate) fn tokens(count: usize) -> Arc<Vec<CancelToken>> {
    Arc::new((0..count).map(|_| CancelToken::new()).collect())
}

/// The first token that is not cancelled; the last one if all are.
pub(crate) fn current(tokens: &[CancelToken]) -> &CancelToken {
    tokens.iter().find(|token| !token.is_cancelled()).unwrap_or(&tokens[tokens.len() - 1])
}

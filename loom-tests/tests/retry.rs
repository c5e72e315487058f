//! Models of `selvedge::retry`.

use selvedge_loom as selvedge;

use std::time::Duration;

use selvedge::retry::{self, Jitter, Policy, Reason};
use selvedge::sync::{model, thread};
use selvedge::{CancelToken, Clock};

const SECOND: Duration = Duration::from_secs(1);

/// Two attempts, a second apart.
fn twice() -> Policy {
    retry::policy().attempts(2).first(SECOND).jitter(Jitter::None)
}

/// A cancel meets the pause: it ends the call with the error of the attempt that was made, or comes before it
/// and allows none.
///
/// Fails if the pause is slept without the token (edit `retry-pause-ignores-the-token`), or if the last error
/// is dropped before the pause (edit `retry-cancel-loses-the-error`).
#[test]
fn a_cancel_ends_the_pause_with_the_last_error() {
    model::check(|| {
        let token = CancelToken::with_clock(Clock::manual());
        let canceller = thread::spawn({
            let token = token.clone();
            move || token.cancel()
        });
        // The pause has no end: only the cancel ends it.
        let policy = twice().first(Duration::MAX).cap(Duration::MAX);
        let error = retry::run(&token, &policy, |attempt| Err::<(), _>(attempt.number())).unwrap_err();
        assert_eq!(error.reason, Reason::Cancelled);
        assert_eq!((error.attempts, error.last), if error.attempts == 0 { (0, None) } else { (1, Some(1)) });
        canceller.join().unwrap();
    });
}

/// The clock reaches the end of the pause while the caller goes to sleep: the second attempt begins, at that
/// time and not before.
///
/// Fails if the pause is over before its time (edit `retry-skips-the-pause`), or if it ends a moment later
/// than it says (edit `retry-pauses-too-long`): then the clock stands, and nothing wakes the caller.
#[test]
fn an_advance_past_the_pause_begins_the_next_attempt() {
    model::check(|| {
        let clock = Clock::manual();
        let start = clock.now();
        let advancing = thread::spawn({
            let clock = clock.clone();
            move || {
                clock.wait_for_sleepers(1);
                clock.advance(SECOND);
            }
        });
        let result = retry::run((clock.clock(), 9 * SECOND), &twice(), |attempt| match attempt.number() {
            1 => Err(()),
            _ => Ok(clock.now() - start),
        });
        assert_eq!(result, Ok(SECOND));
        advancing.join().unwrap();
    });
}

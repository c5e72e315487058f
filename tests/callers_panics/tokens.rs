//! `CancelToken`, its guards, and clocks.

use std::thread;
use std::time::Duration;

use selvedge::{CancelToken, Clock};

use super::*;

#[test]
fn two_panicking_callbacks_keep_nobody_from_hearing() {
    row(|| {
        let (token, calls) = (CancelToken::new(), Calls::default());
        for panics in [false, true, true, true, false] {
            let calls = calls.clone();
            let callback = move || {
                calls.hear();
                if panics {
                    blow("a callback");
                }
            };
            token.on_cancel(callback).keep();
        }
        let child = token.child();
        let heard = calls.clone();
        child.on_cancel(move || heard.hear()).keep();
        let sleeper = thread::spawn({
            let child = child.clone();
            move || child.wait()
        });
        until_figure(&child, "watchers", 2);
        assert_eq!(panic_of(|| token.cancel()), "a callback");
        assert_eq!((calls.count(), child.is_cancelled()), (6, true));
        sleeper.join().unwrap();
        // Cancelled is cancelled: nobody is told again.
        token.cancel();
        assert_eq!(calls.count(), 6);
    });
}

#[test]
fn callback_on_a_cancelled_token_panics_to_the_thread_that_registers_it() {
    row(|| {
        let token = CancelToken::new();
        token.cancel();
        assert_eq!(panic_of(|| token.on_cancel(|| blow("at once"))), "at once");
    });
}

#[test]
fn callback_at_a_deadline_leaves_the_alarms_of_others() {
    row(|| {
        for _ in 0..2 {
            let bad = CancelToken::new().child_until(Duration::from_millis(1));
            bad.on_cancel(|| blow("at a deadline")).keep();
            let good = CancelToken::new().child_until(Duration::from_millis(5));
            assert!(good.done().recv().is_err());
            // Late by now, whether its alarm has rung or this finds it.
            assert!(bad.is_cancelled());
        }
    });
}

#[test]
fn thread_that_finds_the_deadline_passed_sees_no_callback_panic() {
    row(|| {
        let clock = Clock::manual();
        let token = CancelToken::with_clock(&clock).child_until(HOUR);
        token.on_cancel(|| blow("late")).keep();
        token.on_cancel(|| blow("later")).keep();
        assert_eq!(panic_of(|| clock.advance(HOUR)), "late");
        assert!(token.is_cancelled());
        let late = CancelToken::with_clock(&clock).child_until(clock.now());
        assert!(late.is_cancelled());
    });
}

#[test]
fn panicking_callback_of_one_token_lets_the_sleepers_of_others_hear_of_their_deadline() {
    row(|| {
        let (clock, calls) = (Clock::manual(), Calls::default());
        let tokens: Vec<_> = (0..4).map(|_| CancelToken::with_clock(&clock).child_until(HOUR)).collect();
        for token in &tokens[..2] {
            token.on_cancel(|| blow("at its hour")).keep();
        }
        let heard = calls.clone();
        tokens[2].on_cancel(move || heard.hear()).keep();
        let sleeper = {
            let token = tokens[3].clone();
            thread::spawn(move || token.sleep(2 * HOUR))
        };
        clock.wait_for_sleepers(1);
        assert_eq!(panic_of(|| clock.advance(HOUR)), "at its hour");
        assert_eq!(calls.count(), 1);
        assert!(sleeper.join().unwrap().is_err());
        assert!(tokens.iter().all(CancelToken::is_cancelled));
    });
}

#[test]
fn drop_guard_cancels_while_a_panic_unwinds_and_callbacks_panic_too() {
    row(|| {
        let (token, calls) = (CancelToken::new(), Calls::default());
        for _ in 0..2 {
            token.on_cancel(|| blow("a callback")).keep();
        }
        let heard = calls.clone();
        token.on_cancel(move || heard.hear()).keep();
        let told = panic_of(|| {
            let _guard = token.drop_guard();
            blow("the scope")
        });
        assert_eq!((told.as_str(), calls.count()), ("the scope", 1));
        let guard = CancelToken::new();
        guard.on_cancel(|| blow("alone")).keep();
        assert_eq!(panic_of(|| drop(guard.drop_guard())), "alone");
    });
}

#[test]
fn callback_that_is_taken_back_panics_to_the_thread_that_drops_its_guard() {
    row(|| {
        let (token, touchies) = (CancelToken::new(), Touchies::default());
        let touchy = touchies.make();
        let guard = token.on_cancel(move || drop(touchy));
        assert_eq!(panic_of(|| drop(guard)), "a value's drop");
        let touchy = touchies.make();
        let told = panic_of(|| {
            let _guard = token.on_cancel(move || drop(touchy));
            blow("the scope")
        });
        assert_eq!((told.as_str(), touchies.dropped()), ("the scope", 2));
        token.cancel();
    });
}

#[test]
fn kept_callbacks_that_are_never_called_are_dropped_each_with_the_last_token() {
    row(|| {
        let (token, touchies) = (CancelToken::new(), Touchies::default());
        for _ in 0..3 {
            let touchy = touchies.make();
            token.on_cancel(move || drop(touchy)).keep();
        }
        let copy = token.clone();
        drop(token);
        assert_eq!(touchies.dropped(), 0);
        assert_eq!(panic_of(|| drop(copy)), "a value's drop");
        assert_eq!(touchies.dropped(), 3);
    });
}

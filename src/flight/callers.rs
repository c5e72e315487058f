//! Who still wants the result of a call, and the token that tells its closure when nobody does.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};

use super::SingleFlight;
use crate::cancel::{CallbackGuard, CancelToken};
use crate::clock::Alarm;
use crate::error::{JoinError, Rejected, WaitError};
use crate::panics;
use crate::sync::{Arc, Mutex};
use crate::until::{Limit, Until};

/// The callers of one call, its leader among them.
pub(super) struct Callers {
    count: Mutex<usize>,
    pub(super) token: CancelToken,
}

/// A leader that leaves when its limit ends, until this is dropped. It runs its closure meanwhile, so both
/// ends are callbacks.
#[must_use = "dropping it makes the leader stay"]
pub(super) struct Leaving {
    _at_deadline: Option<Alarm>,
    _with_token: Option<CallbackGuard>,
}

impl<K, V, S> SingleFlight<K, V, S>
where
    K: Eq + Hash,
    V: Clone,
    S: BuildHasher,
{
    /// Like [`call_until`](SingleFlight::call_until), and passes `f` a token that is cancelled when nobody
    /// wants its result any more: when the limits of all callers, the leader's and each follower's, have
    /// ended the wait. While one stays, `f` is not disturbed, whoever came first.
    ///
    /// The leader runs `f`, so it returns with `f`: with its result, however late. A call whose callers have
    /// all left is [forgotten](SingleFlight::forget): the next caller starts anew, and does not get the
    /// result of an `f` that was told to stop. Callers of [`call`](SingleFlight::call) and
    /// [`call_until`](SingleFlight::call_until) count as followers; as leaders, their calls have no token.
    ///
    /// ```
    /// use std::time::Duration;
    /// use selvedge::{CancelToken, SingleFlight};
    ///
    /// let flight = SingleFlight::<u32, Result<u32, &str>>::new();
    /// let request = CancelToken::new().child_until(Duration::from_millis(5)); // the client's patience
    /// let load = |stop: &CancelToken| match stop.sleep(Duration::from_secs(3600)) {
    ///     Ok(()) => Ok(7),
    ///     Err(_) => Err("stopped"),
    /// };
    /// let loaded = flight.call_with_token(&7, &request, load).unwrap();
    /// assert_eq!(loaded, Ok(Err("stopped"))); // nobody else had asked
    /// ```
    ///
    /// # Errors
    /// As [`call_until`](SingleFlight::call_until).
    ///
    /// # Panics
    /// If `f` runs and panics. A callback of the token that panics is reported by the panic hook.
    #[track_caller]
    pub fn call_with_token<'l, Q, F>(
        &self,
        key: &Q,
        limit: impl Into<Until<'l>>,
        f: F,
    ) -> Result<Result<V, JoinError>, Rejected<F, WaitError>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
        F: FnOnce(&CancelToken) -> V,
    {
        // Started now: the leader's time runs while its closure does.
        let limit = limit.into().start();
        let counted = || Some(Callers::new(CancelToken::with_clock(limit.clock())));
        self.lead_or_follow(key, Until::from_here(&limit), counted, f, |f, callers| {
            let callers = callers.expect("a leader of this call made them");
            let _leaving = callers.leave_with(&limit);
            f(&callers.token)
        })
    }
}

impl Callers {
    /// A leader alone.
    pub(super) fn new(token: CancelToken) -> Arc<Self> {
        Arc::new(Callers { count: Mutex::new(1), token })
    }

    /// Counts a follower. False if all callers have left: then the call is stopping, and is no use to it.
    pub(super) fn join(&self) -> bool {
        let mut count = self.count.lock();
        // Looked at and counted in one critical section, as the last leave is: either this caller keeps the
        // call alive, or it learns that it came too late.
        if *count == 0 {
            return false;
        }
        *count += 1;
        true
    }

    /// A caller no longer wants the result. The last one cancels the token.
    pub(super) fn leave(&self) {
        let is_last = {
            let mut count = self.count.lock();
            *count -= 1;
            *count == 0
        };
        if is_last {
            // Unlocked, since this runs callbacks. Contained, since they are the closure's, and this thread
            // may be a follower's or the alarm thread.
            panics::contain(|| self.token.cancel());
        }
    }

    /// Makes the leader leave when its limit ends.
    pub(super) fn leave_with(self: &Arc<Self>, limit: &Limit<'_>) -> Leaving {
        // The limit may end twice, by its time and by its token, and the leader leaves once.
        let stays = Arc::new(Mutex::new(true));
        let leave = || {
            let (callers, stays) = (Arc::clone(self), Arc::clone(&stays));
            move || {
                let stayed = std::mem::replace(&mut *stays.lock(), false);
                if stayed {
                    callers.leave();
                }
            }
        };
        let at_deadline = limit.deadline().and_then(|at| limit.clock().call_at(at, leave()));
        let with_token = limit.token().map(|token| token.on_cancel(leave()));
        Leaving { _at_deadline: at_deadline, _with_token: with_token }
    }
}

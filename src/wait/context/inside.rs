//! The pools and groups that a thread works for, so that a call that would wait for itself can be refused.
//!
//! A worker that waits for room in the queue of its own pool, or for a task in it, may wait for itself. So
//! may a thread that helps a worker with a scope, since the worker waits for the helper. Such threads are
//! *inside* the pool, whose methods treat them alike.
//!
//! Threads that run the tasks of a group are inside the group in the same sense: a task that waits for its
//! own group would wait for itself.

use super::with;

/// Pools and groups, by the addresses of their shared state. The state is alive while any thread is inside,
/// so no address is reused by a later pool.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inside(Vec<usize>);

impl Inside {
    /// The pools and groups that this thread is inside.
    pub(crate) fn current() -> Self {
        with(|context| context.with_inside(|inside| Inside(inside.clone()))).unwrap_or_default()
    }

    /// That one pool.
    pub(crate) fn of(pool: usize) -> Self {
        Inside(vec![pool])
    }

    /// Puts this thread inside these too, until the guard is dropped.
    pub(crate) fn enter(&self) -> Entered {
        enter_all(&self.0)
    }
}

/// Puts this thread inside one more pool or group, until the guard is dropped.
pub(crate) fn enter(key: usize) -> Entered {
    enter_all(&[key])
}

fn enter_all(keys: &[usize]) -> Entered {
    let entered = with(|context| {
        context.with_inside(|inside| {
            let before = inside.len();
            for key in keys {
                // A key once is enough, since a guard removes by position.
                if !inside[..before].contains(key) {
                    inside.push(*key);
                }
            }
            Entered { before }
        })
    });
    // Not `unwrap_or`, which would drop its argument, and with it restore an earlier state.
    entered.unwrap_or_else(|| Entered { before: 0 })
}

/// True if this thread is inside the pool.
#[inline]
pub(crate) fn is_inside(pool: usize) -> bool {
    with(|context| context.with_inside(|inside| inside.contains(&pool))).unwrap_or(false)
}

/// See [`Inside::enter`]. Guards are dropped in the reverse order of their creation.
#[must_use = "dropping it restores the earlier state"]
pub(crate) struct Entered {
    before: usize,
}

impl Drop for Entered {
    fn drop(&mut self) {
        // By length rather than by key: guards nest, so everything above belongs to this guard.
        with(|context| context.with_inside(|inside| inside.truncate(self.before)));
    }
}

impl super::Context {
    /// The pool or group that this thread entered last; 0 if it is inside none.
    #[inline]
    pub(crate) fn innermost(&self) -> usize {
        self.with_inside(|inside| inside.last().copied().unwrap_or(0))
    }

    #[inline]
    fn with_inside<R>(&self, f: impl FnOnce(&mut Vec<usize>) -> R) -> R {
        self.with_list(&self.inside, f)
    }
}

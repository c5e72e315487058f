//! For which pools a thread works: whose workers wait for it, or are it.
//!
//! A worker that waits for room in the queue of its own pool, or for a task in it, may wait for itself. So
//! does a thread that helps a worker with a scope: the worker waits for the helper. Such threads are *inside*
//! the pool, and its calls treat them alike.
//!
//! The threads that run a group's tasks are inside the group, in the same sense: a task that waits for its
//! own group would wait for itself.

use super::with;

/// Pools and groups, by the addresses of what their threads share. Each is alive for as long as somebody is
/// inside it, so no address is that of a later pool.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inside(Vec<usize>);

impl Inside {
    /// Where this thread is.
    pub(crate) fn current() -> Self {
        with(|context| context.with_inside(|inside| Inside(inside.clone()))).unwrap_or_default()
    }

    /// Inside that one pool.
    pub(crate) fn of(pool: usize) -> Self {
        Inside(vec![pool])
    }

    /// Puts this thread there, besides where it is, until the guard is dropped.
    pub(crate) fn enter(&self) -> Entered {
        enter_all(&self.0)
    }
}

/// Puts this thread inside one more, until the guard is dropped.
pub(crate) fn enter(key: usize) -> Entered {
    enter_all(&[key])
}

fn enter_all(keys: &[usize]) -> Entered {
    let entered = with(|context| {
        context.with_inside(|inside| {
            let before = inside.len();
            for key in keys {
                if !inside[..before].contains(key) {
                    inside.push(*key);
                }
            }
            Entered { before }
        })
    });
    // Not `unwrap_or`: dropping one puts the thread back.
    entered.unwrap_or_else(|| Entered { before: 0 })
}

/// True if this thread is inside the pool.
#[inline]
pub(crate) fn is_inside(pool: usize) -> bool {
    with(|context| context.with_inside(|inside| inside.contains(&pool))).unwrap_or(false)
}

/// See [`Inside::enter`]. Guards are dropped in the reverse of the order in which they were made.
#[must_use = "dropping it puts the thread back"]
pub(crate) struct Entered {
    before: usize,
}

impl Drop for Entered {
    fn drop(&mut self) {
        with(|context| context.with_inside(|inside| inside.truncate(self.before)));
    }
}

impl super::Context {
    #[inline]
    fn with_inside<R>(&self, f: impl FnOnce(&mut Vec<usize>) -> R) -> R {
        self.with_list(&self.inside, f)
    }
}

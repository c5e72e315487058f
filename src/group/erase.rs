//! The one place where a borrowed task passes for an owned one.

use super::state::Task;
use crate::sync::model;

/// Ends the process if it is dropped: where an unwinding would free what tasks still borrow.
pub(super) struct NoUnwind;

impl Drop for NoUnwind {
    fn drop(&mut self) {
        // A model that fails unwinds through everything, and its threads are gone by then.
        if !model::IS_MODEL {
            std::process::abort();
        }
    }
}

/// Forgets the lifetime of a task, so that a thread which outlives it may be handed it.
///
/// Sound because of how [`scope`](super::scope()) uses it, and [`yard`](super::yard::yard), which says what differs:
///
/// 1. every task and every closer goes straight to the scope's [`Board`](super::board::Board) and nowhere else;
/// 2. the board counts a task as present from the moment that it is posted until its box has been consumed
///    *and* everything in it dropped; a closer is in the board's list, or the board counts the thread that calls it as
///    present, or it is called by the very thread that brings it, which is the body's or a task's;
/// 3. `scope` does not return or unwind past `Board::finish_for_good`, which returns when it has found, in one
///    critical section, that nobody is present and no closer in the list; and the
///    board's lock orders the end of each task before that. It does not panic: it runs tasks, which
///    catch their panics, and takes locks; if it did, [`NoUnwind`] would end the process. The panics of
///    `body` and of callbacks are caught before.
/// 4. nothing can be posted afterwards: posting needs the `&'scope Scope`, which `body` and the tasks have
///    and which none of them can keep, because `'scope` is theirs for any lifetime the caller picks. The callback that
///    the scope leaves in its token holds the board alone, and finds nothing in it.
pub(super) fn lifetime<'a>(task: Box<dyn FnOnce() -> bool + Send + 'a>) -> Task {
    // SAFETY: the two types differ in a lifetime only, so the layout and the vtable are the same. What is
    // borrowed for `'a` is alive for as long as the box is, by 1 to 4.
    unsafe { std::mem::transmute::<Box<dyn FnOnce() -> bool + Send + 'a>, Task>(task) }
}

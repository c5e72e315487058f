//! The only place where a borrowed task is passed off as an owned one.

use super::state::Task;
use crate::sync::model;

/// Aborts the process if it is dropped: an unwinding would free what tasks still borrow.
pub(super) struct NoUnwind;

impl Drop for NoUnwind {
    fn drop(&mut self) {
        // A model that fails unwinds through everything; its threads have ended by then.
        if !model::IS_MODEL {
            std::process::abort();
        }
    }
}

/// Erases the lifetime of a task, so that a thread which outlives it can run it.
///
/// Sound because of how [`scope`](super::scope()) uses it, and [`nursery`](super::nursery::nursery), which
/// documents the differences:
///
/// 1. Every task and every stop hook goes directly to the scope's [`TaskSet`](super::task_set::TaskSet) and
///    nowhere else.
/// 2. The task set counts a task as present from its push until its box has been consumed *and* everything in
///    it dropped. A stop hook is in the task set's list, or the task set counts the thread that calls it as
///    present, or the thread that adds it calls it, which is the body's or a task's.
/// 3. `scope` does not return or unwind past `TaskSet::finish_and_clear`, which returns when it has found, in
///    one critical section, that no task is present and no stop hook in the list; the task set's lock orders
///    the end of each task before that. It does not panic: it runs tasks, which catch their panics, and takes
///    locks; if it did, [`NoUnwind`] would abort the process. The panics of `body` and of callbacks are
///    caught before.
/// 4. Nothing can be pushed afterwards: pushing needs the `&'scope Scope`, which `body` and the tasks have
///    and which none of them can keep, because they must accept any lifetime `'scope` that the caller picks.
///    The callback that the scope leaves in its token holds only the task set, and finds nothing in it.
///
/// The failure of each of these arguments is noticed:
///
/// Each of these is an argument that something fails without. The edits of `loom-tests/breaks` that take it
/// away, and what notices them:
///
/// - 1: `group-task-goes-past-the-task-set` and `group-hook-goes-past-the-task-set`, by models.
/// - 2: `group-wait-overlooks-the-submitted`, `group-joined-task-is-absent`, `group-finishes-while-running`,
///   `group-ends-a-task-before-it-ran`, `group-end-overlooks-a-closer` and `group-late-closer-is-kept`, by
///   models.
/// - 3: `group-unwinds-past-its-tasks`, `group-does-not-finish`, `group-overlooks-what-a-closer-spawns` and
///   `group-unwinding-goes-on`, by the tests below.
/// - 4: `group-end-leaves-closers`, by a model; and the programs of `lifetimes/` that must not compile.
/// - The nursery: `nursery-does-not-close`, `nursery-does-not-wait`, `nursery-unwinds-past-its-tasks` and
///   `nursery-unwinds-when-it-stops`, by the tests in `nursery.rs`.
pub(super) fn lifetime<'a>(task: Box<dyn FnOnce() -> bool + Send + 'a>) -> Task {
    // SAFETY: the two types differ only in a lifetime, so layout and vtable are the same. What is borrowed
    // for `'a` is alive for as long as the box is, by 1 to 4.
    unsafe { std::mem::transmute::<Box<dyn FnOnce() -> bool + Send + 'a>, Task>(task) }
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::panic::{self, AssertUnwindSafe};
    use std::process::Command;
    use std::time::Duration;

    use super::NoUnwind;
    use crate::group::task_set::Nobody;
    use crate::group::{scope, scope_on};
    use crate::sync::Arc;
    use crate::sync::atomic::{AtomicBool, Ordering::Relaxed};
    use crate::{CancelToken, Clock, Latch};

    /// Calls the closure when it is dropped.
    struct OnDrop<F: FnMut()>(F);

    impl<F: FnMut()> Drop for OnDrop<F> {
        fn drop(&mut self) {
            (self.0)();
        }
    }

    /// Fails if the scope returns without waiting (edit `group-does-not-finish`).
    #[test]
    fn scope_that_returns_has_run_its_tasks() {
        let ran = AtomicBool::new(false);
        let result = scope_on(Arc::new(Nobody), &CancelToken::new(), |g| {
            g.spawn(|_| {
                ran.store(true, Relaxed);
                Ok::<_, ()>(())
            });
            Ok(())
        });
        assert_eq!(result, Ok(()));
        assert!(ran.load(Relaxed));
    }

    /// Fails if a thread that waits runs the tasks on its own clock instead of the scope's (edit
    /// `group-owner-keeps-its-clock`).
    #[test]
    fn task_that_the_waiting_thread_runs_reads_the_clock_of_the_scope() {
        let clock = Clock::manual();
        clock.advance(Duration::from_secs(3600));
        let mut read = None;
        clock
            .scope(|| {
                scope_on(Arc::new(Nobody), &CancelToken::new(), |g| {
                    g.spawn(|_| {
                        read = Some(Clock::current().now());
                        Ok::<_, ()>(())
                    });
                    // As on another thread, which never heard of the manual clock.
                    let _other = Clock::system().enter();
                    g.wait().unwrap();
                    Ok(())
                })
            })
            .unwrap();
        assert_eq!(read, Some(clock.now()));
    }

    /// Fails if the body's panic is not caught before the scope waits (edit `group-unwinds-past-its-tasks`):
    /// nothing would cancel the task, which sleeps until then.
    #[test]
    fn scope_whose_body_panics_has_waited_for_a_task_that_runs() {
        let (started, ended) = (Arc::new(Latch::new(1)), Arc::new(AtomicBool::new(false)));
        let result = panic::catch_unwind(AssertUnwindSafe(|| {
            scope::<Result<(), ()>, (), _>(&CancelToken::new(), |g| {
                // The task borrows nothing, so that it may outlive the scope if the edit lets it.
                let (begins, ends) = (Arc::clone(&started), Arc::clone(&ended));
                g.spawn(move |stop| {
                    begins.count_down();
                    stop.clone().wait();
                    ends.store(true, Relaxed);
                    Ok(())
                });
                started.wait();
                panic::resume_unwind(Box::new("the body's"))
            })
        }));
        assert_eq!(result.unwrap_err().downcast_ref(), Some(&"the body's"));
        assert!(ended.load(Relaxed));
    }

    /// Fails if the scope ends once it has found no task, whatever the drops of stop hooks do afterwards
    /// (edit `group-overlooks-what-a-closer-spawns`).
    #[test]
    fn task_that_the_drop_of_an_uncalled_closer_spawns_is_run() {
        let ran = AtomicBool::new(false);
        let result = scope_on(Arc::new(Nobody), &CancelToken::new(), |g| {
            let runs = |_: &CancelToken| {
                ran.store(true, Relaxed);
                Ok::<_, ()>(())
            };
            let held = OnDrop(move || g.spawn(runs));
            g.on_stop(move || drop(held));
            Ok(())
        });
        assert_eq!(result, Ok(()));
        assert!(ran.load(Relaxed));
    }

    /// Fails if the guard lets an unwinding pass (edit `group-unwinding-goes-on`).
    #[test]
    fn unwinding_past_the_guard_ends_the_process() {
        const CHILD: &str = "SELVEDGE_TEST_UNWINDS";
        if env::var_os(CHILD).is_some() {
            let _guard = NoUnwind;
            panic::resume_unwind(Box::new("past the guard"));
        }
        let name = "group::erase::tests::unwinding_past_the_guard_ends_the_process";
        let this = env::current_exe().expect("a test is a program");
        let child = Command::new(this).args(["--exact", name]).env(CHILD, "1").output().expect("it starts");
        let output = String::from_utf8_lossy(&child.stdout);
        assert!(output.contains("running 1 test") && !output.contains("test result"), "{output}");
        assert!(!child.status.success(), "{:?}", child.status);
    }
}

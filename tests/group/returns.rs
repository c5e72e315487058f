//! What tasks and bodies return, `()` or a `Result`, and where the error goes then.

use std::convert::Infallible;
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{fmt, io};

use crate::common::{message, within_a_minute};
use selvedge::error::{Cancelled, JoinError, TryError, WaitError, WouldDeadlock};
use selvedge::group::{self, Group};
use selvedge::{CancelToken, Latch, Pool};

type Boxed = Box<dyn Error + Send + Sync>;

#[test]
fn tasks_that_cannot_fail_need_no_error_type() {
    within_a_minute(|| {
        let ran = AtomicUsize::new(0);
        let work = || _ = ran.fetch_add(1, SeqCst);
        let stop = CancelToken::new();
        let result = group::scope(&stop, |g| {
            g.spawn(|_| work());
            g.spawn_named("named", |_| work());
            g.try_spawn(|_| work()).unwrap();
            g.try_spawn_named("tried", |_| work()).unwrap();
            g.spawn(|_| g.spawn(|_| work()));
            assert_eq!(g.submit(|_| work()).join(), Ok(()));
        });
        assert_eq!(result, Ok(()));
        let pool = Pool::builder().workers(1).build().unwrap();
        assert_eq!(pool.scope(&stop, |s| s.spawn(|_| work())), Ok(()));
        assert_eq!(ran.into_inner(), 7);
    });
}

#[test]
fn cancel_is_the_only_error_of_tasks_that_cannot_fail() {
    within_a_minute(|| {
        let stop = CancelToken::new();
        stop.cancel();
        let scope = |stop: &CancelToken| group::scope(stop, |g| g.spawn(|_| unreachable!()));
        assert_eq!(scope(&stop), Err(group::Error::Cancelled));
        let narrow = |stop: &CancelToken| -> Result<(), JoinError> { Ok(scope(stop)?) };
        assert_eq!(narrow(&stop), Err(JoinError::Cancelled));
        let wide = |stop: &CancelToken| -> Result<(), WaitError> { Ok(scope(stop)?) };
        assert_eq!(wide(&stop), Err(WaitError::Cancelled));
    });
}

#[test]
fn tasks_that_can_fail_and_tasks_that_cannot_share_a_scope() {
    within_a_minute(|| {
        let others = AtomicUsize::new(0);
        let result = group::scope(&CancelToken::new(), |g| {
            g.limit(1);
            g.spawn(|_| _ = others.fetch_add(1, SeqCst));
            g.spawn(|_| Err("full"));
            Ok(())
        });
        assert_eq!(result, Err(group::Error::Failed("full")));
        assert_eq!(others.into_inner(), 1);
    });
}

#[test]
fn task_that_only_panics_has_a_place_in_every_scope() {
    within_a_minute(|| {
        let body = || group::scope(&CancelToken::new(), |g| g.spawn(|_| panic!("the task's")));
        assert_eq!(message(&*catch_unwind(body).unwrap_err()), "the task's");
        let body = || group::scope(&CancelToken::new(), |_| panic!("the body's"));
        assert_eq!(message(&*catch_unwind(body).unwrap_err()), "the body's");
    });
}

#[test]
fn group_without_an_error_type_runs_what_cannot_fail() {
    within_a_minute(|| {
        let ran = Arc::new(AtomicUsize::new(0));
        let work = || {
            let ran = Arc::clone(&ran);
            move |_: &CancelToken| _ = ran.fetch_add(1, SeqCst)
        };
        let group: Group = Group::new(&CancelToken::new());
        let spawner: group::Spawner = group.spawner();
        group.spawn(work()).unwrap();
        group.spawn_named("named", work()).unwrap();
        group.try_spawn(work()).unwrap();
        group.try_spawn_named("tried", work()).unwrap();
        spawner.spawn(work()).unwrap();
        spawner.spawn_named("named", work()).unwrap();
        spawner.try_spawn(work()).unwrap();
        spawner.try_spawn_named("tried", work()).unwrap();
        assert_eq!(group.submit(work()).unwrap().join(), Ok(()));
        let outcome: group::Outcome = group.wait();
        assert_eq!(outcome, Ok(()));
        assert_eq!(ran.load(SeqCst), 9);
    });
}

#[test]
fn tried_task_at_the_limit_comes_back_and_a_named_one_is_told_by_name() {
    within_a_minute(|| {
        let (go_on, started) = (Latch::new(1), Latch::new(1));
        let result = group::scope(&CancelToken::new(), |g| {
            g.limit(1);
            let waits = |_: &CancelToken| {
                started.count_down();
                go_on.wait();
            };
            g.try_spawn_named("first", waits).unwrap();
            started.wait();
            let refused = g.try_spawn_named("second", |_| ()).unwrap_err();
            assert_eq!(refused.error, TryError::WouldBlock);
            let late = g.wait_until(Duration::ZERO).unwrap_err();
            assert_eq!(late.value.running, ["first"]);
            go_on.count_down();
        });
        assert_eq!(result, Ok(()));

        let group: Group = Group::new(&CancelToken::new());
        let (go_on, started) = (Arc::new(Latch::new(1)), Arc::new(Latch::new(1)));
        group.limit(1);
        let waits = {
            let (go_on, started) = (Arc::clone(&go_on), Arc::clone(&started));
            move |_: &CancelToken| {
                started.count_down();
                go_on.wait();
            }
        };
        group.spawner().try_spawn_named("first", waits).unwrap();
        started.wait();
        assert_eq!(group.try_spawn_named("second", |_| ()).unwrap_err().error, TryError::WouldBlock);
        assert_eq!(group.wait_until(Duration::ZERO).unwrap_err().value.running, ["first"]);
        go_on.count_down();
        group.cancel();
        assert_eq!(group.try_spawn_named("third", |_| ()).unwrap_err().error, TryError::Closed);
    });
}

#[test]
fn wait_after_the_one_that_was_told_of_a_panic_names_the_task() {
    within_a_minute(|| {
        let group: Group = Group::new(&CancelToken::new());
        group.spawn_named("reader", |_| panic!("the task's")).unwrap();
        let wait = || drop(group.wait());
        assert_eq!(message(&*catch_unwind(AssertUnwindSafe(wait)).unwrap_err()), "the task's");
        let told = message(&*catch_unwind(AssertUnwindSafe(wait)).unwrap_err());
        assert!(told.contains("\"reader\""), "{told}");
    });
}

/// Can be shown and is no error, and takes any error: what `anyhow::Error` is like.
struct Report(Boxed);

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for Report {
    fn from(error: E) -> Self {
        Report(Box::new(error))
    }
}

fn parse(text: &str) -> Result<(), std::num::ParseIntError> {
    text.parse::<u32>().map(drop)
}

/// That the text is borrowed from the caller of the caller matters: an error that is boxed made the compiler
/// ask for a `'static` one, before `Scope` said what its error outlives.
#[test]
fn boxed_error_goes_through_into_a_box_and_into_a_report() {
    fn scope(text: &str) -> Result<(), group::Error<Boxed>> {
        group::scope(&CancelToken::new(), |g| {
            g.spawn(|_| -> Result<(), Boxed> { Ok(parse(text)?) });
            Ok(())
        })
    }
    fn into_box(text: &str) -> Result<(), Box<dyn Error>> {
        Ok(scope(text)?)
    }
    fn into_report(text: &str) -> Result<(), Report> {
        Ok(scope(text)?)
    }
    within_a_minute(|| {
        assert!(into_box("7").is_ok() && into_report("7").is_ok());
        let wanted = parse("seven").unwrap_err().to_string();
        assert_eq!(into_box("seven").unwrap_err().to_string(), wanted);
        assert_eq!(into_report("seven").unwrap_err().to_string(), wanted);
    });
}

#[test]
fn report_goes_through_into_a_report() {
    fn scope(text: &str) -> Result<(), Report> {
        group::scope(&CancelToken::new(), |g| {
            g.spawn(|_| -> Result<(), Report> { Ok(parse(text)?) });
            Ok(())
        })?;
        let group = Group::<Report>::new(&CancelToken::new());
        let text = text.to_owned();
        group.spawn(move |_| Ok(parse(&text)?)).map_err(|rejected| rejected.error)?;
        Ok(group.wait()?)
    }
    within_a_minute(|| {
        assert!(scope("7").is_ok());
        assert_eq!(scope("seven").unwrap_err().to_string(), parse("seven").unwrap_err().to_string());
    });
}

/// An error with a source.
fn sourced() -> io::Error {
    io::Error::other(WithSource)
}

#[derive(Debug)]
struct WithSource;

impl fmt::Display for WithSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the disk failed")
    }
}

impl Error for WithSource {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        static SOURCE: Cancelled = Cancelled;
        Some(&SOURCE)
    }
}

#[test]
fn source_is_that_of_a_boxed_or_shared_error_and_of_one_of_io() {
    fn of<E: fmt::Debug + fmt::Display + 'static>(error: E) -> Option<String> {
        group::Error::Failed(error).source().map(ToString::to_string)
    }
    let wanted = Some(Cancelled.to_string());
    assert_eq!(of::<Boxed>(Box::new(WithSource)), wanted);
    assert_eq!(of::<Box<dyn Error + Send>>(Box::new(WithSource)), wanted);
    assert_eq!(of(Arc::<Boxed>::new(Box::new(WithSource))), wanted);
    assert_eq!(of(sourced()), wanted);
    assert_eq!(of(Arc::new(sourced())), wanted);
    assert_eq!(of::<Boxed>("text".into()), None);
    assert_eq!(of(String::from("text")), None);
    assert!(group::Error::<Infallible>::Cancelled.source().is_none());
}

#[test]
fn boxed_error_keeps_its_type_and_its_source() {
    let boxed = group::Error::Failed(WithSource).into_boxed();
    assert!(boxed.is::<WithSource>());
    assert_eq!(boxed.source().map(ToString::to_string), Some(Cancelled.to_string()));
    let shared = group::Error::Failed(Arc::new(WithSource)).into_boxed();
    assert_eq!(shared.source().map(ToString::to_string), Some(Cancelled.to_string()));
    let boxed = group::Error::<Boxed>::Failed("text".into()).into_boxed();
    assert_eq!(boxed.to_string(), "text");
    assert!(group::Error::<Boxed>::WouldDeadlock.into_boxed().is::<WouldDeadlock>());
}

#[test]
fn results_of_different_kinds_come_out_of_submitted_tasks() {
    within_a_minute(|| {
        let kept = Mutex::new(Vec::new());
        let sum = group::scope(&CancelToken::new(), |g| {
            let (nothing, number) =
                (g.submit(|_| kept.lock().unwrap().push(1)), g.submit(|_| "2".parse::<u32>()));
            nothing.join().unwrap();
            Ok(number.join().unwrap())
        });
        assert_eq!((sum, kept.into_inner().unwrap()), (Ok(2), vec![1]));
    });
}

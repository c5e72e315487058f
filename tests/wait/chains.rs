//! Results that hold handles to further results: a drop frees the whole chain, however long, on any stack.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use crate::common::{HOUR, within_a_minute};
use selvedge::batch::{Batch, Ticket};
use selvedge::group::{Group, Handle};
use selvedge::timeout::{self, Running};
use selvedge::{Batcher, CancelToken, Latch, Pool, Task, Until};

const LINKS: usize = 100_000;

/// Counts its drops.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// A result, and the handle to the previous one.
struct Link<H> {
    _counted: Counted,
    _before: Option<H>,
}

impl<H> Link<H> {
    fn new(drops: &Arc<AtomicUsize>, before: Option<H>) -> Self {
        Link { _counted: Counted(Arc::clone(drops)), _before: before }
    }
}

fn finished<R>(task: Task<R>) -> Task<R> {
    task.wait_until(HOUR).unwrap();
    task
}

struct OfTasks(#[expect(dead_code, reason = "dropped, not read")] Link<Task<OfTasks>>);

/// Returns the handle to the last of `links` tasks, which have ended; each returns the handle to the previous
/// one.
fn chain_of_tasks(pool: &Pool, links: usize, drops: &Arc<AtomicUsize>) -> Task<OfTasks> {
    let submit = |before| {
        let link = Link::new(drops, before);
        pool.submit(|| OfTasks(link)).unwrap()
    };
    finished((1..links).fold(submit(None), |before, _| submit(Some(before))))
}

#[test]
fn chain_of_tasks_that_is_dropped_does_not_overflow_the_stack() {
    within_a_minute(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let pool = Pool::builder().workers(1).build().unwrap();
        drop(chain_of_tasks(&pool, LINKS, &drops));
        // All of them, by the time the drop returns.
        assert_eq!(drops.load(SeqCst), LINKS);
    });
}

#[test]
fn unjoined_chain_of_tasks_is_dropped_by_the_worker_of_the_last_one() {
    within_a_minute(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let pool = Pool::builder().workers(2).build().unwrap();
        let (before, gate) = (chain_of_tasks(&pool, LINKS, &drops), Arc::new(Latch::new(1)));
        let waits = Arc::clone(&gate);
        drop(pool.submit(move || {
            waits.wait();
            before
        }));
        assert_eq!(drops.load(SeqCst), 0);
        gate.count_down();
        assert_eq!(pool.shutdown().panicked, 0);
        assert_eq!(drops.load(SeqCst), LINKS);
    });
}

#[test]
fn dropped_tree_of_tasks_is_freed_to_the_last_leaf() {
    struct Tree(#[expect(dead_code, reason = "dropped, not read")] (Counted, Vec<Task<Tree>>));

    fn grow(pool: &Pool, depth: usize, (made, drops): (&AtomicUsize, &Arc<AtomicUsize>)) -> Task<Tree> {
        let children = match depth {
            0 => 0,
            _ if depth.is_multiple_of(40) => 2,
            _ => 1,
        };
        let children = (0..children).map(|_| grow(pool, depth - 1, (made, drops))).collect();
        made.fetch_add(1, SeqCst);
        let counted = Counted(Arc::clone(drops));
        finished(pool.submit(|| Tree((counted, children))).unwrap())
    }
    within_a_minute(|| {
        let (made, drops) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
        let pool = Pool::builder().workers(1).build().unwrap();
        drop(grow(&pool, 200, (&made, &drops)));
        assert_eq!(drops.load(SeqCst), made.into_inner());
    });
}

#[test]
fn links_whose_drops_panic_skip_no_other() {
    struct Bomb(#[expect(dead_code, reason = "dropped, not read")] Link<Task<Bomb>>);

    impl Drop for Bomb {
        fn drop(&mut self) {
            std::panic::resume_unwind(Box::new("a drop's"));
        }
    }
    within_a_minute(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let pool = Pool::builder().workers(1).build().unwrap();
        let submit = |before| {
            let link = Link::new(&drops, before);
            finished(pool.submit(|| Bomb(link)).unwrap())
        };
        drop((1..1_000).fold(submit(None), |before, _| submit(Some(before))));
        assert_eq!(drops.load(SeqCst), 1_000);
    });
}

#[test]
fn chain_of_functions_that_were_late_does_not_overflow_the_stack() {
    struct Late(#[expect(dead_code, reason = "dropped, not read")] Link<Running<Late>>);

    within_a_minute(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let run = |before| {
            let (link, stop) = (Link::new(&drops, before), CancelToken::new());
            let stops = stop.clone();
            let late = timeout::run(&stop, move |_| {
                stops.cancel();
                Late(link)
            });
            let running = late.err().and_then(timeout::Error::into_running).expect("it has started");
            running.wait_until(HOUR).unwrap();
            running
        };
        drop((1..20_000).fold(run(None), |before, _| run(Some(before))));
        assert_eq!(drops.load(SeqCst), 20_000);
    });
}

#[test]
fn chain_of_tickets_of_items_that_failed_does_not_overflow_the_stack() {
    struct Item(#[expect(dead_code, reason = "dropped, not read")] Link<Ticket<Item, ()>>);

    within_a_minute(|| {
        for hooked in [false, true] {
            let drops = Arc::new(AtomicUsize::new(0));
            let builder = Batcher::builder().max_items(1);
            let builder = if hooked { builder.on_error(drop) } else { builder };
            let batcher =
                builder.build(|_: &mut Batch<Item>| Err::<(), _>(io::Error::other("refused"))).unwrap();
            let submit = |before| {
                let ticket = batcher.submit(Item(Link::new(&drops, before))).unwrap();
                ticket.wait_until(HOUR).unwrap();
                ticket
            };
            drop((1..10_000).fold(submit(None), |before, _| submit(Some(before))));
            assert_eq!(drops.load(SeqCst), 10_000, "with a hook: {hooked}");
        }
    });
}

#[test]
fn chain_of_handles_of_a_group_does_not_overflow_the_stack() {
    struct OfGroup(#[expect(dead_code, reason = "dropped, not read")] Link<Handle<OfGroup>>);

    within_a_minute(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let group = Group::<()>::new(&CancelToken::new());
        let submit = |before| {
            let link = Link::new(&drops, before);
            let handle = group.submit(|_| Ok(OfGroup(link))).unwrap();
            // Without a limit it runs on this thread.
            handle.wait_until(Until::forever()).unwrap();
            handle
        };
        drop((1..20_000).fold(submit(None), |before, _| submit(Some(before))));
        assert_eq!(drops.load(SeqCst), 20_000);
    });
}

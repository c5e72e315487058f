//! What must not compile, because the unsafe code rests on it: programs that let a task, a closer, a handle
//! or an item outlive what it borrows. `group/erase.rs` and `group/nursery.rs` forget a lifetime and trust that
//! the signatures in front of them have checked it; the ring and the pool's raw jobs trust their `Send`
//! bounds.
//!
//! Each comes with a twin that differs in this alone, and compiles and runs: so what is refused is refused
//! for the stated reason. The error's code is compared by a compiler that is allowed to (`RUSTC_BOOTSTRAP=1`,
//! as in `.ci/run`). This file exists for `cargo test --doc` only.
//!
//! A task may not borrow a local of the body: the body returns before the task has ended.
//! ```compile_fail,E0597
//! use selvedge::{CancelToken, group};
//! group::scope(&CancelToken::new(), |g| {
//!     let local = String::from("warp");
//!     let lent = &local;
//!     g.spawn(move |_| Ok::<_, ()>(assert_eq!(lent.len(), 4)));
//!     Ok(())
//! }).unwrap();
//! ```
//! ```
//! use selvedge::{CancelToken, group};
//! let local = String::from("warp");
//! group::scope(&CancelToken::new(), |g| {
//!     let lent = &local;
//!     g.spawn(move |_| Ok::<_, ()>(assert_eq!(lent.len(), 4)));
//!     Ok(())
//! }).unwrap();
//! ```
//!
//! Nor a local of the task that spawns it, which may end first.
//! ```compile_fail,E0597
//! use selvedge::{CancelToken, group};
//! group::scope(&CancelToken::new(), |g| {
//!     g.spawn(|_| {
//!         let local = String::from("warp");
//!         let lent = &local;
//!         g.spawn(move |_| Ok::<_, ()>(assert_eq!(lent.len(), 4)));
//!         Ok(())
//!     });
//!     Ok(())
//! }).unwrap();
//! ```
//! ```
//! use selvedge::{CancelToken, group};
//! group::scope(&CancelToken::new(), |g| {
//!     g.spawn(|_| {
//!         let local = String::from("warp");
//!         g.spawn(move |_| Ok::<_, ()>(assert_eq!(local.len(), 4)));
//!         Ok(())
//!     });
//!     Ok(())
//! }).unwrap();
//! ```
//!
//! Nor may a closer, which is called when the scope stops.
//! ```compile_fail,E0597
//! use selvedge::{CancelToken, group};
//! group::scope(&CancelToken::new(), |g| {
//!     let local = String::from("warp");
//!     let lent = &local;
//!     g.on_stop(move || lent.len());
//!     Ok::<_, ()>(())
//! }).unwrap();
//! ```
//! ```
//! use selvedge::{CancelToken, group};
//! let local = String::from("warp");
//! group::scope(&CancelToken::new(), |g| {
//!     let lent = &local;
//!     g.on_stop(move || lent.len());
//!     Ok::<_, ()>(())
//! }).unwrap();
//! ```
//!
//! A scope for long borrows does not pass for one that takes shorter ones: its lifetime is invariant.
//! ```compile_fail,E0597
//! use selvedge::{CancelToken, group::{self, Scope}};
//! fn spawn<'short>(g: &'short Scope<'short, '_, ()>, lent: &'short str) {
//!     g.spawn(move |_| Ok(assert_eq!(lent.len(), 4)));
//! }
//! group::scope(&CancelToken::new(), |g| {
//!     let local = String::from("warp");
//!     spawn(g, &local);
//!     Ok(())
//! }).unwrap();
//! ```
//! ```
//! use selvedge::{CancelToken, group::{self, Scope}};
//! fn spawn<'scope>(g: &'scope Scope<'scope, '_, ()>, lent: &'scope str) {
//!     g.spawn(move |_| Ok(assert_eq!(lent.len(), 4)));
//! }
//! let local = String::from("warp");
//! group::scope(&CancelToken::new(), |g| {
//!     spawn(g, &local);
//!     Ok(())
//! }).unwrap();
//! ```
//!
//! A task with a result borrows no longer either.
//! ```compile_fail,E0597
//! use selvedge::{CancelToken, group};
//! group::scope(&CancelToken::new(), |g| {
//!     let local = String::from("warp");
//!     let lent = &local;
//!     let handle = g.submit(move |_| Ok::<_, ()>(lent.len()));
//!     assert_eq!(handle.join(), Ok(4));
//!     Ok(())
//! }).unwrap();
//! ```
//! ```
//! use selvedge::{CancelToken, group};
//! let local = String::from("warp");
//! group::scope(&CancelToken::new(), |g| {
//!     let lent = &local;
//!     let handle = g.submit(move |_| Ok::<_, ()>(lent.len()));
//!     assert_eq!(handle.join(), Ok(4));
//!     Ok(())
//! }).unwrap();
//! ```
//!
//! A handle whose result borrows from the scope does not leave the body. (The error has no code.)
//! ```compile_fail
//! use selvedge::{CancelToken, group};
//! let mut kept = None;
//! group::scope(&CancelToken::new(), |g| {
//!     kept = Some(g.submit(move |_| Ok::<_, ()>(g.token())));
//!     Ok(())
//! }).unwrap();
//! ```
//! ```
//! use selvedge::{CancelToken, group};
//! let mut kept = None;
//! group::scope(&CancelToken::new(), |g| {
//!     kept = Some(g.submit(move |_| Ok::<_, ()>(g.token().clone())));
//!     Ok(())
//! }).unwrap();
//! assert!(kept.unwrap().join().is_ok());
//! ```
//!
//! A result may borrow what lives longer than the scope, and then lasts as long as that, not longer.
//! ```compile_fail,E0505
//! use selvedge::{CancelToken, group};
//! let words = vec![String::from("warp")];
//! let handle = group::scope(&CancelToken::new(), |g| {
//!     let words = &words;
//!     Ok(g.submit(move |_| Ok::<_, ()>(words[0].as_str())))
//! }).unwrap();
//! drop(words);
//! assert_eq!(handle.join(), Ok("warp"));
//! ```
//! ```
//! use selvedge::{CancelToken, group};
//! let words = vec![String::from("warp")];
//! let handle = group::scope(&CancelToken::new(), |g| {
//!     let words = &words;
//!     Ok(g.submit(move |_| Ok::<_, ()>(words[0].as_str())))
//! }).unwrap();
//! assert_eq!(handle.join(), Ok("warp"));
//! drop(words);
//! ```
//!
//! The scope itself does not leave the body, where nothing would wait for what is spawned.
//! ```compile_fail,E0521
//! use selvedge::{CancelToken, group};
//! let mut kept = None;
//! group::scope(&CancelToken::new(), |g| {
//!     kept = Some(g);
//!     Ok::<_, ()>(())
//! }).unwrap();
//! ```
//! ```
//! use selvedge::{CancelToken, group};
//! let mut kept = None;
//! group::scope(&CancelToken::new(), |g| {
//!     kept = Some(g.token().clone());
//!     Ok::<_, ()>(())
//! }).unwrap();
//! assert!(kept.is_some());
//! ```
//!
//! What a task mutates it has alone.
//! ```compile_fail,E0499
//! use selvedge::{CancelToken, group};
//! let mut sum = 0;
//! group::scope(&CancelToken::new(), |g| {
//!     for n in [1, 2] {
//!         let sum = &mut sum;
//!         g.spawn(move |_| Ok::<_, ()>(*sum += n));
//!     }
//!     Ok(())
//! }).unwrap();
//! ```
//! ```
//! use selvedge::{CancelToken, group};
//! let mut sums = [0, 0];
//! group::scope(&CancelToken::new(), |g| {
//!     for (sum, n) in sums.iter_mut().zip([1, 2]) {
//!         g.spawn(move |_| Ok::<_, ()>(*sum += n));
//!     }
//!     Ok(())
//! }).unwrap();
//! assert_eq!(sums, [1, 2]);
//! ```
//!
//! What a task borrows may be another thread's: it must be `Sync`.
//! ```compile_fail,E0277
//! use selvedge::{CancelToken, group};
//! let shared = std::cell::Cell::new(0);
//! group::scope(&CancelToken::new(), |g| {
//!     g.spawn(|_| Ok::<_, ()>(shared.set(1)));
//!     Ok(())
//! }).unwrap();
//! ```
//! ```
//! use selvedge::{CancelToken, group};
//! let shared = std::sync::atomic::AtomicU32::new(0);
//! group::scope(&CancelToken::new(), |g| {
//!     g.spawn(|_| Ok::<_, ()>(shared.store(1, std::sync::atomic::Ordering::Relaxed)));
//!     Ok(())
//! }).unwrap();
//! ```
//!
//! A pool's scope is no wider.
//! ```compile_fail,E0597
//! use selvedge::{CancelToken, Pool};
//! let pool = Pool::builder().workers(1).build().unwrap();
//! pool.scope(&CancelToken::new(), |g| {
//!     let local = String::from("warp");
//!     let lent = &local;
//!     g.spawn(move |_| Ok::<_, ()>(assert_eq!(lent.len(), 4)));
//!     Ok(())
//! }).unwrap();
//! ```
//! ```
//! use selvedge::{CancelToken, Pool};
//! let pool = Pool::builder().workers(1).build().unwrap();
//! let local = String::from("warp");
//! pool.scope(&CancelToken::new(), |g| {
//!     let lent = &local;
//!     g.spawn(move |_| Ok::<_, ()>(assert_eq!(lent.len(), 4)));
//!     Ok(())
//! }).unwrap();
//! ```
//!
//! A group that is owned, and its spawner, take tasks that borrow nothing: nobody need wait for them.
//! ```compile_fail,E0597
//! use selvedge::{CancelToken, group::Group};
//! let group = Group::<std::io::Error>::new(&CancelToken::new());
//! let local = String::from("warp");
//! let lent = &local;
//! group.spawner().spawn(move |_| Ok(assert_eq!(lent.len(), 4))).unwrap();
//! group.wait().unwrap();
//! ```
//! ```
//! use selvedge::{CancelToken, group::Group};
//! let group = Group::<std::io::Error>::new(&CancelToken::new());
//! let local = String::from("warp");
//! group.spawner().spawn(move |_| Ok(assert_eq!(local.len(), 4))).unwrap();
//! group.wait().unwrap();
//! ```
//!
//! The same holds for a pool's jobs.
//! ```compile_fail,E0597
//! use selvedge::Pool;
//! let pool = Pool::builder().workers(1).build().unwrap();
//! let local = String::from("warp");
//! let lent = &local;
//! pool.execute(move || assert_eq!(lent.len(), 4)).unwrap();
//! drop(pool);
//! ```
//! ```
//! use selvedge::Pool;
//! let pool = Pool::builder().workers(1).build().unwrap();
//! let local = String::from("warp");
//! pool.execute(move || assert_eq!(local.len(), 4)).unwrap();
//! drop(pool);
//! ```
//!
//! A job is sent to another thread; it need not be shared.
//! ```compile_fail,E0277
//! use selvedge::Pool;
//! let pool = Pool::builder().workers(1).build().unwrap();
//! let cell = std::rc::Rc::new(std::cell::Cell::new(1));
//! pool.execute(move || cell.set(2)).unwrap();
//! ```
//! ```
//! use selvedge::Pool;
//! let pool = Pool::builder().workers(1).build().unwrap();
//! let cell = std::cell::Cell::new(1);
//! pool.execute(move || cell.set(2)).unwrap();
//! ```
//!
//! So is an item of a queue.
//! ```compile_fail,E0277
//! use selvedge::BoundedQueue;
//! let queue = BoundedQueue::new(1);
//! std::thread::scope(|s| {
//!     s.spawn(|| queue.push(std::rc::Rc::new(1)).unwrap());
//! });
//! ```
//! ```
//! use selvedge::BoundedQueue;
//! let queue = BoundedQueue::new(1);
//! std::thread::scope(|s| {
//!     s.spawn(|| queue.push(std::cell::Cell::new(1)).unwrap());
//! });
//! ```
//!
//! A queue's items may borrow what outlives the queue, and nothing shorter.
//! ```compile_fail,E0597
//! use selvedge::BoundedQueue;
//! let queue = BoundedQueue::new(1);
//! {
//!     let local = String::from("warp");
//!     queue.push(local.as_str()).unwrap();
//! }
//! assert_eq!(queue.pop(), Ok("warp"));
//! ```
//! ```
//! use selvedge::BoundedQueue;
//! let local = String::from("warp");
//! let queue = BoundedQueue::new(1);
//! queue.push(local.as_str()).unwrap();
//! assert_eq!(queue.pop(), Ok("warp"));
//! ```
//!
//! A pipeline borrows its items, and its closures what they name, until the sink has returned.
//! ```compile_fail,E0597
//! use selvedge::Pipeline;
//! let lengths = {
//!     let words = vec![String::from("warp")];
//!     Pipeline::source(&words).par_map(2, |word| word.len())
//! };
//! assert_eq!(lengths.count(), 1);
//! ```
//! ```
//! use selvedge::Pipeline;
//! let words = vec![String::from("warp")];
//! let lengths = {
//!     Pipeline::source(&words).par_map(2, |word| word.len())
//! };
//! assert_eq!(lengths.count(), 1);
//! ```
//!
//! What a pipeline's closure borrows mutably is not to be had meanwhile.
//! ```compile_fail,E0502
//! use selvedge::Pipeline;
//! let mut seen = Vec::new();
//! let stages = Pipeline::source(0..3).map(|n| { seen.push(n); n });
//! assert!(seen.is_empty());
//! assert_eq!(stages.count(), 3);
//! ```
//! ```
//! use selvedge::Pipeline;
//! let mut seen = Vec::new();
//! let stages = Pipeline::source(0..3).map(|n| { seen.push(n); n });
//! assert_eq!(stages.count(), 3);
//! assert_eq!(seen, [0, 1, 2]);
//! ```
//!
//! A pipeline that goes on without its caller borrows nothing.
//! ```compile_fail,E0597
//! use selvedge::Pipeline;
//! let words = vec![String::from("warp")];
//! let (items, pump) = Pipeline::source(&words).into_channel(1).unwrap();
//! assert_eq!(items.iter().count(), 1);
//! pump.join();
//! ```
//! ```
//! use selvedge::Pipeline;
//! let words = vec![String::from("warp")];
//! let (items, pump) = Pipeline::source(words).into_channel(1).unwrap();
//! assert_eq!(items.iter().count(), 1);
//! pump.join();
//! ```
//!
//! What is lent to the body of `pull` stays there.
//! ```compile_fail,E0521
//! use selvedge::Pipeline;
//! let mut kept = None;
//! Pipeline::source(0..3).par_map(2, |n| n).pull(|items| kept = Some(items));
//! ```
//! ```
//! use selvedge::Pipeline;
//! let mut kept = None;
//! Pipeline::source(0..3).par_map(2, |n| n).pull(|items| kept = items.next());
//! assert_eq!(kept, Some(0));
//! ```
//!
//! A function with a time limit may outlive the call, and borrows nothing.
//! ```compile_fail,E0597
//! use std::time::Duration;
//! let local = String::from("warp");
//! let lent = &local;
//! let _ = selvedge::timeout::run(Duration::from_secs(60), move |_| lent.len());
//! ```
//! ```
//! use std::time::Duration;
//! let local = String::from("warp");
//! let _ = selvedge::timeout::run(Duration::from_secs(60), move |_| local.len());
//! ```

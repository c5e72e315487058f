//! What the tasks, stop hooks and handles of a scope may borrow.
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
//! A stop hook may not borrow it either: it is called when the scope stops.
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
//! A scope for long borrows does not coerce to one for shorter borrows: its lifetime is invariant.
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
//! The same holds for a task with a result.
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
//! A handle whose result borrows from the scope cannot leave the body. (The error has no code.)
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
//! A result may borrow what outlives the scope, and lives no longer than that.
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
//! The scope itself cannot leave the body, since nothing would wait for later tasks.
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
//! A mutable borrow of a task is exclusive.
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
//! What tasks borrow is shared between threads, so it must be `Sync`.
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
//! The same holds for a pool's scope.
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

//! What may be borrowed if nothing waits: by groups, pools, queues, pipelines and functions with a time
//! limit.
//!
//! Tasks of a `Group` and of its spawner borrow nothing, since nothing need wait for them.
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
//! The same holds for the tasks of a pool.
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
//! A task is sent to another thread; it need not be shared.
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
//! A queue's items may borrow only what outlives the queue.
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
//! A pipeline borrows its items, and its closures' captures, until the sink has returned.
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
//! What a closure of a pipeline borrows mutably is inaccessible meanwhile.
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
//! A pipeline that outlives the call borrows nothing.
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
//! The iterator that `pull` lends to its body cannot leave the body.
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
//! A function with a time limit may outlive the call, so it borrows nothing.
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

//! The patterns that people bring from Go, where each of them breaks, and what to write here.
//!
//! Each section has the way that is usually taught, the smallest situation in which it fails, and ours. The
//! failures are tests in `tests/reference.rs` and models in `loom-tests/tests/reference.rs`.
//!
//! # A worker pool
//!
//! *Taught:* a channel of tasks, a channel of results, `n` workers between them; `Stop` closes the tasks,
//! waits for the workers, closes the results.
//!
//! *Breaks:* one worker, three tasks, and nobody reads the results: the worker sleeps on the full result
//! channel, and `Stop` waits for the worker. A submit that comes after `Stop` panics; a task that panics takes
//! the process with it; a task that submits to its own full pool waits for itself.
//!
//! *Here:* results stay with their handles, which nobody has to join.
//! ```
//! use selvedge::Pool;
//!
//! let pool = Pool::builder().workers(1).queue(3).build()?;
//! let tasks: Vec<_> = (0..3).map(|n| pool.submit(move || n * n)).collect::<Result<_, _>>()?;
//! let report = pool.shutdown();                    // drains, joins, and may be called again
//! assert_eq!(report.completed, 3);
//! let back = pool.submit(|| 4).unwrap_err();       // too late: the closure comes back
//! assert_eq!((back.value)(), 4);
//! assert_eq!(tasks.into_iter().map(|task| task.join().unwrap()).sum::<i32>(), 5);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # A semaphore
//!
//! *Taught:* a buffered channel: send to acquire, receive to release.
//!
//! *Breaks:* a release without an acquire blocks, or lets one too many in. When a permit is free *and* the
//! context is cancelled, `select` flips a coin. One permit at a time, in no order.
//!
//! *Here:* a permit is a guard, so only its holder can give it back; a cancelled token never acquires; a
//! permit may be for many, in the order in which they asked.
//! ```
//! use std::time::Duration;
//! use selvedge::{CancelToken, Semaphore, error::WaitError};
//!
//! let (semaphore, stop) = (Semaphore::new(3), CancelToken::new());
//! let two = semaphore.acquire_many_until(2, (&stop, Duration::from_secs(1)))?;
//! stop.cancel();
//! assert_eq!(semaphore.acquire_until(&stop).unwrap_err(), WaitError::Cancelled); // one is free
//! assert_eq!(semaphore.acquire_many(4).unwrap_err(), WaitError::Impossible);      // never four
//! drop(two);
//! assert_eq!(semaphore.available(), 3);
//! # Ok::<(), WaitError>(())
//! ```
//!
//! # Run, cancel, wait
//!
//! *Taught:* a context for the children, a wait group for the end, and each child looks at the context now
//! and then.
//!
//! *Breaks:* a child that sleeps in anything but a `select` over the context does not hear of the cancel. One
//! that is started after the cancel runs all the same; one that is started while `Wait` runs is missed.
//!
//! *Here:* every call that sleeps takes the token, and a cancel wakes it where it sleeps.
//! ```
//! use selvedge::{BoundedQueue, CancelToken, WaitGroup, error::WaitError};
//! use std::{sync::Arc, thread};
//!
//! let (stop, group) = (CancelToken::new(), WaitGroup::new());
//! let jobs = Arc::new(BoundedQueue::<u32>::new(1));
//! let children: Vec<_> = (0..3)
//!     .map(|_| {
//!         let (stop, jobs, member) = (stop.child(), Arc::clone(&jobs), group.join());
//!         thread::spawn(move || {
//!             let _member = member;
//!             jobs.pop_until(&stop)              // asleep here
//!         })
//!     })
//!     .collect();
//! stop.cancel_because("the user closed the window");
//! group.wait();
//! for child in children {
//!     assert_eq!(child.join().unwrap(), Err(WaitError::Cancelled));
//! }
//! assert_eq!(stop.cause().unwrap().to_string(), "the user closed the window");
//! ```
//!
//! # An error group
//!
//! *Taught:* a wait group, a mutex around the first error, and a cancel when it is set.
//!
//! *Breaks:* the zero value crashes on the first error; a panic kills the process; nothing bounds the number
//! of tasks; the children must be given owned data.
//!
//! *Here:* [`group::scope`](crate::group::scope): tasks borrow, the first failure wakes the rest, all have
//! ended when it returns.
//! ```
//! use selvedge::{CancelToken, group};
//! use std::time::Duration;
//!
//! let urls = ["https://example.com", "https://invalid-url", "https://another.com"];
//! let result = group::scope(&CancelToken::new(), |g| {
//!     g.limit(2);
//!     for url in &urls {
//!         g.spawn(move |stop| match url.ends_with("invalid-url") {
//!             true => Err(format!("failed to fetch {url}")),
//!             // Would sleep for an hour; is woken by the other's failure.
//!             false => stop.sleep(Duration::from_secs(3600)).map_err(|error| error.to_string()),
//!         });
//!     }
//!     Ok(())
//! });
//! assert_eq!(result.unwrap_err().to_string(), "failed to fetch https://invalid-url");
//! ```
//!
//! # A queue between producers and consumers
//!
//! *Taught:* a slice, a mutex, and one condvar that is signalled on every change.
//!
//! *Breaks:* capacity 1, one producer with two items, two consumers with one each: a signal that was meant
//! for the producer wakes a consumer, and everybody sleeps. One condvar and `Signal` are safe only while twice
//! the capacity is at least the number of threads. A cancel wakes nobody, and a waiter that leaves may take
//! another's signal with it.
//!
//! *Here:* those who wait for items and those who wait for room stand in lines of their own, each in a slot of
//! its own; a wake-up that comes too late for one goes to the next.
//! ```
//! use selvedge::queue::bounded;
//!
//! let (sender, receiver) = bounded(1);
//! let total: u32 = std::thread::scope(|s| {
//!     let consumers = [(); 2].map(|()| s.spawn(|| receiver.pop().unwrap()));
//!     sender.push_all([1, 2]).unwrap();
//!     consumers.into_iter().map(|consumer| consumer.join().unwrap()).sum()
//! });
//! assert_eq!(total, 3);
//! ```
//!
//! # Polling for a cancel
//!
//! *Taught:* `select { case <-ctx.Done(): return; default: work() }` in a loop.
//!
//! *Breaks:* when there is no work the loop spins: 17 million turns in 200 ms.
//!
//! *Here:* wait for work with the token as the limit; between two pieces of work that are on hand anyway,
//! [`token.check()?`](crate::CancelToken::check).
//!
//! # A data race
//!
//! *Taught:* not to. *Here* the compiler says so:
//! ```compile_fail,E0277
//! let counts = std::rc::Rc::new(std::cell::RefCell::new(0));
//! let pool = selvedge::Pool::builder().build().unwrap();
//! pool.execute(move || *counts.borrow_mut() += 1); // E0277: `Rc` cannot be sent between threads
//! ```
//! ```compile_fail,E0373
//! use selvedge::{CancelToken, group};
//! group::scope(&CancelToken::new(), |g| {
//!     let inner = String::from("dropped before the tasks end");
//!     g.spawn(|_| Ok::<(), ()>(println!("{inner}"))); // E0373: the body's own locals are gone too early
//!     Ok(())
//! })
//! .unwrap();
//! ```

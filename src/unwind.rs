//! Every type of this crate may be used after a panic passed by.
//!
//! `UnwindSafe` asks whether a panic can leave broken state behind that somebody sees afterwards. Here it
//! cannot: none of the caller's code runs under a lock of ours, so no panic of the caller's unwinds through
//! one, and our own code leaves state consistent at every unlock. The traits are not derived by themselves
//! only because locks and cells are assumed to be at risk.

use std::panic::{RefUnwindSafe, UnwindSafe};

use crate::batch::{BatchError, Batcher, Builder as BatcherBuilder, Ticket};
use crate::cancel::{CallbackGuard, CancelToken};
use crate::clock::{Clock, ManualClock};
use crate::counter::StripedCounter;
use crate::flight::SingleFlight;
use crate::group::{Group, Handle, Scope, Spawner};
use crate::latch::{Latch, Member, WaitGroup};
use crate::limiter::{KeyedLimiter, RateLimiter};
use crate::map::{self, ShardedMap};
use crate::pipeline::{CancelMode, ChannelDriver, Figures};
use crate::pool::{Builder, Pool, Results, Task, Unstarted};
use crate::queue::{BoundedQueue, Receiver, Sender};
use crate::semaphore::Semaphore;
use crate::timeout::Running;

impl UnwindSafe for CancelToken {}
impl RefUnwindSafe for CancelToken {}
impl UnwindSafe for CallbackGuard {}
impl RefUnwindSafe for CallbackGuard {}
impl UnwindSafe for Clock {}
impl RefUnwindSafe for Clock {}
impl UnwindSafe for ManualClock {}
impl RefUnwindSafe for ManualClock {}

impl<T> UnwindSafe for BoundedQueue<T> {}
impl<T> RefUnwindSafe for BoundedQueue<T> {}
impl<T> UnwindSafe for Sender<T> {}
impl<T> RefUnwindSafe for Sender<T> {}
impl<T> UnwindSafe for Receiver<T> {}
impl<T> RefUnwindSafe for Receiver<T> {}

// Permits follow: they hold a reference to it and a number.
impl UnwindSafe for Semaphore {}
impl RefUnwindSafe for Semaphore {}

impl UnwindSafe for Latch {}
impl RefUnwindSafe for Latch {}
impl UnwindSafe for WaitGroup {}
impl RefUnwindSafe for WaitGroup {}
impl UnwindSafe for Member {}
impl RefUnwindSafe for Member {}

// A closure that panics while it changes a value leaves the value as it is then, as its docs say: what is
// broken then is the caller's own. The map is whole.
impl<K, V, S> UnwindSafe for ShardedMap<K, V, S> {}
impl<K, V, S> RefUnwindSafe for ShardedMap<K, V, S> {}
// What these hold is their own, and only ever moved out whole.
impl<K, V, S> UnwindSafe for map::Drain<'_, K, V, S> {}
impl<K, V, S> RefUnwindSafe for map::Drain<'_, K, V, S> {}
impl<K, V> UnwindSafe for map::IntoIter<K, V> {}
impl<K, V> RefUnwindSafe for map::IntoIter<K, V> {}
impl<K, V, S> UnwindSafe for SingleFlight<K, V, S> {}
impl<K, V, S> RefUnwindSafe for SingleFlight<K, V, S> {}

impl UnwindSafe for StripedCounter {}
impl RefUnwindSafe for StripedCounter {}

impl UnwindSafe for RateLimiter {}
impl RefUnwindSafe for RateLimiter {}
impl<K, S> UnwindSafe for KeyedLimiter<K, S> {}
impl<K, S> RefUnwindSafe for KeyedLimiter<K, S> {}

impl UnwindSafe for Pool {}
impl RefUnwindSafe for Pool {}
impl<R> UnwindSafe for Task<R> {}
impl<R> RefUnwindSafe for Task<R> {}
// The hooks are called, not looked into.
impl UnwindSafe for Builder {}
impl RefUnwindSafe for Builder {}
impl<R> UnwindSafe for Results<'_, R> {}
impl<R> RefUnwindSafe for Results<'_, R> {}
impl UnwindSafe for Unstarted {}
impl RefUnwindSafe for Unstarted {}
// The payload is only ever moved out whole.

impl<E> UnwindSafe for Scope<'_, '_, E> {}
impl<E> RefUnwindSafe for Scope<'_, '_, E> {}
impl<E> UnwindSafe for Group<E> {}
impl<E> RefUnwindSafe for Group<E> {}
impl<E> UnwindSafe for Spawner<E> {}
impl<E> RefUnwindSafe for Spawner<E> {}
impl<R> UnwindSafe for Handle<R> {}
impl<R> RefUnwindSafe for Handle<R> {}
impl<R> UnwindSafe for Running<R> {}
impl<R> RefUnwindSafe for Running<R> {}

impl<T, R> UnwindSafe for Batcher<T, R> {}
impl<T, R> RefUnwindSafe for Batcher<T, R> {}
impl<T, R> UnwindSafe for Ticket<T, R> {}
impl<T, R> RefUnwindSafe for Ticket<T, R> {}
impl<T> UnwindSafe for BatcherBuilder<T> {}
impl<T> RefUnwindSafe for BatcherBuilder<T> {}
// The error in it is shared, and only ever looked at.
impl UnwindSafe for BatchError {}
impl RefUnwindSafe for BatchError {}

#[cfg(feature = "crawl")]
mod of_crawls {
    use super::{RefUnwindSafe, UnwindSafe};
    use crate::crawl::{Builder, Crawl, Crawler, MemorySite};

    // Fetchers and callbacks are called, not looked into.
    impl UnwindSafe for Builder {}
    impl RefUnwindSafe for Builder {}
    impl UnwindSafe for Crawler {}
    impl RefUnwindSafe for Crawler {}
    impl UnwindSafe for Crawl {}
    impl RefUnwindSafe for Crawl {}
    impl UnwindSafe for MemorySite {}
    impl RefUnwindSafe for MemorySite {}
}

impl UnwindSafe for Figures {}
impl RefUnwindSafe for Figures {}
// It waits for an end, and hands it over whole.
impl<G: CancelMode> UnwindSafe for ChannelDriver<G> {}
impl<G: CancelMode> RefUnwindSafe for ChannelDriver<G> {}

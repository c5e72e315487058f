//! Single flight.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

/// A single flight, as a thread uses it.
pub(crate) trait Flight: Send + Sync + 'static {
    fn new() -> Self;

    fn call(&self, key: &str, f: impl Fn() -> u64) -> u64;
}

impl Flight for selvedge::SingleFlight<String, u64> {
    fn new() -> Self {
        selvedge::SingleFlight::new()
    }

    fn call(&self, key: &str, f: impl Fn() -> u64) -> u64 {
        self.call(key, f).expect("it does not panic")
    }
}

impl Flight for singleflight::Group<u64> {
    fn new() -> Self {
        singleflight::Group::new()
    }

    fn call(&self, key: &str, f: impl Fn() -> u64) -> u64 {
        self.work(key, f)
    }
}

/// A cache, so the caller that made a call takes its value out again. Until then others get it without one.
impl Flight for moka::sync::Cache<String, u64> {
    fn new() -> Self {
        moka::sync::Cache::new(1_000)
    }

    fn call(&self, key: &str, f: impl Fn() -> u64) -> u64 {
        let entry = self.entry_by_ref(key).or_insert_with(f);
        if entry.is_fresh() {
            self.invalidate(key);
        }
        entry.into_value()
    }
}

/// By hand: a map of calls under a mutex, and a condvar for each call.
pub(crate) struct Calls(Mutex<HashMap<String, Arc<Call>>>);

#[derive(Default)]
struct Call {
    result: Mutex<Option<u64>>,
    ended: Condvar,
}

impl Flight for Calls {
    fn new() -> Self {
        Calls(Mutex::default())
    }

    fn call(&self, key: &str, f: impl Fn() -> u64) -> u64 {
        let mut calls = self.0.lock();
        if let Some(call) = calls.get(key).cloned() {
            drop(calls);
            let mut result = call.result.lock();
            while result.is_none() {
                call.ended.wait(&mut result);
            }
            return result.expect("set");
        }
        let call = Arc::<Call>::default();
        calls.insert(key.to_owned(), Arc::clone(&call));
        drop(calls);
        let value = f();
        self.0.lock().remove(key);
        *call.result.lock() = Some(value);
        call.ended.notify_all();
        value
    }
}

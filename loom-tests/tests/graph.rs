//! Models of the wait-for graph: a wait that closes a cycle, through any mixture of types, is refused, and no
//! other wait is.

use selvedge_loom as selvedge;

use std::hash::{BuildHasherDefault, Hasher};

use selvedge::error::{JoinError, WouldDeadlock};
use selvedge::sync::{Arc, model, thread};
use selvedge::{CancelToken, ShardedMap, SingleFlight, group};

/// Hashes keys to themselves.
#[derive(Default)]
struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0 << 8 | u64::from(*byte));
    }
}

type Map = ShardedMap<u8, u8, BuildHasherDefault<Same>>;
type Flight = SingleFlight<u8, u8, BuildHasherDefault<Same>>;

fn map() -> Arc<Map> {
    Arc::new(Map::with_shards_and_hasher(1, Default::default()))
}

/// The closure of a call wants a value of a map, and the closure that makes the value makes the call: one of
/// them is refused, and the other gets its result.
///
/// Fails if a wait adds no edge (edit `graph-writes-no-edge`), or if the graph is searched before the edge is
/// added, in another critical section (edit `graph-looks-too-early`).
#[test]
fn two_leaders_of_different_types_that_wait_for_each_other_are_refused() {
    model::check(|| {
        let (map, flight) = (map(), Arc::new(Flight::default()));
        let maker = thread::spawn({
            let (map, flight) = (Arc::clone(&map), Arc::clone(&flight));
            move || map.get_or_try_insert_with(1, || flight.call(&2, || 20)).unwrap()
        });
        let mut told = None;
        let led = flight.call(&2, || match map.get_or_insert_with(1, || 10) {
            Ok(value) => value,
            Err(WouldDeadlock) => {
                told = Some(WouldDeadlock);
                30
            }
        });
        let made = maker.join().unwrap();
        assert!(told.is_none() || made.is_ok(), "both were told");
        assert!(led.is_ok(), "this thread waits for nobody outside its closure");
        assert!(matches!(made, Ok(_) | Err(JoinError::WouldDeadlock)), "{made:?}");
    });
}

/// A thread that waits for a value is passed the turn to make it, and its closure waits for another thread.
/// Its own earlier wait closes no cycle.
///
/// Fails if a thread whose wait has ended still counts as waiting (edit `graph-granted-counts-as-waiting`).
#[test]
fn a_turn_that_was_passed_on_closes_no_cycle() {
    model::check(|| {
        let (map, flight) = (map(), Arc::new(Flight::default()));
        let maker = thread::spawn({
            let (map, flight) = (Arc::clone(&map), Arc::clone(&flight));
            // The thread leads a call, so it owes a result while it waits.
            move || flight.call(&7, || map.get_or_insert_with(1, || 2).unwrap()).unwrap()
        });
        // Fails, and passes the turn to the other thread if that waits, which then makes the value.
        let _ = map.get_or_try_insert_with(1, || Err(()));
        let seen = flight.call(&8, || map.get_or_insert_with(1, || 3).unwrap()).unwrap();
        let made = maker.join().unwrap();
        assert_eq!(Some(seen), map.get(&1));
        assert_eq!(made, seen);
    });
}

/// A call waits for a task of a group that a helper has taken and not begun; the task then makes the same
/// call. The task belongs to the helper from its claim on, even if the wait for it began earlier.
///
/// Fails if a claim after the begin of the wait is not seen (edit `one-shot-claim-is-not-seen`).
#[test]
fn a_task_claimed_after_the_wait_began_belongs_to_its_claimant() {
    model::check(|| {
        let flight = Flight::default();
        let led = group::scope(&CancelToken::new(), |g| {
            let task = g.submit(|_| Ok::<_, ()>(flight.call(&1, || 20).unwrap_or(30)));
            Ok(flight.call(&1, || task.join().unwrap_or(10)).unwrap_or(40))
        });
        let led = led.unwrap();
        // 20: the task's call led. 30: the task's call was refused. 10: the join in this call was refused.
        assert!([10, 20, 30].contains(&led), "{led}");
    });
}

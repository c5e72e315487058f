//! Models of `ShardedMap`: every schedule of a few threads, each with the edits that break it.

use selvedge_loom as selvedge;

use std::hash::{BuildHasherDefault, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use selvedge::error::WouldDeadlock;
use selvedge::sync::atomic::{AtomicUsize, Ordering::AcqRel};
use selvedge::sync::{Arc, model, thread};
use selvedge::{CancelToken, Clock, ShardedMap};

const HOUR: Duration = Duration::from_secs(3600);

/// The same hash in every execution. std's hasher differs from map to map, and schedules must be
/// reproducible.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes[0].into();
    }
}

type Map = ShardedMap<u8, usize, BuildHasherDefault<AsItIs>>;

/// One shard, so that all keys share a lock.
fn map() -> Arc<Map> {
    Arc::new(Map::with_shards_and_hasher(1, Default::default()))
}

/// Reads so often that the shard becomes biased towards readers, who then do without its lock; and once more,
/// so that this thread has a slot.
fn read_often(map: &Map) {
    (0..5).for_each(|_| _ = map.get(&1));
}

fn figures(map: &Map) -> String {
    // `try_read` may fail spuriously, once.
    let text = format!("{map:?}");
    if text.contains("len") { text } else { format!("{map:?}") }
}

/// Two threads ask for a missing value: one closure runs, and both get its value.
///
/// Fails if the second thread does not find the first one's initialiser (edit `map-sees-no-initialiser`), or
/// if a waiter that joins the list does not learn that the value exists (edit `map-made-tells-nobody`).
#[test]
fn a_value_that_two_threads_want_is_made_once() {
    model::check(|| {
        let shared = Arc::new((map(), AtomicUsize::new(0)));
        let want = |shared: &(Arc<Map>, AtomicUsize)| {
            shared.0.get_or_insert_with(1, || shared.1.fetch_add(1, AcqRel)).unwrap()
        };
        let other = thread::spawn({
            let shared = Arc::clone(&shared);
            move || want(&shared)
        });
        assert_eq!((want(&shared), other.join().unwrap()), (0, 0));
        assert_eq!(shared.1.fetch_add(0, AcqRel), 1);
    });
}

/// All waiters are woken when the value exists.
///
/// Fails if only the first one is (edit `map-made-tells-one`).
#[test]
fn a_value_that_is_made_reaches_all_waiters() {
    model::check(|| {
        let map = map();
        let others = [(); 2].map(|()| {
            let map = Arc::clone(&map);
            thread::spawn(move || map.get_or_insert_with(1, || 7))
        });
        assert_eq!(map.get_or_insert_with(1, || 7), Ok(7));
        assert_eq!(others.map(|other| other.join().unwrap()), [Ok(7); 2]);
    });
}

/// A closure panics: a waiter makes the value instead.
///
/// Fails if an initialiser that ends without a value does not pass its turn on (edit
/// `map-failure-tells-nobody`).
#[test]
fn a_closure_that_panics_hands_its_turn_on() {
    model::check(|| {
        let map = map();
        let waiter = thread::spawn({
            let map = Arc::clone(&map);
            move || map.get_or_insert_with(1, || 2)
        });
        let made = catch_unwind(AssertUnwindSafe(|| {
            map.get_or_insert_with(1, || resume_unwind(Box::new("on purpose")))
        }));
        assert_eq!(waiter.join().unwrap(), Ok(2));
        // Or the waiter was first, and nothing panicked.
        assert!(made.is_err() || made.is_ok_and(|value| value == Ok(2)));
        assert_eq!(map.get(&1), Some(2));
    });
}

/// The first waiter gives up as the closure fails: the turn goes to the next waiter.
///
/// Fails if a turn is passed to a waiter that has given up (edit `one-shot-passes-on-to-the-gone`).
#[test]
fn a_turn_passes_over_a_waiter_that_has_given_up() {
    model::check(|| {
        let (map, clock) = (map(), Clock::manual());
        let at = clock.now() + HOUR;
        let hasty = thread::spawn({
            let (map, clock) = (Arc::clone(&map), clock.clone());
            move || map.get_or_insert_with_until(1, (clock.clock(), at), || 1).ok()
        });
        let patient = thread::spawn({
            let map = Arc::clone(&map);
            move || map.get_or_insert_with(1, || 2).unwrap()
        });
        let failed = map.get_or_try_insert_with(1, || {
            clock.advance(HOUR);
            Err(())
        });
        let failed = failed.unwrap();
        let (hasty, patient) = (hasty.join().unwrap(), patient.join().unwrap());
        assert_eq!(map.get(&1), Some(patient));
        assert!(hasty.is_none_or(|value| value == patient));
        assert!(failed.is_err() || failed == Ok(patient));
        assert!(figures(&map).contains("running: 0, waiting: 0"), "{map:?}");
    });
}

/// A turn is passed to a waiter whose limit passes before it wakes. The waiter takes the turn nevertheless,
/// so the waiters behind it are not abandoned.
///
/// Fails if the limit is checked again after the wait (edit `map-turn-is-let-go`).
#[test]
fn a_turn_that_was_handed_over_is_taken_though_the_limit_has_passed() {
    model::check(|| {
        let (map, token) = (map(), CancelToken::new());
        let hasty = thread::spawn({
            let (map, token) = (Arc::clone(&map), token.clone());
            move || map.get_or_insert_with_until(1, &token, || 1).ok()
        });
        let patient = thread::spawn({
            let map = Arc::clone(&map);
            move || map.get_or_insert_with(1, || 2).unwrap()
        });
        let _ = map.get_or_try_insert_with(1, || Err(()));
        token.cancel();
        let (hasty, patient) = (hasty.join().unwrap(), patient.join().unwrap());
        assert_eq!(map.get(&1), Some(patient));
        assert!(hasty.is_none_or(|value| value == patient));
    });
}

/// A value is made while another thread removes it: each value that was made is removed once, or is present.
///
/// Fails if removing the initialiser and inserting the value are two steps (edit `map-made-in-two-steps`).
#[test]
fn a_value_that_is_removed_while_it_is_made_is_there_or_was_taken() {
    model::check(|| {
        let shared = Arc::new((map(), AtomicUsize::new(0)));
        let want = |shared: &(Arc<Map>, AtomicUsize)| {
            shared.0.get_or_insert_with(1, || shared.1.fetch_add(1, AcqRel)).unwrap()
        };
        let others = [(); 2].map(|()| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || want(&shared))
        });
        let removed = usize::from(shared.0.remove(&1).is_some());
        others.into_iter().for_each(|other| _ = other.join().unwrap());
        assert!(shared.0.len() <= 1, "a key is there twice");
        assert_eq!(shared.1.fetch_add(0, AcqRel), removed + shared.0.len());
    });
}

/// A value is inserted while a closure makes another: the inserted one stays, and the closure's caller gets
/// it.
///
/// Fails if the closure's value is inserted without checking (edit `map-made-without-a-look`).
#[test]
fn a_value_that_is_inserted_while_one_is_made_stays() {
    model::check(|| {
        let map = map();
        let maker = thread::spawn({
            let map = Arc::clone(&map);
            move || map.get_or_insert_with(1, || 10).unwrap()
        });
        let before = map.insert(1, 20);
        let made = maker.join().unwrap();
        assert!((made, before) == (10, Some(10)) || (made, before) == (20, None), "{made}, {before:?}");
        assert_eq!((map.get(&1), map.len()), (Some(20), 1));
    });
}

/// Two closures each ask for the value that the other makes: one of them gets `WouldDeadlock`, and the other
/// its value.
///
/// Fails if a wait writes no edge (edit `graph-writes-no-edge`), or if the search and the writing of the edge
/// are not one step (edit `graph-looks-too-early`).
#[test]
fn two_closures_that_want_each_others_value_do_not_hang() {
    model::check(|| {
        // In two shards, so that no shard's lock orders the two closures.
        let map = Arc::new(Map::with_shards_and_hasher(2, Default::default()));
        let crossed = |map: &Map, mine: u8, other: u8| {
            let made = map.get_or_try_insert_with(mine, || Ok(1 + map.get_or_insert_with(other, || 1)?));
            made.unwrap() != Err(WouldDeadlock)
        };
        let there = thread::spawn({
            let map = Arc::clone(&map);
            move || crossed(&map, 1, 4)
        });
        let here = crossed(&map, 4, 1);
        let there = there.join().unwrap();
        assert!(here || there, "both were told");
        assert!(figures(&map).contains("running: 0, waiting: 0"), "{map:?}");
    });
}

/// While it makes a value, a thread waits for a second one. The maker of the second one then asks, while it
/// makes a third, for the first. The second value exists by then, so there is no cycle, whether or not the
/// waiting thread is awake yet.
///
/// Fails if a thread whose wait has ended still counts as waiting (edit `graph-granted-counts-as-waiting`).
#[test]
fn a_wait_for_a_value_that_is_made_closes_no_cycle() {
    model::check(|| {
        let map = Arc::new(Map::with_shards_and_hasher(2, Default::default()));
        let outer = thread::spawn({
            let map = Arc::clone(&map);
            move || map.get_or_insert_with(1, || 1 + map.get_or_insert_with(4, || 10).unwrap()).unwrap()
        });
        // This thread makes a value all the while, so other threads may wait for it.
        let sum = map.get_or_insert_with(2, || {
            let inner = map.get_or_insert_with(4, || 10).unwrap();
            inner + map.get_or_insert_with(1, || 11).unwrap()
        });
        assert_eq!((sum.unwrap(), outer.join().unwrap()), (21, 11));
    });
}

/// A thread reads without the lock, or finds the bias revoked, as another one writes: it sees the value
/// before or after, and no access overlaps the write. The writer has a slot, and the reader the next one.
///
/// Fails if the writer does not wait for readers in their slots (edit `map-writer-waits-for-no-reader`), if
/// it looks for them before it revokes the bias (edit `map-writer-looks-before-it-revokes`) or at one slot
/// only (edit `map-writer-looks-at-one-slot`); and if readers do not look again after they have entered
/// (edit `map-reader-does-not-look-again`).
#[test]
fn a_writer_waits_for_a_reader_that_does_not_lock() {
    model::check(|| {
        let map = map();
        map.insert(1, 10);
        read_often(&map);
        let reader = thread::spawn({
            let map = Arc::clone(&map);
            move || map.get(&1)
        });
        assert_eq!(map.insert(1, 20), Some(10));
        let seen = reader.join().unwrap();
        assert!(seen == Some(10) || seen == Some(20), "{seen:?}");
    });
}

/// A thread reads twice while another writes: the second value is not older than the first, and the writer
/// does not sleep forever.
///
/// Fails if a reader that leaves does not wake the writer (edit `map-reader-leaves-without-a-wake`) or wakes
/// it before it sleeps (edit `map-reader-wakes-without-the-lock`), and if an entry, a look or a leaving
/// synchronises with nothing (edits `map-reader-enters-relaxed`, `map-writer-looks-by-a-load`,
/// `map-reader-leaves-relaxed`).
#[test]
fn a_reader_that_leaves_lets_the_writer_go_on() {
    model::check(|| {
        let map = map();
        map.insert(1, 10);
        read_often(&map);
        // The writer in the other thread: two preemptions are then enough to wake it before it sleeps.
        let writer = thread::spawn({
            let map = Arc::clone(&map);
            move || map.insert(1, 20)
        });
        let (first, second) = (map.get(&1), map.get(&1));
        assert_eq!(writer.join().unwrap(), Some(10));
        assert!(first <= second && second <= Some(20), "{first:?}, {second:?}");
        assert_eq!(map.get(&1), Some(20));
    });
}

/// A reader that does not lock sees what the last writer did, of which it knows only through the reader that
/// made the shard biased.
///
/// Fails if making it biased publishes nothing (edit `map-bias-publishes-nothing`).
#[test]
fn a_reader_that_does_not_lock_sees_the_last_write() {
    model::check(|| {
        let map = map();
        let writer = thread::spawn({
            let map = Arc::clone(&map);
            move || {
                assert_eq!(map.insert(1, 10), None);
                read_often(&map);
            }
        });
        let seen = map.get(&1);
        assert!(seen.is_none() || seen == Some(10), "{seen:?}");
        writer.join().unwrap();
        assert_eq!(map.get(&1), Some(10));
    });
}

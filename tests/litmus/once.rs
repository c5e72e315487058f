//! One-time initialisation and reference counts: lazy statics, `OnceLock`, `Arc` and `Weak`.

use crate::facade::atomic::AtomicU32;
use crate::facade::atomic::Ordering::Relaxed;
use crate::facade::weak::{self as counted, Weak};
use crate::facade::{Arc, Mutex, OnceLock, lazy_static};
use crate::threads::race;

lazy_static! {
    /// Initialised by the first access: the number of initialisations, and a cell to write.
    static ref MADE: (AtomicU32, AtomicU32) = {
        // A switch point, at which another thread may access it.
        let count = AtomicU32::new(0);
        count.fetch_add(1, Relaxed);
        (count, AtomicU32::new(0))
    };
}

/// A cell and a number next to it, accessed by two threads.
fn beside_a_cell<A: Send + 'static>(
    first: fn(&(OnceLock<u32>, AtomicU32)) -> A,
    second: fn(&(OnceLock<u32>, AtomicU32)) -> u32,
) -> (A, u32, Option<u32>) {
    let shared = Arc::new((OnceLock::new(), AtomicU32::new(0)));
    let (mine, other) = (Arc::clone(&shared), Arc::clone(&shared));
    let (a, b) = race(move || first(&other), move || second(&mine));
    let rest = Arc::into_inner(shared).and_then(|shared| shared.0.into_inner());
    (a, b, rest)
}

/// The value that an access found; 9 for none.
fn found(cell: &OnceLock<u32>) -> u32 {
    cell.get().copied().unwrap_or(9)
}

litmus! {
    /// It is initialised once, and both threads see the same value.
    a_static_is_made_once allowed [&[0, 1, 1], &[1, 0, 1]], => || {
        let look = || MADE.1.fetch_add(1, Relaxed) % 2;
        let (a, b) = race(look, look);
        vec![a, b, MADE.0.load(Relaxed)]
    };
    one_of_two_sets_a_cell allowed [&[1, 0, 1], &[0, 1, 2]], => || {
        let (a, b, rest) = beside_a_cell(
            |shared| u32::from(shared.0.set(1).is_ok()),
            |shared| u32::from(shared.0.set(2).is_ok()),
        );
        vec![a, b, rest.unwrap()]
    };
    /// An access finds nothing, or the value and everything before its initialisation.
    a_cell_publishes allowed [&[9, 0], &[9, 1], &[7, 1]], => || {
        let (_, b, _) = beside_a_cell(
            |shared| {
                shared.1.store(1, Relaxed);
                shared.0.set(7).unwrap();
            },
            |shared| found(&shared.0) * 2 + shared.1.load(Relaxed),
        );
        vec![b / 2, b % 2]
    };
    /// A cell that was seen initialised stays so.
    looks_at_a_cell_are_coherent allowed [&[9, 9], &[9, 7], &[7, 7]], => || {
        let (_, b, _) = beside_a_cell(
            |shared| shared.0.set(7).unwrap(),
            |shared| found(&shared.0) * 10 + found(&shared.0),
        );
        vec![b / 10, b % 10]
    };
    /// Two initialisers: one initialises the cell, the other waits for it.
    a_cell_is_made_once allowed [&[1, 1, 1], &[2, 2, 1]], => || {
        let shared = Arc::new((OnceLock::new(), AtomicU32::new(0)));
        let (mine, other) = (Arc::clone(&shared), Arc::clone(&shared));
        let make = |shared: &(OnceLock<u32>, AtomicU32), value| {
            *shared.0.get_or_init(|| {
                shared.1.fetch_add(1, Relaxed);
                value
            })
        };
        let (a, b) = race(move || make(&other, 1), move || make(&mine, 2));
        vec![a, b, shared.1.load(Relaxed)]
    };
    /// The owner of a cell reads and takes its value directly.
    an_owned_cell_is_read_and_taken allowed [&[9, 7, 7], &[7, 7, 7]], => || {
        let cell = Arc::new(OnceLock::new());
        let other = Arc::clone(&cell);
        let (_, seen) = race(move || other.set(7).unwrap(), || found(&cell));
        let mut cell = Arc::into_inner(cell).unwrap();
        vec![seen, cell.get_mut().map_or(9, |value| *value), cell.take().or(cell.into_inner()).unwrap()]
    };
    /// Exactly one of the threads drops the last handle.
    one_of_two_is_the_last_owner allowed [&[0, 1], &[1, 0]], => || {
        let value = Arc::new(AtomicU32::new(0));
        let other = Arc::clone(&value);
        let (a, b) = race(
            move || {
                other.fetch_add(1, Relaxed);
                u32::from(Arc::into_inner(other).is_some())
            },
            move || {
                value.fetch_add(1, Relaxed);
                u32::from(Arc::into_inner(value).is_some())
            },
        );
        vec![a, b]
    };
    /// A weak reference can be upgraded as long as there is an owner.
    a_weak_reference_leads_to_its_value_or_not allowed [&[0], &[1]], => || {
        let value = counted::Arc::new(AtomicU32::new(1));
        let weak: Weak<AtomicU32> = counted::Arc::downgrade(&value);
        let (_, seen) = race(
            move || {
                value.load(Relaxed);
                drop(value);
            },
            move || weak.upgrade().map_or(0, |value| value.load(Relaxed)),
        );
        vec![seen]
    };
    /// Two upgrades race the drop of the last owner: each succeeds or fails, and the value is dropped once.
    two_weak_references_lead_to_a_value_that_is_dropped_once
        allowed [&[0, 0, 1], &[0, 1, 1], &[1, 0, 1], &[1, 1, 1]],
        => || {
            let drops = Arc::new(AtomicU32::new(0));
            let value = counted::Arc::new(OnDrop(Arc::clone(&drops), 1));
            let look = |weak: Weak<OnDrop>| move || u32::from(weak.upgrade().is_some());
            let weak = counted::Arc::downgrade(&value);
            let (first, second) = (look(weak.clone()), look(weak));
            let ((_, a), b) = race(move || race(move || drop(value), first), second);
            vec![a, b, drops.load(Relaxed)]
        };
    /// Either thread may drop the value.
    either_of_two_drops_the_value_whoever_came_first allowed [&[0, 1], &[0, 2], &[1, 1], &[1, 2]], => || {
        let (steps, dropper) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let value = counted::Arc::new(Mutex::new(OnDrop(Arc::clone(&dropper), 0)));
        let other = counted::Arc::clone(&value);
        let own = |value: counted::Arc<Mutex<OnDrop>>, me: u32, steps: Arc<AtomicU32>| move || {
            let place = steps.fetch_add(1, Relaxed);
            if let Some(value) = counted::Arc::into_inner(value) {
                value.into_inner().1 = me;
            }
            place
        };
        let (first, _) = race(own(value, 1, Arc::clone(&steps)), own(other, 2, steps));
        vec![first, dropper.load(Relaxed)]
    };
    /// The thread that drops the value sees everything that the others did before they dropped their handles.
    the_last_owner_sees_what_the_others_did allowed [&[0, 0], &[0, 1], &[1, 1]], => || {
        let cell = Arc::new(AtomicU32::new(0));
        let stored = Arc::clone(&cell);
        let value = counted::Arc::new(());
        let other = counted::Arc::clone(&value);
        race(
            move || {
                stored.store(1, Relaxed);
                drop(other);
            },
            move || {
                let last = counted::Arc::into_inner(value).is_some();
                vec![u32::from(last), cell.load(Relaxed)]
            },
        ).1
    };
    /// A clone shares the value and keeps it alive.
    a_clone_keeps_the_value allowed [&[1]], => || {
        let value = counted::Arc::<u32>::default();
        let other = value.clone();
        let same = counted::Arc::ptr_eq(&value, &other)
            && counted::Arc::as_ptr(&value) == counted::Arc::as_ptr(&other);
        assert!(same, "two values");
        let weak = counted::Arc::downgrade(&value);
        let (_, seen) = race(move || drop(other), move || weak.upgrade().is_some());
        vec![u32::from(seen && *value == 0)]
    };
}

/// Counts its drop, or records the thread that drops it.
struct OnDrop(Arc<AtomicU32>, u32);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.fetch_add(self.1, Relaxed);
    }
}

//! Models of the anchor that time is estimated from: every schedule of a thread that publishes and one that
//! reads, with the edits that break each.

use selvedge_loom::sync::{__Anchor as Anchor, Arc, model, thread};

/// A nanosecond a step.
const RATE: u64 = 1 << 32;
/// Half a nanosecond a step.
const SLOW: u64 = RATE / 2;

/// An estimate is of one anchor: its counter, its time and its rate. It is never made of parts of two, and
/// never of one that is half written.
///
/// Fails if the parts may be seen before the anchor they replace is gone (edit `anchor-parts-come-early`), if
/// the counter may be seen before its parts (edits `anchor-counter-comes-early` and
/// `anchor-first-look-is-relaxed`), or if nobody notices that the anchor was replaced meanwhile (edits
/// `anchor-is-not-looked-at-again` and `anchor-second-look-comes-early`).
#[test]
fn an_estimate_is_of_one_anchor() {
    model::check(|| {
        let anchor = Arc::new(Anchor::new());
        // The steps are 10, or 4.
        anchor.replace(Some((100, 1_000, RATE)));
        let reader = thread::spawn({
            let anchor = Arc::clone(&anchor);
            move || anchor.time_at(|| 110)
        });
        anchor.replace(Some((106, 2_000, SLOW)));
        let time = reader.join().unwrap();
        assert!(matches!(time, None | Some(1_010 | 2_002)), "{time:?}");
        // Published before the join.
        assert_eq!(anchor.time_at(|| 110), Some(2_002));
    });
}

/// An anchor that was taken back gives no estimate, and the next one is of its own parts, also if it has the
/// same time.
///
/// Fails if it stays (edit `anchor-stays`).
#[test]
fn an_anchor_that_was_taken_back_is_not_used() {
    model::check(|| {
        let anchor = Arc::new(Anchor::new());
        let publisher = thread::spawn({
            let anchor = Arc::clone(&anchor);
            move || {
                anchor.replace(Some((100, 1_000, RATE)));
                anchor.replace(None);
            }
        });
        let time = anchor.time_at(|| 110);
        assert!(matches!(time, None | Some(1_010)), "{time:?}");
        publisher.join().unwrap();
        assert_eq!(anchor.time_at(|| 110), None);
        // The counter has gone back, or too many steps have passed.
        anchor.replace(Some((100, 1_000, RATE)));
        assert_eq!((anchor.time_at(|| 99), anchor.time_at(|| 100 + (1 << 17))), (None, None));
    });
}

//! The caller's code panics: every public type, when its code is called, when what it handed over is dropped,
//! and when the payload of such a panic panics in its own drop.
//!
//! In each row nobody hangs, nobody else goes without, the counts are right, everything is dropped once, and
//! the payload reaches whom the docs name, once, or nobody where they say so.

#[path = "../common/mod.rs"]
mod common;

mod batches;
mod groups;
mod keys;
mod pipelines;
mod pools;
mod queues;
mod tokens;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use common::bombs::*;
use common::{HOUR, eventually, until_figure};

#[test]
fn bomb_goes_off_unless_it_is_received() {
    assert_eq!(panic_of(|| blow("tick")), "tick");
    let bomb: Payload = Box::new(Bomb { name: "tick", live: true });
    assert_eq!(panic_of(|| drop(bomb)), "a payload's drop");
    let touchies = Touchies::default();
    assert_eq!(panic_of(|| drop(touchies.make())), "a value's drop");
    assert_eq!(touchies.dropped(), 1);
}

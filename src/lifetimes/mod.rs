//! Programs that must not compile, because the unsafe code relies on that: they let a task, a stop hook, a
//! handle or an item outlive what it borrows. `group/erase.rs` and `group/nursery.rs` erase a lifetime and
//! rely on the signatures in front of them to have checked it; the ring and the pool's raw jobs rely on their
//! `Send` bounds.
//!
//! Each program has a twin that differs only in this, and compiles and runs, so the rejection has the stated
//! reason. A compiler that is allowed to (`RUSTC_BOOTSTRAP=1`, as in `.ci/run`) compares the error codes.
//! This file exists for `cargo test --doc` only.

mod owned;
mod scope;

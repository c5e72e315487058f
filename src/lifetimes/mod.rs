//! What must not compile, because the unsafe code rests on it: programs that let a task, a closer, a handle
//! or an item outlive what it borrows. `group/erase.rs` and `group/nursery.rs` forget a lifetime and trust
//! that the signatures in front of them have checked it; the ring and the pool's raw jobs trust their `Send`
//! bounds.
//!
//! Each comes with a twin that differs in this alone, and compiles and runs: so what is refused is refused
//! for the stated reason. The error's code is compared by a compiler that is allowed to (`RUSTC_BOOTSTRAP=1`,
//! as in `.ci/run`). This file exists for `cargo test --doc` only.

mod owned;
mod scope;

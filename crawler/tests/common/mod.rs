//! What every test here needs: an end to a hang, a look at who sleeps, and a server.

#![allow(dead_code, reason = "each test file uses its own part")]

// The library's tests have these too.
#[path = "../../../tests/common/bombs.rs"]
pub(crate) mod bombs;
#[path = "../../../tests/common/watchdog.rs"]
mod watchdog;

pub(crate) mod browser;
pub(crate) mod reports;
pub(crate) mod server;
pub(crate) mod site;
pub(crate) mod tool;

#[allow(unused_imports, reason = "each test file uses its own part")]
pub(crate) use watchdog::{HOUR, eventually, figure, message, until_figure, within, within_a_minute};

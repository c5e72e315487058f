//! A report as JSON. The format is in the documentation of [`Report::write_json`](crate::Report::write_json).

mod read;
mod write;

use serde::{Deserialize, Serialize};

use crate::frontier::{Skip, State};

pub use read::ReportError;

const FORMAT: &str = "selvedge-crawl/1";

/// How a state is written. It is declared here because the frontier is also built alone, for its models, and
/// knows no formats.
#[derive(Serialize, Deserialize)]
#[serde(remote = "State", rename_all = "snake_case")]
enum WrittenState {
    Waiting,
    Out,
    TooFar,
    Fetched,
    Skipped(#[serde(with = "WrittenSkip")] Skip),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Skip", rename_all = "snake_case")]
enum WrittenSkip {
    OutOfScope,
    Robots,
    RobotsUnreadable,
}

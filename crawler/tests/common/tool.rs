//! The program, run as anybody would.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

/// Runs the program to its end.
pub(crate) fn tool(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

pub(crate) fn command(arguments: &[&str]) -> Command {
    let Some(program) = option_env!("CARGO_BIN_EXE_selvedge-crawl") else {
        panic!("the program is there with the feature `tool`")
    };
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A file of the test's own.
pub(crate) fn file(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("selvedge-crawl");
    fs::create_dir_all(&folder).unwrap();
    folder.join(name)
}

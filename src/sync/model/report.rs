//! What a model tells about itself beside its failure.

use std::io::Write;
use std::{env, fs};

use super::token;

/// The number in an environment variable.
pub(super) fn env_or(name: &str, default: usize) -> usize {
    match env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")),
        Err(_) => default,
    }
}

/// A model has passed.
pub(super) fn passed(executions: usize, millis: u128) {
    let name = token::name();
    println!("model {name}: {executions} executions in {millis} ms");
    let Ok(path) = env::var("SELVEDGE_MODEL_LOG") else { return };
    let line = format!("{name} {executions} {millis}\n");
    fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .and_then(|mut file| file.write_all(line.as_bytes()))
        .unwrap_or_else(|error| panic!("SELVEDGE_MODEL_LOG={path} cannot be written: {error}"));
}

//! The path of one execution through loom's choices, as a short text.
//!
//! loom can write the path of an exploration to a checkpoint file, and begin with one. The path of the next
//! execution is in it as the choices that differ from loom's own: which thread runs after each operation,
//! and which store each load sees. After the last of them loom always chooses the same, so they are all that
//! a replay needs. The rest of the file is what remains to be explored, which a replay does not need; so
//! [`encode`] leaves it out, and [`decode`] makes a file in which nothing remains.
//!
//! | in the text | choice |
//! |---|---|
//! | `b12` | thread 1 (the second) runs, at twelve choices in a row |
//! | `v3` | a load sees store 3 of those that loom keeps |
//! | `n`, `y` | loom's own condvar does not wake spuriously, does |

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

/// The number of threads, and of stores that a load may see, for which loom's file has room.
const THREADS: usize = 5;
const STORES: usize = 7;

/// The path in a checkpoint file of loom's. `None` if it does not look as this version of loom writes it.
pub(super) fn encode(checkpoint: &str) -> Option<String> {
    let file: Value = serde_json::from_str(checkpoint).ok()?;
    let (mut text, mut run) = (String::new(), None);
    for entry in file["branches"]["entries"].as_array()? {
        let thread = match entry.get("Schedule") {
            Some(schedule) => Some(active(schedule)?),
            None => None,
        };
        run = match (run, thread) {
            (Some((last, times)), Some(thread)) if last == thread => Some((thread, times + 1)),
            (last, thread) => {
                write_run(&mut text, last);
                thread.map(|thread| (thread, 1))
            }
        };
        if let Some(load) = entry.get("Load") {
            let _ = write!(text, "v{}", load["values"][load["pos"].as_u64()? as usize].as_u64()?);
        }
        if let Some(spurious) = entry.get("Spurious") {
            text.push(if spurious["spur"].as_bool()? { 'y' } else { 'n' });
        }
    }
    write_run(&mut text, run);
    Some(text)
}

fn write_run(text: &mut String, run: Option<(usize, usize)>) {
    if let Some((thread, times)) = run {
        let _ = write!(text, "{}{times}", char::from(b'a' + thread as u8));
    }
}

/// The thread that runs at a choice; the number of threads if it was the last operation of all.
fn active(schedule: &Value) -> Option<usize> {
    let threads = schedule["threads"].as_array()?;
    Some(threads.iter().position(|thread| thread == "Active").unwrap_or(THREADS))
}

/// A checkpoint file with this path, and with nothing else to explore. `None` if the text is no path.
pub(super) fn decode(text: &str) -> Option<String> {
    let (mut entries, mut last_schedule) = (Vec::new(), None);
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let digits = rest[1..].chars().take_while(char::is_ascii_digit).count();
        let number: Option<usize> = rest[1..=digits].parse().ok();
        rest = &rest[1 + digits..];
        match (letter, number) {
            ('a'..='f', Some(times @ 1..=1_000_000)) => {
                for _ in 0..times {
                    entries.push(schedule(letter as usize - 'a' as usize, last_schedule));
                    last_schedule = Some(entries.len() - 1);
                }
            }
            ('v', Some(store @ 0..STORES)) => {
                let mut values = [0; STORES];
                values[0] = store;
                entries.push(json!({"Load": {"values": values, "pos": 0, "len": 1, "exploring": false}}));
            }
            ('y' | 'n', None) => {
                entries.push(json!({"Spurious": {"spur": letter == 'y', "exploring": false}}));
            }
            _ => return None,
        }
    }
    let file = json!({
        "preemption_bound": null, "pos": 0, "branches": {"entries": entries},
        "exploring": false, "skipping": false, "exploring_on_start": false,
    });
    Some(file.to_string())
}

/// A choice of a thread. `last` is the place of the one before it.
fn schedule(thread: usize, last: Option<usize>) -> Value {
    let threads: Vec<_> =
        (0..THREADS).map(|other| if other == thread { "Active" } else { "Disabled" }).collect();
    let last = last.map(|index| json!({"index": index, "_p": null}));
    let choice = json!({
        "preemptions": 0, "initial_active": null, "threads": threads, "prev": last, "exploring": false,
    });
    json!({"Schedule": choice})
}

/// A file of an exploration's own, which is removed when this is dropped.
pub(super) struct Checkpoint(PathBuf);

impl Checkpoint {
    pub(super) fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("selvedge-model-{}-{number}.json", std::process::id());
        let checkpoint = Checkpoint(env::temp_dir().join(name));
        // Left behind by a process that was killed: loom would begin with it.
        let _ = fs::remove_file(&checkpoint.0);
        checkpoint
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Checkpoint {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

//! The reference's systems in Go, measured by a program of their own (`rivals/go/main.go`).

use std::path::Path;
use std::process::Command;

/// Nanoseconds per unit; nothing where there is no Go toolchain. The first line is its version.
pub(crate) fn measure() -> Vec<(String, f64)> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("rivals/go/main.go");
    let Ok(output) = Command::new("go").arg("run").arg(program).env("GOFLAGS", "-mod=mod").output() else {
        eprintln!("no Go toolchain: its rows are left as they were");
        return Vec::new();
    };
    if !output.status.success() {
        eprintln!("the Go program failed: {}", String::from_utf8_lossy(&output.stderr));
        return Vec::new();
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let row = |line: &str| {
        let (name, ns) = line.split_once('\t')?;
        Some(match ns.parse() {
            Ok(ns) => (name.to_owned(), ns),
            Err(_) => (format!("{name} {ns}"), 0.0),
        })
    };
    text.lines().filter_map(row).collect()
}

/// Which of our rows a row of the Go program is beside: the section, and the title of the row.
pub(crate) fn ours(name: &str) -> Option<(&'static str, &'static str)> {
    Some(match name {
        "1p1c capacity 1" => ("queue", "1p1c capacity 1"),
        "1p1c capacity 128" => ("queue", "1p1c capacity 128"),
        "4p4c capacity 128" => ("queue", "4p4c capacity 128"),
        "1p1c, rendezvous" => ("queue", "1p1c, rendezvous"),
        "a task on 2 workers" => ("pool", "burst, queue of 1,024, 2 workers, 2 submitters"),
        "acquire and release, uncontended" => ("semaphore", "uncontended"),
        "10 tasks and a wait" => ("group", "10 empty tasks"),
        "create and cancel a token" => ("cancel", "create and cancel"),
        "a map of 1,024 keys, 90/10 reads/writes, 8 threads" => {
            ("map", "1000 u64, 90/10 reads/writes, 8 threads")
        }
        _ => return None,
    })
}

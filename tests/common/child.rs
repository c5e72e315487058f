//! A test that runs itself in another process: for what ends a process, or is the whole process's.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::watchdog::PATIENCE;

/// Says to the child which case it is to run.
const CASE: &str = "SELVEDGE_TEST_CASE";

/// The case that this process was started for, if it is a child.
pub(crate) fn case() -> Option<String> {
    std::env::var(CASE).ok()
}

/// Runs the test named `test` of this test program again, in a process of its own for each of `cases`, and
/// names all that fail or hang, with what they have said.
#[track_caller]
pub(crate) fn run_all<'c>(test: &str, cases: impl IntoIterator<Item = &'c str>) {
    run_each(test, cases, || Command::new(program()));
}

/// The same, with 4 GiB of address space for each process.
#[track_caller]
pub(crate) fn run_all_limited<'c>(test: &str, cases: impl IntoIterator<Item = &'c str>) {
    run_each(test, cases, || {
        let mut shell = Command::new("sh");
        shell.args(["-c", "ulimit -v 4194304 && exec \"$0\" \"$@\""]).arg(program());
        // One heap for all threads: one that allocates for the first time when the space is used up would get
        // none.
        shell.env("MALLOC_ARENA_MAX", "1");
        shell
    });
}

fn program() -> PathBuf {
    std::env::current_exe().expect("the program that runs has a path")
}

#[track_caller]
fn run_each<'c>(test: &str, cases: impl IntoIterator<Item = &'c str>, command: impl Fn() -> Command) {
    let failed: Vec<String> = cases.into_iter().filter_map(|case| run(test, case, command())).collect();
    assert!(failed.is_empty(), "{} cases failed:\n{}", failed.len(), failed.join("\n"));
}

fn run(test: &str, case: &str, mut command: Command) -> Option<String> {
    let mut child = command
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(CASE, case)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("this program starts once more");
    let hangs = hangs(&mut child);
    if hangs {
        child.kill().expect("a child can be killed");
    }
    let output = child.wait_with_output().expect("a child ends");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let how = if hangs { "hangs".to_owned() } else { output.status.to_string() };
    (hangs || !output.status.success()).then(|| format!("{case}: {how}\n{out}{err}"))
}

fn hangs(child: &mut Child) -> bool {
    let end = Instant::now() + PATIENCE / 4;
    while child.try_wait().expect("a child can be asked").is_none() {
        if Instant::now() > end {
            return true;
        }
        // Not by a busy wait, which the child would have to run beside.
        thread::sleep(Duration::from_millis(1));
    }
    false
}

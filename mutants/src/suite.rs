//! The tests: what each takes, which mutants each reaches, and whether some of them turn red.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant, UNIX_EPOCH};
use std::{fs, thread};

use crate::tree::Program;

/// What runs at a time: a mutant may spin, and the machine may have others on it.
pub(crate) const AT_ONCE: usize = 2;

/// Longest that a test may take when it is measured.
const PATIENCE: Duration = Duration::from_secs(90);

/// Longest that a program may take to say its first word.
const START: Duration = Duration::from_secs(600);

/// Address space of a test program, in KiB: a mutant may ask for all there is.
const ADDRESS_SPACE: u32 = 12_000_000;

/// A switch with which every original runs: no mutant has this number.
pub(crate) const NO_MUTANT: &str = "4294967294";

/// A test, after it was measured.
#[derive(Clone)]
pub(crate) struct Test {
    /// Index into the programs.
    pub(crate) program: usize,
    pub(crate) name: String,
    pub(crate) time: Duration,
    /// Sorted.
    pub(crate) reached: Vec<usize>,
}

/// How a run ended.
pub(crate) enum End {
    Green,
    /// The test that was red, if the program could still say so.
    Red(Option<String>),
    Hang,
}

/// Runs every test once by itself and notes what it reaches. A test that is red without any mutant is left
/// out, and said. What was measured is kept for each program, until that is built anew.
pub(crate) fn measure(programs: &[Program], store: &Path) -> Vec<Test> {
    fs::create_dir_all(store).expect("target is writable");
    let (mut tests, mut left) = (Vec::new(), Vec::new());
    for (index, program) in programs.iter().enumerate() {
        let kept = store.join(format!("{}-{}.txt", program.name.replace('/', "-"), stamp(&program.path)));
        match fs::read_to_string(&kept) {
            Ok(text) => tests.extend(text.lines().map(|line| parse(index, line))),
            Err(_) => left.push((index, kept)),
        }
    }
    let jobs: Vec<(usize, String)> = left
        .iter()
        .flat_map(|(index, _)| names(&programs[*index]).into_iter().map(|name| (*index, name)))
        .collect();
    eprintln!("{} tests are known, {} to measure", tests.len(), jobs.len());
    let found = in_parallel(&jobs, |nth, (index, name)| {
        let record = store.join(format!("record-{nth}"));
        let _ = fs::remove_file(&record);
        let switch = format!("record:{}", record.display());
        let (end, time) = run(&programs[*index], std::slice::from_ref(name), &switch, PATIENCE);
        let text = fs::read_to_string(&record).unwrap_or_default();
        let _ = fs::remove_file(&record);
        let mut reached: Vec<usize> = text.lines().filter_map(|line| line.parse().ok()).collect();
        reached.sort_unstable();
        reached.dedup();
        let test = Test { program: *index, name: name.clone(), time, reached };
        (matches!(end, End::Green), test)
    });
    for (green, test) in &found {
        if !green {
            eprintln!("left out, red without a mutant: {} {}", programs[test.program].name, test.name);
        }
    }
    for (index, kept) in left {
        let mine = found.iter().filter(|(green, test)| *green && test.program == index);
        let lines: Vec<String> = mine.map(|(_, test)| line(test)).collect();
        fs::write(kept, lines.join("\n")).expect("target is writable");
    }
    tests.extend(found.into_iter().filter(|(green, _)| *green).map(|(_, test)| test));
    tests
}

/// Does `work` for each job on a few threads; results in the order of the jobs.
pub(crate) fn in_parallel<J: Sync, R: Send>(jobs: &[J], work: impl Fn(usize, &J) -> R + Sync) -> Vec<R> {
    let (next, results) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let nth = next.fetch_add(1, Ordering::Relaxed);
                    let Some(job) = jobs.get(nth) else { break };
                    let result = work(nth, job);
                    results.lock().expect("nobody panics with it").insert(nth, result);
                }
            });
        }
    });
    results.into_inner().expect("nobody panics with it").into_values().collect()
}

/// Tells a program from one that is built anew.
fn stamp(path: &Path) -> String {
    let about = fs::metadata(path).expect("cargo built it");
    let modified = about.modified().expect("the system keeps times").duration_since(UNIX_EPOCH);
    format!("{}-{}", about.len(), modified.expect("after 1970").as_nanos())
}

fn line(test: &Test) -> String {
    let reached: Vec<String> = test.reached.iter().map(usize::to_string).collect();
    format!("{} {} {}", test.name, test.time.as_micros(), reached.join(","))
}

fn parse(program: usize, line: &str) -> Test {
    let mut words = line.split(' ');
    let name = words.next().unwrap_or_default().to_owned();
    let micros = words.next().and_then(|word| word.parse().ok()).unwrap_or_default();
    let reached = words.next().unwrap_or_default().split(',').filter_map(|id| id.parse().ok());
    Test { program, name, time: Duration::from_micros(micros), reached: reached.collect() }
}

/// The tests of a program that are not ignored.
fn names(program: &Program) -> Vec<String> {
    let list = |which: &[&str]| {
        let mut program = Command::new(&program.path);
        let output = program.args(["--list", "--format=terse"]).args(which).output().expect("it was built");
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let ignored = list(&["--ignored"]);
    let named = list(&[]).into_iter().filter(|line| !ignored.contains(line));
    named.filter_map(|line| Some(line.strip_suffix(": test")?.to_owned())).collect()
}

/// Runs some tests of a program, until the first is red; returns also what they took, from the program's
/// first word on, as does the patience: before it the system may have others to serve.
pub(crate) fn run(program: &Program, tests: &[String], switch: &str, patience: Duration) -> (End, Duration) {
    let mut child = start(program, tests, switch);
    let (sender, lines) = mpsc::channel();
    let output = BufReader::new(child.stdout.take().expect("it is piped"));
    thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    let _ = lines.recv_timeout(START);
    let begun = Instant::now();
    let limit = begun + patience;
    loop {
        match lines.recv_timeout(limit.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                if let Some(test) = line.strip_suffix(" ... FAILED") {
                    kill(child);
                    return (End::Red(Some(test.trim_start_matches("test ").to_owned())), begun.elapsed());
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                kill(child);
                return (End::Hang, begun.elapsed());
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    match child.wait() {
        Ok(status) if status.success() => (End::Green, begun.elapsed()),
        _ => (End::Red(None), begun.elapsed()),
    }
}

/// Starts a program in a process group of its own, so that its children end with it.
fn start(program: &Program, tests: &[String], switch: &str) -> Child {
    // The shell sets the limit, and then becomes the program.
    let script = format!("ulimit -v {ADDRESS_SPACE}; exec \"$0\" \"$@\"");
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &script])
        .arg(&program.path)
        .args(["--exact", "--test-threads=4"])
        .args(tests)
        .current_dir(&program.folder)
        .env("CARGO_MANIFEST_DIR", &program.folder)
        .env("SELVEDGE_MUTANT", switch)
        .env("RUST_BACKTRACE", "0")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    shell.spawn().expect("a test program can be run")
}

/// Ends a program and the children that it may have.
fn kill(mut child: Child) {
    let _ =
        Command::new("kill").args(["-9", "--", &format!("-{}", child.id())]).stderr(Stdio::null()).status();
    let _ = child.kill();
    let _ = child.wait();
}

//! Processes that a bench starts of itself: a neighbour that uses a processor, a section under a condition
//! that binds its whole process, and a structure whose memory is looked at. A bench calls [`serve`] first.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::{env, fmt, fs, hint, thread};

use crate::cells::memory;
use crate::measure::{self, Effort, Row};

/// The first argument of a child, and what it is for.
const SPIN: &str = "--selvedge-spin";
const MEASURE: &str = "--selvedge-measure";
const COUNT: &str = "--selvedge-count";

/// Does what this process is for, and ends it, if a bench has started it; returns if it is the bench.
pub fn serve() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments[..] {
        [SPIN] => spin(),
        [MEASURE, section, effort] => measure_here(section, effort),
        [COUNT, what, library, size] => memory::serve(what, library, size),
        _ => return,
    };
    if let Err(why) = outcome {
        eprintln!("{why}");
        process::exit(1);
    }
    process::exit(0);
}

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// This program, to be started with these arguments.
fn itself(arguments: &[&str]) -> Command {
    let mut command = Command::new(env::current_exe().expect("a program knows where it is"));
    command.args(arguments);
    command
}

/// Uses a processor until its input ends, which it does with the bench, however the bench ends.
fn spin() -> Outcome {
    thread::spawn(|| {
        loop {
            hint::spin_loop();
        }
    });
    io::stdout().write_all(b"!")?;
    io::stdout().flush()?;
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Processes that spin. They are ended when this is dropped, and end by themselves if the bench is killed.
pub(crate) struct Neighbours(Vec<Child>);

impl Neighbours {
    /// As many, which are as nice as that to others; returns when they spin.
    pub(crate) fn new(count: usize, nice: u8) -> Self {
        let mut neighbours = Neighbours(Vec::new());
        for _ in 0..count {
            let mut command = match nice {
                0 => itself(&[SPIN]),
                _ => {
                    let program = itself(&[]);
                    let mut command = Command::new("nice");
                    command.arg("-n").arg(nice.to_string()).arg(program.get_program()).arg(SPIN);
                    command
                }
            };
            let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
            neighbours.0.push(child.expect("a bench needs its neighbours"));
            let output = neighbours.0.last_mut().and_then(|child| child.stdout.as_mut());
            let is_there = output.is_some_and(|output| output.read_exact(&mut [0]).is_ok());
            assert!(is_there, "a neighbour did not begin to spin");
        }
        neighbours
    }
}

impl Drop for Neighbours {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // One that has ended already is as well.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What binds a whole process.
#[derive(Clone, Copy)]
pub(crate) enum Condition {
    OneCore,
    Quota,
}

/// The condition of a section, if it has one.
pub(crate) fn condition(section: &str) -> Option<Condition> {
    match section {
        "one-core" => Some(Condition::OneCore),
        "quota" => Some(Condition::Quota),
        _ => None,
    }
}

impl Condition {
    /// Under a quota a round lasts several of its periods.
    fn effort(self, effort: Effort) -> Effort {
        match self {
            Condition::OneCore => effort,
            Condition::Quota => {
                Effort { rounds: effort.rounds.min(5), round: effort.round * 6, limit: effort.limit * 4 }
            }
        }
    }

    /// Measures a section in a child that is bound.
    pub(crate) fn measure(self, section: &str, effort: Effort) -> Result<Vec<Row>, String> {
        let effort = self.effort(effort);
        let effort = serde_json::to_string(&effort).map_err(|error| error.to_string())?;
        let mut command = itself(&[MEASURE, section, &effort]);
        let _cgroup = match self {
            // The team's threads choose processors of their own otherwise.
            Condition::OneCore => {
                command.env("SELVEDGE_ONE_CORE", "1");
                None
            }
            Condition::Quota => {
                let cgroup = Cgroup::new()?;
                command.env("SELVEDGE_CGROUP", &cgroup.0);
                Some(cgroup)
            }
        };
        let output = command.stderr(Stdio::inherit()).output().map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(format!("its process ended with {}", output.status));
        }
        serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Condition::OneCore => "all threads on one processor",
            Condition::Quota => "a quota of half a processor, in periods of 100 ms",
        })
    }
}

/// In the child: takes the condition on before there is any other thread, measures, and prints the rows.
fn measure_here(section: &str, effort: &str) -> Outcome {
    match condition(section) {
        Some(Condition::OneCore) => {
            let core = core_affinity::get_core_ids().unwrap_or_default().into_iter().next();
            if !core.is_some_and(core_affinity::set_for_current) {
                return Err("this system lets no thread be kept on a processor".into());
            }
        }
        Some(Condition::Quota) => {
            let cgroup = env::var_os("SELVEDGE_CGROUP").ok_or("there is no cgroup")?;
            fs::write(Path::new(&cgroup).join("cgroup.procs"), process::id().to_string())?;
        }
        None => {}
    }
    let rows = measure::rows(section, serde_json::from_str(effort)?);
    serde_json::to_writer(io::stdout(), &rows)?;
    Ok(())
}

/// A group of processes that have half a processor together; gone when it is dropped.
struct Cgroup(PathBuf);

impl Cgroup {
    /// In the hierarchy of version 2, or of version 1 where its controller is there.
    fn new() -> Result<Self, String> {
        let name = format!("selvedge-bench-{}", process::id());
        let version_2: &[(&str, &str)] = &[("cpu.max", "50000 100000")];
        let version_1: &[(&str, &str)] = &[("cpu.cfs_period_us", "100000"), ("cpu.cfs_quota_us", "50000")];
        let mut why = String::new();
        for (root, limits) in [("/sys/fs/cgroup", version_2), ("/sys/fs/cgroup/cpu", version_1)] {
            let folder = Path::new(root).join(&name);
            if let Err(error) = fs::create_dir(&folder) {
                why += &format!("{}: {error}; ", folder.display());
                continue;
            }
            let cgroup = Cgroup(folder);
            // Where the controller is missing, so is the file, and a plain folder is no group.
            let file = |limit: &str| cgroup.0.join(limit);
            let set = limits.iter().try_for_each(|(limit, value)| match file(limit).exists() {
                true => fs::write(file(limit), value),
                false => Err(io::Error::new(io::ErrorKind::NotFound, "the controller `cpu` is not there")),
            });
            match set {
                Ok(()) => return Ok(cgroup),
                Err(error) => why += &format!("{}: {error}; ", cgroup.0.display()),
            }
        }
        Err(why + "a quota needs a cgroup that this user may make")
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Whoever was in it has ended.
        let _ = fs::remove_dir(&self.0);
    }
}

/// What a child counts in a structure of that size: bytes or threads.
pub(crate) fn count(what: &str, library: &str, size: u64) -> u64 {
    let output = itself(&[COUNT, what, library, &size.to_string()]).stderr(Stdio::inherit()).output();
    let output = output.expect("a bench needs its children");
    let number = String::from_utf8_lossy(&output.stdout).trim().parse();
    number.unwrap_or_else(|_| panic!("{what} of {library} at {size} could not be counted"))
}

//! Mutation testing: shows which changes of the source no test or model notices.
//!
//! Each place of `src` (but the crawler and the model side of the door) that could be said otherwise, a `<`
//! for a `<=`, a call left out, a condition that always holds, is a mutant. All of them are woven at once
//! into a copy of the workspace below `target/mutants`, each behind a switch that an environment variable
//! sets, so the tests are built once. Each test then runs once by itself, to learn what it takes and which
//! mutants it reaches; and for each mutant of a sample the tests that reach it run, cheapest first, until one
//! is red or does not end.
//!
//! ```text
//! mutants           a sample of 400; SELVEDGE_MUTANTS=n or =all for another size
//! mutants TEXT      only mutants whose place or text contains TEXT, with every test that reaches them
//! mutants --list    says which mutants there are, and builds nothing
//! ```
//!
//! `SELVEDGE_MUTANT_SEED` chooses another sample, `SELVEDGE_MUTANT_BUDGET` how many seconds of tests a mutant
//! of the sample may cost of each of the two suites (40). The mutants of `by-hand.txt` are tried with every sample.
//!
//! # Reading a survivor
//! A survivor is printed with its place, its line and the line that it would be. It says one of these:
//!
//! - a test is missing: write it, and run this program with the place to see the mutant killed;
//! - the code is needless: take it out;
//! - nobody can tell the two apart (a hint to the processor, a capacity that is a guess, a fast path that the
//!   slow one repeats): write it into `equivalent.txt` with the reason.
//!
//! A mutant that only ever loses time is the second or the third, unless a test can count what it costs.
//! "reached by no test" is the strongest kind: nothing would notice if the line said anything else.

mod find;
mod known;
mod suite;
mod tree;
mod weave;

use std::collections::BTreeMap;
use std::env;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use find::Mutant;
use known::Known;
use suite::{End, Test};
use tree::{Program, Suite, Tree};

/// How many mutants a sample has.
const SAMPLE: usize = 400;

/// Seconds of tests, by their own time, that a mutant of a sample may cost.
const BUDGET: u64 = 40;

/// What became of a mutant.
enum Fate {
    /// By a test.
    Killed(String),
    /// So many tests, of so many that reach it.
    Survived(usize, usize),
}

impl Fate {
    /// What comes of two suites, one after the other.
    fn after(self, before: Option<Fate>) -> Self {
        match (before, self) {
            (Some(Fate::Survived(tried, all)), Fate::Survived(more, of)) => {
                Fate::Survived(tried + more, all + of)
            }
            (_, fate) => fate,
        }
    }
}

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package has a parent");
    let argument = env::args().nth(1);
    let tree = Tree::copy(root);
    let sources = tree.sources();
    let known = Known::read(root, &sources);
    let mut mutants: Vec<Mutant> =
        sources.iter().flat_map(|source| find::mutants(&source.file, &source.text)).collect();
    mutants.extend(known.by_hand.iter().cloned());
    if argument.as_deref() == Some("--list") {
        mutants.iter().for_each(|mutant| println!("{}", show(mutant)));
        return ExitCode::SUCCESS;
    }
    let chosen = tree.weave(&sources, &mutants, |ids| choose(&mutants, ids, argument.as_deref()));
    // A sample is woven whole even if only a part of it is tried, so that it need not be built anew.
    let tried = |id: &usize| argument.as_ref().is_none_or(|text| show(&mutants[*id]).contains(text));
    let chosen: Vec<usize> = chosen.into_iter().filter(tried).collect();
    let budget = if argument.is_some() { u64::MAX } else { number("SELVEDGE_MUTANT_BUDGET", BUDGET) };
    let mut fates: BTreeMap<usize, Fate> = BTreeMap::new();
    for suite in [Suite::Tests, Suite::Models] {
        let left = |id: &usize| !matches!(fates.get(id), Some(Fate::Killed(_)));
        let left: Vec<usize> = chosen.iter().copied().filter(left).collect();
        if left.is_empty() {
            break;
        }
        let programs = tree.build(suite);
        let tests = suite::measure(&programs, &root.join("target/mutants/reached"));
        let trial = Trial { mutants: &mutants, programs: &programs, tests: &tests, budget };
        for (id, fate) in left.iter().zip(trial.of_all(&left)) {
            let before = fates.remove(id);
            fates.insert(*id, fate.after(before));
        }
    }
    let stale = if argument.is_none() { known.stale(&mutants) } else { Vec::new() };
    report(&mutants, &known, &fates, &stale)
}

fn number(variable: &str, default: u64) -> u64 {
    match env::var(variable) {
        Ok(text) if text == "all" => u64::MAX,
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number")),
        Err(_) => default,
    }
}

fn show(mutant: &Mutant) -> String {
    let [old, new] = &mutant.shown;
    format!("{}:{} ({})\n- {old}\n+ {new}", mutant.file, mutant.line, mutant.kind)
}

/// The mutants to weave: the sample, and those that are asked for. The sample are those with the lowest of
/// the numbers that their text and the seed make, so it stays what it is while other lines change.
fn choose(mutants: &[Mutant], ids: Vec<usize>, argument: Option<&str>) -> Vec<usize> {
    let (count, seed) = (number("SELVEDGE_MUTANTS", SAMPLE as u64), number("SELVEDGE_MUTANT_SEED", 1));
    let mut ranked: Vec<(u64, usize)> = ids.into_iter().map(|id| (rank(seed, &mutants[id]), id)).collect();
    println!("{} mutants may compile; a sample of {count}, seed {seed}", ranked.len());
    ranked.sort_unstable();
    let sample = usize::try_from(count).unwrap_or(usize::MAX);
    let asked = |id: usize| {
        mutants[id].kind == "by hand" || argument.is_some_and(|text| show(&mutants[id]).contains(text))
    };
    let chosen = ranked.into_iter().enumerate().filter(|(nth, (_, id))| *nth < sample || asked(*id));
    chosen.map(|(_, (_, id))| id).collect()
}

/// FNV-1a, and a last mixing.
fn rank(seed: u64, mutant: &Mutant) -> u64 {
    let text = format!("{} {} {:?}", mutant.file, mutant.kind, mutant.shown);
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325 ^ seed, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    (hash ^ hash >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93)
}

struct Trial<'a> {
    mutants: &'a [Mutant],
    programs: &'a [Program],
    tests: &'a [Test],
    budget: u64,
}

impl Trial<'_> {
    fn of_all(&self, chosen: &[usize]) -> Vec<Fate> {
        let (done, begun) = (AtomicUsize::new(0), Instant::now());
        suite::in_parallel(chosen, |_, id| {
            let fate = self.of(*id);
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            let what = match &fate {
                Fate::Killed(by) => format!("killed by {by}"),
                Fate::Survived(tried, all) => format!("LEFT by {tried} of {all}"),
            };
            eprintln!(
                "{done}/{} {} s {what}: {}",
                chosen.len(),
                begun.elapsed().as_secs(),
                show(&self.mutants[*id])
            );
            fate
        })
    }

    fn of(&self, id: usize) -> Fate {
        let mut reaching: Vec<&Test> =
            self.tests.iter().filter(|test| test.reached.binary_search(&id).is_ok()).collect();
        reaching.sort_by_key(|test| self.cost(test, id));
        let all = reaching.len();
        let mut spent = Duration::ZERO;
        let mut tried = 0;
        // Each step may take three times what the steps before it did.
        for step in [1, 3, 9, 27, u64::MAX] {
            let step = Duration::from_secs(step.min(self.budget));
            let mut batches: BTreeMap<usize, (Duration, Vec<String>)> = BTreeMap::new();
            while let Some(test) = reaching.get(tried) {
                if spent >= step && tried > 0 {
                    break;
                }
                let (time, names) = batches.entry(test.program).or_default();
                *time += test.time;
                names.push(test.name.clone());
                spent += test.time;
                tried += 1;
            }
            for (program, (time, names)) in batches {
                let program = &self.programs[program];
                let patience = Duration::from_secs(10) + 5 * time;
                match suite::run(program, &names, &id.to_string(), patience).0 {
                    End::Green => {}
                    End::Red(test) => return Fate::Killed(format!("{} {test}", program.name)),
                    End::Hang => return Fate::Killed(format!("{}, which does not end", program.name)),
                }
            }
        }
        Fate::Survived(tried, all)
    }

    /// What a test counts as: its time, but less if it is named after the mutant's module.
    fn cost(&self, test: &Test, id: usize) -> Duration {
        let module = self.mutants[id].file.trim_start_matches("src/").trim_end_matches(".rs");
        let module = module.split('/').next().unwrap_or_default();
        let program = self.programs[test.program].name.trim_start_matches("loom/");
        if program.starts_with(module) { test.time / 8 } else { test.time }
    }
}

fn report(mutants: &[Mutant], known: &Known, fates: &BTreeMap<usize, Fate>, stale: &[String]) -> ExitCode {
    let (mut lines, mut argued) = (Vec::new(), 0);
    for (id, fate) in fates {
        let mutant = &mutants[*id];
        match fate {
            Fate::Killed(_) => {}
            Fate::Survived(..) if known.argues(mutant) => argued += 1,
            Fate::Survived(_, 0) => lines.push(format!("reached by no test\n{}\n", show(mutant))),
            Fate::Survived(tried, all) => {
                lines.push(format!("passed by {tried} tests of {all} that reach it\n{}\n", show(mutant)));
            }
        }
    }
    let survived = lines.len();
    let killed = fates.len() - survived - argued;
    let score = 100.0 * killed as f64 / (killed + survived).max(1) as f64;
    lines.push(format!(
        "{} mutants: {killed} killed, {survived} survived, {argued} argued equivalent; {score:.1} %",
        fates.len(),
    ));
    lines.extend(stale.iter().map(|entry| format!("equivalent.txt: no such mutant: {entry}")));
    println!("{}", lines.join("\n"));
    if survived == 0 && stale.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

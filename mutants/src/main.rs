//! Mutation testing: shows which changes of the source no test or model notices.
//!
//! Each place of `src` (but the model side of the facade) that could be said otherwise, a `<`
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
//! of the sample may cost of each of the two suites (40), `SELVEDGE_MUTANT_MINUTES` after how many minutes no
//! further mutant is begun: the score is then over those that were tried. The mutants of `by-hand.txt` are
//! tried with every sample.
//!
//! A test that turns red kills a mutant only if it is green without the mutant right after, and red with it
//! once more; one that does not end, only if it ends soon without the mutant. So neither a busy machine nor a
//! test that fails now and then adds to the score.
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
const SAMPLE: u64 = 400;

/// Seconds of tests, by their own time, that a mutant of a sample may cost.
const BUDGET: u64 = 40;

/// Minutes that no run takes.
const FOREVER: u64 = 1_000_000;

/// The kind of the mutants in `by-hand.txt`.
const BY_HAND: &str = "by hand";

/// What noticed a mutant.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Test,
    Model,
    /// It does not end.
    Time,
}

/// What became of a mutant.
enum Outcome {
    /// By what, and its name.
    Killed(By, String),
    /// So many tests, of so many that reach it.
    Survived(usize, usize),
    /// The time was up.
    Open,
}

impl Outcome {
    /// What comes of two suites, one after the other.
    fn after(self, before: Option<Outcome>) -> Self {
        match (before, self) {
            (Some(Outcome::Survived(tried, all)), Outcome::Survived(more, of)) => {
                Outcome::Survived(tried + more, all + of)
            }
            // No model was asked: it has survived up to here, or the score would be better the less time
            // there is.
            (Some(before), Outcome::Open) => before,
            (_, outcome) => outcome,
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
    let begun = Instant::now();
    let chosen = tree.weave(&sources, &mutants, |ids| choose(&mutants, ids, argument.as_deref()));
    // A sample is woven whole even if only a part of it is tried, so that it need not be built anew.
    let count = usize::try_from(number("SELVEDGE_MUTANTS", SAMPLE)).unwrap_or(usize::MAX);
    let tried = |(nth, id): &(usize, usize)| match &argument {
        Some(text) => show(&mutants[*id]).contains(text),
        None => *nth < count || mutants[*id].kind == BY_HAND,
    };
    let chosen: Vec<usize> = chosen.into_iter().enumerate().filter(tried).map(|(_, id)| id).collect();
    let budget = if argument.is_some() { u64::MAX } else { number("SELVEDGE_MUTANT_BUDGET", BUDGET) };
    let minutes = number("SELVEDGE_MUTANT_MINUTES", FOREVER).min(FOREVER);
    let mut fates: BTreeMap<usize, Outcome> = BTreeMap::new();
    // The models get the last third.
    for (suite, seconds) in [(Suite::Tests, 40 * minutes), (Suite::Models, 60 * minutes)] {
        let left = |id: &usize| !matches!(fates.get(id), Some(Outcome::Killed(..) | Outcome::Open));
        let left: Vec<usize> = chosen.iter().copied().filter(left).collect();
        if left.is_empty() {
            break;
        }
        let programs = tree.build(suite);
        let tests = suite::measure(&programs, &root.join("target/mutants/reached"));
        let until = begun + Duration::from_secs(seconds);
        let trial = Trial { mutants: &mutants, programs: &programs, tests: &tests, budget, until };
        for (id, outcome) in left.iter().zip(trial.of_all(&left)) {
            let before = fates.remove(id);
            fates.insert(*id, outcome.after(before));
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
    let count = number("SELVEDGE_MUTANTS", SAMPLE).max(SAMPLE);
    let seed = number("SELVEDGE_MUTANT_SEED", 1);
    let mut ranked: Vec<(u64, usize)> = ids.into_iter().map(|id| (rank(seed, &mutants[id]), id)).collect();
    println!("{} mutants may compile; a sample of {count} is woven, seed {seed}", ranked.len());
    ranked.sort_unstable();
    let sample = usize::try_from(count).unwrap_or(usize::MAX);
    let asked = |id: usize| {
        mutants[id].kind == BY_HAND || argument.is_some_and(|text| show(&mutants[id]).contains(text))
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
    /// When no further mutant is begun.
    until: Instant,
}

impl Trial<'_> {
    fn of_all(&self, chosen: &[usize]) -> Vec<Outcome> {
        let (done, begun) = (AtomicUsize::new(0), Instant::now());
        suite::in_parallel(chosen, |_, id| {
            let outcome = if Instant::now() < self.until { self.of(*id) } else { Outcome::Open };
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            let what = match &outcome {
                Outcome::Killed(By::Time, name) => format!("killed by {name}, which does not end"),
                Outcome::Killed(_, name) => format!("killed by {name}"),
                Outcome::Survived(tried, all) => format!("LEFT by {tried} of {all}"),
                Outcome::Open => return outcome,
            };
            eprintln!(
                "{done}/{} {} s {what}: {}",
                chosen.len(),
                begun.elapsed().as_secs(),
                show(&self.mutants[*id])
            );
            outcome
        })
    }

    fn of(&self, id: usize) -> Outcome {
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
                if let Some((by, test)) = killed(program, &names, id, time) {
                    return Outcome::Killed(by, format!("{} {test}", program.name));
                }
            }
        }
        Outcome::Survived(tried, all)
    }

    /// What a test counts as: its time, but less if it is named after the mutant's module.
    fn cost(&self, test: &Test, id: usize) -> Duration {
        let module = self.mutants[id].file.trim_start_matches("src/").trim_end_matches(".rs");
        let module = module.split('/').next().unwrap_or_default();
        let program = self.programs[test.program].name.trim_start_matches("loom/");
        if program.starts_with(module) { test.time / 8 } else { test.time }
    }
}

/// Runs some tests of a program with a mutant: which test noticed.
///
/// What turned red must be green without the mutant and red once more with it, of two times; what does not
/// end must end in half of the time without it.
fn killed(program: &Program, names: &[String], id: usize, time: Duration) -> Option<(By, String)> {
    // Far more than they took by themselves.
    let patience = Duration::from_secs(6) + 8 * time;
    let mutant = id.to_string();
    let red = match suite::run(program, names, &mutant, patience).0 {
        End::Green => return None,
        End::Hang => None,
        End::Red(test) => Some(test),
    };
    let again = match &red {
        Some(Some(test)) => std::slice::from_ref(test),
        _ => names,
    };
    let (control, took) = suite::run(program, again, suite::NO_MUTANT, patience);
    let sound = matches!(control, End::Green)
        && match red {
            None => took * 2 < patience,
            Some(_) => [(); 2]
                .iter()
                .any(|()| !matches!(suite::run(program, again, &mutant, patience).0, End::Green)),
        };
    let (first, more) = (&again[0], again.len() - 1);
    let test = if more == 0 { first.clone() } else { format!("{first} or one of {more} others") };
    if !sound {
        eprintln!("not counted, for it is not so each time: {} {test}", program.name);
        return None;
    }
    let by = match red {
        None => By::Time,
        Some(_) if program.name.starts_with("loom/") => By::Model,
        Some(_) => By::Test,
    };
    Some((by, test))
}

fn report(mutants: &[Mutant], known: &Known, fates: &BTreeMap<usize, Outcome>, stale: &[String]) -> ExitCode {
    let (mut lines, mut argued) = (Vec::new(), 0);
    for (id, outcome) in fates {
        let mutant = &mutants[*id];
        match outcome {
            Outcome::Killed(..) if known.argues(mutant) => {
                lines.push(format!("argued equivalent, but killed\n{}\n", show(mutant)));
            }
            Outcome::Killed(..) | Outcome::Open => {}
            Outcome::Survived(..) if known.argues(mutant) => argued += 1,
            Outcome::Survived(_, 0) => lines.push(format!("reached by no test\n{}\n", show(mutant))),
            Outcome::Survived(tried, all) => {
                lines.push(format!("passed by {tried} tests of {all} that reach it\n{}\n", show(mutant)));
            }
        }
    }
    let count = |is: &dyn Fn(&Outcome) -> bool| fates.values().filter(|outcome| is(outcome)).count();
    let by = |what: By| count(&|outcome| matches!(outcome, Outcome::Killed(by, _) if *by == what));
    let [tests, models, time] = [By::Test, By::Model, By::Time].map(by);
    let killed = tests + models + time;
    let open = count(&|outcome| matches!(outcome, Outcome::Open));
    let survived = fates.len() - open - killed - argued;
    let score = 100.0 * killed as f64 / (killed + survived).max(1) as f64;
    lines.push(format!(
        "{} mutants tried: {killed} killed ({tests} by tests, {models} by models, {time} that do not end), \
         {survived} survived, {argued} argued equivalent; {score:.1} %; no time for {open}",
        fates.len() - open,
    ));
    let faults = survived + open + stale.len();
    lines.extend(stale.iter().map(|entry| format!("equivalent.txt: no such mutant: {entry}")));
    println!("{}", lines.join("\n"));
    if faults == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

//! Makes each breaking edit in a copy of the source, and shows that the models and tests it names turn red.
//!
//! A model that passes proves something only if it would fail on broken code. The files in `breaks/` list
//! one-line breakages and the models, or tests on real threads, that must notice; this program makes them
//! in a copy below `target/breaks`, so that the tree you work in is never touched.
//!
//! It does not build two hundred times. All edits are woven into the copy at once: a function that has some
//! gets a version of its body for each, and an environment variable says which is on. What cannot be said so,
//! an edit of a structure or of a constant, is made and built alone. Without any edit, every model and test
//! must be green in the same build: what is red anyway notices nothing.
//!
//! An edit that does not compile proves nothing, and looks like one that is noticed. So `--check` compiles
//! each of them: the woven copy, and those that are not in it in as few builds as there are edits of one
//! file.

mod copy;
mod lists;
mod run;
mod weave;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

use copy::{ALSO, Copy};
use lists::{Edit, MODELS, TESTS};
use run::{End, Programs, Trial};
use weave::Woven;

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package has a parent");
    let edits = lists::read(root);
    let complaints = lists::check(root, &edits);
    for complaint in &complaints {
        eprintln!("{complaint}");
    }
    if !complaints.is_empty() {
        return ExitCode::FAILURE;
    }
    let filters: Vec<String> = env::args().skip(1).collect();
    let copy = Copy::of(root);
    let woven = copy.weave(root, &edits);
    let inside: BTreeSet<usize> = woven.values().flat_map(Woven::edits).collect();
    let alone = (0..edits.len()).filter(|id| !inside.contains(id));
    println!("{} edits, {} of them woven", edits.len(), inside.len());
    let breaks = Breaks { root, edits: &edits, copy: &copy, woven: &woven };
    if filters.iter().any(|filter| filter == "--check") {
        return breaks.compile_all(alone.map(|id| &edits[id]).collect());
    }
    let chosen = |id: &usize| filters.is_empty() || filters.iter().any(|text| edits[*id].name.contains(text));
    let alone: Vec<&Edit> = alone.filter(chosen).map(|id| &edits[id]).collect();
    let woven: Vec<usize> = inside.iter().copied().filter(chosen).collect();
    let made = woven.len() + alone.len();
    let missed =
        breaks.try_woven(&woven) + alone.into_iter().map(|edit| breaks.try_alone(edit)).sum::<usize>();
    println!("{made} edits made, {missed} not noticed");
    if missed == 0 && made > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Breaks<'a> {
    root: &'a Path,
    edits: &'a [Edit],
    copy: &'a Copy,
    woven: &'a BTreeMap<String, Woven>,
}

impl Breaks<'_> {
    /// Compiles edits that are not woven, and says which of them do not.
    fn compile_all(&self, alone: Vec<&Edit>) -> ExitCode {
        let mut broken = Vec::new();
        for package in [MODELS, TESTS] {
            let there = |edit: &&&Edit| edit.witnesses.iter().any(|witness| witness.package == package);
            let mut builds: Vec<Vec<&Edit>> = Vec::new();
            for edit in alone.iter().filter(there) {
                // Two edits of one file could overlap, or lean on each other; functions of different files do
                // not.
                match builds.iter_mut().find(|build| build.iter().all(|other| other.file != edit.file)) {
                    Some(build) => build.push(edit),
                    None => builds.push(vec![edit]),
                }
            }
            for build in builds {
                if self.compile(package, &build).is_err() {
                    let alone = build.into_iter().map(|edit| (edit, self.compile(package, &[edit])));
                    broken.extend(alone.filter_map(|(edit, compiled)| Some((edit, compiled.err()?))));
                }
            }
        }
        for (edit, message) in &broken {
            eprintln!("{}: does not compile\n{message}", edit.name);
        }
        match broken.len() {
            0 => println!("each applies and compiles; no model lacks one"),
            some => eprintln!("{some} of {} edits do not compile", self.edits.len()),
        }
        if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// Compiles the library with some edits made, all at once.
    fn compile(&self, package: &str, edits: &[&Edit]) -> Result<(), String> {
        edits.iter().for_each(|edit| self.make(edit));
        let also = if package == MODELS { &ALSO[..] } else { &[] };
        let built = self.copy.cargo(&[&["check", "-q", "-p", package, "--lib"], also].concat());
        edits.iter().for_each(|edit| self.put_back(edit));
        if built.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&built.stderr).into_owned()) }
    }

    /// Makes an edit, in place of those that are woven into its file.
    fn make(&self, edit: &Edit) {
        let source = fs::read_to_string(self.root.join(&edit.file)).expect("the edit was checked");
        self.copy.write(&edit.file, source.replacen(&edit.old, &edit.new, 1).as_bytes());
    }

    fn put_back(&self, edit: &Edit) {
        self.copy.write(&edit.file, self.woven[&edit.file].text.as_bytes());
    }

    /// Runs what must notice each edit; returns how many did not, or are red without it.
    fn try_woven(&self, chosen: &[usize]) -> usize {
        let edits = chosen.iter().map(|id| (*id, &self.edits[*id]));
        let trials: Vec<Trial<'_>> = edits
            .flat_map(|(id, edit)| edit.witnesses.iter().map(move |w| (&edit.name[..], Some(id), w)))
            .map(|(edit, switch, witness)| Trial { edit, switch, witness })
            .collect();
        let programs = match Programs::build(self.copy, trials.iter().map(|trial| trial.witness)) {
            Ok(programs) => programs,
            Err(message) => {
                panic!("the library compiles with every edit, but not with its tests:\n{message}")
            }
        };
        let plain: BTreeMap<String, Trial<'_>> = trials
            .iter()
            .map(|Trial { witness, .. }| (witness.name(), Trial { edit: "no edit", switch: None, witness }))
            .collect();
        let plain: Vec<Trial<'_>> = plain.into_values().collect();
        let count = |trials: &[Trial<'_>], right| {
            let ends = programs.run_all(trials, right);
            ends.into_iter().filter(|end| *end != right).count()
        };
        count(&plain, End::Green) + count(&trials, End::Red)
    }

    /// Makes one edit, runs what must notice it, takes the edit back; returns how many did not notice.
    fn try_alone(&self, edit: &Edit) -> usize {
        self.make(edit);
        let missed = match Programs::build(self.copy, edit.witnesses.iter()) {
            Ok(programs) => {
                let trials =
                    edit.witnesses.iter().map(|witness| Trial { edit: &edit.name, switch: None, witness });
                let trials: Vec<Trial<'_>> = trials.collect();
                let ends = programs.run_all(&trials, End::Red);
                ends.into_iter().filter(|end| *end != End::Red).count()
            }
            Err(message) => {
                println!("{}: does not compile\n{message}", edit.name);
                edit.witnesses.len()
            }
        };
        self.put_back(edit);
        missed
    }
}

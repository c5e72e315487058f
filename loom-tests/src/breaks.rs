//! Applies each breaking edit to a copy of the source, and shows that the models and tests it names turn red.
//!
//! A model that passes proves something only if it would fail on broken code. The files in `breaks/` list
//! one-line breakages and the models, or tests on real threads, that must notice; this program makes them,
//! one at a time, in a copy below `target/breaks`, so that the tree you work in is never touched.
//!
//! An edit that does not compile proves nothing, and looks like one that is noticed. So `--check` compiles
//! each of them, on the side where its models or tests run. It does not build two hundred times: a build
//! takes one edit of each file, and only the edits of a build that fails are compiled one by one.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};
use std::{env, fs};

/// The package whose tests are the models, and the one whose tests run on real threads.
const MODELS: &str = "selvedge-loom-tests";
const TESTS: &str = "selvedge-core-tests";

/// One entry of a list.
struct Edit {
    name: String,
    file: String,
    witnesses: Vec<Witness>,
    old: String,
    new: String,
}

/// What must notice an edit.
struct Witness {
    package: &'static str,
    /// The file of tests, or `lib` for the source's own.
    target: String,
    test: String,
}

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package has a parent");
    let lists = files(&root.join("loom-tests/breaks"));
    let edits: Vec<Edit> =
        lists.iter().flat_map(|(_, list)| list.split("\n== ").skip(1).map(parse)).collect();
    let complaints = check(root, &edits);
    for complaint in &complaints {
        eprintln!("{complaint}");
    }
    if !complaints.is_empty() {
        return ExitCode::FAILURE;
    }
    let filter = env::args().nth(1).unwrap_or_default();
    let copy = copy_tree(root);
    if filter == "--check" {
        return compile_all(&copy, &edits);
    }
    let chosen: Vec<&Edit> = edits.iter().filter(|edit| edit.name.contains(&filter)).collect();
    let survivors: usize = chosen.iter().map(|edit| survivors(&copy, edit)).sum();
    println!("{} edits made, {survivors} not noticed", chosen.len());
    if survivors == 0 && !chosen.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn parse(entry: &str) -> Edit {
    let (head, rest) = entry.split_once("\n<<<<\n").expect("an entry has a left side");
    let (old, rest) = rest.split_once("\n----\n").expect("an entry has a right side");
    let new = rest.strip_prefix(">>>>").map_or_else(
        || rest.split_once("\n>>>>").expect("an entry has an end").0.to_owned(),
        |_| String::new(),
    );
    let mut lines = head.lines();
    let name = lines.next().expect("an entry has a name").to_owned();
    let (mut file, mut witnesses) = (String::new(), Vec::new());
    for line in lines {
        match line.split_once(' ') {
            Some(("file", path)) => file = path.to_owned(),
            Some(("model", model)) => witnesses.push(Witness::parse(MODELS, model)),
            Some(("test", test)) => witnesses.push(Witness::parse(TESTS, test)),
            _ => panic!("{name}: what is this line? {line}"),
        }
    }
    Edit { name, file, witnesses, old: old.to_owned(), new }
}

impl Witness {
    fn parse(package: &'static str, text: &str) -> Self {
        let (target, test) = text.split_once("::").expect("a model or test is file::test");
        Witness { package, target: target.to_owned(), test: test.to_owned() }
    }
}

/// What is wrong with the list: an edit that no longer applies, a name in the doc of a model or test that is
/// not in the list or the other way round, a model that no edit breaks.
fn check(root: &Path, edits: &[Edit]) -> Vec<String> {
    let mut complaints = Vec::new();
    for edit in edits {
        let source = fs::read_to_string(root.join(&edit.file)).unwrap_or_default();
        let places = source.matches(&edit.old).count();
        if places != 1 {
            complaints.push(format!("{}: its text is {places} times in {}", edit.name, edit.file));
        }
        if edit.witnesses.is_empty() {
            complaints.push(format!("{}: it names no model and no test", edit.name));
        }
    }
    let witnesses = edits.iter().flat_map(|edit| &edit.witnesses).filter(|witness| witness.package == MODELS);
    let broken: BTreeSet<String> =
        witnesses.map(|witness| format!("{}::{}", witness.target, witness.test)).collect();
    let mut mentioned = BTreeSet::new();
    // Tests on real threads: in the source itself, and in files of their own.
    for text in sources(root) {
        mentioned.extend(edit_names(&text));
    }
    for (file, text) in files(&root.join("loom-tests/tests")) {
        // The first two are negative controls, which carry their breakage with them.
        let own_controls = file == "sync" || file == "reference";
        for (doc, model) in models(&text) {
            let full = format!("{file}::{model}");
            if !broken.contains(&full) && !own_controls {
                complaints.push(format!("{full}: no edit breaks it"));
            }
            mentioned.extend(edit_names(doc));
        }
    }
    let listed: BTreeSet<String> = edits.iter().map(|edit| edit.name.clone()).collect();
    for name in mentioned.symmetric_difference(&listed) {
        complaints.push(format!("{name}: not both in a list of edits and in the doc of a model or test"));
    }
    complaints
}

/// The files of a folder by name, without the ending.
fn files(folder: &Path) -> Vec<(String, String)> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("the folder is readable").path())
        .collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let stem = path.file_stem().expect("a file").to_string_lossy().into_owned();
            (stem, fs::read_to_string(&path).expect("a file of text"))
        })
        .collect()
}

/// Each test of a file with the doc above it.
fn models(text: &str) -> Vec<(&str, &str)> {
    text.split("\n#[test]\n")
        .zip(text.split("\n#[test]\n").skip(1))
        .map(|(before, after)| {
            let doc = before.rsplit("\n\n").next().unwrap_or_default();
            let name = after.split("fn ").nth(1).and_then(|rest| rest.split('(').next());
            (doc, name.expect("a test is a function"))
        })
        .collect()
}

/// The names in the doc's `(edit ``name``)` remarks.
fn edit_names(doc: &str) -> Vec<String> {
    let flat: String = doc.lines().map(|line| line.trim_start().trim_start_matches("///")).collect();
    let remarks = flat.split("(edit").skip(1).map(|rest| rest.split(')').next().unwrap_or_default());
    remarks.flat_map(|remark| remark.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

/// The project's files that git knows, or would add.
fn listed(root: &Path) -> Vec<String> {
    let listed = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(["ls-files", "-co", "--exclude-standard"])
        .output()
        .expect("git lists the files");
    String::from_utf8_lossy(&listed.stdout).lines().map(str::to_owned).collect()
}

/// The texts of the library and of its tests.
fn sources(root: &Path) -> impl Iterator<Item = String> {
    let is_source =
        |file: &String| file.ends_with(".rs") && (file.starts_with("src/") || file.starts_with("tests/"));
    listed(root)
        .into_iter()
        .filter(is_source)
        .filter_map(move |file| fs::read_to_string(root.join(file)).ok())
}

/// Copies what the models are built from, and returns where to.
fn copy_tree(root: &Path) -> PathBuf {
    let copy = root.join("target/breaks/tree");
    let _ = fs::remove_dir_all(&copy);
    fs::create_dir_all(&copy).expect("target is writable");
    for file in listed(root) {
        let file = file.as_str();
        let to = copy.join(file);
        fs::create_dir_all(to.parent().expect("a file is in a folder")).expect("target is writable");
        // A file that is deleted but not committed is listed all the same.
        let _ = fs::copy(root.join(file), to);
    }
    copy
}

/// Compiles every edit, and says which of them do not.
fn compile_all(copy: &Path, edits: &[Edit]) -> ExitCode {
    let mut broken = Vec::new();
    for package in [MODELS, TESTS] {
        let there = |edit: &&Edit| edit.witnesses.iter().any(|witness| witness.package == package);
        let mut builds: Vec<Vec<&Edit>> = Vec::new();
        for edit in edits.iter().filter(there) {
            // Two edits of one file could overlap, or lean on each other; functions of different files do
            // not.
            match builds.iter_mut().find(|build| build.iter().all(|other| other.file != edit.file)) {
                Some(build) => build.push(edit),
                None => builds.push(vec![edit]),
            }
        }
        for build in builds {
            if compile(copy, package, &build).is_err() {
                let alone = build.into_iter().map(|edit| (edit, compile(copy, package, &[edit])));
                broken.extend(alone.filter_map(|(edit, compiled)| Some((edit, compiled.err()?))));
            }
        }
    }
    for (edit, message) in &broken {
        eprintln!("{}: does not compile\n{message}", edit.name);
    }
    match broken.len() {
        0 => println!("{} edits, each applies and compiles; no model lacks one", edits.len()),
        some => eprintln!("{some} of {} edits do not compile", edits.len()),
    }
    if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Compiles the library with some edits made, all at once.
fn compile(copy: &Path, package: &str, edits: &[&Edit]) -> Result<(), String> {
    let undo: Vec<(PathBuf, String)> = edits.iter().map(|edit| make(copy, edit)).collect();
    let built = cargo(copy, &["check", "-q", "-p", package, "--lib"]);
    undo.into_iter().for_each(put_back);
    if built.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&built.stderr).into_owned()) }
}

/// Makes an edit; returns what undoes it.
fn make(copy: &Path, edit: &Edit) -> (PathBuf, String) {
    let path = copy.join(&edit.file);
    let source = fs::read_to_string(&path).expect("the file was copied");
    fs::write(&path, source.replacen(&edit.old, &edit.new, 1)).expect("the copy is writable");
    (path, source)
}

fn put_back((path, source): (PathBuf, String)) {
    fs::write(path, source).expect("the copy is writable");
}

/// Makes one edit, runs what must notice it, takes the edit back; returns how many did not notice.
fn survivors(copy: &Path, edit: &Edit) -> usize {
    let undo = make(copy, edit);
    let survivors = edit.witnesses.iter().filter(|witness| !turns_red(copy, &edit.name, witness)).count();
    put_back(undo);
    survivors
}

fn turns_red(copy: &Path, edit: &str, Witness { package, target, test }: &Witness) -> bool {
    let tests = if target == "lib" { vec!["--lib"] } else { vec!["--test", target] };
    let command = [&["test", "-p", package], &tests[..]].concat();
    let built = cargo(copy, &[&command[..], &["--no-run"]].concat());
    if !built.status.success() {
        println!("{edit}: does not compile\n{}", String::from_utf8_lossy(&built.stderr));
        return false;
    }
    let run = cargo(copy, &[&command[..], &["--", "--exact", test]].concat());
    let output = String::from_utf8_lossy(&run.stdout);
    let ran = output.contains("running 1 test");
    let red = ran && !run.status.success();
    println!("{edit}: {target}::{test} {}", if red { "turns red" } else { "DOES NOT NOTICE" });
    red
}

fn cargo(copy: &Path, args: &[&str]) -> Output {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(copy)
        .env("CARGO_TARGET_DIR", copy.with_file_name("build"))
        .env("RUST_BACKTRACE", "0")
        .args(args)
        .output()
        .expect("cargo can be run")
}

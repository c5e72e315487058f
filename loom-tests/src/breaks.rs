//! Applies each breaking edit to a copy of the source, and shows that the models it names turn red.
//!
//! A model that passes proves something only if it would fail on broken code. The files in `breaks/`
//! list one-line breakages and the models that must notice; this program makes them, one at a time, in a copy below
//! `target/breaks`, so that the tree you work in is never touched.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};
use std::{env, fs};

/// One entry of a list.
struct Edit {
    name: String,
    file: String,
    /// `file::test`
    models: Vec<String>,
    old: String,
    new: String,
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
    if filter == "--check" {
        println!("{} edits, each applies; no model lacks one", edits.len());
        return ExitCode::SUCCESS;
    }
    let chosen: Vec<&Edit> = edits.iter().filter(|edit| edit.name.contains(&filter)).collect();
    let copy = copy_tree(root);
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
    let (mut file, mut models) = (String::new(), Vec::new());
    for line in lines {
        match line.split_once(' ') {
            Some(("file", path)) => file = path.to_owned(),
            Some(("model", model)) => models.push(model.to_owned()),
            _ => panic!("{name}: what is this line? {line}"),
        }
    }
    Edit { name, file, models, old: old.to_owned(), new }
}

/// What is wrong with the list: an edit that no longer applies, a name in a model's doc that is not in the
/// list or the other way round, a model that no edit breaks.
fn check(root: &Path, edits: &[Edit]) -> Vec<String> {
    let mut complaints = Vec::new();
    for edit in edits {
        let source = fs::read_to_string(root.join(&edit.file)).unwrap_or_default();
        let places = source.matches(&edit.old).count();
        if places != 1 {
            complaints.push(format!("{}: its text is {places} times in {}", edit.name, edit.file));
        }
    }
    let broken: BTreeSet<&str> = edits.iter().flat_map(|edit| &edit.models).map(String::as_str).collect();
    let mut mentioned = BTreeSet::new();
    for (file, text) in files(&root.join("loom-tests/tests")) {
        // The first two are negative controls, which carry their breakage with them.
        let own_controls = file == "sync" || file == "reference";
        for (doc, model) in models(&text) {
            let full = format!("{file}::{model}");
            if !broken.contains(full.as_str()) && !own_controls {
                complaints.push(format!("{full}: no edit breaks it"));
            }
            mentioned.extend(edit_names(doc));
        }
    }
    let listed: BTreeSet<String> = edits.iter().map(|edit| edit.name.clone()).collect();
    for name in mentioned.symmetric_difference(&listed) {
        complaints.push(format!("{name}: not both in a list of edits and in a model's doc"));
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
    let flat = doc.replace("\n///", "");
    let remarks = flat.split("(edit").skip(1).map(|rest| rest.split(')').next().unwrap_or_default());
    remarks.flat_map(|remark| remark.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

/// Copies what the models are built from, and returns where to.
fn copy_tree(root: &Path) -> PathBuf {
    let copy = root.join("target/breaks/tree");
    let _ = fs::remove_dir_all(&copy);
    fs::create_dir_all(&copy).expect("target is writable");
    let listed = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(["ls-files", "-co", "--exclude-standard"])
        .output()
        .expect("git lists the files");
    for file in String::from_utf8_lossy(&listed.stdout).lines() {
        let to = copy.join(file);
        fs::create_dir_all(to.parent().expect("a file is in a folder")).expect("target is writable");
        // A file that is deleted but not committed is listed all the same.
        let _ = fs::copy(root.join(file), to);
    }
    copy
}

/// Makes one edit, runs its models, takes the edit back; returns how many did not notice.
fn survivors(copy: &Path, edit: &Edit) -> usize {
    let path = copy.join(&edit.file);
    let source = fs::read_to_string(&path).expect("the file was copied");
    fs::write(&path, source.replacen(&edit.old, &edit.new, 1)).expect("the copy is writable");
    let survivors = edit.models.iter().filter(|model| !turns_red(copy, &edit.name, model)).count();
    fs::write(&path, source).expect("the copy is writable");
    survivors
}

fn turns_red(copy: &Path, edit: &str, model: &str) -> bool {
    let (file, test) = model.split_once("::").expect("a model is file::test");
    let built = cargo(copy, &["--test", file, "--no-run"]);
    if !built.status.success() {
        println!("{edit}: does not compile\n{}", String::from_utf8_lossy(&built.stderr));
        return false;
    }
    let run = cargo(copy, &["--test", file, "--", "--exact", test]);
    let output = String::from_utf8_lossy(&run.stdout);
    let ran = output.contains("running 1 test");
    let red = ran && !run.status.success();
    println!("{edit}: {model} {}", if red { "turns red" } else { "DOES NOT NOTICE" });
    red
}

fn cargo(copy: &Path, args: &[&str]) -> Output {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(copy)
        .env("CARGO_TARGET_DIR", copy.with_file_name("build"))
        .env("RUST_BACKTRACE", "0")
        .args(["test", "-p", "selvedge-loom-tests"])
        .args(args)
        .output()
        .expect("cargo can be run")
}

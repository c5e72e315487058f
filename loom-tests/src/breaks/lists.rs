//! The lists of edits, and what is wrong with them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The package whose tests are the models, and the one whose tests run on real threads.
pub(crate) const MODELS: &str = "selvedge-loom-tests";
pub(crate) const TESTS: &str = "selvedge-core-tests";

/// One entry of a list.
pub(crate) struct Edit {
    pub(crate) name: String,
    pub(crate) file: String,
    pub(crate) witnesses: Vec<Witness>,
    pub(crate) old: String,
    pub(crate) new: String,
}

/// What must notice an edit.
pub(crate) struct Witness {
    pub(crate) package: &'static str,
    /// The file of tests, or `lib` for the source's own.
    pub(crate) target: String,
    pub(crate) test: String,
}

/// The edits of all lists.
pub(crate) fn read(root: &Path) -> Vec<Edit> {
    let lists = files(&root.join("loom-tests/breaks"));
    lists.iter().flat_map(|(_, list)| list.split("\n== ").skip(1).map(parse)).collect()
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

    pub(crate) fn name(&self) -> String {
        format!("{}::{}", self.target, self.test)
    }
}

/// What is wrong with the list: an edit that no longer applies, a name in the doc of a model or test that is
/// not in the list or the other way round, a model that no edit breaks.
pub(crate) fn check(root: &Path, edits: &[Edit]) -> Vec<String> {
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
    let broken: BTreeSet<String> = witnesses.map(Witness::name).collect();
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
pub(crate) fn listed(root: &Path) -> Vec<String> {
    let listed = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(["ls-files", "-co", "--exclude-standard"])
        .output()
        .expect("git lists the files");
    String::from_utf8_lossy(&listed.stdout).lines().map(str::to_owned).collect()
}

/// True of a file of what is modelled: the library, and the crawler's frontier.
pub(crate) fn is_library(file: &str) -> bool {
    file.starts_with("src/") || file.starts_with("crawler/src/frontier/")
}

/// The texts of the library and of its tests.
fn sources(root: &Path) -> impl Iterator<Item = String> {
    let is_source = |file: &String| file.ends_with(".rs") && (is_library(file) || file.starts_with("tests/"));
    listed(root)
        .into_iter()
        .filter(is_source)
        .filter_map(move |file| fs::read_to_string(root.join(file)).ok())
}

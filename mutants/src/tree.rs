//! The woven copy of the workspace, below `target/mutants/tree`: written, and compiled until only mutants are
//! in it that compile.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use serde_json::Value;

use crate::find::{self, Mutant};
use crate::weave::{self, Place};

/// Source that is not mutated: the model side of the facade (its litmus tests are its own), the tests that
/// stand in `src`, and what is documentation only.
const LEFT_OUT: &[&str] = &["src/sync/model/", "src/guide/", ROOT];

/// Of the crate.
const ROOT: &str = "src/lib.rs";

/// The models that build source of the crawler, which is not in the copy.
const CRAWLER: &str = "loom-tests/tests/crawl.rs";

/// A file of the original, below the root.
pub(crate) struct Source {
    pub(crate) file: String,
    pub(crate) text: String,
}

/// The tests are cheap to run, the models find more: they are asked second.
#[derive(Clone, Copy)]
pub(crate) enum Suite {
    Tests,
    Models,
}

/// A test program that was built.
pub(crate) struct Program {
    /// `queue`, or `loom/queue` for the models.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// Where its package is, for tests that look at files.
    pub(crate) folder: PathBuf,
}

pub(crate) struct Tree {
    root: PathBuf,
    tree: PathBuf,
}

impl Tree {
    /// Copies everything but the source that will be woven.
    pub(crate) fn copy(root: &Path) -> Self {
        let tree = Tree { root: root.to_owned(), tree: root.join("target/mutants/tree") };
        for file in tree.listed() {
            let wanted = ["src/", "tests/", "loom-tests/", "README.md", "CHANGELOG.md", "Cargo.lock"];
            // Written otherwise: to write them as they are first would have cargo build all anew.
            let woven = is_mutated(&file) || file == ROOT;
            if file != CRAWLER && !woven && wanted.iter().any(|start| file.starts_with(start)) {
                // A file that is deleted but not committed is listed all the same.
                if let Ok(text) = fs::read_to_string(root.join(&file)) {
                    tree.write(&file, text.as_bytes());
                }
            }
        }
        tree.remove_strangers();
        tree.write("Cargo.toml", tree.manifest().as_bytes());
        let library = fs::read_to_string(root.join(ROOT)).expect("the crate has a root");
        tree.write(ROOT, (library + "\nmod mutation;\n").as_bytes());
        tree.write("src/mutation.rs", include_bytes!("switch.rs"));
        tree
    }

    fn listed(&self) -> Vec<String> {
        let mut git = Command::new("git");
        git.arg("-C").arg(&self.root).args(["ls-files", "-co", "--exclude-standard"]);
        capture(&mut git).lines().map(str::to_owned).collect()
    }

    /// Takes out files of an earlier copy that the original no longer has.
    fn remove_strangers(&self) {
        let mut folders = vec![self.tree.join("tests"), self.tree.join("loom-tests/tests")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("it was just written").flatten() {
                let path = entry.path();
                let original = self.root.join(path.strip_prefix(&self.tree).expect("it is below"));
                if path.is_dir() {
                    folders.push(path);
                } else if !original.exists() {
                    fs::remove_file(path).expect("the copy is writable");
                }
            }
        }
    }

    /// The workspace's manifest without the packages that no test needs.
    fn manifest(&self) -> String {
        let original =
            fs::read_to_string(self.root.join("Cargo.toml")).expect("the workspace has a manifest");
        let lines = original.lines().filter_map(|line| match line {
            line if line.starts_with("members = ") => Some("members = [\".\", \"loom-tests\"]"),
            line if line.starts_with("default-members = ") => None,
            line => Some(line),
        });
        lines.collect::<Vec<_>>().join("\n") + "\n"
    }

    /// Writes a file if it is not there as it should be: cargo goes by times.
    fn write(&self, file: &str, text: &[u8]) {
        let to = self.tree.join(file);
        fs::create_dir_all(to.parent().expect("a file is in a folder")).expect("target is writable");
        if fs::read(&to).ok().as_deref() != Some(text) {
            fs::write(to, text).expect("target is writable");
        }
    }

    /// The files to mutate.
    pub(crate) fn sources(&self) -> Vec<Source> {
        let mut files = self.listed();
        files.sort();
        let wanted = files.into_iter().filter(|file| is_mutated(file));
        wanted
            .filter_map(|file| {
                let text = fs::read_to_string(self.root.join(&file)).ok()?;
                Some(Source { file, text })
            })
            .collect()
    }

    /// The mutants that are known not to compile, from earlier runs.
    fn dropped(&self) -> BTreeSet<String> {
        let known = fs::read_to_string(self.tree.with_file_name("dropped.txt"));
        known.unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// Weaves those mutants that `choose` takes of all that may compile, compiles them, and leaves out what
    /// does not, until all that is left does. Returns which are in the tree.
    pub(crate) fn weave(
        &self,
        sources: &[Source],
        mutants: &[Mutant],
        choose: impl Fn(Vec<usize>) -> Vec<usize>,
    ) -> Vec<usize> {
        let mut dropped = self.dropped();
        loop {
            let may_compile = (0..mutants.len()).filter(|id| !dropped.contains(&key(&mutants[*id])));
            let chosen = choose(may_compile.collect());
            let places = self.write_woven(sources, mutants, &chosen);
            let errors = self.check();
            if errors.is_empty() {
                return chosen;
            }
            let guilty: BTreeSet<usize> =
                errors.iter().flat_map(|error| guilty(error, mutants, &places)).collect();
            eprintln!("{} errors, {} mutants that do not compile", errors.len(), guilty.len());
            if guilty.is_empty() {
                panic!("not a mutant's fault: {:#?}", errors.first().map(|error| &error.message));
            }
            dropped.extend(guilty.iter().map(|id| key(&mutants[*id])));
            let list: Vec<&str> = dropped.iter().map(String::as_str).collect();
            fs::write(self.tree.with_file_name("dropped.txt"), list.join("\n")).expect("target is writable");
        }
    }

    fn write_woven(
        &self,
        sources: &[Source],
        mutants: &[Mutant],
        chosen: &[usize],
    ) -> BTreeMap<String, Vec<Place>> {
        let mut places = BTreeMap::new();
        for source in sources {
            let here = chosen.iter().map(|id| (*id, &mutants[*id]));
            let here: Vec<_> = here.filter(|(_, mutant)| mutant.file == source.file).collect();
            let (text, found) = weave::weave(&source.text, &here);
            self.write(&source.file, text.as_bytes());
            places.insert(source.file.clone(), found);
        }
        places
    }

    fn cargo(&self, subcommand: &[&str]) -> Vec<Value> {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo
            .current_dir(&self.tree)
            .env("CARGO_TARGET_DIR", self.tree.with_file_name("build"))
            // A mutant may leave things unused, and the lists of lints are not about it.
            .env("RUSTFLAGS", "--cap-lints=allow")
            .args(subcommand)
            .args(["--offline", "-q", "--message-format=json"])
            // Nobody debugs it, and it is built from nothing more often than not.
            .envs([("CARGO_PROFILE_DEV_DEBUG", "0"), ("CARGO_INCREMENTAL", "0")]);
        let output = cargo.output().expect("cargo can be run");
        let messages = String::from_utf8_lossy(&output.stdout);
        let messages: Vec<Value> =
            messages.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        if !output.status.success() && messages.is_empty() {
            panic!("cargo: {}", String::from_utf8_lossy(&output.stderr));
        }
        messages
    }

    fn check(&self) -> Vec<Error> {
        let both = ["-p", "selvedge", "-p", "selvedge-loom-tests", "--features=selvedge/rayon"];
        let messages = self.cargo(&[&["check", "--lib", "--keep-going"][..], &both].concat());
        messages.iter().filter_map(Error::of).collect()
    }

    /// Builds every test program of the crate, or every model.
    pub(crate) fn build(&self, suite: Suite) -> Vec<Program> {
        let package = match suite {
            Suite::Tests => ["-p", "selvedge", "--features=rayon"],
            Suite::Models => ["-p", "selvedge-loom-tests", "--features=rayon"],
        };
        let messages = self.cargo(&[&["build", "--keep-going", "--lib", "--tests"][..], &package].concat());
        for error in messages.iter().filter_map(Error::of).filter(|error| error.message.contains("-->")) {
            eprintln!("not built: {}", error.message.lines().take(2).collect::<Vec<_>>().join(""));
        }
        let built = messages.iter().filter_map(|message| {
            let path = PathBuf::from(message["executable"].as_str()?);
            if message["profile"]["test"] != true {
                return None;
            }
            let models = message["manifest_path"].as_str()?.contains("loom-tests");
            let target = message["target"]["name"].as_str()?;
            let folder = self.tree.join(if models { "loom-tests" } else { "" });
            let name = if models { format!("loom/{target}") } else { target.to_owned() };
            Some(Program { name, path, folder })
        });
        built.collect()
    }
}

fn is_mutated(file: &str) -> bool {
    let out = LEFT_OUT.iter().any(|out| file.starts_with(out)) || file.ends_with("tests.rs");
    file.starts_with("src/") && file.ends_with(".rs") && !out
}

/// What tells a mutant from all others, whatever is changed elsewhere.
pub(crate) fn key(mutant: &Mutant) -> String {
    let [old, new] = &mutant.shown;
    format!("{}:{} {} {old} => {new}", mutant.file, mutant.line, mutant.kind)
}

/// An error of the compiler: where it points at.
struct Error {
    message: String,
    /// A value is used after it was moved, or moved while it is borrowed.
    of_moves: bool,
    spans: Vec<(String, Range<usize>)>,
}

impl Error {
    fn of(message: &Value) -> Option<Self> {
        let message = &message["message"];
        if message["level"] != "error" {
            return None;
        }
        let spans = message["spans"].as_array()?.iter().filter_map(|span| {
            let file = span["file_name"].as_str()?;
            let (_, below) = file.rsplit_once("src/")?;
            let [from, to] = ["byte_start", "byte_end"].map(|end| span[end].as_u64().unwrap_or(0) as usize);
            Some((format!("src/{below}"), from..to))
        });
        let rendered = message["rendered"].as_str().unwrap_or_default().to_owned();
        let of_moves = ["E0382", "E0505", "E0597"].iter().any(|code| message["code"]["code"] == *code);
        Some(Error { message: rendered, of_moves, spans: spans.collect() })
    }
}

/// Which mutants are to blame for an error: those in whose text it is; else, for a value that is used after
/// it was moved or while it is borrowed, the exits and drops that are left out between the places that the
/// compiler shows; else the innermost around one of these; else those in them.
fn guilty(error: &Error, mutants: &[Mutant], places: &BTreeMap<String, Vec<Place>>) -> Vec<usize> {
    let pairs: Vec<(&Place, &Range<usize>)> = error
        .spans
        .iter()
        .flat_map(|(file, span)| places.get(file).into_iter().flatten().map(move |place| (place, span)))
        .collect();
    let those = |is: &dyn Fn(&Place, &Range<usize>) -> bool| -> Vec<usize> {
        pairs.iter().filter(|(place, span)| is(place, span)).map(|(place, _)| place.id).collect()
    };
    let found = those(&|place, span| within(span, &place.mutated));
    if !found.is_empty() {
        return found;
    }
    let from = error.spans.iter().map(|(_, span)| span.start).min().unwrap_or(0);
    let to = error.spans.iter().map(|(_, span)| span.end).max().unwrap_or(0);
    let leaves = |place: &Place| {
        let text = &mutants[place.id].shown[0];
        ["return", "break", "continue", "drop("].iter().any(|exit| text.starts_with(exit))
    };
    // In a loop the exit that is missing comes after both.
    for beyond in [0, 400] {
        let found = those(&|place, _| leaves(place) && within(&place.whole, &(from..to + beyond)));
        if !found.is_empty() && error.of_moves {
            return found;
        }
    }
    let around = pairs.iter().filter(|(place, span)| within(span, &place.whole));
    let innermost = around.min_by_key(|(place, _)| place.whole.len()).map(|(place, _)| place.id);
    if innermost.is_some() {
        return innermost.into_iter().collect();
    }
    let found = those(&|place, span| within(&place.whole, span));
    if !found.is_empty() {
        return found;
    }
    those(&|place, _| {
        mutants[place.id].how == find::How::Statement && within(&place.whole, &(from..to + 400))
    })
}

fn within(inner: &Range<usize>, outer: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

/// What a command prints; the command must succeed.
fn capture(command: &mut Command) -> String {
    let output = command.output().expect("the command can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A change that somebody wrote by hand.
pub(crate) fn by_hand(source: &Source, old: &str, new: &str) -> Mutant {
    let places: Vec<usize> = source.text.match_indices(old).map(|(at, _)| at).collect();
    let [start] = places[..] else { panic!("{}: {} times {old}", source.file, places.len()) };
    let how = match syn::parse_str::<syn::Expr>(old) {
        // In parentheses it would not be a statement any more.
        Ok(syn::Expr::While(_) | syn::Expr::If(_) | syn::Expr::ForLoop(_)) | Err(_) => find::How::Statement,
        Ok(_) => find::How::Expression,
    };
    find::describe(
        &source.file,
        &source.text,
        (crate::BY_HAND, how, start..start + old.len(), new.to_owned()),
    )
}

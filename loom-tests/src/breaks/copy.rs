//! The copy below `target/breaks` in which the edits are made.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;
use std::{env, fs, process, thread};

use crate::lists::{self, Edit, MODELS, TESTS};
use crate::weave::{SWITCH, Woven};

/// Where the switch goes: the root of each crate that has source with edits in it. The crawler's is the test
/// that builds it on loom.
const ROOTS: [&str; 2] = ["src/lib.rs", "loom-tests/tests/crawl.rs"];

/// What builds all source that is woven, besides the library in each of both packages.
pub(crate) const ALSO: [&str; 2] = ["--test", "crawl"];

pub(crate) struct Copy {
    tree: PathBuf,
    lock: PathBuf,
}

impl Copy {
    /// Copies what the models are built from, once no other process is at work in the copy.
    pub(crate) fn of(root: &Path) -> Self {
        let folder = root.join("target/breaks");
        fs::create_dir_all(&folder).expect("target is writable");
        let copy = Copy { tree: folder.join("tree"), lock: folder.join("lock") };
        copy.lock();
        let files: BTreeSet<String> = lists::listed(root).into_iter().collect();
        copy.remove_strangers(&files);
        for file in &files {
            // A file that is deleted but not committed is listed all the same.
            let Ok(text) = fs::read(root.join(file)) else { continue };
            // The others were woven, or will be.
            if !is_woven(file) {
                copy.write(file, &text);
            }
        }
        copy
    }

    /// Two runs in one copy would take each other's edits for their own.
    fn lock(&self) {
        let mut told = false;
        loop {
            match OpenOptions::new().write(true).create_new(true).open(&self.lock) {
                Ok(mut file) => return write!(file, "{}", process::id()).expect("target is writable"),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => panic!("{}: {error}", self.lock.display()),
            }
            let holder = fs::read_to_string(&self.lock).unwrap_or_default();
            // One that was killed has left its file behind.
            if !holder.is_empty() && !Path::new("/proc").join(&holder).exists() {
                let _ = fs::remove_file(&self.lock);
            } else if !told {
                eprintln!("process {holder} is at work in {}", self.tree.display());
                told = true;
            }
            thread::sleep(Duration::from_millis(200));
        }
    }

    fn remove_strangers(&self, files: &BTreeSet<String>) {
        let mut folders = vec![self.tree.clone()];
        while let Some(folder) = folders.pop() {
            for path in fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
                let name = path.strip_prefix(&self.tree).expect("it is below").to_string_lossy().into_owned();
                if path.is_dir() {
                    folders.push(path);
                } else if !files.contains(&name) {
                    fs::remove_file(path).expect("target is writable");
                }
            }
        }
    }

    /// Writes a file if it is not there as it should be: cargo goes by times.
    pub(crate) fn write(&self, file: &str, text: &[u8]) {
        let to = self.tree.join(file);
        fs::create_dir_all(to.parent().expect("a file is in a folder")).expect("target is writable");
        if fs::read(&to).ok().as_deref() != Some(text) {
            fs::write(to, text).expect("target is writable");
        }
    }

    /// Weaves all edits, compiles, and leaves out what does not compile this way, until the rest does.
    /// Returns the text of every file and which edits are in it.
    pub(crate) fn weave(&self, root: &Path, edits: &[Edit]) -> BTreeMap<String, Woven> {
        let mut out: BTreeSet<usize> = BTreeSet::new();
        loop {
            let woven = self.write_woven(root, edits, &out);
            let checked = self.cargo(
                &[&["check", "-q", "-p", MODELS, "-p", TESTS, "--lib", "--message-format=short"][..], &ALSO]
                    .concat(),
            );
            if checked.status.success() {
                return woven;
            }
            let errors = String::from_utf8_lossy(&checked.stderr).into_owned();
            let guilty: BTreeSet<usize> = errors.lines().flat_map(|line| guilty(line, &woven)).collect();
            assert!(guilty.iter().any(|id| !out.contains(id)), "not an edit's fault:\n{errors}");
            out.extend(guilty);
        }
    }

    fn write_woven(&self, root: &Path, edits: &[Edit], out: &BTreeSet<usize>) -> BTreeMap<String, Woven> {
        let mut woven = BTreeMap::new();
        for file in lists::listed(root).into_iter().filter(|file| is_woven(file)) {
            let Ok(source) = fs::read_to_string(root.join(&file)) else { continue };
            let here = edits.iter().enumerate().filter(|(id, edit)| edit.file == file && !out.contains(id));
            let mut text = Woven::new(&source, &here.collect());
            if ROOTS.contains(&&file[..]) {
                text.text += SWITCH;
            }
            self.write(&file, text.text.as_bytes());
            woven.insert(file, text);
        }
        woven
    }

    pub(crate) fn cargo(&self, args: &[&str]) -> Output {
        Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .current_dir(&self.tree)
            .env("CARGO_TARGET_DIR", self.tree.with_file_name("build"))
            // An edit may leave things unused.
            .env("RUSTFLAGS", "--cap-lints=allow")
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .args(args)
            .output()
            .expect("cargo can be run")
    }

    /// Where a run may write what it says.
    pub(crate) fn log(&self, nth: usize) -> PathBuf {
        self.tree.with_file_name(format!("log-{nth}"))
    }

    /// The folder of a package.
    pub(crate) fn package(&self, name: &str) -> PathBuf {
        self.tree.join(name.trim_start_matches("selvedge-"))
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.lock);
    }
}

/// True of the source that edits are made in, and of what gets the switch.
fn is_woven(file: &str) -> bool {
    ROOTS.contains(&file) || (lists::is_library(file) && file.ends_with(".rs"))
}

/// The edits that a line of the compiler's is about, `path:line:column: error`.
fn guilty(line: &str, woven: &BTreeMap<String, Woven>) -> BTreeSet<usize> {
    let mut parts = line.splitn(4, ':');
    let (Some(path), Some(at), _, Some(message)) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return BTreeSet::new();
    };
    let file = woven.iter().find(|(file, _)| path.ends_with(file.as_str()));
    match (file, at.parse(), message.trim_start().starts_with("error")) {
        (Some((_, file)), Ok(at), true) => file.guilty(at),
        _ => BTreeSet::new(),
    }
}

//! What was measured, where, and with which versions.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::{fs, io, thread};

use selvedge_benches::measure::Section;
use selvedge_benches::{CONDITIONS, GROWTH, SECTIONS};
use serde::{Deserialize, Serialize};

use crate::Result;

/// Everything that the pages are made of.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Data {
    pub(crate) machine: Machine,
    pub(crate) sections: Vec<Section>,
    /// Processor time in a second of rest, in milliseconds.
    pub(crate) idle: Vec<(String, f64)>,
    /// The reference's systems in Go, in nanoseconds per unit, where there was a toolchain.
    pub(crate) go: Vec<(String, f64)>,
}

/// Where the figures are from.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) processors: usize,
    pub(crate) system: String,
    pub(crate) compiler: String,
    pub(crate) date: String,
    /// Every rival's version.
    pub(crate) versions: BTreeMap<String, String>,
}

const FILE: &str = "data.json";

impl Data {
    /// The data of earlier runs; none if there is no file.
    pub(crate) fn read(folder: &Path) -> Result<Data> {
        match fs::read(folder.join(FILE)) {
            Ok(json) => Ok(serde_json::from_slice(&json)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Data::default()),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        fs::write(folder.join(FILE), serde_json::to_vec(self)?)?;
        Ok(())
    }

    /// Puts the section in, in place of an earlier run's.
    pub(crate) fn put(&mut self, section: Section) {
        self.sections.retain(|other| other.name != section.name);
        self.sections.push(section);
        let place = |name: &str| SECTIONS.iter().chain(&CONDITIONS).position(|section| *section == name);
        self.sections.sort_by_key(|section| place(&section.name).unwrap_or(usize::MAX));
    }

    /// The sections that are compared, without the curves.
    pub(crate) fn compared(&self) -> impl Iterator<Item = &Section> {
        self.sections.iter().filter(|section| section.name != GROWTH)
    }

    pub(crate) fn curves(&self) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == GROWTH)
    }

    pub(crate) fn describe_machine(&mut self) {
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        self.machine = Machine {
            processor: model.map_or("unknown", |(_, name)| name).to_owned(),
            processors: thread::available_parallelism().map_or(1, usize::from),
            system: told(Command::new("uname").arg("-sr")),
            compiler: told(Command::new("rustc").arg("--version")),
            date: told(Command::new("date").arg("-I")),
            versions: versions().unwrap_or_default(),
        };
    }
}

fn told(command: &mut Command) -> String {
    let output = command.output().ok().filter(|output| output.status.success());
    output.map_or_else(
        || "unknown".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

/// The versions of what the benches depend on, as the lock file has them.
fn versions() -> Option<BTreeMap<String, String>> {
    let metadata = Command::new(option_env!("CARGO").unwrap_or("cargo"))
        .args(["metadata", "--locked", "--offline", "--format-version", "1", "--manifest-path"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .output()
        .ok()?;
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).ok()?;
    let packages = metadata["packages"].as_array()?;
    let benches = packages.iter().find(|package| package["name"] == "selvedge-benches")?;
    let needed: Vec<&str> =
        benches["dependencies"].as_array()?.iter().filter_map(|needed| needed["name"].as_str()).collect();
    let version = |package: &serde_json::Value| {
        let name = package["name"].as_str().filter(|name| needed.contains(name))?;
        Some((name.to_owned(), package["version"].as_str()?.to_owned()))
    };
    Some(packages.iter().filter_map(version).collect())
}

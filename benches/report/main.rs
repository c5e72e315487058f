//! The report: everything measured beside its rivals, as a page in Markdown and one with plots, from data
//! that is kept beside them.
//!
//! `cargo bench -p selvedge-benches --bench report` measures every section, the conditions and the curves in
//! ten minutes, writes `benches/report/data.json`, and from it `REPORT.md`, `report.html` and the
//! plots of the README in `plots/`. `-- queue limiter` measures these sections and keeps the other data;
//! `-- --draw` measures nothing. `-- --quick` shows in a minute that it works, and writes to the system's
//! folder of temporary files instead.
//!
//! Where the program `go` is found, the reference's systems are measured with it, too (`go.rs`).

mod data;
mod go;
mod html;
mod idle;
mod markdown;
mod plots;
mod readme;

use std::path::{Path, PathBuf};
use std::{env, fs};

use selvedge_benches::measure::{self, Effort};
use selvedge_benches::{CONDITIONS, GROWTH, SECTIONS};

use data::Data;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Not a section: what everything costs that only waits.
const REST: &str = "rest";

fn main() -> Result<()> {
    selvedge_benches::serve();
    // Cargo adds `--bench`.
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let is_asked = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let (is_quick, only_draws) = (is_asked("--quick"), is_asked("--draw"));
    let sections = || SECTIONS.into_iter().chain(CONDITIONS).chain([GROWTH]);
    let all = || sections().chain([REST]);
    let named: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|name| !name.starts_with("--")).collect();
    if let Some(unknown) = named.iter().find(|name| all().all(|section| section != **name)) {
        return Err(format!("no section {unknown:?}; there are {:?}", all().collect::<Vec<_>>()).into());
    }

    let folder = folder(is_quick)?;
    let mut data = Data::read(&folder)?;
    if !only_draws {
        let effort = if is_quick { Effort::QUICK } else { Effort::THOROUGH };
        for name in sections().filter(|name| named.is_empty() || named.contains(name)) {
            eprint!("measuring {name}");
            let section = measure::section(name, effort);
            eprintln!(", {:.0} s", section.seconds);
            data.put(section);
            // Each section at once: a run of ten minutes may be cut short.
            data.write(&folder)?;
        }
        if named.contains(&REST) || (named.is_empty() && !is_quick) {
            data.idle = idle::measure();
        }
        if named.is_empty() {
            data.go = go::measure();
        }
        data.describe_machine();
        data.write(&folder)?;
    }
    fs::write(folder.join("REPORT.md"), markdown::page(&data))?;
    fs::write(folder.join("report.html"), html::page(&data)?)?;
    fs::create_dir_all(folder.join("plots"))?;
    for (name, svg) in readme::plots(&data)? {
        fs::write(folder.join("plots").join(name), svg)?;
    }
    println!("{}", folder.join("REPORT.md").display());
    Ok(())
}

/// Where the data and the pages are.
fn folder(is_quick: bool) -> Result<PathBuf> {
    let folder = match is_quick {
        true => env::temp_dir().join("selvedge-report"),
        false => Path::new(env!("CARGO_MANIFEST_DIR")).join("report"),
    };
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

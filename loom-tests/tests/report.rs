//! What models write on request: a failure as files, and a report of all models of a program.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, process};

use selvedge_loom::sync::model::check;
use selvedge_loom::sync::{Arc, Condvar, Mutex, thread};

/// What the tests run in a process of their own.
mod planted {
    use super::*;

    /// Two models of one test; the second fails.
    #[test]
    #[ignore = "it fails, for the other tests"]
    fn two_models() {
        check(|| {
            let lock = Arc::new(Mutex::new(0));
            let other = thread::spawn({
                let lock = Arc::clone(&lock);
                move || *lock.lock() += 1
            });
            *lock.lock() += 1;
            other.join().unwrap();
        });
        check(|| {
            let pair = Arc::new((Mutex::new(false), Condvar::new()));
            let waiter = thread::spawn({
                let pair = Arc::clone(&pair);
                move || pair.1.wait_while(&mut pair.0.lock(), |is_set| !*is_set)
            });
            // The mistake: the flag is set without the lock's being held until the notify.
            pair.1.notify_one();
            *pair.0.lock() = true;
            waiter.join().unwrap();
        });
    }
}

/// A folder of a test's own, which is removed when this is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        Folder(env::temp_dir().join(format!("selvedge-{name}-{}", process::id())))
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs the planted models with a variable set to a folder, and returns what they print.
fn output_with(variable: &str, folder: &Path) -> String {
    let output = Command::new(env::current_exe().expect("a test has a program"))
        .args(["planted::two_models", "--exact", "--ignored", "--nocapture", "--test-threads=2"])
        .env(variable, folder)
        .output()
        .expect("it can be run");
    assert!(!output.status.success(), "it passes");
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A failing model writes its table, a diagram with a mark for each step, and JSON with the same steps.
///
/// Fails if the steps are not in the JSON (edit `report-json-has-no-steps`), or if the diagram shows no arrow
/// (edit `report-diagram-has-no-arrows`).
#[test]
fn failure_is_written_as_table_diagram_and_json() {
    let folder = Folder::new("files");
    let printed = output_with("SELVEDGE_MODEL_FILES", &folder.0);
    let table = folder.read("planted.two_models.txt");
    assert!(printed.contains(&table), "{printed}");
    let json: serde_json::Value = serde_json::from_str(&folder.read("planted.two_models.json")).unwrap();
    let steps = json["steps"].as_array().unwrap();
    let rows = table.lines().filter(|line| line.trim_start().starts_with(|c: char| c.is_ascii_digit()));
    assert_eq!(steps.len(), rows.count(), "{table}");
    assert_eq!(json["threads"], serde_json::json!(["main", "thread 1"]));
    assert_eq!(json["standing"].as_array().unwrap().len(), 2);
    assert!(printed.contains(json["token"].as_str().unwrap()), "{printed}");
    let notify = steps.iter().find(|step| step["operation"] == "notify_one").unwrap();
    assert_eq!(notify["outcome"], "nobody waits");
    assert!(notify["file"].as_str().unwrap().ends_with("report.rs"), "{notify}");
    let svg = folder.read("planted.two_models.svg");
    let threads = steps.iter().filter(|step| step["thread"].is_number()).count();
    assert_eq!(svg.matches("<circle").count(), threads, "{svg}");
    // The spawn.
    assert_eq!(svg.matches("class=\"arrow\"").count(), 1, "{svg}");
    assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"), "{svg}");
    let opened = svg.matches("<text").count();
    assert_eq!((opened, opened > steps.len()), (svg.matches("</text>").count(), true), "{svg}");
}

/// A report in the form that CI servers read has each model with its executions, and the table of one that
/// failed.
///
/// Fails if a failure is not noted (edit `report-forgets-failures`).
#[test]
fn report_has_the_models_that_passed_and_the_one_that_failed() {
    let folder = Folder::new("junit");
    output_with("SELVEDGE_MODEL_JUNIT", &folder.0);
    let report = folder.read("report.xml");
    assert!(report.contains("<testsuite name=\"report\" tests=\"2\" failures=\"1\">"), "{report}");
    assert!(report.contains(" executions, at most 2 preemptions</system-out>"), "{report}");
    let (_, failure) = report.split_once("<failure>").expect("one failed");
    let (failure, _) = failure.split_once("</failure>").expect("it is closed");
    assert!(failure.contains("notify_one Condvar 1 → nobody waits"), "{failure}");
    assert!(!failure.contains('<') && !failure.contains(" & "), "{failure}");
}

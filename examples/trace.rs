//! A program that records itself, and writes what its threads did as files.
//!
//!     cargo run --example trace        # writes trace.json, for ui.perfetto.dev, and trace.svg
//!
//! A producer makes jobs, two workers of a pool do them, a batcher stores the results four at a time. The
//! picture shows at a glance that the producer is the slow part: the workers and the batcher are idle.

use std::time::Duration;
use std::{fs, io, thread};

use selvedge::batch::Batch;
use selvedge::inspect::{self, Trace};
use selvedge::{Batcher, Pool};

fn main() -> io::Result<()> {
    let trace = run(40).map_err(|error| io::Error::other(error.to_string()))?;
    fs::write("trace.json", trace.to_chrome())?;
    fs::write("trace.svg", trace.to_svg())?;
    println!("{} events in trace.json and trace.svg, {} dropped", trace.events.len(), trace.dropped);
    Ok(())
}

/// Runs the program with so many jobs, and returns what its threads did.
fn run(jobs: usize) -> Result<Trace, Box<dyn std::error::Error>> {
    let recording = inspect::record(100_000)?;
    let pool = Pool::builder().name("worker").workers(2).queue(8).build()?;
    let store = |_: &mut Batch<usize>| thread::sleep(Duration::from_millis(2)); // a disk
    let batcher = Batcher::builder().name("store").max_items(4).build(store)?;
    let mut tasks = Vec::new();
    for job in 0..jobs {
        // Nothing but this marks what the producer does: it is no task of the crate.
        inspect::span("make a job", || thread::sleep(Duration::from_millis(1)));
        tasks.push(pool.submit_named(format!("job {job}"), move || {
            thread::sleep(Duration::from_micros(500));
            job * job
        })?);
    }
    for task in tasks {
        batcher.add(task.join()?).map_err(|rejected| rejected.error)?;
    }
    batcher.flush()?;
    Ok(recording.trace())
}

#[cfg(test)]
mod tests {
    use selvedge::inspect::Event;

    use super::run;

    #[test]
    fn each_job_and_each_batch_is_in_the_trace() {
        let trace = run(8).unwrap();
        let count = |wanted: fn(&Event) -> bool| trace.events.iter().filter(|event| wanted(event)).count();
        assert_eq!(count(|event| event.name() == "make a job"), 8);
        assert_eq!(count(|event| event.name().starts_with("job ")), 8);
        assert!(count(|event| event.name() == "Batcher") >= 2);
        assert!(trace.to_chrome().contains("\"worker-")); // one of the two may do all
        assert!(trace.to_svg().contains(">store-0</text>"));
    }
}

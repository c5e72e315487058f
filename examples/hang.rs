//! A program that hangs, and says where.
//!
//!     cargo run --example hang         # hangs; Ctrl-\ prints who is blocked where and ends it, as in Go
//!
//! A shop keeps exchange rates. The rates are in a map, each is fetched once for all who ask, and what was
//! fetched is parsed on a pool. A chart on the same pool waits for a rate: the pool's only worker waits for
//! what is queued behind it, through two other threads. Each piece is right, and none of them shows the
//! mistake; the report does.

use std::sync::Arc;
use std::time::Duration;
use std::{io, thread};

use selvedge::{CancelToken, Latch, Pool, ShardedMap, SingleFlight, inspect};

fn main() -> io::Result<()> {
    on_sigquit(|| {
        eprintln!("{}", inspect::blocked());
        std::process::exit(2);
    })?;
    // The same without anybody who presses a key: once for each sleep of more than ten seconds.
    let _watchdog = inspect::watchdog(Duration::from_secs(10), |sleep| {
        eprintln!("{} has been in {} for {:?}", sleep.thread, sleep.operation, sleep.asleep);
    })?;
    Shop::new()?.open()
}

/// Calls `act` for each SIGQUIT, on a thread of its own: a signal handler may take no lock, and a report
/// takes several.
#[cfg(unix)]
fn on_sigquit(mut act: impl FnMut() + Send + 'static) -> io::Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([signal_hook::consts::SIGQUIT])?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        for _signal in signals.forever() {
            act();
        }
    })?;
    Ok(())
}

#[cfg(not(unix))]
fn on_sigquit(_: impl FnMut() + Send + 'static) -> io::Result<()> {
    Ok(())
}

struct Shop {
    pool: Pool,
    fetches: SingleFlight<String, Option<f64>>,
    rates: ShardedMap<String, Option<f64>>,
    stop: CancelToken,
    order: Order,
}

/// The unlucky order, which makes the program hang each time it is run, and not once a week.
struct Order {
    refresh_fetches: Latch,
    totals_ask: Latch,
    chart_begins: Latch,
}

impl Shop {
    fn new() -> io::Result<Arc<Self>> {
        let pool = Pool::builder().name("io").workers(1).build().map_err(io::Error::other)?;
        let (fetches, rates, stop) = (SingleFlight::new(), ShardedMap::new(), CancelToken::new());
        let order =
            Order { refresh_fetches: Latch::new(1), totals_ask: Latch::new(1), chart_begins: Latch::new(1) };
        Ok(Arc::new(Shop { pool, fetches, rates, stop, order }))
    }

    /// Works until `stop` is cancelled, which nobody does.
    fn open(self: &Arc<Self>) -> io::Result<()> {
        thread::scope(|s| {
            let named = |name: &str| thread::Builder::new().name(name.into());
            named("refresh").spawn_scoped(s, || self.refresh())?;
            self.order.refresh_fetches.wait();
            named("totals").spawn_scoped(s, || self.rate(|| self.order.totals_ask.count_down()))?;
            self.order.totals_ask.wait();
            let shop = Arc::clone(self);
            self.pool.execute_named("chart", move || shop.chart()).map_err(io::Error::other)
        })
    }

    fn refresh(&self) -> Option<f64> {
        self.fetch(|| {
            self.order.refresh_fetches.count_down();
            self.order.chart_begins.wait();
        })
    }

    fn chart(&self) {
        self.order.chart_begins.count_down();
        println!("the chart ends at {:?}", self.rate(|| ()));
    }

    /// The rate of the euro, fetched if it is not known.
    fn rate(&self, begin: impl FnOnce()) -> Option<f64> {
        let make = || {
            begin();
            self.fetch(|| ())
        };
        self.rates.get_or_insert_with("EUR".into(), make).ok()?
    }

    /// Fetches the rate of the euro, once for all who ask meanwhile.
    fn fetch(&self, download: impl FnOnce()) -> Option<f64> {
        let call = || {
            download();
            self.parse("1.09")
        };
        self.fetches.call_until("EUR", &self.stop, call).ok()?.ok()?
    }

    /// Parses on the pool, where a long text keeps nobody from his work.
    fn parse(&self, text: &'static str) -> Option<f64> {
        let task = self.pool.submit_named("parse", move || text.parse()).ok()?;
        task.join_until(&self.stop).ok()?.ok()?.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Waits until all three threads are asleep, and returns the report.
    fn report_of_the_hang() -> inspect::Report {
        loop {
            let report = inspect::blocked();
            if report.cycles.iter().any(|cycle| cycle.len() == 3) {
                return report;
            }
            thread::yield_now();
        }
    }

    /// The paragraphs of a page, with what differs from run to run replaced, and in an order that does not
    /// depend on which thread was the first to sleep. So are the lines of the cycle.
    fn comparable(page: &str) -> Vec<String> {
        let word = |word: &str| match word.trim_end_matches([';', ',']) {
            // Addresses, and times such as `1.2s` or `830.1ms`.
            address if address.starts_with("0x") => word.replace(address, "0x0"),
            time if time.ends_with('s') && time.starts_with(|c: char| c.is_ascii_digit()) => {
                word.replace(time, "1s")
            }
            _ => word.to_owned(),
        };
        let line = |line: &str| line.split(' ').map(word).collect::<Vec<_>>().join(" ");
        let paragraph = |text: &str| {
            let mut lines: Vec<String> = text.lines().map(line).collect();
            if lines[0].contains(" waits in a cycle") {
                lines.sort();
            }
            lines.join("\n")
        };
        let mut paragraphs: Vec<String> = page.trim().split("\n\n").map(paragraph).collect();
        paragraphs.sort();
        paragraphs
    }

    #[test]
    fn report_of_the_hang_is_the_one_in_the_readme() {
        let shop = Shop::new().unwrap();
        let report = thread::scope(|s| {
            let open = s.spawn(|| shop.open().unwrap());
            let report = report_of_the_hang();
            shop.stop.cancel();
            open.join().unwrap();
            report
        });
        let readme = include_str!("../README.md");
        let (_, rest) = readme.split_once("cargo run --example hang").expect("the README has it");
        let shown = rest.split("```").nth(1).expect("a block of code").trim_start_matches("text\n");
        assert_eq!(comparable(shown), comparable(&report.to_string()), "the page is\n{report}");
        // Of the three waits, each names the next.
        let cycle = &report.cycles[0];
        for (index, next) in cycle.iter().zip(cycle.iter().cycle().skip(1)) {
            let (sleep, next) = (&report.sleeps[*index], &report.sleeps[*next]);
            assert_eq!(sleep.waits_for, [&*next.thread]);
        }
    }

    #[test]
    #[cfg(unix)]
    fn sigquit_is_acted_on() {
        let (tell, told) = mpsc::channel();
        on_sigquit(move || tell.send(inspect::blocked().to_string()).unwrap()).unwrap();
        signal_hook::low_level::raise(signal_hook::consts::SIGQUIT).unwrap();
        assert!(told.recv().unwrap().contains("blocked"));
    }
}

//! Everybody in turn, a round at a time: ours, the first rival, the second, and again from the start.
//! Absolute times drift while a machine works, so only figures of one run are compared, and of each the
//! median of its rounds.
//!
//! A cell has a limit. Past it no further round begins, as long as there are [`FEWEST`], and an entry that is
//! slower than the fastest by more than [`FAR_BEHIND`] gets only so many rounds: seven of them would say no
//! more than that it is far behind. A row knows how many rounds each entry had.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::{Cell, Entry, cells, children};

/// How thoroughly to measure.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Effort {
    /// Rounds of every entry of a cell.
    pub rounds: usize,
    /// What a round of one entry should take.
    pub round: Duration,
    /// What an entry may take on average, all its rounds and what it needs to prepare them. A cell with six
    /// entries has six times as long.
    pub limit: Duration,
}

impl Effort {
    /// What a figure that is quoted needs.
    pub const THOROUGH: Effort =
        Effort { rounds: 7, round: Duration::from_millis(25), limit: Duration::from_millis(400) };
    /// To see that everything works.
    pub const QUICK: Effort =
        Effort { rounds: 1, round: Duration::from_millis(2), limit: Duration::from_millis(20) };
}

/// Rounds that every entry has at least, if the effort has as many.
pub const FEWEST: usize = 3;

/// From this many times the fastest entry's time on, an entry has the fewest rounds.
pub const FAR_BEHIND: f64 = 20.0;

/// What came of one section.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Section {
    /// Its name.
    pub name: String,
    /// One for each cell.
    pub rows: Vec<Row>,
    /// Rounds of each entry.
    pub rounds: usize,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// What others had of the processors meanwhile, from 0 to 1, where the system tells.
    pub others: Option<f64>,
    /// Under which condition it was measured, or why it was not.
    #[serde(default)]
    pub note: Option<String>,
}

/// What came of one cell.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    /// Cells of one family share a geometric mean.
    pub family: String,
    /// The situation.
    pub title: String,
    /// What an entry counts.
    pub unit: String,
    /// What the figures are, `ns` or `bytes` or `threads`.
    #[serde(default = "nanoseconds")]
    pub measure: String,
    /// Where the cell lies on a curve, if it does.
    pub size: Option<u64>,
    /// True if the size is a number of units, which together cost the size times the figure.
    #[serde(default)]
    pub is_share: bool,
    /// How long it took to measure, in seconds.
    #[serde(default)]
    pub seconds: f64,
    /// Ours first: the library, and the nanoseconds per unit of each round.
    pub entries: Vec<(String, Vec<f64>)>,
}

fn nanoseconds() -> String {
    "ns".to_owned()
}

/// Measures the cells of a section, under its condition if it has one.
///
/// # Panics
/// If there is no section of that name.
pub fn section(name: &str, effort: Effort) -> Section {
    let (start, before) = (Instant::now(), Ticks::now());
    let (rows, note) = match children::condition(name) {
        None => (rows(name, effort), None),
        Some(condition) => match condition.measure(name, effort) {
            Ok(rows) => (rows, Some(condition.to_string())),
            Err(why) => (Vec::new(), Some(format!("not measured: {why}"))),
        },
    };
    let others = before.zip(Ticks::now()).map(|(before, after)| after.share_of_others(&before));
    Section {
        name: name.to_owned(),
        rows,
        rounds: effort.rounds,
        seconds: start.elapsed().as_secs_f64(),
        others,
        note,
    }
}

/// Measures the cells of a section in this process, as it is.
pub(crate) fn rows(section: &str, effort: Effort) -> Vec<Row> {
    // In a hurry, nothing that takes seconds to make.
    let largest = if effort.rounds < FEWEST { 1_000_000 } else { u64::MAX };
    let cells = cells(section).into_iter().filter(|cell| cell.size.unwrap_or(0) <= largest);
    cells.map(|cell| row(cell, effort)).collect()
}

fn row(mut cell: Cell, effort: Effort) -> Row {
    let start = Instant::now();
    // Of what is not time, the count divides the answer.
    let is_time = cell.measure == "ns";
    let seldom = if is_time && effort.rounds < FEWEST { 10 } else { 1 };
    let count = cell.count.map(|count| (count / seldom).max(1));
    let plan = |entry| count.map_or_else(|| Plan::new(entry, effort.round), Plan::fixed);
    let mut plans: Vec<Plan> = cell.entries.iter_mut().map(plan).collect();
    plans.iter_mut().for_each(|plan| plan.is_whole |= cell.quantile);
    let limit = effort.limit * cell.entries.len() as u32;
    let most = if is_time { effort.rounds } else { 1 };
    let mut rounds: Vec<Vec<f64>> = vec![Vec::new(); plans.len()];
    for round in 0..most {
        if round >= FEWEST && start.elapsed() > limit {
            break;
        }
        let fastest = plans.iter().map(|plan| plan.estimate).fold(f64::INFINITY, f64::min);
        for ((entry, plan), times) in cell.entries.iter_mut().zip(&mut plans).zip(&mut rounds) {
            if round < FEWEST || plan.estimate <= FAR_BEHIND * fastest {
                times.push(plan.measure(entry, effort.round));
            }
        }
    }
    let names = cell.entries.iter().map(|entry| entry.name.to_owned());
    Row {
        family: cell.family,
        title: cell.name,
        unit: cell.unit.to_owned(),
        measure: cell.measure.to_owned(),
        size: cell.size,
        is_share: cell.is_share,
        seconds: start.elapsed().as_secs_f64(),
        entries: names.zip(rounds).collect(),
    }
}

/// How often an entry does its thing in a round.
struct Plan {
    count: u64,
    /// What one took when that was found out, in nanoseconds; nothing if the count is fixed.
    estimate: f64,
    is_fixed: bool,
    /// True if a round must be one run, as for a quantile.
    is_whole: bool,
}

/// A round may take so many times what it should, by everybody's clock, because an entry's own leaves out
/// what it prepares.
const SLACK: u32 = 4;

impl Plan {
    fn fixed(count: u64) -> Plan {
        Plan { count, estimate: 0.0, is_fixed: true, is_whole: true }
    }

    /// So often that a round lasts `round` by the entry's own clock, but not so often that it lasts [`SLACK`]
    /// times that by everybody's.
    fn new(entry: &mut Entry, round: Duration) -> Plan {
        // What is made when it is first used is made then.
        (entry.run)(2);
        let mut count = 2;
        loop {
            let mut taken = time_needed(entry, count);
            if taken * 8 >= round && taken < round * 2 {
                // The middle one of three: what happened to be slow once would be run too seldom in every
                // round.
                let mut times = [taken, time_needed(entry, count), time_needed(entry, count)];
                times.sort();
                taken = times[1];
            }
            if taken * 8 >= round {
                let wanted = count as f64 * round.as_secs_f64() / taken.as_secs_f64();
                let estimate = taken.as_nanos() as f64 / count as f64;
                return Plan { count: (wanted as u64).max(2), estimate, is_fixed: false, is_whole: false };
            }
            count *= 4;
        }
    }

    /// Nanoseconds for each. Some that spin need a thousand times longer in one round than in another, and a
    /// run cannot be stopped: so a round is three runs, the first a short one, and ends when it has taken
    /// several times what it should. The next does less then.
    fn measure(&mut self, entry: &mut Entry, round: Duration) -> f64 {
        let (start, most) = (Instant::now(), round * SLACK * 2);
        let (mut taken, mut done) = (Duration::ZERO, 0);
        for share in self.shares() {
            taken += (entry.run)(share);
            done += share;
            if start.elapsed() > most {
                break;
            }
        }
        if !self.is_fixed {
            let whole = start.elapsed().mul_f64(self.count as f64 / done as f64);
            let excess = whole.as_secs_f64() / most.as_secs_f64();
            if excess > 1.0 {
                self.count = ((self.count as f64 / excess) as u64).max(2);
            }
        }
        taken.as_nanos() as f64 / done as f64
    }

    /// How the count is divided: not at all where a round is one run, or short.
    fn shares(&self) -> Vec<u64> {
        const SMALL: u64 = 1_000;
        if self.is_whole || self.count < SMALL {
            return vec![self.count];
        }
        let (first, last) = (self.count / 16, self.count / 2);
        vec![first, self.count - first - last, last]
    }
}

fn time_needed(entry: &mut Entry, count: u64) -> Duration {
    let start = Instant::now();
    let own = (entry.run)(count);
    own.max(start.elapsed() / SLACK)
}

/// The middle one of some figures.
pub fn median(times: &[f64]) -> f64 {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

impl Row {
    /// Our median, in nanoseconds.
    pub fn ours(&self) -> f64 {
        median(&self.entries[0].1)
    }

    /// The fastest rival and its median; `None` where nobody else is measured.
    pub fn best_rival(&self) -> Option<(&str, f64)> {
        let rivals = self.entries[1..].iter().map(|(name, times)| (name.as_str(), median(times)));
        rivals.min_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// How many rounds a library had.
    pub fn rounds(&self, name: &str) -> usize {
        self.entries.iter().find(|(rival, _)| rival == name).map_or(0, |(_, times)| times.len())
    }

    /// The median of a library.
    pub fn of(&self, name: &str) -> Option<f64> {
        self.entries.iter().find(|(rival, _)| rival == name).map(|(_, times)| median(times))
    }

    /// A rival's time over ours, round by round: the lowest, the median and the highest. Above 1 we are
    /// ahead.
    pub fn ratio(&self, name: &str) -> Option<[f64; 3]> {
        let (_, theirs) = self.entries.iter().find(|(rival, _)| rival == name)?;
        let ours = &self.entries[0].1;
        let mut ratios: Vec<f64> = theirs.iter().zip(ours).map(|(theirs, ours)| theirs / ours).collect();
        ratios.sort_by(f64::total_cmp);
        Some([ratios[0], self.of(name)? / self.ours(), ratios[ratios.len() - 1]])
    }
}

/// Rows by family, in their order.
pub fn families(rows: &[Row]) -> Vec<(&str, Vec<&Row>)> {
    let mut families: Vec<(&str, Vec<&Row>)> = Vec::new();
    for row in rows {
        match families.iter_mut().find(|(family, _)| *family == row.family) {
            Some((_, rows)) => rows.push(row),
            None => families.push((&row.family, vec![row])),
        }
    }
    families
}

/// How a curve's total cost grows with its size: as this power of it, for a library. Over the upper half of
/// the sizes, because what is fixed hides the rest below; `None` for fewer than three.
pub fn exponent(rows: &[&Row], library: &str) -> Option<f64> {
    let point = |row: &&Row| {
        let size = row.size? as f64;
        let total = row.of(library)? * if row.is_share { size } else { 1.0 };
        Some((size.ln(), total.ln()))
    };
    let points: Vec<(f64, f64)> = rows.iter().filter_map(point).collect();
    let upper = &points[(points.len() / 2).min(points.len().saturating_sub(3))..];
    if upper.len() < 3 {
        return None;
    }
    let mean = |of: fn(&(f64, f64)) -> f64| upper.iter().map(of).sum::<f64>() / upper.len() as f64;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let slope = |(dx, dy): (f64, f64)| (dx * dy, dx * dx);
    let sums = upper.iter().map(|point| slope((point.0 - x, point.1 - y)));
    let (top, bottom) = sums.fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    Some(top / bottom)
}

/// Caches that a structure outgrows, and rounds that differ, are worth that much.
const TOLERANCE: f64 = 0.1;

/// Says whether our total cost grows faster than linearly, and how the others' does.
pub fn trend(rows: &[&Row]) -> String {
    let Some((ours, rivals)) = exponents(rows) else {
        return "Too few sizes to tell how it grows.".to_owned();
    };
    let told: Vec<String> = rivals.iter().map(|(name, exponent)| format!("{name} {exponent:.2}")).collect();
    let verdict = match (ours <= 1.0 + TOLERANCE, is_steep(rows)) {
        (true, _) => "no worse than linear",
        (false, false) => "worse than linear, as a rival's",
        (false, true) => "**worse than linear**",
    };
    format!("Grows as size^{ours:.2}: {verdict} ({}).", told.join(", "))
}

/// True if our total cost grows faster than linearly, and faster than every rival's.
pub fn is_steep(rows: &[&Row]) -> bool {
    exponents(rows).is_some_and(|(ours, rivals)| {
        let theirs = rivals.iter().map(|(_, exponent)| *exponent).fold(1.0, f64::max);
        ours > theirs + TOLERANCE
    })
}

/// Ours, and each rival's.
fn exponents<'a>(rows: &[&'a Row]) -> Option<(f64, Vec<(&'a str, f64)>)> {
    let first: &'a Row = rows.first()?;
    let mut all = first.entries.iter().filter_map(|(name, _)| Some((name.as_str(), exponent(rows, name)?)));
    let (_, ours) = all.next()?;
    Some((ours, all.collect()))
}

/// The geometric mean.
pub fn geometric_mean(values: impl Iterator<Item = f64>) -> f64 {
    let logarithms: Vec<f64> = values.map(f64::ln).collect();
    (logarithms.iter().sum::<f64>() / logarithms.len() as f64).exp()
}

/// What the system has counted since it started, where it tells (Linux): on a machine that others use, the
/// figures are not to be trusted.
struct Ticks {
    busy: f64,
    idle: f64,
    own: f64,
}

impl Ticks {
    fn now() -> Option<Self> {
        let system = std::fs::read_to_string("/proc/stat").ok()?;
        let system: Vec<f64> =
            system.lines().next()?.split_whitespace().skip(1).map_while(|n| n.parse().ok()).take(8).collect();
        // The name in brackets may contain spaces.
        let own = std::fs::read_to_string("/proc/self/stat").ok()?;
        let own: Vec<f64> = own
            .rsplit(')')
            .next()?
            .split_whitespace()
            .skip(11)
            .map_while(|n| n.parse().ok())
            // user and system, and the same of the children that have ended.
            .take(4)
            .collect();
        // user, nice, system, idle, waiting for a disk, and three or four more that are busy.
        let idle = system.get(3)? + system.get(4)?;
        Some(Ticks { busy: system.iter().sum::<f64>() - idle, idle, own: own.iter().sum() })
    }

    fn share_of_others(&self, before: &Ticks) -> f64 {
        let busy = self.busy - before.busy;
        let others = busy - (self.own - before.own);
        (others / (busy + self.idle - before.idle)).max(0.0)
    }
}

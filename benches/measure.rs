//! Everybody in turn, a round at a time: ours, the first rival, the second, and again from the start.
//! Absolute times drift while a machine works, so only figures of one run are compared, and of each the
//! median of its rounds.
//!
//! A cell has a limit. Past it no further round begins, as long as there are [`FEWEST`], and an entry that is
//! slower than the fastest by more than [`FAR_BEHIND`] gets only so many rounds: seven of them would say no
//! more than that it is far behind. A row knows how many rounds each entry had.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::{Cell, Entry, cells};

/// How thoroughly to measure.
#[derive(Clone, Copy, Debug)]
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
        Effort { rounds: 7, round: Duration::from_millis(40), limit: Duration::from_millis(700) };
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
    /// Where the cell lies on a curve, if it does.
    pub size: Option<u64>,
    /// How long it took to measure, in seconds.
    #[serde(default)]
    pub seconds: f64,
    /// Ours first: the library, and the nanoseconds per unit of each round.
    pub entries: Vec<(String, Vec<f64>)>,
}

/// Measures the cells of a section.
///
/// # Panics
/// If there is no section of that name.
pub fn section(name: &str, effort: Effort) -> Section {
    let (start, before) = (Instant::now(), Ticks::now());
    let rows = cells(name).into_iter().map(|cell| row(cell, effort)).collect();
    let others = before.zip(Ticks::now()).map(|(before, after)| after.share_of_others(&before));
    Section {
        name: name.to_owned(),
        rows,
        rounds: effort.rounds,
        seconds: start.elapsed().as_secs_f64(),
        others,
    }
}

fn row(mut cell: Cell, effort: Effort) -> Row {
    let start = Instant::now();
    let mut plans: Vec<Plan> = cell.entries.iter_mut().map(|entry| Plan::new(entry, effort.round)).collect();
    let fastest = plans.iter().map(|plan| plan.estimate).fold(f64::INFINITY, f64::min);
    let limit = effort.limit * cell.entries.len() as u32;
    let mut rounds: Vec<Vec<f64>> = vec![Vec::new(); plans.len()];
    for round in 0..effort.rounds {
        if round >= FEWEST && start.elapsed() > limit {
            break;
        }
        for ((entry, plan), times) in cell.entries.iter_mut().zip(&mut plans).zip(&mut rounds) {
            if round < FEWEST || plan.estimate <= FAR_BEHIND * fastest {
                times.push(plan.measure(entry, effort.round));
            }
        }
    }
    let names = cell.entries.iter().map(|entry| entry.name.to_owned());
    Row {
        family: cell.family.to_owned(),
        title: cell.name,
        unit: cell.unit.to_owned(),
        size: cell.size,
        seconds: start.elapsed().as_secs_f64(),
        entries: names.zip(rounds).collect(),
    }
}

/// How often an entry does its thing in a round.
struct Plan {
    count: u64,
    /// What one took when that was found out, in nanoseconds.
    estimate: f64,
}

/// A round may take so many times what it should, by everybody's clock, because an entry's own leaves out
/// what it prepares.
const SLACK: u32 = 4;

impl Plan {
    /// So often that a round lasts `round` by the entry's own clock, but not so often that it lasts [`SLACK`]
    /// times that by everybody's.
    fn new(entry: &mut Entry, round: Duration) -> Plan {
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
                return Plan { count: (wanted as u64).max(2), estimate };
            }
            count *= 4;
        }
    }

    /// Nanoseconds for each. Where a round took several times what was planned (some that spin are a hundred
    /// times slower in one round than in another), the next does less.
    fn measure(&mut self, entry: &mut Entry, round: Duration) -> f64 {
        let start = Instant::now();
        let nanos = (entry.run)(self.count).as_nanos() as f64 / self.count as f64;
        let excess = start.elapsed().as_secs_f64() / (round * SLACK).as_secs_f64();
        if excess > 2.0 {
            self.count = ((self.count as f64 / excess) as u64).max(2);
        }
        nanos
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
            .take(2)
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

//! Random choices, all of them from one seed.
//!
//! Two ways to choose who runs:
//!
//! - *Priorities* (Burckhardt, Kothari, Musuvathi and Nagarakatti, "A randomized scheduler with
//!   probabilistic guarantees of finding bugs", 2010): each thread has a random priority, and the highest
//!   that can run does. At `d` random steps the thread that runs falls below all others. A fault that needs
//!   `d + 1` orderings among `n` threads and `k` steps is hit with a probability of at least 1 / (n * k ^
//!   d), however many threads there are; switching at random at each step would hardly ever keep one thread
//!   from running for long.
//! - *A walk*: at each step the thread that runs is preempted with a fixed probability. It finds what needs
//!   many switches.

use std::fmt;
use std::str::FromStr;

use crate::sync::failure::Policy;

/// A thread that cannot do without another one, and does not say so by yielding, gives way after so many
/// steps.
const PATIENCE: usize = 1_000;

/// What determines an execution of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) seed: u64,
    /// Steps among which the switches are chosen.
    pub(super) length: usize,
    pub(super) way: Way,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// So many falls of the running thread.
    Priorities(u32),
    /// Preempted at one of so many steps.
    Walk(u32),
}

impl Plan {
    /// A way that depends on the seed.
    pub(super) fn of(seed: u64, length: usize) -> Self {
        let mut numbers = Numbers::new(seed ^ 0x5eed);
        // Priorities mostly: one schedule in sixteen preempts the thread at every step, which alone finds a
        // cycle of eight locks, and three do so at every second to sixteenth.
        let way = match numbers.below(16) {
            0 => Way::Walk(1),
            1..4 => Way::Walk(2 << numbers.below(4)),
            _ => Way::Priorities(numbers.below(6) as u32),
        };
        Plan { seed, length, way }
    }

    /// The wake policy, and the opportunity for a spurious failure that is taken.
    pub(super) fn policy(&self) -> (Policy, u32) {
        let mut numbers = Numbers::new(self.seed ^ 0xb10c);
        let policies = [Policy::OldestFirst, Policy::NewestFirst, Policy::Spurious];
        (policies[numbers.below(3)], numbers.below(8) as u32)
    }
}

/// `s17l240d3`: seed, length, falls; `w8` for a walk.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { seed, length, way } = self;
        match way {
            Way::Priorities(falls) => write!(f, "s{seed}l{length}d{falls}"),
            Way::Walk(one_of) => write!(f, "s{seed}l{length}w{one_of}"),
        }
    }
}

/// The text is no plan.
#[derive(Debug)]
pub(super) struct NoPlan;

impl FromStr for Plan {
    type Err = NoPlan;

    fn from_str(text: &str) -> Result<Self, NoPlan> {
        let rest = text.strip_prefix('s').ok_or(NoPlan)?;
        let (seed, rest) = rest.split_once('l').ok_or(NoPlan)?;
        let at = rest.find(['d', 'w']).ok_or(NoPlan)?;
        let number = rest[at + 1..].parse().map_err(|_| NoPlan)?;
        let way = match &rest[at..=at] {
            "d" => Way::Priorities(number),
            _ => Way::Walk(number.max(1)),
        };
        let (seed, length) = (seed.parse().map_err(|_| NoPlan)?, rest[..at].parse().map_err(|_| NoPlan)?);
        Ok(Plan { seed, length, way })
    }
}

/// Steele, Lea and Flood's SplitMix64.
pub(super) struct Numbers(u64);

impl Numbers {
    pub(super) fn new(seed: u64) -> Self {
        Numbers(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

/// The thread that runs next.
pub(super) struct Choice(pub(super) usize);

/// The scheduler of one execution.
pub(super) struct Dice {
    numbers: Numbers,
    way: Way,
    /// Of each thread; the highest that can run does. Threads that fall get lower and lower ones.
    priorities: Vec<i64>,
    lowest: i64,
    /// The steps at which the running thread falls, the last first.
    falls: Vec<usize>,
    steps: usize,
    /// Steps since the last switch.
    in_a_row: usize,
    /// The running thread is to be preempted now.
    preempts: bool,
}

impl Dice {
    pub(super) fn new(plan: Plan) -> Self {
        let mut numbers = Numbers::new(plan.seed);
        let mut falls: Vec<usize> = match plan.way {
            Way::Priorities(falls) => (0..falls).map(|_| numbers.below(plan.length)).collect(),
            Way::Walk(_) => Vec::new(),
        };
        falls.sort_unstable_by(|a, b| b.cmp(a));
        Dice {
            numbers,
            way: plan.way,
            priorities: Vec::new(),
            lowest: 0,
            falls,
            steps: 0,
            in_a_row: 0,
            preempts: false,
        }
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.numbers.below(bound)
    }

    /// Whether a deadline passes now, although threads can run.
    pub(super) fn expires(&mut self) -> bool {
        self.below(64) == 0
    }

    pub(super) fn add_thread(&mut self) {
        self.priorities.push(1 + self.numbers.below(1 << 40) as i64);
    }

    /// The thread falls below all others.
    pub(super) fn demote(&mut self, thread: usize) {
        self.lowest -= 1;
        self.priorities[thread] = self.lowest;
        self.preempts = true;
    }

    /// The running thread reaches a switch point.
    pub(super) fn step(&mut self, running: usize) {
        self.steps += 1;
        self.in_a_row += 1;
        while self.falls.last().is_some_and(|step| *step < self.steps) {
            self.falls.pop();
            self.demote(running);
        }
        if self.in_a_row > PATIENCE {
            self.demote(running);
        }
        if let Way::Walk(one_of) = self.way {
            self.preempts |= self.below(one_of as usize) == 0;
        }
    }

    /// Chooses among the threads that can run, which may include the one that ran last.
    pub(super) fn choose(&mut self, ready: &[usize], last: usize) -> Option<Choice> {
        let preempts = std::mem::take(&mut self.preempts);
        let others: Vec<usize> = ready.iter().copied().filter(|thread| *thread != last).collect();
        let next = match self.way {
            Way::Priorities(_) => ready.iter().copied().max_by_key(|thread| self.priorities[*thread])?,
            Way::Walk(_) if others.len() < ready.len() && (!preempts || others.is_empty()) => last,
            Way::Walk(_) => *others.get(self.below(others.len()))?,
        };
        if next != last {
            self.in_a_row = 0;
        }
        Some(Choice(next))
    }
}

//! Random sequences of adds, time and flushes on a manual clock, against the rules alone.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Add(u8),
    Advance(u8),
    Flush,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0u8..6).prop_map(Step::Add),
        2 => (0u8..12).prop_map(Step::Advance),
        1 => Just(Step::Flush),
    ];
    proptest::collection::vec(step, 0..40)
}

/// What the batches must be, from the rules alone.
#[derive(Default)]
struct Rules {
    open: Vec<u32>,
    weight: usize,
    age: u64,
    batches: Vec<Vec<u32>>,
}

const MOST_ITEMS: usize = 4;
const MOST_WEIGHT: usize = 9;
const MOST_AGE: u64 = 10;

impl Rules {
    fn cut(&mut self) {
        if !self.open.is_empty() {
            self.batches.push(std::mem::take(&mut self.open));
        }
        (self.weight, self.age) = (0, 0);
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Add(weight) => {
                if self.weight + *weight as usize > MOST_WEIGHT {
                    self.cut();
                }
                self.open.push(u32::from(*weight));
                self.weight += *weight as usize;
                if self.open.len() == MOST_ITEMS || self.weight == MOST_WEIGHT {
                    self.cut();
                }
            }
            Step::Advance(time) => {
                self.age += if self.open.is_empty() { 0 } else { u64::from(*time) };
                if self.age >= MOST_AGE {
                    self.cut();
                }
            }
            Step::Flush => self.cut(),
        }
    }
}

/// The batches that a batcher makes of the steps, and the rules beside it.
fn ours(steps: &[Step]) -> (Vec<Vec<u32>>, Rules, Report<u32>) {
    let (handler, told) = telling();
    let (clock, mut rules) = (Clock::manual(), Rules::default());
    let builder = Batcher::builder().max_items(MOST_ITEMS).max_weight(MOST_WEIGHT).backlog(100);
    let builder = builder.weigh(|n: &u32| *n as usize).max_age(Duration::from_secs(MOST_AGE));
    let batcher = builder.clock(&clock).build(handler).unwrap();
    for step in steps {
        rules.step(step);
        match step {
            Step::Add(weight) => batcher.add(u32::from(*weight)).unwrap(),
            Step::Flush => batcher.flush().unwrap(),
            Step::Advance(time) => {
                clock.advance(Duration::from_secs(u64::from(*time)));
                // What is too old is cut off when the thread takes it, and the next item comes after that.
                eventually("the batches are taken", || batcher.stats().batches == rules.batches.len());
            }
        }
    }
    let report = batcher.close();
    drop(batcher);
    rules.cut();
    (told.iter().map(|batch| batch.items).collect(), rules, report)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn batches_are_what_the_rules_say(steps in steps()) {
        let added = steps.iter().filter(|step| matches!(step, Step::Add(_))).count();
        let (batches, rules, report) = within_a_minute(move || ours(&steps));
        prop_assert_eq!(batches, rules.batches);
        prop_assert_eq!(report.stats.processed, added);
    }
}

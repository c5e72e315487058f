//! A report as a page for people and as JSON.

use std::collections::HashMap;
use std::fmt::{self, Display};

use super::json::{Figures, List, Maybe, Quoted, Seconds, Text};
use super::{Object, Report, Running, Sleep, Token};

/// The number of threads, cycles or tasks that a part of the page names; the others are only counted.
const NAMED: usize = 8;

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.sleeps.len();
        writeln!(f, "{count} {} blocked", if count == 1 { "thread is" } else { "threads are" })?;
        self.cycles.iter().take(NAMED).try_for_each(|cycle| self.write_cycle(f, cycle))?;
        match self.cycles.len().saturating_sub(NAMED) {
            0 => {}
            more => writeln!(f, "\nand {more} more cycles")?,
        }
        self.alike().iter().try_for_each(|group| write_alike(f, group))?;
        self.write_objects(f)
    }
}

impl Report {
    /// The sleeps in groups that wait alike.
    fn alike(&self) -> Vec<Vec<&Sleep>> {
        let mut alike: Vec<Vec<&Sleep>> = Vec::new();
        for sleep in &self.sleeps {
            // Not by the object: a hundred connections, each with a queue of its own, wait alike.
            let key = |other: &Sleep| {
                let token = other.token.map(|token| token.made_at);
                (other.operation, other.location, other.left.is_some(), token)
            };
            // A linear search, since a program has few kinds of calls that sleep, and a page is for people.
            match alike.iter_mut().find(|group| key(group[0]) == key(sleep)) {
                Some(group) => group.push(sleep),
                None => alike.push(vec![sleep]),
            }
        }
        // Stable, so that among entries with a limit, and among those without, the longest stays first.
        alike.sort_by_key(|group| group[0].left.is_some());
        alike
    }

    /// Writes the objects. Of those of one kind that were made in one place, such as the limiters of a
    /// thousand keys, only the first are written.
    fn write_objects(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut alike: HashMap<_, usize> = HashMap::new();
        for object in &self.objects {
            let count = alike.entry((object.kind, &object.name, object.location)).or_default();
            *count += 1;
            if *count <= NAMED {
                write!(f, "\n{object}\n")?;
            }
        }
        match alike.values().map(|count| count.saturating_sub(NAMED)).sum() {
            0_usize => Ok(()),
            more => writeln!(f, "\nand {more} more objects like these"),
        }
    }

    fn write_cycle(&self, f: &mut fmt::Formatter<'_>, cycle: &[usize]) -> fmt::Result {
        writeln!(f, "\n{} waits in a cycle, each for the next and the last for the first", cycle.len())?;
        for sleep in cycle.iter().take(NAMED).map(|index| &self.sleeps[*index]) {
            write!(f, "    {}", sleep.thread)?;
            if let Some(task) = &sleep.task {
                write!(f, " (runs {task})")?;
            }
            writeln!(f, " in {} at {}", sleep.operation, sleep.location)?;
        }
        match cycle.len().saturating_sub(NAMED) {
            0 => Ok(()),
            more => writeln!(f, "    and {more} more"),
        }
    }

    /// Writes the report as a JSON object with the names of the fields: durations in seconds, addresses as
    /// strings, source locations as `file:line:column`.
    ///
    /// # Examples
    /// ```
    /// use selvedge::inspect;
    ///
    /// assert!(inspect::blocked().to_json().starts_with(r#"{"sleeps":["#));
    /// ```
    pub fn to_json(&self) -> String {
        let sleeps = List(self.sleeps.iter().map(SleepJson));
        let cycles = List(self.cycles.iter().map(|cycle| List(cycle.iter())));
        let objects = List(self.objects.iter().map(ObjectJson));
        format!("{{\"sleeps\":{sleeps},\"cycles\":{cycles},\"objects\":{objects}}}")
    }
}

fn write_alike(f: &mut fmt::Formatter<'_>, group: &[&Sleep]) -> fmt::Result {
    let first = group[0];
    let threads = if group.len() == 1 { "thread" } else { "threads" };
    writeln!(f, "\n{} {threads} in {} at {}", group.len(), first.operation, first.location)?;
    write!(f, "    {}, for {:.1?}", Limit(first), first.asleep)?;
    if let Some(left) = first.left {
        write!(f, ", {left:.1?} left")?;
    }
    if group.iter().any(|sleep| sleep.object != first.object) {
        write!(f, "; on different objects, the first {:#x}", first.object)?;
    } else if first.object != 0 {
        write!(f, "; object {:#x}", first.object)?;
    }
    for (name, value) in &first.state {
        write!(f, ", {name} {value}")?;
    }
    write!(f, "\n    ")?;
    for (place, sleep) in group.iter().take(NAMED).enumerate() {
        write!(f, "{}{}", if place == 0 { "" } else { ", " }, sleep.thread)?;
        if !sleep.waits_for.is_empty() {
            write!(f, " (waits for {})", sleep.waits_for.join(", "))?;
        }
    }
    match group.len().saturating_sub(NAMED) {
        0 => writeln!(f),
        more => writeln!(f, " and {more} more"),
    }
}

/// What can end a sleep besides what it waits for.
struct Limit<'a>(&'a Sleep);

impl Display for Limit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.left, &self.0.token) {
            (None, None) => f.write_str("without a limit"),
            (None, Some(token)) => write!(f, "until the token made at {} is cancelled", token.made_at),
            (Some(_), None) => f.write_str("with a time limit"),
            (Some(_), Some(token)) => {
                write!(f, "with a time limit, or until the token made at {} is cancelled", token.made_at)
            }
        }
    }
}

impl Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.label())?;
        for (place, (figure, value)) in self.figures.iter().enumerate() {
            write!(f, "{} {figure} {value}", if place == 0 { "" } else { "," })?;
        }
        if self.is_stuck {
            write!(f, "; work is queued, and every thread that could do it is blocked")?;
        }
        for (place, running) in self.running.iter().take(NAMED).enumerate() {
            write!(f, "{}{running}", if place == 0 { "\n    runs " } else { ", " })?;
        }
        match self.running.len().saturating_sub(NAMED) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

impl Display for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.task.is_empty() {
            write!(f, "{} on ", self.task)?;
        }
        f.write_str(&self.thread)?;
        match self.elapsed {
            Some(elapsed) => write!(f, " for {elapsed:.1?}"),
            None => Ok(()),
        }
    }
}

struct SleepJson<'a>(&'a Sleep);

impl Display for SleepJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sleep { thread, thread_id, operation, object, state, location, asleep, left, token, .. } = self.0;
        write!(f, "{{\"thread\":{},\"thread_id\":", Quoted(thread))?;
        write!(f, "{},\"operation\":{},", Quoted(&format!("{thread_id:?}")), Quoted(operation))?;
        write!(f, "\"object\":\"{object:#x}\",\"state\":{},", Figures(state))?;
        write!(f, "\"location\":{},\"asleep\":{},", Text(location), Seconds(*asleep))?;
        write!(f, "\"left\":{},\"token\":", Maybe(left.map(Seconds)))?;
        match token {
            None => f.write_str("null")?,
            Some(Token { address, made_at }) => {
                write!(f, "{{\"address\":\"{address:#x}\",\"made_at\":{}}}", Text(made_at))?;
            }
        }
        let Sleep { waits_for, works_for, task, .. } = self.0;
        write!(f, ",\"waits_for\":{},", List(waits_for.iter().map(|thread| Quoted(thread))))?;
        write!(f, "\"works_for\":{},", Maybe(works_for.as_deref().map(Quoted)))?;
        write!(f, "\"task\":{}}}", Maybe(task.as_deref().map(Quoted)))
    }
}

struct ObjectJson<'a>(&'a Object);

impl Display for ObjectJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Object { kind, name, address, location, figures, running, is_stuck, .. } = self.0;
        write!(f, "{{\"kind\":{},\"name\":{},", Quoted(kind), Quoted(name))?;
        write!(f, "\"address\":\"{address:#x}\",\"location\":{},", Maybe(location.map(Text)))?;
        write!(f, "\"figures\":{},", Figures(figures))?;
        write!(f, "\"running\":{},", List(running.iter().map(RunningJson)))?;
        write!(f, "\"is_stuck\":{is_stuck}}}")
    }
}

struct RunningJson<'a>(&'a Running);

impl Display for RunningJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Running { task, thread, elapsed, .. } = self.0;
        write!(f, "{{\"task\":{},\"thread\":{},", Quoted(task), Quoted(thread))?;
        write!(f, "\"elapsed\":{}}}", Maybe(elapsed.map(Seconds)))
    }
}

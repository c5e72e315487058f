//! Weaves the mutants of a file into it, so that each is one branch away from the original.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::find::{How, Mutant};

/// Where a mutant came to stand in the woven file.
pub(crate) struct Place {
    pub(crate) id: usize,
    /// Its own text.
    pub(crate) mutated: Range<usize>,
    /// The whole switch, with the original in it.
    pub(crate) whole: Range<usize>,
}

/// Mutants with the same place in the source.
type Group<'a> = ((usize, std::cmp::Reverse<usize>, How), Vec<(usize, &'a Mutant)>);

/// Returns the woven text and where each mutant is in it.
///
/// A mutant's own text has no other mutants in it, as only one is ever on; the original has, so the text
/// grows with the depth of the nesting only.
pub(crate) fn weave(source: &str, mutants: &[(usize, &Mutant)]) -> (String, Vec<Place>) {
    let mut groups: BTreeMap<_, Vec<(usize, &Mutant)>> = BTreeMap::new();
    for &(id, mutant) in mutants {
        // Outer ones first.
        let key = (mutant.range.start, std::cmp::Reverse(mutant.range.end), mutant.how);
        groups.entry(key).or_default().push((id, mutant));
    }
    let groups: Vec<Group<'_>> = groups.into_iter().collect();
    let mut woven = Woven { source, text: String::new(), places: Vec::new() };
    woven.range(0..source.len(), &groups);
    (woven.text, woven.places)
}

struct Woven<'a> {
    source: &'a str,
    text: String,
    places: Vec<Place>,
}

impl Woven<'_> {
    fn range(&mut self, range: Range<usize>, mut groups: &[Group<'_>]) {
        let mut at = range.start;
        while let Some((((start, end, how), group), rest)) = groups.split_first() {
            let end = end.0;
            assert!(*start >= at && end <= range.end, "two mutants overlap: {}", group[0].1.shown[0]);
            let inner = rest.iter().take_while(|((inner, ..), _)| *inner < end).count();
            self.text += &self.source[at..*start];
            self.switch(*how, *start..end, group, &rest[..inner]);
            at = end;
            groups = &rest[inner..];
        }
        self.text += &self.source[at..range.end];
    }

    fn switch(&mut self, how: How, range: Range<usize>, group: &[(usize, &Mutant)], inner: &[Group<'_>]) {
        let begin = self.text.len();
        let first = self.places.len();
        if how == How::Expression {
            self.text.push('(');
        }
        for (nth, &(id, mutant)) in group.iter().enumerate() {
            let other = if nth == 0 || how == How::Start { "" } else { " else " };
            self.text += &format!("{other}if crate::mutation::on({id}) {{ ");
            let from = self.text.len();
            self.text += &mutant.new;
            self.places.push(Place { id, mutated: from..self.text.len(), whole: 0..0 });
            self.text += " }";
        }
        let last = self.places.len();
        if how != How::Start {
            self.text += " else { ";
            self.range(range, inner);
            self.text += " }";
        }
        if how == How::Expression {
            self.text.push(')');
        }
        for place in &mut self.places[first..last] {
            place.whole = begin..self.text.len();
        }
    }
}

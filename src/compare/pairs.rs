//! What of one list is found again in the other. May touch: text.

use crate::sorted;
use core::cmp::Ordering;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Removed,
    Added,
    Changed,
    /// The words are the same, and a part of the configuration that is not in them differs.
    Inside,
    Moved,
    Same,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Removed => "removed",
            Kind::Added => "added",
            Kind::Changed => "changed",
            Kind::Inside => "config",
            Kind::Moved => "moved",
            Kind::Same => "same",
        }
    }
}

/// A line or a call of one side, or the same of both.
pub struct Pair {
    pub kind: Kind,
    /// Its place in the list of each side.
    pub at: [Option<usize>; 2],
    /// What in the configuration makes the difference: places in the list of changes.
    pub changes: Vec<usize>,
}

/// What pairs by a rule are, and the name of what stands at a place of a side.
pub type Rule<'a> = (Kind, &'a dyn Fn(usize, usize) -> String);

/// Pairs what has the same name, by one rule after the other. Those of one name are paired in their order.
pub fn paired(counts: [usize; 2], rules: &[Rule]) -> Vec<Pair> {
    let mut pairs = Vec::new();
    let pair = |kind, at| Pair { kind, at, changes: Vec::new() };
    let mut free = counts.map(|count| (0..count).collect::<Vec<_>>());
    for (kind, name) in rules {
        let named = [0, 1].map(|side: usize| {
            let mut all: Vec<(String, usize)> = free[side].iter().map(|at| (name(side, *at), *at)).collect();
            sorted::sort(&mut all);
            all
        });
        free = [Vec::new(), Vec::new()];
        let (mut a, mut b) = (named[0].iter().peekable(), named[1].iter().peekable());
        loop {
            let order = match (a.peek(), b.peek()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((one, _)), Some((other, _))) => one.cmp(other),
            };
            let first = if order.is_le() { a.next() } else { None };
            let second = if order.is_ge() { b.next() } else { None };
            match (first, second) {
                (Some((_, one)), Some((_, other))) => pairs.push(pair(*kind, [Some(*one), Some(*other)])),
                (one, other) => {
                    free[0].extend(one.map(|(_, at)| *at));
                    free[1].extend(other.map(|(_, at)| *at));
                }
            }
        }
    }
    pairs.extend(free[0].iter().map(|at| pair(Kind::Removed, [Some(*at), None])));
    pairs.extend(free[1].iter().map(|at| pair(Kind::Added, [None, Some(*at)])));
    pairs
}

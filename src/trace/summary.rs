//! The table of `-c`: how often each call was made, how often it was refused, and how long it took, in numbers and as a bar; then
//! the same by step. May touch: the recorder.

use super::bars::Ink;
use super::life::Entry;
use crate::sorted;
use alloc::collections::BTreeMap;
use core::cmp::Reverse;

/// What is known of all calls of one name, or of one step.
#[derive(Clone, Copy, Default)]
struct Sum {
    ns: u64,
    calls: u64,
    errors: u64,
}

impl Sum {
    fn add(&mut self, entry: &Entry) {
        self.calls += 1;
        self.ns = self.ns.saturating_add(entry.r.duration_ns);
        self.errors += u64::from(entry.refused().is_some());
    }
}

/// Columns before the names, and of these.
const BEFORE: usize = 51;
const NAMES: usize = 16;
/// A bar has so many columns at the most.
const LONG: usize = 40;

/// Both tables, on a page of so many columns.
pub fn tables(entries: &[Entry], columns: usize, ink: Ink) -> String {
    let mut text = table("syscall", entries, (columns, ink), |entry| entry.r.name());
    text.push('\n');
    text + &table("step", entries, (columns, ink), |entry| entry.step())
}

/// strace's table, the longest time first.
fn table<'a>(
    what: &str,
    entries: &'a [Entry<'a>],
    (columns, ink): (usize, Ink),
    key: impl Fn(&'a Entry<'a>) -> &'a str,
) -> String {
    let mut sums: BTreeMap<&str, Sum> = BTreeMap::new();
    let mut total = Sum::default();
    for entry in entries.iter().filter(|entry| !entry.is_event()) {
        sums.entry(key(entry)).or_default().add(entry);
        total.add(entry);
    }
    let mut rows: Vec<(&str, Sum)> = sums.into_iter().collect();
    sorted::by(&mut rows, |(a, one), (b, other)| (Reverse(one.ns), a) < (Reverse(other.ns), b));
    let rule = format!("{:->6} {:->11} {:->11} {:->9} {:->9} {:->16}\n", "", "", "", "", "", "");
    let mut text =
        format!("{:>6} {:>11} {:>11} {:>9} {:>9} {what}\n{rule}", "% time", "seconds", "usecs/call", "calls", "errors");
    let wide = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0).max(NAMES);
    let most = rows.first().map_or(0, |(_, sum)| sum.ns);
    for (name, sum) in &rows {
        let bar = ink.bar(sum.ns, most, columns.saturating_sub(BEFORE + wide + 1).min(LONG));
        text.push_str(row(&format!("{name:wide$} {bar}"), sum, total.ns).trim_end());
        text.push('\n');
    }
    text + &rule + &row("total", &total, total.ns)
}

fn row(name: &str, sum: &Sum, whole: u64) -> String {
    // Hundredths of a percent.
    let share = sum.ns.saturating_mul(10_000).checked_div(whole).unwrap_or(0);
    let each = (sum.ns / 1000).checked_div(sum.calls).unwrap_or(0);
    let seconds = format!("{}.{:06}", sum.ns / 1_000_000_000, sum.ns / 1000 % 1_000_000);
    let errors = if sum.errors > 0 { format!("{}", sum.errors) } else { String::new() };
    format!("{:>3}.{:02} {seconds:>11} {each:>11} {:>9} {errors:>9} {name}\n", share / 100, share % 100, sum.calls)
}

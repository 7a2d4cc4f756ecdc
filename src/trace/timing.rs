//! Where the time of a start went: by step, by call, by lane, and its longest stretches. May touch: the recorder.

use super::bars::Ink;
use super::call;
use super::page::fit;
use super::start::{Kind, Start, Stretch};
use super::text::duration;
use crate::outcome::visible;
use crate::plan::show::lane_name;
use crate::sorted;
use core::cmp::Reverse;

/// So many rows the tables of calls and of the longest stretches have.
const ROWS: usize = 10;

/// Columns of the page.
const WIDTH: usize = 80;

const HEADS: &str = "  kernel    ours waiting longest  calls";

/// What stretches of time took.
#[derive(Clone, Copy, Default)]
pub struct Spent {
    /// By kind, in nanoseconds.
    pub ns: [u64; 3],
    pub calls: u64,
    pub longest: u64,
}

impl Spent {
    pub fn add(&mut self, stretch: &Stretch) {
        let sum = &mut self.ns[stretch.kind as usize];
        *sum = sum.saturating_add(stretch.ns());
        self.calls += u64::from(stretch.is_call);
        self.longest = self.longest.max(stretch.ns());
    }

    pub fn of_all(stretches: &[Stretch]) -> Spent {
        let mut all = Spent::default();
        stretches.iter().for_each(|stretch| all.add(stretch));
        all
    }

    pub fn all(&self) -> u64 {
        // In a damaged trace calls of one process overlap.
        self.ns.iter().fold(0, |sum, ns| sum.saturating_add(*ns))
    }

    pub fn of(&self, kind: Kind) -> u64 {
        self.ns[kind as usize]
    }
}

/// Sums of stretches that have one key, in the order in which they begin.
pub fn spent<'s>(stretches: &[Stretch], key: &dyn Fn(&Stretch) -> &'s str) -> Vec<(&'s str, Spent)> {
    let mut sums: Vec<(&str, Spent)> = Vec::new();
    for stretch in stretches {
        let key = key(stretch);
        let place = sums.iter().position(|(known, _)| *known == key).unwrap_or(sums.len());
        if place == sums.len() {
            sums.push((key, Spent::default()));
        }
        sums[place].1.add(stretch);
    }
    sums
}

/// The sums of the critical path by step.
pub fn steps<'s>(start: &'s Start) -> Vec<(&'s str, Spent)> {
    spent(&start.path, &|stretch| start.entries[stretch.at].step())
}

/// The same by call, the longest first. What is no call has a name of its own.
pub fn calls<'s>(start: &'s Start) -> Vec<(&'s str, Spent)> {
    let mut sums = spent(&start.path, &|stretch| match (stretch.is_call, stretch.kind) {
        (true, _) => start.entries[stretch.at].r.name(),
        (_, Kind::Ours) => "between calls",
        _ => "birth",
    });
    longest_first(&mut sums);
    sums
}

pub fn longest_first(sums: &mut [(&str, Spent)]) {
    sorted::by(sums, |(a, one), (b, other)| (Reverse(one.all()), a) < (Reverse(other.all()), b));
}

/// The longest stretches of the critical path.
pub fn longest(start: &Start, most: usize) -> Vec<Stretch> {
    let mut all = start.path.clone();
    sorted::by(&mut all, |a, b| (Reverse(a.ns()), a.time.start) < (Reverse(b.ns()), b.time.start));
    all.truncate(most);
    all
}

/// What happened in a stretch, and why.
pub fn said(start: &Start, stretch: &Stretch) -> [String; 2] {
    let entry = &start.entries[stretch.at];
    let lane = |at: usize| lane_name(start.entries[at].r.lane);
    let (call, why) = (call::short(entry), String::from(entry.r.why()));
    match (stretch.kind, start.woken_by(stretch.at)) {
        (Kind::Ours, _) => [format!("code before {call}"), "our own code: no call is in the kernel".into()],
        (Kind::Waiting, _) if !stretch.is_call => {
            [format!("birth of {}", lane(stretch.at)), "the kernel has cloned it, and lets it run".into()]
        }
        (Kind::Waiting, Some(other)) => [format!("{call} wakes up"), format!("{} has spoken: {why}", lane(other))],
        (Kind::Waiting, None) => [call, format!("waits: {why}")],
        (Kind::Kernel, _) => [call, why],
    }
}

/// `44 %` of the whole, without the sign.
pub fn percent(part: u64, whole: u64) -> u64 {
    part.saturating_mul(100).saturating_add(whole / 2).checked_div(whole).unwrap_or(0)
}

/// What the start is, in words: `from the first call to the program's execve`.
pub fn extent(start: &Start) -> &'static str {
    match start.is_whole {
        true => "from the first call to execve of its program",
        false => "from the first call to the last of its command: its program has not begun",
    }
}

/// All of it as text, at most `WIDTH` columns wide.
pub fn text(name: &str, start: &Start, ink: Ink) -> String {
    let all = Spent::of_all(&start.path);
    let head = format!("{}, {}: {}", visible(name), extent(start), duration(start.wall()));
    let mut out = fit(&head, WIDTH, usize::MAX).join("\n") + "\n";
    if start.paused() > 0 {
        out.push_str(&format!("{} between the two commands do not count.\n", duration(start.paused())));
    }
    for (kind, words) in [
        (Kind::Kernel, "in the kernel: it carried out calls"),
        (Kind::Ours, "between calls: our own code ran"),
        (Kind::Waiting, "waiting, until another process ran or spoke"),
    ] {
        let ns = all.of(kind);
        let bar = ink.bar(ns, all.all(), 18);
        out.push_str(format!("{} {words:<43} {bar}", share(ns, all.all())).trim_end());
        out.push('\n');
    }
    out.push_str("\nThe longest parts of the critical path, each with its lane and line of the plan:\n");
    for stretch in longest(start, ROWS) {
        let [what, why] = said(start, &stretch);
        let entry = &start.entries[stretch.at];
        let line = if entry.r.line == 0 { String::new() } else { format!("{}", entry.r.line) };
        let head = format!("{} {:<6} {line:>3} ", share(stretch.ns(), all.all()), lane_name(entry.r.lane));
        let indent = head.chars().count();
        out.push_str(&format!("{head}{}\n", fit(&visible(&what), WIDTH - indent, 1).concat()));
        for row in fit(&visible(&why), WIDTH - indent - 1, 2) {
            out.push_str(&format!("{:indent$} {row}\n", ""));
        }
    }
    let steps = steps(start);
    table("step of the critical path", &steps, start.wall(), steps.len(), &mut out);
    table("call of the critical path", &calls(start), start.wall(), ROWS, &mut out);
    lanes(start, &mut out);
    out
}

/// `  2.2 ms  20 %`.
fn share(ns: u64, whole: u64) -> String {
    format!("{:>8} {:>3} %", duration(ns), percent(ns, whole))
}

/// A row for each sum; further ones share the last row.
fn table(title: &str, sums: &[(&str, Spent)], whole: u64, most: usize, out: &mut String) {
    let (shown, rest) = sums.split_at(sums.len().min(most));
    out.push_str(&format!("\n{title:<32}{HEADS}\n"));
    for (name, spent) in shown {
        row(name, spent, whole, out);
    }
    if !rest.is_empty() {
        let mut others = Spent::default();
        for (_, spent) in rest {
            others.ns = core::array::from_fn(|kind| others.ns[kind].saturating_add(spent.ns[kind]));
            others.calls += spent.calls;
            others.longest = others.longest.max(spent.longest);
        }
        row(&format!("{} others", rest.len()), &others, whole, out);
    }
}

fn row(name: &str, spent: &Spent, whole: u64, out: &mut String) {
    let times = [spent.ns[0], spent.ns[1], spent.ns[2], spent.longest];
    let times = times.map(|ns| format!("{:>8}", if ns == 0 { String::new() } else { duration(ns) }));
    let calls = if spent.calls == 0 { String::new() } else { format!("{}", spent.calls) };
    out.push_str(format!("{} {name:<17}{}{calls:>7}", share(spent.all(), whole), times.concat()).trim_end());
    out.push('\n');
}

/// What each process did meanwhile, also off the critical path.
fn lanes(start: &Start, out: &mut String) {
    let mut sums: Vec<(String, Spent)> = Vec::new();
    for lane in start.lanes() {
        let Some(entry) = lane.first().map(|first| &start.entries[first.at]) else { continue };
        sums.push((format!("{} {}", lane_name(entry.r.lane), entry.pid), Spent::of_all(&lane)));
    }
    let rows: Vec<(&str, Spent)> = sums.iter().map(|(name, spent)| (name.as_str(), *spent)).collect();
    table("process, off the path as well", &rows, start.wall(), rows.len(), out);
}

/// The same for programs: one object.
pub fn json(name: &str, start: &Start) -> String {
    let all = Spent::of_all(&start.path);
    let object = |(name, spent): &(&str, Spent)| format!("{{\"name\":{},{}}}", quoted(name), told(spent));
    let objects = |sums: &[(&str, Spent)]| sums.iter().map(object).collect::<Vec<_>>().join(",");
    let lanes = start.lanes();
    let lanes: Vec<String> = lanes.iter().filter_map(|lane| of_lane(start, lane)).collect();
    let path: Vec<String> = start.path.iter().map(|stretch| of_stretch(start, stretch)).collect();
    format!(
        "{{\"id\":{},\"whole\":{},\"wall_ns\":{},\"paused_ns\":{},{},\"steps\":[{}],\"calls\":[{}],\"lanes\":[{}],\"path\":[{}]}}\n",
        quoted(name),
        start.is_whole,
        start.wall(),
        start.paused(),
        told(&all),
        objects(&steps(start)),
        objects(&calls(start)),
        lanes.join(","),
        path.join(",")
    )
}

fn told(spent: &Spent) -> String {
    let [kernel, ours, waiting] = spent.ns;
    let (all, longest, calls) = (spent.all(), spent.longest, spent.calls);
    format!(
        "\"ns\":{all},\"kernel_ns\":{kernel},\"ours_ns\":{ours},\"waiting_ns\":{waiting},\"longest_ns\":{longest},\"calls\":{calls}"
    )
}

fn of_lane(start: &Start, lane: &[Stretch]) -> Option<String> {
    let first = lane.first()?;
    let entry = &start.entries[first.at];
    let spent = Spent::of_all(lane);
    let (began, name) = (start.moment(first.time.start), lane_name(entry.r.lane));
    Some(format!("{{\"lane\":\"{name}\",\"pid\":{},\"began_ns\":{began},{}}}", entry.pid, told(&spent)))
}

/// A stretch of the critical path. `seq`: the number of its call in `trace --format json`.
fn of_stretch(start: &Start, stretch: &Stretch) -> String {
    let entry = &start.entries[stretch.at];
    let r = &entry.r;
    format!(
        "{{\"lane\":\"{}\",\"kind\":\"{}\",\"seq\":{},\"call\":{},\"step\":\"{}\",\"line\":{},\"at_ns\":{},\"ns\":{}}}",
        lane_name(r.lane),
        stretch.kind.word(),
        r.seq,
        quoted(r.name()),
        entry.step(),
        r.line,
        start.moment(stretch.time.start),
        stretch.ns()
    )
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

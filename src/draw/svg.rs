//! A start as a picture for a slide: its lanes on a time axis with their phases, the critical path through them, what each phase
//! costs, and what took longest. It needs no script, and is light or dark as its reader's screen is. May touch: the views of
//! traces.

use super::markup::escaped;
use crate::packed::packed;
use crate::plan::Step;
use crate::plan::show::lane_name;
use crate::trace::timing::{self, Spent, extent, longest, percent, said};
use crate::trace::{Kind, Piece, Start, Stretch, Verdict, duration, verdict};

/// The width of the picture, and where the time axis begins and ends.
const WIDE: u64 = 1280;
const FROM: u64 = 128;
const TO: u64 = 1256;
/// Where the first lane begins, and how far one lies below the other.
const TOP: u64 = 104;
const PITCH: u64 = 84;
/// So many phases and so many stretches are listed.
const PHASES: usize = 10;
const LONGEST: usize = 6;

/// The picture while it is drawn.
struct Sheet<'a> {
    start: &'a Start<'a>,
    text: String,
    /// The lanes by name, from the upper edge down.
    rows: Vec<u8>,
}

/// The picture of a trace.
pub fn slide(name: &str, pieces: &[Piece]) -> String {
    let start = Start::of(pieces);
    let mut sheet = Sheet { start: &start, text: String::new(), rows: Vec::new() };
    let wall = start.wall();
    sheet.words("title", 24, 46, &format!("{name}: {}", duration(wall)));
    sheet.words("small", 24, 72, &shares(&start));
    let lanes = start.lanes();
    let failure = failure(&start, &lanes, pieces);
    if !failure.is_empty() {
        sheet.words("fault", 24, 93, &cut(&failure, 140));
    }
    for lane in &lanes {
        sheet.lane(lane);
    }
    sheet.path();
    let bottom = sheet.axis();
    let ends = [sheet.phases(bottom + 58), sheet.longest(bottom + 58)];
    let end = ends.into_iter().max().unwrap_or(bottom) + 34;
    sheet.legend(end);
    let high = end + 30;
    let css = packed!("draw/svg.css");
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDE} {high}\" role=\"img\">\n<title>{}</title>\n\
        <style>\n{css}</style>\n<rect class=\"paper\" width=\"{WIDE}\" height=\"{high}\"/>\n{}</svg>\n",
        escaped(&format!("The start of {name}: {}", duration(wall))),
        sheet.text
    )
}

/// What the time went into, in a line.
fn shares(start: &Start) -> String {
    let all = Spent::of_all(&start.path);
    let share = |kind| percent(all.of(kind), all.all());
    let [kernel, ours, waiting] = [Kind::Kernel, Kind::Ours, Kind::Waiting].map(share);
    format!("{}: {kernel} % in the kernel, {ours} % between calls, {waiting} % waiting", extent(start))
}

/// Of a start that failed: the call that ended it, and the cause that the command has told. Empty: it has not failed.
fn failure(start: &Start, lanes: &[Vec<Stretch>], pieces: &[Piece]) -> String {
    let ended = |stretch: &&Stretch| stretch.is_call && verdict(&start.entries[stretch.at]) == Verdict::Ended;
    let call = lanes.iter().flatten().find(ended).map(|stretch| {
        let errno = start.entries[stretch.at].refused().map_or("", |errno| errno.name());
        format!("failed at {}: {errno}", said(start, stretch)[0])
    });
    let cause = pieces.first().filter(|_| !start.is_whole).and_then(|piece| piece.remarks().last());
    let parts: Vec<&str> = call.as_deref().into_iter().chain(cause).collect();
    parts.join("; ")
}

impl Sheet<'_> {
    /// A moment on the time axis, in tenths of the picture's unit.
    fn x(&self, ns: u64) -> u64 {
        self.along(self.start.moment(ns))
    }

    /// The same for a time since the begin, without pauses.
    fn along(&self, ns: u64) -> u64 {
        FROM * 10 + ns.saturating_mul((TO - FROM) * 10).checked_div(self.start.wall()).unwrap_or(0)
    }

    fn words(&mut self, class: &str, x: u64, y: u64, words: &str) {
        self.text.push_str(&format!("<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{}</text>\n", escaped(words)));
    }

    /// A box, from tenths to tenths. `about`: what is shown while a pointer rests on it.
    fn bar(&mut self, class: &str, [from, to]: [u64; 2], [y, high]: [u64; 2], about: &str) {
        let wide = (to.saturating_sub(from)).max(3);
        self.text.push_str(&format!(
            "<rect class=\"{class}\" x=\"{}\" y=\"{y}\" width=\"{}\" height=\"{high}\">",
            tenths(from),
            tenths(wide)
        ));
        if !about.is_empty() {
            self.text.push_str(&format!("<title>{}</title>", escaped(about)));
        }
        self.text.push_str("</rect>\n");
    }

    /// Where a lane lies.
    fn y(&self, lane: u8) -> u64 {
        let named = |known: &u8| lane_name(*known) == lane_name(lane);
        TOP + PITCH * self.rows.iter().position(named).unwrap_or(0) as u64
    }

    /// The phases of a process, and its calls below them.
    fn lane(&mut self, lane: &[Stretch]) {
        let start = self.start;
        let (Some(first), Some(last)) = (lane.first(), lane.last()) else { return };
        let entry = &start.entries[first.at];
        if !self.rows.iter().any(|known| lane_name(*known) == lane_name(entry.r.lane)) {
            self.rows.push(entry.r.lane);
            let y = self.y(entry.r.lane);
            self.words("head", 24, y + 24, lane_name(entry.r.lane));
            self.words("small", 24, y + 50, "calls");
        }
        let y = self.y(entry.r.lane);
        let step = |stretch: &Stretch| start.entries[stretch.at].r.step;
        for phase in lane.chunk_by(|a, b| step(a) == step(b)) {
            let from = phase[0].time.start;
            let to = phase.last().map_or(from, |last| last.time.end);
            let ends = [self.x(from), self.x(to)];
            let name = Step::of(step(&phase[0])).text().0;
            let took = duration(start.moment(to) - start.moment(from));
            self.bar(name, ends, [y, 36], &format!("{name}: {took}"));
            if (ends[1] - ends[0]) / 10 > 12 + 9 * name.len() as u64 {
                self.words("in", ends[0] / 10 + 7, y + 23, name);
            }
        }
        self.bar("ours", [self.x(first.time.start), self.x(last.time.end)], [y + 40, 12], "between calls");
        self.calls(lane, y + 40);
    }

    /// Calls. Those that would touch each other share a box.
    fn calls(&mut self, lane: &[Stretch], y: u64) {
        let start = self.start;
        let class = |stretch: &Stretch| match (verdict(&start.entries[stretch.at]), stretch.kind) {
            (Verdict::Ended, _) => "failed",
            (_, kind) => kind.word(),
        };
        let calls: Vec<&Stretch> = lane.iter().filter(|stretch| stretch.kind != Kind::Ours).collect();
        let touch = |a: &Stretch, b: &Stretch| {
            class(a) == class(b) && self.x(b.time.start).saturating_sub(self.x(a.time.end)) < 10
        };
        let boxes: Vec<&[&Stretch]> = calls.chunk_by(|a, b| touch(a, b)).collect();
        for calls in boxes {
            let (first, last) = (calls[0], calls[calls.len() - 1]);
            let took = duration(calls.iter().map(|call| call.ns()).sum());
            let about = match calls.len() {
                1 => format!("{}: {took}", said(start, first)[0]),
                more => format!("{more} calls: {took}"),
            };
            self.bar(class(first), [self.x(first.time.start), self.x(last.time.end)], [y, 12], &about);
        }
    }

    /// The critical path: a line below each lane while the start waits for it.
    fn path(&mut self) {
        let start = self.start;
        let mut line = String::new();
        let mut y = 0;
        for stretch in &start.path {
            let (from, to) = (tenths(self.x(stretch.time.start)), tenths(self.x(stretch.time.end)));
            let below = self.y(start.entries[stretch.at].r.lane) + 60;
            if line.is_empty() {
                line = format!("M{from} {below}");
            } else if below != y {
                line.push_str(&format!("H{from}V{below}"));
            }
            y = below;
            if core::ptr::eq(stretch, &start.path[start.path.len() - 1]) {
                line.push_str(&format!("H{to}"));
            }
        }
        self.text.push_str(&format!("<path class=\"path\" d=\"{line}\"><title>the critical path</title></path>\n"));
    }

    /// The time axis below the lanes. Returns where it lies.
    fn axis(&mut self) -> u64 {
        let wall = self.start.wall();
        let y = TOP + PITCH * self.rows.len().max(1) as u64;
        self.text.push_str(&format!("<path class=\"line\" d=\"M{FROM} {y}H{TO}\"/>\n"));
        let steps = (3..19).flat_map(|power| [1, 2, 5].map(|factor| factor * 10u64.pow(power)));
        let step = steps.into_iter().find(|step| wall / step <= 8).unwrap_or(u64::MAX);
        for tick in 0..=wall / step {
            let ns = tick * step;
            let x = self.along(ns) / 10;
            let label = match step {
                0..1_000_000 => format!("{} µs", ns / 1000),
                1_000_000..1_000_000_000 => format!("{} ms", ns / 1_000_000),
                _ => format!("{} s", ns / 1_000_000_000),
            };
            self.text.push_str(&format!("<path class=\"line\" d=\"M{x} {y}v6\"/>\n"));
            self.words("small mid", x, y + 22, &label);
        }
        y
    }

    /// What each phase costs, the dearest first. Returns where the list ends.
    fn phases(&mut self, top: u64) -> u64 {
        let mut all = timing::steps(self.start);
        timing::longest_first(&mut all);
        let rest = all.split_off(all.len().min(PHASES - 1));
        let others = rest.iter().map(|(_, spent)| spent.all()).sum();
        let most = all.first().map_or(1, |(_, spent)| spent.all().max(1));
        let mut rows: Vec<(&str, u64)> = all.iter().map(|(name, spent)| (*name, spent.all())).collect();
        if others > 0 {
            rows.push(("others", others));
        }
        self.words("head", 24, top, "Phases on the critical path");
        let mut y = top + 12;
        for (name, ns) in rows {
            let long = ns.saturating_mul(2600) / most.max(ns);
            self.bar(name, [240, 400], [y + 6, 16], "");
            self.words("", 52, y + 20, name);
            self.bar(name, [1640, 1640 + long], [y + 6, 16], "");
            self.words("end", 540, y + 20, &duration(ns));
            self.words("end", 612, y + 20, &format!("{} %", percent(ns, self.start.wall())));
            y += 27;
        }
        y
    }

    /// What took longest. Returns where the list ends.
    fn longest(&mut self, top: u64) -> u64 {
        self.words("head", 664, top, "Longest on the critical path");
        let mut y = top + 12;
        for stretch in longest(self.start, LONGEST) {
            let [what, why] = said(self.start, &stretch);
            self.words("end", 740, y + 20, &duration(stretch.ns()));
            self.words("", 756, y + 20, &cut(&what, 54));
            self.words("small", 756, y + 38, &cut(&why, 70));
            y += 45;
        }
        y
    }

    fn legend(&mut self, y: u64) {
        let lane = "the critical path: below the lane that the start waits for";
        for (class, x, about) in
            [("kernel", 24, "in the kernel"), ("ours", 190, "between calls"), ("waiting", 350, "waiting")]
        {
            self.bar(class, [x * 10, (x + 28) * 10], [y - 11, 12], "");
            self.words("small", x + 36, y, about);
        }
        self.text.push_str(&format!("<path class=\"path\" d=\"M470 {}h28\"/>\n", y - 5));
        self.words("small", 506, y, lane);
    }
}

/// Tenths as a number with a point.
fn tenths(number: u64) -> String {
    format!("{}.{}", number / 10, number % 10)
}

/// A text that is as wide as so many small letters at the most.
fn cut(text: &str, most: usize) -> String {
    let mut wide = 0;
    let end = text.char_indices().find(|(_, c)| {
        // Capitals take a third more.
        wide += if c.is_uppercase() || *c == '_' { 4 } else { 3 };
        wide > 3 * most
    });
    end.map_or(text.into(), |(end, _)| format!("{}...", &text[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_has_a_colour_in_the_light_and_in_the_dark() {
        for step in Step::ALL {
            let name = step.text().0;
            assert_eq!(packed!("draw/svg.css").matches(&format!("\n.{name}{{fill:#")).count(), 2, "{name}");
        }
    }
}

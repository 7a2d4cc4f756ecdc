//! The listing: a plan in words, with the line numbers that the trace shows. May touch: types.

pub use super::op::lane_name;

use super::Step;
use super::op::Plan;
use crate::outcome::{Lane, visible};
use core::fmt::{self, Display, Formatter};

/// The whole listing. Steps head it, in the order in which they begin.
pub fn listing(plan: &Plan) -> String {
    format!("{}", Listing(plan))
}

struct Listing<'a>(&'a Plan);

impl Display for Listing<'_> {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        let mut before = "";
        for lane in [Lane::Host, Lane::Bridge, Lane::Init] {
            let (lines, first) = self.0.lane(lane);
            if lines.is_empty() {
                continue;
            }
            writeln!(f, "{before}{} lane: {}", lane_name(lane as u8), lane_text(lane))?;
            let mut step: Option<Step> = None;
            for (number, line) in (first..).zip(lines) {
                if step != Some(line.step) {
                    writeln!(f, "  {}", line.step.text().1)?;
                    step = Some(line.step);
                }
                write!(f, "  {number:>3}  {}", line.words())?;
                for word in [line.from.as_str(), line.mark.text()].into_iter().filter(|word| !word.is_empty()) {
                    write!(f, "  [{}]", visible(word))?;
                }
                writeln!(f)?;
                writeln!(f, "         {}", line.why.0)?;
            }
            before = "\n";
        }
        Ok(())
    }
}

/// What a lane is.
pub fn lane_text(lane: Lane) -> &'static str {
    match lane {
        Lane::Host => "the runtime that was called",
        Lane::Bridge => "a stepping stone, where the kernel lets no process move itself",
        Lane::Init => "what becomes the container, from the clone on",
        Lane::Hook | Lane::InnerHook => "a hook",
        Lane::Holder => "what a user namespace begins with",
        Lane::Watcher => "what sees the calls of the container's program",
        Lane::Program => "the container's program, and all that it starts",
        Lane::Stepper => "what asks the person at the terminal",
    }
}

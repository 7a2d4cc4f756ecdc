//! Which lanes can perform an op, and the check that each line of a plan stands in one of them. Without it a misplaced
//! line would be printed and never performed. May touch: types.

use super::{Line, Op, Plan};
use crate::outcome::Lane;
use crate::spec::Problem;
use core::ops::BitOr;

/// A set of lanes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LaneSet(u8);

pub const HOST: LaneSet = LaneSet::of(Lane::Host);
pub const BRIDGE: LaneSet = LaneSet::of(Lane::Bridge);
pub const INIT: LaneSet = LaneSet::of(Lane::Init);

impl LaneSet {
    const fn of(lane: Lane) -> LaneSet {
        LaneSet(1 << lane as u8)
    }

    pub fn has(self, lane: Lane) -> bool {
        self.0 & LaneSet::of(lane).0 != 0
    }
}

impl BitOr for LaneSet {
    type Output = LaneSet;

    fn bitor(self, other: LaneSet) -> LaneSet {
        LaneSet(self.0 | other.0)
    }
}

/// A lane's name, as listing and trace have it.
pub fn lane_name(lane: u8) -> &'static str {
    match lane {
        0 => "host",
        1 => "init",
        2 => "bridge",
        5 => "holder",
        6 => "watcher",
        7 => "program",
        8 => "stepper",
        // In a machine of its own.
        0x40 => "vm-host",
        0x41 => "vm-init",
        0x42 => "vm-bridge",
        0x45 => "vm-holder",
        0x46 => "vm-watcher",
        0x47 => "vm-program",
        0x43 | 0x44 => "vm-hook",
        _ => "hook",
    }
}

/// Writes words of an op. Where only its lanes are asked for there is nothing to write to, and no word is made.
macro_rules! say {
    ($to:ident, $($words:tt)*) => {
        match $to {
            Some(to) => write!(to, $($words)*),
            None => Ok(()),
        }
    };
}
pub(super) use say;

impl Op {
    /// The lanes that can perform it.
    pub fn lanes(&self) -> LaneSet {
        self.about(None).0
    }
}

/// The first line that its lane cannot perform, as a reason to refuse the plan.
pub fn misplaced(plan: &Plan) -> Option<Problem> {
    [Lane::Host, Lane::Bridge, Lane::Init].into_iter().find_map(|lane| {
        let (lines, first) = plan.lane(lane);
        let at = lines.iter().position(|line: &Line| !line.op.lanes().has(lane))?;
        let (number, name) = (first as usize + at, lane_name(lane as u8));
        let problem = format!("is line {number} of the plan, `{}`, which the {name} lane cannot do", lines[at].op);
        Some(Problem { pointer: lines[at].from.clone(), problem })
    })
}

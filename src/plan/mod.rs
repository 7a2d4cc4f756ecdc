//! The plan: a pure function of what is wanted, what is here, and the command's options. May touch: types and
//! tables. It makes no system call, so the same configuration gives the same listing on any machine.

mod create;
pub mod device_filter;
pub mod mounts;
pub mod op;
pub mod options;
mod process;
pub mod show;

pub use create::{cgroup_path, create};
pub use op::{Lane, Line, Op, Place, Plan, Slot, Step};

use crate::spec::{Problem, Spec};
use alloc::ffi::CString;
use alloc::string::String;
use alloc::vec::Vec;
use mounts::Covered;
use syscalls::Why;

/// What the command line adds to the configuration.
pub struct Wish<'a> {
    pub id: &'a str,
    /// The bundle's absolute path.
    pub bundle: &'a str,
    /// The state document: its text before the process id, between that and the start time, and behind.
    pub state: [Vec<u8>; 3],
    pub pid_file: Option<&'a str>,
    pub no_pivot: bool,
    pub no_new_keyring: bool,
    /// How many descriptors above standard error are the program's.
    pub preserve_fds: u32,
    /// `create`: the program waits for `start`. Otherwise it runs as soon as all is ready.
    pub wait_for_start: bool,
    /// `run` in the foreground: the caller holds signals back, to take them one by one.
    pub attached: bool,
    /// False: `--cgroup-manager disabled`.
    pub cgroup: bool,
}

/// A plan being written, line by line, in order.
pub struct Builder<'a> {
    pub spec: &'a Spec,
    pub wish: &'a Wish<'a>,
    pub bundle: &'a str,
    pub plan: Plan,
    /// What the lines from now on belong to, and come from.
    pub step: Step,
    pub from: String,
    pub covered: Vec<Covered>,
    /// Directories that the plan made below a tmpfs of its own.
    pub made: Vec<(Slot, String)>,
    /// Lines of the host lane that need the cgroup.
    pub after_cgroup: Vec<Line>,
    /// Where the init lane stands.
    here: Option<Slot>,
}

impl Builder<'_> {
    /// A line of the current step, for a list of its own.
    pub fn line(&self, op: Op, why: &'static str) -> Line {
        Line {
            op,
            step: self.step,
            from: self.from.clone(),
            why: Why(why),
        }
    }

    /// A line of the host lane.
    pub fn host(&mut self, step: Step, op: Op, why: &'static str) {
        self.plan.host.push(Line {
            op,
            step,
            from: self.from.clone(),
            why: Why(why),
        });
    }

    /// A line of the init lane.
    pub fn init(&mut self, op: Op, why: &'static str) {
        // By-descriptor ops stand where they work, so the lane has moved.
        if matches!(
            &op,
            Op::Mount {
                at: Place::Rootfs { .. },
                ..
            } | Op::Remount {
                at: Place::Rootfs { .. },
                ..
            }
        ) {
            self.here = None;
        }
        if matches!(
            &op,
            Op::Mask {
                at: Place::Rootfs { .. },
                ..
            } | Op::PivotRoot
                | Op::MoveRoot
                | Op::Cwd { .. }
        ) {
            self.here = None;
        }
        let line = self.line(op, why);
        self.plan.init.push(line);
    }

    /// Lets the init lane stand in a directory, unless it does so already.
    pub fn enter(&mut self, base: Slot) {
        if self.here != Some(base) {
            self.init(
                Op::Enter { base },
                "a relative name below a mount that nobody else can reach needs no checks",
            );
            self.here = Some(base);
        }
    }

    /// A numbered place for one more descriptor.
    pub fn slot(&mut self) -> Slot {
        let slot = Slot(self.plan.slots);
        // Past the last number nothing is told apart any more, and such a plan is refused at its end.
        self.plan.slots = self.plan.slots.saturating_add(1);
        slot
    }
}

/// As many lines as a plan may have: they and the descriptors are numbered with 16 bits.
pub const MOST: usize = 10_000;

pub fn too_long() -> Problem {
    Problem {
        pointer: String::new(),
        problem: alloc::format!("asks for more than {MOST} steps"),
    }
}

/// A string as the kernel wants it.
pub fn c(text: &str) -> Result<CString, &'static str> {
    CString::new(text).map_err(|_| "holds a NUL byte, which no path or argument can")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(wait_for_start: bool) -> Plan {
        let spec =
            crate::spec::parse(crate::spec::DEFAULT.as_bytes()).unwrap_or_else(|p| panic!("{p:?}"));
        let wish = Wish {
            id: "x",
            bundle: "/b",
            state: Default::default(),
            pid_file: None,
            no_pivot: false,
            no_new_keyring: false,
            preserve_fds: 0,
            wait_for_start,
            attached: !wait_for_start,
            cgroup: true,
        };
        create(&spec, &wish).unwrap_or_else(|p| panic!("{p:?}"))
    }

    /// What one lane says the other waits for, in the same order, and nothing is left over.
    #[test]
    fn the_lanes_fit_each_other() {
        for wait in [false, true] {
            let plan = plan(wait);
            let clone = plan
                .host
                .iter()
                .position(|l| matches!(l.op, Op::Clone { .. }));
            let words = |lines: &[Line], ready: &Op, go: &Op| -> Vec<u8> {
                let word = |l: &Line| match &l.op {
                    op if op == ready => Some(1),
                    op if op == go => Some(2),
                    _ => None,
                };
                lines.iter().filter_map(word).collect()
            };
            let host = words(
                &plan.host[clone.unwrap_or(0)..],
                &Op::AwaitReady,
                &Op::TellGo,
            );
            let init = words(&plan.init, &Op::TellReady, &Op::AwaitGo);
            assert_eq!(host, init);
            assert_eq!(host, if wait { vec![1, 2] } else { vec![2] });
            let awaits = plan.init.iter().filter(|l| l.op == Op::AwaitStart).count();
            let fifos = plan.host.iter().filter(|l| l.op == Op::StartFifos).count();
            assert_eq!((awaits, fifos), if wait { (1, 1) } else { (0, 0) });
            assert!(matches!(
                plan.init.last().map(|l| &l.op),
                Some(Op::Execve { .. })
            ));
        }
    }
}

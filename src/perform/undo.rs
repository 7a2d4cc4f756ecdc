//! Removes what a plan has made, if it was not carried out to its end. May touch: plan types, system calls, the cgroup
//! hierarchy.

use super::{Lanes, callers, cgroup, rdt};
use crate::host::patience;
use crate::outcome::Lane;
use crate::plan::op::{Op, Rdt};
use crate::plan::{Slot, Step};
use syscalls::Why;

/// Ends the processes that the lanes made, and removes a pid file that names them.
pub fn processes(lanes: &mut Lanes) {
    callers::undo(lanes);
    for slot in [Slot::BRIDGE, Slot::INIT] {
        let Some(process) = lanes.take(slot) else {
            continue;
        };
        let why = Why("a container that could not be created must not live on");
        let _ = syscalls::pidfd_send_signal(process.at(), libc::SIGKILL, why);
        patience::ended(&process);
    }
}

/// Ends a container that could not be made whole: its first process, its cgroup. What is not there is passed over.
pub fn container(lanes: &mut Lanes) {
    syscalls::record::at(Lane::Host as u8, 0, Step::Delete as u16);
    processes(lanes);
    cgroup::end_holder(lanes);
    lanes.take(Slot::CGROUP);
    let root = lanes.cgroup_root.take();
    for line in &lanes.plan.host {
        match &line.op {
            Op::Cgroup(op) => cgroup::undo(lanes, op, root.as_ref()),
            Op::Rdt(Rdt::Make { group, .. }) if lanes.resctrl => rdt::remove(group),
            _ => {}
        }
    }
}

//! The walks: each lane carries out its lines, one by one. From clone3 to execve nothing is allocated, parsed, or
//! decided that could have been decided before. May touch: plan types, system calls.

use super::report::{LONGEST, Report};
use super::{Lanes, Then};
use super::{callers, cgroup, devices, hooks, labels, mounts, namespaces, network, process, rdt, rootfs, seccomp};
use super::{step, sync, terminal, users, watch, words};
use crate::host::patience;
use crate::outcome::{Done, Lane, Stopped};
use crate::plan::op::Op;
use crate::plan::{Line, Slot};
use syscalls::{PollFd, Why, futex};

/// The host's lines. The processes that its clones make walk their own lanes, and do not come back here.
pub fn host(lanes: &mut Lanes) -> Result<(), Stopped> {
    let (lines, first) = lanes.plan.lane(Lane::Host);
    for (number, line) in (first..).zip(lines) {
        patience::tell();
        record(Lane::Host, number, line);
        match step::ask(lanes, number).and_then(|()| perform(lanes, line)) {
            Ok(Then::Next) => {}
            Ok(Then::Child) => child(lanes),
            Ok(Then::Stopped(stopped)) => return Err(stopped),
            Err(trouble) => return Err(Stopped { lane: Lane::Host, line: number, trouble }),
        }
    }
    patience::tell();
    syscalls::record::at(Lane::Host as u8, 0, 0);
    Ok(())
}

/// Says what the records from now on belong to.
fn record(lane: Lane, number: u16, line: &Line) {
    syscalls::record::at_line(lane as u8, number, (line.step as u16, line.stage), (&line.from, line.mark as u8));
}

/// What a clone has made: the bridge, which makes init and ends, or init, whose last line does not return.
fn child(lanes: &mut Lanes) -> ! {
    let lane = lanes.lane;
    let (lines, first) = lanes.plan.lane(lane);
    for (number, line) in (first..).zip(lines) {
        record(lane, number, line);
        match step::ask(lanes, number).and_then(|()| perform(lanes, line)) {
            Ok(Then::Child) => child(lanes),
            Ok(_) => {}
            Err(trouble) => stop(lanes, Report { line: number, trouble }),
        }
    }
    match lane {
        Lane::Bridge => syscalls::exit_group(0, Why("init is made: the bridge has done its part")),
        _ => syscalls::exit_group(1, Why("a plan ends with execve")),
    }
}

/// Init, where it shares the host's memory: see [`syscalls::clone3_sharing`].
impl syscalls::Walk for Lanes<'static> {
    const LANE: u8 = Lane::Init as u8;

    fn walk(&'static mut self) -> ! {
        syscalls::freeze();
        child(self)
    }
}

/// Tells the process that waits, and ends.
fn stop(lanes: &mut Lanes, report: Report) -> ! {
    let mut message = [0; LONGEST];
    let rest = lanes.plan.lines().count().saturating_sub(report.line.into());
    let len = report.encode(rest as u16, &mut message);
    let why = Why("the waiting runtime learns which call failed");
    // After the start byte `start` waits, and reads the report fifo; before, and in `run`, the host reads the channel, or a word.
    let to = lanes.at(if lanes.started { Slot::REPORT } else { Slot::INIT_END });
    let told = match lanes.words.is_some() && !lanes.started {
        true => words::stop(&message[..len], why),
        false => syscalls::write(to, &message[..len], why).map(drop),
    };
    if told.is_ok() {
        if let Some(end) = lanes.take(Slot::CONSOLE) {
            let _ = end.close(Why("the runtime may wait there for the terminal, which does not come"));
        }
        if let Some(end) = lanes.take(Slot::CHANNEL) {
            let _ =
                end.close(Why("the end of the channel tells that the look is over: only the runtime may hold it open"));
        }
        await_look(lanes);
    }
    syscalls::exit_group(1, Why("a container that cannot be made whole must not run"))
}

/// Milliseconds that a lane which has stopped waits at most.
const LOOK: u64 = 5000;

/// The runtime looks for the cause through this process, which has the container's mounts. This process waits until the look
/// is over: `start` writes to its fifo again, and any other command closes its end of the channel, or ends this process.
fn await_look(lanes: &Lanes) {
    let why = Why("the runtime looks for the cause in this process's mounts");
    if lanes.words.is_some() && !lanes.started {
        let _ = futex::await_host(LOOK, why);
        return;
    }
    let (fd, events) = match lanes.started {
        true => (lanes.at(Slot::START), libc::POLLIN),
        false => (lanes.at(Slot::INIT_END), 0), // ppoll always tells that the other end is closed
    };
    let mut fds = [PollFd { fd: fd.raw(), events, revents: 0 }];
    let limit = (!step::has_time()).then_some(LOOK);
    let _ = syscalls::ppoll(&mut fds, limit, why);
}

/// Carries out one line, in any lane that it may stand in.
fn perform<'a>(lanes: &mut Lanes<'a>, line: &'a Line) -> Done<Then> {
    let why = line.why;
    match &line.op {
        Op::Callers(op) => callers::perform(lanes, op, why)?,
        Op::Cgroup(op) => cgroup::perform(lanes, op, line)?,
        Op::Devices(op) => devices::perform(lanes, op, why)?,
        Op::Hooks(op) => hooks::perform(lanes, op, why)?,
        Op::Labels(op) => labels::perform(op, why)?,
        Op::Mounts(op) => mounts::perform(lanes, op, why)?,
        Op::Namespaces(op) => return namespaces::perform(lanes, op, why),
        Op::Network(op) => network::perform(lanes, op, why)?,
        Op::Process(op) => process::perform(lanes, op, why)?,
        Op::Rdt(op) => rdt::perform(lanes, op, line)?,
        Op::Rootfs(op) => rootfs::perform(lanes, op, why)?,
        Op::Seccomp(op) => seccomp::perform(lanes, op, why)?,
        Op::Sync(op) => return sync::perform(lanes, op, why),
        Op::Terminal(op) => terminal::perform(lanes, op, why)?,
        Op::Users(op) => users::perform(lanes, op, why)?,
        Op::Watch(op) => watch::perform(lanes, op, why)?,
    }
    Ok(Then::Next)
}

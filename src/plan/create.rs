//! What `create` and `run` do: the subjects that a new container is made of. [`super::order`] alone decides which line
//! comes before which. May touch: types.

use super::builder::Builder;
use super::op::Plan;
use super::text::problem;
use super::wish::Wish;
use super::{
    callers, cgroup, devices, hooks, labels, mounts, namespaces, network, process, rdt, rootfs, seccomp, sync,
};
use super::{terminal, users, watch};
use crate::spec::{Problem, Spec};

type Subject = fn(&mut Builder) -> Result<(), Problem>;

/// What makes the container's tree. The others look at that, so it comes first.
const TREE: [Subject; 3] = [mounts::plan, callers::notify, devices::plan];

/// The others, in any order.
const SUBJECTS: [Subject; 14] = [
    rootfs::plan,
    namespaces::plan,
    users::plan,
    cgroup::plan,
    rdt::plan,
    terminal::plan,
    hooks::plan,
    network::plan,
    labels::plan,
    process::plan,
    seccomp::plan,
    callers::plan,
    sync::plan,
    watch::plan,
];

/// The plan of `create`, or of `run`.
pub fn create(spec: &Spec, wish: &Wish) -> Result<Plan, Problem> {
    let mut b = Builder::new(spec, wish)?;
    if b.shares_mounts() && b.users.foreign() {
        let text =
            "has no `mount` namespace, which the caller's user namespace needs: devices are binds of the host's there";
        return Err(problem("/linux/namespaces", text));
    }
    for subject in TREE.into_iter().chain(SUBJECTS) {
        subject(&mut b)?;
    }
    b.done()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::op::{Line, Namespaces, Network, Op, Process, Rootfs, Sync};

    const NET: &str = r#""linux": { "netDevices": {"a": {}, "b": {"name": "c%d"}},"#;

    fn plan(wait_for_start: bool, net: bool) -> Plan {
        let text = match net {
            true => crate::spec::DEFAULT.replacen("\"linux\": {", NET, 1),
            false => crate::spec::DEFAULT.into(),
        };
        let spec = crate::spec::parse(text.as_bytes()).unwrap_or_else(|p| panic!("{p:?}"));
        assert_eq!(net, !spec.linux.net_devices.0.is_empty());
        let wish = Wish {
            id: "x",
            bundle: "/b",
            console: wait_for_start.then_some("/console"),
            pidfd: wait_for_start.then_some("/pidfd"),
            wait_for_start,
            attached: !wait_for_start,
            cgroup: true,
            ..Wish::default()
        };
        create(&spec, &wish).unwrap_or_else(|p| panic!("{p:?}"))
    }

    /// Each lane waits for the messages that the other sends, in the same order.
    #[test]
    fn the_lanes_fit_each_other() {
        for (wait, net) in [(false, false), (true, false), (false, true), (true, true)] {
            let plan = plan(wait, net);
            let clone = plan.host.iter().position(|l| matches!(l.op, Op::Namespaces(Namespaces::Clone { .. })));
            // The messages that a lane sends or waits for.
            let words = |lines: &[Line]| -> Vec<&str> {
                let word = |l: &Line| match &l.op {
                    Op::Sync(Sync::AwaitAsk) => vec!["ask"],
                    Op::Sync(Sync::TellMoved) => vec!["moved"],
                    Op::Sync(Sync::AskNetDevices) => vec!["ask", "moved"],
                    Op::Sync(Sync::TellReady) | Op::Sync(Sync::AwaitReady) => vec!["ready"],
                    Op::Sync(Sync::TellGo) | Op::Sync(Sync::AwaitGo) => vec!["go"],
                    _ => vec![],
                };
                lines.iter().flat_map(word).collect()
            };
            let host = words(&plan.host[clone.unwrap_or(0)..]);
            assert_eq!(host, words(&plan.init));
            let mut all = vec!["ask", "moved", "ready", "go"];
            all.retain(|word| match *word {
                "ask" | "moved" => net,
                "ready" => wait,
                _ => true,
            });
            assert_eq!(host, all);
            net_devices_fit(&plan, clone, net);
            let awaits = plan.init.iter().filter(|l| l.op == Op::Sync(Sync::AwaitStart)).count();
            let fifos = plan.host.iter().filter(|l| l.op == Op::Sync(Sync::StartFifos)).count();
            assert_eq!((awaits, fifos), if wait { (1, 1) } else { (0, 0) });
            assert!(matches!(plan.init.last().map(|l| &l.op), Some(Op::Process(Process::Execve { .. }))));
        }
    }

    /// /proc is read-only for its binds only where that changes nothing else. Init closes the host's end of the channel by
    /// itself only where it waits before all descriptors are closed.
    #[test]
    fn calls_are_left_out_where_that_changes_nothing() {
        let lines = |from: &str, to: &str| {
            assert!(crate::spec::DEFAULT.contains(from), "{from}");
            let text = crate::spec::DEFAULT.replacen(from, to, 1);
            let spec = crate::spec::parse(text.as_bytes()).unwrap_or_else(|p| panic!("{p:?}"));
            let wish = Wish { id: "x", bundle: "/b", attached: true, cgroup: true, ..Wish::default() };
            let plan = create(&spec, &wish).unwrap_or_else(|p| panic!("{p:?}"));
            let count = |is: fn(&Op) -> bool| plan.init.iter().filter(|line| is(&line.op)).count();
            let held = count(|op| matches!(op, Op::Rootfs(Rootfs::Hold { .. })));
            assert!(held == 0 || count(|op| matches!(op, Op::Rootfs(Rootfs::ReadonlyPath { held: false, .. }))) == 0);
            (held, count(|op| *op == Op::Sync(Sync::CloseHostEnd)))
        };
        assert_eq!(lines("{", "{"), (2, 0));
        let [linux, process, proc] = ["\"linux\": {", "\"process\": {", "\"source\": \"proc\""];
        let over = r#""source": "proc"}, {"destination": "/proc/acpi", "type": "tmpfs", "source": "t""#;
        let hook = |name: &str| format!(r#""hooks": {{"{name}": [{{"path": "/h"}}]}}, "linux": {{"#);
        for (from, to, wanted) in [
            (linux, String::from(r#""linux": {"sysctl": {"net.ipv4.ip_forward": "1"},"#), (0, 0)),
            (process, r#""process": {"oomScoreAdj": 5,"#.into(), (0, 0)),
            (proc, r#""source": "proc", "options": ["ro"]"#.into(), (0, 0)),
            (proc, over.into(), (0, 0)),
            (linux, hook("createRuntime"), (0, 1)),
            (linux, hook("createContainer"), (0, 1)),
            (linux, hook("startContainer"), (2, 0)),
            (linux, NET.into(), (2, 1)),
        ] {
            assert_eq!(lines(from, &to), wanted, "{to}");
        }
    }

    /// An interface is read before the clone, moved between question and answer, and set up after that, under one
    /// number.
    fn net_devices_fit(plan: &Plan, clone: Option<usize>, net: bool) {
        let at = |lines: &[Line], op: &Op| lines.iter().position(|l| l.op == *op);
        let (mut read, mut moved, mut set_up) = (vec![], vec![], vec![]);
        for (i, line) in plan.host.iter().enumerate() {
            match &line.op {
                Op::Network(Network::Read { device, .. }) => {
                    assert!(Some(i) < clone && at(&plan.host, &Op::Network(Network::Socket)) < Some(i));
                    read.push((device, read.len() as u16));
                }
                Op::Network(Network::Move { device, number }) => {
                    let between = at(&plan.host, &Op::Sync(Sync::AwaitAsk))..at(&plan.host, &Op::Sync(Sync::TellMoved));
                    assert!(between.contains(&Some(i)));
                    moved.push((device, *number));
                }
                _ => {}
            }
        }
        for (i, line) in plan.init.iter().enumerate() {
            if let Op::Network(Network::SetUp { device, number, .. }) = &line.op {
                assert!(at(&plan.init, &Op::Sync(Sync::AskNetDevices)) < Some(i));
                set_up.push((device, *number));
            }
        }
        assert_eq!(read, moved);
        assert_eq!(read, set_up);
        assert_eq!(read.len(), if net { 2 } else { 0 });
    }

    /// Which subject comes first changes nothing: the stages alone decide about order.
    #[test]
    fn subjects_come_in_any_order() {
        let spec = crate::spec::parse(EVERY.as_bytes()).unwrap_or_else(|p| panic!("{p:?}"));
        let wish =
            Wish { id: "x", bundle: "/b", cgroup: true, wait_for_start: true, console: Some("/c"), ..Wish::default() };
        let planned = |subjects: &[Subject]| {
            let mut b = Builder::new(&spec, &wish).unwrap_or_else(|p| panic!("{p:?}"));
            for subject in TREE.iter().chain(subjects) {
                subject(&mut b).unwrap_or_else(|p| panic!("{p:?}"));
            }
            b.done().unwrap_or_else(|p| panic!("{p:?}"))
        };
        let mut subjects = SUBJECTS;
        let first = planned(&subjects);
        for turn in 0..2 * subjects.len() {
            if turn == subjects.len() {
                subjects.reverse();
            }
            subjects.rotate_left(1);
            let plan = planned(&subjects);
            for (a, b) in plan.lines().zip(first.lines()) {
                assert_eq!(a, b);
            }
            assert_eq!(plan.lines().count(), first.lines().count());
        }
    }

    /// A configuration that every subject has something to say about.
    const EVERY: &str = r#"{
        "ociVersion": "1.2.0",
        "root": {"path": "rootfs", "readonly": true},
        "hostname": "a",
        "process": {
            "args": ["a"], "cwd": "/c", "env": ["PATH=/bin"], "terminal": true, "oomScoreAdj": 5,
            "user": {"uid": 1, "gid": 1, "additionalGids": [2]},
            "apparmorProfile": "p", "selinuxLabel": "l", "noNewPrivileges": true,
            "rlimits": [{"type": "RLIMIT_CORE", "soft": 1, "hard": 2}],
            "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 4}
        },
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/proc/sys", "type": "bind", "source": "/a", "options": ["bind", "rshared"]},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["ro"]}
        ],
        "hooks": {
            "prestart": [{"path": "/h"}], "createContainer": [{"path": "/h"}], "startContainer": [{"path": "/h"}]
        },
        "linux": {
            "namespaces": [
                {"type": "pid"}, {"type": "mount"}, {"type": "user"}, {"type": "network"}, {"type": "uts"},
                {"type": "ipc"}, {"type": "cgroup"}, {"type": "time"}
            ],
            "uidMappings": [{"containerID": 0, "hostID": 1000, "size": 10}],
            "gidMappings": [{"containerID": 0, "hostID": 1000, "size": 10}],
            "timeOffsets": {"monotonic": {"secs": 1}},
            "sysctl": {"net.ipv4.ip_forward": "1"},
            "netDevices": {"n0": {}},
            "rootfsPropagation": "rprivate",
            "maskedPaths": ["/proc/kcore"], "readonlyPaths": ["/proc/bus"],
            "devices": [{"type": "p", "path": "/dev/pipe"}],
            "resources": {"pids": {"limit": 10}, "memory": {"limit": 1000000}},
            "intelRdt": {"closID": "g"},
            "seccomp": {
                "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/l",
                "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]
            }
        }
    }"#;
}

//! The lanes of all ops: a plan with a line in a lane that cannot perform it is refused.

use crate::cli::Watched;
use crate::outcome::Lane;
use crate::plan::cgroup::{limits::Setting, scope::Scope};
use crate::plan::op::*;
use crate::plan::{Mark, Place, Slot, Step};
use alloc::ffi::CString;
use syscalls::{CapabilitySets, CloneFlags, MemoryPolicy, MountFlags, Persona, SeccompFlags, Why};

/// One of each op.
fn all() -> Vec<Op> {
    let c = CString::from(c"x");
    let (x, slot) = (|| c.clone(), Slot(0));
    let at = || Place::Rootfs { path: x(), links: false };
    let scope = || Box::new(Scope { unit: String::new(), sockets: vec![], properties: vec![] });
    let setting = Setting { file: x(), value: vec![], instead: None, optional: false, from: String::new() };
    let hook =
        Hook { path: x(), argv: vec![], envp: None, home: false, cwd: None, timeout: None, state: [vec![], vec![]] };
    let attr = syscalls::abi::SchedAttr {
        size: 0,
        policy: 0,
        flags: 0,
        nice: 0,
        priority: 0,
        runtime: 0,
        deadline: 0,
        period: 0,
        util_min: 0,
        util_max: 0,
    };
    let sets = CapabilitySets { effective: 0, permitted: 0, inheritable: 0 };
    let attributes = Attributes::default();
    let name = String::new;
    let source = Mounts::OpenSource(Source {
        path: x(),
        in_rootfs: false,
        recursive: false,
        link: false,
        idmap: None,
        attributes,
        tree: slot,
    });
    let mount = Mounts::Mount(FileSystem {
        at: at(),
        source: x(),
        kind: x(),
        flags: MountFlags::NONE,
        data: None,
        open: None,
        copy_up: false,
        keep_mode: false,
    });
    let node = Devices::Node { base: slot, name: x(), mode: 0, major: 0, minor: 0, uid: 0, gid: 0 };
    vec![
        Callers::PidFile { path: x() }.into(),
        Callers::PlacePidFile { path: x() }.into(),
        Callers::ConnectPidfd { path: x() }.into(),
        Callers::SendPidfd { name: "" }.into(),
        Callers::ConnectNotify { path: x() }.into(),
        Callers::NotifyDirectory.into(),
        Callers::Listen.into(),
        Cgroup::Make { parents: vec![], path: x(), optional: false }.into(),
        Cgroup::StartScope { scope: scope(), path: x() }.into(),
        Cgroup::JoinScope(scope()).into(),
        Cgroup::ReleaseScope.into(),
        Cgroup::SetScope { unit: name(), sockets: vec![], properties: vec![] }.into(),
        Cgroup::EnableControllers { above: vec![], needed: vec![] }.into(),
        Cgroup::NeedController { above: vec![], name: name() }.into(),
        Cgroup::Set { setting: Box::new(setting) }.into(),
        Cgroup::Give { uid: 0, gid: 0 }.into(),
        Devices::Program { program: vec![] }.into(),
        Devices::OpenDirectory { path: x(), slot, own: false }.into(),
        Devices::Directory { base: slot, name: x(), mode: 0 }.into(),
        node.into(),
        Devices::Link { base: slot, name: x(), target: x(), replace: false }.into(),
        Devices::Bound { base: slot, name: x(), tree: slot }.into(),
        Hooks::Output.into(),
        Hooks::Run { hook: Box::new(hook) }.into(),
        Labels::SecurityModule { selinux: true }.into(),
        source.into(),
        Mounts::OpenCgroup { attributes, tree: slot }.into(),
        Mounts::StandBeside { path: x() }.into(),
        Mounts::BindBeside { source: x(), path: x(), name: 0, recursive: false }.into(),
        Mounts::LeaveBeside.into(),
        Mounts::Enter { base: slot }.into(),
        mount.into(),
        Mounts::Attach { at: at(), tree: slot, kind: Kind::Directory, open: None }.into(),
        Mounts::Remount { at: at(), flags: MountFlags::NONE, data: None }.into(),
        Mounts::Alter { at: at(), attributes }.into(),
        Namespaces::Open { path: x(), kind: "", changed: false, slot }.into(),
        Namespaces::Clone { flags: CloneFlags::NONE, born: Born::Outside }.into(),
        Namespaces::CloneBridge { flags: CloneFlags::NONE }.into(),
        Namespaces::Join { slot, kind: "", flags: CloneFlags::NONE }.into(),
        Namespaces::JoinContainer { flags: CloneFlags::NONE }.into(),
        Namespaces::Unshare { flags: CloneFlags::CLONE_NEWCGROUP }.into(),
        Namespaces::Unshare { flags: CloneFlags::CLONE_NEWTIME }.into(),
        Namespaces::OpenHostProc.into(),
        Namespaces::PrivateProc.into(),
        Namespaces::WriteProc { base: slot, path: x(), text: vec![] }.into(),
        Namespaces::Hostname { name: vec![] }.into(),
        Namespaces::Domainname { name: vec![] }.into(),
        Network::Socket.into(),
        Network::Read { device: name(), name: name() }.into(),
        Network::Move { device: name(), number: 0 }.into(),
        Network::FreeName { name: name() }.into(),
        Network::SetUp { device: name(), name: name(), number: 0 }.into(),
        Network::LoopbackUp.into(),
        Process::HoldSignals.into(),
        Process::LookAtSignals.into(),
        Process::ReleaseSignals.into(),
        Process::EndBySignals.into(),
        Process::Affinity { cpus: vec![] }.into(),
        Process::AnyProcessor.into(),
        Process::RaiseLimit { resource: 0, hard: 0 }.into(),
        Process::Limit { resource: 0, soft: 0, hard: 0 }.into(),
        Process::ClearUmask.into(),
        Process::Umask { mask: 0 }.into(),
        Process::Session.into(),
        Process::Keyring { name: x() }.into(),
        Process::Scheduler { attr }.into(),
        Process::IoPriority { value: 0 }.into(),
        Process::MemoryPolicy { mode: MemoryPolicy::NONE, nodes: vec![] }.into(),
        Process::Personality { persona: Persona::NONE }.into(),
        Process::DropBounding { drop: 0 }.into(),
        Process::Capabilities { sets, ambient: 0 }.into(),
        Process::NoNewPrivileges.into(),
        Process::CloseDescriptors { first: 3 }.into(),
        Process::Find { named: x(), candidates: vec![], look: false }.into(),
        Process::Execve { argv: vec![], envp: Default::default() }.into(),
        Rdt::Make { group: x(), schemata: vec![], monitor: None }.into(),
        Rdt::Join { group: x(), monitor: None }.into(),
        Rootfs::Open { path: x() }.into(),
        Rootfs::Look { path: x() }.into(),
        Rootfs::LookInside { path: x(), enter: false }.into(),
        Rootfs::LookUpHome { uid: 0 }.into(),
        Rootfs::Propagation { flags: MountFlags::NONE }.into(),
        Rootfs::Attach { path: None }.into(),
        Rootfs::MakeCwd { path: x() }.into(),
        Rootfs::Pivot { aside: None }.into(),
        Rootfs::Chroot.into(),
        Rootfs::Move { attached: false }.into(),
        Rootfs::RootPropagation { flags: MountFlags::NONE }.into(),
        Rootfs::OpenNull { check: false }.into(),
        Rootfs::Hold { base: Slot::PROC, readonly: true }.into(),
        Rootfs::Mask { at: at(), directory: false, by_proc: false }.into(),
        Rootfs::ReadonlyPath { at: at(), held: false }.into(),
        Rootfs::Readonly.into(),
        Rootfs::Cwd { path: x() }.into(),
        Seccomp::Load { filter: vec![], flags: SeccompFlags::NONE, listener: false }.into(),
        Seccomp::PassListener { path: x(), document: vec![] }.into(),
        Sync::Channel.into(),
        Sync::Words.into(),
        Sync::CloseHostEnd.into(),
        Sync::StartFifos.into(),
        Sync::NoteCreating { parts: Box::default(), configuration: b"{}" }.into(),
        Sync::SaveState { parts: Box::default(), configuration: b"" }.into(),
        Sync::TellMapped.into(),
        Sync::AwaitMapped.into(),
        Sync::TellPlaced.into(),
        Sync::AwaitPlaced.into(),
        Sync::TellTraced.into(),
        Sync::AwaitTraced.into(),
        Sync::TellInit.into(),
        Sync::AwaitInit.into(),
        Sync::TellMounted.into(),
        Sync::AwaitMounted.into(),
        Sync::TellHooked.into(),
        Sync::AwaitHooked.into(),
        Sync::AskNetDevices.into(),
        Sync::AwaitAsk.into(),
        Sync::TellMoved.into(),
        Sync::TellReady.into(),
        Sync::AwaitReady.into(),
        Sync::TellGo.into(),
        Sync::AwaitGo.into(),
        Sync::AwaitStart.into(),
        Sync::AwaitExec.into(),
        Terminal::Connect { path: x() }.into(),
        Terminal::Pair.into(),
        Terminal::Take.into(),
        Terminal::Open { base: None, rows: 0, columns: 0, relayed: false }.into(),
        Terminal::Console { name: x(), make: false }.into(),
        Terminal::Send.into(),
        Terminal::Use { uid: 0 }.into(),
        Terminal::Streams { uid: 0 }.into(),
        Users::MappingNamespace { uids: vec![], gids: vec![], slot }.into(),
        Users::MapIds { uids: vec![], gids: vec![], deny_setgroups: false, helpers: None }.into(),
        Users::Dumpable { dumpable: false }.into(),
        Users::RootInside { uid: 0, gid: 0 }.into(),
        Users::Groups { gids: vec![], if_allowed: false }.into(),
        Users::Ids { uid: 0, gid: 0 }.into(),
        Watch::Clone { what: Watched::All }.into(),
        Watch::Clone { what: Watched::Refused }.into(),
        Watch::Begin.into(),
    ]
}

/// `Subject::Op` of an op, as the source has it.
fn name(op: &Op) -> String {
    let text = format!("{op:?}");
    let mut words = text.split(|c: char| !c.is_alphanumeric());
    format!("{}::{}", words.next().unwrap_or(""), words.next().unwrap_or(""))
}

/// The list above has every op that the source declares.
#[test]
fn all_ops_are_tried() {
    let files = [
        include_str!("../../src/plan/op/callers.rs"),
        include_str!("../../src/plan/op/cgroup.rs"),
        include_str!("../../src/plan/op/devices.rs"),
        include_str!("../../src/plan/op/hooks.rs"),
        include_str!("../../src/plan/op/labels.rs"),
        include_str!("../../src/plan/op/mounts.rs"),
        include_str!("../../src/plan/op/namespaces.rs"),
        include_str!("../../src/plan/op/network.rs"),
        include_str!("../../src/plan/op/process.rs"),
        include_str!("../../src/plan/op/rdt.rs"),
        include_str!("../../src/plan/op/rootfs.rs"),
        include_str!("../../src/plan/op/seccomp.rs"),
        include_str!("../../src/plan/op/sync.rs"),
        include_str!("../../src/plan/op/terminal.rs"),
        include_str!("../../src/plan/op/users.rs"),
    ];
    let tried: Vec<String> = all().iter().map(name).collect();
    for file in files {
        let (_, body) = file.split_once("pub enum ").unwrap_or_default();
        let (subject, body) = body.split_once(" {\n").unwrap_or_default();
        let (body, _) = body.split_once("\n}").unwrap_or_default();
        let declared = body.lines().filter_map(|line| line.strip_prefix("    "));
        let declared: Vec<&str> = declared.filter(|line| line.starts_with(char::is_uppercase)).collect();
        assert!(!declared.is_empty(), "{subject}");
        for op in declared {
            let op = op.split(|c: char| !c.is_alphanumeric()).next().unwrap_or("");
            let op = format!("{subject}::{op}");
            assert!(tried.contains(&op), "{op}");
        }
    }
}

/// A plan of one line, in this lane.
fn plan(op: Op, lane: Lane) -> Plan {
    let line = Line { op, step: Step::Command, stage: 0, from: "/here".into(), mark: Mark::None, why: Why("") };
    let mut plan = Plan::default();
    match lane {
        Lane::Bridge => plan.bridge.push(line),
        Lane::Init => plan.init.push(line),
        _ => plan.host.push(line),
    }
    plan
}

/// Every op is refused in every lane but its own, and in those it is not.
#[test]
fn a_misplaced_op_is_refused() {
    for op in all() {
        let mut somewhere = false;
        for lane in [Lane::Host, Lane::Bridge, Lane::Init] {
            let own = op.lanes().has(lane);
            somewhere |= own;
            let refused = misplaced(&plan(op.clone(), lane));
            assert_eq!(refused.is_none(), own, "{op:?} {lane:?}");
            if let Some(refused) = refused {
                assert_eq!(refused.pointer, "/here");
                assert!(
                    refused.problem.contains(&op.to_string()) && refused.problem.contains("line 1 "),
                    "{refused:?}"
                );
            }
        }
        assert!(somewhere, "{op:?} has no lane");
    }
}

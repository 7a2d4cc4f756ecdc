//! The plan: a pure function of what is wanted, what is here, and the command's options. May touch: types and
//! tables. It makes no system call, so the same configuration gives the same listing on any machine.

pub mod callers;
pub mod cgroup;
mod create;
pub mod devices;
mod exec;
mod hooks;
pub mod mounts;
mod namespaces;
mod network;
pub mod op;
mod process;
mod rootfs;
pub mod seccomp;
pub mod show;
mod slot;
mod step;
mod system;
pub mod terminal;

pub use create::{cgroup_path, create};
pub use exec::{Joined, exec};
pub use hooks::hook;
pub use op::{Hook, Line, Op, Place, Plan, Slot};
pub use step::Step;
pub use system::OWN_RESCTRL;

use crate::spec::{NamespaceKind, Problem, Spec, namespace};
use alloc::ffi::CString;
use alloc::string::String;
use alloc::vec::Vec;
pub use mounts::Covered;
pub use namespaces::Users;
use syscalls::Why;

/// What the command line adds to the configuration.
pub struct Wish<'a> {
    pub id: &'a str,
    /// The bundle's absolute path.
    pub bundle: &'a str,
    /// The state document: its text before the process id, between that and the start time, and from there to the
    /// configuration.
    pub state: [Vec<u8>; 3],
    /// The configuration as it was read.
    pub text: &'static [u8],
    pub pid_file: Option<&'a str>,
    /// `--console-socket`: who gets the other side of the program's terminal.
    pub console: Option<&'a str>,
    /// `--pidfd-socket`: who gets a handle on the new process.
    pub pidfd: Option<&'a str>,
    pub notify: Option<&'a callers::Notify>,
    pub no_pivot: bool,
    pub no_new_keyring: bool,
    /// How many descriptors above standard error are the program's.
    pub preserve_fds: u32,
    /// `create`: the program waits for `start`. Otherwise it runs as soon as all is ready.
    pub wait_for_start: bool,
    /// `exec`: the first process of the container that is there already.
    pub joins: Option<i32>,
    /// In the foreground: the caller holds signals back, to take them one by one.
    pub attached: bool,
    /// False: `--cgroup-manager disabled`.
    pub cgroup: bool,
    /// The caller's effective ids.
    pub uid: u32,
    pub gid: u32,
    /// The caller is in a user namespace itself: its root is not the machine's.
    pub nested: bool,
    /// The kernel forbids setting groups there.
    pub no_groups: bool,
    /// Where a cgroup goes that is not named from the hierarchy's root: empty, or a path that ends in `/`.
    pub cgroup_base: &'a str,
    /// `--systemd-cgroup`: whom to ask for the cgroup.
    pub manager: Option<&'a cgroup::scope::Manager>,
    /// `--rootless`: whether a cgroup that may not be made is done without, if it was said.
    pub rootless: Option<bool>,
}

/// A plan being written, line by line, in order.
pub struct Builder<'a> {
    pub spec: &'a Spec<'a>,
    pub wish: &'a Wish<'a>,
    pub bundle: &'a str,
    pub plan: Plan,
    /// What the lines from now on belong to, and come from.
    pub step: Step,
    pub from: String,
    pub covered: Vec<Covered>,
    /// Directories that the plan made below a tmpfs of its own.
    pub made: Vec<(Slot, String)>,
    /// The cgroup is done without where this user may not make it.
    pub optional_cgroup: bool,
    /// Lines of the host lane that need the cgroup.
    pub after_cgroup: Vec<Line>,
    /// The limit of processes, which comes late.
    pub pids: Vec<Line>,
    /// Lines of the init lane that come after the switch of root.
    pub late: Vec<Line>,
    /// The rootfs's path, without `.` and `..`.
    pub rootfs: String,
    /// Whether something is mounted already.
    pub mounted: bool,
    /// How many sources are open at once.
    pub held: usize,
    /// Mounts with a propagation of their own, and the lines that set it again after the root's is set.
    pub own_propagation: Vec<(String, Line)>,
    /// What systemd makes.
    pub scope: Option<cgroup::scope::Scope>,
    /// Lines of the host lane that need init.
    pub after_clone: Vec<Line>,
    /// The same, for when init has done its part.
    pub before_go: Vec<Line>,
    pub users: Users,
    /// Namespaces that are joined: which of `linux.namespaces`, and where its descriptor is.
    pub joined: Vec<(usize, Slot)>,
    /// Lines that open what lies outside, if init has to: and before which of its lines.
    sources: Vec<Line>,
    pub sources_at: usize,
    /// Whether there is a procfs of the plan's own to write to.
    pub private_proc: bool,
    /// User namespaces that stand for mappings, by the mappings.
    pub mappings: Vec<(Vec<u8>, Vec<u8>, Slot)>,
    /// Where the init lane stands.
    here: Option<Slot>,
}

impl<'a> Builder<'a> {
    pub fn new(spec: &'a Spec<'a>, wish: &'a Wish<'a>, plan: Plan, users: Users) -> Builder<'a> {
        Builder {
            spec,
            wish,
            bundle: wish.bundle,
            plan,
            step: Step::Sources,
            from: String::new(),
            covered: Vec::new(),
            made: Vec::new(),
            optional_cgroup: false,
            after_cgroup: Vec::new(),
            pids: Vec::new(),
            late: Vec::new(),
            rootfs: mounts::plain_path(&create::rootfs_path(spec, wish)),
            mounted: false,
            held: 0,
            own_propagation: Vec::new(),
            scope: None,
            after_clone: Vec::new(),
            before_go: Vec::new(),
            users,
            joined: Vec::new(),
            sources: Vec::new(),
            sources_at: 0,
            private_proc: false,
            mappings: Vec::new(),
            here: None,
        }
    }

    /// The plan, whole.
    pub fn done(mut self) -> Plan {
        if !self.sources.is_empty() {
            let rest = self.plan.init.split_off(self.sources_at);
            self.plan.init.append(&mut self.sources);
            self.plan.init.extend(rest);
        }
        self.plan
    }

    /// Whether a namespace of this kind is made for the container.
    pub fn new_namespace(&self, kind: NamespaceKind) -> bool {
        namespace(&self.spec.linux, &kind).is_some_and(|n| n.joined().is_none())
    }

    /// Whether the container lives in the runtime's mount namespace, where nothing may be mounted.
    pub fn shares_mounts(&self) -> bool {
        namespace(&self.spec.linux, &NamespaceKind::Mount).is_none()
    }

    /// A line that opens something outside: by the host, or by init where only that may.
    pub fn source(&mut self, op: impl Into<Op>, why: &'static str) {
        let line = self.line_of(Step::Sources, op, why);
        match self.users.inside {
            true => self.sources.push(line),
            false => self.plan.host.push(line),
        }
    }

    /// A line of the bridge lane.
    pub fn bridge(&mut self, op: impl Into<Op>, why: &'static str) {
        let line = self.line_of(Step::Namespaces, op, why);
        self.plan.bridge.push(line);
    }

    /// A line for a list of its own, of another step.
    pub fn line_of(&self, step: Step, op: impl Into<Op>, why: &'static str) -> Line {
        Line { step, ..self.line(op, why) }
    }

    /// A line of the current step, for a list of its own.
    pub fn line(&self, op: impl Into<Op>, why: &'static str) -> Line {
        Line { op: op.into(), step: self.step, from: self.from.clone(), why: Why(why) }
    }

    /// A line of the host lane.
    pub fn host(&mut self, step: Step, op: impl Into<Op>, why: &'static str) {
        self.plan.host.push(Line { op: op.into(), step, from: self.from.clone(), why: Why(why) });
    }

    /// A line of the init lane.
    pub fn init(&mut self, op: impl Into<Op>, why: &'static str) {
        use op::{Mounts, Rootfs};
        let op = op.into();
        // By-descriptor ops stand where they work, so the lane has moved.
        if matches!(
            &op,
            Op::Mounts(Mounts::Mount { at: Place::Rootfs { .. }, .. })
                | Op::Mounts(Mounts::Remount { at: Place::Rootfs { .. }, .. })
        ) {
            self.here = None;
        }
        if matches!(
            &op,
            Op::Rootfs(Rootfs::Mask { at: Place::Rootfs { .. }, .. })
                | Op::Mounts(Mounts::StandBeside { .. })
                | Op::Rootfs(Rootfs::Pivot { .. })
                | Op::Rootfs(Rootfs::Move { .. })
                | Op::Rootfs(Rootfs::Chroot)
                | Op::Rootfs(Rootfs::Cwd { .. })
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
                op::Mounts::Enter { base },
                "a relative name below a mount that nobody else can reach needs no checks",
            );
            self.here = Some(base);
        }
    }

    /// Lines were added that may have moved the init lane.
    pub fn stands_nowhere(&mut self) {
        self.here = None;
    }

    /// A numbered place for one more descriptor.
    pub fn slot(&mut self) -> Slot {
        let slot = Slot(self.plan.slots);
        // Past the last number nothing is told apart any more, and such a plan is refused at its end.
        self.plan.slots = self.plan.slots.saturating_add(1);
        slot
    }
}

/// A plan of a thousand mounts has a line for each.
const _: () = assert!(size_of::<Line>() <= 136);

/// The place of an entry in a list of config.json. There may be thousands, and format! takes ten times as long.
pub fn entry(list: &str, mut number: usize) -> String {
    let mut digits = [b'0'; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] += (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    let digits = core::str::from_utf8(&digits[first..]).unwrap_or_default();
    let mut place = String::with_capacity(list.len() + 1 + digits.len());
    place.push_str(list);
    place.push('/');
    place.push_str(digits);
    place
}

/// As many lines as a plan may have: they and the descriptors are numbered with 16 bits.
pub const MOST: usize = 10_000;

pub fn too_long() -> Problem {
    Problem { pointer: String::new(), problem: alloc::format!("asks for more than {MOST} steps") }
}

/// The plan, unless it is too long, or a line stands in a lane that cannot perform it.
fn whole(plan: Plan) -> Result<Plan, Problem> {
    match op::misplaced(&plan) {
        Some(problem) => Err(problem),
        None if plan.lines().count() > MOST => Err(too_long()),
        None => Ok(plan),
    }
}

/// A string as the kernel wants it.
pub fn c(text: &str) -> Result<CString, &'static str> {
    CString::new(text).map_err(|_| "holds a NUL byte, which no path or argument can")
}

#[cfg(test)]
mod tests {
    use super::op::{Namespaces, Network, Process, Sync};
    use super::*;

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
            state: Default::default(),
            text: b"",
            pid_file: None,
            console: wait_for_start.then_some("/console"),
            pidfd: wait_for_start.then_some("/pidfd"),
            notify: None,
            no_pivot: false,
            no_new_keyring: false,
            preserve_fds: 0,
            wait_for_start,
            joins: None,
            attached: !wait_for_start,
            cgroup: true,
            uid: 0,
            gid: 0,
            nested: false,
            no_groups: false,
            cgroup_base: "",
            manager: None,
            rootless: None,
        };
        create(&spec, &wish).unwrap_or_else(|p| panic!("{p:?}"))
    }

    /// What one lane says the other waits for, in the same order, and nothing is left over.
    #[test]
    fn the_lanes_fit_each_other() {
        for (wait, net) in [(false, false), (true, false), (false, true), (true, true)] {
            let plan = plan(wait, net);
            let clone = plan.host.iter().position(|l| matches!(l.op, Op::Namespaces(Namespaces::Clone { .. })));
            // Who has said what has been heard by the other: the words in the order of each lane.
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

    /// Read before the clone, moved between question and answer, set up behind it; each by the number it was read as.
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
}

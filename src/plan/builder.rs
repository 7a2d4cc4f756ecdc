//! A plan being written: subjects put lines into stages of [`super::order`], and [`Builder::done`] sorts them. What
//! several subjects have to know stands here too. May touch: types.

use super::mark::Mark;
use super::op::{Line, Mounts, Namespaces, Network, Op, Plan, Process, Sync, misplaced};
use super::order::{Bridge, Host, Init};
use super::slot::Slot;
use super::step::Step;
use super::text::{MOST, plain, too_long};
use super::tree::Tree;
use super::wish::{UserRights, Wish};
use crate::spec::{NamespaceKind, Problem, Spec, namespace};
use syscalls::{CloneFlags, Why};

pub struct Builder<'a> {
    pub spec: &'a Spec<'a>,
    pub wish: &'a Wish<'a>,
    pub users: UserRights,
    /// The rootfs's path, without `.` and `..`.
    pub rootfs: String,
    /// Namespaces that are joined: which of `linux.namespaces`, and where its descriptor is.
    pub joined: Vec<(usize, Slot)>,
    /// Whether a process between host and init makes init.
    pub bridged: bool,
    /// Whether host and init talk by words of memory, and need no channel.
    pub words: bool,
    pub tree: Tree,
    /// What beside the configuration decides about the next lines.
    mark: Mark,
    /// The lines of each lane, as the subjects write them.
    host: Vec<Line>,
    bridge: Vec<Line>,
    init: Vec<Line>,
    slots: u16,
    /// Whether the host's procfs is open, and which line of init's opens one of its own.
    host_proc: bool,
    private_proc: Option<usize>,
    /// The stage and the directory that the init lane stands in.
    stands: Option<(Init, Slot)>,
}

impl<'a> Builder<'a> {
    pub fn new(spec: &'a Spec<'a>, wish: &'a Wish<'a>) -> Result<Builder<'a>, Problem> {
        let mounts = spec.mounts.len();
        let mut b = Builder {
            spec,
            wish,
            users: UserRights::of(spec, wish)?,
            rootfs: plain(&rootfs_path(spec, wish)).into_owned(),
            joined: Vec::new(),
            bridged: false,
            words: false,
            tree: Tree::default(),
            mark: Mark::None,
            // Room for a usual plan: growing would copy it, and the arena keeps what it gave.
            host: Vec::with_capacity(24 + mounts),
            bridge: Vec::new(),
            init: Vec::with_capacity(96 + 2 * mounts),
            slots: Slot::FIRST_FREE,
            host_proc: false,
            private_proc: None,
            stands: None,
        };
        if wish.joins.is_none() {
            let joined = spec.linux.namespaces.iter().enumerate().filter(|(_, n)| n.joined().is_some());
            b.joined = joined.map(|(i, _)| (i, b.slot())).collect();
        }
        b.bridged = match &wish.joins {
            Some(joined) => b.users.inside && joined.namespaces.has(CloneFlags::CLONE_NEWPID),
            None => b.needs_bridge(),
        };
        Ok(b)
    }

    /// Whether `create` needs a process in between: see [`super::namespaces`].
    fn needs_bridge(&self) -> bool {
        let namespaces = &self.spec.linux.namespaces;
        let joins = |kind| namespace(&self.spec.linux, &kind).is_some_and(|n| n.joined().is_some());
        let others = namespaces.iter().any(|n| n.joined().is_some());
        let time = self.new_namespace(NamespaceKind::Time);
        joins(NamespaceKind::Pid) || self.users.joined || time || others && self.users.new
    }

    /// Whether a namespace of this kind is made for the container.
    pub fn new_namespace(&self, kind: NamespaceKind) -> bool {
        namespace(&self.spec.linux, &kind).is_some_and(|n| n.joined().is_none())
    }

    /// Whether the container lives in the runtime's mount namespace, where nothing may be mounted.
    pub fn shares_mounts(&self) -> bool {
        namespace(&self.spec.linux, &NamespaceKind::Mount).is_none()
    }

    /// Whether this is the plan of `exec`.
    pub fn is_exec(&self) -> bool {
        self.wish.joins.is_some()
    }

    /// A line of the host lane. `from`: the JSON pointer of what asks for it.
    pub fn host(&mut self, stage: Host, from: &str, op: impl Into<Op>, why: &'static str) {
        let line = self.line(stage as u8, stage.heading(), from.into(), op.into(), why);
        self.host.push(line);
    }

    /// A line of the bridge lane.
    pub fn bridge(&mut self, stage: Bridge, from: &str, op: impl Into<Op>, why: &'static str) {
        let line = self.line(stage as u8, stage.heading(), from.into(), op.into(), why);
        self.bridge.push(line);
    }

    /// A line of the init lane.
    pub fn init(&mut self, stage: Init, from: &str, op: impl Into<Op>, why: &'static str) {
        self.init_of(stage, from.into(), op.into(), why);
    }

    /// The same, for one of many: the pointer is not copied.
    pub fn init_of(&mut self, stage: Init, from: String, op: Op, why: &'static str) {
        let line = self.line(stage as u8, stage.heading(), from, op, why);
        self.init.push(line);
    }

    /// A line that opens something outside: the host's, or init's where only init may.
    pub fn source(&mut self, stage: Host, from: &str, op: impl Into<Op>, why: &'static str) {
        match self.users.inside {
            true => self.marked(Mark::NoRoot, |b| b.init(stage.by_init(), from, op, why)),
            false => self.host(stage, from, op, why),
        }
    }

    fn line(&self, stage: u8, heading: Step, from: String, op: Op, why: &'static str) -> Line {
        Line { op, stage, step: self.heading(heading), from, mark: self.mark, why: Why(why) }
    }

    /// Lines about which something beside the configuration decides. [`Mark::None`] leaves the mark that holds already.
    pub fn marked<T>(&mut self, mark: Mark, lines: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.mark;
        if mark != Mark::None {
            self.mark = mark;
        }
        let done = lines(self);
        self.mark = before;
        done
    }

    /// What the caller lacks, where its rights over the machine decide.
    pub fn rights(&self) -> Mark {
        match self.users.inside {
            true => Mark::NoRoot,
            false => Mark::Nested.when(self.wish.nested),
        }
    }

    /// The same, where the user namespace decides. One that the configuration asks for is no mark.
    pub fn foreign(&self) -> Mark {
        if self.users.new || self.users.joined { Mark::None } else { self.rights() }
    }

    /// All lines of `exec` have one heading.
    fn heading(&self, heading: Step) -> Step {
        if self.is_exec() { Step::Exec } else { heading }
    }

    /// Lets the init lane stand in a directory, unless it does so already.
    pub fn enter(&mut self, stage: Init, from: &str, base: Slot) {
        if self.stands != Some((stage, base)) {
            let why = "no other process can reach what lies here, so a relative name needs no checks";
            self.init(stage, from, Mounts::Enter { base }, why);
            self.stands = Some((stage, base));
        }
    }

    /// Whether the last line has left the init lane in this directory.
    pub fn stands_in(&self, stage: Init, base: Slot) -> bool {
        self.stands == Some((stage, base))
    }

    /// The last line has moved the init lane.
    pub fn stands_nowhere(&mut self) {
        self.stands = None;
    }

    /// A numbered place for one more descriptor.
    pub fn slot(&mut self) -> Slot {
        let slot = Slot(self.slots);
        // After the last number all slots are the same. Such a plan is refused at its end.
        self.slots = self.slots.saturating_add(1);
        slot
    }

    /// Before a line that uses the host's procfs.
    pub fn host_proc(&mut self) {
        let stage = if self.is_exec() { Host::Container } else { Host::Procfs };
        self.host_proc_at(stage);
    }

    pub fn host_proc_at(&mut self, stage: Host) {
        if !self.host_proc {
            let why = "a fake /proc could lead reads and writes anywhere: this one was checked to be procfs";
            self.host(stage, "", Namespaces::OpenHostProc, why);
            self.host_proc = true;
        }
    }

    /// Where init can write to its own procfs: in the mount that the plan makes, if nothing lies over a part of it;
    /// otherwise in one that no other process can reach.
    pub fn procfs(&mut self, stage: Init) -> Slot {
        let fresh = self.tree.covered.iter().any(|m| m.slot == Some(Slot::PROC) && m.fresh);
        if fresh && !self.tree.covered.iter().any(|m| m.path.starts_with("/proc/")) {
            return Slot::PROC;
        }
        let Some(at) = self.private_proc else {
            self.private_proc = Some(self.init.len());
            let why = "a procfs of init's own, since what lies at /proc could lead a write elsewhere";
            self.init(stage, "", Namespaces::PrivateProc, why);
            return Slot::PRIVATE_PROC;
        };
        // The line stands in the earliest stage that needs it.
        let step = self.heading(stage.heading());
        let line = &mut self.init[at];
        if (stage as u8) < line.stage {
            line.stage = stage as u8;
            line.step = step;
        }
        Slot::PRIVATE_PROC
    }

    /// How many lines there are so far.
    pub fn len(&self) -> usize {
        self.host.len() + self.bridge.len() + self.init.len()
    }

    /// The plan: all lines in the order of their stages.
    pub fn done(self) -> Result<Plan, Problem> {
        if self.len() > MOST {
            return Err(too_long());
        }
        let [host, bridge, mut init] = [self.host, self.bridge, self.init].map(in_order);
        if !waits_early(&init) {
            init.retain(|line| line.op != Op::Sync(Sync::CloseHostEnd));
        }
        let plan = Plan { host, bridge, init, slots: self.slots };
        match misplaced(&plan) {
            Some(problem) => Err(problem),
            None => Ok(plan),
        }
    }
}

/// Whether init waits for the host, or runs a program, before it closes all descriptors at once: then it must not hold
/// the host's end of the channel until there.
fn waits_early(init: &[Line]) -> bool {
    let closes = |line: &Line| matches!(line.op, Op::Process(Process::CloseDescriptors { .. }));
    let waits = |line: &Line| match &line.op {
        Op::Hooks(_) => true,
        Op::Network(op) => *op != Network::LoopbackUp,
        Op::Sync(op) => *op != Sync::CloseHostEnd,
        _ => false,
    };
    !init.iter().any(closes) || init.iter().take_while(|line| !closes(line)).any(waits)
}

/// The lines in the order of their stages. Each line goes to its place by one exchange: a sort of the lines themselves would
/// take their memory again, and the arena keeps what it gave.
fn in_order(mut lines: Vec<Line>) -> Vec<Line> {
    // Where the next line of each stage belongs.
    let mut next = [0u16; STAGES];
    for line in &lines {
        next[usize::from(line.stage) % STAGES] += 1;
    }
    let mut sum = 0;
    for count in &mut next {
        sum += core::mem::replace(count, sum);
    }
    let place = |line: &Line| {
        let next = &mut next[usize::from(line.stage) % STAGES];
        *next += 1;
        *next - 1
    };
    let mut places: Vec<u16> = lines.iter().map(place).collect();
    for at in 0..lines.len() {
        // Until the line that belongs here has come.
        while usize::from(places[at]) != at {
            let to = usize::from(places[at]);
            lines.swap(at, to);
            places.swap(at, to);
        }
    }
    lines
}

/// More than any lane has.
const STAGES: usize = 64;
const _: () = assert!((Host::PlacePidFile as usize) < STAGES && (Init::Program as usize) < STAGES);

/// `root.path` is absolute, or relative to the bundle (config.md, "Root").
pub fn rootfs_path(spec: &Spec, wish: &Wish) -> String {
    let path = &spec.root.path;
    if path.starts_with('/') { path.clone() } else { format!("{}/{path}", wish.bundle) }
}

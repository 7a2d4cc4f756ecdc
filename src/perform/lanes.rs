//! What the lanes hold while they walk: descriptors in the plan's slots, and all that init needs, made before
//! the clone. May touch: plan types, system calls.

use super::report::Word;
use super::vectors::Room;
use crate::outcome::{Done, Lane, Stopped};
use crate::plan::op::{Hooks, Op, Process};
use crate::plan::{Plan, Slot};
use alloc::ffi::CString;
use core::ffi::CStr;
use syscalls::{At, Fd, SigSet, Why};

pub struct Lanes<'a> {
    pub plan: &'static Plan,
    /// The one that this process walks.
    pub lane: Lane,
    slots: Vec<Option<Fd>>,
    /// The container's first process, as the host sees it; 0 before the clone.
    pub pid: i32,
    /// CLOCK_BOOTTIME before and after the clone, in nanoseconds.
    pub cloned: [u64; 2],
    /// The mask of signals that the caller had, if it was changed.
    pub signals: Option<SigSet>,
    /// Signals that the caller ignores.
    pub ignored: SigSet,
    /// `HOME=...`, where the configuration has none.
    pub home: Option<CString>,
    /// What init's word was when the host looked last, if both talk by words of memory.
    pub words: Option<u32>,
    /// A message of init's that came before the bridge's.
    pub heard: Option<Word>,
    /// Whether the lane makes binds side by side.
    pub beside: Beside,
    /// The first directory that is masked below each of the bases.
    pub masked: [Option<(Slot, &'a CStr)>; 3],
    /// The empty tmpfs that masks directories of the rootfs.
    pub mask: Option<Fd>,
    /// The path of the rootfs that was masked last, if it is a directory: the next may be one, too. And the open directory
    /// that both lie in, from the second on.
    pub masked_last: Option<(&'a CStr, Option<Fd>)>,
    /// The first name of the pid file, until it gets its own.
    pub pid_file: Option<CString>,
    /// A group of resctrl was made for the container.
    pub resctrl: bool,
    /// /dev lies on a mount other than the rootfs's: nothing is made in it.
    pub dev_is_lent: bool,
    /// The descriptor of /dev/null for masks can be read and written.
    pub null_is_open: bool,
    /// Which standard descriptors can be the null device.
    pub endless: [bool; 3],
    /// The network devices that were read.
    pub net: Vec<NetDevice>,
    /// The program's path, once it was found.
    pub program: Option<&'a CStr>,
    /// `start` has let the container go on.
    pub started: bool,
    /// For the program's execve, and for those of hooks.
    pub room: Room,
    pub hook_room: Room,
    /// The cgroup hierarchy, and where in it the container's cgroup is.
    pub cgroup_root: Option<Fd>,
    /// How many of the cgroup and its parents this process made, counted from the last.
    pub cgroup_made: usize,
    /// All controllers that are needed are enabled for it.
    pub controllers: bool,
    /// The process that holds the scope until init is in it: a socket, whose closing ends the process, and its handle.
    pub holder: Option<[Fd; 2]>,
    /// systemd has started the container's scope.
    pub scope: bool,
    /// The message of systemd, or of the kernel's verifier.
    pub said: String,
    /// What the watcher does with the process of this number.
    pub watcher: Option<Box<Act<'a>>>,
    /// `run --step`: whom each lane asks before a line.
    pub stepper: Option<Stepper>,
    /// The seccomp filter is loaded: it may refuse any call.
    pub filtered: bool,
}

/// What a watcher does when it traces a process. It is given the process, and a child of its own if it is to end with the
/// command: that child ends then.
pub type Act<'a> = dyn Fn(i32, Option<i32>) + 'a;

/// `run --step`: the process that is asked before each line.
pub struct Stepper {
    /// The lanes' ends of their channels: host, bridge, init.
    pub ends: [Fd; 3],
    pub process: Fd,
    /// The mask of signals that the caller had.
    pub before: SigSet,
}

/// How the lane stands while binds are made side by side.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    No,
    /// In their directory. `ours`: links of the rootfs are followed again when it leaves.
    Yes {
        ours: bool,
    },
}

/// A network device that was read.
#[derive(Clone)]
pub struct NetDevice {
    /// Its number on the host.
    pub index: u32,
    /// Its name on the way.
    pub way: String,
    /// The requests that init will send; the index in them is not known yet.
    pub requests: Vec<u8>,
}

/// What comes after a line.
pub enum Then {
    Next,
    /// This is the process that the line has made: it walks a lane of its own.
    Child,
    /// Another lane has stopped, and has said where.
    Stopped(Stopped),
}

impl<'a> Lanes<'a> {
    /// `state`: the container's state directory, if the plan needs it.
    pub fn new(plan: &'static Plan, state: Option<Fd>) -> Lanes<'a> {
        let mut slots: Vec<Option<Fd>> = (0..plan.slots.max(Slot::FIRST_FREE)).map(|_| None).collect();
        slots[Slot::STATE.0 as usize] = state;
        let hooks = plan.lines().filter_map(|line| match &line.op {
            Op::Hooks(Hooks::Run { hook }) => Some(&**hook),
            _ => None,
        });
        Lanes { room: room(plan), hook_room: Room::of(hooks), ..Lanes::holding(plan, slots) }
    }

    /// What init begins with where it shares this process's memory: all that this lane has prepared for it. Each field is named
    /// here, so that a new one is decided about.
    #[rustfmt::skip]
    pub fn for_init(&self) -> Lanes<'static> {
        let Lanes {
            plan, slots, ignored, home, words, net, dev_is_lent, endless,
            // These are the host's, or init's from the beginning of its lane.
            lane: _, pid: _, cloned: _, signals: _, heard: _, beside: _, masked: _, mask: _, pid_file: _, resctrl: _,
            null_is_open: _, program: _, started: _, room: _, hook_room: _, cgroup_root: _, cgroup_made: _, controllers: _,
            holder: _, scope: _, said: _, watcher: _, stepper: _, filtered: _, masked_last: _,
        } = self;
        Lanes {
            lane: Lane::Init,
            room: room(plan),
            ignored: *ignored,
            home: home.clone(),
            words: *words,
            net: net.clone(),
            dev_is_lent: *dev_is_lent,
            endless: *endless,
            ..Lanes::holding(plan, slots.iter().map(|fd| fd.as_ref().map(Fd::in_child)).collect())
        }
    }

    fn holding(plan: &'static Plan, slots: Vec<Option<Fd>>) -> Lanes<'a> {
        Lanes {
            plan,
            lane: Lane::Host,
            slots,
            pid: 0,
            cloned: [0; 2],
            signals: None,
            ignored: SigSet::EMPTY,
            home: None,
            words: None,
            heard: None,
            beside: Beside::No,
            masked: [None; 3],
            mask: None,
            masked_last: None,
            pid_file: None,
            resctrl: false,
            dev_is_lent: false,
            null_is_open: false,
            endless: [true; 3],
            net: Vec::new(),
            program: None,
            started: false,
            room: Room::new(0, 0),
            hook_room: Room::new(0, 0),
            cgroup_root: None,
            cgroup_made: 0,
            controllers: false,
            holder: None,
            scope: false,
            said: String::new(),
            watcher: None,
            stepper: None,
            filtered: false,
        }
    }

    /// The descriptor in a slot. For an empty slot it is a number that the kernel refuses with EBADF.
    pub fn at(&self, slot: Slot) -> At {
        self.slots.get(slot.0 as usize).and_then(|fd| fd.as_ref()).map_or(At::from_raw(-1), Fd::at)
    }

    /// Puts a descriptor into a slot.
    pub fn put(&mut self, slot: Slot, fd: Fd) {
        if let Some(place) = self.slots.get_mut(slot.0 as usize) {
            *place = Some(fd);
        }
    }

    /// Whether a slot holds a descriptor.
    pub fn has(&self, slot: Slot) -> bool {
        self.slots.get(slot.0 as usize).is_some_and(Option::is_some)
    }

    /// Takes a descriptor out of a slot.
    pub fn take(&mut self, slot: Slot) -> Option<Fd> {
        self.slots.get_mut(slot.0 as usize).and_then(Option::take)
    }

    /// The process that becomes the program, as calls of this lane name it: 0 is the caller itself.
    pub fn process(&self) -> i32 {
        if self.lane == Lane::Host { self.pid } else { 0 }
    }

    /// Whether devices and links may be made in the directory of this slot.
    pub fn makes_in(&self, slot: Slot) -> bool {
        self.has(slot) && !(slot == Slot::DEV && self.dev_is_lent)
    }

    /// While our copy of init's end of the channel is open, the channel cannot end. Other descriptors are closed when
    /// the host lane is done: init has its own copies, and until then no process waits because of ours.
    pub fn close_init_end(&mut self) -> Done {
        if let Some(end) = self.take(Slot::INIT_END) {
            let why = Why("only init holds this end now: the host can see when init lets go of it");
            end.close(why)?;
        }
        Ok(())
    }
}

/// Room for the program's vectors.
fn room(plan: &Plan) -> Room {
    let program = plan.init.iter().find_map(|line| match &line.op {
        Op::Process(Process::Execve { argv, envp }) => Some(Room::new(argv.len(), envp.len())),
        _ => None,
    });
    program.unwrap_or(Room::new(0, 0))
}

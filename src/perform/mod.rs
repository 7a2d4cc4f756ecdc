//! The only room that changes the world: it carries out a plan, line by line, in two lanes. May touch: plan types
//! and system calls. It never reads the configuration: if it needs a fact, the plan has it.

pub mod caller;
mod copyup;
pub mod files;
pub mod home;
pub mod hooks;
pub mod host;
pub mod later_mounts;
pub mod listener;
mod mounts;
pub mod namespaces;
mod net_devices;
mod old_root;
mod pid_file;
mod process;
mod ramfs;
mod side_by_side;
pub mod sync;
pub mod terminal;
pub mod trees;

use crate::outcome::Done;
use crate::plan::{Plan, Slot};
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;
use core::ffi::c_char;
use syscalls::{At, Fd, Why};

/// What the lanes hold while they walk: descriptors in the plan's slots, and all that the far side of the clone
/// needs, made beforehand.
pub struct Lanes<'a> {
    pub plan: &'a Plan,
    slots: Vec<Option<Fd>>,
    /// Of the container's first process, as the host sees it; 0 before the clone.
    pub pid: i32,
    /// CLOCK_BOOTTIME before and after the clone, in nanoseconds.
    pub cloned: [u64; 2],
    /// The mask of signals that the caller had, if it was changed.
    pub signals: Option<syscalls::SigSet>,
    /// Signals that the caller ignores.
    ignored: syscalls::SigSet,
    /// `HOME=...`, where the configuration has none.
    home: Option<CString>,
    /// What init said before it was known.
    heard: Option<sync::Word>,
    /// Whether the lane makes binds side by side.
    beside: side_by_side::Beside,
    /// The first directory that is masked below each of the bases.
    masked: [Option<(Slot, &'a CStr)>; 3],
    /// The empty tmpfs that masks directories of the rootfs.
    mask: Option<Fd>,
    /// The pid file to be.
    pid_file: Option<CString>,
    /// A group of resctrl was made for the container.
    resctrl: bool,
    /// /dev lies on a mount other than the rootfs's: nothing is made in it.
    dev_is_lent: bool,
    /// The descriptor of /dev/null for masks can be read and written.
    null_is_open: bool,
    /// Which standard descriptors can be the null device.
    pub endless: [bool; 3],
    /// What was read of the host's network devices.
    net: Vec<net_devices::NetDevice>,
    /// Room for execve's vectors.
    argv: Vec<*const c_char>,
    envp: Vec<*const c_char>,
    hook_room: hooks::Room,
    /// The cgroup hierarchy, and where in it the container's cgroup is.
    pub cgroup_root: Option<Fd>,
    /// How many of the cgroup and its parents this process made, counted from the last.
    pub cgroup_made: usize,
    /// All controllers that are needed are handed down to it.
    pub controllers: bool,
    /// Who holds the scope until init is in it: the end at whose closing it ends, and its handle.
    pub holder: Option<[Fd; 2]>,
    /// The scope is there, and ours.
    pub scope: bool,
    /// What systemd said, or the kernel's verifier.
    pub said: alloc::string::String,
}

impl<'a> Lanes<'a> {
    /// `state`: the container's state directory, if the plan needs it.
    pub fn new(plan: &'a Plan, state: Option<Fd>) -> Lanes<'a> {
        let mut slots: Vec<Option<Fd>> = (0..plan.slots.max(Slot::FIRST_FREE)).map(|_| None).collect();
        slots[Slot::STATE.0 as usize] = state;
        let (mut args, mut entries) = (0, 0);
        for line in &plan.init {
            if let crate::plan::Op::Process(crate::plan::op::Process::Execve { argv, envp }) = &line.op {
                (args, entries) = (argv.len(), envp.len());
            }
        }
        // One more for the NULL, and one for HOME.
        let room = |len: usize| alloc::vec![core::ptr::null(); len + 2];
        Lanes {
            plan,
            slots,
            pid: 0,
            cloned: [0; 2],
            signals: None,
            ignored: syscalls::SigSet::EMPTY,
            home: None,
            heard: None,
            beside: side_by_side::Beside::default(),
            masked: [None; 3],
            mask: None,
            pid_file: None,
            resctrl: false,
            dev_is_lent: false,
            null_is_open: false,
            endless: [true; 3],
            net: Vec::new(),
            argv: room(args),
            envp: room(entries),
            hook_room: hooks::Room::of(plan.lines().filter_map(|line| match &line.op {
                crate::plan::Op::Hooks(crate::plan::op::Hooks::Run { hook }) => Some(&**hook),
                _ => None,
            })),
            cgroup_root: None,
            cgroup_made: 0,
            controllers: false,
            holder: None,
            scope: false,
            said: alloc::string::String::new(),
        }
    }

    /// Lends what is in a slot. An empty slot lends a number that the kernel refuses with EBADF.
    pub fn at(&self, slot: Slot) -> At {
        self.slots.get(slot.0 as usize).and_then(|fd| fd.as_ref()).map_or(At::from_raw(-1), Fd::at)
    }

    /// Puts a descriptor into a slot.
    fn put(&mut self, slot: Slot, fd: Fd) {
        if let Some(place) = self.slots.get_mut(slot.0 as usize) {
            *place = Some(fd);
        }
    }

    /// Puts what was opened before the plan was made where the plan looks for it.
    pub fn lend(&mut self, slot: Slot, fd: Option<Fd>) {
        if let Some(place) = self.slots.get_mut(slot.0 as usize) {
            *place = fd;
        }
    }

    /// Whether something is in a slot.
    pub fn has(&self, slot: Slot) -> bool {
        self.slots.get(slot.0 as usize).is_some_and(Option::is_some)
    }

    /// Whether devices and links may be made in the directory of this slot.
    fn makes_in(&self, slot: Slot) -> bool {
        self.has(slot) && !(slot == Slot::DEV && self.dev_is_lent)
    }

    /// While our copy of init's end of the channel is open, the channel cannot end. Other descriptors are closed when
    /// the host lane is done: init has its own copies, and until then nobody is kept waiting by ours.
    fn close_init_end(&mut self) -> Done {
        if let Some(end) = self.take(Slot::INIT_END) {
            let why = Why("only init holds this end now: when it lets go, that can be seen");
            end.close(why)?;
        }
        Ok(())
    }

    /// Takes a descriptor out of a slot.
    pub fn take(&mut self, slot: Slot) -> Option<Fd> {
        self.slots.get_mut(slot.0 as usize).and_then(Option::take)
    }
}

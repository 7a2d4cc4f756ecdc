//! The words of `run`. As in `words`, a `///` on a field is text for people at a terminal. May touch: the value types.

use super::values::{
    Accel, Mode, Net, Publish, RootFrom, Steps, Watched, accel, descriptors, mebibytes, mode, net, processors, publish,
    refuse, refuse_given, root_from, socket, steps, times, watched,
};
use super::words::Create;
use argh::{ArgsInfo, EarlyExit, FromArgs};

#[derive(Debug, PartialEq)]
pub struct Run {
    pub create: Create,
    pub detach: bool,
    pub keep: bool,
    /// The trace of the command that is repeated.
    pub from_trace: Option<String>,
    /// A person goes through the plan.
    pub step: Option<Stepping>,
    /// So many times, one after the other, to learn how long the starts take.
    pub repeat: Option<usize>,
    /// The container's own machine; none: it uses this machine's kernel.
    pub vm: Option<Vm>,
}

/// `--step`, `--break`: where the plan stops.
#[derive(Debug, PartialEq)]
pub struct Stepping {
    /// None: at the breaks alone.
    pub every: Option<Steps>,
    pub breaks: Vec<String>,
}

/// `--mode vm`: the parts of the machine that the caller named.
#[derive(Debug, PartialEq, Default)]
pub struct Vm {
    /// nk-runtime for the machine; none: this file.
    pub guest: Option<String>,
    pub kernel: Option<String>,
    pub qemu: Option<String>,
    pub accel: Option<Accel>,
    pub modules: Option<String>,
    /// No channel: the console is the program's input and output.
    pub serial: bool,
    /// None: as it suits the size of the root.
    pub root_from: Option<RootFrom>,
    pub image: Option<String>,
    pub writable: bool,
    pub net: Net,
    pub publish: Vec<Publish>,
    /// In MiB.
    pub memory: Option<u64>,
    pub cpus: Option<u32>,
}

/// Create a container, start it, wait for its program and delete it. The exit status is the
/// program's, or 128 plus the number of the signal that ended it.
#[derive(FromArgs, ArgsInfo)]
#[argh(help_triggers("-h", "--help"))]
pub struct RunWords {
    /// the name it shall have
    #[argh(positional)]
    id: String,
    /// directory with config.json and the root filesystem (default: the current one)
    #[argh(option, short = 'b', arg_name = "dir")]
    bundle: Option<String>,
    /// another file in place of the bundle's config.json
    #[argh(option, short = 'f', arg_name = "file")]
    config: Option<String>,
    /// repeat a command that failed, with its config.json and its options; ID~2 is the one of that ID before the newest
    #[argh(option, arg_name = "id")]
    from_trace: Option<String>,
    /// run it N times as ID-1 to ID-N, and tell how long the starts took: median and spread. Only the first one's output is shown
    #[argh(option, arg_name = "n", from_str_fn(times))]
    repeat: Option<usize>,
    /// do not wait: return when the program has started
    #[argh(switch, short = 'd')]
    detach: bool,
    /// leave the ended container to be looked at and deleted later
    #[argh(switch)]
    keep: bool,
    /// delete the ended container: the default
    #[argh(switch)]
    rm: bool,
    /// write the first process's pid there
    #[argh(option, arg_name = "file")]
    pid_file: Option<String>,
    /// a unix socket that gets the other side of the program's terminal
    #[argh(option, arg_name = "socket", from_str_fn(socket))]
    console_socket: Option<String>,
    /// a unix socket that gets a handle (pidfd) on the new process
    #[argh(option, arg_name = "socket", from_str_fn(socket))]
    pidfd_socket: Option<String>,
    /// change the root by MS_MOVE and chroot, not by pivot_root
    #[argh(switch)]
    no_pivot: bool,
    /// hand on this many descriptors from 3 upwards
    #[argh(option, default = "0", arg_name = "n", from_str_fn(descriptors))]
    preserve_fds: u32,
    /// keep the caller's session keyring
    #[argh(switch)]
    no_new_keyring: bool,
    /// do not adopt processes that the container leaves behind
    #[argh(switch)]
    no_subreaper: bool,
    /// record the program's calls: refused (the default: those that the container refuses) or all
    #[argh(option, from_str_fn(watched))]
    watch: Option<Watched>,
    /// at the end write there the seccomp section that allows what the program used
    #[argh(option, arg_name = "file")]
    write_seccomp: Option<String>,
    /// at the end write there the capabilities that the program used, or may have used
    #[argh(option, arg_name = "file")]
    write_capabilities: Option<String>,
    /// stop before each of the plan's lines (the default) or sections, and show what the container is by then
    #[argh(option, from_str_fn(steps))]
    step: Option<Steps>,
    /// stop there: a line of the plan (41), a call (pivot_root), a section (pivot) or a place of config.json (/mounts/3)
    #[argh(option, long = "break", arg_name = "where")]
    breaks: Vec<String>,
    /// container (the default), or vm: the container in a machine of its own, by QEMU
    #[argh(option, default = "Mode::Container", from_str_fn(mode))]
    mode: Mode,
    /// nk-runtime for the machine (default: this program). The kind of the file is the kind of the machine: aarch64 or riscv64 too
    #[argh(option, arg_name = "file")]
    guest: Option<String>,
    /// the machine's kernel (default: $NK_KERNEL, or that of this machine in /boot)
    #[argh(option, arg_name = "file")]
    kernel: Option<String>,
    /// the kernel's modules, as a /lib/modules/RELEASE (default: $NK_MODULES, or that of the kernel's release in /lib/modules, beside the kernel's file or above it)
    #[argh(option, arg_name = "dir")]
    modules: Option<String>,
    /// no virtio: the program's input and output are the machine's serial line
    #[argh(switch)]
    serial: bool,
    /// the machine's QEMU (default: qemu-system-ARCH, looked for in $PATH)
    #[argh(option, arg_name = "file")]
    qemu: Option<String>,
    /// how the machine gets the root: initramfs (a copy in memory), 9p or virtiofs (shared), erofs, squashfs or ext4 (--image). Default: a copy up to 64 MiB, more is shared
    #[argh(option, arg_name = "kind", from_str_fn(root_from))]
    root_from: Option<RootFrom>,
    /// an image of the root, made beforehand: `scripts/initramfs --image erofs ROOTFS FILE`, or squashfs, ext4
    #[argh(option, arg_name = "file")]
    image: Option<String>,
    /// write to the root itself, not to memory laid over it
    #[argh(switch)]
    writable: bool,
    /// the machine's network: none (the default), or user: QEMU's own, which needs no right
    #[argh(option, default = "Net::None", from_str_fn(net))]
    net: Net,
    /// with --net user: a port of this machine that leads into that one, HOST:GUEST or HOST:GUEST/udp; may be repeated
    #[argh(option, arg_name = "ports", from_str_fn(publish))]
    publish: Vec<Publish>,
    /// the machine's memory in MiB (default: what kernel and root take, and memory.limit or 64)
    #[argh(option, arg_name = "mib", from_str_fn(mebibytes))]
    memory: Option<u64>,
    /// the machine's processors (default: as many as cpu.quota or cpu.cpus stand for, or 1)
    #[argh(option, arg_name = "n", from_str_fn(processors))]
    cpus: Option<u32>,
    /// kvm or tcg (default: $NK_VM_ACCEL, or kvm where /dev/kvm works)
    #[argh(option, from_str_fn(accel))]
    accel: Option<Accel>,
}

impl RunWords {
    pub fn checked(self) -> Result<Run, EarlyExit> {
        if self.rm && self.keep {
            return refuse("--rm and --keep are opposites; leave out one");
        }
        if self.rm && self.detach {
            return refuse("with --detach no process waits to delete it; leave out --rm");
        }
        self.fits_mode()?;
        self.fits_machine()?;
        self.fits_repeat()?;
        let create = Create {
            id: self.id,
            bundle: self.bundle,
            config: self.config,
            pid_file: self.pid_file,
            console_socket: self.console_socket,
            pidfd_socket: self.pidfd_socket,
            no_pivot: self.no_pivot,
            preserve_fds: self.preserve_fds,
            no_new_keyring: self.no_new_keyring,
            no_subreaper: self.no_subreaper,
            watch: self.watch,
            write_seccomp: self.write_seccomp,
            write_capabilities: self.write_capabilities,
        };
        let Self { detach, keep, from_trace, step, repeat, breaks, mode, kernel, qemu, accel, modules, serial, .. } =
            self;
        let step = (step.is_some() || !breaks.is_empty()).then_some(Stepping { every: step, breaks });
        let Self { guest, root_from, image, writable, net, publish, memory, cpus, .. } = self;
        let vm =
            Vm { guest, kernel, qemu, accel, modules, serial, root_from, image, writable, net, publish, memory, cpus };
        Ok(Run { create, detach, keep, from_trace, step, repeat, vm: (mode == Mode::Vm).then_some(vm) })
    }

    /// Refuses an option that only one run of many could have.
    fn fits_repeat(&self) -> Result<(), EarlyExit> {
        if self.repeat.is_none() {
            return Ok(());
        }
        refuse_given(
            &[
                ("--detach", self.detach),
                ("--keep", self.keep),
                ("--from-trace", self.from_trace.is_some()),
                ("--step", self.step.is_some()),
                ("--break", !self.breaks.is_empty()),
                ("--pid-file", self.pid_file.is_some()),
                ("--console-socket", self.console_socket.is_some()),
                ("--pidfd-socket", self.pidfd_socket.is_some()),
                ("--preserve-fds", self.preserve_fds != 0),
                ("--watch", self.watch.is_some()),
                ("--write-seccomp", self.write_seccomp.is_some()),
                ("--write-capabilities", self.write_capabilities.is_some()),
            ],
            |name| format!("{name} is of one container: leave it out with --repeat"),
        )
    }

    /// Refuses an option that another one of the machine's leaves without a meaning.
    fn fits_machine(&self) -> Result<(), EarlyExit> {
        if !self.publish.is_empty() && self.net != Net::User {
            return refuse("--publish needs --net user: without a network no port leads into the machine");
        }
        let copied = self.root_from == Some(RootFrom::Initramfs);
        let shared = copied || matches!(self.root_from, Some(RootFrom::NineP | RootFrom::Virtiofs));
        if self.image.is_some() && shared {
            return refuse("--image is for --root-from erofs, squashfs or ext4");
        }
        if self.writable && copied {
            return refuse(
                "--writable has no meaning with --root-from initramfs: it is a copy in the machine's memory",
            );
        }
        let packed = matches!(self.root_from, Some(RootFrom::Erofs | RootFrom::Squashfs));
        if self.writable && packed {
            return refuse("--writable: erofs and squashfs are file systems that can only be read");
        }
        Ok(())
    }

    /// Refuses an option that the mode does not use.
    fn fits_mode(&self) -> Result<(), EarlyExit> {
        match self.mode {
            Mode::Container => refuse_given(
                &[
                    ("--guest", self.guest.is_some()),
                    ("--kernel", self.kernel.is_some()),
                    ("--qemu", self.qemu.is_some()),
                    ("--accel", self.accel.is_some()),
                    ("--modules", self.modules.is_some()),
                    ("--serial", self.serial),
                    ("--root-from", self.root_from.is_some()),
                    ("--image", self.image.is_some()),
                    ("--writable", self.writable),
                    ("--net", self.net != Net::None),
                    ("--publish", !self.publish.is_empty()),
                    ("--memory", self.memory.is_some()),
                    ("--cpus", self.cpus.is_some()),
                ],
                |name| format!("{name} is for --mode vm alone"),
            ),
            Mode::Vm => refuse_given(
                &[
                    ("--detach", self.detach),
                    ("--from-trace", self.from_trace.is_some()),
                    ("--repeat", self.repeat.is_some()),
                    ("--pid-file", self.pid_file.is_some()),
                    ("--console-socket", self.console_socket.is_some()),
                    ("--pidfd-socket", self.pidfd_socket.is_some()),
                    ("--no-pivot", self.no_pivot),
                    ("--preserve-fds", self.preserve_fds != 0),
                    ("--no-new-keyring", self.no_new_keyring),
                    ("--no-subreaper", self.no_subreaper),
                    ("--watch", self.watch.is_some()),
                    ("--write-seccomp", self.write_seccomp.is_some()),
                    ("--write-capabilities", self.write_capabilities.is_some()),
                    ("--step", self.step.is_some()),
                    ("--break", !self.breaks.is_empty()),
                ],
                |name| format!("{name} does not go with --mode vm"),
            ),
        }
    }
}

//! `run --mode vm`: the container in a machine of its own. For the host, QEMU is the container's first process: the container
//! ends with it, and a signal is for the whole machine. May touch: everything below.

use super::channel::machine::{self, Machine as Speaking, Started};
use super::context::{Context, make_root, open_ourselves, step};
use super::terminal::Raw;
use super::virtiofsd::{self, Daemon};
use super::wait::Foreground;
use super::{bundle, delete, end};
use crate::cli::{self, Accel, CgroupManager, Level};
use crate::host::input;
use crate::outcome::{Doing, Error, Lane, at};
use crate::perform::share_slate;
use crate::plan::Step;
use crate::say::{error, out, tell};
use crate::state;
use crate::vm::{self, Machine, Of, Sharing, Size, Start, Whole};
use alloc::ffi::CString;
use core::ffi::{CStr, c_char};
use syscalls::{
    At, Call, CloneFlags, Cloned, Disposition, Errno, Failed, Fd, MemFd, Prctl, SigSet, Vector, WaitFlags, Why,
};

/// What the machine is started with: open files, and QEMU's arguments.
struct Parts {
    /// What QEMU gets, and under which number.
    handed: Vec<(Fd, i32)>,
    /// The same of what the machine needs for longer.
    lent: Vec<(At, i32)>,
    status: Fd,
    /// The host's end of the channel, if there is one, and of the console beside it.
    channel: Option<(Fd, Fd)>,
    /// The program has a terminal of this size, if the caller has none.
    terminal: Option<[u16; 2]>,
    argv: Vec<CString>,
    /// The seconds for which the machine has said nothing, if that has ended it.
    silent: Option<u64>,
}

/// `run --mode vm`.
#[inline(never)]
pub fn run(context: &mut Context, options: &cli::Run, wanted: &cli::Vm) -> Result<i32, Error> {
    let id = &options.create.id;
    state::check_id(id)?;
    let given = &options.create;
    if context.globals.cgroup_manager != CgroupManager::Cgroupfs {
        let text = "run: --cgroup-manager and --systemd-cgroup do not go with --mode vm: the machine is in no cgroup of its own";
        return Err(Error::Usage(text.into()));
    }
    let bundle = bundle::read(given.bundle.as_deref(), given.config.as_deref())?;
    let rootfs = bundle::rootfs(&bundle);
    let of = Of { spec: &bundle.spec, text: bundle.text, file: &bundle.file, path: &bundle.path, rootfs: &rootfs };
    let mut whole = Whole::of(wanted, &of)?;
    say(context, &whole);
    tell::words("machine", &[]);
    let new = state::New {
        config: None,
        id,
        bundle: &bundle.path,
        waits: false,
        // QEMU is one process, and the size of the machine limits it.
        cgroup: String::new(),
        scope: None,
        text: b"",
    };
    let mut saved = state::new(&bundle.spec, &context.host, new);
    saved.mode = "vm".into();

    step(Step::State);
    let root = make_root(&context.root)?;
    let why = Why("a signal that comes from now on ends the machine, and what was made is undone");
    syscalls::rt_sigprocmask(SigSet::HELD, why).doing("hold signals back")?;
    let dir = state::take(root.at(), id)?;
    let ended = context.recording.begin(dir.at()).and_then(|()| {
        step(Step::Sources);
        let program = whole.machine.guest.take().map_or_else(open_ourselves, Ok)?;
        let (image, len) = whole.image(&of, &program)?;
        let size = whole.size(wanted, &of, len)?;
        // A size that is wrong is refused in the machine, by its pointer.
        let usual = of.spec.process.window().map_or([0; 2], |window| [window.height, window.width]);
        let terminal = (of.spec.process.terminal == Some(true)).then_some(usual);
        started(context, dir.at(), &mut saved, &mut whole, &image, size, terminal)
    });
    step(Step::Delete);
    if let (true, Ok(status)) = (options.keep, &ended) {
        let ending = state::Ending { status: Some(*status), ..state::Ending::default() };
        end::keep(context, dir.at(), id, ending);
    }
    if (!options.keep || ended.is_err()) && state::is_still_there(dir.at()) {
        delete::remove(&root, id, &saved, None, Some(dir))?;
    }
    ended
}

/// What a person may want to know of the machine.
fn say(context: &Context, whole: &Whole) {
    if let Some(reason) = &whole.serial {
        context
            .log
            .say(Level::Info, &format!("the program's input and output are the machine's serial line: {reason}"));
    }
    if whole.devices.net.is_some() {
        context.log.say(Level::Info, "--net user: the machine is the container's network namespace");
    }
}

/// Starts the machine. If KVM does not work, and no one has asked for it, it starts once more without it.
fn started(
    context: &mut Context,
    dir: At,
    saved: &mut state::Saved,
    whole: &mut Whole,
    image: &Fd,
    size: Size,
    terminal: Option<[u16; 2]>,
) -> Result<i32, Error> {
    loop {
        let why = Why("what QEMU says is shown if the machine fails");
        let words = syscalls::memfd_create(c"words", MemFd::NONE, why).doing("make a file for QEMU's words")?;
        let given = Given { dir, image, words: &words, size, terminal, id: &saved.id };
        let mut daemons = Vec::new();
        let (ended, failed, silent) = match parts(context, whole, &given, &mut daemons) {
            Err(error) => (Err(error), true, None),
            Ok(mut parts) => {
                let ended = boot(context, dir, saved, &whole.machine, &mut parts);
                // Without a channel, what boot answers is QEMU's own status unless the machine has written one.
                let failed = ended.is_err() || !saved.channel && said(&parts.status)?.is_empty();
                (ended, failed, parts.silent)
            }
        };
        daemons.into_iter().for_each(Daemon::end);
        let text = said(&words)?;
        let blamed = silent.is_some() || text.to_ascii_lowercase().contains("kvm");
        let kvm = failed && whole.machine.accel == Accel::Kvm && blamed;
        let first = match silent {
            Some(seconds) => format!("the machine has said nothing for {seconds} s"),
            None => text.lines().next().unwrap_or("").into(),
        };
        if kvm && !whole.machine.accel_named {
            let word = format!("/dev/kvm opens and does not work, so the machine is emulated ({first})");
            context.log.say(Level::Warn, &word);
            whole.machine.accel = Accel::Tcg;
            continue;
        }
        if kvm {
            return Err(Error::State(format!("KVM does not work on this machine: {first}; try: --accel tcg")));
        }
        if failed || context.log.wants(Level::Debug) {
            out::stderr(&text);
        }
        return ended;
    }
}

/// What a machine's parts are made with: the container's state, the initramfs, the file for QEMU's words.
struct Given<'a> {
    dir: At,
    image: &'a Fd,
    words: &'a Fd,
    size: Size,
    terminal: Option<[u16; 2]>,
    id: &'a str,
}

/// What was written into a file in memory.
fn said(file: &Fd) -> Result<String, Error> {
    let why = Why("what QEMU says is shown if the machine fails");
    let bytes = input::read_descriptor(file.at(), why).doing("read QEMU's words")?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn parts(context: &Context, whole: &Whole, given: &Given, daemons: &mut Vec<Daemon>) -> Result<Parts, Error> {
    let why = Why("the program's status comes out of the machine through it");
    let status = syscalls::memfd_create(c"status", MemFd::NONE, why).doing("make a file for the program's status")?;
    let devices = &whole.devices;
    let Given { dir, image, words, size, terminal, id } = *given;
    let start = Start {
        id,
        trace: context.globals.trace,
        verbose: context.log.wants(Level::Debug),
        devices,
        size,
        settings: &whole.settings,
        root: context.host.uid == 0,
        counter: whole.machine.lacks_clock(devices).then(syscalls::counter_khz).flatten(),
    };
    let argv = whole.machine.words(&start)?;
    let mut lent = vec![(image.at(), vm::IMAGE_FD), (words.at(), 2)];
    let (mut handed, mut channel) = (Vec::new(), None);
    for (share, number) in devices.shares.iter().zip(vm::SHARES_FD..) {
        match (share.sharing, &whole.machine.virtiofsd) {
            (Sharing::Virtiofs, Some(program)) => {
                let (connected, daemon) = virtiofsd::start(program, share, dir, words, start.root)?;
                daemons.push(daemon);
                handed.push((connected, number));
            }
            _ => lent.push((share.open.at(), number)),
        }
    }
    if devices.channel {
        let pair = |why| syscalls::socketpair_stream(why).doing("make the machine's channel");
        let (ours, theirs) = pair(Why("all that the program reads and writes goes through it"))?;
        let (console, written) = pair(Why("what the machine's kernel says is shown if the machine fails"))?;
        handed.extend([(theirs, vm::CHANNEL_FD), (written, vm::CONSOLE_FD)]);
        channel = Some((ours, console));
    }
    Ok(Parts { handed, lent, status, channel, terminal, argv, silent: None })
}

/// Starts the machine and waits for its end.
fn boot(
    context: &mut Context,
    dir: At,
    saved: &mut state::Saved,
    machine: &Machine,
    parts: &mut Parts,
) -> Result<i32, Error> {
    step(Step::Program);
    let failed = |failed| at(format!("start {}", machine.qemu), failed);
    let child = Why("if SIGCHLD is ignored, the kernel drops QEMU's exit status (wait(2))");
    syscalls::rt_sigaction(libc::SIGCHLD, Disposition::Default, child).map_err(failed)?;
    let why = Why("it ends when QEMU is executed, or brings the error of the call that failed");
    let (host, theirs) = syscalls::socketpair(why).map_err(failed)?;
    let environment: Vec<&CStr> = syscalls::environment().collect();
    let mut vectors = [vec![core::ptr::null(); parts.argv.len() + 1], vec![core::ptr::null(); environment.len() + 1]];
    saved.start_time[0] = syscalls::clock_ns(libc::CLOCK_BOOTTIME);
    share_slate().map_err(failed)?;
    let why = Why("for the host, the machine is a process like any other");
    let (pid, qemu) = match syscalls::clone3(CloneFlags::NONE, None, Lane::Init as u8, why).map_err(failed)? {
        Cloned::Child => become_qemu(parts, &theirs, &environment, &mut vectors),
        Cloned::Parent { pid, pidfd } => (pid, pidfd),
    };
    saved.start_time[1] = syscalls::clock_ns(libc::CLOCK_BOOTTIME);
    saved.pid = pid;
    saved.channel = parts.channel.is_some();
    drop(theirs);
    // QEMU has them. The end of the channel is told when no other process holds QEMU's side.
    parts.handed.clear();
    executed(&host)
        .map_err(failed)
        .and_then(|()| {
            // No process can join a machine, so no later command needs the configuration.
            let whole = state::Whole { saved: saved.clone(), configuration: Vec::new() };
            state::save(dir, &whole)?;
            context.log.say(Level::Info, &format!("container {}: running, in a machine of its own", saved.id));
            step(Step::Wait);
            match parts.channel.take() {
                Some(ends) => speak(context, dir, saved, &qemu, ends, (machine.accel, parts)),
                None => serial(&qemu, pid, parts.status.at()),
            }
        })
        .inspect_err(|_| {
            let why = Why("a machine that no command waits for must not live on");
            let _ = syscalls::pidfd_send_signal(qemu.at(), libc::SIGKILL, why);
            let _ = syscalls::waitid_pidfd(qemu.at(), WaitFlags::NONE, why);
        })
}

/// The machine's console is the program's input and output, and a second serial line brings its status.
fn serial(qemu: &Fd, pid: i32, told: At) -> Result<i32, Error> {
    // QEMU makes the terminal raw.
    let _kept = Raw::by_another();
    let wait = Foreground { process: qemu, pid, child: true, notify: None, master: None, handed: None };
    status(told, wait.wait()?.ended.status())
}

/// All that the program reads and writes goes through the channel.
fn speak(
    context: &Context,
    dir: At,
    saved: &state::Saved,
    qemu: &Fd,
    (channel, console): (Fd, Fd),
    (accel, parts): (Accel, &mut Parts),
) -> Result<i32, Error> {
    let verbose = context.log.wants(Level::Debug);
    let mut options = Vec::new();
    if let Some(format) = context.globals.trace {
        options.push(format!("--trace={}", vm::word(format)));
    }
    options.extend(verbose.then(|| "--log-level=debug".into()));
    let words = machine::words(&saved.id, &options);
    let mut speaking = Speaking::new(Started { qemu, channel, console, verbose, fast: accel == Accel::Kvm })?;
    let ran = speaking.run(&machine::Wish { saved, dir, words: &words, terminal: parts.terminal });
    parts.silent = speaking.was_silent();
    let status = match (ran, speaking.killed()) {
        // As of a program that is killed.
        (Err(error), Some(status)) => {
            out::stderr(&error::message(&error, "").text());
            status
        }
        (ran, _) => ran?,
    };
    if !speaking.has_ended() {
        let why = Why("the program has ended, and its machine does not end by itself");
        let _ = syscalls::pidfd_send_signal(qemu.at(), libc::SIGKILL, why);
        let _ = syscalls::waitid_pidfd(qemu.at(), WaitFlags::NONE, why);
    }
    Ok(status)
}

/// The program's status if the machine has written it; if not, QEMU's own, or an error where that is 0.
fn status(told: At, qemu: i32) -> Result<i32, Error> {
    let why = Why("the machine has written the program's status there");
    let mut text = [0u8; 16];
    let len = syscalls::pread64(told, &mut text, 0, why).doing("read the program's status")?;
    let text = core::str::from_utf8(text.get(..len).unwrap_or(&[])).unwrap_or("");
    match (text.trim().parse(), qemu) {
        (Ok(status), _) => Ok(status),
        (Err(_), 0) => Err(Error::State(
            "the machine ended before its program: it was told to end, or its kernel gave up; --log-level debug shows what it says"
                .into(),
        )),
        (Err(_), status) => Ok(status),
    }
}

/// Waits until QEMU is executed.
fn executed(host: &Fd) -> Result<(), Failed> {
    let mut reason = [0u8; 8];
    let why = Why("the child tells there if QEMU could not be executed");
    match syscalls::read(host.at(), &mut reason, why)? {
        8 => Err(Failed::unpacked(u64::from_ne_bytes(reason))),
        _ => {
            syscalls::execve_of(Lane::Init as u8);
            Ok(())
        }
    }
}

/// The child of clone3, up to its execve of QEMU.
fn become_qemu(parts: &Parts, tell: &Fd, environment: &[&CStr], [argv, envp]: &mut [Vec<*const c_char>; 2]) -> ! {
    syscalls::freeze();
    syscalls::record::at(Lane::Init as u8, 0, Step::Program as u16);
    let argv = Vector::new(parts.argv.iter().map(|word| word.as_c_str()), argv);
    let envp = Vector::new(environment.iter().copied(), envp);
    let prepare = || {
        let why = Why("a machine that no command waits for must not live on");
        syscalls::prctl(Prctl::PR_SET_PDEATHSIG, libc::SIGKILL as usize, why)?;
        if parts.channel.is_some() {
            syscalls::setsid(Why("no key at the caller's terminal may end the machine"))?;
        }
        let why = Why("QEMU takes signals as any program does");
        syscalls::rt_sigprocmask(SigSet::EMPTY, why)?;
        let why = Why("QEMU has it by this number");
        syscalls::dup3_standard(parts.status.at(), vm::STATUS_FD, why)?;
        let handed = parts.handed.iter().map(|(file, number)| (file.at(), *number));
        let mut all = handed.chain(parts.lent.iter().copied());
        all.try_for_each(|(file, number)| syscalls::dup3_standard(file, number, why))
    };
    let failed = match (prepare(), parts.argv.first()) {
        (Ok(()), Some(program)) => syscalls::execve(program, &argv, &envp, Why("this becomes the machine")),
        (Err(failed), _) => failed,
        (Ok(()), None) => Failed { errno: Errno::EINVAL, call: Call::EXECVE, at: syscalls::record::NOWHERE },
    };
    let reason = failed.packed();
    let _ =
        syscalls::write(tell.at(), &reason.to_ne_bytes(), Why("the command that waits has to tell which call failed"));
    syscalls::exit_group(1, Why("there is no machine"))
}

/// Refuses signals that do not end a machine: none reaches what runs in it.
pub fn refuse_signal(saved: &state::Saved, signal: i32) -> Result<(), Error> {
    let ends = [0, libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGKILL];
    match saved.mode == "vm" && !ends.contains(&signal) {
        false => Ok(()),
        true => Err(Error::State(format!(
            "container {} is in a machine of its own, where no signal of the host reaches: TERM and KILL end the machine",
            saved.id
        ))),
    }
}

//! `create` and `run`: from the bundle to a container that waits, or to the program's end. May touch: everything below.

use super::notify::{self, Between};
use super::{Context, delete, hooks, step, terminal};
use crate::cli::{self, Level};
use crate::host::input;
use crate::host::input::c;
use crate::outcome::{Doing, Error, at};
use crate::perform::{Lanes, cgroup, undo, walk};
use crate::plan::callers;
use crate::plan::cgroup::scope;
use crate::plan::{self, Notify, Slot, Step, Wish};
use crate::say::error::{Said, stopped};
use crate::spec::{self, Spec};
use crate::state;
use syscalls::{At, Errno, Fd, OpenFlags, Prctl, SigSet, WaitFlags, Why};

/// A bundle that was read: its absolute path, and what its configuration wants.
pub struct Bundle {
    pub path: String,
    pub spec: Spec<'static>,
    /// The text of the configuration, from its first brace to its last.
    pub text: &'static [u8],
}

/// Reads and checks a bundle's configuration. Nothing is made yet.
pub fn read_bundle(bundle: Option<&str>, config: Option<&str>) -> Result<Bundle, Error> {
    step(Step::Command);
    let given = bundle.unwrap_or(".");
    let path = if given.starts_with('/') { given.into() } else { format!("{}/{given}", current_directory()?) };
    let path = plan::clean(&path);
    let file = match config {
        Some(file) => file.to_string(),
        None => format!("{path}/config.json"),
    };
    // What is wanted refers to it, and lives as long as the process.
    let text: &'static [u8] = read_config(&file)?.leak();
    let spec = spec::parse(text).map_err(|problem| Error::Spec { file, problem })?;
    let text = text.trim_ascii();
    Ok(Bundle { path, spec, text })
}

/// The text of a file that says what is wanted.
pub fn read_config(file: &str) -> Result<Vec<u8>, Error> {
    let text = match input::descriptor(file) {
        Some(fd) => read_lent(file, fd)?,
        None => read_file(file)?,
    };
    if text.len() >= input::LONGEST {
        return Err(Error::State(format!(
            "{file}: longer than {} MiB: that is no configuration",
            input::LONGEST >> 20
        )));
    }
    Ok(text)
}

/// What the descriptor holds that a path names. The container does not get it: init closes what is not the program's.
fn read_lent(file: &str, fd: i32) -> Result<Vec<u8>, Error> {
    let why = Why("the path that says what is wanted names this descriptor");
    let text = input::read_descriptor(At::from_raw(fd), why);
    text.doing(format_args!("read {file}"))
}

fn read_file(file: &str) -> Result<Vec<u8>, Error> {
    // O_NONBLOCK: opening a fifo must not hang.
    let flags = OpenFlags::O_NONBLOCK;
    let opened = syscalls::openat(At::CWD, &c(file)?, flags, Why("the bundle's configuration says what is wanted"));
    let opened = opened.map_err(|failed| match failed.errno {
        Errno::ENOENT => Error::State(format!(
            "{file}: no such file or directory: a bundle has a config.json; `nk-runtime spec` writes one to begin with"
        )),
        _ => at(format!("open {file}"), failed),
    })?;
    let text = input::read_all(opened.at(), Why("the bundle's configuration says what is wanted"));
    let text = text.doing(format_args!("read {file}"))?;
    opened.leak(); // the end of the process closes it, and execve does
    Ok(text)
}

/// A path that later commands can use, wherever they are called.
fn absolute(path: Option<&str>) -> Result<Option<String>, Error> {
    let absolute = |path: &str| match path.starts_with('/') {
        true => Ok(path.into()),
        false => Ok(format!("{}/{path}", current_directory()?)),
    };
    path.map(absolute).transpose()
}

/// The caller's directory, for paths that are relative.
pub fn current_directory() -> Result<String, Error> {
    let mut buffer = [0u8; 4096];
    let here = syscalls::getcwd(&mut buffer, Why("the path that was given is relative to it"));
    let here = here.doing("find the current directory")?;
    Ok(String::from_utf8_lossy(here).into_owned())
}

/// A container that was made: its lanes, and the open state root.
struct Made {
    root: Fd,
    spec: &'static Spec<'static>,
    saved: state::Saved,
    init: Option<Fd>,
    /// The other side of its terminal, if that is relayed.
    master: Option<Fd>,
    notify: Option<Between>,
    cgroup_root: Option<Fd>,
    signals: Option<SigSet>,
}

/// Devices that are asked for in a directory which a mount lends.
fn devices_left_out(spec: &Spec) -> Option<String> {
    let mut devices = plan::devices::left_out(spec);
    let first = devices.next()?;
    let more = match devices.count() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(format!(
        "config.json /linux/devices: `{first}`{more} left out: a mount lends the directory, where nothing is made"
    ))
}

/// Whether other processes can look at the container's first one before it has become its program.
fn watched(spec: &Spec) -> bool {
    let pids = spec::namespace(&spec.linux, &spec::NamespaceKind::Pid);
    let shared = spec::namespace(&spec.linux, &spec::NamespaceKind::Mount).is_none();
    shared || pids.is_none_or(|pids| pids.joined().is_some()) || !spec.hooks.start_container.is_empty()
}

/// What the environment of this command has for the program. An engine that has seen to it itself says so in config.json.
fn surroundings(context: &Context, spec: &mut Spec, id: &str) -> Result<Option<Notify>, Error> {
    let env = &mut spec.process.env;
    if context.listening > 0 {
        callers::set(env, format!("LISTEN_FDS={}", context.listening));
        // The first process of its pid namespace, as runc and crun have it (sd_listen_fds(3)).
        callers::set(env, "LISTEN_PID=1".into());
        if let Some(names) = crate::host::environment("LISTEN_FDNAMES") {
            callers::set(env, format!("LISTEN_FDNAMES={names}"));
        }
    }
    if env.iter().any(|entry| entry.starts_with("NOTIFY_SOCKET=")) {
        return Ok(None);
    }
    let root = absolute(Some(&context.root))?.unwrap_or_default();
    let shared = spec::namespace(&spec.linux, &spec::NamespaceKind::Mount).is_none();
    let mut notify = notify::wanted(&root, id)?;
    if shared && notify.take().is_some() {
        let word = "NOTIFY_SOCKET is not passed on: without a mount namespace its socket would be a mount on the host";
        context.log.say(Level::Warn, word);
    }
    if notify.is_some() {
        callers::set(env, callers::NOTIFY_INSIDE.into());
    }
    Ok(notify)
}

/// Everything up to where the plan's host lane ends.
fn make(context: &mut Context, options: &cli::Create, wait_for_start: bool, attached: bool) -> Result<Made, Error> {
    state::check_id(&options.id)?;
    // A pipe can be read once only, and the process that was executed again has to read it.
    let lent = options.config.as_deref().and_then(input::descriptor);
    if let Some(argv) = context.argv.filter(|_| lent.is_some()) {
        crate::entry::seal::seal(argv, context.host.uid)?;
    }
    let mut bundle = read_bundle(options.bundle.as_deref(), options.config.as_deref())?;
    let notify = surroundings(context, &mut bundle.spec, &options.id)?;
    if let Some(argv) = context.argv.filter(|_| watched(&bundle.spec)) {
        crate::entry::seal::seal(argv, context.host.uid)?;
    }
    context.say_all("config.json", bundle.spec.warnings());
    let passed_over = plan::mounts::options::passed_over(&bundle.spec.mounts);
    let passed_over = passed_over.into_iter().map(|word| (false, word));
    context.say_all("config.json", passed_over.collect());
    if let Some(word) = devices_left_out(&bundle.spec) {
        context.log.say(Level::Warn, &word);
    }
    let profile = bundle.spec.linux.seccomp.as_ref();
    if let Some(profile) = profile.filter(|_| context.log.wants(Level::Debug)) {
        for word in plan::seccomp::warnings(profile) {
            context.log.say(Level::Debug, &word);
        }
    }
    let base = context.cgroup_base(&bundle.spec);
    context.host.look();
    context.say_groups(&bundle.spec);
    let manager = context.manager()?;
    let file = || options.config.clone().unwrap_or_else(|| format!("{}/config.json", bundle.path));
    let refused = |problem| Error::Spec { file: file(), problem };
    let mut wish = Wish {
        id: &options.id,
        bundle: &bundle.path,
        state: Default::default(),
        text: bundle.text,
        pid_file: options.pid_file.as_deref(),
        console: options.console_socket.as_deref(),
        pidfd: options.pidfd_socket.as_deref(),
        notify: notify.as_ref(),
        no_pivot: options.no_pivot,
        no_new_keyring: options.no_new_keyring,
        preserve_fds: context.preserve_fds,
        wait_for_start,
        joins: None,
        attached,
        cgroup: context.cgroup(),
        uid: context.host.uid,
        gid: context.host.gid,
        nested: context.host.nested,
        no_groups: context.host.no_groups,
        cgroup_base: &base,
        manager: manager.as_ref(),
        rootless: context.globals.rootless,
    };
    let cgroup = match context.cgroup() {
        true => plan::cgroup_path(&bundle.spec, &wish).map_err(refused)?,
        false => String::new(),
    };
    let unit = |manager: &scope::Manager| {
        let (_, unit) = scope::names(&bundle.spec, &options.id, manager.user)?;
        Ok((unit, manager.sockets.clone()))
    };
    let new = state::New {
        id: &options.id,
        bundle: &bundle.path,
        config: absolute(options.config.as_deref())?,
        waits: wait_for_start,
        cgroup,
        scope: manager.as_ref().map(unit).transpose().map_err(refused)?,
    };
    let saved = state::new(&bundle.spec, &context.host, new);
    wish.state = state::planned(&saved);
    let plan = plan::create(&bundle.spec, &wish).map_err(refused)?;
    // Neither is ever freed: after the clone, writing to their pages would copy each of them.
    let plan: &'static plan::Plan = Box::leak(Box::new(plan));
    let spec: &'static Spec<'static> = Box::leak(Box::new(bundle.spec));

    step(Step::State);
    let root = state::make_root(&context.root)?;
    let dir = state::take(root.at(), &options.id)?;
    let begun = context.recording.begin(dir.at());
    let recorder = begun.and_then(|()| state::intend(dir.at(), &saved));
    let mut lanes = Lanes::new(plan, Some(dir));
    lanes.endless = context.endless;
    let made = recorder.and_then(|()| {
        walk::host(&mut lanes).map_err(|stop| {
            let stop = cgroup::blame_limit(&lanes, stop);
            let said = match stop.trouble {
                crate::outcome::Trouble::Hook(_) => hooks::said(lanes.at(Slot::STATE)),
                _ => core::mem::take(&mut lanes.said),
            };
            stopped(plan, &Said::default(), stop, &said)
        })
    });
    if context.log.wants(Level::Debug) {
        for (i, line) in plan.lines().enumerate() {
            let text = format!("line {} of the plan: {}", i + 1, line.op);
            context.log.say(Level::Debug, &text);
        }
    }
    if let Err(error) = made {
        undo::container(&mut lanes);
        if let Some(dir) = lanes.take(Slot::STATE) {
            state::remove(root.at(), dir, &options.id)?;
        }
        if lanes.pid != 0 {
            delete::after(context, &saved);
        }
        return Err(error);
    }
    if context.cgroup() && !lanes.has(Slot::CGROUP) {
        let id = &options.id;
        let word = format!("container {id} has no cgroup: nothing is delegated to this user");
        context.log.say(Level::Info, &word);
    }
    context.say_left_out();
    let (init, cgroup_root) = (lanes.take(Slot::INIT), lanes.cgroup_root.take());
    let (signals, pid) = (lanes.signals, lanes.pid);
    let cgroup_made = Some(lanes.cgroup_made);
    let master = attached.then(|| lanes.take(Slot::MASTER)).flatten();
    let notify = match (lanes.take(Slot::NOTIFY), lanes.take(Slot::NOTIFIED)) {
        (Some(program), Some(caller)) => {
            Some(Between { program, caller, pid: if attached { context.pid } else { pid } })
        }
        _ => None,
    };
    drop(lanes);
    step(Step::Wait);
    Ok(Made {
        root,
        spec,
        saved: state::Saved { pid, cgroup_made, ..saved },
        init,
        master,
        notify,
        cgroup_root,
        signals,
    })
}

/// `create`.
pub fn create(context: &mut Context, options: &cli::Create) -> Result<i32, Error> {
    make(context, options, true, false)?;
    context.log.say(Level::Info, &format!("container {}: created", options.id));
    Ok(0)
}

/// `run`: attached, it returns the program's status and deletes the container at its end.
pub fn run(context: &mut Context, options: &cli::Run) -> Result<i32, Error> {
    let id = &options.create.id;
    let own_pids = |spec: &Spec| spec.linux.namespaces.iter().any(|n| n.kind == spec::NamespaceKind::Pid);
    let made = make(context, &options.create, false, !options.detach)?;
    if let Err(error) = hooks::poststart(&made.saved, &made.spec.hooks, made.saved.pid) {
        delete::destroy(context, &made.root, &made.saved, made.init.as_ref())?;
        return Err(error);
    }
    context.log.say(Level::Info, &format!("container {id}: running"));
    if options.detach {
        if let (Some(notify), Some(init)) = (&made.notify, &made.init) {
            notify.until_ready(init)?;
        }
        return Ok(0);
    }
    if !options.create.no_subreaper && !own_pids(made.spec) {
        let why = Why("without a pid namespace, what the program leaves behind comes to us");
        let _ = syscalls::prctl(Prctl::PR_SET_CHILD_SUBREAPER, 1, why);
    }
    let Some(init) = made.init else {
        return Err(Error::State(format!("container {id} has no first process")));
    };
    let status = match attend(made.master, made.notify, &init, made.saved.pid) {
        Ok(status) => status,
        Err(error) => {
            delete::destroy(context, &made.root, &made.saved, Some(&init))?;
            return Err(error);
        }
    };
    drop(init);
    if let Some(mask) = made.signals {
        let _ = syscalls::rt_sigprocmask(mask, Why("the wait is over: signals act on us again"));
    }
    context.log.say(Level::Info, &format!("container {id}: stopped, status {status}"));
    if !options.keep {
        step(Step::Delete);
        delete::end_left(context, &made.root, &made.saved)?;
        delete::remove(&made.root, id, &made.saved, made.cgroup_root)?;
        delete::after(context, &made.saved);
    }
    Ok(status)
}

/// Stays with a program until its end: with its terminal, if it has one that is relayed.
pub fn attend(master: Option<Fd>, notify: Option<Between>, process: &Fd, pid: i32) -> Result<i32, Error> {
    match (master, notify) {
        (Some(master), notify) => terminal::relay(master, notify, process, pid),
        (None, Some(notify)) => notify.wait(process, pid),
        (None, None) => wait(process, pid),
    }
}

/// Which signal it is that a signalfd has.
pub fn signal(signals: &Fd) -> Result<i32, Error> {
    let mut info = [0u8; 128];
    syscalls::read(signals.at(), &mut info, Why("which signal it is")).doing("wait for the program")?;
    Ok(i32::from_ne_bytes([info[0], info[1], info[2], info[3]]))
}

/// Waits for a program's end, and hands every other signal on to it.
pub fn wait(process: &Fd, pid: i32) -> Result<i32, Error> {
    let failed = |failed| at("wait for the program", failed);
    loop {
        let why = Why("the program's end, or a signal to hand on");
        let signal = syscalls::rt_sigwait(SigSet::ALL, why).map_err(failed)?;
        match signal {
            libc::SIGCHLD => {
                if let Some(status) = ended(process, pid)? {
                    return Ok(status);
                }
            }
            signal => hand_on(process, signal),
        }
    }
}

/// A child has ended: the status, if it is the program.
pub fn ended(process: &Fd, pid: i32) -> Result<Option<i32>, Error> {
    let why = Why("the status that the program ended with");
    let ended = syscalls::waitid_pidfd(process.at(), WaitFlags::WNOHANG, why).doing("wait for the program")?;
    if ended.is_none() {
        // Somebody else's end: without a pid namespace they come to us.
        reap(pid);
    }
    Ok(ended.map(|ended| ended.status()))
}

/// A signal for the program.
pub fn hand_on(process: &Fd, signal: i32) {
    // About this process itself, such as a write of its own that ulimit -f forbids, or for its terminal's sake alone.
    if !matches!(signal, libc::SIGURG | libc::SIGPIPE | libc::SIGXFSZ) {
        let why = Why("whoever signals us means the program");
        let _ = syscalls::pidfd_send_signal(process.at(), signal, why);
    }
}

/// Takes the status of children that are not the container's first process: not its own, which is waited for by name.
fn reap(init: i32) {
    let why = Why("what the program left behind must not stay a zombie");
    while let Ok(Some(pid)) = syscalls::waitid_any_ended(why) {
        // It has ended just now: the signal that tells of it is on its way.
        if pid == init || syscalls::waitid_pid(pid, why).is_err() {
            return;
        }
    }
}

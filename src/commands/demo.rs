//! `demo`: a container made of this program alone. In a mount namespace of its own the command mounts a tmpfs, makes a bundle
//! with only this program in its rootfs, runs it, and tells each step as it happens. May touch: everything below.

use super::context::{Context, open_ourselves, step};
use super::{inside, run, trace_page};
use crate::host::input::c;
use crate::host::{Host, procfs};
use crate::outcome::{Doing, Error, at};
use crate::perform::files::write_all;
use crate::plan::Step;
use crate::say::{out, tell};
use crate::trace::Filter;
use crate::{cli, spec};
use syscalls::{At, CloneFlags, Errno, Fd, MountFlags, OpenFlags, Prctl, Why};

/// The host name inside, and how the id begins.
const NAME: &str = "nk-demo";

/// Where the bundle is made: only this process's mount namespace sees it.
const BUNDLE: &str = "/tmp";

/// What to type next.
const NEXT: &str = include_str!("demo.txt");

/// `demo`.
#[inline(never)]
pub fn demo(context: &mut Context, options: &cli::Demo) -> Result<i32, Error> {
    step(Step::Command);
    let page = options.html.as_deref().map(made).transpose()?;
    context.educate();
    tell::words("demo", &[]);
    let program = open_ourselves()?;
    let outside = inside::namespaces(At::CWD, c"/proc/self/ns/");
    let rootless = context.host.uid != 0;
    if rootless {
        become_root(&context.host)?;
        context.host.uid = 0;
    }
    bundle(&program, &outside, rootless).doing("make a bundle for the demo")?;
    drop(program);
    let pid = syscalls::getpid(Why("two demos at once need two cgroups, so the ID ends in a number"));
    let create = cli::Create { id: format!("{NAME}-{pid}"), bundle: Some(BUNDLE.into()), ..cli::Create::default() };
    let id = create.id.clone();
    let whole = cli::Run { create, detach: false, keep: false, from_trace: None, step: None, repeat: None, vm: None };
    context.root = format!("{BUNDLE}/state");
    let status = run::run(context, &whole)?;
    if let (Some(page), Some(path)) = (page, &options.html) {
        let why = Why("the page of the demo's trace was asked for");
        let trace = cli::TraceCmd { ids: vec![id], ..cli::TraceCmd::default() };
        let text = trace_page::page(context, &trace, &Filter::default())?;
        write_all(page.at(), text.as_bytes(), why).doing(format_args!("write {path}"))?;
    }
    out::stdout(NEXT)?;
    Ok(status)
}

/// The file for the page. It is opened first: the demo mounts its own file system on /tmp, and the path could lead there.
fn made(path: &str) -> Result<Fd, Error> {
    let why = Why("the page of the demo's trace was asked for");
    syscalls::openat_create(At::CWD, &c(path)?, OpenFlags::O_WRONLY | OpenFlags::O_TRUNC, 0o644, why)
        .doing(format_args!("open {path}"))
}

/// For an ordinary user: a user namespace around the whole demo, in which this user is root.
fn become_root(host: &Host) -> Result<(), Error> {
    let failed = |failed| at("demo: become root of a user namespace", failed);
    let procfs = procfs::open().map_err(failed)?;
    let why = Why("the files in /proc of a process that is not dumpable belong to root");
    syscalls::prctl(Prctl::PR_SET_DUMPABLE, 1, why).map_err(failed)?;
    let why = Why("an ordinary user has privileges only in a user namespace of its own");
    syscalls::unshare(CloneFlags::CLONE_NEWUSER, why).map_err(failed)?;
    let why = Why("this user is root inside; no other user is there");
    let files = [
        (c"self/setgroups", "deny".into()),
        (c"self/uid_map", format!("0 {} 1", host.uid)),
        (c"self/gid_map", format!("0 {} 1", host.gid)),
    ];
    for (name, text) in files {
        let flags = OpenFlags::O_WRONLY;
        let file = syscalls::openat(procfs.at(), name, flags, why).map_err(failed)?;
        syscalls::write(file.at(), text.as_bytes(), why).map_err(failed)?;
    }
    let why = Why("from now on no other process may look into this one");
    syscalls::prctl(Prctl::PR_SET_DUMPABLE, 0, why).map(drop).map_err(failed)
}

fn bundle(program: &Fd, outside: &str, rootless: bool) -> syscalls::Result<()> {
    syscalls::unshare(CloneFlags::CLONE_NEWNS, Why("what the demo mounts is its own, and ends with it"))?;
    let private = MountFlags::MS_REC | MountFlags::MS_PRIVATE;
    syscalls::mount_none(None, c"/", private, Why("no mount of the demo may appear outside"))?;
    match syscalls::mkdirat(At::CWD, c"/tmp", 0o1777, Why("the demo's bundle needs a place")) {
        Err(failed) if failed.errno != Errno::EEXIST => return Err(failed),
        _ => {}
    }
    let (flags, why) = (MountFlags::MS_NOSUID | MountFlags::MS_NODEV, Why("a fresh place in memory for the bundle"));
    syscalls::mount(c"tmpfs", c"/tmp", c"tmpfs", flags, Some(c"mode=0700"), why)?;
    for directory in [c"/tmp/rootfs", c"/tmp/rootfs/proc", c"/tmp/rootfs/dev", c"/tmp/rootfs/sys"] {
        syscalls::mkdirat(At::CWD, directory, 0o755, Why("the rootfs: mount points, and one program"))?;
    }
    let why = Why("the program of the demo is this one");
    let new = OpenFlags::O_WRONLY | OpenFlags::O_EXCL;
    let copy = syscalls::openat_create(At::CWD, c"/tmp/rootfs/nk-runtime", new, 0o755, why)?;
    while syscalls::sendfile(copy.at(), program.at(), 1 << 24, why)? > 0 {}
    copy.close(Why("a file that is open for writing cannot be executed (execve(2), ETXTBSY)"))?;
    let why = Why("a bundle needs a configuration");
    let config = syscalls::openat_create(At::CWD, c"/tmp/config.json", new, 0o644, why)?;
    write_all(config.at(), configuration(outside, rootless).as_bytes(), why)
}

/// The default configuration with this program in it, and with the names of the namespaces outside. Where only one group is
/// mapped, no terminal can belong to another group.
fn configuration(outside: &str, rootless: bool) -> String {
    let group = if rootless { ",\n\t\t\t\t\"gid=5\"" } else { "\0" };
    spec::DEFAULT
        .replace(group, "")
        .replace("\"sh\"", "\"/nk-runtime\", \"inside\"")
        .replace("TERM=xterm", &format!("NK_OUTSIDE={outside}"))
        .replace("\"hostname\": \"runc\"", &format!("\"hostname\": \"{NAME}\""))
}

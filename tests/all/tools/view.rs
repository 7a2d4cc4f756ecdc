//! The view in which the containers run: that of a host with cgroup v2 alone, whatever the host has. The test
//! program takes mount and cgroup namespaces of its own before it has a second thread; what it starts inherits them.
//!
//! In it `/` is shared, as systemd leaves it on most hosts, so that a runtime that forgets about propagation is
//! found out, and `/run` is empty, so that a runtime's default place for its state can be used without a trace.

use crate::Failed;
use nix::fcntl::{OFlag, open};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, geteuid, unlinkat};
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::Duration;

/// Why there is no such view, if there is none: for the cases that need it to say.
static MISSING: OnceLock<String> = OnceLock::new();

/// The way back.
pub struct View {
    home: Option<Home>,
}

struct Home {
    procs: File,
    folder: OwnedFd,
    name: String,
}

const NOTHING: Option<&str> = None;

/// Steps into the view. Where that fails, the reason is kept for [`needed`].
pub fn enter() -> View {
    match try_enter() {
        Ok(home) => View { home: Some(home) },
        Err(failed) => {
            let reason = failed.message().unwrap_or("no reason given");
            let _ = MISSING.set(format!("needs the view of a cgroup v2 host: {reason}"));
            View { home: None }
        }
    }
}

/// For every case that runs a container.
pub fn needed() -> Result<(), Failed> {
    match MISSING.get() {
        Some(reason) => Err(reason.into()),
        None => Ok(()),
    }
}

fn try_enter() -> Result<Home, Failed> {
    if !geteuid().is_root() {
        return Err("must be root".into());
    }
    let above = own_cgroup()?;
    let name = format!("nk-tests-{}", std::process::id());
    let folder = open(above.as_str(), OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    let procs = File::options().write(true).open(format!("{above}/cgroup.procs"))?;
    fs::create_dir(format!("{above}/{name}"))?;
    // Whatever controllers there are: a machine whose own cgroup holds processes hands none down.
    let controllers = fs::read_to_string(format!("{above}/cgroup.controllers"))?;
    for controller in controllers.split_whitespace() {
        let _ = fs::write(format!("{above}/cgroup.subtree_control"), format!("+{controller}"));
    }
    fs::write(format!("{above}/{name}/cgroup.procs"), "0")?;
    let home = Home { procs, folder, name };

    unshare(CloneFlags::CLONE_NEWCGROUP | CloneFlags::CLONE_NEWNS)?;
    mount(NOTHING, "/", NOTHING, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NOTHING)?;
    while umount2("/sys/fs/cgroup", MntFlags::MNT_DETACH).is_ok() {}
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("cgroup2"), "/sys/fs/cgroup", Some("cgroup2"), flags, NOTHING)?;
    mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::empty(), Some("mode=755"))?;
    mount(NOTHING, "/", NOTHING, MsFlags::MS_REC | MsFlags::MS_SHARED, NOTHING)?;
    // Out of the way: a cgroup that holds a process cannot hand controllers to those below it.
    fs::create_dir("/sys/fs/cgroup/tests")?;
    fs::write("/sys/fs/cgroup/tests/cgroup.procs", "0")?;
    Ok(home)
}

/// The path of the cgroup2 folder that this process is in.
fn own_cgroup() -> Result<String, Failed> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let line = mounts.lines().find(|line| line.contains(" - cgroup2 ")).ok_or("no cgroup2 is mounted")?;
    let at = line.split(' ').nth(4).ok_or("mountinfo makes no sense")?;
    let cgroups = fs::read_to_string("/proc/self/cgroup")?;
    let path = cgroups.lines().find_map(|line| line.strip_prefix("0::")).ok_or("no line 0:: in /proc/self/cgroup")?;
    Ok(format!("{at}{}", path.trim_end_matches('/')))
}

/// Gives the calling thread, and what it starts, a copy of the mounts that nobody else changes: what is mounted
/// from now on and still there afterwards was left behind by this case.
pub fn own_mounts() -> Result<(), Failed> {
    needed()?;
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(NOTHING, "/", NOTHING, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NOTHING)?;
    mount(NOTHING, "/", NOTHING, MsFlags::MS_REC | MsFlags::MS_SHARED, NOTHING)?;
    Ok(())
}

impl View {
    /// Leaves the cgroup and removes it with all that is below it; what a failed case left running ends here.
    pub fn leave(mut self) {
        let Some(mut home) = self.home.take() else {
            return;
        };
        // The file was opened before the namespace: that is what the kernel judges the move by.
        if let Err(error) = home.procs.write_all(b"0") {
            eprintln!("the tests could not leave their cgroup {}: {error}", home.name);
        }
        let _ = fs::write("/sys/fs/cgroup/cgroup.kill", "1");
        remove_below("/sys/fs/cgroup");
        if let Err(errno) = unlinkat(&home.folder, home.name.as_str(), UnlinkatFlags::RemoveDir) {
            eprintln!("the tests left their cgroup {} behind: {errno}", home.name);
        }
    }
}

fn remove_below(folder: &str) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let path = entry.path();
            remove_below(&path.to_string_lossy());
            // Busy as long as somebody is on his way out.
            for _ in 0..100 {
                match fs::remove_dir(&path) {
                    Err(error) if error.kind() == ErrorKind::ResourceBusy => sleep(Duration::from_millis(10)),
                    _ => break,
                }
            }
        }
    }
}

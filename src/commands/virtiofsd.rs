//! virtiofsd: a process that shares a directory with a machine (`run --mode vm --root-from virtiofs`). QEMU and it are two ends of a
//! connection that is made here, so no socket stays on the host; it ends with QEMU. May touch: everything below.

use crate::host::input::c;
use crate::outcome::{Doing, Error, Lane};
use crate::vm::{Share, missing};
use alloc::ffi::CString;
use core::ffi::{CStr, c_char};
use syscalls::{At, AtFlags, CloneFlags, Cloned, Fd, MountFlags, PollFd, SigSet, Vector, WaitFlags, Why};

/// Its descriptor of the socket on which it waits for QEMU.
const SOCKET_FD: i32 = 100;
/// How long it may take to notice that QEMU has gone.
const PATIENCE_MS: u64 = 2000;

/// One that runs.
pub struct Daemon(Fd);

/// Starts one for a directory. `dir`: the container's state. `words`: what it says goes there. The answer is QEMU's end.
pub fn start(program: &str, share: &Share, dir: At, words: &Fd, root: bool) -> Result<(Fd, Daemon), Error> {
    let doing = format!("share {} by {program}", share.path);
    if share.path.contains([',', '\\']) {
        return Err(missing(&format!("{}: virtiofsd takes no path with a comma or a backslash", share.path)));
    }
    let (listener, connected) = connection(dir).doing(&doing)?;
    let path = c(&share.path)?;
    let source = c(&format!("source={}", share.path))?;
    let program = c(program)?;
    let number = c(&format!("--fd={SOCKET_FD}"))?;
    let argv: [&CStr; 6] = [&program, &number, c"-o", &source, c"-o", c"xattr"];
    let environment: Vec<&CStr> = syscalls::environment().collect();
    let (mut room, mut rooms) = ([core::ptr::null(); 7], vec![core::ptr::null(); environment.len() + 1]);
    let only = root && !share.writable;
    let flags = if only { CloneFlags::CLONE_NEWNS } else { CloneFlags::NONE };
    let why = Why("a process of its own shares the directory, and ends with the machine");
    let child = Child { listener: &listener, words, path: &path, only };
    match syscalls::clone3(flags, None, Lane::Holder as u8, why).doing(&doing)? {
        Cloned::Child => child.become_it(&argv, &environment, &mut room, &mut rooms),
        Cloned::Parent { pidfd, .. } => Ok((connected, Daemon(pidfd))),
    }
}

/// A socket that listens, and one that is connected with it. Its path goes at once.
fn connection(dir: At) -> syscalls::Result<(Fd, Fd)> {
    let why = Why("QEMU and virtiofsd speak through it");
    let (listener, connected) = (syscalls::socket_unix(why)?, syscalls::socket_unix(why)?);
    let path = CString::new(format!("/proc/self/fd/{}/virtiofs", dir.raw())).unwrap_or_default();
    syscalls::bind_unix(listener.at(), &path, why)?;
    let joined =
        syscalls::listen(listener.at(), 1, why).and_then(|()| syscalls::connect_unix(connected.at(), &path, why));
    let why = Why("both ends are there, and nothing else shall connect");
    syscalls::unlinkat(dir, c"virtiofs", AtFlags::NONE, why)?;
    joined.map(|()| (listener, connected))
}

struct Child<'a> {
    listener: &'a Fd,
    words: &'a Fd,
    path: &'a CStr,
    /// The machine may only read.
    only: bool,
}

impl Child<'_> {
    fn become_it(
        &self,
        argv: &[&CStr; 6],
        environment: &[&CStr],
        room: &mut [*const c_char; 7],
        rooms: &mut [*const c_char],
    ) -> ! {
        syscalls::freeze();
        syscalls::record::at(Lane::Holder as u8, 0, 0);
        let program = argv[0];
        let argv = Vector::new(argv.iter().copied(), room);
        let envp = Vector::new(environment.iter().copied(), rooms);
        if self.prepare().is_ok() {
            let _ = syscalls::execve(program, &argv, &envp, Why("this becomes virtiofsd"));
        }
        syscalls::exit_group(1, Why("there is no virtiofsd: QEMU finds the connection closed"))
    }

    fn prepare(&self) -> syscalls::Result<()> {
        let why = Why("Ctrl-C at the terminal is for the program in the machine");
        syscalls::setsid(why)?;
        if self.only {
            let why = Why("the machine may only read this directory: to virtiofsd it is read-only");
            let root = MountFlags::MS_REC | MountFlags::MS_PRIVATE;
            syscalls::mount_none(None, c"/", root, why)?;
            syscalls::mount_none(Some(self.path), self.path, MountFlags::MS_BIND | MountFlags::MS_REC, why)?;
            let flags = MountFlags::MS_REMOUNT | MountFlags::MS_BIND | MountFlags::MS_RDONLY;
            syscalls::mount_none(None, self.path, flags, why)?;
        }
        let why = Why("virtiofsd takes signals as any program does");
        syscalls::rt_sigprocmask(SigSet::EMPTY, why)?;
        let why = Why("virtiofsd has it by this number");
        syscalls::dup3_standard(self.listener.at(), SOCKET_FD, why)?;
        syscalls::dup3_standard(self.words.at(), 1, why)?;
        syscalls::dup3_standard(self.words.at(), 2, why)
    }
}

impl Daemon {
    /// Waits for its end, which comes with QEMU's.
    pub fn end(self) {
        let why = Why("it ends when QEMU has gone");
        let mut table = [PollFd { fd: self.0.at().raw(), events: libc::POLLIN, revents: 0 }];
        let _ = syscalls::ppoll(&mut table, Some(PATIENCE_MS), why);
        let why = Why("nothing of a machine lives on");
        let _ = syscalls::pidfd_send_signal(self.0.at(), libc::SIGKILL, why);
        let _ = syscalls::waitid_pidfd(self.0.at(), WaitFlags::NONE, why);
    }
}

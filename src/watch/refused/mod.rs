//! Which line of the configuration refused a call of the container's program, what to change, and what that opens. The
//! process is stopped after the call, so /proc shows it as the call found it. May touch: system calls, procfs, the spec.
//!
//! ```text
//!   seccomp        the filter, which comes first
//!   files          mounts, masks, devices, owners and modes (paths.txt)
//!   capability     which capability a call needs, and where it counts (capabilities.txt)
//!   sets           which set of the configuration lacks it
//!   mounting       mounts and namespaces of the program's own
//!   programs       interpreters and loaders
//!   ids            mappings of users and groups
//!   limits         of the process and of its cgroup
//!   surroundings   network, processes, terminal, the watcher, security modules
//!   process        the process that is stopped
//!   types          what the watcher gives, and what it gets
//!   texts          what is said of each cause (texts.txt)
//!   summary        all refusals of a run, for a reader
//! ```

mod capability;
mod files;
mod ids;
mod limits;
mod mounting;
mod process;
mod programs;
mod seccomp;
mod sets;
mod summary;
mod surroundings;
mod texts;
mod types;

pub use summary::summary;
pub use types::{By, Cause, Confinement, Foreign, KILLED, Refusal};

use process::Stopped;
use syscalls::{Errno, foreign};

/// What of the container refused a call, which failed. `None`: nothing of the configuration did: the program asked for what is
/// not there, or gave up the right itself. Calls that succeeded can be refused something too: an execve the rights of the
/// program's file, and the kernel answers a netlink message that it was sent with another one.
pub fn cause(confinement: &Confinement, call: &Foreign) -> Option<Cause> {
    let name = foreign::name(call.arch, call.number)?;
    let stopped = Stopped::new(confinement, call, name);
    if let Some(cause) = seccomp::refused(&stopped) {
        return Some(cause);
    }
    let errno = match call.errno() {
        Some(errno) => errno,
        None if call.result == 0 && name.starts_with("execve") => return files::unprivileged(&stopped),
        None if name == "sendto" || name == "sendmsg" => return capability::answered(&stopped),
        None => return None,
    };
    by_errno(&stopped, errno)
}

/// The checks in the kernel's order, for each errno that they give.
fn by_errno(stopped: &Stopped, errno: Errno) -> Option<Cause> {
    match errno {
        Errno::ENOENT => files::masked(stopped).or_else(|| files::no_device(stopped)),
        Errno::ENOTDIR => files::masked(stopped),
        Errno::EROFS => files::readonly(stopped),
        Errno::EPERM => forbidden(stopped),
        Errno::EACCES => files::masked(stopped)
            .or_else(|| files::not_executable(stopped))
            .or_else(|| files::device(stopped))
            .or_else(|| surroundings::port(stopped))
            .or_else(|| surroundings::ping(stopped))
            .or_else(|| limits::rlimit(stopped, errno))
            .or_else(|| files::denied(stopped))
            .or_else(|| capability::refused(stopped, errno))
            .or_else(|| files::acl(stopped))
            .or_else(|| surroundings::module(stopped, errno)),
        Errno::EINVAL => ids::unmapped(stopped).or_else(|| limits::rlimit(stopped, errno)),
        Errno::EOVERFLOW => ids::overflow(stopped),
        Errno::EBUSY => files::boundary(stopped, true),
        Errno::EXDEV => files::boundary(stopped, false),
        Errno::EAGAIN => limits::group(stopped, errno).or_else(|| limits::rlimit(stopped, errno)),
        Errno::ENOMEM => limits::rlimit(stopped, errno)
            .or_else(|| limits::group(stopped, errno))
            .or_else(|| capability::refused(stopped, errno)),
        Errno::EMFILE => limits::rlimit(stopped, errno).or_else(|| limits::setting(stopped, errno)),
        Errno::EFBIG | Errno::EBADF | Errno::E2BIG => limits::rlimit(stopped, errno),
        Errno::ENOSPC => {
            limits::namespaces(stopped).or_else(|| limits::setting(stopped, errno)).or_else(|| files::full(stopped))
        }
        Errno::EDQUOT => limits::keys(stopped),
        Errno::ENODEV => surroundings::absent_interface(stopped),
        Errno::ENXIO => surroundings::no_terminal(stopped),
        Errno::ESRCH => surroundings::hidden_process(stopped),
        Errno::ENETUNREACH => surroundings::unreachable(stopped),
        Errno::EADDRNOTAVAIL => surroundings::absent_address(stopped),
        Errno::EIO | Errno::EOPNOTSUPP => capability::refused(stopped, errno),
        _ => None,
    }
}

fn forbidden(stopped: &Stopped) -> Option<Cause> {
    surroundings::watched(stopped)
        .or_else(|| ids::groups(stopped))
        .or_else(|| limits::raised(stopped))
        .or_else(|| limits::rlimit(stopped, Errno::EPERM))
        .or_else(|| files::not_executable(stopped))
        .or_else(|| files::unbounded(stopped))
        .or_else(|| files::device(stopped))
        .or_else(|| capability::refused(stopped, Errno::EPERM))
        .or_else(|| mounting::refused(stopped))
        .or_else(|| ids::root_map(stopped))
        .or_else(|| surroundings::module(stopped, Errno::EPERM))
}

/// The capabilities that a call which succeeded has needed with these arguments and ids, or may have needed.
pub fn capabilities(confinement: &Confinement, call: &Foreign) -> Vec<&'static str> {
    let Some(name) = foreign::name(call.arch, call.number).filter(|_| call.result >= 0) else {
        return Vec::new();
    };
    capability::used(&Stopped::new(confinement, call, name))
}

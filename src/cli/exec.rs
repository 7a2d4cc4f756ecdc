//! The words of `exec`. As in `words`, a `///` on a field is text for people at a terminal. May touch: the value types.

use super::values::{Watched, capability, descriptors, number, refuse, refuse_given, socket, user, watched};
use argh::{ArgsInfo, EarlyExit, FromArgs};

/// Run one more program in a container, by default a shell. The exit status is the program's, or 128 plus the number of
/// the signal that ended it; 255 if it could not be run.
#[derive(Debug, PartialEq, FromArgs, ArgsInfo)]
#[argh(help_triggers("-h", "--help"))]
pub struct Exec {
    /// the container
    #[argh(positional)]
    pub id: String,
    /// the program and its arguments (default: /bin/sh)
    #[argh(positional)]
    pub program: Vec<String>,
    /// a file with what config.json has at process; instead of all options that say how the program runs
    #[argh(option, short = 'p', arg_name = "file")]
    pub process: Option<String>,
    /// a command line for /bin/sh, in place of a program
    #[argh(option, arg_name = "command")]
    pub exec: Option<String>,
    /// its current directory (default: that of config.json)
    #[argh(option, arg_name = "dir")]
    pub cwd: Option<String>,
    /// a variable NAME=VALUE, beside those of config.json; can be given several times
    #[argh(option, short = 'e', arg_name = "name=value")]
    pub env: Vec<String>,
    /// numbers: UID or UID:GID (default: those of config.json)
    #[argh(option, short = 'u', arg_name = "uid[:gid]", from_str_fn(user))]
    pub user: Option<(u32, Option<u32>)>,
    /// one more group, a number; can be given several times
    #[argh(option, short = 'g', arg_name = "gid", from_str_fn(number))]
    pub additional_gids: Vec<u32>,
    /// one more capability, such as CAP_NET_ADMIN; can be given several times
    #[argh(option, short = 'c', arg_name = "cap", from_str_fn(capability))]
    pub cap: Vec<String>,
    /// no set-user-id program may give it more privileges
    #[argh(switch)]
    pub no_new_privs: bool,
    /// the AppArmor profile
    #[argh(option, arg_name = "profile")]
    pub apparmor: Option<String>,
    /// the SELinux label
    #[argh(option, arg_name = "label")]
    pub process_label: Option<String>,
    /// a cgroup below the container's own
    #[argh(option, arg_name = "path")]
    pub cgroup: Option<String>,
    /// also in a paused container: the program runs when that is resumed
    #[argh(switch)]
    pub ignore_paused: bool,
    /// hand on this many descriptors from 3 upwards
    #[argh(option, default = "0", arg_name = "n", from_str_fn(descriptors))]
    pub preserve_fds: u32,
    /// write the new process's pid there
    #[argh(option, arg_name = "file")]
    pub pid_file: Option<String>,
    /// a terminal for the program
    #[argh(switch, short = 't')]
    pub tty: bool,
    /// a unix socket that gets the other side of that terminal
    #[argh(option, arg_name = "socket", from_str_fn(socket))]
    pub console_socket: Option<String>,
    /// a unix socket that gets a handle (pidfd) on the new process
    #[argh(option, arg_name = "socket", from_str_fn(socket))]
    pub pidfd_socket: Option<String>,
    /// do not wait: return when the program has started
    #[argh(switch, short = 'd')]
    pub detach: bool,
    /// record the program's calls: refused (the default: those that the container refuses) or all
    #[argh(option, from_str_fn(watched))]
    pub watch: Option<Watched>,
}

impl Exec {
    pub fn checked(self) -> Result<Exec, EarlyExit> {
        if self.exec.is_some() && !self.program.is_empty() {
            return refuse("--exec is a whole command line; leave out the program");
        }
        if self.process.is_none() {
            return Ok(self);
        }
        let said_there = [
            ("--exec", self.exec.is_some()),
            ("--cwd", self.cwd.is_some()),
            ("--env", !self.env.is_empty()),
            ("--user", self.user.is_some()),
            ("--additional-gids", !self.additional_gids.is_empty()),
            ("--cap", !self.cap.is_empty()),
            ("--no-new-privs", self.no_new_privs),
            ("--apparmor", self.apparmor.is_some()),
            ("--process-label", self.process_label.is_some()),
            ("the program", !self.program.is_empty()),
        ];
        refuse_given(&said_there, |name| format!("--process says all of that; leave out {name}"))?;
        Ok(self)
    }
}

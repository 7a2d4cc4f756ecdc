//! `ps`: the processes of a container, by the numbers that the caller sees. May touch: everything below.

use super::channel::client;
use super::context::{Context, find, step};
use super::ours;
use crate::cli::{self, ListFormat};
use crate::host::input::c;
use crate::host::{cgroup, input, procfs};
use crate::outcome::{Doing, Error, Lane, Trouble, at};
use crate::perform::hooks;
use crate::plan::{Hook, Step};
use crate::say::out;
use crate::sorted;
use alloc::ffi::CString;
use core::ffi::CStr;
use syscalls::{AccessFlags, AccessMode, At, Errno, MemFd, OpenFlags, Why};

/// Where ps(1) is, for its options.
const PS: [&CStr; 2] = [c"/usr/bin/ps", c"/bin/ps"];

/// `ps`.
#[inline(never)]
pub fn ps(context: &mut Context, options: &cli::Ps) -> Result<i32, Error> {
    step(Step::Look);
    let id = &options.id;
    let found = find(context, id)?;
    if let Some(status) = client::passed(context, &found, None)? {
        return Ok(status);
    }
    let mut pids = match &found.now.cgroup {
        Some((_, group)) => ours::own(group.at(), &found.saved, found.now.init.as_ref())
            .doing(format_args!("list the processes of {id}"))?,
        None if found.now.init.is_some() => vec![found.saved.pid],
        None => Vec::new(),
    };
    sorted::sort(&mut pids);
    pids.dedup();
    let text = match (options.format, options.options.is_empty()) {
        (ListFormat::Json, true) => format!("{}\n", serde_json::to_string(&pids).unwrap_or_default()),
        (ListFormat::Json, false) => return Err(Error::Usage("ps: options for ps(1) go with --format table".into())),
        (ListFormat::Table, true) => table(&pids)?,
        (ListFormat::Table, false) => filtered(&pids, &options.options)?,
    };
    out::stdout(&text).map(|()| 0)
}

/// The table of `ps -f`, read out of procfs: no other program is needed.
fn table(pids: &[i32]) -> Result<String, Error> {
    let procfs = procfs::open().doing("look at processes")?;
    let mut text = String::from("UID          PID    PPID STAT     TIME CMD\n");
    for pid in pids {
        let process = match Process::of(procfs.at(), *pid) {
            Err(f) if [Errno::ENOENT, Errno::ESRCH].contains(&f.errno) => continue, // it has just ended
            looked => looked.doing(format_args!("look at process {pid}"))?,
        };
        let Some(Process { uid, parent, state, seconds, command }) = process else {
            continue;
        };
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        text.push_str(&format!(
            "{uid:<8}{pid:>8}{parent:>8} {state:<4} {hours:02}:{minutes:02}:{:02} {command}\n",
            seconds % 60
        ));
    }
    Ok(text)
}

/// What the table shows of a process.
struct Process {
    uid: u32,
    parent: i32,
    state: String,
    /// Of processor time.
    seconds: u64,
    command: String,
}

impl Process {
    /// Reads it from /proc/PID. `None`: there is nothing to read.
    fn of(procfs: At, pid: i32) -> syscalls::Result<Option<Process>> {
        let why = Why("what the process is, and what it has used");
        let directory = OpenFlags::O_PATH | OpenFlags::O_DIRECTORY;
        let name = CString::new(pid.to_string()).unwrap_or_default();
        let dir = syscalls::openat(procfs, &name, directory, why)?;
        let owner = syscalls::fstat(dir.at(), Why("the files in /proc of a process belong to its user"))?;
        let stat = cgroup::read(dir.at(), c"stat", why)?;
        let words = cgroup::read(dir.at(), c"cmdline", why)?;
        Ok(Process::understand(owner.st_uid, &stat, &words))
    }

    /// Takes fields of /proc/PID/stat by their place after the name (proc_pid_stat(5)).
    fn understand(uid: u32, stat: &str, words: &str) -> Option<Process> {
        let (head, fields) = stat.rsplit_once(") ")?;
        let name = head.split_once('(').map_or("", |(_, name)| name);
        let fields: Vec<&str> = fields.split(' ').collect();
        let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
        let words = words.trim_end_matches('\0').replace(['\0', '\n'], " ");
        Some(Process {
            uid,
            parent: i32::try_from(number(1)?).ok()?,
            state: (*fields.first()?).into(),
            // Ticks are hundredths of a second on every architecture that we know (USER_HZ).
            seconds: (number(11)? + number(12)?) / 100,
            command: if words.is_empty() { format!("[{name}]") } else { words },
        })
    }
}

/// The output of ps(1) with these options, without the lines of other processes.
fn filtered(pids: &[i32], options: &[String]) -> Result<String, Error> {
    let text = run(options)?;
    let mut lines = text.lines();
    let head = lines.next().unwrap_or("");
    let Some(column) = head.split_whitespace().position(|word| word == "PID") else {
        let text = "ps: what ps(1) shows with these options has no column PID to find the container's processes by";
        return Err(Error::State(text.into()));
    };
    let ours = |line: &&str| {
        let pid = line.split_whitespace().nth(column);
        pid.and_then(|pid| pid.parse().ok()).is_some_and(|pid| pids.contains(&pid))
    };
    let mut shown = format!("{head}\n");
    for line in lines.filter(ours) {
        shown.push_str(line);
        shown.push('\n');
    }
    Ok(shown)
}

fn run(options: &[String]) -> Result<String, Error> {
    let why = Why("options are for ps(1), which makes the table then");
    let there = |path: &&CStr| syscalls::faccessat2(At::CWD, path, AccessMode::X_OK, AccessFlags::NONE, why).is_ok();
    let Some(path) = PS.into_iter().find(there) else {
        let text = "ps: options are for ps(1), which is not installed here: leave them out, or use --format json";
        return Err(Error::State(text.into()));
    };
    let mut argv = vec![CString::from(c"ps")];
    for option in options {
        argv.push(c(option)?);
    }
    let hook = Hook {
        path: path.into(),
        argv,
        envp: Some(Vec::new()),
        home: false,
        cwd: None,
        state: Default::default(),
        timeout: None,
    };
    let failed = |failed| at("run ps(1)", failed);
    let said = syscalls::memfd_create(c"ps", MemFd::NONE, why).map_err(failed)?;
    let mut room = hooks::Room::of(core::iter::once(&hook));
    let given = hooks::Given { pid: 0, output: said.at(), home: None };
    let ran = hooks::run(&hook, given, &mut room, Lane::Hook, why);
    let text = input::read_descriptor(said.at(), Why("the output of ps(1)")).map_err(failed)?;
    let text = String::from_utf8_lossy(&text).into_owned();
    match ran {
        Ok(()) => Ok(text),
        Err(Trouble::Call(trouble)) => Err(failed(trouble)),
        Err(_) => Err(Error::State(format!("ps: {}", text.trim().replace('\n', " ")))),
    }
}

//! Every word of the command line with the text that explains it.
//!
//! The screen of `nk-runtime --help` is written by hand. argh makes the help of one command out of the comments on the
//! fields below, so here a `///` is text for people at a terminal. To add an option, add a field: `normalise` asks argh for
//! the options. May touch: the value types.

use super::values::{
    CgroupManager, Color, Format, InspectFormat, Level, ListFormat, LogFormat, LogTo, MountsAction, Page, Shell,
    TRACE_LIMIT, Watched, Weight, bytes, cgroup_manager, color, descriptors, duration, format, inspect_format, level,
    list_format, log, log_format, mounts_action, page, quoted, refuse, refuse_given, rootless, shell, socket,
    trace_limit, watched, weight, whole,
};
use argh::{ArgsInfo, EarlyExit, FromArgs};

pub const SCREEN: &str = "\
nk-runtime runs OCI containers and shows every system call it makes for them, and why.

Usage: nk-runtime [OPTIONS] COMMAND [OPTIONS] [ID]

Lifecycle
  create    build the container's world; its program waits
  start     let the program of a created container go
  run       create, start, wait, delete
  exec      run one more program in a container, or a shell
  pause     stop all of a container's processes where they are
  resume    let them go on
  update    change the limits of a container that is there
  mounts    add bind mounts to it, or remove them
  kill      send a signal
  delete    take down what create built
Look
  state     one container, as JSON
  inspect   one container from outside: what is not isolated, and all that it has
  list      all containers
  ps        the processes of a container
  events    what a container uses, again and again, and when memory ran out
  trace     what was done for a container, call by call
  watch     what a container's programs are refused, and by which line
  plan      what would be done for a bundle; changes nothing, needs no root
  check     what would fail of a bundle on this machine, and what to do
  features  what this runtime can do, as JSON
Learn
  demo      a container from nothing, explained as it happens
  explain   what a call, a flag, an errno, a property or an idea is, and why it is used
  learn     a course: lessons to run, to change and to check
  spec      write a config.json to begin with

Options, before or after the command
  --root DIR              place of state: /run/nano-sandbox, or ~/.local/share/nano-sandbox/run
  --log FILE              append log lines to FILE, not stderr; or journald:NAME, syslog:NAME
  --log-format FORMAT     text or json
  --log-level LEVEL       debug, info, warn (the default) or error; --debug is debug
  -q, --quiet             print errors only
  -E, --educational       tell in words what is done, and why, as it happens
  --trace[=FORMAT]        show each system call: text (the default), strace or json
  --trace-file FILE       the trace goes to FILE instead of stderr
  --trace-limit SIZE      all kept traces together take no more: 64m (the default); 0 keeps none
  --cgroup-manager NAME   cgroupfs (the default), systemd (so --systemd-cgroup) or disabled
  --rootless WHETHER      do without a cgroup that may not be made: auto, true, false
  -h, --help              this screen; after a command, its options
  -v, --version           the version

Environment (options win): NK_RUN_DIR or NS_RUN_DIR for --root, NK_TRACE (a format; 1 is text),
NK_LOG_LEVEL, NK_TRACE_FILE, NK_TRACE_LIMIT. A trace heeds NO_COLOR; in a file, COLUMNS.
Man pages: nk-runtime man, nk-runtime man config, nk-runtime man trace. Completion for bash,
zsh and fish: nk-runtime completion SHELL. scripts/install puts both where they are looked for.

Examples
  nk-runtime demo
  nk-runtime plan --bundle bundles/hello
  scripts/rootfs --hello bundles/hello/rootfs
  nk-runtime run --trace --bundle bundles/hello first
  nk-runtime explain pivot_root
";

/// The rows of a part of the screen: what stands on the left, and what it means.
pub fn rows(title: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = SCREEN.lines().skip_while(move |line| *line != title).skip(1);
    let rows = lines.take_while(|line| line.starts_with("  ")).map(str::trim_start);
    rows.map(|line| line.split_once("  ").map_or((line, ""), |(left, right)| (left, right.trim_start())))
}

pub const OPTIONS: &str = "Options, before or after the command";
pub const EXAMPLES: &str = "Examples";

/// What holds for every command.
#[derive(Debug, PartialEq)]
pub struct Globals {
    pub root: Option<String>,
    pub log: Option<LogTo>,
    pub log_format: LogFormat,
    pub log_level: Level,
    pub quiet: bool,
    /// The work is told in words as it happens.
    pub educational: bool,
    pub cgroup_manager: CgroupManager,
    pub rootless: Option<bool>,
    pub trace: Option<Format>,
    pub trace_file: Option<String>,
    /// Bytes that all traces of the state root together may take; 0: none is kept.
    pub trace_limit: u64,
}

// The options of all commands, as the caller wrote them; `settled` joins those that say the same.
/// run OCI containers and show how
#[derive(FromArgs, ArgsInfo)]
pub struct GlobalWords {
    /// where state lives
    #[argh(option, arg_name = "dir")]
    root: Option<String>,
    /// where log lines go
    #[argh(option, arg_name = "file", from_str_fn(log))]
    log: Option<LogTo>,
    /// text or json
    #[argh(option, default = "LogFormat::Text", from_str_fn(log_format))]
    log_format: LogFormat,
    /// debug, info, warn (the default) or error
    #[argh(option, default = "Level::Warn", from_str_fn(level))]
    log_level: Level,
    /// the same as --log-level debug
    #[argh(switch)]
    debug: bool,
    /// print errors only
    #[argh(switch, short = 'q')]
    quiet: bool,
    /// tell in words what is done, and why, as it happens
    #[argh(switch, short = 'E')]
    educational: bool,
    /// cgroupfs, systemd or disabled
    #[argh(option, default = "CgroupManager::Cgroupfs", from_str_fn(cgroup_manager))]
    cgroup_manager: CgroupManager,
    /// the same as --cgroup-manager systemd
    #[argh(switch)]
    systemd_cgroup: bool,
    /// true, false or auto: whether a cgroup that may not be made is done without
    #[argh(option, default = "None", from_str_fn(rootless))]
    rootless: Option<bool>,
    /// text, strace or json
    #[argh(option, from_str_fn(format))]
    trace: Option<Format>,
    /// where the trace goes
    #[argh(option, arg_name = "file")]
    trace_file: Option<String>,
    /// what all kept traces together may take; 0 keeps none
    #[argh(option, default = "TRACE_LIMIT", from_str_fn(trace_limit))]
    trace_limit: u64,
    /// the version
    #[argh(switch, short = 'v')]
    pub version: bool,
}

impl GlobalWords {
    pub fn settled(self) -> Globals {
        Globals {
            root: self.root,
            log: self.log,
            log_format: self.log_format,
            log_level: match (self.debug, self.educational) {
                (true, _) => Level::Debug,
                // The words of -E are of level info.
                (false, true) => self.log_level.min(Level::Info),
                (false, false) => self.log_level,
            },
            quiet: self.quiet,
            educational: self.educational,
            cgroup_manager: match self.systemd_cgroup {
                true => CgroupManager::Systemd,
                false => self.cgroup_manager,
            },
            rootless: self.rootless,
            trace: self.trace,
            trace_file: self.trace_file,
            trace_limit: self.trace_limit,
        }
    }
}

/// Build a container from a bundle. Its first process waits until `start`.
#[derive(Debug, PartialEq, Default, FromArgs, ArgsInfo)]
#[argh(help_triggers("-h", "--help"))]
pub struct Create {
    /// the name it shall have
    #[argh(positional)]
    pub id: String,
    /// directory with config.json and the root filesystem (default: the current one)
    #[argh(option, short = 'b', arg_name = "dir")]
    pub bundle: Option<String>,
    /// another file in place of the bundle's config.json
    #[argh(option, short = 'f', arg_name = "file")]
    pub config: Option<String>,
    /// write the first process's pid there
    #[argh(option, arg_name = "file")]
    pub pid_file: Option<String>,
    /// a unix socket that gets the other side of the program's terminal
    #[argh(option, arg_name = "socket", from_str_fn(socket))]
    pub console_socket: Option<String>,
    /// a unix socket that gets a handle (pidfd) on the new process
    #[argh(option, arg_name = "socket", from_str_fn(socket))]
    pub pidfd_socket: Option<String>,
    /// change the root by MS_MOVE and chroot, not by pivot_root
    #[argh(switch)]
    pub no_pivot: bool,
    /// hand on this many descriptors from 3 upwards
    #[argh(option, default = "0", arg_name = "n", from_str_fn(descriptors))]
    pub preserve_fds: u32,
    /// keep the caller's session keyring
    #[argh(switch)]
    pub no_new_keyring: bool,
    /// do not adopt processes that the container leaves behind: create never does, since it does not stay
    #[argh(switch)]
    pub no_subreaper: bool,
    /// record the program's calls: refused (the default: those that the container refuses) or all
    #[argh(option, from_str_fn(watched))]
    pub watch: Option<Watched>,
    /// at the end write there the seccomp section that allows what the program used
    #[argh(option, arg_name = "file")]
    pub write_seccomp: Option<String>,
    /// at the end write there the capabilities that the program used, or may have used
    #[argh(option, arg_name = "file")]
    pub write_capabilities: Option<String>,
}

/// Let the program of a created container go.
#[derive(Debug, PartialEq, FromArgs, ArgsInfo)]
#[argh(help_triggers("-h", "--help"))]
pub struct Start {
    /// the container
    #[argh(positional)]
    pub id: String,
    /// wait for the program, pass signals on, exit with its status
    #[argh(switch, short = 'a')]
    pub attach: bool,
    /// record the program's calls: refused (the default: those that the container refuses) or all
    #[argh(option, from_str_fn(watched))]
    pub watch: Option<Watched>,
}

/// Print one container's state as JSON.
#[derive(Debug, PartialEq, FromArgs, ArgsInfo)]
#[argh(help_triggers("-h", "--help"))]
pub struct State {
    /// the container
    #[argh(positional)]
    pub id: String,
}

/// Stop all processes of a container where they are.
#[derive(Debug, PartialEq, FromArgs, ArgsInfo)]
#[argh(help_triggers("-h", "--help"))]
pub struct Pause {
    /// the container
    #[argh(positional)]
    pub id: String,
}

/// Let the processes of a paused container go on.
#[derive(Debug, PartialEq, FromArgs, ArgsInfo)]
#[argh(help_triggers("-h", "--help"))]
pub struct Resume {
    /// the container
    #[argh(positional)]
    pub id: String,
}

/// Change the limits of a container that is there. What is not named, or is 0, stays as it is; -1 takes a limit away.
#[derive(Debug, PartialEq, FromArgs, ArgsInfo)]
#[argh(help_triggers("-h", "--help"))]
pub struct Update {
    /// the container
    #[argh(positional)]
    pub id: String,
    /// a file with what config.json has at linux.resources; - for standard input
    #[argh(option, short = 'r', arg_name = "file")]
    pub resources: Option<String>,
    /// bytes of memory: 536870912, 512m, 1g
    #[argh(option, arg_name = "bytes", from_str_fn(bytes))]
    pub memory: Option<i64>,
    /// bytes of memory that are kept for it
    #[argh(option, arg_name = "bytes", from_str_fn(bytes))]
    pub memory_reservation: Option<i64>,
    /// bytes of memory and swap together
    #[argh(option, arg_name = "bytes", from_str_fn(bytes))]
    pub memory_swap: Option<i64>,
    /// microseconds of processor time in each period
    #[argh(option, arg_name = "us", from_str_fn(whole))]
    pub cpu_quota: Option<i64>,
    /// microseconds of a period
    #[argh(option, arg_name = "us", from_str_fn(whole))]
    pub cpu_period: Option<i64>,
    /// microseconds that may be saved up beyond the quota
    #[argh(option, arg_name = "us", from_str_fn(whole))]
    pub cpu_burst: Option<i64>,
    /// its share of processor time, from 2 to 262144 (1024 is usual)
    #[argh(option, arg_name = "shares", from_str_fn(whole))]
    pub cpu_share: Option<i64>,
    /// with 1 it runs only when nothing else does
    #[argh(option, arg_name = "0|1", from_str_fn(whole))]
    pub cpu_idle: Option<i64>,
    /// processors that it may run on: 0-3,7
    #[argh(option, arg_name = "list")]
    pub cpuset_cpus: Option<String>,
    /// memory nodes that it may use: 0-1
    #[argh(option, arg_name = "list")]
    pub cpuset_mems: Option<String>,
    /// how many processes and threads
    #[argh(option, arg_name = "n", from_str_fn(whole))]
    pub pids_limit: Option<i64>,
    /// its share of the cache, by Intel RDT: L3:0=f0;1=f
    #[argh(option, arg_name = "schema")]
    pub l3_cache_schema: Option<String>,
    /// its share of memory bandwidth, by Intel RDT: MB:0=20;1=70
    #[argh(option, arg_name = "schema")]
    pub mem_bw_schema: Option<String>,
    /// its share of input and output, from 10 to 1000
    #[argh(option, arg_name = "weight", from_str_fn(whole))]
    pub blkio_weight: Option<i64>,
}

/// Add bind mounts to a container that is there, or remove mounts from it.
#[derive(Debug, PartialEq, FromArgs, ArgsInfo)]
#[argh(help_triggers("-h", "--help"))]
pub struct Mounts {
    /// add or remove
    #[argh(positional, from_str_fn(mounts_action))]
    pub action: MountsAction,
    /// the container
    #[argh(positional)]
    pub id: String,
    /// a file with what config.json has at mounts, or - for standard input; of those to be removed the destination counts
    #[argh(positional)]
    pub file: String,
}

/// Show the processes of a container.
#[derive(Debug, PartialEq, FromArgs, ArgsInfo)]
#[argh(help_triggers("-h", "--help"))]
pub struct Ps {
    /// the container
    #[argh(positional)]
    pub id: String,
    /// show the table of ps(1) with these options for the processes; write them after --
    #[argh(positional)]
    pub options: Vec<String>,
    /// table (the default) or json
    #[argh(option, short = 'f', default = "ListFormat::Table", from_str_fn(list_format))]
    pub format: ListFormat,
}

/// Show a container from outside: first what is not isolated, then all that it has. Changes nothing.
#[derive(Debug, PartialEq, FromArgs, ArgsInfo)]
#[argh(help_triggers("-h", "--help"))]
pub struct Inspect {
    /// the container
    #[argh(positional)]
    pub id: String,
    /// show only what differs from this command's own process, side by side: before and after
    #[argh(switch)]
    pub diff: bool,
    /// text (the default) or json
    #[argh(option, short = 'f', default = "InspectFormat::Text", from_str_fn(inspect_format))]
    pub format: InspectFormat,
}

/// Print what a container uses as JSON, a line each time, and a line when its memory ran out.
#[derive(Debug, PartialEq, FromArgs, ArgsInfo)]
#[argh(help_triggers("-h", "--help"))]
pub struct Events {
    /// the container
    #[argh(positional)]
    pub id: String,
    /// the time between two lines: 500ms, 5s (the default), 1m
    #[argh(option, default = "5_000", arg_name = "time", from_str_fn(duration))]
    pub interval: u64,
    /// print once, then end
    #[argh(switch)]
    pub stats: bool,
}

/// List all containers.
#[derive(Debug, PartialEq, FromArgs, ArgsInfo)]
#[argh(help_triggers("-h", "--help"))]
pub struct List {
    /// table (the default) or json
    #[argh(option, short = 'f', default = "ListFormat::Table", from_str_fn(list_format))]
    pub format: ListFormat,
    /// only the IDs
    #[argh(switch, short = 'q')]
    pub quiet: bool,
}

/// Write a config.json to begin with.
#[derive(Debug, PartialEq, FromArgs, ArgsInfo)]
#[argh(help_triggers("-h", "--help"))]
pub struct SpecCmd {
    /// the directory to write it to (default: the current one)
    #[argh(option, short = 'b', arg_name = "dir")]
    pub bundle: Option<String>,
    /// the file to write, in that directory unless its path is absolute (default: config.json)
    #[argh(option, short = 'f', arg_name = "file")]
    pub file: Option<String>,
    /// for a container that this user can run without root
    #[argh(switch)]
    pub rootless: bool,
}

/// Show what the programs of a running container are refused, and by which line of its config.json. It ends with the
/// container, or when it is told to (INT, TERM), and leaves the programs as they are.
#[derive(Debug, PartialEq, FromArgs, ArgsInfo)]
#[argh(help_triggers("-h", "--help"))]
pub struct Watch {
    /// the container
    #[argh(positional)]
    pub id: String,
    /// all calls, not only those that the container refuses
    #[argh(switch, short = 'a')]
    pub all: bool,
    /// text (the default), strace or json
    #[argh(option, short = 'f', default = "Format::Text", from_str_fn(format))]
    pub format: Format,
}

/// Print what create would do for a bundle. Changes nothing and needs no root.
#[derive(Debug, PartialEq, Default, FromArgs, ArgsInfo)]
#[argh(help_triggers("-h", "--help"))]
pub struct PlanCmd {
    /// the name it would have (default: plan); with --diff: the two that are compared
    #[argh(positional, arg_name = "id")]
    pub names: Vec<String>,
    /// directory with config.json and the root filesystem (default: the current one)
    #[argh(option, short = 'b', arg_name = "dir")]
    pub bundle: Option<String>,
    /// another file in place of the bundle's config.json
    #[argh(option, short = 'f', arg_name = "file")]
    pub config: Option<String>,
    /// change the root by MS_MOVE and chroot, not by pivot_root
    #[argh(switch)]
    pub no_pivot: bool,
    /// compare two plans: of bundles, of configurations, or of traces (ID~2); the exit status is 1 if they differ, and
    /// 2 if they cannot be compared
    #[argh(switch)]
    pub diff: bool,
    /// with --diff: auto (the default: at a terminal, unless NO_COLOR is set), always or never
    #[argh(option, from_str_fn(color))]
    pub color: Option<Color>,
    /// tell instead what the configuration leaves open, and how to narrow it; the exit status is 1 if that is anything
    #[argh(switch)]
    pub lint: bool,
    /// with --lint: only what weighs so much: low (the default: all), medium or high
    #[argh(option, from_str_fn(weight))]
    pub level: Option<Weight>,
    /// with --lint or --diff: text (the default) or json
    #[argh(option, from_str_fn(inspect_format))]
    pub format: Option<InspectFormat>,
}

impl PlanCmd {
    /// The name that the container would have.
    pub fn id(&self) -> &str {
        self.names.first().filter(|_| !self.diff).map_or("plan", |name| name)
    }

    /// Refuses an option that would do nothing.
    pub fn checked(self) -> Result<PlanCmd, EarlyExit> {
        if !self.lint {
            refuse_given(&[("--level", self.level.is_some())], |name| format!("{name} is for --lint"))?;
        }
        if self.diff {
            return self.compares();
        }
        refuse_given(&[("--color", self.color.is_some())], |name| format!("{name} is for --diff"))?;
        if !self.lint {
            let given = [("--format", self.format.is_some())];
            refuse_given(&given, |name| format!("{name} is for --lint and --diff"))?;
        }
        match self.names.get(1) {
            Some(extra) => refuse(&format!("too many arguments: {}; write `plan [ID]`", quoted(extra))),
            None => Ok(self),
        }
    }

    fn compares(self) -> Result<PlanCmd, EarlyExit> {
        let given = [("--bundle", self.bundle.is_some()), ("--config", self.config.is_some())];
        refuse_given(&given, |name| format!("{name}: --diff takes two names, as in `plan --diff A B`"))?;
        refuse_given(&[("--lint", self.lint)], |_| "--lint and --diff are two different things; leave out one".into())?;
        match self.names.len() {
            2 => Ok(self),
            _ => refuse("--diff takes two bundles, files or IDs: `plan --diff A B`"),
        }
    }
}

/// Look at a bundle and this machine, and tell what would fail and what to try; the exit status is 1 if something would.
/// Makes nothing. Without a bundle: the machine alone.
#[derive(Debug, PartialEq, FromArgs, ArgsInfo)]
#[argh(help_triggers("-h", "--help"))]
pub struct Check {
    /// the name it would have (default: check)
    #[argh(positional, default = "String::from(\"check\")")]
    pub id: String,
    /// directory with config.json and the root filesystem (default: the current one, if it has a config.json)
    #[argh(option, short = 'b', arg_name = "dir")]
    pub bundle: Option<String>,
    /// another file in place of the bundle's config.json
    #[argh(option, short = 'f', arg_name = "file")]
    pub config: Option<String>,
    /// change the root by MS_MOVE and chroot, not by pivot_root
    #[argh(switch)]
    pub no_pivot: bool,
    /// table (the default) or json
    #[argh(option, default = "ListFormat::Table", from_str_fn(list_format))]
    pub format: ListFormat,
}

/// Print what this runtime can do, as JSON.
#[derive(Debug, PartialEq, FromArgs, ArgsInfo)]
#[argh(help_triggers("-h", "--help"))]
pub struct Features {
    /// every property of config.json, a line each: works, or refused and why
    #[argh(switch)]
    pub table: bool,
}

/// Make a container from nothing and explain it as it happens.
#[derive(Debug, PartialEq, FromArgs, ArgsInfo)]
#[argh(help_triggers("-h", "--help"))]
pub struct Demo {
    /// write its trace into this file, too: a page for a browser
    #[argh(option, arg_name = "file")]
    pub html: Option<String>,
}

/// Explain what a trace, a plan or an error shows. Without a name: list what there is to explain.
#[derive(Debug, PartialEq, FromArgs, ArgsInfo)]
#[argh(help_triggers("-h", "--help"))]
pub struct Explain {
    /// a system call, flag, errno, capability, namespace, mount option, property or concept: pivot_root, MS_SLAVE, EINVAL,
    /// /linux/seccomp, step 2; or ID:NUMBER for that record of the container's trace
    #[argh(positional)]
    pub names: Vec<String>,
    /// print all of it as a book, in Markdown
    #[argh(switch)]
    pub book: bool,
    /// list the entries with this word
    #[argh(option, arg_name = "word")]
    pub search: Option<String>,
}

/// Print a man page. `nk-runtime man config | man -l -` shows one.
#[derive(Debug, PartialEq, FromArgs, ArgsInfo)]
#[argh(help_triggers("-h", "--help"))]
pub struct Man {
    /// program (the default), config or trace
    #[argh(positional, default = "Page::Program", from_str_fn(page))]
    pub page: Page,
}

/// Print a script that makes a shell complete these words. `. <(nk-runtime completion bash)` does it for one session.
#[derive(Debug, PartialEq, FromArgs, ArgsInfo)]
#[argh(help_triggers("-h", "--help"))]
pub struct Completion {
    /// bash, zsh or fish
    #[argh(positional, from_str_fn(shell))]
    pub shell: Shell,
}

/// Tell a shell what can stand at the cursor.
#[derive(Debug, PartialEq, FromArgs, ArgsInfo)]
#[argh(help_triggers("-h", "--help"))]
pub struct Complete {
    /// the words of the command line up to the cursor
    #[argh(positional)]
    pub words: Vec<String>,
}

/// A course in containers. Without a lesson: list them, and which are done.
#[derive(Debug, PartialEq, FromArgs, ArgsInfo)]
#[argh(help_triggers("-h", "--help"))]
pub struct Learn {
    /// run this lesson, by its name or number
    #[argh(positional)]
    pub lesson: Option<String>,
    /// run the bundle as you have changed it, and check whether the task is done
    #[argh(switch)]
    pub check: bool,
    /// show a solution of the task
    #[argh(switch)]
    pub solution: bool,
    /// the directory of your bundle (default: nk-learn/LESSON)
    #[argh(option, arg_name = "dir")]
    pub dir: Option<String>,
}

impl Learn {
    pub fn checked(self) -> Result<Learn, EarlyExit> {
        if self.check && self.solution {
            return refuse("--check and --solution are two different things; leave out one");
        }
        if self.lesson.is_none() && (self.check || self.solution || self.dir.is_some()) {
            return refuse("a lesson is needed with --check, --solution and --dir");
        }
        Ok(self)
    }
}

/// Be the first process of the container that demo or a lesson makes.
#[derive(Debug, PartialEq, FromArgs, ArgsInfo)]
#[argh(help_triggers("-h", "--help"))]
pub struct Inside {
    /// what the program of a lesson does, one after the other (default: report what it sees)
    #[argh(positional)]
    pub steps: Vec<String>,
}

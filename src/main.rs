//! nk-runtime: the OCI container runtime that shows its work. The rooms of the house; each may use those below it:
//!
//! ```text
//!   main           the process begins, and runs a command
//!   commands       one file a command
//!   beside         two records of the same work side by side
//!   compare  draw  plan against plan, trace against trace; a trace as a picture
//!   watch          the container's program watched: its calls, and what refused them
//!   vm   trace     a machine in place of namespaces; the views of what was recorded
//!   guest          what a machine's first process makes before containers run: modules, disks, network
//!   check lint     what would fail, before it runs; what a configuration leaves open
//!   stepper        the person at the terminal, who lets a plan go on line by line
//!   say  look      output, errors in words, what to try, the log; a container looked at from outside
//!   ended          why a program ended: what the kernel, the cgroup and the trace tell of it
//!   cause          why a line of a plan failed: looks after the failure, and what they find
//!   state          what is remembered of a container: its document, its records
//!   world          what calls make of the world: namespaces, mounts, rights, descriptors
//!   perform        carries out a plan, in lanes: the host's, and init's on the far side of clone3
//!   plan           a pure function: from the configuration to lines, in THE ORDER
//!   cli            the command line, understood
//!   spec           the one schema of config.json
//!   host  entry    what is read of this machine; where the process begins, out of reach of containers
//!   outcome        how a line ends, and the error type
//!   explain learn  what each thing is that is shown; the lessons of the course
//!   listing        what strace wrote, read back
//!   netlink        requests to the kernel's network configuration
//!   sorted         lists in order
//!   frames         what a host and a machine of its own say to each other
//!   packed         long texts, which the build has packed
//!   syscalls       (a crate) one gate for every system call, and the flight recorder
//! ```
//! To follow `run` from `main` to `execve`:
//!
//! ```text
//!   main.rs  commands/run.rs  commands/create.rs     what is asked for, and the bundle
//!   plan/create.rs  plan/order.rs                    the plan, line by line
//!   perform/walk.rs                                  the lanes carry it out,
//!   perform/namespaces.rs  perform/process.rs        from clone3 to execve
//!   commands/wait.rs  commands/delete.rs             the wait for the program, and the end
//! ```
#![deny(unsafe_code)]
#![cfg_attr(not(test), no_main)]
// The test harness has a `main` of its own, and the unit tests call parts of the program.
#![cfg_attr(test, allow(dead_code))]

extern crate alloc;

mod beside;
mod cause;
mod check;
mod cli;
mod commands;
mod compare;
mod draw;
mod ended;
mod entry;
mod explain;
mod frames;
mod guest;
mod host;
mod learn;
mod lint;
mod listing;
mod look;
mod netlink;
mod outcome;
mod packed;
mod perform;
mod plan;
mod say;
mod sorted;
mod spec;
mod state;
mod stepper;
mod trace;
#[cfg(test)]
#[path = "../tests/unit/mod.rs"]
mod unit;
mod vm;
mod watch;
mod world;
use core::ffi::c_char;
use entry::seal;
use host::{environment, input};
use outcome::{Error, at};
use say::{error, log, out, tell};
use state::{recorder, traces};
use syscalls::{Prctl, Why};

#[cfg(not(test))]
#[global_allocator]
static ARENA: syscalls::Arena = syscalls::Arena;

/// Where the program begins, without std's start-up.
// SAFETY: the name is main's own, and it is called as C's main.
#[cfg(not(test))]
#[allow(unsafe_code)]
#[unsafe(no_mangle)]
pub extern "C" fn main(_argc: i32, argv: *const *const c_char) -> i32 {
    std::panic::set_hook(Box::new(|info| {
        // In pid 1 of a namespace abort() would loop: the kernel keeps its signal from that process.
        let text = format!("nk-runtime: a fault of its own: {info}\n");
        let why = Why("a fault of this program is told, not hidden");
        let _ = syscalls::write(syscalls::At::STDERR, text.as_bytes(), why);
        commands::init::fault();
        syscalls::exit_group(1, Why("nothing can be trusted after a fault"));
    }));
    let status = run(argv);
    syscalls::exit_group(status, Why("the command is done"))
}

fn run(argv: *const *const c_char) -> i32 {
    let sealed = seal::take_over(argv);
    let pid = syscalls::getpid(Why("each record tells which process has made it"));
    syscalls::record::set_own_pid(pid);
    #[cfg(not(test))]
    if let Err(error) = entry::no_libc::protect_addresses() {
        return finish(Err(error), amiss(&whole(argv)), "");
    }
    let own = (!sealed).then_some(argv);
    if commands::init::called(argv, pid) {
        commands::init::init(&|words| obey(words, pid, own));
    }
    let words: Option<Vec<&str>> = syscalls::args(argv).skip(1).map(|arg| arg.to_str().ok()).collect();
    match words {
        Some(words) => obey(&words, pid, own),
        None => finish(Err(Error::Usage("an argument is not valid UTF-8".into())), amiss(&whole(argv)), ""),
    }
}

/// The words of the command line, with a mark for each that is damaged.
fn whole(argv: *const *const c_char) -> Vec<&'static str> {
    syscalls::args(argv).skip(1).map(|arg| arg.to_str().unwrap_or("?")).collect()
}

/// The status of a command that fails. That of `exec` is the program's, so its own errors have another number; that of a
/// comparison is diff(1)'s. The words around it may be damaged.
fn amiss(words: &[&str]) -> i32 {
    match cli::verb_of(words) {
        Some("exec") => commands::EXEC_FAILED,
        Some("plan" | "trace") if words.contains(&"--diff") => commands::NOT_COMPARED,
        Some("trace") if words.iter().any(|word| word.starts_with("--beside")) => commands::NOT_COMPARED,
        _ => 1,
    }
}

/// Runs the command that the words name. `argv`: what this process was called with; none if it is sealed already.
fn obey(words: &[&str], pid: i32, argv: Option<*const *const c_char>) -> i32 {
    let amiss = || amiss(words);
    let (globals, command) = match cli::parse(words, &environment) {
        Ok(parsed) => parsed,
        Err(cli::Stop::Help(text)) => return finish(out::stdout(&text).map(|()| 0), amiss(), ""),
        Err(cli::Stop::Usage(text)) => return finish(Err(Error::Usage(text)), amiss(), ""),
    };
    let (listening, preserve_fds) = preserved(&command);
    // `exec` goes on as it is where it is sealed; where it is not, descriptors stay for the paths that name them.
    let closes = argv.is_some() && matches!(command, cli::Command::Exec(_)) && syscalls::auxv(libc::AT_EUID) == 0;
    let endless = match protect(preserve_fds, read_from(&command), runs(&command), closes) {
        Ok(endless) => endless,
        Err(error) => return finish(Err(error), amiss(), ""),
    };
    // It opens files, which would take the place of standard descriptors that are closed.
    let named = match if makes(&command) { seal::called_by_name() } else { Ok(None) } {
        Ok(named) => named,
        Err(error) => return finish(Err(error), amiss(), ""),
    };
    traces::set_limit(globals.trace_limit);
    let mut host = host::Host::probe();
    let context = host::root_path(globals.root.as_deref(), &mut host, environment).and_then(|root| {
        Ok(commands::Context {
            log: log::Log::open(&globals, command.id(), host.uid)?,
            globals,
            host,
            root,
            pid,
            preserve_fds,
            listening,
            endless,
            own: argv.map(|argv| seal::Own { argv, named }),
            words: words.iter().map(|word| word.to_string()).collect(),
            recording: recorder::Recording::default(),
        })
    });
    let mut context = match context {
        Ok(context) => context,
        Err(error) => return finish(Err(error), amiss(), ""),
    };
    tell_beginning(words, command.id());
    let result = commands::run(&mut context, &command).map_err(error::looked);
    let failed = result.as_ref().is_err_and(|error| !matches!(error, Error::Unread));
    let more = context.more(command.id());
    if let Some(error) = result.as_ref().err().filter(|_| failed) {
        syscalls::record::ended_by(error::place(error));
        let message = error::message(error, &more);
        syscalls::record::remark(&message.remark());
        context.log.say(cli::Level::Error, &message.one());
    }
    let status = finish(result, if failed { amiss() } else { 0 }, &more);
    let lost = context.recording.end(&context.root, failed);
    if let Some(lost) = lost.filter(|_| !failed) {
        context.log.say(cli::Level::Warn, &error::trace_amiss(&lost));
    }
    tell::end();
    match display(&context) {
        Ok(()) => status,
        Err(error) => finish(Err(error), amiss(), ""),
    }
}

/// The status that a shell reports for a program that SIGPIPE has ended.
const UNREAD: i32 = 128 + libc::SIGPIPE;

/// Whether a command can run a program of the container, or a hook.
fn runs(command: &cli::Command) -> bool {
    matches!(
        command,
        cli::Command::Create(_)
            | cli::Command::Run(_)
            | cli::Command::Start(_)
            | cli::Command::Exec(_)
            | cli::Command::Delete(_)
            | cli::Command::Demo(_)
            | cli::Command::Learn(_)
    )
}

/// Whether a command makes a process that becomes a program in a container. `start` and `delete` run a container's hooks, and
/// look when there are some.
fn makes(command: &cli::Command) -> bool {
    runs(command) && !matches!(command, cli::Command::Start(_) | cli::Command::Delete(_))
}

/// With `-E`: says which command begins.
fn tell_beginning(words: &[&str], id: Option<&str>) {
    if tell::is_on()
        && let Some(verb) = cli::verb_of(words)
    {
        tell::words(&format!("command {verb}"), &[id.unwrap_or("several containers")]);
    }
}

/// Tells an error, once, and returns the exit status: `amiss`, if it failed. `more`: a command that shows more of the error.
fn finish(result: Result<i32, Error>, amiss: i32, more: &str) -> i32 {
    match result {
        Ok(status) => status,
        Err(Error::Unread) => UNREAD,
        Err(error) => {
            out::stderr(&error::message(&error::looked(error), more).text());
            amiss
        }
    }
}

/// How many descriptors above standard error the program gets: from a service manager (sd_listen_fds(3)), for a container's
/// first process alone; and in all, with those of `--preserve-fds`.
fn preserved(command: &cli::Command) -> (u32, u32) {
    let asked = match command {
        cli::Command::Create(create) => create.preserve_fds,
        cli::Command::Run(run) => run.create.preserve_fds,
        cli::Command::Exec(exec) => return (0, exec.preserve_fds.min(1024)),
        _ => return (0, 0),
    };
    let listening = environment("LISTEN_FDS").and_then(|n| n.parse::<u32>().ok()).unwrap_or(0).min(1024);
    (listening, asked.saturating_add(listening).min(1024))
}

/// The descriptor that the command reads its configuration from, if the path names one.
fn read_from(command: &cli::Command) -> Option<u32> {
    let path = match command {
        cli::Command::Create(create) => &create.config,
        cli::Command::Run(run) => &run.create.config,
        cli::Command::Exec(exec) => &exec.process,
        _ => return None,
    };
    input::descriptor(path.as_deref()?).map(|fd| fd as u32)
}

/// Before anything else: no other process may look into this one, the program does not get what the caller left open, and
/// descriptors 0 to 2 are open, so that no file of ours takes their place. `read_from` stays open over execve. `runs`: the
/// command can run programs. `closes`: what the caller left open is closed at once. Returns which of the three can always be
/// read and written: the null device, a file and some terminals can.
fn protect(preserve_fds: u32, read_from: Option<u32>, runs: bool, closes: bool) -> Result<[bool; 3], Error> {
    let failed = |failed| at("protect this process", failed);
    let why = Why("a write beyond the limit on file sizes (ulimit -f) must fail, and not end this process");
    syscalls::survive_file_limit(why).map_err(failed)?;
    let why = Why("what runs in a container must not trace this process or open its descriptors (CVE-2016-9962)");
    syscalls::prctl(Prctl::PR_SET_DUMPABLE, 0, why).map_err(failed)?;
    let why = Why("descriptors that the caller left open must not reach the program (CVE-2024-21626)");
    let mark = |first, last| match closes {
        true => syscalls::close_range(first, last, why).map_err(failed),
        false => match syscalls::close_range_cloexec(first, last, why) {
            // Kernels below the floor lack this flag. Where nothing is executed, nothing gets a descriptor.
            Err(lacking) if !runs && cause::too_old(lacking).is_some() => Ok(()),
            other => other.map_err(failed),
        },
    };
    let mut first = 3 + preserve_fds;
    if let Some(kept) = read_from.filter(|fd| *fd >= first) {
        // This program may execute itself again (`seal`) before it reads that descriptor. Init closes it.
        if kept > first {
            mark(first, kept - 1)?;
        }
        first = kept + 1;
    }
    mark(first, u32::MAX)?;
    const BOTH: i16 = libc::POLLIN | libc::POLLOUT;
    let asked = |fd| syscalls::PollFd { fd, events: if fd < 3 { BOTH } else { 0 }, revents: 0 };
    let mut fds: Vec<syscalls::PollFd> = (0..3 + preserve_fds as i32).map(asked).collect();
    let why = Why("a file of ours would take the place of a closed standard descriptor");
    syscalls::ppoll(&mut fds, Some(0), why).map_err(failed)?;
    let mut endless = [true; 3];
    for (endless, fd) in endless.iter_mut().zip(&fds) {
        // A closed descriptor becomes the null device.
        *endless = fd.revents & BOTH == BOTH || fd.revents & libc::POLLNVAL != 0;
    }
    for fd in fds.iter().filter(|fd| fd.revents & libc::POLLNVAL != 0) {
        if fd.fd > 2 {
            let text = format!("descriptor {} is not open, but --preserve-fds or LISTEN_FDS counts it", fd.fd);
            return Err(Error::Usage(text));
        }
        // The kernel gives the lowest free number: the closed one.
        syscalls::open_standard(c"/dev/null", Why("the program needs all three standard descriptors"))
            .map_err(failed)?;
    }
    Ok(endless)
}

/// `--trace`: shows what this command did, once it is done.
fn display(context: &commands::Context) -> Result<(), Error> {
    let Some(format) = context.globals.trace else {
        return Ok(());
    };
    let to_file = context.globals.trace_file.is_some();
    let text = trace::own(format, (!to_file).then_some(syscalls::At::STDERR));
    let Some(path) = &context.globals.trace_file else {
        out::stderr(&text);
        return Ok(());
    };
    let why = Why("--trace-file names the file for the trace");
    let failed = |failed| at(format!("write the trace to {path}"), failed);
    let file = out::append(path, "trace file", 0o600, context.host.uid, why);
    let file = file.map_err(|error| error.placed("--trace-file"))?;
    perform::files::write_all(file.at(), text.as_bytes(), why).map_err(failed)
}

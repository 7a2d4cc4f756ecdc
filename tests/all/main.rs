//! All tests that need a kernel, in one program: each case is named `area::what` and makes what it needs itself.
//! A need that is missing (root, strace, ...) fails the case and is named; nothing passes by being left out. What only
//! another kernel has is listed as ignored, by name (see `needs`): scripts/lab boots one with all controllers.
//!
//! Before the first case the program steps into the view of a cgroup v2 host (see `view`). `RUNTIME=PROGRAM` in the
//! environment lets another OCI runtime take the tests that hold for any.

mod absent;
mod architecture;
mod bundle;
mod callers;
mod cgroups;
mod command_line;
mod config;
mod corners;
mod crowds;
mod decisions;
mod device_rules;
mod everything;
mod execs;
mod execs_words;
mod freezer;
mod fuzz;
mod hooks;
mod hooks_late;
mod host;
mod hostile;
mod hostile_exec;
mod hostile_files;
mod hostile_paths;
mod hostile_state;
mod initramfs;
mod injection;
mod injection_all;
mod injection_each;
mod injection_exec;
mod install;
mod kept;
mod labels;
mod lanes;
mod leftovers;
mod lent;
mod lifecycle;
mod lifecycle_errors;
mod limits;
mod limits_devices;
mod listing;
mod little_room;
mod machine;
mod made_mounts;
mod mounts;
mod mounts_later;
mod mounts_mapped;
mod namespaces;
mod needs;
mod netdev;
mod no_room;
mod notify;
mod parity;
mod parity_terminals;
mod picture;
mod plans;
mod planted;
mod programs;
mod properties;
mod protections;
mod random_ends;
mod real;
mod recorder;
mod refusals;
mod rights;
mod rootless;
mod said;
mod same_as_runc;
mod screen;
mod sealed;
mod seccomp;
mod seccomp_notify;
mod settings;
mod shapes;
mod shared;
mod shared_mounts;
mod side_by_side;
mod signals;
mod states;
mod strace;
mod strace_itself;
mod surroundings;
mod systemd;
mod terminals;
mod terminals_exec;
mod threaded;
mod view;
mod vm;
mod waits;
mod warnings;

use libtest_mimic::{Arguments, Failed, Trial};

/// How a case ends: well, or with what is wrong. Any error that can be printed becomes one with `?`.
type Outcome = Result<(), Failed>;

/// Fails the case with this message unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(format!($($message)+).into());
        }
    };
}
pub(crate) use ensure;

/// Fails the case unless both are the same, and shows both.
fn same<T: PartialEq + std::fmt::Debug>(what: &str, is: T, wanted: T) -> Outcome {
    ensure!(is == wanted, "{what}\n      is: {is:?}\n  wanted: {wanted:?}");
    Ok(())
}

/// A case: its name, and what it does.
type Case = (&'static str, fn() -> Outcome);

/// The cases of one area.
fn area(name: &str, cases: &[Case]) -> Vec<Trial> {
    let trial = |(what, case): &Case| Trial::test(format!("{name}::{what}"), *case);
    cases.iter().map(trial).collect()
}

fn main() {
    let words = Arguments::from_args();
    // In the view there is no systemd.
    let systemd = words.filter.as_deref().is_some_and(|filter| filter.starts_with("systemd"));
    let cases = [
        lifecycle::cases(),
        lifecycle_errors::cases(),
        decisions::cases(),
        callers::cases(),
        notify::cases(),
        config::cases(),
        absent::cases(),
        said::cases(),
        shapes::cases(),
        surroundings::cases(),
        mounts::cases(),
        mounts_mapped::cases(),
        leftovers::cases(),
        signals::cases(),
        freezer::cases(),
        threaded::cases(),
        lent::cases(),
        side_by_side::cases(),
        made_mounts::cases(),
        shared_mounts::cases(),
        namespaces::cases(),
        rights::cases(),
        rootless::cases(),
        settings::cases(),
        labels::cases(),
        execs::cases(),
        execs_words::cases(),
        kept::cases(),
        programs::cases(),
        terminals::cases(),
        terminals_exec::cases(),
        sealed::cases(),
        seccomp::cases(),
        seccomp_notify::cases(),
        cgroups::cases(),
        shared::cases(),
        waits::cases(),
        limits::cases(),
        limits_devices::cases(),
        device_rules::cases(),
        protections::cases(),
        crowds::cases(),
        systemd::cases(systemd),
        hooks::cases(),
        hooks_late::cases(),
        corners::cases(),
        netdev::cases(),
        refusals::cases(),
        same_as_runc::cases(),
        listing::cases(),
        command_line::cases(),
        mounts_later::cases(),
        warnings::cases(),
        states::cases(),
        little_room::cases(),
        strace_itself::cases(),
        parity::cases(),
        parity_terminals::cases(),
        injection::cases(),
        injection_all::cases(),
        injection_each::cases(),
        injection_exec::cases(),
        hostile::cases(),
        hostile_exec::cases(),
        hostile_paths::cases(),
        hostile_files::cases(),
        hostile_state::cases(),
        planted::cases(),
        fuzz::cases(),
        random_ends::cases(),
        recorder::cases(),
        no_room::cases(),
        install::cases(),
        plans::cases(),
        properties::cases(),
        initramfs::cases(),
        vm::cases(),
        lanes::cases(),
        picture::cases(),
        architecture::cases(),
    ];
    let cases = cases.into_iter().flatten().map(needs::marked).collect();
    if words.list {
        libtest_mimic::run(&words, cases).exit();
    }
    if systemd {
        systemd::prepare();
        libtest_mimic::run(&words, cases).exit();
    }
    let view = view::enter();
    let conclusion = libtest_mimic::run(&words, cases);
    view.leave();
    conclusion.exit();
}

//! All tests that need a kernel, in one program: each case is named `area::what` and makes what it needs itself.
//! A need that is missing (root, strace, ...) fails the case and is named; nothing passes by being left out. What only
//! another kernel has is listed as ignored, by name (see `needs`): scripts/lab boots one with all controllers.
//!
//! Before the first case the program steps into the view of a cgroup v2 host (see `view`). `RUNTIME=PROGRAM` in the
//! environment lets another OCI runtime take the tests that hold for any.

#[path = "all/absent.rs"]
mod absent;
#[path = "all/bundle.rs"]
mod bundle;
#[path = "all/callers.rs"]
mod callers;
#[path = "all/cgroups.rs"]
mod cgroups;
#[path = "all/command_line.rs"]
mod command_line;
#[path = "all/config.rs"]
mod config;
#[path = "all/corners.rs"]
mod corners;
#[path = "all/crowds.rs"]
mod crowds;
#[path = "all/decisions.rs"]
mod decisions;
#[path = "all/device_rules.rs"]
mod device_rules;
#[path = "all/everything.rs"]
mod everything;
#[path = "all/execs.rs"]
mod execs;
#[path = "all/execs_words.rs"]
mod execs_words;
#[path = "all/freezer.rs"]
mod freezer;
#[path = "all/fuzz.rs"]
mod fuzz;
#[path = "all/hooks.rs"]
mod hooks;
#[path = "all/hooks_late.rs"]
mod hooks_late;
#[path = "all/host.rs"]
mod host;
#[path = "all/hostile.rs"]
mod hostile;
#[path = "all/hostile_exec.rs"]
mod hostile_exec;
#[path = "all/hostile_files.rs"]
mod hostile_files;
#[path = "all/hostile_paths.rs"]
mod hostile_paths;
#[path = "all/hostile_state.rs"]
mod hostile_state;
#[path = "all/initramfs.rs"]
mod initramfs;
#[path = "all/injection.rs"]
mod injection;
#[path = "all/injection_all.rs"]
mod injection_all;
#[path = "all/injection_each.rs"]
mod injection_each;
#[path = "all/injection_exec.rs"]
mod injection_exec;
#[path = "all/install.rs"]
mod install;
#[path = "all/kept.rs"]
mod kept;
#[path = "all/labels.rs"]
mod labels;
#[path = "all/lanes.rs"]
mod lanes;
#[path = "all/leftovers.rs"]
mod leftovers;
#[path = "all/lent.rs"]
mod lent;
#[path = "all/lifecycle.rs"]
mod lifecycle;
#[path = "all/lifecycle_errors.rs"]
mod lifecycle_errors;
#[path = "all/limits.rs"]
mod limits;
#[path = "all/limits_devices.rs"]
mod limits_devices;
#[path = "all/listing.rs"]
mod listing;
#[path = "all/little_room.rs"]
mod little_room;
#[path = "all/machine.rs"]
mod machine;
#[path = "all/made_mounts.rs"]
mod made_mounts;
#[path = "all/mounts.rs"]
mod mounts;
#[path = "all/mounts_later.rs"]
mod mounts_later;
#[path = "all/mounts_mapped.rs"]
mod mounts_mapped;
#[path = "all/namespaces.rs"]
mod namespaces;
#[path = "all/needs.rs"]
mod needs;
#[path = "all/netdev.rs"]
mod netdev;
#[path = "all/no_room.rs"]
mod no_room;
#[path = "all/notify.rs"]
mod notify;
#[path = "all/parity.rs"]
mod parity;
#[path = "all/parity_terminals.rs"]
mod parity_terminals;
#[path = "all/picture.rs"]
mod picture;
#[path = "all/plans.rs"]
mod plans;
#[path = "all/planted.rs"]
mod planted;
#[path = "all/programs.rs"]
mod programs;
#[path = "all/properties.rs"]
mod properties;
#[path = "all/protections.rs"]
mod protections;
#[path = "all/random_ends.rs"]
mod random_ends;
#[path = "all/real.rs"]
mod real;
#[path = "all/recorder.rs"]
mod recorder;
#[path = "all/refusals.rs"]
mod refusals;
#[path = "all/rights.rs"]
mod rights;
#[path = "all/rootless.rs"]
mod rootless;
#[path = "all/said.rs"]
mod said;
#[path = "all/same_as_runc.rs"]
mod same_as_runc;
#[path = "all/screen.rs"]
mod screen;
#[path = "all/sealed.rs"]
mod sealed;
#[path = "all/seccomp.rs"]
mod seccomp;
#[path = "all/seccomp_notify.rs"]
mod seccomp_notify;
#[path = "all/settings.rs"]
mod settings;
#[path = "all/shapes.rs"]
mod shapes;
#[path = "all/shared.rs"]
mod shared;
#[path = "all/shared_mounts.rs"]
mod shared_mounts;
#[path = "all/side_by_side.rs"]
mod side_by_side;
#[path = "all/signals.rs"]
mod signals;
#[path = "all/states.rs"]
mod states;
#[path = "all/strace.rs"]
mod strace;
#[path = "all/strace_itself.rs"]
mod strace_itself;
#[path = "all/surroundings.rs"]
mod surroundings;
#[path = "all/systemd.rs"]
mod systemd;
#[path = "all/terminals.rs"]
mod terminals;
#[path = "all/terminals_exec.rs"]
mod terminals_exec;
#[path = "all/threaded.rs"]
mod threaded;
#[path = "all/view.rs"]
mod view;
#[path = "all/vm.rs"]
mod vm;

#[path = "all/waits.rs"]
mod waits;
#[path = "all/warnings.rs"]
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

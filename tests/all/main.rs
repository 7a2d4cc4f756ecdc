//! All tests that need a kernel, in one program: each case is named `area::what` and makes what it needs itself.
//! A need that is missing (root, strace, ...) fails the case and is named; nothing passes by being left out. What only
//! another kernel has is listed as ignored, by name (see `needs`): scripts/lab boots one with all controllers.
//!
//! Before the first case the program steps into the view of a cgroup v2 host (see `view`). `RUNTIME=PROGRAM` in the
//! environment lets another OCI runtime take the tests that hold for any.

mod beside;
mod callers;
mod cgroup;
mod check;
mod compare;
mod config;
mod devices;
mod diagnosis;
mod draw;
mod ended;
mod exec;
mod hooks;
mod hostile;
mod house;
mod html;
mod injection;
mod inspect;
mod labels;
mod learn;
mod lifecycle;
mod lint;
mod machines;
mod messages;
mod mounts;
mod namespaces;
mod network;
mod parity;
mod process;
mod profile;
mod recorder;
mod refused;
mod seccomp;
mod step;
mod terminal;
mod tools;
mod trace;
mod users;
mod watch;
mod world;

use libtest_mimic::{Arguments, Conclusion, Failed, Trial};
use tools::{bundle, everything, frames, host, machine, needs, real, screen, strace, view};

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
        watch::cases(),
        beside::cases(),
        world::cases(),
        draw::cases(),
        draw::timing::cases(),
        lint::cases(),
        check::cases(),
        check::floor::cases(),
        compare::cases(),
        compare::traces::cases(),
        lifecycle::errors::cases(),
        house::papers::cases(),
        callers::cases(),
        callers::notify::cases(),
        process::cases(),
        config::absent::cases(),
        messages::said::cases(),
        config::shapes::cases(),
        namespaces::surroundings::cases(),
        mounts::cases(),
        diagnosis::mounts::cases(),
        diagnosis::cgroups::cases(),
        diagnosis::others::cases(),
        diagnosis::repeated::cases(),
        diagnosis::situations::cases(),
        mounts::mapped::cases(),
        cgroup::leftovers::cases(),
        lifecycle::signals::cases(),
        cgroup::freezer::cases(),
        cgroup::threaded::cases(),
        mounts::lent::cases(),
        mounts::side_by_side::cases(),
        mounts::made::cases(),
        mounts::inherited::cases(),
        namespaces::cases(),
        process::rights::cases(),
        users::cases(),
        process::settings::cases(),
        labels::cases(),
        exec::cases(),
        ended::cases(),
        profile::cases(),
        exec::words::cases(),
        lifecycle::kept::cases(),
        process::programs::cases(),
        diagnosis::programs::cases(),
        diagnosis::rights::cases(),
        terminal::cases(),
        terminal::exec::cases(),
        step::cases(),
        step::every::cases(),
        step::calls::cases(),
        step::screens::cases(),
        process::sealed::cases(),
        seccomp::cases(),
        seccomp::notify::cases(),
        cgroup::cases(),
        cgroup::shared::cases(),
        callers::waits::cases(),
        cgroup::limits::cases(),
        devices::cases(),
        process::protections::cases(),
        cgroup::crowds::cases(),
        cgroup::systemd::cases(systemd),
        hooks::cases(),
        hooks::later::cases(),
        config::corners::cases(),
        config::large::cases(),
        network::cases(),
        config::refusals::cases(),
        lifecycle::same_as_runc::cases(),
        messages::listing::cases(),
        messages::command_line::cases(),
        messages::explain::cases(),
        messages::manual::cases(),
        learn::cases(),
        mounts::later::cases(),
        messages::told::cases(),
        messages::warnings::cases(),
        lifecycle::states::cases(),
        lifecycle::memory::cases(),
        callers::little_room::cases(),
        parity::strace_itself::cases(),
        parity::cases(),
        parity::terminals::cases(),
        parity::watched::cases(),
        inspect::cases(),
        inspect::hostile::cases(),
        injection::cases(),
        injection::all::cases(),
        injection::each::cases(),
        injection::exec::cases(),
        hostile::cases(),
        hostile::exec::cases(),
        hostile::paths::cases(),
        hostile::files::cases(),
        hostile::state::cases(),
        hostile::planted::cases(),
        hostile::fuzz::cases(),
        lifecycle::random_ends::cases(),
        recorder::cases(),
        refused::cases(),
        recorder::leads::cases(),
        recorder::no_room::cases(),
        trace::cases(),
        html::cases(),
        house::install::cases(),
        house::plans::cases(),
        house::readme::cases(),
        house::release::cases(),
        config::properties::cases(),
        machines::disks::cases(),
        machines::images::cases(),
        machines::channel::cases(),
        machines::initramfs::cases(),
        machines::several::cases(),
        machines::vm::cases(),
        machines::vm_channel::cases(),
        machines::vm_faults::cases(),
        machines::vm_host::cases(),
        machines::vm_other::cases(),
        house::lanes::cases(),
        house::picture::cases(),
        house::architecture::cases(),
    ];
    let cases = cases.into_iter().flatten().map(needs::marked).collect();
    if words.list {
        libtest_mimic::run(&words, cases).exit();
    }
    if systemd {
        cgroup::systemd::prepare();
        finish(&words, libtest_mimic::run(&words, cases));
    }
    let view = view::enter();
    let conclusion = libtest_mimic::run(&words, cases);
    view.leave();
    finish(&words, conclusion);
}

/// A name that no case has is a mistake: it would pass without a test.
fn finish(words: &Arguments, conclusion: Conclusion) -> ! {
    let none = conclusion.num_passed + conclusion.num_failed + conclusion.num_ignored == 0;
    if let Some(name) = words.filter.as_ref().filter(|_| none) {
        eprintln!("no case has `{name}` in its name");
        std::process::exit(101);
    }
    conclusion.exit();
}

//! What beside the configuration decides about lines: each host's state and each option marks the lines that it changes, and
//! no others.

use crate::cli::Watched;
use crate::plan::cgroup::scope::{Manager, Scope};
use crate::plan::{self, Joined, Mark, Notify, Plan, Wish};
use crate::spec::{self, Spec};
use alloc::collections::BTreeSet;
use syscalls::CloneFlags;

fn parsed(text: &str) -> Spec<'_> {
    *spec::parse(text.as_bytes()).unwrap_or_else(|problem| panic!("{problem:?}"))
}

fn root<'a>() -> Wish<'a> {
    Wish { id: "x", bundle: "/b", cgroup: true, attached: true, ..Wish::default() }
}

/// The marks of a plan.
fn marks(plan: Result<Plan, spec::Problem>) -> BTreeSet<&'static str> {
    let plan = plan.unwrap_or_else(|problem| panic!("{problem:?}"));
    plan.lines().map(|line| line.mark.text()).filter(|text| !text.is_empty()).collect()
}

#[test]
fn a_plan_of_root_without_options_has_no_mark() {
    assert_eq!(marks(plan::create(&parsed(spec::DEFAULT), &root())), BTreeSet::new());
}

#[test]
fn each_mark_has_its_cause() {
    let rootless = spec::rootless_default(1000, 1000);
    let terminal = spec::DEFAULT.replace("\"terminal\": false", "\"terminal\": true");
    let quiet = spec::DEFAULT.replace("\"terminal\": true", "\"terminal\": false");
    let notify = Notify { address: "/run/notify".into(), directory: "/b/notify".into() };
    let manager = Manager { sockets: vec![], base: String::new(), user: true };
    let scope = Scope { unit: "x.scope".into(), sockets: vec![], properties: vec![] };
    let joins = Joined { first: 2, namespaces: CloneFlags::CLONE_NEWPID, scope: Some(scope) };
    let made = |text: &str, wish: Wish| marks(plan::create(&parsed(text), &wish));
    let cases = [
        (Mark::NoRoot, made(&rootless, Wish { uid: 1000, gid: 1000, ..root() })),
        (Mark::Nested, made(&quiet, Wish { nested: true, ..root() })),
        (Mark::NotifySocket, made(&quiet, Wish { notify: Some(&notify), ..root() })),
        (Mark::SessionScope, marks(plan::exec(&parsed(&quiet), &Wish { joins: Some(joins), ..root() }))),
        (Mark::PreserveFds, made(&quiet, Wish { preserve_fds: 1, ..root() })),
        (Mark::PidFile, made(&quiet, Wish { pid_file: Some("/pid"), ..root() })),
        (Mark::PidfdSocket, made(&quiet, Wish { pidfd: Some("/pidfd"), ..root() })),
        (Mark::ConsoleSocket, made(&terminal, Wish { console: Some("/console"), attached: false, ..root() })),
        (Mark::NoPivot, made(&quiet, Wish { no_pivot: true, ..root() })),
        (Mark::NoCgroup, made(&quiet, Wish { cgroup: false, ..root() })),
        (Mark::Systemd, made(&quiet, Wish { manager: Some(&manager), ..root() })),
        (Mark::Rootless, made(&quiet, Wish { rootless: Some(true), ..root() })),
        (Mark::Watch, made(&quiet, Wish { watch: Some(Watched::All), ..root() })),
    ];
    for (mark, found) in &cases {
        assert_eq!(*found, BTreeSet::from([mark.text()]));
    }
    // A number that no mark has is none.
    let numbers = (0..u8::MAX).map(Mark::of).filter(|mark| *mark != Mark::None);
    assert_eq!(numbers.map(|mark| mark as u8).collect::<Vec<_>>(), cases.map(|(mark, _)| mark as u8));
}

//! The lines of a plan, in their order: which look each needs. Lines that cannot fail by what the bundle and this machine have need
//! none. May touch: plan types.

use super::rows::Rows;
use super::view::{Bundle, View};
use super::{Asker, files, groups, program, rights};
use crate::host::input::c;
use crate::plan::op::{
    Cgroup, Devices, Hooks, Labels, Line, Mounts, Namespaces, Network, Op, Plan, Process, Rdt, Rootfs, Seccomp, Users,
};
use crate::spec::Spec;

/// Looks at each line, and at the hooks that other commands run.
pub fn look(asker: &Asker, spec: &Spec, plan: &Plan, rows: &mut Rows) {
    let mut bundle = Bundle { asker, spec, view: View::default(), group: None, makes_cwd: false };
    for line in &plan.host {
        line_of(&mut bundle, line, rows);
    }
    for line in plan.bridge.iter().chain(&plan.init) {
        line_of(&mut bundle, line, rows);
    }
    for (list, hooks) in [("poststart", &spec.hooks.poststart), ("poststop", &spec.hooks.poststop)] {
        for (i, hook) in hooks.iter().enumerate() {
            let Ok(path) = c(&hook.path) else { continue };
            files::hook(&bundle, &format!("/hooks/{list}/{i}"), &path, [&[], &[]], rows);
        }
    }
}

fn line_of(b: &mut Bundle, line: &Line, rows: &mut Rows) {
    let at = line.from.as_str();
    match &line.op {
        Op::Rootfs(op) => match op {
            Rootfs::Open { path } | Rootfs::Look { path } => files::rootfs(b, path, rows),
            Rootfs::MakeCwd { .. } => b.makes_cwd = true,
            Rootfs::Cwd { path } => program::cwd(b, path, rows),
            _ => {}
        },
        Op::Mounts(op) => match op {
            Mounts::OpenSource(source) => files::source(b, at, source, rows),
            Mounts::Mount(wanted) => files::file_system(b, at, wanted, rows),
            Mounts::Attach { at: place, tree, open, .. } => files::attach(b, at, place, *tree, *open, rows),
            _ => {}
        },
        Op::Devices(Devices::OpenDirectory { path, slot, .. }) => b.view.open(*slot, &path.to_string_lossy()),
        Op::Devices(Devices::Node { .. }) => files::node(b, at, rows),
        Op::Hooks(Hooks::Run { hook }) => {
            files::hook(b, at, &hook.path, [&hook.argv, hook.envp.as_deref().unwrap_or(&[])], rows);
        }
        Op::Process(op) => match op {
            Process::Find { .. } => program::look(b, at, rows),
            Process::Execve { argv, envp } => program::sizes(b, argv, &envp.list(), rows),
            Process::Limit { resource, hard, .. } => rights::limit(b, at, *resource, *hard, rows),
            _ => {}
        },
        Op::Namespaces(op) => match op {
            Namespaces::Open { .. } => rights::joined(b, at, rows),
            Namespaces::Clone { .. } => rights::namespaces(b, rows),
            Namespaces::WriteProc { path, text, .. } if at.starts_with("/linux/sysctl/") => {
                rights::setting(b, at, &path.to_string_lossy(), text, rows)
            }
            _ => {}
        },
        Op::Users(Users::MapIds { .. }) => rights::mapping(b, rows),
        Op::Users(Users::Ids { .. }) => rights::user(b, rows),
        Op::Cgroup(op) => match op {
            Cgroup::Make { path, optional, .. } => groups::make(at, path, *optional, &mut b.group, rows),
            Cgroup::Set { setting } => groups::limit(&b.group, setting, rows),
            _ => {}
        },
        Op::Labels(Labels::SecurityModule { selinux }) => rights::label(b, at, *selinux, rows),
        Op::Network(Network::Read { device, .. }) => rights::device(at, device, rows),
        Op::Seccomp(Seccomp::Load { .. }) => rights::profile(b, at, rows),
        Op::Rdt(Rdt::Make { .. }) => rights::resctrl(at, rows),
        _ => {}
    }
}

//! Labels of security modules: config.json's `apparmorProfile`, `selinuxLabel` and `mountLabel` (config.md, "Linux
//! Process"; config-linux.md, "Mount Label"). The kernel keeps a process's label until its next execve. May touch:
//! types.

use super::builder::Builder;
use super::op::{Labels, Namespaces, Slot};
use super::order::{Host, Init};
use super::text::problem;
use crate::spec::Problem;

const APPARMOR: &str = "/process/apparmorProfile";
const SELINUX: &str = "/process/selinuxLabel";

pub fn plan(b: &mut Builder) -> Result<(), Problem> {
    let (profile, label) = (&b.spec.process.apparmor_profile, &b.spec.process.selinux_label);
    for (at, label, selinux) in
        [(APPARMOR, profile, false), (SELINUX, label, true), ("/linux/mountLabel", &b.spec.linux.mount_label, true)]
    {
        if !label.is_empty() {
            let why = "without the security module the kernel would take the label and enforce nothing";
            b.host(Host::Modules, at, Labels::SecurityModule { selinux }, why);
        }
    }
    if !profile.is_empty() {
        let base = b.procfs(Init::Labels);
        let (path, text) = (c"thread-self/attr/apparmor/exec".into(), format!("exec {profile}").into_bytes());
        let why = "the kernel confines the program by this profile from execve on";
        b.init(Init::Labels, APPARMOR, Namespaces::WriteProc { base, path, text }, why);
    }
    if !label.is_empty() {
        let base = b.procfs(Init::Labels);
        let (path, text) = (c"thread-self/attr/exec".into(), label.as_bytes().to_vec());
        let why = "the kernel runs the program under this label from execve on";
        b.init(Init::Labels, SELINUX, Namespaces::WriteProc { base, path, text }, why);
        key_label(b, label);
    }
    Ok(())
}

/// SELinux labels what a process makes with the process's own label. Until execve that is the runtime's.
fn key_label(b: &mut Builder, label: &str) {
    b.host_proc();
    if !b.wish.no_new_keyring {
        let (path, text) = (c"thread-self/attr/keycreate".into(), label.as_bytes().to_vec());
        let op = Namespaces::WriteProc { base: Slot::HOST_PROC, path, text };
        let why = "a keyring gets its maker's label, and this process still has the runtime's";
        b.init(Init::KeyLabel, SELINUX, op, why);
    }
}

/// The `context` option that gives a new file system its label.
pub fn mount_label(b: &Builder, kind: &str, data: &mut String) -> Result<(), Problem> {
    let label = &b.spec.linux.mount_label;
    if label.is_empty() || !matches!(kind, "tmpfs" | "ramfs" | "devpts" | "overlay" | "shm") {
        return Ok(());
    }
    if label.contains('"') {
        return Err(problem("/linux/mountLabel", "holds a quote, which no label does"));
    }
    if !data.is_empty() {
        data.push(',');
    }
    data.push_str(&format!("{}=\"{label}\"", b.spec.context_option()));
    Ok(())
}

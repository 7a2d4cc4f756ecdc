//! What of the host a container could leave behind, looked at before and after. Cases run side by side, so a look
//! takes in the mounts of this case's own mount namespace, and of the rest what bears this case's token.

use crate::{Failed, Outcome, ensure, view};
use std::fs;
use std::path::{Path, PathBuf};

pub struct Host {
    token: String,
    state: PathBuf,
    mounts: Vec<String>,
    name: String,
}

impl Host {
    /// Looks around. From here on this thread has mounts of its own.
    pub fn look(token: &str, state: &Path) -> Result<Host, Failed> {
        view::own_mounts()?;
        Ok(Host { token: token.into(), state: state.into(), mounts: mounts()?, name: names()? })
    }

    /// Fails with everything that was left behind.
    pub fn unchanged(&self) -> Outcome {
        let mut left = Vec::new();
        let now = mounts()?;
        left.extend(now.iter().filter(|line| !self.mounts.contains(line)).map(|line| format!("mount: {line}")));
        left.extend(self.mounts.iter().filter(|line| !now.contains(line)).map(|line| format!("lost mount: {line}")));
        left.extend(processes(&self.token).into_iter().map(|line| format!("process: {line}")));
        cgroups(Path::new("/sys/fs/cgroup"), &self.token, &mut left);
        for entry in fs::read_dir(&self.state).into_iter().flatten().flatten() {
            // The flight recorders of containers that are gone stay, as designed.
            if entry.file_name() != ".traces" && entry.file_name() != ".learn" {
                left.push(format!("state: {}", entry.path().display()));
            }
        }
        if names()? != self.name {
            left.push(format!("the host's name or domain name: it was {}", self.name));
        }
        ensure!(left.is_empty(), "left behind:\n  {}", left.join("\n  "));
        Ok(())
    }
}

fn mounts() -> Result<Vec<String>, Failed> {
    Ok(fs::read_to_string("/proc/thread-self/mountinfo")?.lines().map(String::from).collect())
}

fn names() -> Result<String, Failed> {
    let host = fs::read_to_string("/proc/sys/kernel/hostname")?;
    let domain = fs::read_to_string("/proc/sys/kernel/domainname")?;
    Ok(format!("{} {}", host.trim(), domain.trim()))
}

/// Processes whose command line or environment bears the token: the runtime's by the paths that it was given, a
/// container's by the variable that every bundle of these tests sets.
pub fn processes(token: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry.file_name().to_string_lossy().into_owned();
        if pid.parse::<u32>().is_err() || pid == std::process::id().to_string() {
            continue;
        }
        let command = words(&entry.path().join("cmdline"));
        let environment = words(&entry.path().join("environ"));
        if command.contains(token) || environment.contains(token) {
            found.push(format!("{pid} {command}"));
        }
    }
    found
}

fn words(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}

fn cgroups(folder: &Path, token: &str, left: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if entry.file_name().to_string_lossy().contains(token) {
            left.push(format!("cgroup: {}", entry.path().display()));
        }
        cgroups(&entry.path(), token, left);
    }
}

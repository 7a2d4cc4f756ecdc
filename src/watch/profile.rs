//! From a run to a profile: the calls that a program has made become an OCI seccomp section, and the capabilities that they have
//! needed an OCI capabilities object. May touch: system calls, tables.

use super::refused::{self, By, Confinement, Foreign};
use crate::cause::path::kind;
use crate::host::input::c;
use crate::outcome::{Doing, Error};
use crate::packed::packed;
use crate::perform::callers::new_beside;
use crate::perform::files::write_all;
use crate::plan::seccomp::{NATIVE, column};
use crate::spec::{ARCHES, CAPABILITIES, Spec};
use alloc::collections::BTreeSet;
use alloc::ffi::CString;
use serde_json::json;
use syscalls::foreign;
use syscalls::{At, AtFlags, OpenFlags, Why};

/// What lines of fallbacks.txt begin with that are wanted for another reason than a call that was seen.
const LABELS: [&str; 2] = ["always", "privileged"];

/// What a profile allows beside what was seen.
fn fallbacks() -> &'static str {
    packed!("watch/fallbacks.txt")
}

/// Where the profiles go. The paths begin at the root of the file system: the watcher has another directory.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Files {
    pub seccomp: Option<String>,
    pub capabilities: Option<String>,
}

impl Files {
    pub fn are_wanted(&self) -> bool {
        self.seccomp.is_some() || self.capabilities.is_some()
    }

    /// Looks before the program runs whether the files can be written.
    pub fn check(&self) -> Result<(), Error> {
        for (path, option) in [(&self.seccomp, "--write-seccomp"), (&self.capabilities, "--write-capabilities")] {
            let Some(path) = path else { continue };
            c(path)?;
            let above = path.rsplit_once('/').map_or("/", |(above, _)| above);
            let above = if above.is_empty() { "/" } else { above };
            let flags = OpenFlags::O_PATH | OpenFlags::O_DIRECTORY;
            let why = Why("a profile that cannot be written is told before the program runs");
            let dir = syscalls::openat(At::CWD, &c(above)?, flags, why);
            dir.doing(format_args!("look at the directory for {option} {path}"))?;
            replaceable(path, option)?;
        }
        Ok(())
    }
}

/// The profile takes the place of what has its name: a device or a directory must not go.
fn replaceable(path: &str, option: &str) -> Result<(), Error> {
    let why = Why("only a file or a link may be replaced by a profile");
    match syscalls::newfstatat(At::CWD, &c(path)?, AtFlags::AT_SYMLINK_NOFOLLOW, why) {
        Ok(stat) if !matches!(stat.st_mode & libc::S_IFMT, libc::S_IFREG | libc::S_IFLNK) => {
            Err(Error::Usage(format!("{option} {path}: it is {}, and a profile is a file", kind(&stat))))
        }
        _ => Ok(()),
    }
}

/// What a program has used.
#[derive(Default)]
pub struct Used {
    /// Architectures and numbers.
    calls: BTreeSet<(u32, u32)>,
    capabilities: BTreeSet<&'static str>,
}

impl Used {
    /// A call has ended, or its thread has. `by`: what of the container has refused it. `wants`: which profiles are asked for.
    pub fn saw(&mut self, wants: &Files, confinement: &Confinement, call: &Foreign, by: Option<By>) {
        // What the present profile refuses the next one refuses, too.
        if by != Some(By::Seccomp) {
            self.calls.insert((call.arch, call.number as u32));
        }
        if wants.capabilities.is_some() && call.result >= 0 {
            self.capabilities.extend(refused::capabilities(confinement, call));
        }
    }

    /// Writes the files that are asked for.
    pub fn write(&self, files: &Files, spec: &Spec) -> syscalls::Result<()> {
        if let Some(path) = &files.seccomp {
            put(path, &self.seccomp(spec))?;
        }
        if let Some(path) = &files.capabilities {
            put(path, &self.capabilities(spec))?;
        }
        Ok(())
    }

    /// The value of `/linux/seccomp`, with the flags of the present profile.
    fn seccomp(&self, spec: &Spec) -> serde_json::Value {
        let mut names: BTreeSet<String> = BTreeSet::new();
        let mut arches: BTreeSet<usize> = [NATIVE].into();
        for (arch, number) in &self.calls {
            let Some(column) = column(*arch, *number) else { continue };
            arches.insert(column);
            names.extend(foreign::name(*arch, u64::from(*number)).map(String::from));
        }
        add_fallbacks(&mut names, !spec.process.no_new_privileges);
        let mut profile = json!({
            "defaultAction": "SCMP_ACT_ERRNO",
            "defaultErrnoRet": libc::EPERM,
            "architectures": arches.iter().map(|arch| ARCHES[*arch]).collect::<Vec<_>>(),
            "syscalls": [{"names": names, "action": "SCMP_ACT_ALLOW"}],
        });
        if let Some(flags) = spec.linux.seccomp.as_ref().and_then(|own| own.flags.as_deref()) {
            profile["flags"] = json!(flags);
        }
        profile
    }

    /// The value of `/process/capabilities`: of the sets of the configuration what was used.
    fn capabilities(&self, spec: &Spec) -> serde_json::Value {
        let own = &spec.process.capabilities;
        let used = |set: &[String]| -> Vec<&str> {
            let has = |name: &&str| self.capabilities.contains(name) && set.iter().any(|own| own == name);
            CAPABILITIES.iter().copied().filter(has).collect()
        };
        json!({
            "bounding": used(&own.bounding),
            "effective": used(&own.effective),
            "permitted": used(&own.permitted),
            "inheritable": used(&own.inheritable),
            "ambient": used(&own.ambient),
        })
    }
}

/// Adds what stands in place of a call elsewhere, what each program needs, and what runtimes do. `privileged`: there are runtimes
/// that give up their rights under the filter.
fn add_fallbacks(names: &mut BTreeSet<String>, privileged: bool) {
    let seen = names.clone();
    for line in fallbacks().lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let words = line.split(' ');
        let wanted = match words.clone().next() {
            Some("always") => true,
            Some("privileged") => privileged,
            _ => words.clone().any(|word| seen.contains(word)),
        };
        if wanted {
            names.extend(words.filter(|word| !LABELS.contains(word)).map(String::from));
        }
    }
}

/// Writes a profile under a name beside its own first, so that a reader never sees a part of it, and a link in its place is
/// replaced and not followed.
fn put(path: &str, profile: &serde_json::Value) -> syscalls::Result<()> {
    let why = Why("the caller asked for this profile");
    let text = format!("{}\n", serde_json::to_string_pretty(profile).unwrap_or_default());
    // `check` has refused a path with a NUL byte.
    let name = CString::new(path).unwrap_or_default();
    let (file, temporary) = new_beside(&name, why)?;
    let written = write_all(file.at(), text.as_bytes(), why)
        .and_then(|()| syscalls::renameat2(At::CWD, &temporary, At::CWD, &name, why));
    if written.is_err() {
        let _ = syscalls::unlinkat(At::CWD, &temporary, AtFlags::NONE, Why("half a profile would mislead"));
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use syscalls::AUDIT_ARCH_X86_64;
    use syscalls::names::{NUMBERS, name};

    #[test]
    fn each_name_of_the_table_is_a_call() {
        let known: BTreeSet<&str> = (0..NUMBERS.len()).filter_map(|row| core::str::from_utf8(name(row)).ok()).collect();
        for line in fallbacks().lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let words: Vec<&str> = line.split(' ').filter(|word| !LABELS.contains(word)).collect();
            assert!(words.len() > 1, "{line}");
            for word in words {
                assert!(known.contains(word), "{word}");
            }
        }
    }

    #[test]
    fn what_was_used_and_what_replaces_it() {
        let mut used = Used::default();
        let openat = NUMBERS[(0..NUMBERS.len()).find(|row| name(*row) == b"openat").unwrap_or(0)][0];
        used.calls.insert((AUDIT_ARCH_X86_64, openat.into()));
        let names = |without: bool| -> Vec<String> {
            let text =
                crate::spec::DEFAULT.replace(r#""noNewPrivileges": true"#, &format!(r#""noNewPrivileges": {without}"#));
            let spec = crate::spec::parse(text.as_bytes()).unwrap_or_else(|problem| panic!("{problem:?}"));
            let profile = used.seccomp(&spec);
            let names = profile["syscalls"][0]["names"].as_array().cloned().unwrap_or_default();
            names.iter().filter_map(|name| name.as_str().map(String::from)).collect()
        };
        let has = |names: &[String], name: &str| names.iter().any(|one| one == name);
        let early = names(false);
        let names = names(true);
        assert!(names.is_sorted() && has(&names, "openat2") && has(&names, "exit_group") && !has(&names, "always"));
        assert!(!has(&names, "mkdirat") && !has(&names, "clone3"));
        // Where other runtimes are the first that the filter binds.
        assert!(!has(&names, "setuid") && has(&early, "setuid"));
    }
}

//! `nk.rescue`: a shell on the console of a machine in which something has failed. It is that of a bundle, with the bundle's
//! rootfs as its root. May touch: everything below.

use super::super::bundle;
use super::child::{Child, Start};
use crate::outcome::{Doing, Error};
use crate::say::out;
use alloc::ffi::CString;
use core::ffi::CStr;
use syscalls::{AccessFlags, AccessMode, At, MountFlags, WaitFlags, Why};

const SHELL: &CStr = c"/bin/sh";

/// Runs the shell of the first bundle that has one; of the initramfs, if none has. `bundles`: their directories.
pub fn shell<'a>(bundles: impl Iterator<Item = &'a str>) -> Result<(), Error> {
    let mut roots: Vec<String> = bundles.map(root).collect();
    roots.push(String::new());
    let found = roots.iter().find(|root| {
        let shell = CString::new(format!("{root}{}", SHELL.to_string_lossy())).unwrap_or_default();
        let why = Why("nk.rescue: a shell is needed");
        syscalls::faccessat2(At::CWD, &shell, AccessMode::X_OK, AccessFlags::NONE, why).is_ok()
    });
    let Some(root) = found else {
        out::stderr(&format!(
            "nk-runtime: nk.rescue: no shell: neither a bundle nor the initramfs has {}\n",
            SHELL.to_string_lossy()
        ));
        return Ok(());
    };
    let place = if root.is_empty() { "/" } else { root };
    out::stderr(&format!("nk-runtime: a rescue shell in {place}; when it ends, the machine ends\n"));
    if !root.is_empty() {
        lend(root);
    }
    let (words, root) = (vec![SHELL.into()], CString::new(place).unwrap_or_default());
    let start = Start {
        program: SHELL,
        words: &words,
        streams: [At::STDIN, At::STDOUT, At::STDERR],
        terminal: true,
        root: Some(&root),
        place: Some(c"/"),
    };
    let why = Why("the machine goes on until the shell ends");
    let child = Child::start(&start).doing("start the rescue shell")?;
    syscalls::waitid_pidfd(child.process.at(), WaitFlags::NONE, why).doing("wait for the rescue shell").map(drop)
}

/// The rootfs of a bundle: its configuration may be what is wrong.
fn root(directory: &str) -> String {
    let path = bundle::read(Some(directory), None).ok().map(|bundle| bundle.spec.root.path.to_string());
    match path {
        Some(path) if path.starts_with('/') => path,
        Some(path) => format!("{directory}/{path}"),
        None => format!("{directory}/rootfs"),
    }
}

/// What a person needs to look at the machine. Where the rootfs lacks a directory, that is not there.
fn lend(root: &str) {
    let why = Why("the shell looks at the machine through them");
    for (place, kind) in [("dev", c"devtmpfs"), ("proc", c"proc"), ("sys", c"sysfs")] {
        if let Ok(place) = CString::new(format!("{root}/{place}")) {
            let _ = syscalls::mount(kind, &place, kind, MountFlags::NONE, None, why);
        }
    }
    if let Ok(place) = CString::new(format!("{root}/mnt")) {
        let _ = syscalls::mount_none(Some(c"/"), &place, MountFlags::MS_BIND, why);
    }
}

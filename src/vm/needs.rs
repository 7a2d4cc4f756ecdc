//! What a configuration may ask of a machine of its own: not what only the host has. Refused by its place in
//! config.json, before anything is made. May touch: spec.

use super::BUNDLE;
use crate::plan::mounts::clean;
use crate::spec::{Problem, Spec, Text};
use alloc::format;
use alloc::string::String;

fn no(pointer: String, problem: &str) -> Result<(), Problem> {
    let problem = format!("with --mode vm: {problem}");
    Err(Problem { pointer, problem })
}

/// Refuses what needs the host.
pub fn fits(spec: &Spec) -> Result<(), Problem> {
    rootfs(spec)?;
    for (i, mount) in spec.mounts.iter().enumerate() {
        let bind = |word: &Text| matches!(word.as_str(), "bind" | "rbind");
        if mount.kind == "bind" || mount.options.iter().any(bind) {
            let text = "the machine has no directories of the host: put the files into the rootfs";
            no(format!("/mounts/{i}"), text)?;
        }
    }
    for (i, namespace) in spec.linux.namespaces.iter().enumerate() {
        if namespace.joined().is_some() {
            let text = "a namespace of the host cannot be joined from another kernel";
            no(format!("/linux/namespaces/{i}/path"), text)?;
        }
    }
    if let Some(device) = spec.linux.net_devices.0.first() {
        let text = "an interface of the host cannot be moved to another kernel";
        no(device.pointer(), text)?;
    }
    if spec.linux.intel_rdt.is_some() {
        let text = "caches and memory bandwidth are the host's to divide";
        no("/linux/intelRdt".into(), text)?;
    }
    let listens = |profile: &crate::spec::Seccomp| profile.listener_path.is_some();
    if spec.linux.seccomp.as_ref().is_some_and(listens) {
        let text = "nobody on the host can answer for calls to another kernel";
        no("/linux/seccomp/listenerPath".into(), text)?;
    }
    // startContainer hooks are programs of the container's own rootfs.
    let hooks = [
        ("prestart", &spec.hooks.prestart),
        ("createRuntime", &spec.hooks.create_runtime),
        ("createContainer", &spec.hooks.create_container),
        ("poststart", &spec.hooks.poststart),
        ("poststop", &spec.hooks.poststop),
    ];
    if let Some((name, _)) = hooks.iter().find(|(_, list)| !list.is_empty()) {
        let text = "the hook's program is the host's, and the container is not";
        no(format!("/hooks/{name}/0"), text)?;
    }
    Ok(())
}

/// Where in the machine the rootfs lies: where root.path leads from the bundle's place there.
pub fn rootfs(spec: &Spec) -> Result<String, Problem> {
    let path = match spec.root.path.starts_with('/') {
        true => clean(&spec.root.path),
        false => clean(&format!("{BUNDLE}/{}", spec.root.path)),
    };
    let first = path.split('/').nth(1).unwrap_or("");
    let taken = ["", "init", "dev", "proc", "sys", "run"].contains(&first);
    if taken || path == BUNDLE || path.split('/').any(|part| part == "..") {
        let text = format!("the rootfs cannot lie at {path} of the machine: name a directory of the bundle");
        no("/root/path".into(), &text)?;
    }
    Ok(path)
}

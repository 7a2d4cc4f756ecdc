//! What a configuration may ask for with a machine of its own, and where the rootfs lies in the machine. What only the host has
//! is refused by its JSON pointer, before anything is made. May touch: spec.

use crate::outcome::Error;
use crate::plan::clean;
use crate::spec::{Problem, Seccomp, Spec, escaped};

/// Where the bundle lies in the machine.
pub const BUNDLE: &str = "/bundle";

pub fn missing(text: &str) -> Error {
    Error::State(format!("--mode vm: {text}"))
}

/// Whether a path is this directory, or lies below it.
pub fn below(path: &str, top: &str) -> bool {
    path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

pub fn no(pointer: String, problem: &str) -> Result<(), Problem> {
    Err(Problem { pointer, problem: format!("with --mode vm: {problem}") })
}

/// Refuses what needs the host. `net`: the machine has a network.
pub fn fits(spec: &Spec, net: bool) -> Result<(), Problem> {
    rootfs(spec)?;
    let odd = |value: &str| value.contains('"') || value.chars().any(char::is_control);
    let mut settings = spec.linux.sysctl.iter().filter(|_| net);
    if let Some((key, _)) = settings.find(|(_, value)| odd(value)) {
        let text = "with --net user it is a word of the kernel's command line, which this value cannot be";
        return no(format!("/linux/sysctl/{}", escaped(key)), text);
    }
    let joined = spec.linux.namespaces.iter().position(|namespace| namespace.joined().is_some());
    let listener = spec.linux.seccomp.as_ref().is_some_and(|profile: &Seccomp| profile.listener_path.is_some());
    // startContainer hooks are programs of the container's own rootfs.
    let hooks = [
        ("prestart", &spec.hooks.prestart),
        ("createRuntime", &spec.hooks.create_runtime),
        ("createContainer", &spec.hooks.create_container),
        ("poststart", &spec.hooks.poststart),
        ("poststop", &spec.hooks.poststop),
    ];
    let hook = hooks.iter().find(|(_, list)| !list.is_empty());
    let refused = [
        (
            joined.map(|i| format!("/linux/namespaces/{i}/path")),
            "a namespace of the host cannot be joined from another kernel",
        ),
        (
            spec.linux.net_devices.0.first().map(|(device, _)| format!("/linux/netDevices/{}", escaped(device))),
            "an interface of the host cannot be moved to another kernel",
        ),
        (
            spec.linux.intel_rdt.is_some().then(|| "/linux/intelRdt".into()),
            "caches and memory bandwidth are the host's to divide",
        ),
        (
            listener.then(|| "/linux/seccomp/listenerPath".into()),
            "no process of the host can answer for calls to another kernel",
        ),
        (
            hook.map(|(name, _)| format!("/hooks/{name}/0")),
            "the hook's program is the host's, and the container is not",
        ),
    ];
    refused.into_iter().find_map(|(pointer, problem)| Some(no(pointer?, problem))).unwrap_or(Ok(()))
}

/// The path of the rootfs in the machine: root.path, from the bundle's place there.
pub fn rootfs(spec: &Spec) -> Result<String, Problem> {
    let path = match spec.root.path.starts_with('/') {
        true => clean(&spec.root.path),
        false => clean(&format!("{BUNDLE}/{}", spec.root.path)),
    };
    let first = path.split('/').nth(1).unwrap_or("");
    let taken = ["", "init", "dev", "proc", "sys", "run", "nk"].contains(&first);
    if taken || path == BUNDLE || path.split('/').any(|part| part == "..") {
        let text = format!("the rootfs cannot lie at {path} of the machine: name a directory of the bundle");
        no("/root/path".into(), &text)?;
    }
    Ok(path)
}

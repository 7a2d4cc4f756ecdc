//! What a configuration may ask for with a machine of its own, and where the rootfs lies in the machine. What only the host has
//! is refused by its JSON pointer, before anything is made. May touch: spec.

use crate::outcome::Error;
use crate::plan::clean;
use crate::spec::{Mount, Problem, Seccomp, Spec, escaped};
use syscalls::flags::signal_name;

/// Where the bundle lies in the machine.
pub const BUNDLE: &str = "/bundle";

pub fn missing(text: &str) -> Error {
    Error::State(format!("--mode vm: {text}"))
}

/// The error of a start that a signal has ended before the machine spoke.
pub fn cut_short(signal: i32) -> Error {
    Error::State(format!("{} came before the machine had begun, and ended it", signal_name(signal)))
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
    confined(spec)?;
    numbered(spec)?;
    for (i, mount) in spec.mounts.iter().enumerate() {
        own_kind(i, mount)?;
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

/// Security modules: what they know is loaded into the host's kernel.
fn confined(spec: &Spec) -> Result<(), Problem> {
    let profile = spec.process.apparmor_profile.as_str();
    let words = [
        ("/process/apparmorProfile", if profile == "unconfined" { "" } else { profile }, "profile"),
        ("/process/selinuxLabel", spec.process.selinux_label.as_str(), "policy"),
        ("/linux/mountLabel", spec.linux.mount_label.as_str(), "policy"),
    ];
    match words.into_iter().find(|(_, word, _)| !word.is_empty()) {
        Some((pointer, _, what)) => no(pointer.into(), &format!("the machine's kernel has loaded no {what}")),
        None => Ok(()),
    }
}

/// Devices and nodes that have numbers or names of the host.
fn numbered(spec: &Spec) -> Result<(), Problem> {
    let resources = &spec.linux.resources;
    let io = &resources.block_io;
    let lists = [
        ("throttleReadBpsDevice", io.read_bps.is_empty()),
        ("throttleWriteBpsDevice", io.write_bps.is_empty()),
        ("throttleReadIOPSDevice", io.read_iops.is_empty()),
        ("throttleWriteIOPSDevice", io.write_iops.is_empty()),
        ("weightDevice", io.weight_device.is_empty()),
    ];
    const DEVICE: &str = "the machine has no device of the host";
    if let Some((key, _)) = lists.into_iter().find(|(_, empty)| !empty) {
        return no(format!("/linux/resources/blockIO/{key}/0"), DEVICE);
    }
    if let Some(device) = resources.rdma.keys().next() {
        return no(format!("/linux/resources/rdma/{}", escaped(device)), DEVICE);
    }
    let of_devices = |file: &&String| ["io.max", "io.latency", "rdma.max"].contains(&file.as_str());
    if let Some(file) = resources.unified.keys().find(of_devices) {
        return no(format!("/linux/resources/unified/{}", escaped(file)), DEVICE);
    }
    let policy = spec.linux.memory_policy.as_ref();
    match policy.and_then(|policy| lowest(&policy.nodes)).is_some_and(|node| node > 0) {
        true => no("/linux/memoryPolicy/nodes".into(), "the machine's memory is one node, 0"),
        false => Ok(()),
    }
}

/// The lowest number of a list such as `0-3,7`.
pub fn lowest(list: &str) -> Option<u32> {
    list.split(',').filter_map(|part| part.split('-').next()?.trim().parse().ok()).min()
}

/// File systems that the kernel makes of itself, and that Debian's kernels have without a module.
const OWN: [&str; 15] = [
    "proc",
    "sysfs",
    "tmpfs",
    "ramfs",
    "devpts",
    "mqueue",
    "cgroup",
    "cgroup2",
    "devtmpfs",
    "debugfs",
    "tracefs",
    "securityfs",
    "hugetlbfs",
    "bpf",
    "pstore",
];

/// Refuses a mount of a file system that lies on what only the host has.
fn own_kind(i: usize, mount: &Mount) -> Result<(), Problem> {
    let kind = mount.kind.as_str();
    let binds = ["", "none", "bind"].contains(&kind);
    let words = ["bind", "rbind", "remount"];
    if binds || OWN.contains(&kind) || mount.options.iter().any(|word| words.contains(&word.as_str())) {
        return Ok(());
    }
    let text = format!("what a file system of the type {kind} shows is the host's: mount it there, and bind it");
    no(format!("/mounts/{i}/type"), &text)
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

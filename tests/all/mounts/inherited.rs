//! No `mount` namespace in the list: the container has the host's mounts and gets its root by chroot. What would be a mount
//! is refused by its place.

use crate::bundle::Bundle;
use crate::lifecycle::without_namespace;
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::json;
use std::fs;

pub fn cases() -> Vec<Trial> {
    area(
        "mounts",
        &[
            ("no_mount_namespace_is_inherited", inherited),
            ("no_mount_namespace_and_exec", exec),
            ("no_mount_namespace_forbids_mounts", forbidden),
            ("a_remount_is_of_the_mount_alone", remount),
        ],
    )
}

/// A shell's bundle without a mount namespace, and without what needs one.
fn shared(script: &str) -> Result<Bundle, Failed> {
    let mut bundle = Bundle::shell(script)?;
    without_namespace(&mut bundle, "mount");
    bundle.set("/root/readonly", json!(false))?;
    bundle.set("/mounts", json!([]))?;
    bundle.remove("/linux/maskedPaths")?;
    bundle.remove("/linux/readonlyPaths")?;
    Ok(bundle)
}

fn table() -> Result<String, Failed> {
    Ok(fs::read_to_string("/proc/thread-self/mountinfo")?)
}

/// The devices are made in the rootfs's own /dev, as they are without a mount on it.
fn inherited() -> Outcome {
    let bundle = shared("echo x > /dev/null; ls /; pwd; ls /dev/null; readlink /dev/fd; cd ..; ls -d bin")?;
    let before = table()?;
    for words in [&["run"][..], &["run", "--no-pivot"]] {
        let done = bundle.bundled(words)?.ok()?;
        let names = fs::read_dir(bundle.rootfs(""))?.count();
        let lines: Vec<&str> = done.out.lines().collect();
        ensure!(lines.len() == names + 4, "{names} names: {done:?}");
        same("the end", &lines[names..], &["/", "/dev/null", "/proc/self/fd", "bin"][..])?;
    }
    same("the host's mounts", table()?, before)?;
    bundle.clean()
}

fn exec() -> Outcome {
    let mut bundle = shared("echo of the container > /mark; exec sleep 1000")?;
    let hook = json!({"startContainer": [{"path": "/bin/sh", "args": ["sh", "-c", "echo hook > /hook"]}]});
    bundle.set("/hooks", hook)?;
    let before = table()?;
    bundle.bundled(&["run", "--detach"])?.ok()?;
    crate::bundle::patiently("the mark", || Ok(bundle.rootfs("mark").exists()))?;
    let id = bundle.id.clone();
    for home in [&["--env", "HOME=/"][..], &[]] {
        let tail = [&id, "sh", "-c", "cat /mark /hook; pwd; ls -d ../bin"];
        let words = [&["exec"][..], home, &tail].concat();
        let done = bundle.call(&words)?.ok()?;
        same("exec", done.out, "of the container\nhook\n/\n../bin\n".into())?;
    }
    bundle.call(&["delete", "--force", &id])?.ok()?;
    same("the host's mounts", table()?, before)?;
    bundle.clean()
}

fn forbidden() -> Outcome {
    let tmpfs = json!([{"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"}]);
    let rows = [
        ("/mounts", "/mounts/0", tmpfs),
        ("/root/readonly", "/root/readonly", json!(true)),
        ("/linux/maskedPaths", "/linux/maskedPaths/0", json!(["/a"])),
        ("/linux/readonlyPaths", "/linux/readonlyPaths/0", json!(["/a"])),
        ("/linux/rootfsPropagation", "/linux/rootfsPropagation", json!("private")),
        ("/linux/mountLabel", "/linux/mountLabel", json!("a_label")),
        ("/process/terminal", "/process/terminal", json!(true)),
    ];
    for (at, pointer, value) in rows {
        let mut bundle = shared("true")?;
        let before = table()?;
        bundle.set(at, value)?;
        bundle.bundled(&["run"])?.refused(&format!("{pointer}: needs a `mount` namespace"))?;
        same("the host's mounts", table()?, before)?;
        bundle.clean()?;
    }
    let mut bundle = shared("true")?;
    let ids = json!([{"containerID": 0, "hostID": 100_000, "size": 65_536}]);
    bundle.set("/linux/uidMappings", ids.clone())?;
    bundle.set("/linux/gidMappings", ids)?;
    bundle.set("/linux/namespaces/0", json!({"type": "user"}))?;
    bundle.bundled(&["run"])?.refused("/linux/namespaces/0: needs a `mount` namespace")?;
    bundle.clean()
}

/// Whatever the words: the file system below a bind is the host's, and stays as it is.
fn remount() -> Outcome {
    for options in [&["remount", "ro"][..], &["remount", "bind", "ro"]] {
        let mut bundle = Bundle::shell("echo x 2>&- > /tmp/new || echo read-only")?;
        let outside = bundle.path("outside");
        fs::create_dir(&outside)?;
        let nothing: Option<&str> = None;
        let flags = nix::mount::MsFlags::empty();
        nix::mount::mount(Some("tmpfs"), &outside, Some("tmpfs"), flags, nothing)?;
        let source = outside.to_string_lossy().into_owned();
        let mount = json!({"destination": "/tmp", "type": "bind", "source": source, "options": ["bind"]});
        bundle.set("/mounts/-", mount)?;
        let again = json!({"destination": "/tmp", "type": "none", "options": options});
        bundle.set("/mounts/-", again)?;
        let done = bundle.bundled(&["run"]);
        let written = fs::write(outside.join("written"), "");
        nix::mount::umount2(&outside, nix::mount::MntFlags::MNT_DETACH)?;
        same("what it says", done?.ok()?.out, "read-only\n".into())?;
        written.map_err(|error| format!("{options:?}: the host's is read-only: {error}"))?;
        bundle.clean()?;
    }
    Ok(())
}

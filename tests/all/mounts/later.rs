//! `mounts add` and `mounts remove`: bind mounts of a container that is there.

use crate::bundle::Bundle;
use crate::namespaces::in_user_namespace;
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

pub fn cases() -> Vec<Trial> {
    area(
        "mounts_later",
        &[
            ("added_and_removed", life),
            ("a_list_or_a_part_of_a_configuration", forms),
            ("in_a_user_namespace", user),
            ("one_that_fails_leaves_none", undone),
            ("links_lead_to_nothing_of_the_hosts", links),
            ("what_cannot_be_is_refused", refusals),
            ("a_shared_mount_namespace_is_refused", shared),
        ],
    )
}

/// A container that waits, on a rootfs that can be written, and a directory and a file of the host's.
fn waiting() -> Result<Bundle, Failed> {
    let mut bundle = Bundle::plain()?;
    bundle.set("/process/args", json!(["sleep", "1000"]))?;
    bundle.set("/root/readonly", json!(false))?;
    fs::create_dir(bundle.path("data"))?;
    fs::write(bundle.path("data/file"), "from outside")?;
    Ok(bundle)
}

fn bind(bundle: &Bundle, source: &str, destination: &str, options: Value) -> Value {
    let source = bundle.path(source).to_string_lossy().into_owned();
    json!({"destination": destination, "type": "bind", "source": source, "options": options})
}

fn alter(bundle: &Bundle, action: &str, list: &Value) -> Result<crate::bundle::Done, Failed> {
    let path = bundle.path("mounts.json").to_string_lossy().into_owned();
    fs::write(&path, list.to_string())?;
    bundle.call(&["mounts", action, &bundle.id, &path])
}

fn inside(bundle: &Bundle, line: &str) -> Result<String, Failed> {
    let done = bundle.call(&["exec", &bundle.id, "sh", "-c", line])?;
    Ok(done.out + &done.err)
}

/// How many mounts the container has.
fn count(bundle: &Bundle) -> Result<usize, Failed> {
    Ok(inside(bundle, "cat /proc/self/mountinfo")?.lines().count())
}

fn end(bundle: Bundle) -> Outcome {
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

fn life() -> Outcome {
    let bundle = waiting()?;
    bundle.bundled(&["create"])?.ok()?;
    let list = json!([
        bind(&bundle, "data", "/new/place", json!(["rbind", "ro"])),
        bind(&bundle, "data/file", "/etc/one", json!([])),
        bind(&bundle, "data", "/new/place2", json!(["bind", "rw"])),
    ]);
    // A container that waits has its mounts already.
    alter(&bundle, "add", &list)?.ok()?;
    bundle.call(&["start", &bundle.id])?.ok()?;
    bundle.until("running")?;
    same("a file", inside(&bundle, "cat /etc/one")?.as_str(), "from outside")?;
    let text = inside(&bundle, "cat /new/place/file; echo x > /new/place/y")?;
    ensure!(text.contains("from outside") && text.contains("Read-only"), "{text}");
    inside(&bundle, "echo inside > /new/place2/y")?;
    same("outside", fs::read_to_string(bundle.path("data/y"))?.as_str(), "inside\n")?;
    let before = count(&bundle)?;
    alter(&bundle, "remove", &list)?.ok()?;
    same("mounts", count(&bundle)?, before - 3)?;
    same("left", inside(&bundle, "ls /new/place; cat /etc/one")?.as_str(), "")?;
    let done = alter(&bundle, "remove", &list)?;
    let done = done.refused("nothing is mounted at that name")?;
    ensure!(done.err.contains("/new/place") && done.err.contains("/0"), "{done:?}");
    let trace = bundle.call(&["trace", &bundle.id])?.ok()?.out;
    ensure!(trace.contains("setns(") && trace.contains("move_mount("), "{trace}");
    end(bundle)
}

fn forms() -> Outcome {
    let bundle = waiting()?;
    bundle.bundled(&["run", "--detach"])?.ok()?;
    let one = bind(&bundle, "data", "/a", json!(["bind"]));
    alter(&bundle, "add", &json!({"mounts": [one]}))?.ok()?;
    same("inside", inside(&bundle, "cat /a/file")?.as_str(), "from outside")?;
    // Of what is removed only the destination counts.
    alter(&bundle, "remove", &json!({"mounts": [{"destination": "a/"}]}))?.ok()?;
    same("after that", inside(&bundle, "ls /a")?.as_str(), "")?;
    end(bundle)
}

/// What is missing of a path is made by the container's first user.
fn user() -> Outcome {
    let bundle = in_user_namespace(waiting()?)?;
    bundle.bundled(&["run", "--detach"])?.ok()?;
    let list = json!([bind(&bundle, "data", "/made/here", json!(["bind"]))]);
    alter(&bundle, "add", &list)?.ok()?;
    same("inside", inside(&bundle, "cat /made/here/file")?.as_str(), "from outside")?;
    let owner = fs::metadata(bundle.rootfs("made"))?.uid();
    same("owner", owner, fs::metadata(bundle.rootfs(""))?.uid())?;
    ensure!(owner != 0, "root of the host made it");
    alter(&bundle, "remove", &list)?.ok()?;
    same("after that", inside(&bundle, "ls /made/here")?.as_str(), "")?;
    end(bundle)
}

fn undone() -> Outcome {
    let bundle = waiting()?;
    bundle.bundled(&["run", "--detach"])?.ok()?;
    let before = count(&bundle)?;
    let list = json!([
        bind(&bundle, "data", "/a", json!(["bind"])),
        bind(&bundle, "data", "/b", json!(["bind"])),
        bind(&bundle, "data", "/etc/passwd", json!(["bind"])),
    ]);
    let done = alter(&bundle, "add", &list)?.refused("/etc/passwd")?;
    same("lines", done.messages(), 1)?;
    same("mounts", count(&bundle)?, before)?;
    let list = json!([bind(&bundle, "data", "/a", json!(["bind"])), bind(&bundle, "nosuch", "/b", json!(["bind"])),]);
    alter(&bundle, "add", &list)?.refused("ENOENT")?;
    same("mounts", count(&bundle)?, before)?;
    end(bundle)
}

/// Targets are looked up below the container's root, whatever links are in it.
fn links() -> Outcome {
    let bundle = waiting()?;
    let outside = bundle.path("victim");
    fs::create_dir(&outside)?;
    symlink(&outside, bundle.rootfs("absolute"))?;
    symlink("../../../../../../..", bundle.rootfs("up"))?;
    symlink("/", bundle.rootfs("top"))?;
    bundle.bundled(&["run", "--detach"])?.ok()?;
    // Inside, that link leads to nothing: the target may be made there, and nowhere else.
    let list = json!([bind(&bundle, "data", "/absolute/x", json!(["bind"]))]);
    alter(&bundle, "add", &list)?;
    let list = json!([bind(&bundle, "data", "/up/y", json!(["bind"]))]);
    let done = alter(&bundle, "add", &list)?;
    ensure!(fs::read_dir(&outside)?.next().is_none(), "{outside:?}: {done:?}");
    same("status", done.status, 0)?;
    same("inside", inside(&bundle, "cat /y/file")?.as_str(), "from outside")?;
    let before = count(&bundle)?;
    for place in ["/", "/top", "/up", "/top/..", "/y/.."] {
        let done = alter(&bundle, "remove", &json!([{"destination": place}]))?;
        same(place, done.status, 1)?;
    }
    same("mounts", count(&bundle)?, before)?;
    end(bundle)
}

fn refusals() -> Outcome {
    let bundle = waiting()?;
    let one = json!([bind(&bundle, "data", "/a", json!(["bind"]))]);
    alter(&bundle, "add", &one)?.refused("container does not exist")?;
    bundle.bundled(&["run", "--detach"])?.ok()?;
    let tmpfs = json!([{"destination": "/t", "type": "tmpfs", "source": "tmpfs"}]);
    for (list, words) in [
        (tmpfs, "only bind mounts can be added"),
        (json!([{"destination": "/t", "type": "bind", "source": "data"}]), "/0/source"),
        (json!([{"type": "bind", "source": "/tmp"}]), "/0/destination"),
        (json!({"mounts": 5}), "/mounts"),
        (json!({"frob": []}), "mounts"),
        (json!([bind(&bundle, "data", "/a", json!(["bind", "idmap"]))]), "ids are mapped"),
        (
            json!([bind(&bundle, "data", "/a", json!(["bind", "src-nofollow"]))]),
            "/0/options: a link takes part as it is only when",
        ),
    ] {
        alter(&bundle, "add", &list)?.refused(words)?;
    }
    bundle.call(&["mounts", "frob", &bundle.id, "x"])?.refused("add or remove")?;
    bundle.call(&["mounts", "add", &bundle.id])?.refused("file")?;
    bundle.call(&["kill", &bundle.id, "KILL"])?.ok()?;
    bundle.until("stopped")?;
    alter(&bundle, "add", &one)?.refused("container not running")?;
    bundle.call(&["delete", &bundle.id])?.ok()?;
    bundle.clean()
}

fn shared() -> Outcome {
    let first = waiting()?;
    first.bundled(&["run", "--detach"])?.ok()?;
    let pid = first.state()?["pid"].as_i64().unwrap_or(0);
    let mut second = waiting()?;
    let namespaces = second.config["linux"]["namespaces"].as_array().cloned();
    let mut namespaces = namespaces.unwrap_or_default();
    for one in namespaces.iter_mut().filter(|one| one["type"] == "mount") {
        one["path"] = json!(format!("/proc/{pid}/ns/mnt"));
    }
    second.set("/linux/namespaces", json!(namespaces))?;
    second.bundled(&["run", "--detach"])?.ok()?;
    let list = json!([bind(&second, "data", "/a", json!(["bind"]))]);
    alter(&second, "add", &list)?.refused("has no mount namespace of its own")?;
    second.call(&["delete", "--force", &second.id])?.ok()?;
    first.call(&["delete", "--force", &first.id])?.ok()?;
    second.clean()
}

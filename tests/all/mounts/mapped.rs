//! Mounts whose ids are mapped, and file systems that begin with what lay below them.

use crate::bundle::Bundle;
use crate::namespaces::{give, in_user_namespace};
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::Command;

pub fn cases() -> Vec<Trial> {
    area(
        "mounts",
        &[
            ("idmap_by_the_mounts_own_mapping", own_mapping),
            ("idmap_by_option_words", option_words),
            ("idmap_of_the_containers_user_namespace", of_container),
            ("idmap_leaves_mounts_below_as_they_are", || below(false)),
            ("ridmap_reaches_mounts_below", || below(true)),
            ("idmap_that_cannot_be", refused),
            ("tmpcopyup", copy_up),
            ("tmpcopyup_refused", copy_up_refused),
            ("recursive_attributes", recursive),
            ("recursive_read_only_of_a_new_tmpfs", recursive_tmpfs),
            ("every_option_is_taken_by_a_tmpfs", all_options),
            ("bind_shared_with_the_host", shared),
        ],
    )
}

/// A bind of a folder with a file of user 1000, whose status the program shows.
fn bound(script: &str, options: Value) -> Result<Bundle, Failed> {
    let mut bundle = Bundle::shell(script)?;
    fs::create_dir_all(bundle.path("data/inner"))?;
    fs::write(bundle.path("data/file"), "")?;
    give(&bundle.path("data"), 1000)?;
    let source = bundle.path("data").to_string_lossy().into_owned();
    bundle.set("/mounts/-", json!({"destination": "/tmp", "type": "bind", "source": source, "options": options}))?;
    Ok(bundle)
}

const OWNERS: &str = "ls -ln /tmp | while read a b u g c; do [ -n \"$g\" ] && echo $u $g; done";

fn last(bundle: &Bundle) -> String {
    let len = bundle.config["mounts"].as_array().map_or(0, Vec::len);
    format!("/mounts/{}", len - 1)
}

fn own_mapping() -> Outcome {
    // Without an option too: the mappings imply it.
    for options in [json!(["bind", "idmap"]), json!(["bind"])] {
        let mut bundle = bound(OWNERS, options)?;
        let at = last(&bundle);
        let map = json!([{"containerID": 1000, "hostID": 5, "size": 1}]);
        bundle.set(&format!("{at}/uidMappings"), map)?;
        bundle.set(&format!("{at}/gidMappings"), json!([{"containerID": 1000, "hostID": 6, "size": 1}]))?;
        let done = bundle.bundled(&["run"])?.ok()?;
        same("owners inside", done.out.as_str(), "5 6\n5 6\n")?;
        same("owner on disk", fs::metadata(bundle.path("data/file"))?.uid(), 1000)?;
        bundle.clean()?;
    }
    Ok(())
}

fn option_words() -> Outcome {
    let bundle = bound(OWNERS, json!(["rbind", "idmap=uids=1000-7-1#2000-8-5;gids=1000-9-1"]))?;
    let done = bundle.bundled(&["run"])?.ok()?;
    same("owners inside", done.out.as_str(), "7 9\n7 9\n")?;
    bundle.clean()
}

/// Files of the host's root are the container's root's.
fn of_container() -> Outcome {
    let mut bundle = in_user_namespace(bound(OWNERS, json!(["bind", "idmap"]))?)?;
    give(&bundle.path("data"), 0)?;
    let done = bundle.bundled(&["run"])?.ok()?;
    same("owners inside", done.out.as_str(), "0 0\n0 0\n")?;
    let at = last(&bundle);
    bundle.set(&format!("{at}/options"), json!(["bind"]))?;
    let done = bundle.bundled(&["run"])?.ok()?;
    same("owners without it", done.out.as_str(), "65534 65534\n65534 65534\n")?;
    bundle.clean()
}

fn below(recursive: bool) -> Outcome {
    let word = if recursive { "ridmap" } else { "idmap" };
    let script = "ls -lnd /tmp/inner | while read a b u g c; do echo $u $g; done";
    let mut bundle = bound(script, json!(["rbind", word]))?;
    let at = last(&bundle);
    let map = json!([{"containerID": 1000, "hostID": 5, "size": 1}]);
    bundle.set(&format!("{at}/uidMappings"), map.clone())?;
    bundle.set(&format!("{at}/gidMappings"), map)?;
    let inner = bundle.path("data/inner");
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", "uid=1000,gid=1000", "tmpfs"]).arg(&inner).status()?;
    ensure!(mounted.success(), "needs a tmpfs at {}", inner.display());
    let done = bundle.bundled(&["run"])?;
    let unmounted = Command::new("umount").arg(&inner).status()?;
    ensure!(unmounted.success(), "the tmpfs stays at {}", inner.display());
    let wanted = if recursive { "5 5\n" } else { "1000 1000\n" };
    same("owner of the mount below", done.ok()?.out.as_str(), wanted)?;
    bundle.clean()
}

fn refused() -> Outcome {
    let mut bundle = bound("true", json!(["bind", "idmap"]))?;
    let at = last(&bundle);
    bundle.bundled(&["run"])?.refused(&format!("{at}/options: idmap needs"))?;
    let map = json!([{"containerID": 0, "hostID": 5, "size": 1}]);
    bundle.set(&format!("{at}/uidMappings"), map.clone())?;
    bundle.bundled(&["run"])?.refused(&format!("{at}/gidMappings"))?;
    bundle.set(&format!("{at}/gidMappings"), json!([{"containerID": 0, "hostID": 5, "size": 0}]))?;
    bundle.bundled(&["run"])?.refused(&format!("{at}/gidMappings/0/size"))?;
    let twice = json!([{"containerID": 0, "hostID": 5, "size": 9}, {"containerID": 8, "hostID": 50, "size": 1}]);
    bundle.set(&format!("{at}/gidMappings"), twice)?;
    bundle.bundled(&["run"])?.refused("overlaps")?;
    bundle.set(&format!("{at}/gidMappings"), map)?;
    bundle.set(&at, json!({"destination": "/tmp", "type": "tmpfs", "options": ["idmap"]}))?;
    bundle.bundled(&["run"])?.refused("is for a bind mount")?;
    bundle
        .set(&at, json!({"destination": "/tmp", "type": "bind", "source": "/", "options": ["bind", "idmap=uids=x"]}))?;
    bundle.bundled(&["run"])?.refused(&format!("{at}/options/1"))?;
    bundle.clean()
}

fn copy_up() -> Outcome {
    let mut bundle = Bundle::shell(
        "cd /data; cat file deep/er/file link; ls -ln file | cut -d' ' -f1; ls -lnd deep; readlink out; echo new > file; cat file; mount | while read a b p c t r; do [ $p = /data ] && echo $t; done; true",
    )?;
    fs::create_dir_all(bundle.rootfs("data/deep/er"))?;
    fs::write(bundle.rootfs("data/file"), "file\n")?;
    fs::write(bundle.rootfs("data/deep/er/file"), "deep\n")?;
    symlink("file", bundle.rootfs("data/link"))?;
    // What a link says is copied, what it leads to is not touched.
    symlink("/etc/shadow", bundle.rootfs("data/out"))?;
    fs::set_permissions(bundle.rootfs("data/file"), fs::Permissions::from_mode(0o4751))?;
    std::os::unix::fs::chown(bundle.rootfs("data/deep"), Some(12), Some(34))?;
    std::os::unix::fs::chown(bundle.rootfs("data/file"), Some(0), Some(2))?;
    fs::set_permissions(bundle.rootfs("data/file"), fs::Permissions::from_mode(0o4751))?;
    nix::unistd::mkfifo(&bundle.rootfs("data/fifo"), nix::sys::stat::Mode::from_bits_truncate(0o640))?;
    bundle.set(
        "/mounts/-",
        json!({"destination": "/data", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup", "size=1m"]}),
    )?;
    let done = bundle.bundled(&["run"])?.ok()?;
    let lines: Vec<&str> = done.out.lines().collect();
    same("contents", &lines[..3], &["file", "deep", "file"])?;
    ensure!(lines[3].starts_with("-rws"), "the mode: {}", lines[3]);
    ensure!(lines[4].split_whitespace().nth(2) == Some("12"), "the owner: {}", lines[4]);
    same("the rest", &lines[5..], &["/etc/shadow", "new", "tmpfs"])?;
    same("the image's file", fs::read_to_string(bundle.rootfs("data/file"))?, "file\n".into())?;
    bundle.clean()
}

fn copy_up_refused() -> Outcome {
    let mut bundle = bound("true", json!(["bind", "tmpcopyup"]))?;
    bundle.bundled(&["run"])?.refused("tmpcopyup is for a tmpfs")?;
    // A tmpfs too small for what lies below, and a tree too deep.
    fs::create_dir_all(bundle.rootfs("data"))?;
    fs::write(bundle.rootfs("data/large"), vec![b'x'; 100_000])?;
    let at = last(&bundle);
    bundle.set(&at, json!({"destination": "/data", "type": "tmpfs", "options": ["tmpcopyup", "size=4k"]}))?;
    bundle.bundled(&["run"])?.refused("ENOSPC")?;
    let mut deep = bundle.rootfs("data");
    fs::remove_file(deep.join("large"))?;
    for _ in 0..70 {
        deep.push("d");
    }
    fs::create_dir_all(&deep)?;
    bundle.set(&at, json!({"destination": "/data", "type": "tmpfs", "options": ["tmpcopyup"]}))?;
    bundle.bundled(&["run"])?.refused("64 deep")?;
    bundle.clean()
}

/// The options of the mount at a place, and of the one below it.
fn options_of(bundle: &Bundle, points: [&str; 2]) -> Result<[String; 2], Failed> {
    let report = bundle.report()?;
    let find = |point: &str| {
        let all = report["mounts"].as_array();
        let found = all.and_then(|all| all.iter().rfind(|m| m["point"] == point));
        found.and_then(|m| m["options"].as_str()).unwrap_or("none").to_owned()
    };
    Ok(points.map(find))
}

/// Every recursive option, on a tree of two mounts.
fn recursive() -> Outcome {
    let mut bundle = Bundle::reporter(&[])?;
    fs::create_dir_all(bundle.path("data/inner"))?;
    let source = bundle.path("data").to_string_lossy().into_owned();
    let inner = bundle.path("data/inner");
    let mounted = Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).arg(&inner).status()?;
    ensure!(mounted.success(), "needs a tmpfs at {}", inner.display());
    bundle.set("/mounts/-", json!({}))?;
    let at = last(&bundle);
    let table = [
        ("rro", "ro", true),
        ("rrw", "rw", true),
        ("rnosuid", "nosuid", true),
        ("rsuid", "nosuid", false),
        ("rnodev", "nodev", true),
        ("rdev", "nodev", false),
        ("rnoexec", "noexec", true),
        ("rexec", "noexec", false),
        ("rnoatime", "noatime", true),
        ("ratime", "noatime", false),
        ("rnodiratime", "nodiratime", true),
        ("rdiratime", "nodiratime", false),
        ("rrelatime", "relatime", true),
        // runc's table: it clears, and there is no bit of that name to clear.
        ("rnorelatime", "relatime", true),
        ("rstrictatime", "relatime", false),
        ("rnostrictatime", "relatime", true),
        ("rnosymfollow", "nosymfollow", true),
        ("rsymfollow", "nosymfollow", false),
    ];
    let mut wrong = Vec::new();
    for (word, shown, there) in table {
        bundle
            .set(&at, json!({"destination": "/tmp", "type": "bind", "source": source, "options": ["rbind", word]}))?;
        for options in options_of(&bundle, ["/tmp", "/tmp/inner"])? {
            if options.split(',').any(|one| one == shown) != there {
                wrong.push(format!("{word}: {options}"));
            }
        }
    }
    let unmounted = Command::new("umount").arg(&inner).status()?;
    ensure!(unmounted.success(), "the tmpfs stays");
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    bundle.clean()
}

fn recursive_tmpfs() -> Outcome {
    let mut bundle = Bundle::reporter(&[])?;
    bundle.set("/mounts/-", json!({"destination": "/tmp", "type": "tmpfs", "options": ["rro", "rnodev"]}))?;
    let [options, _] = options_of(&bundle, ["/tmp", "/"])?;
    ensure!(options.starts_with("ro") && options.contains("nodev"), "{options}");
    bundle.clean()
}

/// Whatever `features` lists is understood and taken by the kernel.
fn all_options() -> Outcome {
    let bundle = Bundle::plain()?;
    let features: Value = serde_json::from_str(&bundle.call(&["features"])?.ok()?.out)?;
    let words = features["mountOptions"].as_array().cloned().unwrap_or_default();
    ensure!(words.len() > 55, "only {} options", words.len());
    let mut bundle = bundle;
    bundle.set("/mounts/-", json!({}))?;
    let at = last(&bundle);
    let mut wrong = Vec::new();
    for word in words.iter().filter_map(Value::as_str) {
        let mount = match word {
            "bind" | "rbind" => {
                json!({"destination": "/tmp", "type": "none", "source": "/tmp", "options": [word]})
            }
            "copy-symlink" | "src-nofollow" | "dest-nofollow" => {
                json!({"destination": "/tmp", "type": "bind", "source": "/tmp", "options": [word]})
            }
            "idmap" | "ridmap" => json!({
                "destination": "/tmp", "type": "none", "source": bundle.path("").to_string_lossy(), "options": ["bind", word],
                "uidMappings": [{"containerID": 0, "hostID": 0, "size": 1}],
                "gidMappings": [{"containerID": 0, "hostID": 0, "size": 1}],
            }),
            "remount" => {
                json!({"destination": "/dev/shm", "type": "tmpfs", "options": [word, "size=1m"]})
            }
            // The kernel has given mandatory locks up (mount(2)); it only warns.
            word => json!({"destination": "/tmp", "type": "tmpfs", "options": [word]}),
        };
        bundle.set(&at, mount)?;
        let done = bundle.bundled(&["run"])?;
        if done.status != 0 {
            wrong.push(format!("{word}: {}", done.err));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    bundle.clean()
}

/// What engines call bidirectional: where both say shared, a mount made inside appears outside.
fn shared() -> Outcome {
    let mut bundle = bound("mount -t tmpfs inside /tmp/inner && echo mounted", json!(["rbind", "rshared"]))?;
    let sets = bundle.config["process"]["capabilities"].clone();
    for set in ["bounding", "effective", "permitted"] {
        let mut all = sets[set].as_array().cloned().unwrap_or_default();
        all.push(json!("CAP_SYS_ADMIN"));
        bundle.set(&format!("/process/capabilities/{set}"), json!(all))?;
    }
    let data = bundle.path("data");
    let run = |program: &str, words: &[&str]| -> Outcome {
        let done = Command::new(program).args(words).arg(&data).status()?;
        ensure!(done.success(), "{program} {words:?}");
        Ok(())
    };
    let here = data.to_string_lossy().into_owned();
    run("mount", &["--bind", &here])?;
    run("mount", &["--make-shared"])?;
    let outside = || -> Result<bool, Failed> {
        let all = fs::read_to_string("/proc/thread-self/mountinfo")?;
        Ok(all.contains(&format!("{here}/inner")))
    };
    let done = bundle.bundled(&["run"])?.ok()?;
    same("stdout", done.out.as_str(), "mounted\n")?;
    let apart = outside()?;
    bundle.set("/linux/rootfsPropagation", json!("rshared"))?;
    bundle.bundled(&["run"])?.ok()?;
    let together = outside()?;
    run("umount", &["-R"])?;
    ensure!(!apart, "without rootfsPropagation the host stays apart");
    ensure!(together, "the mount did not come out");
    bundle.clean()
}

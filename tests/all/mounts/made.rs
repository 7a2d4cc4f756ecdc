//! How mounts are made: where a destination leads, in which order sources are seen, what a tmpfs keeps of the directory
//! below it, and options that speak of links, of trees and of propagation.

use crate::bundle::Bundle;
use crate::callers::little_room;
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::json;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

pub fn cases() -> Vec<Trial> {
    area(
        "mounts",
        &[
            ("a_link_that_dangles_on_the_way", dangling),
            ("a_link_that_dangles_stays_inside", dangling_outside),
            ("a_working_directory_behind_a_dangling_link", dangling_cwd),
            ("dots_in_a_part_that_is_not_there", dots),
            ("a_mount_on_the_root_is_the_root", on_root),
            ("sources_in_the_order_of_the_list", order_of_sources),
            ("sources_before_and_after_binds_side_by_side", order_beside),
            ("a_link_in_a_source_of_the_rootfs", link_in_source),
            ("a_tmpfs_keeps_the_mode_below", kept_mode),
            ("a_read_only_dev_in_all_words", readonly_dev),
            ("own_propagation_before_that_of_the_root", own_propagation),
            ("options_of_links", link_options),
            ("options_of_links_are_for_binds", link_options_refused),
            ("options_of_trees_that_file_systems_have", tree_options),
            ("data_on_a_bind_is_passed_over", data_on_bind),
            ("masked_directories_share_one_tmpfs", masks),
            ("masked_directories_beside_each_other", masks_beside),
            ("more_binds_than_descriptors", many_binds),
        ],
    )
}

fn add(bundle: &mut Bundle, kind: &str, source: &str, at: &str, options: &[&str]) -> Outcome {
    let mount = json!({"destination": at, "type": kind, "source": source, "options": options});
    bundle.set("/mounts/-", mount)
}

/// A shell's bundle whose rootfs may be written, with a folder `data` of the host's that holds `file`.
fn shell(script: &str) -> Result<(Bundle, String), Failed> {
    let mut bundle = Bundle::shell(script)?;
    bundle.set("/root/readonly", json!(false))?;
    fs::create_dir(bundle.path("data"))?;
    fs::write(bundle.path("data/file"), "content\n")?;
    let data = bundle.path("data").to_string_lossy().into_owned();
    Ok((bundle, data))
}

/// As images have it: /var/run leads to /run, which is not there.
fn dangling() -> Outcome {
    let script = "cat /run/secrets/folder/file /etc/resolv.conf /run/resolve/stub /very/deep/file";
    let (mut bundle, data) = shell(script)?;
    let file = format!("{data}/file");
    fs::create_dir(bundle.rootfs("var"))?;
    symlink("/run", bundle.rootfs("var/run"))?;
    symlink("../run/resolve/stub", bundle.rootfs("etc/resolv.conf"))?;
    symlink("one/two", bundle.rootfs("chain"))?;
    fs::create_dir(bundle.rootfs("one"))?;
    symlink("../very/deep", bundle.rootfs("one/two"))?;
    add(&mut bundle, "bind", &data, "/var/run/secrets/folder", &["bind"])?;
    add(&mut bundle, "tmpfs", "tmpfs", "/var/run/lock", &[])?;
    add(&mut bundle, "bind", &file, "/etc/resolv.conf", &["bind"])?;
    add(&mut bundle, "bind", &data, "/chain", &["bind"])?;
    let done = bundle.bundled(&["run"])?.ok()?;
    same("what it reads", done.out, "content\n".repeat(4))?;
    ensure!(bundle.rootfs("run/lock").is_dir(), "no /run/lock");
    bundle.clean()
}

/// The links name a directory that the host has, by its name and by many dots.
fn dangling_outside() -> Outcome {
    let (mut bundle, data) = shell("cat /absolute/new/file /dots/new/file /absolute/leaf")?;
    let outside = bundle.path("outside");
    fs::create_dir(&outside)?;
    let up = format!("../../../../../../../..{}", outside.display());
    symlink(&outside, bundle.rootfs("absolute"))?;
    symlink(up, bundle.rootfs("dots"))?;
    add(&mut bundle, "bind", &data, "/absolute/new", &["bind"])?;
    add(&mut bundle, "bind", &data, "/dots/new", &["bind"])?;
    let file = format!("{data}/file");
    add(&mut bundle, "bind", &file, "/absolute/leaf", &["bind"])?;
    let done = bundle.bundled(&["run"])?.ok()?;
    same("what it reads", done.out, "content\n".repeat(3))?;
    same("names outside", fs::read_dir(&outside)?.count(), 0)?;
    bundle.clean()
}

fn dangling_cwd() -> Outcome {
    let (mut bundle, _) = shell("pwd -P")?;
    symlink("/real/place", bundle.rootfs("work"))?;
    bundle.set("/process/cwd", json!("/work/below"))?;
    let done = bundle.bundled(&["run"])?.ok()?;
    same("where it is", done.out, "/real/place/below\n".into())?;
    bundle.clean()
}

/// What is not there is taken away again by the dots, as runc has it, and is not made.
fn dots() -> Outcome {
    let (mut bundle, data) = shell("cat /b/file /c/file /etc/d/file; ls -d /a /x /y 2>&-; true")?;
    add(&mut bundle, "bind", &data, "/a/../b", &["bind"])?;
    add(&mut bundle, "bind", &data, "/x/y/../../../c", &["bind"])?;
    add(&mut bundle, "bind", &data, "/etc/./y/..//d", &["bind"])?;
    let done = bundle.bundled(&["run"])?.ok()?;
    same("what it says", done.out, "content\n".repeat(3))?;
    bundle.clean()
}

/// And all that the host had is gone, with pivot_root and without, and where hooks look at the rootfs.
fn on_root() -> Outcome {
    let script = "ls /; mount | cut -d ' ' -f 1,3; echo x 2>&- > /new || echo read-only";
    for (words, hook) in [(&["run"][..], false), (&["run", "--no-pivot"][..], false), (&["run"][..], true)] {
        let (mut bundle, _) = shell(script)?;
        let bin = bundle.path("bin");
        fs::rename(bundle.rootfs("bin"), &bin)?;
        let bin = bin.to_string_lossy().into_owned();
        bundle.set("/root/readonly", json!(true))?;
        bundle.set("/mounts", json!([]))?;
        bundle.remove("/linux/maskedPaths")?;
        bundle.remove("/linux/readonlyPaths")?;
        if hook {
            let hook = json!({"createRuntime": [{"path": crate::bundle::tool("true")?.display().to_string()}]});
            bundle.set("/hooks", hook)?;
        }
        add(&mut bundle, "tmpfs", "hidden", "/", &[])?;
        add(&mut bundle, "tmpfs", "seen", "/..", &["mode=755"])?;
        add(&mut bundle, "bind", &bin, "/bin", &["bind"])?;
        add(&mut bundle, "proc", "proc", "/proc", &[])?;
        add(&mut bundle, "tmpfs", "tmpfs", "/dev", &["mode=755"])?;
        let done = bundle.bundled(words)?.ok()?;
        let lines: Vec<&str> = done.out.lines().collect();
        same("the names in /", &lines[..3], &["bin", "dev", "proc"][..])?;
        let mounts = &lines[3..lines.len() - 1];
        same("mounts", mounts.len(), 4)?;
        ensure!(mounts.contains(&"seen /"), "{mounts:?}");
        ensure!(lines.last() == Some(&"read-only"), "{lines:?}");
        bundle.clean()?;
    }
    Ok(())
}

fn order_of_sources() -> Outcome {
    let script = "cat /second/file /third/file; ls /fourth; cat /alone/file; grep -c /second /proc/mounts";
    let (mut bundle, data) = shell(script)?;
    for name in ["first", "fourth", "alone"] {
        fs::create_dir(bundle.rootfs(name))?;
    }
    fs::write(bundle.rootfs("first/file"), "what lies below\n")?;
    fs::write(bundle.rootfs("alone/file"), "of the image\n")?;
    let inside = |name: &str| bundle.rootfs(name).to_string_lossy().into_owned();
    let (first, fourth, odd, alone) =
        (inside("first"), inside("fourth"), format!("{}/./../rootfs//first/", inside("")), inside("alone"));
    add(&mut bundle, "bind", &data, "/first", &["bind"])?;
    add(&mut bundle, "bind", &first, "/second", &["bind", "ro"])?;
    add(&mut bundle, "bind", &odd, "/third", &["rbind"])?;
    add(&mut bundle, "tmpfs", "tmpfs", "/fourth", &[])?;
    fs::write(bundle.rootfs("fourth/hidden"), "")?;
    add(&mut bundle, "bind", &fourth, "/fourth", &["bind"])?;
    add(&mut bundle, "bind", "rootfs/alone", "/alone2", &["bind"])?;
    add(&mut bundle, "bind", &alone, "/alone", &["rbind", "rro"])?;
    let done = bundle.bundled(&["run"])?.ok()?;
    let wanted = "content\ncontent\nof the image\n1\n";
    same("what it reads", done.out, wanted.into())?;
    bundle.clean()
}

/// Eight that are made with a call each, then eight whose sources they are.
fn order_beside() -> Outcome {
    let (mut bundle, data) = shell("cat /to/0/file /to/7/file")?;
    for i in 0..8 {
        for name in ["from", "to"] {
            fs::create_dir_all(bundle.rootfs(&format!("{name}/{i}")))?;
        }
        add(&mut bundle, "bind", &data, &format!("/from/{i}"), &["bind"])?;
    }
    for i in 0..8 {
        let from = bundle.rootfs(&format!("from/{i}"));
        let from = from.to_string_lossy().into_owned();
        add(&mut bundle, "bind", &from, &format!("/to/{i}"), &["bind"])?;
    }
    let done = bundle.bundled(&["run"])?.ok()?;
    same("what it reads", done.out, "content\n".repeat(2))?;
    bundle.clean()
}

/// It leads where it leads in the container, and not to the host's file of that name.
fn link_in_source() -> Outcome {
    let (mut bundle, _) = shell("cat /seen")?;
    fs::write(bundle.path("secret"), "of the host\n")?;
    symlink(bundle.path("secret"), bundle.rootfs("link"))?;
    let link = bundle.rootfs("link").to_string_lossy().into_owned();
    add(&mut bundle, "bind", &link, "/seen", &["bind"])?;
    let done = bundle.bundled(&["run"])?;
    done.refused("ENOENT")?.refused("make the source")?;
    let inside = bundle.rootfs(&bundle.path("secret").to_string_lossy()[1..]);
    fs::create_dir_all(inside.parent().ok_or("no parent")?)?;
    fs::write(&inside, "of the image\n")?;
    let done = bundle.bundled(&["run"])?.ok()?;
    same("what it reads", done.out, "of the image\n".into())?;
    bundle.clean()
}

fn kept_mode() -> Outcome {
    let (mut bundle, _) = shell("stat -c '%n %a' /private /group /said /new /copied /dev/new")?;
    symlink("busybox", bundle.rootfs("bin/stat"))?;
    for (name, mode) in [("private", 0o750), ("group", 0o2775), ("said", 0o700), ("copied", 0o711)] {
        let path = bundle.rootfs(name);
        fs::create_dir(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
    }
    add(&mut bundle, "tmpfs", "tmpfs", "/private", &["size=64k", "ro"])?;
    add(&mut bundle, "tmpfs", "tmpfs", "/group", &[])?;
    add(&mut bundle, "tmpfs", "tmpfs", "/said", &["nosuid", "mode=1770"])?;
    add(&mut bundle, "tmpfs", "tmpfs", "/new", &[])?;
    add(&mut bundle, "tmpfs", "tmpfs", "/copied", &["tmpcopyup"])?;
    add(&mut bundle, "tmpfs", "tmpfs", "/dev/new", &[])?;
    let done = bundle.bundled(&["run"])?.ok()?;
    let wanted = "/private 750\n/group 2775\n/said 1770\n/new 1777\n/copied 711\n/dev/new 1777\n";
    same("modes", done.out, wanted.into())?;
    bundle.clean()
}

/// Each way to say it, also where the image has mount points in /dev that are copied into the tmpfs.
fn readonly_dev() -> Outcome {
    let script = "ls /dev; for d in /dev /dev/shm; do echo x 2>&- > $d/new || echo no $d; done";
    let names = "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero";
    let wanted = format!("{}\nno /dev\n", names.replace(' ', "\n"));
    for options in [&["ro"][..], &["rro"], &["ro", "tmpcopyup"], &["remount", "ro"]] {
        let (mut bundle, _) = shell(script)?;
        for name in ["pts", "shm"] {
            fs::create_dir_all(bundle.rootfs("dev").join(name))?;
        }
        if options[0] == "remount" {
            let more = ["remount", "bind", "ro", "nosuid"];
            add(&mut bundle, "tmpfs", "tmpfs", "/dev", &more)?;
        } else {
            let mounts = bundle.config["mounts"].as_array();
            let at = mounts.and_then(|all| all.iter().position(|m| m["destination"] == "/dev"));
            let at = at.ok_or("no mount on /dev")?;
            for option in options {
                bundle.set(&format!("/mounts/{at}/options/-"), json!(option))?;
            }
        }
        let done = bundle.bundled(&["run"])?;
        same(&format!("{options:?}: {}", done.err), done.out, wanted.clone())?;
        bundle.clean()?;
    }
    Ok(())
}

/// The words of mountinfo: what follows the numbers of peer groups differs from run to run.
fn own_propagation() -> Outcome {
    let script = "cut -d ' ' -f 5,7 /proc/self/mountinfo | sed 's/:.*//'";
    for (root, on_mnt, wanted) in [
        ("rshared", "rslave", ["/ shared", "/mnt master", "/tmp -", "/usr unbindable"]),
        ("rslave", "shared", ["/ -", "/mnt shared", "/tmp -", "/usr unbindable"]),
        ("runbindable", "shared", ["/ unbindable", "/mnt shared", "/tmp -", "/usr unbindable"]),
    ] {
        let (mut bundle, data) = shell(script)?;
        symlink("busybox", bundle.rootfs("bin/cut"))?;
        symlink("busybox", bundle.rootfs("bin/sed"))?;
        bundle.set("/linux/rootfsPropagation", json!(root))?;
        add(&mut bundle, "bind", &data, "/tmp", &["bind", "private"])?;
        add(&mut bundle, "bind", &data, "/mnt", &["bind", on_mnt])?;
        add(&mut bundle, "tmpfs", "tmpfs", "/usr", &["unbindable"])?;
        let done = bundle.bundled(&["run"])?.ok()?;
        for one in wanted.iter().filter(|one| **one != "/ -") {
            ensure!(done.out.lines().any(|line| line == *one), "{root}: no {one}: {}", done.out);
        }
        bundle.clean()?;
    }
    Ok(())
}

fn link_options() -> Outcome {
    let script = "readlink /copy; readlink /there; cat /plain /lent /etc/on; readlink /lent";
    let (mut bundle, data) = shell(script)?;
    symlink("/nowhere", bundle.path("data/gone"))?;
    symlink("plain", bundle.path("data/link"))?;
    symlink("/nowhere", bundle.rootfs("there"))?;
    symlink("/etc/target", bundle.rootfs("etc/on"))?;
    let source = |name: &str| format!("{data}/{name}");
    for (name, at, option) in [
        ("gone", "/copy", "copy-symlink"),
        ("gone", "/there", "copy-symlink"),
        ("file", "/plain", "copy-symlink"),
        ("link", "/lent", "src-nofollow"),
        ("file", "/etc/on", "dest-nofollow"),
    ] {
        add(&mut bundle, "bind", &source(name), at, &["bind", option])?;
    }
    let done = bundle.bundled(&["run"])?.ok()?;
    let wanted = "/nowhere\n/nowhere\ncontent\ncontent\ncontent\nplain\n";
    same("what it says", done.out, wanted.into())?;
    ensure!(!bundle.rootfs("etc/target").exists(), "the link was followed");
    // Another file of that name stays.
    fs::remove_file(bundle.rootfs("there"))?;
    fs::write(bundle.rootfs("there"), "of the image")?;
    bundle.bundled(&["run"])?.refused("EEXIST")?;
    bundle.clean()
}

fn link_options_refused() -> Outcome {
    for option in ["copy-symlink", "src-nofollow", "dest-nofollow"] {
        let (mut bundle, data) = shell("true")?;
        let at = bundle.config["mounts"].as_array().map_or(0, Vec::len);
        let pointer = format!("/mounts/{at}/options");
        add(&mut bundle, "tmpfs", "tmpfs", "/tmp", &[option])?;
        bundle.bundled(&["run"])?.refused(&pointer)?;
        let mount = json!({"destination": "/tmp", "type": "bind", "source": data, "options": ["rbind", "rro", option]});
        bundle.set(&format!("/mounts/{at}"), mount)?;
        bundle.bundled(&["run"])?.refused(&pointer)?;
        bundle.clean()?;
    }
    Ok(())
}

/// crun's words; a whole file system has these, and a tree of mounts is as its file systems are.
fn tree_options() -> Outcome {
    let script = "for m in sync async dirsync no; do grep \" /m/$m \" /proc/self/mountinfo; done";
    let (mut bundle, _) = shell(script)?;
    add(&mut bundle, "tmpfs", "tmpfs", "/m/sync", &["rsync"])?;
    add(&mut bundle, "tmpfs", "tmpfs", "/m/async", &["rsync", "rasync"])?;
    add(&mut bundle, "tmpfs", "tmpfs", "/m/dirsync", &["rdirsync"])?;
    add(&mut bundle, "tmpfs", "tmpfs", "/m/no", &["rmand", "rnomand"])?;
    let done = bundle.bundled(&["run"])?.ok()?;
    let lines: Vec<&str> = done.out.lines().collect();
    same("mounts", lines.len(), 4)?;
    let has = |line: &str, word: &str| line.split([' ', ',']).any(|one| one == word);
    ensure!(has(lines[0], "sync") && !has(lines[1], "sync"), "{}", done.out);
    ensure!(has(lines[2], "dirsync"), "{}", done.out);
    bundle.clean()
}

fn data_on_bind() -> Outcome {
    let (mut bundle, data) = shell("cat /tmp/file")?;
    let at = bundle.config["mounts"].as_array().map_or(0, Vec::len);
    add(&mut bundle, "bind", &data, "/tmp", &["rbind", "size=1k", "rprivate", "sync"])?;
    let done = bundle.bundled(&["--log-level", "warn", "run"])?;
    same("what it reads", done.out, "content\n".into())?;
    let said = format!("/mounts/{at}/options/1: passed over");
    same("how often it is said", done.err.matches(&said).count(), 1)?;
    ensure!(done.err.contains("size=1k,sync"), "{}", done.err);
    bundle.clean()
}

fn masks() -> Outcome {
    let script = "ls /a /b /c /sys/firmware /sys/kernel; echo x 2>&- > /b/new || echo read-only
        grep -E ' /(a|b|c|sys/firmware|sys/kernel) ' /proc/self/mountinfo | cut -d ' ' -f 3,6";
    let (mut bundle, _) = shell(script)?;
    for name in ["a", "b", "c"] {
        fs::create_dir(bundle.rootfs(name))?;
        fs::write(bundle.rootfs(name).join("secret"), "")?;
    }
    let paths = ["/a", "/sys/firmware", "/b", "/sys/kernel", "/missing", "/c"];
    bundle.set("/linux/maskedPaths", json!(paths))?;
    let done = bundle.bundled(&["run"])?.ok()?;
    ensure!(!done.out.contains("secret"), "{}", done.out);
    ensure!(done.out.contains("read-only"), "{}", done.out);
    let mut lines: Vec<&str> = done.out.lines().filter(|line| line.contains(" ro,")).collect();
    same("masks", lines.len(), 5)?;
    lines.sort();
    lines.dedup();
    // One below /sys, where names mean what they say, and one for the rootfs.
    same("file systems", lines.len(), 2)?;
    bundle.clean()
}

/// From the second on they are names in one open directory. What is no directory there is covered as anywhere else.
fn masks_beside() -> Outcome {
    let (mut bundle, _) =
        shell("ls /p/a /p/b /p/c /p/d /p/e /real /other /q/f; cat /p/file; ls -l /p | grep -c -e '-> '")?;
    let made = ["p/a", "p/b", "p/c/below", "p/d", "p/e", "real", "other", "q/f"];
    for name in made {
        fs::create_dir_all(bundle.rootfs(name))?;
        fs::write(bundle.rootfs(name).join("secret"), "")?;
    }
    fs::write(bundle.rootfs("p/file"), "secret")?;
    symlink("../real", bundle.rootfs("p/link"))?;
    symlink("/other", bundle.rootfs("p/absolute"))?;
    symlink("/p/nowhere", bundle.rootfs("p/dangling"))?;
    let names = ["a", "b", "missing", "c", "file", "d", "link", "e", "absolute", "dangling", "c/below", "../q/f"];
    let paths: Vec<String> = names.iter().map(|name| format!("/p/{name}")).collect();
    bundle.set("/linux/maskedPaths", json!(paths))?;
    let done = bundle.bundled(&["--trace=strace", "run"])?;
    same("the exit status", done.status, 0)?;
    ensure!(!done.out.contains("secret"), "{}", done.out);
    same("links that are still links", done.out.lines().last(), Some("3"))?;
    let named = |name: &str| done.err.matches(&format!(", \"{name}\", MOVE_MOUNT_F_EMPTY_PATH)")).count();
    // What is no directory by its name is looked at like any other path, and so is the next path.
    same("masks by name", ["a", "b", "missing", "c", "file", "d", "e"].map(named), [0, 1, 1, 1, 1, 0, 1])?;
    bundle.clean()
}

/// None of them is made side by side; and the program's own limit is what it was.
fn many_binds() -> Outcome {
    let (mut bundle, data) = shell("ulimit -Sn; grep -c ' /v/' /proc/mounts; cat /v/1099/file")?;
    bundle.remove("/process/rlimits")?;
    let mounts = bundle.config["mounts"].as_array_mut().ok_or("no mounts")?;
    for i in 0..1100 {
        mounts.push(
            json!({"destination": format!("/v/{i}"), "type": "bind", "source": data, "options": ["rbind", "ro"]}),
        );
    }
    let done = little_room::limited_bundled(&bundle, "--nofile=1024:4096", &["run"])?.ok()?;
    same("what it says", done.out, "1024\n1100\ncontent\n".into())?;
    bundle.clean()
}

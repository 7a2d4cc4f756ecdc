//! Mounts: their options as runc makes them of the same bundle, binds of all kinds, and a rootfs that means harm.

pub mod inherited;
pub mod later;
pub mod lent;
pub mod made;
pub mod mapped;
pub mod side_by_side;

use crate::bundle::{Bundle, tool};
use crate::lifecycle::same_as_runc::both;
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;

pub fn cases() -> Vec<Trial> {
    area(
        "mounts",
        &[
            ("default_mounts_as_runc_makes_them", defaults),
            ("options_of_a_tmpfs_as_runc_takes_them", options_of_tmpfs),
            ("options_that_older_runtimes_lack", newer_options),
            ("options_of_a_bind_as_runc_takes_them", options_of_bind),
            ("propagation_as_runc_sets_it", propagation),
            ("what_is_mounted_inside_stays_inside", stays_inside),
            ("rootfs_is_root_and_the_host_is_gone", host_is_gone),
            ("order_is_that_of_the_list", order),
            ("bind_of_a_folder", bind_folder),
            ("bind_of_a_file", bind_file),
            ("bind_read_only", bind_read_only),
            ("bind_source_relative_to_the_bundle", bind_relative),
            ("missing_targets_are_made", missing_targets),
            ("a_link_in_the_target_stays_inside", link_stays_inside),
            ("dev_that_is_a_link_stays_inside", dev_link),
            ("proc_that_is_a_link_is_refused", proc_link),
            ("no_mounts_at_all", no_mounts),
            ("a_read_only_dev", readonly_dev),
            ("no_pivot", no_pivot),
            ("no_pivot_and_a_new_procfs", no_pivot_new_proc),
        ],
    )
}

/// What both runtimes' reports show of the mounts on these places.
fn mounts_on(report: &Value, points: &[String]) -> Vec<String> {
    let all = report["mounts"].as_array().into_iter().flatten();
    let on = all.filter(|mount| points.iter().any(|point| mount["point"] == point.as_str()));
    // The kernel lists mounts as old as they are, and a bind may have been opened before the first mount was made.
    let mut shown: Vec<String> = on.map(show).collect();
    shown.sort();
    shown
}

/// Peer group numbers differ from run to run: only that there is one counts. Of `/` not even that: runc leaves it a
/// slave of the host's mount, where a copy of the tree is a mount that nothing reaches.
fn show(mount: &Value) -> String {
    let text = |key: &str| mount[key].as_str().unwrap_or("").to_owned();
    let propagation = if mount["point"] == "/" { String::new() } else { text("propagation") };
    let propagation: Vec<&str> = propagation.split(' ').map(|word| word.split(':').next().unwrap_or("")).collect();
    let mut options: Vec<String> = text("options").split(',').map(String::from).collect();
    let mut specific: Vec<String> = text("super").split(',').map(String::from).collect();
    options.sort();
    specific.sort();
    if text("fstype") == "tmpfs" {
        // Of a read-only tmpfs runc makes the mount read-only and leaves the file system writable. The mode of the
        // directory below it gets by chmod in runc 1.1, by the option in later ones and here.
        specific.retain(|option| !matches!(&**option, "ro" | "rw" | "mode=755"));
    }
    let (point, kind, source, from) = (text("point"), text("fstype"), text("source"), text("root"));
    format!("{point} {kind} {source} {from} {} | {} | {}", options.join(","), specific.join(","), propagation.join(","))
}

fn destinations(bundle: &Bundle) -> Vec<String> {
    let mounts = bundle.config["mounts"].as_array().into_iter().flatten();
    mounts.filter_map(|mount| mount["destination"].as_str()).chain(["/"]).map(String::from).collect()
}

fn same_mounts(bundle: Bundle) -> Outcome {
    let points = destinations(&bundle);
    let (runc, ours) = both(&bundle)?;
    let (runc, ours) = (mounts_on(&runc, &points), mounts_on(&ours, &points));
    ensure!(runc.len() >= points.len(), "runc shows too few mounts: {runc:#?}");
    for (runc, ours) in runc.iter().zip(&ours) {
        same("a mount, as nk-runtime and as runc made it", ours, runc)?;
    }
    same("how many mounts", ours.len(), runc.len())?;
    bundle.clean()
}

fn defaults() -> Outcome {
    same_mounts(Bundle::reporter(&[])?)
}

/// Each list of options is a mount of its own, on `/m/NUMBER`.
fn with_options(kind: &str, source: &str, lists: &[&[&str]]) -> Result<Bundle, Failed> {
    let mut bundle = Bundle::reporter(&[])?;
    fs::create_dir(bundle.path("data"))?;
    let source = if source == "data" { bundle.path("data").to_string_lossy().into_owned() } else { source.into() };
    for (number, options) in lists.iter().enumerate() {
        fs::create_dir_all(bundle.rootfs(&format!("m/{number}")))?;
        let destination = format!("/m/{number}");
        bundle.set(
            "/mounts/-",
            json!({"destination": destination, "type": kind, "source": source, "options": options}),
        )?;
    }
    Ok(bundle)
}

fn options_of_tmpfs() -> Outcome {
    let lists: &[&[&str]] = &[
        &[],
        &["ro"],
        &["rw"],
        &["ro", "rw"],
        &["rw", "ro"],
        &["nosuid", "nodev", "noexec"],
        &["nosuid", "suid", "nodev", "dev", "noexec", "exec"],
        &["noatime"],
        &["nodiratime"],
        &["noatime", "nodiratime"],
        &["relatime"],
        &["strictatime"],
        &["sync"],
        &["dirsync"],
        &["sync", "async"],
        &["size=64k", "mode=700", "uid=3", "gid=4", "nr_inodes=100"],
        &["nosuid", "size=1m", "ro", "mode=1777"],
    ];
    same_mounts(with_options("tmpfs", "tmpfs", lists)?)
}

/// The specification has them; runc 1.1 refuses them or passes them on to the file system.
fn newer_options() -> Outcome {
    let lists: &[&[&str]] =
        &[&["defaults"], &["silent"], &["loud"], &["nosymfollow"], &["symfollow"], &["nolazytime"], &["rro"]];
    let bundle = with_options("tmpfs", "tmpfs", lists)?;
    let report = bundle.report()?;
    let options = |number: usize| {
        let shown = mounts_on(&report, &[format!("/m/{number}")]);
        shown.first().and_then(|line| line.split(' ').nth(4).map(String::from)).unwrap_or_default()
    };
    same("defaults", options(0), "relatime,rw".into())?;
    same("nosymfollow", options(3), "nosymfollow,relatime,rw".into())?;
    same("rro", options(6), "relatime,ro".into())?;
    bundle.clean()
}

fn options_of_bind() -> Outcome {
    let lists: &[&[&str]] = &[
        &["bind"],
        &["rbind"],
        &["bind", "ro"],
        &["rbind", "ro"],
        &["bind", "rw"],
        &["bind", "ro", "rw"],
        &["bind", "nosuid", "nodev", "noexec"],
        &["bind", "noatime"],
        &["bind", "nodiratime"],
        &["bind", "strictatime"],
        &["bind", "relatime"],
        &["rbind", "rro"],
        &["rbind", "rnosuid", "rnoexec"],
    ];
    same_mounts(with_options("bind", "data", lists)?)
}

fn propagation() -> Outcome {
    let lists: &[&[&str]] = &[
        &["bind", "private"],
        &["bind", "shared"],
        &["bind", "slave"],
        &["bind", "unbindable"],
        &["rbind", "rprivate"],
        &["rbind", "rshared"],
        &["rbind", "rslave"],
        &["rbind", "runbindable"],
        &["rbind", "rslave", "ro"],
    ];
    same_mounts(with_options("bind", "data", lists)?)
}

/// The source lies on a shared mount, as all of a host with systemd does. Whatever the bind's propagation, a mount that
/// the program makes on it does not come up outside: what is left there is what `clean` looks for.
fn stays_inside() -> Outcome {
    for option in ["bind", "shared", "rshared", "slave", "rslave", "private"] {
        let mut bundle = Bundle::shell("mount -t tmpfs inside /tmp/below && mount | wc -l")?;
        fs::create_dir_all(bundle.path("data/below"))?;
        let source = bundle.path("data").to_string_lossy().into_owned();
        bind(&mut bundle, &source, "/tmp", &["rbind", option])?;
        for set in ["bounding", "permitted", "effective"] {
            bundle.set(&format!("/process/capabilities/{set}/-"), json!("CAP_SYS_ADMIN"))?;
        }
        bundle.bundled(&["run"])?.ok()?;
        bundle.clean().map_err(|failed| format!("{option}: {}", failed.message().unwrap_or("")))?;
    }
    Ok(())
}

fn host_is_gone() -> Outcome {
    let bundle = Bundle::reporter(&[])?;
    let report = bundle.report()?;
    let mut wanted: Vec<&str> = vec!["bin", "dev", "etc", "proc", "reporter", "sys", "tmp"];
    wanted.sort();
    same("the names in /", &report["root"], &json!(wanted))?;
    let expected = ["/", "/proc", "/dev", "/sys"];
    for mount in report["mounts"].as_array().into_iter().flatten() {
        let point = mount["point"].as_str().unwrap_or("");
        let known =
            point == "/" || expected[1..].iter().any(|top| point == *top || point.starts_with(&format!("{top}/")));
        ensure!(known, "a mount that nobody asked for: {mount}");
    }
    bundle.clean()
}

fn bind(bundle: &mut Bundle, source: &str, destination: &str, options: &[&str]) -> Outcome {
    bundle.set("/mounts/-", json!({"destination": destination, "type": "bind", "source": source, "options": options}))
}

fn order() -> Outcome {
    let mut bundle = Bundle::reporter(&["--probe", "/tmp"])?;
    for name in ["first", "second"] {
        fs::create_dir(bundle.path(name))?;
        fs::write(bundle.path(name).join(name), "")?;
        let source = bundle.path(name).to_string_lossy().into_owned();
        bind(&mut bundle, &source, "/tmp", &["bind"])?;
    }
    same("/tmp", &bundle.report()?["tried"]["probe"]["/tmp"]["list"], &json!(["second"]))?;
    bundle.clean()
}

/// A source folder with a file in it.
fn data(bundle: &Bundle) -> Result<(String, String), Failed> {
    fs::create_dir(bundle.path("data"))?;
    fs::write(bundle.path("data/file"), "content")?;
    let text = |name: &str| bundle.path(name).to_string_lossy().into_owned();
    Ok((text("data"), text("data/file")))
}

fn bind_folder() -> Outcome {
    let mut bundle = Bundle::reporter(&["--probe", "/tmp", "--write", "/tmp/file"])?;
    let (folder, file) = data(&bundle)?;
    bind(&mut bundle, &folder, "/tmp", &["rbind"])?;
    let report = bundle.report()?;
    same("/tmp", &report["tried"]["probe"]["/tmp"]["list"], &json!(["file"]))?;
    same("the file outside", fs::read_to_string(file)?, "contentx".into())?;
    bundle.clean()
}

fn bind_file() -> Outcome {
    let mut bundle = Bundle::reporter(&["--probe", "/etc/file"])?;
    let (_, file) = data(&bundle)?;
    fs::write(bundle.rootfs("etc/file"), "covered")?;
    bind(&mut bundle, &file, "/etc/file", &["bind"])?;
    same("/etc/file", &bundle.report()?["tried"]["probe"]["/etc/file"]["read"], &json!("content"))?;
    same("below it", fs::read_to_string(bundle.rootfs("etc/file"))?, "covered".into())?;
    bundle.clean()
}

fn bind_read_only() -> Outcome {
    let mut bundle = Bundle::reporter(&["--probe", "/tmp", "--probe", "/tmp/file"])?;
    let (folder, _) = data(&bundle)?;
    bind(&mut bundle, &folder, "/tmp", &["rbind", "ro"])?;
    let report = bundle.report()?;
    same("a new file", &report["tried"]["probe"]["/tmp"]["create"], &json!({ "error": "EROFS" }))?;
    same("the old one", &report["tried"]["probe"]["/tmp/file"]["write"], &json!({ "error": "EROFS" }))?;
    // Outside it stays as it was.
    fs::write(bundle.path("data/file"), "written")?;
    bundle.clean()
}

/// The command's working folder is `/`.
fn bind_relative() -> Outcome {
    let mut bundle = Bundle::reporter(&["--probe", "/tmp"])?;
    data(&bundle)?;
    bind(&mut bundle, "data", "/tmp", &["bind"])?;
    same("/tmp", &bundle.report()?["tried"]["probe"]["/tmp"]["list"], &json!(["file"]))?;
    bundle.clean()
}

fn missing_targets() -> Outcome {
    let mut bundle = Bundle::reporter(&["--probe", "/made/deep/file", "--probe", "/made/deep/folder"])?;
    let (folder, file) = data(&bundle)?;
    bind(&mut bundle, &file, "/made/deep/file", &["bind"])?;
    bind(&mut bundle, &folder, "/made/deep/folder", &["bind"])?;
    bundle.set("/mounts/-", json!({"destination": "/made/tmpfs", "type": "tmpfs", "source": "tmpfs"}))?;
    let report = bundle.report()?;
    same("the file", &report["tried"]["probe"]["/made/deep/file"]["read"], &json!("content"))?;
    same("the folder", &report["tried"]["probe"]["/made/deep/folder"]["list"], &json!(["file"]))?;
    bundle.clean()
}

/// An absolute link and one full of dots, to a place that the host has and the container must not reach.
fn link_stays_inside() -> Outcome {
    let mut bundle = Bundle::reporter(&["--probe", "/absolute/in", "--probe", "/dots/in"])?;
    let (folder, _) = data(&bundle)?;
    let outside = bundle.path("outside");
    fs::create_dir(&outside)?;
    symlink(&outside, bundle.rootfs("absolute"))?;
    symlink(format!("../../../../../../../..{}", outside.display()), bundle.rootfs("dots"))?;
    for target in ["/absolute/in", "/dots/in"] {
        bind(&mut bundle, &folder, target, &["bind"])?;
    }
    bundle.set("/root/readonly", json!(false))?;
    let done = bundle.bundled(&["run"])?;
    same("names outside", fs::read_dir(&outside)?.count(), 0)?;
    // Either it is mounted inside, where the link leads there, or refused.
    ensure!(done.status == 0 || done.status == 1, "{done:?}");
    bundle.clean()
}

fn dev_link() -> Outcome {
    let bundle = Bundle::reporter(&["--quiet"])?;
    let outside = bundle.path("outside");
    fs::create_dir(&outside)?;
    fs::remove_dir(bundle.rootfs("dev"))?;
    symlink(&outside, bundle.rootfs("dev"))?;
    let done = bundle.bundled(&["run"])?;
    same("names outside", fs::read_dir(&outside)?.count(), 0)?;
    ensure!(done.status == 0 || done.status == 1, "{done:?}");
    bundle.clean()
}

fn proc_link() -> Outcome {
    let bundle = Bundle::reporter(&["--quiet"])?;
    fs::remove_dir(bundle.rootfs("proc"))?;
    symlink("tmp", bundle.rootfs("proc"))?;
    bundle.bundled(&["run"])?.refused("/proc")?;
    bundle.clean()
}

fn no_mounts() -> Outcome {
    let mut bundle = Bundle::reporter(&["--quiet", "--exit", "4"])?;
    bundle.set("/mounts", json!([]))?;
    bundle.remove("/linux/maskedPaths")?;
    bundle.remove("/linux/readonlyPaths")?;
    same("the status", bundle.bundled(&["run"])?.status, 4)?;
    bundle.remove("/mounts")?;
    same("the status", bundle.bundled(&["run"])?.status, 4)?;
    bundle.clean()
}

/// Only when the devices are in it, and not what is mounted below.
fn readonly_dev() -> Outcome {
    let script = "ls /dev; for d in /dev /dev/shm; do echo x 2>&- > $d/new || echo no $d; done";
    for foreign in [false, true] {
        let mut bundle = Bundle::shell(script)?;
        let mounts = bundle.config["mounts"].as_array();
        let at = mounts.and_then(|all| all.iter().position(|m| m["destination"] == "/dev"));
        let at = at.ok_or("no mount on /dev")?;
        bundle.set(&format!("/mounts/{at}/options/-"), json!("ro"))?;
        if foreign {
            bundle.set("/linux/namespaces/-", json!({"type": "user"}))?;
            let ids = json!([{"containerID": 0, "hostID": 100_000, "size": 65_536}]);
            bundle.set("/linux/uidMappings", ids.clone())?;
            bundle.set("/linux/gidMappings", ids)?;
        }
        let done = bundle.bundled(&["run"])?;
        let names = "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero";
        let wanted = format!("{}\nno /dev\n", names.replace(' ', "\n"));
        same("what it says", done.out, wanted)?;
        bundle.clean()?;
    }
    Ok(())
}

fn no_pivot() -> Outcome {
    let bundle = Bundle::reporter(&[])?;
    let done = bundle.bundled(&["run", "--no-pivot"])?.ok()?;
    let report: Value = serde_json::from_str(&done.out)?;
    ensure!(!report["root"].to_string().contains("work"), "the names in /: {}", report["root"]);
    bundle.clean()
}

/// A program with a user namespace of its own mounts a new procfs, without the container's masks, where the kernel finds a
/// whole one anywhere in the mount namespace: also one that no path leads to.
pub const NEW_PROC: &str = "unshare -mrpfn sh -c 'mount -t tmpfs none /mnt && echo a tmpfs'
    for kind in proc sysfs; do
        unshare -mrpfn sh -c \"mount -t $kind none /mnt && ls /mnt/sys /mnt/kernel\" && echo a new $kind
    done 2>/dev/null; echo no more";

/// Lets a bundle's program, an ordinary user, try it.
pub fn try_new_proc(bundle: &mut Bundle) -> Outcome {
    symlink("busybox", bundle.rootfs("bin/unshare"))?;
    fs::create_dir(bundle.rootfs("mnt"))?;
    // Root without CAP_SETFCAP may not map itself (user_namespaces(7)).
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}))
}

fn no_pivot_new_proc() -> Outcome {
    for what in ["usual", "hook", "user", "hidden"] {
        let mut bundle = Bundle::shell(NEW_PROC)?;
        try_new_proc(&mut bundle)?;
        match what {
            "hook" => {
                let hook = json!({"createContainer": [{"path": tool("true")?.display().to_string()}]});
                bundle.set("/hooks", hook)?;
            }
            "user" => {
                bundle.set("/linux/namespaces/-", json!({"type": "user"}))?;
                let ids = json!([{"containerID": 0, "hostID": 100_000, "size": 65_536}]);
                bundle.set("/linux/uidMappings", ids.clone())?;
                bundle.set("/linux/gidMappings", ids)?;
            }
            _ => {}
        }
        // A procfs of the host's, below a tmpfs that hides it.
        let hidden = bundle.path("a b");
        if what == "hidden" {
            fs::create_dir_all(hidden.join("proc"))?;
            let nothing: Option<&str> = None;
            let flags = nix::mount::MsFlags::empty();
            let at = hidden.join("proc");
            nix::mount::mount(Some("proc"), &at, Some("proc"), flags, nothing)?;
            nix::mount::mount(Some("tmpfs"), &hidden, Some("tmpfs"), flags, nothing)?;
        }
        let before = fs::read_to_string("/proc/thread-self/mountinfo")?;
        for words in [&["run"][..], &["run", "--no-pivot"]] {
            let done = bundle.bundled(words)?;
            let wanted = "a tmpfs\nno more\n";
            ensure!(done.status == 0 && done.out == wanted, "{what}, {words:?}: {done:?}");
            let after = fs::read_to_string("/proc/thread-self/mountinfo")?;
            same("the host's mounts", &after, &before)?;
        }
        if what == "hidden" {
            nix::mount::umount2(&hidden, nix::mount::MntFlags::empty())?;
            nix::mount::umount2(&hidden.join("proc"), nix::mount::MntFlags::MNT_DETACH)?;
        }
        bundle.clean()?;
    }
    Ok(())
}

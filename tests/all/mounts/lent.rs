//! Which file system is written: what is made in, or below, a directory that is bound into the container. Each case looks
//! at that directory afterwards. A scratch directory stands for the host's /dev.

use crate::bundle::{Bundle, tool};
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use nix::mount::{MntFlags, MsFlags, umount2};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

pub fn cases() -> Vec<Trial> {
    area(
        "lent",
        &[
            ("a_bind_on_dev_stays_as_it_is", dev),
            ("a_bind_on_dev_without_a_null_device", dev_without_null),
            ("a_bind_on_dev_and_a_terminal", dev_and_terminal),
            ("a_dev_that_runc_leaves_alone", dev_as_runc),
            ("a_dev_that_leads_into_a_bind", dev_elsewhere),
            ("a_dev_that_is_a_mount_in_the_rootfs", dev_in_rootfs),
            ("a_bind_on_dev_among_binds_side_by_side", dev_side_by_side),
            ("the_kernels_dev_stays_as_it_is", devtmpfs),
            ("a_device_elsewhere", devices_elsewhere),
            ("a_bind_on_ptmx", ptmx),
            ("a_mount_point_below_a_bind", mount_points),
            ("masks_and_read_only_paths_below_a_bind", paths),
            ("a_copied_tmpfs_below_a_bind", copied),
            ("a_working_directory_below_a_bind", cwd),
        ],
    )
}

/// All that is in a directory: names, kinds, modes, device numbers, contents, and which files they are.
fn picture(dir: &Path) -> Result<Vec<String>, Failed> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let found = path.symlink_metadata()?;
        let says = match found.file_type() {
            kind if kind.is_file() => fs::read_to_string(&path)?,
            kind if kind.is_symlink() => fs::read_link(&path)?.display().to_string(),
            _ => String::new(),
        };
        let (mode, device, file) = (found.mode(), found.rdev(), found.ino());
        all.push(format!("{path:?} {mode:o} {device:x} {file} {says}"));
        if found.is_dir() {
            all.extend(picture(&path)?);
        }
    }
    all.sort();
    Ok(all)
}

fn device(path: &Path, major: u64, minor: u64) -> Outcome {
    Ok(mknod(path, SFlag::S_IFCHR, Mode::from_bits_truncate(0o666), makedev(major, minor))?)
}

/// A directory that stands for the host's /dev: with a `ptmx` that is a device, a `fd` that is a file, and without most
/// of what a container has there.
fn stand_in(bundle: &Bundle) -> Outcome {
    let dev = bundle.path("hostdev");
    fs::create_dir(&dev)?;
    for name in ["pts", "shm", "mqueue"] {
        fs::create_dir(dev.join(name))?;
    }
    device(&dev.join("ptmx"), 5, 2)?;
    device(&dev.join("null"), 1, 3)?;
    fs::write(dev.join("fd"), "the host's\n")?;
    Ok(())
}

/// The place of the mount on /dev in the list.
fn on_dev(bundle: &Bundle) -> Result<usize, Failed> {
    let mounts = bundle.config["mounts"].as_array();
    let at = mounts.and_then(|all| all.iter().position(|m| m["destination"] == "/dev"));
    Ok(at.ok_or("no mount on /dev")?)
}

fn bind(source: &Path, destination: &str, options: &[&str]) -> Value {
    let source = source.display().to_string();
    json!({"destination": destination, "type": "bind", "source": source, "options": options})
}

/// A container whose /dev is the stand-in, with devices of its own besides.
fn with_dev(script: &str, options: &[&str]) -> Result<Bundle, Failed> {
    let mut bundle = Bundle::shell(script)?;
    stand_in(&bundle)?;
    let mount = bind(&bundle.path("hostdev"), "/dev", options);
    bundle.set(&format!("/mounts/{}", on_dev(&bundle)?), mount)?;
    let devices = json!([
        {"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229},
        {"path": "/dev/net/tun", "type": "c", "major": 10, "minor": 200},
        {"path": "/dev/zero", "type": "c", "major": 1, "minor": 5},
    ]);
    bundle.set("/linux/devices", devices)?;
    Ok(bundle)
}

fn users(bundle: &mut Bundle) -> Outcome {
    bundle.set("/linux/namespaces/-", json!({"type": "user"}))?;
    let ids = json!([{"containerID": 0, "hostID": 100_000, "size": 65_536}]);
    bundle.set("/linux/uidMappings", ids.clone())?;
    bundle.set("/linux/gidMappings", ids)
}

/// Runs it: the directory stays as it is, and the container sees what is in there.
fn stays(bundle: &Bundle, what: &str) -> Result<String, Failed> {
    let dir = bundle.path("hostdev");
    let before = picture(&dir)?;
    let done = bundle.bundled(&["run"])?;
    same(what, picture(&dir)?, before)?;
    ensure!(done.status == 0, "{what}: {done:?}");
    Ok(done.out)
}

fn dev() -> Outcome {
    let script = "ls /dev; cat /dev/fd; cat /proc/keys | wc -c";
    for options in [&["bind"][..], &["rbind"], &["bind", "ro"], &["rbind", "rro", "nosuid"], &["rbind", "rprivate"]] {
        for foreign in [false, true] {
            let mut bundle = with_dev(script, options)?;
            if foreign {
                users(&mut bundle)?;
            }
            let what = format!("{options:?}, user namespace: {foreign}");
            let out = stays(&bundle, &what)?;
            let wanted = "fd\nmqueue\nnull\nptmx\npts\nshm\nthe host's\n0\n";
            ensure!(out.starts_with(wanted), "{what}: {out}");
            bundle.clean()?;
        }
    }
    Ok(())
}

/// Masks of files are the null device all the same: the host's. (What else stands there in its place is refused: see
/// hostile::null_of_a_volume_is_fake.)
fn dev_without_null() -> Outcome {
    for foreign in [false, true] {
        let script = "cat /proc/keys /proc/timer_list /etc/masked | wc -c";
        let mut bundle = with_dev(script, &["rbind"])?;
        fs::write(bundle.rootfs("etc/masked"), "secret")?;
        let masks = ["/etc/masked", "/proc/nothing", "/proc/keys", "/proc/timer_list", "/proc/acpi"];
        bundle.set("/linux/maskedPaths", json!(masks))?;
        fs::remove_file(bundle.path("hostdev/null"))?;
        if foreign {
            users(&mut bundle)?;
        }
        let what = format!("user namespace: {foreign}");
        same(&what, stays(&bundle, &what)?.trim(), "0")?;
        bundle.clean()?;
    }
    Ok(())
}

/// The terminal lies on /dev/console where there is such a file; none is made.
fn dev_and_terminal() -> Outcome {
    for there in [false, true] {
        let mut bundle = with_dev("test -c /dev/console && echo a device; test -t 0 && echo a terminal", &["rbind"])?;
        bundle.set("/process/terminal", json!(true))?;
        if there {
            fs::write(bundle.path("hostdev/console"), "the host's\n")?;
        }
        let out = stays(&bundle, "at a terminal")?.replace('\r', "");
        let wanted = if there { "a device\na terminal\n" } else { "a terminal\n" };
        same("what it sees", out.as_str(), wanted)?;
        bundle.clean()?;
    }
    Ok(())
}

/// The measure: runc leaves the directory as it is, and the container sees the same in it.
fn dev_as_runc() -> Outcome {
    let bundle = with_dev("ls /dev", &["rbind"])?;
    let ours = stays(&bundle, "ours")?;
    bundle.write_config()?;
    let before = picture(&bundle.path("hostdev"))?;
    let here = bundle.path("").display().to_string();
    let words = ["run", "--bundle", &here, &bundle.id];
    let runc = bundle.finish(bundle.command_of(&tool("runc")?, &words)?)?;
    same("runc's directory", picture(&bundle.path("hostdev"))?, before)?;
    same("runc's names", runc.out.as_str(), ours.as_str())?;
    bundle.clean()
}

/// Nothing is mounted on /dev, but the path leads into a bind.
fn dev_elsewhere() -> Outcome {
    for (link, destination) in [(true, "/data"), (false, "/tmp/../dev")] {
        let mut bundle = with_dev("ls /dev", &["rbind"])?;
        let listed = json!([
            {"destination": "/proc", "type": "proc", "source": "proc"},
            bind(&bundle.path("hostdev"), destination, &["rbind"]),
        ]);
        bundle.set("/mounts", listed)?;
        if link {
            fs::remove_dir(bundle.rootfs("dev"))?;
            fs::create_dir(bundle.rootfs("data"))?;
            symlink("data", bundle.rootfs("dev"))?;
        }
        let out = stays(&bundle, destination)?;
        same(destination, out.as_str(), "fd\nmqueue\nnull\nptmx\npts\nshm\n")?;
        bundle.clean()?;
    }
    Ok(())
}

/// The host has mounted it there before.
fn dev_in_rootfs() -> Outcome {
    let mut bundle = with_dev("ls /dev", &["rbind"])?;
    bundle.set("/mounts", json!([{"destination": "/proc", "type": "proc", "source": "proc"}]))?;
    let (from, to) = (bundle.path("hostdev"), bundle.rootfs("dev"));
    let nothing: Option<&str> = None;
    nix::mount::mount(Some(&from), &to, nothing, MsFlags::MS_BIND, nothing)?;
    let out = stays(&bundle, "a mount in the rootfs");
    umount2(&to, MntFlags::MNT_DETACH)?;
    same("names", out?.as_str(), "fd\nmqueue\nnull\nptmx\npts\nshm\n")?;
    same("names below it", fs::read_dir(to)?.count(), 0)?;
    bundle.clean()
}

fn dev_side_by_side() -> Outcome {
    let mut bundle = with_dev("ls /dev; ls /a7", &["rbind"])?;
    bundle.set("/mounts", json!([{"destination": "/proc", "type": "proc", "source": "proc"}]))?;
    for i in 0..10 {
        let name = if i == 4 { "/dev".into() } else { format!("/a{i}") };
        bundle.set("/mounts/-", bind(&bundle.path("hostdev"), &name, &["rbind"]))?;
    }
    let out = stays(&bundle, "side by side")?;
    same("names", out.as_str(), &"fd\nmqueue\nnull\nptmx\npts\nshm\n".repeat(2))?;
    bundle.clean()
}

/// All devtmpfs are one: the machine's. The plan alone is looked at.
fn devtmpfs() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let mount = json!({"destination": "/dev", "type": "devtmpfs", "source": "dev"});
    bundle.set(&format!("/mounts/{}", on_dev(&bundle)?), mount)?;
    let words = ["plan", "--bundle"];
    bundle.write_config()?;
    let here = bundle.path("").display().to_string();
    let done = bundle.call(&[&words[..], &[&here]].concat())?.ok()?;
    ensure!(done.out.contains("mount devtmpfs on"), "{}", done.out);
    for made in ["make the device", "link /dev"] {
        ensure!(!done.out.contains(made), "{made}: {}", done.out);
    }
    bundle.clean()
}

/// In a bind no device is made, whatever directory it is; in the rootfs, and in a tmpfs, it is.
fn devices_elsewhere() -> Outcome {
    let mut bundle = Bundle::shell("cd /data; echo *; ls /data/sub /here /run/fresh")?;
    fs::create_dir_all(bundle.path("data/sub"))?;
    symlink("/data/sub", bundle.rootfs("link"))?;
    bundle.set("/root/readonly", json!(false))?;
    bundle.set("/mounts/-", bind(&bundle.path("data"), "/data", &["rbind"]))?;
    let fresh = json!({"destination": "/run", "type": "tmpfs", "source": "tmpfs"});
    bundle.set("/mounts/-", fresh)?;
    let names = ["/data/a", "/data/sub/b", "/data/new/c", "/link/d", "/here/e", "/run/fresh/f"];
    let device = |path| json!({"path": path, "type": "c", "major": 1, "minor": 5});
    bundle.set("/linux/devices", json!(names.map(device)))?;
    let before = picture(&bundle.path("data"))?;
    let done = bundle.bundled(&["--log-level", "warn", "run"])?;
    same("the directory", picture(&bundle.path("data"))?, before)?;
    same("status", done.status, 0)?;
    same("names", done.out.as_str(), "sub\n/data/sub:\n\n/here:\ne\n\n/run/fresh:\nf\n")?;
    let word = "`/data/a` and 2 more left out";
    ensure!(done.err.contains(word), "{word}: {done:?}");
    bundle.clean()
}

/// What the configuration puts on the place of the link stays there.
fn ptmx() -> Outcome {
    let mut bundle = Bundle::shell("cat /dev/ptmx")?;
    fs::write(bundle.path("file"), "the host's\n")?;
    bundle.set("/mounts/-", bind(&bundle.path("file"), "/dev/ptmx", &["bind"]))?;
    let done = bundle.bundled(&["run"])?.ok()?;
    same("what it reads", done.out.as_str(), "the host's\n")?;
    same("the file", fs::read_to_string(bundle.path("file"))?.as_str(), "the host's\n")?;
    bundle.clean()
}

/// A missing mount point is made, as runc does, and that is all; where the bind is read-only, it is an error.
fn mount_points() -> Outcome {
    for (options, fails) in [(&["rbind"][..], false), (&["rbind", "ro"], true)] {
        let mut bundle = Bundle::shell("echo lost > /data/a/b/new; cat /data/file")?;
        fs::create_dir(bundle.path("data"))?;
        fs::write(bundle.path("data/kept"), "kept")?;
        fs::write(bundle.path("source"), "the source\n")?;
        bundle.set("/mounts/-", bind(&bundle.path("data"), "/data", options))?;
        let tmpfs = json!({"destination": "/data/a/b", "type": "tmpfs", "source": "tmpfs"});
        bundle.set("/mounts/-", tmpfs)?;
        bundle.set("/mounts/-", bind(&bundle.path("source"), "/data/file", &["bind"]))?;
        let before = picture(&bundle.path("data"))?;
        let done = bundle.bundled(&["run"])?;
        if fails {
            done.refused("EROFS")?;
            same("the directory", picture(&bundle.path("data"))?, before)?;
        } else {
            same("what it reads", done.ok()?.out.as_str(), "the source\n")?;
            for (name, size) in [("file", 0), ("kept", 4)] {
                let found = fs::metadata(bundle.path("data").join(name))?;
                same(name, found.len(), size)?;
            }
            same("names", fs::read_dir(bundle.path("data"))?.count(), 3)?;
            same("below", fs::read_dir(bundle.path("data/a/b"))?.count(), 0)?;
        }
        bundle.clean()?;
    }
    Ok(())
}

fn paths() -> Outcome {
    let script =
        "cat /data/file | wc -c; ls /data/dir | wc -l; echo x 2>&- > /data/fixed/new || echo refused; ls /data";
    let mut bundle = Bundle::shell(script)?;
    fs::create_dir_all(bundle.path("data/dir/inner"))?;
    fs::create_dir(bundle.path("data/fixed"))?;
    fs::write(bundle.path("data/file"), "secret")?;
    bundle.set("/mounts/-", bind(&bundle.path("data"), "/data", &["rbind"]))?;
    let masks = json!(["/data/file", "/data/dir", "/data/missing", "/data/missing/too"]);
    bundle.set("/linux/maskedPaths", masks)?;
    bundle.set("/linux/readonlyPaths", json!(["/data/fixed", "/data/none"]))?;
    let before = picture(&bundle.path("data"))?;
    let done = bundle.bundled(&["run"])?;
    same("the directory", picture(&bundle.path("data"))?, before)?;
    same("what it sees", done.out.as_str(), "0\n0\nrefused\ndir\nfile\nfixed\n")?;
    bundle.clean()
}

fn copied() -> Outcome {
    let mut bundle = Bundle::shell("cat /data/sub/file; echo changed > /data/sub/file; echo > /data/sub/new")?;
    fs::create_dir_all(bundle.path("data/sub"))?;
    fs::write(bundle.path("data/sub/file"), "the host's\n")?;
    bundle.set("/mounts/-", bind(&bundle.path("data"), "/data", &["rbind"]))?;
    let copied = json!({"destination": "/data/sub", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup"]});
    bundle.set("/mounts/-", copied)?;
    let before = picture(&bundle.path("data"))?;
    let done = bundle.bundled(&["run"])?.ok()?;
    same("the directory", picture(&bundle.path("data"))?, before)?;
    same("what it reads", done.out.as_str(), "the host's\n")?;
    bundle.clean()
}

/// It is made if it is missing, as runc does; where the bind is read-only, that is an error.
fn cwd() -> Outcome {
    for (options, path, fails) in [
        (&["rbind"][..], "/data/a/b", false),
        (&["rbind", "ro"], "/data/there", false),
        (&["rbind", "ro"], "/data/a/b", true),
    ] {
        let mut bundle = Bundle::shell("pwd")?;
        fs::create_dir_all(bundle.path("data/there"))?;
        bundle.set("/mounts/-", bind(&bundle.path("data"), "/data", options))?;
        bundle.set("/process/cwd", json!(path))?;
        let before = picture(&bundle.path("data"))?;
        let done = bundle.bundled(&["run"])?;
        if fails {
            done.refused("/process/cwd")?;
            same("the directory", picture(&bundle.path("data"))?, before)?;
        } else {
            same("where it is", done.ok()?.out.trim(), path)?;
        }
        bundle.clean()?;
    }
    Ok(())
}

//! A rootfs that means harm: what lies in it, or is exchanged in it while the runtime works, must not lead outside.
//! Beside each rootfs lies a folder that is the outside: it must be the same afterwards. What covers which threat is
//! listed in `hostile`.

use crate::bundle::{Bundle, Done};
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::mkfifo;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

pub fn cases() -> Vec<Trial> {
    area(
        "hostile",
        &[
            ("targets_behind_links", targets_behind_links),
            ("files_and_devices_behind_links", made_behind_links),
            ("exchange_of_a_mount_target", || exchanged_target("/vol/x", true)),
            ("exchange_while_directories_are_made", || exchanged_target("/vol/x/new/deep", false)),
            ("exchange_of_proc", exchanged_proc),
            ("dev_of_the_image_is_a_link", dev_link),
            ("dev_of_the_image_holds_other_files", dev_files),
            ("null_of_a_volume_is_fake", volume_null),
            ("proc_and_sys_are_no_directories", proc_and_sys),
            ("volume_over_proc_or_dev", volume_over),
        ],
    )
}

/// What no container may touch: a folder beside the rootfs, as it was.
pub struct Outside {
    pub folder: PathBuf,
    before: Vec<String>,
}

impl Outside {
    fn of(bundle: &Bundle) -> Result<Outside, Failed> {
        let folder = bundle.path("outside");
        fs::create_dir_all(folder.join("deep/er"))?;
        for name in ["kept", "ptmx", "null", "deep/kept"] {
            fs::write(folder.join(name), "host")?;
        }
        let before = listing(&folder)?;
        Ok(Outside { folder, before })
    }

    pub fn untouched(&self) -> Outcome {
        same("the outside", listing(&self.folder)?, self.before.clone())
    }

    /// Links to it: absolute, which means inside the rootfs, and through more `..` than there are directories.
    fn links(&self) -> [PathBuf; 3] {
        let dots = format!("../../../../../../../../..{}", self.folder.display());
        [self.folder.clone(), dots.into(), Path::new("..").join("outside")]
    }
}

/// Every name with what would show that it was changed.
fn listing(folder: &Path) -> Result<Vec<String>, Failed> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let meta = path.symlink_metadata()?;
        let content = if meta.is_file() { fs::read_to_string(&path)? } else { String::new() };
        let (mode, mtime) = (meta.mode(), (meta.mtime(), meta.mtime_nsec()));
        all.push(format!("{} {mode:o} {mtime:?} {content}", path.display()));
        if meta.is_dir() {
            all.extend(listing(&path)?);
        }
    }
    all.sort();
    Ok(all)
}

/// Two names that change places as fast as they can, until this is dropped.
struct Exchange {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<u64>>,
}

impl Exchange {
    fn of(one: PathBuf, other: PathBuf) -> Exchange {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut count = 0;
            while !seen.load(Ordering::Relaxed) {
                let flags = RenameFlags::RENAME_EXCHANGE;
                count += renameat2(AT_FDCWD, &one, AT_FDCWD, &other, flags).is_ok() as u64;
            }
            count
        });
        Exchange { stop, thread: Some(thread) }
    }

    fn end(mut self) -> Outcome {
        self.stop.store(true, Ordering::Relaxed);
        let count = self.thread.take().map_or(0, |t| t.join().unwrap_or(0));
        ensure!(count > 100, "only {count} exchanges: that was no race");
        Ok(())
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// It ran, or it was refused as a failure of the runtime's is; it did not crash.
pub fn ran_or_refused(bundle: &Bundle, what: &str) -> Result<bool, Failed> {
    ended_well(bundle, &bundle.bundled(&["run"])?, what)
}

fn ended_well(bundle: &Bundle, done: &Done, what: &str) -> Result<bool, Failed> {
    let told = done.status == 1 && done.err.starts_with("nk-runtime: ");
    ensure!(done.status == 0 || told && !done.err.contains("a fault of its own"), "{what}: {done:?}");
    bundle.nothing_left()?;
    Ok(done.status == 0)
}

pub fn mount(bundle: &mut Bundle, kind: &str, source: &str, at: &str) -> Outcome {
    let options = if kind == "bind" { json!(["bind"]) } else { json!([]) };
    bundle.set("/mounts/-", json!({"destination": at, "type": kind, "source": source, "options": options}))
}

/// A bundle with a file and a folder to bind, and the outside.
pub fn with_data() -> Result<(Bundle, Outside, [String; 2]), Failed> {
    let mut bundle = Bundle::plain()?;
    bundle.set("/root/readonly", json!(false))?;
    fs::create_dir(bundle.path("data"))?;
    fs::write(bundle.path("data/file"), "data")?;
    let data = ["data", "data/file"].map(|name| bundle.path(name).to_string_lossy().into_owned());
    let outside = Outside::of(&bundle)?;
    Ok((bundle, outside, data))
}

fn drop_mount(bundle: &mut Bundle, at: &str) {
    if let Some(Value::Array(mounts)) = bundle.config.pointer_mut("/mounts") {
        mounts.retain(|mount| {
            let destination = mount["destination"].as_str().unwrap_or("");
            destination != at && !destination.starts_with(&format!("{at}/"))
        });
    }
}

/// Every way in which a link can stand in a mount's target, with every kind of mount.
fn targets_behind_links() -> Outcome {
    let (mut bundle, outside, [folder, file]) = with_data()?;
    let good = bundle.config.clone();
    for (i, link) in outside.links().iter().enumerate() {
        symlink(link, bundle.rootfs(&format!("l{i}")))?;
        fs::create_dir_all(bundle.rootfs(&format!("d{i}")))?;
        symlink(link.join("new"), bundle.rootfs(&format!("d{i}/dangling")))?;
        symlink(link.join("kept"), bundle.rootfs(&format!("d{i}/file")))?;
    }
    symlink("loop", bundle.rootfs("loop"))?;
    let below = outside.folder.display().to_string();
    let mut targets = vec!["/loop/x".into(), format!("/tmp/../../../../..{below}/x"), format!("/..{below}")];
    for i in 0..3 {
        for tail in ["", "/new", "/deep", "/kept", "/deep/../../outside/x"] {
            targets.push(format!("/l{i}{tail}"));
        }
        targets.extend(["dangling", "dangling/x", "file"].map(|name| format!("/d{i}/{name}")));
    }
    for target in &targets {
        for (kind, source) in [("bind", folder.as_str()), ("bind", &file), ("tmpfs", "tmpfs"), ("proc", "proc")] {
            mount(&mut bundle, kind, source, target)?;
            ran_or_refused(&bundle, &format!("{kind} on {target}"))?;
            outside.untouched().map_err(|f| format!("{kind} on {target}: {}", f.message().unwrap_or("")))?;
            bundle.config = good.clone();
        }
    }
    bundle.clean()
}

/// What the runtime makes besides mounts: devices, the working directory, masks and read-only paths.
fn made_behind_links() -> Outcome {
    let (mut bundle, outside, _) = with_data()?;
    let good = bundle.config.clone();
    for (i, link) in outside.links().iter().enumerate() {
        symlink(link, bundle.rootfs(&format!("l{i}")))?;
        let path = |tail: &str| json!(format!("/l{i}/{tail}"));
        let device = json!({"type": "c", "path": path("node"), "major": 1, "minor": 3});
        for (pointer, value) in [
            ("/linux/devices", json!([device])),
            ("/process/cwd", path("new/deep")),
            ("/linux/maskedPaths", json!([path("kept"), path("deep")])),
            ("/linux/readonlyPaths", json!([path("kept"), path("deep")])),
        ] {
            bundle.set(pointer, value)?;
            ran_or_refused(&bundle, pointer)?;
            outside.untouched().map_err(|f| format!("{pointer}: {}", f.message().unwrap_or("")))?;
            bundle.config = good.clone();
        }
    }
    bundle.clean()
}

/// CVE-2021-30465, CVE-2024-45310: what was a directory when it was looked at is a link when it is used.
fn exchanged_target(target: &str, there: bool) -> Outcome {
    let (mut bundle, outside, [folder, file]) = with_data()?;
    fs::create_dir_all(bundle.rootfs("vol/x"))?;
    if there {
        fs::create_dir_all(bundle.rootfs("vol/x/folder"))?;
        fs::write(bundle.rootfs("vol/x/file"), "")?;
    }
    let dots = format!("../../../../../../../../..{}", outside.folder.display());
    symlink(dots, bundle.rootfs("vol/link"))?;
    mount(&mut bundle, "bind", &folder, &format!("{target}/folder"))?;
    mount(&mut bundle, "bind", &file, &format!("{target}/file"))?;
    mount(&mut bundle, "tmpfs", "tmpfs", &format!("{target}/tmpfs"))?;
    bundle.set("/process/cwd", json!(format!("{target}/cwd")))?;
    let exchange = Exchange::of(bundle.rootfs("vol/x"), bundle.rootfs("vol/link"));
    for i in 0..30 {
        ended_well(&bundle, &bundle.bundled_alone(&["run"])?, &format!("run {i}"))?;
        outside.untouched()?;
    }
    exchange.end()?;
    outside.untouched()?;
    bundle.clean()
}

/// Somebody who shares the rootfs puts another directory in the place of /proc: the masks must lie on the real one,
/// wherever it went.
fn exchanged_proc() -> Outcome {
    let mut bundle = Bundle::reporter(&[])?;
    fs::create_dir(bundle.rootfs("other"))?;
    fs::create_dir_all(bundle.rootfs("other/self/fd"))?;
    fs::write(bundle.rootfs("other/kcore"), "")?;
    bundle.set("/linux/maskedPaths", json!(["/proc/keys", "/proc/bus"]))?;
    bundle.set("/linux/readonlyPaths", json!(["/proc/sys"]))?;
    let exchange = Exchange::of(bundle.rootfs("proc"), bundle.rootfs("other"));
    let mut seen = 0;
    for _ in 0..40 {
        let done = bundle.bundled_alone(&["run"])?;
        bundle.nothing_left()?;
        let Ok(report) = serde_json::from_str::<Value>(&done.out) else {
            ensure!(done.status == 1, "{done:?}");
            continue;
        };
        let mounts: Vec<&Value> = report["mounts"].as_array().into_iter().flatten().collect();
        // By number: the paths change while they are listed.
        for procfs in mounts.iter().filter(|m| m["fstype"] == "proc" && m["root"] == "/") {
            seen += 1;
            for name in ["keys", "bus", "sys"] {
                let covered = mounts.iter().any(|m| {
                    let point = m["point"].as_str().unwrap_or("");
                    m["parent"] == procfs["id"] && point.ends_with(name)
                });
                ensure!(covered, "a procfs without its cover on {name}: {mounts:#?}");
            }
        }
    }
    exchange.end()?;
    ensure!(seen > 0, "no container came to run");
    bundle.clean()
}

/// CVE-2026-41579, CVE-2026-47766: nothing is mounted on /dev, so that what the image has there is what is used.
fn dev_link() -> Outcome {
    let (mut bundle, outside, _) = with_data()?;
    drop_mount(&mut bundle, "/dev");
    fs::remove_dir(bundle.rootfs("dev"))?;
    for link in outside.links() {
        let _ = fs::remove_file(bundle.rootfs("dev"));
        symlink(&link, bundle.rootfs("dev"))?;
        ran_or_refused(&bundle, &format!("/dev is a link to {}", link.display()))?;
        outside.untouched()?;
    }
    bundle.clean()
}

/// Names in an image's /dev that the runtime would make or replace.
fn dev_files() -> Outcome {
    let (mut bundle, outside, _) = with_data()?;
    drop_mount(&mut bundle, "/dev");
    let kept = outside.folder.join("kept");
    for name in ["null", "tty", "ptmx", "fd", "stdout"] {
        let path = bundle.rootfs("dev").join(name);
        for what in ["link", "file", "directory", "fifo", "other device"] {
            match what {
                "link" => symlink(&kept, &path)?,
                "file" => fs::write(&path, "image")?,
                "directory" => fs::create_dir(&path)?,
                "fifo" => mkfifo(&path, Mode::S_IRWXU)?,
                _ => mknod(&path, SFlag::S_IFCHR, Mode::S_IRWXU, makedev(1, 8))?,
            }
            let ran = ran_or_refused(&bundle, &format!("/dev/{name} is a {what}"))?;
            ensure!(!ran || name != "null", "/dev/null is a {what}, and was taken for the null device");
            outside.untouched()?;
            for entry in fs::read_dir(bundle.rootfs("dev"))? {
                let path = entry?.path();
                let _ = fs::remove_dir(&path).or_else(|_| fs::remove_file(&path));
            }
        }
    }
    bundle.clean()
}

/// CVE-2025-31133: a mask of a file is a bind of /dev/null, which a volume on /dev can fake.
fn volume_null() -> Outcome {
    let (mut bundle, outside, [folder, _]) = with_data()?;
    fs::write(bundle.rootfs("etc/secret"), "secret")?;
    bundle.set("/linux/maskedPaths", json!(["/etc/secret"]))?;
    bundle.set("/process/args", json!(["cat", "/etc/secret"]))?;
    let null = bundle.path("data/null");
    // Twice: instead of the usual /dev, and over it, which must not make the volume's names trusted.
    for instead in [false, true] {
        if instead {
            drop_mount(&mut bundle, "/dev");
        } else {
            mount(&mut bundle, "bind", &folder, "/dev")?;
        }
        if instead {
            mount(&mut bundle, "bind", &folder, "/dev")?;
        }
        symlink(outside.folder.join("kept"), &null)?;
        bundle.bundled(&["run"])?.refused("")?;
        fs::remove_file(&null)?;
        fs::write(&null, "payload")?;
        let done = bundle.bundled(&["run"])?.refused("")?;
        same("what the program saw", done.out, String::new())?;
        fs::remove_file(&null)?;
        outside.untouched()?;
    }
    bundle.clean()
}

/// CVE-2019-19921, CVE-2023-27561, CVE-2023-28642, CVE-2025-54867.
fn proc_and_sys() -> Outcome {
    let (mut bundle, outside, _) = with_data()?;
    let good = bundle.config.clone();
    for name in ["proc", "sys"] {
        let path = bundle.rootfs(name);
        fs::remove_dir(&path)?;
        for link in outside.links().iter().chain([&PathBuf::from("tmp")]) {
            symlink(link, &path)?;
            bundle.bundled(&["run"])?.refused(&format!("/{name}"))?;
            outside.untouched()?;
            fs::remove_file(&path)?;
        }
        fs::write(&path, "")?;
        bundle.bundled(&["run"])?.refused(name)?;
        fs::remove_file(&path)?;
        fs::create_dir(&path)?;
    }
    // The link may stand further up as well.
    fs::create_dir(bundle.rootfs("real"))?;
    symlink("real", bundle.rootfs("above"))?;
    mount(&mut bundle, "proc", "proc", "/above/proc")?;
    bundle.bundled(&["run"])?.refused("above/proc")?;
    bundle.config = good;
    bundle.clean()
}

/// What is mounted last on a place is what its names mean, whatever was mounted there before.
fn volume_over() -> Outcome {
    for at in ["/proc", "/dev", "/sys"] {
        let (mut bundle, outside, [folder, _]) = with_data()?;
        fs::create_dir_all(bundle.path("data/a"))?;
        fs::write(bundle.path("data/secret"), "secret")?;
        let dots = format!("../../../../../../../../..{}", outside.folder.display());
        symlink(dots, bundle.path("data/link"))?;
        mount(&mut bundle, "bind", &folder, at)?;
        bundle.set("/linux/readonlyPaths", json!([format!("{at}/link"), format!("{at}/file")]))?;
        bundle.set("/linux/maskedPaths", json!([format!("{at}/secret")]))?;
        bundle.set("/process/args", json!(["cat", format!("{at}/secret")]))?;
        let done = bundle.bundled(&["run"])?;
        same(at, (done.status, done.out.as_str()), (0, ""))?;
        for name in ["link", "link/new", "a/new"] {
            mount(&mut bundle, "tmpfs", "tmpfs", &format!("{at}/{name}"))?;
            ran_or_refused(&bundle, &format!("tmpfs on {at}/{name}"))?;
        }
        outside.untouched().map_err(|f| format!("{at}: {}", f.message().unwrap_or("")))?;
        bundle.clean()?;
    }
    Ok(())
}

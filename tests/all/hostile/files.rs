//! Things in an image that are not what one expects of a file: nobody may wait for them, read them without end, or
//! take them for something else. What covers which threat is listed in `hostile`.

use crate::bundle::Bundle;
use crate::hostile::paths::{mount, ran_or_refused, with_data};
use crate::{Outcome, area, ensure};
use libtest_mimic::Trial;
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::mkfifo;
use serde_json::json;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

pub fn cases() -> Vec<Trial> {
    area(
        "hostile",
        &[
            ("passwd_is_no_file", passwd),
            ("program_is_no_file", program),
            ("mount_target_is_no_file", special_targets),
            ("names_that_are_too_long", long_names),
        ],
    )
}

const SPECIALS: [&str; 7] = ["fifo", "device", "socket", "directory", "loop", "huge", "link"];

/// Puts something there that is not what one expects of a file.
fn put_special(path: &Path, what: &str, outside: &Path) -> Outcome {
    let _ = fs::remove_dir(path).or_else(|_| fs::remove_file(path));
    match what {
        "fifo" => mkfifo(path, Mode::S_IRWXU)?,
        "device" => mknod(path, SFlag::S_IFCHR, Mode::S_IRWXU, makedev(1, 5))?,
        "socket" => drop(UnixListener::bind(path)?),
        "directory" => fs::create_dir(path)?,
        "loop" => symlink(path.file_name().unwrap_or_default(), path)?,
        "huge" => {
            fs::File::create(path)?.set_len(1 << 40)?;
            fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
        }
        _ => symlink(outside, path)?,
    }
    Ok(())
}

/// The home directory is then unknown, and nobody waits for a writer or reads without end.
fn passwd() -> Outcome {
    let mut bundle = Bundle::reporter(&[])?;
    bundle.set("/root/readonly", json!(false))?;
    for what in SPECIALS {
        let outside = bundle.path("passwd");
        fs::write(&outside, "root:x:0:0:root:/outside:/bin/sh\n")?;
        put_special(&bundle.rootfs("etc/passwd"), what, &outside)?;
        let report = bundle.report()?;
        let home = json!("HOME=/");
        ensure!(report["env"].as_array().is_some_and(|e| e.contains(&home)), "{what}: {}", report["env"]);
    }
    bundle.clean()
}

fn program() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.set("/process/args", json!(["/bin/program"]))?;
    for what in SPECIALS {
        let path = bundle.rootfs("bin/program");
        put_special(&path, what, Path::new("/usr/bin/busybox"))?;
        bundle.bundled(&["run"])?.refused("/bin/program")?;
        let created = bundle.bundled(&["create"])?;
        if created.status == 0 {
            bundle.call(&["start", &bundle.id])?.refused("execve")?;
            bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
        } else {
            created.refused("/bin/program")?;
        }
        bundle.nothing_left()?;
    }
    bundle.clean()
}

fn special_targets() -> Outcome {
    let (mut bundle, outside, [folder, file]) = with_data()?;
    let good = bundle.config.clone();
    for what in SPECIALS {
        put_special(&bundle.rootfs("target"), what, &outside.folder)?;
        for (kind, source) in [("bind", folder.as_str()), ("bind", &file), ("tmpfs", "tmpfs")] {
            mount(&mut bundle, kind, source, "/target")?;
            ran_or_refused(&bundle, &format!("{kind} on a {what}"))?;
            bundle.config = good.clone();
        }
        bundle.set("/linux/maskedPaths", json!(["/target"]))?;
        bundle.set("/linux/readonlyPaths", json!(["/target"]))?;
        ran_or_refused(&bundle, &format!("masks of a {what}"))?;
        bundle.config = good.clone();
        outside.untouched()?;
    }
    bundle.clean()
}

/// Refused: a shorter name would be another place than the one that was asked for.
fn long_names() -> Outcome {
    let (mut bundle, _, [folder, _]) = with_data()?;
    let good = bundle.config.clone();
    let long = "n".repeat(256);
    let deep = "/d".repeat(2100);
    for target in [format!("/{long}"), format!("/new/{long}/x"), format!("/new{deep}")] {
        mount(&mut bundle, "bind", &folder, &target)?;
        bundle.bundled(&["run"])?.refused("")?;
        bundle.nothing_left()?;
        bundle.config = good.clone();
    }
    bundle.clean()
}

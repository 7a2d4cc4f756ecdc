//! Mounts that fail: the message names the part of the path, the option, the outer mount.

use super::says;
use crate::bundle::{Bundle, tool};
use crate::users::{as_user_command, of_user};
use crate::{Outcome, area, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

pub fn cases() -> Vec<Trial> {
    area(
        "diagnosis_mounts",
        &[
            ("a_source_that_is_not_there", sources),
            ("a_target_that_cannot_be", targets),
            ("a_file_system_in_its_own_words", words),
            ("directories_of_an_overlay", overlays),
            ("a_proc_that_is_masked_outside", masked),
        ],
    )
}

fn mount(kind: &str, source: &str, place: &str, options: &[&str]) -> Value {
    json!({"destination": place, "type": kind, "source": source, "options": options})
}

/// A bundle with one more mount. Its pointer is /mounts/7.
fn with(bundle: &mut Bundle, one: Value) -> Outcome {
    if bundle.config["mounts"].as_array().is_some_and(|all| all.len() > 7) {
        return bundle.set("/mounts/7", one);
    }
    bundle.set("/mounts/-", one)
}

fn sources() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let here = bundle.path("");
    let here = here.to_string_lossy().trim_end_matches('/').to_owned();
    fs::create_dir(bundle.path("there"))?;
    fs::write(bundle.path("there/file"), "")?;
    symlink("gone", bundle.path("link"))?;
    symlink("loop", bundle.path("loop"))?;
    for (path, cause) in [
        ("none", format!("the mount source {here}/none does not exist (config.json /mounts/7)")),
        ("no/ne", format!("the mount source {here}/no/ne does not exist: {here}/no is not there")),
        ("link", format!("the mount source {here}/link does not exist: {here}/link is a link to gone, which")),
        ("there/file/x", format!("the mount source {here}/there/file/x cannot exist: {here}/there/file is a file")),
        ("loop", format!("the mount source {here}/loop leads nowhere: the link {here}/loop to loop")),
    ] {
        with(&mut bundle, mount("bind", &format!("{here}/{path}"), "/tmp", &["bind"]))?;
        says(&bundle, &cause, if path == "loop" { "try: let " } else { "try: make it on the host, or correct" })?;
    }
    bundle.clean()
}

fn targets() -> Outcome {
    let mut bundle = Bundle::plain()?;
    with(&mut bundle, mount("bind", "/etc/passwd", "/etc", &["bind"]))?;
    let cause = "/etc in the rootfs is a directory, but the mount source /etc/passwd is a file (config.json /mounts/7)";
    says(&bundle, cause, "try: bind a file on a file")?;
    with(&mut bundle, mount("bind", "/etc", "/etc/passwd", &["bind"]))?;
    says(&bundle, "/etc/passwd in the rootfs is a file, but the mount source /etc is a directory", "try: bind")?;
    with(&mut bundle, mount("tmpfs", "tmpfs", "/etc/passwd/x", &[]))?;
    says(&bundle, "the mount point /etc/passwd/x cannot exist: /etc/passwd is a file", "another `destination`")?;
    with(&mut bundle, mount("tmpfs", "tmpfs", "/etc/passwd", &[]))?;
    let cause = "/etc/passwd in the rootfs is a file, and tmpfs can be mounted on a directory alone";
    says(&bundle, cause, "try: remove /etc/passwd from the image")?;
    with(&mut bundle, mount("bind", "/etc/passwd/", "/tmp", &["bind"]))?;
    says(&bundle, "the mount source /etc/passwd/ cannot exist: /etc/passwd is a file, not a directory", "try: make")?;
    // A mount point that is missing below a read-only one.
    let lower = bundle.path("said");
    with(&mut bundle, mount("bind", &lower.to_string_lossy(), "/tmp", &["bind", "ro"]))?;
    bundle.set("/mounts/-", mount("tmpfs", "tmpfs", "/tmp/deep/er", &[]))?;
    let cause =
        "the mount point /tmp/deep/er does not exist, and the mount above it is read-only (config.json /mounts/7)";
    says(&bundle, cause, "try: make /tmp/deep/er in its source beforehand")?;
    // proc has the directories that the kernel gives it.
    bundle.set("/mounts/7", mount("tmpfs", "tmpfs", "/proc/data", &[]))?;
    bundle.config["mounts"].as_array_mut().ok_or("no mounts")?.truncate(8);
    let cause = "the mount point /proc/data does not exist, and the proc at /proc takes no new directories";
    says(&bundle, cause, "try: a `destination` that is there")?;
    bundle.clean()?;
    // proc is mounted on no link.
    let bundle = Bundle::plain()?;
    fs::remove_dir(bundle.rootfs("proc"))?;
    symlink("etc", bundle.rootfs("proc"))?;
    let cause = "/proc in the rootfs is a link to etc: proc is mounted on a real directory only";
    says(&bundle, cause, "try: make /proc a plain directory in the rootfs")?;
    bundle.clean()
}

fn words() -> Outcome {
    let mut bundle = Bundle::plain()?;
    for (kind, option, cause, cure) in [
        ("tmpfs", "bogus=1", "tmpfs does not know the option bogus (config.json /mounts/7)", "leave bogus out"),
        ("tmpfs", "size=ab", "tmpfs does not take size=ab", "correct size=ab"),
        ("tmpfs", "noswap,huge=x", "tmpfs does not take huge=x", "correct huge=x"),
        ("nosuchfs", "x", "this kernel has no file system nosuchfs", "modprobe nosuchfs"),
        ("hugetlbfs", "pagesize=3M", "this machine has no huge pages of 3M: it has ", "pagesize="),
    ] {
        with(&mut bundle, mount(kind, "x", "/tmp", &[option]))?;
        says(&bundle, cause, cure)?;
    }
    bundle.clean()
}

fn overlays() -> Outcome {
    let mut bundle = Bundle::plain()?;
    for name in ["lower", "upper", "upper/work"] {
        fs::create_dir(bundle.path(name))?;
    }
    let here = bundle.path("");
    let here = here.to_string_lossy().trim_end_matches('/').to_owned();
    for (options, cause) in [
        ("lowerdir=@/lower:@/none,upperdir=@/upper", "the overlay's lowerdir @/none does not exist"),
        ("lowerdir=@/config.json:@/lower", "the overlay's lowerdir @/config.json is a file, not a directory"),
        ("lowerdir=@/lower,upperdir=@/none,workdir=@/upper/work", "the overlay's upperdir @/none does not exist"),
        ("lowerdir=@/lower,upperdir=@/upper,workdir=@/none", "the overlay's workdir @/none does not exist"),
        ("lowerdir=@/lower,upperdir=@/upper", "the overlay has the upperdir @/upper and no workdir"),
        ("lowerdir=@/lower", "the overlay has no upperdir, and @/lower as its only lower layer"),
        ("lowerdir=@/lower,upperdir=@/upper,workdir=/proc", "the overlay's upperdir @/upper and workdir /proc lie on"),
        ("lowerdir=@/lower,upperdir=@/upper,workdir=@/upper/work", "of the overlay's upperdir @/upper and workdir"),
    ] {
        let (options, cause) = (options.replace('@', &here), cause.replace('@', &here));
        with(&mut bundle, mount("overlay", "overlay", "/tmp", &[&options]))?;
        says(&bundle, &cause, "try: ")?;
    }
    bundle.clean()
}

/// Without root, and with an outer /proc that is masked in a part.
fn masked() -> Outcome {
    let bundle = of_user(Bundle::plain()?)?;
    let here = bundle.path("");
    let inner = as_user_command(&bundle, &["run", "--bundle", &here.to_string_lossy(), &bundle.id])?;
    let mut outer = Command::new(tool("unshare")?);
    outer.args(["--mount", "sh", "-c", "mount --bind /dev/null /proc/meminfo && exec \"$@\"", "sh"]);
    outer.arg(inner.get_program()).args(inner.get_args());
    let done = bundle.finish(outer)?;
    let cause =
        "nk-runtime: an outer container masks /proc/meminfo (hidden paths: 1): so the kernel refuses a new proc";
    ensure!(done.err.starts_with(cause) && done.err.contains("unmask=ALL"), "{done:?}");
    bundle.clean()
}

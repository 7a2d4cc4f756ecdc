//! `scripts/bundle`: bundles out of images, which the cases make themselves. No registry is asked.

use crate::bundle::{Bundle, Done, runtime, tool};
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

pub fn cases() -> Vec<Trial> {
    let mut all = area(
        "images",
        &[("a_directory_becomes_a_bundle", directory), ("what_is_no_image_is_refused_and_nothing_is_left", refused)],
    );
    let tools = ["skopeo", "umoci"].iter().all(|name| tool(name).is_ok());
    let made = area(
        "images",
        &[
            ("a_layout_becomes_a_bundle", layout),
            ("an_archive_of_docker_becomes_a_bundle", docker),
            ("layers_of_zstd_are_read", zstd),
        ],
    );
    // scripts/test installs both; the lab has neither.
    all.extend(made.into_iter().map(|case| case.with_ignored_flag(!tools)));
    all
}

/// Runs scripts/bundle in the case's folder.
fn bundles(bundle: &Bundle, words: &[&str]) -> Result<Done, Failed> {
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/bundle"));
    command.args(words).current_dir(bundle.path("")).env("NK_RUNTIME", runtime());
    bundle.finish(command)
}

/// Commands of a shell in the case's folder, which make an image.
fn makes(bundle: &Bundle, script: &str) -> Outcome {
    let mut command = Command::new("sh");
    command.args(["-ec", script]).current_dir(bundle.path(""));
    let done = bundle.finish(command)?;
    ensure!(done.status == 0, "{script}: {done:?}");
    Ok(())
}

/// An image of two layers: busybox and three files, of which the second takes one away.
fn image(bundle: &Bundle) -> Outcome {
    let shared = bundle.rootfs("srv");
    fs::create_dir(&shared)?;
    for name in ["kept", "gone", "owned"] {
        fs::write(shared.join(name), name)?;
    }
    chown(shared.join("owned"), Some(1000), Some(2000))?;
    fs::set_permissions(shared.join("owned"), fs::Permissions::from_mode(0o640))?;
    makes(
        bundle,
        "umoci init --layout image; umoci new --image image:one
        umoci insert --image image:one rootfs /; umoci insert --image image:one --whiteout /srv/gone
        umoci config --image image:one --config.entrypoint sh --config.cmd=-c --config.cmd 'echo $GREETING; pwd; ls; id -u' \
            --config.env GREETING=hello --config.workingdir /srv --config.user 1000:2000 --author someone",
    )
}

fn config(bundle: &Bundle) -> Result<Value, Failed> {
    Ok(serde_json::from_str(&fs::read_to_string(bundle.path("made/config.json"))?)?)
}

/// What the container of the new bundle prints.
fn printed(bundle: &Bundle) -> Result<String, Failed> {
    let made = bundle.path("made");
    let done = bundle.call(&["run", "--bundle", &made.to_string_lossy(), &bundle.id])?.ok()?;
    Ok(done.out)
}

fn layout() -> Outcome {
    let bundle = Bundle::plain()?;
    image(&bundle)?;
    bundles(&bundle, &["oci:image:one", "made"])?.ok()?;
    let made = config(&bundle)?;
    same("user", &made["process"]["user"], &json!({"uid": 1000, "gid": 2000}))?;
    same("directory", made["process"]["cwd"].as_str(), Some("/srv"))?;
    same("terminal", made["process"]["terminal"].as_bool(), Some(false))?;
    let author = &made["annotations"]["org.opencontainers.image.author"];
    same("author", author.as_str(), Some("someone"))?;
    same("what it prints", printed(&bundle)?.as_str(), "hello\n/srv\nkept\nowned\n1000\n")?;
    let owned = fs::metadata(bundle.path("made/rootfs/srv/owned"))?;
    same("owner and mode", (owned.uid(), owned.gid(), owned.mode() & 0o7777), (1000, 2000, 0o640))?;
    let mut there: Vec<_> = fs::read_dir(bundle.path("made"))?.flatten().map(|entry| entry.file_name()).collect();
    there.sort();
    same("what is in it", there, vec!["config.json".into(), "rootfs".into()])?;
    // The only image needs no name, and other words take the place of its own.
    fs::remove_dir_all(bundle.path("made"))?;
    bundles(&bundle, &["--host-network", "image", "made", "echo", "-n", "other"])?.ok()?;
    let made = config(&bundle)?;
    let kinds = made["linux"]["namespaces"].as_array().ok_or("no namespaces")?;
    ensure!(kinds.len() > 3 && kinds.iter().all(|kind| kind["type"] != "network"), "{kinds:?}");
    same("what it prints", printed(&bundle)?.as_str(), "other")?;
    bundle.clean()
}

fn docker() -> Outcome {
    let bundle = Bundle::plain()?;
    image(&bundle)?;
    makes(&bundle, "skopeo --insecure-policy copy -q oci:image:one docker-archive:saved.tar:some/name:1")?;
    for image in ["docker-archive:saved.tar", "docker-archive:saved.tar:some/name:1"] {
        bundles(&bundle, &[image, "made"])?.ok()?;
        same("what it prints", printed(&bundle)?.as_str(), "hello\n/srv\nkept\nowned\n1000\n")?;
        fs::remove_dir_all(bundle.path("made"))?;
    }
    bundle.clean()
}

fn zstd() -> Outcome {
    let bundle = Bundle::plain()?;
    image(&bundle)?;
    makes(
        &bundle,
        "skopeo --insecure-policy copy -q oci:image:one docker-archive:saved.tar:name:1
        skopeo --insecure-policy copy -q --dest-compress-format zstd docker-archive:saved.tar oci:packed:one
        grep -q tar+zstd packed/blobs/sha256/*",
    )?;
    bundles(&bundle, &["oci:packed:one", "made"])?.ok()?;
    same("what it prints", printed(&bundle)?.as_str(), "hello\n/srv\nkept\nowned\n1000\n")?;
    bundle.clean()
}

fn directory() -> Outcome {
    let bundle = Bundle::plain()?;
    fs::write(bundle.rootfs("owned"), "")?;
    chown(bundle.rootfs("owned"), Some(1000), Some(2000))?;
    bundles(&bundle, &["rootfs", "deeper/made", "sh", "-c", "hostname; touch /new; id -u"])?.ok()?;
    fs::rename(bundle.path("deeper/made"), bundle.path("made"))?;
    std::os::unix::fs::symlink("busybox", bundle.path("made/rootfs/bin/touch"))?;
    same("what it prints", printed(&bundle)?.as_str(), "container\n0\n")?;
    ensure!(bundle.path("made/rootfs/new").exists(), "the root could not be written");
    same("owner", fs::metadata(bundle.path("made/rootfs/owned"))?.uid(), 1000)?;
    // Without a program it is a shell.
    bundles(&bundle, &["rootfs", "other"])?.ok()?;
    let text = fs::read_to_string(bundle.path("other/config.json"))?;
    let made: Value = serde_json::from_str(&text)?;
    same("program", &made["process"]["args"], &json!(["sh"]))?;
    bundle.clean()
}

fn refused() -> Outcome {
    let bundle = Bundle::plain()?;
    fs::create_dir(bundle.path("full"))?;
    fs::write(bundle.path("full/file"), "")?;
    let before = fs::read_dir(bundle.path(""))?.count();
    for (words, said) in [
        (&["nowhere", "made"] as &[&str], "nowhere is neither a directory nor oci:DIR"),
        (&["docker://alpine", "made"], "docker://alpine is neither a directory nor oci:DIR"),
        (&["oci:nowhere:latest", "made"], "nowhere is not there"),
        (&["rootfs", "full"], "full is there already"),
        (&["rootfs"], "usage: scripts/bundle"),
        (&["--arch"], "usage: scripts/bundle"),
        (&["--wrong", "rootfs", "made"], "no option --wrong"),
    ] {
        let done = bundles(&bundle, words)?;
        ensure!(done.status != 0 && done.err.contains(said), "{words:?}: {done:?}");
        same("entries", fs::read_dir(bundle.path(""))?.count(), before)?;
    }
    bundle.clean()
}

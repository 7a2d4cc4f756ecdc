//! Many binds into one directory, which are made while no link of the rootfs is followed: they arrive as single ones do,
//! and a rootfs with links where they should be gains nothing.

use crate::bundle::Bundle;
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;

pub fn cases() -> Vec<Trial> {
    area(
        "side_by_side",
        &[
            ("one_call_each", one_call_each),
            ("seven_are_made_one_by_one", too_few),
            ("as_single_ones_but_for_the_way", as_single_ones),
            ("links_are_followed_afterwards", links_afterwards),
            ("a_link_among_the_targets_stays_inside", link_among_targets),
            ("a_missing_target_and_files", missing_and_files),
            ("a_directory_that_is_a_link_stays_inside", parent_link),
            ("below_another_mount", below_a_mount),
            ("a_missing_source_is_named", missing_source),
            ("a_refused_bind_is_named", refused_bind),
        ],
    )
}

/// A bundle with so many folders of the host's, each holding a file `name` with its number, bound on /vol/N.
fn binds(script: &str, count: usize) -> Result<Bundle, Failed> {
    let mut bundle = Bundle::shell(script)?;
    for i in 0..count {
        fs::create_dir_all(bundle.rootfs(&format!("vol/{i}")))?;
        let folder = bundle.path(&format!("data/{i}"));
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("name"), i.to_string())?;
        let mount = json!({"destination": format!("/vol/{i}"), "type": "none", "source": folder.display().to_string(), "options": ["rbind"]});
        bundle.set("/mounts/-", mount)?;
    }
    Ok(bundle)
}

const NAMES: &str = "for i in 0 1 2 3 4 5 6 7 8 9; do cat /vol/$i/name; done";

/// The calls of a run that bind by name.
fn calls(bundle: &Bundle) -> Result<(String, usize), Failed> {
    let trace = bundle.path("trace");
    let words = ["run", "--trace=strace", "--trace-file", &trace.to_string_lossy()];
    let done = bundle.bundled(&words)?.ok()?;
    let listing = fs::read_to_string(trace)?;
    let short = |line: &&str| line.contains("mount(\"/") && line.contains("MS_BIND");
    Ok((done.out, listing.lines().filter(short).count()))
}

fn one_call_each() -> Outcome {
    let bundle = binds(NAMES, 10)?;
    let (out, count) = calls(&bundle)?;
    same("the names", out, "0123456789".into())?;
    same("binds by name", count, 10)?;
    bundle.clean()
}

fn too_few() -> Outcome {
    let bundle = binds("cat /vol/6/name", 7)?;
    let (out, count) = calls(&bundle)?;
    same("the name", out, "6".into())?;
    same("binds by name", count, 0)?;
    bundle.clean()
}

/// What the mount table says of them, without their numbers: options, propagation, source.
fn as_single_ones() -> Outcome {
    let script = "grep /vol/ /proc/self/mountinfo | cut -d ' ' -f 4-";
    let table = |alone: bool| {
        let mut bundle = binds(script, 8)?;
        if alone {
            // Another kind of mount between them: no eight in a row.
            let between = json!({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"});
            let config = bundle.config["mounts"].as_array_mut().ok_or("no mounts")?;
            let at = config.len() - 4;
            config.insert(at, between);
        }
        let (out, count) = calls(&bundle)?;
        same("binds by name", count, if alone { 0 } else { 8 })?;
        let here = bundle.path("").to_string_lossy().into_owned();
        let mut lines: Vec<String> = out.lines().map(|line| line.replace(here.as_str(), "B")).collect();
        let words = |line: &String| {
            let known = line.split(' ').map(|word| word.split(':').next().unwrap_or(word));
            known.collect::<Vec<_>>().join(" ")
        };
        lines = lines.iter().map(words).collect();
        lines.sort();
        bundle.clean()?;
        Ok::<_, Failed>(lines)
    };
    let (alone, beside) = (table(true)?, table(false)?);
    same("mounts", beside.len(), 8)?;
    ensure!(!beside.iter().any(|line| line.contains("nosymfollow")), "{beside:?}");
    same("the mount table", strip(&beside), strip(&alone))
}

/// Without the name of the temporary directory, which is another each time.
fn strip(lines: &[String]) -> Vec<String> {
    let tail = |line: &String| line[line.find("/data/").unwrap_or(0)..].to_owned();
    lines.iter().map(tail).collect()
}

fn links_afterwards() -> Outcome {
    let bundle = binds("cat /link/name; cat /vol/8/link", 9)?;
    symlink("/vol/3", bundle.rootfs("link"))?;
    symlink("name", bundle.path("data/8/link"))?;
    same("through links", bundle.bundled(&["run"])?.ok()?.out, "38".into())?;
    bundle.clean()
}

fn link_among_targets() -> Outcome {
    let bundle = binds(&format!("{NAMES}; cat /in/name"), 10)?;
    let outside = bundle.path("outside");
    fs::create_dir(&outside)?;
    fs::create_dir(bundle.rootfs("in"))?;
    fs::remove_dir(bundle.rootfs("vol/4"))?;
    symlink("/in", bundle.rootfs("vol/4"))?;
    let done = bundle.bundled(&["run"])?.ok()?;
    same("inside", done.out, "01234567894".into())?;
    // And where it names a place that the host has and the rootfs has not.
    fs::remove_file(bundle.rootfs("vol/4"))?;
    symlink(&outside, bundle.rootfs("vol/4"))?;
    let done = bundle.bundled(&["run"])?;
    same("names outside", fs::read_dir(&outside)?.count(), 0)?;
    ensure!(!done.out.is_empty() || done.status == 1, "{done:?}");
    bundle.clean()
}

fn missing_and_files() -> Outcome {
    let mut bundle = binds("cat /vol/2/name /vol/5/name /vol/file /vol/new", 8)?;
    fs::remove_dir(bundle.rootfs("vol/5"))?;
    fs::write(bundle.rootfs("vol/file"), "covered")?;
    for name in ["file", "new"] {
        let source = bundle.path("data/7/name");
        let mount = json!({"destination": format!("/vol/{name}"), "type": "none", "source": source.display().to_string(), "options": ["bind"]});
        bundle.set("/mounts/-", mount)?;
    }
    same("all", bundle.bundled(&["run"])?.ok()?.out, "2577".into())?;
    same("below", fs::read_to_string(bundle.rootfs("vol/file"))?, "covered".into())?;
    bundle.clean()
}

/// /vol leads out: to a directory of the host's with the same names in it.
fn parent_link() -> Outcome {
    let bundle = binds("true", 8)?;
    let outside = bundle.path("outside");
    for i in 0..8 {
        fs::create_dir_all(outside.join(i.to_string()))?;
    }
    fs::rename(bundle.rootfs("vol"), bundle.rootfs("real"))?;
    symlink(&outside, bundle.rootfs("vol"))?;
    bundle.bundled(&["run"])?;
    for i in 0..8 {
        let names = fs::read_dir(outside.join(i.to_string()))?.count();
        same("names outside", names, 0)?;
    }
    // Where it leads to a place inside, they are there.
    fs::remove_file(bundle.rootfs("vol"))?;
    symlink("/real", bundle.rootfs("vol"))?;
    let (_, count) = calls(&bundle)?;
    same("binds by name", count, 0)?;
    bundle.clean()
}

/// The directory lies on a volume that is bound before: its links are not the rootfs's, and would be followed.
fn below_a_mount() -> Outcome {
    let mut bundle = binds("cat /vol/0/name /vol/in/name", 8)?;
    let outside = bundle.path("outside");
    fs::create_dir(&outside)?;
    let volume = bundle.path("volume");
    for i in 0..8 {
        fs::create_dir_all(volume.join(i.to_string()))?;
    }
    fs::create_dir(volume.join("in"))?;
    fs::remove_dir(volume.join("6"))?;
    symlink("/vol/in", volume.join("6"))?;
    let mounts = bundle.config["mounts"].as_array_mut().ok_or("no mounts")?;
    let at = mounts.len() - 8;
    mounts.insert(
        at,
        json!({"destination": "/vol", "type": "none", "source": volume.display().to_string(), "options": ["bind"]}),
    );
    let (out, count) = calls(&bundle)?;
    same("the names", out, "06".into())?;
    same("binds by name", count, 0)?;
    bundle.clean()
}

fn missing_source() -> Outcome {
    let bundle = binds("true", 9)?;
    fs::remove_dir_all(bundle.path("data/5"))?;
    let done = bundle.bundled(&["run"])?;
    let place = bundle.config["mounts"].as_array().map_or(0, Vec::len) - 4;
    done.refused(&format!("/mounts/{place}"))?.refused("ENOENT")?.refused("make it on the host")?;
    bundle.clean()
}

/// A file on a directory.
fn refused_bind() -> Outcome {
    let mut bundle = binds("true", 9)?;
    let at = bundle.config["mounts"].as_array().map_or(0, Vec::len) - 2;
    let file = bundle.path("data/7/name");
    bundle.set(&format!("/mounts/{at}/source"), json!(file.display().to_string()))?;
    let done = bundle.bundled(&["run"])?;
    done.refused(&format!("/mounts/{at}"))?.refused("move_mount")?;
    bundle.clean()
}

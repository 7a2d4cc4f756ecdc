//! Files that the runtime writes or makes, where another user has put a name of that kind beforehand: a link, a file, a
//! fifo. Nothing that is there is written to, and nothing removed that this command has not made.

use crate::bundle::{Bundle, tool};
use crate::exec::box_of_sleep;
use crate::users::USER;
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::json;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

pub fn cases() -> Vec<Trial> {
    area(
        "planted",
        &[
            ("pid_file_of_another_container_stays", others_pid_file),
            ("pid_file_of_a_failed_command_goes", own_pid_file),
            ("pid_file_is_made_anew", pid_file),
            ("pid_file_without_a_free_name", no_free_name),
            ("log_and_trace_file_of_another_user", appended),
            ("log_through_links_of_ones_own", own_links),
            ("state_of_another_user", state),
            ("config_of_another_user", spec),
        ],
    )
}

const KINDS: [&str; 5] = ["link", "file", "second name", "fifo", "directory"];

/// A directory like /tmp, and a file of root's that nothing may happen to.
struct Shared {
    dir: PathBuf,
    victim: PathBuf,
}

impl Shared {
    fn new(bundle: &Bundle) -> Result<Shared, Failed> {
        let dir = bundle.path("shared");
        fs::create_dir(&dir)?;
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o1777))?;
        let victim = bundle.path("victim");
        fs::write(&victim, "kept")?;
        Ok(Shared { dir, victim })
    }

    /// Another user puts something there.
    fn plant(&self, name: &str, kind: &str) -> Outcome {
        let path = self.dir.join(name);
        match kind {
            "link" => symlink(&self.victim, &path)?,
            "file" => fs::write(&path, "planted")?,
            "second name" => fs::hard_link(&self.victim, &path)?,
            "fifo" => mkfifo(&path, Mode::from_bits_truncate(0o666))?,
            _ => fs::create_dir(&path)?,
        }
        if kind != "second name" {
            lchown(&path, Some(USER), Some(USER))?;
        }
        if kind == "file" {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o666))?;
        }
        Ok(())
    }

    /// What was planted is as it was, and so is the victim.
    fn kept(&self, name: &str, kind: &str) -> Outcome {
        same("the victim", fs::read_to_string(&self.victim)?, "kept".into())?;
        let found = self.dir.join(name).symlink_metadata()?;
        let is = match found.file_type() {
            t if t.is_symlink() => "link",
            t if t.is_dir() => "directory",
            t if t.is_file() && found.nlink() > 1 => "second name",
            t if t.is_file() => "file",
            _ => "fifo",
        };
        same("what was planted", is, kind)?;
        if kind == "file" {
            let text = fs::read_to_string(self.dir.join(name))?;
            same("the planted file", text.as_str(), "planted")?;
        }
        Ok(())
    }

    fn clear(&self) -> Outcome {
        fs::remove_dir_all(&self.dir)?;
        fs::create_dir(&self.dir)?;
        fs::set_permissions(&self.dir, fs::Permissions::from_mode(0o1777))?;
        Ok(())
    }

    fn names(&self) -> Result<Vec<String>, Failed> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }
}

/// Whatever fails, and whenever: the file names another, living container, and goes on to do so.
fn others_pid_file() -> Outcome {
    let mut bundle = box_of_sleep()?;
    let (id, config) = (bundle.id.clone(), bundle.config.clone());
    let file = bundle.path("pid");
    let path = file.to_string_lossy().into_owned();
    bundle.bundled(&["create", "--pid-file", &path])?.ok()?;
    let wanted = fs::read_to_string(&file)?;
    let missing = json!({"destination": "/x", "type": "bind", "source": "/no/such", "options": ["bind"]});
    for (fault, name) in [
        ("a bad id", "a/b".into()),
        ("the same id", id.clone()),
        ("no config", format!("{id}-a")),
        ("no source", format!("{id}-b")),
        ("no program", format!("{id}-c")),
    ] {
        bundle.config = config.clone();
        match fault {
            "no config" => bundle.config = json!({}),
            "no source" => bundle.set("/mounts/-", missing.clone())?,
            "no program" => bundle.set("/process/args", json!(["/no/such"]))?,
            _ => {}
        }
        bundle.id = name;
        for words in [&["run"][..], &["create"], &["run", "--detach"]] {
            let done = bundle.bundled(&[words, &["--pid-file", &path]].concat())?;
            done.refused("")?;
            same(fault, fs::read_to_string(&file)?, wanted.clone())?;
        }
    }
    (bundle.id, bundle.config) = (id, config);
    let words = ["exec", "--pid-file", &path, &bundle.id, "/no/such"];
    same("exec", bundle.call(&words)?.status, 255)?;
    same("after exec", fs::read_to_string(&file)?, wanted)?;
    let left = fs::read_dir(bundle.path(""))?.flatten();
    let left = left.filter(|entry| entry.file_name().to_string_lossy().contains("nk-new"));
    same("new files", left.count(), 0)?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

/// What was written for a process that did not become a program does not stay: execve itself fails here.
fn own_pid_file() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let shared = Shared::new(&bundle)?;
    let path = shared.dir.join("pid");
    bundle.set(
        "/linux/seccomp",
        json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "architectures": [crate::seccomp::OWN],
            "syscalls": [{"names": ["execve"], "action": "SCMP_ACT_ERRNO", "errnoRet": 12}],
        }),
    )?;
    bundle.bundled(&["run", "--pid-file", &path.to_string_lossy()])?.refused("execve")?;
    same("names", shared.names()?, Vec::new())?;
    bundle.clean()
}

/// Under its own name, and under the one that is renamed to it.
fn pid_file() -> Outcome {
    let bundle = Bundle::plain()?;
    let shared = Shared::new(&bundle)?;
    let path = shared.dir.join("pid").to_string_lossy().into_owned();
    for name in ["pid", "pid.nk-new"] {
        for kind in KINDS {
            shared.plant(name, kind)?;
            let done = bundle.bundled(&["run", "--pid-file", &path])?;
            let what = format!("{name}, a {kind}");
            if (name, kind) == ("pid", "directory") {
                done.refused(&path)?;
                same(&what, shared.names()?, vec!["pid".into()])?;
            } else {
                ensure!(done.status == 0, "{what}: {done:?}");
                let found = Path::new(&path).symlink_metadata()?;
                let own = found.is_file() && found.uid() == 0 && found.nlink() == 1;
                ensure!(own, "{what}: {found:?}");
                ensure!(fs::read_to_string(&path)?.parse::<u32>().is_ok(), "{what}");
            }
            if name == "pid" {
                let victim = fs::read_to_string(&shared.victim)?;
                same(&what, victim.as_str(), "kept")?;
            } else {
                shared.kept(name, kind)?;
            }
            shared.clear()?;
        }
    }
    bundle.clean()
}

fn no_free_name() -> Outcome {
    let bundle = Bundle::plain()?;
    let shared = Shared::new(&bundle)?;
    shared.plant("pid.nk-new", "link")?;
    for i in 1..=16 {
        shared.plant(&format!("pid.nk-new{i}"), "file")?;
    }
    let before = shared.names()?;
    let path = shared.dir.join("pid");
    let done = bundle.bundled(&["run", "--pid-file", &path.to_string_lossy()])?;
    done.refused("EEXIST")?;
    same("names", shared.names()?, before)?;
    shared.kept("pid.nk-new", "link")?;
    shared.kept("pid.nk-new1", "file")?;
    bundle.clean()
}

/// What root would append to a log, or to a trace, goes nowhere else, and nobody waits for a reader.
fn appended() -> Outcome {
    let bundle = Bundle::plain()?;
    let shared = Shared::new(&bundle)?;
    let path = shared.dir.join("log").to_string_lossy().into_owned();
    for kind in KINDS {
        for options in [&["--log", &path, "--log-level", "debug"][..], &["--trace", "--trace-file", &path]] {
            shared.plant("log", kind)?;
            let done = bundle.bundled(&[options, &["run"]].concat())?;
            ensure!(done.status == 1, "{kind}, {options:?}: {done:?}");
            ensure!(done.err.contains(&path), "{kind}, {options:?}: {done:?}");
            shared.kept("log", kind)?;
            shared.clear()?;
        }
    }
    bundle.clean()
}

/// Links are followed where no other user can have put them, and so are the system's to the standard descriptors.
fn own_links() -> Outcome {
    let bundle = Bundle::plain()?;
    let shared = Shared::new(&bundle)?;
    let target = bundle.path("target");
    let own = shared.dir.join("own");
    symlink(&target, &own)?;
    let elsewhere = bundle.path("users");
    fs::create_dir(&elsewhere)?;
    chown(&elsewhere, Some(USER), Some(USER))?;
    let theirs = elsewhere.join("link");
    symlink(&target, &theirs)?;
    lchown(&theirs, Some(USER), Some(USER))?;
    let file = elsewhere.join("file");
    fs::write(&file, "")?;
    chown(&file, Some(USER), Some(USER))?;
    for (path, to) in [(&own, &target), (&theirs, &target), (&file, &file)] {
        let options = ["--log", &path.to_string_lossy(), "--log-level", "debug", "run"];
        let done = bundle.bundled(&options)?;
        ensure!(done.status == 0, "{path:?}: {done:?}");
        ensure!(fs::metadata(to)?.len() > 0, "{path:?}: nothing in it");
        fs::write(to, "")?;
    }
    for path in ["/dev/stderr", "/proc/self/fd/2"] {
        let done = bundle.bundled(&["--log", path, "--log-level", "debug", "run"])?;
        ensure!(done.status == 0, "{path}: {done:?}");
        ensure!(done.err.contains("[DEBUG]"), "{path}: {done:?}");
    }
    bundle.clean()
}

/// A state that another user has written could name any process.
fn state() -> Outcome {
    let bundle = box_of_sleep()?;
    bundle.bundled(&["create"])?.ok()?;
    let mut victim = Command::new(tool("sleep")?).arg("600").spawn()?;
    let outcome: Outcome = (|| {
        let planted = bundle.state_root().join("planted");
        fs::create_dir(&planted)?;
        let own = bundle.state_root().join(&bundle.id);
        for name in ["state.json", "trace"] {
            fs::copy(own.join(name), planted.join(name))?;
        }
        chown(&planted, Some(USER), Some(USER))?;
        for words in [
            &["kill", "planted", "KILL"][..],
            &["delete", "planted"],
            &["delete", "--force", "planted"],
            &["start", "planted"],
            &["state", "planted"],
            &["pause", "planted"],
            &["exec", "planted", "true"],
        ] {
            let done = bundle.call(words)?;
            let said = format!("belongs to user {USER}");
            ensure!(done.status != 0 && done.err.contains(&said), "{words:?}: {done:?}");
        }
        ensure!(planted.join("state.json").exists(), "it is gone");
        fs::remove_dir_all(planted)?;
        same("status", bundle.status()?, "created".into())?;
        ensure!(victim.try_wait()?.is_none(), "another process was hit");
        Ok(())
    })();
    victim.kill()?;
    victim.wait()?;
    outcome?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

fn spec() -> Outcome {
    let bundle = Bundle::plain()?;
    let shared = Shared::new(&bundle)?;
    for kind in KINDS {
        shared.plant("config.json", kind)?;
        let dir = shared.dir.to_string_lossy();
        bundle.call(&["spec", "--bundle", &dir])?.refused("exists")?;
        shared.kept("config.json", kind)?;
        shared.clear()?;
    }
    bundle.clean()
}

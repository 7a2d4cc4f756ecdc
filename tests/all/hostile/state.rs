//! Ids, state documents, cgroup paths and configurations that are wrong by accident or on purpose: a message, no crash,
//! no hang, and nothing of somebody else's is touched. What covers which threat is listed in `hostile`.

use crate::bundle::{Bundle, patiently, runtime, tool};
use crate::lifecycle::bring_to;
use crate::{Outcome, area, ensure, same};
use libtest_mimic::Trial;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

pub fn cases() -> Vec<Trial> {
    area(
        "hostile",
        &[
            ("state_files_under_umask_0", state_files),
            ("another_process_of_that_number", other_process),
            ("damaged_state", damaged_state),
            ("a_document_cut_within_its_configuration", cut_state),
            ("cgroup_of_a_damaged_state", damaged_cgroup),
            ("damaged_trace", damaged_trace),
            ("ids_in_every_command", ids),
            ("cgroup_paths", cgroup_paths),
            ("refused_create_leaves_no_cgroup", refused_create),
            ("config_is_no_file_or_has_no_end", odd_config),
        ],
    )
}

/// Everything below the state root, with what others may do to it.
fn modes(folder: &Path, all: &mut Vec<String>) -> Outcome {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let meta = path.symlink_metadata()?;
        if meta.mode() & 0o022 != 0 {
            all.push(format!("{} {:o}", path.display(), meta.mode()));
        }
        if meta.is_dir() {
            modes(&path, all)?;
        }
    }
    Ok(())
}

fn state_files() -> Outcome {
    let bundle = Bundle::reporter(&["--sleep"])?;
    bundle.write_config()?;
    let call = |words: &str| {
        let mut command = Command::new("/bin/sh");
        let script = format!("umask 0; cd {}; exec \"$@\"", bundle.path("").display());
        command.args(["-c", &script, "sh"]).arg(runtime());
        command.arg("--root").arg(bundle.state_root());
        command.arg("--log").arg(bundle.path("state/log"));
        command.args(words.split(' ')).arg(&bundle.id);
        bundle.finish(command)?.ok()
    };
    fs::create_dir(bundle.state_root())?;
    fs::set_permissions(bundle.state_root(), fs::Permissions::from_mode(0o700))?;
    for words in ["create --pid-file state/pid", "start", "delete --force", "create"] {
        call(words)?;
        let mut open = Vec::new();
        modes(&bundle.state_root(), &mut open)?;
        ensure!(open.is_empty(), "after {words}: {open:#?}");
    }
    call("delete")?;
    fs::remove_file(bundle.path("state/log"))?;
    fs::remove_file(bundle.path("state/pid"))?;
    bundle.clean()
}

/// Edits the document of a container on disk.
fn edit(bundle: &Bundle, change: impl Fn(&mut Value)) -> Outcome {
    let path = bundle.state_root().join(&bundle.id).join("state.json");
    let mut saved: Value = serde_json::from_str(&fs::read_to_string(&path)?)?;
    change(&mut saved);
    fs::write(path, saved.to_string())?;
    Ok(())
}

/// The container's process is gone, and its number is somebody else's now.
fn other_process() -> Outcome {
    let bundle = Bundle::reporter(&["--sleep"])?;
    bring_to(&bundle, "running")?;
    let own = bundle.state()?["pid"].as_i64().unwrap_or(0);
    // A process that is just as old would be taken for the container's own.
    std::thread::sleep(Duration::from_millis(100));
    let mut victim = Command::new(tool("sleep")?).arg("600").spawn()?;
    let outcome: Outcome = (|| {
        for pid in [i64::from(victim.id()), 1, 0, -1, i64::from(i32::MAX)] {
            edit(&bundle, |saved| saved["pid"] = json!(pid))?;
            same("the status", bundle.status()?, "stopped".into())?;
            for words in [&["kill"][..], &["kill", "--all"], &["start"]] {
                let done = bundle.call(&[words, &[&bundle.id]].concat())?;
                let all = words.contains(&"--all");
                ensure!(done.status == 1 || all, "{words:?}: {done:?}");
            }
        }
        edit(&bundle, |saved| saved["pid"] = json!(victim.id()))?;
        // By its document it has ended: a process in its cgroup belongs to another.
        bundle.call(&["delete", "--force", &bundle.id])?.refused("processes are left")?;
        ensure!(victim.try_wait()?.is_none(), "another process was hit");
        Ok(())
    })();
    victim.kill()?;
    victim.wait()?;
    let _ = kill(Pid::from_raw(own as i32), Signal::SIGKILL);
    outcome?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    patiently("the end of the container", || Ok(bundle.nothing_left().is_ok()))?;
    bundle.clean()
}

/// Whatever the document is: a message, no crash, no hang, and `delete --force` puts an end to it.
fn damaged_state() -> Outcome {
    let deep = "[".repeat(100_000);
    let forms: Vec<(&str, &str)> = vec![
        ("empty", ""),
        ("null", "null"),
        ("list", "[]"),
        ("no keys", "{}"),
        ("half", "{\"pid\":7,\"start_time\":[0,"),
        ("zeros", "\0\0\0\0"),
        ("deep", &deep),
        ("text", "\u{7f}ELF \u{fffd}"),
        ("number", "{\"pid\":1e99}"),
        ("string", "{\"pid\":\"1\",\"start_time\":[]}"),
        ("twice", "{\"pid\":1,\"pid\":2}"),
        ("fifo", ""),
        ("link", ""),
        ("loop", ""),
        ("gone", ""),
    ];
    for (form, text) in forms {
        let bundle = Bundle::reporter(&["--sleep"])?;
        bring_to(&bundle, "running")?;
        let path = bundle.state_root().join(&bundle.id).join("state.json");
        fs::remove_file(&path)?;
        match form {
            "fifo" => mkfifo(&path, Mode::S_IRWXU)?,
            "link" => symlink("/proc/1/mem", &path)?,
            "loop" => symlink("state.json", &path)?,
            "gone" => {}
            _ => fs::write(&path, text)?,
        }
        for words in ["state", "start", "kill", "kill --all", "delete"] {
            let words: Vec<&str> = words.split(' ').chain([bundle.id.as_str()]).collect();
            let done = bundle.call(&words)?;
            ensure!(done.status == 1, "{form}: {words:?}: {done:?}");
            // Without a document there is no container: it is being made or removed.
            ensure!((form == "gone") == done.err.contains("container does not exist"), "{form}: {words:?}: {done:?}");
            ensure!(done.messages() <= 1 && !done.err.contains("fault of its own"), "{form}: {words:?}: {done:?}");
        }
        let list = bundle.call(&["list"])?;
        ensure!(list.status == 0, "{form}: {list:?}");
        bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
        patiently("the end of the container", || Ok(bundle.nothing_left().is_ok()))?;
        bundle.clean().map_err(|f| format!("{form}: {}", f.message().unwrap_or("")))?;
    }
    Ok(())
}

/// What stands before the configuration is whole then, so the container is found; the configuration is not.
fn cut_state() -> Outcome {
    let bundle = Bundle::reporter(&["--sleep"])?;
    bring_to(&bundle, "created")?;
    let path = bundle.state_root().join(&bundle.id).join("state.json");
    let text = fs::read_to_string(&path)?;
    let at = text.find("\"configuration\":").ok_or("no configuration")?;
    fs::write(&path, &text[..at + 30])?;
    for (words, status) in [(vec!["start", &bundle.id], 1), (vec!["exec", &bundle.id, "/true"], 255)] {
        let done = bundle.call(&words)?;
        ensure!(done.status == status && done.err.contains("is damaged"), "{words:?}: {done:?}");
    }
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    patiently("the end of the container", || Ok(bundle.nothing_left().is_ok()))?;
    bundle.clean()
}

/// The document says which cgroup to empty and remove: it must be one below the hierarchy.
fn damaged_cgroup() -> Outcome {
    let bundle = Bundle::reporter(&["--sleep"])?;
    let victim = bundle.path("victim");
    fs::create_dir(&victim)?;
    bring_to(&bundle, "running")?;
    let out = format!("../../../../../../../..{}", victim.display());
    for path in [&out, &format!("/{out}"), "/", "a/../..", ".."] {
        edit(&bundle, |saved| saved["cgroup_path"] = json!(path))?;
        for words in ["kill --all", "delete"] {
            let words: Vec<&str> = words.split(' ').chain([bundle.id.as_str()]).collect();
            bundle.call(&words)?.refused("")?;
        }
    }
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    ensure!(victim.exists(), "a directory outside the hierarchy is gone");
    patiently("the end of the container", || Ok(bundle.nothing_left().is_ok()))?;
    bundle.clean()
}

/// Commands go on writing into the container's recorder, whatever it says of itself: its head is the magic number, then
/// words of 32 bits, of which the first is how much is in use.
fn damaged_trace() -> Outcome {
    let words = |words: &[u32]| words.iter().flat_map(|w| w.to_ne_bytes()).collect::<Vec<u8>>();
    let forms = [
        (8, words(&[0])),
        (8, words(&[8])),
        (8, words(&[41])),
        (8, words(&[(4 << 20) + 8])),
        (8, words(&[u32::MAX - 7, u32::MAX, u32::MAX])),
        (0, words(&[0; 8])),
        (40, words(&[u32::MAX; 64])),
        (40, words(&[16; 64])),
        (4 << 20, vec![]),
        (64, vec![]),
    ];
    for (at, bytes) in forms {
        let form = format!("at {at}: {:?}", bytes.get(..12));
        let bundle = Bundle::reporter(&["--sleep"])?;
        bring_to(&bundle, "created")?;
        let path = bundle.state_root().join(&bundle.id).join("trace");
        let file = fs::OpenOptions::new().write(true).open(&path)?;
        match bytes.is_empty() {
            true => fs::write(&path, vec![0xa5; at as usize])?,
            false => file.write_all_at(&bytes, at)?,
        }
        let calls = ["start", "state", "kill", "trace", "--trace trace", "delete --force", "trace"];
        for words in calls {
            let words: Vec<&str> = words.split(' ').chain([bundle.id.as_str()]).collect();
            let done = bundle.call(&words)?;
            ensure!(
                (0..=1).contains(&done.status) && !done.err.contains("fault of its own"),
                "{form}: {words:?}: {done:?}"
            );
        }
        patiently(&form, || Ok(bundle.nothing_left().is_ok()))?;
        bundle.clean()?;
    }
    Ok(())
}

/// The commands that `lifecycle::bad_ids_are_refused` leaves out, and the lengths between.
fn ids() -> Outcome {
    let bundle = Bundle::plain()?;
    bundle.write_config()?;
    fs::create_dir_all(bundle.path("victim/inside"))?;
    fs::write(bundle.path("victim/state.json"), "{}")?;
    fs::create_dir_all(bundle.state_root())?;
    let long = ["a".repeat(256), "a".repeat(1024), "a".repeat(4096)];
    let here = bundle.path("").to_string_lossy().into_owned();
    let odd = ["..", ".", "../victim", "x/../../victim", "a/b", ".traces", "/"];
    for id in odd.into_iter().chain(long.iter().map(String::as_str)) {
        for words in [
            "trace",
            "trace --follow",
            "kill --all",
            "delete",
            "delete --force",
            "start --attach",
            "start",
            "state",
            "kill",
        ] {
            let words: Vec<&str> = words.split(' ').chain([id]).collect();
            bundle.call(&words)?.refused("invalid container ID")?;
        }
        for words in ["create", "run", "run --detach"] {
            let words: Vec<&str> = words.split(' ').collect();
            let tail = ["--bundle", here.as_str(), id];
            let done = bundle.call(&[&words[..], &tail].concat())?;
            done.refused("invalid container ID")?;
        }
    }
    ensure!(
        bundle.path("victim/state.json").exists() && bundle.path("victim/inside").exists(),
        "an id reached outside the state root"
    );
    bundle.clean()
}

/// Refused, or a cgroup below the hierarchy's root: never one above, or a directory elsewhere.
fn cgroup_paths() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let victim = bundle.path("victim");
    fs::create_dir(&victim)?;
    let id = bundle.id.clone();
    let out = format!("../../../../../../..{}/new", victim.display());
    for path in ["..", "/..", "/", ".", "./.", "//", "../x", "a/../../x", "/a/..", &out, &format!("{id}/{out}")] {
        bundle.set("/linux/cgroupsPath", json!(path))?;
        bundle.bundled(&["run"])?.refused("/linux/cgroupsPath")?;
        bundle.nothing_left()?;
    }
    same("names outside", fs::read_dir(&victim)?.count(), 0)?;
    for path in [format!("/{id}"), format!("//{id}/./b//"), format!("{id}/c")] {
        bundle.set("/linux/cgroupsPath", json!(path))?;
        bundle.bundled(&["run"])?.ok()?;
        let _ = fs::remove_dir(format!("/sys/fs/cgroup/{id}"));
    }
    bundle.clean()
}

/// Also the parents that had to be made for it.
fn refused_create() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let good = bundle.config.clone();
    let path = format!("/{0}/{0}-b/{0}-c", bundle.id);
    for (pointer, value) in [
        ("/process/args/0", json!("/no/such")),
        ("/process/cwd", json!("/bin/sh")),
        ("/mounts/0/type", json!("nosuch")),
        ("/process/user", json!({"uid": 4294967295u32, "gid": 0})),
        ("/linux/maskedPaths", json!(["/proc/self/fd/0/.."])),
    ] {
        bundle.set("/linux/cgroupsPath", json!(path))?;
        bundle.set(pointer, value)?;
        for command in ["create", "run"] {
            let done = bundle.bundled(&[command])?;
            ensure!(done.status == 1 || pointer.contains("masked"), "{pointer}: {done:?}");
            if done.status == 0 {
                bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
                let _ = fs::remove_dir(format!("/sys/fs/cgroup/{0}/{0}-b", bundle.id));
                let _ = fs::remove_dir(format!("/sys/fs/cgroup/{0}", bundle.id));
            }
            bundle.nothing_left().map_err(|f| format!("{command}: {pointer}: {}", f.message().unwrap_or("")))?;
        }
        bundle.config = good.clone();
    }
    bundle.clean()
}

/// config.json as something that blocks a reader, or never ends.
fn odd_config() -> Outcome {
    let bundle = Bundle::plain()?;
    let path = bundle.path("config.json");
    let here = bundle.path("").to_string_lossy().into_owned();
    let deep = format!("{}{}", "[".repeat(1 << 20), "]".repeat(1 << 20));
    for form in ["fifo", "zero", "huge", "link to itself", "deep", "list"] {
        let _ = fs::remove_file(&path);
        match form {
            "fifo" => mkfifo(&path, Mode::S_IRWXU)?,
            "zero" => symlink("/dev/zero", &path)?,
            "huge" => fs::File::create(&path)?.set_len(1 << 40)?,
            "deep" => fs::write(&path, &deep)?,
            "list" => fs::write(&path, format!("[0{}]", ",0".repeat(3 << 20)))?,
            _ => symlink("config.json", &path)?,
        }
        // One gigabyte of addresses is all that it gets.
        let inner = bundle.command(&["create", "--bundle", &here, &bundle.id])?;
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", "ulimit -v 1048576; exec \"$@\"", "sh"])
            .arg(inner.get_program())
            .args(inner.get_args())
            .current_dir("/");
        let done = bundle.finish(command)?.refused("config.json")?;
        ensure!(done.messages() == 1, "{form}: {done:?}");
        bundle.nothing_left()?;
    }
    bundle.clean()
}

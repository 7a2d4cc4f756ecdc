//! What a container is said to be: it comes from state.json, the start fifo and the process, and from nothing else.

use crate::bundle::{Bundle, Done, patiently, runtime, tool};
use crate::injection::none_wrong;
use crate::lifecycle::bring_to;
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

pub fn cases() -> Vec<Trial> {
    area(
        "states",
        &[
            ("of_a_running_one_do_not_hang_on_the_trace", running),
            ("of_a_created_one_do_not_hang_on_the_trace", created),
            ("of_an_unfinished_one_is_none", unfinished),
            ("delete_force_of_what_it_cannot_open_is_an_error", unopenable),
            ("delete_force_never_forgets_what_runs", delete_force_never_forgets),
            ("list_looks_no_further_than_it_shows", list_is_short),
            ("a_name_that_another_container_has_by_now", || renewed(true)),
            ("a_name_that_another_container_of_the_hosts_processes_has_by_now", || renewed(false)),
        ],
    )
}

/// What may become of a trace file.
const FORMS: [&str; 7] = ["gone", "empty", "short", "another version's", "zeros", "a link", "a directory"];

fn spoil(bundle: &Bundle, form: &str) -> Outcome {
    let path = bundle.state_root().join(&bundle.id).join("trace");
    let mut bytes = fs::read(&path)?;
    fs::remove_file(&path)?;
    match form {
        "gone" => {}
        "empty" => fs::write(&path, "")?,
        "short" => fs::write(&path, &bytes[..20])?,
        "another version's" => {
            bytes[0] ^= 0x55;
            fs::write(&path, &bytes)?;
        }
        "zeros" => fs::write(&path, vec![0; bytes.len()])?,
        "a link" => symlink("/proc/1/mem", &path)?,
        _ => fs::create_dir(&path)?,
    }
    Ok(())
}

fn running() -> Outcome {
    for form in FORMS {
        let bundle = Bundle::shell("sleep 1000")?;
        bring_to(&bundle, "running")?;
        spoil(&bundle, form)?;
        same(form, bundle.status()?, "running".into())?;
        bundle.call(&["delete", &bundle.id])?.refused("running")?;
        bundle.call(&["start", &bundle.id])?.refused("cannot start a container that is running")?;
        bundle.call(&["exec", &bundle.id, "true"])?.ok()?;
        bundle.call(&["kill", &bundle.id, "KILL"])?.ok()?;
        patiently("the end of the container", || Ok(bundle.status()? == "stopped"))?;
        bundle.call(&["delete", &bundle.id])?.ok()?;
        ensure!(!bundle.state_root().join(&bundle.id).exists(), "{form}");
        bundle.clean()?;
    }
    Ok(())
}

fn created() -> Outcome {
    for form in FORMS {
        let bundle = Bundle::shell("sleep 1000")?;
        bring_to(&bundle, "created")?;
        spoil(&bundle, form)?;
        same(form, bundle.status()?, "created".into())?;
        bundle.call(&["exec", &bundle.id, "true"])?.ok()?;
        bundle.call(&["delete", &bundle.id])?.ok()?;
        bundle.clean()?;
    }
    Ok(())
}

/// A directory without a document is no container yet, or none any more: for each command, as in runc.
fn unfinished() -> Outcome {
    let bundle = Bundle::plain()?;
    bundle.write_config()?;
    fs::create_dir_all(bundle.state_root().join(&bundle.id))?;
    let id = bundle.id.as_str();
    for words in [
        &["state", id][..],
        &["start", id],
        &["kill", id],
        &["delete", id],
        &["pause", id],
        &["resume", id],
        &["ps", id],
        &["update", "--pids-limit", "9", id],
        &["events", "--stats", id],
    ] {
        bundle.call(words)?.refused(&format!("container does not exist: {id}: "))?;
    }
    let exec = bundle.call(&["exec", id, "true"])?;
    ensure!(exec.status == 255 && exec.err.contains("container does not exist"), "{exec:?}");
    let list = bundle.call(&["list", "-q"])?.ok()?;
    same("list", list.out, String::new())?;
    bundle.bundled(&["create"])?.refused("container with given ID already exists")?;
    bundle.call(&["delete", "--force", id])?.ok()?;
    bundle.clean()
}

/// The container that `delete --force` could not find runs on, and one line says why.
fn kept(bundle: &Bundle, what: &str, done: &Done) -> Outcome {
    ensure!(done.status == 1 && done.messages() == 1, "{what}: {done:?}");
    same(what, bundle.status()?, "running".into())
}

fn unopenable() -> Outcome {
    let bundle = Bundle::shell("sleep 1000")?;
    bring_to(&bundle, "running")?;
    // The state root, the container's directory and its document need one each; the files of the process more.
    for files in 3..=5 {
        let mut command = Command::new("/bin/sh");
        let script = format!("ulimit -n {files}; exec \"$@\"");
        command.args(["-c", &script, "sh"]).arg(runtime());
        command.arg("--root").arg(bundle.state_root());
        command.args(["delete", "--force", &bundle.id]);
        let done = bundle.finish(command)?;
        kept(&bundle, &format!("ulimit -n {files}"), &done)?;
    }
    let (dir, aside) = (bundle.state_root().join(&bundle.id), bundle.state_root().join("aside"));
    fs::rename(&dir, &aside)?;
    symlink("aside", &dir)?;
    let done = bundle.call(&["delete", "--force", &bundle.id])?;
    fs::remove_file(&dir)?;
    fs::write(&dir, "")?;
    let file = bundle.call(&["delete", "--force", &bundle.id])?;
    fs::remove_file(&dir)?;
    fs::rename(&aside, &dir)?;
    kept(&bundle, "a link", &done)?;
    kept(&bundle, "a file", &file)?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

/// Each call of `delete --force` fails in several ways, one at a time: whatever it says, a container whose process
/// lives is still known, and what it calls done is done.
fn delete_force_never_forgets() -> Outcome {
    let mut wrong = Vec::new();
    let calls = calls_of_delete()?;
    ensure!(calls.len() > 15, "only {} calls", calls.len());
    for (call, when) in calls {
        for errno in ["EIO", "ENOMEM", "EACCES", "EMFILE"] {
            let bundle = limited()?;
            let option = format!("--inject={call}:error={errno}:when={when}");
            let (done, _) = delete(&bundle, Some(&option))?;
            let known = bundle.state_root().join(&bundle.id).exists();
            let left = bundle.nothing_left().err();
            if (done.status == 0 || !known) && left.is_some() {
                wrong.push(format!("{call} {when} {errno}: status {}, {left:?}", done.status));
            }
            if done.status != 0 && done.messages() != 1 && call != "write" {
                wrong.push(format!("{call} {when} {errno}: {done:?}"));
            }
            bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
            bundle.clean()?;
        }
    }
    none_wrong(&wrong)
}

/// A container is deleted while its `run` is held up, and another gets its name. That one is left alone when `run` goes on.
fn renewed(own_pids: bool) -> Outcome {
    let mut bundle = Bundle::shell("sleep 1000")?;
    if !own_pids {
        let all = bundle.config["linux"]["namespaces"].as_array().cloned().unwrap_or_default();
        let others: Vec<_> = all.into_iter().filter(|namespace| namespace["type"] != "pid").collect();
        bundle.set("/linux/namespaces", others.into())?;
    }
    bundle.write_config()?;
    let mut command = bundle.command(&["run", &bundle.id])?;
    command.arg("--bundle").arg(bundle.path(""));
    let run = bundle.start(command)?;
    let document = bundle.state_root().join(&bundle.id).join("state.json");
    patiently("the state", || Ok(document.exists()))?;
    bundle.until("running")?;
    let process = Pid::from_raw(i32::try_from(run.child.id())?);
    kill(process, Signal::SIGSTOP)?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.bundled(&["run", "--detach"])?.ok()?;
    kill(process, Signal::SIGCONT)?;
    let done = bundle.wait(run)?;
    same(&format!("{done:?}"), done.status, 137)?;
    same("the other container", bundle.status()?, "running".into())?;
    bundle.call(&["exec", &bundle.id, "true"])?.ok()?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

/// A container that runs in a cgroup of a name of its own.
fn limited() -> Result<Bundle, Failed> {
    let mut bundle = Bundle::shell("sleep 1000")?;
    let path = format!("/of-{}/inner", bundle.id);
    bundle.set("/linux/cgroupsPath", path.into())?;
    bring_to(&bundle, "running")?;
    Ok(bundle)
}

/// `delete --force` under strace.
fn delete(bundle: &Bundle, option: Option<&str>) -> Result<(Done, String), Failed> {
    traced(bundle, &["delete", "--force", &bundle.id], option)
}

fn traced(bundle: &Bundle, words: &[&str], option: Option<&str>) -> Result<(Done, String), Failed> {
    let listing = bundle.path("strace");
    let inner = bundle.command(words)?;
    let mut command = Command::new(tool("strace")?);
    command.args(["-a", "1", "--signal=none", "-o"]);
    command.arg(&listing).args(option);
    command.arg(inner.get_program()).args(inner.get_args());
    let done = bundle.finish(command)?;
    Ok((done, fs::read_to_string(&listing)?))
}

/// The calls of `delete --force` that can fail, each with how many of its name there were up to it.
fn calls_of_delete() -> Result<Vec<(String, usize)>, Failed> {
    let bundle = limited()?;
    let (done, text) = delete(&bundle, None)?;
    done.ok()?;
    bundle.clean()?;
    let mut all: Vec<(String, usize)> = Vec::new();
    for line in text.lines().skip(1) {
        let name = line.split('(').next().unwrap_or("");
        if matches!(name, "close" | "exit_group" | "getpid") || name.starts_with(['+', '-']) {
            continue;
        }
        let count = all.iter().filter(|(other, _)| other == name).count();
        all.push((name.into(), count + 1));
    }
    Ok(all)
}

/// What is the same for all containers is opened once, and `list -q` asks for nothing but names.
fn list_is_short() -> Outcome {
    let bundle = Bundle::shell("sleep 1000")?;
    bring_to(&bundle, "running")?;
    let words: [&[&str]; 2] = [&["list"], &["list", "-q"]];
    let calls =
        || -> Result<Vec<String>, Failed> { words.iter().map(|words| Ok(traced(&bundle, words, None)?.1)).collect() };
    let one = calls()?;
    let (here, second) = (bundle.path(""), format!("{}-second", bundle.id));
    bundle.call(&["create", "--bundle", &here.to_string_lossy(), &second])?.ok()?;
    let two = calls()?;
    let opened = |text: &str, path: &str| text.matches(&format!("openat(AT_FDCWD, {path:?}")).count();
    for path in ["/proc", "/sys/fs/cgroup"] {
        same(path, opened(&two[0], path), opened(&one[0], path))?;
        same(path, opened(&two[1], path), 0)?;
    }
    let more = |i: usize| two[i].lines().count() - one[i].lines().count();
    ensure!(more(0) <= 10 && more(1) <= 1, "one more container takes {} and {} calls", more(0), more(1));
    bundle.call(&["delete", "--force", &second])?.ok()?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

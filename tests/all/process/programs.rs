//! What users of runc and crun expect of a program and its surroundings: its environment, the lines that it writes, what `exec`
//! adds, and where its configuration may come from.

use crate::bundle::{Bundle, Done, runtime};
use crate::cgroup::{end, script, start};
use crate::exec::{box_of_sleep, exec};
use crate::users::{USER, as_user, of_user};
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs;
use std::process::Command;

pub fn cases() -> Vec<Trial> {
    area(
        "programs",
        &[
            ("of_a_name_twice_in_env_the_last_counts", twice),
            ("an_empty_home_is_none", empty_home),
            ("lines_into_a_pipe_end_in_lf", plain_lines),
            ("cap_is_ambient_where_it_is_inherited", ambient),
            ("exec_reads_a_pipe_of_the_callers", process_from_a_pipe),
            ("exec_reads_a_file_by_its_descriptor", process_from_a_file),
            ("config_from_a_pipe_of_the_callers", config_from_a_pipe),
            ("without_root_from_a_pipe", pipe_without_root),
        ],
    )
}

/// The environment that a program of the container's gets, an entry a line.
fn environment(bundle: &mut Bundle, env: Value) -> Result<String, Failed> {
    bundle.set("/process/args", json!(["cat", "/proc/self/environ"]))?;
    bundle.set("/process/env", env)?;
    let done = bundle.bundled(&["run"])?.ok()?;
    Ok(done.out.replace('\0', "\n"))
}

/// getenv(3) finds the first one.
fn twice() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let env = ["A=1", "PATH=/nowhere", "B=2", "A=3", "PATH=/bin", "C", "C=4", "A=5"];
    let seen = environment(&mut bundle, json!(env))?;
    let wanted = "B=2\nPATH=/bin\nC=4\nA=5\nHOME=/root\n";
    same("environment", seen.as_str(), wanted)?;
    bundle.clean()
}

/// Docker relies on it.
fn empty_home() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let path = "PATH=/bin";
    for (env, wanted) in [
        (json!(["HOME=", path]), "PATH=/bin\nHOME=/root\n"),
        (json!(["HOME=/x", path, "HOME="]), "PATH=/bin\nHOME=/root\n"),
        (json!(["HOME=", path, "HOME=/x"]), "PATH=/bin\nHOME=/x\n"),
    ] {
        let seen = environment(&mut bundle, env)?;
        same("environment", seen.as_str(), wanted)?;
    }
    bundle.set("/process/args", json!(["sleep", "1000"]))?;
    start(&bundle)?;
    let done = exec(&bundle, &["--env", "HOME="], &["sh", "-c", "echo $HOME"])?.ok()?;
    same("HOME of exec", done.out.as_str(), "/root\n")?;
    end(bundle)
}

/// A terminal's screen needs the CR before it, a file does not.
fn plain_lines() -> Outcome {
    let mut bundle = script("echo one; echo two; [ -t 1 ] && echo terminal")?;
    bundle.set("/process/terminal", json!(true))?;
    let done = bundle.bundled(&["run"])?.ok()?;
    same("run", done.out.as_str(), "one\ntwo\nterminal\n")?;
    bundle.set("/process/terminal", json!(false))?;
    bundle.set("/process/args/2", json!("sleep 1000"))?;
    start(&bundle)?;
    let words = ["sh", "-c", "echo one; echo two; [ -t 1 ] && echo terminal"];
    let done = exec(&bundle, &["--tty"], &words)?.ok()?;
    same("exec", done.out.as_str(), "one\ntwo\nterminal\n")?;
    end(bundle)
}

/// The sets of a process, as its kernel tells them.
fn sets(done: &Done) -> Result<[u64; 2], Failed> {
    let set = |name: &str| {
        let line = done.out.lines().find_map(|line| line.strip_prefix(name));
        let text = line.ok_or_else(|| format!("{name} is missing: {done:?}"))?;
        Ok::<u64, Failed>(u64::from_str_radix(text.trim(), 16)?)
    };
    Ok([set("CapInh:")?, set("CapAmb:")?])
}

fn ambient() -> Outcome {
    const KILL: u64 = 1 << 5;
    const NET_ADMIN: u64 = 1 << 12;
    let mut bundle = box_of_sleep()?;
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}))?;
    let both = json!(["CAP_KILL", "CAP_NET_ADMIN"]);
    bundle.set("/process/capabilities", json!({"bounding": both}))?;
    let words = ["--cap", "CAP_NET_ADMIN", "--cap", "CAP_KILL"];
    let status = ["cat", "/proc/self/status"];
    for (inheritable, wanted) in
        [(json!(["CAP_KILL", "CAP_NET_ADMIN"]), KILL | NET_ADMIN), (json!(["CAP_KILL"]), KILL), (json!([]), 0)]
    {
        let before = inheritable.clone();
        bundle.set("/process/capabilities/inheritable", inheritable)?;
        start(&bundle)?;
        let [inherited, ambient] = sets(&exec(&bundle, &words, &status)?.ok()?)?;
        same(&format!("ambient, of {before}"), ambient, wanted)?;
        same("inheritable", inherited, wanted)?;
        bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    }
    bundle.clean()
}

/// A shell's words with a redirection that lends a descriptor.
fn by_shell(bundle: &Bundle, line: &str) -> Result<Done, Failed> {
    let mut command = Command::new("/bin/bash");
    command.args(["-c", line]).current_dir(bundle.path(""));
    command.env("NK", runtime()).env("ID", &bundle.id);
    command.env("ROOT", bundle.state_root());
    bundle.finish(command)
}

fn process_file(bundle: &Bundle) -> Outcome {
    let process = json!({"args": ["echo", "from the file"], "cwd": "/", "env": ["PATH=/bin"]});
    // Longer than a pipe gives at once.
    let text = format!("{process}{}", " ".repeat(100_000));
    Ok(fs::write(bundle.path("process.json"), text)?)
}

fn process_from_a_pipe() -> Outcome {
    let bundle = box_of_sleep()?;
    process_file(&bundle)?;
    start(&bundle)?;
    for path in [
        "<(cat process.json)",
        "/dev/fd/7 7< <(cat process.json)",
        "/proc/self/fd/9 9< <(cat process.json)",
        "/dev/stdin < <(cat process.json)",
    ] {
        let line = format!("\"$NK\" --root \"$ROOT\" exec --process {path} \"$ID\"");
        let done = by_shell(&bundle, &line)?.ok()?;
        same(path, done.out.as_str(), "from the file\n")?;
    }
    // What is read is not handed on.
    fs::write(
        bundle.path("process.json"),
        json!({"args": ["ls", "/proc/self/fd"], "cwd": "/", "env": ["PATH=/bin"]}).to_string(),
    )?;
    let line = "\"$NK\" --root \"$ROOT\" exec --process /dev/fd/9 \"$ID\" 9< <(cat process.json)";
    let done = by_shell(&bundle, line)?.ok()?;
    ensure!(!done.out.lines().any(|fd| fd == "9"), "{done:?}");
    let line = "\"$NK\" --root \"$ROOT\" exec --process /dev/fd/77 \"$ID\"";
    let done = by_shell(&bundle, line)?;
    ensure!(done.status == 255 && done.err.contains("read /dev/fd/77") && done.err.contains("EBADF"), "{done:?}");
    end(bundle)
}

/// A file is read from its beginning, wherever its writer has left off.
fn process_from_a_file() -> Outcome {
    let bundle = box_of_sleep()?;
    process_file(&bundle)?;
    start(&bundle)?;
    let line =
        "exec 8<process.json; read -r -n 10 <&8; \"$NK\" --root \"$ROOT\" exec --process /proc/self/fd/8 \"$ID\"";
    let done = by_shell(&bundle, line)?.ok()?;
    same("shown", done.out.as_str(), "from the file\n")?;
    end(bundle)
}

/// The runtime may execute itself again before the container is made: the pipe is read once.
fn config_from_a_pipe() -> Outcome {
    let mut bundle = script("echo here")?;
    let hooks = json!({"startContainer": [{"path": "/bin/true"}]});
    for hooks in [json!({}), hooks] {
        bundle.set("/hooks", hooks)?;
        fs::write(bundle.path("other.json"), bundle.config.to_string())?;
        let line = "\"$NK\" --root \"$ROOT\" run --config <(cat other.json) --bundle \"$PWD\" \"$ID\"";
        let done = by_shell(&bundle, line)?.ok()?;
        same("shown", done.out.as_str(), "here\n")?;
    }
    bundle.clean()
}

/// The kernel gives root the links of a process that nobody may look into.
fn pipe_without_root() -> Outcome {
    let bundle = of_user(script("sleep 1000")?)?;
    process_file(&bundle)?;
    let here = bundle.path("").to_string_lossy().into_owned();
    as_user(&bundle, &["run", "--detach", "--bundle", &here, &bundle.id])?.ok()?;
    let id = USER.to_string();
    let line = format!(
        "setpriv --reuid {id} --regid {id} --clear-groups -- ./nk-runtime --root \"$ROOT\" exec --process <(cat process.json) \"$ID\""
    );
    let done = by_shell(&bundle, &line)?.ok()?;
    same("shown", done.out.as_str(), "from the file\n")?;
    as_user(&bundle, &["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

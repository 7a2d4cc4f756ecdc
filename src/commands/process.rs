//! What `exec` runs: the container's configuration, with another process in place of its own; and which file or option
//! each part comes from, for messages. May touch: everything below.

use super::bundle;
use crate::cli;
use crate::outcome::Error;
use crate::say::error::Said;
use crate::spec::{self, Problem, Spec, Value};
use syscalls::{At, Why};

/// The path of the shell in every image that has one.
const SHELL: &str = "/bin/sh";

/// What the process does not take over from the container's first one. All else confines it.
const OWN: [&str; 6] = ["args", "commandLine", "consoleSize", "cwd", "env", "terminal"];

/// The configuration with the process that the options ask for, and where its parts come from. `text` is the container's
/// configuration, `file` its name.
pub fn wanted(mut text: Vec<u8>, file: String, options: &cli::Exec) -> Result<(Box<Spec<'static>>, Said), Error> {
    let mut said = Said::by(file);
    // The rest of the configuration stays as it is written.
    let old = core::str::from_utf8(&text).ok().and_then(|text| spec::property(text, "process")).unwrap_or("null");
    let mut process: Value =
        serde_json::from_slice(old.as_bytes()).map_err(|error| Error::State(format!("{}: {error}", said.file)))?;
    match &options.process {
        Some(path) => {
            let text = bundle::read_config(path).map_err(|error| error.placed("--process"))?;
            let unread = |problem: serde_json::Error| Problem { pointer: String::new(), problem: problem.to_string() };
            let new: Value = serde_json::from_slice(&text)
                .map_err(|problem| Error::Spec { file: path.clone(), problem: unread(problem) })?;
            process = replace(&process, new, path, &mut said);
            if options.tty && process.is_object() {
                process["terminal"] = Value::Bool(true);
            }
        }
        // `parse` refuses any other kind of value.
        None if process.is_object() => alter(&mut process, options, &mut said),
        None => {}
    }
    let process = serde_json::to_vec(&process).unwrap_or_default();
    let begin = (old.as_ptr() as usize).wrapping_sub(text.as_ptr() as usize);
    let (len, old_len) = (text.len(), old.len());
    let end = begin.wrapping_add(old_len);
    // If it has no process, `parse` says so.
    if text.get(begin..end).is_some() {
        // In place: the text can be long.
        text.resize(len + process.len().saturating_sub(old_len), 0);
        text.copy_within(end..len, begin + process.len());
        text[begin..begin + process.len()].copy_from_slice(&process);
        text.truncate(len - old_len + process.len());
    }
    // Strings of the spec are parts of this text, and live as long as the process.
    let text = text.leak();
    let spec = spec::parse(text).map_err(|problem| said.refused(problem))?;
    Ok((spec, said))
}

/// `--process`: what confines the container's first process confines this one, too, where the file leaves it out.
fn replace(old: &Value, mut process: Value, path: &str, said: &mut Said) -> Value {
    said.file("/process", path);
    if let (Value::Object(new), Value::Object(old)) = (&mut process, old) {
        for (key, value) in old {
            let absent = match new.get(key) {
                // Empty sets of capabilities are not left out: they give the process none.
                Some(Value::Object(sets)) => sets.is_empty() && key != "capabilities",
                Some(Value::Array(list)) => list.is_empty(),
                Some(Value::String(text)) => text.is_empty(),
                value => value.is_none_or(Value::is_null),
            };
            if absent && !OWN.contains(&key.as_str()) {
                new.insert(key.clone(), value.clone());
                said.stays(format!("/process/{key}"));
            }
        }
    }
    process
}

/// Whether this is a call for a shell, by a person at a terminal.
fn shell_at_a_terminal(options: &cli::Exec) -> bool {
    let shell = options.exec.is_none() && options.program.is_empty() && !options.detach;
    let why = Why("a shell without a terminal prints no prompt");
    shell && syscalls::isatty(At::STDIN, why)
}

/// The process of config.json, as the command's options alter it.
fn alter(process: &mut Value, options: &cli::Exec, said: &mut Said) {
    process["terminal"] = Value::Bool(options.tty || shell_at_a_terminal(options));
    let texts = |texts: &[String]| texts.iter().cloned().map(Value::String).collect::<Vec<_>>();
    process["args"] = Value::Array(match (&options.exec, &options.program[..]) {
        (Some(line), _) => texts(&[SHELL.into(), "-c".into(), line.clone()]),
        (None, []) => texts(&[SHELL.into()]),
        (None, program) => texts(program),
    });
    let words = if options.exec.is_some() { "--exec" } else { "the command line" };
    said.option("/process/args", words);
    let named = [
        ("cwd", "--cwd", &options.cwd),
        ("apparmorProfile", "--apparmor", &options.apparmor),
        ("selinuxLabel", "--process-label", &options.process_label),
    ];
    for (key, option, value) in named {
        // An empty one would ask for less confinement than the container's (runc passes it over, too).
        if let Some(value) = value
            && (key == "cwd" || !value.is_empty())
        {
            process[key] = Value::String(value.clone());
            said.option(format!("/process/{key}"), option);
        }
    }
    if options.no_new_privs {
        process["noNewPrivileges"] = Value::Bool(true);
        said.option("/process/noNewPrivileges", "--no-new-privs");
    }
    if let Some((uid, gid)) = options.user {
        let user = object(&mut process["user"]);
        user.insert("uid".into(), uid.into());
        said.option("/process/user/uid", "--user");
        if let Some(gid) = gid {
            user.insert("gid".into(), gid.into());
            said.option("/process/user/gid", "--user");
        }
    }
    if !options.additional_gids.is_empty() {
        let gids = options.additional_gids.iter().map(|gid| Value::from(*gid));
        let user = object(&mut process["user"]);
        let all = list(user.entry("additionalGids").or_insert(Value::Null));
        add(all, gids, "/process/user/additionalGids", "--additional-gids", said);
    }
    environment(process, options, said);
    if !options.cap.is_empty() {
        capabilities(object(&mut process["capabilities"]), &options.cap, said);
    }
}

/// `--cap`, as runc does since 1.2. What is in the container's inheritable set becomes ambient too, so that a user other than
/// root has it; nothing else can be ambient (capabilities(7)). The inheritable set itself stays (CVE-2022-29162).
fn capabilities(sets: &mut serde_json::Map<String, Value>, wanted: &[String], said: &mut Said) {
    let text = |cap: &String| Value::String(cap.clone());
    let inherited = sets.get("inheritable").and_then(Value::as_array);
    let heritable = |cap: &&String| inherited.is_some_and(|all| all.contains(&text(cap)));
    let ambient: Vec<Value> = wanted.iter().filter(heritable).map(text).collect();
    let all: Vec<Value> = wanted.iter().map(text).collect();
    for (set, more) in [("bounding", &all), ("effective", &all), ("permitted", &all), ("ambient", &ambient)] {
        let known = list(sets.entry(set).or_insert(Value::Null));
        let at = format!("/process/capabilities/{set}");
        add(known, more.iter().cloned(), &at, "--cap", said);
    }
}

/// `--env`: a name that is there already gets another value.
fn environment(process: &mut Value, options: &cli::Exec, said: &mut Said) {
    if options.env.is_empty() {
        return;
    }
    let env = list(&mut process["env"]);
    for entry in &options.env {
        let name = entry.split('=').next().unwrap_or("");
        let same = |old: &Value| {
            let old = old.as_str().and_then(|old| old.split_once('='));
            old.is_some_and(|(old, _)| old == name)
        };
        env.retain(|old| !same(old));
        env.push(Value::String(entry.clone()));
    }
    let first = env.len().saturating_sub(options.env.len());
    for i in first..env.len() {
        said.option(format!("/process/env/{i}"), "--env");
    }
}

/// Adds an option's values to a list.
fn add(list: &mut Vec<Value>, more: impl Iterator<Item = Value>, at: &str, option: &str, said: &mut Said) {
    for value in more {
        said.option(format!("{at}/{}", list.len()), option);
        list.push(value);
    }
}

/// The value as an array that values can be added to. Any other value becomes an empty one.
fn list(value: &mut Value) -> &mut Vec<Value> {
    if !value.is_array() {
        *value = Value::Array(Vec::new());
    }
    match value {
        Value::Array(list) => list,
        _ => unreachable!("it was made an array"),
    }
}

/// The value as an object, in the same way.
fn object(value: &mut Value) -> &mut serde_json::Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Default::default());
    }
    match value {
        Value::Object(object) => object,
        _ => unreachable!("it was made an object"),
    }
}

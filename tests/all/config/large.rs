//! A config.json of many MiB: it works, takes little more memory than its length, and has a limit that is named.

use crate::bundle::{Bundle, Done, runtime, tool};
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs;
use std::process::Command;

pub fn cases() -> Vec<Trial> {
    area(
        "large",
        &[
            ("ten_mib_of_everything", everything),
            ("the_limit_and_one_byte_more", limit),
            ("annotations_take_their_length_and_a_half", memory),
            ("annotations_are_what_config_json_has", annotations),
            ("a_document_that_a_person_has_edited", edited),
            ("hooks_get_long_annotations", hooks),
        ],
    )
}

/// Writes config.json with so many bytes: blanks after its first brace fill it up.
fn fill(bundle: &Bundle, length: usize) -> Outcome {
    let text = bundle.config.to_string();
    let blanks = " ".repeat(length - text.len());
    fs::write(bundle.path("config.json"), format!("{{{blanks}{}", &text[1..]))?;
    Ok(())
}

fn run(bundle: &Bundle, more: &[&str]) -> Result<Done, Failed> {
    let here = bundle.path("").to_string_lossy().into_owned();
    let command = bundle.command(&[&["run", "--bundle", &here], more, &[&bundle.id]].concat())?;
    bundle.finish(command)
}

fn many(count: usize, text: impl Fn(usize) -> String) -> Vec<Value> {
    (0..count).map(|i| json!(text(i))).collect()
}

fn everything() -> Outcome {
    let mut bundle = Bundle::shell("echo $LAST; ls /tmp/m199/there; grep -c /tmp/m /proc/self/mounts")?;
    let mut env = many(9_000, |i| format!("NAME_{i}={}", "v".repeat(100)));
    env.extend([json!("PATH=/bin"), json!("LAST=last")]);
    bundle.set("/process/env", json!(env))?;
    for i in 0..200 {
        let destination = format!("/tmp/m{i}");
        let options = ["rbind", "ro"];
        bundle.set("/mounts/-", json!({"destination": destination, "source": "rootfs/etc", "options": options}))?;
    }
    let notes: serde_json::Map<String, Value> =
        (0..60_000).map(|i| (format!("name.{i}"), json!("a \"note\"\n".repeat(8)))).collect();
    bundle.set("/annotations", Value::Object(notes))?;
    bundle.set("/unknown", json!(many(20_000, |i| format!("{i} {}", "x".repeat(50)))))?;
    bundle.set("/root/readonly", json!(false))?;
    fs::write(bundle.rootfs("etc/there"), "")?;
    fill(&bundle, 10 << 20)?;
    let done = run(&bundle, &[])?.ok()?;
    same("what the program says", done.out.as_str(), "last\n/tmp/m199/there\n200\n")?;
    bundle.clean()
}

fn limit() -> Outcome {
    const LONGEST: usize = 64 << 20;
    let bundle = Bundle::shell("echo it runs")?;
    let file = bundle.path("config.json").to_string_lossy().into_owned();
    fill(&bundle, LONGEST)?;
    for more in [&[][..], &["--config", &file]] {
        same("the program", run(&bundle, more)?.ok()?.out.as_str(), "it runs\n")?;
    }
    fill(&bundle, LONGEST + 1)?;
    for more in [&[][..], &["--config", &file]] {
        let done = run(&bundle, more)?.refused("config.json: longer than 64 MiB")?;
        same("lines", done.messages(), 1)?;
    }
    let mut piped = Command::new("/bin/sh");
    piped.args(["-c", "cat \"$0\" | \"$@\"", &file]).arg(runtime());
    piped.arg("--root").arg(bundle.state_root()).args(["run", "--config", "/dev/stdin", "--bundle"]);
    piped.arg(bundle.path("")).arg(&bundle.id);
    bundle.finish(piped)?.refused("/dev/stdin: longer than 64 MiB")?;
    bundle.nothing_left()?;
    bundle.clean()
}

/// Annotations of 16 MiB: one, with escapes; and many.
fn long() -> [Value; 2] {
    let one = json!({"one": "{\"a\": \"b\",\n".repeat(1_100_000)});
    let many: serde_json::Map<String, Value> =
        (0..160_000).map(|i| (format!("name.{i:06}"), json!("v".repeat(85)))).collect();
    [one, Value::Object(many)]
}

/// Each command gets so many addresses and no more. To have each annotation twice would take more.
fn memory() -> Outcome {
    for notes in long() {
        let mut bundle = Bundle::shell("exec sleep 1000")?;
        bundle.set("/annotations", notes)?;
        bundle.write_config()?;
        let length = fs::metadata(bundle.path("config.json"))?.len();
        ensure!(length > 15 << 20, "config.json has {length} bytes");
        // The program itself takes up to eight MiB in a quick build.
        let limit = format!("--as={}", length * 3 / 2 + (10 << 20));
        let here = bundle.path("").to_string_lossy().into_owned();
        let id = bundle.id.as_str();
        for words in [
            &["create", "--bundle", &here, id][..],
            &["state", id],
            &["list"],
            &["start", id],
            &["exec", id, "true"],
            &["events", "--stats", id],
            &["ps", id],
            &["list", "--format", "json"],
            &["pause", id],
            &["resume", id],
            &["kill", id, "KILL"],
            &["delete", "--force", id],
        ] {
            let mut command = Command::new(tool("prlimit")?);
            command.arg(&limit).arg("--").arg(runtime()).arg("--root").arg(bundle.state_root()).args(words);
            bundle.finish(command)?.ok().map_err(|failed| format!("{words:?} {limit}: {failed:?}"))?;
        }
        bundle.clean()?;
    }
    Ok(())
}

/// As runc prints them: in the order of their names, and of two with one name the last.
fn annotations() -> Outcome {
    let bundle = Bundle::shell("exec sleep 1000")?;
    let cases = [
        ("{}", "null"),
        ("null", "null"),
        ("{ }", "null"),
        (r#"{"b":"1","a":"\u00e4\/\"{,:","c":""}"#, r#"{"a":"ä/\"{,:","b":"1","c":""}"#),
        (r#"{"a":"1","a":"2", "\u0061":"3"}"#, r#"{"a":"3"}"#),
        ("{\n \"x\" :\t\"\\ud83d\\ude00\" ,\n \"w\": \"}\" }", r#"{"w":"}","x":"😀"}"#),
    ];
    let text = bundle.config.to_string();
    for (given, wanted) in cases {
        fs::write(bundle.path("config.json"), format!("{{\"annotations\": {given} ,{}", &text[1..]))?;
        let here = bundle.path("").to_string_lossy().into_owned();
        bundle.finish(bundle.command(&["create", "--bundle", &here, &bundle.id])?)?.ok()?;
        let wanted: Value = serde_json::from_str(wanted)?;
        same(given, &bundle.state()?["annotations"], &wanted)?;
        bundle.call(&["start", &bundle.id])?.ok()?;
        same(given, &bundle.state()?["annotations"], &wanted)?;
        bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    }
    for (given, problem) in [
        (r#"{"a":"\ud83d"}"#, "/annotations/a: holds half of a pair of UTF-16"),
        (r#"{"a":"\ude00\ud83d"}"#, "/annotations/a: holds half of a pair of UTF-16"),
        (r#"{"\ud83d":"a"}"#, "line 1 column"),
        (r#"{"a":[]}"#, "/annotations/a: is a list, must be a string"),
        (r#"{"a":"b","c":null}"#, "/annotations/c: is null, must be a string"),
        ("[]", "/annotations: is a list, must be an object"),
        ("7", "/annotations: is a number, must be an object"),
        ("\"{}\"", "/annotations: is a string, must be an object"),
        (r#"{"a":"b",}"#, "line 1 column"),
    ] {
        fs::write(bundle.path("config.json"), format!("{{\"annotations\": {given} ,{}", &text[1..]))?;
        run(&bundle, &[])?.refused(problem)?;
    }
    bundle.clean()
}

/// The places of the annotations in it are not those that `create` wrote down.
fn edited() -> Outcome {
    let mut bundle = Bundle::shell("exec sleep 1000")?;
    bundle.set("/annotations", json!({"a": "b", "long": "x".repeat(100_000)}))?;
    bundle.bundled(&["create"])?.ok()?;
    let wanted = bundle.state()?;
    same("annotations", &wanted["annotations"], &bundle.config["annotations"])?;
    let path = bundle.state_root().join(&bundle.id).join("state.json");
    let text = fs::read_to_string(&path)?;
    let saved: Value = serde_json::from_str(&text)?;
    for edited in [text.replacen(",\"configuration\":{", ",\"configuration\":{   ", 1), saved.to_string()] {
        ensure!(edited != text, "nothing was edited");
        fs::write(&path, edited)?;
        same("state", bundle.state()?, wanted.clone())?;
    }
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

fn hooks() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let notes = json!({"a": "b \"c\"\n", "long": "x\\".repeat(200_000)});
    bundle.set("/annotations", notes.clone())?;
    let busybox = tool("busybox")?.to_string_lossy().into_owned();
    bundle.set("/hooks", json!({}))?;
    for kind in ["prestart", "createRuntime", "poststart", "poststop"] {
        let to = bundle.path(&format!("{kind}.json"));
        let script = format!("cat > {}", to.display());
        bundle.set(&format!("/hooks/{kind}"), json!([{"path": busybox, "args": ["sh", "-c", script]}]))?;
    }
    // A hook of `create` can ask for the state, which has another name then.
    let state = format!("{} --root {} state {}", runtime().display(), bundle.state_root().display(), bundle.id);
    let script = format!("{state} > {}", bundle.path("asked.json").display());
    bundle.set("/hooks/createRuntime/-", json!({"path": busybox, "args": ["sh", "-c", script]}))?;
    bundle.bundled(&["run"])?.ok()?;
    for kind in ["prestart", "createRuntime", "poststart", "poststop", "asked"] {
        let path = bundle.path(&format!("{kind}.json"));
        let state: Value = serde_json::from_str(&fs::read_to_string(path)?)?;
        same(kind, &state["annotations"], &notes)?;
    }
    bundle.remove("/hooks/poststart")?;
    bundle.remove("/hooks/poststop")?;
    bundle.bundled(&["run"])?.ok()?;
    let state: Value = serde_json::from_str(&fs::read_to_string(bundle.path("asked.json"))?)?;
    same("asked", &state["annotations"], &notes)?;
    bundle.clean()
}

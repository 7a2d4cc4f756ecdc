//! Fuzzing by structure: real configurations, state files and traces are changed by chance, and the built program reads
//! them. Whatever they say: no signal death, no hang over 5 s, no more than 64 MiB. The suite takes a minute for it;
//! `NK_FUZZ_SECONDS=1800` takes half an hour, `NK_SEED=N` makes the same choices again. tests/fuzz has targets for the
//! parsers alone, which need a nightly compiler.

use crate::bundle::{Bundle, runtime, tool};
use crate::cgroup::{script, start};
use crate::lifecycle::random_ends::{Chance, number};
use crate::{Failed, Outcome, area, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Trial> {
    area(
        "fuzz",
        &[
            ("configurations", configurations),
            ("configurations_that_run", runs),
            ("state_files", states),
            ("trace_files", traces),
        ],
    )
}

/// Seconds of the suite's for all cases together.
const SECONDS: u64 = 60;

/// Tries until this part of the time is over. On failure the seed and the input are named.
fn hunt(part: u64, mut one: impl FnMut(&mut Chance) -> Result<(), (Failed, Vec<u8>)>) -> Outcome {
    let (mut chance, seed) = Chance::new();
    let seconds = number("NK_FUZZ_SECONDS").unwrap_or(SECONDS) * part / 100;
    let end = Instant::now() + Duration::from_secs(seconds.max(1));
    let mut tries = 0u64;
    while Instant::now() < end {
        tries += 1;
        if let Err((failed, input)) = one(&mut chance) {
            let kept = std::env::temp_dir().join(format!("nk-fuzz-{seed}-{tries}"));
            fs::write(&kept, input)?;
            return Err(format!(
                "NK_SEED={seed}, try {tries}, input {}: {}",
                kept.display(),
                failed.message().unwrap_or("")
            )
            .into());
        }
    }
    ensure!(tries > 10, "only {tries} tries in {seconds} s");
    Ok(())
}

/// Runs the program with little memory and little time, in namespaces where what a configuration forgets is not the host's.
fn survives(bundle: &Bundle, words: &[&str]) -> Outcome {
    let mut command = Command::new(tool("timeout")?);
    command.args(["-s", "KILL", "5"]);
    command.arg(tool("prlimit")?).arg("--as=67108864");
    command.arg(tool("unshare")?).args(["-m", "-u", "-i", "-n"]);
    command.arg(runtime()).arg("--root").arg(bundle.state_root());
    command.args(words).current_dir("/");
    command.stdin(std::process::Stdio::null());
    let done = bundle.finish(command)?;
    let short: String = done.err.chars().take(600).collect();
    ensure!(done.status >= 0 && !matches!(done.status, 137 | 121), "{words:?}: status {}: {short}", done.status);
    let fault = ["a fault of its own", "memory allocation"];
    ensure!(!fault.iter().any(|word| done.err.contains(word)), "{words:?}: {short}");
    Ok(())
}

fn configurations() -> Outcome {
    let bundle = Bundle::plain()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let real: Vec<Value> =
        crate::real::REAL.iter().map(|(_, text)| serde_json::from_str(text)).collect::<Result<_, _>>()?;
    hunt(30, |chance| {
        let mut document = chance.of(&real).clone();
        let text = changed(&mut document, chance);
        let tried = fs::write(bundle.path("config.json"), &text)
            .map_err(Failed::from)
            .and_then(|()| survives(&bundle, &["plan", "--bundle", &here]));
        tried.map_err(|failed| (failed, text))
    })?;
    bundle.clean()
}

/// The default configuration alone: it names nothing of the host's.
fn runs() -> Outcome {
    let bundle = Bundle::plain()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    hunt(30, |chance| {
        let mut document = bundle.config.clone();
        let text = changed(&mut document, chance);
        let tried = fs::write(bundle.path("config.json"), &text)
            .map_err(Failed::from)
            .and_then(|()| survives(&bundle, &["run", "--bundle", &here, &bundle.id]))
            .and_then(|()| bundle.nothing_left());
        tried.map_err(|failed| (failed, text))
    })?;
    bundle.clean()
}

fn states() -> Outcome {
    let bundle = script("sleep 1000")?;
    let id = bundle.id.as_str();
    let place = bundle.state_root().join(id).join("state.json");
    let commands: &[&[&str]] = &[
        &["state", id],
        &["list"],
        &["ps", id],
        &["events", "--stats", id],
        &["exec", id, "true"],
        &["start", id],
        &["delete", id],
        &["delete", "--force", id],
    ];
    hunt(25, |chance| {
        let mut text = Vec::new();
        let tried = (|| {
            if !place.exists() {
                bundle.call(&["delete", "--force", id])?;
                start(&bundle)?;
            }
            let was = fs::read(&place)?;
            let mut document: Value = serde_json::from_slice(&was)?;
            let pid = document["pid"].clone();
            text = changed(&mut document, chance);
            if others_process(&document, &pid) {
                return Ok(());
            }
            fs::write(&place, &text)?;
            survives(&bundle, chance.of::<&[&str]>(commands))?;
            if place.exists() {
                fs::write(&place, &was)?;
            } else {
                // Its process is on no record any more: what says nothing of it cannot end it.
                _ = nix::sys::signal::kill(
                    nix::unistd::Pid::from_raw(pid.as_i64().unwrap_or(0) as i32),
                    nix::sys::signal::SIGKILL,
                );
                let _ = fs::remove_dir_all(bundle.state_root().join(id));
                crate::bundle::patiently("the end of the container's process", || {
                    Ok(crate::host::processes(id).is_empty())
                })?;
            }
            Ok(())
        })();
        tried.map_err(|failed| (failed, text))
    })?;
    bundle.call(&["delete", "--force", id])?.ok()?;
    Ok(())
}

/// A process of the machine's that the document could mean: none that a test may try to end.
fn others_process(document: &Value, own: &Value) -> bool {
    let pid = document.get("pid");
    let number = pid.and_then(Value::as_i64).unwrap_or(0);
    pid != Some(own) && (1..=i64::from(i32::MAX) - 1).contains(&number)
}

fn traces() -> Outcome {
    let bundle = script("sleep 1000")?;
    start(&bundle)?;
    let id = bundle.id.as_str();
    let place = bundle.state_root().join(id).join("trace");
    let new = bundle.path("trace");
    let whole = fs::read(&place)?;
    let commands: &[&[&str]] = &[
        &["trace", id],
        &["trace", "--format", "json", id],
        &["trace", "--format", "strace", id],
        &["state", id],
        &["exec", id, "true"],
        &["kill", id, "WINCH"],
    ];
    let used = whole.iter().rposition(|byte| *byte != 0).unwrap_or(0) + 1;
    hunt(15, |chance| {
        let mut bytes = whole.clone();
        for _ in 0..=chance.below(8) {
            let most = *chance.of(&[512, used]);
            let at = chance.below(most) & !3;
            let value = *chance.of(&[0u32, 1, 2, 0x7fff_ffff, u32::MAX, 64, used as u32]);
            let value = if chance.below(3) == 0 { chance.below(used) as u32 } else { value };
            if let Some(word) = bytes.get_mut(at..at + 4) {
                word.copy_from_slice(&value.to_ne_bytes());
            }
        }
        if chance.below(5) == 0 {
            bytes.truncate(chance.below(used));
        }
        // Another file in its place: the one that is mapped stays as it is.
        let tried = fs::write(&new, &bytes)
            .and_then(|()| fs::rename(&new, &place))
            .map_err(Failed::from)
            .and_then(|()| survives(&bundle, chance.of::<&[&str]>(commands)));
        tried.map_err(|failed| (failed, bytes))
    })?;
    crate::cgroup::end(bundle)
}

/// Changes a document in one to four places, and its text perhaps in one more.
fn changed(document: &mut Value, chance: &mut Chance) -> Vec<u8> {
    for _ in 0..=chance.below(4) {
        let mut places = Vec::new();
        pointers(document, String::new(), &mut places);
        let place = chance.of(&places).clone();
        if let Some(node) = document.pointer_mut(&place) {
            change(node, chance);
        }
    }
    let mut text = document.to_string();
    let at = chance.below(text.len());
    match chance.below(12) {
        // A key twice.
        0 => {
            if let Some(key) = text[ceil(&text, at)..].split('"').nth(1).map(String::from) {
                let twice = format!("\"{key}\":null,\"{key}\":");
                text = text.replacen(&format!("\"{key}\":"), &twice, 1);
            }
        }
        1 => text.truncate(ceil(&text, at)),
        2 => text.insert_str(ceil(&text, at), chance.of::<&str>(&["\"", "}", "]", ",", "\0", "\\u0000", "1e999", "{"])),
        _ => {}
    }
    text.into_bytes()
}

fn ceil(text: &str, at: usize) -> usize {
    (at..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// JSON pointers of all that is in a document, itself left out.
fn pointers(node: &Value, at: String, all: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match node {
        Value::Object(map) => map.iter().map(|(key, value)| (escaped(key), value)).collect(),
        Value::Array(list) => list.iter().enumerate().map(|(i, value)| (i.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    for (key, value) in children {
        let here = format!("{at}/{key}");
        all.push(here.clone());
        pointers(value, here, all);
    }
    if all.is_empty() {
        all.push(at);
    }
}

fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn change(node: &mut Value, chance: &mut Chance) {
    let old = node.take();
    *node = match chance.below(12) {
        0 => Value::Null,
        1 => json!(chance.below(2) == 0),
        2 => chance
            .of(&[
                json!(0),
                json!(-1),
                json!(1),
                json!(i32::MAX),
                json!(u32::MAX),
                json!(i64::MIN),
                json!(i64::MAX),
                json!(u64::MAX),
                json!(1e308),
                json!(0.5),
            ])
            .clone(),
        3 => chance
            .of(&[
                json!(""),
                json!("\0"),
                json!("/"),
                json!(".."),
                json!("/../.."),
                json!("a/b"),
                json!("\u{202e}\u{1b}[2J"),
                json!("%s%n"),
                json!("-1"),
                json!("/proc/self/fd/3"),
            ])
            .clone(),
        4 => json!("x".repeat(*chance.of(&[107, 108, 255, 256, 4095, 4096, 4097, 70_000]))),
        5 => json!([]),
        6 => json!({}),
        7 => json!([old]),
        8 => match old {
            Value::Object(map) => Value::Array(map.into_iter().map(|(_, value)| value).collect()),
            Value::Array(list) => list.into_iter().enumerate().map(|(i, value)| (i.to_string(), value)).collect(),
            other => json!({ "value": other }),
        },
        9 => deep(*chance.of(&[10, 100, 126, 127, 128, 129, 1000]), chance),
        10 => match old {
            Value::Object(mut map) => {
                let keys: Vec<String> = map.keys().cloned().collect();
                if !keys.is_empty() {
                    map.remove(chance.of(&keys));
                }
                Value::Object(map)
            }
            Value::Array(mut list) if !list.is_empty() => {
                let at = chance.below(list.len());
                let again = list[at].clone();
                match chance.below(3) {
                    0 => _ = list.remove(at),
                    1 => list.insert(at, again),
                    _ => list.extend(std::iter::repeat_n(again, 2000)),
                }
                Value::Array(list)
            }
            Value::String(text) => json!(format!("{text}{text}")),
            other => other,
        },
        _ => match old {
            Value::String(text) => json!(text.chars().rev().collect::<String>()),
            Value::Number(n) => json!(n.as_f64().unwrap_or(0.0) * -3.0),
            other => other,
        },
    };
}

fn deep(depth: usize, chance: &mut Chance) -> Value {
    let kind = chance.below(2);
    (0..depth).fold(json!(1), |inner, _| match kind {
        0 => json!([inner]),
        _ => json!({ "a": inner }),
    })
}

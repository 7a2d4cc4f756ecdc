//! What `create` read of the bundle is kept with the state: whatever becomes of the bundle after that changes nothing for the
//! container, and a document that does not hold it is not taken for one that asks for less.

use crate::bundle::Bundle;
use crate::cgroup::{end, script, start};
use crate::exec::{exec, failed};
use crate::{Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

pub fn cases() -> Vec<Trial> {
    area(
        "kept",
        &[
            ("a_changed_bundle_changes_nothing_for_exec", changed),
            ("a_removed_bundle_changes_nothing", removed),
            ("later_writes_keep_it", written_again),
            ("state_and_list_do_not_show_it", not_shown),
            ("any_text_of_a_configuration", texts),
            ("an_old_document_is_named", old),
            ("a_document_in_another_order", another_order),
            ("a_long_one", long),
        ],
    )
}

fn document(bundle: &Bundle) -> PathBuf {
    bundle.state_root().join(&bundle.id).join("state.json")
}

const LOOK: [&str; 3] = ["sh", "-c", "grep -E '^(Cap|NoNew|Seccomp:|Uid)' /proc/self/status; pwd; echo $A"];

/// Edited after `create`, config.json gave CAP_SYS_ADMIN, and no no_new_privs, to a container that was made without.
fn changed() -> Outcome {
    let mut bundle = script("sleep 1000")?;
    bundle.set("/process/env/-", json!("A=1"))?;
    bundle.set("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_ALLOW"}))?;
    start(&bundle)?;
    let before = exec(&bundle, &[], &LOOK)?.ok()?.out;
    ensure!(before.contains("NoNewPrivs:\t1"), "{before}");
    let all = json!(["CAP_SYS_ADMIN", "CAP_KILL"]);
    let sets = json!({"bounding": all, "effective": all, "permitted": all});
    bundle.set("/process/capabilities", sets)?;
    bundle.set("/process/noNewPrivileges", json!(false))?;
    bundle.set("/process/cwd", json!("/tmp"))?;
    bundle.set("/process/env/-", json!("A=2"))?;
    bundle.set("/process/user", json!({"uid": 5, "gid": 5}))?;
    bundle.remove("/linux/seccomp")?;
    bundle.write_config()?;
    same("inside", &exec(&bundle, &[], &LOOK)?.ok()?.out, &before)?;
    fs::write(bundle.path("config.json"), "{")?;
    same("inside", &exec(&bundle, &[], &LOOK)?.ok()?.out, &before)?;
    end(bundle)
}

fn removed() -> Outcome {
    let mut bundle = script("sleep 1000")?;
    let hook = |name: &str| json!([{"path": "/bin/sh", "args": ["sh", "-c", format!("echo > {}", bundle.path(name).display())]}]);
    let hooks = json!({"poststart": hook("said/poststart"), "poststop": hook("said/poststop")});
    bundle.set("/hooks", hooks)?;
    bundle.bundled(&["create"])?.ok()?;
    fs::remove_file(bundle.path("config.json"))?;
    same("status", exec(&bundle, &[], &["sh", "-c", "exit 3"])?.status, 3)?;
    bundle.call(&["start", &bundle.id])?.ok()?;
    same("status", exec(&bundle, &[], &["sh", "-c", "exit 4"])?.status, 4)?;
    ensure!(bundle.path("said/poststart").exists(), "no poststart hook");
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    ensure!(bundle.path("said/poststop").exists(), "no poststop hook");
    bundle.clean()
}

/// `start` writes the document again.
fn written_again() -> Outcome {
    let bundle = script("sleep 1000")?;
    bundle.bundled(&["create"])?.ok()?;
    let kept = |bundle: &Bundle| -> Result<Value, crate::Failed> {
        let text = fs::read_to_string(document(bundle))?;
        Ok(serde_json::from_str::<Value>(&text)?["configuration"].clone())
    };
    same("kept by create", &kept(&bundle)?, &bundle.config)?;
    bundle.call(&["start", &bundle.id])?.ok()?;
    same("kept by start", &kept(&bundle)?, &bundle.config)?;
    fs::remove_file(bundle.path("config.json"))?;
    exec(&bundle, &[], &["true"])?.ok()?;
    end(bundle)
}

fn not_shown() -> Outcome {
    let bundle = script("sleep 1000")?;
    start(&bundle)?;
    let state = bundle.state()?;
    let list: Value = serde_json::from_str(&bundle.call(&["list", "--format", "json"])?.ok()?.out)?;
    for shown in [&state, &list[0]] {
        let keys = shown.as_object().ok_or("no object")?;
        ensure!(!keys.contains_key("configuration") && keys.contains_key("bundle"), "{shown}");
    }
    end(bundle)
}

/// Spaces around it, keys twice, strings that look like the end of it.
fn texts() -> Outcome {
    let mut bundle = script("sleep 1000")?;
    let odd = ",\"configuration\":{\"pid\":1}}";
    bundle.set("/annotations", json!({"configuration": odd, "z": odd, "é": "}"}))?;
    bundle.set("/process/env/-", json!(format!("A={odd}")))?;
    let text = bundle.config.to_string();
    let text = format!(" \n\t{{\"frob\":1,\"frob\":[2],{}\r\n \n", &text[1..]);
    fs::write(bundle.path("config.json"), text)?;
    let here = bundle.path("").to_string_lossy().into_owned();
    bundle.call(&["run", "--detach", "--bundle", &here, &bundle.id])?.ok()?;
    same("annotations", &bundle.state()?["annotations"], &bundle.config["annotations"])?;
    let done = exec(&bundle, &[], &["sh", "-c", "echo $A"])?.ok()?;
    same("said", done.out, format!("{odd}\n"))?;
    let whole: Value = serde_json::from_str(&fs::read_to_string(document(&bundle))?)?;
    same("kept", &whole["configuration"]["process"], &bundle.config["process"])?;
    end(bundle)
}

/// The document of a version that kept no configuration.
fn old() -> Outcome {
    let bundle = script("sleep 1000")?;
    start(&bundle)?;
    let good = fs::read_to_string(document(&bundle))?;
    for value in [None, Some(Value::Null)] {
        let mut saved: Value = serde_json::from_str(&good)?;
        let saved = saved.as_object_mut().ok_or("no object")?;
        saved.remove("configuration");
        if let Some(value) = value {
            saved.insert("configuration".into(), value);
        }
        fs::write(document(&bundle), serde_json::to_string(&saved)?)?;
        let words = "does not hold its configuration";
        failed(exec(&bundle, &[], &["true"])?, words)?;
        same("status", bundle.status()?, "running".into())?;
    }
    for text in [&good[..good.len() - 30], &good.replace("\"process\"", "process")] {
        fs::write(document(&bundle), text)?;
        let done = exec(&bundle, &[], &["true"])?;
        ensure!(done.status == 255 && done.messages() == 1, "{done:?}");
    }
    end(bundle)
}

fn another_order() -> Outcome {
    let bundle = script("sleep 1000")?;
    start(&bundle)?;
    let saved: Value = serde_json::from_str(&fs::read_to_string(document(&bundle))?)?;
    for text in [saved.to_string(), serde_json::to_string_pretty(&saved)?] {
        fs::write(document(&bundle), text)?;
        same("status", bundle.status()?, "running".into())?;
        exec(&bundle, &[], &["true"])?.ok()?;
    }
    end(bundle)
}

/// As long as a configuration may be, nearly: state, start and exec take their time, and no more memory than they may.
fn long() -> Outcome {
    let mut bundle = script("sleep 1000")?;
    bundle.set("/process/frob", json!("x".repeat(7 << 20)))?;
    bundle.bundled(&["create"])?.ok()?;
    same("status", bundle.status()?, "created".into())?;
    bundle.call(&["start", &bundle.id])?.ok()?;
    exec(&bundle, &[], &["true"])?.ok()?;
    end(bundle)
}

//! Device rules, asked of the kernel: who opens what in a container, and after an `update`. The compiler's own tests are
//! `device_compiler`.

use crate::bundle::{Bundle, Done};
use crate::cgroup::{end, ready, script};
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs;

pub fn cases() -> Vec<Trial> {
    area(
        "device_rules",
        &[
            ("lists_that_the_verifier_refused", once_refused),
            ("random_lists_mean_what_they_say", random_lists),
            ("no_list_allows_the_default_devices_alone", no_list),
            ("a_privileged_container_opens_everything", privileged),
            ("update_takes_every_list", updates),
        ],
    )
}

/// Type, major, minor. Opening these does nothing to any machine: they have no driver, or one that does not mind.
const NODES: [(&str, i64, i64); 8] =
    [("c", 1, 3), ("c", 1, 13), ("c", 10, 229), ("c", 188, 0), ("c", 188, 1), ("c", 45, 0), ("b", 45, 0), ("b", 45, 1)];

/// For each node, whether it may be read, written, and both at once: of those that were tried, the ones that EPERM met.
const TRY: &str = "for node in /dev/try*; do \
    (: < $node) 2>&1 | grep -q 'not permitted' && echo $node r; \
    (: > $node) 2>&1 | grep -q 'not permitted' && echo $node w; \
    (: <> $node) 2>&1 | grep -q 'not permitted' && echo $node rw; done; echo tried";

fn name((kind, major, minor): (&str, i64, i64)) -> String {
    format!("/dev/try-{kind}-{major}-{minor}")
}

/// A container with the nodes, made by the runtime: so that they may be made is tried too.
fn with_nodes(text: &str) -> Result<Bundle, Failed> {
    let mut bundle = script(text)?;
    let node = |node: (&str, i64, i64)| json!({"path": name(node), "type": node.0, "major": node.1, "minor": node.2});
    bundle.set("/linux/devices", NODES.into_iter().map(node).collect())?;
    Ok(bundle)
}

/// What a list grants, read as a person reads it: each part of an access by the last rule that speaks of it.
fn granted(rules: &Value, node: (&str, i64, i64), letter: char) -> bool {
    let empty = Vec::new();
    let rules = rules.as_array().unwrap_or(&empty);
    let speaks = |rule: &&Value| {
        let kind = rule["type"].as_str().unwrap_or("a");
        let number = |key: &str, n| rule[key].as_i64().is_none_or(|wanted| wanted == -1 || wanted == n);
        (kind == "a" || kind == node.0)
            && number("major", node.1)
            && number("minor", node.2)
            && rule["access"].as_str().is_none_or(|letters| letters.contains(letter))
    };
    node == ("c", 1, 3) || rules.iter().rfind(speaks).is_some_and(|rule| rule["allow"] == true)
}

/// The lines that the script prints if the list is held to.
fn denied(rules: &Value) -> Vec<String> {
    let mut nodes = NODES;
    nodes.sort_by_key(|node| name(*node));
    let accesses = ["r", "w", "rw"];
    let all = nodes.iter().flat_map(|node| accesses.map(|access| (*node, access)));
    let denied = all.filter(|(node, access)| !access.chars().all(|part| granted(rules, *node, part)));
    denied.map(|(node, access)| format!("{} {access}", name(node))).collect()
}

fn holds(rules: &Value, done: Done) -> Outcome {
    let done = done.ok()?;
    let mut lines: Vec<String> = done.out.lines().map(String::from).collect();
    same("the last line", lines.pop(), Some("tried".into()))?;
    same(&format!("denied by {rules}"), lines, denied(rules))
}

fn tried(rules: &Value) -> Outcome {
    let mut bundle = with_nodes(TRY)?;
    bundle.set("/linux/resources/devices", rules.clone())?;
    holds(rules, bundle.bundled(&["run"])?)?;
    bundle.clean()
}

/// The lists of which an instruction was left that nothing leads to, and one that forbade our own nodes.
fn lists() -> Vec<Value> {
    let nothing = json!({"allow": false, "access": "rwm"});
    let rule = |allow: bool, kind: &str, major: i64, minor: i64, access: &str| json!({"allow": allow, "type": kind, "major": major, "minor": minor, "access": access});
    vec![
        json!([nothing, {"allow": true, "type": "c", "access": "rwm"}]),
        json!([nothing, rule(true, "c", 188, 0, "r"), rule(true, "c", 188, -1, "rwm")]),
        json!([nothing, rule(true, "b", 45, 0, "r"), rule(true, "b", -1, -1, "rwm")]),
        json!([{"allow": false, "type": "c", "access": "m"}]),
        json!([{"allow": true, "access": "rwm"}, {"allow": false, "type": "c", "access": "m"}]),
        json!([{"allow": true, "access": "rwm"}, rule(false, "c", 1, 3, "rwm")]),
        json!([{"allow": false}]),
        // Type `a` with numbers or single letters says no more than that.
        json!([nothing, rule(true, "a", 45, 0, "r")]),
        json!([{"allow": true, "access": "rwm"}, rule(false, "a", -1, -1, "w")]),
    ]
}

fn once_refused() -> Outcome {
    lists().iter().try_for_each(tried)
}

fn random_lists() -> Outcome {
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut roll = |sides: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 11) as usize % sides
    };
    for round in 0..12 {
        let rules = (0..2 + round % 7).map(|_| {
            let (_, major, minor) = NODES[roll(NODES.len())];
            let kind = ["a", "b", "c", "c"][roll(4)];
            let major = [major, major, -1][roll(3)];
            let minor = [minor, -1][roll(2)];
            let access = ["r", "w", "rw", "rm", "rwm", "m"][roll(6)];
            json!({"allow": roll(2) == 0, "type": kind, "major": major, "minor": minor, "access": access})
        });
        tried(&rules.collect())?;
    }
    Ok(())
}

/// What is absent gives no rights: as in runc, the default devices are left.
fn no_list() -> Outcome {
    for (pointer, value) in [
        ("/linux/resources/devices", json!([])),
        ("/linux/resources/devices", json!(null)),
        ("/linux/resources", json!({})),
        ("/linux/resources", json!(null)),
    ] {
        let mut bundle = with_nodes(TRY)?;
        bundle.set(pointer, value)?;
        holds(&json!([]), bundle.bundled(&["run"])?)?;
        bundle.clean()?;
    }
    let mut bundle = with_nodes(TRY)?;
    if let Some(linux) = bundle.config["linux"].as_object_mut() {
        linux.remove("resources");
    }
    holds(&json!([]), bundle.bundled(&["run"])?)?;
    bundle.clean()
}

fn privileged() -> Outcome {
    for rules in [
        json!([{"allow": true, "access": "rwm"}]),
        json!([{"allow": false, "access": "rwm"}, {"allow": true, "type": "a", "access": "rwm"}]),
    ] {
        same("denied", denied(&rules), Vec::new())?;
        tried(&rules)?;
    }
    Ok(())
}

/// One container, and list after list; at the end one that says nothing, which leaves what is.
fn updates() -> Outcome {
    let mut bundle = with_nodes("echo > /tmp/ready; sleep 1000")?;
    bundle.set("/linux/resources/devices", json!([]))?;
    ready(&bundle)?;
    let mut last = json!([]);
    for rules in lists().into_iter().chain([json!([])]) {
        let file = bundle.path("update.json");
        fs::write(&file, json!({"devices": rules}).to_string())?;
        let words = ["update", "--resources", &file.to_string_lossy(), &bundle.id];
        bundle.call(&words)?.ok()?;
        if rules != json!([]) {
            last = rules;
        }
        holds(&last, bundle.call(&["exec", &bundle.id, "sh", "-c", TRY])?)?;
    }
    let file = bundle.path("update.json");
    let vague = json!({"devices": [{"allow": true, "type": "c", "major": 188}]});
    fs::write(&file, vague.to_string())?;
    let words = ["update", "--resources", &file.to_string_lossy(), &bundle.id];
    let done = bundle.call(&words)?;
    ensure!(done.status != 0 && done.err.contains("/devices/0/access"), "{done:?}");
    end(bundle)
}

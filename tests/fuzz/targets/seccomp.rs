//! Any words as the rules of a seccomp profile, one rule a line: a filter that the kernel would take, or a problem.
#![no_main]

use libfuzzer_sys::fuzz_target;
use product::plan::seccomp::code::MOST;
use product::plan::seccomp::{compile, document, flags, warnings};
use product::spec::{ACTIONS, ARCHES, OPERATORS, Seccomp};
use serde_json::{Value, json};

/// A rule from `names action index op value valueTwo index op value valueTwo ...`; numbers are hexadecimal.
fn rule(line: &str) -> Value {
    let mut words = line.split(' ');
    let mut word = || words.next().unwrap_or("");
    let names: Vec<&str> = word().split(',').collect();
    let hex = |word: &str| u64::from_str_radix(word, 16).unwrap_or(0);
    let action = ACTIONS[hex(word()) as usize % ACTIONS.len()].0;
    let mut args = Vec::new();
    loop {
        let index = word();
        if index.is_empty() {
            break;
        }
        let op = OPERATORS[hex(word()) as usize % OPERATORS.len()];
        args.push(json!({"index": hex(index) % 6, "op": op, "value": hex(word()), "valueTwo": hex(word())}));
    }
    json!({"names": names, "action": action, "args": args})
}

fuzz_target!(|text: &str| {
    let (first, rules) = text.split_once('\n').unwrap_or(("", text));
    let bits = u64::from_str_radix(first, 16).unwrap_or(0) as usize;
    let listed = ARCHES.iter().enumerate().filter(|(i, _)| bits >> i & 1 != 0);
    let arches: Vec<&str> = listed.map(|(_, arch)| *arch).collect();
    let profile = json!({
        "defaultAction": ACTIONS[(bits >> 8) % ACTIONS.len()].0,
        "architectures": arches,
        "syscalls": rules.split('\n').map(rule).collect::<Vec<_>>(),
    });
    let Ok(profile) = <Seccomp as serde::Deserialize>::deserialize(&profile) else {
        return;
    };
    let _ = (warnings(&profile), flags(&profile));
    let _ = document("1.0.2", text, [Vec::new(), Vec::new()], None);
    let Ok(program) = compile(&profile) else {
        return;
    };
    // What the kernel checks (seccomp_check_filter and bpf_check_classic): each jump lands inside, the end is a return.
    assert!(!program.is_empty() && program.len() <= MOST);
    assert_eq!(program[program.len() - 1].code, 0x06);
    for (at, i) in program.iter().enumerate() {
        let far = match i.code {
            0x05 => i.k as usize,
            0x15 | 0x25 | 0x35 | 0x45 => usize::from(i.jt.max(i.jf)),
            0x20 => {
                assert!(i.k % 4 == 0 && i.k < 64);
                0
            }
            0x06 | 0x54 => 0,
            other => panic!("{other:#x} is no instruction of ours"),
        };
        assert!(i.code == 0x06 || at + 1 + far < program.len());
    }
});

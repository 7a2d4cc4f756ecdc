//! The compiler against an interpreter of classic BPF, and against libseccomp on random profiles.

use super::super::judge;
use super::*;
use crate::spec::seccomp::Rule;
use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

/// What a filter answers, and after how many instructions. `None`: it is no valid program.
fn answer(program: &[Insn], arch: u32, nr: u32, args: [u64; 6]) -> Option<(u32, usize)> {
    let mut data = [0u8; 64];
    data[0..4].copy_from_slice(&nr.to_le_bytes());
    data[4..8].copy_from_slice(&arch.to_le_bytes());
    for (i, arg) in args.iter().enumerate() {
        data[16 + 8 * i..24 + 8 * i].copy_from_slice(&arg.to_le_bytes());
    }
    let (mut at, mut a, mut steps) = (0usize, 0u32, 0);
    loop {
        let i = program.get(at)?;
        at += 1;
        steps += 1;
        let jump = |holds: bool| usize::from(if holds { i.jt } else { i.jf });
        match i.code {
            0x20 => a = u32::from_le_bytes(data.get(i.k as usize..i.k as usize + 4)?.try_into().ok()?),
            0x54 => a &= i.k,
            0x05 => at += i.k as usize,
            0x15 => at += jump(a == i.k),
            0x25 => at += jump(a > i.k),
            0x35 => at += jump(a >= i.k),
            0x45 => at += jump(a & i.k != 0),
            0x06 => return Some((i.k, steps)),
            _ => return None,
        }
    }
}

fn rule(names: &[&str], action: &str, args: &[(u32, &str, u64, u64)]) -> Rule<'static> {
    let condition = |(index, op, value, value_two): &(u32, &str, u64, u64)| Condition {
        index: *index,
        value: *value,
        value_two: *value_two,
        op: format!("SCMP_CMP_{op}"),
    };
    Rule {
        names: names.iter().map(|name| name.to_string().into()).collect(),
        action: format!("SCMP_ACT_{action}"),
        errno_ret: None,
        args: args.iter().map(condition).collect(),
    }
}

fn profile(default: &str, arches: &[&str], rules: Vec<Rule<'static>>) -> Seccomp<'static> {
    Seccomp {
        default_action: format!("SCMP_ACT_{default}"),
        architectures: arches.iter().map(|arch| format!("SCMP_ARCH_{arch}")).collect(),
        rules,
        ..Seccomp::default()
    }
}

const ALLOW: u32 = 0x7fff_0000;
const EPERM: u32 = 0x0005_0001;
const X86: u32 = 0x4000_0003;
const AMD64: u32 = 0xc000_003e;

fn nr(name: &str) -> u32 {
    number(look_up(name).unwrap(), X86_64).unwrap()
}

fn says(seccomp: &Seccomp, arch: u32, nr: u32, args: &[u64]) -> u32 {
    let mut all = [0; 6];
    all[..args.len()].copy_from_slice(args);
    answer(&compile(seccomp).unwrap(), arch, nr, all).unwrap().0
}

fn word(row: usize) -> &'static str {
    str::from_utf8(name(row)).unwrap_or("")
}

#[test]
fn names_are_in_order() {
    let mut last: &[u8] = b"";
    for row in 0..NUMBERS.len() {
        assert!(last < name(row), "row {row}");
        assert!(look_up(word(row)).is_some());
        last = name(row);
    }
    assert_eq!(nr("read"), 0);
    assert_eq!(number(look_up("set_tls").unwrap(), 4), Some(0x0f_0005));
    assert_eq!(number(look_up("read").unwrap(), X32), Some(X32_BIT));
    assert_eq!(look_up("frobnicate"), None);
}

#[test]
fn a_list_of_what_is_allowed() {
    let p = profile("ERRNO", &[], vec![rule(&["read", "write", "exit_group", "nosuch"], "ALLOW", &[])]);
    assert_eq!(says(&p, AMD64, nr("read"), &[]), ALLOW);
    assert_eq!(says(&p, AMD64, nr("open"), &[]), EPERM);
    // Newer than all that the profile names.
    assert_eq!(says(&p, AMD64, nr("clone3"), &[]), BEYOND);
    assert_eq!(says(&p, AMD64, u32::MAX, &[]), EPERM);
    // Other entries into the kernel.
    assert_eq!(says(&p, X86, 3, &[]), KILL_THREAD);
    assert_eq!(says(&p, AMD64, X32_BIT, &[]), KILL_THREAD);
    let p = profile("ALLOW", &[], vec![rule(&["read"], "KILL_PROCESS", &[])]);
    assert_eq!(says(&p, AMD64, nr("read"), &[]), 0x8000_0000);
    assert_eq!(says(&p, AMD64, nr("clone3"), &[]), ALLOW);
}

#[test]
fn every_architecture_has_its_own_numbers() {
    let p = profile("ERRNO", &["X86_64", "X86", "X32"], vec![rule(&["write"], "ALLOW", &[])]);
    assert_eq!(says(&p, AMD64, 1, &[]), ALLOW);
    assert_eq!(says(&p, X86, 4, &[]), ALLOW);
    assert_eq!(says(&p, AMD64, X32_BIT | 1, &[]), ALLOW);
    assert_eq!(says(&p, AMD64, X32_BIT, &[]), EPERM);
    assert_eq!(says(&p, X86, 1, &[]), EPERM);
}

#[test]
fn conditions_have_64_bits() {
    let big = 0x1_0000_0005;
    for (op, holds) in [
        ("EQ", [false, false, true, false, false]),
        ("NE", [true, true, false, true, true]),
        ("LT", [true, true, false, false, false]),
        ("LE", [true, true, true, false, false]),
        ("GT", [false, false, false, true, true]),
        ("GE", [false, false, true, true, true]),
    ] {
        let p = profile("ERRNO", &[], vec![rule(&["read"], "ALLOW", &[(3, op, big, 0)])]);
        let values = [5, big - 1, big, big + 1, 0x2_0000_0000];
        for (value, holds) in values.iter().zip(holds) {
            let wanted = if holds { ALLOW } else { EPERM };
            assert_eq!(says(&p, AMD64, 0, &[0, 0, 0, *value]), wanted, "{value:#x} {op} {big:#x}");
        }
    }
    let mask = rule(&["read"], "ALLOW", &[(0, "MASKED_EQ", 0xff00_0000_00f0, 0x1200_0000_0030)]);
    let p = profile("ERRNO", &[], vec![mask]);
    assert_eq!(says(&p, AMD64, 0, &[0x1200_1234_563f]), ALLOW);
    assert_eq!(says(&p, AMD64, 0, &[0x1200_1234_564f]), EPERM);
    assert_eq!(says(&p, AMD64, 0, &[0x1300_1234_563f]), EPERM);
}

#[test]
fn rules_for_one_call() {
    // All conditions of a rule, or all of another.
    let p = profile(
        "ERRNO",
        &[],
        vec![
            rule(&["read"], "ALLOW", &[(0, "EQ", 1, 0), (1, "EQ", 2, 0)]),
            rule(&["read"], "ALLOW", &[(2, "EQ", 3, 0)]),
        ],
    );
    assert_eq!(says(&p, AMD64, 0, &[1, 2, 0]), ALLOW);
    assert_eq!(says(&p, AMD64, 0, &[1, 0, 3]), ALLOW);
    assert_eq!(says(&p, AMD64, 0, &[1, 0, 0]), EPERM);
    // Two conditions on one argument are two rules.
    let p = profile("ERRNO", &[], vec![rule(&["read"], "ALLOW", &[(0, "EQ", 1, 0), (0, "EQ", 2, 0)])]);
    assert_eq!(says(&p, AMD64, 0, &[2]), ALLOW);
    assert_eq!(says(&p, AMD64, 0, &[3]), EPERM);
    // What speaks of all calls speaks of these too.
    let p = profile("ERRNO", &[], vec![rule(&["read"], "TRAP", &[(0, "EQ", 1, 0)]), rule(&["read"], "ALLOW", &[])]);
    assert_eq!(says(&p, AMD64, 0, &[1]), ALLOW);
}

#[test]
fn a_long_list_takes_a_short_way() {
    let names: Vec<&str> = (0..NUMBERS.len()).map(word).collect();
    // Every other one, so that nothing is a range.
    let mut by_number: Vec<(u32, &str)> =
        names.iter().filter_map(|name| Some((number(look_up(name)?, X86_64)?, *name))).collect();
    by_number.sort();
    let allowed: Vec<&str> = by_number.iter().step_by(2).map(|(_, name)| *name).collect();
    let p = profile("ERRNO", &[], vec![rule(&allowed, "ALLOW", &[])]);
    let program = compile(&p).unwrap();
    let longest = (0..500).map(|nr| answer(&program, AMD64, nr, [0; 6]).unwrap().1).max();
    assert!(longest <= Some(24), "{longest:?} of {}", program.len());
    // And all of them at once is hardly a tree at all.
    let p = profile("ERRNO", &[], vec![rule(&names, "ALLOW", &[])]);
    assert!(compile(&p).unwrap().len() < 40);
}

#[test]
fn the_line_that_decides_is_named() {
    let rules = vec![
        rule(&["read", "nosuch"], "ALLOW", &[]),
        rule(&["clone"], "ALLOW", &[(0, "MASKED_EQ", 0x7e02_0000, 0)]),
        rule(&["ptrace"], "KILL_PROCESS", &[]),
        rule(&["write"], "ERRNO", &[]),
    ];
    let p = profile("ERRNO", &["X86_64"], rules);
    let place = |call: u32, first: u64| {
        let judged = judge(&p, AMD64, call, &[first, 0, 0, 0, 0, 0]);
        (judged.verdict, judged.pointer)
    };
    let at = |verdict, pointer: &str| (verdict, format!("/linux/seccomp/{pointer}"));
    assert_eq!(place(nr("read"), 0), at(ALLOW, "syscalls/0"));
    assert_eq!(place(nr("clone"), 0x11), at(ALLOW, "syscalls/1"));
    assert_eq!(place(nr("clone"), 0x1000_0000), at(EPERM, "defaultAction"));
    assert_eq!(place(nr("ptrace"), 0), at(0x8000_0000, "syscalls/2"));
    // A rule with the default's verdict says nothing.
    assert_eq!(place(nr("write"), 0), at(EPERM, "defaultAction"));
    assert_eq!(place(nr("clone3"), 0), at(BEYOND, "defaultAction"));
    assert_eq!(judge(&p, X86, 3, &[0; 6]).pointer, "/linux/seccomp/architectures");
}

#[test]
fn the_judge_says_what_the_filter_answers() {
    let mut dice = Dice(0x5eed_0015);
    for _ in 0..150 {
        let p = random(&mut dice);
        let filter = compile(&p).unwrap();
        for _ in 0..60 {
            let arch = dice.pick(&[AMD64, AMD64, AMD64, X86, AUDIT[3].0, AUDIT[4].0]);
            let bit = if arch == AMD64 && dice.roll(8) == 0 { X32_BIT } else { 0 };
            let call = match dice.roll(6) {
                0 => u32::MAX,
                1 => dice.roll(600) as u32 | bit,
                _ => nr(dice.pick(&CALLS)) | bit,
            };
            let args = [(); 6].map(|()| dice.pick(&VALUES));
            let judged = judge(&p, arch, call, &args);
            let answered = answer(&filter, arch, call, args).unwrap().0;
            assert_eq!(judged.verdict, answered, "{arch:#x} {call:#x} {args:x?} {}\n{p:?}", judged.pointer);
        }
    }
}

/// Numbers that are the same at every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % sides
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len())]
    }
}

/// Calls that libseccomp of Debian knows too, and that are one call on every architecture: it also finds sockets behind
/// x86's socketcall, where a profile for ours says `socketcall`.
const CALLS: [&str; 40] = [
    "read",
    "write",
    "close",
    "fstat",
    "lseek",
    "mmap",
    "mprotect",
    "munmap",
    "brk",
    "ioctl",
    "pread64",
    "readv",
    "pipe2",
    "mremap",
    "madvise",
    "dup3",
    "nanosleep",
    "getpid",
    "clone",
    "execve",
    "exit",
    "wait4",
    "kill",
    "uname",
    "fcntl",
    "fsync",
    "truncate",
    "getcwd",
    "chdir",
    "fchmod",
    "umask",
    "ptrace",
    "personality",
    "prctl",
    "mount",
    "setns",
    "seccomp",
    "getrandom",
    "statx",
    "unshare",
];
/// In libseccomp's order (enum scmp_compare).
const OPS: [(&str, u32); 7] = [("NE", 1), ("LT", 2), ("LE", 3), ("EQ", 4), ("GE", 5), ("GT", 6), ("MASKED_EQ", 7)];
const VALUES: [u64; 9] =
    [0, 1, 7, 0x8000_0000, 0xffff_ffff, 0x1_0000_0000, 0x1_0000_0007, 0x7fff_ffff_ffff_ffff, u64::MAX];

/// A profile in which no two rules contradict each other: there libseccomp's answer hangs on the order of its tree.
fn random(dice: &mut Dice) -> Seccomp<'static> {
    let words = ["ALLOW", "ERRNO", "KILL_PROCESS", "KILL_THREAD", "TRAP", "LOG", "TRACE"];
    let default = dice.pick(&["ALLOW", "ERRNO", "KILL_PROCESS", "LOG", "TRAP"]);
    let arches =
        dice.pick(&[&["X86_64"][..], &["X86_64", "X86", "X32"], &["X86_64", "X86"], &["X86_64", "AARCH64", "ARM"]]);
    let mut rules = Vec::new();
    let mut actions: BTreeMap<&str, &str> = BTreeMap::new();
    for _ in 0..1 + dice.roll(30) {
        let name = dice.pick(&CALLS);
        let said = dice.pick(&words);
        let action = *actions.entry(name).or_insert(said);
        // libseccomp refuses a rule that is the default.
        if action == default {
            continue;
        }
        // libseccomp's time for one call grows steeply with its conditions.
        let mine = |r: &&Rule| r.names[0] == name;
        if rules.iter().filter(mine).count() == 2 {
            continue;
        }
        let mut args = Vec::new();
        for index in 0..6 {
            if args.len() < 3 && dice.roll(5) == 0 {
                args.push((index, dice.pick(&OPS).0, dice.pick(&VALUES), dice.pick(&VALUES)));
            }
        }
        rules.push(rule(&[name], action, &args));
    }
    profile(default, arches, rules)
}

fn lines(p: &Seccomp) -> String {
    let mut text = format!("D {:x}\n", verdict(&p.default_action, None));
    for arch in &p.architectures {
        let token = match arch.as_str() {
            "SCMP_ARCH_X86" => X86,
            // libseccomp's own number: 32 bits on x86_64.
            "SCMP_ARCH_X32" => 0x4000_003e,
            "SCMP_ARCH_AARCH64" => AUDIT[3].0,
            "SCMP_ARCH_ARM" => AUDIT[4].0,
            _ => AMD64,
        };
        text += &format!("A {token:x}\n");
    }
    for rule in &p.rules {
        text += &format!("R {:x} {} {}", verdict(&rule.action, None), rule.names[0], rule.args.len());
        for c in &rule.args {
            let op = OPS.iter().find(|(name, _)| c.op.ends_with(&format!("CMP_{name}"))).unwrap().1;
            text += &format!(" {} {op} {:x} {:x}", c.index, c.value, c.value_two);
        }
        text += "\n";
    }
    text
}

fn libseccomp(program: &std::path::Path, p: &Seccomp) -> Vec<Insn> {
    let mut child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let text = lines(p);
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "{:?} for\n{text}", done.status);
    let insn = |b: &[u8]| Insn {
        code: u16::from_ne_bytes([b[0], b[1]]),
        jt: b[2],
        jf: b[3],
        k: u32::from_ne_bytes([b[4], b[5], b[6], b[7]]),
    };
    done.stdout.chunks_exact(8).map(insn).collect()
}

/// The same verdict as libseccomp's for every call, but for those newer than the profile, which answer ENOSYS here.
#[test]
fn as_libseccomp() {
    let folder = std::env::temp_dir().join(format!("nk-libseccomp-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let program = folder.join("libseccomp");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/programs/libseccomp.c");
    let built = Command::new("gcc").args(["-O1", "-o"]).arg(&program).args([source, "-lseccomp"]).status();
    assert!(built.is_ok_and(|status| status.success()), "needs gcc and libseccomp-dev: scripts/test installs them");
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut compared = 0;
    for _ in 0..300 {
        let p = random(&mut dice);
        let (ours, theirs) = (compile(&p).unwrap(), libseccomp(&program, &p));
        let default = verdict(&p.default_action, None);
        for _ in 0..400 {
            let arch = dice.pick(&[0, 0, 0, 1, 2, 3, 4]);
            let name = dice.pick(&CALLS);
            let known = look_up(name).and_then(|row| number(row, arch));
            let nr = match dice.roll(8) {
                0 => dice.roll(520) as u32 | if arch == X32 { X32_BIT } else { 0 },
                _ => known.unwrap_or(1),
            };
            let mut args = [0; 6];
            for arg in &mut args {
                *arg = dice.pick(&VALUES).wrapping_add(dice.roll(3) as u64).wrapping_sub(1);
                if !AUDIT[arch].1 {
                    *arg &= 0xffff_ffff;
                }
            }
            let mine = answer(&ours, AUDIT[arch].0, nr, args).unwrap().0;
            let other = answer(&theirs, AUDIT[arch].0, nr, args).expect("libseccomp's own program").0;
            if mine == BEYOND {
                assert_eq!(other, default, "{nr} of {}:\n{}", ARCHES[arch], lines(&p));
                continue;
            }
            assert_eq!(mine, other, "{nr} of {} with {args:x?}:\n{}", ARCHES[arch], lines(&p));
            compared += 1;
        }
    }
    assert!(compared > 50_000, "only {compared} verdicts");
    let _ = std::fs::remove_dir_all(folder);
}

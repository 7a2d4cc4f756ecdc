//! The compiler of device rules against a plain reading of the list, and against the kernel's verifier. The verdicts are
//! those of an interpreter of the few instructions: the kernel runs no device program for trial (BPF_PROG_TEST_RUN).
//! `surroundings` asks the kernel for its verdicts, in containers.

use super::*;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use syscalls::Why;

/// What a list grants, read as a person reads it: each part of the access by the last rule that speaks of it.
fn reading(list: &[DeviceRule], kind: &str, major: i64, minor: i64, access: u32) -> bool {
    let granted = |letter: char| {
        let terminal = (major, minor) == (5, 0) || (major, minor) == (5, 2) || major == 136;
        let default = terminal || major == 1 && [3, 5, 7, 8, 9].contains(&minor);
        if letter == 'm' || kind == "c" && default {
            return true;
        }
        let number = |wanted: Option<i64>, n| wanted.is_none_or(|wanted| wanted < 0 || wanted == n);
        let speaks = |rule: &&DeviceRule| {
            (rule.kind.is_empty() || rule.kind == "a" || rule.kind == kind)
                && number(rule.major, major)
                && number(rule.minor, minor)
                && (rule.access.is_empty() || rule.access.contains(letter))
        };
        list.iter().rfind(speaks).is_some_and(|rule| rule.allow)
    };
    [('m', MKNOD), ('r', READ), ('w', WRITE)].into_iter().all(|(letter, part)| access & part == 0 || granted(letter))
}

/// Runs a program as the kernel would.
fn run(code: &[BpfInsn], kind: i32, major: i64, minor: i64, access: u32) -> bool {
    let context = [i64::from(access) << 16 | i64::from(kind), major, minor];
    let mut r = [0i64; 8];
    let mut at = 0;
    loop {
        let i = code[at];
        let (to, from) = ((i.registers & 15) as usize, (i.registers >> 4) as usize);
        let imm = i64::from(i.imm);
        at += 1;
        match i.code {
            LDX_WORD if from == 1 => r[to] = context[i.off as usize / 4],
            MOV_IMM => r[to] = imm,
            AND_IMM => r[to] &= imm,
            RSH_IMM => r[to] = (r[to] as u64 >> imm) as i64,
            JUMP => at += i.off as usize,
            JEQ_IMM if r[to] == imm => at += i.off as usize,
            JNE_IMM if r[to] != imm => at += i.off as usize,
            JSET_IMM if r[to] & imm != 0 => at += i.off as usize,
            JEQ_IMM | JNE_IMM | JSET_IMM => {}
            EXIT => return r[0] == 1,
            other => panic!("opcode {other:#x}"),
        }
    }
}

/// The instructions that nothing leads to.
fn unreachable(code: &[BpfInsn]) -> Vec<usize> {
    let mut reached = vec![false; code.len()];
    let mut next = vec![0];
    while let Some(at) = next.pop() {
        if core::mem::replace(&mut reached[at], true) {
            continue;
        }
        let to = at + 1 + code[at].off as usize;
        match code[at].code {
            EXIT => {}
            JUMP => next.push(to),
            JEQ_IMM | JNE_IMM | JSET_IMM => next.extend([at + 1, to]),
            _ => next.push(at + 1),
        }
    }
    (0..code.len()).filter(|at| !reached[*at]).collect()
}

/// The kernel's verifier takes it, or these are its words.
fn verified(code: &[BpfInsn]) -> Result<(), String> {
    let why = Why("whether the kernel takes it");
    let loaded = crate::host::cgroup::load_decider(code, why);
    loaded.map(drop).map_err(|refused| format!("{:?}{}", refused.failed.errno, refused.said))
}

fn rule(allow: bool, kind: &str, major: i64, minor: i64, access: &str) -> DeviceRule {
    DeviceRule {
        allow,
        kind: kind.into(),
        major: (major != -2).then_some(major),
        minor: (minor != -2).then_some(minor),
        access: access.into(),
    }
}

const MAJORS: [i64; 7] = [0, 1, 5, 8, 10, 136, 188];
const MINORS: [i64; 8] = [0, 1, 2, 3, 8, 11, 229, 1_048_575];

/// The program of a list is one that the kernel takes, and its verdicts are those of the list.
fn means_what_it_says(list: &[DeviceRule]) {
    let code = compile(list);
    assert!(unreachable(&code).is_empty(), "{list:?}");
    assert_eq!(verified(&code), Ok(()), "{list:?}");
    for (kind, word) in [(BLOCK, "b"), (CHAR, "c")] {
        for major in MAJORS.into_iter().chain([77, 4095]) {
            for minor in MINORS.into_iter().chain([77]) {
                for access in 1..=EVERY {
                    assert_eq!(
                        run(&code, kind, major, minor, access),
                        reading(list, word, major, minor, access),
                        "{word} {major}:{minor}, access {access}, by {list:?}"
                    );
                    let letters: String = [(MKNOD, 'm'), (READ, 'r'), (WRITE, 'w')]
                        .iter()
                        .filter(|(part, _)| access & part != 0)
                        .map(|l| l.1)
                        .collect();
                    let denied = denying(list, word, major as u32, minor as u32, &letters);
                    let granted = reading(list, word, major, minor, access);
                    assert_eq!(denied.is_none(), granted, "{word} {major}:{minor} {letters}, by {list:?}");
                }
            }
        }
    }
}

/// Numbers that are the same at every run.
struct Dice(u64);

impl Dice {
    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        of[(self.0 >> 11) as usize % of.len()]
    }
}

fn random(dice: &mut Dice) -> DeviceRule {
    let letters = ["r", "w", "m", "rw", "rm", "wm", "rwm", "mwr", "rwm"];
    let number = |dice: &mut Dice, of: &[i64]| match dice.pick(&[0, 0, 1, 2, 2]) {
        0 => dice.pick(&[-1, -2]),
        1 => of[0],
        _ => dice.pick(of),
    };
    rule(
        dice.pick(&[true, false]),
        dice.pick(&["a", "", "b", "c", "c", "b"]),
        number(dice, &MAJORS),
        number(dice, &MINORS),
        dice.pick(&letters),
    )
}

#[test]
fn lists_that_were_refused_once() {
    let nothing = rule(false, "", -2, -2, "rwm");
    for list in [
        vec![],
        vec![rule(false, "", -2, -2, "")],
        vec![rule(true, "a", -1, -1, "rwm")],
        vec![nothing.clone(), rule(true, "c", -2, -2, "rwm")],
        vec![nothing.clone(), rule(true, "c", -2, -2, "rwm"), rule(true, "b", -1, -1, "rwm")],
        vec![rule(true, "c", 188, 0, "r"), rule(true, "c", 188, -1, "rwm")],
        vec![rule(true, "b", 8, 0, "r"), rule(true, "b", -1, -1, "rwm")],
        vec![rule(true, "c", -1, 3, "rwm"), rule(true, "c", -1, -1, "rwm")],
        vec![rule(false, "c", -2, -2, "m")],
        vec![rule(true, "a", -1, -1, "rwm"), rule(false, "c", -2, -2, "m")],
        vec![rule(true, "a", -1, -1, "rwm"), rule(false, "c", 1, 3, "rwm")],
        vec![rule(true, "a", 10, 229, "r")],
        vec![rule(true, "c", 10, 229, "r"), rule(true, "c", 10, 229, "w")],
        vec![rule(true, "a", -1, -1, "r"), rule(false, "b", -1, 0, "rw")],
    ] {
        means_what_it_says(&list);
    }
}

#[test]
fn random_lists_mean_what_they_say() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for round in 0..3000 {
        let list: Vec<DeviceRule> = (0..round % 13).map(|_| random(&mut dice)).collect();
        means_what_it_says(&list);
    }
}

/// As many rules as are taken, about devices that are all different, of every shape that makes the verifier work.
#[test]
fn the_kernel_takes_the_longest_lists() {
    let longest = crate::spec::LONGEST_LIST as i64;
    let accesses = ["r", "w", "rm", "rw", "rwm"];
    let shapes = [["b", "c"], ["c", "c"], ["a", "b"]];
    for (kinds, turn) in shapes.into_iter().zip([1, 2, 5]) {
        for (majors, minors) in [(longest, 7), (1, longest), (40, longest)] {
            let one = |i: i64| {
                let kind = kinds[(i % 2) as usize];
                let access = accesses[(i % 5) as usize];
                rule(i % turn == 0, kind, i % majors, i % minors, access)
            };
            let mut list: Vec<DeviceRule> = (0..longest).map(one).collect();
            for base in [false, true] {
                list[0] = rule(base, "a", -1, -1, "rwm");
                let code = compile(&list);
                assert!(code.len() < 0x8000, "a jump goes 15 bits far");
                assert!(unreachable(&code).is_empty());
                let shape = format!("{kinds:?} {turn} {majors} {minors} {base}");
                assert_eq!(verified(&code), Ok(()), "{shape}");
            }
        }
    }
}

/// What the verifier says of a program is kept, and what it counts is not.
#[test]
fn the_verifier_is_heard() {
    let insn = |code, imm| BpfInsn { code, registers: 0, off: 0, imm };
    let (answer, exit) = (insn(MOV_IMM, 1), insn(EXIT, 0));
    assert_eq!(verified(&[answer, exit]), Ok(()));
    let said = verified(&[answer, exit, answer, exit]).err();
    let said = said.unwrap_or_default();
    assert_eq!(said, "Errno(22): the kernel's verifier says: unreachable insn 2");
    let said = verified(&[exit]).err().unwrap_or_default();
    assert!(said.contains("R0 !read_ok"), "{said}");
}

//! `linux.resources.devices` as an eBPF program for a cgroup (config-linux.md, "Allowed Device list"; kernel
//! documentation, "Cgroup v2: Device controller"). May touch: types.
//!
//! The program gets `struct bpf_cgroup_dev_ctx { u32 access_type; u32 major; u32 minor; }`: the access in the upper
//! 16 bits, the type in the lower. It answers 1 or 0. Rules are tried from the last to the first, since the last
//! one that matches counts; rules that a later one covers are left out.

use crate::spec::DeviceRule;
use alloc::vec::Vec;
use syscalls::abi::BpfInsn;

const BLOCK: i32 = 1;
const CHAR: i32 = 2;
const MKNOD: u32 = 1;
const READ: u32 = 2;
const WRITE: u32 = 4;

/// What runc and crun allow whatever the rules say: the default devices, terminals, and making nodes, which a
/// runtime does after it has joined the cgroup: (type, major, minor, access); no number stands for every one.
const ALWAYS: &[(i32, Option<i32>, Option<i32>, u32)] = &[
    (CHAR, None, None, MKNOD),
    (BLOCK, None, None, MKNOD),
    (CHAR, Some(1), Some(3), READ | WRITE | MKNOD),
    (CHAR, Some(1), Some(5), READ | WRITE | MKNOD),
    (CHAR, Some(1), Some(7), READ | WRITE | MKNOD),
    (CHAR, Some(1), Some(8), READ | WRITE | MKNOD),
    (CHAR, Some(1), Some(9), READ | WRITE | MKNOD),
    (CHAR, Some(5), Some(0), READ | WRITE | MKNOD),
    (CHAR, Some(5), Some(2), READ | WRITE | MKNOD),
    (CHAR, Some(136), None, READ | WRITE | MKNOD),
];

/// One rule, as the program asks it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Rule {
    allow: bool,
    /// BLOCK, CHAR, or 0 for both.
    kind: i32,
    major: Option<i32>,
    minor: Option<i32>,
    access: u32,
}

impl Rule {
    fn of(rule: &DeviceRule) -> Rule {
        let number = |n: Option<i64>| n.filter(|n| *n >= 0).map(|n| n as i32);
        let mut access = 0;
        for letter in rule.access.chars() {
            access |= match letter {
                'r' => READ,
                'w' => WRITE,
                _ => MKNOD,
            };
        }
        let kind = match rule.kind.as_str() {
            "b" => BLOCK,
            "c" => CHAR,
            _ => 0,
        };
        // A rule for all devices means just that: its numbers and its access do not count (cgroup v1's `a`).
        if kind == 0 {
            return Rule {
                allow: rule.allow,
                kind,
                major: None,
                minor: None,
                access: READ | WRITE | MKNOD,
            };
        }
        let access = if access == 0 {
            READ | WRITE | MKNOD
        } else {
            access
        };
        Rule {
            allow: rule.allow,
            kind,
            major: number(rule.major),
            minor: number(rule.minor),
            access,
        }
    }

    /// Whether it decides everything, so that no earlier rule is ever asked.
    fn covers_all(&self) -> bool {
        self.kind == 0
            && self.major.is_none()
            && self.minor.is_none()
            && self.access == READ | WRITE | MKNOD
    }
}

/// The rules in the order in which they are asked: last first, up to one that decides everything; and that one's answer.
fn order(rules: &[DeviceRule]) -> (Vec<Rule>, bool) {
    let always = ALWAYS.iter().map(|(kind, major, minor, access)| Rule {
        allow: true,
        kind: *kind,
        major: *major,
        minor: *minor,
        access: *access,
    });
    let given = rules.iter().map(Rule::of);
    let mut asked: Vec<Rule> = Vec::new();
    // What always holds comes behind a "deny all" but before rules that speak of single devices.
    let all: Vec<Rule> = given.collect();
    let base = all.iter().rposition(Rule::covers_all);
    let default = base.is_some_and(|at| all[at].allow);
    let tail = &all[base.map_or(0, |at| at + 1)..];
    for rule in tail.iter().rev().copied().chain(always) {
        if !asked.contains(&rule) {
            asked.push(rule);
        }
    }
    // At the end of the list an answer that is the default's anyway need not be asked for.
    while asked.last().is_some_and(|rule| rule.allow == default) {
        asked.pop();
    }
    (asked, default)
}

// Opcodes of linux/bpf_common.h and linux/bpf.h, put together.
const LDX_WORD: u8 = 0x61;
const MOV_IMM: u8 = 0xb7;
const MOV_REG: u8 = 0xbf;
const AND_IMM: u8 = 0x57;
const RSH_IMM: u8 = 0x77;
const JUMP: u8 = 0x05;
const JEQ_IMM: u8 = 0x15;
const JNE_IMM: u8 = 0x55;
const EXIT: u8 = 0x95;

// Registers: 1 holds the context, 0 the answer, 6 is scratch.
const ACCESS: u8 = 2;
const TYPE: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

/// A program on its way: jumps to an answer get their distance at the end.
struct Program {
    code: Vec<BpfInsn>,
    answers: Vec<(usize, bool)>,
}

impl Program {
    fn push(&mut self, code: u8, to: u8, from: u8, imm: i32) -> usize {
        self.code.push(BpfInsn {
            code,
            registers: to | from << 4,
            off: 0,
            imm,
        });
        self.code.len() - 1
    }

    /// Lets the jump at `at` go to whatever comes next.
    fn land(&mut self, at: usize) {
        let distance = self.code.len() - at - 1;
        if let Some(jump) = self.code.get_mut(at) {
            jump.off = distance as i16;
        }
    }

    /// Jumps to the answer `allow` if a register holds `imm`.
    fn answer_if(&mut self, register: u8, imm: i32, allow: bool) {
        let at = self.push(JEQ_IMM, register, 0, imm);
        self.answers.push((at, allow));
    }

    /// Rules that share type and major ask for both once.
    fn rules(&mut self, rules: &[Rule]) {
        for same_type in rules.chunk_by(|a, b| a.kind == b.kind) {
            let kind = same_type.first().map_or(0, |rule| rule.kind);
            let other_type = (kind != 0).then(|| self.push(JNE_IMM, TYPE, 0, kind));
            for same_major in same_type.chunk_by(|a, b| a.major == b.major) {
                let major = same_major.first().and_then(|rule| rule.major);
                let other_major = major.map(|major| self.push(JNE_IMM, MAJOR, 0, major));
                for rule in same_major {
                    self.rule(rule);
                }
                other_major.into_iter().for_each(|at| self.land(at));
            }
            other_type.into_iter().for_each(|at| self.land(at));
        }
    }

    /// What is left of a rule once type and major match.
    fn rule(&mut self, rule: &Rule) {
        const EVERY: u32 = READ | WRITE | MKNOD;
        if rule.access == EVERY {
            match rule.minor {
                Some(minor) => self.answer_if(MINOR, minor, rule.allow),
                None => {
                    let at = self.push(JUMP, 0, 0, 0);
                    self.answers.push((at, rule.allow));
                }
            }
            return;
        }
        let other_minor = rule.minor.map(|minor| self.push(JNE_IMM, MINOR, 0, minor));
        self.push(MOV_REG, 6, ACCESS, 0);
        if rule.allow {
            // It must grant all that is asked for: nothing else may be asked.
            self.push(AND_IMM, 6, 0, (!rule.access & EVERY) as i32);
            self.answer_if(6, 0, true);
        } else {
            // It bites on any part of it.
            self.push(AND_IMM, 6, 0, rule.access as i32);
            let none = self.push(JEQ_IMM, 6, 0, 0);
            let at = self.push(JUMP, 0, 0, 0);
            self.answers.push((at, false));
            self.land(none);
        }
        other_minor.into_iter().for_each(|at| self.land(at));
    }
}

/// A number that tells lists of rules from each other by the program they make (FNV-1a); 0: there are no rules.
pub fn fingerprint(rules: &[DeviceRule]) -> u64 {
    if rules.is_empty() {
        return 0;
    }
    let mix = |sum: u64, byte: u8| (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    let insn = |sum: u64, i: &BpfInsn| {
        let bytes = [i.code, i.registers].into_iter();
        let bytes = bytes.chain(i.off.to_ne_bytes()).chain(i.imm.to_ne_bytes());
        bytes.fold(sum, mix)
    };
    compile(rules).iter().fold(0xcbf2_9ce4_8422_2325, insn)
}

/// The program.
pub fn compile(rules: &[DeviceRule]) -> Vec<BpfInsn> {
    let (rules, default) = order(rules);
    let mut p = Program {
        code: Vec::new(),
        answers: Vec::new(),
    };
    p.push(LDX_WORD, ACCESS, 1, 0);
    p.push(MOV_REG, TYPE, ACCESS, 0);
    p.push(AND_IMM, TYPE, 0, 0xffff);
    p.push(RSH_IMM, ACCESS, 0, 16);
    let major = p.push(LDX_WORD, MAJOR, 1, 0);
    let minor = p.push(LDX_WORD, MINOR, 1, 0);
    for (at, offset) in [(major, 4), (minor, 8)] {
        if let Some(load) = p.code.get_mut(at) {
            load.off = offset;
        }
    }
    p.rules(&rules);
    // The default first, since nothing jumps to it unless a rule says the same.
    for answer in [default, !default] {
        // The kernel refuses a program with instructions that nothing leads to.
        if answer != default && p.answers.iter().all(|(_, allow)| *allow == default) {
            break;
        }
        let here = p.code.len();
        p.push(MOV_IMM, 0, 0, answer as i32);
        p.push(EXIT, 0, 0, 0);
        for (at, _) in p.answers.iter().filter(|(_, allow)| *allow == answer) {
            if let Some(jump) = p.code.get_mut(*at) {
                jump.off = (here - at - 1) as i16;
            }
        }
    }
    p.code
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the rules say, without a program.
    fn verdict(rules: &[DeviceRule], kind: i32, major: i32, minor: i32, access: u32) -> bool {
        let (asked, default) = order(rules);
        for rule in asked {
            let fits = (rule.kind == 0 || rule.kind == kind)
                && rule.major.is_none_or(|m| m == major)
                && rule.minor.is_none_or(|m| m == minor);
            if fits
                && if rule.allow {
                    access & !rule.access == 0
                } else {
                    access & rule.access != 0
                }
            {
                return rule.allow;
            }
        }
        default
    }

    /// Runs a program as the kernel would.
    fn run(code: &[BpfInsn], kind: i32, major: i32, minor: i32, access: u32) -> bool {
        let context = [(access << 16) as i32 | kind, major, minor];
        let mut r = [0i64; 8];
        let mut at = 0;
        loop {
            let i = code[at];
            let (to, from) = ((i.registers & 15) as usize, (i.registers >> 4) as usize);
            at += 1;
            match i.code {
                LDX_WORD => r[to] = context[i.off as usize / 4] as u32 as i64,
                MOV_REG => r[to] = r[from],
                MOV_IMM => r[to] = i.imm as i64,
                AND_IMM => r[to] &= i.imm as i64,
                RSH_IMM => r[to] = (r[to] as u64 >> i.imm) as i64,
                JUMP => at += i.off as usize,
                JEQ_IMM if r[to] == i.imm as i64 => at += i.off as usize,
                JNE_IMM if r[to] != i.imm as i64 => at += i.off as usize,
                JEQ_IMM | JNE_IMM => {}
                EXIT => return r[0] == 1,
                other => panic!("opcode {other:#x}"),
            }
        }
    }

    #[test]
    fn program_and_rules_agree() {
        let rule = |allow, kind: &str, major, minor, access: &str| DeviceRule {
            allow,
            kind: kind.into(),
            major,
            minor,
            access: access.into(),
        };
        let lists = [
            alloc::vec![rule(false, "a", None, None, "rwm")],
            alloc::vec![
                rule(false, "a", None, None, "rwm"),
                rule(true, "c", Some(10), Some(229), "rw"),
                rule(false, "c", Some(1), Some(3), "w")
            ],
            alloc::vec![
                rule(true, "a", None, None, "rwm"),
                rule(false, "b", Some(8), None, "rwm")
            ],
            alloc::vec![
                rule(true, "b", Some(8), Some(-1), "r"),
                rule(false, "b", Some(8), Some(1), "r")
            ],
        ];
        for rules in lists {
            let code = compile(&rules);
            for kind in [BLOCK, CHAR] {
                for major in [1, 5, 8, 10, 136] {
                    for minor in [0, 1, 2, 3, 229] {
                        for access in 1..8 {
                            let want = verdict(&rules, kind, major, minor, access);
                            assert_eq!(
                                run(&code, kind, major, minor, access),
                                want,
                                "{rules:?} {kind} {major}:{minor} {access}"
                            );
                        }
                    }
                }
            }
        }
    }
}

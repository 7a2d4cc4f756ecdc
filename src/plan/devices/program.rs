//! `linux.resources.devices` as an eBPF program for a cgroup (config-linux.md, "Allowed Device list"; kernel
//! documentation, "Cgroup v2: Device controller"). May touch: types.
//!
//! What a list means: an access has parts (to read, to write, to make a node), and each part is decided on its own, by
//! the last rule that fits the device and names the part. A part that no rule decides is denied. An access is granted
//! if all of its parts are. The rules of the default devices come after the list's own, as in runc and crun.
//!
//! Where the peers differ: runc takes every rule of type `a` for a rule about all devices and all parts, whatever its
//! numbers and letters are, and refuses a list that takes single devices out of a wider rule. Here, as in crun, a rule
//! means what stands in it. Both peers let an access pass when a denying rule names one of its parts only; here it does
//! not.
//!
//! The program gets `struct bpf_cgroup_dev_ctx { u32 access_type; u32 major; u32 minor; }`: the access in the upper 16
//! bits, the type in the lower. It answers 1 or 0. It asks the rules from the last to the first. The kernel refuses a
//! program with an instruction that nothing leads to, so a rule that later ones leave nothing to decide is left out.

use crate::spec::DeviceRule;
use syscalls::abi::BpfInsn;

const BLOCK: i32 = 1;
const CHAR: i32 = 2;
const MKNOD: u32 = 1;
const READ: u32 = 2;
const WRITE: u32 = 4;
const EVERY: u32 = MKNOD | READ | WRITE;

/// What runc and crun allow whatever the rules say: making nodes, which a runtime does after it has joined the cgroup,
/// the default devices, and terminals: (type, major, minor, access). No number stands for every one, type 0 for both.
const ALWAYS: &[(i32, Option<i32>, Option<i32>, u32)] = &[
    (0, None, None, MKNOD),
    (CHAR, Some(1), Some(3), EVERY),
    (CHAR, Some(1), Some(5), EVERY),
    (CHAR, Some(1), Some(7), EVERY),
    (CHAR, Some(1), Some(8), EVERY),
    (CHAR, Some(1), Some(9), EVERY),
    (CHAR, Some(5), Some(0), EVERY),
    (CHAR, Some(5), Some(2), EVERY),
    (CHAR, Some(136), None, EVERY),
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
        let part = |letter| match letter {
            'r' => READ,
            'w' => WRITE,
            _ => MKNOD,
        };
        let access = rule.access.chars().fold(0, |sum, l| sum | part(l));
        Rule {
            allow: rule.allow,
            kind: match rule.kind.as_str() {
                "b" => BLOCK,
                "c" => CHAR,
                _ => 0,
            },
            major: number(rule.major),
            minor: number(rule.minor),
            // Only a denying rule may come without: it denies everything.
            access: if access == 0 { EVERY } else { access },
        }
    }

    /// Whether it is for every device that the other is for.
    fn contains(&self, other: &Rule) -> bool {
        (self.kind == 0 || self.kind == other.kind)
            && (self.major.is_none() || self.major == other.major)
            && (self.minor.is_none() || self.minor == other.minor)
    }

    /// Whether there may be a device that both are for.
    fn meets(&self, other: &Rule) -> bool {
        let both = |a: Option<i32>, b: Option<i32>| a.is_none() || b.is_none() || a == b;
        (self.kind == 0 || other.kind == 0 || self.kind == other.kind)
            && both(self.major, other.major)
            && both(self.minor, other.minor)
    }

    fn is_for_all(&self) -> bool {
        self.kind == 0 && self.major.is_none() && self.minor.is_none()
    }
}

/// The rules that decide something, in the order in which they are asked, each with the parts that are left to it; and
/// the parts that are granted where none of them fits.
fn order(given: &[DeviceRule]) -> (Vec<Rule>, u32) {
    let always = ALWAYS.iter().map(|(kind, major, minor, access)| Rule {
        allow: true,
        kind: *kind,
        major: *major,
        minor: *minor,
        access: *access,
    });
    let mut asked: Vec<Rule> = Vec::new();
    for mut rule in always.chain(given.iter().rev().map(Rule::of)) {
        let wider = asked.iter().filter(|before| before.contains(&rule));
        let decided = wider.fold(0, |sum, before| sum | before.access);
        rule.access &= !decided;
        if rule.access != 0 {
            asked.push(rule);
        }
    }
    // No rule asked after one for all devices has any of its parts, so such rules may as well be asked last: all at
    // once.
    let granting = asked.iter().filter(|rule| rule.is_for_all() && rule.allow);
    let granted = granting.fold(0, |sum, rule| sum | rule.access);
    asked.retain(|rule| !rule.is_for_all());
    // A part of which all that is asked later says the same need not be asked here.
    for at in (0..asked.len()).rev() {
        let rule = asked[at];
        let later = asked[at + 1..].iter();
        let against = later.filter(|later| later.allow != rule.allow && later.meets(&rule));
        let disputed = against.fold(0, |sum, later| sum | later.access);
        let same = if rule.allow { granted } else { !granted };
        asked[at].access &= disputed | !same;
    }
    asked.retain(|rule| rule.access != 0);
    (asked, granted)
}

// Opcodes of linux/bpf_common.h and linux/bpf.h, put together.
const LDX_WORD: u8 = 0x61;
const MOV_IMM: u8 = 0xb7;
const AND_IMM: u8 = 0x57;
const RSH_IMM: u8 = 0x77;
const JUMP: u8 = 0x05;
const JEQ_IMM: u8 = 0x15;
const JSET_IMM: u8 = 0x45;
const JNE_IMM: u8 = 0x55;
const EXIT: u8 = 0x95;

// Registers: 1 holds the context, 0 the answer.
/// The parts of the access that no rule has granted yet: never none of them while a rule is asked.
const ACCESS: u8 = 2;
const TYPE: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

/// A program on its way: jumps to an answer get their distance at the end.
///
/// A number is loaded anew where two ways meet. The verifier follows each way with what it knows of the registers
/// there: of a register that is loaded before it is looked at it forgets that, and goes on once for both ways.
/// Otherwise its work would grow with the square of the rules, and it gives up after a million instructions.
struct Program {
    code: Vec<BpfInsn>,
    answers: Vec<(usize, bool)>,
    /// The parts of an access that any rule decides.
    parts: u32,
    /// Whether the minor number is loaded, since two ways met last.
    minor: bool,
}

impl Program {
    fn push(&mut self, code: u8, to: u8, from: u8, imm: i32) -> usize {
        self.code.push(BpfInsn { code, registers: to | from << 4, off: 0, imm });
        self.code.len() - 1
    }

    /// Loads a word of the context.
    fn load(&mut self, register: u8, offset: i16) {
        let at = self.push(LDX_WORD, register, 1, 0);
        self.code[at].off = offset;
    }

    /// Lets the jump at `at`, if there is one, go to whatever comes next.
    fn land(&mut self, at: Option<usize>) {
        if let Some(at) = at {
            self.code[at].off = (self.code.len() - at - 1) as i16;
            self.minor = false;
        }
    }

    /// Jumps to the answer `allow` if a register and `imm` compare so.
    fn answer_if(&mut self, how: u8, register: u8, imm: i32, allow: bool) {
        let at = self.push(how, register, 0, imm);
        self.answers.push((at, allow));
    }

    /// The beginning: what can be said without any rule.
    fn begin(&mut self, granted: u32) {
        let unasked = EVERY & !self.parts;
        self.load(ACCESS, 0);
        self.push(RSH_IMM, ACCESS, 0, 16);
        if unasked & !granted != 0 {
            self.answer_if(JSET_IMM, ACCESS, (unasked & !granted) as i32, false);
        }
        if self.parts != 0 {
            self.push(AND_IMM, ACCESS, 0, self.parts as i32);
            self.answer_if(JEQ_IMM, ACCESS, 0, true);
        }
    }

    /// Rules that share type and major ask for both once.
    fn rules(&mut self, rules: &[Rule]) {
        for same_type in rules.chunk_by(|a, b| a.kind == b.kind) {
            let kind = same_type.first().map_or(0, |rule| rule.kind);
            let other_type = (kind != 0).then(|| {
                self.load(TYPE, 0);
                self.push(AND_IMM, TYPE, 0, 0xffff);
                self.push(JNE_IMM, TYPE, 0, kind)
            });
            for same_major in same_type.chunk_by(|a, b| a.major == b.major) {
                self.same_major(same_major);
            }
            self.land(other_type);
        }
    }

    fn same_major(&mut self, rules: &[Rule]) {
        let major = rules.first().and_then(|rule| rule.major);
        if major.is_some() {
            self.load(MAJOR, 4);
        }
        if let ([only], Some(major)) = (rules, major)
            && only.minor.is_none()
            && only.access == self.parts
        {
            return self.answer_if(JEQ_IMM, MAJOR, major, only.allow);
        }
        let other_major = major.map(|major| self.push(JNE_IMM, MAJOR, 0, major));
        for rule in rules {
            self.rule(rule);
        }
        self.land(other_major);
    }

    /// What is left of a rule once type and major match.
    fn rule(&mut self, rule: &Rule) {
        if rule.minor.is_some() && !self.minor {
            self.load(MINOR, 8);
            self.minor = true;
        }
        if rule.access == self.parts {
            return match rule.minor {
                Some(minor) => self.answer_if(JEQ_IMM, MINOR, minor, rule.allow),
                // Something leads to what comes next: this rule is the last about its type and major, which are not
                // both left open, and the question for them jumps over it.
                None => self.answer_if(JUMP, 0, 0, rule.allow),
            };
        }
        let other_minor = rule.minor.map(|minor| self.push(JNE_IMM, MINOR, 0, minor));
        if rule.allow {
            let rest = self.parts & !rule.access;
            self.push(AND_IMM, ACCESS, 0, rest as i32);
            self.answer_if(JEQ_IMM, ACCESS, 0, true);
        } else {
            self.answer_if(JSET_IMM, ACCESS, rule.access as i32, false);
        }
        self.land(other_minor);
    }

    /// The end: the answer where no rule has given one, and what the jumps lead to.
    fn end(&mut self, granted: u32) {
        let denied = self.parts & !granted;
        let default = denied != self.parts || self.parts == 0;
        if default && denied != 0 {
            self.answer_if(JSET_IMM, ACCESS, denied as i32, false);
        }
        for answer in [default, !default] {
            // Nothing jumps there: the kernel would refuse the program for it.
            if answer != default && self.answers.iter().all(|(_, allow)| *allow == default) {
                break;
            }
            let here = self.code.len();
            self.push(MOV_IMM, 0, 0, answer as i32);
            self.push(EXIT, 0, 0, 0);
            for (at, _) in self.answers.iter().filter(|(_, allow)| *allow == answer) {
                self.code[*at].off = (here - at - 1) as i16;
            }
        }
    }
}

/// Which rule denies an access: its number in the list, or `Some(None)` if no rule grants it. `None`: it is granted. The letters
/// are those of a rule: `b` or `c`, and some of `rwm`.
pub fn denying(given: &[DeviceRule], kind: &str, major: u32, minor: u32, access: &str) -> Option<Option<usize>> {
    let (major, minor) = (Some(i64::from(major)), Some(i64::from(minor)));
    let device = Rule::of(&DeviceRule { allow: false, kind: kind.into(), major, minor, access: access.into() });
    let always = |part: u32| {
        let numbers = |rule: &&(i32, Option<i32>, Option<i32>, u32)| {
            (rule.0 == 0 || rule.0 == device.kind)
                && (rule.1.is_none() || rule.1 == device.major)
                && (rule.2.is_none() || rule.2 == device.minor)
        };
        ALWAYS.iter().any(|rule| rule.3 & part != 0 && numbers(&rule))
    };
    let parts = [MKNOD, READ, WRITE].into_iter().filter(|part| device.access & part != 0 && !always(*part));
    let decide =
        |part: u32| given.iter().map(Rule::of).rposition(|rule| rule.contains(&device) && rule.access & part != 0);
    parts.map(decide).find(|rule| rule.is_none_or(|rule| !given[rule].allow))
}

/// A number that tells lists of rules from each other by the program they make (FNV-1a).
pub fn fingerprint(rules: &[DeviceRule]) -> u64 {
    let mut sum = 0xcbf2_9ce4_8422_2325_u64;
    for i in compile(rules) {
        let (code, registers) = (u64::from(i.code), u64::from(i.registers));
        let mut bytes = code | registers << 8 | u64::from(i.off as u16) << 16 | u64::from(i.imm as u32) << 32;
        for _ in 0..8 {
            sum = (sum ^ bytes & 0xff).wrapping_mul(0x100_0000_01b3);
            bytes >>= 8;
        }
    }
    sum
}

/// The program.
pub fn compile(rules: &[DeviceRule]) -> Vec<BpfInsn> {
    let (rules, granted) = order(rules);
    let mut p = Program {
        code: Vec::new(),
        answers: Vec::new(),
        parts: rules.iter().fold(0, |sum, rule| sum | rule.access),
        minor: false,
    };
    p.begin(granted);
    p.rules(&rules);
    p.end(granted);
    p.code
}

#[cfg(test)]
#[path = "../../../tests/unit/device_compiler.rs"]
mod tests;

//! Classic BPF (linux/filter.h): the few instructions that a filter needs, and how they are put together. Jumps lead
//! forward only and conditional ones at most 255 instructions far, so code is composed of whole pieces whose lengths are
//! known. May touch: types.

use crate::spec::Condition;
use alloc::vec::Vec;
pub use syscalls::abi::SockFilter as Insn;

/// Instructions that the kernel takes (linux/bpf_common.h, BPF_MAXINSNS).
pub const MOST: usize = 4096;

const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
const ALWAYS: u16 = 0x05; // BPF_JMP | BPF_JA
const EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const GREATER: u16 = 0x25; // BPF_JMP | BPF_JGT | BPF_K
const AT_LEAST: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const RETURN: u16 = 0x06; // BPF_RET | BPF_K

/// Where the members of struct seccomp_data are, in bytes.
const NR: u32 = 0;
const ARCH: u32 = 4;
const ARGS: u32 = 16;

/// Numbers from `start` to the next segment's, and what is done for them.
#[derive(Clone)]
pub struct Segment {
    pub start: u32,
    pub code: Vec<Insn>,
}

fn insn(code: u16, jt: u8, jf: u8, k: u32) -> Insn {
    Insn { code, jt, jf, k }
}

pub fn ret(verdict: u32) -> Insn {
    insn(RETURN, 0, 0, verdict)
}

/// `then` if the comparison holds, else what follows it: `otherwise`.
fn branch(compare: u16, k: u32, then: Vec<Insn>, otherwise: Vec<Insn>) -> Vec<Insn> {
    let mut out = Vec::with_capacity(otherwise.len() + then.len() + 2);
    match u8::try_from(otherwise.len()) {
        Ok(far) => out.push(insn(compare, far, 0, k)),
        Err(_) => {
            out.push(insn(compare, 0, 1, k));
            out.push(insn(ALWAYS, 0, 0, otherwise.len() as u32));
        }
    }
    out.extend(otherwise);
    out.extend(then);
    out
}

/// Finds the segment of the loaded number by halves.
pub fn tree(segments: &[Segment]) -> Vec<Insn> {
    match segments {
        [] => Vec::new(),
        [one] => one.code.clone(),
        many => {
            let (low, high) = many.split_at(many.len() / 2);
            branch(AT_LEAST, high[0].start, tree(high), tree(low))
        }
    }
}

/// x86_64 and x32 are one architecture to the kernel. A tracer that skips a call sets its number to -1, which is
/// neither's.
pub fn split_x32(tree: Vec<Insn>, x32: Vec<Insn>, default: u32) -> Vec<Insn> {
    let skipped = branch(EQUAL, u32::MAX, alloc::vec![ret(default)], x32);
    branch(AT_LEAST, 0x4000_0000, skipped, tree)
}

/// The whole program: each architecture's section, and the end of every other's.
pub fn whole(sections: Vec<(u32, Vec<Insn>)>) -> Vec<Insn> {
    let mut out = alloc::vec![ret(0)];
    for (arch, section) in sections.into_iter().rev() {
        let mut with_number = alloc::vec![insn(LOAD, 0, 0, NR)];
        with_number.extend(section);
        out = branch(EQUAL, arch, with_number, out);
    }
    out.insert(0, insn(LOAD, 0, 0, ARCH));
    out
}

/// The alternatives in turn, and at last what counts if none holds.
pub fn leaf(alternatives: Vec<Vec<Insn>>, otherwise: u32) -> Vec<Insn> {
    let mut out: Vec<Insn> = alternatives.into_iter().flatten().collect();
    out.push(ret(otherwise));
    out
}

/// A verdict behind its conditions; where one of them does not hold, the code behind it goes on.
///
/// It is written from its end: then the way to there is as long as what has been written.
pub fn alternative(conditions: &[&Condition], verdict: u32, wide: bool) -> Vec<Insn> {
    let mut back = alloc::vec![ret(verdict)];
    for condition in conditions.iter().rev() {
        prepend(&mut back, condition, wide);
    }
    back.reverse();
    back
}

/// One condition. Arguments have 64 bits and the machine has 32: the high half first, and the low one where that decides
/// nothing. `back` is in reverse.
fn prepend(back: &mut Vec<Insn>, c: &Condition, wide: bool) {
    let pass = back.len();
    let masked = c.op == "SCMP_CMP_MASKED_EQ";
    let (value, mask) = match masked {
        true => (c.value_two & c.value, c.value),
        false => (c.value, 0),
    };
    let at = ARGS + 8 * c.index;
    let half = |word: u64, high: bool| {
        if high {
            (word >> 32) as u32
        } else {
            word as u32
        }
    };
    // The compare of the low half: which jump, and whether it leads to the end of the condition or of the alternative.
    let (compare, holds) = match c.op.as_str() {
        "SCMP_CMP_NE" => (EQUAL, false),
        "SCMP_CMP_GT" => (GREATER, true),
        "SCMP_CMP_GE" => (AT_LEAST, true),
        "SCMP_CMP_LT" => (AT_LEAST, false),
        "SCMP_CMP_LE" => (GREATER, false),
        _ => (EQUAL, true),
    };
    let to = |back: &Vec<Insn>, end: bool| (back.len() - if end { 0 } else { pass }) as u8;
    let jump = |back: &mut Vec<Insn>, compare: u16, k: u32, yes: Option<bool>, no: Option<bool>| {
        // `Some(true)`: past the alternative; `Some(false)`: past this condition; `None`: the next instruction.
        let far = |way: Option<bool>| way.map_or(0, |end| to(back, end));
        let one = insn(compare, far(yes), far(no), k);
        back.push(one);
    };
    let low = half(value, false);
    match holds {
        true => jump(back, compare, low, Some(false), Some(true)),
        false => jump(back, compare, low, Some(true), Some(false)),
    }
    if masked {
        back.push(insn(AND, 0, 0, half(mask, false)));
    }
    back.push(insn(LOAD, 0, 0, at));
    if !wide {
        return;
    }
    let high = half(value, true);
    match c.op.as_str() {
        "SCMP_CMP_NE" => jump(back, EQUAL, high, None, Some(false)),
        "SCMP_CMP_GT" | "SCMP_CMP_GE" => {
            jump(back, EQUAL, high, None, Some(true));
            jump(back, GREATER, high, Some(false), None);
        }
        "SCMP_CMP_LT" | "SCMP_CMP_LE" => {
            jump(back, EQUAL, high, None, Some(false));
            jump(back, GREATER, high, Some(true), None);
        }
        _ => jump(back, EQUAL, high, None, Some(true)),
    }
    if masked {
        back.push(insn(AND, 0, 0, half(mask, true)));
    }
    back.push(insn(LOAD, 0, 0, at + 4));
}

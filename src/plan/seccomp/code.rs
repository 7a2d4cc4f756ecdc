//! Classic BPF (linux/filter.h): the few instructions that a filter needs, and how they are put together. Jumps lead
//! forward only and conditional ones at most 255 instructions far. So a program is written from its end, `back` in all
//! that follows: what a jump passes over has been written when the jump is, and nothing has to be moved or patched. May
//! touch: types.

use crate::spec::Condition;
pub use syscalls::abi::SockFilter as Insn;

/// Instructions that the kernel takes.
pub const MOST: usize = libc::BPF_MAXINSNS as usize;

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const AND: u16 = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
const ALWAYS: u16 = (libc::BPF_JMP | libc::BPF_JA) as u16;
pub const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const GREATER: u16 = (libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K) as u16;
pub const AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

/// Where the members of struct seccomp_data are, in bytes.
const NR: u32 = 0;
const ARCH: u32 = 4;
const ARGS: u32 = 16;

/// What is done for which numbers: where each segment starts, and the code of all segments, one after the other, in
/// reverse.
#[derive(Default)]
pub struct Segments {
    starts: Vec<(u32, usize)>,
    code: Vec<Insn>,
}

impl Segments {
    /// From this number on, up to the next segment's. If it does the same as the segment before, they are one.
    pub fn push(&mut self, start: u32, leaf: impl FnOnce(&mut Vec<Insn>)) {
        let at = self.code.len();
        leaf(&mut self.code);
        if let Some((_, before)) = self.starts.last() {
            let (before, new) = self.code[*before..].split_at(at - before);
            if before == new {
                self.code.truncate(at);
                return;
            }
        }
        self.starts.push((start, at));
    }

    /// The code that finds a segment by the loaded number, and does what it says.
    pub fn tree(&self, back: &mut Vec<Insn>) {
        self.halves(0, self.starts.len(), back);
    }

    fn halves(&self, from: usize, to: usize, back: &mut Vec<Insn>) {
        if to - from < 2 {
            let start = |i: usize| self.starts.get(i).map_or(self.code.len(), |(_, at)| *at);
            back.extend_from_slice(&self.code[start(from)..start(to)]);
            return;
        }
        let middle = from + (to - from) / 2;
        self.halves(middle, to, back);
        let then = back.len();
        self.halves(from, middle, back);
        branch(back, then, AT_LEAST, self.starts[middle].0);
    }
}

fn insn(code: u16, jt: u8, jf: u8, k: u32) -> Insn {
    Insn { code, jt, jf, k }
}

pub fn ret(verdict: u32) -> Insn {
    insn(RETURN, 0, 0, verdict)
}

/// If the comparison holds, jumps over all that was written since `back` was `then` instructions long.
pub fn branch(back: &mut Vec<Insn>, then: usize, compare: u16, k: u32) {
    let otherwise = back.len() - then;
    match u8::try_from(otherwise) {
        Ok(far) => back.push(insn(compare, far, 0, k)),
        Err(_) => {
            back.push(insn(ALWAYS, 0, 0, otherwise as u32));
            back.push(insn(compare, 0, 1, k));
        }
    }
}

/// The sections of the architectures. `ends`: which architecture, and how long `back` was when its section was written.
pub fn whole(mut back: Vec<Insn>, ends: &[(u32, usize)]) -> Vec<Insn> {
    // Every other architecture's end.
    back.push(ret(0));
    for (arch, end) in ends.iter().rev() {
        branch(&mut back, *end, EQUAL, *arch);
    }
    back.push(insn(LOAD, 0, 0, ARCH));
    back.reverse();
    back
}

/// Loads the call's number.
pub fn load_number(back: &mut Vec<Insn>) {
    back.push(insn(LOAD, 0, 0, NR));
}

/// A verdict after its conditions. If a condition does not hold, the program goes on after the verdict.
pub fn alternative(back: &mut Vec<Insn>, conditions: &[&Condition], verdict: u32, wide: bool) {
    let end = back.len();
    back.push(ret(verdict));
    for condition in conditions.iter().rev() {
        prepend(back, end, condition, wide);
    }
}

/// One condition. Arguments have 64 bits and the machine has 32: the high half first, and the low one where that
/// decides nothing. `end`: where the alternative is over.
fn prepend(back: &mut Vec<Insn>, end: usize, c: &Condition, wide: bool) {
    let pass = back.len();
    let masked = c.op == "SCMP_CMP_MASKED_EQ";
    let (value, mask) = match masked {
        true => (c.value_two & c.value, c.value),
        false => (c.value, 0),
    };
    let at = ARGS + 8 * c.index;
    let half = |word: u64, high: bool| {
        if high { (word >> 32) as u32 } else { word as u32 }
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
    let to = |back: &Vec<Insn>, past: bool| (back.len() - if past { end } else { pass }) as u8;
    let jump = |back: &mut Vec<Insn>, compare: u16, k: u32, yes: Option<bool>, no: Option<bool>| {
        // `Some(true)`: past the alternative; `Some(false)`: past this condition; `None`: the next instruction.
        let far = |way: Option<bool>| way.map_or(0, |past| to(back, past));
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

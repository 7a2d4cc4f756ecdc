//! Results that are more than a number: flags, names, what poll and select have found.

use super::arguments::{Args, Look};
use super::sheet::Sheet;
use super::structs;
use super::{times, words};
use crate::flags::{hex, signal_name};
use crate::record::RESULT;
use crate::show::structs::Bytes;
use core::fmt::Write;

/// -ERESTARTSYS to -ERESTART_RESTARTBLOCK: the kernel interrupted the call, and may make it again.
pub(super) fn is_restarted(look: &Look) -> bool {
    look.result.is_some_and(|result| (-516..=-512).contains(&result))
}

/// The call is one of the wait family: there 0 means that no child has ended.
pub(super) fn waits(look: &Look) -> bool {
    look.known.is_some_and(|call| call.name().starts_with("wait"))
}

/// Keeps the text of the result, where a number does not tell all.
pub(super) fn show(look: &Look, style: &str, args: &mut Args, out: &mut Sheet) {
    let many = 40 * look.argument(2).min(32) as usize;
    args.room += match style {
        "d" => 0,
        "polls" => 32 + many,
        "select" | "membarrier" => 512,
        _ => 128,
    };
    let Some(result) = look.result.filter(|_| look.has_succeeded()) else {
        return;
    };
    match style {
        "d" => {}
        "polls" => _ = out.blob(RESULT, |out| polls(look, result, out)),
        "select" => _ = out.blob(RESULT, |out| select(look, result, out)),
        _ => _ = out.blob(RESULT, |out| named(style, result as u64, out)),
    }
}

fn named(style: &str, result: u64, out: &mut Sheet) -> Option<()> {
    match style {
        "x" => return write!(out, "{}", hex(result)).ok(),
        "sig" if result == 0 => return None,
        "sig" => return write!(out, "{result} ({})", signal_name(result as i32)).ok(),
        "ioprio" => {
            let class = crate::flags::IOPRIO_CLASS.word(result >> 13);
            return write!(out, "{result} (IOPRIO_PRIO_VALUE({class}, {}))", result & 0x1fff).ok();
        }
        "date" => return write!(out, "{result} ({}+0000)", times::Date(result as i64)).ok(),
        "fdflag" | "seal" | "securebits" | "seccompmode" | "membarrier" if result == 0 => return None,
        "dumpable" | "seccompmode" | "sched" => write!(out, "{result} (").ok()?,
        "fdflag" | "OpenFlags" => write!(out, "{} (flags ", hex(result)).ok()?,
        "seal" => write!(out, "{} (seals ", hex(result)).ok()?,
        _ => write!(out, "{} (", hex(result)).ok()?,
    }
    words::list(style)?.show(result, out).ok()?;
    out.write_char(')').ok()
}

/// The descriptors with something to tell, and of ppoll the time that was left.
fn polls(look: &Look, result: i64, out: &mut Sheet) -> Option<()> {
    write!(out, "{result}").ok()?;
    if result == 0 {
        return out.write_str(" (Timeout)").ok();
    }
    out.write_str(" ([").ok()?;
    let mut between = "";
    for i in 0..look.argument(2).min(1024) {
        let fd = look.bytes::<8>(look.argument(1).checked_add(8 * i)?)?;
        if Bytes(&fd).u16(6) != 0 {
            let events = crate::flags::POLL.flags(Bytes(&fd).u16(6).into());
            write!(out, "{between}{{fd={}, revents={events}}}", Bytes(&fd).i32(0)).ok()?;
            between = ", ";
        }
    }
    out.write_char(']').ok()?;
    let ppoll = look.known.is_some_and(|call| call.name() == "ppoll");
    left(look, if ppoll { look.argument(3) } else { 0 }, "timespec", out)?;
    out.write_char(')').ok()
}

/// The sets, as far as something is in them, and the time that was left.
fn select(look: &Look, result: i64, out: &mut Sheet) -> Option<()> {
    write!(out, "{result}").ok()?;
    if result == 0 {
        return out.write_str(" (Timeout)").ok();
    }
    let mut between = " (";
    for (n, name) in [(2, "in"), (3, "out"), (4, "except")] {
        let start = out.at;
        if look.argument(n) == 0 {
            continue;
        }
        write!(out, "{between}{name} ").ok()?;
        let set = out.at;
        structs::fd_set(look, look.argument(n), out)?;
        match out.at - set {
            2 => out.at = start,
            _ => between = ", ",
        }
    }
    let unit = if look.known.is_some_and(|call| call.name() == "select") { "timeval" } else { "timespec" };
    left(look, look.argument(5), unit, out)?;
    out.write_char(')').ok()
}

fn left(look: &Look, at: u64, unit: &str, out: &mut Sheet) -> Option<()> {
    if at == 0 {
        return Some(());
    }
    out.write_str(", left ").ok()?;
    times::show(look, unit, at, out).map(drop)
}

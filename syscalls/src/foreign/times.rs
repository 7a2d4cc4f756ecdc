//! Times, and what a process has used.

use super::arguments::Look;
use super::results;
use super::sheet::Sheet;
use crate::show::structs::Bytes;
use core::fmt::{Display, Write};

/// The text of such a structure. Some(false): it is none.
pub(super) fn show(look: &Look, name: &str, at: u64, out: &mut Sheet) -> Option<bool> {
    let at = |n: u64| at.checked_add(16 * n).and_then(|at| look.bytes::<16>(at));
    match name {
        "timespec" | "left" => write!(out, "{}", time(&at(0)?, "tv_nsec")),
        "timeval" => write!(out, "{}", time(&at(0)?, "tv_usec")),
        "timevals" => write!(out, "[{}, {}]", time(&at(0)?, "tv_usec"), time(&at(1)?, "tv_usec")),
        "times" => write!(out, "[{}, {}]", stamp(&at(0)?), stamp(&at(1)?)),
        "itimerval" | "itimerspec" => {
            let unit = if name == "itimerval" { "tv_usec" } else { "tv_nsec" };
            write!(out, "{{it_interval={}, it_value={}}}", time(&at(0)?, unit), time(&at(1)?, unit))
        }
        "timezone" => {
            let zone = at(0)?;
            write!(out, "{{tz_minuteswest={}, tz_dsttime={}}}", Bytes(&zone).i32(0), Bytes(&zone).i32(4))
        }
        "rusage" => {
            if look.result == Some(0) && results::waits(look) {
                return None;
            }
            let (user, system) = (at(0)?, at(1)?);
            write!(out, "{{ru_utime={}, ru_stime={}, ...}}", time(&user, "tv_usec"), time(&system, "tv_usec"))
        }
        "tms" => {
            let (own, children) = (at(0)?, at(1)?);
            let (own, children) = (Bytes(&own), Bytes(&children));
            write!(out, "{{tms_utime={}, tms_stime={}, ", own.u64(0), own.u64(8)).ok()?;
            write!(out, "tms_cutime={}, tms_cstime={}}}", children.u64(0), children.u64(8))
        }
        _ => return Some(false),
    }
    .ok()
    .map(|()| true)
}

fn time(bytes: &[u8; 16], unit: &'static str) -> impl Display {
    let (seconds, rest) = (Bytes(bytes).u64(0) as i64, Bytes(bytes).u64(8) as i64);
    crate::flags::with(move |out| write!(out, "{{tv_sec={seconds}, {unit}={rest}}}"))
}

/// A time of a file: two numbers stand for "now" and "leave it as it is" (utimensat(2)).
fn stamp(bytes: &[u8; 16]) -> impl Display + use<'_> {
    crate::flags::with(move |out| match Bytes(bytes).u64(8) as i64 {
        libc::UTIME_NOW => out.write_str("UTIME_NOW"),
        libc::UTIME_OMIT => out.write_str("UTIME_OMIT"),
        _ => write!(out, "{}", time(bytes, "tv_nsec")),
    })
}

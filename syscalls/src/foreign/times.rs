//! Times, and what a process has used.

use super::arguments::Look;
use super::results;
use super::sheet::Sheet;
use crate::show::structs::Bytes;
use core::fmt::{Display, Formatter, Result, Write};

/// The text of such a structure. Some(false): it is none.
pub(super) fn show(look: &Look, name: &str, at: u64, out: &mut Sheet) -> Option<bool> {
    let at = |n: u64| at.checked_add(16 * n).and_then(|at| look.bytes::<16>(at));
    match name {
        "timespec" | "left" => write!(out, "{}", time(&at(0)?, "tv_nsec")),
        "timeval" => write!(out, "{}", time(&at(0)?, "tv_usec")),
        "timevals" => {
            let (first, second) = (at(0)?, at(1)?);
            let when = |time: &[u8; 16]| Moment { seconds: Bytes(time).u64(0), part: Bytes(time).u64(8), digits: 6 };
            write!(out, "[{}{}, ", time(&first, "tv_usec"), when(&first)).ok()?;
            write!(out, "{}{}]", time(&second, "tv_usec"), when(&second))
        }
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
        part => {
            let when = Moment { seconds: Bytes(bytes).u64(0), part: part as u64, digits: 9 };
            write!(out, "{}{when}", time(bytes, "tv_nsec"))
        }
    })
}

/// A moment, in a comment: `/* 1970-01-01T00:00:01.000000002+0000 */`.
struct Moment {
    seconds: u64,
    /// Of a second, with so many digits.
    part: u64,
    digits: usize,
}

impl Display for Moment {
    fn fmt(&self, out: &mut Formatter) -> Result {
        if (self.seconds, self.part) == (0, 0) {
            return Ok(());
        }
        write!(out, " /* {}", Date(self.seconds as i64))?;
        if self.part != 0 {
            write!(out, ".{:0digits$}", self.part, digits = self.digits)?;
        }
        out.write_str("+0000 */")
    }
}

/// Seconds since 1970 as a date.
pub(super) struct Date(pub i64);

impl Display for Date {
    fn fmt(&self, out: &mut Formatter) -> Result {
        let (day, second) = (self.0.div_euclid(86400), self.0.rem_euclid(86400));
        // Years begin in March here, so that a leap day is their last one. 400 of them have 146097 days.
        let day = day + 719_468;
        let (era, day) = (day.div_euclid(146_097), day.rem_euclid(146_097));
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let (month, year) = (if month < 10 { month + 3 } else { month - 9 }, year + 400 * era);
        let year = year + i64::from(month <= 2);
        write!(out, "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
    }
}

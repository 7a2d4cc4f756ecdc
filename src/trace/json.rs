//! The view of a trace for programs: one object a line. May touch: the recorder.

use crate::plan::Step;
use crate::plan::show::lane_name;
use core::fmt::Write;
use syscalls::Errno;
use syscalls::record::{self, Record};

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

/// Writes one record.
pub fn json(r: &Record, pid: i32, out: &mut String) -> core::fmt::Result {
    write!(out, "{{\"seq\":{},\"lane\":\"{}\",\"pid\":{pid},\"line\":{}", r.seq, lane_name(r.lane), r.line)?;
    write!(out, ",\"step\":\"{}\",\"call\":\"{}\",\"args\":[", Step::of(r.step).text().0, r.call.name())?;
    for i in 0..r.argc {
        let mut arg = String::new();
        syscalls::show::arg(r, i, &mut arg)?;
        write!(out, "{}{}", if i > 0 { "," } else { "" }, quoted(&arg))?;
    }
    out.push(']');
    let returned = r.state == record::RETURNED;
    match (returned, r.ret) {
        (false, _) => out.push_str(",\"ret\":null,\"errno\":null"),
        (true, error @ -4095..=-1) => write!(out, ",\"ret\":-1,\"errno\":\"{}\"", Errno(-error as u16).name())?,
        (true, ret) => write!(out, ",\"ret\":{ret},\"errno\":null")?,
    }
    write!(out, ",\"start_ns\":{}", r.start_ns)?;
    match returned {
        true => write!(out, ",\"duration_ns\":{}", r.duration_ns)?,
        false => out.push_str(",\"duration_ns\":null"),
    }
    writeln!(out, ",\"why\":{}}}", quoted(r.why()))
}

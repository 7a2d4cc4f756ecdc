//! The view of a trace for programs: one object a line. May touch: the recorder.

use super::call;
use super::expected::{Verdict, verdict};
use super::life::Entry;
use crate::plan::show::lane_name;
use crate::plan::{self, Step};
use core::fmt::Write;
use syscalls::Errno;
use syscalls::record;

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

/// A text, or null where it is empty.
fn or_null(text: &str) -> String {
    if text.is_empty() { String::from("null") } else { quoted(text) }
}

/// Writes one record.
pub fn json(entry: &Entry, out: &mut String) -> core::fmt::Result {
    let (piece, r) = (entry.piece, &entry.r);
    if entry.is_event() {
        let (text, lane) = (quoted(&call::shown(r, 0)), lane_name(r.lane));
        return writeln!(
            out,
            "{{\"event\":{text},\"lane\":\"{lane}\",\"pid\":{},\"start_ns\":{}}}",
            piece.pid(r),
            r.start_ns
        );
    }
    write!(out, "{{\"seq\":{},\"lane\":\"{}\",\"pid\":{},\"line\":{}", r.seq, lane_name(r.lane), piece.pid(r), r.line)?;
    let stage = plan::stage(r.lane, r.stage);
    write!(
        out,
        ",\"op\":{},\"pointer\":{}",
        or_null(stage.as_ref().map_or("", |(name, _)| name)),
        or_null(piece.pointer(r))
    )?;
    write!(out, ",\"decided\":{}", or_null(piece.decided(r).text()))?;
    write!(out, ",\"step\":\"{}\",\"call\":\"{}\",\"args\":[", Step::of(r.step).text().0, r.name())?;
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
    let expected = match verdict(entry) {
        Verdict::Done => String::from("null"),
        Verdict::Expected(reason) => quoted(reason),
        Verdict::WentOn | Verdict::Ended => String::from("false"),
    };
    writeln!(
        out,
        ",\"expected\":{expected},\"ended\":{},\"why\":{},\"source\":{}}}",
        entry.ended,
        quoted(r.why()),
        or_null(&r.source().to_string())
    )
}

/// Writes what a command has found out and no call says.
pub fn remark(text: &str, out: &mut String) {
    out.push_str(&format!("{{\"remark\":{}}}\n", quoted(text)));
}

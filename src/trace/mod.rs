//! Views over the same records: for people, as strace prints them, one JSON object a line. May touch: the recorder.

use crate::cli::Format;
use crate::plan::Step;
use crate::plan::show::lane_name;
use alloc::format;
use alloc::string::String;
use core::fmt::Write;
use syscalls::record::{self, Record};

/// Whether a record belongs to what is shown.
pub type Filter<'a> = &'a dyn Fn(&Record) -> bool;

/// All records of a recorder's bytes that pass the filter, in order.
pub fn render(bytes: &[u8], format: Format, filter: Filter) -> String {
    let mut out = String::new();
    let mut view = View::new(format, bytes);
    for at in record::offsets(bytes) {
        if let Some(r) = Record::read(bytes, at).filter(filter) {
            view.show(&r, &mut out);
        }
    }
    let dropped = dropped(bytes);
    if dropped > 0 {
        let _ = match format {
            Format::Json => Ok(()),
            _ => writeln!(
                out,
                "+++ {dropped} more calls found no room in the recorder +++"
            ),
        };
    }
    out
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..at + 4)
        .and_then(|b| b.try_into().ok())
        .map_or(0, u32::from_ne_bytes)
}

/// The process id of the container's first process, out of a recorder's head.
fn child(bytes: &[u8]) -> i32 {
    u32_at(bytes, core::mem::offset_of!(record::Head, child)) as i32
}

fn dropped(bytes: &[u8]) -> u32 {
    u32_at(bytes, core::mem::offset_of!(record::Head, dropped))
}

/// A view being written: it knows what was shown last.
pub struct View {
    format: Format,
    child: i32,
    helpers: [i32; record::HELPERS],
    step: Option<u16>,
}

impl View {
    /// A view of the recorder that begins with these bytes.
    pub fn new(format: Format, head: &[u8]) -> View {
        let at = |i: usize| core::mem::offset_of!(record::Head, helpers) + 4 * i;
        View {
            format,
            child: child(head),
            helpers: core::array::from_fn(|i| u32_at(head, at(i)) as i32),
            step: None,
        }
    }

    /// One record. Writing to a String cannot fail.
    pub fn show(&mut self, r: &Record, out: &mut String) {
        let pid = match r.pid {
            0 => self.child,
            helper @ ..0 => self
                .helpers
                .get((-1 - helper) as usize)
                .copied()
                .unwrap_or(0),
            pid => pid,
        };
        let _ = match self.format {
            Format::Strace => syscalls::show::strace_line(r, pid, out),
            Format::Json => json(r, pid, out),
            Format::Text => self.text(r, out),
        };
    }

    /// Headings by step, then: line of the plan, lane, call, result, time, why.
    fn text(&mut self, r: &Record, out: &mut String) -> core::fmt::Result {
        if self.step != Some(r.step) {
            let gap = if self.step.is_some() { "\n" } else { "" };
            writeln!(out, "{gap}{}", Step::of(r.step).text().1)?;
            self.step = Some(r.step);
        }
        let line = if r.line == 0 {
            String::from("   ")
        } else {
            format!("{:>3}", r.line)
        };
        write!(out, "{line} {}  ", lane_name(r.lane))?;
        syscalls::show::call(r, out)?;
        out.push_str(" = ");
        syscalls::show::result(r, out)?;
        if r.state == record::RETURNED {
            write!(out, "  {}", microseconds(r.duration_ns))?;
        }
        writeln!(out, "  # {}", r.why())
    }
}

fn microseconds(ns: u64) -> String {
    format!("{}.{} µs", ns / 1000, ns % 1000 / 100)
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

fn json(r: &Record, pid: i32, out: &mut String) -> core::fmt::Result {
    write!(
        out,
        "{{\"seq\":{},\"lane\":\"{}\",\"pid\":{pid},\"line\":{}",
        r.seq,
        lane_name(r.lane),
        r.line
    )?;
    write!(
        out,
        ",\"step\":\"{}\",\"call\":\"{}\",\"args\":[",
        Step::of(r.step).text().0,
        r.row().name
    )?;
    for i in 0..r.row().args.len() {
        let mut arg = String::new();
        syscalls::show::arg(r, i, &mut arg)?;
        write!(out, "{}{}", if i > 0 { "," } else { "" }, quoted(&arg))?;
    }
    out.push(']');
    let returned = r.state == record::RETURNED;
    match (returned, r.ret) {
        (false, _) => out.push_str(",\"ret\":null,\"errno\":null"),
        (true, error @ -4095..=-1) => write!(
            out,
            ",\"ret\":-1,\"errno\":\"{}\"",
            syscalls::Errno(-error as u16).name()
        )?,
        (true, ret) => write!(out, ",\"ret\":{ret},\"errno\":null")?,
    }
    write!(out, ",\"start_ns\":{}", r.start_ns)?;
    match returned {
        true => write!(out, ",\"duration_ns\":{}", r.duration_ns)?,
        false => out.push_str(",\"duration_ns\":null"),
    }
    writeln!(out, ",\"why\":{}}}", quoted(r.why()))
}

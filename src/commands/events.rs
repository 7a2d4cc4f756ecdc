//! `events`: what a container uses, in runc's shape, and a line when the kernel has killed a process for want of memory. May
//! touch: everything below.

use super::channel::client;
use super::context::{Context, Found, find, step};
use super::end;
use super::wait;
use crate::cli;
use crate::ended::Over;
use crate::host::{cgroup, input};
use crate::outcome::{Error, at};
use crate::plan::Step;
use crate::say::out;
use crate::state;
use alloc::ffi::CString;
use core::ffi::CStr;
use serde_json::{Value, json};
use syscalls::{At, Errno, Failed, Fd, OpenFlags, PollFd, Why};

const MS: u64 = 1_000_000;
/// So many tenths of a second the parent of the container's first process has for taking its status.
const PATIENCE: usize = 10;

/// `events`.
#[inline(never)]
pub fn events(context: &mut Context, options: &cli::Events) -> Result<i32, Error> {
    step(Step::Look);
    let id = &options.id;
    let found = find(context, id)?;
    if let Some(status) = client::passed(context, &found, None)? {
        return Ok(status);
    }
    let group = found.group()?;
    let failed = |failed| at(format!("watch {id}"), failed);
    print("stats", id, Some(stats(group).map_err(failed)?))?;
    if options.stats {
        return Ok(0);
    }
    let Some(init) = &found.now.init else {
        return Ok(0);
    };
    let why = Why("the kernel changes this file when memory runs out");
    let watched = syscalls::openat(group, c"memory.events", OpenFlags::NONE, why).ok();
    let mut kills = cgroup::oom_kills(group);
    let now = || syscalls::clock_ns(libc::CLOCK_MONOTONIC) / MS;
    let mut next = now() + options.interval;
    loop {
        let left = next.saturating_sub(now());
        let ended = watch(init, watched.as_ref(), left).map_err(failed)?;
        let killed = cgroup::oom_kills(group);
        if killed > kills {
            kills = killed;
            print("oom", id, None)?;
        }
        if ended {
            return last(&found, id);
        }
        if now() >= next {
            print("stats", id, Some(stats(group).map_err(failed)?))?;
            next = now() + options.interval;
        }
    }
}

/// The last line: how the program ended.
fn last(found: &Found, id: &str) -> Result<i32, Error> {
    let Some(init) = &found.now.init else {
        return Ok(0);
    };
    let whole = state::load_whole(found.dir, id).ok();
    let spec = whole.as_ref().and_then(|whole| whole.spec().ok());
    let hierarchy = found.now.cgroup.as_ref().map(|(root, _)| root.at());
    let over = Over {
        saved: &found.saved,
        spec: spec.as_deref(),
        pid: found.saved.pid,
        first: true,
        ended: wait::status(init, PATIENCE)?,
        handed: None,
        dir: Some(found.dir),
        hierarchy,
    };
    let ending = end::look(&over);
    print("ended", id, serde_json::to_value(ending).ok())?;
    Ok(0)
}

/// Waits for the end of init, a change of memory.events, or so many milliseconds. True: init has ended.
fn watch(init: &Fd, memory: Option<&Fd>, milliseconds: u64) -> syscalls::Result<bool> {
    let of = |fd: i32, events: i16| PollFd { fd, events, revents: 0 };
    // The kernel skips a negative number (poll(2)).
    let memory = memory.map_or(-1, |file| file.at().raw());
    let mut fds = [of(init.at().raw(), libc::POLLIN), of(memory, libc::POLLPRI)];
    let why = Why("the container's end, the want of memory, or the next line");
    syscalls::ppoll(&mut fds, Some(milliseconds), why)?;
    Ok(fds[0].revents != 0)
}

fn print(kind: &str, id: &str, data: Option<Value>) -> Result<(), Error> {
    let mut line = json!({"type": kind, "id": id});
    if let Some(data) = data {
        line["data"] = data;
    }
    out::stdout(&format!("{line}\n"))
}

/// A file of the cgroup. Empty: its controller is not enabled, or its device is not there.
fn text(group: At, file: &CStr) -> syscalls::Result<String> {
    match cgroup::read(group, file, Why("what the container uses")) {
        Err(failed) if [Errno::ENOENT, Errno::ENODEV, Errno::EOPNOTSUPP].contains(&failed.errno) => Ok(String::new()),
        read => read,
    }
}

/// The number in a file. `max` is the largest number, as in cgroup version 1; a missing file is 0.
fn number(group: At, file: &CStr) -> syscalls::Result<u64> {
    Ok(match text(group, file)?.trim() {
        "max" => u64::MAX,
        digits => digits.parse().unwrap_or(0),
    })
}

fn stats(group: At) -> syscalls::Result<Value> {
    let pids = Some(number(group, c"pids.max")?).filter(|limit| *limit != u64::MAX);
    let (mut cpu, mut memory) = (cpu(group)?, memory(group)?);
    let mut block_io = block_io(&text(group, c"io.stat")?);
    add_pressure(&mut cpu, group, c"cpu.pressure")?;
    add_pressure(&mut memory, group, c"memory.pressure")?;
    add_pressure(&mut block_io, group, c"io.pressure")?;
    Ok(json!({
        "cpu": cpu,
        "cpuset": {},
        "memory": memory,
        "pids": {
            "current": number(group, c"pids.current")?,
            "limit": pids.unwrap_or(0),
        },
        "blkio": block_io,
        "hugetlb": huge_pages(group)?,
        "intel_rdt": {},
        "network_interfaces": null,
    }))
}

/// How long processes have waited for a resource, in percent of the last seconds and in microseconds (accounting/psi.rst).
/// `None`: this kernel does not count it.
fn pressure(group: At, file: &CStr) -> syscalls::Result<Option<Value>> {
    let text = text(group, file)?;
    let of = |kind: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(kind));
        let field = |key: &str| {
            let mut words = line.unwrap_or("").split_whitespace();
            words.find_map(|word| word.strip_prefix(key))
        };
        // The kernel writes two digits after the point.
        let percent = |key: &str| {
            let digits = field(key).map(|value| value.replace('.', ""));
            let hundredths = digits.and_then(|digits| digits.parse::<u32>().ok());
            f64::from(hundredths.unwrap_or(0)) / 100.0
        };
        let total = field("total=").and_then(|total| total.parse::<u64>().ok());
        json!({
            "avg10": percent("avg10="),
            "avg60": percent("avg60="),
            "avg300": percent("avg300="),
            "total": total.unwrap_or(0),
        })
    };
    Ok((!text.is_empty()).then(|| json!({"some": of("some "), "full": of("full ")})))
}

/// Adds it to the other figures of the resource, as runc 1.2 does.
fn add_pressure(to: &mut Value, group: At, file: &CStr) -> syscalls::Result<()> {
    if let Some(pressure) = pressure(group, file)? {
        to["psi"] = pressure;
    }
    Ok(())
}

/// Times in nanoseconds. The kernel has microseconds.
fn cpu(group: At) -> syscalls::Result<Value> {
    let stat = text(group, c"cpu.stat")?;
    let ns = |key: &str| cgroup::keyed(&stat, key).saturating_mul(1000);
    Ok(json!({
        "usage": {"total": ns("usage_usec "), "kernel": ns("system_usec "), "user": ns("user_usec ")},
        "throttling": {
            "periods": cgroup::keyed(&stat, "nr_periods "),
            "throttledPeriods": cgroup::keyed(&stat, "nr_throttled "),
            "throttledTime": ns("throttled_usec "),
        },
    }))
}

/// `swap` is memory and swap together, as in cgroup version 1.
fn memory(group: At) -> syscalls::Result<Value> {
    let stat = text(group, c"memory.stat")?;
    let raw = |line: &str| {
        let (key, value) = line.split_once(' ')?;
        Some((String::from(key), json!(value.parse::<u64>().ok()?)))
    };
    let raw: serde_json::Map<String, Value> = stat.lines().filter_map(raw).collect();
    let (used, limit) = (number(group, c"memory.current")?, number(group, c"memory.max")?);
    let swap = |file: &CStr, memory: u64| Ok::<_, Failed>(number(group, file)?.saturating_add(memory));
    Ok(json!({
        "cache": cgroup::keyed(&stat, "file "),
        "usage": {
            "limit": limit,
            "usage": used,
            "max": number(group, c"memory.peak")?,
            "failcnt": cgroup::keyed(&text(group, c"memory.events")?, "max "),
        },
        "swap": {
            "limit": swap(c"memory.swap.max", limit)?,
            "usage": swap(c"memory.swap.current", used)?,
            "failcnt": 0,
        },
        "kernel": {"limit": 0, "failcnt": 0},
        "kernelTCP": {"limit": 0, "failcnt": 0},
        "raw": raw,
    }))
}

/// Lines such as `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6`.
fn block_io(stat: &str) -> Value {
    let number = |text: &str| text.parse::<u64>().ok();
    let entry = |line: &str, key: &str, op: &str| {
        let (device, counts) = line.split_once(' ')?;
        let (major, minor) = device.split_once(':')?;
        let value = counts.split(' ').find_map(|word| number(word.strip_prefix(key)?.strip_prefix('=')?))?;
        Some(json!({"major": number(major), "minor": number(minor), "op": op, "value": value}))
    };
    let entries = |ops: [(&str, &str); 3]| -> Vec<Value> {
        stat.lines().flat_map(|line| ops.into_iter().filter_map(move |(key, op)| entry(line, key, op))).collect()
    };
    json!({
        "ioServiceBytesRecursive": entries([("rbytes", "Read"), ("wbytes", "Write"), ("dbytes", "Discard")]),
        "ioServicedRecursive": entries([("rios", "Read"), ("wios", "Write"), ("dios", "Discard")]),
    })
}

/// The use of huge pages. There is a file `hugetlb.SIZE.current` for each size of page.
fn huge_pages(group: At) -> syscalls::Result<Value> {
    let mut all = json!({});
    let why = Why("each size of page has files of its own");
    // A new descriptor reads from the first name on; the cgroup's own one may stand at the end.
    let dir = syscalls::openat(group, c".", OpenFlags::O_DIRECTORY, why)?;
    for name in input::names(dir.at(), why)? {
        let size = name.to_str().ok();
        let size = size.and_then(|name| name.strip_prefix("hugetlb.")?.strip_suffix(".current"));
        // Reserved pages have another file, `hugetlb.SIZE.rsvd.current`.
        let Some(size) = size.filter(|size| !size.contains('.')) else {
            continue;
        };
        let events = CString::new(format!("hugetlb.{size}.events")).unwrap_or_default();
        let events = text(group, &events)?;
        all[size] = json!({"usage": number(group, &name)?, "failcnt": cgroup::keyed(&events, "max ")});
    }
    Ok(all)
}

//! The cgroup of a container: its limits, which line of the configuration each comes from, and what is used. May touch:
//! system calls, types.

use crate::host::cgroup::{self, Setting};
use alloc::ffi::CString;
use serde::Serialize;
use syscalls::{At, Errno, Result, Why};

/// What files of a cgroup are called in words: `FILE: WORDS`.
const WORDS: &str = include_str!("texts/cgroup.txt");

/// The limits that are looked at whatever the configuration says, in the order in which they are shown.
const LIMITS: [&str; 13] = [
    "memory.max",
    "memory.high",
    "memory.low",
    "memory.swap.max",
    "pids.max",
    "cpu.max",
    "cpu.max.burst",
    "cpu.weight",
    "cpu.idle",
    "cpuset.cpus",
    "cpuset.mems",
    "io.max",
    "io.weight",
];

const USED: [&str; 5] = ["memory.current", "memory.peak", "memory.swap.current", "pids.current", "cpu.stat"];

#[derive(Serialize, Default)]
pub struct Group {
    /// From the root of the hierarchy.
    pub path: String,
    /// It was made for the container: what holds for it holds for no other process.
    pub own: bool,
    pub limits: Vec<Limit>,
    pub used: Vec<Used>,
}

#[derive(Serialize)]
pub struct Limit {
    pub file: String,
    /// As the kernel shows it.
    pub value: String,
    pub pointer: Option<String>,
}

#[derive(Serialize)]
pub struct Used {
    pub file: String,
    pub value: u64,
}

/// A file of a cgroup in words; the file's name if there are none.
pub fn words(file: &str) -> &str {
    let line = |line: &'static str| line.split_once(": ").filter(|(name, _)| *name == file).map(|(_, words)| words);
    WORDS.lines().find_map(line).unwrap_or(file)
}

/// A file of the cgroup. `None`: its controller is not enabled there.
fn text(group: At, file: &str, why: Why) -> Result<Option<String>> {
    let name = CString::new(file).unwrap_or_default();
    match cgroup::read(group, &name, why) {
        Err(failed) if [Errno::ENOENT, Errno::ENODEV, Errno::EOPNOTSUPP].contains(&failed.errno) => Ok(None),
        read => read.map(|text| Some(text.trim().replace('\n', "; "))),
    }
}

/// The limits and the use of a cgroup. `settings`: what the configuration asks for.
pub fn look(group: At, settings: &[Setting]) -> Result<(Vec<Limit>, Vec<Used>)> {
    let why = Why("a limit of the container stands in this file");
    let mut files: Vec<String> = LIMITS.map(String::from).into();
    for setting in settings {
        let file = String::from_utf8_lossy(setting.file.to_bytes()).into_owned();
        if !files.contains(&file) {
            files.push(file);
        }
    }
    let mut limits = Vec::new();
    for file in files {
        let from = settings.iter().rev().find(|setting| setting.file.to_bytes() == file.as_bytes());
        let pointer = from.map(|setting| setting.from.clone());
        if let Some(value) = text(group, &file, why)?.filter(|value| !value.is_empty() || pointer.is_some()) {
            limits.push(Limit { file, value, pointer });
        }
    }
    let mut used = Vec::new();
    for file in USED {
        let Some(text) = text(group, file, Why("what the container uses now"))? else { continue };
        let value = match file {
            "cpu.stat" => cgroup::keyed(&text.replace("; ", "\n"), "usage_usec "),
            _ => text.parse().unwrap_or(0),
        };
        used.push(Used { file: file.into(), value });
    }
    Ok((limits, used))
}

impl Group {
    /// The value of a limit; none if the cgroup has no such file.
    pub fn limit(&self, file: &str) -> Option<&str> {
        self.limits.iter().find(|limit| limit.file == file).map(|limit| limit.value.as_str())
    }
}

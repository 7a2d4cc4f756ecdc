//! What a look gets: the line that failed, how, and the ways into the container; and what a look gives: a cause, its place,
//! a cure. May touch: plan types, system calls.

use super::texts;
use crate::host::procfs;
use crate::outcome::{Lane, Stopped, Trouble};
use crate::perform::Lanes;
use crate::perform::files::PLACE;
use crate::plan::Line;
use crate::plan::op::{Op, Rootfs};
use crate::spec::Spec;
use core::ffi::CStr;
use syscalls::record::{self, Record};
use syscalls::{At, Failed, Fd, Why};

/// What a look has found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// Half a sentence, without a full stop.
    pub cause: String,
    /// Where the cause stands, if that is not the place of the line that failed.
    pub place: Option<Place>,
    /// What to do.
    pub cure: String,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// A JSON pointer into config.json.
    Property(String),
    /// An option of the command line, or a file or a fact of the host.
    Other(String),
}

impl Found {
    /// The cause that has this name in texts.txt. `values`: what stands for `{0}`, `{1}` ...
    pub fn new(name: &str, values: &[&str]) -> Found {
        let (cause, cure) = texts::filled(name, values);
        Found { cause, place: None, cure }
    }

    /// It stands at this pointer of config.json.
    pub fn at(self, pointer: impl Into<String>) -> Found {
        Found { place: Some(Place::Property(pointer.into())), ..self }
    }

    /// It is an option's, or the host's.
    pub fn of(self, other: impl Into<String>) -> Found {
        Found { place: Some(Place::Other(other.into())), ..self }
    }
}

/// Which directory is the container's root.
#[derive(Clone, Copy)]
pub enum Root<'a> {
    /// That of this process.
    Of(i32),
    /// What is mounted there in the mount namespace of this process. Without a path: over its root.
    Attached(i32, Option<&'a CStr>),
    /// The rootfs on the host.
    Bundle,
}

/// A plan that stopped.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// The line that failed, if it is known.
    pub line: Option<&'a Line>,
    pub lane: Lane,
    pub trouble: Trouble,
    /// The configuration: for `exec`, with the process that it was to run.
    pub spec: Option<&'a Spec<'a>>,
    /// Init, or the new process of `exec`, as this process sees it. 0: there is none. As a rule it waits for the end of this
    /// look.
    pub pid: i32,
    pub root: Root<'a>,
    /// What the lanes of this process hold. `start` has none.
    pub lanes: Option<&'a Lanes<'a>>,
    /// The end of a hook's output, or the words of systemd or of the kernel's verifier.
    pub said: &'a str,
}

impl<'a> Scene<'a> {
    /// A plan that this process carried out.
    pub fn of(lanes: &'a Lanes<'a>, spec: &'a Spec<'a>, stop: Stopped, said: &'a str) -> Scene<'a> {
        Scene {
            line: lanes.plan.line(stop.line),
            lane: stop.lane,
            trouble: stop.trouble,
            spec: Some(spec),
            pid: lanes.pid,
            root: root(lanes, stop),
            lanes: Some(lanes),
            said,
        }
    }

    /// The call that failed.
    pub fn failed(&self) -> Option<Failed> {
        match self.trouble {
            Trouble::Call(failed) => Some(failed),
            Trouble::Check(_) | Trouble::Hook(_) => None,
        }
    }

    /// Its record.
    pub fn record(&self) -> Option<Record<'static>> {
        self.failed().and_then(|failed| record::find(failed.at))
    }

    /// The root of the container, for calls with RESOLVE_IN_ROOT: with the mounts that were made so far, or else the rootfs as it
    /// lies on the host.
    pub fn root(&self) -> Option<Fd> {
        let inside = match self.root {
            Root::Of(pid) => root_of(pid),
            Root::Attached(pid, path) => root_of(pid).and_then(|root| {
                let path = path.map_or(c"..", below);
                syscalls::openat(root.at(), path, PLACE, Why("the rootfs is attached there, with the mounts so far"))
                    .ok()
            }),
            Root::Bundle => None,
        };
        inside.or_else(|| {
            let path = self.lanes?.plan.lines().find_map(rootfs)?;
            syscalls::openat(At::CWD, path, PLACE, Why("the rootfs is looked at for the cause of the failure")).ok()
        })
    }
}

/// The path of the rootfs on the host, as the plan has it.
fn rootfs(line: &Line) -> Option<&CStr> {
    match &line.op {
        Op::Rootfs(Rootfs::Open { path } | Rootfs::Look { path }) => Some(path),
        _ => None,
    }
}

fn root_of(pid: i32) -> Option<Fd> {
    let procfs = procfs::open().ok()?;
    let why = Why("the cause of the failure is looked for in the mounts of that process");
    syscalls::openat(procfs.at(), &procfs::path(pid, "root"), PLACE, why).ok()
}

/// A path from a descriptor of the root, and not from this process's.
fn below(path: &CStr) -> &CStr {
    let slashes = path.to_bytes().iter().take_while(|byte| **byte == b'/').count();
    path.to_bytes_with_nul().get(slashes..).and_then(|rest| CStr::from_bytes_with_nul(rest).ok()).unwrap_or(path)
}

/// Where the root is, after the lines that init has carried out. The path `..` leads from a root to what is mounted over it.
fn root<'a>(lanes: &Lanes<'a>, stop: Stopped) -> Root<'a> {
    let (lines, first) = lanes.plan.lane(Lane::Init);
    let done = match stop.lane {
        Lane::Init => lines.iter().take(stop.line.saturating_sub(first).into()),
        _ => lines.iter().take(0),
    };
    let mut root = Root::Bundle;
    for line in done {
        match &line.op {
            Op::Rootfs(Rootfs::Attach { path }) => root = Root::Attached(lanes.pid, path.as_deref()),
            Op::Rootfs(Rootfs::Pivot { .. } | Rootfs::Chroot | Rootfs::Move { .. }) => root = Root::Of(lanes.pid),
            _ => {}
        }
    }
    root
}

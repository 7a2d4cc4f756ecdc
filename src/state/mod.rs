//! What is remembered of a container, and what the kernel says of it now. One directory a container, whose mkdir is
//! the lock; in it `state.json`, the recorder `trace`, and the start fifos. May touch: system calls.

pub mod recorder;
pub mod traces;

use crate::host::Host;
use crate::host::cgroup;
use crate::host::procfs::Life;
use crate::host::time;
use crate::outcome::{Doing, Error, at};
use crate::perform::{caller, files, sync};
use crate::plan::cgroup::scope::Sockets;
use crate::spec::{self, Hooks, NamespaceKind, Spec};
use crate::state::recorder::{FAILED, LATER, OLD, TRACE};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::ffi::CString;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ffi::CStr;
use serde::{Deserialize, Serialize};
use syscalls::{At, Errno, Fd, Why};

/// What becomes the document is written under this name first.
const NEW: &CStr = c"state.json.new";
/// What a container is about to make outside of its directory. The document's own file is no place for it: opening that to
/// write the document would cut off what is noted.
const INTENDED: &CStr = c"intended.json";

pub const DIRECTORY: u32 = (libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW) as u32;

/// The document on disk.
#[derive(Serialize, Deserialize, Clone)]
pub struct Saved {
    pub pid: i32,
    /// CLOCK_BOOTTIME just before and just after the clone, in nanoseconds: the process's start lies between.
    pub start_time: [u64; 2],
    /// How many of its cgroup and that one's parents were made for it, counted from the last; the others were there.
    #[serde(default)]
    pub cgroup_made: Option<usize>,
    pub id: String,
    pub bundle_path: String,
    pub rootfs: String,
    pub state: String,
    pub mode: String,
    #[serde(rename = "ociVersion")]
    pub oci_version: String,
    /// Below the root of the cgroup hierarchy; empty: none of its own.
    pub cgroup_path: String,
    pub created: String,
    pub owner: String,
    pub annotations: BTreeMap<String, String>,
    /// Those that later commands run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hooks: Option<Hooks>,
    /// What the device rules are told by; 0: made by an older version, without rules.
    #[serde(default)]
    pub device_rules: u64,
    /// The scope of systemd's that its cgroup is, and where that listens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<(String, Sockets)>,
    /// The file of the configuration, if it is not the bundle's config.json.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// It has a pid namespace of its own: with its first process all others end.
    #[serde(default)]
    pub own_pids: bool,
    /// It has a mount namespace of its own.
    #[serde(default = "yes")]
    pub own_mounts: bool,
    /// The group of resctrl that is the container's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resctrl: Option<String>,
}

/// Documents of before do not say it: then it was always so.
fn yes() -> bool {
    true
}

impl Saved {
    /// The mode, where it is not the usual one.
    pub fn own_mode(&self) -> Option<&str> {
        Some(self.mode.as_str()).filter(|mode| *mode != "container")
    }

    /// How many of its cgroup and that one's parents were made for it. Documents of before do not say so.
    pub fn made(&self) -> usize {
        let usual = usize::from(self.cgroup_path == usual_cgroup(&self.id));
        self.cgroup_made.unwrap_or(usual)
    }

    /// The file that said what was wanted, for messages: what it says now does not count.
    pub fn config_file(&self) -> String {
        let usual = || format!("{}/config.json", self.bundle_path);
        self.config.clone().unwrap_or_else(usual)
    }
}

/// A document with its last key, the configuration.
pub struct Whole {
    pub saved: Saved,
    /// The text of config.json as `create` read it; empty in documents of older versions.
    pub configuration: Vec<u8>,
}

/// What stands before the configuration. No other key of the document has a name like it and an object as its value, and a
/// string cannot hold it, since its quotes would be escaped there.
const CONFIGURATION: &[u8] = b",\"configuration\":{";

impl Whole {
    /// The text on disk: the configuration is spliced in as it was read.
    fn text(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec(&self.saved).unwrap_or_default();
        if !self.configuration.is_empty() {
            text.pop();
            text.extend_from_slice(&CONFIGURATION[..CONFIGURATION.len() - 1]);
            text.extend_from_slice(&self.configuration);
            text.push(b'}');
        }
        text
    }

    /// The name of the program, as process.args has it.
    pub fn program(&self) -> Option<CString> {
        #[derive(Deserialize)]
        struct Only {
            process: Process,
        }
        #[derive(Deserialize)]
        struct Process {
            args: Vec<String>,
        }
        let only: Only = parse(&self.configuration).ok()?;
        c(only.process.args.first()?).ok()
    }

    /// The configuration that the container was made with.
    pub fn configuration(&self) -> Result<&[u8], Error> {
        match self.configuration.is_empty() {
            false => Ok(&self.configuration),
            true => Err(Error::State(format!(
                "state.json of {0} does not hold its configuration: an older nk-runtime created {0}; create it anew",
                self.saved.id
            ))),
        }
    }
}

/// What a new container's document says.
pub struct New<'a> {
    pub id: &'a str,
    pub bundle: &'a str,
    /// Another file in place of its config.json.
    pub config: Option<String>,
    pub waits: bool,
    /// Below the root of the cgroup hierarchy; empty: none of its own.
    pub cgroup: String,
    pub scope: Option<(String, Sockets)>,
}

/// A new container's document, without its first process.
pub fn new(spec: &Spec, host: &Host, new: New) -> Saved {
    let path = &spec.root.path;
    let rootfs = if path.starts_with('/') { path.clone() } else { format!("{}/{path}", new.bundle) };
    let later = !spec.hooks.poststart.is_empty() || !spec.hooks.poststop.is_empty();
    let rdt = spec.linux.intel_rdt.as_ref();
    let is_own = |kind| spec::namespace(&spec.linux, &kind).is_some_and(|n| n.joined().is_none());
    Saved {
        pid: 0,
        start_time: [0; 2],
        cgroup_made: Some(0),
        own_pids: is_own(NamespaceKind::Pid),
        own_mounts: is_own(NamespaceKind::Mount),
        id: new.id.into(),
        bundle_path: new.bundle.into(),
        rootfs: crate::plan::mounts::clean(&rootfs),
        state: if new.waits { "created" } else { "running" }.into(),
        mode: "container".into(),
        oci_version: spec.oci_version.clone(),
        cgroup_path: new.cgroup,
        config: new.config,
        scope: new.scope,
        created: time::rfc3339(syscalls::clock_ns(libc::CLOCK_REALTIME)),
        owner: if host.uid == 0 { String::new() } else { host.uid.to_string() },
        annotations: spec.annotations.clone(),
        hooks: later.then(|| spec.hooks.clone()),
        device_rules: crate::plan::devices::program::fingerprint(&spec.linux.resources.devices),
        resctrl: rdt.filter(|rdt| rdt.clos_id.is_none()).map(|_| new.id.into()),
    }
}

/// What is assumed of a container without a document that can be read: the cgroup of its id, made for it.
pub fn unknown(id: &str) -> Saved {
    Saved {
        pid: 0,
        start_time: [0; 2],
        cgroup_made: Some(1),
        own_pids: false,
        own_mounts: true,
        id: id.into(),
        bundle_path: String::new(),
        rootfs: String::new(),
        state: String::new(),
        mode: String::new(),
        oci_version: String::new(),
        cgroup_path: usual_cgroup(id),
        config: None,
        scope: None,
        created: String::new(),
        owner: String::new(),
        annotations: BTreeMap::new(),
        hooks: None,
        device_rules: 0,
        resctrl: None,
    }
}

/// The document as a plan line has it: the text before the pid, between pid and start time, and up to the configuration,
/// after which it ends with a brace.
pub fn document(saved: &Saved) -> [Vec<u8>; 3] {
    let text = serde_json::to_string(saved).unwrap_or_default();
    let made = "[0,0],\"cgroup_made\":0";
    let rest = text.split_once(made).map_or("", |(_, rest)| rest);
    let mut rest = rest.as_bytes().to_vec();
    rest.pop();
    rest.extend_from_slice(&CONFIGURATION[..CONFIGURATION.len() - 1]);
    [b"{\"pid\":".to_vec(), b",\"start_time\":".to_vec(), rest]
}

/// What an OCI client may see a container as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    Creating,
    Created,
    Running,
    Paused,
    Stopped,
}

impl Status {
    pub fn word(self) -> &'static str {
        match self {
            Status::Creating => "creating",
            Status::Created => "created",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Stopped => "stopped",
        }
    }
}

/// Ids become names of directories and cgroups: letters, digits, `_ + - .`, not `.` or `..`, at most 1024 bytes.
pub fn check_id(id: &str) -> Result<(), Error> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_+-.".contains(c);
    if id.is_empty() || id.len() > 1024 || !id.chars().all(allowed) || matches!(id, "." | "..") || id == ".traces" {
        let shown: String = id.chars().take(40).flat_map(char::escape_default).collect();
        return Err(Error::State(format!(
            "invalid container ID format: \"{shown}\": letters, digits, and _ + - . are allowed"
        )));
    }
    if id.len() > 255 {
        return Err(Error::State(format!(
            "invalid container ID format: it has {} bytes, and a directory's name has at most 255",
            id.len()
        )));
    }
    Ok(())
}

pub fn c(text: &str) -> Result<CString, Error> {
    CString::new(text).map_err(|_| Error::Usage(format!("`{}` holds a NUL byte", text.escape_default())))
}

/// Opens the state root; makes it and its parents if `make`. `None`: it is not there.
pub fn open_root(path: &str, make: bool) -> Result<Option<Fd>, Error> {
    let name = c(path)?;
    let open = || {
        syscalls::openat(
            At::CWD,
            &name,
            DIRECTORY & !(libc::O_NOFOLLOW as u32),
            "state root",
            Why("where containers are remembered"),
        )
    };
    match open() {
        Ok(fd) => return Ok(Some(fd)),
        Err(failed) if failed.errno != Errno::ENOENT => {
            return Err(at(format!("open the state root {path}"), failed));
        }
        Err(_) if !make => return Ok(None),
        Err(_) => {}
    }
    let ends = path.match_indices('/').map(|(i, _)| i).chain([path.len()]).filter(|i| *i > 0);
    for end in ends {
        let part = c(&path[..end])?;
        match syscalls::mkdirat(At::CWD, &part, 0o711, Why("the state root is made when the first container needs it"))
        {
            Err(failed) if failed.errno != Errno::EEXIST => {
                return Err(at(format!("make the state root {path}: use --root DIR for another place"), failed));
            }
            _ => {}
        }
    }
    open().map(Some).doing(format_args!("open the state root {path}"))
}

/// Takes an id: exactly one of all who try at once wins.
pub fn take(root: At, id: &str) -> Result<Fd, Error> {
    let name = c(id)?;
    match syscalls::mkdirat(root, &name, 0o711, Why("making the directory takes the id: only one can")) {
        Err(failed) if failed.errno == Errno::EEXIST => {
            return Err(Error::State(format!("container with given ID already exists: {id}")));
        }
        Err(failed) => return Err(at(format!("take the id {id}"), failed)),
        Ok(()) => {}
    }
    let opened = syscalls::openat(root, &name, DIRECTORY, "state", Why("all state of the container lies in it"));
    opened.map_err(|failed| {
        let why = Why("an id that could not be used is free again");
        let _ = syscalls::unlinkat(root, &name, libc::AT_REMOVEDIR as u32, why);
        at(format!("open the state of {id}"), failed)
    })
}

/// Opens the state of a container that is there.
pub fn find(root: Option<&Fd>, id: &str) -> Result<Fd, Error> {
    let missing = || Error::State(format!("container does not exist: {id}"));
    look_up(root, id)?.ok_or_else(missing)
}

/// The same. `None`: there is none of that id. Everything else that keeps us from it is an error.
pub fn look_up(root: Option<&Fd>, id: &str) -> Result<Option<Fd>, Error> {
    check_id(id)?;
    let Some(root) = root else {
        return Ok(None);
    };
    let failed = |failed| at(format!("open the state of {id}"), failed);
    let dir = match open(root, &c(id)?) {
        Err(failed) if failed.errno == Errno::ENOENT => return Ok(None),
        opened => opened.map_err(failed)?,
    };
    let why = Why("only this user, or root, may say what is ended or removed on their behalf");
    let owner = syscalls::fstat(dir.at(), why).map_err(failed)?.st_uid;
    if owner != 0 && owner != syscalls::auxv(libc::AT_EUID) as u32 {
        return Err(Error::State(format!(
            "the state of {id} belongs to user {owner}: it could name any process and any cgroup, so only that user may use it"
        )));
    }
    Ok(Some(dir))
}

/// Opens a directory of the state root; a link is not followed.
pub fn open(root: &Fd, name: &CStr) -> syscalls::Result<Fd> {
    let why = Why("all state of the container lies in it");
    syscalls::openat(root.at(), name, DIRECTORY, "state", why)
}

/// The document of a container.
pub enum Document<T = Box<Saved>> {
    Whole(T),
    /// It was read, and is not one. What is wrong with it.
    Damaged(Error),
    /// It is not there yet, or not any more.
    Missing,
}

impl<T> Document<T> {
    /// Of a container that is there. Without a document it does not exist: not yet, or not any more.
    fn there(self, id: &str) -> Result<T, Error> {
        match self {
            Document::Whole(document) => Ok(document),
            Document::Damaged(error) => Err(error),
            Document::Missing => Err(Error::State(format!(
                "container does not exist: {id}: its state is unfinished; it is being made or removed, or that was interrupted: then delete --force {id} removes what is left"
            ))),
        }
    }
}

/// Reads the document of a container that is there, without the configuration, which few commands need.
pub fn load(dir: At, id: &str) -> Result<Saved, Error> {
    document_of(dir, id)?.there(id).map(|saved| *saved)
}

/// The same, with the container's status. While the hooks of `create` run, which may ask for it, there is no document yet.
pub fn load_now(dir: At, id: &str) -> Result<(Saved, Status), Error> {
    let document = document_of(dir, id)?;
    if let Document::Missing = document
        && let Document::Whole(saved) = read(dir, sync::CREATING, id)?
        && crate::host::procfs::life(saved.pid, saved.start_time)? != Life::Over
    {
        return Ok((*saved, Status::Creating));
    }
    let saved = *document.there(id)?;
    let now = look(dir, &saved)?;
    Ok((saved, now.status))
}

/// The same as [`load`], for what has to go on without one. An error: it could not be read, so what it says is not known.
pub fn document_of(dir: At, id: &str) -> Result<Document, Error> {
    read(dir, c"state.json", id)
}

/// Reads the document of a container that is there, to its end.
pub fn load_whole(dir: At, id: &str) -> Result<Whole, Error> {
    let text = text(dir, c"state.json", id, |_| false)?.there(id)?;
    let saved = understand(id, &text)?;
    let configuration = configuration(id, text)?;
    Ok(Whole { saved, configuration })
}

/// Where the configuration begins.
fn place(text: &[u8]) -> Option<usize> {
    let mut windows = text.windows(CONFIGURATION.len());
    windows.position(|part| part == CONFIGURATION)
}

/// What the document's last key holds. Somebody who edits the document may give its keys another order.
fn configuration(id: &str, mut text: Vec<u8>) -> Result<Vec<u8>, Error> {
    if let Some(at) = place(&text)
        && short(&text).is_some()
    {
        while text.pop().is_some_and(|last| last != b'}') {}
        return Ok(text.split_off(at + CONFIGURATION.len() - 1));
    }
    #[derive(Deserialize)]
    struct Only {
        configuration: Option<serde_json::Value>,
    }
    let only: Only = parse(&text).map_err(|problem| damaged(id, &problem))?;
    let text = only.configuration.map(|value| serde_json::to_vec(&value));
    Ok(text.and_then(Result::ok).unwrap_or_default())
}

/// What stands before the configuration, if it is a document by itself.
fn short(text: &[u8]) -> Option<Saved> {
    let mut before = text.get(..place(text)?)?.to_vec();
    before.push(b'}');
    parse(&before).ok()
}

fn parse<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, String> {
    let text = core::str::from_utf8(text).map_err(|_| String::from("it is not UTF-8"))?;
    crate::spec::read(text).map_err(|p| match p.pointer.is_empty() {
        true => p.problem,
        false => format!("{}: {}", p.pointer, p.problem),
    })
}

/// The document that a `create` left which did not come to its end: what it meant to make.
pub fn begun(dir: At, id: &str) -> Result<Option<Saved>, Error> {
    match read(dir, INTENDED, id)? {
        Document::Whole(saved) => Ok(Some(*saved)),
        // It was interrupted while it wrote that, and had made nothing yet.
        Document::Damaged(_) | Document::Missing => Ok(None),
    }
}

/// Notes what will be made elsewhere, before it is, so that `delete --force` finds it also if this process is killed: a
/// cgroup that is not the usual one, or a scope.
pub fn intend(dir: At, saved: &Saved) -> Result<(), Error> {
    let elsewhere = saved.scope.is_some() || saved.resctrl.is_some();
    if !elsewhere && saved.cgroup_path == usual_cgroup(&saved.id) {
        return Ok(());
    }
    let saved = Saved { cgroup_made: Some(will_make(saved)?), ..saved.clone() };
    let text = serde_json::to_vec(&saved).unwrap_or_default();
    let why = Why("if this process is killed halfway, delete --force finds here what it was about to make");
    let flags = (libc::O_WRONLY | libc::O_EXCL | libc::O_NOFOLLOW) as u32;
    syscalls::openat_create(dir, INTENDED, flags, 0o600, "intended.json", why)
        .and_then(|file| files::write_all(file.at(), &text, why))
        .doing("note what will be made")
}

/// How many cgroups there will be that were not there before.
fn will_make(saved: &Saved) -> Result<usize, Error> {
    let failed = |failed| at("look which cgroups are there", failed);
    if saved.scope.is_some() {
        return Ok(1);
    }
    let Some(root) = cgroup::open_root().map_err(failed)? else {
        return Ok(0);
    };
    let above = crate::plan::cgroup::limits::above(&saved.cgroup_path).unwrap_or_default();
    let parents = above.get(1..).unwrap_or_default();
    cgroup::missing(root.at(), parents, &c(&saved.cgroup_path)?).map_err(failed)
}

/// The cgroup of a container whose configuration names none.
pub fn usual_cgroup(id: &str) -> String {
    format!("nano-sandbox/{id}")
}

fn read(dir: At, name: &CStr, id: &str) -> Result<Document, Error> {
    let text = match text(dir, name, id, |begin| place(begin).is_some())? {
        Document::Whole(text) => text,
        Document::Damaged(error) => return Ok(Document::Damaged(error)),
        Document::Missing => return Ok(Document::Missing),
    };
    Ok(match understand(id, &text) {
        Ok(saved) => Document::Whole(Box::new(saved)),
        Err(error) => Document::Damaged(error),
    })
}

/// The text of the document, up to where it is `enough`.
fn text(dir: At, name: &CStr, id: &str, enough: fn(&[u8]) -> bool) -> Result<Document<Vec<u8>>, Error> {
    let why = Why("what is remembered of the container");
    // O_NONBLOCK: a fifo in its place would wait for a partner.
    let flags = (libc::O_NOFOLLOW | libc::O_NONBLOCK) as u32;
    let file = match syscalls::openat(dir, name, flags, "state.json", why) {
        Err(failed) if failed.errno == Errno::ENOENT => return Ok(Document::Missing),
        Err(failed) if failed.errno == Errno::ELOOP => {
            return Ok(Document::Damaged(damaged(id, "a link is in its place")));
        }
        opened => opened.doing(format_args!("open state.json of {id}"))?,
    };
    let text =
        crate::host::input::read_enough(file.at(), enough, why).doing(format_args!("read state.json of {id}"))?;
    Ok(Document::Whole(text))
}

/// The document's text as what it says.
pub fn understand(id: &str, text: &[u8]) -> Result<Saved, Error> {
    let saved = match short(text) {
        Some(saved) => Ok(saved),
        None => parse::<Saved>(text),
    };
    match saved {
        Ok(saved) if is_cgroup(&saved.cgroup_path) => Ok(saved),
        Ok(_) => Err(damaged(id, "its cgroup lies outside the hierarchy")),
        Err(problem) => Err(damaged(id, &problem)),
    }
}

fn damaged(id: &str, what: &str) -> Error {
    Error::State(format!("state.json of {id} is damaged ({what}): delete --force {id} removes what is left"))
}

/// Whether this names a cgroup below the hierarchy's root, or none: all processes there are killed, and it is removed.
fn is_cgroup(path: &str) -> bool {
    let odd = |part: &str| matches!(part, "" | "." | "..") || part.contains('\0');
    path.is_empty() || !path.split('/').any(odd)
}

/// Writes the document anew.
pub fn save(dir: At, document: &Whole) -> Result<(), Error> {
    let text = document.text();
    let why = Why("the transition is remembered");
    files::replace(dir, c"state.json", NEW, &text, 0o600, why).doing("save the state")
}

/// A container as it is now.
pub struct Now {
    pub status: Status,
    /// A handle on its first process, while that lives.
    pub init: Option<Fd>,
    /// The hierarchy, and the container's cgroup in it, if somebody had to look there.
    pub cgroup: Option<(Fd, Fd)>,
}

/// Derives the status from the kernel: the process, identified by its start time; whether it has become its program; and
/// whether the fifo that `start` takes away is still there.
pub fn now(dir: At, saved: &Saved) -> Result<Now, Error> {
    let now = |status, init| Now { status, init, cgroup: None };
    let stopped = now(Status::Stopped, None);
    let why = Why("a handle first: after that the number cannot come to mean another process");
    let init = match syscalls::pidfd_open(saved.pid, why) {
        Err(failed) if failed.errno == Errno::ESRCH || failed.errno == Errno::EINVAL => {
            return Ok(stopped);
        }
        opened => opened.doing(format_args!("look for process {}", saved.pid))?,
    };
    let status = match crate::host::procfs::life(saved.pid, saved.start_time)? {
        Life::Over => return Ok(stopped),
        Life::Ending => Status::Stopped,
        Life::Executed => Status::Running,
        // `run`: its mounts are not all made yet.
        Life::Cloned if saved.state == "running" => Status::Creating,
        Life::Cloned if waits(dir)? => Status::Created,
        Life::Cloned => Status::Running,
    };
    Ok(now(status, Some(init)))
}

/// The same, and whether what is created or runs is paused: its cgroup says so, which stays open for more. It does not count
/// who paused it, and a cgroup above that is frozen is none of the container's.
pub fn look(dir: At, saved: &Saved) -> Result<Now, Error> {
    let mut now = now(dir, saved)?;
    let lives = matches!(now.status, Status::Created | Status::Running);
    if !lives || saved.cgroup_path.is_empty() {
        return Ok(now);
    }
    let id = &saved.id;
    let failed = |failed| at(format!("ask whether {id} is paused"), failed);
    now.cgroup = match cgroup::open_pair(&saved.cgroup_path) {
        // No hierarchy is mounted, and this user may not mount one: so this user has paused nothing.
        Err(f) if f.errno == Errno::EPERM => None,
        opened => opened.map_err(failed)?,
    };
    if let Some((_, group)) = &now.cgroup {
        let why = Why("a paused container runs, but for the moment it does not");
        let frozen = match cgroup::read(group.at(), c"cgroup.freeze", why) {
            // The cgroup is gone, or its kernel cannot freeze.
            Err(f) if [Errno::ENOENT, Errno::ENODEV].contains(&f.errno) => false,
            read => read.map_err(failed)?.trim() == "1",
        };
        if frozen {
            now.status = Status::Paused;
        }
    }
    Ok(now)
}

/// Whether the container waits for `start`, which takes the fifo's name away first.
fn waits(dir: At) -> Result<bool, Error> {
    let why = Why("`start` takes this name away first");
    let flags = libc::AT_SYMLINK_NOFOLLOW as u32;
    match syscalls::newfstatat(dir, sync::START, flags, why) {
        Err(failed) if failed.errno == Errno::ENOENT => Ok(false),
        Err(failed) => Err(at("look how far the container is", failed)),
        Ok(_) => Ok(true),
    }
}

/// Removes a container's state; its trace goes to the kept ones.
pub fn remove(root: At, dir: Fd, id: &str) -> Result<(), Error> {
    let why = Why("from here on there is no such container");
    match syscalls::unlinkat(dir.at(), c"state.json", 0, why) {
        Err(f) if f.errno != Errno::ENOENT => {
            return Err(at(format!("remove the state of {id}"), f));
        }
        _ => {}
    }
    match remove_unfinished(root, dir, id)? {
        true => Ok(()),
        false => Err(Error::State(format!(
            "remove the state of {id}: its directory holds files that are not the container's"
        ))),
    }
}

/// The same of a container that has no document yet. False: the process that makes it has just written one, and the directory
/// stays. True: that process finds no directory any more for the document, and so ends the container.
pub fn remove_unfinished(root: At, dir: Fd, id: &str) -> Result<bool, Error> {
    let failed = |failed| at(format!("remove the state of {id}"), failed);
    let kept = crate::state::traces::keep(root, dir.at(), id);
    let remove = |name: &CStr, flags: i32| {
        let why = Why("nothing of the container stays behind");
        match syscalls::unlinkat(dir.at(), name, flags as u32, why) {
            Err(f) if f.errno != Errno::ENOENT => Err(failed(f)),
            _ => Ok(()),
        }
    };
    let (name, why) = (c(id)?, Why("the id is free again"));
    let free = || syscalls::unlinkat(root, &name, libc::AT_REMOVEDIR as u32, why);
    let freed = match free() {
        Err(f) if f.errno == Errno::ENOTEMPTY => {
            if let Some(kept) = kept {
                kept.take_later(dir.at());
            }
            let left = [NEW, INTENDED, sync::START, sync::REPORT, sync::OUTPUT, sync::CREATING, caller::SOCKET];
            for name in left.into_iter().chain([TRACE, LATER, OLD, FAILED]) {
                remove(name, 0)?;
            }
            remove(caller::DIRECTORY, libc::AT_REMOVEDIR)?;
            free()
        }
        freed => freed,
    };
    drop(dir);
    match freed {
        Err(f) if f.errno == Errno::ENOTEMPTY => Ok(false),
        Err(f) if f.errno != Errno::ENOENT => Err(failed(f)),
        _ => Ok(true),
    }
}

//! Files: which ones a call is about (paths.txt), by which mount it reaches them, and whether owner and mode let it. May touch:
//! system calls, procfs, the spec.

use super::process::{Rights, Stopped};
use super::texts::cause;
use super::types::{By, Cause};
use super::{programs, sets};
use crate::explain;
use crate::look::mounts::Mount;
use crate::look::{Origin, mounts};
use crate::plan::devices::program::denying;
use crate::plan::{clean, text};
use crate::spec::{CAPABILITIES, Spec};
use alloc::ffi::CString;
use syscalls::{At, AtFlags, Errno, Fd, Stat, Why};

pub const TABLE: &str = include_str!("paths.txt");

/// So many directories lie above a file at the most.
const DEPTH: usize = 64;

/// The bits of a mode, for others.
const READ: u32 = 4;
const WRITE: u32 = 2;
const EXECUTE: u32 = 1;

/// A file that a call is about.
pub struct Target {
    /// From the root of the container.
    pub path: Option<String>,
    pub descriptor: Option<i32>,
    how: &'static str,
    /// What the call wants of the file itself.
    wants: u32,
    /// The name is made or taken away: the directory is changed.
    names: bool,
    follow: bool,
}

impl Target {
    /// The directory that it is in.
    fn parent(&self) -> Option<&str> {
        let path = self.path.as_deref()?;
        path.rsplit_once('/').map(|(parent, _)| if parent.is_empty() { "/" } else { parent })
    }

    pub fn executes(&self) -> bool {
        self.wants & EXECUTE != 0 && self.how == "execute"
    }

    /// A file that is executed.
    fn execution(path: String) -> Target {
        Target { path: Some(path), descriptor: None, how: "execute", wants: EXECUTE, names: false, follow: true }
    }

    /// Its path without links, as far as that is there.
    fn real(&self, stopped: &Stopped) -> Option<String> {
        let (_, name) = self.path.as_deref()?.rsplit_once('/')?;
        let above = nearest(stopped, self.parent()?).and_then(|file| stopped.real(file.at()))?;
        Some(clean(&format!("{above}/{name}")))
    }
}

/// The files that a call is about.
pub fn targets(stopped: &Stopped) -> Vec<Target> {
    let line = |line: &'static str| line.strip_prefix(stopped.name)?.strip_prefix(' ');
    let words = TABLE.lines().find_map(line).unwrap_or("");
    let mut all: Vec<Target> = words.split(' ').filter_map(|word| target(stopped, word)).collect();
    let program = all.iter().find(|target| target.executes()).and_then(|target| target.path.clone());
    let beside = program.map_or_else(Vec::new, |program| programs::beside(stopped, &program));
    all.extend(beside.into_iter().map(Target::execution));
    all
}

fn target(stopped: &Stopped, word: &'static str) -> Option<Target> {
    let (place, how) = word.split_once(':')?;
    let (path, descriptor) = match place.split_once(['.', '@']) {
        None => (None, Some(stopped.int(place.parse().ok()?))),
        Some((at, "")) => (Some(stopped.socket(at.parse().ok()?)?), None),
        // utimensat(2) takes no path for the file of the descriptor.
        Some((dir, at)) if stopped.arg(at.parse().ok()?) == 0 => (None, Some(stopped.int(dir.parse().ok()?))),
        Some((dir, at)) => (Some(stopped.path(dir.parse().ok(), at.parse().ok()?)?), None),
    };
    let flags = match how {
        "open1" => stopped.arg(1),
        "open2" => stopped.arg(2),
        "how2" => stopped.word(2)?,
        _ => 0,
    } as i32;
    let opens = matches!(how, "open1" | "open2" | "how2");
    let wants = match how {
        _ if opens && flags & libc::O_PATH != 0 => 0,
        _ if opens => match flags & libc::O_ACCMODE {
            libc::O_RDONLY if flags & libc::O_TRUNC == 0 => READ,
            libc::O_RDONLY | libc::O_RDWR => READ | WRITE,
            _ => WRITE,
        },
        "read" => READ,
        "write" | "shut" => WRITE,
        "execute" | "enter" => EXECUTE,
        "look" if matches!(stopped.name, "access" | "faccessat" | "faccessat2") => {
            stopped.arg(if stopped.name == "access" { 1 } else { 2 }) as u32 & 7
        }
        _ => 0,
    };
    let creates = opens && flags & libc::O_CREAT != 0;
    let names = creates || matches!(how, "create" | "remove" | "shut");
    let follow = !(names && !creates || how == "exist" || flags & libc::O_NOFOLLOW != 0);
    Some(Target { path, descriptor, how, wants, names, follow })
}

/// A file that was opened to look at it, with its facts.
struct Seen {
    file: Fd,
    stat: Stat,
}

fn see(stopped: &Stopped, path: &str, follow: bool) -> Option<Seen> {
    let file = stopped.open(path, follow)?;
    let stat = syscalls::newfstatat(file.at(), c"", AtFlags::AT_EMPTY_PATH, WHOSE).ok()?;
    Some(Seen { file, stat })
}

const WHOSE: Why = Why("owner and mode decide who may use the file");

/// The file of a target: the process holds it open, or its path names it.
fn seen(stopped: &Stopped, target: &Target) -> Option<Seen> {
    match (&target.path, target.descriptor) {
        (Some(path), _) => see(stopped, path, target.follow),
        (None, Some(number)) => see(stopped, &stopped.descriptor(number)?, true),
        (None, None) => None,
    }
}

/// The mount by which the call reaches what it changes: that of the file, or, where a name is made or taken away, of its
/// directory.
fn mount<'s>(stopped: &'s Stopped, target: &Target) -> Option<&'s Mount> {
    if let Some(number) = target.descriptor {
        return stopped.mount_of_descriptor(number);
    }
    let path = target.path.as_deref()?;
    let there = stopped.open(path, target.follow).filter(|_| !target.names || target.how.starts_with('o'));
    let file = there.or_else(|| nearest(stopped, target.parent()?))?;
    stopped.mount_of(file.at())
}

/// The directory of a path, or the nearest above it that is there.
fn nearest(stopped: &Stopped, path: &str) -> Option<Fd> {
    let mut path = path;
    for _ in 0..DEPTH {
        if let Some(file) = stopped.open(if path.is_empty() { "/" } else { path }, true) {
            return Some(file);
        }
        path = path.rsplit_once('/')?.0;
    }
    None
}

/// EROFS: the mount is read-only, or its file system is.
pub fn readonly(stopped: &Stopped) -> Option<Cause> {
    let all = targets(stopped);
    all.iter().filter_map(|target| mount(stopped, target)).find(|mount| !mount.writable()).and_then(|mount| {
        let spec = stopped.confinement.spec;
        let pointer = place(spec, mount)?;
        let values = [mount.target.as_str(), &mount.kind, &pointer];
        if mount.is_mask() {
            return Some(cause(By::Mask, "mask read-only", pointer.clone(), &values));
        }
        let word = asked(spec, &pointer, "ro");
        let key = match pointer.as_str() {
            "/root/readonly" => "readonly root",
            pointer if pointer.starts_with("/linux/readonlyPaths") => match mount.target.as_str() {
                "/proc/sys" => "readonly settings",
                _ => "readonly path",
            },
            _ if word.is_none() => "readonly file system",
            _ if ["proc", "sysfs", "cgroup2"].contains(&mount.kind.as_str()) => "readonly kernel",
            _ => "readonly mount",
        };
        let values = [values.as_slice(), &[word.unwrap_or_default()]].concat();
        Some(cause(By::Mount, key, pointer.clone(), &values))
    })
}

/// The option of a mount's line that asks for something, for it alone or for those below it, too.
fn asked<'s>(spec: &'s Spec, pointer: &str, option: &str) -> Option<&'s str> {
    let mount = spec.mounts.get(text::number_in("/mounts/", pointer)?)?;
    let asks = |word: &&str| *word == option || word.strip_prefix('r') == Some(option);
    mount.options.iter().map(|word| word.as_str()).find(asks)
}

/// The line of the configuration that made a mount what it is. `None`: the program made the mount itself.
fn place(spec: &Spec, mount: &Mount) -> Option<String> {
    match mount.pointer.as_deref()? {
        "/root/path" if spec.root.readonly => Some("/root/readonly".into()),
        pointer => Some(pointer.into()),
    }
}

/// ENOENT and the like below a masked directory, which is empty, or a masked file, which is the null device.
pub fn masked(stopped: &Stopped) -> Option<Cause> {
    let masks = &stopped.confinement.spec.linux.masked_paths;
    if masks.is_empty() {
        return None;
    }
    let all = targets(stopped);
    all.iter().find_map(|target| {
        let (path, real) = (target.path.as_deref()?, target.real(stopped).unwrap_or_default());
        let mask = |mask: &String| mounts::below(path, mask).or(mounts::below(&real, mask)).is_some();
        let at = masks.iter().position(mask)?;
        let pointer = format!("/linux/maskedPaths/{at}");
        let covers = stopped.mounts().iter().any(|mount| mount.pointer.as_deref() == Some(&pointer));
        covers.then(|| cause(By::Mask, "mask", pointer, &[&masks[at], path]))
    })
}

/// The program, a library or a script on a mount that lets nothing be executed.
pub fn not_executable(stopped: &Stopped) -> Option<Cause> {
    match stopped.name {
        "mmap" | "mmap2" => {
            let mount =
                stopped.mount_of_descriptor(stopped.int(4)).filter(|_| stopped.arg(2) & libc::PROT_EXEC as u64 != 0);
            denied_by_option(stopped, mount?, "noexec")
        }
        _ => {
            let asks = |target: &&Target| target.wants & EXECUTE != 0 && target.how != "enter";
            let all = targets(stopped);
            let mut mounts = all.iter().filter(asks).filter_map(|target| mount(stopped, target));
            mounts.find_map(|mount| denied_by_option(stopped, mount, "noexec"))
        }
    }
}

/// A mount that forbids something by an option.
pub fn denied_by_option(stopped: &Stopped, mount: &Mount, option: &str) -> Option<Cause> {
    let spec = stopped.confinement.spec;
    let pointer = place(spec, mount).filter(|_| mount.options.iter().any(|word| word == option))?;
    let (word, opposite) = (asked(spec, &pointer, option), option.strip_prefix("no").unwrap_or_default());
    let key = match pointer.as_str() {
        _ if word.is_some() => option,
        "/root/path" | "/root/readonly" => "option of the rootfs",
        _ => "option of the host",
    };
    let values = [mount.target.as_str(), option, &pointer, word.unwrap_or(opposite)];
    Some(cause(By::Mount, key, pointer.clone(), &values))
}

/// ENOENT in /dev: a device that the host has.
pub fn no_device(stopped: &Stopped) -> Option<Cause> {
    let all = targets(stopped);
    let asks = |target: &&Target| target.how.starts_with('o') || stopped.name.contains("access");
    let path = all.iter().find(asks)?.path.as_deref()?;
    let given = ["/dev/pts/", "/dev/console", "/dev/fd/", "/dev/mqueue/", "/dev/shm/"];
    if !path.starts_with("/dev/") || given.iter().any(|given| path.starts_with(given)) {
        return None;
    }
    let name = CString::new(path).ok()?;
    let why = Why("the host can have a device that the container lacks");
    let stat = syscalls::newfstatat(At::CWD, &name, AtFlags::AT_SYMLINK_NOFOLLOW, why).ok()?;
    let (kind, number) = (kind(&stat)?, stat.st_rdev as libc::dev_t);
    let (major, minor) = (libc::major(number), libc::minor(number));
    let entry = format!(r#"{{"path": "{path}", "type": "{kind}", "major": {major}, "minor": {minor}}}"#);
    let numbers = format!("{kind} {major}:{minor}");
    Some(cause(By::Device, "no device", "/linux/devices", &[path, &entry, &numbers]))
}

/// The letter of a device.
fn kind(stat: &Stat) -> Option<&'static str> {
    match stat.st_mode & libc::S_IFMT {
        libc::S_IFBLK => Some("b"),
        libc::S_IFCHR => Some("c"),
        _ => None,
    }
}

/// EPERM or EACCES at a device: a rule of the cgroup, or the option `nodev`.
pub fn device(stopped: &Stopped) -> Option<Cause> {
    let all = targets(stopped);
    let target = all.iter().find(|target| target.wants != 0)?;
    let seen = seen(stopped, target)?;
    let kind = kind(&seen.stat)?;
    if let Some(cause) = denied_by_option(stopped, stopped.mount_of(seen.file.at())?, "nodev") {
        return Some(cause);
    }
    let letters: String =
        [(READ, 'r'), (WRITE, 'w')].iter().filter(|(bit, _)| target.wants & bit != 0).map(|l| l.1).collect();
    let number = seen.stat.st_rdev as libc::dev_t;
    let (major, minor) = (libc::major(number), libc::minor(number));
    let rule = denying(&stopped.confinement.spec.linux.resources.devices, kind, major, minor, &letters)?;
    let device = format!("{kind} {major}:{minor}");
    let path = target.path.as_deref().unwrap_or("");
    let word =
        |key: &str, pointer: String| cause(By::Device, key, pointer.clone(), &[path, &device, &letters, &pointer]);
    Some(match rule {
        Some(at) => word("device rule", format!("/linux/resources/devices/{at}")),
        None => word("device default", "/linux/resources/devices".into()),
    })
}

/// EACCES: the first file on the way that owner and mode close to this user.
pub fn denied(stopped: &Stopped) -> Option<Cause> {
    let rights = stopped.rights()?;
    let all = targets(stopped);
    let (path, stat, wants) = all.iter().find_map(|target| closed(stopped, &rights, target))?;
    let wanted = if wants & WRITE != 0 { "write" } else { words(wants) };
    if !mapped(stopped, &stat) {
        return unmapped_owner(stopped, &rights, &path, &stat, wanted);
    }
    let owners = owners(stopped, &stat);
    let user = stopped.user_name("uid_map", rights.user);
    let mode = format!("{:04o}", stat.st_mode & 0o7777);
    let values = [path.as_str(), &owners, &mode, &user, wanted];
    let spec = stopped.confinement.spec;
    let own = stopped.inside("uid_map", rights.user);
    let is_owner = stat.st_uid == rights.user;
    let letters = letters(wants);
    match own == Some(spec.process.user.uid) {
        true if own == Some(0) => {
            let mut found = sets::missing(stopped, &rights, "CAP_DAC_OVERRIDE")?;
            let key = if is_owner { "capability for an own file" } else { "capability for a file" };
            let values = [path.as_str(), &owners, &mode, &letters, &found.what, &found.cure];
            let more = cause(By::Capability, key, "", &values);
            (found.what, found.cure) = (more.what, more.cure);
            Some(found)
        }
        true if is_owner => {
            let values = [values.as_slice(), &[letters.as_str()]].concat();
            Some(cause(By::User, "own file", "/process/user/uid", &values))
        }
        true if path.starts_with("/proc/sys/") => {
            Some(cause(By::User, "user of a setting", "/process/user/uid", &values))
        }
        true => Some(cause(By::User, "user", "/process/user/uid", &values)),
        false => None,
    }
}

fn mapped(stopped: &Stopped, stat: &Stat) -> bool {
    stopped.inside("uid_map", stat.st_uid).is_some() && stopped.inside("gid_map", stat.st_gid).is_some()
}

/// A file of an owner that the container's user namespace does not know: no capability counts for it (user_namespaces(7)).
fn unmapped_owner(stopped: &Stopped, rights: &Rights, path: &str, stat: &Stat, wanted: &str) -> Option<Cause> {
    let mode = format!("{:04o}", stat.st_mode & 0o7777);
    let user = stopped.user_name("uid_map", rights.user);
    let key = if path.starts_with("/proc/") { "file of the machine" } else { "unmapped owner" };
    let found = cause(By::Mapping, key, "/linux/uidMappings", &[path, "", &mode, &user, wanted]);
    Some(found).filter(|_| !stopped.confinement.spec.linux.uid_mappings.is_empty())
}

/// EPERM at such a file.
pub fn unmapped(stopped: &Stopped, rights: &Rights) -> Option<Cause> {
    let all = targets(stopped);
    let target = changed(stopped, &all)?;
    let stat = seen(stopped, target)?.stat;
    let path = target.path.as_deref().unwrap_or("the file");
    (!mapped(stopped, &stat)).then(|| unmapped_owner(stopped, rights, path, &stat, "change"))?
}

/// The file that a call changes, or gives a second name.
fn changed<'t>(stopped: &Stopped, all: &'t [Target]) -> Option<&'t Target> {
    let links = stopped.name.starts_with("link");
    all.iter().find(|target| links || matches!(target.how, "change" | "remove") || target.wants != 0)
}

/// Rights as chmod(1) names them.
fn letters(wants: u32) -> String {
    let all = [(READ, 'r'), (WRITE, 'w'), (EXECUTE, 'x')];
    all.iter().filter(|(bit, _)| wants & bit != 0).map(|(_, letter)| *letter).collect()
}

fn words(wants: u32) -> &'static str {
    if wants & READ != 0 { "read" } else { "enter or execute" }
}

/// Owner and group as the container knows them.
fn owners(stopped: &Stopped, stat: &Stat) -> String {
    format!("{}:{}", stopped.user_name("uid_map", stat.st_uid), stopped.user_name("gid_map", stat.st_gid))
}

/// What on the way to a target is closed to the process: its path, its facts, and what was wanted.
fn closed(stopped: &Stopped, rights: &Rights, target: &Target) -> Option<(String, Stat, u32)> {
    barred(stopped, rights, target, true)
}

/// The same; `rightful`: with what its capabilities open.
fn barred(stopped: &Stopped, rights: &Rights, target: &Target, rightful: bool) -> Option<(String, Stat, u32)> {
    let path = match (&target.path, target.descriptor) {
        (Some(path), _) => path.clone(),
        (None, Some(_)) if target.how != "enter" => return None,
        (None, number) => stopped.descriptor(number?)?,
    };
    // An ACL decides in place of the mode.
    let lacks = |seen: &Seen, wants: u32| !may(stopped, rights, &seen.stat, wants, rightful) && !has_acl(seen);
    // The path as it was written, and without its links.
    let real = nearest(stopped, target.parent().unwrap_or("/")).and_then(|file| stopped.real(file.at()));
    for above in [path.rsplit_once('/').map_or("", |(above, _)| above), real.as_deref().unwrap_or("")] {
        let ends = above.match_indices('/').map(|(at, _)| at).chain([above.len()]).take(DEPTH);
        for end in ends {
            let part = if end == 0 { "/" } else { &above[..end] };
            let Some(seen) = see(stopped, part, true) else { break };
            if lacks(&seen, EXECUTE) {
                return Some((part.into(), seen.stat, EXECUTE));
            }
        }
    }
    let there = see(stopped, &path, target.follow);
    let changes_directory = target.names && (there.is_none() || matches!(target.how, "create" | "remove" | "shut"));
    let parent = target.parent().filter(|_| changes_directory);
    if let Some((parent, seen)) = parent.and_then(|parent| Some((parent, see(stopped, parent, true)?)))
        && lacks(&seen, WRITE)
    {
        return Some((parent.into(), seen.stat, WRITE));
    }
    let there = there.filter(|seen| !changes_directory && lacks(seen, target.wants))?;
    Some((path, there.stat, target.wants))
}

/// Whether a file has an ACL beside its mode (acl(5)).
fn has_acl(seen: &Seen) -> bool {
    let Ok(name) = CString::new(format!("/proc/self/fd/{}", seen.file.at().raw())) else { return false };
    let why = Why("an ACL can keep a user from a file that the mode opens");
    match syscalls::getxattr(&name, c"system.posix_acl_access", &mut [0; 4], why) {
        Ok(_) => true,
        Err(failed) => failed.errno == Errno::ERANGE,
    }
}

/// EACCES where owners and modes let the call: an ACL on the way.
pub fn acl(stopped: &Stopped) -> Option<Cause> {
    let rights = stopped.rights()?;
    let user = stopped.user_name("uid_map", rights.user);
    let all = targets(stopped);
    let path = all.iter().find_map(|target| target.path.as_deref())?;
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]).take(DEPTH);
    let ruled = |end: usize| see(stopped, &path[..end.max(1)], true).filter(has_acl).map(|_| &path[..end.max(1)]);
    let place = { ends }.find_map(ruled)?;
    (user != "0").then(|| cause(By::User, "acl", "/process/user/uid", &[place, &user]))
}

/// The kernel's check of owner, group and mode, and of the capabilities that pass over it (path_resolution(7),
/// capabilities(7)).
fn may(stopped: &Stopped, rights: &Rights, stat: &Stat, wants: u32, rightful: bool) -> bool {
    let shift = match () {
        () if stat.st_uid == rights.user => 6,
        () if stat.st_gid == rights.group || rights.groups.contains(&stat.st_gid) => 3,
        () => 0,
    };
    if stat.st_mode >> shift & wants == wants {
        return true;
    }
    const DAC_OVERRIDE: u32 = 1;
    const DAC_READ_SEARCH: u32 = 2;
    if !rightful || !mapped(stopped, stat) {
        return false;
    }
    let directory = stat.st_mode & libc::S_IFMT == libc::S_IFDIR;
    let over = rights.has(DAC_OVERRIDE) && (directory || wants & EXECUTE == 0 || stat.st_mode & 0o111 != 0);
    over || rights.has(DAC_READ_SEARCH) && (wants == READ || directory && wants & WRITE == 0)
}

/// Whether the process owns what the call changes, so that it needs no capability for that. To give a file away needs one.
pub fn owned(stopped: &Stopped, rights: &Rights) -> bool {
    if stopped.name.contains("chown") {
        return false;
    }
    let all = targets(stopped);
    let Some(target) = changed(stopped, &all) else {
        return false;
    };
    let directory = |seen: &Seen| seen.stat.st_mode & libc::S_IFMT == libc::S_IFDIR;
    if target.how == "look" && seen(stopped, target).as_ref().is_some_and(directory) {
        return true; // A directory has one name, for every user.
    }
    let owns = |seen: Option<Seen>| seen.is_some_and(|seen| seen.stat.st_uid == rights.user);
    if target.how != "remove" {
        return owns(seen(stopped, target));
    }
    // In a sticky directory a name belongs to the owner of the file, or of the directory. A name that is gone tells nothing.
    let parent = target.parent().and_then(|parent| see(stopped, parent, true));
    let sticky = parent.as_ref().is_some_and(|seen| seen.stat.st_mode & libc::S_ISVTX != 0);
    !sticky || owns(parent) || owns(seen(stopped, target))
}

/// A file that another user owns, if the configuration has the program run as this one, and not as root.
pub fn others_file(stopped: &Stopped, rights: &Rights) -> Option<Cause> {
    let user = stopped.inside("uid_map", rights.user).filter(|user| *user != 0)?;
    let all = targets(stopped);
    let target = changed(stopped, &all)?;
    let stat = seen(stopped, target)?.stat;
    if user != stopped.confinement.spec.process.user.uid || stopped.inside("uid_map", stat.st_uid).is_none() {
        return None;
    }
    let (path, owners) = (target.path.as_deref().unwrap_or(""), owners(stopped, &stat));
    let values = [path, &owners, "", &format!("{user}"), "", stopped.name];
    Some(cause(By::User, "owner", "/process/user/uid", &values))
}

/// The capabilities by which a call that succeeded has passed over owner and mode.
pub fn passed_over(stopped: &Stopped, rights: &Rights) -> Option<&'static str> {
    let all = targets(stopped);
    all.iter().find_map(|target| barred(stopped, rights, target, false)).map(|_| "CAP_DAC_OVERRIDE")
}

/// EBUSY: something is mounted on the name that was to go. EXDEV: two names on two mounts.
pub fn boundary(stopped: &Stopped, busy: bool) -> Option<Cause> {
    let all = targets(stopped);
    let named = |target: &Target| target.names && target.how != "create";
    if busy {
        let on = |target: &Target| {
            let path = target.real(stopped);
            stopped.mounts().iter().rfind(|mount| Some(&mount.target) == path.as_ref())
        };
        let mount = all.iter().filter(|target| named(target)).find_map(on)?;
        let pointer = place(stopped.confinement.spec, mount)?;
        return Some(cause(By::Mount, "mount point", pointer.clone(), &[&mount.target, &pointer]));
    }
    let [from, to] = [all.first()?, all.get(1)?].map(|target| {
        let parent = target.parent().and_then(|parent| nearest(stopped, parent));
        parent.and_then(|parent| stopped.mount_of(parent.at()))
    });
    let (from, to) = (from?, to?);
    let configured = |mount: &&Mount| mount.target != "/" && mount.origin != Some(Origin::Later);
    let mount = Some(to).filter(configured).or(Some(from).filter(configured)).filter(|_| from.id != to.id)?;
    let pointer = mount.pointer.clone()?;
    Some(cause(By::Mount, "two mounts", pointer, &[&from.target, &to.target]))
}

/// ENOSPC: a tmpfs of the configuration is full.
pub fn full(stopped: &Stopped) -> Option<Cause> {
    let all = targets(stopped);
    let mount = all.iter().find_map(|target| mount(stopped, target)).filter(|mount| mount.kind == "tmpfs")?;
    let why = Why("a tmpfs is full of bytes, or of files");
    let files = syscalls::fstatfs(stopped.open(&mount.target, true)?.at(), why).ok()?.f_ffree == 0;
    let key = if files { "nr_inodes" } else { "size" };
    let limit = mount.filesystem_options.iter().find(|word| word.split('=').next() == Some(key))?;
    let pointer = mount.pointer.clone()?;
    Some(cause(By::Mount, "full", pointer.clone(), &[&mount.target, limit, &pointer, key]))
}

/// The capabilities that the file of a program asks for (capabilities(7), "File capabilities"), and whether it cannot run
/// without.
fn asked_by_file(file: At) -> Option<(u64, bool)> {
    let name = CString::new(format!("/proc/self/fd/{}", file.raw())).ok()?;
    let mut room = [0; 24];
    let why = Why("execve gives a program the capabilities of its file, or refuses it");
    let bytes = syscalls::getxattr(&name, c"security.capability", &mut room, why).ok()?;
    let word = |at: usize| Some(u64::from(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?)));
    Some((word(4)? | word(12).unwrap_or(0) << 32, word(0)? & 1 != 0))
}

/// EPERM of execve: the file asks for a capability that the bounding set lacks.
pub fn unbounded(stopped: &Stopped) -> Option<Cause> {
    let all = targets(stopped);
    let target = all.iter().find(|target| target.executes())?;
    let path = target.path.as_deref()?;
    let (asked, needs) = asked_by_file(see(stopped, path, true)?.file.at())?;
    let lacking = (asked & !stopped.rights()?.bounding).trailing_zeros();
    let name = CAPABILITIES.get(lacking as usize).filter(|_| needs)?;
    if stopped.confinement.spec.process.capabilities.bounding.iter().any(|known| known == name) {
        return None;
    }
    let opens = explain::opens(name).unwrap_or_default();
    let place = "/process/capabilities/bounding";
    Some(cause(By::Capability, "capability of a file", place, &[path, name, &opens]))
}

/// After execve: a set-user-id program that did not get its owner's id.
pub fn unprivileged(stopped: &Stopped) -> Option<Cause> {
    let rights = stopped.rights()?;
    let program = stopped.link("exe")?;
    let seen = see(stopped, &program, true)?;
    let sets_user = seen.stat.st_mode & libc::S_ISUID != 0 && seen.stat.st_uid != rights.user;
    let sets_group = seen.stat.st_mode & 0o2010 == 0o2010 && seen.stat.st_gid != rights.group;
    let asks = asked_by_file(seen.file.at()).is_some_and(|(asked, _)| asked & !rights.permitted != 0);
    if !sets_user && !sets_group && !asks {
        return None;
    }
    let owner = owners(stopped, &seen.stat);
    let values = [program.as_str(), &owner, &stopped.user_name("uid_map", rights.user)];
    if let Some(mount) =
        stopped.mount_of(seen.file.at()).filter(|mount| mount.options.iter().any(|word| word == "nosuid"))
    {
        return denied_by_option(stopped, mount, "nosuid");
    }
    let configured = stopped.confinement.spec.process.no_new_privileges;
    (rights.no_new_privileges && configured)
        .then(|| cause(By::NoNewPrivileges, "no new privileges", "/process/noNewPrivileges", &values))
}

/// A file of the host's /proc, by its path.
pub fn host_file(proc: At, path: &str, why: Why) -> Option<String> {
    let name = CString::new(path).ok()?;
    let file = syscalls::openat(proc, &name, syscalls::OpenFlags::NONE, why).ok()?;
    let bytes = crate::host::input::read_all(file.at(), why).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

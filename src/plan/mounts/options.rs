//! The option words of a mount: into mount(2)'s flags, mount_setattr(2)'s attributes, and data for the file system
//! (config.md, "Linux mount options"). May touch: types and tables.

use crate::plan::op::Attributes;
use crate::plan::text::problem;
use crate::spec::{self, IdMapping, Problem};
use syscalls::MountFlags as Ms;

/// mount_setattr(2)'s bits. The access-time setting is a field of three bits, not three flags.
pub mod attr {
    pub use libc::{
        MOUNT_ATTR__ATIME as ATIME, MOUNT_ATTR_NOATIME as NOATIME, MOUNT_ATTR_NODEV as NODEV,
        MOUNT_ATTR_NODIRATIME as NODIRATIME, MOUNT_ATTR_NOEXEC as NOEXEC, MOUNT_ATTR_NOSUID as NOSUID,
        MOUNT_ATTR_NOSYMFOLLOW as NOSYMFOLLOW, MOUNT_ATTR_RDONLY as RDONLY, MOUNT_ATTR_STRICTATIME as STRICTATIME,
    };
}

/// What an option word does.
#[derive(Clone, Copy)]
enum Does {
    /// Sets or clears bits of mount(2); with what mount_setattr(2) calls the same.
    Set(Ms, u64),
    Clear(Ms, u64),
    /// Sets the access-time field.
    Atime(Ms, u64),
    /// The same on the whole tree of mounts.
    RecursiveSet(u64),
    RecursiveClear(u64),
    RecursiveAtime(u64),
    Propagation(Ms),
    Bind,
    RecursiveBind,
    Remount,
    Idmap,
    RecursiveIdmap,
    CopyUp,
    SourceAsItIs,
    TargetAsItIs,
    CopyLink,
    Nothing,
}
use Does::*;

/// Every option that is no data for the file system: FEATURES of the mount, by config.md's "Linux mount options".
const OPTIONS: &[(&str, Does)] = &[
    ("async", Clear(Ms::MS_SYNCHRONOUS, 0)),
    ("atime", Clear(Ms::MS_NOATIME, attr::NOATIME)),
    ("bind", Bind),
    ("copy-symlink", CopyLink),
    ("defaults", Nothing),
    ("dest-nofollow", TargetAsItIs),
    ("dev", Clear(Ms::MS_NODEV, attr::NODEV)),
    ("diratime", Clear(Ms::MS_NODIRATIME, attr::NODIRATIME)),
    ("dirsync", Set(Ms::MS_DIRSYNC, 0)),
    ("exec", Clear(Ms::MS_NOEXEC, attr::NOEXEC)),
    ("idmap", Idmap),
    ("iversion", Set(Ms::MS_I_VERSION, 0)),
    ("lazytime", Set(Ms::MS_LAZYTIME, 0)),
    ("loud", Clear(Ms::MS_SILENT, 0)),
    ("mand", Set(Ms::MS_MANDLOCK, 0)),
    ("noatime", Atime(Ms::MS_NOATIME, attr::NOATIME)),
    ("nodev", Set(Ms::MS_NODEV, attr::NODEV)),
    ("nodiratime", Set(Ms::MS_NODIRATIME, attr::NODIRATIME)),
    ("noexec", Set(Ms::MS_NOEXEC, attr::NOEXEC)),
    ("noiversion", Clear(Ms::MS_I_VERSION, 0)),
    ("nolazytime", Clear(Ms::MS_LAZYTIME, 0)),
    ("nomand", Clear(Ms::MS_MANDLOCK, 0)),
    ("norelatime", Clear(Ms::MS_RELATIME, 0)),
    ("nostrictatime", Clear(Ms::MS_STRICTATIME, attr::STRICTATIME)),
    ("nosuid", Set(Ms::MS_NOSUID, attr::NOSUID)),
    ("nosymfollow", Set(Ms::MS_NOSYMFOLLOW, attr::NOSYMFOLLOW)),
    ("private", Propagation(Ms::MS_PRIVATE)),
    ("rasync", Clear(Ms::MS_SYNCHRONOUS, 0)),
    ("ratime", RecursiveAtime(0)),
    ("rbind", RecursiveBind),
    ("rdev", RecursiveClear(attr::NODEV)),
    ("rdiratime", RecursiveClear(attr::NODIRATIME)),
    ("rdirsync", Set(Ms::MS_DIRSYNC, 0)),
    ("relatime", Atime(Ms::MS_RELATIME, 0)),
    ("remount", Remount),
    ("rexec", RecursiveClear(attr::NOEXEC)),
    ("ridmap", RecursiveIdmap),
    ("rmand", Set(Ms::MS_MANDLOCK, 0)),
    ("rnoatime", RecursiveAtime(attr::NOATIME)),
    ("rnodev", RecursiveSet(attr::NODEV)),
    ("rnodiratime", RecursiveSet(attr::NODIRATIME)),
    ("rnoexec", RecursiveSet(attr::NOEXEC)),
    ("rnomand", Clear(Ms::MS_MANDLOCK, 0)),
    ("rnorelatime", RecursiveClear(0)),
    ("rnostrictatime", RecursiveAtime(0)),
    ("rnosuid", RecursiveSet(attr::NOSUID)),
    ("rnosymfollow", RecursiveSet(attr::NOSYMFOLLOW)),
    ("ro", Set(Ms::MS_RDONLY, attr::RDONLY)),
    ("rprivate", Propagation(Ms::MS_PRIVATE.or(Ms::MS_REC))),
    ("rrelatime", RecursiveAtime(0)),
    ("rro", RecursiveSet(attr::RDONLY)),
    ("rrw", RecursiveClear(attr::RDONLY)),
    ("rshared", Propagation(Ms::MS_SHARED.or(Ms::MS_REC))),
    ("rslave", Propagation(Ms::MS_SLAVE.or(Ms::MS_REC))),
    ("rstrictatime", RecursiveAtime(attr::STRICTATIME)),
    ("rsuid", RecursiveClear(attr::NOSUID)),
    ("rsymfollow", RecursiveClear(attr::NOSYMFOLLOW)),
    ("rsync", Set(Ms::MS_SYNCHRONOUS, 0)),
    ("runbindable", Propagation(Ms::MS_UNBINDABLE.or(Ms::MS_REC))),
    ("rw", Clear(Ms::MS_RDONLY, attr::RDONLY)),
    ("shared", Propagation(Ms::MS_SHARED)),
    ("silent", Set(Ms::MS_SILENT, 0)),
    ("slave", Propagation(Ms::MS_SLAVE)),
    ("src-nofollow", SourceAsItIs),
    ("strictatime", Atime(Ms::MS_STRICTATIME, attr::STRICTATIME)),
    ("suid", Clear(Ms::MS_NOSUID, attr::NOSUID)),
    ("symfollow", Clear(Ms::MS_NOSYMFOLLOW, attr::NOSYMFOLLOW)),
    ("sync", Set(Ms::MS_SYNCHRONOUS, 0)),
    ("tmpcopyup", CopyUp),
    ("unbindable", Propagation(Ms::MS_UNBINDABLE)),
];

/// mount(2)'s word for a propagation, as rootfsPropagation has it.
pub fn propagation(word: &str) -> Ms {
    match OPTIONS.iter().find(|(name, _)| *name == word) {
        Some((_, Propagation(flags))) => *flags,
        _ => Ms::NONE,
    }
}

/// The option words for the `features` document, sorted.
pub fn option_words() -> impl Iterator<Item = &'static str> {
    OPTIONS.iter().map(|(word, _)| *word)
}

/// A mount's options, understood.
#[derive(Default)]
pub struct Options {
    pub flags: Ms,
    pub attributes: Attributes,
    pub recursive: Attributes,
    pub bind: bool,
    pub recursive_bind: bool,
    pub remount: bool,
    pub data: String,
    /// Ids are mapped: on all mounts below too, and how, if the option itself says so.
    pub idmap: Option<(bool, Vec<IdMapping>, Vec<IdMapping>)>,
    pub copy_up: bool,
    /// If the source is a link, the link itself is bound, or made again at the target.
    pub source_as_it_is: bool,
    pub copy_link: bool,
    /// If the target is a link, the link itself is mounted on.
    pub target_as_it_is: bool,
}

/// The options of binds that do nothing there, in words: a bind has no file system of its own that could take them, and
/// the kernel passes them over too.
pub fn passed_over(mounts: &[spec::Mount]) -> Vec<String> {
    let mut words = Vec::new();
    for (i, mount) in mounts.iter().enumerate() {
        let has = |word: &str| mount.options.iter().any(|option| option == word);
        // As a rule a mount has no others: a thousand of them are not looked up.
        if mount.options.iter().all(|option| matches!(option.as_str(), "rbind" | "bind" | "ro")) {
            continue;
        }
        let nothing = |option: &&spec::Text| {
            let mapped = option.starts_with("idmap=") || option.starts_with("ridmap=");
            match OPTIONS.binary_search_by_key(&option.as_str(), |(name, _)| name) {
                Ok(at) => matches!(OPTIONS[at].1, Set(ms, 0) if ms != Ms::MS_SILENT),
                Err(_) => !option.is_empty() && !mapped,
            }
        };
        if !(mount.kind == "bind" || has("bind") || has("rbind")) || has("remount") {
            continue;
        }
        if let Some(at) = mount.options.iter().position(|option| nothing(&option)) {
            let all = mount.options.iter().filter(nothing);
            let all: Vec<&str> = all.map(|option| option.as_str()).collect();
            words.push(format!(
                "/mounts/{i}/options/{at}: passed over, since a bind has no file system of its own: {}",
                all.join(",")
            ));
        }
    }
    words
}

/// Sets and clears attributes. The last word wins, so each undoes its opposite.
fn set(attributes: &mut Attributes, bits: u64) {
    attributes.set |= bits;
    attributes.clear &= !bits;
}

fn clear(attributes: &mut Attributes, bits: u64) {
    attributes.set &= !bits;
    attributes.clear |= if bits & attr::ATIME == 0 { bits } else { attr::ATIME };
}

fn set_atime(attributes: &mut Attributes, value: u64) {
    attributes.set = attributes.set & !attr::ATIME | value;
    attributes.clear |= attr::ATIME;
}

impl Options {
    fn apply(&mut self, does: Does) {
        const ATIMES: Ms = Ms::MS_NOATIME.or(Ms::MS_RELATIME).or(Ms::MS_STRICTATIME);
        match does {
            Set(ms, bits) => {
                self.flags = self.flags | ms;
                set(&mut self.attributes, bits);
            }
            Clear(ms, bits) => {
                self.flags = self.flags.without(ms);
                clear(&mut self.attributes, bits);
            }
            Atime(ms, bits) => {
                self.flags = self.flags.without(ATIMES) | ms;
                set_atime(&mut self.attributes, bits);
            }
            RecursiveSet(bits) => set(&mut self.recursive, bits),
            RecursiveClear(bits) => clear(&mut self.recursive, bits),
            RecursiveAtime(bits) => set_atime(&mut self.recursive, bits),
            Propagation(flags) => {
                self.attributes.propagation = flags.without(Ms::MS_REC);
                self.attributes.recursive = flags.has(Ms::MS_REC);
            }
            Bind => self.bind = true,
            RecursiveBind => (self.bind, self.recursive_bind) = (true, true),
            Remount => self.remount = true,
            Idmap => self.idmap = Some((false, Vec::new(), Vec::new())),
            RecursiveIdmap => self.idmap = Some((true, Vec::new(), Vec::new())),
            CopyUp => self.copy_up = true,
            SourceAsItIs => self.source_as_it_is = true,
            TargetAsItIs => self.target_as_it_is = true,
            CopyLink => self.copy_link = true,
            Nothing => {}
        }
    }

    /// A word for the file system.
    fn pass_on(&mut self, word: &str) {
        if !self.data.is_empty() && !word.is_empty() {
            self.data.push(',');
        }
        self.data.push_str(word);
    }

    /// What is wrong with the options together.
    fn contradiction(&self, kind: &str) -> Option<&'static str> {
        let lone_bind = self.bind && !self.remount;
        let spread = self.recursive != Attributes::default() || self.attributes.propagation == Ms::MS_SHARED;
        match self.source_as_it_is || self.target_as_it_is || self.copy_link {
            true if !lone_bind => Some("src-nofollow, dest-nofollow and copy-symlink are for a bind mount"),
            true if spread => Some("src-nofollow, dest-nofollow and copy-symlink go with no option of a tree"),
            _ if self.copy_up && (self.bind || kind != "tmpfs") => Some("tmpcopyup is for a tmpfs"),
            _ if self.idmap.is_some() && !self.bind => {
                Some("idmap is for a bind mount: a new file system belongs to the container as it is")
            }
            _ => None,
        }
    }
}

/// The options of a mount, which stands at the JSON pointer `at`.
pub fn understand(mount: &spec::Mount, at: &str) -> Result<Options, Problem> {
    let mut o = Options::default();
    for (i, word) in mount.options.iter().enumerate() {
        if let Some((name @ ("idmap" | "ridmap"), text)) = word.split_once('=') {
            let (uids, gids) = id_words(text).map_err(|text| problem(&format!("{at}/options/{i}"), text))?;
            o.idmap = Some((name == "ridmap", uids, gids));
            continue;
        }
        match OPTIONS.binary_search_by_key(&word.as_str(), |(name, _)| name) {
            Ok(found) => o.apply(OPTIONS[found].1),
            Err(_) => o.pass_on(word),
        }
    }
    o.bind |= mount.kind == "bind";
    if o.bind && !o.remount {
        o.data.clear();
    }
    match o.contradiction(&mount.kind) {
        Some(text) => Err(problem(&format!("{at}/options"), text)),
        None => Ok(o),
    }
}

/// crun's own spelling: `uids=0-1000-1#1-2000-10;gids=0-1000-1`, each inside, outside, how many.
fn id_words(text: &str) -> Result<(Vec<IdMapping>, Vec<IdMapping>), String> {
    let bad = || format!("`{text}` is no mapping: uids=0-1000-1;gids=0-1000-1 is one");
    let (mut uids, mut gids) = (Vec::new(), Vec::new());
    for part in text.split(';').filter(|part| !part.is_empty()) {
        let (name, ranges) = part.split_once('=').ok_or_else(bad)?;
        let list = match name {
            "uids" => &mut uids,
            "gids" => &mut gids,
            _ => return Err(bad()),
        };
        for range in ranges.split('#') {
            if range.starts_with('@') {
                return Err(format!(
                    "`{range}`: ids relative to the user namespace's are not supported: write them out"
                ));
            }
            let mut numbers = range.split('-').map(str::parse::<u32>);
            let mut next = || numbers.next().and_then(Result::ok).ok_or_else(bad);
            list.push(IdMapping { container_id: next()?, host_id: next()?, size: next()? });
        }
    }
    spec::check_mappings(&uids, &gids, &spec::At::ROOT)
        .map_err(|p| format!("`{text}`: {} {}", p.pointer, p.problem))?;
    match uids.is_empty() {
        true => Err(bad()),
        false => Ok((uids, gids)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_sorted_for_the_search() {
        assert!(OPTIONS.is_sorted_by(|a, b| a.0 < b.0));
    }
}

//! The initramfs of a machine, in cpio's "new ascii" format (buffer-format.rst in the kernel's documentation). Each entry is a
//! header of 13 numbers in hexadecimal, the name and the data, each at a multiple of four. Owners, modes, times, links and
//! devices are kept; the format has no place for extended attributes. The tree may be hostile: no link is followed, and the
//! type of each file is checked again after it was opened. May touch: system calls.

use super::needs::cut_short;
use crate::host::input::{self, c};
use crate::outcome::{Error, at};
use crate::perform::files::write_all;
use crate::sorted;
use alloc::ffi::CString;
use syscalls::{At, AtFlags, Failed, Fd, MemFd, OpenFlags, PollFd, SigSet, Stat, Taken, Why};

const INTO: Why = Why("the machine gets its files in an initramfs");
/// Headers and names are collected, and written when they have about so many bytes.
const GATHER: usize = 64 << 10;
/// So many bytes of a file are copied at once: a signal that asks to end is seen after each.
const PIECE: usize = 64 << 20;
const ENDS: SigSet = SigSet::EMPTY.with(libc::SIGTERM).with(libc::SIGINT).with(libc::SIGHUP);
/// The kernel's longest path with its NUL. The kernel skips longer ones without an error (init/initramfs.c).
const PATH_MAX: usize = 4096;
const NOFOLLOW: AtFlags = AtFlags::AT_SYMLINK_NOFOLLOW;

/// An initramfs in the making: a file in memory.
pub struct Image {
    file: Fd,
    gathered: Vec<u8>,
    len: usize,
    entries: u32,
    /// Signals that ask to end.
    ends: Fd,
    /// Files with several names: device and inode, in order, and the number of their entry.
    linked: Vec<((u64, u64), u32)>,
}

/// What a header says of a file.
#[derive(Clone, Copy, Default)]
struct Entry {
    number: u32,
    mode: u32,
    uid: u32,
    gid: u32,
    links: u32,
    time: u32,
    size: usize,
    device: u64,
}

impl Entry {
    /// Without the size, which only files and links have.
    fn of(stat: &Stat, number: u32) -> Entry {
        Entry {
            number,
            mode: stat.st_mode,
            uid: stat.st_uid,
            gid: stat.st_gid,
            links: stat.st_nlink as u32,
            time: stat.st_mtime as u32,
            device: stat.st_rdev,
            ..Entry::default()
        }
    }
}

/// The header and the name of an entry, padded to a multiple of four.
fn header(name: &[u8], entry: &Entry) -> Vec<u8> {
    let numbers = [
        entry.number,
        entry.mode,
        entry.uid,
        entry.gid,
        entry.links,
        entry.time,
        entry.size as u32,
        0,
        0,
        libc::major(entry.device),
        libc::minor(entry.device),
        name.len() as u32 + 1,
        0,
    ];
    let mut bytes: Vec<u8> = b"070701".to_vec();
    for number in numbers {
        bytes.extend_from_slice(format!("{number:08x}").as_bytes());
    }
    bytes.extend_from_slice(name);
    bytes.push(0);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn failed(name: &[u8], failed: Failed) -> Error {
    let name = String::from_utf8_lossy(name);
    at(format!("put /{name} into the machine's initramfs"), failed)
}

fn wrong(name: &[u8], what: &str) -> Error {
    let name: String = String::from_utf8_lossy(name).escape_debug().collect();
    Error::State(format!("/{name} cannot go into the machine's initramfs: {what}"))
}

impl Image {
    pub fn begin() -> Result<Image, Error> {
        let why = Why("the initramfs is a file in memory, so nothing of it is left on the host");
        let file = syscalls::memfd_create(c"initramfs", MemFd::NONE, why)
            .map_err(|f| at("make the machine's initramfs", f))?;
        let why = Why("a signal shall end the making of a large initramfs");
        let ends = syscalls::signalfd4(ENDS, why).map_err(|f| at("make the machine's initramfs", f))?;
        Ok(Image { file, ends, gathered: Vec::new(), len: 0, entries: 0, linked: Vec::new() })
    }

    /// Puts the directories above a path. They belong to root, and all users may enter them.
    pub fn parents(&mut self, path: &str) -> Result<(), Error> {
        let path = path.trim_start_matches('/');
        for (end, _) in path.match_indices('/') {
            let entry = Entry { number: self.next(), mode: libc::S_IFDIR | 0o755, links: 2, ..Entry::default() };
            self.put(&path.as_bytes()[..end], &entry)?;
        }
        Ok(())
    }

    /// Puts an open file under a name, with this mode. It belongs to root.
    pub fn file(&mut self, path: &str, from: &Fd, mode: u32) -> Result<(), Error> {
        let name = path.trim_start_matches('/').as_bytes();
        let stat = syscalls::fstat(from.at(), INTO).map_err(|f| failed(name, f))?;
        let (number, size) = (self.next(), stat.st_size as usize);
        let entry = Entry { number, mode: libc::S_IFREG | mode, links: 1, size, ..Entry::default() };
        self.put_file(name, &entry, from)
    }

    /// Puts an open file with its owner, mode and time.
    pub fn copy(&mut self, path: &str, from: &Fd) -> Result<(), Error> {
        let name = path.trim_start_matches('/').as_bytes();
        let stat = syscalls::fstat(from.at(), INTO).map_err(|f| failed(name, f))?;
        if stat.st_mode & libc::S_IFMT != libc::S_IFREG {
            return Err(wrong(name, "it became something else meanwhile"));
        }
        let entry = Entry { size: stat.st_size as usize, links: 1, ..Entry::of(&stat, self.next()) };
        self.put_file(name, &entry, from)
    }

    /// Puts another archive before this one's end: the kernel takes one after the other.
    pub fn archive(&mut self, path: &str) -> Result<(), Error> {
        let file = syscalls::openat(At::CWD, &c(path)?, OpenFlags::O_NONBLOCK, INTO)
            .map_err(|f| at(format!("open the archive {path}"), f))?;
        let stat = syscalls::fstat(file.at(), INTO).map_err(|f| at(format!("look at the archive {path}"), f))?;
        if stat.st_mode & libc::S_IFMT != libc::S_IFREG || stat.st_size == 0 {
            let text = format!("/vm/kernel/initrd: {path} is no file with an archive");
            return Err(Error::State(format!("--mode vm: {text}")));
        }
        let name = path.trim_start_matches('/').as_bytes();
        self.write().map_err(|f| failed(name, f))?;
        self.pour(name, stat.st_size as usize, &file)
    }

    /// Puts a file with this text. It belongs to root.
    pub fn text(&mut self, path: &str, text: &[u8]) -> Result<(), Error> {
        let name = path.trim_start_matches('/').as_bytes();
        let entry =
            Entry { number: self.next(), mode: libc::S_IFREG | 0o644, links: 1, size: text.len(), ..Entry::default() };
        self.put(name, &entry)?;
        self.gathered.extend_from_slice(text);
        self.fill();
        Ok(())
    }

    /// Puts a directory of the host with all that is below it.
    pub fn tree(&mut self, path: &str, from: &str) -> Result<(), Error> {
        let name = path.trim_start_matches('/').as_bytes();
        let flags = OpenFlags::O_DIRECTORY;
        let dir =
            syscalls::openat(At::CWD, &c(from)?, flags, INTO).map_err(|f| at(format!("open the rootfs {from}"), f))?;
        self.directory(name, dir.at())
    }

    fn directory(&mut self, name: &[u8], dir: At) -> Result<(), Error> {
        let stat = syscalls::fstat(dir, INTO).map_err(|f| failed(name, f))?;
        let entry = Entry::of(&stat, self.next());
        self.put(name, &entry)?;
        let mut names = input::names(dir, INTO).map_err(|f| failed(name, f))?;
        sorted::sort(&mut names);
        for below in &names {
            let whole = [name, b"/", below.to_bytes()].concat();
            self.any(&whole, dir, below)?;
        }
        Ok(())
    }

    fn any(&mut self, whole: &[u8], dir: At, name: &CString) -> Result<(), Error> {
        let told = |f| failed(whole, f);
        let stat = syscalls::newfstatat(dir, name, NOFOLLOW, INTO).map_err(told)?;
        let open = |flags: OpenFlags| {
            let flags = flags | OpenFlags::O_NOFOLLOW | OpenFlags::O_NONBLOCK | OpenFlags::O_NOCTTY;
            syscalls::openat(dir, name, flags, INTO).map_err(told)
        };
        match stat.st_mode & libc::S_IFMT {
            libc::S_IFDIR => return self.directory(whole, open(OpenFlags::O_DIRECTORY)?.at()),
            libc::S_IFREG => {
                let file = open(OpenFlags::O_RDONLY)?;
                let stat = syscalls::fstat(file.at(), INTO).map_err(told)?;
                if stat.st_mode & libc::S_IFMT != libc::S_IFREG {
                    return Err(wrong(whole, "it became something else meanwhile"));
                }
                return self.regular(whole, &stat, &file);
            }
            _ => {}
        }
        let mut entry = Entry::of(&stat, self.next());
        if stat.st_mode & libc::S_IFMT != libc::S_IFLNK {
            return self.put(whole, &entry);
        }
        let mut room = [0u8; PATH_MAX];
        let target = syscalls::readlinkat(dir, name, &mut room, INTO).map_err(told)?;
        entry.size = target.len();
        self.put(whole, &entry)?;
        self.gathered.extend_from_slice(target);
        self.fill();
        Ok(())
    }

    /// Puts a regular file. If it has several names, the first entry has the data, and the others have that entry's number.
    fn regular(&mut self, name: &[u8], stat: &Stat, file: &Fd) -> Result<(), Error> {
        let (place, number) = ((stat.st_dev, stat.st_ino), self.next());
        if stat.st_nlink > 1 {
            match self.linked.binary_search_by_key(&place, |(place, _)| *place) {
                Ok(known) => return self.put(name, &Entry::of(stat, self.linked[known].1)),
                Err(at) => self.linked.insert(at, (place, number)),
            }
        }
        let entry = Entry { size: stat.st_size as usize, ..Entry::of(stat, number) };
        self.put_file(name, &entry, file)
    }

    /// The number of the next entry.
    fn next(&mut self) -> u32 {
        self.entries += 1;
        self.entries
    }

    fn put(&mut self, name: &[u8], entry: &Entry) -> Result<(), Error> {
        if name.len() >= PATH_MAX {
            return Err(wrong(name, "its path is too long"));
        }
        if self.gathered.len() >= GATHER {
            self.write().map_err(|f| failed(name, f))?;
        }
        self.gathered.extend_from_slice(&header(name, entry));
        Ok(())
    }

    fn put_file(&mut self, name: &[u8], entry: &Entry, from: &Fd) -> Result<(), Error> {
        if u32::try_from(entry.size).is_err() {
            return Err(wrong(name, "it has 4 GiB or more"));
        }
        self.put(name, entry)?;
        self.write().map_err(|f| failed(name, f))?;
        self.pour(name, entry.size, from)
    }

    /// Puts the bytes of a file.
    fn pour(&mut self, name: &[u8], size: usize, from: &Fd) -> Result<(), Error> {
        let mut left = size;
        while left > 0 {
            self.go_on()?;
            let sent = syscalls::sendfile(self.file.at(), from.at(), left.min(PIECE), INTO);
            match sent.map_err(|f| failed(name, f))? {
                0 => return Err(wrong(name, "it became shorter meanwhile")),
                sent => left -= sent,
            }
        }
        self.len += size;
        self.fill();
        Ok(())
    }

    /// An error if a signal asks to end.
    fn go_on(&self) -> Result<(), Error> {
        let doing = "make the machine's initramfs";
        let mut table = [PollFd { fd: self.ends.at().raw(), events: libc::POLLIN, revents: 0 }];
        let why = Why("a signal shall end the making of a large initramfs");
        if syscalls::ppoll(&mut table, Some(0), why).map_err(|f| at(doing, f))? == 0 {
            return Ok(());
        }
        let mut info = [0u8; 128];
        let why = Why("the signal is taken: this command ends for it");
        syscalls::read(self.ends.at(), &mut info, why).map_err(|f| at(doing, f))?;
        Err(cut_short(Taken::of(&info).signal))
    }

    /// Pads to a multiple of four.
    fn fill(&mut self) {
        let end = self.len + self.gathered.len();
        let zeros = end.next_multiple_of(4) - end;
        self.gathered.resize(self.gathered.len() + zeros, 0);
    }

    fn write(&mut self) -> syscalls::Result<()> {
        write_all(self.file.at(), &self.gathered, INTO)?;
        self.len += self.gathered.len();
        self.gathered.clear();
        Ok(())
    }

    /// The whole initramfs, and how many bytes it has.
    pub fn end(mut self) -> Result<(Fd, usize), Error> {
        let last = Entry { links: 1, ..Entry::default() };
        self.put(b"TRAILER!!!", &last)?;
        self.write().map_err(|f| failed(b"", f))?;
        Ok((self.file, self.len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_as_the_kernel_reads_it() {
        let entry = Entry {
            number: 7,
            mode: 0o020600,
            uid: 1,
            gid: 5,
            links: 1,
            time: 0x5f00_0000,
            size: 0,
            device: libc::makedev(5, 1),
        };
        let wanted = b"070701000000070000218000000001000000050000000\
15f00000000000000000000000000000000000005000000010000000c00000000dev/console\0\0\0";
        let wanted: Vec<u8> = wanted.to_vec();
        let is = header(b"dev/console", &entry);
        assert_eq!(is.len() % 4, 0);
        assert_eq!(String::from_utf8_lossy(&is), String::from_utf8_lossy(&wanted[..is.len().min(wanted.len())]));
    }
}

//! The reading of /proc/PID, through one descriptor of the directory: a later process of the same number cannot slip in.
//! May touch: system calls, procfs.

use crate::host::{input, procfs};
use alloc::ffi::CString;
use core::cell::RefCell;
use core::ffi::CStr;
use syscalls::{At, Errno, Fd, OpenFlags, Resolve, Result, Why};

/// The longest path that the kernel gives.
const PATH: usize = 4096;

/// A process's directory in /proc.
pub struct Proc {
    dir: Fd,
    /// This user may be refused to read some files. Root is refused only by mistake, which is an error.
    ordinary: bool,
    hidden: RefCell<Vec<String>>,
}

impl Proc {
    /// Opens the directory of a process: its number, or `self`.
    pub fn open(name: &str, ordinary: bool) -> Result<Proc> {
        let procfs = procfs::open()?;
        let name = CString::new(name).unwrap_or_default();
        let flags = OpenFlags::O_PATH | OpenFlags::O_DIRECTORY;
        let why = Why("with the directory open, the number cannot come to mean another process during the look");
        let dir = syscalls::openat(procfs.at(), &name, flags, why)?;
        Ok(Proc { dir, ordinary, hidden: RefCell::default() })
    }

    pub fn at(&self) -> At {
        self.dir.at()
    }

    /// What this user was not allowed to read.
    pub fn hidden(&self) -> Vec<String> {
        self.hidden.take()
    }

    /// The result of a look. `None`: this kernel has no such file, or this user may not read it.
    pub fn known<T>(&self, name: &str, looked: Result<T>) -> Result<Option<T>> {
        match looked {
            Err(failed) if failed.errno == Errno::ENOENT => Ok(None),
            Err(failed) if self.ordinary && [Errno::EACCES, Errno::EPERM].contains(&failed.errno) => {
                self.hidden.borrow_mut().push(name.into());
                Ok(None)
            }
            looked => looked.map(Some),
        }
    }

    /// The root of the process, to look below it.
    pub fn root(&self) -> Result<Option<Fd>> {
        let why = Why("paths of the container begin there");
        let flags = OpenFlags::O_PATH | OpenFlags::O_DIRECTORY;
        self.known("root", syscalls::openat(self.at(), c"root", flags, why))
    }

    /// Opens a path of the container's below its root. Links in it lead nowhere else. `None`: it is not there.
    pub fn inside(&self, root: At, path: &str, flags: OpenFlags, why: Why) -> Result<Option<Fd>> {
        let name = CString::new(path).unwrap_or_default();
        let resolve = Resolve::RESOLVE_IN_ROOT | Resolve::RESOLVE_NO_MAGICLINKS;
        match syscalls::openat2(root, &name, flags, resolve, why) {
            Err(failed) if [Errno::ENOTDIR, Errno::ELOOP].contains(&failed.errno) => Ok(None),
            opened => self.known(path, opened),
        }
    }

    /// The text of a file.
    pub fn text(&self, name: &CStr, why: Why) -> Result<Option<String>> {
        let read = || {
            let file = syscalls::openat(self.at(), name, OpenFlags::NONE, why)?;
            let bytes = input::read_to_end(file.at(), why)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        self.known(&name.to_string_lossy(), read())
    }

    /// What a link of the directory names.
    pub fn link(&self, name: &CStr, why: Why) -> Result<Option<String>> {
        let mut room = vec![0; PATH];
        let read = syscalls::readlinkat(self.at(), name, &mut room, why);
        self.known(&name.to_string_lossy(), read.map(|text| String::from_utf8_lossy(text).into_owned()))
    }

    /// The names in a directory below.
    pub fn names(&self, name: &CStr, why: Why) -> Result<Option<Vec<String>>> {
        let list = || {
            let dir = syscalls::openat(self.at(), name, OpenFlags::O_DIRECTORY, why)?;
            let names = input::names(dir.at(), why)?;
            Ok(names.iter().map(|name| name.to_string_lossy().into_owned()).collect())
        };
        self.known(&name.to_string_lossy(), list())
    }
}

//! The home directory of a user, out of the rootfs's /etc/passwd (passwd(5)). That file is the image's and hostile: it
//! may be anything of any size. May touch: system calls.

use crate::outcome::Done;
use crate::perform::files::{self, kind};
use alloc::ffi::CString;
use syscalls::{At, Errno, OpenFlags, Why};

/// As much of the file as is looked at, in bytes.
const MOST: usize = 64 << 10;

/// `HOME=...` for a user; `/` for one that the file does not know.
pub fn look_up(rootfs: At, uid: u32, why: Why) -> Done<CString> {
    let unknown = CString::from(c"HOME=/");
    // Opened as a place first: opening a fifo would hang, and opening a device could do anything.
    let place = match files::resolve(rootfs, c"etc/passwd", OpenFlags::NONE, true, why) {
        Err(failed) if [Errno::ENOENT, Errno::ENOTDIR, Errno::ELOOP].contains(&failed.errno) => {
            return Ok(unknown);
        }
        place => place?,
    };
    let stat = syscalls::fstat(place.at(), Why("an image can put anything there, and only a file is read"))?;
    if kind(&stat) != libc::S_IFREG {
        return Ok(unknown);
    }
    let file = match files::reopen(rootfs, c"etc/passwd", why) {
        Err(_) => return Ok(unknown),
        Ok(file) => file,
    };
    let mut text = vec![0; MOST];
    let len = syscalls::read(file.at(), &mut text, why)?;
    file.leak(); // execve closes both
    place.leak();
    let text = String::from_utf8_lossy(text.get(..len).unwrap_or(&[]));
    Ok(home(&text, uid).and_then(|home| CString::new(format!("HOME={home}")).ok()).unwrap_or(unknown))
}

/// The sixth field of the first line whose third is the user's number.
pub fn home(passwd: &str, uid: u32) -> Option<&str> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let number = fields.nth(2)?.parse::<u32>().ok()?;
        (number == uid).then(|| fields.nth(2)).flatten().filter(|home| home.starts_with('/'))
    })
}

//! What a machine's first process makes before containers run: modules, disks and shares, the network. The initramfs and
//! the kernel's command line say what is wanted (`words`):
//!
//! ```text
//!   /nk/modules/list             the modules to load: a line each, the file's name in /nk/modules and its parameters
//!   nk.root=DEVICE|TAG           a disk or a share with the bundle's rootfs; where the initramfs has no bundle, with all of it
//!   nk.rootfstype=TYPE           erofs, squashfs, ext4, 9p or virtiofs; a disk says it itself
//!   nk.overlay=tmpfs|no          writes go to memory (the usual); or to the disk or share itself
//!   nk.mount=TYPE:TAG:PATH[:ro]  one more disk or share, at PATH of the machine
//!   nk.ip=ADDR/LEN[,GATEWAY[,DNS]]  lo and eth0 are brought up, with this address; the word may be repeated
//!   ip=..                        the kernel's own word, read for its name servers
//! ```
//! Name servers stand in /run/nk/resolv.conf afterwards. A failure says what is missing: a module, a device, a file system.
//! May touch: spec, system calls.

mod disks;
mod modules;
mod network;
mod ways;
mod words;

pub use disks::end;
pub use words::{WORDS, Wish, foreign};

use crate::outcome::Error;

/// Makes what the words ask for. `bundle`: the directory of the bundle that nk.root is for.
pub fn prepare(wish: &Wish, bundle: &str) -> Result<(), Error> {
    words::fit(wish)?;
    modules::load()?;
    disks::mount(wish, bundle)?;
    network::up(wish)
}

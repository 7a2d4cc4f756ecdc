//! `--mode vm`: a container in a machine of its own. QEMU makes the machine, the kernel is a file of the host, and this room
//! writes the initramfs, which holds the bundle and this program. In the machine, this program is `/init` and runs the
//! container as it would on the host (commands/init).
//!
//! ```text
//!   host   bundle -> image (in memory) -> clone3, execve QEMU ......... waitid, read the status -> exit status
//!   guest                                 kernel -> /init -> run /bundle -> status to the second serial line
//! ```
//! The first serial line is the console: the caller's standard input and output. If the kernel has virtio, a channel takes the
//! place of both lines, and the console is for what the kernel has to say. May touch: spec, system calls.

mod arch;
mod binds;
mod config;
mod devices;
mod guest;
mod image;
mod kernel;
mod limits;
mod machine;
mod modules;
mod needs;
mod root;
mod whole;

pub use devices::{CHANNEL_FD, CONSOLE_FD, SHARES_FD, STATUS_FD, Share, Sharing};
use image::Image;
pub use limits::Size;
pub use machine::{IMAGE_FD, Machine, Start, word};
pub use needs::{BUNDLE, cut_short, missing};
pub use whole::{Of, Whole};

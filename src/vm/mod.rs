//! `--mode vm`: a container in a machine of its own. The machine is QEMU's, its kernel is a file that the caller names, and
//! this room writes its initramfs out of the bundle. Inside, this very program is `/init` and runs the container
//! (commands/init.rs), contained as it would be on the host.
//!
//! ```text
//!   host   bundle -> image (in memory) -> clone3, execve QEMU ......... waitid, read the status -> exit status
//!   guest                                 kernel -> /init -> run /bundle -> status to the second serial line
//! ```
//! The first serial line is the console: the caller's standard input and output. May touch: spec, system calls.

mod image;
mod kernel;
mod machine;
mod needs;

pub use image::Image;
pub use machine::{IMAGE_FD, Machine, STATUS_FD, append};
pub use needs::{BUNDLE, fits, rootfs};

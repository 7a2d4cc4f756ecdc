//! Machines in place of containers: `run --mode vm`, and the program as `/init`; bundles out of images.

pub mod channel;
pub mod disks;
pub mod images;
pub mod initramfs;
pub mod several;
pub mod vm;
pub mod vm_channel;
pub mod vm_faults;
pub mod vm_host;
pub mod vm_other;

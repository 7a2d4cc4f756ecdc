//! The machine: QEMU's microvm, which has no firmware to wait for, two serial lines and nothing else. This file finds QEMU
//! and a kernel, and makes QEMU's command line. May touch: system calls.

use super::kernel;
use super::needs::missing;
use crate::cli::{self, Accel, Format};
use crate::host::environment;
use crate::host::input::c;
use crate::outcome::Error;
use alloc::ffi::CString;
use syscalls::{AccessFlags, AccessMode, At, OpenFlags, Why};

const QEMU: &str = "qemu-system-x86_64";

/// The descriptors of the initramfs and of the file for the status in QEMU: far above those that it opens itself.
pub const IMAGE_FD: i32 = 100;
pub const STATUS_FD: i32 = 101;

/// What a machine is made of.
pub struct Machine {
    pub qemu: String,
    kernel: String,
    /// Where its memory ends when it runs, in MiB.
    kernel_end: usize,
    accel: Accel,
}

impl Machine {
    pub fn find(vm: &cli::Vm) -> Result<Machine, Error> {
        if !cfg!(target_arch = "x86_64") {
            return Err(missing("QEMU's microvm is a machine for x86_64 alone"));
        }
        let qemu = qemu(vm.qemu.as_deref())?;
        let kernel = kernel_path(vm.kernel.as_deref())?;
        Ok(Machine { qemu, kernel_end: kernel::end(&kernel)?, kernel, accel: accel(vm.accel)? })
    }

    /// How much memory the machine gets, in MiB: what lies below the kernel's end, and 16 for the tables that the kernel
    /// makes; three times the initramfs, of which the kernel has two copies for a moment, and which may fill only half of
    /// all memory; and what the container may take, or 64.
    pub fn memory(&self, image: usize, limit: Option<i64>) -> usize {
        let mib = |bytes: usize| bytes.div_ceil(1 << 20);
        let limit = limit.and_then(|limit| usize::try_from(limit).ok());
        let own = limit.filter(|limit| *limit > 0).map_or(64, mib);
        let kernel = self.kernel_end.saturating_add(16);
        kernel.saturating_add(3 * mib(image)).saturating_add(own)
    }

    /// QEMU's command line. `memory`: in MiB; `append`: the kernel's command line.
    pub fn words(&self, memory: usize, append: &str) -> Result<Vec<CString>, Error> {
        let accel = match self.accel {
            Accel::Kvm => "kvm",
            Accel::Tcg => "tcg",
        };
        // A machine without a power switch ends by a restart (-no-reboot). At a terminal Ctrl-C goes to the program inside
        // (signal=off).
        let made_of = format!(
            "-machine microvm,acpi=off,rtc=on -accel {accel} -cpu max -m {memory} -no-user-config -nodefaults -no-reboot \
             -display none -chardev stdio,id=console,signal=off -serial chardev:console \
             -chardev file,id=status,path=/proc/self/fd/{STATUS_FD} -device isa-serial,chardev=status,index=1"
        );
        let image = format!("/proc/self/fd/{IMAGE_FD}");
        let boots = ["-kernel", &self.kernel, "-initrd", &image, "-append", append];
        let words = [self.qemu.as_str()].into_iter().chain(made_of.split(' ')).chain(boots);
        words.map(c).collect()
    }
}

/// The kernel's command line. `verbose`: the kernel and this program say what they do.
pub fn append(id: &str, trace: Option<Format>, verbose: bool) -> String {
    let mut words = String::from("console=ttyS0 panic=-1 reboot=t ");
    words += match verbose {
        true => "nk.log-level=debug",
        // The program's output would hold all that the kernel says, to the last line about the restart.
        false => "quiet loglevel=0",
    };
    words += &format!(" nk.end=reboot nk.status=/dev/ttyS1 nk.id={id}");
    words += match trace {
        None => "",
        Some(Format::Text) => " nk.trace=text",
        Some(Format::Strace) => " nk.trace=strace",
        Some(Format::Json) => " nk.trace=json",
    };
    words
}

/// Whether a file may be executed, or read.
fn usable(path: &str, mode: AccessMode) -> Result<bool, Error> {
    let why = Why("a machine needs a QEMU to make it, and a kernel");
    let path = c(path)?;
    Ok(syscalls::faccessat2(At::CWD, &path, mode, AccessFlags::NONE, why).is_ok())
}

fn qemu(named: Option<&str>) -> Result<String, Error> {
    if let Some(named) = named {
        return match usable(named, AccessMode::X_OK)? {
            true => Ok(named.into()),
            false => Err(missing(&format!("--qemu {named}: no program to be executed"))),
        };
    }
    let path = environment("PATH").unwrap_or("/usr/local/bin:/usr/bin:/bin");
    for dir in path.split(':').filter(|dir| dir.starts_with('/')) {
        let candidate = format!("{dir}/{QEMU}");
        if usable(&candidate, AccessMode::X_OK)? {
            return Ok(candidate);
        }
    }
    Err(missing(&format!("there is no {QEMU} in $PATH: install it (Debian: qemu-system-x86), or name it with --qemu")))
}

fn kernel_path(named: Option<&str>) -> Result<String, Error> {
    let variable = environment("NK_KERNEL").filter(|path| !path.is_empty());
    if let Some(path) = named.or(variable) {
        return match usable(path, AccessMode::R_OK)? {
            true => Ok(path.into()),
            false => Err(missing(&format!("the kernel {path} is no file that can be read"))),
        };
    }
    let names = syscalls::uname(Why("a kernel of this machine's version serves for another"));
    let release = names.map_or(String::new(), |names| {
        let bytes = names.release.iter().take_while(|c| **c != 0);
        bytes.map(|c| *c as u8 as char).collect()
    });
    let usual = format!("/boot/vmlinuz-{release}");
    for path in [usual.as_str(), "/vmlinuz"] {
        if usable(path, AccessMode::R_OK)? {
            return Ok(path.into());
        }
    }
    Err(missing(&format!(
        "there is no kernel at {usual} or /vmlinuz: install one (Debian: linux-image-amd64), or name it with --kernel"
    )))
}

/// KVM where this process may use it: it is many times as fast.
fn accel(named: Option<Accel>) -> Result<Accel, Error> {
    if let Some(accel) = named {
        return Ok(accel);
    }
    if let Some(word) = environment("NK_VM_ACCEL").filter(|word| !word.is_empty()) {
        return cli::accel(word).map_err(|_| Error::Usage("NK_VM_ACCEL: write kvm or tcg".into()));
    }
    let why = Why("whether this process may use the processor's virtual machines");
    let kvm = syscalls::openat(At::CWD, c"/dev/kvm", OpenFlags::O_RDWR, why);
    Ok(if kvm.is_ok() { Accel::Kvm } else { Accel::Tcg })
}

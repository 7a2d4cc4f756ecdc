//! The machine: QEMU's microvm, which has two serial lines, no other devices, and no firmware that takes time. This file finds
//! QEMU and a kernel, and makes QEMU's command line. May touch: system calls.

use super::kernel;
use super::needs::missing;
use crate::cli::{self, Accel, Format};
use crate::host::input::c;
use crate::host::{self, environment};
use crate::outcome::Error;
use alloc::ffi::CString;
use syscalls::{AccessFlags, AccessMode, At, OpenFlags, Why};

const QEMU: &str = "qemu-system-x86_64";

/// QEMU's descriptors of the initramfs and of the file for the status: far above those that it opens itself.
pub const IMAGE_FD: i32 = 100;
pub const STATUS_FD: i32 = 101;

/// What a machine is made of.
pub struct Machine {
    pub qemu: String,
    kernel: String,
    /// Where the running kernel's memory ends, in MiB.
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

    /// How much memory the machine gets, in MiB. The kernel needs all that lies below its end, and 16 for its tables. The
    /// initramfs needs three times its size: the kernel has two copies of it for a moment, and lets it fill only half of the
    /// memory. The container gets its limit, or 64.
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
        // -no-reboot: a microvm has no power switch, so it ends by a restart. signal=off: at a terminal Ctrl-C goes to the
        // program inside.
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
    // no_timer_check: on a busy host the kernel would find that the timer does not tick, and panic.
    let mut words = String::from("console=ttyS0 panic=-1 reboot=t no_timer_check ");
    words += match verbose {
        true => "nk.log-level=debug",
        // The console is the program's output: the kernel's messages would stand in it.
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
    let why = Why("a machine needs QEMU and a kernel");
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
    let names = syscalls::uname(Why("the kernel of this machine serves for another one"));
    let release = names.map_or(String::new(), |names| host::text(&names.release));
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

/// KVM if this process may use it: it is many times as fast.
fn accel(named: Option<Accel>) -> Result<Accel, Error> {
    if let Some(accel) = named {
        return Ok(accel);
    }
    if let Some(word) = environment("NK_VM_ACCEL").filter(|word| !word.is_empty()) {
        return cli::accel(word).map_err(|_| Error::Usage("NK_VM_ACCEL: write kvm or tcg".into()));
    }
    let why = Why("KVM is faster, if this process may use it");
    let kvm = syscalls::openat(At::CWD, c"/dev/kvm", OpenFlags::O_RDWR, why);
    Ok(if kvm.is_ok() { Accel::Kvm } else { Accel::Tcg })
}

//! The machine: QEMU, a kernel, and devices. This file finds QEMU and the kernel, and makes QEMU's command line. Without virtio the
//! machine has two serial lines, for the console and for the program's status; with virtio a channel brings both, and the console
//! tells what the kernel has to say. May touch: system calls.

use super::arch::{self, Arch};
use super::kernel::{self, Kernel};
use super::modules::Modules;
use super::needs::missing;
use crate::cli::{self, Accel, Format};
use crate::host::input::c;
use crate::host::{self, environment};
use crate::outcome::Error;
use alloc::ffi::CString;
use syscalls::{AccessFlags, AccessMode, At, OpenFlags, Why};

/// QEMU's descriptors of the initramfs, of the file for the status, of the channel and of the console: far above those that it
/// opens itself.
pub const IMAGE_FD: i32 = 100;
pub const STATUS_FD: i32 = 101;
pub const CHANNEL_FD: i32 = 102;
pub const CONSOLE_FD: i32 = 103;

/// What a machine is made of.
pub struct Machine {
    pub qemu: String,
    arch: &'static Arch,
    kernel: Kernel,
    accel: Accel,
    modules: Option<Modules>,
}

/// What the machine has beside its serial lines.
#[derive(Default)]
pub struct Devices {
    pub channel: bool,
}

impl Devices {
    fn virtio(&self) -> bool {
        self.channel
    }

    /// The kernel's modules for them.
    pub fn modules(&self) -> Vec<&'static str> {
        match self.channel {
            true => CHANNEL.to_vec(),
            false => Vec::new(),
        }
    }
}

/// The channel's modules.
const CHANNEL: [&str; 2] = ["virtio_mmio", "virtio_console"];

impl Machine {
    pub fn find(vm: &cli::Vm) -> Result<Machine, Error> {
        let arch = &arch::OWN;
        let qemu = qemu(arch, vm.qemu.as_deref())?;
        let kernel = kernel::read(arch, kernel_path(arch, vm.kernel.as_deref())?)?;
        let modules = Modules::find(vm.modules.as_deref(), &kernel.path, kernel.release.as_deref())?;
        Ok(Machine { qemu, arch, kernel, modules, accel: accel(vm.accel)? })
    }

    /// The kernel's modules, if it can have all of these; if not, why not.
    pub fn modules(&self, wanted: &[&str]) -> Result<&Modules, String> {
        let Kernel { path, release, .. } = &self.kernel;
        let Some(modules) = &self.modules else {
            let release = release.as_deref().unwrap_or("its release, which it does not say");
            return Err(format!(
                "the modules of the kernel {path} were not found (a lib/modules/{release}): --modules names their folder"
            ));
        };
        match wanted.iter().find(|name| !modules.has(name)) {
            Some(name) => Err(format!("the kernel {path} has no module {name}")),
            None => Ok(modules),
        }
    }

    /// Whether the machine can have a channel; if not, why not.
    pub fn channel(&self) -> Result<(), String> {
        self.modules(&CHANNEL).map(|_| ())
    }

    /// How much memory the machine gets, in MiB. The kernel needs all that lies below its end, and 16 for its tables. The
    /// initramfs needs three times its size: the kernel has two copies of it for a moment, and lets it fill only half of the
    /// memory. The container gets its limit, or 64.
    pub fn memory(&self, image: usize, limit: Option<i64>) -> usize {
        let mib = |bytes: usize| bytes.div_ceil(1 << 20);
        let limit = limit.and_then(|limit| usize::try_from(limit).ok());
        let own = limit.filter(|limit| *limit > 0).map_or(64, mib);
        let kernel = self.kernel.end.saturating_add(16);
        kernel.saturating_add(3 * mib(image)).saturating_add(own)
    }

    /// QEMU's command line. `memory`: in MiB; `append`: the kernel's command line.
    pub fn words(&self, memory: usize, append: &str, devices: &Devices) -> Result<Vec<CString>, Error> {
        let made_of = made_of(self.arch, self.accel, memory, devices);
        let image = format!("/proc/self/fd/{IMAGE_FD}");
        let boots = ["-kernel", &self.kernel.path, "-initrd", &image, "-append", append];
        let words = [self.qemu.as_str()].into_iter().chain(made_of.split(' ')).chain(boots);
        words.map(c).collect()
    }

    /// The kernel's command line. `verbose`: the kernel and this program say what they do.
    pub fn append(&self, id: &str, trace: Option<Format>, verbose: bool, devices: &Devices) -> String {
        append(self.arch, id, trace, verbose, devices)
    }
}

fn made_of(arch: &Arch, accel: Accel, memory: usize, devices: &Devices) -> String {
    let machine = arch.machine[usize::from(devices.virtio())];
    let (accel, cpu) = match accel {
        Accel::Kvm => ("kvm", arch.cpu[0]),
        Accel::Tcg => ("tcg", arch.cpu[1]),
    };
    let cpu = if cpu.is_empty() { String::new() } else { format!(" -cpu {cpu}") };
    // -no-reboot: not each machine has a power switch, so it ends by a restart.
    let mut words = format!(
        "-machine {machine} -accel {accel}{cpu} -m {memory} -no-user-config -nodefaults -no-reboot -display none \
         -serial chardev:console "
    );
    words += &match devices.channel {
        true => format!(
            "-chardev socket,id=console,fd={CONSOLE_FD} -chardev socket,id=channel,fd={CHANNEL_FD} \
             -device virtio-serial-device -device virtserialport,chardev=channel,name=nano-sandbox"
        ),
        // signal=off: at a terminal Ctrl-C goes to the program inside.
        false => format!(
            "-chardev stdio,id=console,signal=off -chardev file,id=status,path=/proc/self/fd/{STATUS_FD} -device {}",
            arch.second
        ),
    };
    words
}

fn append(arch: &Arch, id: &str, trace: Option<Format>, verbose: bool, devices: &Devices) -> String {
    let mut words = String::from(arch.line);
    words += match (verbose, devices.channel) {
        (false, false) => " quiet loglevel=0",
        // What the kernel says is shown if the machine fails, and is no part of the program's output.
        (false, true) => " quiet",
        (true, true) => "",
        (true, false) => " nk.log-level=debug",
    };
    words += " nk.end=reboot";
    if devices.channel {
        return words + " nk.channel=virtio";
    }
    words += &format!(" nk.status={} nk.id={id}", arch.status);
    words += &trace.map_or_else(String::new, |format| format!(" nk.trace={}", word(format)));
    words
}

/// The word of --trace.
pub fn word(format: Format) -> &'static str {
    match format {
        Format::Text => "text",
        Format::Strace => "strace",
        Format::Json => "json",
    }
}

/// Whether a file may be executed, or read.
fn usable(path: &str, mode: AccessMode) -> Result<bool, Error> {
    let why = Why("a machine needs QEMU and a kernel");
    let path = c(path)?;
    Ok(syscalls::faccessat2(At::CWD, &path, mode, AccessFlags::NONE, why).is_ok())
}

fn qemu(arch: &Arch, named: Option<&str>) -> Result<String, Error> {
    if let Some(named) = named {
        return match usable(named, AccessMode::X_OK)? {
            true => Ok(named.into()),
            false => Err(missing(&format!("--qemu {named}: no program to be executed"))),
        };
    }
    let path = environment("PATH").unwrap_or("/usr/local/bin:/usr/bin:/bin");
    for dir in path.split(':').filter(|dir| dir.starts_with('/')) {
        let candidate = format!("{dir}/{}", arch.qemu);
        if usable(&candidate, AccessMode::X_OK)? {
            return Ok(candidate);
        }
    }
    Err(missing(&format!(
        "there is no {} in $PATH: install it (Debian: {}), or name it with --qemu",
        arch.qemu, arch.packages[0]
    )))
}

fn kernel_path(arch: &Arch, named: Option<&str>) -> Result<String, Error> {
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
        "there is no kernel at {usual} or /vmlinuz: install one (Debian: {}), or name it with --kernel",
        arch.packages[1]
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

#[cfg(test)]
mod tests {
    use super::*;

    const CHANNEL_WORDS: &str = "-serial chardev:console -chardev socket,id=console,fd=103 -chardev socket,id=channel,fd=102 \
-device virtio-serial-device -device virtserialport,chardev=channel,name=nano-sandbox";

    #[test]
    fn qemu_is_told_what_the_architecture_has() {
        let with = Devices { channel: true };
        let common = "-m 99 -no-user-config -nodefaults -no-reboot -display none";
        for (arch, accel, machine) in [
            (arch::X86_64, Accel::Tcg, "-machine microvm,acpi=on,rtc=on -accel tcg -cpu max"),
            (arch::X86_64, Accel::Kvm, "-machine microvm,acpi=on,rtc=on -accel kvm -cpu max"),
            (arch::AARCH64, Accel::Tcg, "-machine virt,gic-version=max -accel tcg -cpu max"),
            (arch::AARCH64, Accel::Kvm, "-machine virt,gic-version=max -accel kvm -cpu host"),
            (arch::RISCV64, Accel::Tcg, "-machine virt -accel tcg"),
        ] {
            assert_eq!(made_of(&arch, accel, 99, &with), format!("{machine} {common} {CHANNEL_WORDS}"));
        }
        let without = made_of(&arch::AARCH64, Accel::Tcg, 99, &Devices::default());
        let wanted = "-chardev stdio,id=console,signal=off -chardev file,id=status,path=/proc/self/fd/101 -device pci-serial,chardev=status";
        assert!(without.ends_with(wanted), "{without}");
    }

    #[test]
    fn the_kernels_line() {
        let with = Devices { channel: true };
        assert_eq!(
            append(&arch::AARCH64, "a", Some(Format::Json), false, &with),
            "console=ttyAMA0 panic=-1 quiet nk.end=reboot nk.channel=virtio"
        );
        assert_eq!(
            append(&arch::RISCV64, "a", Some(Format::Json), true, &Devices::default()),
            "console=ttyS0 panic=-1 nk.log-level=debug nk.end=reboot nk.status=/dev/ttyS1 nk.id=a nk.trace=json"
        );
    }
}

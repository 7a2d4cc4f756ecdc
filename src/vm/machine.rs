//! The machine: QEMU, a kernel, and devices. This file finds QEMU and the kernel, and makes QEMU's command line. Without virtio the
//! machine has two serial lines, for the console and for the program's status; with virtio a channel brings both, and the console
//! tells what the kernel has to say. May touch: system calls.

use super::arch::{Arch, OWN, X86_64};
use super::devices::{CHANNEL, Devices, NET, Sharing};
use super::guest::Guest;
use super::kernel::{self, Kernel};
use super::limits::Size;
use super::modules::Modules;
use super::needs::missing;
use crate::cli::{self, Accel, Format};
use crate::host::input::c;
use crate::host::{self, environment};
use crate::outcome::Error;
use crate::spec::Vm;
use alloc::ffi::CString;
use syscalls::{AccessFlags, AccessMode, At, AtFlags, Fd, OpenFlags, Why};

/// QEMU's descriptor of the initramfs.
pub const IMAGE_FD: i32 = 100;

/// Where Debian and others put virtiofsd, which is no command of users.
const VIRTIOFSD: [&str; 3] = ["/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd", "/usr/lib/virtiofsd"];

/// What a machine is made of.
pub struct Machine {
    pub qemu: String,
    pub accel: Accel,
    /// Whether the caller named the accelerator.
    pub accel_named: bool,
    arch: &'static Arch,
    /// The file that is the machine's `/init`; none: this program.
    pub guest: Option<Fd>,
    kernel: Kernel,
    modules: Option<Modules>,
    /// Words of config.json for the kernel and for QEMU.
    parameters: [Vec<String>; 2],
    pub virtiofsd: Option<String>,
}

/// What the machine is started with.
pub struct Start<'a> {
    pub id: &'a str,
    pub trace: Option<Format>,
    /// The kernel and this program say what they do.
    pub verbose: bool,
    pub devices: &'a Devices,
    pub size: Size,
    /// Further words for the kernel.
    pub settings: &'a str,
    /// QEMU runs as root.
    pub root: bool,
    /// How fast the processor's counter runs, in kHz.
    pub counter: Option<u64>,
}

impl Machine {
    /// `section`: what config.json says of the machine. The caller's options count before it.
    pub fn find(vm: &cli::Vm, section: Option<&Vm>) -> Result<Machine, Error> {
        let guest = Guest::of(vm.guest.as_deref())?;
        let arch = guest.arch;
        let (accel, accel_named) = accel(vm.accel, &guest)?;
        let hypervisor = section.and_then(|vm| vm.hypervisor.as_ref());
        let its_kernel = section.and_then(|vm| vm.kernel.as_ref());
        let qemu = qemu(arch, vm.qemu.as_deref(), hypervisor.map(|it| it.path.as_str()))?;
        let kernel = vm.kernel.as_deref().or(its_kernel.map(|it| it.path.as_str()));
        let kernel = kernel::read(arch, kernel_path(arch, kernel)?)?;
        let modules = Modules::find(vm.modules.as_deref(), &kernel.path, kernel.release.as_deref())?;
        let parameters = [
            its_kernel.map_or(Vec::new(), |it| it.parameters.clone()),
            hypervisor.map_or(Vec::new(), |it| it.parameters.clone()),
        ];
        let mut virtiofsd = None;
        for path in VIRTIOFSD {
            if virtiofsd.is_none() && usable(path, AccessMode::X_OK)? {
                virtiofsd = Some(path.into());
            }
        }
        Ok(Machine { qemu, accel, accel_named, arch, guest: guest.file, kernel, modules, parameters, virtiofsd })
    }

    /// The kernel's modules, if it can have all of these; if not, why not.
    pub fn modules(&self, wanted: &[&str]) -> Result<&Modules, String> {
        let Kernel { path, release, .. } = &self.kernel;
        let Some(modules) = &self.modules else {
            let place = release.as_ref().map_or(String::from("and it does not say its release"), |release| {
                format!("in lib/modules/{release} of /, beside it or above it")
            });
            return Err(format!(
                "the modules of the kernel {path} were not found {place}: --modules DIR names them, --modules none says that it needs none"
            ));
        };
        match wanted.iter().find(|name| !modules.has(name)) {
            Some(name) => Err(format!("the kernel {path} has no module {name}")),
            None => Ok(modules),
        }
    }

    /// Whether the machine can have a channel, see shared directories, or lay memory over a file system; if not, why not.
    pub fn channel(&self) -> Result<(), String> {
        self.modules(&CHANNEL).map(drop)
    }

    pub fn can(&self, sharing: Sharing) -> Result<(), String> {
        self.modules(sharing.modules())?;
        match sharing == Sharing::Virtiofs && self.virtiofsd.is_none() {
            true => Err(format!("there is no {}: install it (Debian: virtiofsd)", VIRTIOFSD[0])),
            false => Ok(()),
        }
    }

    pub fn network(&self) -> Result<(), String> {
        self.modules(&NET).map(drop)
    }

    pub fn overlay(&self) -> Result<(), String> {
        self.modules(&["overlay"]).map(drop)
    }

    pub fn device_tree(&self) -> bool {
        self.arch.device_tree
    }

    /// The least memory that the machine needs beside that of its programs, in MiB. The kernel needs all that lies below its end,
    /// and 16 for its tables. The initramfs needs three times its size: the kernel has two copies of it for a moment, and lets it
    /// fill only half of the memory.
    pub fn least(&self, image: usize) -> usize {
        self.kernel.end.saturating_add(16).saturating_add(3 * image.div_ceil(1 << 20))
    }

    /// QEMU's command line.
    pub fn words(&self, start: &Start) -> Result<Vec<CString>, Error> {
        let made_of = made_of(self.arch, self.accel, start.size, start.devices, start.root);
        let image = format!("/proc/self/fd/{IMAGE_FD}");
        let append = self.append(start);
        if append.len() >= LONGEST_LINE {
            return Err(missing(&format!(
                "the kernel's command line has {} bytes, and the kernel takes {LONGEST_LINE}: leave out some of vm.kernel.parameters, or of the bind mounts",
                append.len()
            )));
        }
        let boots = ["-kernel", &self.kernel.path, "-initrd", &image, "-append", &append];
        let paths = start.devices.paths();
        let own = paths.iter().chain(&self.parameters[1]).map(String::as_str);
        let words = [self.qemu.as_str()].into_iter().chain(made_of.split(' ')).chain(boots).chain(own);
        words.map(c).collect()
    }

    /// Whether the kernel has to be told how fast the processor's counter runs. microvm with ACPI has no other clock that an
    /// emulated kernel could measure it by, and without it would wait for ever.
    pub fn lacks_clock(&self, devices: &Devices) -> bool {
        *self.arch == X86_64 && self.accel == Accel::Tcg && devices.virtio()
    }

    /// The kernel's command line.
    fn append(&self, start: &Start) -> String {
        let mut words = append(self.arch, start);
        for more in &self.parameters[0] {
            words += &format!(" {more}");
        }
        words
    }
}

/// The kernel's limit on most architectures (COMMAND_LINE_SIZE).
const LONGEST_LINE: usize = 2048;

fn made_of(arch: &Arch, accel: Accel, size: Size, devices: &Devices, root: bool) -> String {
    let machine = arch.machine[usize::from(devices.virtio())];
    let (accel, cpu) = match accel {
        Accel::Kvm => ("kvm", arch.cpu[0]),
        Accel::Tcg => ("tcg", arch.cpu[1]),
    };
    let Size { memory, cpus } = size;
    let mut words = format!("-machine {machine}");
    if devices.shares.iter().any(|share| share.sharing == Sharing::Virtiofs) {
        // virtiofsd reads and writes the machine's memory.
        words += &format!(",memory-backend=ram -object memory-backend-memfd,id=ram,size={memory}M,share=on");
    }
    if devices.virtio() {
        // virtiofsd speaks no other form of virtio.
        words += " -global virtio-mmio.force-legacy=false";
    }
    words += &format!(" -accel {accel}");
    words += &if cpu.is_empty() { String::new() } else { format!(" -cpu {cpu}") };
    words += &if cpus == 1 { String::new() } else { format!(" -smp {cpus}") };
    // -no-reboot: not each machine has a power switch, so it ends by a restart.
    words += &format!(
        " -m {memory} -no-user-config -nodefaults -no-reboot -display none -serial chardev:console {}",
        devices.words(arch, root)
    );
    words
}

fn append(arch: &Arch, start: &Start) -> String {
    let devices = start.devices;
    let mut words = String::from(arch.line);
    words += &start.counter.map_or(String::new(), |khz| format!(" tsc_early_khz={khz}"));
    words += match (start.verbose, devices.channel) {
        // The console is the program's output: the kernel's messages would stand in it.
        (false, false) => " quiet loglevel=0",
        // What the kernel says is shown if the machine fails.
        (false, true) => " quiet",
        (true, true) => "",
        (true, false) => " nk.log-level=debug",
    };
    words += &format!(" nk.end=reboot{}{}", devices.init_words(), start.settings);
    if devices.channel {
        return words + " nk.channel=virtio";
    }
    words += &format!(" nk.status={} nk.id={}", arch.status, start.id);
    words += &start.trace.map_or_else(String::new, |format| format!(" nk.trace={}", word(format)));
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
    let usable = syscalls::faccessat2(At::CWD, &path, mode, AccessFlags::NONE, why).is_ok();
    let is_directory = || {
        let stat = syscalls::newfstatat(At::CWD, &path, AtFlags::NONE, why);
        stat.is_ok_and(|stat| stat.st_mode & libc::S_IFMT == libc::S_IFDIR)
    };
    Ok(usable && !is_directory())
}

fn qemu(arch: &Arch, named: Option<&str>, section: Option<&str>) -> Result<String, Error> {
    if let Some(named) = named {
        return match usable(named, AccessMode::X_OK)? {
            true => Ok(named.into()),
            false => Err(missing(&format!("--qemu {named}: no program to be executed"))),
        };
    }
    if let Some(named) = section {
        return match usable(named, AccessMode::X_OK)? {
            true => Ok(named.into()),
            false => Err(missing(&format!("/vm/hypervisor/path: {named}: no program to be executed"))),
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
    if *arch != OWN {
        return Err(missing(&format!(
            "a machine of {} needs a kernel of its own: name it with --kernel (Debian: {})",
            arch.name, arch.packages[1]
        )));
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

/// KVM if this process may use it: it is many times as fast. Whether it works, QEMU finds out. Whether the caller named one.
fn accel(named: Option<Accel>, guest: &Guest) -> Result<(Accel, bool), Error> {
    let can = |accel: Accel, from: &str| match accel == Accel::Kvm && guest.is_foreign() {
        true => Err(missing(&format!(
            "{from}: KVM is for programs of {}, and the machine is of {}",
            OWN.name, guest.arch.name
        ))),
        false => Ok((accel, true)),
    };
    if let Some(accel) = named {
        return can(accel, "--accel kvm");
    }
    if let Some(word) = environment("NK_VM_ACCEL").filter(|word| !word.is_empty()) {
        let accel = cli::accel(word).map_err(|_| Error::Usage("NK_VM_ACCEL: write kvm or tcg".into()))?;
        return can(accel, "NK_VM_ACCEL=kvm");
    }
    if guest.is_foreign() {
        return Ok((Accel::Tcg, true));
    }
    let why = Why("KVM is faster, if this process may use it");
    let kvm = syscalls::openat(At::CWD, c"/dev/kvm", OpenFlags::O_RDWR, why);
    Ok((if kvm.is_ok() { Accel::Kvm } else { Accel::Tcg }, false))
}

#[cfg(test)]
mod tests {
    use super::super::arch;
    use super::*;

    #[test]
    fn qemu_is_told_what_the_architecture_has() {
        let with = Devices { channel: true, ..Devices::default() };
        let common = "-no-user-config -nodefaults -no-reboot -display none -serial chardev:console";
        for (arch, accel, cpus, machine) in [
            (
                arch::X86_64,
                Accel::Tcg,
                1,
                "-machine microvm,acpi=on,rtc=on -global virtio-mmio.force-legacy=false -accel tcg -cpu max -m 99",
            ),
            (
                arch::X86_64,
                Accel::Kvm,
                3,
                "-machine microvm,acpi=on,rtc=on -global virtio-mmio.force-legacy=false -accel kvm -cpu max -smp 3 -m 99",
            ),
            (
                arch::AARCH64,
                Accel::Tcg,
                1,
                "-machine virt,gic-version=max -global virtio-mmio.force-legacy=false -accel tcg -cpu max,pauth-impdef=on -m 99",
            ),
            (
                arch::AARCH64,
                Accel::Kvm,
                1,
                "-machine virt,gic-version=max -global virtio-mmio.force-legacy=false -accel kvm -cpu host -m 99",
            ),
            (arch::RISCV64, Accel::Tcg, 1, "-machine virt -global virtio-mmio.force-legacy=false -accel tcg -m 99"),
        ] {
            let made = made_of(&arch, accel, Size { memory: 99, cpus }, &with, true);
            assert_eq!(made, format!("{machine} {common} {}", with.words(&arch, true)));
        }
        let size = Size { memory: 99, cpus: 1 };
        let without = made_of(&arch::X86_64, Accel::Tcg, size, &Devices::default(), true);
        assert!(without.starts_with("-machine microvm,acpi=off,rtc=on -accel tcg"), "{without}");
    }

    #[test]
    fn the_kernels_line() {
        let with = Devices { channel: true, net: Some(Vec::new()), ..Devices::default() };
        let start = |devices, verbose| Start {
            id: "a",
            trace: Some(Format::Json),
            verbose,
            devices,
            size: Size { memory: 99, cpus: 1 },
            settings: " x=1",
            root: true,
            counter: (!verbose).then_some(7),
        };
        assert_eq!(
            append(&arch::AARCH64, &start(&with, false)),
            "console=ttyAMA0 panic=-1 tsc_early_khz=7 quiet nk.end=reboot nk.ip=10.0.2.15/24,10.0.2.2,10.0.2.3 x=1 nk.channel=virtio"
        );
        assert_eq!(
            append(&arch::RISCV64, &start(&Devices::default(), true)),
            "console=ttyS0 panic=-1 nk.log-level=debug nk.end=reboot x=1 nk.status=/dev/ttyS1 nk.id=a nk.trace=json"
        );
    }
}

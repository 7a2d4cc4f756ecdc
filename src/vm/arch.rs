//! What differs between the architectures of machines: QEMU's words, the names of devices, and the devices' own names in the
//! machine. The machine's `/init` is this program or another file of it: the machine is of the architecture for which that was
//! built.
//! May touch: nothing.

/// An architecture that machines can have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arch {
    pub name: &'static str,
    /// In the header of a program (linux/elf-em.h).
    pub number: u16,
    pub qemu: &'static str,
    /// Debian's packages of QEMU and of the kernel.
    pub packages: [&'static str; 2],
    /// QEMU's machine without any device, and with devices of virtio.
    pub machine: [&'static str; 2],
    /// The processor, with KVM and without; empty: QEMU's usual one.
    pub cpu: [&'static str; 2],
    /// The device of the second serial line, which brings the program's status.
    pub second: &'static str,
    /// The beginning of the kernel's command line, with the console.
    pub line: &'static str,
    /// The kernel's name of the second serial line.
    pub status: &'static str,
    pub kernel: KernelFile,
    /// Whether QEMU can give the machine a device tree that was made before.
    pub device_tree: bool,
}

/// The format of the kernel's file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KernelFile {
    /// "bzImage", or an ELF file.
    X86,
    /// "Image", and the magic number at 56 in its header (Documentation/arch/arm64/booting.rst, arch/riscv/boot-image-header.rst).
    /// `below`: the firmware's memory below the kernel.
    Image { magic: [u8; 4], below: u64 },
}

/// microvm has two serial lines, no other devices, and no firmware that takes time. Debian's kernels learn of its virtio devices
/// by ACPI alone. no_timer_check: on a busy host the kernel would find that the timer does not tick, and panic.
pub const X86_64: Arch = Arch {
    name: "x86_64",
    number: 62,
    qemu: "qemu-system-x86_64",
    packages: ["qemu-system-x86", "linux-image-amd64"],
    machine: ["microvm,acpi=off,rtc=on", "microvm,acpi=on,rtc=on"],
    cpu: ["max", "max"],
    second: "isa-serial,chardev=status,index=1",
    line: "console=ttyS0 panic=-1 reboot=t no_timer_check",
    status: "/dev/ttyS1",
    kernel: KernelFile::X86,
    device_tree: false,
};

pub const AARCH64: Arch = Arch {
    name: "aarch64",
    number: 183,
    qemu: "qemu-system-aarch64",
    packages: ["qemu-system-arm", "linux-image-arm64"],
    machine: ["virt,gic-version=max", "virt,gic-version=max"],
    // To sign addresses as the standard says takes the emulation long.
    cpu: ["host", "max,pauth-impdef=on"],
    second: "pci-serial,chardev=status",
    line: "console=ttyAMA0 panic=-1",
    status: "/dev/ttyS0",
    kernel: KernelFile::Image { magic: *b"ARM\x64", below: 2 << 20 },
    device_tree: true,
};

pub const RISCV64: Arch = Arch {
    name: "riscv64",
    number: 243,
    qemu: "qemu-system-riscv64",
    packages: ["qemu-system-misc", "linux-image-riscv64"],
    machine: ["virt", "virt"],
    cpu: ["host", ""],
    second: "pci-serial,chardev=status",
    line: "console=ttyS0 panic=-1",
    status: "/dev/ttyS1",
    kernel: KernelFile::Image { magic: *b"RSC\x05", below: 2 << 20 },
    device_tree: true,
};

pub const OWN: Arch = if cfg!(target_arch = "aarch64") {
    AARCH64
} else if cfg!(target_arch = "riscv64") {
    RISCV64
} else {
    X86_64
};

pub const ALL: [Arch; 3] = [X86_64, AARCH64, RISCV64];

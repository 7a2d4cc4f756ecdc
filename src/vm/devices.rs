//! The machine's devices: what each is in QEMU's words, which modules of the kernel drive it, and what `/init` has to know of it.
//! All are of virtio, without PCI. Comes from options and config.json. May touch: system calls.

use super::arch::Arch;
use crate::cli::Publish;
use syscalls::Fd;

/// QEMU's descriptors of the file for the status, of the channel and of the console, and the first one of shared directories: far
/// above those that it opens itself. A directory is shared by its descriptor (9p), or by a connection with virtiofsd.
pub const STATUS_FD: i32 = 101;
pub const CHANNEL_FD: i32 = 102;
pub const CONSOLE_FD: i32 = 103;
pub const SHARES_FD: i32 = 110;

/// QEMU's own network: the machine's address, the way out, and the server for names.
const USER_NET: &str = "10.0.2.15/24,10.0.2.2,10.0.2.3";

/// What the machine has beside its first serial line.
#[derive(Default)]
pub struct Devices {
    pub channel: bool,
    pub shares: Vec<Share>,
    pub disk: Option<Disk>,
    /// QEMU's own network, with these ports.
    pub net: Option<Vec<Publish>>,
    pub device_tree: Option<String>,
}

/// How a directory of the host is shared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sharing {
    /// By QEMU alone.
    NineP,
    /// By virtiofsd.
    Virtiofs,
}

impl Sharing {
    pub fn word(self) -> &'static str {
        match self {
            Sharing::NineP => "9p",
            Sharing::Virtiofs => "virtiofs",
        }
    }

    pub fn modules(self) -> &'static [&'static str] {
        match self {
            Sharing::NineP => &["virtio_mmio", "9pnet_virtio", "9p"],
            Sharing::Virtiofs => &["virtio_mmio", "virtiofs"],
        }
    }
}

/// A directory of the host that is shared with the machine.
pub struct Share {
    pub sharing: Sharing,
    /// What it is called between host and machine.
    pub tag: String,
    pub path: String,
    /// The directory.
    pub open: Fd,
    pub writable: bool,
    /// Where `/init` mounts it; none: it is the container's root.
    pub place: Option<String>,
}

/// An image that holds the container's root.
pub struct Disk {
    pub path: String,
    /// QEMU's name of the image's format.
    pub format: &'static str,
    /// The file system; none: `/init` finds it out.
    pub kind: Option<&'static str>,
    pub writable: bool,
}

impl Disk {
    /// The modules that it needs, and those that help where the kernel has them.
    pub fn modules(&self) -> Vec<&'static str> {
        [&["virtio_mmio", "virtio_blk"][..], self.kind.as_slice()].concat()
    }
}

/// File systems of images. On kernels below 6.13, ext4 and erofs ask the kernel by name for a checksum that is a module; no list
/// says so in a way that all of them have.
const HELPFUL: [&str; 6] = ["crc32c_generic", "libcrc32c", "crc16", "erofs", "squashfs", "ext4"];

impl Devices {
    pub fn virtio(&self) -> bool {
        self.channel || !self.shares.is_empty() || self.disk.is_some() || self.net.is_some()
    }

    /// Whether the root is read-only below memory that is laid over it.
    fn overlay(&self) -> bool {
        let root = self.shares.iter().find(|share| share.place.is_none());
        root.is_some_and(|share| !share.writable) || self.disk.as_ref().is_some_and(|disk| !disk.writable)
    }

    /// The kernel's modules for them, those first that the others ask for by name.
    pub fn modules(&self) -> Vec<&'static str> {
        let mut all = Vec::new();
        if self.channel {
            all.extend(CHANNEL);
        }
        if let Some(disk) = &self.disk {
            all.extend(HELPFUL.iter().take(if disk.kind.is_some() { 3 } else { 6 }));
            all.extend(disk.modules());
        }
        all.extend(self.shares.iter().flat_map(|share| share.sharing.modules()));
        if self.net.is_some() {
            all.extend(NET);
        }
        if self.overlay() {
            all.push("overlay");
        }
        all
    }

    /// QEMU's words for them.
    pub fn words(&self, arch: &Arch, root: bool) -> String {
        let mut words = match self.channel {
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
        for (share, number) in self.shares.iter().zip(SHARES_FD..) {
            words += &format!(" {}", share.words(number, root));
        }
        if let Some(ports) = &self.net {
            words += " -netdev user,id=net";
            for port in ports {
                let kind = if port.udp { "udp" } else { "tcp" };
                words += &format!(",hostfwd={kind}::{}-:{}", port.host, port.guest);
            }
            words += " -device virtio-net-device,netdev=net";
        }
        words
    }

    /// QEMU's words with paths of the host, which may hold blanks.
    pub fn paths(&self) -> Vec<String> {
        let mut words = Vec::new();
        if let Some(Disk { path, format, writable, .. }) = &self.disk {
            let only = if *writable { "off" } else { "on" };
            words.push("-drive".into());
            words.push(format!("if=none,id=root,format={format},readonly={only},file={}", path.replace(',', ",,")));
            words.extend(["-device".into(), "virtio-blk-device,drive=root".into()]);
        }
        if let Some(tree) = &self.device_tree {
            words.extend(["-dtb".into(), tree.clone()]);
        }
        words
    }

    /// The words for `/init`.
    pub fn init_words(&self) -> String {
        let mut words = String::new();
        if let Some(disk) = &self.disk {
            words += " nk.root=/dev/vda";
            words += &disk.kind.map_or(String::new(), |kind| format!(" nk.rootfstype={kind}"));
            words += if disk.writable { " nk.overlay=no" } else { "" };
        }
        for Share { sharing, tag, writable, place, .. } in &self.shares {
            let kind = sharing.word();
            words += &match place {
                None => format!(" nk.root={tag} nk.rootfstype={kind}{}", if *writable { " nk.overlay=no" } else { "" }),
                Some(place) => format!(" nk.mount={kind}:{tag}:{place}{}", if *writable { "" } else { ":ro" }),
            };
        }
        if self.net.is_some() {
            words += &format!(" nk.ip={USER_NET}");
        }
        words
    }
}

/// The modules of the channel, and those of the network.
pub const CHANNEL: [&str; 2] = ["virtio_mmio", "virtio_console"];
pub const NET: [&str; 2] = ["virtio_mmio", "virtio_net"];

impl Share {
    /// `root`: QEMU runs as root, and can make files of any owner.
    fn words(&self, number: i32, root: bool) -> String {
        let tag = &self.tag;
        match self.sharing {
            Sharing::NineP => {
                let model = if root { "passthrough" } else { "none" };
                let only = if self.writable { "" } else { ",readonly=on" };
                format!(
                    "-fsdev local,id={tag},path=/proc/self/fd/{number},security_model={model},multidevs=remap{only} \
                     -device virtio-9p-device,fsdev={tag},mount_tag={tag}"
                )
            }
            Sharing::Virtiofs => {
                format!("-chardev socket,id={tag},fd={number} -device vhost-user-fs-device,chardev={tag},tag={tag}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::arch::{AARCH64, X86_64};
    use super::*;
    use syscalls::{MemFd, Why};

    const CHANNEL_WORDS: &str = "-chardev socket,id=console,fd=103 -chardev socket,id=channel,fd=102 \
-device virtio-serial-device -device virtserialport,chardev=channel,name=nano-sandbox";

    fn share(sharing: Sharing, tag: &str, writable: bool, place: Option<&str>) -> Share {
        let open = syscalls::memfd_create(c"x", MemFd::NONE, Why("a test")).unwrap_or_else(|_| panic!("no file"));
        Share { sharing, tag: tag.into(), path: "/d".into(), open, writable, place: place.map(String::from) }
    }

    #[test]
    fn without_virtio_there_are_two_serial_lines() {
        let none = Devices::default();
        assert!(!none.virtio() && none.modules().is_empty() && none.init_words().is_empty());
        let wanted = "-chardev stdio,id=console,signal=off -chardev file,id=status,path=/proc/self/fd/101 -device ";
        assert_eq!(none.words(&X86_64, true), format!("{wanted}isa-serial,chardev=status,index=1"));
        assert_eq!(none.words(&AARCH64, true), format!("{wanted}pci-serial,chardev=status"));
    }

    #[test]
    fn shares_and_ports() {
        let shares = vec![
            share(Sharing::NineP, "root", false, None),
            share(Sharing::NineP, "bind3", true, Some("/nk/binds/3")),
            share(Sharing::Virtiofs, "bind4", false, Some("/nk/binds/4")),
        ];
        let ports = vec![Publish { host: 8080, guest: 80, udp: false }, Publish { host: 53, guest: 53, udp: true }];
        let all = Devices { channel: true, shares, net: Some(ports), ..Devices::default() };
        assert_eq!(
            all.words(&X86_64, false),
            format!(
                "{CHANNEL_WORDS} \
-fsdev local,id=root,path=/proc/self/fd/110,security_model=none,multidevs=remap,readonly=on \
-device virtio-9p-device,fsdev=root,mount_tag=root \
-fsdev local,id=bind3,path=/proc/self/fd/111,security_model=none,multidevs=remap \
-device virtio-9p-device,fsdev=bind3,mount_tag=bind3 \
-chardev socket,id=bind4,fd=112 -device vhost-user-fs-device,chardev=bind4,tag=bind4 \
-netdev user,id=net,hostfwd=tcp::8080-:80,hostfwd=udp::53-:53 -device virtio-net-device,netdev=net"
            )
        );
        assert_eq!(
            all.init_words(),
            " nk.root=root nk.rootfstype=9p nk.mount=9p:bind3:/nk/binds/3 nk.mount=virtiofs:bind4:/nk/binds/4:ro \
nk.ip=10.0.2.15/24,10.0.2.2,10.0.2.3"
        );
        let modules = all.modules();
        for module in ["virtio_console", "9p", "9pnet_virtio", "virtiofs", "virtio_net", "overlay"] {
            assert!(modules.contains(&module), "{module}");
        }
    }

    #[test]
    fn an_image() {
        let disk = |kind, writable| Disk { path: "/a,b c".into(), format: "vpc", kind, writable };
        let all = Devices { disk: Some(disk(Some("ext4"), true)), ..Devices::default() };
        assert_eq!(all.init_words(), " nk.root=/dev/vda nk.rootfstype=ext4 nk.overlay=no");
        let drive = "if=none,id=root,format=vpc,readonly=off,file=/a,,b c";
        assert_eq!(all.paths(), ["-drive", drive, "-device", "virtio-blk-device,drive=root"]);
        assert_eq!(all.modules(), ["crc32c_generic", "libcrc32c", "crc16", "virtio_mmio", "virtio_blk", "ext4"]);
        let all = Devices { disk: Some(disk(None, false)), ..Devices::default() };
        assert_eq!(all.init_words(), " nk.root=/dev/vda");
        assert!(all.modules().contains(&"squashfs") && all.modules().contains(&"overlay"));
    }
}

//! The whole of a machine for one bundle: what it is made of, what it shares with the host, and the configuration that it gets. What
//! is not possible is refused here, before anything is made. May touch: spec, system calls.

use super::binds::Binds;
use super::config::{rewritten, settings};
use super::devices::{Devices, Share};
use super::limits::{Size, has_processors, size};
use super::machine::Machine;
use super::needs::{self, missing, no};
use super::root::{self, Root};
use super::{BUNDLE, Image};
use crate::cli::{self, Net};
use crate::host::input::c;
use crate::outcome::Error;
use crate::spec::{Problem, Spec};
use syscalls::{At, Fd, OpenFlags, Why};

pub struct Whole {
    pub machine: Machine,
    pub devices: Devices,
    /// Why the machine has no channel; none: it has one.
    pub serial: Option<String>,
    binds: Binds,
    copied: bool,
    /// Where the root lies in the machine.
    place: String,
    /// The configuration as the machine has it.
    config: Vec<u8>,
    pub settings: String,
}

/// A bundle, as the machine's parts see it.
pub struct Of<'a> {
    pub spec: &'a Spec<'a>,
    /// The text of the configuration, and what errors call its file.
    pub text: &'a [u8],
    pub file: &'a str,
    /// The bundle's directory.
    pub path: &'a str,
    /// The directory of the root.
    pub rootfs: &'a str,
}

impl Of<'_> {
    fn fails(&self, problem: Problem) -> Error {
        Error::Spec { file: self.file.into(), problem }
    }
}

impl Whole {
    pub fn of(wanted: &cli::Vm, of: &Of) -> Result<Whole, Error> {
        let spec = of.spec;
        let fails = |problem| of.fails(problem);
        let net = wanted.net == Net::User;
        needs::fits(spec, net).map_err(fails)?;
        has_processors(wanted, spec).map_err(fails)?;
        let place = needs::rootfs(spec).map_err(fails)?;
        let section = spec.vm.as_ref();
        let machine = Machine::find(wanted, section)?;
        let device_tree = section.and_then(|vm| vm.hardware.device_tree.clone());
        if device_tree.is_some() && !machine.device_tree() {
            let text = "QEMU's microvm gets no device tree: machines of aarch64 and riscv64 do";
            no("/vm/hwConfig/deviceTree".into(), text).map_err(fails)?;
        }
        if net {
            machine.network().map_err(|reason| missing(&format!("--net user: {reason}")))?;
        }
        let serial = match wanted.serial {
            true => Some("--serial asks for it".into()),
            false => machine.channel().err(),
        };
        let mut binds = Binds::open(&machine, spec, of.path).map_err(fails)?;
        let mut devices = Devices {
            channel: serial.is_none(),
            net: net.then(|| wanted.publish.clone()),
            device_tree,
            ..Devices::default()
        };
        if wanted.image.is_none()
            && section.is_none_or(|vm| vm.image.is_none())
            && let Err(failed) = root::directory(of.rootfs)
        {
            let text = format!("the rootfs {} cannot be opened: {}", of.rootfs, failed.errno.text());
            no("/root/path".into(), &text).map_err(fails)?;
        }
        let root = root::choose(&machine, wanted, section, of.rootfs)?;
        let copied = matches!(root, Root::Copied);
        let names = matches!(root, Root::Image(_)) || has_etc(of.rootfs)?;
        match root {
            Root::Copied => {}
            Root::Shared(share) => devices.shares.push(share),
            Root::Image(disk) => devices.disk = Some(disk),
        }
        devices.shares.append(&mut binds.shares);
        few(&devices.shares)?;
        let config = rewritten(of.text, spec, &binds, net, names);
        let settings = if net { settings(spec) } else { String::new() };
        Ok(Whole { machine, devices, serial, binds, copied, place, config, settings })
    }

    /// The initramfs: a further archive of config.json's, this program, the kernel's modules, the configuration, files that are
    /// bound, the rootfs if it is copied. `program`: this one.
    pub fn image(&self, of: &Of, program: &Fd) -> Result<(Fd, usize), Error> {
        let mut image = Image::begin()?;
        // Of files with one name in several archives, the kernel keeps the last: /init is this program.
        let further = of.spec.vm.as_ref().and_then(|vm| vm.kernel.as_ref()?.initrd.as_deref());
        if let Some(further) = further {
            image.archive(further)?;
        }
        image.file("/init", program, 0o755)?;
        let modules = self.devices.modules();
        if let Ok(found) = self.machine.modules(&[]) {
            found.put(&modules, &mut image)?;
        }
        let target = format!("{BUNDLE}/config.json");
        image.parents(&target)?;
        image.text(&target, &self.config)?;
        self.binds.put(&mut image)?;
        for share in self.devices.shares.iter().filter_map(|share| share.place.as_deref()) {
            image.parents(&format!("{share}/."))?;
        }
        image.parents(&self.place)?;
        match self.copied {
            true => image.tree(&self.place, of.rootfs)?,
            false => image.parents(&format!("{}/.", self.place))?,
        }
        image.end()
    }

    /// How large the machine is. `image`: the bytes of its initramfs.
    pub fn size(&self, wanted: &cli::Vm, of: &Of, image: usize) -> Result<Size, Error> {
        size(self.machine.least(image), wanted, of.spec, |problem| of.fails(problem))
    }
}

/// Whether the root has a place for the list of name servers.
fn has_etc(rootfs: &str) -> Result<bool, Error> {
    let why = Why("with a network, the container gets a list of name servers");
    let etc = c(&format!("{rootfs}/etc"))?;
    Ok(syscalls::openat(At::CWD, &etc, OpenFlags::O_PATH | OpenFlags::O_DIRECTORY | OpenFlags::O_NOFOLLOW, why).is_ok())
}

/// microvm has places for 8 devices of virtio, or for 24; three may be taken by others.
fn few(shares: &[Share]) -> Result<(), Error> {
    match shares.len() > 20 {
        true => {
            Err(missing("more than 20 directories are shared with the machine, which has no place for more devices"))
        }
        false => Ok(()),
    }
}

//! Bind mounts of config.json: a directory of the host is shared with the machine, a small file that is only read is copied into the
//! initramfs, and what the kernel itself shows below /dev, /proc and /sys is the machine's own. Anything else is refused by its
//! pointer. May touch: spec, system calls.

use super::Image;
use super::devices::{Share, Sharing};
use super::machine::Machine;
use super::needs::{below, no};
use super::root::directory;
use crate::host::input::c;
use crate::outcome::Error;
use crate::plan::clean;
use crate::spec::{Mount, Problem, Spec, Text};
use syscalls::{At, Fd, OpenFlags, Why};

/// Where sources of the host lie in the machine.
const PLACE: &str = "/nk/binds";
/// A longer file is not copied.
const LONGEST: i64 = 1 << 20;

/// The bind mounts of a configuration, as the machine has them.
#[derive(Default)]
pub struct Binds {
    pub shares: Vec<Share>,
    pub files: Vec<(Fd, String)>,
    /// Sources that have another place in the machine: the index of the mount, and that place.
    pub sources: Vec<(usize, String)>,
}

/// The numbers of devices that each kernel has of itself: memory (`/dev/null` and the like), and terminals
/// (Documentation/admin-guide/devices.txt of the kernel).
const COMMON: [u32; 2] = [1, 5];

/// Whether a path shows what the machine's own kernel has to show. Other directories below /dev hold data of the host.
fn is_machines(source: &str) -> bool {
    let all = ["/dev", "/dev/pts", "/dev/mqueue", "/dev/hugepages"];
    all.contains(&source) || below(source, "/proc") || below(source, "/sys")
}

pub fn is_bind(mount: &Mount) -> bool {
    let has = |one: &str| mount.options.iter().any(|word: &Text| word.as_str() == one);
    (mount.kind == "bind" || has("bind") || has("rbind")) && !has("remount")
}

impl Binds {
    /// Opens what the machine needs. `bundle`: relative sources begin there.
    pub fn open(machine: &Machine, spec: &Spec, bundle: &str) -> Result<Binds, Problem> {
        let mut binds = Binds::default();
        for (i, mount) in spec.mounts.iter().enumerate().filter(|(_, mount)| is_bind(mount)) {
            binds.add(machine, i, mount, bundle)?;
        }
        Ok(binds)
    }

    fn add(&mut self, machine: &Machine, i: usize, mount: &Mount, bundle: &str) -> Result<(), Problem> {
        let source = mount.source.as_deref().unwrap_or("");
        let source = if source.starts_with('/') { clean(source) } else { clean(&format!("{bundle}/{source}")) };
        let at = |problem: &str| no(format!("/mounts/{i}"), problem);
        if is_machines(&source) {
            return Ok(());
        }
        if !mount.uid_mappings.is_empty() || mount.options.iter().any(|word| word.contains("idmap")) {
            return at("ids cannot be mapped on what the machine shares with the host");
        }
        let why = Why("the machine has no files of the host but those that it is given");
        let open = |flags| {
            let path = c(&source).map_err(|_| Problem { pointer: String::new(), problem: String::new() });
            path.map(|path| syscalls::openat(At::CWD, &path, flags, why))
        };
        let stat = open(OpenFlags::O_PATH)?.and_then(|file| syscalls::fstat(file.at(), why));
        let stat = match stat {
            Ok(stat) => stat,
            Err(failed) => return at(&format!("the source {source} cannot be opened: {}", failed.errno.text())),
        };
        if below(&source, "/dev") && stat.st_mode & libc::S_IFMT == libc::S_IFCHR {
            return match COMMON.contains(&libc::major(stat.st_rdev)) {
                true => Ok(()),
                false => at(&format!("{source} is a device of the host, and the machine does not have it")),
            };
        }
        let place = format!("{PLACE}/{i}");
        let has = |one: &str| mount.options.iter().any(|word| word.as_str() == one);
        let only_read = has("ro") || has("rro");
        match stat.st_mode & libc::S_IFMT {
            libc::S_IFDIR => {
                let sharing = match sharing(machine) {
                    Ok(sharing) => sharing,
                    Err(reason) => return at(&format!("the directory {source} cannot be shared: {reason}")),
                };
                let Ok(open) = directory(&source) else {
                    return at(&format!("the source {source} cannot be opened"));
                };
                let (tag, place) = (format!("bind{i}"), Some(place.clone()));
                let path = source.clone();
                self.shares.push(Share { sharing, tag, path, open, writable: !only_read, place });
            }
            libc::S_IFREG if only_read && stat.st_size <= LONGEST => match open(OpenFlags::O_NONBLOCK)? {
                Ok(file) => self.files.push((file, place.clone())),
                Err(failed) => return at(&format!("the source {source} cannot be read: {}", failed.errno.text())),
            },
            libc::S_IFREG => {
                return at(&format!(
                    "{source} is one file, and only a directory can be shared: a file of up to 1 MiB that is mounted `ro` is copied"
                ));
            }
            _ => return at(&format!("{source} is no file and no directory, and works on the host alone")),
        }
        self.sources.push((i, place));
        Ok(())
    }

    /// Puts the files into the initramfs.
    pub fn put(&self, image: &mut Image) -> Result<(), Error> {
        for (file, place) in &self.files {
            image.parents(place)?;
            image.copy(place, file)?;
        }
        Ok(())
    }
}

/// How directories are shared: what the kernel can.
fn sharing(machine: &Machine) -> Result<Sharing, String> {
    let by_9p = machine.can(Sharing::NineP);
    match by_9p {
        Ok(()) => Ok(Sharing::NineP),
        Err(reason) => machine.can(Sharing::Virtiofs).map(|()| Sharing::Virtiofs).map_err(|_| reason),
    }
}

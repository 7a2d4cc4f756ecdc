//! The kernel's modules for a machine: `modules.dep` says what needs what, and `modules.builtin` what the kernel has of itself
//! (modules.dep(5), Documentation/kbuild/kbuild.rst). The files go into the initramfs, and `/init` loads them in the order of
//! their list. May touch: system calls.

use super::Image;
use crate::host::environment;
use crate::host::input::{self, c};
use crate::outcome::{Doing, Error};
use alloc::collections::BTreeSet;
use syscalls::{At, OpenFlags, Why};

const WHY: Why = Why("a machine's devices need modules of its kernel");

/// Where they lie in the machine.
pub const MODULES: &str = "/nk/modules";

/// The modules of a kernel.
pub struct Modules {
    dir: String,
    lines: String,
    builtin: String,
    /// The caller says that the kernel needs no modules.
    all: bool,
}

/// The name of a module: its file's, without the ending; `-` and `_` are the same.
fn name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    let end = file.find(".ko").unwrap_or(file.len());
    file[..end].replace('-', "_")
}

impl Modules {
    /// Those of the kernel's release. `named`: by the caller. `kernel`: the kernel's file, which may have them beside it.
    pub fn find(named: Option<&str>, kernel: &str, release: Option<&str>) -> Result<Option<Modules>, Error> {
        let variable = environment("NK_MODULES").filter(|path| !path.is_empty());
        if let Some(dir) = named.or(variable) {
            if dir == "none" {
                return Ok(Some(Modules { dir: dir.into(), lines: String::new(), builtin: String::new(), all: true }));
            }
            let found = Modules::read(dir)?;
            return found.map(Some).ok_or_else(|| {
                super::needs::missing(&format!("{dir} has no modules.dep: it is no /lib/modules/RELEASE (depmod(8))"))
            });
        }
        let Some(release) = release else {
            return Ok(None);
        };
        let beside = kernel.rsplit_once('/').map_or(".", |(dir, _)| dir);
        for above in ["", beside, &format!("{beside}/..")] {
            if let Some(found) = Modules::read(&format!("{above}/lib/modules/{release}"))? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn read(dir: &str) -> Result<Option<Modules>, Error> {
        let text = |file: &str| -> Result<Option<String>, Error> {
            let path = format!("{dir}/{file}");
            let Ok(file) = syscalls::openat(At::CWD, &c(&path)?, OpenFlags::O_NONBLOCK, WHY) else {
                return Ok(None);
            };
            let bytes = input::read_all(file.at(), WHY).doing(format_args!("read {path}"))?;
            Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
        };
        let lines = text("modules.dep")?;
        let builtin = text("modules.builtin")?.unwrap_or_default();
        Ok(lines.map(|lines| Modules { dir: dir.into(), lines, builtin, all: false }))
    }

    fn is_builtin(&self, wanted: &str) -> bool {
        self.builtin.lines().any(|path| name(path) == wanted)
    }

    /// A module's path and what it needs, in the reverse order of loading.
    fn line(&self, wanted: &str) -> Option<(&str, &str)> {
        self.lines.lines().filter_map(|line| line.split_once(':')).find(|(path, _)| name(path) == wanted)
    }

    /// Whether the kernel can have it.
    pub fn has(&self, wanted: &str) -> bool {
        self.all || self.line(wanted).is_some() || self.is_builtin(wanted)
    }

    /// The files for these modules, in the order of loading, each once. What the kernel has not is left out.
    fn files(&self, wanted: &[&str]) -> Vec<&str> {
        let (mut files, mut seen) = (Vec::new(), BTreeSet::new());
        for (path, needs) in wanted.iter().filter_map(|wanted| self.line(wanted)) {
            for file in needs.split_ascii_whitespace().rev().chain([path]) {
                if seen.insert(file) {
                    files.push(file);
                }
            }
        }
        files
    }

    /// Puts those modules into the initramfs, and their list.
    pub fn put(&self, wanted: &[&str], image: &mut Image) -> Result<(), Error> {
        let files = self.files(wanted);
        if files.is_empty() {
            return Ok(());
        }
        image.parents(&format!("{MODULES}/list"))?;
        let mut list = String::new();
        for file in files {
            let from = if file.starts_with('/') { String::from(file) } else { format!("{}/{file}", self.dir) };
            let opened = syscalls::openat(At::CWD, &c(&from)?, OpenFlags::O_NONBLOCK, WHY)
                .doing(format_args!("open the module {from}"))?;
            let short = file.rsplit('/').next().unwrap_or(file);
            image.file(&format!("{MODULES}/{short}"), &opened, 0o644)?;
            list += &format!("{short}\n");
        }
        image.text(&format!("{MODULES}/list"), list.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_comes_first() {
        let lines = "kernel/drivers/virtio/virtio.ko.xz:\nkernel/drivers/virtio/virtio_ring.ko.xz: kernel/drivers/virtio/virtio.ko.xz\n\
kernel/drivers/char/virtio_console.ko.xz: kernel/drivers/virtio/virtio_ring.ko.xz kernel/drivers/virtio/virtio.ko.xz\n\
kernel/drivers/virtio/virtio-mmio.ko.xz: kernel/drivers/virtio/virtio_ring.ko.xz kernel/drivers/virtio/virtio.ko.xz\n";
        let builtin = "kernel/fs/fuse/fuse.ko\n";
        let modules = Modules { dir: "/m".into(), lines: lines.into(), builtin: builtin.into(), all: false };
        assert!(modules.has("virtio_mmio") && modules.has("fuse") && !modules.has("9p"));
        let files: Vec<String> =
            modules.files(&["virtio_mmio", "fuse", "9p", "virtio_console"]).into_iter().map(name).collect();
        assert_eq!(files, ["virtio", "virtio_ring", "virtio_mmio", "virtio_console"]);
    }
}

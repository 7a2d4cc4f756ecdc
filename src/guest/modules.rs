//! Modules of the kernel, which the image has with a list of them. May touch: system calls.

use super::ways::text;
use crate::host::input::c;
use crate::outcome::{Doing, Error, at};
use syscalls::{At, Errno, ModuleInit, OpenFlags, Why};

const LIST: &str = "/nk/modules/list";

/// Loads what the list names, in its order.
pub fn load() -> Result<(), Error> {
    let why = Why("the image names there the modules that this machine needs");
    let list = text(LIST, why)?.unwrap_or_default();
    for line in list.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (file, parameters) = line.split_once(' ').unwrap_or((line, ""));
        one(&format!("/nk/modules/{file}"), parameters.trim())?;
    }
    Ok(())
}

fn one(path: &str, parameters: &str) -> Result<(), Error> {
    let why = Why("without this module the kernel lacks a device, a file system or a part of them");
    let file = syscalls::openat(At::CWD, &c(path)?, OpenFlags::NONE, why)
        .doing(format_args!("open {path}, which {LIST} names"))?;
    // Only these names are known for packed files (depmod.d(5) and the kernel's MODULE_COMPRESS).
    let flags = match [".xz", ".zst", ".gz"].iter().any(|end| path.ends_with(end)) {
        true => ModuleInit::MODULE_INIT_COMPRESSED_FILE,
        false => ModuleInit::NONE,
    };
    match syscalls::finit_module(file.at(), &c(parameters)?, flags, why) {
        // It is loaded or built in; or the machine has no such hardware, and what needs it will say so.
        Err(failed) if [Errno::EEXIST, Errno::ENODEV].contains(&failed.errno) => Ok(()),
        Err(failed) => {
            let cure = match failed.errno {
                Errno::ENOENT => "load the modules that it needs before it: modules.dep of the kernel names them",
                Errno::ENOEXEC => "put the module of this kernel's own release into the image (uname -r)",
                Errno::EOPNOTSUPP => "unpack the module: this kernel takes none that is packed",
                _ => "the kernel's log says more: leave `quiet` and `loglevel` out of its command line",
            };
            Err(at(format_args!("load the module {path}"), failed).cured(cure))
        }
        Ok(()) => Ok(()),
    }
}

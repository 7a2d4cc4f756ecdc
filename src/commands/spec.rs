//! `spec`: writes a config.json to begin with. May touch: everything below.

use super::context::{Context, step};
use crate::cli;
use crate::host::input::c;
use crate::outcome::{Doing, Error};
use crate::perform::files::write_all;
use crate::plan::Step;
use crate::spec as oci;
use syscalls::{At, AtFlags, Errno, OpenFlags, Why};

/// `spec`. A file that is there already is left alone.
#[inline(never)]
pub fn spec(context: &Context, options: &cli::SpecCmd) -> Result<i32, Error> {
    step(Step::Command);
    let file = options.file.as_deref().unwrap_or("config.json");
    let path = match &options.bundle {
        Some(bundle) if !file.starts_with('/') => format!("{bundle}/{file}"),
        _ => String::from(file),
    };
    let flags = OpenFlags::O_WRONLY | OpenFlags::O_EXCL;
    let why = Why("the caller asked for a configuration to begin with");
    let file = match syscalls::openat_create(At::CWD, &c(&path)?, flags, 0o666, why) {
        Err(failed) if failed.errno == Errno::EEXIST => {
            return Err(Error::State(format!("{path} exists: remove it first")));
        }
        opened => opened.doing(format_args!("write {path}"))?,
    };
    let text = match options.rootless {
        true => oci::rootless_default(context.host.uid, context.host.gid),
        false => oci::DEFAULT.into(),
    };
    let written = write_all(file.at(), text.as_bytes(), why);
    if written.is_err() {
        let why = Why("a later command would take a part of a configuration for a whole one");
        let _ = syscalls::unlinkat(At::CWD, &c(&path)?, AtFlags::NONE, why);
    }
    written.doing(format_args!("write {path}")).map(|()| 0)
}

//! A bundle and its configuration: read whole, and checked. May touch: everything from `state` down.

use super::context::step;
use crate::host::input::{self, c};
use crate::outcome::{Doing, Error, at};
use crate::perform::files::PLACE;
use crate::plan::{self, Step};
use crate::spec::{self, Problem, Spec};
use crate::state::attempts::Attempt;
use syscalls::{At, Errno, OpenFlags, Why};

/// A bundle that was read.
pub struct Bundle {
    /// Its absolute path.
    pub path: String,
    pub spec: Box<Spec<'static>>,
    /// The text of the configuration, from its first brace to its last.
    pub text: &'static [u8],
    /// The file of the configuration.
    pub file: String,
}

impl Bundle {
    /// The error of a configuration that cannot be planned.
    pub fn refused(&self, problem: Problem) -> Error {
        Error::Spec { file: self.file.clone(), problem }
    }
}

/// Refuses what asks for a machine of its own.
pub fn fits_container(bundle: Bundle) -> Result<Bundle, Error> {
    match bundle.spec.vm {
        None => Ok(bundle),
        Some(_) => Err(bundle.refused(Problem {
            pointer: "/vm".into(),
            problem: "asks for a machine of its own: `nk-runtime run --mode vm` makes one, no other command does"
                .into(),
        })),
    }
}

/// The directory of its root.
pub fn rootfs(bundle: &Bundle) -> String {
    let path = &bundle.spec.root.path;
    plan::clean(&if path.starts_with('/') { path.clone() } else { format!("{}/{path}", bundle.path) })
}

/// Reads and checks a bundle's configuration.
pub fn read(bundle: Option<&str>, config: Option<&str>) -> Result<Bundle, Error> {
    step(Step::Command);
    let path = plan::clean(&absolute(bundle.unwrap_or("."))?);
    let file = config.map_or_else(|| format!("{path}/config.json"), String::from);
    of_text(path, read_config(&file)?, file)
}

/// The bundle of a command that failed, as it was then. `given`: another directory.
pub fn again(given: Option<&str>, attempt: &Attempt) -> Result<Bundle, Error> {
    step(Step::Command);
    let path = plan::clean(&absolute(given.unwrap_or(&attempt.bundle))?);
    let why = Why("the root file system of the container lies in the bundle, which may be gone");
    if syscalls::openat(At::CWD, &c(&path)?, PLACE, why).is_err_and(|failed| failed.errno == Errno::ENOENT) {
        return Err(Error::State(format!(
            "the bundle {path} is not there any more: no such file or directory; --bundle names another one"
        )));
    }
    of_text(path, attempt.config.to_vec(), "the recorded config.json".into())
}

/// The bundle at `path`, with this configuration. `file`: what errors call it.
pub fn of_text(path: String, text: Vec<u8>, file: String) -> Result<Bundle, Error> {
    // Strings of the spec are parts of this text, and live as long as the process.
    let text: &'static [u8] = text.leak();
    match spec::parse(text) {
        Ok(spec) => Ok(Bundle { path, spec, text: text.trim_ascii(), file }),
        Err(problem) => Err(Error::Spec { file, problem }),
    }
}

/// The text of a configuration. The path may name a descriptor of the caller's; init closes it before the program begins.
pub fn read_config(file: &str) -> Result<Vec<u8>, Error> {
    let text = match input::descriptor(file) {
        Some(fd) => {
            let why = Why("the path of the configuration names this descriptor");
            input::read_descriptor(At::from_raw(fd), why).doing(format_args!("read {file}"))?
        }
        None => read_file(file)?,
    };
    if text.len() > input::LONGEST {
        let most = input::LONGEST >> 20;
        return Err(Error::State(format!("{file}: longer than {most} MiB, which is the limit for a configuration")));
    }
    Ok(text)
}

fn read_file(file: &str) -> Result<Vec<u8>, Error> {
    let why = Why("the bundle's configuration says what is wanted");
    // O_NONBLOCK: opening a fifo would wait for its other end.
    let opened = syscalls::openat(At::CWD, &c(file)?, OpenFlags::O_NONBLOCK, why);
    let opened = opened.map_err(|failed| match failed.errno {
        Errno::ENOENT => Error::State(format!(
            "{file}: no such file or directory: a bundle has a config.json; `nk-runtime spec` writes one to begin with"
        )),
        _ => at(format_args!("open {file}"), failed),
    })?;
    let text = input::read_all(opened.at(), why).doing(format_args!("read {file}"))?;
    opened.leak(); // execve closes it, or the end of this process
    Ok(text)
}

/// A path that later commands can use from any directory.
pub fn absolute(path: &str) -> Result<String, Error> {
    if path.starts_with('/') {
        return Ok(path.into());
    }
    from_here(path)
}

#[inline(never)] // a page of stack, which an absolute path does not need
fn from_here(path: &str) -> Result<String, Error> {
    let mut buffer = [0u8; 4096];
    let here = syscalls::getcwd(&mut buffer, Why("the path that was given is relative to it"));
    let here = here.doing("find the current directory")?;
    Ok(format!("{}/{path}", String::from_utf8_lossy(here)))
}

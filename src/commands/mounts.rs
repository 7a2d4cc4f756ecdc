//! `mounts`: bind mounts into a container that is there, and out of it again, as crun has it. May touch: everything below.

use super::context::{Context, step};
use crate::cli::{self, MountsAction};
use crate::host::input::c;
use crate::host::{input, procfs};
use crate::outcome::Trouble;
use crate::outcome::{Doing, Error, at};
use crate::perform::mounts::later::{self, Bind, Job};
use crate::plan::mounts::options::{passed_over, understand};
use crate::plan::op::Attributes;
use crate::plan::{Step, clean};
use crate::say::error::at_hint;
use crate::say::hints;
use crate::spec::{self, Mount, NamespaceKind, Problem};
use crate::state;
use alloc::ffi::CString;
use serde::Deserialize;
use syscalls::{At, Errno, MountFlags, OpenFlags, Why};

/// What the file holds: the part of a config.json, or its list alone.
#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    mounts: Vec<Mount<'a>>,
}

/// `mounts add` and `mounts remove`. If one of several cannot be added, those before it are taken away again.
pub fn mounts(context: &mut Context, options: &cli::Mounts) -> Result<i32, Error> {
    step(Step::Mounts);
    // A container that shares the host's processes could look at the helper.
    context.seal()?;
    let add = options.action == MountsAction::Add;
    let text = read(&options.file)?;
    let alone = text.trim_start().starts_with('[');
    let refused = |mut problem: Problem| {
        if alone && let Some(rest) = problem.pointer.strip_prefix("/mounts") {
            problem.pointer = rest.to_string();
        }
        Error::Spec { file: options.file.clone(), problem }
    };
    let list: Vec<Mount> = match alone {
        true => spec::read(&text),
        false => spec::read(&text).map(|document: Document| document.mounts),
    }
    .map_err(refused)?;
    let binds = list.iter().enumerate().map(|(i, mount)| match add {
        true => added(i, mount),
        false => place(i, mount),
    });
    let binds: Result<Vec<Bind>, Problem> = binds.collect();
    let binds = binds.map_err(refused)?;
    if add {
        let words = passed_over(&list).into_iter().map(|word| (false, word));
        context.say_all(&options.file, words.collect());
    }
    let mut job = job(context, &options.id, add, binds)?;
    let opened = match add && !job.limited {
        true => later::open(&mut job).map_err(|(i, failed)| (i, Trouble::Call(failed))),
        false => Ok(()),
    };
    let done = opened.and_then(|()| later::carry_out(&mut job));
    done.map_err(|(i, trouble)| {
        let destination = list.get(i).map_or("", |mount| &mount.destination);
        let verb = if add { "add the mount at" } else { "remove the mount at" };
        let place = format!("{}/{i}", if alone { "" } else { "/mounts" });
        told(format!("{verb} {destination} ({} {place})", options.file), trouble)
    })?;
    Ok(0)
}

fn told(doing: String, trouble: Trouble) -> Error {
    match trouble {
        Trouble::Call(f) if f.call == syscalls::Call::named("umount2") && f.errno == Errno::EINVAL => {
            at_hint(doing, f, hints::NO_MOUNT_THERE)
        }
        Trouble::Call(failed) => at(doing, failed),
        Trouble::Check(check) => Error::State(format!("{doing}: {}", check.text())),
        Trouble::Hook(_) => Error::State(doing),
    }
}

fn read(file: &str) -> Result<String, Error> {
    let why = Why("the mounts that are wanted");
    let failed = |failed| at(format!("read {file}"), failed);
    let text = match file {
        "-" => input::read_to_end(At::STDIN, why).map_err(failed)?,
        path => {
            let flags = OpenFlags::O_NONBLOCK;
            let opened = syscalls::openat(At::CWD, &c(path)?, flags, why);
            input::read_all(opened.map_err(failed)?.at(), why).map_err(failed)?
        }
    };
    String::from_utf8(text).map_err(|_| Error::State(format!("{file} is no UTF-8 text")))
}

fn problem(i: usize, key: &str, problem: &str) -> Problem {
    Problem { pointer: format!("/mounts/{i}{key}"), problem: problem.into() }
}

/// A bind that is to be made.
fn added(i: usize, mount: &Mount) -> Result<Bind, Problem> {
    spec::check_mount(i, mount)?;
    let o = understand(mount, &format!("/mounts/{i}"))?;
    if !o.bind || o.remount {
        return Err(problem(i, "", "only bind mounts can be added to a container that is there"));
    }
    if o.idmap.is_some() || !mount.uid_mappings.is_empty() || o.copy_up {
        let text = "ids are mapped, and files copied, only when the container is created";
        return Err(problem(i, "", text));
    }
    if o.source_as_it_is || o.target_as_it_is || o.copy_link {
        let text = "a link takes part as it is only when the container is created: leave src-nofollow, dest-nofollow and copy-symlink out";
        return Err(problem(i, "/options", text));
    }
    let mut own = o.attributes;
    // What is mounted below it inside must not appear on the host (mount_namespaces(7), "Shared subtrees").
    if own.propagation == MountFlags::NONE || own.propagation == MountFlags::MS_SHARED {
        (own.propagation, own.recursive) = (MountFlags::MS_SLAVE, true);
    }
    let all = Attributes { propagation: MountFlags::NONE, recursive: true, ..o.recursive };
    let source = mount.source.as_deref().unwrap_or("");
    if !source.starts_with('/') {
        return Err(problem(i, "/source", "is no absolute path: there is no bundle to look in"));
    }
    let nul = |_| problem(i, "/source", "holds a NUL byte");
    Ok(Bind {
        source: CString::new(source).map_err(nul)?,
        recursive: o.recursive_bind,
        attributes: [own, all],
        ..place(i, mount)?
    })
}

/// Where a mount is, or shall be.
fn place(i: usize, mount: &Mount) -> Result<Bind, Problem> {
    let bad = |text: &str| problem(i, "/destination", text);
    let path = clean(&mount.destination);
    let (above, name) = path.rsplit_once('/').unwrap_or(("", &path));
    match name {
        "" => return Err(bad("is missing, or the root itself")),
        ".." => return Err(bad("ends in `..`: name the place itself")),
        _ => {}
    }
    let text = |text: &str| CString::new(text).map_err(|_| bad("holds a NUL byte"));
    Ok(Bind {
        source: CString::default(),
        recursive: false,
        attributes: [Attributes::default(); 2],
        above: match above.trim_start_matches('/') {
            "" => text(".")?,
            above => text(above)?,
        },
        name: text(name)?,
        path: text(path.trim_start_matches('/'))?,
        tree: None,
    })
}

/// The container that it is for, which has to have its own mounts.
fn job(context: &mut Context, id: &str, add: bool, binds: Vec<Bind>) -> Result<Job, Error> {
    let root = context.open_root()?;
    let dir = state::find(root.as_ref(), id)?;
    context.join_trace(dir.at())?;
    let whole = state::load_whole(dir.at(), id)?;
    let saved = &whole.saved;
    let now = state::now(dir.at(), saved)?;
    let Some(init) = now.init else {
        let word = now.status.word();
        let text = format!("container not running: {id} is {word}");
        return Err(Error::State(text));
    };
    let config =
        spec::parse(whole.configuration()?).map_err(|problem| Error::Spec { file: saved.config_file(), problem })?;
    let own = |kind| spec::namespace(&config.linux, &kind).filter(|one| one.joined().is_none());
    if saved.own_mode().is_some() || own(NamespaceKind::Mount).is_none() {
        let text = format!("container {id} has no mount namespace of its own: its mounts are others' as well");
        return Err(Error::State(text));
    }
    let name = CString::new(format!("{}/root", saved.pid)).unwrap_or_default();
    Ok(Job {
        add,
        binds,
        init,
        procfs: procfs::open().doing("look at processes")?,
        root: name,
        user: spec::namespace(&config.linux, &NamespaceKind::User).is_some(),
        limited: context.host.uid != 0 && own(NamespaceKind::User).is_some(),
    })
}

//! `mounts`: adds bind mounts to a container that is there, and removes them, as crun does. May touch: everything below.

use super::context::{Context, step};
use crate::cli::{self, MountsAction};
use crate::host::{input, procfs};
use crate::outcome::{Doing, Error, Trouble, at};
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
use syscalls::{Errno, MountFlags, Why};

/// What the file holds: the part of a config.json, or its list alone.
#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    mounts: Vec<Mount<'a>>,
}

/// `mounts add` and `mounts remove`. If one of several cannot be added, those before it are taken away again.
#[inline(never)]
pub fn mounts(context: &mut Context, options: &cli::Mounts) -> Result<i32, Error> {
    step(Step::Mounts);
    // A container that shares the host's pid namespace could look into the process that mounts.
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
    let understood = if add { added } else { place };
    let binds = list.iter().enumerate().map(|(i, mount)| understood(i, mount));
    let binds = binds.collect::<Result<Vec<Bind>, Problem>>().map_err(refused)?;
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
    done.map(|()| 0).map_err(|(i, trouble)| {
        let destination = list.get(i).map_or("", |mount| &mount.destination);
        let verb = if add { "add the mount at" } else { "remove the mount at" };
        let place = format!("{}/{i}", if alone { "" } else { "/mounts" });
        failed(format!("{verb} {destination} ({} {place})", options.file), trouble)
    })
}

fn failed(doing: String, trouble: Trouble) -> Error {
    match trouble {
        Trouble::Call(f) if f.call == syscalls::Call::named("umount2") && f.errno == Errno::EINVAL => {
            at_hint(doing, f, hints::named(hints::NO_MOUNT_THERE))
        }
        Trouble::Call(failed) => at(doing, failed),
        Trouble::Check(check) => Error::State(format!("{doing}: {}", check.text())),
        Trouble::Hook(_) => Error::State(doing),
    }
}

fn read(file: &str) -> Result<String, Error> {
    let text = input::read_named(file, Why("the mounts that are wanted"))?;
    String::from_utf8(text).map_err(|_| Error::State(format!("{file} is no UTF-8 text")))
}

fn problem(i: usize, key: &str, problem: &str) -> Problem {
    Problem { pointer: format!("/mounts/{i}{key}"), problem: problem.into() }
}

/// A mount of the list as a bind mount to make.
fn added(i: usize, mount: &Mount) -> Result<Bind, Problem> {
    spec::check_mount(i, mount)?;
    let o = understand(mount, &format!("/mounts/{i}"))?;
    if !o.bind || o.remount {
        return Err(problem(i, "", "only bind mounts can be added to a container that is there"));
    }
    if o.idmap.is_some() || !mount.uid_mappings.is_empty() || o.copy_up {
        return Err(problem(i, "", "ids are mapped, and files copied, only when the container is created"));
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

/// The place of a mount of the list, without its source.
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

/// The work for a container, which must have a mount namespace of its own.
fn job(context: &mut Context, id: &str, add: bool, binds: Vec<Bind>) -> Result<Job, Error> {
    let (_root, dir) = context.container(id)?;
    let dir = context.join_trace(dir)?;
    let whole = state::load_whole(dir, id)?;
    let saved = &whole.saved;
    let now = state::now(dir, saved)?;
    let Some(init) = now.init else {
        return Err(Error::State(format!("container not running: {id} is {}", now.status.word())));
    };
    let config = whole.spec()?;
    let own = |kind| spec::namespace(&config.linux, &kind).filter(|one| one.joined().is_none());
    if saved.own_mode().is_some() || own(NamespaceKind::Mount).is_none() {
        let text = format!("container {id} has no mount namespace of its own: its mounts are others' as well");
        return Err(Error::State(text));
    }
    Ok(Job {
        add,
        binds,
        init,
        procfs: procfs::open().doing("look at processes")?,
        root: procfs::path(saved.pid, "root"),
        user: spec::namespace(&config.linux, &NamespaceKind::User).is_some(),
        limited: context.host.uid != 0 && own(NamespaceKind::User).is_some(),
    })
}

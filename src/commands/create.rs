//! `create`: makes a container out of a bundle. It waits for `start`; `run` makes its container here, too. May touch:
//! everything from `say` down.

use super::bundle::{self, Bundle, absolute};
use super::context::{Context, make_root, not_made, step};
use super::notify::{self, Between};
use super::watcher::{self, Watcher, wanted};
use super::{delete, hooks, stepping};
use crate::cause::Scene;
use crate::cli::{self, Level};
use crate::host::{environment, input};
use crate::outcome::{Error, Stopped, Trouble};
use crate::perform::{Lanes, cgroup, undo};
use crate::plan::cgroup::scope;
use crate::plan::{self, Notify, Plan, Slot, Step, Wish, callers};
use crate::say::error::{Said, stopped};
use crate::say::tell;
use crate::spec::{self, NamespaceKind, Spec};
use crate::state::attempts::{self, Attempt};
use crate::state::{self, Saved};
use syscalls::{Fd, SigSet};

/// How a container is made.
#[derive(Clone, Copy)]
pub struct Manner<'a> {
    /// Its program waits for `start`.
    pub waits: bool,
    /// This command stays with it.
    pub attached: bool,
    /// A command that failed is repeated.
    pub again: Option<&'a Attempt>,
    /// A person goes through the plan.
    pub step: Option<&'a cli::Stepping>,
}

/// `create`.
#[inline(never)]
pub fn create(context: &mut Context, options: &cli::Create) -> Result<i32, Error> {
    make(context, options, Manner { waits: true, attached: false, again: None, step: None })?;
    context.log.say(Level::Info, &format!("container {}: created", options.id));
    Ok(0)
}

/// A container that was made.
pub struct Made {
    pub spec: &'static Spec<'static>,
    pub saved: Saved,
    pub init: Option<Fd>,
    /// The other side of its terminal, if this command relays it.
    pub master: Option<Fd>,
    pub notify: Option<Between>,
    pub cgroup_root: Option<Fd>,
    /// The directory of its state.
    pub dir: Option<Fd>,
    pub signals: Option<SigSet>,
    pub watcher: Option<Watcher>,
}

/// Plans a container, and carries the plan out up to the end of its host lane.
pub fn make(context: &mut Context, options: &cli::Create, manner: Manner) -> Result<Made, Error> {
    let id = &options.id;
    state::check_id(id)?;
    let profiles = watcher::profiles(options)?;
    let (bundle, notify) = read(context, options, manner.again)?;
    tell::words("bundle", &[&bundle.file]);
    let who = Said::by(bundle.file.clone());
    warn(context, &bundle.spec, &who);
    let text = bundle.text;
    let (plan, saved) = planned(context, options, &bundle, notify.as_ref(), manner)?;
    // Neither is ever freed: after the clone the kernel would copy each page of theirs that is written to.
    let plan: &'static Plan = Box::leak(Box::new(plan));
    let spec: &'static Spec<'static> = Box::leak(bundle.spec);

    let [here, there] = [plan.host.len(), plan.bridge.len() + plan.init.len()];
    tell::words("planned", &[&(here + there).to_string(), &here.to_string(), &there.to_string()]);
    tell::plan(plan);
    let stepper = stepping::prepare(context, manner.step, plan, text, &saved)?;
    step(Step::State);
    tell::words("state", &[&format!("{}/{id}", context.root)]);
    let told = |error| not_made(error, &format!("{}/{id}", context.root));
    let dir = state::take_in(&context.root, id, || make_root(&context.root), told)?;
    let begun = context.recording.begin(dir.at()).and_then(|()| state::intend(dir.at(), &saved));
    let mut lanes = Lanes::new(plan, Some(dir));
    lanes.endless = context.endless;
    if let Some(what) = wanted(options, spec) {
        lanes.watcher = Some(watcher::profiler(what, spec, &saved.cgroup_path, profiles));
    }
    let made =
        begun.and_then(|()| stepping::walk(&mut lanes, stepper).map_err(|stop| failed(&mut lanes, spec, stop, &who)));
    if let Err(error) = made {
        undone(context, &saved, lanes, text, manner)?;
        return Err(error);
    }
    if context.cgroup() && !lanes.has(Slot::CGROUP) {
        let word = format!("container {id} has no cgroup: nothing is delegated to this user");
        context.log.say(Level::Info, &word);
    }
    context.say_left_out(&who);
    let service = if manner.attached { context.pid } else { lanes.pid };
    let notify = lanes.take(Slot::NOTIFY).zip(lanes.take(Slot::NOTIFIED));
    let made = Made {
        spec,
        saved: Saved { pid: lanes.pid, start_time: lanes.cloned, cgroup_made: Some(lanes.cgroup_made), ..saved },
        init: lanes.take(Slot::INIT),
        master: manner.attached.then(|| lanes.take(Slot::MASTER)).flatten(),
        notify: notify.map(|(program, caller)| Between { program, caller, pid: service }),
        cgroup_root: lanes.cgroup_root.take(),
        dir: lanes.take(Slot::STATE),
        signals: lanes.signals,
        watcher: Watcher::of(&mut lanes),
    };
    drop(lanes);
    step(Step::Wait);
    Ok(made)
}

/// Removes what was made of a container, and notes what was tried.
#[inline(never)]
fn undone(
    context: &mut Context,
    saved: &Saved,
    mut lanes: Lanes,
    text: &'static [u8],
    manner: Manner,
) -> Result<(), Error> {
    tell::words("undo", &[]);
    undo::container(&mut lanes);
    if let Some(dir) = lanes.take(Slot::STATE) {
        let words = manner.again.map_or(&context.words, |attempt| &attempt.words).clone();
        let bundle = saved.bundle_path.clone();
        attempts::note(dir.at(), &Attempt { bundle, words, config: text.into() });
        state::remove_failed(make_root(&context.root), &context.root, dir, &saved.id)?;
    }
    if lanes.pid != 0 {
        delete::after(context, saved);
    }
    Ok(())
}

/// The error of a plan that stopped, with what a hook, systemd or the kernel's verifier said.
#[inline(never)]
fn failed(lanes: &mut Lanes, spec: &Spec, stop: Stopped, who: &Said) -> Error {
    let stop = cgroup::blame_limit(lanes, stop);
    let said = match stop.trouble {
        Trouble::Hook(_) => hooks::said(lanes.at(Slot::STATE)),
        _ => core::mem::take(&mut lanes.said),
    };
    stopped(who, stop, &Scene::of(lanes, spec, stop, &said))
}

/// Reads the bundle. If the container could get at this program's file, it seals the program first.
#[inline(never)]
fn read(context: &Context, options: &cli::Create, again: Option<&Attempt>) -> Result<(Bundle, Option<Notify>), Error> {
    // A pipe can be read only once, and the program that is executed again has to read it.
    if options.config.as_deref().and_then(input::descriptor).is_some() {
        context.seal()?;
    }
    let bundle = match again.filter(|_| options.config.is_none()) {
        Some(attempt) => bundle::again(options.bundle.as_deref(), attempt)?,
        None => bundle::read(options.bundle.as_deref(), options.config.as_deref())?,
    };
    let mut bundle = bundle::fits_container(bundle)?;
    let notify = surroundings(context, &mut bundle.spec, &options.id)?;
    if seen(&bundle.spec) {
        context.seal()?;
    }
    Ok((bundle, notify))
}

/// Whether other processes can look at the container's first one before it has become its program.
fn seen(spec: &Spec) -> bool {
    let pids = spec::namespace(&spec.linux, &NamespaceKind::Pid);
    let shared = spec::namespace(&spec.linux, &NamespaceKind::Mount).is_none();
    shared || pids.is_none_or(|pids| pids.joined().is_some()) || !spec.hooks.start_container.is_empty()
}

/// Adds to the program's environment what a service manager has passed in this command's own: sockets that it listens at, and
/// NOTIFY_SOCKET, unless config.json sets that.
fn surroundings(context: &Context, spec: &mut Spec, id: &str) -> Result<Option<Notify>, Error> {
    let env = &mut spec.process.env;
    if context.listening > 0 {
        callers::set(env, format!("LISTEN_FDS={}", context.listening));
        // As runc and crun do: the program is the first process of its pid namespace (sd_listen_fds(3)).
        callers::set(env, "LISTEN_PID=1".into());
        if let Some(names) = environment("LISTEN_FDNAMES") {
            callers::set(env, format!("LISTEN_FDNAMES={names}"));
        }
    }
    if env.iter().any(|entry| entry.starts_with("NOTIFY_SOCKET=")) {
        return Ok(None);
    }
    let Some(notify) = notify::wanted(&absolute(&context.root)?, id)? else {
        return Ok(None);
    };
    if spec::namespace(&spec.linux, &NamespaceKind::Mount).is_none() {
        let word = "NOTIFY_SOCKET is not passed on: without a mount namespace its socket would be a mount on the host";
        context.log.say(Level::Warn, word);
        return Ok(None);
    }
    callers::set(env, callers::NOTIFY_INSIDE.into());
    Ok(Some(notify))
}

/// Warns of what in the configuration has no effect.
#[inline(never)]
fn warn(context: &Context, spec: &Spec, who: &Said) {
    let file = who.property("");
    context.say_all(&file, spec.warnings());
    let passed_over = plan::mounts::options::passed_over(&spec.mounts);
    context.say_all(&file, passed_over.into_iter().map(|word| (false, word)).collect());
    if let Some(word) = devices_left_out(spec) {
        context.log.say(Level::Warn, &format!("{file} {word}"));
    }
    if let Some(profile) = spec.linux.seccomp.as_ref().filter(|_| context.log.wants(Level::Debug)) {
        for word in plan::seccomp::warnings(profile) {
            context.log.say(Level::Debug, &word);
        }
    }
}

/// A warning about devices in a directory that a mount brings: nothing is made in it.
fn devices_left_out(spec: &Spec) -> Option<String> {
    let mut devices = plan::devices::left_out(spec);
    let first = devices.next()?;
    let more = match devices.count() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(format!("/linux/devices: `{first}`{more} left out: a mount lends the directory, where nothing is made"))
}

/// The plan, and the document of the container to be.
#[inline(never)]
fn planned(
    context: &mut Context,
    options: &cli::Create,
    bundle: &Bundle,
    notify: Option<&Notify>,
    manner: Manner,
) -> Result<(Plan, Saved), Error> {
    let base = context.cgroup_base(&bundle.spec);
    context.host.look();
    context.say_groups(&bundle.spec, &Said::by(bundle.file.clone()));
    let manager = context.manager()?;
    let refused = |problem| bundle.refused(problem);
    let mut wish = Wish {
        text: bundle.text,
        pid_file: options.pid_file.as_deref(),
        console: options.console_socket.as_deref(),
        pidfd: options.pidfd_socket.as_deref(),
        notify,
        no_pivot: options.no_pivot,
        no_new_keyring: options.no_new_keyring,
        wait_for_start: manner.waits,
        watch: wanted(options, &bundle.spec),
        stepped: manner.step.is_some(),
        attached: manner.attached,
        cgroup_base: &base,
        manager: manager.as_ref(),
        ..context.wish(&options.id, &bundle.path)
    };
    let cgroup = match context.cgroup() {
        true => plan::cgroup_path(&bundle.spec, &wish).map_err(refused)?,
        false => String::new(),
    };
    let unit = |manager: &scope::Manager| {
        let (_, unit) = scope::names(&bundle.spec, &options.id, manager.user)?;
        Ok((unit, manager.sockets.clone()))
    };
    let new = state::New {
        id: &options.id,
        bundle: &bundle.path,
        config: options.config.as_deref().map(absolute).transpose()?,
        waits: manner.waits,
        cgroup,
        text: bundle.text,
        scope: manager.as_ref().map(unit).transpose().map_err(refused)?,
    };
    let saved = state::new(&bundle.spec, &context.host, new);
    wish.state = state::planned(&saved);
    let plan = plan::create(&bundle.spec, &wish).map_err(refused)?;
    Ok((plan, saved))
}

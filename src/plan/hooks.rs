//! config.json's `hooks`: programs that are run at points of the container's life, where and when the specification
//! says (config.md, "POSIX-platform Hooks"; runtime.md, "Lifecycle"). May touch: types.
//!
//! ```text
//!   prestart, createRuntime   host lane, in the caller's namespaces, when all is mounted and before the switch of root
//!   createContainer           init lane, in the container's namespaces, just after them
//!   startContainer            init lane, inside the container, between `start` and execve
//!   poststart, poststop       by `start` or `run`, and by `delete`: kept in the state until then
//! ```

use super::builder::Builder;
use super::op::{Hook, Hooks, Sync};
use super::order::{Host, Init};
use super::process;
use super::text::{c, c_list};
use crate::spec::{self, Problem, Spec, state_document};

/// `create`: all of them but poststart and poststop.
pub fn plan(b: &mut Builder) -> Result<(), Problem> {
    let hooks = &b.spec.hooks;
    if any(b.spec) {
        b.host(Host::HookOutput, "/hooks", Hooks::Output, "what a hook prints is shown if it fails");
    }
    if !(hooks.prestart.is_empty() && hooks.create_runtime.is_empty()) {
        in_host(b)?;
    }
    for (from, op) in lines(b, "createContainer", &hooks.create_container, "creating")? {
        b.init(Init::Hooks, &from, op, "the hook runs in the container's namespaces, and still sees the host's files");
    }
    for (from, op) in lines(b, "startContainer", &hooks.start_container, "created")? {
        b.init(Init::StartHooks, &from, op, "the hook runs inside the container, just before the program");
    }
    Ok(())
}

/// Whether init has to wait before the switch of root.
pub fn any_before_pivot(spec: &Spec) -> bool {
    let h = &spec.hooks;
    !(h.prestart.is_empty() && h.create_runtime.is_empty() && h.create_container.is_empty())
}

/// Whether `create` runs any hook.
pub fn any(spec: &Spec) -> bool {
    any_before_pivot(spec) || !spec.hooks.start_container.is_empty()
}

/// The hooks of the runtime's own namespaces, which need init's number. Init waits for them.
fn in_host(b: &mut Builder) -> Result<(), Problem> {
    let at = "/hooks";
    let why = "hooks of the host run before the switch of root";
    b.init(Init::Hooks, at, Sync::TellMounted, why);
    b.init(Init::Hooks, at, Sync::AwaitHooked, "the hooks may still change what becomes the root");
    b.host(Host::Hooks, at, Sync::AwaitMounted, "the hooks expect the namespaces and the mounts to be there");
    let parts = Box::new(b.wish.state.clone());
    let why = "a hook may ask for `state`, and the container is not on record yet";
    b.host(Host::Hooks, at, Sync::NoteCreating { parts, configuration: b.wish.text }, why);
    for (name, list) in [("prestart", &b.spec.hooks.prestart), ("createRuntime", &b.spec.hooks.create_runtime)] {
        for (from, op) in lines(b, name, list, "creating")? {
            let why = "the configuration asks for this hook; it reads the container's state from its input";
            b.host(Host::Hooks, &from, op, why);
        }
    }
    b.host(Host::Hooks, at, Sync::TellHooked, "init waits for this before the switch of root");
    Ok(())
}

/// The ops of one list, with their JSON pointers.
fn lines(b: &Builder, name: &str, list: &[spec::Hook], status: &str) -> Result<Vec<(String, Hooks)>, Problem> {
    let mut all = Vec::with_capacity(list.len());
    let annotations = if list.is_empty() { String::new() } else { b.spec.annotations.json() };
    for (i, one) in list.iter().enumerate() {
        let at = format!("/hooks/{name}/{i}");
        let state = state_document(&b.spec.oci_version, b.wish.id, b.wish.bundle, status, &annotations);
        let inside = (name == "startContainer").then_some(&b.spec.process);
        let hook = Box::new(hook(one, &at, state, b.wish.bundle, inside)?);
        all.push((at, Hooks::Run { hook }));
    }
    Ok(all)
}

/// A hook, ready to be run. Without `args` it gets its path alone. Without `env` it gets, as with runc and crun,
/// the environment of this command's caller, or, inside the container (`inside`), the program's. In the runtime's
/// namespaces it begins in the bundle.
pub fn hook(
    hook: &spec::Hook,
    at: &str,
    state: [Vec<u8>; 2],
    bundle: &str,
    inside: Option<&spec::Process>,
) -> Result<Hook, Problem> {
    let path = c(&format!("{at}/path"), &hook.path)?;
    let mut argv = c_list(&format!("{at}/args"), &hook.args)?;
    if argv.is_empty() {
        argv.push(path.clone());
    }
    let envp = match (&hook.env, inside) {
        (Some(env), _) => Some(c_list(&format!("{at}/env"), env)?),
        (None, Some(process)) => Some(process::environment(&process.env)?.list()),
        (None, None) => None,
    };
    let cwd = match inside {
        Some(_) => None,
        None => Some(c("", bundle)?),
    };
    let timeout = hook.timeout.map(|seconds| seconds.max(1) as u64);
    Ok(Hook { path, argv, envp, home: hook.env.is_none() && inside.is_some(), cwd, timeout, state })
}

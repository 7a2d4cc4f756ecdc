//! config.json's `hooks`: programs that are run at points of the container's life, where and when the specification
//! says (config.md, "POSIX-platform Hooks"; runtime.md, "Lifecycle"). May touch: types.
//!
//! ```text
//!   prestart, createRuntime   host lane, in the caller's namespaces, when all is mounted and before the switch of root
//!   createContainer           init lane, in the container's namespaces, just behind them
//!   startContainer            init lane, inside the container, between `start` and execve
//!   poststart, poststop       by `start` or `run`, and by whoever deletes: kept in the state until then
//! ```

use super::op::{Hook, Hooks, Sync};
use super::{Builder, Step, c, create::problem, process};
use crate::spec::{self, Problem, Spec};
use alloc::boxed::Box;
use alloc::ffi::CString;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Whether init has to wait before the switch of root.
pub fn any_before_pivot(spec: &Spec) -> bool {
    let h = &spec.hooks;
    !(h.prestart.is_empty() && h.create_runtime.is_empty() && h.create_container.is_empty())
}

fn any_in_host(spec: &Spec) -> bool {
    !(spec.hooks.prestart.is_empty() && spec.hooks.create_runtime.is_empty())
}

/// A hook, ready to be run. Without `args` its path is all that it is told. Without `env` it has what surrounds it, as in runc
/// and crun: in the runtime's namespaces that of this command's caller, and the bundle as its current directory; inside the
/// container (`inside`) what the program has.
pub fn hook(
    hook: &spec::Hook,
    at: &str,
    state: [Vec<u8>; 2],
    bundle: &str,
    inside: Option<&spec::Process>,
) -> Result<Hook, Problem> {
    let strings = |name: &str, list: &[String]| -> Result<Vec<CString>, Problem> {
        let one = |(i, text): (usize, &String)| c(text).map_err(|p| problem(&format!("{at}/{name}/{i}"), p));
        list.iter().enumerate().map(one).collect()
    };
    let path = c(&hook.path).map_err(|p| problem(&format!("{at}/path"), p))?;
    let mut argv = strings("args", &hook.args)?;
    if argv.is_empty() {
        argv.push(path.clone());
    }
    let envp = match (&hook.env, inside) {
        (Some(env), _) => Some(strings("env", env)?),
        (None, Some(process)) => Some(process::environment(&process.env)?),
        (None, None) => None,
    };
    let cwd = match inside {
        Some(_) => None,
        None => Some(c(bundle).map_err(|p| problem("", p))?),
    };
    Ok(Hook {
        path,
        argv,
        envp,
        home: hook.env.is_none() && inside.is_some(),
        cwd,
        timeout: hook.timeout.map(|seconds| seconds.max(1) as u64),
        state,
    })
}

/// The lines of one list.
fn lines(b: &Builder, name: &str, list: &[spec::Hook], status: &str) -> Result<Vec<(String, Hooks)>, Problem> {
    let mut all = Vec::new();
    for (i, one) in list.iter().enumerate() {
        let at = format!("/hooks/{name}/{i}");
        let document = spec::state_document(&b.spec.oci_version, b.wish.id, b.wish.bundle, status, &b.spec.annotations);
        let inside = (name == "startContainer").then_some(&b.spec.process);
        let hook = hook(one, &at, document, b.wish.bundle, inside)?;
        all.push((at, Hooks::Run { hook: Box::new(hook) }));
    }
    Ok(all)
}

/// Host: the file that takes what hooks say, before init inherits it.
pub fn output(b: &mut Builder) {
    let there = |line: &super::Line| line.op == Hooks::Output.into();
    if b.plan.host.iter().any(there) {
        return;
    }
    b.from = "/hooks".into();
    b.host(Step::Sources, Hooks::Output, "what a hook says is shown when it fails");
}

/// Init: the word to the host, and the hooks of the container's namespaces.
pub fn before_pivot(b: &mut Builder) -> Result<(), Problem> {
    let h = &b.spec.hooks;
    let some = any_before_pivot(b.spec) || !h.start_container.is_empty();
    if some {
        output(b);
    }
    b.step = Step::Hooks;
    if any_in_host(b.spec) {
        b.from = "/hooks".into();
        b.init(Sync::TellMounted, "the hooks of the runtime's namespaces come before the switch of root");
        b.init(Sync::AwaitHooked, "they may change what is to become the root");
    }
    for (from, op) in lines(b, "createContainer", &b.spec.hooks.create_container, "creating")? {
        b.from = from;
        b.init(op, "it sees the container's namespaces, and still the host's files");
    }
    Ok(())
}

/// Host: the hooks of the runtime's own namespaces, which need init's number.
pub fn host_before_pivot(b: &mut Builder) -> Result<(), Problem> {
    if !any_in_host(b.spec) {
        return Ok(());
    }
    b.from = "/hooks".into();
    b.host(Step::Hooks, Sync::AwaitMounted, "hooks want the namespaces and the mounts to be there");
    let parts = Box::new(b.wish.state.clone());
    b.host(
        Step::Hooks,
        Sync::NoteCreating { parts },
        "a hook may ask `state` about the container, which is not on record yet",
    );
    let mut all = lines(b, "prestart", &b.spec.hooks.prestart, "creating")?;
    all.extend(lines(b, "createRuntime", &b.spec.hooks.create_runtime, "creating")?);
    for (from, op) in all {
        b.from = from;
        b.host(Step::Hooks, op, "the configuration has it run here, with the state as its input");
    }
    b.from = "/hooks".into();
    b.host(Step::Hooks, Sync::TellHooked, "init goes on to the switch of root");
    Ok(())
}

/// Init: the last ones before the program.
pub fn start_container(b: &mut Builder) -> Result<(), Problem> {
    // `exec` starts no container.
    if b.wish.joins.is_some() {
        return Ok(());
    }
    for (from, op) in lines(b, "startContainer", &b.spec.hooks.start_container, "created")? {
        b.from = from;
        b.init(op, "it runs inside, just before the program");
    }
    Ok(())
}

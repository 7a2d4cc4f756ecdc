//! `run`: a container, its program, and the end of both. May touch: everything from `say` down.

use super::context::{Context, make_root, step};
use super::create::{self, Made, Manner};
use super::end;
use super::wait::{self, Foreground, Waited};
use super::watcher::Watcher;
use super::{delete, hooks, repeat};
use crate::cli::{self, Level};
use crate::ended::Over;
use crate::outcome::Error;
use crate::plan::Step;
use crate::say::tell;
use crate::spec::NamespaceKind;
use crate::state;
use syscalls::{Ended, Fd, Prctl, Taken, Why};

/// `run`. If it is not detached it returns the program's status, and deletes the container at the end.
#[inline(never)]
pub fn run(context: &mut Context, options: &cli::Run) -> Result<i32, Error> {
    let id = &options.create.id;
    let manner = Manner { waits: false, attached: !options.detach, again: None, step: options.step.as_ref() };
    let mut made = match &options.from_trace {
        None => create::make(context, &options.create, manner)?,
        Some(name) => {
            let (attempt, create) = repeat::again(context, name, &options.create)?;
            create::make(context, &create, Manner { again: Some(&attempt), ..manner })?
        }
    };
    if let Err(error) = hooks::poststart(&made.saved, &made.spec.hooks, made.saved.pid) {
        let root = make_root(&context.root)?;
        delete::destroy(context, &root, &made.saved, made.init.as_ref())?;
        return Err(error);
    }
    context.log.say(Level::Info, &format!("container {id}: running"));
    let pid = made.saved.pid.to_string();
    if options.detach {
        tell::words("left", &[&pid]);
        if let (Some(notify), Some(init)) = (&made.notify, &made.init) {
            notify.until_ready(init)?;
        }
        return Ok(0);
    }
    let own_pids = made.spec.linux.namespaces.iter().any(|namespace| namespace.kind == NamespaceKind::Pid);
    if !options.create.no_subreaper && !own_pids {
        let why = Why("without a pid namespace, orphans of the container would go to the host's init");
        let _ = syscalls::prctl(Prctl::PR_SET_CHILD_SUBREAPER, 1, why);
    }
    let Some(init) = made.init.take() else {
        return Err(Error::State(format!("container {id} has no first process")));
    };
    let (notify, master) = (made.notify.take(), made.master.take());
    let waited = Foreground { process: &init, pid: made.saved.pid, child: true, notify, master, handed: None }.wait();
    let Waited { ended, handed } = match waited {
        Ok(waited) => waited,
        Err(error) => {
            let root = make_root(&context.root)?;
            delete::destroy(context, &root, &made.saved, Some(&init))?;
            return Err(error);
        }
    };
    drop(init);
    wait::release(made.signals);
    let status = ended.status();
    context.log.say(Level::Info, &format!("container {id}: stopped, status {status}"));
    let dir = made.dir.take().filter(|dir| state::is_still_there(dir.at()));
    if status != 0 || options.keep {
        tell_end(context, dir.as_ref(), &made, ended, handed, options.keep);
    }
    // The container goes even if a profile cannot be written.
    let told = made.watcher.map_or(Ok(()), Watcher::tell);
    if let (Some(dir), false) = (dir, options.keep) {
        let root = make_root(&context.root)?;
        step(Step::Delete);
        tell::words("remove", &[id]);
        delete::end_left(context, &root, &made.saved)?;
        delete::remove(&root, id, &made.saved, made.cgroup_root, Some(dir))?;
        delete::after(context, &made.saved);
    }
    told.map(|()| status)
}

/// Tells why the program has ended. `keep`: the container stays, and `state` shows it.
#[inline(never)] // its stack is for those that end badly
fn tell_end(context: &Context, dir: Option<&Fd>, made: &Made, ended: Ended, handed: Option<Taken>, keep: bool) {
    let dir = dir.map(Fd::at);
    let over = Over {
        saved: &made.saved,
        spec: Some(made.spec),
        pid: made.saved.pid,
        first: true,
        ended: Some(ended),
        handed,
        dir,
        hierarchy: made.cgroup_root.as_ref().map(Fd::at),
    };
    let ending = end::tell(context, &over);
    if let Some(dir) = dir.filter(|_| keep) {
        end::keep(context, dir, &made.saved.id, ending);
    }
}

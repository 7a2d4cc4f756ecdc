//! Why a hook failed: how it ended, and its last words. May touch: types, system calls.

use super::access::Inside;
use super::{Found, Root, Scene, missing, path, program, sizes};
use crate::outcome::{SIGNALLED, TIMED_OUT, Trouble};
use crate::plan::Hook;
use crate::plan::op::Hooks;
use core::cell::RefCell;
use syscalls::{At, Errno};

pub fn of(scene: &Scene, op: &Hooks) -> Option<Found> {
    let Hooks::Run { hook } = op else {
        return None;
    };
    // Hooks of the list startContainer lie in the container.
    let inner = if scene.line?.from.contains("/startContainer/") { Some(scene.root()?) } else { None };
    match scene.trouble {
        Trouble::Hook(code) => Some(ended(hook, code, scene.said)),
        Trouble::Call(failed) if failed.errno == Errno::E2BIG => {
            sizes::string_too_long(&hook.argv, hook.envp.as_deref().unwrap_or(&[]))
        }
        Trouble::Call(failed) if failed.call.name() == "execve" => {
            let pid = if let Root::Of(pid) = scene.root { pid } else { 0 };
            planned(inner.as_ref().map(|root| (root.at(), pid)), &hook.path.to_string_lossy(), Some(failed.errno))
        }
        _ => None,
    }
}

/// How a hook ended.
pub fn ended(hook: &Hook, code: i32, said: &str) -> Found {
    let path = hook.path.to_string_lossy();
    let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing").trim();
    match code {
        TIMED_OUT => {
            let seconds = hook.timeout.unwrap_or_default().to_string();
            Found::new("hook too slow", &[&path, &seconds, last])
        }
        code if code > SIGNALLED => {
            let signal = syscalls::flags::signal_name(code - SIGNALLED);
            Found::new("hook killed", &[&path, &signal.to_string(), last])
        }
        code => Found::new("hook failed", &[&path, &code.to_string(), last]),
    }
}

/// Why a hook's program cannot be executed. `inner`: it lies in this root, that of the process; else on the host.
pub fn planned(inner: Option<(At, i32)>, path: &str, errno: Option<Errno>) -> Option<Found> {
    let host = path::host()?;
    let walk = path::walk(inner.map_or(host.at(), |(root, _)| root), path)?;
    match &walk.end {
        path::End::There { stat, .. } if !path::is_dir(stat) && stat.st_mode & 0o111 != 0 => match inner {
            None => program::of_host(path, errno),
            Some((root, pid)) => {
                let inside =
                    Inside { root, rootfs: "", cwd: "/", person: None, spec: None, pid, ways: RefCell::default() };
                program::alone(&inside, path, errno)
            }
        },
        path::End::There { stat, .. } => {
            let mode = format!("{:04o}", stat.st_mode & 0o7777);
            Some(Found::new("hook not executable", &[path, path::kind(stat), &mode]))
        }
        _ => missing::found("hook", path, &walk),
    }
}

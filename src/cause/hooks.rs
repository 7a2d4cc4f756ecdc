//! Why a hook failed: how it ended, and its last words. May touch: types, system calls.

use super::{Found, Scene, missing, path};
use crate::outcome::{SIGNALLED, TIMED_OUT, Trouble};
use crate::plan::Hook;
use crate::plan::op::Hooks;
use syscalls::At;

pub fn of(scene: &Scene, op: &Hooks) -> Option<Found> {
    let Hooks::Run { hook } = op else {
        return None;
    };
    // Hooks of the list startContainer lie in the container.
    let root = match scene.line?.from.contains("/startContainer/") {
        true => scene.root()?,
        false => path::host()?,
    };
    match scene.trouble {
        Trouble::Hook(code) => Some(ended(hook, code, scene.said)),
        Trouble::Call(failed) if failed.call.name() == "execve" => planned(root.at(), &hook.path.to_string_lossy()),
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

/// Why a hook's program cannot be executed.
pub fn planned(root: At, path: &str) -> Option<Found> {
    let walk = path::walk(root, path)?;
    match &walk.end {
        path::End::There { stat, .. } if !path::is_dir(stat) && stat.st_mode & 0o111 != 0 => None,
        path::End::There { stat, .. } => {
            let mode = format!("{:04o}", stat.st_mode & 0o7777);
            Some(Found::new("hook not executable", &[path, path::kind(stat), &mode]))
        }
        _ => missing::found("hook", path, &walk),
    }
}

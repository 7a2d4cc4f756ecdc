//! The seccomp profile of a configuration: which calls the kernel refuses, and how. The kernel does not show a filter that
//! is installed, so the configuration has to say. May touch: types.

use crate::sorted;
use crate::spec::Seccomp;
use serde::Serialize;
use syscalls::Errno;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    pub pointer: &'static str,
    /// What becomes of a call that no rule names.
    pub default_action: String,
    pub default_errno: Option<String>,
    pub architectures: Vec<String>,
    pub actions: Vec<Action>,
}

/// The calls with which the kernel does the same.
#[derive(Serialize)]
pub struct Action {
    pub action: String,
    pub errno: Option<String>,
    pub calls: Vec<String>,
    /// Calls for which that holds only with certain arguments.
    pub conditional: Vec<String>,
}

/// The errno that an action gives the program.
fn errno(action: &str, number: Option<u32>) -> Option<String> {
    let number = number.unwrap_or(libc::EPERM as u32);
    (action == "SCMP_ACT_ERRNO").then(|| Errno(number as u16).name().into())
}

pub fn profile(seccomp: &Seccomp) -> Profile {
    let mut actions: Vec<Action> = Vec::new();
    for rule in &seccomp.rules {
        let errno = errno(&rule.action, rule.errno_ret);
        let same = |one: &Action| one.action == rule.action && one.errno == errno;
        let at = actions.iter().position(same).unwrap_or_else(|| {
            let (calls, conditional) = (Vec::new(), Vec::new());
            actions.push(Action { action: rule.action.clone(), errno: errno.clone(), calls, conditional });
            actions.len() - 1
        });
        let Some(action) = actions.get_mut(at) else { continue };
        let list = if rule.args.is_empty() { &mut action.calls } else { &mut action.conditional };
        list.extend(rule.names.iter().map(|name| name.as_str().into()));
    }
    for action in &mut actions {
        for list in [&mut action.calls, &mut action.conditional] {
            sorted::sort(list);
            list.dedup();
        }
    }
    Profile {
        pointer: "/linux/seccomp",
        default_errno: errno(&seccomp.default_action, seccomp.default_errno_ret),
        default_action: seccomp.default_action.clone(),
        architectures: seccomp.architectures.clone(),
        actions,
    }
}

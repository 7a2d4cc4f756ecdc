//! Capabilities: which one a call needs (capabilities.txt), and where it counts. May touch: the spec.

use super::process::{Rights, Stopped};
use super::texts::{cause, words};
use super::types::{By, Cause};
use super::{files, sets, surroundings};
use crate::packed::packed;
use crate::plan::namespaces;
use crate::spec::{self, NamespaceKind, capability_number};
use syscalls::Errno;

pub fn table() -> &'static str {
    packed!("watch/refused/capabilities.txt")
}

/// A row of the table that fits a call.
pub struct Need {
    pub capability: &'static str,
    scope: &'static str,
    /// The text of what does it without the capability; or empty.
    instead: &'static str,
}

/// The rows for a call: errnos, conditions, capability, scope, and what else does it.
fn rows(name: &str) -> impl Iterator<Item = [&'static str; 5]> + use<'_> {
    table().lines().filter_map(move |line| {
        let mut words = line.strip_prefix(name)?.strip_prefix(' ')?.split(' ');
        Some([words.next()?, words.next()?, words.next()?, words.next()?, words.next().unwrap_or_default()])
    })
}

/// What the call that failed would have needed.
pub fn needed(stopped: &Stopped, errno: Errno) -> Option<Need> {
    let rights = stopped.rights()?;
    let fits = |[errnos, conditions, capability, ..]: &[&'static str; 5]| {
        let further = capability.strip_prefix('+');
        if further.is_some_and(|name| capability_number(name).is_some_and(|number| rights.has(number))) {
            return false;
        }
        let mut names = errnos.trim_end_matches('!').split(',');
        names.any(|name| name == errno.name()) && hold(stopped, conditions)
    };
    rows(stopped.name).find(fits).map(|[_, _, capability, scope, instead]| Need {
        capability: capability.trim_start_matches('+'),
        scope,
        instead,
    })
}

/// The capabilities that a call which succeeded has needed, or may have.
pub fn used(stopped: &Stopped) -> Vec<&'static str> {
    let mut all: Vec<&'static str> = Vec::new();
    let Some(rights) = stopped.rights() else {
        return all;
    };
    for [errnos, conditions, capability, scope, _] in rows(stopped.name) {
        let speaks = errnos == "ok" || !errnos.ends_with('!') && !conditions.starts_with('$');
        if !speaks || !hold(stopped, conditions) {
            continue;
        }
        let unneeded = match scope {
            "file" => files::owned(stopped, &rights),
            "process" => is_itself(stopped),
            _ => capability == "CAP_NET_BIND_SERVICE" && !surroundings::low_port(stopped),
        };
        if !unneeded {
            all.push(capability);
            break;
        }
    }
    all.extend(files::passed_over(stopped, &rights));
    all
}

/// Whether the call is about the process that makes it.
fn is_itself(stopped: &Stopped) -> bool {
    let own = stopped.status("NSpid").split_whitespace().last().and_then(|pid| pid.parse().ok());
    own == Some(stopped.int(0)) || stopped.int(0) == 0
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

fn hold(stopped: &Stopped, conditions: &str) -> bool {
    conditions == "-" || conditions.split(',').all(|condition| holds(stopped, condition).unwrap_or(false))
}

/// Whether a condition holds. `None`: the argument cannot be read.
fn holds(stopped: &Stopped, condition: &str) -> Option<bool> {
    let (kind, rest) = match condition.get(..1)? {
        kind @ ("*" | "$" | "%" | "@") => (kind, &condition[1..]),
        _ => ("", condition),
    };
    let at: usize = rest.get(..1)?.parse().ok()?;
    let test = rest.get(1..)?;
    match kind {
        "$" => return Some(text_fits(&stopped.string(at)?, test)),
        "@" => return surroundings::changes_network(stopped, message(stopped, at)?),
        "%" => return Some(text_fits(&stopped.descriptor(stopped.int(at))?, test)),
        _ => {}
    }
    // Numbers of the table have 32 bits: of an int the upper half is what was left in the register.
    let value = if kind == "*" { stopped.word(at)? } else { u64::from(stopped.arg(at) as u32) };
    if let Some(bits) = test.strip_prefix("!&") {
        return Some(value & number(bits)? == 0);
    }
    if let Some(bits) = test.strip_prefix('&') {
        return match bits.split_once('=') {
            Some((bits, wanted)) => Some(value & number(bits)? == number(wanted)?),
            None => Some(value & number(bits)? != 0),
        };
    }
    let compared = |sign: &str| Some(number(test.strip_prefix(sign)?));
    if let Some(least) = compared(">=") {
        return Some(value >= least?);
    }
    if let Some(most) = compared("<=") {
        return Some(value <= most?);
    }
    if let Some(other) = compared("!=") {
        return Some(value != other?);
    }
    Some(value == number(test.strip_prefix('=')?)?)
}

/// Where the message lies that a call sends: at the argument, or, of sendmsg, at the first piece of what that describes.
fn message(stopped: &Stopped, at: usize) -> Option<u64> {
    if stopped.name != "sendmsg" {
        return Some(stopped.arg(at));
    }
    let word = |from: u64| Some(u64::from_le_bytes(stopped.memory(from, 8)?.try_into().ok()?));
    word(word(stopped.arg(at).checked_add(16)?)?)
}

fn text_fits(text: &str, test: &str) -> bool {
    match test.split_at_checked(1) {
        Some(("^", begin)) => text.starts_with(begin),
        Some(("~", end)) => text.ends_with(end),
        _ => false,
    }
}

/// Why the process does not have what the call needs, or why it does not count.
pub fn refused(stopped: &Stopped, errno: Errno) -> Option<Cause> {
    let need = needed(stopped, errno)?;
    let rights = stopped.rights()?;
    if need.scope == "file" {
        if files::owned(stopped, &rights) {
            return None;
        }
        if let Some(cause) = files::unmapped(stopped, &rights) {
            return Some(cause);
        }
    }
    if need.capability == "CAP_FOWNER"
        && let Some(cause) = files::others_file(stopped, &rights)
    {
        return Some(cause);
    }
    lacking(stopped, &rights, &need)
}

/// A netlink message reaches the kernel, which then answers that the sender lacks a capability.
pub fn answered(stopped: &Stopped) -> Option<Cause> {
    let fits = |[errnos, conditions, ..]: &[&'static str; 5]| *errnos == "ok" && hold(stopped, conditions);
    let [_, _, capability, scope, instead] = rows(stopped.name).find(fits)?;
    lacking(stopped, &stopped.rights()?, &Need { capability, scope, instead })
}

fn lacking(stopped: &Stopped, rights: &Rights, need: &Need) -> Option<Cause> {
    let mut found = match elsewhere(stopped, need) {
        Some(cause) => cause,
        None if rights.has(capability_number(need.capability)?) => return None,
        None => sets::missing(stopped, rights, need.capability)?,
    };
    if let Some(other) = instead(stopped, need.instead) {
        found.cure = format!("{other}; or {}", found.cure);
    }
    Some(found)
}

/// What the runtime does itself if the configuration asks for it, so that the program needs no right to do it.
fn instead(stopped: &Stopped, what: &str) -> Option<String> {
    let key = match what {
        "hostname" if stopped.shares("uts") => "instead hostname of its own",
        "hostname" => "instead hostname",
        "mounts" => "instead mounts",
        "devices" => "instead devices",
        "network" if stopped.shares("network") => return None,
        "network" => "instead network",
        "oom" => "instead oom",
        "scheduler" => "instead scheduler",
        "ioprio" => "instead ioprio",
        _ => return None,
    };
    Some(words(key, &[]))
}

/// A capability counts nowhere but in the user namespace of the process and those below, whichever set it is in.
fn elsewhere(stopped: &Stopped, need: &Need) -> Option<Cause> {
    let spec = stopped.confinement.spec;
    if matches!(need.scope, "own" | "file" | "process") || stopped.shares("user") {
        return None;
    }
    // The process may have made a user namespace of its own.
    spec::namespace(&spec.linux, &NamespaceKind::User)?;
    let place = namespaces::pointer(spec, &NamespaceKind::User);
    let values = [stopped.name, need.capability, need.scope];
    if need.scope == "machine" {
        return Some(cause(By::Namespace, "machine", place, &values));
    }
    stopped.shares(need.scope).then(|| cause(By::Namespace, "namespace of the host", "/linux/namespaces", &values))
}

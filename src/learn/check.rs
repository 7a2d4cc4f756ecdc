//! What the task of a lesson is checked by: predicates over what a container really did. May touch: text.
//!
//! ```text
//!   status 0                   the program ended with this status
//!   says WORDS                 what the program said holds these words
//!   lacks WORDS                it does not hold them
//!   line WORDS                 one of its lines is this
//!   own pid                    the container's namespace of this kind is new, as `inspect` has it
//!   plan /linux/seccomp        a line of the plan comes from this place in the configuration
//!   trace CALL WORD...         a call of the trace has all these words, and the kernel did it
//!   refused CALL WORD...       the same, and the kernel refused it
//!   inspect POINTER VALUE      what `inspect --format json` has at this place
//! ```

use serde_json::Value;

/// What is known of the container that was run.
#[derive(Default)]
pub struct Facts {
    pub status: i32,
    pub said: String,
    /// `kind:[number]` of each namespace of the command that checks.
    pub namespaces: String,
    pub plan: String,
    /// As strace shows it.
    pub trace: String,
    /// What `inspect --format json` tells of the container before its program starts.
    pub inspect: Value,
}

/// Whether a check is of this kind: then its fact is needed.
pub fn asks(wanted: &str, kinds: &[&str]) -> bool {
    kinds.contains(&wanted.split(' ').next().unwrap_or(""))
}

/// Whether it is true. `None`: it is no check.
pub fn holds(wanted: &str, facts: &Facts) -> Option<bool> {
    let (kind, rest) = wanted.split_once(' ')?;
    Some(match kind {
        "status" => rest.parse() == Ok(facts.status),
        "says" => facts.said.contains(rest),
        "lacks" => !facts.said.contains(rest),
        "line" => facts.said.lines().any(|line| line.trim() == rest),
        "own" => own(rest, facts),
        "plan" => facts.plan.contains(&format!("[{rest}]")),
        "trace" => called(rest, false, facts),
        "refused" => called(rest, true, facts),
        "inspect" => {
            let (pointer, value) = rest.split_once(' ')?;
            serde_json::from_str(value).ok().as_ref() == facts.inspect.pointer(pointer)
        }
        _ => return None,
    })
}

/// Before its program starts, an ordinary user may not look at a container's namespaces. Then it counts what the program says.
fn own(kind: &str, facts: &Facts) -> bool {
    let all = facts.inspect.get("namespaces").and_then(Value::as_array);
    let is = |one: &&Value| one.get("kind").and_then(Value::as_str) == Some(kind);
    if let Some(one) = all.and_then(|all| all.iter().find(is)) {
        return one.get("sharing").and_then(Value::as_str) == Some("own");
    }
    let name = match kind {
        "network" => "net",
        "mount" => "mnt",
        other => other,
    };
    let is = |word: &&str| word.strip_prefix(name).is_some_and(|rest| rest.starts_with(":["));
    let (mine, its) = (facts.namespaces.split(' ').find(is), facts.said.split_whitespace().find(is));
    mine.is_some() && its.is_some() && mine != its
}

/// A line of the trace has the call and all the words.
fn called(words: &str, refused: bool, facts: &Facts) -> bool {
    let mut words = words.split(' ');
    let call = words.next().unwrap_or("");
    let words: Vec<&str> = words.collect();
    let name = |line: &str| line.split('(').next().and_then(|head| head.split(' ').next_back()).unwrap_or("") == call;
    let is_call = |line: &&str| name(line) && words.iter().all(|word| line.contains(word));
    facts.trace.lines().filter(is_call).any(|line| line.contains(" = -1 ") == refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_check_can_fail() {
        let facts = Facts {
            status: 3,
            said: "read /x: 1\n  user:[2]\n  net:[2] ipc:[1]\n".into(),
            namespaces: "user:[1] net:[1] ipc:[1]".into(),
            plan: "mount  [/mounts/0]\n".into(),
            trace: "mount(\"/\", MS_SLAVE) = 0\nmknodat(3) = -1 EPERM (Operation not permitted)\n".into(),
            inspect: serde_json::json!({"a": {"b": true}, "namespaces": [
                {"kind": "pid", "sharing": "own"}, {"kind": "user", "sharing": "host"}]}),
        };
        for (wanted, holds_here) in [
            ("status 3", Some(true)),
            ("status 0", Some(false)),
            ("says /x: 1", Some(true)),
            ("says /y", Some(false)),
            ("lacks /y", Some(true)),
            ("lacks /x", Some(false)),
            ("line read /x: 1", Some(true)),
            ("line read /x:", Some(false)),
            ("own pid", Some(true)),
            ("own user", Some(false)),
            ("own network", Some(true)),
            ("own ipc", Some(false)),
            ("own uts", Some(false)),
            ("plan /mounts/0", Some(true)),
            ("plan /mounts", Some(false)),
            ("trace mount MS_SLAVE", Some(true)),
            ("trace mount MS_SHARED", Some(false)),
            ("trace mknodat", Some(false)),
            ("refused mknodat EPERM", Some(true)),
            ("refused mount", Some(false)),
            ("inspect /a/b true", Some(true)),
            ("inspect /a/c true", Some(false)),
            ("inspect /a/b", None),
            ("unknown x", None),
            ("", None),
        ] {
            assert_eq!(holds(wanted, &facts), holds_here, "{wanted}");
        }
        assert!(asks("plan /x", &["trace", "plan"]) && !asks("says plan", &["plan"]));
    }
}

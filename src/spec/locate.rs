//! When a document does not fit the types: finding the place that does not, by a second look at it as plain JSON.
//! May touch: serde_json.

use super::Problem;
use alloc::format;
use alloc::string::{String, ToString};
use core::str::Utf8Error;
use serde_json::Value;

/// What may stand at a place.
#[derive(Clone, Copy, PartialEq)]
enum Type {
    Text,
    Bool,
    /// A whole number from .. to.
    Number(i64, u64),
    List,
    Object,
}
use Type::*;

const U32: Type = Number(0, u32::MAX as u64);
const U64: Type = Number(0, u64::MAX);
const I32: Type = Number(i32::MIN as i64, i32::MAX as u64);
const I64: Type = Number(i64::MIN, i64::MAX as u64);

/// The places that are read, and their types. `*` is any entry of a list or key of an object.
const TYPES: &[(&str, Type)] = &[
    ("", Object),
    ("/ociVersion", Text),
    ("/hostname", Text),
    ("/domainname", Text),
    ("/annotations", Object),
    ("/annotations/*", Text),
    ("/root", Object),
    ("/root/path", Text),
    ("/root/readonly", Bool),
    ("/mounts", List),
    ("/mounts/*", Object),
    ("/mounts/*/destination", Text),
    ("/mounts/*/type", Text),
    ("/mounts/*/source", Text),
    ("/mounts/*/options", List),
    ("/mounts/*/options/*", Text),
    ("/process", Object),
    ("/process/terminal", Bool),
    ("/process/consoleSize", Object),
    ("/process/consoleSize/height", Number(0, u16::MAX as u64)),
    ("/process/consoleSize/width", Number(0, u16::MAX as u64)),
    ("/process/cwd", Text),
    ("/process/noNewPrivileges", Bool),
    ("/process/args", List),
    ("/process/args/*", Text),
    ("/process/env", List),
    ("/process/env/*", Text),
    ("/process/user", Object),
    ("/process/user/uid", U32),
    ("/process/user/gid", U32),
    ("/process/user/umask", U32),
    ("/process/user/additionalGids", List),
    ("/process/user/additionalGids/*", U32),
    ("/process/capabilities", Object),
    ("/process/capabilities/*", List),
    ("/process/capabilities/*/*", Text),
    ("/process/rlimits", List),
    ("/process/rlimits/*", Object),
    ("/process/rlimits/*/type", Text),
    ("/process/rlimits/*/hard", U64),
    ("/process/rlimits/*/soft", U64),
    ("/process/apparmorProfile", Text),
    ("/process/selinuxLabel", Text),
    ("/process/oomScoreAdj", I64),
    ("/process/scheduler", Object),
    ("/process/scheduler/policy", Text),
    ("/process/scheduler/nice", I32),
    ("/process/scheduler/priority", I32),
    ("/process/scheduler/flags", List),
    ("/process/scheduler/flags/*", Text),
    ("/process/scheduler/runtime", U64),
    ("/process/scheduler/deadline", U64),
    ("/process/scheduler/period", U64),
    ("/process/ioPriority", Object),
    ("/process/ioPriority/class", Text),
    ("/process/ioPriority/priority", I64),
    ("/hooks", Object),
    ("/hooks/*", List),
    ("/hooks/*/*", Object),
    ("/hooks/*/*/path", Text),
    ("/hooks/*/*/args", List),
    ("/hooks/*/*/args/*", Text),
    ("/hooks/*/*/env", List),
    ("/hooks/*/*/env/*", Text),
    ("/hooks/*/*/timeout", I64),
    ("/mounts/*/uidMappings", List),
    ("/mounts/*/uidMappings/*", Object),
    ("/mounts/*/uidMappings/*/*", U32),
    ("/mounts/*/gidMappings", List),
    ("/mounts/*/gidMappings/*", Object),
    ("/mounts/*/gidMappings/*/*", U32),
    ("/linux", Object),
    ("/linux/uidMappings", List),
    ("/linux/uidMappings/*", Object),
    ("/linux/uidMappings/*/*", U32),
    ("/linux/gidMappings", List),
    ("/linux/gidMappings/*", Object),
    ("/linux/gidMappings/*/*", U32),
    ("/linux/namespaces/*/path", Text),
    ("/linux/timeOffsets", Object),
    ("/linux/timeOffsets/*", Object),
    ("/linux/timeOffsets/*/secs", I64),
    ("/linux/timeOffsets/*/nanosecs", U32),
    ("/linux/sysctl", Object),
    ("/linux/sysctl/*", Text),
    ("/linux/seccomp", Object),
    ("/linux/seccomp/defaultAction", Text),
    ("/linux/seccomp/defaultErrnoRet", U32),
    ("/linux/seccomp/architectures", List),
    ("/linux/seccomp/architectures/*", Text),
    ("/linux/seccomp/flags", List),
    ("/linux/seccomp/flags/*", Text),
    ("/linux/seccomp/listenerPath", Text),
    ("/linux/seccomp/listenerMetadata", Text),
    ("/linux/seccomp/syscalls", List),
    ("/linux/seccomp/syscalls/*", Object),
    ("/linux/seccomp/syscalls/*/names", List),
    ("/linux/seccomp/syscalls/*/names/*", Text),
    ("/linux/seccomp/syscalls/*/action", Text),
    ("/linux/seccomp/syscalls/*/errnoRet", U32),
    ("/linux/seccomp/syscalls/*/args", List),
    ("/linux/seccomp/syscalls/*/args/*", Object),
    ("/linux/seccomp/syscalls/*/args/*/index", U32),
    ("/linux/seccomp/syscalls/*/args/*/value", U64),
    ("/linux/seccomp/syscalls/*/args/*/valueTwo", U64),
    ("/linux/seccomp/syscalls/*/args/*/op", Text),
    ("/linux/rootfsPropagation", Text),
    ("/linux/mountLabel", Text),
    ("/linux/personality", Object),
    ("/linux/personality/domain", Text),
    ("/linux/personality/flags", List),
    ("/linux/personality/flags/*", Text),
    ("/linux/memoryPolicy", Object),
    ("/linux/memoryPolicy/mode", Text),
    ("/linux/memoryPolicy/nodes", Text),
    ("/linux/memoryPolicy/flags", List),
    ("/linux/memoryPolicy/flags/*", Text),
    ("/linux/intelRdt", Object),
    ("/linux/intelRdt/closID", Text),
    ("/linux/intelRdt/schemata", List),
    ("/linux/intelRdt/schemata/*", Text),
    ("/linux/intelRdt/l3CacheSchema", Text),
    ("/linux/intelRdt/memBwSchema", Text),
    ("/linux/intelRdt/enableMonitoring", Bool),
    ("/linux/cgroupsPath", Text),
    ("/linux/namespaces", List),
    ("/linux/namespaces/*", Object),
    ("/linux/namespaces/*/type", Text),
    ("/linux/maskedPaths", List),
    ("/linux/maskedPaths/*", Text),
    ("/linux/readonlyPaths", List),
    ("/linux/readonlyPaths/*", Text),
    ("/linux/devices", List),
    ("/linux/devices/*", Object),
    ("/linux/devices/*/type", Text),
    ("/linux/devices/*/path", Text),
    ("/linux/devices/*/major", I64),
    ("/linux/devices/*/minor", I64),
    ("/linux/devices/*/fileMode", U32),
    ("/linux/devices/*/uid", U32),
    ("/linux/devices/*/gid", U32),
    ("/linux/netDevices", Object),
    ("/linux/netDevices/*", Object),
    ("/linux/netDevices/*/name", Text),
    ("/linux/resources", Object),
    ("/linux/resources/devices", List),
    ("/linux/resources/devices/*", Object),
    ("/linux/resources/devices/*/allow", Bool),
    ("/linux/resources/devices/*/type", Text),
    ("/linux/resources/devices/*/access", Text),
    ("/linux/resources/devices/*/major", I64),
    ("/linux/resources/devices/*/minor", I64),
];

/// Reads the document once more, for the place that was wrong.
pub fn second_look(text: &str, error: &serde_json::Error) -> Problem {
    // The sentence ends with the place; it stands in front here.
    let sentence = error.to_string();
    let sentence = sentence.split(" at line ").next().unwrap_or("");
    let problem = format!(
        "line {} column {}: {sentence}",
        error.line(),
        error.column()
    );
    let somewhere = Problem {
        pointer: String::new(),
        problem,
    };
    match serde_json::from_str::<Value>(text) {
        Ok(value) => wrong(&value, "").unwrap_or(somewhere),
        Err(_) => somewhere,
    }
}

/// A document that is not UTF-8, which JSON is.
pub fn no_text(text: &[u8], error: &Utf8Error) -> Problem {
    let good = text.get(..error.valid_up_to()).unwrap_or_default();
    let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
    let column = 1 + good.iter().rev().take_while(|byte| **byte != b'\n').count();
    Problem {
        pointer: String::new(),
        problem: format!("line {line} column {column}: is not UTF-8"),
    }
}

/// The first value, from outside in, that is not of its place's type.
fn wrong(value: &Value, pointer: &str) -> Option<Problem> {
    let expected = TYPES
        .iter()
        .find(|(pattern, _)| matches(pattern, pointer))
        .map(|(_, expected)| *expected);
    if let Some(expected) = expected
        && let Some(problem) = misfit(value, expected)
    {
        return Some(Problem {
            pointer: pointer.into(),
            problem,
        });
    }
    match value {
        Value::Object(map) => map.iter().find_map(|(key, inner)| {
            wrong(
                inner,
                &format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")),
            )
        }),
        Value::Array(list) => list
            .iter()
            .enumerate()
            .find_map(|(i, inner)| wrong(inner, &format!("{pointer}/{i}"))),
        _ => None,
    }
}

fn matches(pattern: &str, pointer: &str) -> bool {
    let (mut patterns, mut parts) = (pattern.split('/'), pointer.split('/'));
    loop {
        match (patterns.next(), parts.next()) {
            (None, None) => return true,
            (Some(p), Some(part)) if p == "*" || p == part => {}
            _ => return false,
        }
    }
}

/// What is wrong with a value, if it is.
fn misfit(value: &Value, expected: Type) -> Option<String> {
    let is = match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    let must = match (expected, value) {
        (Text, Value::String(_))
        | (Bool, Value::Bool(_))
        | (List, Value::Array(_))
        | (Object, Value::Object(_)) => return None,
        (Number(from, to), Value::Number(n)) => {
            let fits = n.as_u64().is_some_and(|n| n <= to)
                || n.as_i64().is_some_and(|n| n < 0 && n >= from);
            return if fits {
                None
            } else {
                // Fractions are not shown: printing them would take ten kilobytes of program.
                let shown = match (n.as_u64(), n.as_i64()) {
                    (Some(n), _) => format!("is {n}"),
                    (_, Some(n)) => format!("is {n}"),
                    _ => String::from("is no whole number, or too large a one"),
                };
                Some(format!(
                    "{shown}, must be a whole number from {from} to {to}"
                ))
            };
        }
        (Text, _) => "a string",
        (Bool, _) => "true or false",
        (Number(..), _) => "a number",
        (List, _) => "a list",
        (Object, _) => "an object",
    };
    Some(format!("is {is}, must be {must}"))
}

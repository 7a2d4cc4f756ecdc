//! Configuration against configuration. A list that is a set is compared by the names of its members: mounts by their
//! destinations, devices by their paths, variables by their names, system calls by theirs. May touch: text.

use crate::sorted;
use crate::spec::Value;

/// A difference.
pub struct Change {
    /// Its place, where members of lists have their names: `/mounts/=~1dev~1shm/source`.
    pub key: String,
    /// The value's pointer on each side. None: that side has no such value.
    pub at: [Option<String>; 2],
    /// The member of a list that is a set. Empty: `at` has all of the place.
    pub member: String,
    /// The value on each side, as text. That of a member of a plain set is empty.
    pub values: [Option<String>; 2],
}

#[derive(Default)]
pub struct Changes {
    pub all: Vec<Change>,
    /// The pointers of the members of lists on each side, and their places by name.
    names: [Vec<(String, String)>; 2],
}

/// A member of a list: its name, its number, and what it holds: an object, or else a text.
struct Member<'a> {
    name: String,
    number: usize,
    object: Option<&'a Value>,
    text: String,
}

/// All differences, in the order of their places.
pub fn changes(sides: [&Value; 2]) -> Changes {
    let mut changes = Changes::default();
    changes.values("", ["", ""], sides.map(Some));
    for names in &mut changes.names {
        sorted::sort(names);
    }
    changes
}

impl Changes {
    /// The place that a pointer names on this side.
    pub fn key(&self, side: usize, pointer: &str) -> String {
        let names = &self.names[side];
        let mut end = pointer.len();
        loop {
            let found = names.binary_search_by(|(at, _)| at.as_str().cmp(&pointer[..end]));
            if let Ok(found) = found {
                return format!("{}{}", names[found].1, &pointer[end..]);
            }
            match pointer[..end].rfind('/') {
                Some(shorter) => end = shorter,
                None => return pointer.into(),
            }
        }
    }

    fn values(&mut self, key: &str, at: [&str; 2], values: [Option<&Value>; 2]) {
        if values.iter().flatten().any(|value| value.is_object()) {
            return self.objects(key, at, values);
        }
        if values.iter().flatten().any(|value| value.is_array()) && !is_in_order(key) {
            return self.lists(key, at, values);
        }
        // A value that says no more than its absence is no difference: some writers leave it out.
        let said = values.map(|value| value.filter(|value| !says_nothing(value)));
        if said[0] != said[1] {
            let place = |side: usize| values[side].map(|_| at[side].to_string());
            let values = values.map(|value| value.map(text));
            self.all.push(Change { key: key.into(), at: [place(0), place(1)], member: String::new(), values });
        }
    }

    fn objects(&mut self, key: &str, at: [&str; 2], values: [Option<&Value>; 2]) {
        let objects = values.map(|value| value.and_then(Value::as_object));
        let keys = |side: usize| objects[side].into_iter().flat_map(|object| object.keys());
        let only_second = keys(1).filter(|name| objects[0].is_none_or(|object| !object.contains_key(*name)));
        for name in keys(0).chain(only_second) {
            let part = escaped(name);
            let below = at.map(|at| format!("{at}/{part}"));
            let values = objects.map(|object| object.and_then(|object| object.get(name)));
            self.values(&format!("{key}/{part}"), [&below[0], &below[1]], values);
        }
    }

    fn lists(&mut self, key: &str, at: [&str; 2], values: [Option<&Value>; 2]) {
        let [first, second] = values.map(|value| members(key, value));
        for (side, members) in [&first, &second].into_iter().enumerate() {
            let place = |member: &Member| (format!("{}/{}", at[side], member.number), below(key, &member.name));
            self.names[side].extend(members.iter().map(place));
        }
        let (mut first, mut second) = (first.iter().peekable(), second.iter().peekable());
        loop {
            let name = match (first.peek(), second.peek()) {
                (None, None) => break,
                (Some(one), None) | (None, Some(one)) => &one.name,
                (Some(one), Some(other)) => core::cmp::min(&one.name, &other.name),
            };
            let pair = [first.next_if(|one| one.name == *name), second.next_if(|one| one.name == *name)];
            self.members(&below(key, name), at, name, pair);
        }
    }

    fn members(&mut self, key: &str, at: [&str; 2], name: &str, pair: [Option<&Member>; 2]) {
        let place = |side: usize| pair[side].map(|member| format!("{}/{}", at[side], member.number));
        let places = [place(0), place(1)];
        if let [Some(one), Some(other)] = pair.map(|member| member.and_then(|member| member.object)) {
            let at = [0, 1].map(|side: usize| places[side].as_deref().unwrap_or(""));
            return self.values(key, at, [Some(one), Some(other)]);
        }
        let values = pair.map(|member| member.map(|member| member.text.clone()));
        if values[0] != values[1] {
            self.all.push(Change { key: key.into(), at: places, member: name.into(), values });
        }
    }
}

/// A part of a pointer (RFC 6901).
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The place of a member of a list.
fn below(key: &str, name: &str) -> String {
    format!("{key}/={}", escaped(name))
}

fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Number(number) => number.as_u64() == Some(0),
        _ => false,
    }
}

/// Whether the order counts in a list: its members are the words of one line.
fn is_in_order(key: &str) -> bool {
    key.ends_with("/args")
}

/// What names the members of a list. None: all that they hold.
fn named_by(key: &str) -> Option<&'static str> {
    match key.rsplit('/').next().unwrap_or("") {
        "mounts" => Some("destination"),
        "namespaces" | "rlimits" => Some("type"),
        "hugepageLimits" => Some("pageSize"),
        "uidMappings" | "gidMappings" => Some("containerID"),
        "devices" if key == "/linux/devices" => Some("path"),
        _ if key.starts_with("/hooks/") => Some("path"),
        _ => None,
    }
}

/// The members of a list in the order of their names. Objects of one name get numbers; other members of one name are one.
fn members<'a>(key: &str, value: Option<&'a Value>) -> Vec<Member<'a>> {
    let list = value.and_then(Value::as_array).map_or(&[][..], |list| list);
    let mut found: Vec<Member> = match key {
        "/linux/seccomp/syscalls" => list.iter().enumerate().flat_map(rules).collect(),
        _ => list.iter().enumerate().map(|(number, value)| member(key, number, value)).collect(),
    };
    sorted::by(&mut found, |a, b| (&a.name, a.number) < (&b.name, b.number));
    let mut all: Vec<Member> = Vec::with_capacity(found.len());
    let (mut name, mut times) = (String::new(), 1);
    for mut member in found {
        times = if member.name == name { times + 1 } else { 1 };
        name.clone_from(&member.name);
        match all.last_mut().filter(|_| times > 1) {
            None => all.push(member),
            Some(_) if member.object.is_some() => {
                member.name.push_str(&format!(" #{times}"));
                all.push(member);
            }
            Some(before) if before.text == member.text => {}
            Some(before) => before.text.push_str(&format!("; {}", member.text)),
        }
    }
    all
}

fn member<'a>(key: &str, number: usize, value: &'a Value) -> Member<'a> {
    let (name, object, held) = match (named_by(key), value.as_str().and_then(|text| text.split_once('='))) {
        (Some(by), _) => (field(value, by), Some(value), text(value)),
        (None, Some((name, held))) if key.ends_with("/env") => (name.into(), None, held.into()),
        _ if key == "/linux/resources/devices" => (device_rule(value), None, String::new()),
        _ => (text(value), None, String::new()),
    };
    Member { name, number, object: object.filter(|value| value.is_object()), text: held }
}

/// A rule about devices, as the kernel's list of them has it (cgroup v1, devices.list): `allow c 1:3 rwm`.
fn device_rule(rule: &Value) -> String {
    let or = |name, all: &str| match field(rule, name) {
        none if none.is_empty() => all.to_string(),
        text => text,
    };
    let does = if rule.get("allow") == Some(&Value::Bool(true)) { "allow" } else { "deny" };
    format!("{does} {} {}:{} {}", or("type", "a"), or("major", "*"), or("minor", "*"), or("access", "rwm"))
}

/// A rule of a seccomp profile, as a member for each of its calls.
fn rules<'a>((number, rule): (usize, &'a Value)) -> Vec<Member<'a>> {
    let mut does = field(rule, "action");
    if let Some(errno) = rule.get("errnoRet") {
        does.push_str(&format!(" with errno {errno}"));
    }
    for (i, arg) in rule.get("args").and_then(Value::as_array).into_iter().flatten().enumerate() {
        let [index, op, value, second] = ["index", "op", "value", "valueTwo"].map(|name| field(arg, name));
        let joined = if i == 0 { "if" } else { "and" };
        let op = op.trim_start_matches("SCMP_CMP_");
        does.push_str(&format!(" {joined} argument {index} {op} {value}"));
        if op == "MASKED_EQ" {
            does.push_str(&format!(" is {}", if second.is_empty() { "0" } else { &second }));
        }
    }
    let names = rule.get("names").and_then(Value::as_array).into_iter().flatten();
    names.map(|name| Member { name: text(name), number, object: None, text: does.clone() }).collect()
}

fn field(value: &Value, name: &str) -> String {
    value.get(name).map_or(String::new(), text)
}

/// A value as people read it: a text without quotes, a list of texts as words, all else as JSON.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) if list.iter().all(Value::is_string) => list.iter().map(text).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

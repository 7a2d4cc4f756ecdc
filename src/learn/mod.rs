//! The course: what each lesson says, the bundle that it begins with, what its task is checked by, and its solution. A
//! lesson is a folder of `bundles`. `edit.rs` changes a configuration by JSON pointers, `check.rs` judges what a container
//! did. May touch: text.
//!
//! ```text
//!   # Mounts and propagation      the title
//!   needs: root                   what the lesson cannot do without: root, cgroup, pids (the cgroups' controller)
//!   how: exec                     how the container is run, if not by `run`: exec, or vm
//!
//!   In the end ...                the end state first, then a few lines
//!
//!   == look                       commands to type; {dir} is the learner's bundle, {id} the container
//!   == task                       one thing to change
//!   == check says hello           what must be true of the container, a section each (`check.rs` has the words), and
//!   The program has not ...       what is said where it is not
//!   == passed                     what is said when all of it is true
//!   == solution                   why, and the changes: `set POINTER VALUE`, `remove POINTER`
//!   == solution without root      an ordinary user's, where that is another
//! ```

pub mod check;
pub mod edit;

use alloc::borrow::Cow;

pub struct Lesson {
    pub name: &'static str,
    text: &'static str,
    pub config: &'static str,
    /// Files of the bundle besides config.json. The first is what the task changes, where it is `how: exec`.
    pub files: &'static [(&'static str, &'static str)],
}

macro_rules! lesson {
    ($name:literal $(, $file:literal)*) => {
        Lesson {
            name: $name,
            text: include_str!(concat!("../../bundles/", $name, "/lesson.txt")),
            config: include_str!(concat!("../../bundles/", $name, "/config.json")),
            files: &[$(($file, include_str!(concat!("../../bundles/", $name, "/", $file)))),*],
        }
    };
}

/// All lessons, in their order.
pub const LESSONS: &[Lesson] = &[
    Lesson { name: "demo", text: include_str!("demo.txt"), config: "", files: &[] },
    lesson!("hello"),
    lesson!("processes"),
    lesson!("mounts"),
    lesson!("uts"),
    lesson!("network"),
    lesson!("users"),
    lesson!("cgroup"),
    lesson!("capabilities"),
    lesson!("seccomp"),
    lesson!("hooks"),
    lesson!("exec", "process.json"),
    lesson!("idmap", "files/note"),
    lesson!("initramfs"),
    lesson!("escape-sysctl"),
    lesson!("escape-disk"),
    lesson!("escape-process"),
];

/// What a lesson does to run its container.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    Demo,
    Run,
    Exec,
    Vm,
}

/// A thing that must be true, and what is said where it is not.
#[derive(Clone, Copy)]
pub struct Check {
    pub wanted: &'static str,
    pub otherwise: &'static str,
}

pub fn find(name: &str) -> Option<(usize, &'static Lesson)> {
    LESSONS.iter().enumerate().find(|(number, lesson)| lesson.name == name || number.to_string() == name)
}

impl Lesson {
    fn sections(&self) -> impl Iterator<Item = &'static str> {
        self.text.trim_end().split("\n\n== ")
    }

    /// The title and the keys.
    fn head(&self) -> &'static str {
        self.text.split("\n\n").next().unwrap_or("")
    }

    fn key(&self, key: &str) -> Option<&'static str> {
        self.head().lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "))
    }

    pub fn title(&self) -> &'static str {
        self.head().lines().next().unwrap_or("").trim_start_matches("# ")
    }

    pub fn needs(&self, what: &str) -> bool {
        self.key("needs").is_some_and(|needs| needs.split(", ").any(|need| need == what))
    }

    pub fn how(&self) -> How {
        match self.key("how") {
            Some("demo") => How::Demo,
            Some("exec") => How::Exec,
            Some("vm") => How::Vm,
            _ => How::Run,
        }
    }

    /// The end state, and what the lesson is about.
    pub fn about(&self) -> &'static str {
        let first = self.sections().next().unwrap_or("");
        first.split_once("\n\n").map_or("", |(_, about)| about)
    }

    /// A section by its name.
    pub fn section(&self, name: &str) -> Option<&'static str> {
        self.sections().skip(1).find_map(|section| section.strip_prefix(name)?.strip_prefix('\n'))
    }

    pub fn checks(&self) -> Vec<Check> {
        let checks = self.sections().skip(1).filter_map(|section| section.strip_prefix("check "));
        let parts = checks.filter_map(|check| check.split_once('\n'));
        parts.map(|(wanted, otherwise)| Check { wanted, otherwise }).collect()
    }

    /// The file that the task changes, as the lesson has it.
    pub fn begins_with(&self) -> (&'static str, &'static str) {
        match (self.how(), self.files.first()) {
            (How::Exec, Some(file)) => *file,
            _ => ("config.json", self.config),
        }
    }

    /// The solution: why, and the changes. An ordinary user's can be another.
    pub fn solution(&self, rootless: bool) -> (&'static str, Vec<edit::Edit>) {
        let other = self.section("solution without root").filter(|_| rootless);
        let text = other.or_else(|| self.section("solution")).unwrap_or("");
        match text.split_once("\n\n") {
            Some((why, edits)) => (why, edit::read(edits)),
            None => (text, Vec::new()),
        }
    }
}

/// A configuration for an ordinary user: in a user namespace of its own, where this user is root, and without what only
/// the machine's root may do.
pub fn rootless(config: &str, uid: u32, gid: u32) -> Option<String> {
    let mut text = String::from(config);
    let mapping = |id: u32| format!("[{{ \"containerID\": 0, \"hostID\": {id}, \"size\": 1 }}]");
    text = edit::set(&text, "/linux/uidMappings", &mapping(uid))?;
    text = edit::set(&text, "/linux/gidMappings", &mapping(gid))?;
    text = edit::set(&text, "/linux/namespaces/-", "{\"type\": \"user\"}")?;
    text = edit::remove(&text, "/linux/resources").unwrap_or(text);
    // Where only one group is mapped, no terminal can belong to another group.
    for mount in 0..edit::count(&text, "/mounts") {
        let options = format!("/mounts/{mount}/options");
        let is_group = |i: &usize| edit::get(&text, &format!("{options}/{i}")) == Some("\"gid=5\"");
        let found = (0..edit::count(&text, &options)).find(is_group);
        if let Some(i) = found {
            text = edit::remove(&text, &format!("{options}/{i}"))?;
        }
    }
    Some(text)
}

/// A text of a lesson with the names of the learner's bundle and container in it.
pub fn filled<'a>(text: &'a str, dir: &str, id: &str) -> Cow<'a, str> {
    match text.contains('{') {
        true => text.replace("{dir}", dir).replace("{id}", id).into(),
        false => text.into(),
    }
}

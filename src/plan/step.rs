//! The steps of a container's life: their names, and the headings of listing and trace. May touch: nothing.

/// The steps of a container's life that head the listing and the trace, in the order of the OCI runtime
/// specification's "Lifecycle".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum Step {
    Command,
    State,
    Sources,
    Cgroup,
    Namespaces,
    Process,
    Root,
    Mounts,
    Devices,
    Pivot,
    Hooks,
    Paths,
    Identity,
    Privileges,
    Start,
    Program,
    Wait,
    Stop,
    Delete,
    Look,
    Exec,
}

impl Step {
    pub const ALL: [Step; 21] = [
        Step::Command,
        Step::State,
        Step::Sources,
        Step::Cgroup,
        Step::Namespaces,
        Step::Process,
        Step::Root,
        Step::Mounts,
        Step::Devices,
        Step::Pivot,
        Step::Hooks,
        Step::Paths,
        Step::Identity,
        Step::Privileges,
        Step::Start,
        Step::Program,
        Step::Wait,
        Step::Stop,
        Step::Delete,
        Step::Look,
        Step::Exec,
    ];

    /// Its name in JSON, and its heading: the number is that of the lifecycle in runtime.md.
    pub fn text(self) -> (&'static str, &'static str) {
        match self {
            Step::Command => ("command", "before the lifecycle: the command, the bundle"),
            Step::State => ("state", "lifecycle 1, create: the container's state and its recorder"),
            Step::Sources => ("sources", "lifecycle 2, create: what of the host is needed inside"),
            Step::Cgroup => ("cgroup", "lifecycle 2, create: the cgroup"),
            Step::Namespaces => ("namespaces", "lifecycle 2, create: the namespaces"),
            Step::Process => ("process", "lifecycle 2, create: the process's limits and session"),
            Step::Root => ("root", "lifecycle 2, create: the root file system"),
            Step::Mounts => ("mounts", "lifecycle 2, create: the mounts"),
            Step::Devices => ("devices", "lifecycle 2, create: the devices"),
            Step::Pivot => ("pivot", "lifecycle 2, create: the switch of root"),
            Step::Hooks => ("hooks", "lifecycle 3 to 5, 7, 9 and 13, hooks"),
            Step::Paths => ("paths", "lifecycle 2, create: masked and read-only paths"),
            Step::Identity => ("identity", "lifecycle 2, create: names, network, settings"),
            Step::Privileges => ("privileges", "lifecycle 2, create: user, capabilities, program"),
            Step::Start => ("start", "lifecycle 6, start"),
            Step::Program => ("program", "lifecycle 8, the program runs"),
            Step::Wait => ("wait", "lifecycle 10, the program ends"),
            Step::Stop => ("stop", "a signal is sent"),
            Step::Delete => ("delete", "lifecycle 11 and 12, delete"),
            Step::Look => ("look", "looking, without changing anything"),
            Step::Exec => ("exec", "exec: one more process in the container"),
        }
    }

    /// The step of a record, or of any number.
    pub fn of(number: u16) -> Step {
        Step::ALL.get(number as usize).copied().unwrap_or(Step::Command)
    }
}

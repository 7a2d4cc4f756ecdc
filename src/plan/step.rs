//! The steps of a container's life: their names in JSON, and the headings of listing and trace. May touch: nothing.

/// A row a step: the step, its name, its heading. The number in a heading is that of runtime.md, "Lifecycle".
macro_rules! steps {
    ($($step:ident $name:literal $heading:literal)+) => {
        /// The steps that head the listing and the trace, in the order of the OCI runtime specification's "Lifecycle".
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u16)]
        pub enum Step { $($step),+ }

        impl Step {
            pub const ALL: &[Step] = &[$(Step::$step),+];

            /// Its name in JSON, and its heading.
            pub fn text(self) -> (&'static str, &'static str) {
                match self { $(Step::$step => ($name, $heading)),+ }
            }
        }
    };
}

steps! {
    Command "command" "before the lifecycle: the command, the bundle"
    State "state" "lifecycle 1, create: the container's state and its recorder"
    Sources "sources" "lifecycle 2, create: what of the host is needed inside"
    Cgroup "cgroup" "lifecycle 2, create: the cgroup"
    Namespaces "namespaces" "lifecycle 2, create: the namespaces"
    Process "process" "lifecycle 2, create: the process's limits and session"
    Root "root" "lifecycle 2, create: the root file system"
    Mounts "mounts" "lifecycle 2, create: the mounts"
    Devices "devices" "lifecycle 2, create: the devices"
    Pivot "pivot" "lifecycle 2, create: the switch of root"
    Hooks "hooks" "lifecycle 3 to 5, 7, 9 and 13, hooks"
    Paths "paths" "lifecycle 2, create: masked and read-only paths"
    Identity "identity" "lifecycle 2, create: names, network, settings"
    Privileges "privileges" "lifecycle 2, create: user, capabilities, program"
    Start "start" "lifecycle 6, start"
    Program "program" "lifecycle 8, the program runs"
    Wait "wait" "lifecycle 10, the program ends"
    Stop "stop" "a signal is sent"
    Delete "delete" "lifecycle 11 and 12, delete"
    Look "look" "looking, without changing anything"
    Exec "exec" "exec: one more process in the container"
    Cause "cause" "looking for the cause of a failure"
}

impl Step {
    /// The step of a record, or of any number.
    pub fn of(number: u16) -> Step {
        Step::ALL.get(number as usize).copied().unwrap_or(Step::Command)
    }
}

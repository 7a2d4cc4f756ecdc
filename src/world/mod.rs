//! What calls make of the world: processes, namespaces, mounts, cgroups, rights, descriptors. It knows calls as words, so those
//! of a trace and those that strace wrote of any other program make the same world. May touch: serde, the list of capabilities.

mod change;
pub mod deed;
mod files;
mod groups;
mod lives;
pub mod milestones;
mod mounting;
mod mounts;
mod process;
mod rights;
mod state;
pub mod tree;
pub mod words;

pub use change::{Change, Kind, SETS};
pub use deed::Deed;
pub use mounts::Mount;
pub use process::{KINDS, MNT, Process};
pub use rights::{of_names, shown, shown_ids};
pub use state::World;
pub use tree::{rows, wrapped};

impl World {
    /// Takes the next call, and says what it has changed. A call that was refused changes nothing.
    pub fn take(&mut self, deed: &Deed) -> Vec<Change> {
        let mut out = Vec::new();
        self.meet(deed.pid, &mut out);
        let ends = ["exit", "exit_group"].contains(&deed.name);
        if deed.failed.is_some() && !ends {
            return out;
        }
        // These two do more than open a descriptor.
        let both = ["seccomp", "bpf"].contains(&deed.name);
        let known = lives::take(self, deed, &mut out)
            || files::take(self, deed, &mut out) && !both
            || mounting::take(self, deed, &mut out)
            || groups::take(self, deed, &mut out);
        if !known || both {
            self.change_rights(deed, &mut out);
        }
        out
    }

    fn change_rights(&mut self, deed: &Deed, out: &mut Vec<Change>) {
        // A limit can be that of another process.
        let other = deed.number(0).filter(|pid| deed.name == "prlimit64" && *pid > 0);
        let pid = other.map_or(deed.pid, |pid| pid as i32);
        let Some(process) = self.processes.get_mut(&pid) else { return };
        let before = process.rights.clone();
        if process.rights.take(deed) {
            out.extend(process.rights.changes(&before, pid));
        }
    }
}

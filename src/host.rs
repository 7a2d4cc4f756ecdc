//! What is here: facts of this machine and of the caller that a plan may depend on. Read once, then a value.
//! May touch: the auxiliary vector.

/// What the plan may know of the caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Host {
    /// The effective user id of the caller (getauxval(3), AT_EUID): no system call.
    pub uid: u32,
}

impl Host {
    pub fn probe() -> Host {
        Host {
            uid: syscalls::auxv(libc::AT_EUID) as u32,
        }
    }
}

//! The program's own calls: what the container's processes do after execve. May touch: everything from `say` and `look` down.
//!
//! ```text
//!   refused    which line of the configuration refused a call, what to change, and what that opens
//! ```

pub mod refused;

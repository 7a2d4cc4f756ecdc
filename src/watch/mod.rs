//! The program's own calls: what the container's processes do after execve. May touch: everything from `say` and `look` down.
//!
//! ```text
//!   engine     the watcher's loop: processes stop at their calls, and go on
//!   threads    which threads there are, and where each stands
//!   notes      the causes that were found, each once, in the records' file
//!   profile    what the program has used, as a seccomp section and as capabilities
//!   refused    which line of the configuration refused a call, what to change, and what that opens
//! ```

mod engine;
mod notes;
pub mod profile;
pub mod refused;
mod threads;

pub use engine::Engine;
pub use notes::refusals;

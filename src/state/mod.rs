//! What is remembered of a container: one directory each, in the state root. May touch: everything from `perform` down.
//!
//! ```text
//!   directory   the state root, ids, and the directory of a container, whose mkdir is the lock
//!   saved       the fields of its document
//!   document    state.json: read and written
//!   now         what the kernel says of the container
//!   removal     the end of the directory
//!   recorder    where the records of this command are kept
//!   traces      the records of containers, there or gone
//!   attempts    what a command that failed leaves beside its trace
//! ```

pub mod attempts;
mod directory;
pub mod document;
mod now;
pub mod recorder;
mod removal;
mod saved;
pub mod traces;

pub use directory::{
    ABSENT, check_id, ids, is_still_there, look_up, make_path, make_root, missing, open_listed, open_root, take,
    take_in,
};
pub use document::{
    Document, annotations, begun, document_listed, document_of, intend, is_there, load, load_whole, save,
};
pub use now::{Looks, Now, Status, load_now, look, now};
pub use removal::{CHANNEL, remove, remove_failed, remove_unfinished, strangers};
pub use saved::{Ending, New, Saved, Whole, new, planned, unknown, usual_cgroup};

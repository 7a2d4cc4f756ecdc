//! The frames that a host and a machine of its own speak over one stream of bytes: what runs in the machine, its input and
//! output, its signals and its end. CHANNEL.md beside this file is the description for other hosts. May touch: nothing.
//!
//! ```text
//!   wire     a header and a payload; the bytes that came in pieces, and those that wait to be written
//!   words    what the frames of each side say
//!   credit   how many bytes may be on their way
//! ```

mod credit;
mod wire;
mod words;

pub use credit::{Credit, Window};
pub use wire::{Damage, Incoming, LONGEST, Outgoing};
pub use words::{Begin, Hello, MACHINE, Stream, ToGuest, ToHost, VERSION};

//! The channel to a machine of its own, from the host's side (src/frames/CHANNEL.md says what is spoken).
//!
//! ```text
//!   link      a stream of frames; no call waits for it
//!   local     one session at this command's own standard descriptors, or kept
//!   console   what the machine's kernel says: its last lines
//!   clients   other commands, which `run` lets speak with the machine at STATE/ID/channel
//!   machine   `run`: boots, runs session 1, hands on signals, carries the clients' frames
//!   returned  the records that come out of the machine: its clock and lanes as the host shows them
//!   client    another command: what it asks the machine for
//! ```

pub mod client;
mod clients;
mod console;
mod link;
mod local;
pub mod machine;
mod returned;

//! What the program says: output, errors, what to try, and the log.

pub mod error;
pub mod hints;
pub mod log;
pub mod out;

//! What the program says: output, errors, what to try, the log, and what is told as it happens.

pub mod error;
pub mod hints;
pub mod log;
pub mod out;
pub mod shape;
pub mod tell;
mod tell_line;
mod tell_text;

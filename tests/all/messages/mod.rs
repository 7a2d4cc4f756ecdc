//! What the program says: help and listings, errors, warnings.

pub mod command_line;
pub mod explain;
pub mod listing;
pub mod manual;
pub mod said;
pub mod told;
pub mod warnings;

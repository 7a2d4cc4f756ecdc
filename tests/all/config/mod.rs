//! config.json as a document: its shape, what is refused, what is absent, and what the table of properties says of it.

pub mod absent;
pub mod corners;
pub mod large;
pub mod properties;
pub mod refusals;
pub mod shapes;

//! Plan against plan: which lines only one of them has, which differ, and what in the configuration makes the difference. What
//! matters most for the isolation of the container comes first. May touch: plans, text.
//!
//! ```text
//!   config    configuration against configuration
//!   lines     line against line; pairs: what is found again
//!   words     the words that differ within a line
//!   sections  what comes first (sections.txt)
//!   text      the page;  json: the document
//! ```

mod config;
mod json;
mod lines;
mod pairs;
mod sections;
mod text;
mod words;

pub use json::document;
pub use lines::compared;
pub use text::page;

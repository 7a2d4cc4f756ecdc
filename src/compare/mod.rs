//! Plan against plan, and trace against trace: what only one of them has, what differs, and what in the configuration makes the
//! difference. Of plans, what matters most for the isolation of the container comes first. May touch: plans, the views of traces.
//!
//! ```text
//!   pairs     what of one list is found again in the other
//!   config    configuration against configuration
//!   lines     line against line
//!   calls     call against call
//!   words     the words that differ within a line
//!   sections  what comes first (sections.txt)
//!   page      rows and colours
//!   text      plans as a page;  json: as a document
//!   calls_page   traces as a page, and as a document
//! ```

mod calls;
mod calls_page;
mod config;
mod json;
mod lines;
mod page;
mod pairs;
mod sections;
mod text;
mod words;

pub use calls::calls;
pub use calls_page::{document as document_of_calls, page as page_of_calls};
pub use json::document;
pub use lines::compared;
pub use text::page;

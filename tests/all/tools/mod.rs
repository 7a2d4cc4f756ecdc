//! What the cases share: bundles, a look at the host, terminals, machines, strace's listings, and the view that all run in.

pub mod bundle;
pub mod everything;
pub mod frames;
pub mod host;
pub mod machine;
pub mod needs;
pub mod real;
pub mod screen;
pub mod strace;
pub mod view;

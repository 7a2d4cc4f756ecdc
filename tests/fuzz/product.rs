//! The product's modules as a library, for the targets: the same files, so what is hunted is what is built.
#![allow(dead_code, unused_imports)]

extern crate alloc;

/// They know each other by names of the crate's root.
pub use product::*;

#[path = "../../src"]
mod product {
    pub mod cgroup;
    pub mod cli;
    pub mod dbus;
    pub mod error;
    pub mod hints;
    pub mod host;
    pub mod input;
    pub mod perform;
    pub mod plan;
    pub mod procfs;
    pub mod recorder;
    pub mod seal;
    pub mod spec;
    pub mod state;
    pub mod systemd;
    pub mod time;
    pub mod trace;
    pub mod traces;
}

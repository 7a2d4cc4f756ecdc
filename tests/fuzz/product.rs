//! The product's modules as a library, for the targets: the same files, so what is hunted is what is built.
#![allow(dead_code, unused_imports)]

extern crate alloc;

/// They know each other by names of the crate's root.
pub use product::*;

#[path = "../../src"]
mod product {
    pub mod cause;
    pub mod cli;
    pub mod draw;
    pub mod entry {
        pub mod seal;
    }
    pub mod explain;
    pub mod host;
    pub mod listing;
    pub mod netlink;
    pub mod outcome;
    pub mod packed;
    pub mod perform;
    pub mod plan;
    pub mod say;
    pub mod sorted;
    pub mod spec;
    pub mod state;
    pub mod trace;
    pub mod world;
}

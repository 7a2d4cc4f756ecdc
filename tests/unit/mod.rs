//! Tests of parts of the program, by their names in it. They need no container: `cargo test --bin nk-runtime` runs them. The
//! two compilers' tests use what is private in these, and are declared there.

mod command_line;
mod explain;
mod inspect;
mod learn;
mod listing;
mod marks;
mod milestones;
mod ops;
mod properties;
mod told;
mod world;

//! Tests of parts of the program, by their names in it. They need no container: `cargo test --bin nk-runtime` runs them.

mod command_line;
mod properties;

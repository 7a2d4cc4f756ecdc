//! The repository itself: who may use whom in the sources, the listings of its bundles, its papers, its installation
//! and packages.

pub mod architecture;
pub mod install;
pub mod lanes;
pub mod papers;
pub mod picture;
pub mod plans;
pub mod readme;
pub mod release;

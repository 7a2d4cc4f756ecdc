//! The container's cgroup: limits for its files, and its scope of systemd's. May touch: types.

pub mod limits;
pub mod scope;
mod weight;

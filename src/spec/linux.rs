//! What config-linux.md has beside namespaces, devices and resources: mappings, offsets, policies. May touch: serde.

use super::null_is_absent;
use alloc::string::String;
use alloc::vec::Vec;
use serde::Deserialize;

/// A range of ids: `size` of them, from `container_id` inside and `host_id` outside.
#[derive(Deserialize, Default, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(default)]
pub struct IdMapping {
    #[serde(rename = "containerID")]
    pub container_id: u32,
    #[serde(rename = "hostID")]
    pub host_id: u32,
    pub size: u32,
}

/// What is added to a clock inside.
#[derive(Deserialize, Default, Debug, Clone, Copy)]
#[serde(default)]
pub struct TimeOffset {
    pub secs: i64,
    pub nanosecs: u32,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub struct Scheduler {
    pub policy: String,
    pub nice: i32,
    pub priority: i32,
    #[serde(deserialize_with = "null_is_absent")]
    pub flags: Vec<String>,
    /// Of SCHED_DEADLINE, in nanoseconds.
    pub runtime: u64,
    pub deadline: u64,
    pub period: u64,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub struct IoPriority {
    pub class: String,
    pub priority: i64,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub struct Personality {
    pub domain: String,
    #[serde(deserialize_with = "null_is_absent")]
    pub flags: Vec<String>,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub struct MemoryPolicy {
    pub mode: String,
    /// A list as in `0-3,7`.
    pub nodes: String,
    #[serde(deserialize_with = "null_is_absent")]
    pub flags: Vec<String>,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default, rename_all = "camelCase")]
pub struct IntelRdt {
    #[serde(rename = "closID")]
    pub clos_id: Option<String>,
    #[serde(deserialize_with = "null_is_absent")]
    pub schemata: Vec<String>,
    pub l3_cache_schema: Option<String>,
    pub mem_bw_schema: Option<String>,
    pub enable_monitoring: bool,
}

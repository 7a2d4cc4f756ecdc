//! `linux.intelRdt`: shares of cache and memory bandwidth (config-linux.md, "IntelRdt"). May touch: serde.

use super::rules::{fits, text};
use super::schema::{At, Checked, schema};

schema! {
    IntelRdt {
        "closID" clos_id: Option<String> => group;
        "schemata" schemata: Vec<String> => fits(|s: &str| !s.is_empty() && !s.contains(['\n', '\0']), "must be one line");
        "l3CacheSchema" l3_cache_schema: Option<String> => cache_only;
        "memBwSchema" mem_bw_schema: Option<String> => text;
        "enableMonitoring" enable_monitoring: bool;
    }
}

/// resctrl names its directories by closID; `/` is the root group.
fn group(id: &str, at: &At) -> Checked {
    let odd = matches!(id, "" | "." | "..") || id.contains(['/', '\n', '\0']);
    at.refuse(odd && id != "/", || format!("`{}` is no name of a directory", id.escape_default()))
}

/// Both schemas become lines of one file: a line for MB here would override memBwSchema unseen.
fn cache_only(schema: &str, at: &At) -> Checked {
    let both = schema.lines().any(|line| line.trim_start().starts_with("MB:"));
    at.refuse(both, || "holds a line for MB: that belongs into memBwSchema")?;
    text(schema, at)
}

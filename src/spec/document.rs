//! The state document of runtime.md, "State", as hooks and listeners are told it. May touch: serde.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Every property that the specification has for Linux, a line each; behind a tab, why what it asks for is refused. What
/// has no such word works, and is proved from inside a container.
pub const PROPERTIES: &str = include_str!("properties.txt");

/// A string in JSON.
pub fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

/// The document in two parts: what stands before the process id, and behind it.
pub fn state_document(
    version: &str,
    id: &str,
    bundle: &str,
    status: &str,
    annotations: &BTreeMap<String, String>,
) -> [Vec<u8>; 2] {
    let before =
        format!("{{\"ociVersion\":{},\"id\":{},\"status\":{},\"pid\":", quoted(version), quoted(id), quoted(status));
    let annotations = match annotations.is_empty() {
        true => String::new(),
        false => format!(",\"annotations\":{}", serde_json::to_string(annotations).unwrap_or_default()),
    };
    let behind = format!(",\"bundle\":{}{annotations}}}", quoted(bundle));
    [before.into_bytes(), behind.into_bytes()]
}

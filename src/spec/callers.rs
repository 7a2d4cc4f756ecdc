//! For callers: the state document of runtime.md, "State", as hooks and listeners read it; the paths of their sockets.
//! May touch: serde.

use alloc::collections::BTreeMap;

/// A string in JSON.
pub fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

/// The document in two parts: before the process id, and after it.
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
    let after = format!(",\"bundle\":{}{annotations}}}", quoted(bundle));
    [before.into_bytes(), after.into_bytes()]
}

/// A socket's address has room for 107 bytes (unix(7)). With a longer path a descriptor of the directory stands for all
/// but the last part, which may be this long.
const SOCKET_NAME: usize = 80;

pub const SOCKET_TOO_LONG: &str =
    "is longer than 107 bytes, which is what a socket's address has room for, and its last part longer than 80";

/// Whether a socket at this path can be reached.
pub fn socket_fits(path: &str) -> bool {
    let name = path.rfind('/').map_or(path, |slash| &path[slash + 1..]);
    path.len() <= 107 || path.contains('/') && name.len() <= SOCKET_NAME
}

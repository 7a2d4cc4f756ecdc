//! What callers get or name: the state document that hooks and listeners read (runtime.md, "State"), and paths of sockets.
//! May touch: serde.

/// A string in JSON.
pub fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

/// The document in two parts: before the process id, and after it. `annotations`: their object; empty: there are none.
pub fn state_document(version: &str, id: &str, bundle: &str, status: &str, annotations: &str) -> [Vec<u8>; 2] {
    let before =
        format!("{{\"ociVersion\":{},\"id\":{},\"status\":{},\"pid\":", quoted(version), quoted(id), quoted(status));
    let key = if annotations.is_empty() { "" } else { ",\"annotations\":" };
    let after = format!(",\"bundle\":{}{key}{annotations}}}", quoted(bundle));
    [before.into_bytes(), after.into_bytes()]
}

/// A socket's address has room for 107 bytes (unix(7)). In place of a longer path the runtime uses a descriptor of the
/// directory and the last part of the path, which may be this long.
const SOCKET_NAME: usize = 80;

pub const SOCKET_TOO_LONG: &str =
    "is longer than 107 bytes, which is what a socket's address has room for, and its last part longer than 80";

/// Whether a socket at this path can be reached.
pub fn socket_fits(path: &str) -> bool {
    let name = path.rfind('/').map_or(path, |slash| &path[slash + 1..]);
    path.len() <= 107 || path.contains('/') && name.len() <= SOCKET_NAME
}

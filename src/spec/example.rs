//! The example that `spec` writes, as it is and for a user namespace. May touch: nothing.

pub const DEFAULT: &str = include_str!("default.json");

/// The same for a user namespace in which this user is root: on the host's network, without what only the machine's root
/// may do.
pub fn rootless_default(uid: u32, gid: u32) -> String {
    let mapping = |id: u32| {
        format!(
            "[\n\t\t\t{{\n\t\t\t\t\"containerID\": 0,\n\t\t\t\t\"hostID\": {id},\n\t\t\t\t\"size\": 1\n\t\t\t}}\n\t\t]"
        )
    };
    let mappings =
        format!("\"uidMappings\": {},\n\t\t\"gidMappings\": {},\n\t\t\"namespaces\"", mapping(uid), mapping(gid));
    let (before, rest) = DEFAULT.split_once("\"resources\"").unwrap_or((DEFAULT, ""));
    let (_, after) = rest.split_once("\"namespaces\"").unwrap_or(("", rest));
    format!("{before}{mappings}{after}").replace(",\n\t\t\t\t\"gid=5\"", "").replace("\"network\"", "\"user\"")
}

//! Any words, one a line, as the options of a mount; the first line is its type.
#![no_main]

use libfuzzer_sys::fuzz_target;
use product::{plan, spec};

fuzz_target!(|text: &str| {
    let (kind, options) = text.split_once('\n').unwrap_or(("", text));
    let options: Vec<&str> = options.split('\n').collect();
    let document = serde_json::json!({"destination": "/x", "type": kind, "options": options});
    let Ok(mount) = <spec::Mount as serde::Deserialize>::deserialize(&document) else {
        return;
    };
    if let Ok(o) = plan::mounts::options::understand(&mount, "/mounts/0") {
        for a in [o.attributes, o.recursive] {
            assert_eq!(a.set & a.clear & !plan::mounts::options::attr::ATIME, 0);
        }
    }
});

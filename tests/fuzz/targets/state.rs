//! Any bytes as what is remembered of a container, as its user's passwd, and as what the kernel says of its process.
#![no_main]

use libfuzzer_sys::fuzz_target;
use product::host::procfs;
use product::{perform, state};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(saved) = state::document::understand("x", bytes) {
        assert!(!saved.cgroup_path.split('/').any(|part| part == ".."));
        let _ = procfs::understand(b"7 (a) S 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 500 0", saved.start_time);
    }
    let _ = procfs::understand(bytes, [0, u64::MAX]);
    let text = String::from_utf8_lossy(bytes);
    if let Some(home) = perform::rootfs::home::home(&text, 0) {
        assert!(home.starts_with('/'));
    }
});

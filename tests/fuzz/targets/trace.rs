//! Any bytes as a recorder, shown in every way.
#![no_main]

use libfuzzer_sys::fuzz_target;
use product::cli::Format;
use product::trace;
use syscalls::record;

fuzz_target!(|bytes: &[u8]| {
    for format in [Format::Text, Format::Strace, Format::Json] {
        let text = trace::render(&[bytes.to_vec()], format);
        let most = 40 * bytes.len() + 4096 * (1 + record::offsets(bytes).count());
        assert!(text.len() <= most);
    }
});

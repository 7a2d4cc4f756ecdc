//! Any bytes as config.json: a plan, with its listing, or a problem.
#![no_main]

use libfuzzer_sys::fuzz_target;
use product::{plan, spec};

fuzz_target!(|bytes: &[u8]| {
    // The last byte turns the options of the command on and off.
    let (variant, text) = bytes.split_last().unwrap_or((&0, bytes));
    let Ok(spec) = spec::parse(text) else { return };
    let _ = spec.warnings();
    let bit = |n: u8| variant >> n & 1 != 0;
    let wish = plan::Wish {
        id: "x",
        bundle: "/b",
        pid_file: bit(0).then_some("/pid"),
        console: (spec.process.terminal == Some(true) && !bit(4)).then_some("/console"),
        no_pivot: bit(1),
        no_new_keyring: bit(2),
        wait_for_start: bit(3),
        attached: bit(4),
        cgroup: bit(5),
        uid: if bit(6) { 1000 } else { 0 },
        gid: if bit(6) { 1000 } else { 0 },
        nested: bit(7),
        no_groups: bit(7),
        ..plan::Wish::default()
    };
    if let Ok(plan) = plan::create(&spec, &wish) {
        assert!(plan.host.len() + plan.init.len() <= plan::text::MOST);
        assert!(!plan::show::listing(&plan).is_empty());
    }
});

//! Limits of which processors and which block devices are used, and how fast: each bites. In the lab, as `limits`.

use crate::cgroups::{end, ready};
use crate::limits::{holds, limited, needs_controllers};
use crate::{Case, Failed, Outcome, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs;
use std::process::Command;
use std::time::Instant;

const CASES: &[Case] =
    &[("block_devices_are_limited_one_by_one", block_devices), ("processors_are_those_of_the_list", processors)];

pub fn cases() -> Vec<Trial> {
    needs_controllers("limits", CASES)
}

/// One processor of those that there are is left to the program.
fn processors() -> Outcome {
    let online = fs::read_to_string("/sys/devices/system/cpu/online")?;
    ensure!(online.trim() != "0", "the machine has one processor alone");
    let bundle = limited("grep allowed_list /proc/self/status", json!({"cpu": {"cpus": "1", "mems": "0"}}))?;
    std::os::unix::fs::symlink("busybox", bundle.rootfs("bin/grep"))?;
    let done = bundle.bundled(&["run"])?.ok()?;
    let words: Vec<&str> = done.out.split_whitespace().collect();
    let wanted = ["Cpus_allowed_list:", "1", "Mems_allowed_list:", "0"];
    same("allowed", words, wanted.to_vec())?;
    bundle.clean()
}

/// On a loop device, which the lab has, with a model of its cost: then it has weights of its own.
fn block_devices() -> Outcome {
    let losetup = |words: &[&str]| {
        let done = Command::new("busybox").arg("losetup").args(words).output()?;
        ensure!(done.status.success(), "losetup {words:?}: {done:?}");
        Ok::<(), Failed>(())
    };
    let device = |more: Value| {
        let mut device = json!({"major": 7, "minor": 0});
        if let (Value::Object(all), Value::Object(mut more)) = (&mut device, more) {
            all.append(&mut more);
        }
        json!([device])
    };
    // Two MiB, past the cache, at one MiB a second.
    let read = "dd if=/dev/loop0 of=/dev/null bs=65536 count=32 iflag=direct; echo > /tmp/ready; sleep 1000";
    let mut bundle = limited(
        read,
        json!({"blockIO": {
            "throttleReadBpsDevice": device(json!({"rate": 1 << 20})),
            "throttleWriteBpsDevice": device(json!({"rate": 2 << 20})),
            "throttleReadIOPSDevice": device(json!({"rate": 100})),
            "throttleWriteIOPSDevice": device(json!({"rate": 200})),
            "weightDevice": device(json!({"weight": 500})),
        }}),
    )?;
    bundle.set("/linux/devices", json!([{"type": "b", "path": "/dev/loop0", "major": 7, "minor": 0}]))?;
    bundle.set(
        "/linux/resources/devices/-",
        json!({"allow": true, "type": "b", "major": 7, "minor": 0, "access": "r"}),
    )?;
    fs::write(bundle.path("disk"), vec![0; 4 << 20])?;
    losetup(&["/dev/loop0", &bundle.path("disk").to_string_lossy()])?;
    let begin = Instant::now();
    ready(&bundle)?;
    let took = begin.elapsed();
    ensure!(took.as_millis() > 1500, "two MiB in {took:?}");
    let wanted = "7:0 rbps=1048576 wbps=2097152 riops=100 wiops=200";
    let weights = "default 100\n7:0 4950";
    holds(&bundle, &[("io.max", wanted), ("io.weight", weights)])?;
    losetup(&["-d", "/dev/loop0"])?;
    end(bundle)
}

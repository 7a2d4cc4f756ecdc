//! The program as `/init`, PID 1 of a machine, and the true switch of root in an initramfs.

use crate::bundle::{Bundle, runtime, tool};
use crate::machine::{self, OTHERS, Other, boot, boot_on, image, image_with, kernel, kernels};
use crate::mounts::{NEW_PROC, try_new_proc};
use crate::{Failed, Outcome, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

/// A kernel that is older than the floor: `scripts/kernel --suite bullseye` fetches it.
const OLD: &str = "bullseye/vmlinux";

pub fn cases() -> Vec<Trial> {
    let old = machine::cases("initramfs", &[("a_kernel_below_the_floor_is_named", floor)]);
    let mut all: Vec<Trial> =
        old.into_iter().map(|case| if kernels(OLD).exists() { case } else { case.with_ignored_flag(true) }).collect();
    all.extend(machine::cases(
        "initramfs",
        &[
            ("demo_in_a_machine_of_64_mib", demo),
            ("calls_of_the_demo_are_those_of_the_readme", demo_calls),
            ("a_machine_with_a_switch_is_powered_off", power_off),
            ("programs_status_is_told", status),
            ("trace_shows_the_true_pivot_root", trace),
            ("orphans_are_reaped", orphans),
            ("no_bundle_there", no_bundle),
            ("wrong_word_is_named", wrong_word),
            ("from_a_shell", from_a_shell),
        ],
    ));
    let trial = |name: &str, other: &'static Other, case: fn(&Other) -> Outcome| {
        let trial = Trial::test(format!("initramfs::{name}_{}", other.arch), move || case(other));
        trial.with_ignored_flag(!other.is_there())
    };
    all.extend(OTHERS.iter().map(|other| trial("demo_on", other, demo_on)));
    all.extend(OTHERS.iter().map(|other| trial("calls_of_the_demo_on", other, demo_calls_on)));
    all
}

fn floor() -> Outcome {
    let bundle = Bundle::plain()?;
    let append = "nk.end=reboot nk.status=/dev/ttyS1";
    let machine = "-M microvm,acpi=off,rtc=on -no-reboot -m 128";
    let ended = boot_on(machine, &kernels(OLD), &bundle, &image(&bundle, "--demo")?, append)?;
    same("status", ended.status.as_str(), "1")?;
    ended.has("is too old: it has no close_range with CLOSE_RANGE_CLOEXEC, and 5.12 is the oldest that has all calls")
}

/// The console is the machine's only line: the status is its last.
fn demo_on(other: &Other) -> Outcome {
    let lines = demo_told(other, "nk.log-level=debug")?;
    for words in ["Inside the container:", "pid 1, parent 0: no process is above", "nk-runtime: exit status 0"] {
        ensure!(lines.iter().any(|line| line.contains(words)), "no `{words}`:\n{}", lines.join("\n"));
    }
    within_peak(&lines, other.peak)
}

/// What the console of such a machine says, with these words for the demo.
fn demo_told(other: &Other, append: &str) -> Result<Vec<String>, Failed> {
    let bundle = Bundle::plain()?;
    let image = image_with(&bundle, "--demo", &other.program())?;
    let mut command = Command::new(tool(&other.qemu())?);
    command.args(["-M", "virt", "-cpu", other.cpu, "-m", other.memory, "-accel", "tcg"]);
    command.args("-nodefaults -no-user-config -display none -no-reboot -serial stdio".split(' '));
    command.arg("-kernel").arg(other.kernel()).arg("-initrd").arg(&image);
    let words = "panic=-1 quiet initcall_blacklist=tracer_init_tracefs";
    command.arg("-append").arg(format!("console={} {words} {append}", other.console));
    let done = bundle.finish(command)?;
    ensure!(done.status == 0, "QEMU: {done:?}");
    Ok(done.out.lines().map(|line| line.trim_end().into()).collect())
}

fn demo_calls() -> Outcome {
    let bundle = Bundle::plain()?;
    let ended = boot(&bundle, &image(&bundle, "--demo")?, "nk.trace=json")?;
    counted_in_the_readme("x86-64", &ended.lines)
}

fn demo_calls_on(other: &Other) -> Outcome {
    counted_in_the_readme(other.arch, &demo_told(other, "nk.trace=json")?)
}

/// The README has a column for each kind of machine. How often the demo looks whether there is more to tell depends on the
/// machine's speed, and so does which of host and init is the first to come to a futex: such looks, what is told, and futexes
/// do not count.
fn counted_in_the_readme(kind: &str, lines: &[String]) -> Outcome {
    let readme = fs::read_to_string("README.md")?;
    let row =
        |name: &str| readme.lines().find(|line| line.starts_with(name)).map(|line| line.split('|').map(str::trim));
    let kinds = row("| | x86-64 |").ok_or("no table of the kinds of machines")?;
    let mut counts = row("| system calls of that demo").ok_or("no row of calls")?;
    let wanted = kinds.into_iter().position(|one| one == kind).and_then(|at| counts.nth(at)).unwrap_or("");
    let calls: Vec<Value> = lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let before = calls.iter().take_while(|call| call["call"] != "execve");
    let to_tell = ["the wait goes on", "the caller asked to be told"];
    let tells = |call: &&Value| call["why"].as_str().is_some_and(|why| to_tell.iter().any(|one| why.starts_with(one)));
    let counted = before.filter(|call| !tells(call) && call["call"] != "futex");
    same("calls up to execve", counted.count().to_string().as_str(), wanted)
}

/// The most memory that the runtime may take as PID 1.
const PEAK: u32 = 2560;

fn demo() -> Outcome {
    let bundle = Bundle::plain()?;
    let image = image(&bundle, "--demo")?;
    let size = fs::metadata(&image)?.len();
    // The program itself is not packed.
    ensure!(size < 3 << 20, "the image has {size} bytes");
    // Without the files that show its trace points, which take 4 MiB, Debian's smallest kernel leaves enough of 64 MiB.
    let append = "initcall_blacklist=tracer_init_tracefs nk.end=reboot nk.status=/dev/ttyS1 nk.log-level=debug";
    let machine = "-M microvm,acpi=off,rtc=on -no-reboot -m 64";
    let ended = boot_on(machine, &kernels("vmlinux-cloud"), &bundle, &image, append)?;
    same("status", ended.status.as_str(), "0")?;
    ended.has("Inside the container:")?;
    ended.has("pid 1, parent 0: no process is above")?;
    within_peak(&ended.lines, PEAK)
}

/// The console says how much memory the runtime took.
fn within_peak(lines: &[String], most: u32) -> Outcome {
    let peak = |line: &String| {
        let kib = line.strip_prefix("nk-runtime: the most memory that this process had: ")?;
        kib.strip_suffix(" kB")?.parse::<u32>().ok()
    };
    let peak = lines.iter().find_map(peak);
    let peak = peak.ok_or_else(|| format!("no word of memory:\n{}", lines.join("\n")))?;
    ensure!(peak <= most, "it took {peak} KiB");
    Ok(())
}

/// A restart would not end this machine.
fn power_off() -> Outcome {
    let bundle = Bundle::shell("exit 5")?;
    let image = bundled(&bundle)?;
    let append = "nk.status=/dev/ttyS1";
    let ended = boot_on("-M q35 -m 128", &kernel(), &bundle, &image, append)?;
    same("status", ended.status.as_str(), "5")?;
    ended.has("reboot: Power down")
}

/// Writes a bundle's configuration, and the image of it.
fn bundled(bundle: &Bundle) -> Result<PathBuf, Failed> {
    bundle.write_config()?;
    image(bundle, &bundle.path("").to_string_lossy())
}

fn status() -> Outcome {
    let bundle = Bundle::shell("hostname; exit 3")?;
    let image = bundled(&bundle)?;
    let ended = boot(&bundle, &image, "nk.status=/dev/ttyS1")?;
    same("status", ended.status.as_str(), "3")?;
    ended.has("runc")?;
    // With nowhere else to tell it, the console does.
    let ended = boot(&bundle, &image, "")?;
    let ours: Vec<&str> =
        ended.lines.iter().map(String::as_str).filter(|l| !l.is_empty() && !l.starts_with('[')).collect();
    same("console", ours, vec!["runc", "nk-runtime: exit status 3"])
}

fn trace() -> Outcome {
    let bundle = Bundle::plain()?;
    let ended = boot(&bundle, &bundled(&bundle)?, "nk.trace=json nk.id=seen")?;
    ended.has("nk-runtime: exit status 0")?;
    let mut calls = Vec::new();
    for line in ended.lines.iter().filter(|line| line.starts_with('{')) {
        let call: Value = serde_json::from_str(line).map_err(|e| format!("{e}: {line}"))?;
        calls.push(call);
    }
    let told = |call: &Value| {
        let text = |key: &str| call[key].as_str().unwrap_or("").to_owned();
        (text("call"), text("errno"), text("why"))
    };
    let calls: Vec<(String, String, String)> = calls.iter().map(told).collect();
    let pivots: Vec<&str> =
        calls.iter().filter(|(name, ..)| name == "pivot_root").map(|(_, errno, _)| errno.as_str()).collect();
    same("pivot_root, twice", pivots, vec!["EINVAL", ""])?;
    let because = |(name, errno, why): &(String, String, String)| {
        name == "open_tree" && errno.is_empty() && why.contains("cannot put away an initramfs")
    };
    ensure!(calls.iter().any(because), "no reason:\n{}", ended.text());
    // What was done before there was a container is on record too.
    let first = |(name, ..): &(String, String, String)| name == "reboot";
    ensure!(calls.iter().any(first), "no reboot:\n{}", ended.text());
    Ok(())
}

/// Without a pid namespace what a container leaves behind is PID 1's: it does not stay a zombie.
fn orphans() -> Outcome {
    let script = "sh -c 'sleep 1 & echo $! > /tmp/orphan'; orphan=$(cat /tmp/orphan)
        grep PPid /proc/$orphan/status; sleep 3; test -e /proc/$orphan || echo reaped";
    let mut bundle = Bundle::shell(script)?;
    std::os::unix::fs::symlink("busybox", bundle.rootfs("bin/grep"))?;
    let namespaces = &mut bundle.config["linux"]["namespaces"];
    let list = namespaces.as_array_mut().ok_or("no namespaces")?;
    list.retain(|one| one["type"] != "pid");
    bundle.set("/root/readonly", json!(false))?;
    let ended = boot(&bundle, &bundled(&bundle)?, "")?;
    ended.has("PPid:\t1")?;
    ended.has("reaped")?;
    ended.has("nk-runtime: exit status 0")
}

fn no_bundle() -> Outcome {
    let bundle = Bundle::plain()?;
    let append = "nk.bundle=/nowhere nk.status=/dev/ttyS1";
    let ended = boot(&bundle, &image(&bundle, "--demo")?, append)?;
    ended.has("nk-runtime: /nowhere/config.json: no such file or directory")?;
    same("status", ended.status.as_str(), "1")
}

fn wrong_word() -> Outcome {
    let bundle = Bundle::plain()?;
    let image = image(&bundle, "--demo")?;
    for (append, said) in [
        ("nk.bundel=/x", "nk.bundel: there is no such word"),
        ("nk.trace=xml", "`xml` is no trace format"),
        ("nk.status=/dev/nothing", "cannot open /dev/nothing, which nk.status names: no such file or directory"),
    ] {
        let ended = boot(&bundle, &image, append)?;
        ended.has(said)?;
        ended.has("nk-runtime: exit status 1")?;
    }
    Ok(())
}

/// Not as PID 1: a shell's script is, and calls `run` on the ramfs. Once as usual, once with a user namespace, where the
/// mounts of the initramfs are locked, once with a hook, for which the rootfs is attached elsewhere.
fn from_a_shell() -> Outcome {
    let script = format!("ls /.. | cat; cat /proc/self/mountinfo; {NEW_PROC}");
    let mut bundle = Bundle::shell(&script)?;
    try_new_proc(&mut bundle)?;
    let tree = bundle.path("tree");
    fs::create_dir_all(tree.join("bin"))?;
    let write = |name: &str, config: &Value| fs::write(tree.join(name), config.to_string());
    write("usual.json", &bundle.config)?;
    let plain = bundle.config.clone();
    bundle.set("/hooks", json!({"createContainer": [{"path": "/bin/busybox", "args": ["true"]}]}))?;
    write("hook.json", &bundle.config)?;
    bundle.config = plain;
    bundle.set("/linux/namespaces/-", json!({"type": "user"}))?;
    let ids = json!([{"containerID": 0, "hostID": 100000, "size": 65536}]);
    bundle.set("/linux/uidMappings", ids.clone())?;
    bundle.set("/linux/gidMappings", ids)?;
    write("user.json", &bundle.config)?;

    let script = "#!/bin/busybox sh
        cd /
        /bin/busybox mkdir -p proc sys dev tmp
        /bin/busybox mount -t devtmpfs dev /dev
        /bin/busybox mount -t proc proc /proc
        /bin/busybox mount -t sysfs sys /sys
        /bin/busybox mount -t cgroup2 cgroup /sys/fs/cgroup
        for one in usual hook user; do
            echo begin $one
            /bin/nk-runtime run --bundle / --config /$one.json $one 2>&1
            echo status of $one: $?
        done
        echo mounts: $(/bin/busybox wc -l </proc/mounts)
        /bin/busybox reboot -f\n";
    fs::write(tree.join("init"), script)?;
    fs::set_permissions(tree.join("init"), fs::Permissions::from_mode(0o755))?;
    fs::copy(tool("busybox")?, tree.join("bin/busybox"))?;
    fs::copy(runtime(), tree.join("bin/nk-runtime"))?;
    let image = bundle.path("image");
    let mut pack = Command::new("sh");
    pack.arg("-c")
        .arg("cd \"$1\" && cp -a ../rootfs . && find . | cpio --quiet -o -H newc | gzip -1 > ../image")
        .args(["pack", &tree.to_string_lossy()]);
    bundle.finish(pack)?.ok()?;
    let ended = boot(&bundle, &image, "")?;
    for one in ["usual", "hook", "user"] {
        let end = format!("status of {one}: 0");
        let said = ended.lines.iter().map(String::as_str);
        let said = said.skip_while(|line| *line != format!("begin {one}"));
        let said: Vec<&str> = said.skip(1).take_while(|line| *line != end).collect();
        // The rootfs, and nothing of the initramfs.
        let wanted = ["bin", "dev", "etc", "mnt", "proc", "sys", "tmp"];
        ensure!(said.starts_with(&wanted), "{one}:\n{}", ended.text());
        // One mount on / and not two: a second would be the way to the initramfs.
        let places = said.iter().filter_map(|line| line.split(' ').nth(4));
        let roots = places.filter(|place| *place == "/").count();
        ensure!(roots == 1, "{one}: {roots} mounts on /\n{}", ended.text());
        // Nor is its procfs or sysfs anywhere, as the kernel looks for it.
        let tried = said.ends_with(&["a tmpfs", "no more"]);
        ensure!(tried, "{one}:\n{}", ended.text());
        ended.has(&end)?;
    }
    // The machine's own mounts are what they were: / and four more.
    ended.has("mounts: 5")
}
